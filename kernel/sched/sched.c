/*
 * The scheduler's mechanism. sched.h has its purpose and the client's duties.
 *
 * rq->lock (taken with IRQs off) guards the run queue of a core, and the run
 * state of every thread whose `cpu` is this core. The lock is held across a
 * context switch: the thread that runs next releases it. So while the lock is
 * held, a thread of this core that sleeps has really left its stack.
 *
 * A thread changes cores only while it is on no queue (TASK_WAKING), so two
 * run-queue locks are never held at once.
 *
 * Reports, the explorer and select_cpu() read some of these data without the
 * lock: rq->nr, rq->curr, and a thread's cpu, state, on_rq and switches. For
 * these readers the values are stored with WRITE_ONCE(). A reader uses each
 * value by itself, and relies on no order between it and other data, unless a
 * comment says so. A thread also stores its own state without the lock, in
 * wait_begin(). The barrier after this store pairs with the one in wake_if().
 */
#include "kernel/sched/sched.h"

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/lock/spinlock.h"
#include "kernel/mm/page.h"
#include "kernel/sched/internal.h"
#include "kernel/sched/timer.h"

#define MAX_TICKS 16 /* see after_tick() */

struct runqueue {
	struct spinlock lock;
	/* lock guards: */
	struct list_head queue[NR_PRIOS]; /* runnable, not running */
	uint32_t ready;			  /* bit p: queue[p] is not empty */
	unsigned int nr;		  /* threads in the queues */
	struct thread *curr;
	struct thread *idle;
	uint64_t next_tick; /* counter ticks; 0: no tick while idle */
	/* The last tick found that curr should switch but has preemption
	 * disabled. So new threads go to other cores. Written by this core,
	 * IRQs off. */
	bool stuck;
} cache_aligned;

static struct runqueue runqueues[NR_CPUS];

/* The run queue of core cpu. The compiler is not told that it is an element of
 * runqueues: otherwise it computes the address of each member anew. */
static always_inline struct runqueue *rq_of(unsigned int cpu)
{
	struct runqueue *rq = &runqueues[cpu];

	__asm__("" : "+r"(rq));
	return rq;
}

static void no_hook(unsigned int cpu maybe_unused)
{
}

struct sched_hooks sched_hooks = { no_hook, no_hook, no_hook, NULL, NULL };

/* ---- queue, lock held --------------------------------------------------- */

static always_inline void enqueue(struct runqueue *rq, struct thread *t)
{
	list_add_tail(&t->rq_link, &rq->queue[t->prio]);
	rq->ready |= 1u << t->prio;
	WRITE_ONCE(rq->nr, rq->nr + 1);
}

static void dequeue(struct runqueue *rq, struct thread *t)
{
	list_del(&t->rq_link);
	if (list_empty(&rq->queue[t->prio]))
		rq->ready &= ~(1u << t->prio);
	WRITE_ONCE(rq->nr, rq->nr - 1);
}

/* Take the thread that should run next off its queue. Returns the idle thread if
 * all queues are empty. */
static always_inline struct thread *dequeue_next(struct runqueue *rq)
{
	struct list_head *queue;
	struct thread *t;

	if (!rq->ready)
		return rq->idle;
	queue = &rq->queue[__builtin_ctz(rq->ready)];
	t = list_first(queue, struct thread, rq_link);
	list_del(&t->rq_link);
	if (list_empty(queue))
		rq->ready &= rq->ready - 1; /* clear the lowest bit */
	WRITE_ONCE(rq->nr, rq->nr - 1);
	return t;
}

/* Make core cpu look at its queue. rq->lock held, IRQs off. */
static void resched(struct runqueue *rq, unsigned int cpu)
{
	if (READ_ONCE(rq->curr->need_resched))
		return;
	WRITE_ONCE(rq->curr->need_resched, 1);
	/*
	 * A core looks at need_resched when an interrupt ends, in
	 * preempt_enable(), and in the idle loop. Another core gets an
	 * interrupt, so that it looks. If this core is in an interrupt, has
	 * preemption off or idles, it looks soon. Otherwise only its IRQs are
	 * off, and code that turns them on does not look. Then the core
	 * interrupts itself (docs/design.md, "waiting").
	 */
	if (cpu != smp_processor_id() ||
	    (!current->irq_depth && !current->preempt_count &&
	     !current->is_idle))
		irqchip->send_ipi(cpumask_of(cpu), IPI_RESCHEDULE);
}

