/*
 * From the first instruction to C, on every core. See boot.h for the rules.
 *
 * Owns the entry of the image (zImage header, Linux's boot protocol for ARM),
 * the entry of every other core, and the pens. Everything is position
 * independent until the jump to the linked address. Every loop that waits has a
 * WFE.
 *
 * The firmware enters in HYP mode, in non-secure SVC or in secure SVC mode,
 * with one core or with all of them; or in AArch64 (enter64.inc).
 */
#include "boot/boot.h"

	.arch	armv7-a
	.arch_extension virt
	.arch_extension sec

#define MODE_SVC_MASKED 0x1d3
#define SCTLR_OFF	0x00c50838	/* MMU, caches, high vectors: all off */
#define SCTLR_ON	0x00c5183d	/* plus M, C, I, Z */
#define TTBR_WALK	0x4a		/* walks: write-back, shareable */
#define NR_PENS		32

/* reg = physical address of the image. ADR does not reach back so far. */
	.macro	image_address reg, scratch
.Lhere\@:
	adr	\reg, .Lhere\@
	ldr	\scratch, =.Lhere\@ - KERNEL_VA
	sub	\reg, \reg, \scratch
	.endm

	.section .text.boot, "ax"
	.arm
	.global	_start
	.type	_start, %function
_start:
	/* The first word is a branch in AArch32, and ands x6, x0, x0 in
	 * AArch64: x6 holds nothing. The second word is b enter64 there. */
	b	1f
	.word	0x14000000 + (enter64 - .) / 4
	.rept	6
	nop
	.endr
1:	b	entry
	.word	0x016f2818		/* zImage magic */
	.word	0			/* load anywhere */
	.word	load_end - _start	/* size of the image */
	.word	0x04030201		/* little endian */

#include "boot/enter64.inc"

entry:
	mov	r7, #0
	/* enter64.inc comes in here, with r7 = the exception level it left. */
from_aarch64:
	mrs	r11, cpsr
	mov	r8, r0
	mov	r9, r1
	mov	r10, r2
	mrc	p15, 0, r0, c0, c1, 1	/* ID_PFR1 */
	tst	r0, #0xf0000		/* is there a generic timer? */
	beq	too_old
	bl	core_setup
	image_address r4, r0
	ldr	r0, =entry_is_for_cores - KERNEL_VA
	ldr	r0, [r4, r0]
	cmp	r0, #0
	bne	1f
	mrc	p15, 0, r5, c0, c0, 5	/* MPIDR */
	ands	r0, r5, #0xff
	bne	pen
	b	2f
1:	/* PSCI starts another core: see psci_on(). Its number was in r0 in
	 * AArch32, and in x0 in AArch64, which enter64 copies to r2. */
	cmp	r7, #0
	moveq	r0, r8
	movne	r0, r10
	b	secondary_entry
