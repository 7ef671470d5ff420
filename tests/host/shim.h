/*
 * The slab allocator on the host: the functions by which a test drives shim.c. This
 * file is included before all others (gcc -include), because it moves the direct map to
 * an address that a host program can use.
 *
 * A core is a number. In sequential tests host_core(n) says on which core the next
 * operation runs; in threaded tests each thread stays one core.
 */
#pragma once

#include "boot/boot.h"

#undef LOWMEM_VA
#define LOWMEM_VA ((uintptr_t)0x20000000)

#define HOST_CORES 4
#define HOST_RAM   (16u << 20)

/* Set up RAM, pages and caches; the first core is on. */
void host_init(void);
void host_core(unsigned int cpu);
/* The work of on_each_cpu(). The default, for sequential tests: each core in turn. */
extern void (*host_each_cpu)(void (*fn)(void *), void *arg);
/* Tell the slab's notifier about a core; returns 0 or its negative errno. */
int host_notify(unsigned long event, unsigned int cpu);
int host_core_up(unsigned int cpu);
void host_core_down(unsigned int cpu);
/* Run the callbacks that call_rcu() has queued. */
void host_run_callbacks(void);
