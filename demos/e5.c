/*
 * E5: McKenney's first proposal.
 *
 * McKenney (2 October 2012): let rcu_barrier() take the hotplug lock only when it
 * is not called from a hotplug notifier. Kosina: neither path of the report calls
 * it from one; kmem_cache_destroy() does not, and the notifier of slab only wants
 * slab_mutex. So both orders remain, and McKenney agreed. Here E1 and E2 run with
 * the proposal in place: nothing changes, neither what lockdep says nor what
 * happens.
 *
 * Controls: E1 and E2 themselves, and E6, which changes the other path.
 */
#include "lab/experiment.h"

static const struct scenario scenarios[] = {
	{
		.part = "E5/E1",
		.about = "E1 with the proposal: refused as before",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.forced.up = drawing_up,
		.forced.down = drawing_down,
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.forced.refused = true,
		.world.toggles = true,
		.said.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.world.destroy = kmem_cache_destroy__3_6,
		.world.rcu = &rcu_mckenney,
		.said.must_see = { "_rcu_barrier__mck" },
		.world.setup = setup_victim,
	},
	{
		.part = "E5/E2",
		.about = "E2 with the proposal: the drawing, as before",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.forced.up = drawing_up,
		.forced.down = drawing_down,
		.said.outcome = OUT_BIT(OUT_DEADLOCK),
		.free.until_found = true,
		.free.rounds = 20000,
		.world.toggles = true,
		.said.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.world.destroy = kmem_cache_destroy__noref,
		.world.rcu = &rcu_mckenney,
		.said.must_see = { "_rcu_barrier__mck" },
		.world.setup = setup_victim,
	},
};

DEMO(05, e5, .id = "E5", .slug = "e5-mckenney",
     .claim = "no hotplug lock from a notifier: nothing changes",
     .tried = { "E1 and E2 with McKenney's first proposal: rcu_barrier() takes",
		"the hotplug lock only when not called from a notifier." },
     .cores = 2, .scenarios = scenarios, .nr_scenarios = 2, .free_rounds = 40);
