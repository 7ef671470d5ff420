/*
 * Which board is this? Each board's file is asked in turn.
 *
 * Owns the reader of the device tree. Boot core, once.
 */
#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/arch/mmu.h"

#define VIRT_RAM     0x40000000u
#define FDT_BOUND    (1u << 20) /* the largest tree that is read */
#define FDT_MAGIC_BE 0xedfe0dd0u

static struct fdt fdt;

/* Open the device tree, at the address in r2, or at the start of memory, where
 * QEMU puts the tree. If there is no sound tree, returns NULL, and
 * board.fdt_trouble says why. */
static const struct fdt *open_tree(void)
{
	uint32_t ram = boot_info.image_pa < VIRT_RAM ? 0 : VIRT_RAM;
	uint32_t pa = boot_info.r2;
	uint32_t word, there = 0;
	uintptr_t blob;

	board.fdt_trouble = "no device tree";
	if (pa < ram || (pa & 3) || pa - ram >= RAM_MAX)
		pa = ram;
	blob = (uintptr_t)map_early(pa, FDT_BOUND);
	if (!probe_read(blob, &word) || word != FDT_MAGIC_BE)
		return NULL;
	/* Memory may end after the tree, or in the middle of the tree: look at
	 * each page. */
	while (there < FDT_BOUND && probe_read(blob + there, &word))
		there = ((pa + there) | (PAGE_SIZE - 1u)) + 1 - pa;
	there = min(there, FDT_BOUND);
	if (fdt_open(&fdt, (const void *)blob, there, &board.fdt_trouble))
		return NULL;
	board.fdt_trouble = NULL;
	return &fdt;
}

/* The operations until the board is known: with them a panic still ends an
 * emulator with a status. */
static const struct board_ops unknown_ops = {
	.exit = leave_machine,
	.give_up = leave_machine,
	.reboot = psci_system_reset,
};

void board_init(void)
{
	const struct fdt *tree;

	board.mpidr[0] = boot_info.entry_mpidr & 0xffffffu;
	board_ops = &unknown_ops;
	semihosting_console(); /* asked for now, while the stack is sound */
	tree = open_tree();
	if (!pi_init(tree))
		virt_init(tree);
}
