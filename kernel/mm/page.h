/*
 * Page frames: a buddy allocator over RAM.
 *
 * What it is for. Slabs, stacks and trace rings take whole pages from here. A
 * block has 2^order pages and is aligned to its size.
 *
 * The client's duties. (1) Free a block with the order it was allocated with.
 * (2) Expect NULL: the allocator never sleeps and never reclaims.
 *
 * Consequences. (a) Any context but FIQ may allocate. (b) The pages are not
 * cleared. (c) From any address in a block its struct page is found
 * (page_head()), and with it the owner.
 *
 * stack.h has the stacks, which map such pages with a guard page below; audit.h
 * checks all page tables.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/boot.h"
#include "kernel/lib/list.h"

#define MAX_ORDER 10 /* largest block: 4 MiB */

struct page {
	struct list_head link; /* of a free list, or for the owner */
	void *owner;	       /* the slab cache that uses it, or NULL */
	uint8_t order;	       /* of the block that this page is in */
	uint8_t state;	       /* enum page_state */
	uint16_t user;	       /* for the owner */
};

/* Of the first page of a block: free or used. Each further page of a block is a
 * PAGE_TAIL. */
enum page_state { PAGE_RESERVED, PAGE_FREE, PAGE_USED, PAGE_TAIL };

/* Allocate 2^order pages. Returns their address in the direct map; NULL when
 * memory is out. */
void *pages_alloc(unsigned int order);
void pages_free(void *va, unsigned int order);
struct page *virt_to_page(const void *va); /* NULL outside the direct map */
/* The first page of the allocated block that va lies in, or NULL. */
struct page *page_head(const void *va);
void *page_to_virt(const struct page *p);
uint32_t virt_to_phys(const void *va); /* va: in the direct map or the image */

/* Map RAM, and free all pages that are not reserved. Once, on the boot core,
 * after board_init(). */
void pages_init(void);
size_t pages_total(void); /* those that can be allocated */
size_t pages_free_count(void);
/* Check every free list and every page's mark; true if all are right. Takes the
 * lock for long. */
bool pages_check(void);

/*
 * Fault injection, for tests. Of the calling thread's allocations from now on,
 * fail the n-th and the following ones, `count` in all. n = 0 turns this off.
 */
void pages_fail_after(unsigned int n, unsigned int count);
