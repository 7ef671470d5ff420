/*
 * Suite sched: threads, priorities, affinity, sleep, wake-ups, timers, wait
 * queues, completions, parking, and what each core has of its own.
 */
#include <string.h>

#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/ktest.h"

#define FAR_NS 3600000000000ull /* an hour: never in a case */

static void count(uint32_t *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
}

/* A thread that only goes round, and says where; sleeps between if told so. */
struct spinner {
	uint32_t stop, loops, cpu, sleep;
	struct thread *t;
};

static int spin(void *arg)
{
	struct spinner *s = arg;

	while (!READ_ONCE(s->stop)) {
		WRITE_ONCE(s->cpu, smp_processor_id());
		WRITE_ONCE(s->loops, s->loops + 1);
		if (READ_ONCE(s->sleep))
			sleep_ns(20000);
		else
			ktest_busy();
	}
	return 0;
}

static void spinner_start(struct spinner *s, struct cpumask where, bool sleeps)
{
	memset(s, 0, sizeof(*s));
	s->sleep = sleeps;
	s->t = ktest_thread("spinner", spin, s, where);
}

static void spinner_stop(struct spinner *s)
{
	WRITE_ONCE(s->stop, 1);
	thread_join(s->t);
}

/* Does it get on by n rounds? */
static bool advances(struct spinner *s, uint32_t n)
{
	uint32_t start = READ_ONCE(s->loops);

	return EVENTUALLY(READ_ONCE(s->loops) - start >= n);
}

/* ---- life ------------------------------------------------------------------ */

static int give_back(void *arg)
{
	return (int)(intptr_t)arg;
}

KTEST(sched, create_and_join)
{
	struct thread *t;

	for (int i = -3; i < 20; i++) {
		t = ktest_thread("t", give_back, (void *)(intptr_t)i,
				 CPUMASK_ALL);
		EXPECT_EQ(thread_join(t), i);
	}
	t = ktest_thread("a name far too long for it", give_back, NULL,
			 CPUMASK_ALL);
	EXPECT(!strcmp(t->name, "a name far too "));
	thread_join(t);
}

static struct completion gate;

static int pass_gate(void *arg)
{
	wait_for_completion(&gate);
	count(arg);
	return 0;
}

#define MANY 64

KTEST(sched, many_threads)
{
	static struct thread *t[MANY];
	uint32_t passed = 0;

	init_completion(&gate, "gate");
	for (int i = 0; i < MANY; i++) {
		t[i] = ktest_thread("many", pass_gate, &passed, CPUMASK_ALL);
		EXPECT(i == 0 || t[i]->id > t[i - 1]->id);
	}
	EXPECT_EQ(READ_ONCE(passed), 0);
	complete_all(&gate);
	for (int i = 0; i < MANY; i++)
		thread_join(t[i]);
	EXPECT_EQ(passed, MANY);
}

/* As many threads as there is room for, then NULL; and all over again. */
KTEST_MANUAL(sched, no_more_room)
{
	static struct thread *t[(EXC_STACKS_VA - STACKS_VA) / STACK_SLOT + 1];
	unsigned int n[2] = { 0, 0 };

	for (int pass = 0; pass < 2; pass++) {
		uint32_t passed = 0;

		init_completion(&gate, "gate");
		while (n[pass] < ARRAY_SIZE(t) &&
		       (t[n[pass]] = thread_create("many", pass_gate, &passed,
						   PRIO_NORMAL, CPUMASK_ALL)))
			n[pass]++;
		complete_all(&gate);
		for (unsigned int i = 0; i < n[pass]; i++)
			thread_join(t[i]);
		EXPECT_EQ(passed, n[pass]);
		EXPECT(EVENTUALLY(stacks_cached() >= n[pass]));
	}
	EXPECT(n[0] > 300 && n[0] < ARRAY_SIZE(t));
	EXPECT_EQ(n[0], n[1]);
}