/* Queue t on rq, the run queue of core cpu. If t should run before the thread
 * that runs there, make the core look at its queue. rq->lock held. */
static always_inline void activate(struct runqueue *rq, unsigned int cpu,
				   struct thread *t)
{
	WRITE_ONCE(t->state, TASK_RUNNING);
	WRITE_ONCE(t->on_rq, true);
	enqueue(rq, t);
	/* The idle thread gives way to every thread, even to a thread of the
	 * same priority. */
	if (t->prio < rq->curr->prio || rq->curr->is_idle)
		resched(rq, cpu);
}

/* The number of threads that core cpu has already. If a thread with preemption
 * disabled keeps the core from switching, 1000 is added, so that select_cpu() takes
 * this core last. The number may be out of date, because no lock is held. */
static unsigned int load_of(unsigned int cpu)
{
	return sched_nr_running(cpu) + READ_ONCE(runqueues[cpu].stuck) * 1000;
}

/* The core of the set `ok` with the least load; t's last core if it is in the set
 * and no core has less. */
static noinline unsigned int least_loaded(const struct thread *t,
					  struct cpumask ok)
{
	unsigned int best = t->cpu, load = ~0u, cpu;

	if (cpumask_test(ok, t->cpu))
		load = load_of(best);
	for_each_cpu (cpu, ok) {
		unsigned int n = load_of(cpu);

		if (n < load) {
			best = cpu;
			load = n;
		}
	}
	return best;
}

/*
 * The core where t should run. A pinned thread stays on its core. Any other
 * thread gets the core with the least load, or its last core if no core has
 * less. A core that cannot switch now is taken only if there is no other. If
 * all cores in t->affinity are off, every online core is allowed.
 * Called with IRQs off. So no core goes off meanwhile, because a core goes off
 * only after all cores have been stopped.
 */
static always_inline unsigned int select_cpu(const struct thread *t)
{
	struct cpumask ok = cpumask_and(t->affinity, cpu_online());

	if (t->pinned || ok.bits == cpumask_of(t->cpu).bits)
		return t->cpu; /* there is no choice */
	return least_loaded(t, cpumask_empty(ok) ? cpu_online() : ok);
}

/* Lock the run queue that t belongs to. IRQs off. The core that set t->cpu held
 * the lock of t's old queue, not this one. So taking this lock does not order
 * us after that core's writes; the acquire does. */
static always_inline struct runqueue *lock_rq_of(struct thread *t)
{
	for (;;) {
		unsigned int cpu = READ_ONCE(t->cpu);
		struct runqueue *rq = rq_of(cpu);

		raw_spin_lock(&rq->lock);
		/* Acquire: pairs with the release in queue_on_best_core(). */
		if (likely(smp_load_acquire(&t->cpu) == cpu))
			return rq;
		raw_spin_unlock(&rq->lock);
	}
}

/*
 * Queue t on the core that select_cpu() names. t is TASK_WAKING, off its stack
 * and on no queue. The lock of its old run queue guards the store of t->cpu.
 * t->affinity may change before the lock of the new run queue is taken. So
 * select_cpu() is called again under the new lock.
 */
static void queue_on_best_core(struct thread *t)
{
	bool here;

	do {
		struct runqueue *rq = lock_rq_of(t);
		unsigned int cpu = select_cpu(t);

		here = cpu == t->cpu;
		if (here)
			activate(rq, cpu, t);
		else
			/* Release: pairs with the acquire in lock_rq_of(),
			 * which then sees that t is TASK_WAKING and on no
			 * queue. */
			smp_store_release(&t->cpu, cpu);
		raw_spin_unlock(&rq->lock);
	} while (!here);
}

/* Take one thread that may run on one of `cores` off rq, and queue it on the
 * core that select_cpu() names. Returns false if rq has no such thread. IRQs
 * off. */