2:

	/* Is there memory for the whole image? If not, the access is an exception, or
	 * the word does not keep its value. BSS ends with the image. */
	adr	r0, no_memory_vectors
	mcr	p15, 0, r0, c12, c0, 0	/* VBAR */
	isb
	ldr	r1, =bss_end - KERNEL_VA - 4
	add	r1, r1, r4
	mvn	r0, r1
	str	r0, [r1]
	dsb
	ldr	r2, [r1]
	cmp	r0, r2
	bne	no_memory

	ldr	r6, =boot_info - KERNEL_VA
	add	r6, r6, r4
	stmia	r6, {r8, r9, r10, r11}	/* r0, r1, r2, entry_cpsr */
	str	r5, [r6, #16]		/* entry_mpidr */
	str	r4, [r6, #20]		/* image_pa */
	str	r7, [r6, #32]		/* entry_el */

	/* Clear BSS, which may hold anything: 32 bytes at a time, its size is a
	 * multiple of that. */
	ldr	r0, =bss_start - KERNEL_VA
	ldr	r1, =bss_end - KERNEL_VA
	add	r0, r0, r4
	add	r1, r1, r4
	mov	r2, #0
	mov	r3, #0
	mov	r5, #0
	mov	r6, #0
	mov	r7, #0
	mov	r8, #0
	mov	r9, #0
	mov	r10, #0
1:	cmp	r0, r1
	stmlo	r0!, {r2, r3, r5, r6, r7, r8, r9, r10}
	blo	1b

	ldr	sp, =boot_stack_top - KERNEL_VA
	add	sp, sp, r4
	mov	fp, #0
	mov	r0, r4
	bl	boot_map		/* fills the tables, returns idmap's */
	ldr	lr, =1f
	b	mmu_on
1:	ldr	sp, =boot_stack_top
	ldr	r0, =boot_info
	ldr	r0, [r0, #24]		/* ttbr0 */
	bl	set_ttbr
	mov	fp, #0
	ldr	lr, =0
	ldr	pc, =start_kernel

/*
 * A processor before the Cortex-A7 and A15: one line, on the UART of a Pi 1 or
 * else by semihosting, and the end. Instructions of ARMv6 alone. Where nobody
 * answers semihosting, the SVC is an exception: it ends in a loop, too, if the
 * processor has a VBAR, which is part of the Security Extensions. r0 = ID_PFR1.
 */
too_old:
	tst	r0, #0xf0
	adrne	r1, 5f
	mcrne	p15, 0, r1, c12, c0, 0	/* VBAR */
	adr	r1, 4f
	mrc	p15, 0, r0, c0, c0, 0	/* MIDR */
	mov	r0, r0, lsl #16
	mov	r0, r0, lsr #20
	ldr	r2, =0xb76		/* ARM1176 */
	cmp	r0, r2
	bne	2f
	ldr	r2, =0x20201000
1:	ldr	r0, [r2, #0x18]
	tst	r0, #0x20		/* the FIFO is full */
	bne	1b
	ldrb	r0, [r1], #1
	cmp	r0, #0
	strne	r0, [r2]
	bne	1b
	b	3f
2:	mov	r0, #0x04		/* SYS_WRITE0 */
	svc	#0x123456
3:	mov	r0, #0x18		/* SYS_EXIT, with an error: status 1 */
	ldr	r1, =0x20023
	svc	#0x123456
	b	.			/* for ever: nothing is awaited */
4:	.asciz	"board: Gordian needs a Cortex-A7 or later: a Pi 2 or later\n"
	.balign	32
5:	.rept	8
	b	.			/* for ever: nothing is awaited */
	.endr

/* There is not enough memory to run C: one line by semihosting, and the end. */
	.balign	32
no_memory_vectors:
	.rept	8
	b	no_memory
	.endr
no_memory:
	adr	r0, 5b
	mcr	p15, 0, r0, c12, c0, 0	/* VBAR: if nobody answers, stay there */
	isb
	adr	r1, 1f
	b	2b
1:	.asciz	"memory: there is less memory than the kernel's image has; 8 MiB are enough\n"
	.balign	4

/*
 * Another core starts, by PSCI or out of a pen. r0 = its logical number.
 */
	.global	secondary_entry
	.type	secondary_entry, %function
secondary_entry:
	mov	r8, r0
	bl	core_setup
	image_address r4, r0
	ldr	r0, =boot_info - KERNEL_VA
	add	r0, r0, r4
	ldr	r0, [r0, #28]		/* idmap */
	ldr	lr, =1f
	b	mmu_on
1:	ldr	r0, =boot_info
	ldr	r0, [r0, #24]
	bl	set_ttbr
	ldr	r1, =secondary_boot
	add	r1, r1, r8, lsl #3
	ldr	sp, [r1]		/* stack_top */
	ldr	r2, [r1, #4]		/* thread */
	mcr	p15, 0, r2, c13, c0, 4	/* TPIDRPRW */
	mov	r0, r8
	mov	fp, #0
	mov	lr, #0
	ldr	pc, =secondary_start

/*
 * Bring the core to SVC mode, IRQs and FIQs masked, with a known SCTLR and the
 * timers off. Returns to lr; clobbers r0, r1, r12.
 */
core_setup:
	mrs	r0, cpsr
	and	r1, r0, #0x1f
	cmp	r1, #0x1a
	bne	2f
	mrc	p15, 4, r0, c14, c1, 0	/* CNTHCTL: timers for SVC */
	orr	r0, r0, #3
	mcr	p15, 4, r0, c14, c1, 0
	mov	r0, #0
	mcrr	p15, 4, r0, r0, c14	/* CNTVOFF */
	mcr	p15, 4, r0, c1, c1, 0	/* HCR: trap nothing */
	mcr	p15, 4, r0, c1, c1, 3	/* HSTR */
	movw	r0, #0x33ff
	mcr	p15, 4, r0, c1, c1, 2	/* HCPTR */
	mrc	p15, 4, r0, c1, c1, 1	/* HDCR */
	and	r0, r0, #0x1f
	mcr	p15, 4, r0, c1, c1, 1
	mrc	p15, 0, r0, c0, c0, 0
	mcr	p15, 4, r0, c0, c0, 0	/* VPIDR */
	mrc	p15, 0, r0, c0, c0, 5
	mcr	p15, 4, r0, c0, c0, 5	/* VMPIDR */
	mrc	p15, 0, r0, c0, c1, 1	/* ID_PFR1: has it GICv3's registers? */
	lsrs	r0, r0, #28
	beq	4f
	mrc	p15, 4, r0, c12, c9, 5	/* ICC_HSRE: SVC may use them, too */
	orr	r0, r0, #9
	mcr	p15, 4, r0, c12, c9, 5
	isb
4:
	mov	r12, lr
	movw	r0, #MODE_SVC_MASKED
	msr	spsr_cxsf, r0
	adr	r0, 1f
	msr	elr_hyp, r0
	eret
1:	mov	lr, r12
	b	3f
2:	movw	r0, #MODE_SVC_MASKED
	msr	cpsr_cxsf, r0
3:	ldr	r0, =SCTLR_OFF
	mcr	p15, 0, r0, c1, c0, 0
	isb
	mov	r0, #0
	mcr	p15, 0, r0, c14, c3, 1	/* CNTV_CTL: it may be enabled */
	mcr	p15, 0, r0, c14, c2, 1	/* CNTP_CTL */
	bx	lr

/*
 * Turn MMU, data cache and instruction cache on, with the table at r0. Goes on
 * at lr, a linked address.
 */
mmu_on:
	mrc	p15, 0, r1, c0, c0, 0	/* MIDR */
	ubfx	r1, r1, #4, #12
	movw	r2, #0xc07
	cmp	r1, r2			/* Cortex-A7: set ACTLR.SMP */
	bne	1f
	mrc	p15, 0, r1, c1, c0, 1	/* ACTLR */
	tst	r1, #(1 << 6)
	orreq	r1, r1, #(1 << 6)
	mcreq	p15, 0, r1, c1, c0, 1
1:	mov	r1, #0
	mcr	p15, 0, r1, c8, c7, 0	/* TLBIALL */
	mcr	p15, 0, r1, c7, c5, 0	/* ICIALLU */
	mcr	p15, 0, r1, c7, c5, 6	/* BPIALL */
	dsb
	isb
	mcr	p15, 0, r1, c2, c0, 2	/* TTBCR: short descriptors, TTBR0 */
	orr	r0, r0, #TTBR_WALK
	mcr	p15, 0, r0, c2, c0, 0
	mov	r1, #1
	mcr	p15, 0, r1, c3, c0, 0	/* DACR: domain 0 client */
	isb
	ldr	r1, =SCTLR_ON
	mcr	p15, 0, r1, c1, c0, 0
	isb
	bx	lr

/* Change from the identity map to the kernel's own table: r0, with walk bits.
 * */
set_ttbr:
	mcr	p15, 0, r0, c2, c0, 0
	isb
	mov	r0, #0
	mcr	p15, 0, r0, c8, c7, 0	/* TLBIALL */
	mcr	p15, 0, r0, c7, c5, 6	/* BPIALL */
	dsb
	isb
	bx	lr

/*
 * A core that was entered beside the first one, or that the firmware's loop has
 * let go, waits here until drivers/pen.c writes the core's logical number plus
 * one to the core's word. The words have cache lines of their own; pen.c writes
 * them to memory, and here they are only read. r0 = MPIDR & 0xff.
 */
pen:
	image_address r1, r2
	ldr	r2, =pen_words - KERNEL_VA
	add	r1, r1, r2
	and	r0, r0, #(NR_PENS - 1)
	add	r1, r1, r0, lsl #2
	b	2f
1:	dsb
	wfe
2:	ldr	r2, [r1]
	cmp	r2, #0
	beq	1b
	sub	r0, r2, #1
	b	secondary_entry
	.ltorg

	/* In .data, because BSS is cleared while cores may already wait here.
	 * */
	.section .data.pen, "aw"
	.balign	64
	.global	pen_words
pen_words:
	.space	NR_PENS * 4
	.balign	64
	/* Not 0: the first core is up, and _start is for the others. A cache
	 * line of its own, as drivers/psci.c writes it to memory. */
	.global	entry_is_for_cores
entry_is_for_cores:
	.word	0
	.balign	64

/* void secondary_again(unsigned int cpu, uint32_t stack_top): a parked core,
 * with the MMU on, starts anew on its idle thread's stack. */
	.text
	.global	secondary_again
	.type	secondary_again, %function
secondary_again:
	mov	sp, r1
	mov	fp, #0
	mov	lr, #0
	ldr	pc, =secondary_start
	.ltorg
