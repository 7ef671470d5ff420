/*
 * The facts about the board: fills `board` and the clock's rate, mostly from the
 * device tree.
 *
 * Owns the copy of the command line. Boot core, during start.
 */
#include <string.h>

#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"

#define HZ_DEFAULT 62500000u /* QEMU's */

static char bootargs[512];

void board_args(const char *args, size_t size)
{
	size = strnlen(args, size);
	if (size >= sizeof(bootargs)) {
		size = sizeof(bootargs) - 1;
		kprintf("board: the command line is longer than %u bytes, cut\n",
			(unsigned int)size);
	}
	memcpy(bootargs, args, size);
	bootargs[size] = 0;
	board.bootargs = bootargs;
}

void board_reserve(uint64_t base, uint64_t size)
{
	if (board.nr_reserved == ARRAY_SIZE(board.reserved) || base >> 32)
		return;
	board.reserved[board.nr_reserved].base = (uint32_t)base;
	board.reserved[board.nr_reserved].size = (uint32_t)size;
	board.nr_reserved++;
}

void board_clock(unsigned int irq, uint32_t hz)
{
	uint32_t said = timer_cntfrq();

	timer_irq = irq;
	if (clock_set_rate(hz ? hz : said))
		return;
	kprintf("timer: CNTFRQ says %u Hz, using %u\n", said, HZ_DEFAULT);
	clock_set_rate(HZ_DEFAULT);
}

/* ---- from the device tree ------------------------------------------------ */

/* The bank of memory that the kernel was loaded into; one bank is enough. */
static void find_memory(const struct fdt *fdt)
{
	fdt_node root = fdt_root(fdt), n;
	uint32_t image = boot_info.image_pa;

	for (n = fdt_child(fdt, root); n >= 0; n = fdt_sibling(fdt, n)) {
		const char *type = fdt_prop_str(fdt, n, "device_type");
		uint64_t base, size;

		if (!type || strcmp(type, "memory") != 0)
			continue;
		for (unsigned int i = 0; !fdt_reg(fdt, n, i, &base, &size);
		     i++) {
			if (image < base || image - base >= size)
				continue;
			board.ram_base = base;
			board.ram_size = size;
			return;
		}
	}
	board.fdt_trouble = "no memory node covers the kernel";
}

static void find_reserved(const struct fdt *fdt)
{
	uint64_t base, size;
	fdt_node n = fdt_path(fdt, "/reserved-memory");

	for (unsigned int i = 0; fdt_reserved(fdt, i, &base, &size); i++)
		board_reserve(base, size);
	for (n = n < 0 ? n : fdt_child(fdt, n); n >= 0; n = fdt_sibling(fdt, n))
		for (unsigned int i = 0; !fdt_reg(fdt, n, i, &base, &size); i++)
			board_reserve(base, size);
}

/* The boot core is number 0, at any place in the tree. */
static void find_cores(const struct fdt *fdt)
{
	fdt_node n = fdt_path(fdt, "/cpus");
	uint32_t boot = board.mpidr[0];
	unsigned int over = 0;

	board.nr_cores = 1;
	for (n = n < 0 ? n : fdt_child(fdt, n); n >= 0;
	     n = fdt_sibling(fdt, n)) {
		const char *type = fdt_prop_str(fdt, n, "device_type");
		uint64_t mpidr, none;

		if (!type || strcmp(type, "cpu") != 0 ||
		    fdt_reg(fdt, n, 0, &mpidr, &none))
			continue;
		if ((uint32_t)mpidr == boot)
			continue;
		if (board.nr_cores == NR_CPUS) {
			over++;
			continue;
		}
		board.mpidr[board.nr_cores++] = (uint32_t)mpidr;
	}
	if (over)
		kprintf("board: %u cores more than the %u that are supported\n",
			over, NR_CPUS);
}

static void find_bootargs(const struct fdt *fdt)
{
	fdt_node n = fdt_path(fdt, "/chosen");
	const char *args = n < 0 ? NULL : fdt_prop_str(fdt, n, "bootargs");

	if (args)
		board_args(args, strlen(args));
}

bool board_from_tree(const struct fdt *tree)
{
	find_memory(tree);
	if (board.fdt_trouble)
		return false;
	find_reserved(tree);
	find_cores(tree);
	find_bootargs(tree);
	return true;
}