static bool migrate_one(struct runqueue *rq, struct cpumask cores)
{
	struct thread *t;

	raw_spin_lock(&rq->lock);
	for (int p = 0; p < NR_PRIOS; p++) {
		list_for_each (t, &rq->queue[p], rq_link) {
			if (t->pinned ||
			    cpumask_empty(cpumask_and(t->affinity, cores)))
				continue;
			dequeue(rq, t);
			WRITE_ONCE(t->on_rq, false);
			/* If t was preempted on its way to sleep, this store
			 * wakes it: t looks at its condition again. */
			WRITE_ONCE(t->state, TASK_WAKING);
			raw_spin_unlock(&rq->lock);
			queue_on_best_core(t);
			return true;
		}
	}
	raw_spin_unlock(&rq->lock);
	return false;
}

/* ---- switching ---------------------------------------------------------- */

/* After the switch, something remains to be done for prev, whose state was
 * `state`. */
static noinline void switched_from(struct thread *prev, enum thread_state state)
{
	if (state == TASK_WAKING)
		queue_on_best_core(prev);
	else if (state == TASK_DEAD)
		thread_put(prev); /* its own handle */
	else if (state == TASK_PARKED)
		thread_parked();
}

/* The second half of a switch. Runs on the next thread's stack, IRQs off. The run
 * queue's lock is still held: prev took it in reschedule(). */
static always_inline void release_switch(struct thread *prev)
{
	struct runqueue *rq = rq_of(smp_processor_id());
	/* A thread that was preempted is still on a queue, whatever its state
	 * says. */
	enum thread_state state = prev->on_rq ? TASK_RUNNING : prev->state;

	/* prev took the lock, and this thread releases it. So tell lockdep that
	 * this thread has the lock. */
	lock_acquire(&rq->lock.dep_map, 0, LOCK_WRITE, NULL, CALLER);
	raw_spin_unlock(&rq->lock);
	if (unlikely(state > TASK_INTERRUPTIBLE))
		switched_from(prev, state);
}

void finish_switch(struct thread *prev)
{
	release_switch(prev);
}

static noinline void trace_block(const struct waiting *w)
{
	trace_record(TR_BLOCK, w->obj, w->name, (uintptr_t)w->ops, w->caller);
}

/* Is t about to be held at a trace gate? */
static always_inline bool will_be_held(const struct thread *t maybe_unused)
{
#if GORDIAN_DEBUG
	return t->state == TASK_HELD;
#else
	return false;
#endif
}

/* Switch to the next thread. IRQs off. preempt: the current thread stays
 * runnable, whatever its state says. was_idle: it is its core's idle thread. */
static always_inline void switch_threads(bool preempt, const bool was_idle)
{
	unsigned int cpu = smp_processor_id();
	struct runqueue *rq = rq_of(cpu);
	struct thread *prev = current, *next;

	sched_hooks.quiescent(cpu);
	raw_spin_lock(&rq->lock);
	WRITE_ONCE(prev->need_resched, 0);
	WRITE_ONCE(rq->stuck, false);
	if (was_idle) {
		;
	} else if (!preempt && prev->state != TASK_RUNNING) {
		/* The next thread releases the lock, so nobody holds it now.
		 * Release: pairs with the smp_rmb() in copy_waiting(). If one
		 * snapshot of the wait-for graph sees prev blocked, the next
		 * snapshot sees no holder. */
		WRITE_ONCE(rq->lock.holder, NULL);
		smp_store_release(&prev->on_rq, false);
		if (unlikely(READ_ONCE(trace_mode)) && !will_be_held(prev))
			trace_block(&prev->waiting);
	} else if (unlikely(!prev->pinned &&
			    !cpumask_test(prev->affinity, cpu) &&
			    !cpumask_empty(cpumask_and(prev->affinity,
						       cpu_online())))) {
		/*
		 * prev is not allowed to run here any longer. When prev is off
		 * its stack, finish_switch() queues it on another core. If prev
		 * was preempted on its way to sleep, TASK_WAKING wakes it: prev
		 * looks at its condition again.
		 */
		WRITE_ONCE(prev->on_rq, false);
		WRITE_ONCE(prev->state, TASK_WAKING);
	} else {
		enqueue(rq, prev);
	}
	next = dequeue_next(rq);
	if (next == prev) {
		raw_spin_unlock(&rq->lock);
		return;
	}
	WRITE_ONCE(rq->curr, next);
	WRITE_ONCE(next->switches, next->switches + 1);
	if (was_idle || next->is_idle) {
		rq->next_tick =
			next->is_idle ? 0 : timer_now() + timer_ticks(TICK_NS);
		timer_program();
	}
	trace_did(TR_SWITCH, next, next->id, 0);
	/* see release_switch() */
	(void)lock_release(&rq->lock.dep_map, CALLER);
	release_switch(arch_switch_to(prev, next));
}

