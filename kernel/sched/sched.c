/*
 * The scheduler: one run queue a core, strict priorities, round robin.
 *
 * rq->lock (taken with IRQs off) guards the queue and the run state of every
 * thread that belongs to it (thread->cpu). It is held across a context switch
 * and released by the thread switched to: a thread that somebody else finds
 * asleep under this lock has really left its stack.
 *
 * A thread preempted between setting its sleep state and schedule() stays
 * runnable (docs/design.md, "preempted sleeper"): only schedule() itself takes a
 * thread off the queue, a preemption never does.
 *
 * Every wait must tolerate a spurious wake-up: look at your condition again.
 *
 * Two run-queue locks are never held at once.
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

struct runqueue {
	struct spinlock lock;
	/* lock guards: */
	struct list_head queue[NR_PRIOS]; /* runnable, not running */
	uint32_t ready;			  /* bit p: queue[p] is not empty */
	unsigned int nr;		  /* threads in the queues */
	struct thread *curr;
	struct thread *idle;
	uint64_t next_tick; /* counter ticks; 0: no tick while idle */
	bool stuck; /* see sched_tick_if_due(); its own core writes, IRQs off */
} cache_aligned;

static struct runqueue runqueues[NR_CPUS];

static void nothing(unsigned int cpu maybe_unused)
{
}

struct sched_hooks sched_hooks = { nothing, nothing, nothing, NULL, NULL };

/* ---- queue, lock held --------------------------------------------------- */

static void enqueue(struct runqueue *rq, struct thread *t)
{
	list_add_tail(&t->rq_link, &rq->queue[t->prio]);
	rq->ready |= 1u << t->prio;
	rq->nr++;
}

static void dequeue(struct runqueue *rq, struct thread *t)
{
	list_del(&t->rq_link);
	if (list_empty(&rq->queue[t->prio]))
		rq->ready &= ~(1u << t->prio);
	rq->nr--;
}

/* The core must look at its queue; rq's lock held, IRQs off. */
static void resched(struct runqueue *rq, unsigned int cpu)
{
	if (READ_ONCE(rq->curr->need_resched))
		return;
	WRITE_ONCE(rq->curr->need_resched, 1);
	/*
	 * On this core an interrupt looks at it on its way out and
	 * preempt_enable() when the count drops; with neither ahead of us
	 * nothing would: IRQs are off and nobody looks when they come on.
	 * So an interrupt to oneself (docs/design.md, "waiting").
	 */
	if (cpu != smp_processor_id() ||
	    (!current->irq_depth && !current->preempt_count &&
	     !current->is_idle))
		irqchip->send_ipi(cpumask_of(cpu), IPI_RESCHEDULE);
}

static void activate(struct runqueue *rq, unsigned int cpu, struct thread *t)
{
	t->state = TASK_RUNNING;
	t->on_rq = true;
	enqueue(rq, t);
	if (t->prio < rq->curr->prio)
		resched(rq, cpu);
}

/* Threads that would share the core with one more; a guess, no lock is held. */
static unsigned int load_of(unsigned int cpu)
{
	return sched_nr_running(cpu) + READ_ONCE(runqueues[cpu].stuck) * 1000;
}

/*
 * Where should t run? IRQs off, so no core can go away meanwhile. Its last core
 * if that idles or nothing better does; a core that is stuck behind a reader
 * only if there is no other; a thread whose cores have all gone may run
 * anywhere.
 */
static unsigned int select_cpu(const struct thread *t)
{
	struct cpumask ok = cpumask_and(t->affinity, cpu_online());
	unsigned int best = t->cpu, load = ~0u, cpu;

	if (t->pinned)
		return t->cpu;
	if (cpumask_empty(ok))
		ok = cpu_online();
	if (cpumask_test(ok, t->cpu)) {
		best = t->cpu;
		load = load_of(best);
	}
	for_each_cpu (cpu, ok) {
		unsigned int n = load_of(cpu);

		if (n < load) {
			best = cpu;
			load = n;
		}
	}
	return best;
}