KTEST(sched, no_memory)
{
	uint32_t stacks = ktest_take_stacks();
	size_t pages = pages_free_count();

	for (unsigned int n = 1; n <= STACK_SIZE / PAGE_SIZE; n++) {
		pages_fail_after(n, 1);
		EXPECT(!thread_create("t", give_back, NULL, PRIO_NORMAL,
				      CPUMASK_ALL));
		pages_fail_after(0, 0);
		EXPECT_EQ(pages_free_count(), pages);
	}
	ktest_give_stacks(stacks);
}

KTEST(sched, stack_reuse)
{
	size_t pages;

	thread_join(ktest_thread("t", give_back, NULL, CPUMASK_ALL));
	EXPECT(EVENTUALLY(stacks_cached() > 0));
	pages = pages_free_count();
	for (int i = 0; i < 100; i++) {
		thread_join(ktest_thread("t", give_back, NULL, CPUMASK_ALL));
		EXPECT(EVENTUALLY(stacks_cached() > 0));
	}
	EXPECT_EQ(pages_free_count(), pages);
}

KTEST(sched, join_timeout)
{
	uint32_t passed = 0;
	struct thread *t;
	int status = 99;

	init_completion(&gate, "gate");
	t = ktest_thread("t", pass_gate, &passed, CPUMASK_ALL);
	EXPECT_EQ(thread_join_timeout(t, 0, NULL), -ETIMEDOUT);
	EXPECT_EQ(thread_join_timeout(t, 1000000, NULL), -ETIMEDOUT);
	complete(&gate);
	EXPECT_EQ(thread_join_timeout(t, KTEST_PATIENCE_NS, &status), 0);
	EXPECT(status == 0 && passed == 1);
}

KTEST(sched, find)
{
	uint32_t passed = 0, id, n = threads_count();
	struct thread *t, *found;

	init_completion(&gate, "gate");
	t = ktest_thread("t", pass_gate, &passed, CPUMASK_ALL);
	id = t->id;
	EXPECT_EQ(threads_count(), n + 1);
	found = thread_find(id);
	EXPECT(found == t);
	complete(&gate);
	thread_join(t);
	/* The handle keeps it. */
	EXPECT(found->id == id && found->exited);
	thread_put(found);
	EXPECT(EVENTUALLY(!(found = thread_find(id)) ||
			  (thread_put(found), false)));
	EXPECT(!thread_find(~0u));
}

/* ---- where and when they run ------------------------------------------------- */

KTEST(sched, affinity_of_current)
{
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		ktest_run_on(cpu);
		EXPECT_EQ(board_this_core(), cpu);
	}
}

static void check_affinity(bool sleeps)
{
	struct spinner s, rival;
	unsigned int cpu;

	spinner_start(&s, CPUMASK_ALL, sleeps);
	for_each_online_cpu (cpu) {
		/* A rival there, so that it also waits in the queue. */
		spinner_start(&rival, cpumask_of(cpu), false);
		EXPECT(advances(&rival, 2));
		EXPECT_EQ(thread_set_affinity(s.t, cpumask_of(cpu)), 0);
		EXPECT(advances(&s, 2));
		EXPECT_EQ(READ_ONCE(s.cpu), cpu);
		EXPECT_EQ(READ_ONCE(rival.cpu), cpu);
		spinner_stop(&rival);
	}
	spinner_stop(&s);
}

KTEST(sched, affinity_running)
{
	check_affinity(false);
}

KTEST(sched, affinity_sleeping)
{
	check_affinity(true);
}

KTEST(sched, affinity_bad)
{
	struct cpumask before = current->affinity;

	EXPECT_EQ(thread_set_affinity(current, CPUMASK_NONE), -EINVAL);
	EXPECT_EQ(thread_set_affinity(current, cpumask_of(31)), -EINVAL);
	EXPECT_EQ(current->affinity.bits, before.bits);
}

/* Moved about while it falls asleep and is woken all the time. */
KTEST(sched, affinity_stress)
{
	struct spinner s[3];
	uint32_t rnd = 1;

	NEED_CORES(2);
	for (int i = 0; i < 3; i++)
		spinner_start(&s[i], CPUMASK_ALL, true);
	for (int i = 0; i < 300; i++) {
		struct spinner *one = &s[i % 3];
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;

		EXPECT_EQ(thread_set_affinity(one->t, cpumask_of(cpu)), 0);
		EXPECT(advances(one, 2));
		EXPECT_EQ(READ_ONCE(one->cpu), cpu);
	}
	for (int i = 0; i < 3; i++)
		spinner_stop(&s[i]);
}

