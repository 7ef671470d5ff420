/*
 * E4, E4x, E4g: what the merged check does not see.
 *
 * Bhat's debug patch and the form that was merged (075663d19885) look whether
 * the count is 0 when a reference is given back. If L gives one back that it
 * never took while D holds its own, the count goes from 1 to 0: the check is
 * content, and U walks in on D. That is E3's deadlock, without a word. If U
 * comes late, the check speaks at last, when D gives back what is its own: it
 * blames the innocent. Nobody said so in the thread; it follows from the code.
 *
 * E4x counts references per thread, by a lockdep map beside the counter (what
 * Linux did in 2014, a19423b98704, to have lockdep see the lock at all). Then
 * the put that has no get is found in L, at once, and does not count.
 *
 * E4g is the opposite leak: G takes a reference and ends. The counter does not
 * know who took it; counted per thread, G's end is where it is found.
 *
 * Controls: E1 (nobody leaks), E3d (L leaks while nobody holds a reference, and
 * the check names it), and E4x for E4.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/gates.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define L_ACTOR 2

static bool d_has_ended(const struct stage *st)
{
	return worker_ended(&st->worker[D_ACTOR]);
}

static bool d_holds_one(const struct stage *st)
{
	return READ_ONCE(st->refs[D_ACTOR]) > 0;
}

static bool d_is_there_or_gone(void *arg)
{
	return d_holds_one(arg) || d_has_ended(arg);
}

static bool d_is_gone(void *arg)
{
	return d_has_ended(arg);
}

/* Until D holds its reference; or false, if D is done already. */
static bool wait_for_d(struct stage *st)
{
	if (!explore_await(d_is_there_or_gone, st, &cpu_hotplug))
		while (!d_is_there_or_gone(st))
			yield();
	return d_holds_one(st);
}

/* At the wrong moment: while D holds a reference. */
static void actor_L(struct stage *st)
{
	if (wait_for_d(st))
		leak_a_reference();
	else
		WRITE_ONCE(st->missed, true);
}

/*
 * L looks, and then it leaks: it may be late, and then this is E3, and the check
 * right to blame it. With cpu_hotplug.lock in L's hand the count does not move.
 */
static void listen_for_l(struct stage *st, int actor,
			 const struct trace_event *e)
{
	if (actor == L_ACTOR && e->op == TR_LOCK &&
	    e->obj == &cpu_hotplug.lock && st->refs[D_ACTOR] <= 0)
		WRITE_ONCE(st->missed, true);
}

/* U at that moment too. It waits for the reference, until L takes that off. */
static void actor_U_soon(struct stage *st)
{
	wait_for_d(st);
	actor_U(st);
}

/* U when D has given back everything, or died of it; forced, the script says
 * when. */
static void actor_U_late(struct stage *st)
{
	if (!explore_await(d_is_gone, st, &cpu_hotplug))
		while (!st->forced && !d_has_ended(st))
			sleep_ns(100000);
	actor_U(st);
}

/* A D that died of its last put had freed the cache before. */
static void teardown_e4(struct stage *st)
{
	if (st->worker[D_ACTOR].thread->bug)
		st->cache = NULL;
	teardown_refs(st);
}

/* D has its reference; L gives it back; the rest is Kosina's drawing. */
#define D_THEN_L                                                               \
	D(LOCK, &slab_mutex), L(LOCK, &cpu_hotplug.lock),                      \
		L(PUT_ONLINE, &cpu_hotplug)

static const struct step drawing_with_l_up[] =
	STEPS(D_THEN_L, U(HP_BEGIN, &cpu_hotplug),
	      D(CONTEND, &cpu_hotplug.lock), U(CONTEND, &slab_mutex));

static const struct step drawing_with_l_down[] =
	STEPS(D_THEN_L, U(HP_BEGIN, &cpu_hotplug), U(CORE_OFF, &cpu_hotplug),
	      D(CONTEND, &cpu_hotplug.lock), U(CONTEND, &slab_mutex));

/* D is at its last put when U comes. */
static const struct step late_after_bug[] =
	STEPS(D_THEN_L, D(LOCK, &rcu_sched_state.barrier_mutex),
	      D(CACHE_FREE, THE_CACHE), D(LOCK, &cpu_hotplug.lock),
	      U(CONTEND, &cpu_hotplug.lock));

