/*
 * Suite sched: on which core a thread runs, and when: affinity, priorities, time
 * slices, threads that are pulled or pushed to another core.
 */
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "tests/kernel/threads.h"

#define SLEEP_NS   20000
#define BUSY_LOOKS 100000

/* ---- affinity ---------------------------------------------------------------- */

KTEST(sched, affinity_of_current)
{
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		ktest_run_on(cpu);
		EXPECT_EQ(board_this_core(), cpu);
	}
}

static void check_affinity(uint32_t ns)
{
	struct spinner s, rival;
	unsigned int cpu;

	spinner_start(&s, CPUMASK_ALL, ns);
	for_each_online_cpu (cpu) {
		/* With a rival there the spinner also waits in the run queue. */
		spinner_start(&rival, cpumask_of(cpu), 0);
		EXPECT(spinner_advances(&rival, 2));
		EXPECT_EQ(thread_set_affinity(s.t, cpumask_of(cpu)), 0);
		EXPECT(spinner_advances(&s, 2));
		EXPECT_EQ(READ_ONCE(s.cpu), cpu);
		EXPECT_EQ(READ_ONCE(rival.cpu), cpu);
		spinner_stop(&rival);
	}
	spinner_stop(&s);
}

KTEST(sched, affinity_running)
{
	check_affinity(0);
}

KTEST(sched, affinity_sleeping)
{
	check_affinity(SLEEP_NS);
}

KTEST(sched, affinity_bad)
{
	struct cpumask before = current->affinity;

	EXPECT_EQ(thread_set_affinity(current, CPUMASK_NONE), -EINVAL);
	if (board.nr_cores < NR_CPUS)
		EXPECT_EQ(thread_set_affinity(current, cpumask_of(NR_CPUS - 1)),
			  -EINVAL);
	EXPECT_EQ(current->affinity.bits, before.bits);
}

/* Threads that sleep and wake all the time are moved from core to core. */
KTEST(sched, affinity_stress)
{
	struct spinner s[3];
	uint32_t rnd = 1;

	NEED_CORES(2);
	for (int i = 0; i < 3; i++)
		spinner_start(&s[i], CPUMASK_ALL, SLEEP_NS);
	for (int i = 0; i < 300; i++) {
		struct spinner *one = &s[i % 3];
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;

		EXPECT_EQ(thread_set_affinity(one->t, cpumask_of(cpu)), 0);
		EXPECT(spinner_advances(one, 2));
		EXPECT_EQ(READ_ONCE(one->cpu), cpu);
	}
	for (int i = 0; i < 3; i++)
		spinner_stop(&s[i]);
}

/* The affinity changes again while the thread is still moving. */
KTEST(sched, affinity_race)
{
	struct spinner s;
	uint32_t rnd = 1;

	NEED_CORES(2);
	spinner_start(&s, CPUMASK_ALL, 0);
	for (int i = 0; i < 100; i++) {
		unsigned int cpu = 0;

		for (uint32_t n = 1 + ktest_random(&rnd) % 3; n; n--) {
			cpu = ktest_random(&rnd) % board.nr_cores;
			EXPECT_EQ(thread_set_affinity(s.t, cpumask_of(cpu)), 0);
			for (uint32_t d = ktest_random(&rnd) % 64; d; d--)
				ktest_busy();
		}
		EXPECT(spinner_advances(&s, 2));
		EXPECT_EQ(READ_ONCE(s.cpu), cpu);
	}
	spinner_stop(&s);
}

/* ---- priorities and time slices ---------------------------------------------- */

/* The lowest priority is the idle thread's own. */
KTEST(sched, idle_priority_runs)
{
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		uint32_t ran = 0;
		struct thread *t = thread_create("low", set_ran, &ran,
						 PRIO_IDLE, cpumask_of(cpu));

		BUG_ON(!t);
		EXPECT(EVENTUALLY(READ_ONCE(ran)));
		ktest_run_on(cpu); /* if it failed, t runs when we wait */
		thread_join(t);
	}
}