/* Told to go elsewhere while it is still on its way from the last time. */
KTEST(sched, affinity_race)
{
	struct spinner s;
	uint32_t rnd = 1;

	NEED_CORES(2);
	spinner_start(&s, CPUMASK_ALL, false);
	for (int i = 0; i < 100; i++) {
		unsigned int cpu = 0;

		for (uint32_t n = 1 + ktest_random(&rnd) % 3; n; n--) {
			cpu = ktest_random(&rnd) % board.nr_cores;
			EXPECT_EQ(thread_set_affinity(s.t, cpumask_of(cpu)), 0);
			for (uint32_t d = ktest_random(&rnd) % 64; d; d--)
				ktest_busy();
		}
		EXPECT(advances(&s, 2));
		EXPECT_EQ(READ_ONCE(s.cpu), cpu);
	}
	spinner_stop(&s);
}

static int say_ran(void *arg)
{
	WRITE_ONCE(*(uint32_t *)arg, 1);
	return 0;
}

static struct thread *high_here(uint32_t *ran)
{
	struct thread *t;

	*ran = 0;
	t = thread_create("high", say_ran, ran, PRIO_HIGH,
			  cpumask_of(smp_processor_id()));
	EXPECT(t != NULL);
	return t;
}

KTEST(sched, priority_preempts)
{
	static DEFINE_SPINLOCK(lock);
	uint32_t ran, flags;
	struct thread *t;

	ktest_run_on(smp_processor_id());
	t = high_here(&ran);
	EXPECT_EQ(READ_ONCE(ran), 1);
	thread_join(t);

	preempt_disable();
	t = high_here(&ran);
	EXPECT_EQ(READ_ONCE(ran), 0);
	preempt_enable();
	EXPECT_EQ(READ_ONCE(ran), 1);
	thread_join(t);

	spin_lock(&lock);
	t = high_here(&ran);
	EXPECT_EQ(READ_ONCE(ran), 0);
	spin_unlock(&lock);
	EXPECT_EQ(READ_ONCE(ran), 1);
	thread_join(t);

	flags = spin_lock_irqsave(&lock);
	t = high_here(&ran);
	EXPECT_EQ(READ_ONCE(ran), 0);
	spin_unlock_irqrestore(&lock, flags);
	EXPECT_EQ(READ_ONCE(ran), 1);
	thread_join(t);
}

static int sleep_then_say(void *arg)
{
	sleep_ns(1000000);
	return say_ran(arg);
}

/* Woken by the timer interrupt it takes the core from one that spins. */
KTEST(sched, priority_from_interrupt)
{
	uint64_t end = timer_now() + timer_ticks(KTEST_PATIENCE_NS);
	uint32_t ran = 0;
	struct thread *t;

	ktest_run_on(smp_processor_id());
	t = thread_create("high", sleep_then_say, &ran, PRIO_HIGH,
			  cpumask_of(smp_processor_id()));
	while (!READ_ONCE(ran) && timer_now() < end)
		ktest_busy();
	EXPECT_EQ(ran, 1);
	thread_join(t);
}

KTEST(sched, round_robin)
{
	unsigned int cpu = 31 - (unsigned int)__builtin_clz(cpu_online().bits);
	uint64_t base[3], least = ~0ull, most = 0;
	struct spinner s[3];

	for (int i = 0; i < 3; i++)
		spinner_start(&s[i], cpumask_of(cpu), false);
	for (int i = 0; i < 3; i++)
		EXPECT(advances(&s[i], 1));
	for (int i = 0; i < 3; i++)
		base[i] = READ_ONCE(s[i].t->switches);
	EXPECT(EVENTUALLY(READ_ONCE(s[0].t->switches) - base[0] >= 5));
	for (int i = 0; i < 3; i++) {
		uint64_t n = READ_ONCE(s[i].t->switches) - base[i];

		least = min(least, n);
		most = max(most, n);
	}
	EXPECT(most - least <= 2);
	for (int i = 0; i < 3; i++) {
		EXPECT(advances(&s[i], 1));
		spinner_stop(&s[i]);
	}
}

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

