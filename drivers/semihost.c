/*
 * The end of the machine: by semihosting with a status, else the board's way,
 * PSCI or the Raspberry Pi's power manager, else WFI.
 *
 * Whether a debugger listens is found out once, at boot, without harm: the call
 * traps to our own vector if nobody does, and that answers with a marker.
 */
#include "drivers/devices.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"

#define SYS_ERRNO	  0x13u
#define SYS_EXIT_EXTENDED 0x20u
#define STOPPED_EXIT	  0x20026u
#define BLINKS		  16u	  /* changes a second */
#define NOBODY		  0x5e41u /* kernel/arch/vectors.S, vec_svc */

/* In ARM state, also in a Thumb image: the vector knows the call by its number. */
static noinline __attribute__((__target__("arm"))) uint32_t
semihost_call(uint32_t op, void *arg)
{
	register uint32_t r0 __asm__("r0") = op;
	register void *r1 __asm__("r1") = arg;

	/* lr: SVC mode takes the call itself, and so overwrites it. */
	__asm__ volatile("svc 0x123456" : "+r"(r0) : "r"(r1) : "lr", "memory");
	return r0;
}

bool semihosting_present(void)
{
	static int present = -1; /* asked once, by the boot core */

	if (present < 0)
		present = semihost_call(SYS_ERRNO, NULL) != NOBODY;
	return present;
}

noreturn void machine_halt(void)
{
	local_irq_disable();
	for (;;) {
		wfi();
		cpu_relax(); /* with a masked FIQ pending WFI does not wait */
	}
}

/* Ways that do not depend on the board; returns if there is none. */
static void leave(int status)
{
	uint32_t block[2] = { STOPPED_EXIT, (uint32_t)status };

	if (semihosting_present())
		semihost_call(SYS_EXIT_EXTENDED, block);
	psci_system_off();
}

noreturn void machine_exit(int status)
{
	leave(status);
	kprintf("the end, status %d\n", status);
	pi_power(true);
	machine_halt();
}

noreturn void machine_give_up(int status)
{
	leave(status);
	for (;;) {
		pi_led(timer_now() * BLINKS / timer_hz & 1);
		cpu_relax();
	}
}

noreturn void machine_reboot(void)
{
	psci_system_reset();
	pi_power(false);
	machine_halt();
}
