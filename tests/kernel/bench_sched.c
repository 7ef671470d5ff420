/*
 * Rows of `bench`: threads, RCU's updaters, and what calls all cores.
 *
 * Owns the partner: a thread on the command's core that an operation needs. It shares
 * partner_stops, ping and pong with the command's thread; both run on one core. Context:
 * see bench.h.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/stop_machine.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/bench.h"

#define TIMES 256u
#define FEW   64u

/* ---- switches ------------------------------------------------------------------- */

static struct thread *partner;
static bool partner_stops;
static struct completion ping, pong;

BATCH(yield_both, yield())
BATCH(ping_pong, complete(&ping); wait_for_completion(&pong))

static int yield_back(void *arg maybe_unused)
{
	while (!READ_ONCE(partner_stops))
		yield();
	return 0;
}

static int pong_back(void *arg maybe_unused)
{
	for (;;) {
		wait_for_completion(&ping);
		if (READ_ONCE(partner_stops))
			return 0;
		complete(&pong);
	}
}

static void start_partner(int (*fn)(void *))
{
	partner_stops = false;
	init_completion(&ping, "bench_ping");
	init_completion(&pong, "bench_pong");
	partner = bench_thread(fn, NULL, bench_cpu);
	if (!partner) /* the batch must end */
		complete_all(&pong);
	yield();
}

static void start_yielding(void)
{
	start_partner(yield_back);
}

static void start_pong(void)
{
	start_partner(pong_back);
}

static void stop_partner(void)
{
	WRITE_ONCE(partner_stops, true);
	complete(&ping);
	if (partner)
		thread_join(partner);
}

static int nothing(void *arg maybe_unused)
{
	return 0;
}

static void thread_life(void)
{
	struct thread *t = bench_thread(nothing, NULL, bench_cpu);

	if (t)
		thread_join(t);
}

BATCH(thread_lives, thread_life())

/* ---- all cores ------------------------------------------------------------------ */

static int no_callback(struct notifier_block *nb maybe_unused,
		       unsigned long event maybe_unused,
		       void *data maybe_unused)
{
	return NOTIFY_OK;
}

static struct notifier_block block = { .notifier_call = no_callback,
				       .name = "bench" };
static struct raw_notifier_head chain = { .head = &block };

BATCH(stop, stop_machine(nothing, NULL, bench_cpu))
BATCH(notify, __raw_notifier_call_chain(&chain, 0, NULL, -1, NULL))

static const struct bench thread_rows[] = {
	ROW("yield", "yield, a switch to the other thread", yield_both, TIMES,
	    .each = 2, .before = start_yielding, .after = stop_partner),
	ROW("ping-pong", "complete, switch, wait_for_completion", ping_pong,
	    TIMES, .each = 2, .before = start_pong, .after = stop_partner),
	ROW("thread", "thread_create, its run, thread_join", thread_lives, FEW),
	ROW("stop-machine", "stop_machine, a function that does nothing", stop,
	    FEW, .before = get_online_cpus, .after = put_online_cpus),
	ROW("notifier", "a call of a chain with one notifier", notify, TIMES),
};

const struct bench_group bench_threads = { thread_rows, ARRAY_SIZE(thread_rows),
					   NULL, NULL };

/* ---- RCU -------------------------------------------------------------------------- */

static struct rcu_head heads[TIMES];

static void no_work(struct rcu_head *head maybe_unused)
{
}

/* With preemption off, RCU's threads do not run before the batch has ended. */
static void stay_on_core(void)
{
	preempt_disable();
}

static void run_callbacks(void)
{
	preempt_enable();
	rcu_barrier();
}

BATCH(call, call_rcu(&heads[i], no_work))
BATCH(barrier, rcu_barrier())
BATCH(expedited, synchronize_rcu_expedited())

static const struct bench rcu_rows[] = {
	ROW("call-rcu", "call_rcu", call, TIMES, .before = stay_on_core,
	    .after = run_callbacks),
	ROW("barrier", "rcu_barrier, nothing queued", barrier, FEW),
	ROW("expedited", "synchronize_rcu_expedited", expedited, FEW),
};

const struct bench_group bench_rcu = { rcu_rows, ARRAY_SIZE(rcu_rows), NULL,
				       NULL };
