/*
 * The buddy allocator. See page.h.
 *
 * There is a free list for each order. The buddy of a block is the block of the
 * same order whose address differs in one bit. When a block is freed and its
 * buddy is free as a whole, the two are joined. Then the same is done with the
 * larger block. Allocation splits the smallest block that is large enough.
 *
 * At boot each range of 2^MAX_ORDER pages that is free as a whole has only its
 * first struct page. The others are written when the block is allocated or split
 * for the first time; until then `user` of the first one is UNWRITTEN. So the
 * kernel starts at once, however large the memory is.
 *
 * page_lock (spinlock, IRQs off) guards the free lists and every struct page.
 * Source: Knuth, The Art of Computer Programming, 2.5.
 */
#include "kernel/mm/page.h"

#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/arch/mmu.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/spinlock.h"

#define LOW_RESERVED 0x8000u /* physical: the firmware's, on some boards */
#define LARGEST	     ((size_t)1 << MAX_ORDER) /* pages of the largest block */
#define UNWRITTEN    1
#define LEAST	     (4u << 20) /* bytes to allocate: a kernel with 4 cores */

static DEFINE_SPINLOCK(page_lock);
static struct list_head free_lists[MAX_ORDER + 1];
static struct page *pages;
static size_t nr_pages, nr_free, nr_managed;
static uint32_t ram_base; /* physical address of pages[0] */

/* Fault injection, in the allocations of fail_thread: fail_count allocations
 * fail, beginning with the fail_after-th one from now (0: none fails).
 * page_lock guards these words. */
static struct thread *fail_thread;
static unsigned int fail_after, fail_count;

struct page *virt_to_page(const void *va)
{
	uintptr_t i = ((uintptr_t)va - LOWMEM_VA) >> PAGE_SHIFT;

	/* Below LOWMEM_VA i wraps around, and is too large. */
	return i < nr_pages ? &pages[i] : NULL;
}

struct page *page_head(const void *va)
{
	struct page *p = virt_to_page(va), *head;

	if (!p)
		return NULL;
	/* If that block is free, this struct page may be unwritten. */
	head = &pages[(size_t)(p - pages) & ~(LARGEST - 1)];
	if (head->state == PAGE_FREE && head->order == MAX_ORDER)
		return NULL;
	head = &pages[(size_t)(p - pages) & ~(((size_t)1 << p->order) - 1)];
	/* If the page is not in use, its `order` may be an old one. */
	return head->state == PAGE_USED && head->order == p->order ? head :
								     NULL;
}

void *page_to_virt(const struct page *p)
{
	return (void *)(LOWMEM_VA + ((uintptr_t)(p - pages) << PAGE_SHIFT));
}

uint32_t virt_to_phys(const void *va)
{
	uintptr_t a = (uintptr_t)va;

	if (a >= KERNEL_VA)
		return (uint32_t)(a - KERNEL_VA) + boot_info.image_pa;
	return (uint32_t)(a - LOWMEM_VA) + ram_base;
}

static void *phys_to_virt(uint32_t pa) /* direct map */
{
	return (void *)((uintptr_t)(pa - ram_base) + LOWMEM_VA);
}

/* ---- the free lists, page_lock held -------------------------------------- */

static void mark_free(struct page *p, unsigned int order)
{
	p->state = PAGE_FREE;
	p->order = (uint8_t)order;
	p->user = 0;
	p->owner = NULL;
	list_add(&p->link, &free_lists[order]);
	nr_free += 1u << order;
}

/* Write the struct pages [p, end): none of them is the head of a block. */
static void write_tails(struct page *p, const struct page *end)
{
	while (p < end)
		*p++ = (struct page){ .state = PAGE_TAIL };
}

/* Take the free block of p off its list. The caller then makes p the head of a
 * block, or leaves p inside a larger block. */
static void remove_from_list(struct page *p)
{
	list_del(&p->link);
	if (p->user == UNWRITTEN)
		write_tails(p + 1, p + LARGEST);
	p->state = PAGE_TAIL;
	nr_free -= 1u << p->order;
}

