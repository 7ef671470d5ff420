/*
 * The explorer's engine. What it is for: gates.h.
 *
 * `ex` belongs to the exploring thread, between explore_begin() and
 * explore_end(). A thread at a gate writes its own slot and then at_gate
 * (release). The explorer reads that (acquire) and writes `go` (release). The
 * footprint has a lock of its own, as events come from every core and from any
 * place with a trace point.
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

#define LOOK_NS	    60000ull /* between two looks if a thread is blocked */
#define AWAKE_LOOKS 64	     /* before the first LOOK_NS */
/* A step that lasts longer does not end by itself. It must also last that many
 * looks: a host may stop while the guest's clock goes on. */
#define STEP_NS	   10000000000ull
#define STEP_LOOKS 20000

/* Names for things that have no address. */
#define THE_CORES     ((uintptr_t)1)	     /* which of them are online */
#define THE_CACHES    ((uintptr_t)2)	     /* the list of all caches */
#define THE_ENDS      ((uintptr_t)3)	     /* which threads have ended */
#define COUNT_OF(rsp) ((uintptr_t)(rsp) | 1) /* rsp's barrier count */

struct gate {
	struct thread *thread; /* the thread that stops here */
	uint32_t id;	       /* of the thread: valid after its end */
	bool at_gate, go;
	struct wait_queue wake;
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	const void *objects; /* the cache, if the last gate was about objects */
	bool (*holds)(void *arg);
	void *arg;
	bool alone; /* the thread is in await_alone() */
	struct wait_queue condition;
	unsigned int passes; /* gates that need no grant */
	/* Since the last grant to any thread: */
	uint64_t switches; /* of the thread at that time */
	bool granted;	   /* the grant was to this thread */
	bool touched;	   /* the thread itself has touched something */
	bool blocked;	   /* then it was neither at its gate nor ended */
	bool ended;	   /* its end is in a footprint */
};

static struct {
	struct explored subject; /* late events read it after the end */
	bool undeclared_try;  /* a trylock that the subject does not declare */
	bool on;	      /* an exploration is on */
	bool gates_open;      /* no thread stops at its gate */
	bool no_step;	      /* no step is under way */
	bool touched_at_rest; /* something was touched while no_step */
	struct wait_queue changed;
	struct gate gate[SEARCH_THREADS];
	struct gate callbacks[NR_CPUS]; /* each core's rcuc */
	unsigned int timers; /* armed at the start; may expire much later */
	struct footprint footprint;
	bool busy; /* the footprint's lock */
} ex;

/* ---- the footprint of a step --------------------------------------------- */

/* What the operation touches. Returns false if no other thread could notice
 * it. */
static bool touched_thing(enum trace_op op, const void *obj, uintptr_t *thing,
			  bool *write)
{
	unsigned int touches = event_info(op)->touches;

	*thing = touches & ITS_COUNT ? COUNT_OF(obj) :
		 touches & THE_LIST  ? THE_CACHES :
				       (uintptr_t)obj;
	*write = touches & WRITES;
	return touches & (READS | WRITES);
}

/* Does the current thread, a callback thread, run a callback? Only then it has
 * preemption disabled. */
static bool in_callback(void)
{
	return current->preempt_count != 0;
}

/* Is this the core that comes or goes, while it is neither on nor off? Only its
 * stopper or idle thread runs there. What it does (CPU_DYING, CPU_STARTING)
 * belongs to the step of the thread that takes the core off or on. */
static bool on_changing_core(void)
{
	unsigned int cpu = smp_processor_id();

	return cpu == ex.subject.toggled && !cpu_is_online(cpu) &&
	       !in_interrupt();
}

/* Is the event the end of stop_machine()? Which stopper causes it is chance. */
static bool ends_stop_machine(const struct trace_event *e)
{
	return e->op == TR_COMPLETE &&
	       ((const struct completion *)e->obj)->by == current;
}

/* Does the event belong to the step? Yes if one of the threads caused it (*by),
 * or something that acts for one: a callback, or the core that comes or goes.
 * Events in an interrupt do not, because it is chance which thread it
 * interrupts. But the callbacks that an interrupt queues, and the declared data
 * that it touches, do belong to the step: the step may have sent the interrupt
 * and waits for it. */
static bool belongs_to_step(const struct trace_event *e, struct gate **by)
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
	       (on_changing_core() && !ends_stop_machine(e));
}

/* The footprint's lock. It is no struct spinlock, because events come while
 * spinlocks are held, and lockdep must not see it. The acquire and the release
 * pair with each other, for the footprint. */
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

/* A name for a thing. The name is the same in each run. A thing on the stack
 * of one of the threads gets its name from its place on that stack. */
