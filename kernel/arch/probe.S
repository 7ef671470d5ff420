/*
 * Accesses that may fail. A data abort or an undefined instruction at an address
 * in this file goes on at probe_failed (kernel/debug/exception.c), and the
 * function returns false.
 *
 * The result is written by the same code, so it must be writable. Each function
 * changes r0 to r3 and r12 alone, as PSCI's calling convention allows.
 */
	.arch	armv7-a
	.arch_extension virt
	.arch_extension sec

	.text
	.arm
	.global	probe_start, probe_failed
probe_start:

/* bool probe_read(uintptr_t va, uint32_t *value) */
	.global	probe_read
	.type	probe_read, %function
probe_read:
	ldr	r0, [r0]
	str	r0, [r1]
	mov	r0, #1
	bx	lr

/* bool probe_smc(uint32_t fn, uint32_t *answer) */
	.global	probe_smc
	.type	probe_smc, %function
probe_smc:
	mov	r12, r1
	smc	#0
	str	r0, [r12]
	mov	r0, #1
	bx	lr

/* bool probe_hvc(uint32_t fn, uint32_t *answer) */
	.global	probe_hvc
	.type	probe_hvc, %function
probe_hvc:
	mov	r12, r1
	hvc	#0
	str	r0, [r12]
	mov	r0, #1
	bx	lr

	.global	probe_failed
probe_failed:
	mov	r0, #0
	bx	lr
