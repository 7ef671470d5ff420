/*
 * E8, E8b, E8c, E8d: rcu_barrier() inside a hotplug notifier.
 *
 * McKenney, 2 October 2012, 23:31 UTC, first takes the report for this: "Slab seems to
 * be doing an rcu_barrier() in a CPU hotplug notifier". It "doesn't help CPU hotplug
 * latency", he says, but it works if rcu_barrier() excludes hotplug or is called from
 * a notifier: "either way, the CPU cannot go away while rcu_barrier() is executing".
 *
 * E8 shows that he is right. In rcu_barrier() the writer does not wait for its own
 * lock, because get_online_cpus() lets active_writer pass. (E9n has no such rule.)
 *
 * No mail has the rest. rcu_barrier() holds barrier_mutex when it wants the hotplug
 * lock; the notifier holds the hotplug lock when it wants barrier_mutex. So one bare
 * barrier beside the notifier is enough for a deadlock (E8b). McKenney's proposal does
 * not help, because the bare barrier is not in a notifier. The cure is the other order,
 * the hotplug reference first (E8c).
 *
 * E8d: at CPU_DEAD the core is already off. If the notifier runs before RCU's own
 * notifier, no online core has the dead core's callbacks yet. The barrier of
 * 1331e7a1bbe1 asks online cores only, and returns too early. The barrier before that
 * commit waits until the callbacks have been adopted. It waits for ever, because the
 * waiting thread itself would have to call RCU's notifier, which adopts them.
 *
 * Controls: E8 for E8b (no B); E8b for E8c; for E8d the same notifier after RCU's own.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/lib/printf.h"

/* The hotplug reference is taken before barrier_mutex. It is given back after the mutex
 * is released, because put_online_cpus() takes cpu_hotplug.lock, too. */
static story void _rcu_barrier__reffirst(struct rcu_state *rsp)
{
	uint32_t snap = rcu_barrier_enter(rsp, CALLER);
	unsigned int cpu;

	saw(__func__);
	get_online_cpus();
	mutex_lock(&rsp->barrier_mutex);
	if (!rcu_barrier_gone_by(rsp, snap)) {
		rcu_barrier_begin(rsp);
		for_each_online_cpu (cpu)
			rcu_barrier_entrain(rsp, cpu);
		rcu_barrier_wait(rsp);
	}
	mutex_unlock(&rsp->barrier_mutex);
	put_online_cpus();
	trace_did(TR_BARRIER_END, rsp, 0, CALLER);
}

static const struct rcu_parameters rcu_reffirst = {
	.name = "_rcu_barrier__reffirst",
	.barrier = _rcu_barrier__reffirst,
};

/*
 * A subsystem that frees with call_rcu(). Its notifier calls rcu_barrier() when
 * a core comes, and when a core has gone. When a core comes, U's core queues the
 * callback. When a core goes, that core queues its last callback at CPU_DYING,
 * while all cores stand still.
 */
static story int barrier_notify(struct notifier_block *nb maybe_unused,
				unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_UP_PREPARE || action == CPU_DYING)
		queue_last_callback();
	if (action == CPU_UP_PREPARE || action == CPU_DEAD)
		rcu_barrier_watched();
	return NOTIFY_OK;
}

struct notifier_block barrier_after_rcu = {
	.notifier_call = barrier_notify,
	.priority = CPU_PRI_DEFAULT - 1,
	.name = "barrier after rcu",
};

static struct notifier_block before_rcu = {
	.notifier_call = barrier_notify,
	.priority = CPU_PRI_DEFAULT + 1,
	.name = "barrier before rcu",
};

static const struct scenario e8[] = {
	{
		.about = "rcu_barrier() inside a notifier, alone",
		U_ALONE,
		LAST_CALLBACK,
		.world.notifier = &barrier_after_rcu,
		.said.outcome = COMPLETES,
		.said.check = barrier_waited_for_callback,
		.said.must_see = BARRIER_AFTER_CALLBACK,
		.free.apart = true,
	},
};

DEMO(08, e8, .id = "E8", .slug = "e8-notifier",
     .claim = "rcu_barrier() in a notifier does not wait for itself",
     .tried = { "U takes a core up or down, and a notifier calls rcu_barrier() at",
		"CPU_UP_PREPARE and CPU_DEAD, in the thread that is the writer." },
     .cores = 2, SCENARIOS(e8), .free_rounds = 40);

/* B holds barrier_mutex, U holds the hotplug lock; each wants the other's lock. The cut
 * lends the hotplug lock. (If it lent barrier_mutex, a barrier would begin inside
 * another one.) */
