/*
 * Suite slabdbg: each debug check of the slab allocator reports its misuse exactly
 * once, and the allocator goes on. The reports on the console are expected.
 *
 * A case stays on one core, so the object that it frees is the next one it gets.
 */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "tests/kernel/ktest.h"

#define SIZE 40u

/* The debug words before an object, as in slab_debug.c. */
#define ALLOCATED 0xa110ca7eu
#define FREE	  0x00f4eef4u

static struct kmem_cache *cache, *other;

static bool begin(unsigned int errors)
{
	if (!GORDIAN_DEBUG) {
		ktest_skip("the checks are in the debug profile");
		return false;
	}
	ktest_reports(0, errors, 0);
	ktest_run_on(smp_processor_id());
	cache = kmem_cache_create("victim", SIZE, 0, 0, NULL);
	other = kmem_cache_create("other", SIZE, 0, 0, NULL);
	EXPECT(cache && other);
	return cache && other;
}

/* No object is lost: the caches can be destroyed. */
static void end(void)
{
	kmem_cache_destroy(cache);
	kmem_cache_destroy(other);
}

/* `what` must cause exactly one report. */
#define REPORTS(what)                                                          \
	do {                                                                   \
		unsigned int _errors = slab_errors;                            \
		what;                                                          \
		EXPECT_EQ(slab_errors - _errors, 1);                           \
	} while (0)

static uint8_t *take(void)
{
	uint8_t *p = kmem_cache_alloc(cache);

	EXPECT(p != NULL);
	return p;
}

KTEST(slabdbg, write_after_free)
{
	uint8_t *p;

	if (!begin(3))
		return;
	for (unsigned int at = 0; at < SIZE; at += (SIZE - 1) / 2) {
		p = take();
		kmem_cache_free(cache, p);
		p[at] ^= 1;
		REPORTS(EXPECT(take() == p));
		kmem_cache_free(cache, p);
		EXPECT(take() == p); /* repaired */
		kmem_cache_free(cache, p);
	}
	end();
}

/* It is also found without another allocation, when the slab is freed. */
KTEST(slabdbg, write_after_free_at_shrink)
{
	uint8_t *p;

	if (!begin(1))
		return;
	p = take();
	kmem_cache_free(cache, p);
	p[3] = 0;
	REPORTS(EXPECT_EQ(kmem_cache_shrink(cache), 0));
	end();
}

KTEST(slabdbg, red_zone_before)
{
	uint8_t *p;

	if (!begin(1))
		return;
	p = take();
	p[-1] = 0;
	REPORTS(kmem_cache_free(cache, p));
	end();
}

KTEST(slabdbg, red_zone_behind)
{
	uint8_t *p;

	if (!begin(2))
		return;
	p = take();
	p[SIZE] = 0;
	REPORTS(kmem_cache_free(cache, p));
	EXPECT(take() == p); /* repaired */
	kmem_cache_free(cache, p);
	p[SIZE + 7] = 0; /* while it is free */
	REPORTS(EXPECT(take() == p));
	kmem_cache_free(cache, p);
	end();
}

/* The misuse below is intended. NOLINTBEGIN(clang-analyzer-unix.Malloc) */
KTEST(slabdbg, double_free)
{
	uint8_t *p, *q;

	if (!begin(2))
		return;
	p = take();
	kmem_cache_free(cache, p);
	REPORTS(kmem_cache_free(cache, p));
	EXPECT(take() == p);
	q = take();
	EXPECT(q != p); /* it is in the cache only once */
	kmem_cache_free(cache, p);
	kmem_cache_free(cache, q);
	REPORTS(kfree(q));
	end();
}

KTEST(slabdbg, foreign_pointer)
{
	static uint64_t in_image[8];
	uint64_t on_stack[8];
	void *page;

	if (!begin(5))
		return;
	page = pages_alloc(0);
	REPORTS(kmem_cache_free(cache, in_image));
	REPORTS(kmem_cache_free(cache, on_stack));
	REPORTS(kmem_cache_free(cache, page));
	REPORTS(kfree(on_stack));
	REPORTS(kfree(page)); /* not from kmalloc() */
	pages_free(page, 0);
	end();
}

