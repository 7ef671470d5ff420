/*
 * Changes of the page tables at run time. mmu.h says from which context.
 *
 * Source: ARM DDI 0406C, B3.5 (descriptors), B3.10 (TLB maintenance).
 */
#include "kernel/arch/mmu.h"

#include <stddef.h>

#include "boot/map.h"
#include "kernel/arch/arch.h"
#include "kernel/lib/cpumask.h"

static unsigned int spare_used; /* tables of l2_spare */
static uint32_t next_device = DEVICES_VA;

/* The entry of the kernel's first-level table for va. */
static uint32_t *l1_entry(uint32_t va)
{
	return l1_room + l1_offset(image_phys(l1_room)) / 4 + (va >> 20);
}

/*
 * Change the entry *e, which maps va or is to map va. Afterwards no core uses the
 * old entry. A TLB never holds an entry that is not valid (B3.10.1). So if the old
 * entry was not valid, the new one has only to be in memory before it is used.
 */
static void set_entry(uint32_t *e, uint32_t new, uint32_t va)
{
	uint32_t old = *e;

	WRITE_ONCE(*e, new);
	dsb(); /* the new entry is in memory */
	if (old & 3) {
		/* TLBIMVAAIS */
		__asm__ volatile("mcr p15, 0, %0, c8, c3, 3" ::"r"(va));
		dsb(); /* all cores have dropped the old entry */
	}
	isb();
}

/* The second-level table for va. If there is none yet, take a spare table.
 * Returns NULL if no spare table is left, or if a section maps va. */
static uint32_t *l2_of(uint32_t va)
{
	uint32_t *e = l1_entry(va);

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
			return; /* a later access faults, and is reported */
		set_entry(&l2[(va >> 12) & 255],
			  prot == MAP_NONE ? 0 : pa | bits[prot], va);
	}
}

const void *map_early(uint32_t pa, uint32_t size)
{
	uint32_t base = pa & ~(MIB - 1);

	for (uint32_t off = 0; off < pa - base + size; off += MIB) {
		uint32_t va = EARLY_VA + off;

		set_entry(l1_entry(va),
			  (base + off) | SECTION_NORMAL | SECTION_RO |
				  SECTION_XN | L1_SECTION,
			  va);
	}
	return (const void *)(EARLY_VA + pa - base);
}

/* The first page, from pa on, where no memory answers; end, if there is none. We
 * assume that all pages before it answer. So if the last page does, one look is
 * enough. On an emulator each look costs the host a page, which it clears. */
static uint32_t memory_end(uint32_t pa, uint32_t end)
{
	uint32_t word;

	for (uint32_t at = end - PAGE_SIZE; pa < end;
	     at = pa + (end - pa) / 2 / PAGE_SIZE * PAGE_SIZE)
		if (probe_read((uintptr_t)map_early(at, PAGE_SIZE), &word))
			pa = at + PAGE_SIZE;
		else
			end = at;
	return end;
}

uint32_t map_lowmem(uint32_t ram_base, uint32_t pa, uint32_t size)
{
	uint32_t start = pa, end = memory_end(pa, pa + size);
	uint32_t image = boot_info.image_pa;
	uint32_t image_size = (uint32_t)image_end - KERNEL_VA;

	for (uint32_t va = EARLY_VA; va < EARLY_VA + EARLY_MAX; va += MIB)
		set_entry(l1_entry(va), 0, va);
	for (uint32_t step; pa < end; pa += step) {
		uint32_t va = pa - ram_base + LOWMEM_VA;
		bool whole = !((pa | va) & (MIB - 1)) && end - pa >= MIB;
		bool clear = image >= pa + MIB || image + image_size <= pa;

		step = whole && clear ? MIB : PAGE_SIZE;
		/* The pages of the image stay out of the direct map: they have
		 * a mapping of their own. */
		if (step == MIB)
			set_entry(l1_entry(va),
				  pa | SECTION_NORMAL | SECTION_XN | L1_SECTION,
				  va);
		else if (pa < image || pa >= image + image_size)
			map_pages(va, pa, PAGE_SIZE, MAP_RW);
	}
	return end - start;
}

uintptr_t map_device(uint32_t pa, uint32_t size)
{
	uint32_t offset = pa & (PAGE_SIZE - 1), va = next_device;

	size = (size + offset + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1u);
	if (size > DEVICES_VA + DEVICES_MAX - next_device)
		return 0;
	next_device += size;
	map_pages(va, pa - offset, size, MAP_DEVICE);
	return va + offset;
}

uintptr_t map_checked(uint32_t pa, uint32_t size, uint32_t id, uint32_t mask,
		      uint32_t want)
{
	uintptr_t va = map_device(pa, size);
	uint32_t word;

	if (!va || (probe_read(va + id, &word) && (word & mask) == want))
		return va;
	/* There may be RAM at pa, which must not stay mapped as a device. */
	va &= ~(PAGE_SIZE - 1u);
	map_pages(va, 0, next_device - va, MAP_NONE);
	next_device = va;
	return 0;
}

bool is_guard_page(uint32_t va)
{
	uint32_t exc_slot = PAGE_SIZE + EXC_STACK;

	if (va - (uint32_t)boot_stack_guard < PAGE_SIZE)
		return true;
	if (va >= STACKS_VA && va < EXC_STACKS_VA)
		return (va - STACKS_VA) % STACK_SLOT < PAGE_SIZE;
	return va - EXC_STACKS_VA < NR_CPUS * EXC_MODES * exc_slot &&
	       (va - EXC_STACKS_VA) % exc_slot < PAGE_SIZE;
}
