/*
 * The explorer's engine. What it is for: gates.h.
 *
 * One thread at a time has the lead: the exploring thread, or the explored
 * thread that was granted a step. `lead` names it. It is passed on with a
 * release and taken with an acquire, so whoever has the lead sees all that was
 * done before. `ex` and the gates belong to the thread that has the lead. These
 * are exceptions: at_gate and go (a thread may come to its resume gate while
 * another has the lead), and the footprint, which has a lock of its own, because
 * events come from every core and from any place with a trace point.
 */
#include "kernel/explore/gates.h"

#include <string.h>

#include "boot/boot.h"
#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/events.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/access.h"
#include "kernel/explore/left.h"
#include "kernel/hang/waitfor.h"
#include "kernel/lib/errno.h"
#include "kernel/explore/state.h"
#include "kernel/lock/busy.h"
#include "kernel/lock/spinlock.h"
#include "kernel/slab/slab.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/wait.h"

#if GORDIAN_DEBUG

#define LOOK_NS	    60000ull   /* between two looks if a thread is blocked */
#define LEAD_NS	    1000000ull /* between two looks while a thread leads */
#define AWAKE_LOOKS 64	       /* before the first LOOK_NS */
/* A step that lasts longer does not end by itself. It must also last that many
 * looks: a host may stop while the guest's clock goes on. */
#define STEP_NS	   10000000000ull
#define STEP_LOOKS 20000

/* Names for things that have no address. */
#define THE_CORES  ((uintptr_t)1) /* which of them are online */
#define THE_CACHES ((uintptr_t)2) /* the list of all caches */
#define COUNT_OF(rsp)                                                          \
	((uintptr_t) & ((const struct rcu_state *)(rsp))->n_barrier_done)
#define THE_HEAP    ((uintptr_t)4) /* all that was allocated */
#define WAKE_OF(i)  ((uintptr_t)16 + (uintptr_t)(i)) /* may it wake up? */
#define WANT_OF(i)  ((uintptr_t)48 + (uintptr_t)(i)) /* does it sleep? */
#define AWAIT_OF(i) ((uintptr_t)32 + (uintptr_t)(i)) /* its condition */
#define LIST_OF(i)  ((uintptr_t)96 + (uintptr_t)(i)) /* of callbacks */
#define IRQS_OF(i)  ((uintptr_t)64 + (uintptr_t)(i)) /* open: unmasked */
/* Of a thread with declared interrupts. Open: one may begin; none runs. */
#define COMES_OF(i) ((uintptr_t)72 + (uintptr_t)(i))
#define RUNS_OF(i)  ((uintptr_t)80 + (uintptr_t)(i))

#define SPINS_MAX 16 /* spinlocks that a thread holds at a time */

#define NO_ONE (-1) /* the exploring thread has the lead */

/* Where a thread is. */
enum phase {
	MOVES,	/* it was granted a step, or has not come to its first gate */
	STANDS, /* at a gate */
	SLEEPS, /* it has blocked */
	WOKEN, /* it was woken, and is at its resume gate or on the way to it */
};

struct gate {
	struct thread *thread; /* the thread that stops here */
	uint32_t id;	       /* of the thread: valid after its end */
	bool takes_part;       /* from explore_start() to its end */
	bool at_gate, go;
	enum phase phase;
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	struct waiting wait; /* what it waits for, or is about to wait for */
	bool announced; /* STANDS, and would sleep next: it has begun a wait */
	bool woken_early;   /* it was woken then, and will not sleep */
	bool toggles;	    /* it waits until the core has come or gone */
	uintptr_t declared; /* the word of the last gate before an access */
	bool looks; /* the last gate was a barrier's look at a core that stays */
	const void *objects; /* the cache, if the last gate was about objects */
	bool holds;	     /* its condition was true after the last step */
	bool awaits;	     /* SLEEPS, in explore_await() */
	bool alone;	     /* the thread is in await_alone() */
	struct wait_queue condition;
	unsigned int passes; /* gates that need no grant */
	bool granted;	     /* the last grant was to this thread */
	bool touched;	     /* it has touched something since then */
	bool ended;	     /* its end is in a footprint */
	/* Its sections: the experiment's spinlocks that it holds, or that it
	 * will have next. The footprint's lock guards them after
	 * explore_let_go(). */
	struct {
		const struct spinlock *lock;
		int adds; /* to preempt_count */
	} held[SPINS_MAX];
	unsigned int nr_held;
	/* The thread may stop if these are so: nothing but those spinlocks has
	 * disabled preemption or masked IRQs. */
	int preempt_count;
	bool irqs_off;
	bool masked; /* IRQs were masked at its last stop */
	/* After explore_let_go(): what it sleeps for, a spinlock or a thread
	 * that masks IRQs; and its turn. */
	const void *wants;
	bool turn, lent;
	/* Declared interrupts. */
	struct gate *bound;   /* this is one, of that thread */
	bool begun, returned; /* it has */
	bool has_interrupts;  /* this is a thread that has them */
	struct gate *in;      /* the one that runs on this thread, or begins */
	bool sleeps_here;     /* SLEEPS or WOKEN, and held before its sleep */
};

static struct {
	struct explored subject; /* late events read it after the end */
	bool on;		 /* an exploration is on */
	bool gates_open;	 /* no thread stops at its gate */
	bool no_step;		 /* no step is under way */
	bool touched_at_rest;	 /* something was touched while no_step */
	int lead;		 /* the thread that leads, or NO_ONE; atomic */
	int callbacks_left; /* queued since the start, and not run; atomic */
	bool timer_armed;   /* by one of the threads */
	bool asleep; /* the leading thread waits for the environment; atomic */
	bool over;   /* a step is over, and step_over() was not called yet */
	bool stops;  /* there are no more steps */
	unsigned int grants;
	const struct thread *runner; /* the exploring thread */
	struct wait_queue changed;
	struct gate gate[SEARCH_THREADS];
	struct gate callbacks[NR_CPUS]; /* each core's rcuc */
	unsigned int timers; /* armed at the start; may expire much later */
	struct footprint footprint;
	bool busy; /* the footprint's lock */
} ex = {
	/* Not in explore_begin(): a thread of the round before may hold its
	 * lock still. */
	.changed = WAIT_QUEUE_INIT(ex.changed, "a thread at a gate"),
};

/* ---- the footprint of a step --------------------------------------------- */

/* The gate of t, if t is one of the explored threads; else NULL. */
static struct gate *gate_of(const struct thread *t)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].thread) == t && !ex.gate[i].bound)
			return &ex.gate[i];
	return NULL;
}

/* The same; but if a declared interrupt runs on t, that one's gate. */
static struct gate *explored_gate(const struct thread *t)
{
	struct gate *g = gate_of(t);

	return g && g->in ? g->in : g;
}

static bool in_other_interrupt(void)
{
	return in_undeclared_interrupt(current);
}

static bool is_explored(const struct gate *g)
{
	return g >= ex.gate && g < ex.gate + SEARCH_THREADS;
}

/* Does a thread wait for the object, or will it unless it is woken? */
static bool somebody_waits_for(const void *obj)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct gate *g = &ex.gate[i];

		if ((g->phase == SLEEPS || g->announced) && g->wait.ops &&
		    g->wait.obj == obj)
			return true;
	}
	return false;
}

/* What the operation touches, and how. Returns false if no other thread could
 * notice it. */
static bool touched_thing(enum trace_op op, const void *obj, uintptr_t *thing,
			  enum touch_how *how)
{
	unsigned int touches = event_info(op)->touches;

