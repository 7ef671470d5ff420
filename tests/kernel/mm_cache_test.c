/*
 * Suite mm: slab caches, also when memory runs out.
 */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/mm/page.h"
#include "kernel/rcu/rcu.h"
#include "kernel/slab/slab.h"
#include "tests/kernel/ktest.h"

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
	/* Not in the order of allocation. */
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

/* The constructor runs before an object's first use, and not again while the object
 * stays in its slab. */
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
	EXPECT(built >= OBJECTS);
	first = built;
	ktest_run_on(smp_processor_id()); /* so its array is refilled no more */
	for (int i = 0; i < 100; i++) {
		kmem_cache_free(s, objects[0]);
		objects[0] = kmem_cache_alloc(s);
	}
	EXPECT_EQ(built, first);
	for (int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < OBJECTS; i++)
			EXPECT_EQ(*(uint32_t *)objects[i], 0xc0de);
		empty(s, OBJECTS);
		fill(s, OBJECTS);
	}
	empty(s, OBJECTS);
	EXPECT_EQ(kmem_cache_shrink(s), 0);
	kmem_cache_destroy(s);
	slab_stats(&after);
	EXPECT_EQ(after.caches, before.caches);
}

/* From slab to slab the objects begin at another offset of the page. */
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

/* The free objects in a core's array go back to their slabs when the core goes off. */
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

/* While a reader runs, the memory of a freed object stays an object of its type. */
KTEST(mm, typesafe)
{
	unsigned int here = ktest_first_core();
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
	__cache_shrink(s); /* gives up all slabs */
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
	EXPECT(pages_free_count() > free_pages); /* now the pages are free */
	kmem_cache_destroy(s);
}

static struct {
	struct kmem_cache *s;
	uint32_t *shown; /* RCU */
	uint32_t stop, looks, wrong;
} show;

static int read_shown(void *arg)
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

/* Objects are freed and reused while readers look at them through an old pointer. */
KTEST(mm, typesafe_reuse)
{
	struct thread *t[NR_CPUS];
	unsigned int cpu;

	memset(&show, 0, sizeof(show));
	show.s =
		kmem_cache_create("reuse", 200, 0, SLAB_TYPESAFE_BY_RCU, build);
	for_each_online_cpu (cpu)
		t[cpu] = ktest_thread("reader", read_shown, NULL,
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

/* Whichever allocation fails: the result is NULL, and nothing is left behind. */
KTEST(mm, cache_create_no_memory)
{
	static struct kmem_cache *s[MANY];
	unsigned int made = 0, failed = 0;
	struct slab_stats before, after;

	ktest_shrink_all();
	for (unsigned int i = 0; i < 3 * MANY && made < MANY; i++) {
		slab_stats(&before);
		/* The next page is refused, or the one after it; perhaps also all later ones. */
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
		/* Without failures it succeeds. */
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
