/*
 * Callbacks: call_rcu(), the threads that invoke callbacks, rcu_barrier(), and
 * the adoption of a dead core's callbacks.
 *
 * Each core has a list of callbacks. Only this core uses the list, with IRQs
 * off. The list of a dead core belongs to the core that runs CPU_DEAD. The
 * thread rcuc/N invokes core N's callbacks, oldest first, with preemption
 * disabled, so a callback must not sleep. The thread is parked before its core
 * goes off. Then another core adopts the callbacks that are left.
 *
 * rcu_barrier() has the form of commit 1331e7a1bbe1: it has a hotplug reference
 * while it queues a callback on each core, so no core can go off meanwhile.
 * barrier_mutex lets in one barrier at a time.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/internal.h"

#define BATCH 32 /* callbacks between two looks at the list */

/* Core cpu's part. Without the empty instruction gcc computes the address of each
 * member anew. */
static always_inline struct rcu_data *data_of(struct rcu_state *rsp,
					      unsigned int cpu)
{
	struct rcu_data *first = rsp->data;

	__asm__("" : "+r"(first));
	return first + cpu;
}

/* Queue a callback at the end of l. IRQs off. Called on the core of the list,
 * or when that core is dead. */
static always_inline void
queue_callback(struct rcu_state *rsp, struct cblist *l, struct rcu_head *head,
	       void (*func)(struct rcu_head *), uintptr_t caller)
{
	uint32_t snap = rcu_snap(rsp);

	head->func = func;
	cblist_advance(l, READ_ONCE(rsp->gp_seq));
	cblist_enqueue(l, head, snap);
	trace_did(TR_CALL_RCU, rsp, (uintptr_t)func, caller);
	rcu_request(rsp, snap);
}

static noinline void call_rcu_slow(struct rcu_head *head,
				   void (*func)(struct rcu_head *),
				   uintptr_t caller)
{
	struct rcu_state *rsp = &rcu_sched_state;
	uint32_t flags;

	/* The request may wake the grace-period thread on this core. With IRQs
	 * off and preemption on, the core would have to interrupt itself to
	 * switch to it. */
	preempt_disable();
	flags = local_irq_save();
	queue_callback(rsp, &rsp->data[smp_processor_id()].cbs, head, func,
		       caller);
	local_irq_restore(flags);
	preempt_enable();
}

/*
 * If the newest callback of this core waits for the same grace period, its
 * call_rcu() has requested this grace period, so head only joins the list.
 */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *))
{
	struct rcu_data *rdp;
	uint32_t flags;
	bool joined;

	trace_gate(TR_CALL_RCU, &rcu_sched_state, CALLER);
	flags = local_irq_save();
	rdp = data_of(&rcu_sched_state, smp_processor_id());
	head->func = func;
	joined = !READ_ONCE(trace_mode) &&
		 cblist_append(&rdp->cbs, head, rcu_snap(rdp->rsp));
	local_irq_restore(flags);
	if (unlikely(!joined))
		call_rcu_slow(head, func, CALLER);
}

/* ---- invoking ------------------------------------------------------------ */

static bool has_ready_callbacks(struct rcu_state *rsp, struct rcu_data *rdp)
{
	uint32_t flags = local_irq_save();
	bool r;

	cblist_advance(&rdp->cbs, READ_ONCE(rsp->gp_seq));
	r = cblist_ready(&rdp->cbs);
	local_irq_restore(flags);
	return r;
}

/* Run the callbacks that are ready, at most BATCH of them. */
static void invoke_batch(struct rcu_state *rsp, struct rcu_data *rdp)
{
	uint32_t flags = local_irq_save();
	unsigned int n;
	struct rcu_head *h = cblist_extract(&rdp->cbs, BATCH, &n);

	local_irq_restore(flags);
	smp_mb(); /* the grace period ends before the callbacks run: pairs with
		   * the lock in rcu_gp_end() */
	while (h) {
		void (*func)(struct rcu_head *) = h->func;
		struct rcu_head *next = h->next;
		struct lockdep_context context;

		trace_point(TR_RCU_CB, rsp, (uintptr_t)func, CALLER);
		preempt_disable();
		lockdep_enter(&context);
		func(h);
		lockdep_leave(&context, "an RCU callback returns",
			      (const void *)func);
		preempt_enable();
		h = next;
	}
	/* The callbacks count in `len` until they have run, so that
	 * rcu_barrier() does not skip this core. Release: pairs with the
	 * smp_mb() in rcu_barrier_wait(). So if rcu_barrier() reads `len` as 0,
	 * its caller sees the effects of these callbacks. */
	flags = local_irq_save();
	smp_store_release(&rdp->cbs.len, rdp->cbs.len - n);
	local_irq_restore(flags);
}

