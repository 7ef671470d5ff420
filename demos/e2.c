/*
 * E2, E2s: Kosina's drawing made real.
 *
 * Kosina, 3 October 2012, 01:48 +0200 (and again in the changelog of his patch v1,
 * 02:45 +0200) draws the deadlock in two columns: D is in kmem_cache_destroy() and
 * holds slab_mutex, U is in _cpu_up() and holds cpu_hotplug.lock, and each of them
 * wants the lock of the other.
 *
 * E2 is E1 without the hotplug reference that kmem_cache_destroy() holds. Then
 * nothing keeps U out, and the drawing deadlocks. No release had this code: SLUB,
 * which took no reference, released slab_mutex before the barrier.
 *
 * E2s, the control, has SLUB's order: no reference either, but slab_mutex is
 * released before rcu_barrier(). There is no cycle.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* Linux 3.6 without the hotplug reference. */
story void kmem_cache_destroy__noref(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());
	cache_destroy_enter(s, CALLER);

	mutex_lock(&slab_mutex);
	kmem_cache_unlink(s);
	if (__cache_shrink(s)) {
		slab_error(s, "Can't free all objects");
		kmem_cache_relink(s);
		mutex_unlock(&slab_mutex);
		cache_destroy_leave(s, CALLER);
		return;
	}

	if (unlikely(kmem_cache_is_rcu(s)))
		rcu_barrier();

	__kmem_cache_destroy(s);
	mutex_unlock(&slab_mutex);
	cache_destroy_leave(s, CALLER);
}

/* SLUB's order: no reference, and slab_mutex is released before rcu_barrier(). */
story void kmem_cache_destroy__slub(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());
	cache_destroy_enter(s, CALLER);

	mutex_lock(&slab_mutex);
	kmem_cache_unlink(s);
	if (__cache_shrink(s)) {
		slab_error(s, "Can't free all objects");
		kmem_cache_relink(s);
		mutex_unlock(&slab_mutex);
		cache_destroy_leave(s, CALLER);
		return;
	}
	mutex_unlock(&slab_mutex);

	if (unlikely(kmem_cache_is_rcu(s)))
		rcu_barrier();

	__kmem_cache_destroy(s);
	cache_destroy_leave(s, CALLER);
}

static const struct scenario e2[] = {
	{
		.about = "the drawing, without the reference",
		THE_DRAWING(kmem_cache_destroy__noref),
		.said.outcome = DEADLOCK,
		.said.lockdep = CIRCULAR,
		.free.until_found = true,
	},
};

DEMO(02, e2, .id = "E2", .slug = "e2-kosina",
     .claim = "without the reference the drawing deadlocks",
     .tried = { "E1 without D's get_online_cpus(), so nothing keeps U out. This is",
		"exactly what Kosina drew (no release had this code)." },
     .cores = 2, SCENARIOS(e2), .free_rounds = 20000);

static const struct scenario e2s[] = {
	{
		.about = "slab_mutex is released before rcu_barrier()",
		SLUB_ORDER,
		.said.outcome = COMPLETES,
	},
};

DEMO(02s, e2s, .id = "E2s", .slug = "e2s-slub",
     .claim = "SLUB takes no reference, and its order has no cycle",
     .tried = { "E2 with slab_mutex released before rcu_barrier(), as in SLUB: D",
		"waits for U, but U never waits for D." },
     .cores = 2, SCENARIOS(e2s), .free_rounds = 100);