KTEST(sched, priority_preempts)
{
	static DEFINE_SPINLOCK(lock);
	uint32_t ran, flags;
	struct thread *t;

	ktest_run_on(smp_processor_id());
	t = start_high(&ran);
	EXPECT_EQ(READ_ONCE(ran), 1);
	thread_join(t);

	preempt_disable();
	t = start_high(&ran);
	EXPECT_EQ(READ_ONCE(ran), 0);
	preempt_enable();
	EXPECT_EQ(READ_ONCE(ran), 1);
	thread_join(t);

	spin_lock(&lock);
	t = start_high(&ran);
	EXPECT_EQ(READ_ONCE(ran), 0);
	spin_unlock(&lock);
	EXPECT_EQ(READ_ONCE(ran), 1);
	thread_join(t);

	flags = spin_lock_irqsave(&lock);
	t = start_high(&ran);
	EXPECT_EQ(READ_ONCE(ran), 0);
	spin_unlock_irqrestore(&lock, flags);
	EXPECT_EQ(READ_ONCE(ran), 1);
	thread_join(t);
}

static int sleep_then_set(void *arg)
{
	sleep_ns(1000000);
	return set_ran(arg);
}

/* A thread that the timer interrupt wakes preempts one that spins. */
KTEST(sched, priority_from_interrupt)
{
	uint64_t end = timer_now() + timer_ticks(KTEST_PATIENCE_NS);
	uint32_t ran = 0;
	struct thread *t;

	ktest_run_on(smp_processor_id());
	t = thread_create("high", sleep_then_set, &ran, PRIO_HIGH,
			  cpumask_of(smp_processor_id()));
	while (!READ_ONCE(ran) && timer_now() < end)
		ktest_busy();
	EXPECT_EQ(ran, 1);
	thread_join(t);
}

KTEST(sched, round_robin)
{
	unsigned int cpu = ktest_last_core();
	uint64_t base[3], least = ~0ull, most = 0;
	struct spinner s[3];

	for (int i = 0; i < 3; i++)
		spinner_start(&s[i], cpumask_of(cpu), 0);
	for (int i = 0; i < 3; i++)
		EXPECT(spinner_advances(&s[i], 1));
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
		EXPECT(spinner_advances(&s[i], 1));
		spinner_stop(&s[i]);
	}
}

static void (*usual_quiescent)(unsigned int cpu);
static unsigned int slow_core;
static uint32_t slow_ticks;

/* On slow_core each tick takes longer than the time between two ticks. */
static void take_long(unsigned int cpu)
{
	uint64_t end = timer_now() + timer_ticks(2 * TICK_NS);

	usual_quiescent(cpu);
	if (cpu != slow_core || !current->irq_depth)
		return;
	while (timer_now() < end)
		ktest_busy();
	WRITE_ONCE(slow_ticks, slow_ticks + 1);
}

/* A thread gets on although each tick of its core takes longer than a tick's time. With
 * -icount shift=10 this is so if QEMU gives the core little time. */
KTEST(sched, slow_tick)
{
	uint32_t seen = 0;
	struct spinner s;

	NEED_CORES(2);
	slow_ticks = 0;
	slow_core = ktest_last_core();
	ktest_run_on(ktest_first_core());
	spinner_start(&s, cpumask_of(slow_core), 0);
	usual_quiescent = sched_hooks.quiescent;
	WRITE_ONCE(sched_hooks.quiescent, take_long);
	for (int i = 0; i < 10; i++) {
		seen = READ_ONCE(slow_ticks);
		EXPECT(EVENTUALLY(READ_ONCE(slow_ticks) - seen >= 1));
		EXPECT(spinner_advances(&s, 2));
	}
	WRITE_ONCE(sched_hooks.quiescent, usual_quiescent);
	spinner_stop(&s);
}

