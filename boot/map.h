/*
 * The page tables in memory: boot/map.c builds them before the MMU is on,
 * kernel/arch/mmu.c changes them afterwards.
 *
 * Short descriptors; one first-level table (TTBR0) for all cores.
 * Source: ARM DDI 0406C, B3.5.
 */
#pragma once

#include <stdint.h>

#include "boot/boot.h"

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

/* The two first-level tables want 16 KiB alignment, and the image may lie at
 * any page: l1_room has room to move them. */
#define L1_SIZE	 16384u
#define L1_SLACK (L1_SIZE - PAGE_SIZE)

/* Second-level tables for the direct map. At most 4 are used: for the first and
 * the last MiB of the RAM, and for those where the image begins and ends. All
 * other MiB are sections, because a region with no-map is rounded to whole ones
 * (reserved_range() in kernel/mm/page.c). */
#define SPARE_L2 4

extern uint32_t l1_room[(2 * L1_SIZE + L1_SLACK) / 4];
extern uint32_t l2_spare[SPARE_L2][256];

/* The offset of the kernel's table in l1_room, if l1_room is at physical
 * address pa. The other table, for the moment the MMU comes on, follows this
 * table. */
static always_inline uint32_t l1_offset(uint32_t pa)
{
	return -pa & (L1_SIZE - 1);
}
