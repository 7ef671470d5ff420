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

/* The tree is where r2 says, or else at the start of memory, where QEMU puts
 * it. NULL, and board.fdt_trouble says why, if there is no sound one. */
static const struct fdt *open_tree(void)
{
	uint32_t ram = boot_info.image_pa < VIRT_RAM ? 0 : VIRT_RAM;
	uint32_t pa = boot_info.r2;
	const uint32_t *blob;

	board.fdt_trouble = "no device tree";
	if (pa < ram || (pa & 3) || pa - ram >= RAM_MAX)
		pa = ram;
	blob = map_early(pa, FDT_BOUND);
	if (*blob != FDT_MAGIC_BE)
		return NULL;
	if (fdt_open(&fdt, blob, FDT_BOUND, &board.fdt_trouble))
		return NULL;
	board.fdt_trouble = NULL;
	return &fdt;
}

/* Until the board is known: a panic still ends an emulator with its status. */
static const struct board_ops unknown_ops = {
	.exit = leave_machine,
	.give_up = leave_machine,
	.reboot = psci_system_reset,
};

void board_init(void)
{
	const struct fdt *tree;

	board.mpidr[0] = boot_info.entry_mpidr & 0xffffffu;
	semihosting_present(); /* found out now, while the stack is sound */
	board_ops = &unknown_ops;
	tree = open_tree();
	if (!pi_init(tree))
		virt_init(tree);
}