static const struct step late_after_warning[] =
	STEPS(D_THEN_L, D(LOCK, &rcu_sched_state.barrier_mutex),
	      D(CACHE_FREE, THE_CACHE), D(LOCK, &cpu_hotplug.lock),
	      U(HP_BEGIN, &cpu_hotplug));

#define D_U_L(u)                                                               \
	{                                                                      \
		{ "D", ON_D, actor_D }, { "U", ON_U, (u) },                    \
		{                                                              \
			"L", ON_B, actor_L                                     \
		}                                                              \
	}

static const struct scenario e4[] = {
	{
		.part = "E4/patch-b",
		.about = "the mail's patch; U comes between L and D's barrier",
		.actors = D_U_L(actor_U_soon),
		.forced.order = drawing_with_l_up,
		.forced.down = drawing_with_l_down,
		/* A U that comes late is the other part's business. */
		.said.outcome = DEADLOCK | BUG,
		.forced.outcome = DEADLOCK,
		.free.until_found = true,
		/* On one core nobody gets between D's get and its barrier. */
		.free.cores = 3,
		.world.toggles = true,
		.said.lockdep = CIRCULAR,
		.said.culprit = "kmem_cache_destroy__3_6",
		.world.hotplug = &hotplug_bhat_b_ops,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.leaks = true,
		.world.setup = setup_victim,
		.world.listen = listen_for_l,
		.world.teardown = teardown_e4,
	},
	{
		.part = "E4/final",
		.about = "the merged check; U comes between L and D's barrier",
		.actors = D_U_L(actor_U_soon),
		.forced.order = drawing_with_l_up,
		.forced.down = drawing_with_l_down,
		.said.outcome = DEADLOCK | WARN,
		.forced.outcome = DEADLOCK,
		.free.until_found = true,
		/* On one core nobody gets between D's get and its barrier. */
		.free.cores = 3,
		.world.toggles = true,
		.said.lockdep = CIRCULAR,
		.said.culprit = "kmem_cache_destroy__3_6",
		.world.destroy = kmem_cache_destroy__3_6,
		.world.leaks = true,
		.world.setup = setup_victim,
		.world.listen = listen_for_l,
		.world.teardown = teardown_e4,
	},
	{
		.part = "E4/late-b",
		.about = "the mail's patch; U comes late: the BUG is D's",
		.actors = D_U_L(actor_U_late),
		.forced.order = late_after_bug,
		.said.outcome = BUG,
		.free.until_found = true,
		.free.rounds = 1000,
		.world.toggles = true,
		.free.apart = true,
		.said.lockdep = CIRCULAR,
		.said.culprit = "kmem_cache_destroy__3_6", /* the innocent */
		.world.hotplug = &hotplug_bhat_b_ops,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.leaks = true,
		.world.setup = setup_victim,
		.world.listen = listen_for_l,
		.world.teardown = teardown_e4,
	},
	{
		.part = "E4/late-final",
		.about = "the merged check; U comes late: the warning is D's",
		.actors = D_U_L(actor_U_late),
		.forced.order = late_after_warning,
		.said.outcome = WARN,
		.free.until_found = true,
		.free.rounds = 1000,
		.world.toggles = true,
		.free.apart = true,
		.said.lockdep = CIRCULAR,
		.said.culprit = "kmem_cache_destroy__3_6",
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
		.world.listen = listen_for_l,
		.world.teardown = teardown_e4,
	},
};

DEMO(04, e4, .id = "E4", .slug = "e4-unseen",
     .claim = "the merged check misses a leak from 1 to 0",
     .tried = { "L gives back a reference that it never took while D holds one.",
		"The check must be content; if U comes late, it must blame D." },
     .cores = 2, SCENARIOS(e4), .free_rounds = 20000);

/* ---- E4x, E4g: counted per thread ---------------------------------------- */

#if GORDIAN_DEBUG

/*
 * The counter with a lockdep map beside it: a reference is a recursive read lock
 * in the hands of the thread that took it.
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
		return; /* not this thread's: said, and not counted */
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

/* L leaks whether it finds D with a reference or comes late: it has none. */
static void actor_L_anyway(struct stage *st)
{
	wait_for_d(st);
	leak_a_reference();
}

static const struct scenario e4x[] = {
	{
		.about = "E4 with the references counted per thread",
		.actors = { { "D", ON_D, actor_D },
			    { "U", ON_U, actor_U_soon },
			    { "L", ON_B, actor_L_anyway } },
		AS_DRAWN,
		.said.outcome = COMPLETES,
		.forced.refused = true,
		.world.toggles = true,
		.needs_lockdep = true,
		.said.lockdep = UNBALANCED | CIRCULAR,
		.world.hotplug = COUNTED_OPS,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
		.world.teardown = teardown_victim,
	},
};