KTEST(sched, times)
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

/* Let t, which is lost in a wait that nobody ends, come to its end. */
static void rescue(struct thread *t)
{
	while (thread_join_timeout(t, 1000000, NULL))
		wake_up_process(t);
}

static int wait_in_vain(void *arg)
{
	struct wait_queue q = WAIT_QUEUE_INIT(q, "nothing");

	for (unsigned int ns = 0; ns < 8000; ns += 4) {
		EXPECT(!wait_event_timeout(&q, WAIT_QUEUE, false, ns));
		count(arg);
	}
	return 0;
}

/* Times of about what the wait itself takes: each of them must end. */
KTEST(sched, short_timeouts)
{
	uint32_t rounds = 0;
	struct thread *t =
		ktest_thread("t", wait_in_vain, &rounds, CPUMASK_ALL);

	EXPECT(EVENTUALLY(READ_ONCE(rounds) == 2000));
	rescue(t);
}

/* Two threads that sleep until the other has woken them, and nothing else. */
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
			wait_begin(TASK_UNINTERRUPTIBLE, WAIT_QUEUE, &table,
				   "turn", CALLER);
			if (READ_ONCE(table.turn) == me)
				break;
			schedule();
		}
		wait_end();
		count(&table.rounds);
		WRITE_ONCE(table.turn, !me);
		wake_up_process(table.t[!me]);
	}
	return 0;
}

static void play(struct cpumask where0, struct cpumask where1)
{
	uint32_t seen;

	memset(&table, 0, sizeof(table));
	table.t[0] = ktest_thread("ping", ping, (void *)0, where0);
	table.t[1] = ktest_thread("pong", ping, (void *)1, where1);
	thread_get(table.t[0]); /* the other wakes it up to its own end */
	thread_get(table.t[1]);
	WRITE_ONCE(table.go, 1);
	/* Given up when there was no progress: a lost wake-up is for ever, but with
	 * -icount shift=10 a round takes milliseconds. */
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
	unsigned int a = cpumask_first(cpu_online());
	unsigned int b = 31 - (unsigned int)__builtin_clz(cpu_online().bits);

	play(cpumask_of(a), cpumask_of(b));
	play(cpumask_of(b), cpumask_of(b));
	play(CPUMASK_ALL, CPUMASK_ALL);
}

/* Preempted between "I am going to sleep" and schedule(): it stays runnable. */
KTEST(sched, preempted_before_sleep)
{
	struct thread *t;
	uint32_t ran;

	ktest_run_on(smp_processor_id());
	wait_begin(TASK_UNINTERRUPTIBLE, WAIT_QUEUE, &ran, "nothing", CALLER);
	t = high_here(&ran);
	EXPECT_EQ(READ_ONCE(ran), 1); /* preempted, and back */
	wait_end();
	thread_join(t);
}

/* ---- wait queues and completions --------------------------------------------------- */

static struct wait_queue queue = WAIT_QUEUE_INIT(queue, "queue");
static uint32_t order[8], next_order, nr_order;

static void note_order(uint32_t who)
{
	order[__atomic_fetch_add(&next_order, 1, __ATOMIC_SEQ_CST) % 8] = who;
	count(&nr_order); /* only now may it be read */
}

