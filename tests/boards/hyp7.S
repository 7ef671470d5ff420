/*
 * A start stub for Cortex-A7 (Pi 2). It leaves the worst state that a board may leave.
 *
 * Runs at 0x7000 on every core, in secure SVC, MMU off. Goes to handover.S at 0x20 in HYP
 * (--defsym mode=0x1a) or non-secure SVC (mode=0x13). Registers that the firmware's stub
 * sets are set in the same way: counter frequency, non-secure access, coherency, no SMC.
 * All others get bad values. For SVC the registers of HYP are good, because SVC cannot
 * change them later, and an asynchronous abort is pending. The exception is CNTVOFF, which
 * a firmware may forget: then the kernel can use the physical counter.
 *
 * Nothing here waits for another core, so a core may be late: the kernel may run already.
 * Therefore a core other than 0 changes only its own registers. --defsym late=1: these
 * cores do everything here after the kernel has called them.
 */
	.arch	armv7-a
	.arch_extension virt
	.arch_extension sec
	.arm
	.text
setup:
	.if	late
	mrc	p15, 0, r0, c0, c0, 5	/* MPIDR */
	ands	r0, r0, #3
	beq	1f
	ldr	r1, =0x400000cc		/* mailbox 3; handover.S clears it */
	add	r1, r1, r0, lsl #4
2:	wfe
	ldr	r0, [r1]
	cmp	r0, #0
	beq	2b
1:
	.endif
	ldr	r0, =19200000
	mcr	p15, 0, r0, c14, c0, 0	/* CNTFRQ: written in secure state only */
	mrc	p15, 0, r0, c1, c0, 1	/* ACTLR: take part in coherency */
	orr	r0, r0, #(1 << 6)
	mcr	p15, 0, r0, c1, c0, 1
	ldr	r0, =0x00060c00
	mcr	p15, 0, r0, c1, c1, 2	/* NSACR: CP10, CP11, NS_SMP */

	/* Monitor mode with NS set: banked registers are the non-secure ones. */
	cps	#0x16
	movw	r0, #0x1b1		/* SCR: NS, HCE, SCD: no SMC from now on */
	mcr	p15, 0, r0, c1, c1, 0
	isb
	mrc	p15, 0, r4, c0, c0, 5
	and	r4, r4, #3
	ldr	r5, =junk
	eor	r5, r5, r4, lsl #28

	ldr	r0, =0x72dd383a		/* TE TRE AFE EE WXN UWXN V I Z A; no M, C */
	mcr	p15, 0, r0, c1, c0, 0	/* SCTLR */
	bic	r0, r5, #0x1f
	mcr	p15, 0, r0, c12, c0, 0	/* VBAR: anywhere */
	mcr	p15, 0, r5, c2, c0, 0	/* TTBR0 */
	mvn	r0, r5
	mcr	p15, 0, r0, c2, c0, 1	/* TTBR1 */
	ldr	r0, =0x80870087
	mcr	p15, 0, r0, c2, c0, 2	/* TTBCR: long descriptors, no walks */
	mcr	p15, 0, r5, c13, c0, 1	/* CONTEXTIDR */
	mcr	p15, 0, r5, c13, c0, 4	/* TPIDRPRW */
	mov	r0, #0
	mcr	p15, 0, r0, c3, c0, 0	/* DACR: no access anywhere */
	mcr	p15, 0, r0, c1, c0, 2	/* CPACR: no VFP */

	mov	r1, #0
	mov	r0, #1
	mcrr	p15, 3, r1, r1, c14	/* CNTV_CVAL: long ago */
	mcr	p15, 0, r0, c14, c3, 1	/* CNTV_CTL: enabled, not masked */
	mcrr	p15, 2, r1, r1, c14	/* CNTP_CVAL */
	mcr	p15, 0, r0, c14, c2, 1	/* CNTP_CTL */

	mcrr	p15, 4, r5, r4, c14	/* CNTVOFF: each core its own */
	.if	mode == 0x1a
	mov	r0, #0
	mcr	p15, 4, r0, c14, c1, 0	/* CNTHCTL: only HYP may use CNTP */
	ldr	r0, =0x00f80038		/* HCR: traps, interrupts to HYP */
	mcr	p15, 4, r0, c1, c1, 0
	ldr	r0, =0x0000bfff		/* HCPTR */
	mcr	p15, 4, r0, c1, c1, 2
	ldr	r0, =0x0000bfef		/* HSTR: CP15 trapped */
	mcr	p15, 4, r0, c1, c1, 3
	mcr	p15, 4, r5, c0, c0, 0	/* VPIDR */
	mcr	p15, 4, r5, c0, c0, 5	/* VMPIDR */
	bic	r0, r5, #0x1f
	mcr	p15, 4, r0, c12, c0, 0	/* HVBAR */
	.else
	mov	r0, #3
	mcr	p15, 4, r0, c14, c1, 0
	adr	r0, hyp_vectors
	mcr	p15, 4, r0, c12, c0, 0	/* HVBAR */
	mov	r0, #0x120		/* HCR: VA, AMO: an abort is pending */
	mcr	p15, 4, r0, c1, c1, 0
	.endif
	/* The local timer interrupts core 0 all the time. Core 0 turns it on: another
	 * core may come here when the kernel has turned it off already. */
	cmp	r4, #0
	ldreq	r0, =0x40000000
	moveq	r1, #0
	streq	r1, [r0, #0x24]
	ldreq	r1, =0x30000040
	streq	r1, [r0, #0x34]

	movw	r0, #(0x1c0 | mode)	/* A, I, F masked */
	movt	r0, #0xf800		/* N Z C V Q */
	msr	spsr_cxsf, r0
	mov	lr, #0x20
	movs	pc, lr
	.ltorg

	/* SVC's calls make an asynchronous abort pending. */
	.balign	32
hyp_vectors:
	.rept	5
	b	.
	.endr
	mrc	p15, 4, r0, c1, c1, 0
	orr	r0, r0, #0x100
	mcr	p15, 4, r0, c1, c1, 0
	eret
