/*
 * E8, E8b, E8c, E8d: rcu_barrier() inside a hotplug notifier.
 *
 * McKenney (2 October 2012, quoted in the mail of the 3rd) first took the report
 * for this: "Slab seems to be doing an rcu_barrier() in a CPU hotplug notifier".
 * It does not sit well with a barrier that excludes hotplug, and "doesn't help
 * CPU hotplug latency", he says; but rcu_barrier() works if it excludes hotplug
 * or is called from a notifier: "either way, the CPU cannot go away while
 * rcu_barrier() is executing".
 *
 * What follows is ours. Alone it works indeed (E8): the writer might wait for
 * its own lock, but get_online_cpus() lets active_writer pass; without that it
 * does wait (E9n). But rcu_barrier() holds barrier_mutex when it wants the
 * hotplug lock, and the notifier holds the hotplug lock when it wants
 * barrier_mutex: a bare barrier beside it is enough (E8b), and to take the lock
 * only outside of notifiers does not help, for that barrier is outside. The cure
 * is the other order: the hotplug reference first (E8c).
 *
 * Gone the core is already where the notifier runs at CPU_DEAD; if it runs before
 * RCU's own, the dead core's callbacks are nobody's yet (E8d): today's form
 * (1331e7a1bbe1) looks at online cores only and returns too early, the form
 * before waits for an adoption that comes after it, for ever.
 *
 * Controls: E8 for E8b (no B), E8c; for E8d the same notifier after RCU's.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/cpu/smp.h"
#include "kernel/lib/printf.h"

/* The hotplug reference before barrier_mutex, and after it on the way out:
 * put_online_cpus() takes cpu_hotplug.lock too. */
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
 * A subsystem that frees by call_rcu() and wants that done before it goes on: for
 * a core that comes, and for one that has gone, whose last callback it queued
 * when all cores stood still.
 */
static story int barrier_notify(struct notifier_block *nb maybe_unused,
				unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_UP_PREPARE || action == CPU_DYING)
		last_words_queue();
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
		.said.outcome = COMPLETES,
		.free.apart = true,
		.world.notifier = &barrier_after_rcu,
		.world.setup = setup_words,
		.said.check = words_watched,
		.said.must_see = BARRIER_FOR_WORDS,
		.world.teardown = teardown_words,
	},
};

DEMO(08, e8, .id = "E8", .slug = "e8-notifier",
     .claim = "rcu_barrier() in a notifier does not wait for itself",
     .tried = { "U takes a core up or down, and a notifier calls rcu_barrier() at",
		"CPU_UP_PREPARE and CPU_DEAD. The writer wants its own lock." },
     .cores = 2, SCENARIOS(e8), .free_rounds = 40);

/* B holds barrier_mutex, U the hotplug lock; each wants the other's. */
static const struct step crossed_up[] =
	STEPS(B(LOCK, &rcu_sched_state.barrier_mutex),
	      U(HP_BEGIN, &cpu_hotplug), B(CONTEND, &cpu_hotplug.lock),
	      U(CONTEND, &rcu_sched_state.barrier_mutex));

static const struct step crossed_down[] = STEPS(
	B(LOCK, &rcu_sched_state.barrier_mutex), U(HP_BEGIN, &cpu_hotplug),
	U(CORE_OFF, &cpu_hotplug), B(CONTEND, &cpu_hotplug.lock),
	U(CONTEND, &rcu_sched_state.barrier_mutex));

/* The knot is cut at the hotplug lock: a barrier that was lent barrier_mutex
 * would begin inside another one. */
#define CROSSED                                                                \
	.actors = { { "B", ON_D, actor_B_often }, { "U", ON_U, actor_U } },    \
	.forced.order = crossed_up, .forced.down = crossed_down,               \
	.said.outcome = DEADLOCK, .free.until_found = true,                    \
	.world.toggles = true, .said.lockdep = CIRCULAR,                       \
	.world.notifier = &barrier_after_rcu, .cut.lend = &cpu_hotplug.lock,   \
	.world.setup = setup_words, .said.check = words_awaited,               \
	.world.teardown = teardown_words