static noinline void reschedule(bool preempt)
{
	switch_threads(preempt, current->is_idle);
}

void schedule(void)
{
	const struct wait_ops *waits maybe_unused = current->waiting.ops;
	uint32_t flags;

#if GORDIAN_DEBUG
	if (unlikely(current->lockdep.depth))
		lockdep_switches(CALLER);
#endif
	ASSERT(current->preempt_count == 0 && current->irq_depth == 0 &&
	       !current->is_idle);
#if GORDIAN_DEBUG
	if (sched_hooks.blocks && current->state != TASK_RUNNING)
		sched_hooks.blocks();
	if (waits)
		trace_gate(TR_BLOCK, current, CALLER);
#endif
	flags = local_irq_save();
	switch_threads(false, false);
	local_irq_restore(flags);
#if GORDIAN_DEBUG
	if (waits)
		trace_gate(TR_RESUME, current, CALLER);
#endif
}

void preempt_schedule(void)
{
	struct thread *t = current;
	uint32_t flags;

	if (t->irq_depth || t->is_idle)
		return; /* the interrupt's end or the idle loop switches */
	if (irqs_disabled()) {
		irqchip->send_ipi(cpumask_of(smp_processor_id()),
				  IPI_RESCHEDULE);
		return;
	}
	flags = local_irq_save();
	while (READ_ONCE(t->need_resched))
		reschedule(true);
	local_irq_restore(flags);
}

/* ---- interrupts --------------------------------------------------------- */

/* For irq_preempt: the outermost interrupt ends. IRQs off. */
static void preempt_from_irq(void)
{
	while (READ_ONCE(current->need_resched))
		reschedule(true);
}

uint64_t sched_next_tick(void)
{
	return runqueues[smp_processor_id()].next_tick;
}

/*
 * When the next tick is due. The last tick was due at `due` and is over now. On
 * a core that an emulator gives little time, the work of a tick may take longer
 * than TICK_NS, and the core would then do nothing but tick. So the pause
 * before the next tick is TICK_NS, or twice the time since `due` if this is
 * longer. But the pause is at most MAX_TICKS * TICK_NS: a single tick that was
 * late, because IRQs were off for long, must not delay the next one for as
 * long.
 */
static uint64_t after_tick(uint64_t due)
{
	uint64_t now = timer_now(), tick = timer_ticks(TICK_NS);

	return now + min(max(2 * (now - due), tick), MAX_TICKS * tick);
}

void sched_tick_if_due(uint64_t now)
{
	unsigned int cpu = smp_processor_id();
	struct runqueue *rq = &runqueues[cpu];
	struct thread *t = current;
	bool asked_before = READ_ONCE(t->need_resched);

	if (!rq->next_tick || now < rq->next_tick)
		return;
	if (t->preempt_count == 0) /* the tick has interrupted no reader */
		sched_hooks.quiescent(cpu);
	raw_spin_lock(&rq->lock);
	/* Round robin, if a thread of the same priority waits. */
	if (!list_empty(&rq->queue[t->prio]))
		resched(rq, cpu);
	raw_spin_unlock(&rq->lock);
	/*
	 * Before this tick the thread was asked to switch, and it has not
	 * switched: it has preemption disabled (an RCU reader), perhaps for
	 * long. The threads queued here would wait for it, even threads with a
	 * higher priority. A core that becomes idle pulls a queued thread, but
	 * perhaps no core becomes idle. So this core moves one thread away at
	 * each tick.
	 */
	if (unlikely(asked_before && t->preempt_count)) {
		WRITE_ONCE(rq->stuck, true);
		migrate_one(rq, cpumask_andnot(cpu_online(), cpumask_of(cpu)));
	}
	rq->next_tick = after_tick(rq->next_tick);
}