	if (op == TR_SHARED_READ || op == TR_SHARED_WRITE)
		obj = (const void *)WORD_OF(obj);
	*thing = touches & ITS_COUNT ? COUNT_OF(obj) :
		 touches & THE_LIST  ? THE_CACHES :
				       (uintptr_t)obj;
	*how = touches & COUNTS_UP   ? TOUCH_INC :
	       touches & COUNTS_DOWN ? TOUCH_DEC :
	       touches & READS	     ? TOUCH_READ :
				       TOUCH_WRITE;
	/* A release may then hand over or wake. Which of several releases does
	 * it depends on their order. */
	if (*how != TOUCH_WRITE && somebody_waits_for(obj))
		*how = TOUCH_WRITE;
	return touches & (READS | WRITES | COUNTS_UP | COUNTS_DOWN);
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
	if (in_other_interrupt())
		return e->op == TR_CALL_RCU || e->op == TR_SHARED_READ ||
		       e->op == TR_SHARED_WRITE;
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].id) == e->thread &&
		    !ex.gate[i].bound && READ_ONCE(ex.gate[i].takes_part))
			*by = ex.gate[i].in ?: &ex.gate[i];
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
 * of one of the threads gets its name from its place on that stack. A cache has
 * the address of its name. All else that was allocated has one name together,
 * because it may be at another address in another run. */
static uintptr_t stable_name(uintptr_t thing)
{
	for (uintptr_t i = 0; thing >= STACKS_VA && i < ex.subject.nr; i++) {
		uint32_t stack = READ_ONCE(ex.gate[i].thread)->stack;

		if (thing >= stack && thing < stack + STACK_SIZE)
			return (i + 1) * STACK_SLOT + thing - stack;
	}
	if (thing >= LOWMEM_VA && (thing < KERNEL_VA || thing >= STACKS_VA))
		return THE_HEAP;
	return thing;
}

/* The object by which an operation's thing is known: a cache by its name. */
static const void *name_of(enum trace_op op, const void *obj)
{
	switch (op) {
	case TR_CACHE_DESTROY:
	case TR_CACHE_SHRINK:
	case TR_CACHE_FREE:
	case TR_CACHE_OBJECT:
		return kmem_cache_name(obj);
	case TR_BARRIER_LOOK:
	case TR_BARRIER_QUEUE:
		return &rcu_sched_state;
	default:
		return obj;
	}
}

/* Add a thing to the step's footprint. by: the thread that touched it, or
 * NULL. gives: the thing was closed before (search.h). */
static void touch(struct gate *by, uintptr_t thing, enum touch_how how,
		  bool gives)
{
	uint32_t flags = footprint_lock();

	footprint_add(&ex.footprint, stable_name(thing), how, gives);
	ex.touched_at_rest |= ex.no_step;
	footprint_unlock(flags);
	if (by)
		WRITE_ONCE(by->touched, true);
}

/* The same; and the step closes the thing, which was open. */
static void touch_and_shut(struct gate *by, uintptr_t thing, enum touch_how how)
{
	uint32_t flags = footprint_lock();

	thing = stable_name(thing);
	footprint_add(&ex.footprint, thing, how, false);
	footprint_shuts(&ex.footprint, thing);
	ex.touched_at_rest |= ex.no_step;
	footprint_unlock(flags);
	WRITE_ONCE(by->touched, true);
}

/* The thread falls asleep. */
static void touch_sleep(struct gate *g)
{
	touch_and_shut(g, WAKE_OF(g - ex.gate), TOUCH_READ);
	touch(g, WANT_OF(g - ex.gate), TOUCH_WRITE, false);
}

/* Does the step touch a second thing here, while its thread cannot stop? by:
 * the thread of the step, or NULL: a thread that acts for it. */
static void note_second_touch(const struct gate *by)
{
	if (by ? by->touched : READ_ONCE(ex.footprint.n) != 0)
		left_out(LEFT_SECTIONS);
}

/* Note what is left out if this operation happens here. */
static void note_names(const struct gate *by, enum trace_op op, const void *obj)
{
	switch (op) {
	case TR_LOCK:
	case TR_LOCK_INTR:
	case TR_TRYLOCK:
	case TR_UNLOCK:
	case TR_SPIN_LOCK:
	case TR_SPIN_TRYLOCK:
	case TR_SPIN_UNLOCK:
		if (stable_name((uintptr_t)obj) == THE_HEAP)
			left_heap_lock(obj);
		break;
	case TR_CACHE_DESTROY:
	case TR_CACHE_SHRINK:
	case TR_CACHE_FREE:
		if (by)
			left_object(by - ex.gate, (uintptr_t)name_of(op, obj),
				    true);
		break;
	default:
		break;
	}
}

/* Add what the operation touches to the step's footprint. */
static void touch_by(struct gate *by, enum trace_op op, const void *obj)
{
	uintptr_t thing;
	enum touch_how how;

	note_names(by, op, obj);
	if (touched_thing(op, name_of(op, obj), &thing, &how))
		touch(by, thing, how,
		      (op == TR_UNLOCK && !somebody_waits_for(obj)) ||
			      op == TR_SPIN_UNLOCK);
}

/* Does the thread look at the object again after its sleep? Not if a lock was
 * handed over to it. */
static bool looks_again(const struct waiting *w)
{
	return w->ops && w->ops != &rwsem_read_wait &&
	       w->ops != &rwsem_write_wait;
}

/* Is the lock that was taken in the footprint already? The gate before the
 * operation has added it; or it was handed over in another thread's step. */
static bool is_known(const struct gate *g, enum trace_op op)
{
	if (op != TR_LOCK && op != TR_READ_LOCK && op != TR_WRITE_LOCK)
		return false;
	return g->op == op || (g->op == TR_RESUME && !looks_again(&g->wait));
}

static bool is_spin(unsigned int op)
{
	return op >= TR_IRQ_OFF && op <= TR_SPIN_UNLOCKED;
}

/* Note what is left out if this event is in an interrupt. The barrier's
 * callbacks do not count: the barrier waits for the interrupt. */
static void note_interrupt(const struct trace_event *e)
{
	const struct gate *g;
	const struct thread *woken;
	const struct wait_ops *ops;
	bool timer;

	if (e->op != TR_WAKE) {
		if (event_info(e->op)->touches && e->op != TR_BARRIER_QUEUE &&
		    !(e->op == TR_CALL_RCU && is_barrier_callback(e->arg)))
			left_out(LEFT_INTERRUPTS);
		return;
	}
	woken = e->obj;
	g = gate_of(woken);
	if (!g)
		return;
	timer = !e->caller; /* sched.c: a timer has no caller */
	ops = READ_ONCE(woken->waiting.ops);
	if (timer && ops && ops->event && !READ_ONCE(g->toggles))
		left_out(LEFT_TIMERS);
	else if (!timer && READ_ONCE(ex.lead) != g - ex.gate)
		left_out(LEFT_INTERRUPTS);
}

/* Note what is left out if this event is in a thread that belongs to no step.
 * The stopper threads do: the step waits for them. */
static void note_stranger(const struct trace_event *e)
{
	if (event_info(e->op)->touches && !current->pinned && !in_callback() &&
	    current != ex.runner)
		left_out(LEFT_THREADS);
}

/* Note what is left out if this event belongs to a step. by: its thread, or
 * NULL. */
static void note_event(struct gate *by, const struct trace_event *e)
{
	const struct event_info *info = event_info(e->op);

	if (e->op == TR_CALL_RCU && !is_barrier_callback(e->arg))
		left_call(by ? by - ex.gate : SEARCH_THREADS);
	/* The gate of a barrier's callbacks is TR_BARRIER_QUEUE. */
	if (by && !is_spin(e->op) && info->touches && !info->next &&
	    !(info->touches & PART_OF_IT))
		note_second_touch(by);
}

