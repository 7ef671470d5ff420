/*
 * A program that runs instead of the kernel. It prints on the PL011 the state in which
 * each core arrives, in the order of their numbers, and ends the machine. So the tests
 * know that the stubs leave the intended state.
 *
 * Core 0 starts the others through mailbox 3; cores that start by themselves do not look
 * there. There is one line for each core: name=value, in hexadecimal. Registers of HYP
 * are printed only in HYP, those of the GIC only if there is one.
 */
	.arch	armv7-a
	.arch_extension virt
	.arm
	.text
_start:
	.rept	8
	nop
	.endr
	mcr	p15, 0, r12, c13, c0, 2	/* TPIDRURW */
	mrs	r12, cpsr
	mcr	p15, 0, r12, c13, c0, 3	/* TPIDRURO */
	mrc	p15, 0, r12, c0, c0, 5
	and	r12, r12, #3
	/* saved[core] = r0-r12, sp, lr */
	mcr	p15, 0, r11, c13, c0, 1	/* CONTEXTIDR: the only one that is lost */
	adrl	r11, saved
	add	r12, r11, r12, lsl #6
	stmia	r12!, {r0-r10}
	mrc	p15, 0, r0, c13, c0, 1
	mrc	p15, 0, r1, c13, c0, 2
	stmia	r12!, {r0, r1}
	str	sp, [r12], #4
	str	lr, [r12]

	mrc	p15, 0, r9, c0, c0, 5
	and	r9, r9, #3		/* core */
	mrc	p15, 0, r8, c0, c0, 0
	ubfx	r8, r8, #4, #12		/* part */
	movw	r0, #0xd08
	cmp	r8, r0
	ldr	r10, =0x3f201000
	ldr	r7, =0x40000000
	ldreq	r10, =0xfe201000
	ldreq	r7, =0xff800000
	adrl	r11, turn
1:	ldr	r0, [r11]
	cmp	r0, r9
	wfene
	bne	1b

	.macro	show name
	adr	r6, 8f
	bl	text
	b	9f
8:	.asciz	" \name="
	.balign	4
9:	bl	hex
	.endm

	mov	r5, r9
	show	core
	mov	r5, r8
	show	part
	mrc	p15, 0, r5, c13, c0, 3
	show	cpsr
	adrl	r4, saved
	add	r4, r4, r9, lsl #6
	.irp	r, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, sp, lr
	ldr	r5, [r4], #4
	show	\r
	.endr
	adrl	r5, _start
	show	at
	adrl	r5, end
	ldr	r5, [r5]
	show	behind
	adrl	r4, saved
	add	r4, r4, r9, lsl #6
	ldr	r4, [r4, #8]
	ldr	r5, [r4]
	show	tree			/* the word at r2 */
	mrc	p15, 0, r5, c14, c0, 0
	show	cntfrq
	mrc	p15, 0, r5, c14, c3, 1
	show	cntv_ctl
	mrc	p15, 0, r5, c14, c2, 1
	show	cntp_ctl
	mrc	p15, 0, r5, c1, c0, 0
	show	sctlr
	mrc	p15, 0, r5, c12, c0, 0
	show	vbar
	mrc	p15, 0, r5, c2, c0, 2
	show	ttbcr
	mrc	p15, 0, r4, c13, c0, 3
	and	r4, r4, #0x1f
	cmp	r4, #0x1a
	bne	3f
	mrrc	p15, 4, r4, r5, c14
	mov	r5, r4
	show	cntvoff
	mrc	p15, 4, r5, c14, c1, 0
	show	cnthctl
	mrc	p15, 4, r5, c1, c1, 0
	show	hcr
	mrc	p15, 4, r5, c0, c0, 5
	show	vmpidr
3:	cmp	r7, #0x40000000
	beq	3f
	add	r4, r7, #0x41000	/* the GIC */
	ldr	r5, [r4]
	show	gicd_ctlr
	ldr	r5, [r4, #0x80]
	show	gicd_igroupr0
	ldr	r5, [r4, #0x84]
	show	gicd_igroupr1
	add	r4, r4, #0x1000
	ldr	r5, [r4]
	show	gicc_ctlr
	ldr	r5, [r4, #4]
	show	gicc_pmr
3:	mov	r0, #10
	str	r0, [r10]

	cmp	r9, #0
	bne	5f
	adrl	r0, _start
	add	r1, r7, #0x8c
	mov	r2, #3
4:	str	r0, [r1, r2, lsl #4]
	subs	r2, r2, #1
	bne	4b
5:	add	r0, r9, #1
	str	r0, [r11]
	dsb
	sev
6:	cmp	r9, #0
	wfene
	bne	6b
	ldr	r0, [r11]
	cmp	r0, #4
	wfene
	bne	6b
	mov	r0, #0x18		/* SYS_EXIT, ADP_Stopped_ApplicationExit */
	ldr	r1, =0x20026
	svc	#0x123456
	.ltorg

text:	ldrb	r0, [r6], #1
	cmp	r0, #0
	bxeq	lr
	str	r0, [r10]
	b	text
hex:	mov	r3, #8
1:	ror	r5, r5, #28
	and	r0, r5, #15
	cmp	r0, #10
	addlo	r0, r0, #'0'
	addhs	r0, r0, #('a' - 10)
	str	r0, [r10]
	subs	r3, r3, #1
	bne	1b
	bx	lr

	.balign	4
turn:	.word	0
saved:	.space	4 * 64
	.balign	16
end:				/* the memory after the image */
