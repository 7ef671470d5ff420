/*
 * The engine. See gates.h.
 *
 * `ex` belongs to the exploring thread, between explore_begin() and explore_end().
 * A thread at a gate writes its own slot and then at_gate (release); the explorer
 * reads that (acquire) and writes `go` (release). The footprint has a lock of its
 * own, because events come from every core and from every context.
 */
#include "kernel/explore/gates.h"

#include <string.h>

#include "boot/boot.h"
#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/events.h"
#include "kernel/debug/panic.h"
#include "kernel/hang/waitfor.h"
#include "kernel/explore/state.h"
#include "kernel/sync/mutex.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/wait.h"

#define LOOK_NS	    60000ull /* between two looks, while somebody is blocked */
#define AWAKE_LOOKS 64	     /* before the first LOOK_NS */
/* A step that takes longer will not end by itself. The looks are counted, too,
 * because the clock may go on while the host stands still. */
#define STEP_NS	   10000000000ull
#define STEP_LOOKS 20000

/* Things that have no address of their own. */
#define THE_CORES     ((uintptr_t)1)	     /* which of them are online */
#define THE_CACHES    ((uintptr_t)2)	     /* the list of all caches */
#define THE_ENDS      ((uintptr_t)3)	     /* which threads have ended */
#define COUNT_OF(rsp) ((uintptr_t)(rsp) | 1) /* of barriers begun and ended */

struct gate {
	struct thread *thread; /* it stops here */
	uint32_t id;	       /* its own: good after its end */
	bool at_gate, go;
	struct wait_queue wake;
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	const void *objects; /* the cache, if its last gate was about these */
	bool (*holds)(void *arg);
	void *arg;
	bool alone; /* let go, it waits for that */
	struct wait_queue condition;
	unsigned int passes; /* gates that need no grant */
	uint64_t switches;   /* at the last grant of anybody */
	bool granted;	     /* the last grant was for this thread */
	bool touched;	     /* it has touched something since, itself */
	bool blocked;	     /* at the last grant: not at its gate, not ended */
	bool ended;	     /* and that is in a footprint */
};

static struct {
	struct explored subject; /* stays readable after the end: late events */
	bool untold_try; /* a trylock that the subject says nothing of */
	bool on, open;	 /* somebody explores; all gates are open */
	bool still;	 /* no step is under way */
	bool moved;	 /* yet something was touched */
	struct wait_queue changed;
	struct gate gate[SEARCH_THREADS];
	struct gate callbacks[NR_CPUS]; /* each core's rcuc */
	unsigned int timers; /* armed at the begin: these may be far */
	struct footprint footprint;
	bool busy; /* the footprint's lock */
} ex;

/* ---- the footprint --------------------------------------------------------- */

/* The thing that the operation touches. Returns false if it touches nothing that
 * another thread could notice. */
static bool thing_of(enum trace_op op, const void *obj, uintptr_t *thing,
		     bool *write)
{
	unsigned int touches = event_info(op)->touches;

	*thing = touches & ITS_COUNT ? COUNT_OF(obj) :
		 touches & THE_LIST  ? THE_CACHES :
				       (uintptr_t)obj;
	*write = touches & WRITES;
	return touches & (READS | WRITES);
}

/* In an RCU thread: callbacks run with preemption off, its other code does not. */
static bool in_callback(void)
{
	return current->preempt_count != 0;
}

/* On the core that comes or goes, while it is neither on nor off. Only its stopper
 * or its idle thread runs there, and runs CPU_DYING or CPU_STARTING. That belongs
 * to the step of the thread that takes the core off or on. */
static bool in_between(void)
{
	unsigned int cpu = smp_processor_id();

	return cpu == ex.subject.toggled && !cpu_is_online(cpu) &&
	       !in_interrupt();
}

/* The end of stop_machine(): which of the stoppers tells is chance. */
static bool of_stop_machine(const struct trace_event *e)
{
	return e->op == TR_COMPLETE &&
	       ((const struct completion *)e->obj)->by == current;
}

/* Does this event belong to the step? It does if one of the threads caused it, or
 * if it was done for one of them: by a callback, or by the core that comes or goes.
 * Events of an interrupt do not belong to the step, because the interrupted thread
 * is a matter of chance. But the callbacks that it queues, and the declared data
 * that it touches, do: the step may have sent the interrupt, and waits for it. */
