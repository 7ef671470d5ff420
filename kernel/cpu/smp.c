/*
 * Calling functions on other cores. See smp.h.
 *
 * Each core has a queue of calls and a lock that guards it (taken with IRQs
 * off). The calling thread disables preemption before it reads cpu_online_mask,
 * and enables it when its calls have run (or are queued, if it does not wait).
 * So stop_machine() cannot run in between, and no core can go off. Calls that
 * nobody waits for may still be queued when their core goes off. Before it
 * goes, take_cpu_down() runs them with smp_flush_calls().
 */
#include "kernel/cpu/smp.h"

#include "kernel/arch/board.h"
#include "kernel/cpu/internal.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/list.h"
#include "kernel/lock/busy.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/spinlock.h"
#include "kernel/sched/sched.h"

struct call {
	struct list_head link;
	void (*fn)(void *arg);
	void *arg;
	struct call_wait *wait; /* NULL: nobody waits */
	bool busy;		/* an entry of `pool` is in use; atomic */
};

struct call_wait {
	struct cpumask left; /* cores that have not run fn yet; atomic */
	unsigned int cpu;    /* of the waiting thread */
};

static struct call_queue {
	struct spinlock lock;
	struct list_head calls; /* guarded by lock */
} cache_aligned queues[NR_CPUS];

/* Calls that nobody waits for: pool[cpu] is for a call on core cpu. */
static struct call pool[NR_CPUS];

void smp_calls_init(void)
{
	for (struct call_queue *q = queues; q < queues + NR_CPUS; q++) {
		spin_lock_init(&q->lock, "call_queue.lock");
		list_init(&q->calls);
	}
	ipi_register(IPI_CALL, smp_flush_calls);
}

static void queue_call(unsigned int cpu, struct call *c)
{
	struct call_queue *q = &queues[cpu];
	uint32_t flags = spin_lock_irqsave(&q->lock);

	list_add_tail(&c->link, &q->calls);
	spin_unlock_irqrestore(&q->lock, flags);
}

static void run_call(void (*fn)(void *), void *arg)
{
	struct lockdep_context context;

	lockdep_enter(&context);
	fn(arg);
	lockdep_leave(&context, "a function called by a core returns",
		      (const void *)fn);
}

void smp_flush_calls(void)
{
	unsigned int cpu = smp_processor_id();
	struct call_queue *q = &queues[cpu];

	for (;;) {
		uint32_t flags = spin_lock_irqsave(&q->lock);
		struct call *c =
			list_first_or_null(&q->calls, struct call, link);

		if (c)
			list_del(&c->link);
		spin_unlock_irqrestore(&q->lock, flags);
		if (!c)
			return;

		struct call_wait *w = c->wait;
		void (*fn)(void *) = c->fn;
		void *arg = c->arg;

		if (!w) {
			/* Release: from now on c may be used again; pairs with
			 * the acquires in smp_call_function_single() and
			 * is_unused(). */
			smp_store_release(&c->busy, false);
			/* A core may wait for c in is_unused(). */
			core_kick_mask(cpu_online());
			run_call(fn, arg);
			continue;
		}
		run_call(fn, arg);
		/* Read w->cpu now: as soon as `left` is 0, w may be gone. */
		unsigned int waiter = w->cpu;

		/* Acq_rel: the waiting core sees what fn did; pairs with the
		 * acquire in all_have_run(). */
		if (!__atomic_and_fetch(&w->left.bits, ~(1u << cpu),
					__ATOMIC_ACQ_REL))
			core_kick(waiter);
	}
}

static bool all_have_run(void *arg)
{
	struct call_wait *w = arg;

	/* Acquire: pairs with the release in smp_flush_calls(). */
	return smp_load_acquire(&w->left.bits) == 0;
}

static bool is_unused(void *arg)
{
	/* Acquire: pairs with the release in smp_flush_calls(). */
	return !smp_load_acquire((bool *)arg);
}