static int rcuc_thread(void *arg)
{
	struct rcu_data *rdp = arg;
	struct rcu_state *rsp = rdp->rsp;

	for (;;) {
		wait_event_kind(&rdp->wake, &idle_wait,
				kthread_should_park() ||
					has_ready_callbacks(rsp, rdp));
		if (kthread_should_park())
			kthread_parkme();
		else
			invoke_batch(rsp, rdp);
	}
	return 0;
}

/* ---- rcu_barrier --------------------------------------------------------- */

/* One of the barrier's callbacks has run, or the initial count is given back.
 * The last call ends the barrier's wait. */
static void barrier_done(struct rcu_state *rsp)
{
	trace_did(TR_DONE, &rsp->barrier_count, 0, CALLER);
	/* Acq_rel: pairs with the same operation on the other cores, and with
	 * the acquire in rcu_barrier_wait(). So the waiting thread sees the
	 * effects of all callbacks before. */
	if (__atomic_sub_fetch(&rsp->barrier_count, 1, __ATOMIC_ACQ_REL) == 0)
		complete(&rsp->barrier_completion);
}

static void rcu_barrier_callback(struct rcu_head *head)
{
	barrier_done(container_of(head, struct rcu_data, barrier_head)->rsp);
}

bool is_barrier_callback(uintptr_t func)
{
	return func == (uintptr_t)rcu_barrier_callback;
}