static bool counts(const struct trace_event *e, struct gate **by)
{
	bool callback = e->op == TR_RCU_CB;
	unsigned int cpu;

	*by = NULL;
	if (in_interrupt())
		return e->op == TR_CALL_RCU || e->op == TR_SHARED_READ ||
		       e->op == TR_SHARED_WRITE;
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].id) == e->thread)
			*by = &ex.gate[i];
	for_each_possible_cpu (cpu)
		callback |= in_callback() && ex.callbacks[cpu].id == e->thread;
	return *by || callback || e->op == TR_NOTIFY || e->op == TR_CALL_RCU ||
	       (in_between() && !of_stop_machine(e));
}

/* Not a spinlock: events come from under those, and lockdep must not see it.
 * Acquire and release: the footprint between them. */
static uint32_t footprint_lock(void)
{
	uint32_t flags = local_irq_save();

	while (__atomic_test_and_set(&ex.busy, __ATOMIC_ACQUIRE))
		cpu_relax();
	return flags;
}

static void footprint_unlock(uint32_t flags)
{
	__atomic_clear(&ex.busy, __ATOMIC_RELEASE);
	local_irq_restore(flags);
}

/* Data on the stack of one of the threads are named by their place on the stack,
 * which is the same in each run. */
static uintptr_t name_of(uintptr_t thing)
{
	for (uintptr_t i = 0; thing >= STACKS_VA && i < ex.subject.nr; i++) {
		uint32_t stack = READ_ONCE(ex.gate[i].thread)->stack;

		if (thing >= stack && thing < stack + STACK_SIZE)
			return (i + 1) * STACK_SLOT + thing - stack;
	}
	return thing;
}

/* Was it allocated, so that its address may differ in another run? True if it is
 * not in the image and has no other name. */
static bool moves(uintptr_t thing)
{
	return thing >= LOWMEM_VA && (thing < KERNEL_VA || thing >= STACKS_VA);
}

static void touch(struct gate *by, uintptr_t thing, bool write)
{
	uint32_t flags = footprint_lock();

	thing = name_of(thing);
	footprint_add(&ex.footprint, thing, write, moves(thing));
	ex.moved |= ex.still;
	footprint_unlock(flags);
	if (by)
		WRITE_ONCE(by->touched, true);
}

void explore_event(const struct trace_event *e)
{
	struct gate *by;
	uintptr_t thing;
	bool write;

	if (!READ_ONCE(ex.on) || READ_ONCE(ex.open))
		return;
	if (e->cpu == ex.subject.toggled &&
	    (current->is_idle || current->pinned))
		/* A wake-up that finds nobody is a gate, and no event. */
		current->gated = in_between();
	if (!counts(e, &by))
		return;
	if (by && e->op == TR_COMPLETE)
		by->objects = NULL; /* the woken thread may come in between */
	if (e->op == TR_CACHE_FREE)
		/* The callbacks of its slabs look at the cache. */
		touch(by, (uintptr_t)&rcu_sched_state, false);
	if (e->op == TR_NOTIFY &&
	    (e->arg == CPU_DYING || e->arg == CPU_STARTING))
		touch(by, THE_CORES, true);
	if (event_info(e->op)->touches & AND_CORES)
		touch(by, THE_CORES, false);
	if (e->op != TR_WAKE && thing_of(e->op, e->obj, &thing, &write))
		touch(by, thing, write);
}

void explore_footprint(struct footprint *f, unsigned int *woken)
{
	uint32_t flags;

	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!ex.gate[i].ended && ex.subject.ended(ex.subject.arg, i)) {
			ex.gate[i].ended = true;
			touch(NULL, THE_ENDS, false); /* two of them commute */
		}
	flags = footprint_lock();
	*f = ex.footprint;
	memset(&ex.footprint, 0, sizeof(ex.footprint));
	ex.still = true;
	footprint_unlock(flags);
	*woken = 0;
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (ex.gate[i].blocked &&
		    ex.gate[i].switches !=
			    READ_ONCE(ex.gate[i].thread->switches))
			*woken |= 1u << i;
}

/* ---- at the gate ----------------------------------------------------------- */

static void stop(struct gate *g, enum trace_op op, const void *obj,
		 uintptr_t caller)
{
	struct waiting meant = current->waiting; /* `by` may be set already */

	BUG_ON(!may_sleep()); /* so no choice is made under a spinlock */
	g->op = op;
	g->obj = obj;
	g->caller = caller;
	WRITE_ONCE(g->go, false);
	current->gated = false; /* the code below has gates too */
	/* Release: pairs with the acquires that read the slot. */
	smp_store_release(&g->at_gate, true);
	wake_up(&ex.changed);
	wait_event_kind(&g->wake, &gate_wait,
			smp_load_acquire(&g->go) || READ_ONCE(ex.open));
	g->holds = NULL;
	current->gated = true;
	current->waiting = meant;
}

