/*
 * The slab allocator on the host: what the tests drive the shim with. Included
 * before everything else (gcc -include), because it moves the direct map to
 * where a host program can have it.
 *
 * A core is a number. In sequential tests host_core(n) says which one the next
 * operation runs on; in threaded tests each thread is one core for good.
 */
#pragma once

#include "boot/boot.h"

#undef LOWMEM_VA
#define LOWMEM_VA ((uintptr_t)0x20000000)

#define HOST_CORES 4
#define HOST_RAM   (16u << 20)

/* RAM, pages, caches; the first core is on. */
void host_init(void);
void host_core(unsigned int cpu);
/* What on_each_cpu() does; sequential tests keep the default: each in turn. */
extern void (*host_each_cpu)(void (*fn)(void *), void *arg);
/* The slab notifier's answer to what happens to a core: 0 or negative errno. */
int host_notify(unsigned long event, unsigned int cpu);
int host_core_up(unsigned int cpu);
void host_core_down(unsigned int cpu);
/* Run what call_rcu() has queued. */
void host_run_callbacks(void);
