/*
 * Suite mm: the buddy allocator, kmalloc, slab caches; and memory running out in
 * each of them.
 */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "tests/kernel/ktest.h"

/* Allocated blocks in a chain through their first words. */
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

/* A block falls into pieces and comes together again, in any order. */
KTEST(mm, pages_merge)
{
	struct block *big = NULL, *small = NULL;
	size_t before = pages_free_count(), blocks, n;
	uint32_t rnd = 1;
	void *p[64];

	blocks = take_all(&big, MAX_ORDER);
	give_all(&big, MAX_ORDER);
	for (int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 64; i++)
			p[i] = pages_alloc(i % 4);
		for (unsigned int left = 64; left; left--) {
			unsigned int i = ktest_random(&rnd) % 64;

			while (!p[i])
				i = (i + 1) % 64;
			pages_free(p[i], i % 4);
			p[i] = NULL;
		}
	}
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
		memset(p[i], (int)i, sizes[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; k < sizes[i]; k++)
			if (p[i][k] != i) {
				EXPECT(!"each object keeps its bytes");
				break;
			}
		kfree(p[i]);
		z = kzalloc(sizes[i]); /* most likely the same one */
		for (size_t k = 0; k < sizes[i]; k++)
			if (z[k] != 0) {
				EXPECT(!"kzalloc() gives zeros");
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

	take_all(&all, 0);
	while ((o = kmalloc(2000))) { /* what the cache still has */
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
	o = kmalloc(2000); /* one of those */
	EXPECT(!n || o);
	kfree(o);
	give_all(&all, 0);
	EXPECT(pages_check());
}

/* ---- caches --------------------------------------------------------------------------- */

#define OBJECTS 300

static void *objects[OBJECTS];

static void fill(struct kmem_cache *s, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		objects[i] = kmem_cache_alloc(s);
		EXPECT(objects[i] != NULL);
	}
}

static void empty(struct kmem_cache *s, unsigned int n)
{
	/* Not in the order they came. */
	for (unsigned int i = 0; i < n; i++)
		kmem_cache_free(s, objects[(i * 7) % n]);
}

KTEST(mm, cache_create_bad)
{
	ktest_reports(5, 0, 0);
	EXPECT(!kmem_cache_create("bad", 0, 0, 0, NULL));
	EXPECT(!kmem_cache_create("bad", 64, 3, 0, NULL));
	EXPECT(!kmem_cache_create("bad", 64, 0, 0x80, NULL));
	EXPECT(!kmem_cache_create("bad", 1u << 20, 0, 0, NULL));
	EXPECT(!kmem_cache_create(NULL, 64, 0, 0, NULL));
}

KTEST(mm, cache_align)
{
	for (unsigned int align = 1; align <= PAGE_SIZE; align *= 2) {
		struct kmem_cache *s =
			kmem_cache_create("align", 33, align, 0, NULL);

		EXPECT(s != NULL);
		fill(s, 20);
		for (unsigned int i = 0; i < 20; i++) {
			EXPECT_EQ((uintptr_t)objects[i] % max(align, 8u), 0);
			memset(objects[i], 0x11, 33);
		}
		empty(s, 20);
		kmem_cache_destroy(s);
	}
}

static uint32_t built;

static void build(void *obj)
{
	__atomic_fetch_add(&built, 1, __ATOMIC_RELAXED);
	*(uint32_t *)obj = 0xc0de;
}

/* The constructor has run once for each object, before its first use. */
KTEST(mm, cache_constructor)
{
	struct kmem_cache *s;
	struct slab_stats before, after;
	uint32_t first;

	slab_stats(&before);
	built = 0;
	s = kmem_cache_create("ctor", 100, 0, 0, build);
	EXPECT_EQ(built, 0);
	fill(s, OBJECTS);
	slab_stats(&after);
	first = built;
	EXPECT(first >= OBJECTS);
	for (int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < OBJECTS; i++)
			EXPECT_EQ(*(uint32_t *)objects[i], 0xc0de);
		empty(s, OBJECTS);
		fill(s, OBJECTS);
	}
	/* Slabs beyond what is worth keeping went and came anew; no other
	 * object was built a second time. */
	empty(s, OBJECTS);
	EXPECT_EQ(kmem_cache_shrink(s), 0);
	kmem_cache_destroy(s);
	slab_stats(&after);
	EXPECT_EQ(after.caches, before.caches);
}