void rcu_barrier_queue(struct rcu_data *rdp, struct cblist *l)
{
	/* Relaxed: the initial count keeps barrier_count above 0 until
	 * rcu_barrier_wait(). */
	__atomic_fetch_add(&rdp->rsp->barrier_count, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(rdp->rsp->barrier_snap, rcu_snap(rdp->rsp));
	queue_callback(rdp->rsp, l, &rdp->barrier_head, rcu_barrier_callback,
		       CALLER);
}

/* Queue the barrier's callback on this core. IRQs off. */
static void rcu_barrier_func(void *arg)
{
	struct rcu_state *rsp = arg;
	struct rcu_data *rdp = data_of(rsp, smp_processor_id());

	rcu_barrier_queue(rdp, &rdp->cbs);
}

uint32_t rcu_barrier_enter(struct rcu_state *rsp, uintptr_t caller)
{
	uint32_t snap;

	trace_gate(TR_BARRIER, rsp, caller);
	smp_mb(); /* the caller has queued its callbacks before the snapshot, so
		   * a barrier that makes the count odd later finds them: pairs
		   * with the smp_mb() in rcu_barrier_begin() */
	snap = READ_ONCE(rsp->n_barrier_done);
	trace_did(TR_BARRIER, rsp, snap, caller);
	return snap;
}

bool rcu_barrier_gone_by(struct rcu_state *rsp, uint32_t snap)
{
	smp_mb(); /* take the snapshot, then read the count: pairs with the
		   * smp_mb()s in rcu_barrier_begin() and rcu_barrier_wait() */
	return (int32_t)(READ_ONCE(rsp->n_barrier_done) -
			 (((snap + 1) & ~1u) + 2)) >= 0;
}

/* The steps of a barrier are inline in _rcu_barrier(). Experiments call them, too,
 * so they also exist as functions of their own: rcu.h declares them. */
always_inline void rcu_barrier_begin(struct rcu_state *rsp)
{
	trace_gate(TR_BARRIER_COUNT, rsp, arch_here());
	WRITE_ONCE(rsp->n_barrier_done, rsp->n_barrier_done + 1);
	trace_did(TR_BARRIER_COUNT, rsp, 0, arch_here());
	smp_mb(); /* make the count odd, then look at the callbacks: pairs with
		   * the smp_mb() in rcu_barrier_enter() */
	WRITE_ONCE(rsp->barrier_count, 1);
}

static noinline void queue_on_core(struct rcu_data *rdp, unsigned int cpu)
{
	trace_point(TR_BARRIER_QUEUE, rdp, cpu, CALLER);
	smp_call_function_single(cpu, rcu_barrier_func, rdp->rsp, true);
}

always_inline void rcu_barrier_entrain(struct rcu_state *rsp, unsigned int cpu)
{
	struct rcu_data *rdp = data_of(rsp, cpu);

	trace_point(TR_BARRIER_LOOK, rdp, cpu, arch_here());
	if (unlikely(READ_ONCE(rdp->cbs.len)))
		queue_on_core(rdp, cpu);
}

/* The barrier has queued its callbacks on all cores. */
static always_inline void count_barrier(struct rcu_state *rsp)
{
	trace_gate(TR_BARRIER_COUNT, rsp, arch_here());
	smp_mb(); /* queue the callbacks, then make the count even: pairs with
		   * the smp_mb() in rcu_barrier_gone_by(). And if a core had no
		   * callbacks left, the caller sees the effects of those that
		   * ran there before: pairs with the release in
		   * invoke_batch() */
	WRITE_ONCE(rsp->n_barrier_done, rsp->n_barrier_done + 1);
	trace_did(TR_BARRIER_COUNT, rsp, 0, arch_here());
}

static noinline void rcu_barrier_wait_slow(struct rcu_state *rsp)
{
	/* Nobody completes it before the initial count is given back. */
	init_completion(&rsp->barrier_completion, "rcu callbacks");
	barrier_done(rsp);
	count_barrier(rsp);
	wait_for_completion_kind(&rsp->barrier_completion, &barrier_wait);
}

/*
 * From here on only the barrier's callbacks change barrier_count: each takes one
 * away. So if it is 1, the initial count, all have run, or there were none: no
 * thread will use the completion, so there is nothing to wait for. While events
 * are recorded, experiments may queue more callbacks: then go the long way.
 */
always_inline void rcu_barrier_wait(struct rcu_state *rsp)
{
	/* Acquire: pairs with the release in barrier_done(). */
	if (likely(!READ_ONCE(trace_mode)) &&
	    likely(smp_load_acquire(&rsp->barrier_count) == 1))
		count_barrier(rsp);
	else
		rcu_barrier_wait_slow(rsp);
}

story void _rcu_barrier(struct rcu_state *rsp)
{
	uint32_t snap = rcu_barrier_enter(rsp, CALLER);
	unsigned int cpu;

	mutex_lock(&rsp->barrier_mutex);
	if (!rcu_barrier_gone_by(rsp, snap)) {
		rcu_barrier_begin(rsp);
		get_online_cpus();
		for_each_online_cpu (cpu)
			rcu_barrier_entrain(rsp, cpu);
		put_online_cpus();
		rcu_barrier_wait(rsp);
	}
	mutex_unlock(&rsp->barrier_mutex);
	trace_did(TR_BARRIER_END, rsp, 0, CALLER);
}

story void rcu_barrier(void)
{
	rcu_sched_state.barrier(&rcu_sched_state);
}

/* ---- cores come and go --------------------------------------------------- */

static int prepare_core(struct rcu_state *rsp, unsigned int cpu)
{
	struct rcu_data *rdp = &rsp->data[cpu];

	if (!rdp->thread)
		rdp->thread = thread_create_on_cpu("rcuc/%u", rcuc_thread, rdp,
						   PRIO_HIGH, cpu);
	return rdp->thread ? 0 : -ENOMEM;
}

/* From now on grace periods wait for core cpu. Called on that core, IRQs off,
 * before it can run a reader. */
static void rcu_cpu_starting(struct rcu_state *rsp, unsigned int cpu)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock);

	/* If this core is lost meanwhile, its bit must not stay set. Another
	 * core marks this core as lost and then takes rsp->lock in
	 * rcu_cleanup_dead_cpu(). If the other core has the lock first, this
	 * core sees the mark. Otherwise the other core clears the bit. */
	if (!cpu_is_lost(cpu))
		WRITE_ONCE(rsp->online.bits, rsp->online.bits | 1u << cpu);
	spin_unlock_irqrestore(&rsp->lock, flags);
}