static int wait_once(void *arg)
{
	struct wait_entry e = { .thread = NULL };
	bool queued;

	prepare_to_wait(&queue, &e, WAIT_QUEUE, CALLER);
	do {
		uint32_t flags;

		schedule();
		flags = spin_lock_irqsave(&queue.lock);
		queued = !list_empty(&e.link);
		spin_unlock_irqrestore(&queue.lock, flags);
	} while (queued);
	finish_wait(&queue, &e);
	note_order((uint32_t)(uintptr_t)arg);
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

	next_order = nr_order = 0;
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
	wake_up(&queue); /* nobody there */
	for (unsigned int i = 0; i < 6; i++)
		thread_join(t[i]);
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
	wait_for_completion(&gate); /* two were given: two may pass */
	EXPECT(wait_for_completion_timeout(&gate, 0, 0));
	EXPECT(!wait_for_completion_timeout(&gate, 0, 0));
	for (int i = 0; i < 3; i++)
		t[i] = ktest_thread("t", pass_gate, &passed, CPUMASK_ALL);
	EXPECT(EVENTUALLY(waiters(&gate.wait) == 3));
	complete(&gate);
	EXPECT(EVENTUALLY(READ_ONCE(passed) == 1));
	EXPECT_EQ(waiters(&gate.wait), 2);
	complete_all(&gate);
	for (int i = 0; i < 3; i++)
		thread_join(t[i]);
	EXPECT_EQ(passed, 3);
	wait_for_completion(&gate); /* stays open */
}

/* ---- timers --------------------------------------------------------------------------- */

struct alarm {
	struct timer timer;
	uint32_t number, fired, cpu, depth;
	uint64_t at;
	uint32_t again; /* times it arms itself anew */
};

static void ring(struct timer *t)
{
	struct alarm *a = t->arg;

	a->cpu = smp_processor_id();
	a->depth = current->irq_depth;
	a->at = timer_now();
	note_order(a->number);
	if (a->again) {
		a->again--;
		timer_arm(t, timer_now() + timer_ticks(100000));
	}
	count(&a->fired);
}

static void alarm_init(struct alarm *a, uint32_t number)
{
	memset(a, 0, sizeof(*a));
	a->number = number;
	timer_setup(&a->timer, ring, a);
}

KTEST(sched, timer_order)
{
	static const uint32_t us[] = { 300, 100, 200, 100 };
	static const uint32_t want[] = { 1, 3, 2, 0 };
	struct alarm a[4];
	unsigned int cpu;
	uint64_t start;
	uint32_t flags;

	next_order = nr_order = 0;
	ktest_run_on(smp_processor_id());
	cpu = smp_processor_id();
	flags = local_irq_save(); /* none fires before all are armed */
	start = timer_now();
	for (unsigned int i = 0; i < 4; i++) {
		alarm_init(&a[i], i);
		timer_arm(&a[i].timer, start + timer_ticks(us[i] * 1000));
	}
	local_irq_restore(flags);
	EXPECT(EVENTUALLY(READ_ONCE(nr_order) == 4));
	for (unsigned int i = 0; i < 4; i++) {
		EXPECT_EQ(order[i], want[i]);
		EXPECT_EQ(a[i].fired, 1);
		EXPECT_EQ(a[i].cpu, cpu);
		EXPECT_EQ(a[i].depth, 1);
		EXPECT(a[i].at >= start + timer_ticks(us[i] * 1000));
		EXPECT(!timer_cancel_sync(&a[i].timer));
	}
}

KTEST(sched, timer_cancel)
{
	uint64_t far = timer_now() + timer_ticks(FAR_NS);
	unsigned int armed;
	struct alarm a;

	ktest_run_on(smp_processor_id());
	armed = timers_armed(smp_processor_id());
	alarm_init(&a, 0);
	EXPECT(!timer_cancel(&a.timer));
	timer_arm(&a.timer, far);
	EXPECT_EQ(timers_armed(smp_processor_id()), armed + 1);
	EXPECT(timer_cancel(&a.timer));
	EXPECT_EQ(timers_armed(smp_processor_id()), armed);
	EXPECT(!timer_cancel(&a.timer));
	timer_arm(&a.timer, far);
	timer_arm(&a.timer, far - 1); /* one, not two */
	EXPECT_EQ(timers_armed(smp_processor_id()), armed + 1);
	timer_arm(&a.timer, timer_now() - 1); /* in the past: at once */
	EXPECT(EVENTUALLY(READ_ONCE(a.fired) == 1));
	EXPECT(!timer_cancel_sync(&a.timer));
	a.again = 5;
	timer_arm(&a.timer, timer_now());
	EXPECT(EVENTUALLY(READ_ONCE(a.fired) == 7));
	EXPECT(!timer_cancel_sync(&a.timer));
	EXPECT_EQ(timers_armed(smp_processor_id()), armed);
}

