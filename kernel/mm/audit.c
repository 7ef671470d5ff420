/*
 * The page-table auditor: are all entries of the tables as they should be?
 *
 * The auditor reads the tables as the MMU does, from TTBR0 on. The tables are
 * written with the definitions of bits in boot/map.h. The auditor has
 * definitions of its own, so that it finds a wrong one. The rules:
 *
 *	(1) RAM is Normal memory, write-back, write-allocate and shareable; all
 *	    else is Device memory, shareable. So a page that is mapped twice has
 *	    the same type both times.
 *	(2) Only the kernel's text is executable.
 *	(3) Text and constants are read-only at every address where they are
 *	    mapped. With (2): nothing that can be written is executable.
 *	(4) Nothing below the direct map is mapped, in particular not page 0.
 *	(5) No guard page is mapped.
 *	(6) User mode may access nothing. All mappings are sections or small
 *	    pages.
 *
 * No lock is needed: an entry is one word, and mappings that other cores make
 * in the meantime (stacks) keep the rules. Source: ARM DDI 0406C, B3.5.
 */
#include "kernel/mm/audit.h"

#include "kernel/arch/board.h"
#include "kernel/arch/mmu.h"
#include "kernel/lib/printf.h"

#define SECTION 0x100000u
#define ENTRIES 256 /* of a second-level table */
#define LINES	16  /* findings that are printed at most */

/* Bits of a small page's descriptor; a section's are moved to these places. */
#define XN	  0x001u
#define MEMORY	  0x5ccu /* S, TEX, C, B */
#define NORMAL	  0x44cu
#define DEVICE	  0x404u
#define READ_ONLY 0x200u
#define ACCESS	  0x030u
#define KERNEL	  0x010u

struct mapping {
	uint32_t va, pa, size, bits;
};

static unsigned int findings;

/* If the rule is broken, count this, and print m and the words `broken`. */
static void check_rule(bool kept, const struct mapping *m, const char *broken)
{
	if (kept)
		return;
	if (findings++ < LINES)
		kprintf("map: 0x%08x to 0x%08x (0x%03x): %s\n", m->va, m->pa,
			m->bits, broken);
}

/* Does the memory that m maps overlap [base, base + size)? */
static bool overlaps(const struct mapping *m, uint64_t base, uint64_t size)
{
	return m->pa < base + size && base < (uint64_t)m->pa + m->size;
}

/* Check every rule for one mapping. */
static void audit(const struct mapping *m)
{
	uint32_t constants = (uint32_t)(rodata_end - image_start);
	uint32_t text = (uint32_t)(text_end - image_start);
	uint32_t memory = m->bits & MEMORY;
	bool some_ram = overlaps(m, board.ram_base, board.ram_size);
	bool only_ram = m->pa >= board.ram_base &&
			(uint64_t)m->pa + m->size <=
				board.ram_base + board.ram_size;

	check_rule(!some_ram || memory == NORMAL, m,
		   "is RAM, but not Normal write-back shareable");
	check_rule(only_ram || memory == DEVICE, m,
		   "is not RAM, but not shareable Device");
	check_rule((m->bits & XN) || m->pa - boot_info.image_pa < text, m,
		   "is executable, but not text");
	check_rule((m->bits & READ_ONLY) ||
			   !overlaps(m, boot_info.image_pa, constants),
		   m, "is text or constants, but writable");
	check_rule(m->va >= LOWMEM_VA, m, "is mapped below the direct map");
	check_rule(!is_guard_page(m->va), m, "is a guard page, but mapped");
	check_rule((m->bits & ACCESS) == KERNEL, m, "is open to user mode");
}

static const uint32_t *table_at(uint32_t pa)
{
	return (const uint32_t *)(pa - boot_info.image_pa + KERNEL_VA);
}

static void audit_section(uint32_t va, uint32_t entry)
{
	struct mapping m = { va, entry & ~(SECTION - 1), SECTION,
			     (entry >> 6 & 0x7f0) | (entry & 0xc) |
				     (entry >> 4 & 1) };

	check_rule((entry & 0x40003) == 2, &m, "is neither section nor table");
	audit(&m);
}

static void audit_table(uint32_t va, const uint32_t *l2)
{
	for (unsigned int i = 0; i < ENTRIES; i++, va += PAGE_SIZE) {
		uint32_t entry = READ_ONCE(l2[i]);
		struct mapping m = { va, entry & ~(PAGE_SIZE - 1u), PAGE_SIZE,
				     entry & 0x7fd };

		if (!(entry & 3))
			continue;
		check_rule(entry & 2, &m, "is no small page");
		audit(&m);
	}
}

unsigned int map_audit(void)
{
	const uint32_t *l1;
	uint32_t ttbr0, va = 0;

	findings = 0;
	__asm__ volatile("mrc p15, 0, %0, c2, c0, 0" : "=r"(ttbr0));
	l1 = table_at(ttbr0 & ~0x3fffu);
	do {
		uint32_t entry = READ_ONCE(l1[va >> 20]);

		if ((entry & 3) == 1)
			audit_table(va, table_at(entry & ~0x3ffu));
		else if (entry & 3)
			audit_section(va, entry);
		va += SECTION;
	} while (va);
	return findings;
}
