/*
 * X3: an experiment for tests/test_points.py, whose image has it in demos/. In each part
 * it matters who comes first to an object of a cache, or to its callback.
 *
 *   X3/destroy  A frees its object, B destroys the cache, which complains if B comes
 *               first
 *   X3/shrink   A allocates an object and frees it; B shrinks the cache, and is told
 *               whether there is an object
 *   X3/between, X3/under    A frees two objects and completes in between, in X3/under
 *               under a spinlock; B waits for that and destroys the cache
 *   X3/freed    A frees an RCU cache and waits for no callback; B may have waited
 *
 * Owns the objects of its actors.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/wait.h"

static DEFINE_SPINLOCK(box);

static int in_use; /* the result of the shrink in this round */
static bool taken; /* written only to be a point of choice */

/* A cache with one object in use. */
static int setup_one_out(struct stage *st)
{
	st->cache = kmem_cache_create("x1", 64, 0, 0, NULL);
	if (!st->cache)
		return -ENOMEM;
	st->object = kmem_cache_alloc(st->cache);
	return st->object ? 0 : -ENOMEM;
}

static int setup_none_out(struct stage *st)
{
	st->cache = kmem_cache_create("x1", 64, 0, 0, NULL);
	return st->cache ? 0 : -ENOMEM;
}

static void actor_gives_back(struct stage *st)
{
	kmem_cache_free(st->cache, st->object);
}

/* If it fails, the cache is still on the list, and the teardown destroys it. */
static void actor_destroys(struct stage *st)
{
	unsigned int errors = slab_errors;

	kmem_cache_destroy(st->cache);
	if (slab_errors == errors)
		st->cache = NULL;
}

static void actor_takes(struct stage *st)
{
	void *object = kmem_cache_alloc(st->cache);

	shared_write(taken, true);
	kmem_cache_free(st->cache, object);
}

static void actor_shrinks(struct stage *st)
{
	in_use = kmem_cache_shrink(st->cache);
}

static bool none_in_use(struct stage *st maybe_unused)
{
	return !in_use;
}

static void teardown_cache(struct stage *st)
{
	if (st->cache)
		kmem_cache_destroy(st->cache);
	st->cache = NULL;
}

/* A cache with two objects in use. */
static void *second;
static struct completion one_back;

static int setup_two_out(struct stage *st)
{
	int err = setup_one_out(st);

	init_completion(&one_back, "an object");
	second = err ? NULL : kmem_cache_alloc(st->cache);
	return second ? 0 : -ENOMEM;
}

static void actor_completes_between(struct stage *st)
{
	kmem_cache_free(st->cache, st->object);
	complete(&one_back);
	kmem_cache_free(st->cache, second);
}

static void actor_wakes_under_lock(struct stage *st)
{
	uint32_t flags;

	kmem_cache_free(st->cache, st->object);
	flags = spin_lock_irqsave(&box);
	one_back.done = 1;
	wake_up(&one_back.wait);
	spin_unlock_irqrestore(&box, flags);
	kmem_cache_free(st->cache, second);
}

static void actor_destroys_after(struct stage *st)
{
	wait_for_completion(&one_back);
	actor_destroys(st);
}

/* An RCU cache with one unused slab. */
static int setup_rcu_cache(struct stage *st)
{
	st->cache = kmem_cache_create("x1", 64, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	st->object = st->cache ? kmem_cache_alloc(st->cache) : NULL;
	if (!st->object)
		return -ENOMEM;
	kmem_cache_free(st->cache, st->object);
	return 0;
}

static void actor_frees_early(struct stage *st)
{
	struct kmem_cache *s = st->cache;

	st->cache = NULL;
	get_online_cpus();
	mutex_lock(&slab_mutex);
	kmem_cache_unlink(s);
	__cache_shrink(s);
	mutex_unlock(&slab_mutex);
	shared_write(taken, true);
	__kmem_cache_destroy(s);
	put_online_cpus();
}

static void actor_awaits_callbacks(struct stage *st maybe_unused)
{
	rcu_barrier();
}

#define EITHER (COMPLETES | CORRUPT)

static const struct scenario scenarios[] = {
	{
		.part = "X3/destroy",
		.about = "A gives its object back, B destroys the cache",
		.actors = { { "A", ON_D, actor_gives_back },
			    { "B", ON_U, actor_destroys } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_one_out,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X3/shrink",
		.about = "A takes an object and gives it back, B shrinks",
		.actors = { { "A", ON_D, actor_takes },
			    { "B", ON_U, actor_shrinks } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_none_out,
		.said.check = none_in_use,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X3/between",
		.about = "A completes between two objects",
		.actors = { { "A", ON_D, actor_completes_between },
			    { "B", ON_U, actor_destroys_after } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_two_out,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X3/under",
		.about = "the same, by a wake-up under a spinlock",
		.actors = { { "A", ON_D, actor_wakes_under_lock },
			    { "B", ON_U, actor_destroys_after } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_two_out,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X3/freed",
		.about = "A frees an RCU cache, B waits for callbacks",
		.actors = { { "A", ON_D, actor_frees_early },
			    { "B", ON_U, actor_awaits_callbacks } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_rcu_cache,
		.world.teardown = teardown_cache,
	},
};

DEMO(99, x3, .id = "X3", .slug = "x3-objects",
     .claim = "what the explorer must see of a cache",
     .tried = { "For the explorer alone.", "See tests/own/objects.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