void resched_cpu(unsigned int cpu)
{
	struct runqueue *rq = &runqueues[cpu];
	uint32_t flags = spin_lock_irqsave(&rq->lock);

	if (cpu_is_online(cpu))
		resched(rq, cpu);
	spin_unlock_irqrestore(&rq->lock, flags);
}

/* ---- waiting and waking ------------------------------------------------- */

const struct wait_ops sleep_wait = { .name = "time", .either = true };
const struct wait_ops idle_wait = { .name = "work" };
const struct wait_ops gate_wait = { .name = "trace gate" };

void wait_begin(enum thread_state state, const struct wait_ops *ops,
		const void *obj, const char *name, uintptr_t caller)
{
	wait_begin_inline(state, ops, obj, name, caller);
}

void wait_end(void)
{
	wait_end_inline();
}

#define STATE_BIT(state) (1u << (state))

/* Wake t if its state is one of `states`, a set of STATE_BIT()s. Returns
 * whether t was woken. IRQs off. */
static always_inline bool wake_if(struct thread *t, unsigned int states,
				  uintptr_t caller)
{
	struct runqueue *rq;
	bool woken;

	smp_mb(); /* the caller's store to the condition (or *go), then the read
		   * of t->state: pairs with wait_begin() and sched_hold() */
	rq = lock_rq_of(t);
	woken = (states & STATE_BIT(READ_ONCE(t->state))) != 0;
#if GORDIAN_DEBUG
	if (t->held && states & STATE_BIT(t->state_after)) {
		/* A gate holds t between wait_begin() and its sleep. After the
		 * gate, t does not sleep. */
		t->state_after = TASK_RUNNING;
		trace_did(TR_WAKE, t, t->id, caller);
		raw_spin_unlock(&rq->lock);
		return true;
	}
#endif
	if (woken) {
		if (states != STATE_BIT(TASK_HELD))
			trace_did(TR_WAKE, t, t->id, caller);
		if (t->on_rq) {
			/* t runs, or was preempted on its way to schedule(). */
			WRITE_ONCE(t->state, TASK_RUNNING);
		} else if (select_cpu(t) == t->cpu) {
			activate(rq, t->cpu, t);
		} else {
			WRITE_ONCE(t->state, TASK_WAKING);
			raw_spin_unlock(&rq->lock);
			queue_on_best_core(t);
			return true;
		}
	}
	raw_spin_unlock(&rq->lock);
	return woken;
}

/* The same, IRQs on or off. */
static bool wake_if_irqsave(struct thread *t, unsigned int states,
			    uintptr_t caller)
{
	uint32_t flags = local_irq_save();
	bool woken = wake_if(t, states, caller);

	local_irq_restore(flags);
	return woken;
}

#define SLEEPS (STATE_BIT(TASK_UNINTERRUPTIBLE) | STATE_BIT(TASK_INTERRUPTIBLE))

void wake_waiter(struct thread *t, uintptr_t caller)
{
	wake_if(t, SLEEPS, caller);
}

bool wake_up_thread(struct thread *t, uintptr_t caller)
{
	return wake_if_irqsave(t, SLEEPS, caller);
}

void thread_interrupt(struct thread *t)
{
	trace_gate(TR_INTERRUPT, t, CALLER);
	WRITE_ONCE(t->interrupted, true);
	wake_if_irqsave(t, STATE_BIT(TASK_INTERRUPTIBLE), CALLER);
}

bool thread_interrupted(void)
{
	trace_gate(TR_INTERRUPTED, current, CALLER);
	return take_interruption();
}

bool take_interruption(void)
{
	/* Relaxed: no other data depends on the order of this flag. */
	return READ_ONCE(current->interrupted) &&
	       __atomic_exchange_n(&current->interrupted, false,
				   __ATOMIC_RELAXED);
}

void sched_unpark(struct thread *t)
{
	wake_if_irqsave(t, STATE_BIT(TASK_PARKED), CALLER);
}

void sched_start(struct thread *t)
{
	uint32_t flags = local_irq_save();

	WRITE_ONCE(t->state, TASK_WAKING);
	queue_on_best_core(t);
	local_irq_restore(flags);
}