/* Callbacks are queued in a list of each core. The list of the core that comes
 * and goes is one thing, the others together are another. */
static void touch_list(struct gate *by, const struct trace_event *e)
{
	unsigned int cpu = e->op == TR_CALL_RCU ? e->cpu : e->arg;
	uintptr_t list = LIST_OF(cpu == ex.subject.toggled);

	if (e->op == TR_CALL_RCU || e->op == TR_BARRIER_QUEUE)
		touch(by, list, TOUCH_INC, false);
	if (e->op == TR_BARRIER_LOOK)
		touch(by, list, TOUCH_READ, false);
}

/* A grace period ends. RCU takes a thread with preemption disabled for a reader,
 * but not while it is held at a gate under its spinlock. */
static void note_readers(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].preempt_count))
			left_out(LEFT_READERS);
}

void explore_event(const struct trace_event *e)
{
	struct gate *by;
	bool mine;

	if (!READ_ONCE(ex.on) || READ_ONCE(ex.gates_open))
		return;
	/* A writer of the hotplug lock polls hardware, against the clock. */
	if ((e->op == TR_HP_BEGIN || e->op == TR_HP_DONE) &&
	    explored_gate(current))
		WRITE_ONCE(current->timeless, e->op == TR_HP_DONE);
	if ((e->op == TR_CORE_ON || e->op == TR_CORE_OFF ||
	     e->op == TR_HP_DONE) &&
	    explored_gate(current))
		explored_gate(current)->toggles = false;
	if (e->cpu == ex.subject.toggled &&
	    (current->is_idle || current->pinned))
		/* Let explore_gate() see this thread's gates too: a wake-up
		 * that wakes no thread passes a gate, but there is no event. */
		current->gated = on_changing_core();
	if (e->op == TR_CALL_RCU || e->op == TR_RCU_CB)
		/* Relaxed: read while all threads rest. */
		__atomic_fetch_add(&ex.callbacks_left,
				   e->op == TR_CALL_RCU ? 1 : -1,
				   __ATOMIC_RELAXED);
	if (e->op == TR_GP_END)
		note_readers();
	mine = belongs_to_step(e, &by);
	if (!mine && e->op == TR_DONE)
		return; /* there is a TR_COMPLETE too */
	if (in_other_interrupt())
		note_interrupt(e);
	else if (!mine)
		note_stranger(e);
	if (!mine)
		return;
	note_event(by, e);
	touch_list(by, e);
	/* Whether the callback runs in this step or later depends on whether a
	 * thread waits: let_callback_run(). */
	for (unsigned int i = 0; e->op == TR_CALL_RCU && i < ex.subject.nr; i++)
		touch(by, WANT_OF(i), TOUCH_READ, false);
	if (e->op == TR_TIMER_ARM && by)
		WRITE_ONCE(ex.timer_armed, true);
	if (by && e->op == TR_COMPLETE)
		by->objects = NULL; /* the woken thread may use objects too */
	if (e->op == TR_CACHE_FREE)
		/* The RCU callbacks of the cache's slabs read the cache. */
		touch(by, (uintptr_t)&rcu_sched_state, TOUCH_READ, false);
	if (e->op == TR_NOTIFY &&
	    (e->arg == CPU_DYING || e->arg == CPU_STARTING))
		touch(by, THE_CORES, TOUCH_WRITE, false);
	if (event_info(e->op)->touches & AND_CORES)
		touch(by, THE_CORES, TOUCH_READ, false);
	if (e->op == TR_LOCK && by && by->op != TR_LOCK)
		touch_and_shut(by, (uintptr_t)e->obj, TOUCH_WRITE);
	if (by && (is_known(by, (enum trace_op)e->op) || is_spin(e->op)))
		return; /* the gate has added it */
	touch_by(by, (enum trace_op)e->op, e->obj);
}

/* Has this thread been woken since it blocked, or since it announced a wait? */
static bool was_woken(const struct gate *g)
{
	/* The order matters: a thread that comes to its resume gate sets at_gate
	 * before it is TASK_HELD. Acquire: pairs with the release in
	 * stop_at_resume(). */
	enum thread_state s = sched_state_apart_from_gate(g->thread);

	if (g->awaits)
		return false;
	if (g->phase == SLEEPS)
		return s == TASK_RUNNING || s == TASK_WAKING ||
		       smp_load_acquire(&g->at_gate);
	return g->announced && s == TASK_RUNNING;
}

static bool has_ended(unsigned int i)
{
	return ex.gate[i].bound ? READ_ONCE(ex.gate[i].returned) :
				  ex.subject.ended(ex.subject.arg, i);
}

/* Note which threads the step has woken, and which have ended. */
static void note_changes(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];

		if (!g->ended && has_ended(i)) {
			g->ended = true;
		} else if (!g->ended && was_woken(g)) {
			/* A thread that slept could not move before. */
			touch(NULL, WAKE_OF(i), TOUCH_WRITE,
			      g->phase == SLEEPS);
			touch(NULL, WANT_OF(i), TOUCH_WRITE, false);
			if (g->phase == SLEEPS)
				g->phase = WOKEN;
			else
				g->woken_early = true;
			g->announced = false;
		}
	}
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];
		bool holds = ex.subject.awaits[i] &&
			     ex.subject.awaits[i](ex.subject.arg);

		if (holds && !g->holds)
			touch(NULL, AWAIT_OF(i), TOUCH_WRITE, true);
		else if (!holds && g->holds)
			touch_and_shut(g, AWAIT_OF(i), TOUCH_WRITE);
		g->holds = holds;
	}
}

/* What the step has touched. */
static void take_footprint(struct footprint *f)
{
	uint32_t flags;

	note_changes();
	flags = footprint_lock();
	*f = ex.footprint;
	if (f->all)
		left_out(LEFT_ALL);
	memset(&ex.footprint, 0, sizeof(ex.footprint));
	ex.no_step = true;
	footprint_unlock(flags);
}

/* Can nothing but another explored thread, or a callback, end this wait? */
static bool waits_for_a_thread(const struct gate *g)
{
	const struct wait_ops *w = g->wait.ops;

	if (g->awaits)
		return true;
	if (w == &mutex_wait || w == &rwsem_read_wait ||
	    w == &rwsem_write_wait || w == &percpu_read_wait ||
	    w == &percpu_write_wait || w == &refcount_wait)
		return true;
	/* The environment completes nothing for a thread that takes no core on
	 * or off, while the threads' callbacks have run and they have armed no
	 * timer. (The answer must depend on what the threads have done, not on
	 * what the environment does just now.) */
	return (w == &queue_wait || w == &completion_wait) &&
	       mutex_owner(&cpu_add_remove_lock) != g->thread &&
	       READ_ONCE(ex.callbacks_left) == 0 && !READ_ONCE(ex.timer_armed);
}

/* Does the thread sleep until its event or until the explorer ends its wait? */
static bool may_time_out(const struct gate *g)
{
	/* The exploring thread may look while the leading thread goes on. */
	const struct wait_ops *ops = READ_ONCE(g->wait.ops);

	return g->wait.timed && ops && ops->either &&
	       READ_ONCE(g->thread->timeless);
}

/* ---- spinlocks ----------------------------------------------------------- */

/*
 * A spinlock of the experiment is a lock like the others: a thread stands before
 * it, and can take a step while the lock is free. So nobody spins. In its own
 * sections the thread stops at gates. It sleeps there although preemption is
 * disabled or IRQs are masked: both belong to the thread and come back with it.
 * No other thread sees the difference, because the threads that are explored
 * move one at a time anyway, and no callback runs meanwhile.
 */

