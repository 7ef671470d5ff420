/*
 * Suite waitfor: threads that spin: for a spinlock, or for the answer of another core;
 * and threads that never form a cycle. Debug profile only.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/lock/spinlock.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/timer.h"
#include "tests/kernel/waitfor_knot.h"

#if GORDIAN_DEBUG /* the lock that a thread spins for is known in this profile only */

/* ---- spinning ------------------------------------------------------------------------ */

static DEFINE_SPINLOCK(spin_a);
static DEFINE_SPINLOCK(spin_b);

static void spin_in_irq(struct timer *timer)
{
	(void)timer;
	spin_lock(&spin_a);
	spin_unlock(&spin_a);
	WRITE_ONCE(knot.let_go, 1);
}

static int interrupted(void *arg)
{
	struct timer timer;

	(void)arg;
	timer_setup(&timer, spin_in_irq, NULL);
	spin_lock(&spin_a);
	timer_arm(&timer, timer_now());
	while (!READ_ONCE(knot.let_go))
		ktest_busy();
	spin_unlock(&spin_a);
	timer_cancel_sync(&timer);
	return 0;
}

/* The interrupt spins for a lock that the interrupted thread holds. */
KTEST(waitfor, spin_in_an_interrupt)
{
	NEED_CORES(2);
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_INCONSISTENT) |
		      LOCKDEP_BIT(LOCKDEP_RECURSIVE));
	ktest_run_on(0);
	knot.t[0] = ktest_thread("victim", interrupted, NULL, cpumask_of(1));
	EXPECT(knot_has_cycle(0, 1, KINDS(&spin_wait), WHO(knot.t[0])));
	EXPECT(knot.walk.link[0].waiting.obj == &spin_a &&
	       knot.walk.link[0].owner_site);
	spin_lock_rescue(&spin_a, NULL);
	knot_end(1);
	EXPECT(!spin_is_locked(&spin_a));
}

static int spin_both(void *arg)
{
	struct spinlock *first = arg ? &spin_b : &spin_a;
	struct spinlock *second = arg ? &spin_a : &spin_b;

	spin_lock(first);
	knot_step();
	while (READ_ONCE(knot.steps) < 2)
		ktest_busy();
	spin_lock(second);
	spin_unlock(second);
	spin_unlock(first);
	return 0;
}

KTEST(waitfor, spin_a_b_b_a)
{
	NEED_CORES(3);
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	ktest_run_on(0);
	knot.t[0] = ktest_thread("a_b", spin_both, NULL, cpumask_of(1));
	knot.t[1] = ktest_thread("b_a", spin_both, (void *)1, cpumask_of(2));
	EXPECT(knot_has_cycle(0, 2, KINDS(&spin_wait, &spin_wait),
			      WHO(knot.t[0], knot.t[1])));
	spin_lock_rescue(&spin_b, NULL);
	knot_end(2);
	EXPECT(!spin_is_locked(&spin_a) && !spin_is_locked(&spin_b));
}

static void nothing(void *arg)
{
	(void)arg;
}

static int call_with_spinlock(void *arg)
{
	(void)arg;
	spin_lock(&spin_a);
	knot_step();
	while (READ_ONCE(knot.steps) < 2)
		ktest_busy();
	smp_call_function_single(2, nothing, NULL, true);
	spin_unlock(&spin_a);
	return 0;
}

static int spin_masked(void *arg)
{
	uint32_t flags;

	while (READ_ONCE(knot.steps) < 1)
		ktest_busy();
	if (arg) {
		flags = spin_lock_irqsave(&spin_a);
		spin_unlock_irqrestore(&spin_a, flags);
	} else {
		spin_lock(&spin_a);
		spin_unlock(&spin_a);
	}
	return 0;
}

/* A thread with a spinlock waits for the answer of a core; that core spins for the
 * lock with interrupts off, so it cannot answer. */
KTEST(waitfor, answer_of_a_core)
{
	NEED_CORES(3);
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_INCONSISTENT));
	ktest_run_on(0);
	knot.t[0] =
		ktest_thread("caller", call_with_spinlock, NULL, cpumask_of(1));
	knot.t[1] = ktest_thread("deaf", spin_masked, (void *)1, cpumask_of(2));
	EXPECT(thread_waits(knot.t[1], &spin_wait));
	knot_step();
	EXPECT(knot_has_cycle(0, 2, KINDS(&cores_wait, &spin_wait),
			      WHO(knot.t[0], knot.t[1])));
	spin_lock_rescue(&spin_a, NULL);
	knot_end(2);
	EXPECT(!spin_is_locked(&spin_a));
}

/* ---- no cycle ------------------------------------------------------------------------- */

#define LOOKS 600

/* Takes all kinds of locks, nested in one order: there can be no cycle. */
static int in_order(void *arg)
{
	uint32_t seed = 77 + (uint32_t)arg;

	while (!READ_ONCE(knot.let_go)) {
		uint32_t r = ktest_random(&seed);

		if (r & 1)
			mutex_lock(&knot.m[0]);
		if (r & 2)
			down_write(&knot.rwsem);
		else
			down_read(&knot.rwsem);
		if ((r & 0x1c) == 0)
			percpu_down_write(&knot.percpu);
		else
			percpu_down_read(&knot.percpu);
		mutex_lock(&knot.m[1]);
		if ((r & 0x60) == 0)
			synchronize_rcu();
		spin_lock(&spin_a);
		if (r & 0x80)
			on_each_cpu(nothing, NULL);
		spin_unlock(&spin_a);
		mutex_unlock(&knot.m[1]);
		if ((r & 0x1c) == 0)
			percpu_up_write(&knot.percpu);
		else
			percpu_up_read(&knot.percpu);
		if (r & 2)
			up_write(&knot.rwsem);
		else
			up_read(&knot.rwsem);
		if (r & 1)
			mutex_unlock(&knot.m[0]);
		knot_step();
	}
	return 0;
}

KTEST(waitfor, no_false_cycle)
{
	knot_begin();
	for (unsigned int i = 0; i < 4; i++)
		knot.t[i] = ktest_thread("in order", in_order, (void *)i,
					 CPUMASK_ALL);
	for (unsigned int looks = 0;
	     looks < LOOKS || READ_ONCE(knot.steps) < LOOKS; looks++)
		for (unsigned int i = 0; i < 4; i++) {
			if (waitfor_walk(knot.t[i], &knot.walk)) {
				FAIL("a cycle is found");
				waitfor_report(&knot.walk);
			}
			ktest_busy();
		}
	WRITE_ONCE(knot.let_go, 1);
	knot_end(4);
}
#endif
