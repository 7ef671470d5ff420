/*
 * Semihosting: a call to the debugger or emulator that runs this machine. It
 * can end the machine with a status, print until a UART is known, and write
 * files.
 *
 * At boot, one harmless call finds out whether an emulator or debugger answers.
 * If not, the call traps to the kernel's own vector, which answers with a
 * marker. Any context.
 */
#include "drivers/devices.h"

#include <string.h>

#include "kernel/lib/printf.h"

#define SYS_OPEN	  0x01u
#define SYS_CLOSE	  0x02u
#define SYS_WRITEC	  0x03u
#define SYS_WRITE	  0x05u
#define SYS_ERRNO	  0x13u
#define SYS_EXIT_EXTENDED 0x20u
#define OPEN_WB		  5u /* create or empty it, as C's "wb" */
#define STOPPED_EXIT	  0x20026u
#define NO_ANSWER	  0x5e41u /* kernel/arch/vectors.S, vec_svc */

/* Always ARM code, also in a Thumb image: the vector reads the number in the
 * instruction. */
static noinline __attribute__((__target__("arm"))) uint32_t
semihost_call(uint32_t op, void *arg)
{
	register uint32_t r0 __asm__("r0") = op;
	register void *r1 __asm__("r1") = arg;

	/* The processor takes the exception to SVC mode. We are in SVC mode
	 * already, so the exception overwrites our lr. */
	__asm__ volatile("svc 0x123456" : "+r"(r0) : "r"(r1) : "lr", "memory");
	return r0;
}

bool semihosting_present(void)
{
	static int present = -1; /* asked once, by the boot core */

	if (present < 0)
		present = semihost_call(SYS_ERRNO, NULL) != NO_ANSWER;
	return present;
}

static void semihost_putc(char c)
{
	semihost_call(SYS_WRITEC, &c);
}

static int semihost_getc(void)
{
	return -1;
}

static void semihost_nothing(void)
{
}

static const struct uart_ops semihost_ops = {
	.name = "semihosting",
	.putc = semihost_putc,
	.getc = semihost_getc,
	.rx_enable = semihost_nothing,
	.rx_ack = semihost_nothing,
};

static int semihost_create(const char *name)
{
	uint32_t block[] = { (uint32_t)name, OPEN_WB, strlen(name) };

	return (int)semihost_call(SYS_OPEN, block);
}

static bool semihost_write(int file, const void *data, size_t size)
{
	uint32_t block[] = { (uint32_t)file, (uint32_t)data, size };

	return semihost_call(SYS_WRITE, block) == 0; /* bytes not written */
}

static void semihost_close(int file)
{
	semihost_call(SYS_CLOSE, &file);
}

static const struct host_ops semihost_files = {
	.create = semihost_create,
	.write = semihost_write,
	.close = semihost_close,
};

void semihosting_console(void)
{
	if (!semihosting_present())
		return;
	uart = &semihost_ops;
	host_files = &semihost_files;
}

void leave_machine(int status)
{
	uint32_t block[2] = { STOPPED_EXIT, (uint32_t)status };

	if (semihosting_present())
		semihost_call(SYS_EXIT_EXTENDED, block);
	/* This line is the only place that has the status: tools/run and
	 * tools/gordian.py read it. */
	kprintf("the machine ends, status %d\n", status);
	psci_system_off();
}
