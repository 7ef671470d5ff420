/*
 * Page frames: a buddy allocator over RAM, guarded by its own spinlock (IRQs
 * off). Any context but FIQ; never sleeps; NULL when memory is out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/boot.h"
#include "kernel/lib/list.h"

#define MAX_ORDER 10 /* largest block: 4 MiB */

struct page {
	struct list_head link; /* free list, or the owner's (slab: its lists) */
	void *owner;	       /* the slab cache that uses it, or NULL */
	uint8_t order;	       /* of the block this page is in */
	uint8_t state;	       /* enum page_state */
	uint16_t user;	       /* for the owner */
};

enum page_state { PAGE_RESERVED, PAGE_FREE, PAGE_USED, PAGE_TAIL };

/* Direct-map address of 2^order pages, uninitialised. */
void *pages_alloc(unsigned int order);
void pages_free(void *va, unsigned int order);
struct page *virt_to_page(const void *va); /* NULL outside the direct map */
/* First page of the allocated block that va lies in; NULL if there is none. */
struct page *page_head(const void *va);
void *page_to_virt(const struct page *p);
uint32_t virt_to_phys(const void *va); /* direct map and image */

/* Called once: maps RAM and hands the free parts to the buddy lists. */
void pages_init(void);
size_t pages_total(void);
size_t pages_free_count(void);
/* Check every list and mark; true if sound. Takes the lock. */
bool pages_check(void);

/*
 * Fault injection for tests: let the n-th page allocation that the calling
 * thread makes from now on fail, and the next ones, `count` in a row; n 0 turns
 * it off.
 */
void pages_fail_after(unsigned int n, unsigned int count);