void rcu_adopt(struct rcu_state *rsp, unsigned int dead)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock), snap = rcu_snap(rsp);
	struct rcu_data *mine = &rsp->data[smp_processor_id()];

	cblist_advance(&mine->cbs, rsp->gp_seq);
	cblist_adopt(&mine->cbs, &rsp->data[dead].cbs, snap);
	spin_unlock_irqrestore(&rsp->lock, flags);
	rcu_request(rsp, snap);
	wake_up(&mine->wake); /* some callbacks may be ready */
}

/* Let no grace period wait for the dead core any longer, and adopt the core's
 * callbacks. Called on a core that stays. */
static void rcu_cleanup_dead_cpu(struct rcu_state *rsp, unsigned int cpu)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock);

	WRITE_ONCE(rsp->online.bits, rsp->online.bits & ~(1u << cpu));
	spin_unlock_irqrestore(&rsp->lock, flags);
	rcu_report_qs(rsp, cpu);
	if (rsp->data[cpu].cbs.len) {
		trace_did(TR_ADOPT, rsp, cpu, CALLER);
		rsp->adopt(rsp, cpu);
	}
}

static story int rcu_cpu_notify(struct notifier_block *nb maybe_unused,
				unsigned long action, void *hcpu)
{
	unsigned int cpu = (unsigned int)(uintptr_t)hcpu;
	int err = 0;

	if (action == CPU_STARTING)
		rcu_idle_start(cpu);
	for (struct rcu_state *rsp = rcu_states; rsp; rsp = rsp->next) {
		switch (action) {
		case CPU_UP_PREPARE:
			err = prepare_core(rsp, cpu);
			break;
		case CPU_STARTING:
			rcu_cpu_starting(rsp, cpu);
			break;
		case CPU_DEAD:
		case CPU_UP_CANCELED:
		case CPU_LOST:
			rcu_cleanup_dead_cpu(rsp, cpu);
			break;
		default:
			break;
		}
	}
	return notifier_from_errno(err);
}

/*
 * The rcuc thread of a core runs from CPU_ONLINE on. At CPU_DOWN_PREPARE it is
 * parked after all other notifiers have run, because they may call
 * rcu_barrier().
 */
static int rcuc_cpu_notify(struct notifier_block *nb, unsigned long action,
			   void *hcpu)
{
	unsigned int cpu = (unsigned int)(uintptr_t)hcpu;

	for (struct rcu_state *rsp = rcu_states; rsp; rsp = rsp->next) {
		struct thread *t = rsp->data[cpu].thread;

		if (!t)
			continue;
		if (action == CPU_DOWN_PREPARE && nb->priority == CPU_PRI_PARK)
			kthread_park(t);
		else if (action == CPU_ONLINE || action == CPU_DOWN_FAILED)
			kthread_unpark(t);
	}
	return NOTIFY_OK;
}

void rcu_register_notifiers(void)
{
	static struct notifier_block nb[] = {
		{ rcuc_cpu_notify, NULL, CPU_PRI_SMPBOOT, "rcuc" },
		{ rcu_cpu_notify, NULL, CPU_PRI_DEFAULT, "rcu" },
		{ rcuc_cpu_notify, NULL, CPU_PRI_PARK, "rcuc-park" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(nb); i++)
		register_cpu_notifier(&nb[i]);
}

void rcu_spawn(void)
{
	struct rcu_state *rsp = &rcu_sched_state;

	rsp->thread = thread_create("rcu_gp", rcu_gp_thread, rsp, PRIO_HIGH,
				    CPUMASK_ALL);
	BUG_ON(!rsp->thread || prepare_core(rsp, smp_processor_id()));
	kthread_unpark(rsp->data[smp_processor_id()].thread);
}
