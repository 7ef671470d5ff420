/*
 * E4, E4x, E4g: wrong counts that the merged check does not see.
 *
 * Bhat's debug patch B (3 October 2012, 04:24 EST) and the merged form (his mail of
 * 4 October 2012, 11:46 +0530) test whether the count is 0 when a reference is
 * given back. Suppose that L gives back a reference that it never took, while D
 * holds its own: the count goes from 1 to 0, the check finds nothing wrong, and U
 * gets in while D is inside. That is E3's deadlock, without any warning. If U comes
 * late instead, D gives back its own reference, and the check reports D, although D is
 * innocent. No mail says this; it follows from the code.
 *
 * E4x counts references per thread, with a lockdep map beside the counter (Linux
 * added such a map in 2014, a19423b98704, so that lockdep sees the lock at all).
 * L's put has no get: lockdep reports the put at once, and the count stays as it is.
 *
 * E4g is the opposite of a leak: G takes a reference and ends without giving it back.
 * The counter does not know which thread took the reference. If references are counted
 * per thread, lockdep finds this reference when G ends.
 *
 * Controls: E1 (no leak), E3d (L leaks while nobody holds a reference, and the check
 * names it), E4x for E4, and E4g/given-back for E4g.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/explore/gates.h"

#define L_ACTOR 2
#define LOOK_NS 100000ull /* between two looks at whether D has ended */

static bool d_has_ended(void *arg)
{
	const struct stage *st = arg;

	return worker_ended(&st->worker[D_ACTOR]);
}

static bool d_holds_a_reference(const struct stage *st)
{
	return READ_ONCE(st->refs[D_ACTOR]) > 0;
}

static bool d_holds_a_reference_or_has_ended(void *arg)
{
	return d_holds_a_reference(arg) || d_has_ended(arg);
}

/* Wait until D holds its reference or has ended. Returns whether D holds it. */
static bool wait_for_d(struct stage *st)
{
	if (!explore_await())
		while (!d_holds_a_reference_or_has_ended(st))
			yield();
	return d_holds_a_reference(st);
}

/* L leaks while D holds a reference. */
static void actor_L(struct stage *st)
{
	if (wait_for_d(st))
		leak_a_reference();
	else
		WRITE_ONCE(st->missed, true);
}

/*
 * Note if L leaks too late, after D has given its reference back. Such a round
 * is a round of E3, and the check is right to blame L. What is noted here stays
 * true, because the count does not change while L holds cpu_hotplug.lock.
 */
static void listen_for_l(struct stage *st, int actor,
			 const struct trace_event *e)
{
	if (actor == L_ACTOR && e->op == TR_LOCK &&
	    e->obj == &cpu_hotplug.lock && st->refs[D_ACTOR] <= 0)
		WRITE_ONCE(st->missed, true);
}

/* U comes while D holds a reference. U waits until the count is 0, which happens when
 * L gives this reference back. */
static void actor_U_soon(struct stage *st)
{
	wait_for_d(st);
	actor_U(st);
}

/* U comes when D has ended or died. In a forced round the script says when. */
static void actor_U_late(struct stage *st)
{
	if (!explore_await())
		while (!st->forced && !d_has_ended(st))
			sleep_ns(LOOK_NS);
	actor_U(st);
}

/* If a BUG ended D, D was in its last put, and had freed the cache before. */
static void teardown_e4(struct stage *st)
{
	if (st->worker[D_ACTOR].thread->bug)
		st->cache = NULL;
	teardown_refs(st);
}

/* D holds its reference, and L gives it back. */
#define D_THEN_L                                                               \
	D(LOCK, &slab_mutex), L(LOCK, &cpu_hotplug.lock),                      \
		L(PUT_ONLINE, &cpu_hotplug)
/* D has freed the cache, and is at its last put. */
#define UNTIL_LAST_PUT                                                         \
	D_THEN_L, D(LOCK, &rcu_sched_state.barrier_mutex),                     \
		D(CACHE_FREE, THE_CACHE), D(LOCK, &cpu_hotplug.lock)

#define D_U_AND_L(u, u_awaits)                                                 \
	.actors = { { "D", ON_D, actor_D },                                    \
		    { "U", ON_U, (u), .awaits = (u_awaits) },                  \
		    { "L", ON_B, actor_L,                                      \
		      .awaits = d_holds_a_reference_or_has_ended } },          \
	.world.toggles = true, .world.destroy = kmem_cache_destroy__3_6,       \
	.world.setup = setup_victim, .world.listen = listen_for_l,             \
	.world.teardown = teardown_e4, .free.until_found = true,               \
	.said.lockdep = CIRCULAR,                                              \
	.said.culprit = "kmem_cache_destroy__3_6" /* D, which is innocent */

