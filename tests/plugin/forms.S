/*
 * A program for the plugin, not the kernel: every form of an exclusive access with the
 * MMU off, then SYS_EXIT_EXTENDED with status 0. Between them are the instructions with
 * the most similar encodings, which must not be taken for an exclusive access. It may
 * be linked at any address.
 */
	.syntax	unified
	.arch	armv7-a

	.macro	each
	ldrex	r2, [r1]
	strex	r3, r2, [r1]
	ldrexb	r2, [r1]
	strexb	r3, r2, [r1]
	ldrexh	r2, [r1]
	strexh	r3, r2, [r1]
	strex	r11, r2, [r1]		/* in Thumb, the code of an ARM branch */
	ldrexd	r2, r3, [r1]
	strexd	r0, r2, r3, [r1]
	ldrex	lr, [r1]
	clrex
	strex	lr, r2, [r1]		/* nothing is reserved, so no access */

	ldrd	r2, r3, [r1]
	strd	r2, r3, [r1]
	ldrh	r2, [r1]
	strh	r2, [r1]
	ldm	r1, {r8, r9}
	stm	r1, {r8, r9}
	mul	r2, r3, r2
	umull	r2, r3, r0, r2
	mrs	r2, cpsr
	mrc	p15, 0, r2, c1, c0, 1
	.endm

	.global	_start
	.arm
_start:
	adr	r1, words
	each
	cmp	r1, #0
	.word	0x0bffe8c0		/* bleq: in Thumb, the code of a STREX */
	adr	r0, thumb
	add	r0, r0, #1
	bx	r0
	.balign	8
words:	.word	0, 0

	.thumb
thumb:
	each
	ldrex	r2, [r1, #4]
	strex	r3, r2, [r1, #4]
	movs	r0, #0
	tbb	[pc, r0]
	.byte	1, 0
	adr	r2, leave
	bx	r2
	.balign	8
	.arm
leave:	mov	r0, #0x20
	adr	r1, status
	svc	0x123456
status:	.word	0x20026, 0
