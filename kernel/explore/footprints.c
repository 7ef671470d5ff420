/*
 * The explorer's engine: what a step touches.
 *
 * Owns the footprint of the step that is under way. Events come in any context;
 * the footprint's lock guards it.
 */
#include <string.h>

#include "boot/boot.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/events.h"
#include "kernel/explore/access.h"
#include "kernel/explore/engine.h"
#include "kernel/explore/heap.h"
#include "kernel/explore/left.h"
#include "kernel/rcu/rcu.h"
#include "kernel/slab/slab.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"

#if GORDIAN_DEBUG

struct gate *gate_of(const struct thread *t)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].thread) == t && !ex.gate[i].bound)
			return &ex.gate[i];
	return NULL;
}

struct gate *explored_gate(const struct thread *t)
{
	struct gate *g = gate_of(t);

	return g && g->in ? g->in : g;
}

bool in_other_interrupt(void)
{
	return in_undeclared_interrupt(current);
}

bool is_explored(const struct gate *g)
{
	return g >= ex.gate && g < ex.gate + SEARCH_THREADS;
}

/* Does a thread sleep until the object changes? A thread that is about to
 * sleep, and will do so if nothing wakes it before, counts too. */
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

bool touched_thing(enum trace_op op, const void *obj, uintptr_t *thing,
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
	/* If a thread waits for the object, a release may hand the object over
	 * or wake the thread. The order of several releases decides which of
	 * them does this, so they do not commute. */
	if (*how != TOUCH_WRITE && somebody_waits_for(obj))
		*how = TOUCH_WRITE;
	return touches & (READS | WRITES | COUNTS_UP | COUNTS_DOWN);
}

bool in_callback(void)
{
	return current->preempt_count != 0;
}

bool on_changing_core(void)
{
	unsigned int cpu = smp_processor_id();

	return cpu == ex.subject.toggled && !cpu_is_online(cpu) &&
	       !in_interrupt();
}

/* Is the event the end of stop_machine()? It is chance which stopper causes
 * this event. */
static bool ends_stop_machine(const struct trace_event *e)
{
	return e->op == TR_COMPLETE &&
	       ((const struct completion *)e->obj)->by == current;
}

/* Does the event belong to the step? It does if an explored thread caused it
 * (*by: the thread's gate), or if a callback or the core that comes or goes
 * caused it. A call of a CPU notifier and a call_rcu() belong to the step
 * whichever thread causes them. In an interrupt that is not an actor, only
 * queued callbacks and accesses to declared data belong to the step: the step
 * may have sent the interrupt and waits for it. Anything else there does not,
 * because it is chance which thread is interrupted. */
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

uint32_t footprint_lock(void)
{
	uint32_t flags = local_irq_save();

	while (__atomic_test_and_set(&ex.busy, __ATOMIC_ACQUIRE))
		cpu_relax();
	return flags;
}

void footprint_unlock(uint32_t flags)
{
	__atomic_clear(&ex.busy, __ATOMIC_RELEASE);
	local_irq_restore(flags);
}

uintptr_t stable_name(uintptr_t thing)
{
	for (uintptr_t i = 0; thing >= STACKS_VA && i < ex.subject.nr; i++) {
		uint32_t stack = READ_ONCE(ex.gate[i].thread)->stack;

		if (thing >= stack && thing < stack + STACK_SIZE)
			return (i + 1) * STACK_SLOT + thing - stack;
	}
	if (is_on_heap(thing))
		return heap_name(thing) ?: THE_HEAP;
	return thing < STACKS_VA ? thing : THE_HEAP;
}

const void *name_of(enum trace_op op, const void *obj)
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

void touch(struct gate *by, uintptr_t thing, enum touch_how how, bool gives)
{
	uint32_t flags = footprint_lock();

	footprint_add(&ex.footprint, stable_name(thing), how, gives);
	ex.touched_at_rest |= ex.no_step;
	footprint_unlock(flags);
	if (by)
		WRITE_ONCE(by->touched, true);
}

