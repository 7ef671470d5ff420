/*
 * E18: what the hotplug lock in rcu_barrier() was for.
 *
 * Leave out get_online_cpus() and the cycle is gone; nothing else of the thread
 * would have been needed. But while a core is off and its callbacks are not yet
 * adopted, no online core has them, and right after the adoption they stand
 * behind the callback that this barrier may have queued there already. Either way
 * the barrier comes back while a callback that was queued before it has not run:
 * whoever frees what that callback uses has E17. Lockdep has nothing to say.
 *
 * Controls: the kernel's own rcu_barrier(), which waits for U; and the two forms
 * that need no lock because they look after dead cores, the one before (E11) and
 * the one since 2021 (E10).
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/cpu/smp.h"

static story void _rcu_barrier__nolock(struct rcu_state *rsp)
{
	uint32_t snap = rcu_barrier_enter(rsp, CALLER);
	unsigned int cpu;

	saw(__func__);
	mutex_lock(&rsp->barrier_mutex);
	if (!rcu_barrier_gone_by(rsp, snap)) {
		rcu_barrier_begin(rsp);
		for_each_online_cpu (cpu)
			rcu_barrier_entrain(rsp, cpu);
		rcu_barrier_wait(rsp);
	}
	mutex_unlock(&rsp->barrier_mutex);
	trace_did(TR_BARRIER_END, rsp, 0, CALLER);
}

static const struct rcu_parameters rcu_nolock = {
	.name = "_rcu_barrier__nolock",
	.barrier = _rcu_barrier__nolock,
};

/* The core that goes queues its last callback. Called before RCU's own, so that
 * a script can hold U there. */
static story int leaves_callback(struct notifier_block *nb maybe_unused,
				 unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		queue_last_callback();
	return NOTIFY_OK;
}

static struct notifier_block before_rcu = {
	.notifier_call = leaves_callback,
	.priority = CPU_PRI_DEFAULT + 1,
	.name = "leaves a callback",
};

/* Once it knows of the callback; free: one after the other while U is at it. */
static void actor_B_watches(struct stage *st)
{
	wait_until_last_callback_is_queued();
	do
		rcu_barrier_watched();
	while (!st->forced && !worker_ended(&st->worker[U_ACTOR]));
}

/* U has taken the core off and is about to tell the notifiers; B's whole barrier
 * comes in between. */
static const struct step in_between[] =
	STEPS(U(CORE_OFF, &cpu_hotplug), B(BARRIER, &rcu_sched_state),
	      B(BARRIER_END, &rcu_sched_state), U(NOTIFY, leaves_callback));

/* The same, and B has to wait. */
static const struct step kept_out[] =
	STEPS(U(CORE_OFF, &cpu_hotplug), B(BARRIER, &rcu_sched_state),
	      B(CONTEND, &cpu_hotplug.lock), U(NOTIFY, leaves_callback));

/* B may be inside, but it does not come back before U has told RCU. */
static const struct step looked_after[] = STEPS(
	U(CORE_OFF, &cpu_hotplug), B(LOCK, &rcu_sched_state.barrier_mutex),
	U(NOTIFY, leaves_callback), B(BARRIER_END, &rcu_sched_state));

#define RACE                                                                   \
	.actors = { { "B", ON_D, actor_B_watches }, { "U", ON_U, actor_U } },  \
	.world.toggles = true, .world.down_only = true,                        \
	.world.notifier = &before_rcu, .world.setup = setup_last_callback,     \
	.said.check = barriers_waited, .show.evidence = show_last_callback,    \
	.world.teardown = teardown_last_callback

static const struct scenario e18[] = {
	{
		.part = "E18/without",
		.free.apart = true,
		.about = "neither the hotplug lock nor a look at dead cores",
		.forced.order = in_between,
		.said.outcome = CORRUPT,
		.free.until_found = true,
		.free.rounds = 2000,
		.world.rcu = &rcu_nolock,
		.said.must_see = BARRIER_AFTER_CALLBACK,
		RACE,
	},
	{
		.part = "E18/kernel",
		.about = "control: the kernel's own, which waits for U",
		.forced.order = kept_out,
		.said.outcome = COMPLETES,
		RACE,
	},
	{
		.part = "E18/3.6",
		.free.apart = true,
		.about = "control: no lock, and it adopts by itself",
		.forced.order = looked_after,
		.said.outcome = COMPLETES,
		.world.rcu = &rcu_3_6,
		.said.must_see = BARRIER_AFTER_CALLBACK,
		RACE,
	},
	{
		.part = "E18/5.18",
		.free.apart = true,
		.about = "control: no lock, and who adopts looks after it",
		.forced.order = looked_after,
		.said.outcome = COMPLETES,
		.world.rcu = &rcu_5_18,
		.said.must_see = BARRIER_AFTER_CALLBACK,
		RACE,
	},
};

DEMO(18, e18, .id = "E18", .slug = "e18-no-lock",
     .claim = "without the hotplug lock it returns too early",
     .tried = { "B calls rcu_barrier() without the hotplug lock; U takes a core",
		"down that has just queued a callback. Does B wait for that?" },
     .cores = 2, SCENARIOS(e18), .free_rounds = 40);
