/*
 * E2, E2s: Kosina's drawing made real.
 *
 * Kosina (3 October 2012, 01:48, and in the changelog of his patch v1; both are
 * quoted in the mail) draws D in kmem_cache_destroy() with slab_mutex held, U in
 * _cpu_up() with cpu_hotplug.lock held, and each wanting the other's.
 *
 * E2 is E1 without the reference that kmem_cache_destroy() takes around itself:
 * then nothing keeps U out, and the drawing happens. No release ever had this
 * code (SLUB, which took no reference, dropped slab_mutex first): it is the
 * drawing taken at its word.
 *
 * E2s, the control, is SLUB's order: no reference either, but slab_mutex is
 * released before rcu_barrier(). No cycle.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/debug/panic.h"
#include "kernel/sched/sched.h"

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
		.free.until_found = true,
		.said.lockdep = CIRCULAR,
		.show.waits = true,
	},
};

DEMO(02, e2, .id = "E2", .slug = "e2-kosina",
     .claim = "without the reference the drawing deadlocks",
     .tried = { "E1 without D's get_online_cpus(): Kosina's drawing taken at",
		"its word (no release had this code). Nothing keeps U out now." },
     .cores = 2, SCENARIOS(e2), .free_rounds = 20000);

/* D has dropped slab_mutex when it waits for U, so U gets it. */
static const struct step past_up[] =
	STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug),
	      D(CONTEND, &cpu_hotplug.lock), U(LOCK, &slab_mutex));

static const struct scenario e2s[] = {
	{
		.about = "slab_mutex is released before rcu_barrier()",
		D_AND_U(actor_D),
		.forced.order = past_up,
		.said.outcome = COMPLETES,
		.world.destroy = kmem_cache_destroy__slub,
		.world.setup = setup_victim,
	},
};

DEMO(02s, e2s, .id = "E2s", .slug = "e2s-slub",
     .claim = "SLUB's order: no reference, no cycle either",
     .tried = { "E2 with slab_mutex released before rcu_barrier(), as SLUB had",
		"it: D waits for U, but U never waits for D." },
     .cores = 2, SCENARIOS(e2s), .free_rounds = 100);