static struct gate *gate_of(const struct thread *t)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].thread) == t)
			return &ex.gate[i];
	return NULL;
}

static struct gate *callbacks_gate(const struct thread *t)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (ex.callbacks[cpu].thread == t)
			return &ex.callbacks[cpu];
	return NULL;
}

/* RCU's threads are environment: whether one must be woken depends on time. */
static bool of_rcu(const void *queue)
{
	uintptr_t rsp = (uintptr_t)&rcu_sched_state;

	return (uintptr_t)queue - rsp < sizeof(rcu_sched_state);
}

/* The thread is about to do this, and it belongs to the step. */
static void touch_next(struct gate *g, enum trace_op op, const void *obj)
{
	uintptr_t thing;
	bool write;

	if (op == TR_WAKE)
		touch(g, (uintptr_t)obj, true);
	else if (thing_of(op, obj, &thing, &write))
		touch(g, thing, write);
}

/*
 * Is this the end of the step? There are two cases in which it is not.
 *   - The step has touched nothing yet. Then its place in the order makes no
 *     difference. (But a thread that may have to wait stops.)
 *   - The next operation is a release. No other thread can have the lock, so an
 *     operation of another thread just before the release could as well come just
 *     after it (Lipton, CACM 1975: releases move to the left). This is not true if
 *     a thread calls a trylock.
 * The answer must not depend on the actions of other threads.
 */
static bool ends_step(struct gate *g, enum trace_op op, const void *obj)
{
	const void *before = g->objects;

	g->objects = op == TR_CACHE_OBJECT ? obj : NULL;
	switch (op) {
	case TR_CACHE_OBJECT: /* many in a row are one */
		if (obj == before)
			return false;
		break;
	case TR_UNLOCK:
	case TR_READ_UNLOCK:
	case TR_WRITE_UNLOCK:
		return ex.subject.tries;
	case TR_TRYLOCK:
	case TR_READ_TRYLOCK:
		if (!ex.subject.tries)
			WRITE_ONCE(ex.untold_try, true);
		return true;
	default:
		break;
	}
	return !g->granted || g->touched || op == TR_NONE || op == TR_LOCK;
}

void explore_gate(enum trace_op op, const void *obj, uintptr_t caller)
{
	struct gate *g = gate_of(current);

	bool callback = !g;

	if (callback && (op == TR_RCU_CB || in_callback()))
		g = callbacks_gate(current);
	if (READ_ONCE(ex.open) || (op == TR_WAKE && of_rcu(obj)))
		return;
	if (!g) {
		if (in_between())
			touch_next(NULL, op, obj);
		return;
	}
	/* No stop between prepare_to_wait() and the sleep, or under a spinlock. */
	if (!may_sleep() || READ_ONCE(current->state) != TASK_RUNNING ||
	    (callback ? op != TR_RCU_CB : !ends_step(g, op, obj))) {
		if (op != TR_CACHE_OBJECT)
			g->objects = NULL;
		touch_next(g, op, obj);
		return;
	}
	if (g->passes) {
		g->passes--;
		g->touched = false;
		touch_next(g, op, obj);
		return;
	}
	stop(g, op, obj, caller);
}

bool explore_moved_at_rest(void)
{
	return READ_ONCE(ex.moved);
}

bool explore_untold_try(void)
{
	return READ_ONCE(ex.untold_try);
}

void explore_start(void)
{
	if (current->gated && READ_ONCE(ex.on))
		explore_gate(TR_NONE, NULL, CALLER);
}

/* The threads have been let go. This thread still waits for its condition, as for
 * any event. So a round in which the condition cannot become true is found to be
 * stuck. */
static void await_alone(struct gate *g, bool (*holds)(void *arg), void *arg)
{
	if (holds(arg))
		return;
	g->holds = holds;
	g->arg = arg;
	/* Release: pairs with the acquire in explore_stir(). */
	smp_store_release(&g->alone, true);
	wait_event(&g->condition, !READ_ONCE(g->alone));
	g->holds = NULL;
}