/* U comes after L's leak and before D's barrier; the rest is Kosina's drawing. Free
 * rounds need three cores: with two, U cannot run between D's get and D's barrier. */
#define U_SOON                                                                 \
	.world.leaks = true, .free.cores = 3, .forced.outcome = DEADLOCK,      \
	.forced.order = STEPS(D_THEN_L, U(HP_BEGIN, &cpu_hotplug),             \
			      D(CONTEND, &cpu_hotplug.lock),                   \
			      U(CONTEND, &slab_mutex)),                        \
	.forced.down = STEPS(D_THEN_L, U(HP_BEGIN, &cpu_hotplug),              \
			     U(CORE_OFF, &cpu_hotplug),                        \
			     D(CONTEND, &cpu_hotplug.lock),                    \
			     U(CONTEND, &slab_mutex)),                         \
	D_U_AND_L(actor_U_soon, d_holds_a_reference_or_has_ended)

static const struct scenario e4[] = {
	{
		.part = "E4/patch-b",
		.about = "debug patch B; U comes between L and D's barrier",
		U_SOON,
		.world.hotplug = &hotplug_bhat_b_ops,
		.said.outcome = DEADLOCK | BUG, /* BUG if U comes late */
	},
	{
		.part = "E4/final",
		.about = "the merged check; U comes between L and D's barrier",
		U_SOON,
		.said.outcome = DEADLOCK | WARN, /* WARN if U comes late */
	},
	{
		.part = "E4/late-b",
		.about = "debug patch B; U comes late: the BUG hits D",
		D_U_AND_L(actor_U_late, d_has_ended),
		.world.hotplug = &hotplug_bhat_b_ops,
		.world.leaks = true,
		.forced.order =
			STEPS(UNTIL_LAST_PUT, U(CONTEND, &cpu_hotplug.lock)),
		.said.outcome = BUG,
		.free.rounds = 1000,
		.free.apart = true,
	},
	{
		.part = "E4/late-final",
		.about = "the merged check; U comes late: the warning names D",
		D_U_AND_L(actor_U_late, d_has_ended),
		.forced.order =
			STEPS(UNTIL_LAST_PUT, U(HP_BEGIN, &cpu_hotplug)),
		.said.outcome = WARN,
		.free.rounds = 1000,
		.free.apart = true,
	},
};

DEMO(04, e4, .id = "E4", .slug = "e4-unseen",
     .claim = "the merged check misses a leak that takes the count to 0",
     .tried = { "L gives back a reference that it never took, while D holds one. The",
		"check must find nothing wrong; if U comes late, it must blame D." },
     .cores = 2, SCENARIOS(e4), .free_rounds = 20000);

/* ---- E4x, E4g: counted per thread ---------------------------------------- */

#if GORDIAN_DEBUG

/*
 * The counter with a lockdep map beside it. A reference is a recursive read lock,
 * held by the thread that took it.
 */
static struct lockdep_map cpu_hotplug_map = LOCKDEP_MAP_INIT("cpu_hotplug");

