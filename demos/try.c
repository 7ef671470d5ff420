/*
 * The experiments that demos/yours.c must pass. If it fails in one of them, the objection
 * from the 2012 thread is printed.
 *
 * Owns no data. `make try` runs `demo yours` and `explore yours`. Neither is a row of the
 * table.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* Let the last callbacks run. If one uses a freed cache, the slab's checks report it. */
static bool run_last_callbacks(struct stage *st maybe_unused)
{
	rcu_barrier();
	return true;
}

/* Lockdep may be wrong about your function, as it was about E1 (Kosina, 3 October 2012,
 * 11:46 +0200). */
#define MAY_BE_A_FALSE_POSITIVE .said.lockdep_may = CIRCULAR

static const struct scenario yours[] = {
	{
		.part = "yours/E1",
		.about = "D destroys with your function, U takes a core up or "
			 "down",
		D_AND_U(actor_D),
		.world.destroy = kmem_cache_destroy__yours,
		.world.setup = setup_victim,
		.world.teardown = teardown_victim,
		.forced.none = true,
		.said.outcome = COMPLETES,
		MAY_BE_A_FALSE_POSITIVE,
		.said.check = run_last_callbacks,
		.said.objects_to = DEADLOCK,
		.said.objects_with = CIRCULAR,
		.said.objection =
			"Kosina, 3 October 2012, 01:48 +0200: D holds slab_mutex and wants\n"
			"  cpu_hotplug.lock, U holds that lock and wants slab_mutex",
	},
	{
		.part = "yours/E1b",
		.about = "the same, with B in a bare rcu_barrier()",
		D_U_AND_B,
		.world.destroy = kmem_cache_destroy__yours,
		.world.setup = setup_victim,
		.world.teardown = teardown_victim,
		.forced.none = true,
		.said.outcome = COMPLETES,
		MAY_BE_A_FALSE_POSITIVE,
		.said.check = run_last_callbacks,
		.said.objects_to = DEADLOCK,
		.said.objects_with = CIRCULAR,
		.said.objection =
			"Kosina, 2 October 2012, opening mail: the unmount in lockdep's\n"
			"  report holds barrier_mutex and wants cpu_hotplug.lock",
	},
	{
		.part = "yours/E3",
		.about = "one put_online_cpus() too many has run before",
		AFTER_A_LEAK(kmem_cache_destroy__yours),
		.world.hotplug = &hotplug_3_6_ops,
		.forced.none = true,
		.said.outcome = COMPLETES | STUCK,
		MAY_BE_A_FALSE_POSITIVE,
		.said.check = run_last_callbacks,
		.said.objects_to = DEADLOCK,
		.said.objects_with = CIRCULAR,
		.said.objection =
			"Bhat, 3 October 2012, 11:38 +0530: after one put_online_cpus() too\n"
			"  many, D's reference no longer keeps U out. From then on, a call of\n"
			"  rcu_barrier() with slab_mutex held can deadlock with U",
	},
	{
		.part = "yours/E7",
		.about = "D destroys a cache in use, C creates one",
		IN_USE(kmem_cache_destroy__yours),
		.forced.none = true,
		.free.rounds = 4,
		.said.outcome = COMPLETES,
		.said.objects_to = WARN | CORRUPT,
		.said.objects_with = NOT_HELD,
		.said.objection =
			"Bhat, 3 October 2012, 20:30 +0530, on v3: the shrink expects\n"
			"  slab_mutex, and a destroy that fails must hold it when it puts the\n"
			"  cache back",
	},
	{
		.part = "yours/E17",
		.about = "the cache must stay until its callbacks have run",
		.actors = { { "D", ON_D, actor_D } },
		.world.destroy = kmem_cache_destroy__yours,
		.world.setup = setup_victim,
		.world.teardown = teardown_victim,
		.forced.none = true,
		.free.rounds = 20,
		.said.outcome = COMPLETES,
		.said.check = run_last_callbacks,
		.said.objects_to = CORRUPT,
		.said.objection =
			"(of no mail) rcu_barrier() is there because the callbacks that free\n"
			"  the slabs still read the cache",
	},
	{
		.part = "yours/E17s",
		.about = "the same, with late callbacks on another core",
		D_AFTER_W(kmem_cache_destroy__yours, actor_W_frees),
		.forced.none = true,
		.free.rounds = 4,
		.said.outcome = COMPLETES,
		.said.objects_to = CORRUPT,
		.said.objection =
			"(of no mail) after a grace period callbacks may run, but need not\n"
			"  have run: synchronize_rcu() does not replace rcu_barrier()",
	},
};

DEMO(99, yours, .id = "yours", .slug = "yours",
     .claim = "your own kmem_cache_destroy() (demos/yours.c)",
     .tried = { "kmem_cache_destroy__yours() in the experiments of the thread: it must",
		"complete wherever the merged fix does." },
     .cores = 2, SCENARIOS(yours), .free_rounds = 400, .for_reader = true);