bool explore_stir(bool anyway)
{
	bool any = false;

	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];

		/* Acquire: pairs with the release in await_alone(). */
		if (!smp_load_acquire(&g->alone) ||
		    !(anyway || g->holds(g->arg)))
			continue;
		WRITE_ONCE(g->alone, false);
		wake_up(&g->condition);
		any = true;
	}
	return any;
}

bool explore_await(bool (*holds)(void *arg), void *arg, const void *what)
{
	struct gate *g;

	if (!current->gated || !READ_ONCE(ex.on))
		return false;
	g = gate_of(current);
	if (!READ_ONCE(ex.open) && g->passes && holds(arg)) {
		g->passes--;
		g->touched = false;
		touch_next(g, TR_SHARED_READ, what);
	} else if (!READ_ONCE(ex.open)) {
		g->holds = holds;
		g->arg = arg;
		stop(g, TR_SHARED_READ, what, CALLER);
	}
	if (READ_ONCE(ex.open))
		await_alone(g, holds, arg);
	else
		touch(g, THE_ENDS, true); /* the condition may read it */
	return true;
}

void explore_become(unsigned int i)
{
	WRITE_ONCE(ex.gate[i].id, current->id);
	WRITE_ONCE(ex.gate[i].thread, current);
}

/* ---- the explorer's side ----------------------------------------------------- */

static void let(struct gate *g)
{
	WRITE_ONCE(g->at_gate, false);
	smp_store_release(&g->go, true); /* pairs with stop() */
	wake_up(&g->wake);
}

static void gate_init(struct gate *g, struct thread *t)
{
	memset(g, 0, sizeof(*g));
	g->thread = t;
	g->id = t ? t->id : 0;
	wait_queue_init(&g->wake, "the explorer");
	wait_queue_init(&g->condition, "a condition, explore_await()");
}

void explore_begin(const struct explored *subject)
{
	unsigned int cpu;

	ex.subject = *subject;
	wait_queue_init(&ex.changed, "a thread at a gate");
	for (unsigned int i = 0; i < subject->nr; i++)
		gate_init(&ex.gate[i], subject->thread[i]);
	for_each_possible_cpu (cpu) {
		struct thread *t = rcu_sched_state.data[cpu].thread;

		gate_init(&ex.callbacks[cpu], t);
		if (t) /* one that was let go may have set it again */
			WRITE_ONCE(t->gated, cpu != subject->toggled);
	}
	memset(&ex.footprint, 0, sizeof(ex.footprint));
	ex.timers = timers_armed_all();
	ex.untold_try = ex.still = ex.moved = false;
	WRITE_ONCE(ex.open, false);
	/* Release: all writes above, before another thread reads them. */
	smp_store_release(&ex.on, true);
}

void explore_let_go(void)
{
	unsigned int cpu;

	WRITE_ONCE(ex.still, false);
	WRITE_ONCE(ex.open, true); /* before the wake-ups, as in every wait */
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		let(&ex.gate[i]);
	for_each_possible_cpu (cpu)
		if (ex.callbacks[cpu].thread) {
			WRITE_ONCE(ex.callbacks[cpu].thread->gated, false);
			let(&ex.callbacks[cpu]);
		}
}

void explore_end(void)
{
	WRITE_ONCE(ex.on, false);
}

static bool at_rest(unsigned int i)
{
	return smp_load_acquire(&ex.gate[i].at_gate) ||
	       ex.subject.ended(ex.subject.arg, i);
}

static bool all_at_rest(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!at_rest(i))
			return false;
	return true;
}

/* Does no callback thread run? Such a thread takes a callback off its list only
 * after it has run it, and rcu_barrier() looks at the list. (While the thread's
 * core is off, the thread is parked or has never run.) */
static bool callbacks_rest(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		const struct thread *t = ex.callbacks[cpu].thread;

		if (t && cpu_is_online(cpu) &&
		    READ_ONCE(t->state) == TASK_RUNNING)
			return false;
	}
	smp_mb(); /* its list after its state; pairs with the lock of its wait
		   * queue, which it takes between the two */
	return true;
}

/* Does the environment leave all data alone that the threads read? */
static bool apart_from_us(void)
{
	return READ_ONCE(rcu_sched_state.grace_period) == rcu_grace_period;
}

/* Does no grace period make progress? There is none, or its thread waits for one
 * of the explored threads. */
static bool grace_periods_rest(void)
{
	return rcu_gp_is_quiet() || waits_for_event(rcu_sched_state.thread);
}

/* Nobody moves, nothing is under way, and no thread was switched in since the
 * last look. */