#define CROSSED                                                                \
	.world.notifier = &barrier_after_rcu, .cut.lend = &cpu_hotplug.lock,   \
	.said.outcome = DEADLOCK, .said.lockdep = CIRCULAR,                    \
	.said.check = no_barrier_returned_early, .free.until_found = true,     \
	.forced.order = STEPS(B(LOCK, &rcu_sched_state.barrier_mutex),         \
			      U(HP_BEGIN, &cpu_hotplug),                       \
			      B(CONTEND, &cpu_hotplug.lock),                   \
			      U(CONTEND, &rcu_sched_state.barrier_mutex)),     \
	.forced.down = STEPS(B(LOCK, &rcu_sched_state.barrier_mutex),          \
			     U(HP_BEGIN, &cpu_hotplug),                        \
			     U(CORE_OFF, &cpu_hotplug),                        \
			     B(CONTEND, &cpu_hotplug.lock),                    \
			     U(CONTEND, &rcu_sched_state.barrier_mutex)),      \
	LAST_CALLBACK, B_AND_U(actor_B_often)

static const struct scenario e8b[] = {
	{
		.part = "E8b/kernel",
		.about = "the kernel's rcu_barrier(), and a bare one beside it",
		CROSSED,
	},
	{
		.part = "E8b/mckenney",
		.about = "no hotplug lock from a notifier: B is not in one",
		CROSSED,
		.world.rcu = &rcu_mckenney,
	},
};

DEMO(08b, e8b, .id = "E8b", .slug = "e8b-bare",
     .claim = "rcu_barrier() in a notifier deadlocks with one outside",
     .tried = { "E8 with B, rcu_barrier() alone: it holds barrier_mutex and wants",
		"the hotplug lock; U's notifier holds that and wants the mutex." },
     .cores = 2, SCENARIOS(e8b), .free_rounds = 20000);

static const struct scenario e8c[] = {
	{
		.about = "the hotplug reference is taken before barrier_mutex",
		B_AND_U(actor_B_often),
		LAST_CALLBACK,
		.world.rcu = &rcu_reffirst,
		.world.notifier = &barrier_after_rcu,
		/* B holds its reference and barrier_mutex: U has to wait. */
		.forced.order =
			STEPS(B(LOCK, &rcu_sched_state.barrier_mutex),
			      U(HP_BEGIN, &cpu_hotplug),
			      B(UNLOCK, &rcu_sched_state.barrier_mutex)),
		.forced.refused = true,
		.said.outcome = COMPLETES,
		.said.check = barrier_waited_for_callback,
		.said.must_see = BARRIER_AFTER_CALLBACK,
		.free.cores = 3, /* two actors on one core rarely meet */
	},
};

DEMO(08c, e8c, .id = "E8c", .slug = "e8c-reference",
     .claim = "the hotplug reference before barrier_mutex: no deadlock",
     .tried = { "E8b with get_online_cpus() before barrier_mutex in rcu_barrier():",
		"one order everywhere." },
     .cores = 2, SCENARIOS(e8c), .free_rounds = 40);

/* End U's wait: adopt the callbacks, as RCU's notifier would have done next. */
static bool adopt_by_hand(struct stage *st, bool quietly)
{
	struct rcu_state *rsp = &rcu_sched_state;
	unsigned int n = rcu_nr_callbacks(st->toggled);

	if (!n)
		return false;
	rsp->adopt(rsp, st->toggled);
	if (!quietly)
		kprintf("cut: the callbacks of core %u (%u) are adopted now\n",
			st->toggled, n);
	return true;
}

#define CORE_GOES                                                              \
	.world.down_only = true, .free.apart = true, .show.rcu = true,         \
	.said.must_see = BARRIER_AFTER_CALLBACK, LAST_CALLBACK, U_ALONE

static const struct scenario e8d[] = {
	{
		.part = "E8d/kernel",
		.about = "before RCU's own notifier, at CPU_DEAD",
		CORE_GOES,
		.world.notifier = &before_rcu,
		.said.outcome = CORRUPT,
		.said.check = no_barrier_returned_early,
	},
	{
		.part = "E8d/3.6",
		.about = "the same with rcu_barrier() before 1331e7a1bbe1",
		CORE_GOES,
		.world.notifier = &before_rcu,
		.world.rcu = &rcu_3_6,
		.said.outcome = STUCK,
		.said.check = no_barrier_returned_early,
		.free.rounds = 10,
		.cut.rescue = adopt_by_hand,
	},
	{
		.part = "E8d/after",
		.about = "control: after RCU's own notifier",
		CORE_GOES,
		.world.notifier = &barrier_after_rcu,
		.said.outcome = COMPLETES,
		.said.check = barrier_waited_for_callback,
	},
};

DEMO(08d, e8d, .id = "E8d", .slug = "e8d-too-soon",
     .claim = "before RCU's own notifier, rcu_barrier() misses callbacks",
     .tried = { "A core goes and leaves a callback. At CPU_DEAD a notifier calls",
		"rcu_barrier(), before RCU's own has adopted that callback." },
     .cores = 2, SCENARIOS(e8d), .free_rounds = 40);