static uintptr_t stable_name(uintptr_t thing)
{
	for (uintptr_t i = 0; thing >= STACKS_VA && i < ex.subject.nr; i++) {
		uint32_t stack = READ_ONCE(ex.gate[i].thread)->stack;

		if (thing >= stack && thing < stack + STACK_SIZE)
			return (i + 1) * STACK_SLOT + thing - stack;
	}
	return thing;
}

/* May the thing be at another address in another run? It may if it was
 * allocated. Such a thing is not in the image and has no stable name. */
static bool may_move(uintptr_t thing)
{
	return thing >= LOWMEM_VA && (thing < KERNEL_VA || thing >= STACKS_VA);
}

/* Add a thing to the step's footprint. by: the thread that touched it, or
 * NULL. */
static void touch(struct gate *by, uintptr_t thing, bool write)
{
	uint32_t flags = footprint_lock();

	thing = stable_name(thing);
	footprint_add(&ex.footprint, thing, write, may_move(thing));
	ex.touched_at_rest |= ex.no_step;
	footprint_unlock(flags);
	if (by)
		WRITE_ONCE(by->touched, true);
}

void explore_event(const struct trace_event *e)
{
	struct gate *by;
	uintptr_t thing;
	bool write;

	if (!READ_ONCE(ex.on) || READ_ONCE(ex.gates_open))
		return;
	if (e->cpu == ex.subject.toggled &&
	    (current->is_idle || current->pinned))
		/* Let explore_gate() see this thread's gates too: a wake-up
		 * that wakes no thread passes a gate, but there is no event. */
		current->gated = on_changing_core();
	if (!belongs_to_step(e, &by))
		return;
	if (by && e->op == TR_COMPLETE)
		by->objects = NULL; /* the woken thread may use objects too */
	if (e->op == TR_CACHE_FREE)
		/* The RCU callbacks of the cache's slabs read the cache. */
		touch(by, (uintptr_t)&rcu_sched_state, false);
	if (e->op == TR_NOTIFY &&
	    (e->arg == CPU_DYING || e->arg == CPU_STARTING))
		touch(by, THE_CORES, true);
	if (event_info(e->op)->touches & AND_CORES)
		touch(by, THE_CORES, false);
	if (e->op != TR_WAKE && touched_thing(e->op, e->obj, &thing, &write))
		touch(by, thing, write);
}

void explore_footprint(struct footprint *f, unsigned int *woken)
{
	uint32_t flags;

	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!ex.gate[i].ended && ex.subject.ended(ex.subject.arg, i)) {
			ex.gate[i].ended = true;
			touch(NULL, THE_ENDS, false); /* two ends commute */
		}
	flags = footprint_lock();
	*f = ex.footprint;
	memset(&ex.footprint, 0, sizeof(ex.footprint));
	ex.no_step = true;
	footprint_unlock(flags);
	*woken = 0;
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (ex.gate[i].blocked &&
		    ex.gate[i].switches !=
			    READ_ONCE(ex.gate[i].thread->switches))
			*woken |= 1u << i;
}

/* ---- at the gate --------------------------------------------------------- */

/* Stop the current thread at this gate until the explorer grants it a step, or
 * lets all threads go. */
static void wait_at_gate(struct gate *g, enum trace_op op, const void *obj,
			 uintptr_t caller)
{
	struct waiting outer = current->waiting; /* `by` may be set already */

	BUG_ON(!may_sleep()); /* so no choice is made under a spinlock */
	g->op = op;
	g->obj = obj;
	g->caller = caller;
	WRITE_ONCE(g->go, false);
	current->gated = false; /* wake_up() has a gate too */
	/* Release: pairs with the acquires of at_gate, for the slot. */
	smp_store_release(&g->at_gate, true);
	wake_up(&ex.changed);
	wait_event_kind(&g->wake, &gate_wait,
			smp_load_acquire(&g->go) || READ_ONCE(ex.gates_open));
	g->holds = NULL;
	current->gated = true;
	current->waiting = outer;
}

/* The gate of t, if t is one of the explored threads; else NULL. */
static struct gate *explored_gate(const struct thread *t)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].thread) == t)
			return &ex.gate[i];
	return NULL;
}

/* The gate of t, if t is a thread that runs RCU callbacks; else NULL. */
static struct gate *callbacks_gate(const struct thread *t)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (ex.callbacks[cpu].thread == t)
			return &ex.callbacks[cpu];
	return NULL;
}

/* RCU's threads belong to the environment: whether one must be woken depends on
 * time. */
static bool is_rcu_queue(const void *queue)
{
	uintptr_t rsp = (uintptr_t)&rcu_sched_state;

	return (uintptr_t)queue - rsp < sizeof(rcu_sched_state);
}