/* Lock the run queue that t belongs to. IRQs off. */
static struct runqueue *lock_rq_of(struct thread *t)
{
	for (;;) {
		unsigned int cpu = READ_ONCE(t->cpu);
		struct runqueue *rq = &runqueues[cpu];

		raw_spin_lock(&rq->lock);
		if (likely(t->cpu == cpu))
			return rq;
		raw_spin_unlock(&rq->lock);
	}
}

/*
 * t is on no queue, marked TASK_WAKING, off its stack: run it on select_cpu().
 * It changes cores under the lock of the old one, and is looked at again under
 * that of the new one: its affinity may have changed between.
 */
static void place(struct thread *t)
{
	bool here;

	do {
		struct runqueue *rq = lock_rq_of(t);
		unsigned int cpu = select_cpu(t);

		here = cpu == t->cpu;
		if (here)
			activate(rq, cpu, t);
		else
			WRITE_ONCE(t->cpu, cpu);
		raw_spin_unlock(&rq->lock);
	} while (!here);
}

/* Take a queued thread that may run on one of those cores off its queue and
 * place it anew; false if there is none. IRQs off. */
static bool move_queued(struct runqueue *rq, struct cpumask cores)
{
	struct thread *t;

	raw_spin_lock(&rq->lock);
	for (int p = 0; p < NR_PRIOS; p++) {
		list_for_each (t, &rq->queue[p], rq_link) {
			if (t->pinned ||
			    cpumask_empty(cpumask_and(t->affinity, cores)))
				continue;
			dequeue(rq, t);
			t->on_rq = false;
			t->state = TASK_WAKING; /* to sleep? it looks again */
			raw_spin_unlock(&rq->lock);
			place(t);
			return true;
		}
	}
	raw_spin_unlock(&rq->lock);
	return false;
}

/* ---- switching ---------------------------------------------------------- */

/* On the new thread's stack, IRQs off, the lock still held from before. */
void finish_switch(struct thread *prev)
{
	struct runqueue *rq = &runqueues[smp_processor_id()];
	/* Still wanted on a queue, whatever its state: it was preempted. */
	enum thread_state state = prev->on_rq ? TASK_RUNNING : prev->state;

	/* prev took it, this thread gives it back. */
	lock_acquire(&rq->lock.dep_map, 0, LOCK_WRITE, NULL, CALLER);
	raw_spin_unlock(&rq->lock);
	if (unlikely(state == TASK_WAKING))
		place(prev);
	else if (unlikely(state == TASK_DEAD))
		thread_put(prev); /* its own handle */
	else if (unlikely(state == TASK_PARKED))
		thread_parked();
}

/* IRQs off. preempt: current is still wanted on the queue, whatever its state */
static void reschedule(bool preempt)
{
	unsigned int cpu = smp_processor_id();
	struct runqueue *rq = &runqueues[cpu];
	struct thread *prev = current, *next;

	sched_hooks.quiescent(cpu);
	raw_spin_lock(&rq->lock);
	WRITE_ONCE(prev->need_resched, 0);
	WRITE_ONCE(rq->stuck, false);
	if (prev->is_idle) {
		;
	} else if (!preempt && prev->state != TASK_RUNNING) {
		/* The next one gives the lock back, so it is nobody's now.
		 * Release: who finds prev blocked does not find it here. */
		WRITE_ONCE(rq->lock.holder, NULL);
		smp_store_release(&prev->on_rq, false);
		trace_did(TR_BLOCK, prev->waiting.obj, prev->waiting.kind,
			  prev->waiting.caller);
	} else if (unlikely(!prev->pinned &&
			    !cpumask_test(prev->affinity, cpu) &&
			    !cpumask_empty(cpumask_and(prev->affinity,
						       cpu_online())))) {
		/*
		 * It may no longer run here: placed once it is off its stack.
		 * If it was about to sleep this wakes it; it looks again.
		 */
		prev->on_rq = false;
		prev->state = TASK_WAKING;
	} else {
		enqueue(rq, prev);
	}
	next = rq->idle;
	if (rq->ready) {
		unsigned int p = (unsigned int)__builtin_ctz(rq->ready);

		next = list_first(&rq->queue[p], struct thread, rq_link);
		dequeue(rq, next);
	}
	if (next == prev) {
		raw_spin_unlock(&rq->lock);
		return;
	}
	rq->curr = next;
	next->switches++;
	if (prev->is_idle || next->is_idle) {
		rq->next_tick =
			next->is_idle ? 0 : timer_now() + timer_ticks(TICK_NS);
		timer_program();
	}
	trace_did(TR_SWITCH, next, next->id, 0);
	(void)lock_release(&rq->lock.dep_map, CALLER); /* see finish_switch() */
	finish_switch(arch_switch_to(prev, next));
}

