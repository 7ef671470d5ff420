/*
 * Page tables: built before the MMU is on, changed at run time.
 *
 * Short descriptors, one table (TTBR0) for all cores, and a second one, `idmap`,
 * with the image's first megabyte at its physical address as well: only for the
 * moment the MMU comes on, so the real table never has low addresses.
 *
 * boot_map() runs with the MMU off and reaches everything through its physical
 * address. The others: boot core during start, or the callers' own lock (the
 * stack allocator's; a core's exception stacks under cpu_add_remove_lock).
 * Source: ARM DDI 0406C, B3.5 (descriptors), B3.10 (TLB maintenance).
 */
#include <stdbool.h>
#include <stddef.h>

#include "boot/boot.h"
#include "kernel/arch/arch.h"
#include "kernel/lib/cpumask.h"
#include "kernel/lib/errno.h"
#include "kernel/mm/page.h"

#define MIB 0x100000u

#define L1_COARSE      0x1u
#define L1_SECTION     0x2u
#define SECTION_NORMAL 0x1140cu /* TEX 1, C, B, shareable, kernel only */
#define SECTION_XN     0x10u
#define SECTION_RO     0x8000u

#define PAGE_NORMAL 0x45eu /* TEX 1, C, B, shareable, kernel only, small page */
#define PAGE_DEVICE 0x417u /* B, shareable, XN */
#define PAGE_RO	    0x200u
#define PAGE_XN	    0x1u

#define KERNEL_L2  4 /* MiB each */
#define STACKS_L2  8
#define DEVICES_L2 8
#define SPARE_L2   16 /* where the direct map cannot use sections */

#define PAGETABLE __attribute__((__section__(".pagetables")))

/* Both first-level tables want 16 KiB alignment, and the image may lie at any
 * page: there is room to move them. */
#define L1_SIZE	 16384u
#define L1_SLACK (L1_SIZE - PAGE_SIZE)

static uint32_t l1_room[(2 * L1_SIZE + L1_SLACK) / 4] PAGETABLE aligned(16384);
static uint32_t l2_kernel[KERNEL_L2][256] PAGETABLE aligned(1024);
static uint32_t l2_stacks[STACKS_L2][256] PAGETABLE aligned(1024);
static uint32_t l2_devices[DEVICES_L2][256] PAGETABLE aligned(1024);
static uint32_t l2_spare[SPARE_L2][256] PAGETABLE aligned(1024);
static unsigned int spare_used;

/* In .data: they survive the clearing of BSS. */
struct boot_info boot_info __attribute__((__section__(".data")));
struct secondary_boot secondary_boot[NR_CPUS];

uint32_t boot_map(uint32_t image_pa);

/* ---- MMU off --------------------------------------------------------------- */

/* Image memory at its physical address. */
#define PHYS(sym) ((uint32_t)(sym)-KERNEL_VA + image_pa)

/* Where the first-level table is in its room. */
static always_inline uint32_t l1_offset(uint32_t image_pa)
{
	return -PHYS(l1_room) & (L1_SIZE - 1);
}

static always_inline void point_to_l2(uint32_t *table, uint32_t va,
				      uint32_t l2_pa, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		table[(va >> 20) + i] = (l2_pa + i * 1024) | L1_COARSE;
}

/* Returns the table to turn the MMU on with. */
uint32_t boot_map(uint32_t image_pa)
{
	uint32_t *top = (uint32_t *)(PHYS(l1_room) + l1_offset(image_pa));
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
	dsb(); /* the tables are in memory before a walk looks */
	return bi->idmap;
}

/* ---- MMU on ------------------------------------------------------------------ */

/* The kernel's first-level table. */
static uint32_t *l1_table(void)
{
	return l1_room + l1_offset(boot_info.image_pa) / 4;
}

static uint32_t image_phys(const void *va)
{
	return (uint32_t)va - KERNEL_VA + boot_info.image_pa;
}

uint32_t secondary_entry_pa(void)
{
	extern char secondary_entry[];

	return image_phys(secondary_entry);
}

/* What the table held for va is no longer believed by any core. */
static void flush_tlb(uint32_t va)
{
	dsb();
	__asm__ volatile("mcr p15, 0, %0, c8, c3, 3" ::"r"(va)); /* MVAAIS */
	dsb();
	isb();
}

/* The page table for va, made if a spare one is left; NULL otherwise. */
static uint32_t *l2_of(uint32_t va)
{
	uint32_t *e = &l1_table()[va >> 20];

	if ((*e & 3) == L1_COARSE)
		return (uint32_t *)((*e & ~1023u) - boot_info.image_pa +
				    KERNEL_VA);
	if (*e || spare_used == SPARE_L2)
		return NULL;
	*e = image_phys(l2_spare[spare_used]) | L1_COARSE;
	return l2_spare[spare_used++];
}

