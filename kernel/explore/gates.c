/*
 * The explorer's engine: where a thread stops. What the engine is for: gates.h.
 *
 * Owns nothing. Runs in the explored threads.
 */

#include "boot/boot.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/events.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/access.h"
#include "kernel/explore/engine.h"
#include "kernel/explore/heap.h"
#include "kernel/explore/left.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sync/mutex.h"

#if GORDIAN_DEBUG

/* The gate of t, if t is a thread that runs RCU callbacks; else NULL. */
static struct gate *callbacks_gate(const struct thread *t)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (ex.callbacks[cpu].thread == t)
			return &ex.callbacks[cpu];
	return NULL;
}

/* Is this a wait queue of RCU's threads? RCU's threads belong to the
 * environment: it depends on time whether such a thread must be woken. */
static bool is_rcu_queue(const void *queue)
{
	uintptr_t rsp = (uintptr_t)&rcu_sched_state;

	return (uintptr_t)queue - rsp < sizeof(rcu_sched_state);
}

/* The thread of g is about to interrupt the wait of thread t. If t's wait can
 * be interrupted, t wakes up. */
static void touch_interrupted(struct gate *g, const struct thread *t)
{
	struct gate *to = gate_of(t);

	touch(g, WAKE_OF(to - ex.gate), TOUCH_WRITE,
	      to->phase == SLEEPS &&
		      (was_woken(to) || /* in this step */
		       sched_state_apart_from_gate(t) == TASK_INTERRUPTIBLE));
	g->objects = NULL; /* the row of operations on objects ends: the
			    * interrupted thread may use objects too */
}

/* The thread is about to do this operation. Add the thing that the operation
 * touches to the step's footprint. */
static void touch_upcoming(struct gate *g, enum trace_op op, const void *obj)
{
	if (op == TR_WAKE)
		touch(g, (uintptr_t)obj, TOUCH_WRITE, false);
	else if (op == TR_INTERRUPT)
		touch_interrupted(g, obj);
	else if (op == TR_INTERRUPTED && gate_of(obj))
		touch(g, WAKE_OF(gate_of(obj) - ex.gate), TOUCH_READ, false);
	else
		touch_by(g, op, obj);
	if (op == TR_LOCK_INTR && g) /* the lock call looks whether the thread
				      * was interrupted before */
		touch(g, WAKE_OF(g - ex.gate), TOUCH_READ, false);
}

/* Does the operation touch anything? */
static bool touches(enum trace_op op)
{
	return event_info(op)->touches || op == TR_WAKE || op == TR_INTERRUPT ||
	       op == TR_INTERRUPTED;
}

/*
 * rcu_barrier() looks at the callbacks of each core. Does it go on from one
 * core that is never turned off to another such core? All looks at such cores
 * are one step, so that the number of schedules does not depend on the number
 * of cores. If another thread calls call_rcu() on one of these cores, two
 * orders are tried: the call comes before all looks, or after all of them. If
 * two other threads call call_rcu() on two of these cores, some orders are not
 * tried: the later call comes before the look at its core, and the earlier call
 * comes after the look at its own. The search then notes LEFT_SECTIONS.
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
 * Does the step end at this gate? If the step has touched nothing, it does not
 * end: no other thread could notice where in the order the step came. But a
 * step always ends before mutex_lock(), and before a spinlock of the
 * experiment, because the thread may have to wait there. The answer must not
 * depend on what other threads do.
 */
static bool ends_step(struct gate *g, enum trace_op op, const void *obj)
{
	const void *before = g->objects;
	bool called = g->calls;

	if (goes_on_looking(g, op, obj))
		return false;
	g->calls = op == TR_CALL_RCU;
	if (called && g->calls)
		/* Several calls of call_rcu() in a row are one step, because
		 * their number may depend on the number of cores: so many slabs
		 * of an RCU cache are freed in a row. RCU then runs several
		 * callbacks in one step, and LEFT_CALLBACKS says so. */
		return false;
	g->objects = op == TR_CACHE_OBJECT ? obj : NULL;
	if (op == TR_CACHE_OBJECT && obj == before) {
		left_object(g - ex.gate, (uintptr_t)name_of(op, obj), false);
		return false; /* several operations on objects of one cache in a
			       * row are one step */
	}
	return !g->granted || g->touched || op == TR_NONE || op == TR_LOCK ||
	       op == TR_SPIN_LOCK;
}

