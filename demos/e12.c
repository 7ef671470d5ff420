/*
 * E12: another deadlock of October 2012.
 *
 * No mail is about this deadlock. It was real, and Linux a4fbe35a1245 cures it. RCU's
 * grace-period thread took the hotplug lock while it wrote down which cores it has to
 * wait for. A CPU notifier (padata's) waited in synchronize_rcu() with the hotplug lock
 * held, for a grace period that waited for the hotplug lock. A machine hung at poweroff.
 *
 * Lockdep is silent, because one of the two edges is a wait for a grace period, which is
 * not a lock. The wait-for graph knows which thread a grace period depends on.
 *
 * Control: the fix (a4fbe35a1245), a mutex of RCU's own. Only the grace-period thread and
 * RCU's notifier take this mutex, and both release it before they wait for anything else.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* Before the fix: no core may come or go while the mask of awaited cores is written. */
static story void rcu_grace_period__3_6(struct rcu_state *rsp)
{
	saw(__func__);
	get_online_cpus();
	rcu_gp_begin(rsp);
	put_online_cpus();
	rcu_gp_await(rsp);
	rcu_gp_end(rsp);
}

/* The fix: a mutex of RCU's own. RCU's notifier takes it too. */
static DEFINE_MUTEX(onoff_mutex);

static story void rcu_grace_period__onoff(struct rcu_state *rsp)
{
	mutex_lock(&onoff_mutex);
	if (READ_ONCE(cpu_hotplug.active_writer))
		saw(__func__);
	rcu_gp_begin(rsp);
	mutex_unlock(&onoff_mutex);
	rcu_gp_await(rsp);
	rcu_gp_end(rsp);
}

static story void rcu_adopt__onoff(struct rcu_state *rsp, unsigned int dead)
{
	mutex_lock(&onoff_mutex);
	rcu_adopt(rsp, dead);
	mutex_unlock(&onoff_mutex);
}

static const struct rcu_parameters rcu_hotplug = {
	.name = "rcu_grace_period__3_6",
	.grace_period = rcu_grace_period__3_6,
};

static const struct rcu_parameters rcu_onoff = {
	.name = "rcu_grace_period__onoff",
	.grace_period = rcu_grace_period__onoff,
	.adopt = rcu_adopt__onoff,
};

/* The notifier of a subsystem that waits for its readers. (The notifier of
 * padata did this, at other events.) The notifier waits in U's thread alone. The
 * thread that runs the rounds takes the core off and on, too, between rounds; it
 * must not deadlock. The core that goes leaves a callback, which another core
 * must adopt. */
static story int sync_notify(struct notifier_block *nb maybe_unused,
			     unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		queue_last_callback();
	if (current->traced && (action == CPU_UP_PREPARE || action == CPU_DEAD))
		synchronize_rcu();
	return NOTIFY_OK;
}

static struct notifier_block after_rcu = {
	.notifier_call = sync_notify,
	.priority = CPU_PRI_DEFAULT - 1,
	.name = "synchronize_rcu",
};

/* Wait for a grace period, so that none is running when U begins. (But another
 * thread may ask for a new one.) */
static int setup_without_grace_period(struct stage *st)
{
	int err = setup_last_callback(st);

	synchronize_rcu();
	seen_begin(st->sc); /* do not count the functions that the set-up ran */
	return err;
}

#define U_IN_NOTIFIER                                                          \
	.world.notifier = &after_rcu,                                          \
	.world.setup = setup_without_grace_period,                             \
	.world.teardown = teardown_last_callback,                              \
	.forced.order = STEPS(U(GP_WAIT, &rcu_sched_state)),                   \
	.free.apart = true, .show.rcu = true, U_ALONE

static const struct scenario e12[] = {
	{
		.part = "E12/3.6",
		.about = "the grace-period thread takes the hotplug lock",
		U_IN_NOTIFIER,
		.world.rcu = &rcu_hotplug,
		.said.outcome = DEADLOCK,
		.free.rounds = 10,
	},
	{
		.part = "E12/onoff",
		.about =
			"control: a mutex of RCU's own, released before waiting",
		U_IN_NOTIFIER,
		.world.rcu = &rcu_onoff,
		.said.outcome = COMPLETES,
	},
};

DEMO(12, e12, .id = "E12", .slug = "e12-poweroff",
     .claim = "a grace period waits for the hotplug lock: a deadlock",
     .tried = { "RCU's grace-period thread takes the hotplug lock. U's notifier, which",
		"runs with that lock held, calls synchronize_rcu()." },
     .cores = 2, SCENARIOS(e12), .free_rounds = 40);