/* A timer goes where it is armed last, and can be cancelled from anywhere. */
KTEST(sched, timer_migrate)
{
	unsigned int cpu, first = cpumask_first(cpu_online());
	struct alarm a;

	NEED_CORES(2);
	alarm_init(&a, 0);
	for_each_online_cpu (cpu) {
		ktest_run_on(cpu);
		timer_arm(&a.timer, timer_now() + timer_ticks(FAR_NS));
		EXPECT_EQ(a.timer.cpu, cpu);
	}
	ktest_run_on(first);
	EXPECT(timer_cancel(&a.timer));
	for_each_online_cpu (cpu) {
		uint32_t fired = a.fired;

		ktest_run_on(cpu);
		timer_arm(&a.timer, timer_now() + timer_ticks(1000));
		ktest_run_on(first);
		EXPECT(EVENTUALLY(READ_ONCE(a.fired) == fired + 1));
		EXPECT_EQ(a.cpu, cpu);
	}
}

static struct {
	uint32_t in, leave, out;
} slow;

static void ring_slowly(struct timer *t)
{
	(void)t;
	WRITE_ONCE(slow.in, 1);
	while (!READ_ONCE(slow.leave))
		cpu_relax();
	smp_store_release(&slow.out, 1); /* pairs with timer_cancel_sync() */
}

static void let_it_leave(struct timer *t)
{
	(void)t;
	WRITE_ONCE(slow.leave, 1);
}

static int arm_slow(void *arg)
{
	timer_arm(arg, timer_now());
	return 0;
}

/* The function runs elsewhere, and ends only while we wait for it. */
KTEST(sched, timer_cancel_sync)
{
	unsigned int here = cpumask_first(cpu_online());
	struct cpumask there = cpumask_andnot(cpu_online(), cpumask_of(here));
	struct thread *armer;
	struct timer t, leave;

	NEED_CORES(2);
	ktest_run_on(here);
	memset(&slow, 0, sizeof(slow));
	timer_setup(&t, ring_slowly, NULL);
	timer_setup(&leave, let_it_leave, NULL);
	armer = ktest_thread("t", arm_slow, &t, there);
	EXPECT(EVENTUALLY(READ_ONCE(slow.in)));
	timer_arm(&leave, timer_now() + timer_ticks(2000000));
	EXPECT(!timer_cancel_sync(&t));
	EXPECT_EQ(READ_ONCE(slow.out), 1);
	EXPECT(EVENTUALLY(READ_ONCE(slow.leave)));
	timer_cancel_sync(&leave);
	thread_join(armer);
}

static void ring_nothing(struct timer *t)
{
	count(t->arg);
}

static int arm_wildly(void *arg)
{
	uint32_t rnd = smp_processor_id() + 1;

	for (int i = 0; i < 2000; i++) {
		uint32_t r = ktest_random(&rnd);

		if (r % 4 == 0)
			timer_cancel(arg);
		else
			timer_arm(arg, timer_now() + r % 512);
	}
	return 0;
}

/* One timer, armed and cancelled by all cores at a time. */
KTEST(sched, timer_race)
{
	uint32_t fired = 0, armed = 0;
	struct thread *t[NR_CPUS];
	unsigned int cpu;
	struct timer timer;

	timer_setup(&timer, ring_nothing, &fired);
	for_each_online_cpu (cpu)
		armed += timers_armed(cpu);
	for_each_online_cpu (cpu)
		t[cpu] = ktest_thread("t", arm_wildly, &timer, cpumask_of(cpu));
	for_each_online_cpu (cpu)
		thread_join(t[cpu]);
	timer_cancel_sync(&timer);
	for_each_online_cpu (cpu)
		armed -= timers_armed(cpu);
	/* Ours is gone; the system's own come and go. */
	EXPECT((int32_t)armed > -8 && (int32_t)armed < 8);
	EXPECT(!timer.armed && list_empty(&timer.link));
	EXPECT(fired > 0);
}

