/*
 * The page tables as they are when the MMU comes on. Owns their memory.
 *
 * There are two first-level tables. The kernel's own has no low addresses. The
 * second one, `idmap`, is used only for the moment the MMU comes on: it also
 * maps the image's first megabyte at its physical address.
 *
 * boot_map() runs once, on the boot core, with the MMU off: it reaches
 * everything through its physical address. kernel/arch/mmu.c makes all later
 * changes.
 */
#include "boot/map.h"

#include "kernel/arch/arch.h"
#include "kernel/lib/cpumask.h"

#define KERNEL_L2  4 /* MiB each */
#define STACKS_L2  8
#define DEVICES_L2 8

#define PAGETABLE __attribute__((__section__(".pagetables")))

uint32_t l1_room[(2 * L1_SIZE + L1_SLACK) / 4] PAGETABLE aligned(16384);
static uint32_t l2_kernel[KERNEL_L2][256] PAGETABLE aligned(1024);
static uint32_t l2_stacks[STACKS_L2][256] PAGETABLE aligned(1024);
static uint32_t l2_devices[DEVICES_L2][256] PAGETABLE aligned(1024);
uint32_t l2_spare[SPARE_L2][256] PAGETABLE aligned(1024);

/* In .data, so that the clearing of BSS leaves it alone. */
struct boot_info boot_info __attribute__((__section__(".data")));
struct secondary_boot secondary_boot[NR_CPUS];

uint32_t boot_map(uint32_t image_pa);

/* Image memory at its physical address. */
#define PHYS(sym) ((uint32_t)(sym)-KERNEL_VA + image_pa)

static always_inline void point_to_l2(uint32_t *table, uint32_t va,
				      uint32_t l2_pa, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		table[(va >> 20) + i] = (l2_pa + i * 1024) | L1_COARSE;
}

/* Returns the table to turn the MMU on with. */
uint32_t boot_map(uint32_t image_pa)
{
	uint32_t room = PHYS(l1_room);
	uint32_t *top = (uint32_t *)(room + l1_offset(room));
	uint32_t *id = top + L1_SIZE / 4;
	uint32_t *l2 = (uint32_t *)PHYS(l2_kernel);
	struct boot_info *bi = (struct boot_info *)PHYS(&boot_info);
	uint32_t text = (uint32_t)text_end, ro = (uint32_t)rodata_end;
	uint32_t guard = (uint32_t)boot_stack_guard;

	point_to_l2(top, KERNEL_VA, PHYS(l2_kernel), KERNEL_L2);
	point_to_l2(top, STACKS_VA, PHYS(l2_stacks), STACKS_L2);
	point_to_l2(top, DEVICES_VA, PHYS(l2_devices), DEVICES_L2);
	for (uint32_t va = KERNEL_VA; va < (uint32_t)image_end;
	     va += PAGE_SIZE) {
		uint32_t prot = PAGE_NORMAL;

		if (va < text)
			prot |= PAGE_RO;
		else if (va < ro)
			prot |= PAGE_RO | PAGE_XN;
		else
			prot |= PAGE_XN;
		l2[(va - KERNEL_VA) / PAGE_SIZE] =
			va == guard ? 0 : (va - KERNEL_VA + image_pa) | prot;
	}
	point_to_l2(id, KERNEL_VA, PHYS(l2_kernel), KERNEL_L2);
	id[image_pa >> 20] = (image_pa & ~(MIB - 1)) | SECTION_NORMAL |
			     SECTION_RO | L1_SECTION;
	bi->ttbr0 = (uint32_t)top | 0x4a; /* walks: write-back, shareable */
	bi->idmap = (uint32_t)id;
	dsb(); /* the tables are in memory before a walk reads them */
	return bi->idmap;
}