/* ---- threads move to a core that is free -------------------------------------- */

static bool ran_behind, may_stop;

static int not_preemptible(void *arg)
{
	(void)arg;
	preempt_disable();
	while (!READ_ONCE(may_stop))
		ktest_busy();
	preempt_enable();
	return 0;
}

static int behind(void *arg)
{
	(void)arg;
	WRITE_ONCE(ran_behind, true);
	return 0;
}

/* A thread queued behind one that cannot be preempted runs on an idle core. */
KTEST(sched, pull)
{
	struct thread *front, *t;

	NEED_CORES(2);
	ran_behind = may_stop = false;
	front = ktest_thread("front", not_preemptible, NULL, cpumask_of(1));
	EXPECT(EVENTUALLY(READ_ONCE(front->preempt_count) == 1));
	t = ktest_thread("behind", behind, NULL, cpumask_of(1));
	sleep_ns(KTEST_LOOK_NS);
	EXPECT(!READ_ONCE(ran_behind)); /* its core is busy */
	EXPECT_EQ(thread_set_affinity(t, CPUMASK_ALL), 0);
	EXPECT(EVENTUALLY(READ_ONCE(ran_behind)));
	WRITE_ONCE(may_stop, true);
	thread_join(front);
	thread_join(t);
}

/* EVENTUALLY() without sleep. If the caller shared its core with a spinner, each
 * look would take a tick; if it slept alone on its core, that core would idle. */
static bool busy_until_ran(const uint32_t *ran)
{
	uint64_t end = timer_now() + timer_ticks(KTEST_PATIENCE_NS);

	for (unsigned int n = 0; n < BUSY_LOOKS || timer_now() < end; n++) {
		if (READ_ONCE(*ran))
			return true;
		ktest_busy();
	}
	return false;
}

/*
 * The same, but no core idles, so none pulls: the tick pushes the threads away.
 * And while the core runs a thread that cannot be preempted, no new thread is
 * placed there, although every other core is as busy.
 */
KTEST(sched, push)
{
	static struct spinner busy[NR_CPUS];
	unsigned int cpu, boot = ktest_first_core();
	uint32_t high_ran = 0, normal_ran = 0, late_ran = 0;
	struct thread *front, *high, *normal, *late;

	NEED_CORES(2);
	ktest_run_on(
		cpumask_first(cpumask_andnot(cpu_online(), cpumask_of(boot))));
	may_stop = false;
	front = ktest_thread("front", not_preemptible, NULL, cpumask_of(boot));
	EXPECT(EVENTUALLY(READ_ONCE(front->preempt_count) == 1));
	for_each_online_cpu (cpu)
		if (cpu != boot) {
			spinner_start(&busy[cpu], cpumask_of(cpu), 0);
			EXPECT(spinner_advances(&busy[cpu], 1));
		}
	high = thread_create("high", set_ran, &high_ran, PRIO_HIGH,
			     cpumask_of(boot));
	normal = ktest_thread("normal", set_ran, &normal_ran, cpumask_of(boot));
	sleep_ns(3 * TICK_NS);
	EXPECT(!READ_ONCE(high_ran) &&
	       !READ_ONCE(normal_ran)); /* they may run only there */
	EXPECT_EQ(thread_set_affinity(high, CPUMASK_ALL), 0);
	EXPECT_EQ(thread_set_affinity(normal, CPUMASK_ALL), 0);
	EXPECT(busy_until_ran(&high_ran));
	EXPECT(busy_until_ran(&normal_ran));
	late = ktest_thread("late", set_ran, &late_ran, CPUMASK_ALL);
	EXPECT(late->cpu != boot);
	EXPECT(busy_until_ran(&late_ran));
	WRITE_ONCE(may_stop, true);
	thread_join(front);
	thread_join(high);
	thread_join(normal);
	thread_join(late);
	for_each_online_cpu (cpu)
		if (cpu != boot)
			spinner_stop(&busy[cpu]);
}