/* Does thread t have the spinlock, or will it have it next? NULL: any thread. */
static bool has_spinlock(const struct thread *t, const void *lock)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct gate *g = &ex.gate[i];

		for (unsigned int k = 0; k < READ_ONCE(g->nr_held); k++)
			if (READ_ONCE(g->held[k].lock) == lock &&
			    (!t || t == g->thread))
				return true;
	}
	return false;
}

static bool any_spinlock_is_held(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (ex.gate[i].nr_held)
			return true;
	return false;
}

static bool has_awaited(const struct waiting *w, const struct thread *t)
{
	return has_spinlock(t, w->obj);
}

/* Let t go on, which sleeps for the object. Returns false if none does. */
static bool let_pass(const void *obj, struct thread *t)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];

		if (g->thread != t || READ_ONCE(g->wants) != obj)
			continue;
		WRITE_ONCE(g->lent, true);
		sched_release(t, &g->turn);
		return true;
	}
	return false;
}

/* Let t, which sleeps before the spinlock, take it although it is held. */
static int lend_turn(void *obj, struct thread *t)
{
	spin_lock_rescue(obj, t);
	return let_pass(obj, t) ? 0 : -EINVAL;
}

const struct wait_ops turn_wait = {
	.name = "spinlock",
	.event = true,
	.dep_map = DEP_MAP_AT(struct spinlock),
	.waits_on = has_awaited,
	.lend = lend_turn,
	.lent = "%s keeps %s; %s is let in once",
	.lend_rank = 2,
};

static bool masks(const struct waiting *w, const struct thread *t)
{
	return t == w->obj && READ_ONCE(gate_of(t)->masked);
}

static int pass_masked(void *obj, struct thread *t)
{
	return let_pass(obj, t) ? 0 : -EINVAL;
}

/* The wait for the answer of the core of a thread that masks IRQs. */
static const struct wait_ops answer_wait = {
	.name = "other cores",
	.relation = "where runs",
	.event = true,
	.waits_on = masks,
	.lend = pass_masked,
	.lent = "%s masks interrupts, so %s does not come; %s goes on",
	.lend_rank = 1,
};

/* The thread will have the lock next. Returns false if it is another's: then it
 * is woken when that changes. */
static bool take_turn(struct gate *g, const struct spinlock *l)
{
	uint32_t flags = footprint_lock();
	bool mine = !has_spinlock(NULL, l) || g->lent;

	g->wants = mine ? NULL : l;
	g->turn = false;
	if (mine) {
		BUG_ON(g->nr_held == SPINS_MAX);
		g->held[g->nr_held].lock = l;
		WRITE_ONCE(g->nr_held, g->nr_held + 1);
		g->lent = false;
	}
	footprint_unlock(flags);
	return mine;
}

/* After explore_let_go() it sleeps instead of spinning: the holder may need this
 * core. */
static void await_turn(struct gate *g, const struct spinlock *l,
		       uintptr_t caller)
{
	while (!take_turn(g, l)) {
		struct waiting outer =
			busy_begin(&turn_wait, l, l->name, caller);

		sched_hold(&g->turn);
		busy_set(outer);
	}
}

/* After explore_let_go(): sleep until the thread unmasks IRQs. */
static void await_answer(struct gate *g, struct gate *to, uintptr_t caller)
{
	WRITE_ONCE(g->wants, to->thread);
	while (READ_ONCE(to->masked) && !READ_ONCE(g->lent)) {
		struct waiting outer = busy_begin(&answer_wait, to->thread,
						  "an answer", caller);

		sched_hold(&g->turn);
		WRITE_ONCE(g->turn, false);
		busy_set(outer);
	}
	WRITE_ONCE(g->wants, NULL);
	WRITE_ONCE(g->lent, false);
}

/* After explore_let_go(): wake those who sleep for the object. */
static void wake_wanting(const void *obj)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].wants) == obj)
			sched_release(ex.gate[i].thread, &ex.gate[i].turn);
}

/* The thread has just released the lock. */
static void give_turn(struct gate *g, const void *lock)
{
	bool masked = irqs_disabled();
	uint32_t flags = footprint_lock();
	unsigned int i = g->nr_held;

	while (i > 0 && g->held[i - 1].lock != lock)
		i--;
	if (i) {
		g->preempt_count -= g->held[i - 1].adds;
		memmove(&g->held[i - 1], &g->held[i],
			(g->nr_held - i) * sizeof(g->held[0]));
		WRITE_ONCE(g->nr_held, g->nr_held - 1);
		g->irqs_off = g->nr_held ? masked : g->bound != NULL;
	}
	footprint_unlock(flags);
	if (!READ_ONCE(ex.gates_open))
		return;
	wake_wanting(lock);
	if (g->masked && !masked) {
		WRITE_ONCE(g->masked, false);
		wake_wanting(g->thread);
	}
}

/* May the thread stop here? */
static bool may_stop(const struct gate *g)
{
	return current->preempt_count == g->preempt_count &&
	       irqs_disabled() == g->irqs_off;
}

/* Interrupts come, or come no more, to the thread of g. by: who causes that. */
static void set_masked(struct gate *by, struct gate *g, bool masked)
{
	uintptr_t i = (uintptr_t)(g - ex.gate);

	g->masked = masked;
	if (masked)
		left_masked(i, ex.subject.apart);
	for (unsigned int k = 0; k <= g->has_interrupts; k++) {
		uintptr_t thing = k ? COMES_OF(i) : IRQS_OF(i);

		if (masked)
			touch_and_shut(by, thing, TOUCH_WRITE);
		else
			touch(by, thing, TOUCH_WRITE, true);
	}
}

/* Have IRQs been masked or unmasked since the thread's last stop? */
static void note_masked(struct gate *g)
{
	bool masked = irqs_disabled();

	if (masked != g->masked && !g->bound)
		set_masked(g, g, masked);
}

/* ---- at the gate --------------------------------------------------------- */

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

/* Thread t is about to be interrupted. That wakes it up if it sleeps in a wait
 * that can be interrupted. */
static void touch_interrupted(struct gate *g, const struct thread *t)
{
	struct gate *to = gate_of(t);

	touch(g, WAKE_OF(to - ex.gate), TOUCH_WRITE,
	      to->phase == SLEEPS &&
		      (was_woken(to) || /* in this step */
		       sched_state_apart_from_gate(t) == TASK_INTERRUPTIBLE));
	g->objects = NULL; /* the interrupted thread may use objects too */
}

/* The thread is about to do this operation: add the thing that it will touch
 * to the step's footprint. */
static void touch_upcoming(struct gate *g, enum trace_op op, const void *obj)
{
	if (op == TR_WAKE)
		touch(g, (uintptr_t)obj, TOUCH_WRITE, false);
	else if (op == TR_INTERRUPT)
		touch_interrupted(g, obj);
	else
		touch_by(g, op, obj);
	if (op == TR_LOCK_INTR && g) /* it may have been interrupted before */
		touch(g, WAKE_OF(g - ex.gate), TOUCH_READ, false);
}

/* Does the operation touch anything? */
static bool touches(enum trace_op op)
{
	return event_info(op)->touches || op == TR_WAKE || op == TR_INTERRUPT;
}

/*
 * Does a barrier only go on with its look at the cores' callbacks? The looks at
 * the cores that stay are one step, so that the number of schedules does not
 * depend on the number of cores. A call_rcu() on one core in the middle of it can
 * come before or after all of it. Only if several threads call call_rcu(), on
 * several cores, and in an order that they have agreed on, something is lost.
 */