static bool nothing_moved(uint64_t *switches)
{
	bool still = cores_idle() && grace_periods_rest() &&
		     timers_armed_all() <= ex.timers;

	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct thread *t = READ_ONCE(ex.gate[i].thread);
		uint64_t n;

		if (at_rest(i))
			continue;
		n = t->switches;
		if (!waits_for_event(t) || switches[i] != n)
			still = false;
		switches[i] = n;
	}
	return still;
}

/* If a callback could end the wait of a thread, let the first callback run.
 * Returns whether one runs. */
static bool run_a_callback(void)
{
	bool wanted = false;
	unsigned int cpu;

	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct wait_ops *w =
			READ_ONCE(ex.gate[i].thread->waiting.ops);

		wanted |= !at_rest(i) &&
			  (w == &completion_wait || w == &barrier_wait ||
			   w == &queue_wait || w == &join_wait);
	}
	for_each_possible_cpu (cpu) {
		struct gate *g = &ex.callbacks[cpu];

		if (!wanted || !smp_load_acquire(&g->at_gate))
			continue;
		let(g);
		return true;
	}
	return false;
}

static bool enabled(const struct gate *g)
{
	if (!g->at_gate)
		return false;
	if (g->holds)
		return g->holds(g->arg);
	return g->op != TR_LOCK || !mutex_is_locked(g->obj);
}

const struct thread *explore_stray(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!at_rest(i) && !waits_for_event(ex.gate[i].thread))
			return ex.gate[i].thread;
	return NULL;
}

unsigned int explore_settle(unsigned int *left)
{
	uint64_t switches[SEARCH_THREADS] = { 0 };
	uint64_t begun = timer_now();
	unsigned int able = 0, looks = 0;
	uint32_t sum, last = 0;
	bool slept = false; /* all other cores did, at the last look */

	while (!(all_at_rest() && callbacks_rest() && apart_from_us())) {
		bool still = nothing_moved(switches) && cores_sleep(&sum);

		if (still && (!slept || sum != last)) {
			slept = true;
			last = sum;
			continue;
		}
		if (still && !run_a_callback())
			break;
		slept = false;
		if (looks > STEP_LOOKS &&
		    timer_ns(timer_now() - begun) > STEP_NS)
			return EXPLORE_STRAY;
		/* Most steps are over sooner than this core could fall asleep
		 * and be woken. yield(): the step may need it. */
		if (looks++ < AWAKE_LOOKS)
			yield();
		else
			(void)wait_event_timeout(
				&ex.changed, &gate_wait,
				all_at_rest() && callbacks_rest(), LOOK_NS);
	}
	*left = 0;
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		if (ex.subject.ended(ex.subject.arg, i))
			continue;
		*left |= 1u << i;
		if (enabled(&ex.gate[i]))
			able |= 1u << i;
	}
	return able;
}

void explore_grant_run(unsigned int i, unsigned int gates)
{
	struct gate *g = &ex.gate[i];

	WRITE_ONCE(ex.still, false);
	for (unsigned int k = 0; k < ex.subject.nr; k++) {
		ex.gate[k].switches = READ_ONCE(ex.gate[k].thread->switches);
		ex.gate[k].blocked = !at_rest(k);
		ex.gate[k].granted = k == i;
	}
	g->touched = false;
	touch_next(g, g->op, g->obj);
	g->passes = gates - 1;
	let(g);
}

unsigned int explore_run_left(unsigned int i)
{
	return READ_ONCE(ex.gate[i].passes);
}

void explore_standing(struct standing *out)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct gate *g = &ex.gate[i];
		struct standing *s = &out[i];

		memset(s, 0, sizeof(*s));
		if (!g->at_gate) {
			if (ex.subject.ended(ex.subject.arg, i))
				s->where = STAND_ENDED;
			continue;
		}
		s->where = STAND_AT_POINT;
		s->op = (uint16_t)g->op;
		if (g->op == TR_WAKE) {
			s->thing = (uintptr_t)g->obj;
			s->write = true;
		} else if (!thing_of(g->op, g->obj, &s->thing, &s->write)) {
			s->thing = 0;
		}
		s->thing = name_of(s->thing);
		s->moves = moves(s->thing);
	}
}

bool explore_pending(unsigned int i, enum trace_op *op, const void **obj,
		     uintptr_t *caller)
{
	const struct gate *g = &ex.gate[i];

	if (!smp_load_acquire(&g->at_gate))
		return false;
	*op = g->op;
	*obj = g->obj;
	*caller = g->caller;
	return true;
}
