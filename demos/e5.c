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
		.script_up = drawing_up,
		.script_down = drawing_down,
		.expect = OUT_BIT(OUT_COMPLETES),
		.refused = true,
		.toggles = true,
		.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.destroy = kmem_cache_destroy__3_6,
		.rcu = &rcu_mckenney,
		.must_see = { "_rcu_barrier__mck" },
		.begin = begin_rcu,
		.end = end_rcu,
		.setup = setup_victim,
	},
	{
		.part = "E5/E2",
		.about = "E2 with the proposal: the drawing, as before",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.script_up = drawing_up,
		.script_down = drawing_down,
		.expect = OUT_BIT(OUT_DEADLOCK),
		.until_found = true,
		.rounds = 20000,
		.toggles = true,
		.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.destroy = kmem_cache_destroy__noref,
		.rcu = &rcu_mckenney,
		.must_see = { "_rcu_barrier__mck" },
		.begin = begin_rcu,
		.end = end_rcu,
		.setup = setup_victim,
	},
};

DEMO(05, e5, .id = "E5", .slug = "e5-mckenney",
     .claim = "no hotplug lock from a notifier: nothing changes",
     .tried = { "E1 and E2 with McKenney's first proposal: rcu_barrier() takes",
		"the hotplug lock only when not called from a notifier." },
     .cores = 2, .scenarios = scenarios, .nr_scenarios = 2, .free_rounds = 40);