void schedule(void)
{
	uint32_t flags;

	ASSERT(current->preempt_count == 0 && current->irq_depth == 0);
#if GORDIAN_DEBUG
	if (sched_hooks.blocks && current->state != TASK_RUNNING)
		sched_hooks.blocks();
#endif
	flags = local_irq_save();
	reschedule(false);
	local_irq_restore(flags);
}

void preempt_schedule(void)
{
	struct thread *t = current;
	uint32_t flags;

	if (t->irq_depth || t->is_idle)
		return; /* the interrupt's way out, or the idle loop, looks */
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

/* irq_preempt: the way out of the outermost interrupt. IRQs off. */
static void preempt_from_irq(void)
{
	while (READ_ONCE(current->need_resched))
		reschedule(true);
}

/* The deadline of this core's tick, 0 if it has none. IRQs off. */
uint64_t sched_next_tick(void)
{
	return runqueues[smp_processor_id()].next_tick;
}

/* From the timer interrupt. IRQs off. */
void sched_tick_if_due(uint64_t now)
{
	unsigned int cpu = smp_processor_id();
	struct runqueue *rq = &runqueues[cpu];
	struct thread *t = current;
	bool asked = READ_ONCE(t->need_resched); /* before this tick */

	if (!rq->next_tick || now < rq->next_tick)
		return;
	rq->next_tick = now + timer_ticks(TICK_NS);
	if (t->preempt_count == 0) /* it interrupted no reader */
		sched_hooks.quiescent(cpu);
	raw_spin_lock(&rq->lock);
	if (!list_empty(&rq->queue[t->prio]))
		resched(rq, cpu); /* round robin: somebody equal waits */
	raw_spin_unlock(&rq->lock);
	/*
	 * It cannot, and not for a moment: a reader. Who waits here may wait for
	 * its end, whatever the priority. Idle cores pull, but there may be
	 * none, or one that looked just before. So we push, one a tick.
	 */
	if (unlikely(asked && t->preempt_count)) {
		WRITE_ONCE(rq->stuck, true);
		move_queued(rq, cpumask_andnot(cpu_online(), cpumask_of(cpu)));
	}
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

void wait_begin(enum thread_state state, enum wait_kind kind, const void *obj,
		const char *name, uintptr_t caller)
{
	struct thread *t = current;

	if (t->waiting.kind != kind || t->waiting.obj != obj) {
		WRITE_ONCE(t->waiting.kind, WAIT_NONE);
		smp_wmb(); /* before the fields: pairs with copy_waiting() */
		t->waiting.obj = obj;
		t->waiting.name = name;
		t->waiting.caller = caller;
		t->waiting.since = timer_now();
		/* Release: pairs with the acquire of whoever reports it. */
		smp_store_release(&t->waiting.kind, kind);
	}
	WRITE_ONCE(t->state, state);
	smp_mb(); /* state before condition; pairs with wake_up_thread() */
}

void wait_end(void)
{
	WRITE_ONCE(current->state, TASK_RUNNING);
	WRITE_ONCE(current->waiting.kind, WAIT_NONE);
	current->waiting.by = NULL;
}

/* Wake t if its state is one of a set, a bit each. */
#define IN(state) (1u << (state))
static bool wake_if(struct thread *t, unsigned int states, uintptr_t caller)
{
	uint32_t flags = local_irq_save();
	struct runqueue *rq;
	bool woken, move = false;

	smp_mb(); /* condition before state; pairs with wait_begin() */
	rq = lock_rq_of(t);
	woken = (states & IN(READ_ONCE(t->state))) != 0;
	if (woken) {
		trace_did(TR_WAKE, t, t->id, caller);
		if (t->on_rq) {
			/* running, or preempted on its way to schedule() */
			WRITE_ONCE(t->state, TASK_RUNNING);
		} else if (select_cpu(t) == t->cpu) {
			activate(rq, t->cpu, t);
		} else {
			t->state = TASK_WAKING;
			move = true;
		}
	}
	raw_spin_unlock(&rq->lock);
	if (move)
		place(t);
	local_irq_restore(flags);
	return woken;
}

bool wake_up_thread(struct thread *t, uintptr_t caller)
{
	return wake_if(t, IN(TASK_UNINTERRUPTIBLE) | IN(TASK_INTERRUPTIBLE),
		       caller);
}

void thread_interrupt(struct thread *t)
{
	WRITE_ONCE(t->interrupted, true);
	wake_if(t, IN(TASK_INTERRUPTIBLE), CALLER);
}

bool thread_interrupted(void)
{
	/* Relaxed: a flag between two threads, nothing hangs on its order. */
	return READ_ONCE(current->interrupted) &&
	       __atomic_exchange_n(&current->interrupted, false,
				   __ATOMIC_RELAXED);
}

void sched_unpark(struct thread *t)
{
	wake_if(t, IN(TASK_PARKED), CALLER);
}

/* First run of a new thread. */
void sched_start(struct thread *t)
{
	uint32_t flags = local_irq_save();

	t->state = TASK_WAKING;
	place(t);
	local_irq_restore(flags);
}

/* Parked and off its stack? */
bool sched_is_parked(struct thread *t)
{
	uint32_t flags = local_irq_save();
	struct runqueue *rq = lock_rq_of(t);
	bool parked = t->state == TASK_PARKED && !t->on_rq && rq->curr != t;

	raw_spin_unlock(&rq->lock);
	local_irq_restore(flags);
	return parked;
}

static void timeout_fn(struct timer *timer)
{
	wake_up_thread(timer->arg, 0);
}

bool schedule_timeout(uint64_t ns)
{
	struct timer timer;

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
	while ((now = timer_now()) < end) {
		wait_begin(TASK_UNINTERRUPTIBLE, WAIT_SLEEP, NULL, "time",
			   CALLER);
		schedule_timeout(timer_ns(end - now));
	}
	wait_end();
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
			resched(rq, t->cpu); /* moves when it is switched out */
			here = t == current;
		} else {
			dequeue(rq, t);
			t->on_rq = false;
			t->state = TASK_WAKING;
			move = true;
		}
	}
	raw_spin_unlock(&rq->lock);
	if (move)
		place(t);
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

/* The boot thread becomes core 0's first current. */
void sched_set_boot(struct thread *idle, struct thread *boot)
{
	irq_preempt = preempt_from_irq;
	sched_set_idle(0, idle);
	runqueues[0].curr = boot;
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
	while (move_queued(&runqueues[cpu], CPUMASK_ALL))
		;
	BUG_ON(runqueues[cpu].nr); /* pinned: it should have been parked */
}

/*
 * Before this core idles: a thread that waits for another one comes here. It may
 * wait behind a thread that cannot be preempted. IRQs off.
 */
static bool pull_queued(unsigned int me)
{
	unsigned int cpu;

	/* One alone in the queue of an idle core runs there next. */
	for_each_online_cpu (cpu)
		if (sched_nr_running(cpu) > 1 &&
		    move_queued(&runqueues[cpu], cpumask_of(me)))
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
		if (!READ_ONCE(t->need_resched) && !pull_queued(cpu)) {
			sched_hooks.idle_enter(cpu);
			wfi(); /* a masked interrupt ends it all the same */
			sched_hooks.idle_exit(cpu);
		}
		local_irq_enable();
		isb(); /* what is pending is taken here */
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

struct thread *sched_idle_thread(unsigned int cpu)
{
	return runqueues[cpu].idle;
}
