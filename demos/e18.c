/*
 * E18: the purpose of the hotplug lock in rcu_barrier().
 *
 * No mail proposes this: leave get_online_cpus() out of rcu_barrier(), and the cycle is
 * gone. But while a core is off and its callbacks have not been adopted yet, no online
 * core has them. And right after the adoption they stand behind the callback that the
 * barrier may have queued on the adopting core already. In both cases the barrier returns
 * while a callback that was queued before it has not run. If the caller then frees the
 * data of that callback, the callback uses freed memory, as in E17. Lockdep is silent.
 *
 * Controls: the kernel's own rcu_barrier(), which waits for U; and the two forms that
 * need no lock because they care for dead cores. These are the form before 1331e7a1bbe1
 * (E11) and the form since 2021 (E10).
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* The kernel's own function without get_online_cpus() and put_online_cpus(). */
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

/* The core that goes queues its last callback. This notifier runs before RCU's own, so
 * that a script can hold U there. */
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

/* B begins when the callback is queued. In free rounds B repeats its barrier until U has
 * ended. */
static void actor_B_watches(struct stage *st)
{
	wait_until_last_callback_is_queued();
	do
		rcu_barrier_watched();
	while (!st->forced && !worker_ended(&st->worker[U_ACTOR]));
}

/* U has taken the core off and is about to call the notifiers. Then B comes,
 * and does not return before U has called RCU's notifier. */
#define CARED_FOR                                                              \
	.forced.order = STEPS(U(CORE_OFF, &cpu_hotplug),                       \
			      B(LOCK, &rcu_sched_state.barrier_mutex),         \
			      U(NOTIFY, leaves_callback),                      \
			      B(BARRIER_END, &rcu_sched_state)),               \
	.free.apart = true, .said.outcome = COMPLETES,                         \
	.said.must_see = BARRIER_AFTER_CALLBACK

#define B_AND_CORE_GOES                                                        \
	.world.down_only = true, .world.notifier = &before_rcu,                \
	.said.check = no_barrier_returned_early, LAST_CALLBACK,                \
	B_AND_U(actor_B_watches)

static const struct scenario e18[] = {
	{
		.part = "E18/without",
		.about = "no hotplug lock, and nothing for dead cores",
		B_AND_CORE_GOES,
		.world.rcu = &rcu_nolock,
		/* B's whole barrier runs before U tells the notifiers. */
		.forced.order = STEPS(U(CORE_OFF, &cpu_hotplug),
				      B(BARRIER, &rcu_sched_state),
				      B(BARRIER_END, &rcu_sched_state),
				      U(NOTIFY, leaves_callback)),
		.said.outcome = CORRUPT,
		.said.must_see = BARRIER_AFTER_CALLBACK,
		.free.until_found = true,
		.free.rounds = 2000,
		.free.apart = true,
	},
	{
		.part = "E18/kernel",
		.about = "control: the kernel's own, which waits for U",
		B_AND_CORE_GOES,
		.forced.order = STEPS(U(CORE_OFF, &cpu_hotplug),
				      B(BARRIER, &rcu_sched_state),
				      B(CONTEND, &cpu_hotplug.lock),
				      U(NOTIFY, leaves_callback)),
		.said.outcome = COMPLETES,
	},
	{
		.part = "E18/3.6",
		.about = "control: no lock, the barrier adopts by itself",
		B_AND_CORE_GOES,
		CARED_FOR,
		.world.rcu = &rcu_3_6,
	},
	{
		.part = "E18/5.18",
		.about =
			"control: no lock, the adopter queues the barrier's callback",
		B_AND_CORE_GOES,
		CARED_FOR,
		.world.rcu = &rcu_5_18,
	},
};

DEMO(18, e18, .id = "E18", .slug = "e18-no-lock",
     .claim = "without the hotplug lock rcu_barrier() returns too early",
     .tried = { "B calls rcu_barrier() without the hotplug lock. U takes down a core that",
		"has just queued a callback. Does B wait for that callback?" },
     .cores = 2, SCENARIOS(e18), .free_rounds = 40);
