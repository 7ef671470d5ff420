/*
 * The ARMv7 ground: barriers, interrupt flags, core id, current, waiting.
 *
 * Owns no data. Callable from any context once the MMU and the caches are on
 * (before that: barriers and the id registers only, never an atomic).
 * Source: ARM Architecture Reference Manual ARMv7-A/R (DDI 0406C), A3.8 for
 * the barriers, B1.3 for the CPSR, B3.18 for the CP15 registers.
 */
#ifndef KERNEL_ARCH_ARCH_H
#define KERNEL_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

struct thread;

/* Registers of an interrupted context, as every vector saves them. */
struct regs {
	uint32_t r[13]; /* r0 to r12 */
	uint32_t sp;
	uint32_t lr;
	uint32_t pc;
	uint32_t cpsr;
};

#define PSR_MODE_MASK 0x1fu
#define PSR_MODE_FIQ  0x11u
#define PSR_MODE_SVC  0x13u
#define PSR_MODE_ABT  0x17u
#define PSR_MODE_HYP  0x1au
#define PSR_MODE_UND  0x1bu
#define PSR_T	      0x20u
#define PSR_I	      0x80u

/* Full barrier among the cores (inner shareable). */
static inline void smp_mb(void)
{
	__asm__ volatile("dmb ish" ::: "memory");
}

static inline void smp_wmb(void)
{
	__asm__ volatile("dmb ishst" ::: "memory");
}

/* Loads before loads: ARMv7 has no weaker form than the full one. */
static inline void smp_rmb(void)
{
	smp_mb();
}

/* Device and system forms: what a peripheral or another core's WFI sees. */
static inline void dsb(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

static inline void isb(void)
{
	__asm__ volatile("isb sy" ::: "memory");
}

/*
 * A hint for every loop that waits for another core: QEMU with one thread (and
 * under -icount) gives the machine to the next core here; with several threads
 * it is a nop.
 */
static inline void cpu_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

/* Sleep until an interrupt is pending, masked or not. */
static inline void wfi(void)
{
	__asm__ volatile("dsb sy\n\twfi" ::: "memory");
}

static inline void sev(void)
{
	__asm__ volatile("dsb sy\n\tsev" ::: "memory");
}

static inline void wfe(void)
{
	__asm__ volatile("wfe" ::: "memory");
}

static inline uint32_t arch_cpsr(void)
{
	uint32_t v;

	__asm__ volatile("mrs %0, cpsr" : "=r"(v));
	return v;
}

/* Mask IRQs (never FIQs: they are the pseudo-NMI); returns the old CPSR. */
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

static inline void local_irq_disable(void)
{
	__asm__ volatile("cpsid i" ::: "memory");
}

static inline void local_irq_enable(void)
{
	__asm__ volatile("cpsie i" ::: "memory");
}

static inline bool irqs_disabled(void)
{
	return (arch_cpsr() & PSR_I) != 0;
}

/* TPIDRPRW holds the running thread (design, decision 1). */
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

static inline uint32_t read_midr(void)
{
	uint32_t v;

	__asm__ volatile("mrc p15, 0, %0, c0, c0, 0" : "=r"(v));
	return v;
}

/* Forget an exclusive reservation: after every switch and exception. */
static inline void clrex(void)
{
	__asm__ volatile("clrex" ::: "memory");
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

#endif