/* ---- parking ------------------------------------------------------------------------------ */

static int park_and_spin(void *arg)
{
	struct spinner *s = arg;

	while (!READ_ONCE(s->stop)) {
		if (kthread_should_park())
			kthread_parkme();
		WRITE_ONCE(s->cpu, smp_processor_id());
		WRITE_ONCE(s->loops, s->loops + 1);
		if (READ_ONCE(s->sleep))
			wait_event_timeout(&queue, WAIT_IDLE,
					   kthread_should_park(), 20000);
		else
			ktest_busy();
	}
	return 0;
}

static void check_parking(unsigned int cpu, bool sleeps)
{
	struct spinner s = { .sleep = sleeps };
	uint32_t loops;

	s.t = thread_create_on_cpu("parker", park_and_spin, &s, PRIO_NORMAL,
				   cpu);
	EXPECT(s.t != NULL);
	sleep_ns(KTEST_LOOK_NS);
	EXPECT_EQ(READ_ONCE(s.loops), 0); /* it begins parked */
	EXPECT_EQ(thread_set_affinity(s.t, CPUMASK_ALL), -EINVAL);
	kthread_park(s.t); /* nothing new */
	for (int i = 0; i < 25; i++) {
		kthread_unpark(s.t);
		if (i % 2)
			EXPECT(advances(&s, 1));
		kthread_park(s.t);
		loops = READ_ONCE(s.loops);
		EXPECT_EQ(READ_ONCE(s.t->state), TASK_PARKED);
		sleep_ns(KTEST_LOOK_NS);
		EXPECT_EQ(READ_ONCE(s.loops), loops);
		wake_up_process(s.t); /* not this way */
		EXPECT_EQ(READ_ONCE(s.t->state), TASK_PARKED);
	}
	kthread_unpark(s.t);
	kthread_unpark(s.t); /* nothing new */
	EXPECT(advances(&s, 1));
	EXPECT_EQ(READ_ONCE(s.cpu), cpu);
	spinner_stop(&s);
}

KTEST(sched, park)
{
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		check_parking(cpu, false);
		check_parking(cpu, true);
	}
}

/* ---- what is a core's own ------------------------------------------------------------------ */

static struct {
	uint32_t arrived, wrong, cores;
	unsigned int caller;
} meeting;

/* All cores are in here at a time. */
static void meet(void *arg)
{
	unsigned int cpu = smp_processor_id();
	struct thread *me = current;
	uint32_t sp = (uint32_t)(uintptr_t)__builtin_frame_address(0);
	bool direct = cpu == meeting.caller;

	(void)arg;
	count(&meeting.arrived);
	while (READ_ONCE(meeting.arrived) != meeting.cores)
		ktest_busy();
	if (cpu != board_this_core() || me->cpu != cpu || current != me ||
	    me->irq_depth != !direct || in_interrupt() == direct ||
	    !irqs_disabled() || sched_running(cpu) != me)
		count(&meeting.wrong);
	/* "main" has the boot stack, the others their own. */
	if (me->stack && (sp <= me->stack || sp >= me->stack_top))
		count(&meeting.wrong);
	if (me->is_idle && me->preempt_count != 0)
		count(&meeting.wrong);
}

KTEST(sched, each_core_its_own)
{
	for (int i = 0; i < 20; i++) {
		memset(&meeting, 0, sizeof(meeting));
		preempt_disable();
		meeting.cores = ktest_cores();
		meeting.caller = smp_processor_id();
		on_each_cpu(meet, NULL);
		preempt_enable();
		EXPECT_EQ(meeting.arrived, meeting.cores);
		EXPECT_EQ(meeting.wrong, 0);
	}
}

static void look_at(struct thread *t, void *arg)
{
	(void)arg;
	if (!ktest_sleeps(t) && READ_ONCE(t->state) != TASK_PARKED)
		return;
	EXPECT_EQ(READ_ONCE(t->preempt_count), 0);
	EXPECT_EQ(READ_ONCE(t->irq_depth), 0);
}

