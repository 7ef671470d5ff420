/*
 * Suite sched: timers.
 */
#include <string.h>

#include "kernel/debug/trace.h"
#include "kernel/sched/timer.h"
#include "tests/kernel/threads.h"

#define FAR_NS 3600000000000ull /* an hour: it never comes in a case */

struct alarm {
	struct timer timer;
	uint32_t number, fired, cpu, depth;
	uint64_t at;
	uint32_t again; /* so often it arms itself again */
};

static void ring(struct timer *t)
{
	struct alarm *a = t->arg;

	a->cpu = smp_processor_id();
	a->depth = current->irq_depth;
	a->at = timer_now();
	order_note(a->number);
	if (a->again) {
		a->again--;
		timer_arm(t, timer_now() + timer_ticks(100000));
	}
	ktest_count(&a->fired);
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

	order_clear();
	ktest_run_on(smp_processor_id());
	cpu = smp_processor_id();
	flags = local_irq_save(); /* so none fires before all are armed */
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
	timer_arm(&a.timer, timer_now() - 1); /* in the past: fires at once */
	EXPECT(EVENTUALLY(READ_ONCE(a.fired) == 1));
	EXPECT(!timer_cancel_sync(&a.timer));
	a.again = 5;
	timer_arm(&a.timer, timer_now());
	EXPECT(EVENTUALLY(READ_ONCE(a.fired) == 7));
	EXPECT(!timer_cancel_sync(&a.timer));
	EXPECT_EQ(timers_armed(smp_processor_id()), armed);
}

/* A timer fires on the core that armed it last; any core can cancel it. */
KTEST(sched, timer_migrate)
{
	unsigned int cpu, first = ktest_first_core();
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
		timer_cancel_sync(&a.timer); /* until then it stays there */
		EXPECT_EQ(a.cpu, cpu);
	}
}

static struct {
	uint32_t in, leave, out, again, twice;
} slow;

static void ring_slowly(struct timer *t)
{
	if (__atomic_exchange_n(&slow.in, 1, __ATOMIC_RELAXED)) {
		ktest_count(&slow.twice);
		return;
	}
	while (!READ_ONCE(slow.leave))
		cpu_relax();
	if (READ_ONCE(slow.again))
		timer_arm(t, timer_now() + timer_ticks(FAR_NS));
	ktest_count(&slow.out);
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

/* The timer's function runs on another core, and returns only while we wait.
 * Before that the timer is not armed again (round 0), or it is armed here for a
 * far time (1), here for now (2), or by the function itself (3). */
KTEST(sched, timer_cancel_sync)
{
	unsigned int here = ktest_first_core();
	struct cpumask there = cpumask_andnot(cpu_online(), cpumask_of(here));
	struct thread *armer;
	struct timer t, leave;
	bool was;

	NEED_CORES(2);
	ktest_run_on(here);
	timer_setup(&t, ring_slowly, NULL);
	timer_setup(&leave, let_it_leave, NULL);
	for (int round = 0; round < 4; round++) {
		memset(&slow, 0, sizeof(slow));
		armer = ktest_thread("t", arm_slow, &t, there);
		EXPECT(EVENTUALLY(READ_ONCE(slow.in)));
		WRITE_ONCE(slow.again, round == 3);
		timer_arm(&leave, timer_now() + timer_ticks(2000000));
		if (round == 1)
			timer_arm(&t, timer_now() + timer_ticks(FAR_NS));
		else if (round == 2)
			timer_arm(&t, timer_now());
		was = timer_cancel_sync(&t);
		EXPECT_EQ(READ_ONCE(slow.out), 1);
		EXPECT(round == 2 || !READ_ONCE(slow.twice));
		/* In round 2 it fires instead, if the host has stopped us so long
		 * that its function has returned. */
		EXPECT_EQ(was + READ_ONCE(slow.twice), round != 0);
		EXPECT(!t.armed);
		EXPECT(EVENTUALLY(READ_ONCE(slow.leave)));
		timer_cancel_sync(&leave);
		timer_cancel_sync(&t); /* after a failure too */
		thread_join(armer);
	}
}

static void ring_nothing(struct timer *t)
{
	ktest_count(t->arg);
}

static int arm_wildly(void *arg)
{
	uint32_t rnd = smp_processor_id() + 1;

	for (int i = 0; i < 1000; i++) {
		uint32_t r = ktest_random(&rnd);

		if (r % 4 == 0)
			timer_cancel(arg);
		else
			timer_arm(arg, timer_now() + r % 512);
	}
	return 0;
}

/* All cores arm and cancel one timer at the same time. */
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
	/* Ours is no longer armed; the number of the kernel's own timers varies. */
	EXPECT((int32_t)armed > -8 && (int32_t)armed < 8);
	EXPECT(!timer.armed && list_empty(&timer.link));
	EXPECT(fired > 0);
}

/* ---- a trace that an interrupt starts ------------------------------------------------ */

static void start_marked(struct timer *t)
{
	trace_start(TRACE_MARKED);
	ktest_count(t->arg);
}

/* Does one of the events come from this thread, which is not marked? */
static bool has_my_event(void)
{
	struct trace_event e[8];
	unsigned int lost, n = trace_snapshot(e, ARRAY_SIZE(e), &lost);

	while (n--)
		if (e[n].thread == current->id)
			return true;
	return false;
}

/* It may come at any instruction of trace_record(). No event of the old trace, which has
 * those of all threads, gets into the new one. */
KTEST(sched, timer_starts_trace)
{
	uint32_t rnd = 1, wrong = 0;

	ktest_run_on(ktest_first_core());
	for (unsigned int i = 0; i < 1000; i++) {
		uint32_t started = 0;
		struct timer t;

		timer_setup(&t, start_marked, &started);
		trace_start(TRACE_ALL);
		timer_arm(&t, timer_now() +
				      ktest_random(&rnd) % timer_ticks(200000));
		while (!READ_ONCE(started))
			trace_did(TR_NOTE, "note", 0, CALLER);
		wrong += has_my_event();
		timer_cancel_sync(&t);
	}
	trace_stop();
	EXPECT_EQ(wrong, 0);
}
