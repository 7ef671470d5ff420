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
