/*
 * The experiments that demos/yours.c must pass, and what the thread says to a
 * kmem_cache_destroy() that does not.
 *
 * Owns no data. `make try` runs `demo yours`; not part of `demo all`.
 */
#include "demos/demo.h"
#include "kernel/lib/errno.h"
#include "kernel/rcu/rcu.h"

/* A cache with an object in use: destroying it has to fail, and cleanly. */
static int setup_in_use(struct stage *st)
{
	if (!victim(st))
		return -ENOMEM;
	st->object = kmem_cache_alloc(st->cache);
	return st->object ? 0 : -ENOMEM;
}

static void actor_D_in_vain(struct stage *st)
{
	st->sc->destroy(st->cache);
}

static bool still_a_cache(struct stage *st)
{
	bool linked;

	mutex_lock(&slab_mutex);
	linked = cache_is_linked(st->cache);
	mutex_unlock(&slab_mutex);
	return linked;
}

static void teardown_in_use(struct stage *st)
{
	kmem_cache_free(st->cache, st->object);
	kmem_cache_destroy(st->cache);
	st->cache = NULL;
}

static int setup_callbacks(struct stage *st)
{
	st->errors = slab_errors;
	return setup_victim(st);
}

/* Let the last callback run: it must not have met a cache that was freed. */
static bool callbacks_were_waited_for(struct stage *st)
{
	rcu_barrier();
	return slab_errors == st->errors;
}

static const struct scenario scenarios[] = {
	{
		.part = "yours/E1",
		.about = "D destroys with your function, U takes a core up or "
			 "down",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.expect = OUT_BIT(OUT_COMPLETES),
		/* It may be wrong: it was about E1 (Kosina, v2). */
		.lockdep_may = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.no_forced = true,
		.toggles = true,
		.destroy = kmem_cache_destroy__yours,
		.setup = setup_victim,
		.teardown = teardown_victim,
		.objection =
			"Kosina, 2 October 2012: D holds slab_mutex and wants\n"
			"  cpu_hotplug.lock, U holds that one and wants slab_mutex",
	},
	{
		.part = "yours/E1b",
		.about = "the same, with a bare rcu_barrier() beside it",
		.actors = { { "D", ON_D, actor_D },
			    { "U", ON_U, actor_U },
			    { "B", ON_B, actor_B } },
		.expect = OUT_BIT(OUT_COMPLETES),
		/* It may be wrong: it was about E1 (Kosina, v2). */
		.lockdep_may = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.no_forced = true,
		.toggles = true,
		.destroy = kmem_cache_destroy__yours,
		.setup = setup_victim,
		.teardown = teardown_victim,
		.objection =
			"Kosina, 2 October 2012: the unmount of the report "
			"holds barrier_mutex\n"
			"  and wants cpu_hotplug.lock",
	},
	{
		.part = "yours/E3",
		.about = "a hotplug reference was given back that nobody took",
		.actors = { { "D", ON_D, actor_D_leaks },
			    { "U", ON_U, actor_U } },
		.expect = OUT_BIT(OUT_COMPLETES) | OUT_BIT(OUT_STUCK),
		/* It may be wrong: it was about E1 (Kosina, v2). */
		.lockdep_may = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.no_forced = true,
		.toggles = true,
		.ops = &hotplug_3_6_ops,
		.destroy = kmem_cache_destroy__yours,
		.leaks = true,
		.setup = setup_leak,
		.teardown = teardown_refs,
		.objection =
			"Bhat, 3 October 2012: with one put_online_cpus() too\n"
			"  many the reference is useless; only dropping slab_mutex "
			"before\n  rcu_barrier() leaves no cycle",
	},
	{
		.part = "yours/E7",
		.about = "destroy of a cache that still has an object in use",
		.actors = { { "D", ON_D, actor_D_in_vain } },
		.expect = OUT_BIT(OUT_COMPLETES),
		.no_forced = true,
		.rounds = 2,
		.destroy = kmem_cache_destroy__yours,
		.slab_reports = 1, /* "Can't free all objects" */
		.setup = setup_in_use,
		.check = still_a_cache,
		.teardown = teardown_in_use,
		.objection = "Bhat on v3: the shrink wants slab_mutex, and a "
			     "destroy that fails\n"
			     "  must put the cache back under it",
	},
	{
		.part = "yours/E17",
		.about =
			"the cache must outlive the callbacks that free its pages",
		.actors = { { "D", ON_D, actor_D } },
		.expect = OUT_BIT(OUT_COMPLETES),
		.no_forced = true,
		.rounds = 20,
		.destroy = kmem_cache_destroy__yours,
		.setup = setup_callbacks,
		.check = callbacks_were_waited_for,
		.teardown = teardown_victim,
		.objection = "Why rcu_barrier() is there at all: the callbacks "
			     "that free the\n  slabs still read the cache",
	},
};

DEMO(99, yours, .id = "yours", .slug = "yours",
     .claim = "your own kmem_cache_destroy() (demos/yours.c)",
     .tried = { "kmem_cache_destroy__yours() in the experiments of the thread:",
		"it must complete wherever the merged fix does." },
     .cores = 2, .scenarios = scenarios, .nr_scenarios = ARRAY_SIZE(scenarios),
     .free_rounds = 400, .for_reader = true);
