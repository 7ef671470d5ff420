/*
 * E6: the merged fix (v4, Linux 210ed9defffc), which is the kernel's own
 * kmem_cache_destroy(): slab_mutex is released before rcu_barrier().
 *
 * McKenney (2 October 2012, quoted in the mail) asks "Why can't
 * kmem_cache_destroy drop slab_mutex early?" and lists it, lock for lock. Kosina
 * made that his patch v1 (in the mail too): it "obviously removes the deadlock (I
 * tested it)". v4 is what was merged.
 *
 * With it E1 and E1b complete, and so does E2 (the same order without the
 * reference is SLUB's, kmem_cache_destroy__slub): there is no cycle left, and
 * lockdep has nothing to say. E3 loses its deadlock too, but not its leak: with
 * the count at -1 U may still wait for a 0 that never comes (E3u). Control: E1,
 * E1b, E2 and E3 themselves.
 */
#include "lab/experiment.h"

/* The drawing as far as it goes: D has dropped slab_mutex, U gets it. */
static const struct step fixed_noref[] = {
	{ 0, TR_LOCK, the_slab_mutex },
	{ 1, TR_HP_BEGIN, the_hotplug_lock },
	{ 0, TR_CONTEND, the_hotplug_mutex },
	{ 1, TR_LOCK, the_slab_mutex },
	{ -1, TR_NONE, NULL },
};

/* E3u: U comes when D has given back its last reference: the count is -1 again,
 * and nobody will make it 0. */
static const struct step too_late[] = {
	{ 0, TR_CACHE_FREE, the_cache },
	{ 0, TR_PUT_ONLINE, the_hotplug_lock },
	{ 1, TR_LOCK, the_hotplug_mutex },
	{ -1, TR_NONE, NULL },
};

static const struct scenario scenarios[] = {
	{
		.part = "E6/E1",
		.about = "E1 with the kernel's own kmem_cache_destroy()",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.forced.up = drawing_up,
		.forced.down = drawing_down,
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.forced.refused = true,
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy,
		.world.setup = setup_victim,
	},
	{
		.part = "E6/E1b",
		.about = "E1b with it: a bare rcu_barrier() beside them",
		.actors = { { "D", ON_D, actor_D },
			    { "U", ON_U, actor_U },
			    { "B", ON_B, actor_B } },
		.forced.up = drawing_three,
		.forced.down = drawing_three,
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.forced.refused = true,
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy,
		.world.setup = setup_victim,
	},
	{
		.part = "E6/E2",
		.about = "E2 with slab_mutex released early",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.forced.up = fixed_noref,
		.forced.down = fixed_noref,
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__slub,
		.world.setup = setup_victim,
	},
	{
		.part = "E6/E3",
		.about = "E3 with it: no cycle, yet U may wait for ever",
		.actors = { { "D", ON_D, actor_D_leaks },
			    { "U", ON_U, actor_U } },
		.forced.up = too_late,
		.forced.down = too_late,
		.said.outcome = OUT_BIT(OUT_COMPLETES) | OUT_BIT(OUT_STUCK),
		.forced.outcome = OUT_BIT(OUT_STUCK),
		.world.toggles = true,
		.said.must_see = { "put_online_cpus__3_6" },
		.world.hotplug = &hotplug_3_6_ops,
		.world.destroy = kmem_cache_destroy,
		.world.leaks = true,
		.world.setup = setup_leak,
		.world.teardown = teardown_refs,
	},
};

DEMO(06, e6, .id = "E6", .slug = "e6-merged",
     .claim = "the merged fix leaves no cycle",
     .tried = { "The merged fix (v4): slab_mutex is released before the",
		"barrier. E1, E1b and E3 with the kernel's destroy; E2 less its get." },
     .cores = 2, .scenarios = scenarios, .nr_scenarios = 4, .free_rounds = 100);
