/*
 * The exception vectors of every core.
 *
 * An IRQ is handled on the stack of the interrupted thread, in SVC mode.
 * Aborts, undefined instructions and FIQs (the pseudo-NMI) have stacks of their
 * own, one for each core and mode: so the overflow of a thread's stack can be
 * reported. Every handler gets a struct regs (arch.h).
 */
	.arch	armv7-a

#define MODE_FIQ 0x11
#define MODE_SVC 0x13
#define MODE_ABT 0x17
#define MODE_UND 0x1b
#define PSR_T	 0x20

#define REGS_SP	 52		/* offsets in struct regs */
#define REGS_LR	 56
#define REGS_LOW 60		/* size of r0-r12, sp, lr: below pc, cpsr */

#define EXC_UNDEF    0
#define EXC_SVC	     1
#define EXC_PREFETCH 2
#define EXC_DATA     3
#define EXC_HYP	     4

	.text
	.arm
	.balign	32
	.global	vectors
vectors:
	b	vec_hyp			/* reset: never taken here */
	b	vec_undef
	b	vec_svc
	b	vec_prefetch
	b	vec_data
	b	vec_hyp
	b	vec_irq
	b	vec_fiq

vec_irq:
	sub	lr, lr, #4
	srsdb	sp!, #MODE_SVC
	/* Asynchronous aborts were masked on entry. The handler may switch to a
	 * thread, and no switch restores that bit. */
	cpsie	a, #MODE_SVC
	sub	sp, sp, #REGS_LOW
	stmia	sp, {r0-r12}
	add	r0, sp, #(REGS_LOW + 8)
	str	r0, [sp, #REGS_SP]
	str	lr, [sp, #REGS_LR]
	mov	r0, sp
	mov	r4, sp
	bic	sp, sp, #7
	bl	irq_entry
	.global	irq_return		/* backtrace.c: struct regs lies here */
irq_return:
	mov	sp, r4
	clrex
	ldr	lr, [sp, #REGS_LR]
	ldmia	sp, {r0-r12}
	add	sp, sp, #REGS_LOW
	rfeia	sp!

/* Report an exception on the stack of the current mode; lr is its address. */
	.macro	own_stack mode, kind
	srsdb	sp!, #\mode
	sub	sp, sp, #REGS_LOW
	stmia	sp, {r0-r12}
	mrs	r1, spsr
	and	r1, r1, #0x1f
	cmp	r1, #MODE_SVC
	addne	r2, sp, #(REGS_LOW + 8)	/* the fault came inside a report */
	movne	r3, lr
	bne	1f
	cps	#MODE_SVC
	mov	r2, sp
	mov	r3, lr
	cps	#\mode
1:	str	r2, [sp, #REGS_SP]
	str	r3, [sp, #REGS_LR]
	mov	r0, sp
	mov	r4, sp
	bic	sp, sp, #7
	mov	r1, #\kind
	bl	exception_entry
	mov	sp, r4
	clrex
	ldmia	sp, {r0-r12}
	add	sp, sp, #REGS_LOW
	rfeia	sp!
	.endm

vec_undef:
	push	{r0}
	mrs	r0, spsr
	tst	r0, #PSR_T
	pop	{r0}
	subeq	lr, lr, #4
	subne	lr, lr, #2
	own_stack MODE_UND, EXC_UNDEF
vec_prefetch:
	sub	lr, lr, #4
	own_stack MODE_ABT, EXC_PREFETCH
vec_data:
	sub	lr, lr, #8
	own_stack MODE_ABT, EXC_DATA

/*
 * The kernel makes one SVC: a semihosting call (drivers/semihost.c). If an
 * emulator or a debugger answers such calls, this vector never sees it.
 * Otherwise answer with the marker that says so. Any other SVC is reported as
 * an exception.
 */
vec_svc:
	push	{r1, r2}
	ldr	r1, [lr, #-4]
	bic	r1, r1, #0xff000000
	movw	r2, #0x3456
	movt	r2, #0x12
	cmp	r1, r2
	pop	{r1, r2}
	bne	1f
	movw	r0, #0x5e41
	movs	pc, lr
1:	own_stack MODE_SVC, EXC_SVC
vec_hyp:
	own_stack MODE_SVC, EXC_HYP

vec_fiq:
	sub	lr, lr, #4
	srsdb	sp!, #MODE_FIQ
	sub	sp, sp, #REGS_LOW
	stmia	sp, {r0-r7}
	mov	r0, sp
	mrs	r1, spsr
	and	r1, r1, #0x1f
	orr	r1, r1, #0xc0
	msr	cpsr_c, r1		/* the interrupted mode's registers */
	add	r2, r0, #32
	stmia	r2, {r8-r12}
	str	sp, [r0, #REGS_SP]
	str	lr, [r0, #REGS_LR]
	cps	#MODE_FIQ
	mov	r4, sp
	bic	sp, sp, #7
	mov	fp, #0
	bl	fiq_entry
	mov	sp, r4
	clrex
	ldmia	sp, {r0-r7}
	add	sp, sp, #REGS_LOW
	rfeia	sp!

/* void set_mode_stack(uint32_t mode, uint32_t sp) */
	.global	set_mode_stack
	.type	set_mode_stack, %function
set_mode_stack:
	mrs	r2, cpsr
	bic	r3, r2, #0x1f
	orr	r3, r3, r0
	orr	r3, r3, #0xc0
	msr	cpsr_c, r3
	mov	sp, r1
	msr	cpsr_c, r2
	bx	lr