void touch_and_shut(struct gate *by, uintptr_t thing, enum touch_how how)
{
	uint32_t flags = footprint_lock();

	thing = stable_name(thing);
	footprint_add(&ex.footprint, thing, how, false);
	footprint_shuts(&ex.footprint, thing);
	ex.touched_at_rest |= ex.no_step;
	footprint_unlock(flags);
	if (by)
		WRITE_ONCE(by->touched, true);
}

void touch_sleep(struct gate *g)
{
	touch_and_shut(g, WAKE_OF(g - ex.gate), TOUCH_READ);
}

void note_second_touch(const struct gate *by)
{
	if (by ? by->touched : READ_ONCE(ex.footprint.n) != 0)
		left_out(LEFT_SECTIONS);
}

/* The search may leave something out if the operation is on a lock without a
 * name, or if it destroys, shrinks or frees a cache. Note this. */
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

void touch_by(struct gate *by, enum trace_op op, const void *obj)
{
	uintptr_t thing;
	enum touch_how how;

	note_names(by, op, obj);
	if (touched_thing(op, name_of(op, obj), &thing, &how))
		touch(by, thing, how,
		      (op == TR_UNLOCK && !somebody_waits_for(obj)) ||
			      op == TR_SPIN_UNLOCK);
}

bool looks_again(const struct waiting *w)
{
	return w->ops && w->ops != &rwsem_read_wait &&
	       w->ops != &rwsem_write_wait;
}

/* The thread has done op. If op takes a lock, is the lock in a footprint
 * already? It is if the gate before the operation has added the lock, or if
 * another thread's step has handed the lock over. */
static bool is_known(const struct gate *g, enum trace_op op)
{
	if (op != TR_LOCK && op != TR_READ_LOCK && op != TR_WRITE_LOCK)
		return false;
	return g->op == op || (g->op == TR_RESUME && !looks_again(&g->wait));
}

/* Does the thread go on after a wait for this mutex? Then the mutex was handed
 * over to the thread, and was not open meanwhile. */
static bool was_handed_over(const struct gate *g, const void *mutex)
{
	return g->op == TR_RESUME && g->wait.ops == &mutex_wait &&
	       g->wait.obj == mutex;
}

bool is_spin(unsigned int op)
{
	return op >= TR_IRQ_OFF && op <= TR_SPIN_UNLOCKED;
}

/* This event is in an interrupt that nobody has declared: note what is left
 * out. The callbacks of rcu_barrier() do not count, because rcu_barrier() waits
 * for the interrupt. */
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
	timer = !e->caller; /* a timer wakes without a caller (sched.c) */
	ops = READ_ONCE(woken->waiting.ops);
	if (timer && ops && ops->event && !READ_ONCE(g->toggles))
		left_out(LEFT_TIMERS);
	else if (!timer && READ_ONCE(ex.lead) != g - ex.gate)
		left_out(LEFT_INTERRUPTS);
}

/* This event is in a thread that belongs to no step: note what is left out. The
 * stopper threads belong to a step, because the step waits for them. */
static void note_stranger(const struct trace_event *e)
{
	if (event_info(e->op)->touches && !current->pinned &&
	    current != ex.runner)
		left_out(LEFT_THREADS);
}

/* This event belongs to a step: note what is left out. by: the gate of the step's
 * thread, or NULL. */
static void note_event(struct gate *by, const struct trace_event *e)
{
	const struct event_info *info = event_info(e->op);

	if (e->op == TR_CALL_RCU && !is_barrier_callback(e->arg))
		left_call(by ? by - ex.gate : SEARCH_THREADS);
	/* The thread could not stop before an operation that has no gate (no
	 * `next`). So this operation may be a second touch of the step. Parts
	 * of another operation do not count, nor does a spinlock's operation,
	 * which has a gate. */
	if (by && !is_spin(e->op) && info->touches && !info->next &&
	    !(info->touches & PART_OF_IT))
		note_second_touch(by);
}

/* Each core has a list of callbacks. The list of the core that comes and goes is one
 * thing; the lists of all other cores together are another thing. */
