/*
 * Replaces kernel/arch/arch.h in host builds: the names that the slab allocator uses.
 * There are no interrupts here: a function that the kernel calls in an interrupt runs
 * between two operations of a core (tests/host/shim.c).
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

struct thread;
struct regs;

extern __thread struct thread *host_current;
#define current host_current

/* Perhaps the other thread needs this host core. */
#define cpu_relax() sched_yield()

#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#define PSR_I 0x80u

static inline uint32_t raw_local_irq_save(void)
{
	return 0;
}

static inline void raw_local_irq_restore(uint32_t flags)
{
	(void)flags;
}

static inline bool irqs_disabled(void)
{
	return false;
}
