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
#include "demos/forms/forms.h"

static const struct scenario e5[] = {
	{
		.part = "E5/E1",
		.about = "E1 with the proposal: refused as before",
		THE_DRAWING(kmem_cache_destroy__3_6),
		.said.outcome = COMPLETES,
		.forced.refused = true,
		.said.lockdep = CIRCULAR,
		.world.rcu = &rcu_mckenney,
	},
	{
		.part = "E5/E2",
		.about = "E2 with the proposal: the drawing, as before",
		THE_DRAWING(kmem_cache_destroy__noref),
		.said.outcome = DEADLOCK,
		.free.until_found = true,
		.free.rounds = 20000,
		.said.lockdep = CIRCULAR,
		.world.rcu = &rcu_mckenney,
	},
};

DEMO(05, e5, .id = "E5", .slug = "e5-mckenney",
     .claim = "no hotplug lock from a notifier: nothing changes",
     .tried = { "E1 and E2 with McKenney's first proposal: rcu_barrier() takes",
		"the hotplug lock only when not called from a notifier." },
     .cores = 2, SCENARIOS(e5), .free_rounds = 40);