/* The thread is about to do this operation: add the thing that it will touch
 * to the step's footprint. */
static void touch_upcoming(struct gate *g, enum trace_op op, const void *obj)
{
	uintptr_t thing;
	bool write;

	if (op == TR_WAKE)
		touch(g, (uintptr_t)obj, true);
	else if (touched_thing(op, obj, &thing, &write))
		touch(g, thing, write);
}

/*
 * Does the step end at this gate?
 *   - Not if the step has touched nothing yet: then no other thread can notice
 *     where in the order the step came. But a step always ends before a
 *     mutex_lock(), because the thread may have to wait there.
 *   - Not before a release. If another thread can do something just before the
 *     release, it can do the same just after the release, because it cannot
 *     have the lock (Lipton, CACM 1975: releases move to the left). This is not
 *     true if that thread calls a trylock.
 * The answer must not depend on other threads.
 */
static bool ends_step(struct gate *g, enum trace_op op, const void *obj)
{
	const void *before = g->objects;

	g->objects = op == TR_CACHE_OBJECT ? obj : NULL;
	switch (op) {
	case TR_CACHE_OBJECT: /* several in a row are one step */
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
			WRITE_ONCE(ex.undeclared_try, true);
		return true;
	default:
		break;
	}
	return !g->granted || g->touched || op == TR_NONE || op == TR_LOCK;
}

void explore_gate(enum trace_op op, const void *obj, uintptr_t caller)
{
	struct gate *g = explored_gate(current);
	bool explored = g != NULL;

	if (!explored && (op == TR_RCU_CB || in_callback()))
		g = callbacks_gate(current);
	if (READ_ONCE(ex.gates_open) || (op == TR_WAKE && is_rcu_queue(obj)))
		return;
	if (!g) {
		if (on_changing_core())
			touch_upcoming(NULL, op, obj);
		return;
	}
	/* Do not stop under a spinlock, nor between prepare_to_wait() and the
	 * sleep. */
	if (!may_sleep() || READ_ONCE(current->state) != TASK_RUNNING ||
	    (explored ? !ends_step(g, op, obj) : op != TR_RCU_CB)) {
		if (op != TR_CACHE_OBJECT)
			g->objects = NULL;
		touch_upcoming(g, op, obj);
		return;
	}
	if (g->passes) {
		g->passes--;
		g->touched = false;
		touch_upcoming(g, op, obj);
		return;
	}
	wait_at_gate(g, op, obj, caller);
}

bool explore_touched_at_rest(void)
{
	return READ_ONCE(ex.touched_at_rest);
}

bool explore_undeclared_try(void)
{
	return READ_ONCE(ex.undeclared_try);
}

void explore_start(void)
{
	if (current->gated && READ_ONCE(ex.on))
		explore_gate(TR_NONE, NULL, CALLER);
}

/* Wait for the condition after explore_let_go(). The thread waits as for any
 * event, so a round in which the condition cannot become true is seen to be
 * stuck. */
static void await_alone(struct gate *g, bool (*holds)(void *arg), void *arg)
{
	if (holds(arg))
		return;
	g->holds = holds;
	g->arg = arg;
	/* Release: pairs with the acquire in explore_release_waiting(). */
	smp_store_release(&g->alone, true);
	wait_event(&g->condition, !READ_ONCE(g->alone));
	g->holds = NULL;
}

bool explore_release_waiting(bool all)
{
	bool any = false;

	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];

		/* Acquire: pairs with the release in await_alone(). */
		if (!smp_load_acquire(&g->alone) || !(all || g->holds(g->arg)))
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
	g = explored_gate(current);
	if (!READ_ONCE(ex.gates_open) && g->passes && holds(arg)) {
		g->passes--;
		g->touched = false;
		touch_upcoming(g, TR_SHARED_READ, what);
	} else if (!READ_ONCE(ex.gates_open)) {
		g->holds = holds;
		g->arg = arg;
		wait_at_gate(g, TR_SHARED_READ, what, CALLER);
	}
	if (READ_ONCE(ex.gates_open))
		await_alone(g, holds, arg);
	else
		touch(g, THE_ENDS, true); /* the condition may read the ends */
	return true;
}

void explore_become(unsigned int i)
{
	WRITE_ONCE(ex.gate[i].id, current->id);
	WRITE_ONCE(ex.gate[i].thread, current);
}

/* ---- the explorer's side ------------------------------------------------- */

