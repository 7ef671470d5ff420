/*
 * E12: the real deadlock of that month.
 *
 * Nobody claimed it in the thread; it is the story of Linux a4fbe35a1245, of the
 * same month. RCU's grace-period thread took the hotplug lock to write down whom
 * it awaits, and a machine hung at poweroff: a CPU notifier (padata's) waited in
 * synchronize_rcu(), with the hotplug lock held, for a grace period that waited
 * for the hotplug lock. Lockdep was silent: one of the
 * two edges is a wait for a grace period, which is no lock. The wait-for graph
 * knows which thread a grace period hangs on.
 *
 * Control: the fix (a4fbe35a1245), a lock of RCU's own that only RCU's notifier
 * takes, dropped before anything is waited for.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* Before the fix: no core comes or goes while it is written down who owes. */
static story void rcu_grace_period__3_6(struct rcu_state *rsp)
{
	saw(__func__);
	get_online_cpus();
	rcu_gp_begin(rsp);
	put_online_cpus();
	rcu_gp_await(rsp);
	rcu_gp_end(rsp);
}

/* The fix. */
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

/* A subsystem that retires something for each core and waits for its readers,
 * like padata's, at other events; the core that goes leaves a callback, to be
 * adopted. The runner, who brings the core where a round begins, must not fall
 * into that. */
static story int sync_notify(struct notifier_block *nb maybe_unused,
			     unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		last_words_queue();
	if (current->traced && (action == CPU_UP_PREPARE || action == CPU_DEAD))
		synchronize_rcu();
	return NOTIFY_OK;
}

static struct notifier_block after_rcu = {
	.notifier_call = sync_notify,
	.priority = CPU_PRI_DEFAULT - 1,
	.name = "synchronize_rcu",
};

/* RCU rests when U begins, if nobody else asks for a grace period. */
static int setup_rest(struct stage *st)
{
	int err = setup_words(st);

	synchronize_rcu();
	st->m[0] = &onoff_mutex;
	seen_begin(st->sc); /* what ran until here does not count */
	return err;
}

static const struct step waits_inside[] = STEPS(U(GP_WAIT, &rcu_sched_state));

static const struct scenario e12[] = {
	{
		.part = "E12/3.6",
		.about = "the grace-period thread takes the hotplug lock",
		U_ALONE,
		.forced.order = waits_inside,
		.said.outcome = DEADLOCK,
		.show.waits = true,
		.free.rounds = 10,
		.free.apart = true,
		.show.rcu = true,
		.world.rcu = &rcu_hotplug,
		.world.notifier = &after_rcu,
		.world.setup = setup_rest,
		.world.teardown = teardown_words,
	},
	{
		.part = "E12/onoff",
		.about = "control: a lock of RCU's own, dropped before waiting",
		U_ALONE,
		.forced.order = waits_inside,
		.said.outcome = COMPLETES,
		.free.apart = true,
		.show.rcu = true,
		.world.rcu = &rcu_onoff,
		.world.notifier = &after_rcu,
		.world.setup = setup_rest,
		.world.teardown = teardown_words,
	},
};

DEMO(12, e12, .id = "E12", .slug = "e12-poweroff",
     .claim = "a grace period that waits for the hotplug lock",
     .tried = { "RCU's grace-period thread takes the hotplug lock, and U's",
		"notifier, which holds it, calls synchronize_rcu()." },
     .cores = 2, SCENARIOS(e12), .free_rounds = 40);
