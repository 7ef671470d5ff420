/*
 * E6: the merged fix: slab_mutex is released before rcu_barrier().
 *
 * McKenney, 3 October 2012, 00:15 UTC, lists a kmem_cache_destroy() that drops
 * slab_mutex early, and asks what the lock would still be needed for. Kosina's patch
 * v1 (3 October 2012, 02:45 +0200) does that: it "obviously removes the deadlock (I
 * tested it)". His v4 (20:35 +0530 as quoted) was merged as 210ed9defffc. It is the
 * kernel's own kmem_cache_destroy() here.
 *
 * With the fix E1 and E1b complete. So does E2: with an early release its function is
 * the same as SLUB's, kmem_cache_destroy__slub(). There is no cycle left, and lockdep
 * is silent. E3 loses its deadlock, but not its leak: with the count at -1 U may still
 * wait for a 0 that never comes (as in E3u).
 *
 * Controls: E1, E1b, E2 and E3 themselves.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

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
		.about = "E1b with the kernel's own kmem_cache_destroy()",
		THE_DRAWING_WITH_B(kmem_cache_destroy),
		.said.outcome = COMPLETES,
		.forced.refused = true,
	},
	{
		.part = "E6/E2",
		.about = "E2 with slab_mutex released early",
		SLUB_ORDER,
		.said.outcome = COMPLETES,
	},
	{
		.part = "E6/E3",
		.about = "E3: no cycle, but U may wait for ever",
		AFTER_A_LEAK(kmem_cache_destroy),
		.world.hotplug = &hotplug_3_6_ops,
		/* U comes after D's last put: the count is -1 again, and
		 * nobody will make it 0. */
		.forced.order = STEPS(D(CACHE_FREE, THE_CACHE),
				      D(PUT_ONLINE, &cpu_hotplug),
				      U(LOCK, &cpu_hotplug.lock)),
		.said.outcome = COMPLETES | STUCK,
		.forced.outcome = STUCK,
	},
};

DEMO(06, e6, .id = "E6", .slug = "e6-merged",
     .claim = "the merged fix leaves no cycle",
     .tried = { "The merged fix (v4) releases slab_mutex before the barrier. E1, E1b",
		"and E3 with the kernel's destroy; E2 with SLUB's, which has no get." },
     .cores = 2, SCENARIOS(e6), .free_rounds = 100);
