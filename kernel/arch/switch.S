/*
 * The context switch. See arch.h for how it is called.
 */
	.arch	armv7-a
	.text
	.arm

/* struct thread *arch_switch_to(struct thread *prev, struct thread *next) */
	.global	arch_switch_to
	.type	arch_switch_to, %function
arch_switch_to:
	push	{r4-r11, lr}
	/*
	 * A thread that was preempted between an operation on caches or the TLB,
	 * or a write to a device, and its DSB may go on on another core. A DSB
	 * there does not wait for operations of this core, so this core waits
	 * for them now, before another core can get the thread (DDI 0406C,
	 * A3.8.3: a DSB completes those of its own core). Pairs with every dsb()
	 * of preemptible code.
	 */
	dsb	sy
	str	sp, [r0]		/* sp is the first member of thread */
	mcr	p15, 0, r1, c13, c0, 4	/* current = next */
	clrex				/* drop prev's exclusive reservation */
	ldr	sp, [r1]
	pop	{r4-r11, pc}		/* r0 is prev, on next's stack */

/* The first switch to a thread returns here; r0 = prev, IRQs off. */
	.global	thread_trampoline
	.type	thread_trampoline, %function
thread_trampoline:
	mov	fp, #0
	mov	lr, #0
	ldr	pc, =thread_start
	.ltorg
