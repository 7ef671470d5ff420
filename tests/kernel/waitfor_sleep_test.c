/*
 * Suite waitfor: a thread sleeps until another one releases a mutex, completes, ends,
 * parks, or gives back its reference to the hotplug lock.
 */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/hang/watchdog.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/waitfor_knot.h"

/* ---- mutexes --------------------------------------------------------------------- */

static int ring(void *arg)
{
	unsigned int i = (unsigned int)arg;

	mutex_lock(&knot.m[i]);
	knot_meet(3);
	mutex_lock(&knot.m[(i + 1) % 3]);
	mutex_unlock(&knot.m[(i + 1) % 3]);
	mutex_unlock(&knot.m[i]);
	return 0;
}

KTEST(waitfor, mutex_ring)
{
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	for (unsigned int i = 0; i < 3; i++)
		knot.t[i] = ktest_thread("ring", ring, (void *)i, CPUMASK_ALL);
	EXPECT(knot_has_cycle(1, 3,
			      KINDS(&mutex_wait, &mutex_wait, &mutex_wait),
			      WHO(knot.t[1], knot.t[2], knot.t[0])));
	EXPECT(knot.walk.link[0].owner_site && knot.walk.first == 0);
	EXPECT_EQ(mutex_lend(&knot.m[2], knot.t[1]), 0);
	knot_end(3);
}

/* A ring as long as a chain may be, and one that is longer by one. Every second
 * wait is one that Ctrl-C would end. */
static struct mutex ring_lock[WAITFOR_MAX + 1];
static unsigned int ring_size;

static int long_ring(void *arg)
{
	unsigned int i = (unsigned int)arg;
	struct mutex *next = &ring_lock[(i + 1) % ring_size];

	mutex_lock(&ring_lock[i]);
	knot_meet(ring_size);
	if (i & 1)
		EXPECT_EQ(mutex_lock_interruptible(next), 0);
	else
		mutex_lock(next);
	mutex_unlock(next);
	mutex_unlock(&ring_lock[i]);
	return 0;
}

KTEST(waitfor, longest_ring)
{
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_RECURSIVE));
	for (unsigned int n = WAITFOR_MAX; n <= WAITFOR_MAX + 1; n++) {
		struct thread *who[WAITFOR_MAX + 1];

		knot_begin();
		ring_size = n;
		for (unsigned int i = 0; i < n; i++)
			mutex_init(&ring_lock[i], "ring_lock");
		for (unsigned int i = 0; i < n; i++)
			who[i] = ktest_thread("ring", long_ring, (void *)i,
					      CPUMASK_ALL);
		for (unsigned int i = 0; i < n; i++)
			EXPECT(thread_waits(who[i], &mutex_wait));
		EXPECT_EQ(EVENTUALLY(waitfor_walk(who[0], &knot.walk) ||
				     knot.walk.cut),
			  true);
		EXPECT_EQ(knot.walk.cycle, n == WAITFOR_MAX);
		EXPECT_EQ(knot.walk.cut, n > WAITFOR_MAX);
		EXPECT_EQ(mutex_lend(&ring_lock[0], who[n - 1]), 0);
		for (unsigned int i = 0; i < n; i++)
			thread_join(who[i]);
		watchdog_mute(false);
	}
}

static int twice(void *arg)
{
	(void)arg;
	mutex_lock(&knot.m[0]);
	mutex_lock(&knot.m[0]);
	mutex_unlock(&knot.m[0]);
	mutex_unlock(&knot.m[0]);
	return 0;
}

KTEST(waitfor, mutex_a_a)
{
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_RECURSIVE));
	knot.t[0] = ktest_thread("twice", twice, NULL, CPUMASK_ALL);
	EXPECT(knot_has_cycle(0, 1, KINDS(&mutex_wait), WHO(knot.t[0])));
	EXPECT_EQ(mutex_lend(&knot.m[0], knot.t[0]), 0);
	knot_end(1);
}

/* Holds knot.m[0] until knot.never, which nobody is known to complete. */
static int hold_first(void *arg)
{
	(void)arg;
	mutex_lock(&knot.m[0]);
	knot_step();
	wait_for_completion(&knot.never);
	mutex_unlock(&knot.m[0]);
	return 0;
}

static int take_first(void *arg)
{
	(void)arg;
	mutex_lock(&knot.m[0]);
	mutex_unlock(&knot.m[0]);
	return 0;
}

/* No cycle, but a chain that ends at an event. */
KTEST(waitfor, chain_to_an_event)
{
	knot_begin();
	knot.t[0] = ktest_thread("holds", hold_first, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(knot.steps) == 1));
	knot.t[1] = ktest_thread("takes", take_first, NULL, CPUMASK_ALL);
	EXPECT(thread_waits(knot.t[0], &completion_wait) &&
	       thread_waits(knot.t[1], &mutex_wait));
	EXPECT(!waitfor_walk(knot.t[1], &knot.walk));
	EXPECT_EQ(knot.walk.n, 2);
	EXPECT(knot.walk.link[1].thread == knot.t[0] &&
	       !waitfor_owner(&knot.walk, 1));
	EXPECT(knot.walk.link[1].waiting.ops == &completion_wait);
	complete(&knot.never);
	knot_end(2);
}

/* ---- completions, joining, parking ------------------------------------------------- */

