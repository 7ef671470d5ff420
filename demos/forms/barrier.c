/*
 * Forms of rcu_barrier() that several experiments use. Read them beside
 * _rcu_barrier() in kernel/rcu/callback.c.
 *
 * While an experiment runs, one of the tables of this file (struct rcu_parameters) is
 * installed as the parameters of rcu_sched_state (lab/world.c). At the exchange no barrier
 * runs, and no core comes or goes.
 *
 * Owns the orphaned callbacks of the form of Linux 3.6, guarded by rsp->lock.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* ---- McKenney, 2 October 2012, 23:31 UTC --------------------------------------- */

/*
 * The proposal: take the hotplug lock only if the barrier is not called from a hotplug
 * notifier. A notifier runs in the thread that is the active writer.
 */
static story void _rcu_barrier__mck(struct rcu_state *rsp)
{
	bool notifier = READ_ONCE(cpu_hotplug.active_writer) == current;
	uint32_t snap = rcu_barrier_enter(rsp, CALLER);
	unsigned int cpu;

	saw(__func__);
	mutex_lock(&rsp->barrier_mutex);
	if (!rcu_barrier_gone_by(rsp, snap)) {
		rcu_barrier_begin(rsp);
		if (!notifier)
			get_online_cpus();
		for_each_online_cpu (cpu)
			rcu_barrier_entrain(rsp, cpu);
		if (!notifier)
			put_online_cpus();
		rcu_barrier_wait(rsp);
	}
	mutex_unlock(&rsp->barrier_mutex);
	trace_did(TR_BARRIER_END, rsp, 0, CALLER);
}

const struct rcu_parameters rcu_mckenney = {
	.name = "_rcu_barrier__mck",
	.barrier = _rcu_barrier__mck,
};

/* ---- before commit 1331e7a1bbe1: Linux 3.6 ---------------------------------- */

/*
 * In this form the barrier takes no hotplug lock. A dead core's callbacks
 * become orphans. If no barrier is in progress, the core that cleans up adopts
 * the orphans. During a barrier, the thread of the barrier adopts the orphans
 * and queues one more callback behind them.
 */
static struct cblist orphans;		       /* rsp->lock */
static struct thread *rcu_barrier_in_progress; /* rsp->lock */
/* A barrier waits here for a dead core's callbacks to be moved. (Linux had no wait queue,
 * and looked again every jiffy. With a wait queue the reports show the wait.) */
static struct wait_queue adopted =
	WAIT_QUEUE_INIT(adopted, "a dead core's callbacks to be moved");

/* Adopt the orphans, unless the thread of a barrier must do that. rsp->lock held. */
static void rcu_adopt_orphan_cbs(struct rcu_state *rsp, uint32_t snap)
{
	struct cblist *mine = &rsp->data[smp_processor_id()].cbs;

	if (rcu_barrier_in_progress && rcu_barrier_in_progress != current)
		return;
	cblist_advance(mine, rsp->gp_seq);
	cblist_adopt(mine, &orphans, snap);
}

static void rcu_adopt__3_6(struct rcu_state *rsp, unsigned int dead)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock), snap = rcu_snap(rsp);
	struct rcu_data *mine = &rsp->data[smp_processor_id()];

	if (!orphans.tail[CB_DONE])
		cblist_init(&orphans);
	cblist_advance(&orphans, rsp->gp_seq);
	cblist_adopt(&orphans, &rsp->data[dead].cbs, snap);
	rcu_adopt_orphan_cbs(rsp, snap);
	spin_unlock_irqrestore(&rsp->lock, flags);
	rcu_request(rsp, snap);
	wake_up(&mine->wake);
	wake_up_all(&adopted);
}

/* Is the core online, or have its callbacks been moved? */
static bool callbacks_are_moved(struct rcu_state *rsp, unsigned int cpu)
{
	trace_point(TR_BARRIER_LOOK, &rsp->data[cpu], cpu, CALLER);
	return cpu_is_online(cpu) || !READ_ONCE(rsp->data[cpu].cbs.len);
}

/* Adopt the present orphans, and queue the barrier's callback behind them. */
static void adopt_and_follow(struct rcu_state *rsp, struct rcu_data *rd)
{
	uint32_t irqs, flags, snap;
	struct rcu_data *mine;

	trace_point(TR_BARRIER_QUEUE, rsp->data, smp_processor_id(), CALLER);
	irqs = local_irq_save();
	flags = spin_lock_irqsave(&rsp->lock);
	mine = &rsp->data[smp_processor_id()];
	snap = rcu_snap(rsp);
	if (orphans.tail[CB_DONE])
		rcu_adopt_orphan_cbs(rsp, snap);
	rcu_barrier_in_progress = NULL;
	spin_unlock_irqrestore(&rsp->lock, flags);
	rcu_request(rsp, snap);
	rcu_barrier_queue(rd, &mine->cbs);
	wake_up(&mine->wake);
	local_irq_restore(irqs);
}

static story void _rcu_barrier__3_6(struct rcu_state *rsp)
{
	uint32_t snap = rcu_barrier_enter(rsp, CALLER), flags;
	struct rcu_data rd = { .rsp = rsp }; /* for its barrier_head */
	unsigned int cpu;

	saw(__func__);
	mutex_lock(&rsp->barrier_mutex);
	if (!rcu_barrier_gone_by(rsp, snap)) {
		rcu_barrier_begin(rsp);
		flags = spin_lock_irqsave(&rsp->lock);
		rcu_barrier_in_progress = current;
		spin_unlock_irqrestore(&rsp->lock, flags);
		for_each_possible_cpu (cpu) {
			/* So that the core cannot go between the test and the
			 * call. */
			preempt_disable();
			if (cpu_is_online(cpu)) {
				rcu_barrier_entrain(rsp, cpu);
				preempt_enable();
			} else {
				preempt_enable();
				wait_event(&adopted,
					   callbacks_are_moved(rsp, cpu));
			}
		}
		adopt_and_follow(rsp, &rd);
		rcu_barrier_wait(rsp);
	}
	mutex_unlock(&rsp->barrier_mutex);
	trace_did(TR_BARRIER_END, rsp, 0, CALLER);
}

const struct rcu_parameters rcu_3_6 = {
	.name = "_rcu_barrier__3_6",
	.adopt = rcu_adopt__3_6,
	.barrier = _rcu_barrier__3_6,
};
