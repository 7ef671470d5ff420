/*
 * Suite sched: sleep, wake-ups, wait queues, completions.
 */
#include <string.h>

#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/threads.h"

/* ---- sleeping and waking -------------------------------------------------------- */

KTEST(sched, sleep)
{
	static const uint32_t ns[] = { 0, 1, 16, 1000, 100000, 3000000 };

	for (unsigned int i = 0; i < ARRAY_SIZE(ns); i++) {
		uint64_t start = timer_now();

		sleep_ns(ns[i]);
		EXPECT(timer_ns(timer_now() - start) >= ns[i]);
	}
}

KTEST(sched, time_conversion)
{
	static const uint64_t ns[] = {
		0, 1, 15, 16, 17, 999, 1000000007ull, 86400000000000ull
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(ns); i++) {
		uint64_t back = timer_ns(timer_ticks(ns[i]));

		EXPECT(back >= ns[i]); /* a wait is never too short */
		EXPECT(back - ns[i] <= 64 + ns[i] / 1000000);
	}
}

/* Let t end, even if a wake-up that it waits for has been lost. */
static void rescue(struct thread *t)
{
	while (thread_join_timeout(t, 1000000, NULL))
		wake_up_process(t);
}

static int wait_in_vain(void *arg)
{
	struct wait_queue q = WAIT_QUEUE_INIT(q, "nothing");

	for (unsigned int ns = 0; ns < 8000; ns += 4) {
		EXPECT(!wait_event_timeout(&q, &queue_wait, false, ns));
		ktest_count(arg);
	}
	return 0;
}

/* Timeouts about as short as the wait itself: each of them must end. */
KTEST(sched, short_timeouts)
{
	uint32_t rounds = 0;
	struct thread *t =
		ktest_thread("t", wait_in_vain, &rounds, CPUMASK_ALL);

	EXPECT(EVENTUALLY(READ_ONCE(rounds) == 2000));
	rescue(t);
}

/* Two threads; each sleeps until the other wakes it. */
static struct {
	struct thread *t[2];
	uint32_t turn, rounds, go;
} table;

#define PINGS 3000

static int ping(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;

	while (!READ_ONCE(table.go))
		sleep_ns(KTEST_LOOK_NS);
	for (int i = 0; i < PINGS; i++) {
		for (;;) {
			wait_begin(TASK_UNINTERRUPTIBLE, &queue_wait, &table,
				   "turn", CALLER);
			if (READ_ONCE(table.turn) == me)
				break;
			schedule();
		}
		wait_end();
		ktest_count(&table.rounds);
		WRITE_ONCE(table.turn, !me);
		wake_up_process(table.t[!me]);
	}
	return 0;
}

static void check_ping_pong(struct cpumask where0, struct cpumask where1)
{
	uint32_t seen;

	memset(&table, 0, sizeof(table));
	table.t[0] = ktest_thread("ping", ping, (void *)0, where0);
	table.t[1] = ktest_thread("pong", ping, (void *)1, where1);
	thread_get(table.t[0]); /* the other may wake it after its end */
	thread_get(table.t[1]);
	WRITE_ONCE(table.go, 1);
	/* Give up only if there is no progress: with -icount shift=10 a round takes
	 * milliseconds. */
	do
		seen = READ_ONCE(table.rounds);
	while (!EVENTUALLY(READ_ONCE(table.rounds) == 2 * PINGS) &&
	       READ_ONCE(table.rounds) != seen);
	EXPECT_EQ(table.rounds, 2 * PINGS);
	rescue(table.t[0]);
	rescue(table.t[1]);
	thread_put(table.t[0]);
	thread_put(table.t[1]);
}

KTEST(sched, no_wakeup_lost)
{
	unsigned int a = ktest_first_core();
	unsigned int b = ktest_last_core();

	check_ping_pong(cpumask_of(a), cpumask_of(b));
	check_ping_pong(cpumask_of(b), cpumask_of(b));
	check_ping_pong(CPUMASK_ALL, CPUMASK_ALL);
}

/* A thread that is preempted between wait_begin() and schedule() stays runnable. */
KTEST(sched, preempted_before_sleep)
{
	struct thread *t;
	uint32_t ran;

	ktest_run_on(smp_processor_id());
	wait_begin(TASK_UNINTERRUPTIBLE, &queue_wait, &ran, "nothing", CALLER);
	t = start_high(&ran);
	EXPECT_EQ(READ_ONCE(ran), 1); /* so we were preempted, and run again */
	wait_end();
	thread_join(t);
}

/* ---- wait queues and completions --------------------------------------------------- */