static int complete_after_first(void *arg)
{
	(void)arg;
	knot_meet(2);
	mutex_lock(&knot.m[0]);
	mutex_unlock(&knot.m[0]);
	complete(&knot.done);
	return 0;
}

static int await_with_first(void *arg)
{
	(void)arg;
	mutex_lock(&knot.m[0]);
	knot_meet(2);
	wait_for_completion(&knot.done);
	mutex_unlock(&knot.m[0]);
	return 0;
}

KTEST(waitfor, completion)
{
	knot_begin();
	knot.t[1] =
		ktest_thread("worker", complete_after_first, NULL, CPUMASK_ALL);
	knot.done.by = knot.t[1];
	knot.t[0] = ktest_thread("boss", await_with_first, NULL, CPUMASK_ALL);
	EXPECT(knot_has_cycle(0, 2, KINDS(&completion_wait, &mutex_wait),
			      WHO(knot.t[0], knot.t[1])));
	EXPECT_EQ(mutex_lend(&knot.m[0], knot.t[1]), 0);
	knot_end(2);
}

static int join_with_first(void *arg)
{
	mutex_lock(&knot.m[0]);
	knot_meet(2);
	thread_join(arg);
	mutex_unlock(&knot.m[0]);
	return 0;
}

KTEST(waitfor, join)
{
	knot_begin();
	knot.t[1] =
		ktest_thread("child", complete_after_first, NULL, CPUMASK_ALL);
	knot.t[0] =
		ktest_thread("parent", join_with_first, knot.t[1], CPUMASK_ALL);
	EXPECT(knot_has_cycle(0, 2, KINDS(&join_wait, &mutex_wait),
			      WHO(knot.t[0], knot.t[1])));
	EXPECT_EQ(mutex_lend(&knot.m[0], knot.t[1]), 0);
	knot_end(1);
}

static int park_after_first(void *arg)
{
	(void)arg;
	knot_meet(2);
	mutex_lock(&knot.m[0]);
	mutex_unlock(&knot.m[0]);
	kthread_parkme();
	return 0;
}

static int park_with_first(void *arg)
{
	mutex_lock(&knot.m[0]);
	knot_meet(2);
	kthread_park(arg);
	mutex_unlock(&knot.m[0]);
	return 0;
}

KTEST(waitfor, parking)
{
	knot_begin();
	knot.t[1] = thread_create_on_cpu("core's", park_after_first, NULL,
					 PRIO_NORMAL, 0);
	if (!knot.t[1])
		return;
	kthread_unpark(knot.t[1]);
	knot.t[0] =
		ktest_thread("parker", park_with_first, knot.t[1], CPUMASK_ALL);
	EXPECT(knot_has_cycle(0, 2, KINDS(&queue_wait, &mutex_wait),
			      WHO(knot.t[0], knot.t[1])));
	EXPECT_EQ(mutex_lend(&knot.m[0], knot.t[1]), 0);
	thread_join(knot.t[0]);
	kthread_unpark(knot.t[1]);
	knot.t[0] = knot.t[1];
	knot_end(1);
}

/* ---- the count of the hotplug lock --------------------------------------------------------- */

static int get_and_end(void *arg)
{
	(void)arg;
	get_online_cpus();
	return 0;
}

static int put_too_many(void *arg)
{
	(void)arg;
	mutex_lock(&cpu_hotplug.lock);
	cpu_hotplug_count(-1, CALLER);
	mutex_unlock(&cpu_hotplug.lock);
	return 0;
}

static int take_down(void *arg)
{
	EXPECT_EQ(cpu_down((unsigned int)arg), 0);
	EXPECT_EQ(cpu_up((unsigned int)arg), 0);
	return 0;
}

static void repair_count(void)
{
	mutex_lock(&cpu_hotplug.lock);
	WRITE_ONCE(cpu_hotplug.refcount, 0);
	WRITE_ONCE(cpu_hotplug.below_0.caller, 0);
	cpu_hotplug_wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

/* A thread has left a wrong count behind: the writer waits, and the report names the
 * thread that made the last change. */
static void check_miscount(int (*fn)(void *), const char *name, int count,
			   const struct hotplug_change *change)
{
	uint32_t id;

	NEED_CORES(2);
	knot_begin();
	knot.t[0] = ktest_thread(name, fn, NULL, CPUMASK_ALL);
	id = knot.t[0]->id;
	thread_join(knot.t[0]);
	knot.t[0] = ktest_thread("writer", take_down, (void *)1, CPUMASK_ALL);
	EXPECT(thread_waits(knot.t[0], &refcount_wait));
	EXPECT(!waitfor_walk(knot.t[0], &knot.walk) && knot.walk.n == 1);
	EXPECT_EQ(cpu_hotplug.refcount, count);
	EXPECT_EQ(change->id, id);
	EXPECT(strcmp(change->name, name) == 0 && change->caller);
	waitfor_report(&knot.walk);
	repair_count();
	knot_end(1);
}

KTEST(waitfor, reference_of_an_ended_thread)
{
	check_miscount(get_and_end, "forgetful", 1, &cpu_hotplug.last_get);
}

KTEST(waitfor, count_below_0)
{
	check_miscount(put_too_many, "leaker", -1, &cpu_hotplug.below_0);
}
