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

/*
 * Kosina's drawing, step by step: D holds slab_mutex; U holds the hotplug lock;
 * D wants the hotplug lock; U wants slab_mutex. Going up U wants it in
 * CPU_UP_PREPARE, the core still off; going down in CPU_DEAD, the core gone (no
 * gate stands before that, so D is held until it has happened).
 */
const struct step drawing_up[] = {
	{ 0, TR_LOCK, the_slab_mutex },
	{ 1, TR_HP_BEGIN, the_hotplug_lock },
	{ 0, TR_CONTEND, the_hotplug_mutex },
	{ 1, TR_CONTEND, the_slab_mutex },
	{ -1, TR_NONE, NULL },
};

const struct step drawing_down[] = {
	{ 0, TR_LOCK, the_slab_mutex },
	{ 1, TR_HP_BEGIN, the_hotplug_lock },
	{ 1, TR_CORE_OFF, the_hotplug_lock },
	{ 0, TR_CONTEND, the_hotplug_mutex },
	{ 1, TR_CONTEND, the_slab_mutex },
	{ -1, TR_NONE, NULL },
};

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
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.said.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
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
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.said.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
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
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.said.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.said.wants = "cpu_hotplug.lock",
		.said.holds = "rcu_sched_state.barrier_mutex",
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
	},
	{
		.part = "E1/drawing",
		.about = "the drawing, with the reference that D holds",
		.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U } },
		.forced.up = drawing_up,
		.forced.down = drawing_down,
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.forced.refused = true,
		.said.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_after_barrier,
	},
};

DEMO(01, e1, .id = "E1", .slug = "e1-bhat",
     .claim = "the reference count keeps U out: no deadlock",
     .tried = { "D destroys an RCU cache as Linux 3.6 did, holding a hotplug",
		"reference; U takes a core up or down. Can the drawing happen?" },
     .cores = 2, .scenarios = e1, .nr_scenarios = ARRAY_SIZE(e1),
     .free_rounds = 100);

/* All three at once: D holds slab_mutex and is about to enter the barrier, B is
 * inside it when U comes; what follows is refused, as in E1. */
const struct step drawing_three[] = {
	{ 0, TR_LOCK, the_slab_mutex },	      { 2, TR_LOCK, the_barrier_mutex },
	{ 1, TR_HP_BEGIN, the_hotplug_lock }, { 2, TR_LOCK, the_hotplug_mutex },
	{ 0, TR_BARRIER, the_rcu_state },     { -1, TR_NONE, NULL },
};

static const struct scenario e1b[] = {
	{
		.about = "the same, with a bare rcu_barrier() beside it",
		.actors = { { "D", ON_D, actor_D },
			    { "U", ON_U, actor_U },
			    { "B", ON_B, actor_B } },
		.forced.up = drawing_three,
		.forced.down = drawing_three,
		.said.outcome = OUT_BIT(OUT_COMPLETES),
		.forced.refused = true,
		.said.lockdep = LOCKDEP_BIT(LOCKDEP_CIRCULAR),
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
	},
};

DEMO(01b, e1b, .id = "E1b", .slug = "e1b-three",
     .claim = "a third one in rcu_barrier() changes nothing",
     .tried = { "E1 with a third thread: B calls rcu_barrier(), as the unmount",
		"in the report did, at the same time as D and U." },
     .cores = 2, .scenarios = e1b, .nr_scenarios = 1, .free_rounds = 100);
