/*
 * Suite waitfor: grace periods and rcu_barrier(). Debug profile only.
 */
#include "kernel/rcu/internal.h"
#include "tests/kernel/waitfor_knot.h"

#if GORDIAN_DEBUG /* the readers that are in are known in this profile only */

static int read_long(void *arg)
{
	(void)arg;
	rcu_read_lock();
	knot_step();
	while (!READ_ONCE(knot.let_go))
		ktest_busy();
	rcu_read_unlock();
	return 0;
}

static int await_gp(void *arg)
{
	(void)arg;
	synchronize_rcu();
	return 0;
}

/* The chain ends at the reader, which does not wait. */
KTEST(waitfor, grace_period_behind_a_reader)
{
	struct cpumask boot_core = cpumask_of(ktest_first_core());

	NEED_CORES(2);
	knot_begin();
	ktest_run_on(cpumask_first(cpumask_andnot(cpu_online(), boot_core)));
	knot.t[0] = ktest_thread("reader", read_long, NULL, boot_core);
	EXPECT(EVENTUALLY(READ_ONCE(knot.steps) == 1));
	knot.t[1] = ktest_thread("updater", await_gp, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(!waitfor_walk(knot.t[1], &knot.walk) &&
			  knot.walk.n == 3 &&
			  knot.walk.link[2].thread == knot.t[0]));
	EXPECT(knot.walk.link[0].waiting.ops == &gp_wait);
	EXPECT(knot.walk.link[1].thread == rcu_sched_state.thread);
	EXPECT(knot.walk.link[1].waiting.ops == &readers_wait);
	EXPECT(knot.walk.link[2].waiting.ops == NULL);
	EXPECT(knot.t[0]->lockdep.readers == 1 &&
	       knot.t[0]->lockdep.reader_site);
	/* The grace period also waits for idle cores, until its thread looks again. */
	EXPECT(EVENTUALLY(rcu_owed(&rcu_sched_state).bits ==
			  1u << knot.t[0]->cpu));
	waitfor_report(&knot.walk);
	WRITE_ONCE(knot.let_go, 1);
	knot_end(2);
}

/* A grace period that takes a mutex first, so that a knot can be tied. */
static void gp_with_first(struct rcu_state *rsp)
{
	mutex_lock(&knot.m[0]);
	mutex_unlock(&knot.m[0]);
	rcu_grace_period(rsp);
}

static void no_callback(struct rcu_head *head)
{
	(void)head;
}

static struct rcu_head head;

static int gp_in_first(void *arg)
{
	mutex_lock(&knot.m[0]);
	if (arg) {
		call_rcu(&head, no_callback);
		rcu_barrier();
	} else {
		synchronize_rcu();
	}
	mutex_unlock(&knot.m[0]);
	return 0;
}

static void check_grace_period(bool barrier, const struct wait_ops *kind)
{
	struct thread *gp = rcu_sched_state.thread;

	knot_begin();
	WRITE_ONCE(rcu_sched_state.grace_period, gp_with_first);
	knot.t[0] = ktest_thread("holder", gp_in_first, (void *)barrier,
				 CPUMASK_ALL);
	EXPECT(knot_has_cycle(0, 2, KINDS(kind, &mutex_wait),
			      WHO(knot.t[0], gp)));
	waitfor_report(&knot.walk);
	/* A grace period that began before the exchange may end first. */
	WRITE_ONCE(rcu_sched_state.grace_period, rcu_grace_period);
	EXPECT_EQ(mutex_lend(&knot.m[0], gp), 0);
	knot_end(1);
}

KTEST(waitfor, grace_period_thread)
{
	check_grace_period(false, &gp_wait);
}

KTEST(waitfor, rcu_barrier)
{
	check_grace_period(true, &barrier_wait);
}
#endif