static bool goes_on_looking(struct gate *g, enum trace_op op, const void *obj)
{
	bool looks = op == TR_BARRIER_LOOK || op == TR_BARRIER_QUEUE;
	bool stays = looks && obj != &rcu_sched_state.data[ex.subject.toggled];
	bool goes_on = stays && g->looks;

	if (stays)
		left_looks(g - ex.gate);
	g->looks = stays;
	return goes_on;
}

/*
 * Does the step end at this gate? Not if the step has touched nothing yet: then
 * no other thread can notice where in the order the step came. But a step always
 * ends before a mutex_lock(), because the thread may have to wait there. The
 * answer must not depend on other threads.
 */
static bool ends_step(struct gate *g, enum trace_op op, const void *obj)
{
	const void *before = g->objects;

	if (goes_on_looking(g, op, obj))
		return false;
	g->objects = op == TR_CACHE_OBJECT ? obj : NULL;
	if (op == TR_CACHE_OBJECT && obj == before) {
		left_object(g - ex.gate, (uintptr_t)name_of(op, obj), false);
		return false; /* several in a row are one step */
	}
	return !g->granted || g->touched || op == TR_NONE || op == TR_LOCK ||
	       op == TR_SPIN_LOCK;
}

/* Is the thread before a lock that is held, or would it wait for a core whose
 * thread masks IRQs? */
static bool would_wait(enum trace_op op, const void *obj)
{
	if (op == TR_CALL_CORE)
		return gate_of(obj)->masked;
	return (op == TR_LOCK && mutex_is_locked(obj)) ||
	       (op == TR_SPIN_LOCK && spin_is_locked(obj));
}

static void end_step(struct gate *g);
static bool run_interrupt(struct gate *g);

/* Wait until the thread is granted its next step, or may go on its own. Its
 * declared interrupts run here. */
static void wait_for_grant(struct gate *g)
{
	struct waiting outer = current->waiting;

	do {
		current->gated = false; /* wake_up() has a gate too */
		/* Acquire: pairs with the release in sched_release(). */
		if (!smp_load_acquire(&g->go)) {
			WRITE_ONCE(current->waiting.ops, &gate_wait);
			sched_hold(&g->go);
		}
		WRITE_ONCE(g->go, false);
		current->waiting = outer;
		current->gated = true;
	} while (run_interrupt(g));
	WRITE_ONCE(g->at_gate, false);
}

/* Stop at a gate that ends the thread's step, if it has one. */
static void stop_at_gate(struct gate *g, enum trace_op op, const void *obj,
			 uintptr_t caller)
{
	if (is_explored(g))
		note_masked(g);
	if (is_explored(g) && g->passes && !would_wait(op, obj)) {
		g->passes--;
		g->touched = false;
		return;
	}
	g->op = op;
	g->obj = obj;
	g->caller = caller;
	g->wait = current->waiting;
	/* A thread that leaves a queue does not sleep there again. */
	g->announced = current->state != TASK_RUNNING && !g->bound &&
		       op != TR_WAIT_DONE;
	g->phase = STANDS;
	/* Release: pairs with the acquires of at_gate, for the slot. */
	smp_store_release(&g->at_gate, true);
	current->gated = false;
	end_step(g);
	wait_for_grant(g);
}

/*
 * The thread is about to sleep, or was woken before it could.
 *
 * If it waits for the environment, it keeps the lead. The environment may be
 * done before the thread sleeps, or a while later, so that is one step. Only if
 * the environment comes to rest and the thread still sleeps, then its step is
 * over: settle().
 */
static void note_block(struct gate *g, uintptr_t caller)
{
	bool early = g->woken_early;

	g->woken_early = false;
	g->op = TR_RESUME;
	g->obj = current;
	g->caller = caller;
	g->wait = current->waiting;
	g->announced = false;
	current->gated = false;
	if (early && READ_ONCE(current->state) == TASK_RUNNING) {
		touch(g, WAKE_OF(g - ex.gate), TOUCH_READ, false);
		g->phase = WOKEN; /* the step goes on to the resume gate */
	} else if (!waits_for_a_thread(g) && !may_time_out(g)) {
		g->phase = SLEEPS;
		/* Release: pairs with the acquire in settle(). */
		smp_store_release(&ex.asleep, true);
		wake_up(&ex.changed);
	} else {
		touch_sleep(g);
		g->phase = SLEEPS;
		g->sleeps_here = g->has_interrupts;
		end_step(g);
		if (g->sleeps_here)
			wait_for_grant(g);
	}
	current->gated = true;
}

/* The thread has slept, and was woken; or it did not sleep, because it was woken
 * before. */
static void stop_at_resume(struct gate *g)
{
	/* Acquire: pairs with the release in pass_lead(). */
	bool leads = smp_load_acquire(&ex.lead) == g - ex.gate;

	if (leads && g->phase == SLEEPS) {
		WRITE_ONCE(ex.asleep, false);
		g->phase = MOVES;
		return; /* the environment has woken it: the step goes on */
	}
	if (!g->sleeps_here) {
		/* Release: pairs with the acquires of at_gate, for the slot. */
		smp_store_release(&g->at_gate, true);
		if (leads && g->phase == WOKEN) {
			current->gated = false;
			end_step(g); /* it did not sleep */
		}
		wait_for_grant(g);
	}
	g->sleeps_here = false;
	touch(g, WAKE_OF(g - ex.gate), TOUCH_READ, false);
	if (looks_again(&g->wait) && g->wait.obj)
		touch(g, (uintptr_t)g->wait.obj, TOUCH_WRITE, false);
}

/*
 * A declared interrupt. It runs on its thread's stack, where that is held at a
 * gate: so `current` is the thread, as in any interrupt. Its begin is a step of
 * its own.
 */
static bool run_interrupt(struct gate *g)
{
	struct gate *in = g->in;
	struct thread *t = current;
	uint32_t flags;

	if (!in)
		return false;
	flags = local_irq_save();
	t->irq_depth++;
	t->declared_irqs++;
	in->preempt_count = t->preempt_count;
	in->irqs_off = true;
	set_masked(in, g, true);
	touch_and_shut(in, RUNS_OF(g - ex.gate), TOUCH_WRITE);
	stop_at_gate(in, TR_NONE, NULL, CALLER);
	ex.subject.handler(ex.subject.arg, (unsigned int)(in - ex.gate));
	t->gated = false;
	t->declared_irqs--;
	t->irq_depth--;
	local_irq_restore(flags);
	WRITE_ONCE(in->returned, true);
	g->in = NULL;
	if (READ_ONCE(ex.gates_open)) {
		WRITE_ONCE(g->masked, false);
		wake_wanting(t);
		return true;
	}
	set_masked(in, g, false);
	touch(in, RUNS_OF(g - ex.gate), TOUCH_WRITE, true);
	end_step(in);
	return true;
}

static void gate_of_callback(struct gate *g, enum trace_op op, const void *obj,
			     uintptr_t caller)
{
	if (op == TR_RCU_CB && may_sleep())
		stop_at_gate(g, op, obj, caller);
	else
		touch_upcoming(NULL, op, obj);
}

/* Stop at the gate if the step ends there and the thread may stop. */
static void gate_of_thread(struct gate *g, enum trace_op op, const void *obj,
			   uintptr_t caller)
{
	/* A lock of the experiment's own may have to be waited for, wherever
	 * that is. */
	if (op == TR_SPIN_LOCK || may_stop(g)) {
		if (ends_step(g, op, obj))
			stop_at_gate(g, op, obj, caller);
	} else {
		/* Under a spinlock of the kernel it does not stop. A call_rcu()
		 * there frees an object in a row of objects. */
		if (op != TR_CACHE_OBJECT && op != TR_CALL_RCU)
			g->objects = NULL;
		if (touches(op))
			note_second_touch(g);
	}
	touch_upcoming(g, op, obj);
}

