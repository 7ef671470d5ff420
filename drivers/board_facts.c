/*
 * The facts about the board: fills `board` and the clock's rate, mostly from
 * the device tree.
 *
 * Owns the copy of the command line. Boot core, during start.
 */
#include <string.h>

#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"

#define HZ_DEFAULT  62500000u	  /* QEMU's */
#define ADDRESS_END 0xfffff000ull /* of the pages that the kernel can use */
#define UNUSED_MIN  (1u << 20)	  /* less is not worth a line */

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

void board_reserve(uint64_t base, uint64_t size, bool no_map)
{
	uint64_t start = base & ~(PAGE_SIZE - 1ull);
	uint64_t end = size > ADDRESS_END - min(base, ADDRESS_END) ?
			       ADDRESS_END :
			       ALIGN_UP(base + size, PAGE_SIZE + 0ull);

	if (!size || start >= ADDRESS_END)
		return;
	if (board.nr_reserved == ARRAY_SIZE(board.reserved)) {
		kprintf("board: the tree reserves more than %u regions of "
			"memory: the kernel has no room for more\n",
			(unsigned int)ARRAY_SIZE(board.reserved));
		machine_exit(1);
	}
	board.reserved[board.nr_reserved].start = (uint32_t)start;
	board.reserved[board.nr_reserved].end = (uint32_t)end;
	board.reserved[board.nr_reserved].no_map = no_map;
	board.nr_reserved++;
}

void board_memory(uint64_t start, uint64_t end, const char *by)
{
	uint32_t image = boot_info.image_pa;

	start = ALIGN_UP(start, PAGE_SIZE + 0ull);
	end = min(end, ADDRESS_END) & ~(PAGE_SIZE - 1ull);
	if (image - start >= LOWMEM_MAX)
		start = image & ~(LOWMEM_MAX - 1u);
	/* The direct map begins at a multiple of 1 MiB. */
	end = min(end, (start & ~0xfffffull) + LOWMEM_MAX);
	board.ram_base = start;
	board.ram_size = end - start;
	board.ram_by = by;
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

static uint32_t image_last(void)
{
	return boot_info.image_pa + (uint32_t)(image_end - image_start) - 1;
}

/* Use the bank of memory that the kernel was loaded into, because one bank is
 * enough. */
static void find_memory(const struct fdt *fdt, const struct facts *known)
{
	fdt_node root = fdt_root(fdt), n = fdt_child(fdt, root);
	uint64_t start, end, size, all = 0;

	for (; n >= 0; n = fdt_sibling(fdt, n)) {
		const char *type = fdt_prop_str(fdt, n, "device_type");

		if (!type || strcmp(type, "memory") != 0)
			continue;
		for (unsigned int i = 0;
		     !fdt_child_reg(fdt, root, n, i, &start, &size); i++) {
			end = size > ~start ? ~0ull : start + size;
			start = max(start, known->ram_start);
			end = min(end, known->ram_end);
			if (start >= end)
				continue;
			all += end - start;
			if (boot_info.image_pa >= start && image_last() < end)
				board_memory(start, end, "the device tree");
		}
	}
	if (!board.ram_size)
		board.fdt_trouble = "no memory node covers the kernel";
	else if (all - board.ram_size >= UNUSED_MIN)
		kprintf("board: the kernel uses %u of %u MiB: the bank that it "
			"was loaded into, at most 1 GiB\n",
			(unsigned int)(board.ram_size >> 20),
			(unsigned int)(all >> 20));
}

static void find_reserved(const struct fdt *fdt)
{
	uint64_t base, size;
	uint32_t len;
	fdt_node up = fdt_path(fdt, "/reserved-memory");

	for (unsigned int i = 0; fdt_reserved(fdt, i, &base, &size); i++)
		board_reserve(base, size, false);
	for (fdt_node n = fdt_child(fdt, up); n >= 0; n = fdt_sibling(fdt, n))
		for (unsigned int i = 0;
		     !fdt_child_reg(fdt, up, n, i, &base, &size); i++)
			board_reserve(base, size,
				      fdt_prop(fdt, n, "no-map", &len));
}

static bool core_is_known(uint32_t mpidr)
{
	for (unsigned int i = 0; i < board.nr_cores; i++)
		if (board.mpidr[i] == mpidr)
			return true;
	return false;
}

/*
 * Number the cores of the tree. The boot core is number 0, wherever it is in
 * the tree. Only the bits known->core_bits of an MPIDR are compared: the trees
 * of some boards leave out the other bits, which are the same for all cores.
 */
static void find_cores(const struct fdt *fdt, const struct facts *known)
{
	fdt_node cpus = fdt_path(fdt, "/cpus");
	uint32_t bits = known->core_bits, boot = board.mpidr[0];
	unsigned int over = 0;
	bool listed = false;

	board.nr_cores = 1;
	for (fdt_node n = fdt_child(fdt, cpus); n >= 0;
	     n = fdt_sibling(fdt, n)) {
		const char *type = fdt_prop_str(fdt, n, "device_type");
		uint64_t reg, none;
		uint32_t mpidr;

		if (!type || strcmp(type, "cpu") != 0 ||
		    fdt_child_reg(fdt, cpus, n, 0, &reg, &none))
			continue;
		mpidr = (boot & ~bits) | ((uint32_t)reg & bits);
		listed |= mpidr == boot;
		if (core_is_known(mpidr))
			continue;
		if (board.nr_cores == NR_CPUS) {
			over++;
			continue;
		}
		board.mpidr[board.nr_cores++] = mpidr;
	}
	if (!listed)
		kprintf("board: /cpus does not list the core that runs, 0x%x\n",
			boot);
	if (over)
		kprintf("board: %u cores more than the %u that are supported\n",
			over, NR_CPUS);
}

static void find_bootargs(const struct fdt *fdt)
{
	uint32_t len;
	const char *args =
		fdt_prop(fdt, fdt_path(fdt, "/chosen"), "bootargs", &len);

	if (args)
		board_args(args, len);
}

void board_from_tree(const struct fdt *tree, const struct facts *known)
{
	find_bootargs(tree);
	find_memory(tree, known);
	find_reserved(tree);
	find_cores(tree, known);
}