/* Slab after slab the objects begin elsewhere in the page. */
KTEST(mm, cache_colours)
{
	static const unsigned int sizes[] = { 700, 600, 500, 450 };
	unsigned int coloured = 0;

	for (unsigned int k = 0; k < ARRAY_SIZE(sizes); k++) {
		struct kmem_cache *s =
			kmem_cache_create("colour", sizes[k], 0, 0, NULL);
		uintptr_t least[2] = { ~(uintptr_t)0, ~(uintptr_t)0 };
		struct page *slab = NULL;

		fill(s, 60);
		/* The lowest object of the first slab, and of another. */
		slab = page_head(objects[0]);
		for (unsigned int i = 0; i < 60; i++) {
			struct page *head = page_head(objects[i]);
			uintptr_t off = (uintptr_t)objects[i] -
					(uintptr_t)page_to_virt(head);
			bool other = head != slab;

			least[other] = min(least[other], off);
		}
		coloured += least[0] != least[1];
		empty(s, 60);
		kmem_cache_destroy(s);
	}
	EXPECT(coloured > 0);
}

static unsigned int pages_of_slabs(void)
{
	struct slab_stats st;

	slab_stats(&st);
	return st.pages;
}

KTEST(mm, cache_shrink)
{
	struct kmem_cache *s = kmem_cache_create("shrink", 256, 0, 0, NULL);
	unsigned int before = pages_of_slabs();

	fill(s, OBJECTS);
	EXPECT(pages_of_slabs() > before);
	empty(s, OBJECTS);
	EXPECT_EQ(kmem_cache_shrink(s), 0);
	EXPECT_EQ(pages_of_slabs(), before);
	objects[0] = kmem_cache_alloc(s);
	EXPECT(kmem_cache_shrink(s) != 0);
	kmem_cache_free(s, objects[0]);
	EXPECT_EQ(kmem_cache_shrink(s), 0);
	EXPECT_EQ(pages_of_slabs(), before);
	kmem_cache_destroy(s);
}

/* What rests in a core's array goes back when the core goes. */
KTEST(mm, cache_drained_at_death)
{
	unsigned int cpu;

	NEED_CORES(2);
	for_each_online_cpu (cpu) {
		struct kmem_cache *s =
			kmem_cache_create("drain", 128, 0, 0, NULL);
		unsigned int before = pages_of_slabs();

		ktest_run_on(cpu);
		fill(s, 10);
		empty(s, 10); /* into that core's array */
		EXPECT(pages_of_slabs() > before);
		EXPECT_EQ(cpu_down(cpu), 0);
		EXPECT_EQ(kmem_cache_shrink(s), 0);
		EXPECT_EQ(cpu_up(cpu), 0);
		kmem_cache_destroy(s);
	}
}

/* ---- SLAB_TYPESAFE_BY_RCU ------------------------------------------------------------------ */

/* Under a reader the memory of a freed object stays what it is. */
KTEST(mm, typesafe)
{
	unsigned int here = cpumask_first(cpu_online());
	struct kmem_cache *s;
	size_t free_pages;
	void *cache_page;

	ktest_run_on(here);
	s = kmem_cache_create("typesafe", 512, 0, SLAB_TYPESAFE_BY_RCU, build);
	fill(s, 50);
	free_pages = pages_free_count();
	cache_page = page_head(objects[0])->owner;
	empty(s, 50);
	get_online_cpus();
	mutex_lock(&slab_mutex);
	rcu_read_lock();
	__cache_shrink(s); /* all slabs are given up */
	EXPECT(pages_free_count() <= free_pages);
	for (unsigned int i = 0; i < 50; i++) {
		struct page *head = page_head(objects[i]);

		EXPECT(head && head->owner == cache_page);
		EXPECT_EQ(*(uint32_t *)objects[i], 0xc0de);
	}
	rcu_read_unlock();
	mutex_unlock(&slab_mutex);
	put_online_cpus();
	rcu_barrier();
	EXPECT(pages_free_count() > free_pages); /* now they have gone */
	kmem_cache_destroy(s);
}

