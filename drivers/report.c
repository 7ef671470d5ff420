/*
 * What a person with a board should send us: how the machine was entered, what
 * was found, and the checks that no emulator fails. `board` prints it again.
 *
 * Owns the notes of each core, written by that core as it comes up. Any context.
 */
#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/lib/printf.h"

#define SCTLR_M	  0x1u
#define SCTLR_C	  0x4u
#define SCTLR_I	  0x1000u
#define SMP_BIT	  0x40u
#define PART_MASK 0xfff0u
#define PART_A53  0xd030u
#define PART_A72  0xd080u

static struct {
	uint32_t midr, sctlr;
	uint32_t smp; /* the register that has the SMP bit */
} core[NR_CPUS];

static unsigned int beats; /* of the heartbeat; one thread */

void board_note_core(unsigned int cpu)
{
	uint32_t midr, sctlr, smp, high;

	__asm__ volatile("mrc p15, 0, %0, c0, c0, 0" : "=r"(midr));
	__asm__ volatile("mrc p15, 0, %0, c1, c0, 0" : "=r"(sctlr));
	__asm__ volatile("mrc p15, 0, %0, c1, c0, 1" : "=r"(smp)); /* ACTLR */
	if ((midr & PART_MASK) == PART_A53 || (midr & PART_MASK) == PART_A72)
		__asm__ volatile("mrrc p15, 1, %0, %1, c15" /* CPUECTLR */
				 : "=r"(smp), "=r"(high));
	core[cpu].midr = midr;
	core[cpu].sctlr = sctlr;
	core[cpu].smp = smp;
}

static void print_core(unsigned int cpu)
{
	uint32_t on = SCTLR_M | SCTLR_C | SCTLR_I;

	if (!core[cpu].midr) {
		kprintf("core %u   0x%06x  not started\n", cpu,
			board.mpidr[cpu]);
		return;
	}
	kprintf("core %u   0x%06x  %s, %s%s\n", cpu, board.mpidr[cpu],
		(core[cpu].sctlr & on) == on ? "MMU and caches on" :
					       "MMU OR CACHES OFF",
		core[cpu].smp & SMP_BIT ?
			"SMP bit set" :
			"SMP bit clear: an emulator, or not coherent",
		board.is_pi && cpu && bcm2836_unread(cpu) ?
			", MAILBOX 3 NOT READ" :
			"");
}

void board_print(void)
{
	uint32_t hz = board.is_pi ? pi_measure() : 0;

	kprintf("board    %s, MIDR 0x%08x\n", board.name, core[0].midr);
	kprintf("start    CPSR 0x%03x, image at 0x%x, r0 0x%x, r1 0x%x, "
		"r2 0x%x\n",
		boot_info.entry_cpsr & 0x3ffu, boot_info.image_pa, boot_info.r0,
		boot_info.r1, boot_info.r2);
	kprintf("memory   %u MiB from 0x%x; by %s\n",
		(unsigned int)(board.ram_size >> 20),
		(unsigned int)board.ram_base,
		!board.fdt_trouble ? "the device tree" :
		board.tags	   ? "tags" :
				     board.fdt_trouble);
	kprintf("timer    %u Hz (CNTFRQ %u), %s counter", timer_hz,
		timer_cntfrq(), timer_physical ? "physical" : "virtual");
	if (hz)
		kprintf("\n         %u kHz by the system timer", hz / 1000);
	kprintf("\n");
	for (unsigned int cpu = 0; cpu < board.nr_cores; cpu++)
		print_core(cpu);
}

void board_greet(void)
{
	if (board.is_pi)
		board_print();
}

void board_heartbeat(void)
{
	pi_led(beats++ & 1);
}