static const struct scenario e8b[] = {
	{
		.part = "E8b/kernel",
		.about = "rcu_barrier() as it is, and a bare one beside it",
		CROSSED,
	},
	{
		.part = "E8b/mckenney",
		.about = "no hotplug lock from a notifier: B is none",
		.world.rcu = &rcu_mckenney,
		CROSSED,
	},
};

DEMO(08b, e8b, .id = "E8b", .slug = "e8b-bare",
     .claim = "a bare rcu_barrier() beside it deadlocks",
     .tried = { "E8 with B, a bare rcu_barrier(): it holds barrier_mutex and wants",
		"the hotplug lock; U's notifier holds that and wants the mutex." },
     .cores = 2, SCENARIOS(e8b), .free_rounds = 20000);

/* B is past get_online_cpus() and holds barrier_mutex: U has to wait. */
static const struct step reference_first[] = STEPS(
	B(LOCK, &rcu_sched_state.barrier_mutex), U(HP_BEGIN, &cpu_hotplug),
	B(UNLOCK, &rcu_sched_state.barrier_mutex));

static const struct scenario e8c[] = {
	{
		.about = "the hotplug reference is taken before barrier_mutex",
		B_AND_U(actor_B_often),
		.forced.order = reference_first,
		.free.cores = 3, /* on one core they hardly meet */
		.said.outcome = COMPLETES,
		.forced.refused = true,
		.world.rcu = &rcu_reffirst,
		.said.must_see = BARRIER_FOR_WORDS,
		.world.notifier = &barrier_after_rcu,
		.world.setup = setup_words,
		.said.check = words_watched,
		.world.teardown = teardown_words,
	},
};

DEMO(08c, e8c, .id = "E8c", .slug = "e8c-reference",
     .claim = "the hotplug reference before barrier_mutex cures it",
     .tried = { "E8b with get_online_cpus() before barrier_mutex in",
		"rcu_barrier(): one order everywhere." },
     .cores = 2, SCENARIOS(e8c), .free_rounds = 40);

/* What RCU's notifier would have done next, had it been called. */
static bool adopt_by_hand(struct stage *st, bool quietly)
{
	struct rcu_state *rsp = &rcu_sched_state;
	unsigned int n = rcu_nr_callbacks(st->toggled);

	if (!n)
		return false;
	rsp->adopt(rsp, st->toggled);
	if (!quietly)
		kprintf("cut: what core %u left (callbacks: %u) is adopted now\n",
			st->toggled, n);
	return true;
}

#define GONE                                                                   \
	.actors = { { "U", ON_U, actor_U } }, .world.toggles = true,           \
	.free.apart = true, .world.down_only = true, .show.rcu = true,         \
	.world.setup = setup_words, .show.evidence = words_evidence,           \
	.world.teardown = teardown_words

static const struct scenario e8d[] = {
	{
		.part = "E8d/kernel",
		.about = "before RCU's own notifier, at CPU_DEAD",
		.said.outcome = CORRUPT,
		.said.must_see = BARRIER_FOR_WORDS,
		.said.check = words_awaited,
		.world.notifier = &before_rcu,
		GONE,
	},
	{
		.part = "E8d/3.6",
		.about = "the same with rcu_barrier() before 1331e7a1bbe1",
		.said.outcome = STUCK,
		.free.rounds = 10,
		.world.rcu = &rcu_3_6,
		.world.notifier = &before_rcu,
		.said.must_see = BARRIER_FOR_WORDS,
		.said.check = words_awaited,
		.cut.rescue = adopt_by_hand,
		GONE,
	},
	{
		.part = "E8d/after",
		.about = "control: after RCU's own notifier",
		.said.outcome = COMPLETES,
		.said.must_see = BARRIER_FOR_WORDS,
		.said.check = words_watched,
		.world.notifier = &barrier_after_rcu,
		GONE,
	},
};

DEMO(08d, e8d, .id = "E8d", .slug = "e8d-too-soon",
     .claim = "before RCU's notifier, rcu_barrier() misses callbacks",
     .tried = { "A core goes and leaves a callback. At CPU_DEAD a notifier calls",
		"rcu_barrier(), before RCU's own has adopted that callback." },
     .cores = 2, SCENARIOS(e8d), .free_rounds = 40);