static void touch_list(struct gate *by, const struct trace_event *e)
{
	unsigned int cpu = e->op == TR_CALL_RCU ? e->cpu : e->arg;
	uintptr_t list = LIST_OF(cpu == ex.subject.toggled);

	if (e->op == TR_CALL_RCU || e->op == TR_BARRIER_QUEUE)
		touch(by, list, TOUCH_INC, false);
	if (e->op == TR_BARRIER_LOOK)
		touch(by, list, TOUCH_READ, false);
}

/* A thread that is about to leave a queue does not sleep in it again. If such a
 * thread is woken, it passes the wake-up on. So a step that wakes the thread
 * touches the thread's wake-up. (A wake-up by the environment does not count:
 * it is chance whether the thread is about to leave by then.) */
static void touch_leaving(struct gate *by, const struct trace_event *e)
{
	struct gate *g = e->op == TR_WAKE ? gate_of(e->obj) : NULL;

	if (g && g->leaves)
		touch(by, WAKE_OF(g - ex.gate), TOUCH_WRITE, false);
}

/* A grace period ends. RCU waits for a thread with preemption disabled, because
 * the thread is a reader. But RCU does not wait for a thread that the explorer
 * holds at a gate while the thread has a spinlock of the experiment. The search
 * does not try the order in which RCU waits for such a thread: note this. */
static void note_readers(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].preempt_count))
			left_out(LEFT_READERS);
}

/*
 * Count the callbacks that RCU's own steps run: all but those of rcu_barrier().
 * The callbacks of rcu_barrier() never count as due. They run at once if no
 * callback is due. (If callbacks that are due are in front of them in the list,
 * rcu_barrier() waits for RCU's step.) On the core that comes or goes the
 * environment runs all callbacks.
 */
static void note_due(const struct trace_event *e)
{
	bool calls = e->op == TR_CALL_RCU;

	if (e->op == TR_ADOPT)
		WRITE_ONCE(ex.due_written, true);
	if (!calls && e->op != TR_RCU_CB)
		return;
	/* Relaxed: read while all threads rest. */
	__atomic_fetch_add(&ex.callbacks_left, calls ? 1 : -1,
			   __ATOMIC_RELAXED);
	if (is_barrier_callback(e->arg)) {
		WRITE_ONCE(ex.due_read, true);
		return;
	}
	__atomic_fetch_add(&ex.due, calls ? 1 : -1, __ATOMIC_RELAXED);
	WRITE_ONCE(ex.due_written, true);
	if (!calls && (e->cpu == ex.subject.toggled || ex.ran++))
		left_out(LEFT_CALLBACKS);
}

/* Add to the footprint what the step has done to the callbacks that are due
 * (THE_DUE). */
static void touch_due(void)
{
	bool open = callbacks_can_run();

	if (ex.open && !open)
		touch_and_shut(NULL, THE_DUE, TOUCH_WRITE);
	else if (ex.due_read || ex.due_written || open != ex.open)
		touch(NULL, THE_DUE,
		      ex.due_written || open != ex.open ? TOUCH_WRITE :
							  TOUCH_READ,
		      open && !ex.open);
	ex.due_read = ex.due_written = false;
	ex.open = open;
}