DEMO(04x, e4x, .id = "E4x", .slug = "e4x-counted",
     .claim = "counted per thread, the leak is found in L, at once",
     .tried = { "E4 with a lockdep map beside the counter, as of 2014: what L",
		"gives back is not L's. It must be named, and not be counted." },
     .cores = 2, SCENARIOS(e4x), .free_rounds = 40);

#define G_ACTOR 0

/* The thread that ends; what it does stands in G's column. */
static void take_as_g(struct stage *st)
{
	WRITE_ONCE(st->worker[G_ACTOR].id, current->id);
	current->traced = true;
	current->gated = st->forced;
	if (st->explored)
		explore_become(G_ACTOR);
	get_online_cpus();
}

static int taker(void *arg)
{
	take_as_g(arg);
	return 0;
}

static int taker_gives_back(void *arg)
{
	take_as_g(arg);
	put_online_cpus();
	return 0;
}

static void run_as_g(struct stage *st, int (*fn)(void *))
{
	struct thread *t = thread_create("G", fn, st, PRIO_NORMAL,
					 cpumask_of(st->worker[G_ACTOR].cpu));

	if (WARN_ON(!t))
		return;
	thread_get(t); /* the explorer still looks at it */
	thread_join(t);
	if (st->explored)
		explore_become(G_ACTOR);
	thread_put(t);
}

static void actor_G(struct stage *st)
{
	run_as_g(st, taker);
}

static void actor_G_gives_back(struct stage *st)
{
	run_as_g(st, taker_gives_back);
}

static const struct step after_the_get[] =
	STEPS(BY("G", GET_ONLINE, &cpu_hotplug), U(LOCK, &cpu_hotplug.lock),
	      U(HP_WAIT, &cpu_hotplug));

/* U waits for that reference, and goes on when it has been given back. */
static const struct step until_the_put[] =
	STEPS(BY("G", GET_ONLINE, &cpu_hotplug), U(LOCK, &cpu_hotplug.lock),
	      U(HP_WAIT, &cpu_hotplug), BY("G", LOCK, &cpu_hotplug.lock),
	      BY("G", PUT_ONLINE, &cpu_hotplug), U(HP_BEGIN, &cpu_hotplug));

static const struct scenario e4g[] = {
	{
		.part = "E4g/counter",
		.about = "the counter does not know who took a reference",
		.actors = { { "G", ON_D, actor_G }, { "U", ON_U, actor_U } },
		.forced.order = after_the_get,
		.free.cores = 3, /* on one core they hardly meet */
		.said.outcome = STUCK,
		.free.until_found = true, /* a U that comes first completes */
		.world.toggles = true,
		.free.apart = true,
		.world.leaks = true,
		.world.setup = setup_core,
		.world.teardown = teardown_refs,
	},
	{
		.part = "E4g/counted",
		.free.cores = 3, /* on one core they hardly meet */
		.about = "counted per thread: held when the thread ends",
		.actors = { { "G", ON_D, actor_G }, { "U", ON_U, actor_U } },
		.forced.order = after_the_get,
		.said.outcome = STUCK,
		.free.until_found = true,
		.world.toggles = true,
		.free.apart = true,
		.needs_lockdep = true,
		.said.lockdep = HELD_AT_END,
		.world.hotplug = COUNTED_OPS,
		.world.leaks = true,
		.world.setup = setup_core,
		.world.teardown = teardown_refs,
	},
	{
		.part = "E4g/given-back",
		.about = "control: G gives it back before it ends",
		.actors = { { "G", ON_D, actor_G_gives_back },
			    { "U", ON_U, actor_U } },
		.forced.order = until_the_put,
		.said.outcome = COMPLETES,
		.free.rounds = 40,
		.world.toggles = true,
		.free.apart = true,
		.world.setup = setup_core,
		.world.teardown = teardown_refs,
	},
};

DEMO(04g, e4g, .id = "E4g", .slug = "e4g-kept",
     .claim = "a reference kept by a thread that ends stops U for ever",
     .tried = { "G takes a hotplug reference and ends. If U begins after that",
		"it waits for ever; only a count per thread can say for whom." },
     .cores = 2, SCENARIOS(e4g), .free_rounds = 1000);
