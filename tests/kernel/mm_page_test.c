/*
 * Suite mm: the buddy allocator and kmalloc(), also when memory runs out.
 */
#include <string.h>

#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "tests/kernel/ktest.h"

/* Allocated blocks, linked through their first words. */
struct block {
	struct block *next;
};

static size_t take_all(struct block **chain, unsigned int order)
{
	struct block *b;
	size_t n = 0;

	while ((b = pages_alloc(order))) {
		b->next = *chain;
		*chain = b;
		n++;
	}
	return n;
}

static void give_all(struct block **chain, unsigned int order)
{
	while (*chain) {
		struct block *b = *chain;

		*chain = b->next;
		pages_free(b, order);
	}
}

/* ---- pages ------------------------------------------------------------------------ */

#define LARGEST (1u << MAX_ORDER) /* pages of the largest block */

/* A block that was never used: only its first struct page is written. */
static struct page *find_untouched(void)
{
	uintptr_t va = LOWMEM_VA;
	struct page *p;

	for (; (p = virt_to_page((void *)va)); va += LARGEST * PAGE_SIZE)
		if (p->state == PAGE_FREE && p->order == MAX_ORDER && p->user)
			return p;
	return NULL;
}

/* What the memory held before the start does not matter. (First in this file: the other
 * tests use all blocks.) */
KTEST(mm, pages_unwritten)
{
	struct page *head = find_untouched();
	char *last = head ? (char *)page_to_virt(head + LARGEST - 1) : NULL;
	size_t before = pages_free_count();
	struct block *all = NULL;
	unsigned int wrong = 0;

	if (!head) {
		ktest_skip("needs 4 MiB that nobody has used");
		return;
	}
	memset(head + 1, 0xff, (LARGEST - 1) * sizeof(*head));
	EXPECT(page_head(last) == NULL);
	memset(head + 1, PAGE_USED, (LARGEST - 1) * sizeof(*head));
	EXPECT(page_head(last) == NULL);
	EXPECT(pages_check());
	take_all(&all, MAX_ORDER);
	EXPECT(page_head(last) == head);
	for (unsigned int i = 1; i < LARGEST; i++)
		wrong += head[i].state != PAGE_TAIL || head[i].owner;
	EXPECT_EQ(wrong, 0);
	give_all(&all, MAX_ORDER);
	EXPECT_EQ(pages_free_count(), before);
	EXPECT(pages_check());
}

KTEST(mm, pages_align)
{
	size_t before = pages_free_count();
	void *p[MAX_ORDER + 1];

	for (unsigned int o = 0; o <= MAX_ORDER; o++) {
		size_t left = pages_free_count();

		p[o] = pages_alloc(o);
		if (!p[o])
			continue; /* a small machine has no 4 MiB left */
		EXPECT_EQ(virt_to_phys(p[o]) & ((PAGE_SIZE << o) - 1),
			  virt_to_phys((void *)LOWMEM_VA) &
				  ((PAGE_SIZE << o) - 1));
		EXPECT_EQ(left - pages_free_count(), 1u << o);
		EXPECT(page_head((char *)p[o] + (PAGE_SIZE << o) - 1) ==
		       virt_to_page(p[o]));
		memset(p[o], 0xee, PAGE_SIZE << o);
	}
	EXPECT(pages_check());
	for (unsigned int o = 0; o <= MAX_ORDER; o++)
		if (p[o])
			pages_free(p[o], o);
	EXPECT_EQ(pages_free_count(), before);
	EXPECT(pages_check());
}

#define BLOCKS 64

/* Allocate blocks of several sizes and free them in a random order. Returns how many
 * there were: perhaps none. */
static unsigned int free_at_random(uint32_t *rnd)
{
	unsigned int n = 0;
	void *p[BLOCKS];

	for (unsigned int i = 0; i < BLOCKS; i++) {
		p[i] = pages_alloc(i % 4);
		n += p[i] != NULL;
	}
	for (unsigned int left = n; left; left--) {
		unsigned int i = ktest_random(rnd) % BLOCKS;

		while (!p[i])
			i = (i + 1) % BLOCKS;
		pages_free(p[i], i % 4);
		p[i] = NULL;
	}
	return n;
}

