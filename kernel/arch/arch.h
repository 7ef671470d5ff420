/*
 * The ARMv7 ground: barriers, interrupt flags, core id, current, waiting.
 *
 * Owns no data. Callable from any context once the MMU and the caches are on
 * (before that: barriers and the id registers only, never an atomic).
 * Source: ARM Architecture Reference Manual ARMv7-A/R (DDI 0406C), A3.8 for
 * the barriers, B1.3 for the CPSR, B3.18 for the CP15 registers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

struct thread;

/* Registers of an interrupted context, as every vector saves them. */
struct regs {
	uint32_t r[13]; /* r0 to r12 */
	uint32_t sp, lr, pc, cpsr;
};

#define PSR_MODE_MASK 0x1fu
#define PSR_MODE_FIQ  0x11u
#define PSR_MODE_ABT  0x17u
#define PSR_MODE_HYP  0x1au
#define PSR_MODE_UND  0x1bu
#define PSR_I	      0x80u

/* One instruction each; the compiler keeps its own order there as well. */
#define ARM(instruction) __asm__ volatile(instruction ::: "memory")

/* Barriers among the cores (inner shareable): full, stores before stores, loads
 * before loads (ARMv7 has no weaker form than the full one). */
#define smp_mb()  ARM("dmb ish")
#define smp_wmb() ARM("dmb ishst")
#define smp_rmb() smp_mb()

/* Device and system forms: what a peripheral or another core's WFI sees. */
#define dsb() ARM("dsb sy")
#define isb() ARM("isb sy")

/*
 * A hint for every loop that waits for another core: QEMU with one thread (and
 * under -icount) gives the machine to the next core here; with several threads
 * it is a nop.
 */
#define cpu_relax() ARM("yield")

/* Sleep until an interrupt is pending, masked or not. */
#define wfi() ARM("dsb sy\n\twfi")
/* Wake the cores that sleep in WFE. */
#define sev() ARM("dsb sy\n\tsev")

/* IRQs only, never FIQs: they are the pseudo-NMI. */
#define local_irq_disable() ARM("cpsid i")
#define local_irq_enable()  ARM("cpsie i")

static inline uint32_t arch_cpsr(void)
{
	uint32_t v;

	__asm__ volatile("mrs %0, cpsr" : "=r"(v));
	return v;
}

/* Mask IRQs; returns the old CPSR. */
static inline uint32_t local_irq_save(void)
{
	uint32_t v;

	__asm__ volatile("mrs %0, cpsr\n\tcpsid i" : "=r"(v)::"memory");
	return v;
}

static inline void local_irq_restore(uint32_t flags)
{
	__asm__ volatile("msr cpsr_c, %0" ::"r"(flags) : "memory");
}

static inline bool irqs_disabled(void)
{
	return (arch_cpsr() & PSR_I) != 0;
}

/* TPIDRPRW holds the running thread (docs/design.md, "current"). */
static inline struct thread *get_current(void)
{
	struct thread *t;

	/* Not volatile: a thread's own identity never changes under it. */
	__asm__("mrc p15, 0, %0, c13, c0, 4" : "=r"(t));
	return t;
}

static inline void set_current(struct thread *t)
{
	__asm__ volatile("mcr p15, 0, %0, c13, c0, 4" ::"r"(t) : "memory");
}

#define current get_current()

static inline uint32_t read_mpidr(void)
{
	uint32_t v;

	__asm__ volatile("mrc p15, 0, %0, c0, c0, 5" : "=r"(v));
	return v & 0xffffffu;
}

/*
 * kernel/arch/switch.S: save the callee's registers of prev, take next's.
 * Called with interrupts off and prev's run-queue lock held; returns, on
 * next's stack, the thread that ran before.
 */
struct thread *arch_switch_to(struct thread *prev, struct thread *next);

/*
 * Lay out the stack of a thread that never ran, so that the first switch to it
 * lands in thread_start(). Returns the initial stack pointer.
 */
uint32_t arch_thread_stack_init(uint32_t stack_top);