static void free_block(struct page *p, unsigned int order)
{
	while (order < MAX_ORDER) {
		size_t i = (size_t)(p - pages), b = i ^ (1u << order);
		struct page *buddy = &pages[b];

		if (b >= nr_pages || buddy->state != PAGE_FREE ||
		    buddy->order != order)
			break;
		remove_from_list(buddy);
		p->state = PAGE_TAIL;
		p = b < i ? buddy : p;
		order++;
	}
	mark_free(p, order);
}

/* Fault injection: count this allocation, and return whether it must fail.
 * page_lock held. */
static bool must_fail(void)
{
	if (!fail_after || fail_thread != current || --fail_after)
		return false;
	if (--fail_count)
		fail_after = 1;
	return true;
}

void *pages_alloc(unsigned int order)
{
	uint32_t flags = spin_lock_irqsave(&page_lock);
	unsigned int o = order;
	struct page *p = NULL;

	while (o <= MAX_ORDER && list_empty(&free_lists[o]))
		o++;
	if (o <= MAX_ORDER && !must_fail()) {
		p = list_first(&free_lists[o], struct page, link);
		remove_from_list(p);
		while (o > order) { /* give back the upper halves */
			o--;
			mark_free(p + (1u << o), o);
		}
		p->state = PAGE_USED;
		p->user = 0;
		for (size_t i = 0; i < (size_t)1 << order; i++)
			p[i].order = (uint8_t)order;
	}
	spin_unlock_irqrestore(&page_lock, flags);
	return p ? page_to_virt(p) : NULL;
}

void pages_free(void *va, unsigned int order)
{
	struct page *p = virt_to_page(va);
	uint32_t flags;

	BUG_ON(!p || p->state != PAGE_USED || p->order != order);
	debug_check_no_locks_freed(va, PAGE_SIZE << order, CALLER);
	flags = spin_lock_irqsave(&page_lock);
	free_block(p, order);
	spin_unlock_irqrestore(&page_lock, flags);
}

void pages_fail_after(unsigned int n, unsigned int count)
{
	uint32_t flags = spin_lock_irqsave(&page_lock);

	fail_thread = current;
	fail_after = n;
	fail_count = count;
	spin_unlock_irqrestore(&page_lock, flags);
}

size_t pages_total(void)
{
	return nr_managed;
}

size_t pages_free_count(void)
{
	return READ_ONCE(nr_free);
}

bool pages_check(void)
{
	uint32_t flags = spin_lock_irqsave(&page_lock);
	size_t seen = 0;
	bool ok = true;

	for (unsigned int o = 0; o <= MAX_ORDER; o++) {
		struct page *p;

		list_for_each (p, &free_lists[o], link) {
			size_t i = (size_t)(p - pages);

			ok &= p->state == PAGE_FREE && p->order == o &&
			      (i & ((1u << o) - 1)) == 0;
			for (size_t k = 1; k < 1u << o && !p->user; k++)
				ok &= pages[i + k].state == PAGE_TAIL;
			seen += 1u << o;
		}
	}
	ok &= seen == nr_free;
	spin_unlock_irqrestore(&page_lock, flags);
	return ok;
}

/* ---- start --------------------------------------------------------------- */

struct range {
	uint32_t start, end; /* physical, page aligned */
};

/* The reserved region i. If it must not be mapped, it is extended to whole
 * megabytes, because the direct map consists of sections. */
static struct range reserved_range(unsigned int i)
{
	uint32_t mib = 1u << 20, start = board.reserved[i].start;
	uint32_t end = board.reserved[i].end;

	if (board.reserved[i].no_map) {
		start &= ~(mib - 1);
		end = end > -mib ? -(uint32_t)PAGE_SIZE : ALIGN_UP(end, mib);
	}
	return (struct range){ start, end };
}

static unsigned int list_taken_ranges(struct range *r)
{
	unsigned int n = 0;

	r[n++] = (struct range){ 0, LOW_RESERVED };
	r[n++] = (struct range){ boot_info.image_pa, virt_to_phys(image_end) };
	for (unsigned int i = 0; i < board.nr_reserved; i++)
		r[n++] = reserved_range(i);
	return n;
}

/* Map RAM from a to end, except what must not be mapped. Returns `end`, or the
 * first address at which no memory answers. */