bool sched_is_parked(struct thread *t)
{
	uint32_t flags = local_irq_save();
	struct runqueue *rq = lock_rq_of(t);
	/* READ_ONCE: t may run, and store its state without the lock. */
	bool parked = READ_ONCE(t->state) == TASK_PARKED && !t->on_rq &&
		      rq->curr != t;

	raw_spin_unlock(&rq->lock);
	local_irq_restore(flags);
	return parked;
}

#if GORDIAN_DEBUG
/* If `to` is TASK_HELD, save the current thread's state in state_after, and set
 * the state to TASK_HELD. Otherwise set the state to state_after. wake_if()
 * takes the same lock, so no wake-up is lost between the read and the write. */
static enum thread_state exchange_state(enum thread_state to)
{
	uint32_t flags = local_irq_save();
	struct runqueue *rq = lock_rq_of(current);
	enum thread_state was = current->state;

	if (to == TASK_HELD)
		current->state_after = was;
	else
		to = current->state_after;
	WRITE_ONCE(current->state, to);
	/* Release: pairs with the acquire in sched_state_apart_from_gate(),
	 * which then sees `state` and `state_after`. */
	smp_store_release(&current->held, to == TASK_HELD);
	raw_spin_unlock(&rq->lock);
	local_irq_restore(flags);
	return was;
}

void sched_hold(const bool *go)
{
	exchange_state(TASK_HELD);
	/* Acquire: pairs with the release in sched_release(). This thread then
	 * sees all that the caller of sched_release() has done. */
	while (!smp_load_acquire(go)) {
		uint32_t flags = local_irq_save();

		reschedule(false);
		local_irq_restore(flags);
		WRITE_ONCE(current->state, TASK_HELD);
		smp_mb(); /* store state, read *go: pairs with wake_if() */
	}
	exchange_state(TASK_RUNNING);
}

void sched_release(struct thread *t, bool *go)
{
	/* Release: pairs with the acquire in sched_hold(). */
	smp_store_release(go, true);
	wake_if_irqsave(t, STATE_BIT(TASK_HELD), CALLER);
}

enum thread_state sched_state_apart_from_gate(const struct thread *t)
{
	enum thread_state s;

	/* Acquire: pairs with the release in exchange_state(). */
	if (smp_load_acquire(&t->held))
		return READ_ONCE(t->state_after);
	s = READ_ONCE(t->state);
	/* t may have come to its gate after `held` was read. */
	return s == TASK_HELD ? READ_ONCE(t->state_after) : s;
}
#endif

static void timeout_fn(struct timer *timer)
{
	wake_up_thread(timer->arg, 0);
}

#if GORDIAN_DEBUG
bool timeout_is_a_choice(void)
{
	const struct wait_ops *ops = current->waiting.ops;

	return READ_ONCE(current->timeless) && ops && ops->either;
}

static bool schedule_timeless(void)
{
	bool over;

	WRITE_ONCE(current->timed_out, false);
	WRITE_ONCE(current->waiting.timed, true);
	schedule();
	WRITE_ONCE(current->waiting.timed, false);
	over = READ_ONCE(current->timed_out);
	return !over;
}
#endif

bool schedule_timeout(uint64_t ns)
{
	struct timer timer;

#if GORDIAN_DEBUG
	if (timeout_is_a_choice())
		return schedule_timeless();
#endif
	WRITE_ONCE(current->waiting.timed, true);
	timer_setup(&timer, timeout_fn, current);
	timer.timeout = true;
	timer_arm(&timer, timer_now() + timer_ticks(ns));
	schedule();
	WRITE_ONCE(current->waiting.timed, false);
	return timer_cancel_sync(&timer);
}

void sleep_ns(uint64_t ns)
{
	uint64_t end = timer_now() + timer_ticks(ns), now;

	might_sleep();
	do {
		wait_begin(TASK_UNINTERRUPTIBLE, &sleep_wait, NULL, "time",
			   CALLER);
		now = timeout_clock(end);
	} while (now < end && schedule_timeout(timer_ns(end - now)));
	wait_end(); /* a timer is never early */
}

