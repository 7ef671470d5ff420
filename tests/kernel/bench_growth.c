/*
 * `bench growth`: how the cost of an operation grows with the objects of a cache, with
 * the RCU callbacks that wait, and with the classes that lockdep knows.
 *
 * Each row is measured with `base` of these, with 10 times and with 100 times as many.
 *
 * Owns a cache, callbacks, and classes, which no other code uses. Context: see bench.h.
 */
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/shell/shell.h"
#include "kernel/slab/slab.h"
#include "tests/kernel/bench.h"

#define TIMES 256u
#define BASE  200u /* objects, callbacks */
#define MOST  (100 * BASE)

struct growth {
	/* If bench.each is 0, there are `size` operations in a batch. */
	struct bench bench;
	unsigned int base;
	/* Make `size` of what the row is about. Returns false if there is no room;
	 * clean_up() is called in this case too. */
	bool (*prepare)(void);
	void (*clean_up)(void);
};

static unsigned int size;

/* ---- objects of a cache --------------------------------------------------------- */

static struct kmem_cache *cache;
static void *live; /* the objects: each points to the next one */
static void *objects[TIMES];

static void fill(unsigned int n)
{
	while (n--) {
		void **obj = kmem_cache_alloc(cache);

		if (!obj) {
			bench_no_memory = true;
			return;
		}
		*obj = live;
		live = obj;
	}
}

static void empty(void)
{
	while (live) {
		void **obj = live;

		live = *obj;
		kmem_cache_free(cache, obj);
	}
}

static bool make_cache(void)
{
	cache = kmem_cache_create("bench-growth", 64, 0, 0, NULL);
	bench_no_memory |= !cache;
	return cache;
}

static bool make_objects(void)
{
	if (make_cache())
		fill(size);
	return !bench_no_memory;
}

static void free_objects(void)
{
	if (!cache)
		return;
	empty();
	kmem_cache_destroy(cache);
}

BATCH(pair, kmem_cache_free(cache, kmem_cache_alloc(cache)))

static void many_pairs(unsigned int n maybe_unused)
{
	for (unsigned int k = 0; k < TIMES; k++)
		objects[k] = kmem_cache_alloc(cache);
	for (unsigned int k = 0; k < TIMES; k++)
		kmem_cache_free(cache, objects[k]);
}

static void fill_and_empty(unsigned int n maybe_unused)
{
	fill(size);
	empty();
}

/* ---- callbacks ------------------------------------------------------------------ */

static struct rcu_head *heads; /* TIMES, and then those that wait */

static void no_work(struct rcu_head *head maybe_unused)
{
}

static bool make_callbacks(void)
{
	heads = kmalloc((TIMES + size) * sizeof(*heads));
	bench_no_memory |= !heads;
	return heads;
}

static void free_callbacks(void)
{
	kfree(heads);
}

/* With preemption off, RCU's threads do not run: the callbacks wait. */
static void queue_callbacks(void)
{
	preempt_disable();
	for (unsigned int i = 0; i < size; i++)
		call_rcu(&heads[TIMES + i], no_work);
}

static void run_callbacks(void)
{
	preempt_enable();
	rcu_barrier();
}

BATCH(call, call_rcu(&heads[i], no_work))

static void run_all(unsigned int n maybe_unused)
{
	run_callbacks();
}

/* ---- lockdep -------------------------------------------------------------------- */

#if GORDIAN_DEBUG

/* The table of classes has 511 places, and the kernel's own locks need some. */
#define FEWEST_CLASSES 4u
#define MOST_CLASSES   (100 * FEWEST_CLASSES)

static struct lockdep_map maps[MOST_CLASSES], above;
static struct lock_class_key keys[MOST_CLASSES], above_key;

static always_inline void take_and_release(struct lockdep_map *m)
{
	lock_map_acquire(m);
	lock_map_release(m);
}

/* Make the classes. Each one is held when the next one is taken, so that a search
 * that begins at the first one visits all. */
