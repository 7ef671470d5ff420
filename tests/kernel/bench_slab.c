/*
 * Rows of `bench`: caches, and the objects in them.
 *
 * Owns its caches, which no other code uses. Context: see bench.h.
 */
#include "boot/boot.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "tests/kernel/bench.h"

#define TIMES 256u
#define SIZE  64
#define MANY  64u
#define MORE  256u /* more than a core's array has */
#define LIVES 32u

/* Blocks of pages of these orders are kept ready. */
#define ORDERS 3u
#define BLOCKS 64u

static struct kmem_cache *cache, *cache_256, *plain_cache;
static void *objects[MORE];

BATCH(pair, kmem_cache_free(cache, kmem_cache_alloc(cache)))
BATCH(pair_256, kmem_cache_free(cache_256, kmem_cache_alloc(cache_256)))
BATCH(plain_pair, kmem_cache_free(plain_cache, kmem_cache_alloc(plain_cache)))
BATCH(kmalloc_pair, kfree(kmalloc(SIZE)))

static always_inline void pairs(unsigned int n)
{
	for (unsigned int k = 0; k < n; k++)
		objects[k] = kmem_cache_alloc(cache);
	for (unsigned int k = 0; k < n; k++)
		kmem_cache_free(cache, objects[k]);
}

BATCH(many_pairs, pairs(MANY))
BATCH(more_pairs, pairs(MORE))

/* A cache with one object comes and goes. */
static void live(unsigned int flags)
{
	struct kmem_cache *s =
		kmem_cache_create("bench-life", SIZE, 0, flags, NULL);
	void *obj = s ? kmem_cache_alloc(s) : NULL;

	if (!obj)
		bench_no_memory = true;
	else
		kmem_cache_free(s, obj);
	if (s)
		kmem_cache_destroy(s);
}

BATCH(life, live(0))
BATCH(rcu_life, live(SLAB_TYPESAFE_BY_RCU))

static const struct bench rows[] = {
	ROW("slab", "kmem_cache_alloc, kmem_cache_free", pair, TIMES),
	ROW("slab-plain", "the same, cache with SLAB_NO_DEBUG", plain_pair,
	    TIMES),
	ROW("slab-256", "as slab, with objects of 256 bytes", pair_256, TIMES),
	ROW("slab-64x64", "an allocation and a free, 64 at a time", many_pairs,
	    4, .each = MANY),
	ROW("slab-256x256", "256 at a time: more than a core keeps", more_pairs,
	    1, .each = MORE),
	ROW("kmalloc", "kmalloc, kfree", kmalloc_pair, TIMES),
	ROW("cache", "kmem_cache_create, an object, _destroy", life, LIVES),
	ROW("cache-rcu", "the same, SLAB_TYPESAFE_BY_RCU", rcu_life, LIVES),
};

static void *blocks[ORDERS][BLOCKS];

/* Have free blocks whose buddies are in use. So it does not depend on the size of the
 * image whether a cache that comes and goes splits and merges blocks. */
static bool keep_blocks(void)
{
	for (unsigned int o = 0; o < ORDERS; o++) {
		for (unsigned int i = 0; i < BLOCKS; i++)
			if (!(blocks[o][i] = pages_alloc(o)))
				return false;
		for (unsigned int i = 0; i < BLOCKS; i++)
			if (!((uintptr_t)blocks[o][i] & PAGE_SIZE << o)) {
				pages_free(blocks[o][i], o);
				blocks[o][i] = NULL;
			}
	}
	return true;
}

static void free_blocks(void)
{
	for (unsigned int o = 0; o < ORDERS; o++)
		for (unsigned int i = 0; i < BLOCKS; i++)
			if (blocks[o][i]) {
				pages_free(blocks[o][i], o);
				blocks[o][i] = NULL;
			}
}

static bool prepare(void)
{
	cache = kmem_cache_create("bench", SIZE, 0, 0, NULL);
	cache_256 = kmem_cache_create("bench-256", 256, 0, 0, NULL);
	plain_cache = kmem_cache_create("bench-nodebug", SIZE, 0, SLAB_NO_DEBUG,
					NULL);
	return cache && cache_256 && plain_cache && keep_blocks();
}

static void clean_up(void)
{
	free_blocks();
	if (cache)
		kmem_cache_destroy(cache);
	if (cache_256)
		kmem_cache_destroy(cache_256);
	if (plain_cache)
		kmem_cache_destroy(plain_cache);
}

const struct bench_group bench_slab = { rows, ARRAY_SIZE(rows), prepare,
					clean_up };
