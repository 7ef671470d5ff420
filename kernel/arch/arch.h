/*
 * ARMv7 as the kernel sees it: barriers, interrupt masks, the current thread,
 * the context switch.
 *
 * What it is for. Only this folder, boot/ and drivers/ know the processor.
 * arch.h has single instructions, clock.h the time, mmu.h the page tables,
 * board.h the tables that a board fills. vectors.S and switch.S have the code
 * that C cannot express.
 *
 * The client's duties.
 * (1) Name the partner of each barrier.
 * (2) In a loop that waits for another core, call cpu_relax() or wfi() each
 *     time.
 * (3) Restore what raw_local_irq_save() returned; do not enable IRQs instead.
 *
 * Consequences.
 * (a) The kernel masks IRQs and never FIQs, which carry the pseudo-NMI.
 * (b) `current` is valid as soon as sched_init_early() has run, on other cores
 *     from the first C function on.
 * (c) Every handler of an interrupt or a fault gets a struct regs.
 *
 * Owns no data. Any context once the MMU and the caches are on; before that
 * only barriers and the identification registers.
 * Source: ARM Architecture Reference Manual ARMv7-A/R (DDI 0406C), A3.8 for the
 * barriers, B1.3 for the CPSR, B3.18 for the CP15 registers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

struct thread;

/* The registers of interrupted code, as every vector saves them. */
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

/* One instruction. The compiler moves no memory access across it. */
#define ARM(instruction) __asm__ volatile(instruction ::: "memory")

/* Barriers between cores (inner shareable): full; stores before stores; loads
 * before loads, for which ARMv7 has no weaker form than the full one. */
#define smp_mb()  ARM("dmb ish")
#define smp_wmb() ARM("dmb ishst")
#define smp_rmb() smp_mb()

/* For devices and for WFI. After dsb() all earlier accesses are done. After
 * isb() all earlier changes of the processor's state have taken effect. */
#define dsb() ARM("dsb sy")
#define isb() ARM("isb sy")

/*
 * A hint in every loop that waits for another core. If QEMU runs all cores in
 * one thread (as with -icount), QEMU goes on to the next core here. Otherwise
 * cpu_relax() does nothing.
 */
#define cpu_relax() ARM("yield")

/* Sleep until an interrupt is pending, masked or not. */
#define wfi() ARM("dsb sy\n\twfi")
/* Wake the cores that sleep in WFE. */
#define sev() ARM("dsb sy\n\tsev")

/*
 * IRQs only: FIQs are the pseudo-NMI. The raw_ forms are for the floors up to
 * kernel/debug/, and for lockdep itself. All other code uses the forms of
 * kernel/lock/irqflags.h, which tell lockdep.
 */
#define raw_local_irq_disable() ARM("cpsid i")
#define raw_local_irq_enable()	ARM("cpsie i")
/* Asynchronous aborts: unmasked on each core once it has its vectors. After that
 * only the handlers of aborts and FIQs run with them masked. */
#define aborts_unmask() ARM("cpsie a\n\tisb sy")

static inline uint32_t arch_cpsr(void)
{
	uint32_t v;

	__asm__ volatile("mrs %0, cpsr" : "=r"(v));
	return v;
}

/* Mask IRQs; returns the old CPSR. */
static inline uint32_t raw_local_irq_save(void)
{
	uint32_t v;

	__asm__ volatile("mrs %0, cpsr\n\tcpsid i" : "=r"(v)::"memory");
	return v;
}

static inline void raw_local_irq_restore(uint32_t flags)
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

	/* Not volatile: a thread always reads the same value. */
	__asm__("mrc p15, 0, %0, c13, c0, 4" : "=r"(t));
	return t;
}

static inline void set_current(struct thread *t)
{
	__asm__ volatile("mcr p15, 0, %0, c13, c0, 4" ::"r"(t) : "memory");
}

#define current get_current()

/* Store the words a and b at p + offset, which is aligned to 4 bytes. Another core
 * sees each word whole, but perhaps one before the other. */
static always_inline void arch_store_two(void *p, const unsigned int offset,
					 uint32_t a, uint32_t b)
{
#ifdef __thumb__
	__asm__ volatile("strd %1, %2, [%0, %3]" ::"r"(p), "r"(a), "r"(b),
			 "i"(offset)
			 : "memory");
#else /* in ARM code the registers would have to be neighbours */
	volatile uint32_t *to = (void *)((char *)p + offset);

	to[0] = a;
	to[1] = b;
#endif
}

/* An address in the function that is running. */
static always_inline uintptr_t arch_here(void)
{
	uintptr_t pc;

	/* Not volatile: each place in the function is right. */
	__asm__("mov %0, pc" : "=r"(pc));
	return pc;
}

static inline uint32_t read_mpidr(void)
{
	uint32_t v;

	__asm__ volatile("mrc p15, 0, %0, c0, c0, 5" : "=r"(v));
	return v & 0xffffffu;
}

/*
 * probe.S: a load or a call that may fail, used at boot. Returns false if it
 * ended in a data abort or an undefined instruction. Otherwise *value has the
 * word at va, or *answer has the result of call number fn. Any context.
 */
bool probe_read(uintptr_t va, uint32_t *value);
bool probe_smc(uint32_t fn, uint32_t *answer);
bool probe_hvc(uint32_t fn, uint32_t *answer);
extern char probe_start[], probe_failed[];

/*
 * switch.S: save the callee-saved registers of prev on its stack and load those
 * of next. IRQs are off and the run queue's lock is held. Returns on next's
 * stack; the value is the thread that ran before.
 */
struct thread *arch_switch_to(struct thread *prev, struct thread *next);

/*
 * Prepare the stack of a thread that has never run, so that the first switch to
 * it ends in thread_start(). Returns the stack pointer to switch to.
 */
uint32_t arch_thread_stack_init(uint32_t stack_top);
