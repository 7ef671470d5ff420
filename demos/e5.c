/*
 * E5: McKenney's proposal of 2 October.
 *
 * McKenney, 2 October 2012, 23:31 UTC: let rcu_barrier() take the hotplug lock only
 * when it is not called from a hotplug notifier. Kosina, 3 October 2012, 01:48
 * +0200: no path of the report has this call in a notifier. kmem_cache_destroy() is
 * not a notifier, and the slab's notifier only takes slab_mutex. So both lock
 * orders remain. McKenney agreed (3 October 2012, 00:15 UTC).
 *
 * Here E1 and E2 run with the proposal in place (_rcu_barrier__mck in
 * demos/forms/barrier.c). Nothing changes: lockdep finds the same, and the rounds
 * end in the same way.
 *
 * Controls: E1 and E2 themselves, and E6, which changes kmem_cache_destroy().
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

static const struct scenario e5[] = {
	{
		.part = "E5/E1",
		.about = "E1 with the proposal: refused as before",
		THE_DRAWING(kmem_cache_destroy__3_6),
		.world.rcu = &rcu_mckenney,
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.forced.refused = true,
	},
	{
		.part = "E5/E2",
		.about =
			"E2 with the proposal: the drawing deadlocks as before",
		THE_DRAWING(kmem_cache_destroy__noref),
		.world.rcu = &rcu_mckenney,
		.said.outcome = DEADLOCK,
		.said.lockdep = CIRCULAR,
		.free.until_found = true,
		.free.rounds = 20000,
	},
};

DEMO(05, e5, .id = "E5", .slug = "e5-mckenney",
     .claim = "McKenney's proposal for notifiers changes nothing",
     .tried = { "E1 and E2 with McKenney's proposal: rcu_barrier() takes the hotplug",
		"lock only when it is not called from a notifier." },
     .cores = 2, SCENARIOS(e5), .free_rounds = 40);