static story void get_online_cpus__counted(void)
{
	saw(__func__);
	if (READ_ONCE(cpu_hotplug.active_writer) == current)
		return;
	lock_map_acquire_read(&cpu_hotplug_map);
	mutex_lock(&cpu_hotplug.lock);
	cpu_hotplug_count(1, CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

static story void put_online_cpus__counted(void)
{
	if (READ_ONCE(cpu_hotplug.active_writer) == current)
		return;
	if (!lock_map_release(&cpu_hotplug_map))
		return; /* no reference to give back: lockdep has reported it */
	mutex_lock(&cpu_hotplug.lock);
	if (WARN_ON(cpu_hotplug.refcount == 0))
		cpu_hotplug_count(1, CALLER);
	if (cpu_hotplug_count(-1, CALLER) == 0)
		cpu_hotplug_wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

static story void cpu_hotplug_begin__counted(void)
{
	lock_map_acquire(&cpu_hotplug_map);
	cpu_hotplug_begin__counter();
}

static story void cpu_hotplug_done__counted(void)
{
	cpu_hotplug_done__counter();
	(void)lock_map_release(&cpu_hotplug_map);
}

static bool held__counted(void)
{
	return lock_is_held(&cpu_hotplug_map);
}

static const struct hotplug_lock_ops hotplug_counted_ops = {
	.name = "get_online_cpus__counted",
	.get = get_online_cpus__counted,
	.put = put_online_cpus__counted,
	.begin = cpu_hotplug_begin__counted,
	.done = cpu_hotplug_done__counted,
	.held = held__counted,
};
#define COUNTED_OPS (&hotplug_counted_ops)
#else
#define COUNTED_OPS NULL /* needs_lockdep */
#endif

/* L leaks whether or not D still holds a reference. (L itself has none.) */
static void actor_L_anyway(struct stage *st)
{
	wait_for_d(st);
	leak_a_reference();
}

static const struct scenario e4x[] = {
	{
		.about = "E4 with the references counted per thread",
		.needs_lockdep = true,
		.actors = { { "D", ON_D, actor_D },
			    { "U", ON_U, actor_U_soon,
			      .awaits = d_holds_a_reference_or_has_ended },
			    { "L", ON_B, actor_L_anyway,
			      .awaits = d_holds_a_reference_or_has_ended } },
		AS_DRAWN,
		.world.toggles = true,
		.world.hotplug = COUNTED_OPS,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
		.world.teardown = teardown_victim,
		.said.outcome = COMPLETES,
		.said.lockdep = UNBALANCED | CIRCULAR,
		.forced.refused = true,
	},
};

DEMO(04x, e4x, .id = "E4x", .slug = "e4x-counted",
     .claim = "a count per thread finds the leak in L, at once",
     .tried = { "E4 with a lockdep map beside the counter, as in 2014. L gives back a",
		"reference too many. Lockdep must name L, and nothing is counted." },
     .cores = 2, SCENARIOS(e4x), .free_rounds = 40);

#define G_ACTOR 0

/* Called by the thread that plays G and then ends: take a reference. The steps of this
 * thread are shown in G's column. */
static void take_as_g(struct stage *st)
{
	WRITE_ONCE(st->worker[G_ACTOR].id, current->id);
	current->traced = true;
	current->gated = st->forced;
	if (st->explored)
		explore_become(G_ACTOR);
	get_online_cpus();
}

static int take_and_keep(void *arg)
{
	take_as_g(arg);
	return 0;
}

static int take_and_give_back(void *arg)
{
	take_as_g(arg);
	put_online_cpus();
	return 0;
}

/* Called by G's worker: run fn() in a new thread. While the new thread runs, it is the
 * actor G. After it has ended, the worker is G again. */
static void run_as_g(struct stage *st, int (*fn)(void *))
{
	struct thread *t = thread_create("G", fn, st, PRIO_NORMAL,
					 cpumask_of(st->worker[G_ACTOR].cpu));

	if (WARN_ON(!t))
		return;
	thread_get(t); /* the explorer reads t after its end */
	thread_join(t);
	if (st->explored)
		explore_become(G_ACTOR);
	thread_put(t);
}

static void actor_G(struct stage *st)
{
	run_as_g(st, take_and_keep);
}

static void actor_G_gives_back(struct stage *st)
{
	run_as_g(st, take_and_give_back);
}

/* U waits for the reference that G took. */
#define U_WAITS_FOR_G                                                          \
	BY("G", GET_ONLINE, &cpu_hotplug), U(LOCK, &cpu_hotplug.lock),         \
		U(HP_WAIT, &cpu_hotplug)

#define G_AND_U(g)                                                             \
	.actors = { { "G", ON_D, (g) }, { "U", ON_U, actor_U } },              \
	.world.toggles = true, .world.setup = setup_core,                      \
	.world.teardown = teardown_refs, .free.apart = true

/* If U comes before G in a free round, the round completes. On one core U and G
 * rarely meet, so free rounds need three cores. */
#define KEPT                                                                   \
	.world.leaks = true, .said.outcome = STUCK, .free.until_found = true,  \
	.free.cores = 3, .forced.order = STEPS(U_WAITS_FOR_G),                 \
	G_AND_U(actor_G)

static const struct scenario e4g[] = {
	{
		.part = "E4g/counter",
		.about = "the counter does not know which threads hold it",
		KEPT,
	},
	{
		.part = "E4g/counted",
		.about = "counted per thread: held when the thread ends",
		.needs_lockdep = true,
		KEPT,
		.world.hotplug = COUNTED_OPS,
		.said.lockdep = HELD_AT_END,
	},
	{
		.part = "E4g/given-back",
		.about = "control: G gives it back before it ends",
		G_AND_U(actor_G_gives_back),
		/* U waits, and goes on when G has given the reference back. */
		.forced.order = STEPS(U_WAITS_FOR_G,
				      BY("G", LOCK, &cpu_hotplug.lock),
				      BY("G", PUT_ONLINE, &cpu_hotplug),
				      U(HP_BEGIN, &cpu_hotplug)),
		.said.outcome = COMPLETES,
		.free.rounds = 40,
	},
};

DEMO(04g, e4g, .id = "E4g", .slug = "e4g-kept",
     .claim = "a thread ends and keeps its reference: U waits for ever",
     .tried = { "G takes a hotplug reference and ends. If U begins after that, it",
		"waits for ever. Only a count per thread knows the thread." },
     .cores = 2, SCENARIOS(e4g), .free_rounds = 1000);