static bool make_classes(void)
{
	for (unsigned int i = 0; i < size; i++)
		lockdep_init_map(&maps[i], "bench_growth", &keys[i],
				 LOCK_WAITS_NONE);
	for (unsigned int i = 0; i < size; i++) {
		lock_map_acquire(&maps[i]);
		if (i + 1 < size)
			take_and_release(&maps[i + 1]);
		lock_map_release(&maps[i]);
	}
	if (maps[size - 1].class[0])
		return true;
	kprintf("bench growth: lockdep has no room for %u more classes\n",
		size);
	return false;
}

static void forget_classes(void)
{
	for (unsigned int i = 0; i < size; i++)
		lockdep_unregister_key(&keys[i]);
}

/* All classes in turn, MOST_CLASSES acquisitions. */
static void acquire_known(unsigned int n maybe_unused)
{
	for (unsigned int i = 0; i < MOST_CLASSES; i += size)
		for (struct lockdep_map *m = maps; m < maps + size; m++)
			take_and_release(m);
}

static void hold_new_class(void)
{
	lockdep_init_map(&above, "bench_above", &above_key, LOCK_WAITS_NONE);
	lock_map_acquire(&above);
}

static void acquire_new(unsigned int n maybe_unused)
{
	take_and_release(&maps[0]);
}

static void forget_new_class(void)
{
	lock_map_release(&above);
	lockdep_unregister_key(&above_key);
}
#endif

/* ---- the command ---------------------------------------------------------------- */

static const struct growth rows[] = {
	{ ROW("slab", "an allocation and a free, N objects live", pair, TIMES,
	      .each = 1),
	  BASE, make_objects, free_objects },
	{ ROW("slab-256x256", "the same, 256 of each", many_pairs, 1,
	      .each = TIMES),
	  BASE, make_objects, free_objects },
	{ ROW("slab-fill", "fill a cache with N objects and empty it",
	      fill_and_empty, 1),
	  BASE, make_cache, free_objects },
	{ ROW("call-rcu", "call_rcu, N callbacks wait", call, TIMES, .each = 1,
	      .before = queue_callbacks, .after = run_callbacks),
	  BASE, make_callbacks, free_callbacks },
	{ ROW("rcu-run", "a grace period, and N callbacks run", run_all, 1,
	      .before = queue_callbacks),
	  BASE, make_callbacks, free_callbacks },
#if GORDIAN_DEBUG
	{ ROW("lock-known", "take and release, N linked classes", acquire_known,
	      1, .each = MOST_CLASSES),
	  FEWEST_CLASSES, make_classes, forget_classes },
	{ ROW("lock-new", "the same, a new chain: all are searched",
	      acquire_new, 1, .each = 1, .before = hold_new_class,
	      .after = forget_new_class),
	  FEWEST_CLASSES, make_classes, forget_classes },
#endif
};

/* Returns false if there was no room. */
static bool measure(const struct growth *g, unsigned int *cost)
{
	struct bench b = g->bench;
	bool ok = g->prepare();

	if (!b.each)
		b.each = size;
	if (ok)
		*cost = bench_cost(&b);
	g->clean_up();
	return ok && !bench_no_memory;
}

static int measure_row(const struct growth *g)
{
	unsigned int cost[3];

	size = g->base;
	for (unsigned int i = 0; i < ARRAY_SIZE(cost); i++, size *= 10) {
		if (thread_interrupted())
			return BENCH_INTERRUPTED;
		if (!measure(g, &cost[i])) {
			if (bench_no_memory)
				kprintf("bench: out of memory\n");
			return 1;
		}
	}
	kprintf("  %-12s %4u %6u %6u %6u  %s\n", g->bench.name, g->base,
		cost[0], cost[1], cost[2], g->bench.what);
	return 0;
}

int bench_growth(void)
{
	int status = 0;

	bench_no_memory = false;
	bench_print_unit();
	kprintf("  %-12s %4s %6s %6s %6s\n", "", "base", "N=base", "x 10",
		"x 100");
	for (unsigned int i = 0; i < ARRAY_SIZE(rows) && !status; i++)
		status = measure_row(&rows[i]);
	return status;
}