/* Blocks are split and merge again, whatever the order in which they are freed. */
KTEST(mm, pages_merge)
{
	struct block *big = NULL, *small = NULL;
	size_t before = pages_free_count(), blocks, n;
	uint32_t rnd = 1;

	blocks = take_all(&big, MAX_ORDER);
	give_all(&big, MAX_ORDER);
	for (int round = 0; round < 20; round++)
		EXPECT_EQ(free_at_random(&rnd), BLOCKS);
	EXPECT(pages_check());
	EXPECT_EQ(pages_free_count(), before);
	n = take_all(&small, 0);
	EXPECT_EQ(n, before);
	EXPECT_EQ(pages_free_count(), 0);
	EXPECT(!pages_alloc(0) && !pages_alloc(MAX_ORDER));
	EXPECT(pages_check());
	give_all(&small, 0);
	EXPECT_EQ(pages_free_count(), before);
	EXPECT(pages_check());
	EXPECT_EQ(take_all(&big, MAX_ORDER), blocks);
	give_all(&big, MAX_ORDER);
	EXPECT(pages_check());
}

KTEST(mm, pages_fail_after)
{
	void *p = NULL, *q;

	pages_fail_after(3, 2);
	for (int i = 1; i <= 6; i++) {
		q = pages_alloc(0);
		EXPECT_EQ(q == NULL, i == 3 || i == 4);
		if (q)
			pages_free(q, 0);
	}
	pages_fail_after(1, 1);
	pages_fail_after(0, 0);
	p = pages_alloc(0);
	EXPECT(p != NULL);
	if (p)
		pages_free(p, 0);
}

static int pages_wildly(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;
	uint32_t *p[16] = { NULL };

	for (int i = 0; i < 600; i++) {
		unsigned int k = ktest_random(&rnd) % 16, o = k % 4;

		if (p[k]) {
			EXPECT(p[k][0] == (uintptr_t)p[k] &&
			       p[k][(PAGE_SIZE << o) / 4 - 1] == k);
			pages_free(p[k], o);
			p[k] = NULL;
		} else if ((p[k] = pages_alloc(o))) {
			p[k][0] = (uintptr_t)p[k];
			p[k][(PAGE_SIZE << o) / 4 - 1] = k;
		}
	}
	for (unsigned int k = 0; k < 16; k++)
		if (p[k])
			pages_free(p[k], k % 4);
	return 0;
}

KTEST(mm, pages_stress)
{
	size_t before = pages_free_count();
	struct thread *t[NR_CPUS];
	unsigned int cpu;

	for_each_online_cpu (cpu)
		t[cpu] = ktest_thread("pages", pages_wildly,
				      (void *)(uintptr_t)(cpu + 1),
				      cpumask_of(cpu));
	for_each_online_cpu (cpu)
		thread_join(t[cpu]);
	EXPECT(EVENTUALLY(pages_free_count() + 64 > before));
	EXPECT(pages_check());
}

/* ---- kmalloc ------------------------------------------------------------------------- */

KTEST(mm, kmalloc)
{
	static const size_t sizes[] = { 0,    1,    7,	  8,	9,    31,
					32,   96,   100,  192,	500,  1000,
					2048, 4095, 4096, 4097, 9000, 100000 };
	unsigned char *p[ARRAY_SIZE(sizes)], *z;

	kfree(NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		p[i] = kmalloc(sizes[i]);
		EXPECT(p[i] != NULL);
		EXPECT_EQ((uintptr_t)p[i] % 8, 0);
		if (p[i])
			memset(p[i], (int)i, sizes[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; p[i] && k < sizes[i]; k++)
			if (p[i][k] != i) {
				FAIL("an object has lost its bytes");
				break;
			}
		kfree(p[i]);
		z = kzalloc(sizes[i]); /* most likely the same memory */
		for (size_t k = 0; z && k < sizes[i]; k++)
			if (z[k] != 0) {
				FAIL("kzalloc() has not cleared the object");
				break;
			}
		kfree(z);
	}
	EXPECT(!kmalloc((size_t)(PAGE_SIZE + 0u) << (MAX_ORDER + 1)));
	EXPECT(!kmalloc(~(size_t)0) && !kzalloc(~(size_t)0));
}

KTEST(mm, kmalloc_no_memory)
{
	struct block *all = NULL, *objects = NULL, *o;
	unsigned int n = 0;
	uint32_t rnd = 1;

	take_all(&all, 0);
	EXPECT_EQ(free_at_random(&rnd), 0);
	while ((o = kmalloc(2000))) { /* objects that the cache still has */
		o->next = objects;
		objects = o;
		n++;
	}
	EXPECT(n < 2000);
	EXPECT(!kmalloc(5000) && !kzalloc(2000));
	while (objects) {
		o = objects;
		objects = o->next;
		kfree(o);
	}
	o = kmalloc(2000); /* one of these objects */
	EXPECT(!n || o);
	kfree(o);
	give_all(&all, 0);
	EXPECT(pages_check());
}