KTEST(slabdbg, wrong_cache)
{
	uint8_t *p;

	if (!begin(1))
		return;
	p = take();
	REPORTS(kmem_cache_free(other, p));
	kmem_cache_free(cache, p); /* it was not freed */
	end();
}

KTEST(slabdbg, misaligned_pointer)
{
	uint8_t *p, *big;

	if (!begin(3))
		return;
	p = take();
	REPORTS(kmem_cache_free(cache, p + 8));
	REPORTS(kfree(p + 1));
	kmem_cache_free(cache, p);
	big = kmalloc(3 * PAGE_SIZE);
	REPORTS(kfree(big + 64));
	kfree(big);
	end();
}

/* NOLINTEND(clang-analyzer-unix.Malloc) */

/* The debug word before p that holds `value`. */
static uint32_t *debug_word(uint8_t *p, uint32_t value)
{
	for (uint32_t *w = (uint32_t *)p - 1; w > (uint32_t *)p - 32; w--)
		if (*w == value)
			return w;
	FAIL("the object has no such debug word");
	return NULL;
}

KTEST(slabdbg, debug_words)
{
	uint32_t *word;
	uint8_t *p;

	if (!begin(2))
		return;
	p = take();
	word = debug_word(p, ALLOCATED);
	if (!word)
		return;
	*word = 0x12345678;
	REPORTS(kmem_cache_free(cache, p)); /* refused */
	*word = ALLOCATED;
	kmem_cache_free(cache, p);
	EXPECT(debug_word(p, FREE) == word);
	*word = ALLOCATED; /* it is free, but its word says otherwise */
	REPORTS(EXPECT(take() == p));
	kmem_cache_free(cache, p);
	end();
}

static noinline void *leak_an_object(struct kmem_cache *s)
{
	return kmem_cache_alloc(s);
}

/* A cache with allocated objects is not destroyed, in release either. */
KTEST(slabdbg, leak_at_destroy)
{
	struct kmem_cache *s = kmem_cache_create("leaky", SIZE, 0, 0, NULL);
	struct slab_stats before, after;
	void *p;

	ktest_reports(0, 1, 0);
	p = leak_an_object(s);
	slab_stats(&before);
	REPORTS(kmem_cache_destroy(s));
	slab_stats(&after);
	EXPECT_EQ(after.caches, before.caches);
	kmem_cache_free(s, p); /* the cache still works */
	kmem_cache_destroy(s);
	slab_stats(&after);
	EXPECT_EQ(after.caches, before.caches - 1);
}

static void destroy_without_barrier(struct kmem_cache *s)
{
	get_online_cpus();
	mutex_lock(&slab_mutex);
	rcu_read_lock(); /* no grace period ends until the unlock */
	kmem_cache_unlink(s);
	EXPECT_EQ(__cache_shrink(s), 0);
	__kmem_cache_destroy(s);
	rcu_read_unlock();
	mutex_unlock(&slab_mutex);
	put_online_cpus();
	rcu_barrier();
}

/* The callbacks of the slabs run after their cache is gone. */
KTEST(slabdbg, cache_gone)
{
	struct kmem_cache *s;

	if (!begin(1))
		return;
	s = kmem_cache_create("gone", SIZE, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	kmem_cache_free(s, kmem_cache_alloc(s));
	REPORTS(destroy_without_barrier(s));
	end();
}

/* Objects with a constructor, and type-safe ones, are not poisoned. */
static void keep(void *obj)
{
	memset(obj, 0x77, SIZE);
}

KTEST(slabdbg, no_poison_where_not_allowed)
{
	uint8_t *p;
	struct kmem_cache *s;

	if (!begin(0))
		return;
	s = kmem_cache_create("kept", SIZE, 0, 0, keep);
	p = kmem_cache_alloc(s);
	kmem_cache_free(s, p);
	EXPECT(p[0] == 0x77 && p[SIZE - 1] == 0x77);
	kmem_cache_destroy(s);
	end();
}