bool would_wait(enum trace_op op, const void *obj)
{
	if (op == TR_CALL_CORE)
		return gate_of(obj)->masked;
	return (op == TR_LOCK && mutex_is_locked(obj)) ||
	       (op == TR_SPIN_LOCK && spin_is_locked(obj));
}

static bool run_interrupt(struct gate *g);

/* Wait until the thread is granted its next step, or may go on without the
 * explorer. The thread's declared interrupts run here. */
static void wait_for_grant(struct gate *g)
{
	struct waiting outer = current->waiting;

	do {
		current->gated = false; /* no gate counts here, for example that
					 * of wake_up() */
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

/* Stop at this gate, unless the thread may pass it without a grant. */
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
	g->announced = current->state != TASK_RUNNING && !g->bound;
	g->leaves = g->announced && op == TR_WAIT_DONE;
	g->announced &= !g->leaves;
	g->phase = STANDS;
	/* Release: pairs with the acquires of at_gate, for *g. */
	smp_store_release(&g->at_gate, true);
	current->gated = false;
	end_step(g);
	wait_for_grant(g);
}

/*
 * The thread is about to sleep, or was woken before it could sleep.
 *
 * If it waits for the environment, it keeps the lead. The environment may wake
 * it before it sleeps, or later; so the wait is a part of the step. If the
 * environment comes to rest while the thread sleeps, settle() ends the step.
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
		g->phase = WOKEN; /* the step lasts until the resume gate */
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

/* The thread has slept and was woken, or it was woken before it could sleep. */
static void stop_at_resume(struct gate *g)
{
	/* Acquire: pairs with the release in pass_lead(). */
	bool leads = smp_load_acquire(&ex.lead) == g - ex.gate;

	if (leads && g->phase == SLEEPS) {
		WRITE_ONCE(ex.asleep, false);
		g->phase = MOVES;
		return; /* the environment has woken the thread: its step goes
			 * on */
	}
	if (!g->sleeps_here) {
		/* Release: pairs with the acquires of at_gate, for *g. */
		smp_store_release(&g->at_gate, true);
		if (leads && g->phase == WOKEN) {
			current->gated = false;
			end_step(g); /* the thread was woken before it slept */
		}
		wait_for_grant(g);
	}
	g->sleeps_here = false;
	touch(g, WAKE_OF(g - ex.gate), TOUCH_READ, false);
	if (looks_again(&g->wait) && g->wait.obj)
		touch(g, (uintptr_t)g->wait.obj, TOUCH_WRITE, false);
}

/*
 * Run the declared interrupt that has begun on g's thread. Returns false if
 * none has begun. The interrupt runs on the stack of this thread, which is held
 * at a gate, so `current` is this thread, as in any interrupt. The begin of the
 * interrupt is a step of its own.
 */
static bool run_interrupt(struct gate *g)
{
	struct gate *in = g->in;
	struct thread *t = current;
	struct lockdep_context context;
	uint32_t flags;

	if (!in)
		return false;
	flags = local_irq_save();
	lockdep_irq_enter(&context);
	t->irq_depth++;
	t->declared_irqs++;
	in->preempt_count = t->preempt_count;
	in->irqs_off = true;
	set_masked(in, g, true);
	touch_and_shut(in, RUNS_OF(g - ex.gate), TOUCH_WRITE);
	stop_at_gate(in, TR_NONE, NULL, CALLER);
	ex.subject.handler(ex.subject.arg, (unsigned int)(in - ex.gate));
	t->gated = false;
	lockdep_irq_exit(&context);
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
	/* Before a spinlock of the experiment the thread stops even if
	 * preemption or IRQs are off for another reason, because it may have to
	 * wait there. */
	if (op == TR_SPIN_LOCK || may_stop(g)) {
		if (ends_step(g, op, obj))
			stop_at_gate(g, op, obj, caller);
	} else {
		/* The thread cannot stop here, for example under a spinlock of
		 * the kernel. A call_rcu() here is a part of freeing an object,
		 * so it does not end a row of operations on objects. */
		if (op != TR_CACHE_OBJECT && op != TR_CALL_RCU)
			g->objects = NULL;
		if (touches(op))
			note_second_touch(g);
	}
	touch_upcoming(g, op, obj);
}

/* The thread is about to wait until core `cpu` has run a function in an
 * interrupt. Hold the thread here until each explored thread of that core has
 * IRQs on. But if threads may share a core, the machine decides which threads
 * run on core `cpu`. Then the thread is not held here, and the search may note
 * LEFT_INTERRUPTS. */
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

/* A gate of a spinlock operation: note which spinlocks the thread holds, and
 * stop if the gate is a point. */
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
	if (g && is_explored(g) && (op == TR_CORE_ON || op == TR_CORE_OFF))
		g->toggles = true;
	if (g && is_explored(g) &&
	    (op == TR_SHARED_READ || op == TR_SHARED_WRITE))
		g->declared = WORD_OF(obj);
	if (!g) {
		if (!on_changing_core())
			return;
		/* While the core comes, its idle thread runs here, and other
		 * threads run elsewhere: note a second touch. While the core
		 * goes, its stopper runs here, and no other thread can run at
		 * all. */
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

/* Has the thread just passed the gate of the word that it accesses now? Returns
 * true once for each gate, because the next access to the word needs another
 * gate. */
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

void explore_access_elsewhere(uintptr_t word, bool write, uintptr_t caller)
{
	const struct gate *g = explored_gate(current), *t = gate_of(current);
	uintptr_t name = stable_name(word);

	if (current->gated && is_on_heap(word) &&
	    was_freed(word, t ? (int)(t - ex.gate) : -1))
		left_out(LEFT_HEAP);
	if (is_on_heap(name))
		explore_access(word, write, caller);
	else if (g && current->gated && !in_other_interrupt() &&
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
	if (g->has_interrupts) /* no interrupt comes any more */
		touch_and_shut(g, COMES_OF(g - ex.gate), TOUCH_WRITE);
	WRITE_ONCE(g->takes_part, false);
	end_step(g);
}

/* Wait for the condition after explore_let_go(). To the wait-for graph this is
 * a wait for an event. So if the condition never becomes true, the round is
 * reported as stuck. */
static void await_alone(struct gate *g, bool (*holds)(void *arg))
{
	if (holds(ex.subject.arg))
		return;
	/* Release: pairs with the acquire in explore_release_waiting(). */
	smp_store_release(&g->alone, true);
	wait_event(&g->condition, !READ_ONCE(g->alone));
}

/* The explored thread's step is over. The thread can take its next step exactly
 * while its condition is true. */
static void sleep_until(struct gate *g)
{
	g->wait.ops = NULL;
	g->op = TR_AWAIT;
	g->obj = NULL;
	g->caller = CALLER;
	g->awaits = true;
	g->phase = SLEEPS;
	/* Release: pairs with the acquires of at_gate, for *g. */
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
	BUG_ON(!ex.subject.awaits[g - ex.gate]); /* see `awaits` in gates.h */
	if (!READ_ONCE(ex.gates_open))
		sleep_until(g);
	if (READ_ONCE(ex.gates_open))
		await_alone(g, ex.subject.awaits[g - ex.gate]);
	return true;
}

void explore_become(unsigned int i)
{
	/* The thread before may have been preempted in note_block(), on its way
	 * to sleep. What it does there must come first. Acquire: pairs with the
	 * release in reschedule(). */
	while (smp_load_acquire(&ex.gate[i].thread->on_rq))
		yield();
	WRITE_ONCE(ex.gate[i].id, current->id);
	WRITE_ONCE(ex.gate[i].thread, current);
}
#endif