/* Whoever sleeps, whatever it did before, left nothing counted. */
KTEST(sched, counts_balanced)
{
	for (int i = 0; i < 10; i++) {
		threads_for_each(look_at, NULL);
		sleep_ns(KTEST_LOOK_NS);
	}
}

/* ---- pulling -------------------------------------------------------------- */

static bool behind_ran, may_end;

static int not_preemptible(void *arg)
{
	(void)arg;
	preempt_disable();
	while (!READ_ONCE(may_end))
		ktest_busy();
	preempt_enable();
	return 0;
}

static int behind(void *arg)
{
	(void)arg;
	WRITE_ONCE(behind_ran, true);
	return 0;
}

/* A thread queued behind one that cannot be preempted runs on an idle core. */
KTEST(sched, pull)
{
	struct thread *front, *t;

	NEED_CORES(2);
	behind_ran = may_end = false;
	front = ktest_thread("front", not_preemptible, NULL, cpumask_of(1));
	EXPECT(EVENTUALLY(READ_ONCE(front->preempt_count) == 1));
	t = ktest_thread("behind", behind, NULL, cpumask_of(1));
	sleep_ns(KTEST_LOOK_NS);
	EXPECT(!READ_ONCE(behind_ran)); /* its core is taken */
	EXPECT_EQ(thread_set_affinity(t, CPUMASK_ALL), 0);
	EXPECT(EVENTUALLY(READ_ONCE(behind_ran)));
	WRITE_ONCE(may_end, true);
	thread_join(front);
	thread_join(t);
}

/* EVENTUALLY() that never sleeps: shared with a spinner each look would take a
 * tick, and alone on its core the caller would let that idle. */
static bool ran_meanwhile(const uint32_t *ran)
{
	uint64_t end = timer_now() + timer_ticks(KTEST_PATIENCE_NS);

	for (unsigned int n = 0; n < KTEST_LOOKS || timer_now() < end; n++) {
		if (READ_ONCE(*ran))
			return true;
		ktest_busy();
	}
	return false;
}

/*
 * The same, but no core idles, so none pulls: the tick pushes. And while the
 * core is taken nobody is placed there, though no other has less to do.
 */
KTEST(sched, push)
{
	static struct spinner busy[NR_CPUS];
	unsigned int cpu, boot = cpumask_first(cpu_online());
	uint32_t high_ran = 0, normal_ran = 0, late_ran = 0;
	struct thread *front, *high, *normal, *late;

	NEED_CORES(2);
	ktest_run_on(
		cpumask_first(cpumask_andnot(cpu_online(), cpumask_of(boot))));
	may_end = false;
	front = ktest_thread("front", not_preemptible, NULL, cpumask_of(boot));
	EXPECT(EVENTUALLY(READ_ONCE(front->preempt_count) == 1));
	for_each_online_cpu (cpu)
		if (cpu != boot) {
			spinner_start(&busy[cpu], cpumask_of(cpu), false);
			EXPECT(advances(&busy[cpu], 1));
		}
	high = thread_create("high", say_ran, &high_ran, PRIO_HIGH,
			     cpumask_of(boot));
	normal = ktest_thread("normal", say_ran, &normal_ran, cpumask_of(boot));
	sleep_ns(3 * TICK_NS);
	EXPECT(!READ_ONCE(high_ran) && !READ_ONCE(normal_ran)); /* no choice */
	EXPECT_EQ(thread_set_affinity(high, CPUMASK_ALL), 0);
	EXPECT_EQ(thread_set_affinity(normal, CPUMASK_ALL), 0);
	EXPECT(ran_meanwhile(&high_ran));
	EXPECT(ran_meanwhile(&normal_ran));
	late = ktest_thread("late", say_ran, &late_ran, CPUMASK_ALL);
	EXPECT(late->cpu != boot);
	EXPECT(ran_meanwhile(&late_ran));
	WRITE_ONCE(may_end, true);
	thread_join(front);
	thread_join(high);
	thread_join(normal);
	thread_join(late);
	for_each_online_cpu (cpu)
		if (cpu != boot)
			spinner_stop(&busy[cpu]);
}
