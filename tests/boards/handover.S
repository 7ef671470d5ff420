/*
 * The last steps of a start stub, the same on every board, in page 0 as in the
 * firmware's stub: core 0 jumps to the image, the others poll their mailbox 3.
 *
 * Owns 0 to 0xff. Every core starts at 0 and goes to `setup`, at 0x7000 (hyp7.S or
 * stub64.S). From there it comes back to `handover` in AArch32, in the mode in which the
 * kernel must start. The words at 0xf8 and 0xfc are r2 and the kernel's address;
 * tools/boards.py patches them as the firmware patches those of its stub.
 *
 * --defsym local: base of the ARM-local registers. junk: value for registers without a
 * meaning.
 */
	.arch	armv7-a
	.arm
	.text
first:
	/* Patched: a branch to 0x7000, ARM or AArch64. */
	.word	0

	.org	0x20
handover:
	mrc	p15, 0, r0, c0, c0, 5	/* MPIDR */
	and	r0, r0, #3
	ldr	r12, kernel
	cmp	r0, #0
	beq	go
	ldr	r4, =(local + 0xcc)	/* mailbox 3, read and clear */
	add	r4, r4, r0, lsl #4
poll:
	wfe
	ldr	r12, [r4]
	cmp	r12, #0
	beq	poll
	str	r12, [r4]
go:
	ldr	r3, =junk
	eor	r3, r3, r0, lsl #28	/* another one on each core */
	mov	r0, #0
	movw	r1, #0xc42
	ldr	r2, tree
	mvn	r4, r3
	ror	r5, r3, #3
	ror	r6, r3, #7
	ror	r7, r3, #11
	ror	r8, r3, #15
	ror	r9, r3, #19
	ror	r10, r3, #23
	ror	r11, r3, #27
	mvn	sp, r5
	mvn	lr, r6
	cmn	r3, r3			/* flags of any kind */
	bx	r12			/* the entry is even: ARM state */
	.ltorg

	.org	0xf8
tree:	.word	0
kernel:	.word	0x8000
