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
#include "demos/forms/forms.h"

/* The drawing as far as it goes: D has dropped slab_mutex, U gets it. */
static const struct step fixed_noref[] =
	STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug),
	      D(CONTEND, &cpu_hotplug.lock), U(LOCK, &slab_mutex));

/* E3u: U comes when D has given back its last reference: the count is -1 again,
 * and nobody will make it 0. */
static const struct step too_late[] = STEPS(D(CACHE_FREE, THE_CACHE),
					    D(PUT_ONLINE, &cpu_hotplug),
					    U(LOCK, &cpu_hotplug.lock));

static const struct scenario e6[] = {
	{
		.part = "E6/E1",
		.about = "E1 with the kernel's own kmem_cache_destroy()",
		THE_DRAWING(kmem_cache_destroy),
		.said.outcome = COMPLETES,
		.forced.refused = true,
	},
	{
		.part = "E6/E1b",
		.about = "E1b with it: a bare rcu_barrier() beside them",
		THE_DRAWING_WITH_B(kmem_cache_destroy),
		.said.outcome = COMPLETES,
		.forced.refused = true,
	},
	{
		.part = "E6/E2",
		.about = "E2 with slab_mutex released early",
		D_AND_U(actor_D),
		.forced.order = fixed_noref,
		.said.outcome = COMPLETES,
		.world.destroy = kmem_cache_destroy__slub,
		.world.setup = setup_victim,
	},
	{
		.part = "E6/E3",
		.about = "E3 with it: no cycle, yet U may wait for ever",
		AFTER_A_LEAK(kmem_cache_destroy),
		.forced.order = too_late,
		.said.outcome = COMPLETES | STUCK,
		.forced.outcome = STUCK,
		.world.hotplug = &hotplug_3_6_ops,
	},
};

DEMO(06, e6, .id = "E6", .slug = "e6-merged",
     .claim = "the merged fix leaves no cycle",
     .tried = { "The merged fix (v4): slab_mutex is released before the",
		"barrier. E1, E1b and E3 with the kernel's destroy; E2 less its get." },
     .cores = 2, SCENARIOS(e6), .free_rounds = 100);