/* The thread will wait until core `cpu` has run a function in an interrupt. So
 * it stands here until each thread there has unmasked IRQs. If several threads
 * may share a core, then which of them are there depends on the machine, and
 * that is left out. */
static void gate_of_call(struct gate *g, uintptr_t cpu, uintptr_t caller)
{
	left_caller(g - ex.gate, ex.subject.apart);
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *to = &ex.gate[i];

		if (!ex.subject.apart || to->bound || to->thread->cpu != cpu ||
		    to->thread == current || !may_stop(g))
			continue;
		if (!READ_ONCE(ex.gates_open)) {
			stop_at_gate(g, TR_CALL_CORE, to->thread, caller);
			touch(g, IRQS_OF(i), TOUCH_READ, false);
		}
		if (READ_ONCE(ex.gates_open))
			await_answer(g, to, caller);
	}
}

/* The parts of a spinlock operation that are no points, or more than that. */
static void gate_of_spinlock(struct gate *g, enum trace_op op, const void *obj,
			     uintptr_t caller)
{
	bool open = READ_ONCE(ex.gates_open);

	if (op == TR_SPIN_TURN && open)
		await_turn(g, obj, caller);
	else if (op == TR_SPIN_TURN || op == TR_SPIN_TRIED)
		take_turn(g, obj);
	if (op == TR_SPIN_LOCKED || op == TR_SPIN_TRIED) {
		g->held[g->nr_held - 1].adds =
			current->preempt_count - g->preempt_count;
		g->preempt_count = current->preempt_count;
		g->irqs_off = irqs_disabled();
	}
	if (op == TR_SPIN_UNLOCKED)
		give_turn(g, obj);
	else if (op == TR_SPIN_TRIED && !open)
		touch_and_shut(g, (uintptr_t)obj, TOUCH_WRITE);
	if (!open && op != TR_SPIN_TURN && op != TR_SPIN_UNLOCKED &&
	    !(op == TR_IRQ_OFF && irqs_disabled()))
		gate_of_thread(g, op, obj, caller);
}

void explore_gate(enum trace_op op, const void *obj, uintptr_t caller)
{
	struct gate *g = explored_gate(current);

	if (g && is_spin(op)) {
		gate_of_spinlock(g, op, obj, caller);
		return;
	}
	if (g && op == TR_CALL_CORE) {
		gate_of_call(g, (uintptr_t)obj, caller);
		return;
	}
	if (READ_ONCE(ex.gates_open) || (op == TR_WAKE && is_rcu_queue(obj)))
		return;
	if (!g && (op == TR_RCU_CB || in_callback()))
		g = callbacks_gate(current);
	if (is_explored(g) && (op == TR_CORE_ON || op == TR_CORE_OFF))
		g->toggles = true;
	if (is_explored(g) && (op == TR_SHARED_READ || op == TR_SHARED_WRITE))
		g->declared = WORD_OF(obj);
	if (!g) {
		if (!on_changing_core())
			return;
		/* While a core goes, no other thread can run at all. */
		if (current->is_idle && touches(op))
			note_second_touch(NULL);
		touch_upcoming(NULL, op, obj);
	} else if (!is_explored(g)) {
		gate_of_callback(g, op, obj, caller);
	} else if (op == TR_BLOCK) {
		note_block(g, caller);
	} else if (op == TR_RESUME) {
		stop_at_resume(g);
	} else if (op == TR_INTERRUPT && !gate_of(obj)) {
		return;
	} else {
		gate_of_thread(g, op, obj, caller);
	}
}

/* Has the thread just passed the gate of the word that it accesses now? Once:
 * the next access is another one. */
static bool was_declared(struct gate *g, uintptr_t word)
{
	bool was = g && g->declared == word;

	if (g)
		g->declared = 0;
	return was;
}

void explore_access(uintptr_t word, bool write, uintptr_t caller)
{
	enum trace_op op = write ? TR_SHARED_WRITE : TR_SHARED_READ;

	if (in_other_interrupt()) {
		left_out(LEFT_INTERRUPTS);
		touch_by(NULL, op, (const void *)word);
	} else if (current->gated &&
		   !was_declared(explored_gate(current), word)) {
		explore_gate(op, (const void *)word, caller);
		(void)was_declared(explored_gate(current), word);
	}
}

void explore_access_elsewhere(uintptr_t word, bool write)
{
	const struct gate *g = explored_gate(current);
	uintptr_t name = stable_name(word);

	if (g && current->gated && !in_other_interrupt() &&
	    (name == THE_HEAP ||
	     name / STACK_SLOT != (uintptr_t)(g - ex.gate) + 1))
		left_access(g - ex.gate, word, write);
}

bool explore_touched_at_rest(void)
{
	return READ_ONCE(ex.touched_at_rest);
}

void explore_start(void)
{
	if (!current->gated || !READ_ONCE(ex.on))
		return;
	WRITE_ONCE(current->timeless, true);
	WRITE_ONCE(gate_of(current)->takes_part, true);
	explore_gate(TR_NONE, NULL, CALLER);
}

void explore_thread_returns(void)
{
	struct gate *g = explored_gate(current);

	if (g && g->has_interrupts && current->gated && READ_ONCE(ex.on))
		explore_gate(TR_THREAD_END, NULL, CALLER);
}

void explore_thread_ends(void)
{
	struct gate *g = explored_gate(current);

	WRITE_ONCE(current->timeless, false);
	if (!g || !READ_ONCE(ex.on))
		return;
	if (READ_ONCE(ex.gates_open)) {
		WRITE_ONCE(g->masked, false);
		wake_wanting(current);
		return;
	}
	note_masked(g);
	if (g->has_interrupts) /* none comes any more */
		touch_and_shut(g, COMES_OF(g - ex.gate), TOUCH_WRITE);
	WRITE_ONCE(g->takes_part, false);
	end_step(g);
}

/* Wait for the condition after explore_let_go(). The thread waits as for any
 * event, so a round in which the condition cannot become true is seen to be
 * stuck. */
static void await_alone(struct gate *g, bool (*holds)(void *arg))
{
	if (holds(ex.subject.arg))
		return;
	/* Release: pairs with the acquire in explore_release_waiting(). */
	smp_store_release(&g->alone, true);
	wait_event(&g->condition, !READ_ONCE(g->alone));
}

/* The explored thread's step is over. It can take its next step exactly while
 * the condition is true. */
static void sleep_until(struct gate *g)
{
	g->wait.ops = NULL;
	g->op = TR_AWAIT;
	g->obj = NULL;
	g->caller = CALLER;
	g->awaits = true;
	g->phase = SLEEPS;
	/* Release: pairs with the acquires of at_gate, for the slot. */
	smp_store_release(&g->at_gate, true);
	current->gated = false;
	end_step(g);
	wait_for_grant(g);
	g->awaits = false;
	touch(g, AWAIT_OF(g - ex.gate), TOUCH_READ, false);
}

bool explore_release_waiting(bool all)
{
	bool any = false;

	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];

		/* Acquire: pairs with the release in await_alone(). */
		if (!smp_load_acquire(&g->alone) ||
		    !(all || ex.subject.awaits[i](ex.subject.arg)))
			continue;
		WRITE_ONCE(g->alone, false);
		wake_up(&g->condition);
		any = true;
	}
	return any;
}

