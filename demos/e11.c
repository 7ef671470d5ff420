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

/* The drawing as far as it goes: D never wants the hotplug lock. D is held just
 * inside the barrier until U stands at slab_mutex. */
static const struct step harmless_up[] = {
	{ 0, TR_LOCK, the_slab_mutex },	   { 1, TR_HP_BEGIN, the_hotplug_lock },
	{ 0, TR_BARRIER, the_rcu_state },  { 1, TR_CONTEND, the_slab_mutex },
	{ 0, TR_LOCK, the_barrier_mutex }, { -1, TR_NONE, NULL },
};

static const struct step harmless_down[] = {
	{ 0, TR_LOCK, the_slab_mutex },
	{ 1, TR_HP_BEGIN, the_hotplug_lock },
	{ 1, TR_CORE_OFF, the_hotplug_lock },
	{ 0, TR_BARRIER, the_rcu_state },
	{ 1, TR_CONTEND, the_slab_mutex },
	{ 0, TR_LOCK, the_barrier_mutex },
	{ -1, TR_NONE, NULL },
};

static const struct scenario scenarios[] = {
	{
		.part = "E11/E1",
		.about = "E1: refused all the same, by the reference",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.forced.up = drawing_up,
		.forced.down = drawing_down,
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.forced.refused = true,
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.rcu = &rcu_3_6,
		.said.must_see = { "_rcu_barrier__3_6" },
		.world.setup = setup_victim,
	},
	{
		.part = "E11/E2",
		.about = "without the reference: not refused, but harmless",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.forced.up = harmless_up,
		.forced.down = harmless_down,
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__noref,
		.world.rcu = &rcu_3_6,
		.said.must_see = { "_rcu_barrier__3_6" },
		.world.setup = setup_victim,
	},
};

DEMO(11, e11, .id = "E11", .slug = "e11-before",
     .claim = "before 1331e7a1bbe1 there was no cycle to see",
     .tried = { "E1 and E2 with the rcu_barrier() of Linux 3.6, which takes no",
		"hotplug lock and adopts a dead core's callbacks itself." },
     .cores = 2, .scenarios = scenarios, .nr_scenarios = 2, .free_rounds = 40);
