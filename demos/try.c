/*
 * The experiments that demos/yours.c must pass, and what the thread says to a
 * kmem_cache_destroy() that does not.
 *
 * Owns no data. `make try` runs `demo yours` and `explore yours`; neither is part
 * of the table.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/rcu/rcu.h"

/* Let the last callbacks run: what they meet, the slab's checks say. */
static bool callbacks_ran(struct stage *st maybe_unused)
{
	rcu_barrier();
	return true;
}

#define KNOT (DEADLOCK | STUCK)

static const struct scenario try[] = {
	{
		.part = "yours/E1",
		.about = "D destroys with your function, U takes a core up or "
			 "down",
		D_AND_U(actor_D),
		.said.outcome = COMPLETES,
		/* It may be wrong: it was about E1 (Kosina, v2). */
		.said.lockdep_may = CIRCULAR,
		.forced.none = true,
		.world.destroy = kmem_cache_destroy__yours,
		.world.setup = setup_victim,
		.said.check = callbacks_ran,
		.world.teardown = teardown_victim,
		.said.objects_to = KNOT,
		.said.objection =
			"Kosina, 2 October 2012: D holds slab_mutex and wants\n"
			"  cpu_hotplug.lock, U holds that one and wants slab_mutex",
	},
	{
		.part = "yours/E1b",
		.about = "the same, with a bare rcu_barrier() beside it",
		D_U_AND_B,
		.said.outcome = COMPLETES,
		/* It may be wrong: it was about E1 (Kosina, v2). */
		.said.lockdep_may = CIRCULAR,
		.forced.none = true,
		.world.destroy = kmem_cache_destroy__yours,
		.world.setup = setup_victim,
		.said.check = callbacks_ran,
		.world.teardown = teardown_victim,
		.said.objects_to = KNOT,
		.said.objection =
			"Kosina, 2 October 2012: the unmount of the report "
			"holds barrier_mutex\n"
			"  and wants cpu_hotplug.lock",
	},
	{
		.part = "yours/E3",
		.about = "a hotplug reference was given back that nobody took",
		AFTER_A_LEAK(kmem_cache_destroy__yours),
		.said.outcome = COMPLETES | STUCK,
		/* It may be wrong: it was about E1 (Kosina, v2). */
		.said.lockdep_may = CIRCULAR,
		.forced.none = true,
		.world.hotplug = &hotplug_3_6_ops,
		.said.check = callbacks_ran,
		.said.objects_to = KNOT,
		.said.objection =
			"Bhat, 3 October 2012: with one put_online_cpus() too\n"
			"  many the reference is useless; only dropping slab_mutex "
			"before\n  rcu_barrier() leaves no cycle",
	},
	{
		.part = "yours/E7",
		.about = "destroy of a cache that still has an object in use, "
			 "C makes one",
		.actors = { { "D", ON_D, actor_D_fails },
			    { "C", ON_U, actor_C } },
		.said.outcome = COMPLETES,
		.forced.none = true,
		.free.rounds = 4,
		.world.destroy = kmem_cache_destroy__yours,
		.said.slab_reports = 1, /* "Can't free all objects" */
		.world.setup = setup_in_use,
		.said.check = all_linked,
		.show.evidence = show_list,
		.world.teardown = teardown_list,
		.said.objects_to = WARN | CORRUPT | KNOT,
		.said.objection =
			"Bhat on v3: the shrink wants slab_mutex, and a "
			"destroy that fails\n"
			"  must put the cache back under it",
	},
	{
		.part = "yours/E17",
		.about =
			"the cache must outlive the callbacks that free its pages",
		.actors = { { "D", ON_D, actor_D } },
		.said.outcome = COMPLETES,
		.forced.none = true,
		.free.rounds = 20,
		.world.destroy = kmem_cache_destroy__yours,
		.world.setup = setup_victim,
		.said.check = callbacks_ran,
		.world.teardown = teardown_victim,
		.said.objects_to = CORRUPT,
		.said.objection =
			"Why rcu_barrier() is there at all: the callbacks "
			"that free the\n  slabs still read the cache",
	},
	{
		.part = "yours/E17s",
		.about = "the same, with callbacks of another core that come "
			 "late",
		.actors = { { "D", ON_D, actor_D_after_W },
			    { "W", ON_U, actor_W_frees, .urgent = true } },
		.said.outcome = COMPLETES,
		.forced.none = true,
		.free.rounds = 4,
		.show.rcu = true,
		.world.destroy = kmem_cache_destroy__yours,
		.world.setup = setup_objects,
		.said.check = check_callbacks,
		.said.objects_to = CORRUPT,
		.said.objection =
			"A grace period says that callbacks may run, not "
			"that they have:\n  synchronize_rcu() is no "
			"rcu_barrier()",
	},
};

DEMO(99, yours, .id = "yours", .slug = "yours",
     .claim = "your own kmem_cache_destroy() (demos/yours.c)",
     .tried = { "kmem_cache_destroy__yours() in the experiments of the thread:",
		"it must complete wherever the merged fix does." },
     .cores = 2, SCENARIOS(try), .free_rounds = 400, .for_reader = true);