void explore_event(const struct trace_event *e)
{
	struct gate *by;
	bool mine;

	if (!READ_ONCE(ex.on) || READ_ONCE(ex.gates_open))
		return;
	/* While a thread is the writer of the hotplug lock, its timeouts run on
	 * the clock, because it polls hardware. */
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
		 * that wakes no thread passes a gate, but causes no event. */
		current->gated = on_changing_core();
	note_due(e);
	if (e->op == TR_GP_END)
		note_readers();
	mine = belongs_to_step(e, &by);
	if (!mine && e->op == TR_DONE)
		return; /* the TR_COMPLETE that goes with it counts */
	if (in_other_interrupt())
		note_interrupt(e);
	else if (!mine)
		note_stranger(e);
	if (!mine)
		return;
	note_event(by, e);
	touch_list(by, e);
	touch_leaving(by, e);
	if (e->op == TR_TIMER_ARM && by)
		WRITE_ONCE(ex.timer_armed, true);
	if (by && e->op == TR_COMPLETE)
		by->objects = NULL; /* the row of operations on objects ends:
				     * the woken thread may use objects too */
	if (e->op == TR_CACHE_FREE)
		/* The RCU callbacks that free the cache's slabs read the cache,
		 * so freeing it depends on RCU. */
		touch(by, (uintptr_t)&rcu_sched_state, TOUCH_READ, false);
	if (e->op == TR_NOTIFY &&
	    (e->arg == CPU_DYING || e->arg == CPU_STARTING))
		touch(by, THE_CORES, TOUCH_WRITE, false);
	if (event_info(e->op)->touches & AND_CORES)
		touch(by, THE_CORES, TOUCH_READ, false);
	if (e->op == TR_LOCK && by && by->op != TR_LOCK &&
	    !was_handed_over(by, e->obj))
		touch_and_shut(by, (uintptr_t)e->obj, TOUCH_WRITE);
	if (by && (is_known(by, (enum trace_op)e->op) || is_spin(e->op)))
		return; /* it is in a footprint already */
	touch_by(by, (enum trace_op)e->op, e->obj);
}

bool was_woken(const struct gate *g)
{
	/* Read the state before at_gate: a thread that comes to its resume gate
	 * sets at_gate first, and is TASK_HELD later. Acquire: pairs with the
	 * release in stop_at_resume(). */
	enum thread_state s = sched_state_apart_from_gate(g->thread);

	if (g->awaits)
		return false;
	if (g->phase == SLEEPS)
		return s == TASK_RUNNING || s == TASK_WAKING ||
		       smp_load_acquire(&g->at_gate);
	return g->announced && s == TASK_RUNNING;
}

bool has_ended(unsigned int i)
{
	return ex.gate[i].bound ? READ_ONCE(ex.gate[i].returned) :
				  ex.subject.ended(ex.subject.arg, i);
}

/* Note which threads the step has woken, which have ended, and which conditions
 * of explore_await() have changed. */
static void note_changes(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];

		if (!g->ended && has_ended(i)) {
			g->ended = true;
		} else if (!g->ended && was_woken(g)) {
			/* A thread that slept could take no step before. So the
			 * step opens the thing of the thread's wake-up. */
			touch(NULL, WAKE_OF(i), TOUCH_WRITE,
			      g->phase == SLEEPS);
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

void take_footprint(struct footprint *f)
{
	uint32_t flags;

	note_changes();
	touch_due();
	flags = footprint_lock();
	*f = ex.footprint;
	if (f->all)
		left_out(LEFT_ALL);
	memset(&ex.footprint, 0, sizeof(ex.footprint));
	ex.no_step = true;
	footprint_unlock(flags);
}

bool waits_for_a_thread(const struct gate *g)
{
	const struct wait_ops *w = g->wait.ops;

	if (g->awaits)
		return true;
	if (w == &mutex_wait || w == &rwsem_read_wait ||
	    w == &rwsem_write_wait || w == &percpu_read_wait ||
	    w == &percpu_write_wait || w == &refcount_wait)
		return true;
	if (w == &barrier_wait && READ_ONCE(ex.due))
		return true; /* a step of RCU ends the wait */
	/* The environment (gates.h) completes nothing for a thread under these
	 * conditions: the thread takes no core on or off, no callbacks of a
	 * barrier are left, and the threads have armed no timer. (The answer
	 * must depend on what the threads have done, not on what the
	 * environment does just now.) */
	return (w == &queue_wait || w == &completion_wait) &&
	       mutex_owner(&cpu_add_remove_lock) != g->thread &&
	       READ_ONCE(ex.callbacks_left) == READ_ONCE(ex.due) &&
	       !READ_ONCE(ex.timer_armed);
}

bool may_time_out(const struct gate *g)
{
	/* The exploring thread may look while the leading thread goes on. */
	const struct wait_ops *ops = READ_ONCE(g->wait.ops);

	return g->wait.timed && ops && ops->either &&
	       READ_ONCE(g->thread->timeless);
}
#endif