static struct {
	struct kmem_cache *s;
	uint32_t *shown; /* RCU */
	uint32_t stop, looks, wrong;
} show;

static int look_at_shown(void *arg)
{
	(void)arg;
	while (!READ_ONCE(show.stop)) {
		uint32_t *o;

		rcu_read_lock();
		o = rcu_dereference(show.shown);
		for (int i = 0; o && i < 20; i++)
			if (READ_ONCE(*o) != 0xc0de)
				__atomic_fetch_add(&show.wrong, 1,
						   __ATOMIC_RELAXED);
		rcu_read_unlock();
		__atomic_fetch_add(&show.looks, 1, __ATOMIC_RELAXED);
		ktest_busy();
	}
	return 0;
}

/* Objects freed and reused while others look at them by an old pointer. */
KTEST(mm, typesafe_reuse)
{
	struct thread *t[NR_CPUS];
	unsigned int cpu;

	memset(&show, 0, sizeof(show));
	show.s =
		kmem_cache_create("reuse", 200, 0, SLAB_TYPESAFE_BY_RCU, build);
	for_each_online_cpu (cpu)
		t[cpu] = ktest_thread("looker", look_at_shown, NULL,
				      cpumask_of(cpu));
	for (int i = 0; i < 400; i++) {
		uint32_t *o = kmem_cache_alloc(show.s);
		uint32_t *old = show.shown;

		EXPECT(o != NULL);
		if (!o)
			break;
		EXPECT_EQ(*o, 0xc0de);
		memset(o + 1, i, 200 - 4);
		rcu_assign_pointer(show.shown, o);
		if (old)
			kmem_cache_free(show.s, old);
		if (i % 40 == 0)
			kmem_cache_shrink(show.s);
	}
	EXPECT(EVENTUALLY(READ_ONCE(show.looks) > 100));
	WRITE_ONCE(show.stop, 1);
	for_each_online_cpu (cpu)
		thread_join(t[cpu]);
	EXPECT_EQ(show.wrong, 0);
	kmem_cache_free(show.s, show.shown);
	kmem_cache_destroy(show.s);
}

/* ---- out of memory ---------------------------------------------------------------------------- */

#define MANY 100

/* At whatever it allocates: NULL, and nothing is left of the attempt. */
KTEST(mm, cache_create_no_memory)
{
	static struct kmem_cache *s[MANY];
	unsigned int made = 0, failed = 0;
	struct slab_stats before, after;

	ktest_shrink_all();
	for (unsigned int i = 0; i < 3 * MANY && made < MANY; i++) {
		slab_stats(&before);
		/* The next page is refused, or it and the ones after it. */
		pages_fail_after(1 + i % 2, i % 3 ? 1 : ~0u);
		s[made] = kmem_cache_create("many", 64, 0, 0, NULL);
		pages_fail_after(0, 0);
		slab_stats(&after);
		EXPECT_EQ(after.caches - before.caches, s[made] != NULL);
		if (s[made]) {
			made++;
			continue;
		}
		failed++;
		EXPECT_EQ(after.active, before.active);
		/* Without failures it goes on behind that point. */
		s[made] = kmem_cache_create("many", 64, 0, 0, NULL);
		EXPECT(s[made] != NULL);
		made += s[made] != NULL;
	}
	EXPECT(failed >= 3);
	while (made)
		kmem_cache_destroy(s[--made]);
	ktest_shrink_all();
	EXPECT(pages_check());
}

KTEST(mm, cache_alloc_no_memory)
{
	struct kmem_cache *s = kmem_cache_create("short", 1000, 0, 0, NULL);
	unsigned int n = 0;
	void *more;

	pages_fail_after(3, ~0u);
	while (n < OBJECTS && (objects[n] = kmem_cache_alloc(s)))
		n++;
	EXPECT(n > 0 && n < 100);
	EXPECT(!kmem_cache_alloc(s));
	pages_fail_after(0, 0);
	more = kmem_cache_alloc(s);
	EXPECT(more != NULL);
	kmem_cache_free(s, more);
	for (unsigned int i = 0; i < n; i++)
		kmem_cache_free(s, objects[i]);
	kmem_cache_destroy(s);
}
