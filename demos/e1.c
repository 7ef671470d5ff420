/*
 * E1, E1b: the code of Linux 3.6, with balanced references.
 *
 * Kosina, 2 October 2012, opening mail: lockdep reports a circular dependency of
 * slab_mutex, barrier_mutex and cpu_hotplug.lock. Bhat, 3 October 2012, 09:20
 * +0530: the deadlock that Kosina drew "should *never* happen". The reason is that
 * kmem_cache_destroy() holds a hotplug reference from its beginning to its end,
 * and the writer waits until the reference count is 0.
 *
 * The first three parts run the paths one after another, without any race. Which
 * report comes depends on their order: lockdep reports the path that closes the
 * ring of the three locks.
 *
 *   B, U, D  D holds slab_mutex and locks barrier_mutex: the report of 2012
 *   B, D, U  U holds cpu_hotplug.lock and locks slab_mutex
 *   U, D     D holds barrier_mutex and locks cpu_hotplug.lock
 *
 * E1/drawing then forces Kosina's drawing, and the step that U needs is refused.
 * Lockdep reports a cycle in all four parts, but no thread waits for ever: a
 * false positive. E1b adds B in a bare rcu_barrier(). In the report of 2012, a
 * thread that unmounted a file system called it.
 *
 * Control: E2, the same function without the reference.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* The function of Linux 3.6: slab_mutex is held across rcu_barrier(). */
story void kmem_cache_destroy__3_6(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());
	cache_destroy_enter(s, CALLER);

	get_online_cpus();
	mutex_lock(&slab_mutex);
	kmem_cache_unlink(s);
	if (__cache_shrink(s)) {
		slab_error(s, "Can't free all objects");
		kmem_cache_relink(s);
		mutex_unlock(&slab_mutex);
		put_online_cpus();
		cache_destroy_leave(s, CALLER);
		return;
	}

	if (unlikely(kmem_cache_is_rcu(s)))
		rcu_barrier();

	__kmem_cache_destroy(s);
	mutex_unlock(&slab_mutex);
	put_online_cpus();
	cache_destroy_leave(s, CALLER);
}

/* Call rcu_barrier() before the round, with no lock held. In the report of 2012 an
 * unmount had called it in this way. */
static int setup_after_barrier(struct stage *st)
{
	rcu_barrier();
	return setup_victim(st);
}

/* The actors run one after another. Lockdep's report must name the pair of locks that
 * the part gives. */
#define IN_TURN                                                                \
	.world.destroy = kmem_cache_destroy__3_6, .world.setup = setup_victim, \
	.world.toggles = true, .forced.in_turn = true,                         \
	.said.outcome = COMPLETES, .said.lockdep = CIRCULAR

static const struct scenario e1[] = {
	{
		.part = "E1/B-U-D",
		.about = "a bare barrier, then a core, then the destroy",
		.actors = { { "B", ON_B, actor_B },
			    { "U", ON_U, actor_U },
			    { "D", ON_D, actor_D } },
		IN_TURN,
		.said.wants = "rcu_sched_state.barrier_mutex",
		.said.holds = "slab_mutex",
	},
	{
		.part = "E1/B-D-U",
		.about = "a bare barrier, then the destroy, then a core",
		.actors = { { "B", ON_B, actor_B },
			    { "D", ON_D, actor_D },
			    { "U", ON_U, actor_U } },
		IN_TURN,
		.said.wants = "slab_mutex",
		.said.holds = "cpu_hotplug.lock",
	},
	{
		.part = "E1/U-D",
		.about = "no barrier before: a core, then the destroy",
		.actors = { { "U", ON_U, actor_U }, { "D", ON_D, actor_D } },
		IN_TURN,
		.said.wants = "cpu_hotplug.lock",
		.said.holds = "rcu_sched_state.barrier_mutex",
	},
	{
		.part = "E1/drawing",
		.about = "the drawing, while D holds its reference",
		D_AND_U(actor_D),
		AS_DRAWN,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_after_barrier,
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.forced.refused = true,
	},
};

DEMO(01, e1, .id = "E1", .slug = "e1-bhat",
     .claim = "the reference count keeps U out: no deadlock",
     .tried = { "D destroys an RCU cache as Linux 3.6 did, holding a hotplug",
		"reference; U takes a core up or down. Can the drawing happen?" },
     .cores = 2, SCENARIOS(e1), .free_rounds = 100);

static const struct scenario e1b[] = {
	{
		.about = "E1 with B in a bare rcu_barrier()",
		THE_DRAWING_WITH_B(kmem_cache_destroy__3_6),
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.forced.refused = true,
	},
};

DEMO(01b, e1b, .id = "E1b", .slug = "e1b-three",
     .claim = "a third thread in rcu_barrier() changes nothing",
     .tried = { "E1 with a third thread: B calls rcu_barrier() at the same time as",
		"D and U, as the unmount of the report did." },
     .cores = 2, SCENARIOS(e1b), .free_rounds = 100);
