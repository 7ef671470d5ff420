/*
 * Page tables at run time: map and unmap pages, devices and RAM.
 *
 * Owns the tables once the MMU is on (boot/map.c built them). Each change is
 * seen by all cores when the function returns. The memory layout is in
 * boot/boot.h.
 *
 * Context: the boot core during start. Afterwards map_pages() alone, under the
 * lock of the range's owner: the stack allocator's lock for stacks,
 * cpu_add_remove_lock for a core's exception stacks.
 */
#pragma once

#include "boot/boot.h"

enum map_prot { MAP_RW, MAP_RO, MAP_RX, MAP_DEVICE, MAP_NONE };

/* Map [va, va + size) to pa, or unmap it (MAP_NONE). All page aligned. */
void map_pages(uint32_t va, uint32_t pa, uint32_t size, enum map_prot prot);
/* Make the direct map of [pa, pa + size), page granular, without the image's
 * pages. ram_base: the physical address that LOWMEM_VA maps, a multiple of 1
 * MiB. If no memory answers at the last page, the map ends at the first page
 * where none answers. Returns the number of bytes from pa up to there. Removes
 * the mappings of map_early(). */
uint32_t map_lowmem(uint32_t ram_base, uint32_t pa, uint32_t size);
/* Map device registers. Returns their address; 0: the window is full. */
uintptr_t map_device(uint32_t pa, uint32_t size);
/* As map_device(), but only if the register at offset id reads as want in the
 * bits of mask. Otherwise, or if nothing answers there, returns 0. */
uintptr_t map_checked(uint32_t pa, uint32_t size, uint32_t id, uint32_t mask,
		      uint32_t want);
/* Map up to 2 MiB at pa, read-only, for the reader of the device tree. The
 * mapping lasts until map_lowmem(). */
const void *map_early(uint32_t pa, uint32_t size);

/* Is va in a guard page below a stack: a thread's, the boot stack, an exception
 * stack? Any context. */
bool is_guard_page(uint32_t va);

/* Physical address of something in the image. */
static inline uint32_t image_phys(const void *va)
{
	return (uint32_t)(uintptr_t)va - KERNEL_VA + boot_info.image_pa;
}

/* Physical address of the other cores' first instruction; r0 = core. */
static inline uint32_t secondary_entry_pa(void)
{
	extern char secondary_entry[];

	return image_phys(secondary_entry);
}