int thread_set_affinity(struct thread *t, struct cpumask allowed)
{
	uint32_t flags = local_irq_save();
	bool move = false, here = false;
	struct runqueue *rq;

	if (cpumask_empty(cpumask_and(allowed, cpu_online())) || t->pinned) {
		local_irq_restore(flags);
		return -EINVAL;
	}
	rq = lock_rq_of(t);
	t->affinity = allowed;
	if (!cpumask_test(allowed, t->cpu) && t->on_rq) {
		if (rq->curr == t) {
			resched(rq,
				t->cpu); /* it moves when it is switched out */
			here = t == current;
		} else {
			dequeue(rq, t);
			WRITE_ONCE(t->on_rq, false);
			WRITE_ONCE(t->state, TASK_WAKING);
			move = true;
		}
	}
	raw_spin_unlock(&rq->lock);
	if (move)
		queue_on_best_core(t);
	local_irq_restore(flags);
	if (here && may_sleep())
		schedule();
	return 0;
}

/* ---- cores coming and going --------------------------------------------- */

void sched_set_idle(unsigned int cpu, struct thread *idle)
{
	struct runqueue *rq = &runqueues[cpu];

	if (!rq->idle) {
		spin_lock_init(&rq->lock, "runqueue.lock");
		for (int p = 0; p < NR_PRIOS; p++)
			list_init(&rq->queue[p]);
	}
	rq->idle = idle;
	rq->next_tick = 0;
	WRITE_ONCE(rq->curr, idle);
}

void sched_set_boot(struct thread *idle, struct thread *boot)
{
	irq_preempt = preempt_from_irq;
	sched_set_idle(0, idle);
	WRITE_ONCE(runqueues[0].curr, boot);
	boot->on_rq = true;
}

void sched_boot_tick(void)
{
	uint32_t flags = local_irq_save();

	runqueues[smp_processor_id()].next_tick =
		timer_now() + timer_ticks(TICK_NS);
	timer_program();
	local_irq_restore(flags);
}

void sched_migrate_dying(unsigned int cpu)
{
	while (migrate_one(&runqueues[cpu], CPUMASK_ALL))
		;
	BUG_ON(runqueues[cpu].nr); /* a pinned thread that was not parked */
}

/*
 * Called before this core (`me`) idles. Looks for a thread that waits in the
 * queue of another core and may run on this core, and moves this thread away:
 * there it might wait behind a thread that cannot be preempted. The thread goes
 * to the core that select_cpu() names: this core, or another idle core. Returns
 * false if there is no such thread. IRQs off.
 */
static bool pull_one(unsigned int me)
{
	unsigned int cpu;

	/* If a core has a single thread, leave the thread there: the core runs
	 * the thread, or will run it next. */
	for_each_online_cpu (cpu)
		if (sched_nr_running(cpu) > 1 &&
		    migrate_one(&runqueues[cpu], cpumask_of(me)))
			return true;
	return false;
}

noreturn void cpu_idle_loop(void)
{
	unsigned int cpu = smp_processor_id();
	struct thread *t = current;

	for (;;) {
		local_irq_disable();
		lockdep_idle();
		if (unlikely(!cpu_is_online(cpu)))
			sched_hooks.play_dead(cpu);
		if (!READ_ONCE(t->need_resched) && !pull_one(cpu)) {
			sched_hooks.idle_enter(cpu);
			wfi(); /* a masked interrupt ends this wait, too */
			sched_hooks.idle_exit(cpu);
		}
		local_irq_enable();
		isb(); /* a pending interrupt is taken here */
		local_irq_disable();
		if (READ_ONCE(t->need_resched))
			reschedule(false);
	}
}

unsigned int sched_nr_running(unsigned int cpu)
{
	const struct runqueue *rq = &runqueues[cpu];
	const struct thread *curr = READ_ONCE(rq->curr);

	return READ_ONCE(rq->nr) + (curr && !curr->is_idle);
}

struct thread *sched_running(unsigned int cpu)
{
	return READ_ONCE(runqueues[cpu].curr);
}

bool thread_is_on_core(const struct thread *t)
{
	return sched_running(t->cpu) == t &&
	       (READ_ONCE(t->on_rq) || t->is_idle);
}

struct thread *sched_idle_thread(unsigned int cpu)
{
	return runqueues[cpu].idle;
}