static struct wait_queue queue = WAIT_QUEUE_INIT(queue, "queue");
static int wait_once(void *arg)
{
	struct wait_entry e = { .thread = NULL };
	bool queued;

	prepare_to_wait(&queue, &e, &queue_wait, CALLER);
	do {
		uint32_t flags;

		schedule();
		flags = spin_lock_irqsave(&queue.lock);
		queued = !list_empty(&e.link);
		spin_unlock_irqrestore(&queue.lock, flags);
	} while (queued);
	finish_wait(&queue, &e);
	order_note((uint32_t)(uintptr_t)arg);
	return 0;
}

static unsigned int waiters(struct wait_queue *q)
{
	uint32_t flags = spin_lock_irqsave(&q->lock);
	struct list_head *p;
	unsigned int n = 0;

	for (p = q->waiters.next; p != &q->waiters; p = p->next)
		n++;
	spin_unlock_irqrestore(&q->lock, flags);
	return n;
}

KTEST(sched, wait_queue_order)
{
	struct thread *t[6];

	order_clear();
	for (unsigned int i = 0; i < 6; i++) {
		t[i] = ktest_thread("waiter", wait_once, (void *)i,
				    CPUMASK_ALL);
		EXPECT(EVENTUALLY(waiters(&queue) == i + 1));
	}
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT_EQ(READ_ONCE(nr_order), i);
		wake_up(&queue);
		EXPECT(EVENTUALLY(READ_ONCE(nr_order) == i + 1));
		EXPECT_EQ(order[i], i);
	}
	wake_up_all(&queue);
	EXPECT(EVENTUALLY(READ_ONCE(nr_order) == 6));
	wake_up(&queue); /* nobody waits */
	for (unsigned int i = 0; i < 6; i++)
		thread_join(t[i]);
}

/* A thread that is about to leave the queue gets a wake-up that it does not need: the
 * next one gets it instead. */
KTEST(sched, wakeup_passed_on)
{
	struct wait_entry me = { .thread = NULL };
	struct thread *t;

	order_clear();
	prepare_to_wait(&queue, &me, &queue_wait, CALLER);
	t = ktest_thread("waiter", wait_once, (void *)1, CPUMASK_ALL);
	EXPECT(EVENTUALLY(waiters(&queue) == 2));
	wake_up(&queue);
	EXPECT_EQ(waiters(&queue), 1);
	finish_wait_early(&queue, &me);
	EXPECT(EVENTUALLY(READ_ONCE(nr_order) == 1));
	EXPECT_EQ(waiters(&queue), 0);
	wake_up(&queue);
	thread_join(t);
}

static bool condition_fails(bool locked)
{
	if (locked)
		spin_lock_irqsave(&gate.wait.lock);
	BUG_ON(current->bug_ends_me);
	return true;
}

static bool inner_fails(bool locked)
{
	current->bug_ends_me = true;
	wait_event(&gate.wait, condition_fails(locked));
	return true;
}

static int wait_and_fail(void *arg)
{
	wait_event(&queue, inner_fails(arg != NULL));
	return 0;
}

/* A BUG in a condition, which itself waits, ends the thread; the second time with the
 * lock of the queue held. */
KTEST_MANUAL(sched, bug_in_condition)
{
	struct thread *t;

	init_completion(&gate, "gate");
	for (unsigned int locked = 0; locked < 2; locked++) {
		t = ktest_thread("t", wait_and_fail, (void *)locked,
				 CPUMASK_ALL);
		EXPECT_EQ(thread_join(t), -EIO);
		EXPECT_EQ(waiters(&queue), 0);
		EXPECT_EQ(waiters(&gate.wait), 0);
	}
}

KTEST(sched, completion)
{
	struct thread *t[3];
	uint32_t passed = 0;

	init_completion(&gate, "gate");
	EXPECT(!wait_for_completion_timeout(&gate, 0, 0));
	EXPECT(!wait_for_completion_timeout(&gate, 50000, 2));
	complete(&gate);
	complete(&gate);
	wait_for_completion(&gate); /* completed twice, so two may pass */
	EXPECT(wait_for_completion_timeout(&gate, 0, 0));
	EXPECT(!wait_for_completion_timeout(&gate, 0, 0));
	for (int i = 0; i < 3; i++)
		t[i] = ktest_thread("t", pass_gate, &passed, CPUMASK_ALL);
	/* Not only in the queue, but asleep: a thread that has just entered it may still
	 * take the unit that the first one is woken for. */
	for (int i = 0; i < 3; i++)
		EXPECT(EVENTUALLY(ktest_sleeps(t[i])));
	EXPECT_EQ(waiters(&gate.wait), 3);
	complete(&gate);
	EXPECT(EVENTUALLY(READ_ONCE(passed) == 1));
	EXPECT_EQ(waiters(&gate.wait), 2);
	complete_all(&gate);
	for (int i = 0; i < 3; i++)
		thread_join(t[i]);
	EXPECT_EQ(passed, 3);
	wait_for_completion(&gate); /* stays complete */
}