void map_pages(uint32_t va, uint32_t pa, uint32_t size, enum map_prot prot)
{
	static const uint32_t bits[] = {
		[MAP_RW] = PAGE_NORMAL | PAGE_XN,
		[MAP_RO] = PAGE_NORMAL | PAGE_RO | PAGE_XN,
		[MAP_RX] = PAGE_NORMAL | PAGE_RO,
		[MAP_DEVICE] = PAGE_DEVICE,
	};

	for (; size; va += PAGE_SIZE, pa += PAGE_SIZE, size -= PAGE_SIZE) {
		uint32_t *l2 = l2_of(va);

		if (!l2)
			return; /* a hole faults and is reported */
		l2[(va >> 12) & 255] = prot == MAP_NONE ? 0 : pa | bits[prot];
		flush_tlb(va);
	}
}

void map_lowmem(uint32_t ram_base, uint32_t pa, uint32_t size)
{
	uint32_t image = boot_info.image_pa;
	uint32_t image_size = (uint32_t)image_end - KERNEL_VA;
	uint32_t end = pa + size;

	for (uint32_t va = EARLY_VA; va < EARLY_VA + EARLY_MAX; va += MIB) {
		l1_table()[va >> 20] = 0;
		flush_tlb(va);
	}
	while (pa < end) {
		uint32_t va = pa - ram_base + LOWMEM_VA;
		uint32_t mib = pa & ~(MIB - 1);
		bool whole = !((pa | va) & (MIB - 1)) && end - pa >= MIB;

		if (whole &&
		    (image >= mib + MIB || image + image_size <= mib)) {
			l1_table()[va >> 20] = pa | SECTION_NORMAL |
					       SECTION_XN | L1_SECTION;
			flush_tlb(va);
			pa += MIB;
			continue;
		}
		/* The image has its own mapping and no other. */
		if (pa < image || pa >= image + image_size)
			map_pages(va, pa, PAGE_SIZE, MAP_RW);
		pa += PAGE_SIZE;
	}
}

uintptr_t map_device(uint32_t pa, uint32_t size)
{
	static uint32_t next = DEVICES_VA;
	uint32_t offset = pa & (PAGE_SIZE - 1), va = next;

	size = (size + offset + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1u);
	if (size > DEVICES_VA + DEVICES_MAX - next)
		return 0;
	next += size;
	map_pages(va, pa - offset, size, MAP_DEVICE);
	return va + offset;
}

const void *map_early(uint32_t pa, uint32_t size)
{
	uint32_t base = pa & ~(MIB - 1);

	for (uint32_t off = 0; off < pa - base + size; off += MIB) {
		uint32_t va = EARLY_VA + off;

		l1_table()[va >> 20] = (base + off) | SECTION_NORMAL |
				       SECTION_RO | SECTION_XN | L1_SECTION;
		flush_tlb(va);
	}
	return (const void *)(EARLY_VA + pa - base);
}

/* ---- exceptions ---------------------------------------------------------------- */

#define EXC_MODES 3

/* The boot core's exception stacks; the others get pages. */
static char boot_exc[EXC_MODES][EXC_STACK] aligned(PAGE_SIZE);
static uint8_t exc_ready[NR_CPUS]; /* how many of a core's are mapped */

void set_mode_stack(uint32_t mode, uint32_t sp); /* vectors.S */

static uint32_t exc_stack(unsigned int cpu, unsigned int i)
{
	return EXC_STACKS_VA + (cpu * EXC_MODES + i) * (PAGE_SIZE + EXC_STACK) +
	       PAGE_SIZE;
}

int exception_stacks_prepare(unsigned int cpu)
{
	for (unsigned int i = exc_ready[cpu]; i < EXC_MODES; i++) {
		void *pages = pages_alloc(1);

		if (!pages)
			return -ENOMEM; /* what is mapped stays for the retry */
		map_pages(exc_stack(cpu, i), virt_to_phys(pages), EXC_STACK,
			  MAP_RW);
		exc_ready[cpu]++;
	}
	return 0;
}

bool boot_is_guard(uint32_t va)
{
	uint32_t slot = PAGE_SIZE + EXC_STACK;

	if (va - (uint32_t)boot_stack_guard < PAGE_SIZE)
		return true;
	return va - EXC_STACKS_VA < NR_CPUS * EXC_MODES * slot &&
	       (va - EXC_STACKS_VA) % slot < PAGE_SIZE;
}

void vectors_init_core(unsigned int cpu)
{
	static const uint32_t modes[EXC_MODES] = { PSR_MODE_ABT, PSR_MODE_UND,
						   PSR_MODE_FIQ };
	extern char vectors[];

	if (!exc_ready[cpu]) { /* the boot core, once */
		for (unsigned int i = 0; i < EXC_MODES; i++)
			map_pages(exc_stack(cpu, i), image_phys(boot_exc[i]),
				  EXC_STACK, MAP_RW);
		exc_ready[cpu] = EXC_MODES;
	}
	for (unsigned int i = 0; i < EXC_MODES; i++)
		set_mode_stack(modes[i], exc_stack(cpu, i) + EXC_STACK);
	__asm__ volatile("mcr p15, 0, %0, c12, c0, 0" ::"r"(vectors));
	isb();
}
