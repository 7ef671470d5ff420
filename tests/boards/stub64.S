/*
 * A start stub for Cortex-A53 and A72 (Pi 3, Pi 4): AArch64 EL3 to AArch32, in a
 * state that a board may leave.
 *
 * Runs at 0x7000 on every core. Goes to handover.S at 0x20 in HYP (--defsym mode=0x1a) or
 * non-secure SVC (mode=0x13). frequency: that of the counter. gic: base of the GIC-400's
 * distributor, or 0. local: base of the ARM-local registers. Otherwise like hyp7.S.
 */
	.arch	armv8-a
	.text
setup:
	.if	late
	mrs	x0, mpidr_el1
	ands	x0, x0, #3
	b.eq	1f
	ldr	x1, =(local + 0xcc)	/* mailbox 3; handover.S clears it */
	add	x1, x1, x0, lsl #4
2:	wfe
	ldr	w0, [x1]
	cbz	w0, 2b
1:
	.endif
	ldr	x0, =frequency
	msr	cntfrq_el0, x0
	mov	x0, #0x131		/* SCR: NS, HCE, AArch32 below */
	msr	scr_el3, x0
	msr	cptr_el3, xzr
	mov	x0, #0x73
	msr	actlr_el3, x0
	msr	actlr_el2, x0
	mrs	x0, s3_1_c15_c2_1	/* CPUECTLR: take part in coherency */
	orr	x0, x0, #(1 << 6)
	msr	s3_1_c15_c2_1, x0
	isb
	mrs	x4, mpidr_el1
	and	x4, x4, #3
	ldr	w5, =junk
	eor	w5, w5, w4, lsl #28

	.if	gic
	/* As the firmware does: all in group 1, for the non-secure side. */
	ldr	x1, =gic
	add	x2, x1, #0x1000		/* CPU interface */
	mov	w0, #0x1e7
	str	w0, [x2]		/* GICC_CTLR */
	mov	w0, #0xff
	str	w0, [x2, #4]		/* GICC_PMR */
	mov	w0, #-1
	str	w0, [x1, #0x80]		/* GICD_IGROUPR0: each core's own */
	cbnz	x4, 1f
	mov	w0, #3
	str	w0, [x1]		/* GICD_CTLR */
	mov	w0, #-1
	.irp	n, 0x84, 0x88, 0x8c, 0x90, 0x94, 0x98
	str	w0, [x1, #\n]		/* GICD_IGROUPR1.. */
	.endr
1:
	.endif

	ldr	w0, =0x72dd383a		/* TE TRE AFE EE WXN UWXN V I Z A; no M, C */
	msr	sctlr_el1, x0
	bic	w0, w5, #0x1f
	msr	vbar_el1, x0		/* VBAR: anywhere */
	mov	w0, w5
	msr	ttbr0_el1, x0
	mvn	w0, w5
	msr	ttbr1_el1, x0
	ldr	w0, =0x80870087		/* TTBCR: long descriptors, no walks */
	msr	tcr_el1, x0
	msr	dacr32_el2, xzr		/* DACR: no access anywhere */
	mov	w0, w5
	msr	contextidr_el1, x0
	msr	tpidr_el1, x0
	msr	cpacr_el1, xzr		/* CPACR: no VFP */

	mov	x0, #1
	msr	cntv_cval_el0, xzr	/* long ago */
	msr	cntv_ctl_el0, x0	/* CNTV_CTL: enabled, not masked */
	msr	cntp_cval_el0, xzr
	msr	cntp_ctl_el0, x0

	orr	x0, x5, x4, lsl #32
	msr	cntvoff_el2, x0		/* CNTVOFF: each core its own */
	.if	mode == 0x1a
	msr	cnthctl_el2, xzr	/* CNTHCTL: only HYP may use CNTP */
	ldr	x0, =0x00f80038		/* HCR: traps, interrupts to HYP */
	msr	hcr_el2, x0
	ldr	x0, =0xbfff		/* HCPTR */
	msr	cptr_el2, x0
	ldr	x0, =0xbfef		/* HSTR: CP15 trapped */
	msr	hstr_el2, x0
	mov	w0, w5
	msr	vpidr_el2, x0
	msr	vmpidr_el2, x0
	bic	w0, w5, #0x1f
	msr	vbar_el2, x0		/* HVBAR */
	.else
	mov	x0, #3
	msr	cnthctl_el2, x0
	mov	x0, #0x120		/* HCR: VSE, AMO: an abort is pending */
	msr	hcr_el2, x0
	mov	x0, #0x33ff
	msr	cptr_el2, x0
	msr	hstr_el2, xzr
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	.endif
	ldr	w0, =0x30c50830		/* HSCTLR: MMU off */
	msr	sctlr_el2, x0

	ldr	w0, =(0xf80001c0 | mode) /* N Z C V Q; A, I, F masked */
	msr	spsr_el3, x0
	mov	x0, #0x20
	msr	elr_el3, x0
	isb
	eret
	.ltorg