static void open_gate(struct gate *g)
{
	WRITE_ONCE(g->at_gate, false);
	smp_store_release(&g->go, true); /* pairs with wait_at_gate() */
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
		/* Write `gated` even if it is to be false: in the last round
		 * the thread may have left wait_at_gate(), which sets `gated`,
		 * after explore_let_go() had cleared it. */
		if (t)
			WRITE_ONCE(t->gated, cpu != subject->toggled);
	}
	memset(&ex.footprint, 0, sizeof(ex.footprint));
	ex.timers = timers_armed_all();
	ex.undeclared_try = ex.no_step = ex.touched_at_rest = false;
	WRITE_ONCE(ex.gates_open, false);
	/* Release: all that this function has stored comes before `on`. */
	smp_store_release(&ex.on, true);
}

void explore_let_go(void)
{
	unsigned int cpu;

	WRITE_ONCE(ex.no_step, false);
	WRITE_ONCE(ex.gates_open, true); /* the condition before the wake-ups */
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		open_gate(&ex.gate[i]);
	for_each_possible_cpu (cpu)
		if (ex.callbacks[cpu].thread) {
			WRITE_ONCE(ex.callbacks[cpu].thread->gated, false);
			open_gate(&ex.callbacks[cpu]);
		}
}

void explore_end(void)
{
	WRITE_ONCE(ex.on, false);
}

/* Is thread i at its gate, or has it ended? */
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

/* Does no callback thread run? (A callback thread takes a callback off its list
 * after it has run it, and rcu_barrier() reads the list.) The callback thread
 * of a core that is off is parked, or has never run. */
static bool callbacks_rest(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		const struct thread *t = ex.callbacks[cpu].thread;

		if (t && cpu_is_online(cpu) &&
		    READ_ONCE(t->state) == TASK_RUNNING)
			return false;
	}
	smp_mb(); /* this look at the threads' states before later looks at
		   * their lists; pairs with the lock of the wait queue, which
		   * a thread takes between its changes of the two */
	return true;
}

/* Does the environment touch nothing that the threads read? */
static bool environment_is_apart(void)
{
	return READ_ONCE(rcu_sched_state.grace_period) == rcu_grace_period;
}

/* Does no grace period make progress? None does if none runs, or if the
 * grace-period thread waits for an event. */
static bool grace_periods_rest(void)
{
	return rcu_gp_is_quiet() || waits_for_event(rcu_sched_state.thread);
}

/* Is nothing running or about to run, and was none of the threads switched in
 * since the last look? switches: the threads' counts at the last look, updated
 * here. */
static bool nothing_runs(uint64_t *switches)
{
	bool still = cores_idle() && grace_periods_rest() &&
		     timers_armed_all() <= ex.timers;

	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct thread *t = READ_ONCE(ex.gate[i].thread);
		uint64_t n;

		if (at_rest(i))
			continue;
		n = READ_ONCE(t->switches);
		if (!waits_for_event(t) || switches[i] != n)
			still = false;
		switches[i] = n;
	}
	return still;
}

/* If a thread waits for something that a callback may bring, let one callback
 * run. Returns whether one runs. */
static bool let_callback_run(void)
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
		open_gate(g);
		return true;
	}
	return false;
}

/* Is the thread at this gate enabled? (gates.h says what that means.) */
static bool is_enabled(const struct gate *g)
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
	bool slept = false; /* at the last look all other cores slept */

	while (!(all_at_rest() && callbacks_rest() && environment_is_apart())) {
		bool still = nothing_runs(switches) && other_cores_sleep(&sum);

		if (still && (!slept || sum != last)) {
			slept = true;
			last = sum;
			continue;
		}
		if (still && !let_callback_run())
			break;
		slept = false;
		if (looks > STEP_LOOKS &&
		    timer_ns(timer_now() - begun) > STEP_NS)
			return EXPLORE_STRAY;
		/* First only yield, in case the step needs this core: most
		 * steps end before this core could sleep and be woken. */
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
		if (is_enabled(&ex.gate[i]))
			able |= 1u << i;
	}
	return able;
}

void explore_grant_run(unsigned int i, unsigned int gates)
{
	struct gate *g = &ex.gate[i];

	WRITE_ONCE(ex.no_step, false);
	for (unsigned int k = 0; k < ex.subject.nr; k++) {
		ex.gate[k].switches = READ_ONCE(ex.gate[k].thread->switches);
		ex.gate[k].blocked = !at_rest(k);
		ex.gate[k].granted = k == i;
	}
	g->touched = false;
	touch_upcoming(g, g->op, g->obj);
	g->passes = gates - 1;
	open_gate(g);
}

unsigned int explore_gates_left(unsigned int i)
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
		} else if (!touched_thing(g->op, g->obj, &s->thing,
					  &s->write)) {
			s->thing = 0;
		}
		s->thing = stable_name(s->thing);
		s->moves = may_move(s->thing);
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
