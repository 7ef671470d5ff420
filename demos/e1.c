/*
 * E1, E1b: the code of the thread, references balanced.
 *
 * Kosina (2 October 2012) drew the deadlock in two columns. Bhat (3 October, the
 * mail): it can never happen, because kmem_cache_destroy() wraps all it does in
 * get_online_cpus(), and the writer waits for the reference count to be 0.
 *
 * What lockdep reports depends on the order in which the paths have run, one
 * after another, without any race: whoever closes the ring of slab_mutex,
 * barrier_mutex and cpu_hotplug.lock is reported.
 *
 *   B, U, D  D wants barrier_mutex holding slab_mutex: the report of 2012
 *   B, D, U  U wants slab_mutex holding cpu_hotplug.lock
 *   U, D     D wants cpu_hotplug.lock holding barrier_mutex
 *
 * Then the drawing is tried: the step of U that it needs is refused. Lockdep
 * speaks in all four, and nobody ever waits for ever: a false positive.
 *
 * Negative control: E2, the same without the reference.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/debug/panic.h"
#include "kernel/sched/sched.h"

/* Linux 3.6: slab_mutex is held across rcu_barrier(). */
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

/* "One earlier B": a bare barrier has run before, as the unmount had. */
static int setup_after_barrier(struct stage *st)
{
	rcu_barrier();
	return setup_victim(st);
}

static const struct scenario e1[] = {
	{
		.part = "E1/B-U-D",
		.about = "a bare barrier, then a core, then the destroy",
		.actors = { { "B", ON_B, actor_B },
			    { "U", ON_U, actor_U },
			    { "D", ON_D, actor_D } },
		.forced.in_turn = true,
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.said.wants = "rcu_sched_state.barrier_mutex",
		.said.holds = "slab_mutex",
		.show.report = true,
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
	},
	{
		.part = "E1/B-D-U",
		.about = "a bare barrier, then the destroy, then a core",
		.actors = { { "B", ON_B, actor_B },
			    { "D", ON_D, actor_D },
			    { "U", ON_U, actor_U } },
		.forced.in_turn = true,
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.said.wants = "slab_mutex",
		.said.holds = "cpu_hotplug.lock",
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
	},
	{
		.part = "E1/U-D",
		.about = "no barrier before: a core, then the destroy",
		.actors = { { "U", ON_U, actor_U }, { "D", ON_D, actor_D } },
		.forced.in_turn = true,
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.said.wants = "cpu_hotplug.lock",
		.said.holds = "rcu_sched_state.barrier_mutex",
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
	},
	{
		.part = "E1/drawing",
		.about = "the drawing, with the reference that D holds",
		D_AND_U(actor_D),
		AS_DRAWN,
		.said.outcome = COMPLETES,
		.forced.refused = true,
		.said.lockdep = CIRCULAR,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_after_barrier,
	},
};

DEMO(01, e1, .id = "E1", .slug = "e1-bhat",
     .claim = "the reference count keeps U out: no deadlock",
     .tried = { "D destroys an RCU cache as Linux 3.6 did, holding a hotplug",
		"reference; U takes a core up or down. Can the drawing happen?" },
     .cores = 2, SCENARIOS(e1), .free_rounds = 100);

static const struct scenario e1b[] = {
	{
		.about = "the same, with a bare rcu_barrier() beside it",
		THE_DRAWING_WITH_B(kmem_cache_destroy__3_6),
		.said.outcome = COMPLETES,
		.forced.refused = true,
		.said.lockdep = CIRCULAR,
	},
};

DEMO(01b, e1b, .id = "E1b", .slug = "e1b-three",
     .claim = "a third one in rcu_barrier() changes nothing",
     .tried = { "E1 with a third thread: B calls rcu_barrier(), as the unmount",
		"in the report did, at the same time as D and U." },
     .cores = 2, SCENARIOS(e1b), .free_rounds = 100);
