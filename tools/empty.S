/*
 * An image that does nothing: its first instructions end the machine as the kernel's
 * leave_machine(0) does (drivers/semihost.c). tools/bench_start compares with it.
 */
	.syntax	unified
	.arm
	mov	r0, #0x20		/* SYS_EXIT_EXTENDED */
	adr	r1, 1f
	svc	#0x123456
	b	.			/* for ever: nobody has answered */
1:	.word	0x20026, 0		/* ADP_Stopped_ApplicationExit; the status */