bool explore_await(void)
{
	struct gate *g;

	if (!current->gated || !READ_ONCE(ex.on))
		return false;
	g = explored_gate(current);
	BUG_ON(!ex.subject.awaits[g - ex.gate]); /* the duty in gates.h */
	if (!READ_ONCE(ex.gates_open))
		sleep_until(g);
	if (READ_ONCE(ex.gates_open))
		await_alone(g, ex.subject.awaits[g - ex.gate]);
	return true;
}

void explore_become(unsigned int i)
{
	WRITE_ONCE(ex.gate[i].id, current->id);
	WRITE_ONCE(ex.gate[i].thread, current);
}

/* ---- the explorer's side ------------------------------------------------- */

static void gate_init(struct gate *g, struct thread *t)
{
	memset(g, 0, sizeof(*g));
	g->thread = t;
	g->id = t ? t->id : 0;
	wait_queue_init(&g->condition, "a condition, explore_await()");
}

void explore_begin(const struct explored *subject)
{
	unsigned int cpu;

	ex.subject = *subject;
	ex.runner = current;
	for (unsigned int i = 0; i < subject->nr; i++)
		gate_init(&ex.gate[i], subject->thread[i]);
	for (unsigned int i = 0; i < subject->nr; i++) {
		struct gate *g = &ex.gate[i];

		if (!subject->interrupts[i])
			continue;
		g->bound = &ex.gate[subject->interrupts[i] - 1];
		g->bound->has_interrupts = true;
		g->phase = STANDS;
		g->op = TR_COMES;
		g->obj = g->thread;
		g->at_gate = true;
	}
	for_each_possible_cpu (cpu) {
		struct thread *t = rcu_sched_state.data[cpu].thread;

		gate_init(&ex.callbacks[cpu], t);
		/* Write `gated` even if it is to be false: in the last round
		 * the thread may have left wait_for_grant(), which sets
		 * `gated`, after explore_let_go() had cleared it. */
		if (t)
			WRITE_ONCE(t->gated, cpu != subject->toggled);
	}
	memset(&ex.footprint, 0, sizeof(ex.footprint));
	ex.timers = timers_armed_all();
	ex.no_step = ex.touched_at_rest = ex.over = ex.stops = false;
	ex.asleep = ex.timer_armed = false;
	ex.callbacks_left = 0;
	WRITE_ONCE(ex.lead, NO_ONE);
	WRITE_ONCE(ex.gates_open, false);
	/* Release: all that this function has stored comes before `on`. */
	smp_store_release(&ex.on, true);
	WRITE_ONCE(explore_accesses, true);
}

static void end_wait(struct gate *g)
{
	WRITE_ONCE(g->thread->timed_out, true);
	wake_up_thread(g->thread, CALLER);
}

void explore_let_go(void)
{
	unsigned int cpu;

	WRITE_ONCE(explore_accesses, false);
	WRITE_ONCE(ex.no_step, false);
	WRITE_ONCE(ex.gates_open, true); /* the condition before the wake-ups */
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];
		bool sleeps = g->phase == SLEEPS && may_time_out(g);

		WRITE_ONCE(g->thread->timeless, false);
		if (sleeps)
			end_wait(g);
		sched_release(g->thread, &g->go);
	}
	for_each_possible_cpu (cpu)
		if (ex.callbacks[cpu].thread) {
			WRITE_ONCE(ex.callbacks[cpu].thread->gated, false);
			sched_release(ex.callbacks[cpu].thread,
				      &ex.callbacks[cpu].go);
		}
}

void explore_end(void)
{
	WRITE_ONCE(explore_accesses, false);
	WRITE_ONCE(ex.on, false);
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

/* Do the grace periods rest? They do if none runs and none is requested, or if
 * the grace-period thread waits for an event, and not for time. */
static bool grace_periods_rest(void)
{
	return rcu_gp_is_quiet() || waits_for_event(rcu_sched_state.thread);
}

/* Is it certain, at one look, that nothing happens without another step?
 * arrived: must the woken threads have come to their gates? */
static bool all_rest(bool arrived)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct gate *g = &ex.gate[i];

		if (has_ended(i) || g->phase == STANDS)
			continue;
		if (g->phase == MOVES)
			return false;
		if (g->phase == SLEEPS && !was_woken(g) &&
		    (may_time_out(g) || waits_for_a_thread(g)))
			continue;
		/* Acquire: pairs with the release in stop_at_resume(). */
		if (g->phase == SLEEPS && !was_woken(g))
			return false;
		if (arrived && !g->sleeps_here &&
		    !smp_load_acquire(&g->at_gate))
			return false;
	}
	/* A grace period for callbacks of the threads must have ended: later
	 * steps may look at these callbacks. A timer of theirs may expire: then
	 * only settle() can tell. */
	return !READ_ONCE(ex.timer_armed) && callbacks_rest() &&
	       environment_is_apart() &&
	       (!READ_ONCE(ex.callbacks_left) || grace_periods_rest());
}

/* Has the thread stopped for good, as far as one look can tell? */
static bool at_rest(const struct gate *g, unsigned int i)
{
	return has_ended(i) || smp_load_acquire(&g->at_gate) ||
	       g->sleeps_here || (g->phase == SLEEPS && may_time_out(g));
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

		if (at_rest(&ex.gate[i], i))
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

		wanted |= !at_rest(&ex.gate[i], i) &&
			  (w == &completion_wait || w == &barrier_wait ||
			   w == &queue_wait || w == &join_wait);
	}
	/* A section under a spinlock is an RCU reader. */
	if (wanted && any_spinlock_is_held())
		left_out(LEFT_READERS);
	for_each_possible_cpu (cpu) {
		struct gate *g = &ex.callbacks[cpu];

		if (!wanted || !smp_load_acquire(&g->at_gate))
			continue;
		WRITE_ONCE(g->at_gate, false);
		sched_release(g->thread, &g->go);
		return true;
	}
	return false;
}

/* May the interrupt begin? It runs where its thread is held. */
static bool may_begin(const struct gate *g)
{
	const struct gate *b = g->bound;

	return !b->masked && !has_ended((unsigned int)(b - ex.gate)) &&
	       (b->phase == STANDS || b->awaits || b->sleeps_here ||
		b->phase == WOKEN);
}

/* Can the thread take a step? (gates.h says what that means.) */
static bool is_enabled(const struct gate *g)
{
	if (g->in)
		return false;
	if (g->bound && !g->begun)
		return may_begin(g);
	if (g->awaits)
		return g->holds;
	if (g->phase != STANDS)
		return g->phase == WOKEN ||
		       (g->phase == SLEEPS && may_time_out(g));
	return !would_wait(g->op, g->obj);
}

/* The threads that can take a step, as bits. */
static unsigned int enabled_threads(void)
{
	unsigned int able = 0;

	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!has_ended(i) && is_enabled(&ex.gate[i]))
			able |= 1u << i;
	return able;
}

/* The step is over, if one was under way: say so, and choose the next one.
 * Returns the thread, or NO_ONE: there is no next step. */
static int next_step(void)
{
	struct footprint f;
	unsigned int able, gates = 1;
	struct gate *last;
	int n;

	take_footprint(&f);
	if (ex.over && ex.subject.step_over)
		ex.subject.step_over(ex.subject.arg, &f);
	ex.over = false;
	able = enabled_threads();
	if (!able)
		return NO_ONE;
	for (last = ex.gate; last < ex.gate + ex.subject.nr; last++)
		if (last->granted && last->passes &&
		    able & 1u << (last - ex.gate))
			return last->passes--, (int)(last - ex.gate);
	n = ex.subject.choose(ex.subject.arg, able, &gates);
	if (n >= 0)
		ex.gate[n].passes = gates - 1;
	return n < 0 ? NO_ONE : n;
}

