/*
 * The report that people with a board should send us: how the machine was
 * entered, what was found, and the checks that can fail only on a real board.
 * The command `board` prints it again.
 *
 * Owns a copy of some registers of each core. The core itself stores them when
 * it comes up. Any context.
 */
#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/arch/clock.h"
#include "kernel/arch/coherency.h"
#include "kernel/lib/printf.h"

#define SCTLR_M 0x1u
#define SCTLR_C 0x4u
#define SCTLR_I 0x1000u

static struct {
	uint32_t midr, mpidr, sctlr;
	enum smp_bit smp;
} core[NR_CPUS];

void report_core_up(unsigned int cpu)
{
	uint32_t midr, sctlr;

	__asm__ volatile("mrc p15, 0, %0, c0, c0, 0" : "=r"(midr));
	__asm__ volatile("mrc p15, 0, %0, c1, c0, 0" : "=r"(sctlr));
	core[cpu].midr = midr;
	core[cpu].mpidr = read_mpidr();
	core[cpu].sctlr = sctlr;
	core[cpu].smp = read_smp_bit();
}

/* Print the line of a core that has not started. (If the firmware had let the
 * core out of its loop, the core would have read the mailbox.) */
static void print_missing(unsigned int cpu,
			  bool (*waits_in_firmware)(unsigned int cpu))
{
	kprintf("core %u   0x%06x  not started%s\n", cpu, board.mpidr[cpu],
		waits_in_firmware && waits_in_firmware(cpu) ?
			", mailbox 3 not read" :
			"");
}

static void print_core(unsigned int cpu)
{
	static const char *const smp[] = {
		[SMP_CLEAR] = "SMP bit clear: an emulator, or not coherent",
		[SMP_SET] = "SMP bit set",
		[SMP_UNKNOWN] = "SMP bit not readable",
	};
	uint32_t on = SCTLR_M | SCTLR_C | SCTLR_I;

	kprintf("core %u   0x%06x  %s, %s\n", cpu, core[cpu].mpidr,
		(core[cpu].sctlr & on) == on ? "MMU and caches on" :
					       "MMU OR CACHES OFF",
		smp[core[cpu].smp]);
}

/* Ask the MMU for the memory type of a lock: exclusive accesses work in Normal
 * shareable memory only. */
static void print_lock_memory(void)
{
	static uint32_t lock;
	uint32_t par = translate_read(&lock);

	kprintf("locks    %s (PAR 0x%08x)\n",
		par & PAR_FAULT	    ? "NOT MAPPED" :
		!(par & PAR_MEMORY) ? "unknown: an emulator" :
		(par & PAR_MEMORY) == PAR_NORMAL ?
				      "in Normal shareable memory" :
				      "IN MEMORY OF ANOTHER KIND",
		par);
}

void report_start(uint32_t measured_hz)
{
	uint32_t midr;

	__asm__ volatile("mrc p15, 0, %0, c0, c0, 0" : "=r"(midr));
	kprintf("board    %s, MIDR 0x%08x\n", board.name, midr);
	kprintf("start    CPSR 0x%03x, image at 0x%x, r0 0x%x, r1 0x%x, "
		"r2 0x%x",
		boot_info.entry_cpsr & 0x3ffu, boot_info.image_pa, boot_info.r0,
		boot_info.r1, boot_info.r2);
	if (boot_info.entry_el)
		kprintf(", from AArch64 EL%u", boot_info.entry_el);
	kprintf("\n");
	kprintf("memory   %u MiB from 0x%x; by %s\n",
		(unsigned int)(board.ram_size >> 20),
		(unsigned int)board.ram_base, board.ram_by);
	kprintf("timer    %u Hz (CNTFRQ %u), %s counter", timer_hz,
		timer_cntfrq(), timer_physical ? "physical" : "virtual");
	if (measured_hz)
		kprintf("\n         %u kHz by the system timer",
			measured_hz / 1000);
	kprintf("\n");
}

void report_cores(bool (*waits_in_firmware)(unsigned int cpu),
		  unsigned int map_findings maybe_unused)
{
	for (unsigned int cpu = 0; cpu < board.nr_cores; cpu++)
		if (core[cpu].midr)
			print_core(cpu);
		else
			print_missing(cpu, waits_in_firmware);
	print_lock_memory();
#if GORDIAN_DEBUG
	kprintf("tables   %u rules broken\n", map_findings);
#endif
}