#if GORDIAN_DEBUG
/* t runs. Will its core answer the call soon? It will if t spins with IRQs
 * on. */
static bool will_answer(const struct thread *t)
{
	unsigned int n = READ_ONCE(t->lockdep.depth);

	return READ_ONCE(t->busy.ops) && !t->irq_depth &&
	       !(n && n <= MAX_HELD && t->lockdep.held[n - 1].irqs_off);
}

static bool keeps_core_from_answer(const struct waiting *w,
				   const struct thread *t)
{
	return thread_is_on_core(t) && !will_answer(t) &&
	       cpumask_test(cpumask_load(w->obj), t->cpu);
}

const struct wait_ops cores_wait = {
	.name = "other cores",
	.relation = "where runs",
	.event = true,
	.busy = true,
	.waits_on = keeps_core_from_answer,
};
#endif

/* Run a function that this core has called on itself. IRQs off. */
static void run_own_call(void (*fn)(void *), void *arg)
{
#if GORDIAN_DEBUG
	current->own_calls++;
	run_call(fn, arg);
	current->own_calls--;
#else
	fn(arg);
#endif
}

void on_each_cpu_mask(struct cpumask mask, void (*fn)(void *), void *arg)
{
	struct call calls[NR_CPUS];
	struct call_wait w;
	struct waiting outer;
	struct cpumask others;
	unsigned int cpu, me;

	if (GORDIAN_DEBUG) /* without gates gcc would keep the empty loop */
		for_each_cpu (cpu, mask)
			trace_gate(TR_CALL_CORE, (void *)(uintptr_t)cpu,
				   CALLER);
	preempt_disable();
	me = smp_processor_id();
	mask = cpumask_and(mask, cpu_online());
	others = cpumask_andnot(mask, cpumask_of(me));
	w = (struct call_wait){ .left = others, .cpu = me };
	/* Two cores that call each other with IRQs off would wait for ever. */
	BUG_ON(w.left.bits && irqs_disabled());
	if (!cpumask_empty(others))
		lockdep_call();
	for_each_cpu (cpu, others) {
		calls[cpu] = (struct call){ .fn = fn, .arg = arg, .wait = &w };
		queue_call(cpu, &calls[cpu]);
	}
	if (!cpumask_empty(others))
		irqchip->send_ipi(others, IPI_CALL);
	if (cpumask_test(mask, me)) {
		uint32_t flags = local_irq_save();

		run_own_call(fn, arg);
		local_irq_restore(flags);
	}
	if (!cpumask_empty(others)) {
		outer = busy_begin(&cores_wait, &w.left, "an answer", CALLER);
		core_wait(all_have_run, &w);
		busy_set(outer);
	}
	preempt_enable();
}

void on_each_cpu(void (*fn)(void *), void *arg)
{
	on_each_cpu_mask(CPUMASK_ALL, fn, arg);
}

int smp_call_function_single(unsigned int cpu, void (*fn)(void *), void *arg,
			     bool wait)
{
	int err = 0;

	if (wait)
		trace_gate(TR_CALL_CORE, (void *)(uintptr_t)cpu, CALLER);
	preempt_disable();
	if (!cpu_is_online(cpu)) {
		err = -ENODEV;
	} else if (wait || cpu == smp_processor_id()) {
		on_each_cpu_mask(cpumask_of(cpu), fn, arg);
	} else {
		struct call *c = &pool[cpu];

		/* The loop below waits while an earlier call on that core has
		 * not begun. */
		lockdep_call();
		/* Acquire: pairs with the release in smp_flush_calls(). */
		while (__atomic_exchange_n(&c->busy, true, __ATOMIC_ACQUIRE))
			core_wait(is_unused, &c->busy);
		c->fn = fn;
		c->arg = arg;
		c->wait = NULL;
		queue_call(cpu, c);
		irqchip->send_ipi(cpumask_of(cpu), IPI_CALL);
	}
	preempt_enable();
	return err;
}