/* From here on thread n has the lead, or (NO_ONE) the exploring thread. */
static void pass_lead(int n)
{
	/* Release: pairs with the acquires in stop_at_resume() and in
	 * explore_run(). */
	smp_store_release(&ex.lead, n);
	if (n == NO_ONE)
		wake_up(&ex.changed);
}

/* Let thread n, which is enabled, take a step. */
static void grant(int n)
{
	struct gate *g = &ex.gate[n];
	bool times_out = g->phase == SLEEPS && may_time_out(g);
	bool *go = &g->go;

	WRITE_ONCE(ex.no_step, false);
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		ex.gate[i].granted = &ex.gate[i] == g;
	g->touched = g->announced = false;
	if (g->has_interrupts)
		touch(NULL, RUNS_OF(n), TOUCH_READ, false);
	if (g->bound && !g->begun) {
		g->begun = true;
		g->bound->in = g;
		go = &g->bound->go;
	}
	if (times_out)
		touch(g, WAKE_OF(n), TOUCH_WRITE, false);
	g->phase = MOVES;
	ex.grants++;
	ex.over = true;
	pass_lead(n);
	if (times_out)
		end_wait(g);
	sched_release(g->thread, go);
}

/* The current thread's step is over. If it has the lead, pass it on. */
static void end_step(struct gate *g)
{
	int n = NO_ONE;

	/* Acquire: pairs with the release in pass_lead(). */
	if (!is_explored(g) || smp_load_acquire(&ex.lead) != g - ex.gate) {
		wake_up(&ex.changed);
		return;
	}
	if (ex.subject.anywhere && all_rest(false)) {
		n = next_step();
		ex.stops = n == NO_ONE;
	}
	if (n == NO_ONE)
		pass_lead(NO_ONE);
	else
		grant(n);
}

const struct thread *explore_stray(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!at_rest(&ex.gate[i], i) &&
		    !waits_for_event(ex.gate[i].thread))
			return ex.gate[i].thread;
	return NULL;
}

/* Does the exploring thread have the lead? It takes the lead back from a thread
 * that a BUG has ended. */
static bool have_lead(void)
{
	/* Acquire: pairs with the release in pass_lead(). */
	int n = smp_load_acquire(&ex.lead);

	if (n == NO_ONE)
		return true;
	/* Another thread may have taken the place of the one that has died, and
	 * may be passing the lead on. Acquire: as above. */
	return READ_ONCE(ex.gate[n].thread->exited) &&
	       __atomic_compare_exchange_n(&ex.lead, &n, NO_ONE, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* The environment rests, and the leading thread still sleeps: its step is
 * over. */
static void end_step_of_sleeper(void)
{
	struct gate *g = &ex.gate[ex.lead];

	touch_sleep(g);
	if (g->has_interrupts) /* it is not held, so none can run on it */
		set_masked(g, g, true);
	/* It depends on the callbacks that are queued, and from now on others
	 * that are queued may run. */
	touch(NULL, (uintptr_t)&rcu_sched_state, TOUCH_WRITE, false);
	WRITE_ONCE(ex.asleep, false);
	WRITE_ONCE(ex.lead, NO_ONE);
}

/* Wait until no explored thread has the lead and nothing happens without
 * another step. Returns false if that does not come. */
static bool settle(void)
{
	uint64_t switches[SEARCH_THREADS] = { 0 };
	uint64_t begun = timer_now();
	unsigned int looks = 0, grants = ex.grants;
	uint32_t sum, last = 0;
	bool slept = false; /* at the last look all other cores slept */

	for (;;) {
		bool lead = have_lead(), still;

		if (lead && all_rest(true))
			return true;
		/* Acquire: pairs with the release in note_block(). */
		still = (lead || smp_load_acquire(&ex.asleep)) &&
			nothing_runs(switches) && other_cores_sleep(&sum);
		if (still && (!slept || sum != last)) {
			slept = true;
			last = sum;
			continue;
		}
		if (still && !let_callback_run()) {
			if (!lead)
				end_step_of_sleeper();
			return true;
		}
		slept = false;
		if (READ_ONCE(ex.grants) != grants) {
			grants = READ_ONCE(ex.grants);
			begun = timer_now();
			looks = 0;
		}
		if (looks > STEP_LOOKS &&
		    timer_ns(timer_now() - begun) > STEP_NS)
			return false;
		/* First only yield, in case the step needs this core: most
		 * steps end before this core could sleep and be woken. */
		if (!lead || looks++ >= AWAKE_LOOKS)
			looks++, (void)wait_event_timeout(
					 &ex.changed, &gate_wait,
					 READ_ONCE(ex.lead) == NO_ONE &&
						 all_rest(true),
					 lead ? LOOK_NS : LEAD_NS);
		else
			yield();
	}
}

unsigned int explore_run(void)
{
	unsigned int left = 0;
	bool rests;
	int n = 0;

	while ((rests = settle()) && !ex.stops && (n = next_step()) >= 0)
		grant(n);
	if (!rests)
		return EXPLORE_STRAY;
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!has_ended(i) && (!ex.gate[i].bound || ex.gate[i].begun))
			left |= 1u << i;
	return left;
}

unsigned int explore_gates_left(unsigned int i)
{
	return ex.gate[i].passes;
}

void explore_standing(struct standing *out)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct gate *g = &ex.gate[i];
		struct standing *s = &out[i];

		memset(s, 0, sizeof(*s));
		if (has_ended(i)) {
			s->where = STAND_ENDED;
		} else if (g->awaits) {
			s->where = STAND_AT_POINT;
			s->op = TR_AWAIT;
			s->thing = AWAIT_OF(i);
			s->how = TOUCH_READ;
			s->takes = s->vague = true;
		} else if (g->phase == WOKEN ||
			   (g->phase == SLEEPS && may_time_out(g))) {
			s->where = STAND_AT_POINT;
			s->op = g->phase == WOKEN ? TR_RESUME : TR_BLOCK;
			s->thing = WAKE_OF(i);
			s->how = g->phase == WOKEN ? TOUCH_READ : TOUCH_WRITE;
			s->takes = !may_time_out(g);
			s->vague = true;
		} else if (g->phase == STANDS) {
			s->where = STAND_AT_POINT;
			s->op = (uint16_t)g->op;
			s->how = TOUCH_WRITE;
			if (g->op == TR_WAKE)
				s->thing = (uintptr_t)g->obj;
			else if (!touched_thing(g->op, name_of(g->op, g->obj),
						&s->thing, &s->how))
				s->thing = 0;
			s->thing = stable_name(s->thing);
			s->takes = g->op == TR_LOCK || g->op == TR_SPIN_LOCK;
			s->vague = !s->takes;
		}
		if (s->where == STAND_AT_POINT && g->op == TR_CALL_CORE &&
		    g->phase == STANDS) {
			s->thing = IRQS_OF(gate_of(g->obj) - ex.gate);
			s->how = TOUCH_READ;
			s->takes = true;
		}
		if (s->where == STAND_AT_POINT && g->bound && !g->begun) {
			s->thing = COMES_OF(g->bound - ex.gate);
			s->how = TOUCH_WRITE;
			s->takes = true;
		}
		if (s->where == STAND_AT_POINT && g->has_interrupts) {
			s->also = (uint16_t)RUNS_OF(i);
			s->vague = true;
		}
	}
}

bool explore_pending(unsigned int i, enum trace_op *op, const void **obj,
		     uintptr_t *caller)
{
	const struct gate *g = &ex.gate[i];

	if (g->phase != STANDS && g->phase != WOKEN && !g->awaits)
		return false;
	*op = g->phase == WOKEN ? TR_RESUME : g->op;
	*obj = g->obj;
	*caller = g->caller;
	return true;
}
#endif
