/*
 * E11: where the story starts.
 *
 * Until commit 1331e7a1bbe1 rcu_barrier() took no hotplug lock: it looked after
 * dead cores' callbacks itself (_rcu_barrier__3_6, demos/forms/barrier.c). So there was
 * no edge from barrier_mutex to the hotplug lock, and slab_mutex held across the
 * barrier hurt nobody: E1 gives lockdep nothing to say. Even without the
 * reference that refuses U in E1 the drawing is harmless: U gets the hotplug lock
 * and waits for slab_mutex, D's barrier does not wait for U, and U goes on when D
 * is done. It works because RCU's notifier runs before slab's: when U stands at
 * slab_mutex, the dead core's callbacks have been moved already.
 *
 * Control: E1 and E2, the same with the barrier of 1331e7a1bbe1.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* The drawing as far as it goes: D never wants the hotplug lock. D is held just
 * inside the barrier until U stands at slab_mutex. */
static const struct step harmless_up[] =
	STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug),
	      D(BARRIER, &rcu_sched_state), U(CONTEND, &slab_mutex),
	      D(LOCK, &rcu_sched_state.barrier_mutex));

static const struct step harmless_down[] =
	STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug),
	      U(CORE_OFF, &cpu_hotplug), D(BARRIER, &rcu_sched_state),
	      U(CONTEND, &slab_mutex), D(LOCK, &rcu_sched_state.barrier_mutex));

static const struct scenario e11[] = {
	{
		.part = "E11/E1",
		.about = "E1: refused all the same, by the reference",
		THE_DRAWING(kmem_cache_destroy__3_6),
		.said.outcome = COMPLETES,
		.forced.refused = true,
		.world.rcu = &rcu_3_6,
	},
	{
		.part = "E11/E2",
		.about = "without the reference: not refused, but harmless",
		D_AND_U(actor_D),
		.forced.order = harmless_up,
		.forced.down = harmless_down,
		.said.outcome = COMPLETES,
		.world.destroy = kmem_cache_destroy__noref,
		.world.rcu = &rcu_3_6,
		.world.setup = setup_victim,
	},
};

DEMO(11, e11, .id = "E11", .slug = "e11-before",
     .claim = "before 1331e7a1bbe1 there was no cycle to see",
     .tried = { "E1 and E2 with the rcu_barrier() of Linux 3.6, which takes no",
		"hotplug lock and adopts a dead core's callbacks itself." },
     .cores = 2, SCENARIOS(e11), .free_rounds = 40);