static uint32_t map_ram(uint32_t a, uint32_t end)
{
	while (a < end) {
		uint32_t next = end, got;

		for (unsigned int i = 0; i < board.nr_reserved; i++) {
			struct range r = reserved_range(i);

			if (!board.reserved[i].no_map || r.end <= a)
				continue;
			if (r.start <= a) {
				a = r.end;
				next = end;
				i = ~0u; /* look at all of them again */
			} else if (r.start < next) {
				next = r.start;
			}
		}
		if (a >= end)
			break;
		got = map_lowmem(ram_base, a, next - a);
		if (got < next - a)
			return a + got;
		a = next;
	}
	return end;
}

/* The first address, from a on, where size bytes overlap none of the n
 * ranges. */
static uint32_t find_room(uint32_t a, uint32_t size, const struct range *r,
			  unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (a < r[i].end && r[i].start < a + size) {
			a = r[i].end;
			i = ~0u; /* look at all of them again */
		}
	}
	return a;
}

/* The start of the first range behind address a, at most `end`. */
static uint32_t next_taken(uint32_t a, uint32_t end, const struct range *r,
			   unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (r[i].start > a && r[i].start < end)
			end = r[i].start;
	return end;
}

/* Write the struct pages of the largest block from page i on: they are all
 * reserved so far. Not if all of [base, end) in it is free. */
static void write_largest(size_t i, uint32_t base, uint32_t end,
			  const struct range *r, unsigned int n)
{
	uint32_t a = ram_base + ((uint32_t)i << PAGE_SHIFT);
	uint32_t size = (uint32_t)LARGEST << PAGE_SHIFT;

	if (a < base || end - a < size || find_room(a, size, r, n) != a)
		memset(&pages[i], 0,
		       min(LARGEST, nr_pages - i) * sizeof(*pages));
}

/* Free the pages from a to end, which are reserved so far, in blocks that are as
 * large as possible. */
static void free_range(uint32_t a, uint32_t end)
{
	size_t i = (a - ram_base) >> PAGE_SHIFT;
	size_t last = (end - ram_base) >> PAGE_SHIFT;

	nr_managed += last - i;
	while (i < last) {
		unsigned int order = 0;

		while (order < MAX_ORDER && !(i & ((2u << order) - 1)) &&
		       last - i >= 2u << order)
			order++;
		if (order < MAX_ORDER)
			write_tails(&pages[i], &pages[i + (1u << order)]);
		free_block(&pages[i], order);
		if (order == MAX_ORDER)
			pages[i].user = UNWRITTEN;
		i += 1u << order;
	}
}

/* Stop the machine here with a clear message. Otherwise the start would fail
 * later without one. */
static noreturn void too_small(void)
{
	kprintf("memory: %u KiB of %u are free, the kernel needs %u\n",
		(unsigned int)nr_managed * (PAGE_SIZE / 1024u),
		(unsigned int)(board.ram_size >> 10), LEAST >> 10);
	machine_exit(1);
}

void pages_init(void)
{
	struct range taken[ARRAY_SIZE(board.reserved) + 4];
	uint32_t base = (uint32_t)board.ram_base, array, bytes, mapped;
	uint32_t end = base + (uint32_t)board.ram_size;
	unsigned int n = list_taken_ranges(taken);

	ram_base = base & ~((1u << 20) - 1);
	mapped = map_ram(base, end);
	if (mapped != end) {
		kprintf("memory: nothing answers at 0x%x: using %u MiB of %u\n",
			mapped, (mapped - base) >> 20, (end - base) >> 20);
		end = mapped;
		board.ram_size = end - base;
	}
	nr_pages = (end - ram_base) >> PAGE_SHIFT;
	bytes = ALIGN_UP(nr_pages * sizeof(struct page), PAGE_SIZE + 0u);
	array = find_room(base, bytes, taken, n);
	if (array >= end || end - array < bytes)
		too_small();
	pages = phys_to_virt(array);
	taken[n++] = (struct range){ array, array + bytes };
	for (size_t i = 0; i < nr_pages; i += LARGEST)
		write_largest(i, base, end, taken, n);
	for (unsigned int o = 0; o <= MAX_ORDER; o++)
		list_init(&free_lists[o]);
	for (uint32_t a = base, stop; a < end; a = stop) {
		a = find_room(a, PAGE_SIZE, taken, n);
		stop = next_taken(a, end, taken, n);
		if (a < end)
			free_range(a, stop);
	}
	if (nr_managed < LEAST / PAGE_SIZE)
		too_small();
}
