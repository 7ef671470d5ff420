/*
 * E11: before the commit that made lockdep report.
 *
 * Kosina, 2 October 2012, opening mail, names commit 1331e7a1bbe1. Before it
 * rcu_barrier() took no hotplug lock: it cared for dead cores' callbacks itself
 * (_rcu_barrier__3_6, demos/forms/barrier.c). So there was no edge from barrier_mutex to
 * the hotplug lock, and slab_mutex held across the barrier did no harm.
 *
 * E1 runs with that barrier: lockdep is silent. E2, which has no reference that could
 * keep U out, is harmless too: U gets the hotplug lock and waits for slab_mutex, D's
 * barrier does not wait for U, and U goes on when D is done. This works because RCU's
 * notifier runs before the slab's: when U waits for slab_mutex, the dead core's
 * callbacks have been moved already.
 *
 * Controls: E1 and E2, with the barrier of 1331e7a1bbe1.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

static const struct scenario e11[] = {
	{
		.part = "E11/E1",
		.about = "E1: still refused, by the reference",
		THE_DRAWING(kmem_cache_destroy__3_6),
		.world.rcu = &rcu_3_6,
		.said.outcome = COMPLETES,
		.forced.refused = true,
	},
	{
		.part = "E11/E2",
		.about = "E2, without the reference: not refused, but harmless",
		D_AND_U(actor_D),
		.world.rcu = &rcu_3_6,
		.world.destroy = kmem_cache_destroy__noref,
		.world.setup = setup_victim,
		/* The drawing as far as it goes: D never wants the hotplug lock.
		 * D is held inside the barrier until U waits for slab_mutex. */
		.forced.order = STEPS(
			D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug),
			D(BARRIER, &rcu_sched_state), U(CONTEND, &slab_mutex),
			D(LOCK, &rcu_sched_state.barrier_mutex)),
		.forced.down = STEPS(
			D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug),
			U(CORE_OFF, &cpu_hotplug), D(BARRIER, &rcu_sched_state),
			U(CONTEND, &slab_mutex),
			D(LOCK, &rcu_sched_state.barrier_mutex)),
		.said.outcome = COMPLETES,
	},
};

DEMO(11, e11, .id = "E11", .slug = "e11-before",
     .claim = "before commit 1331e7a1bbe1 there was no cycle",
     .tried = { "E1 and E2 with the rcu_barrier() of Linux 3.6, which takes no hotplug",
		"lock and adopts a dead core's callbacks itself." },
     .cores = 2, SCENARIOS(e11), .free_rounds = 40);
