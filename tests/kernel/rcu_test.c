/*
 * Suite rcu: the readers that a grace period waits for, the order of callbacks, the
 * barrier, the callbacks of a core that goes off, the stall report. For stress with
 * mutants see rcu_torture.c.
 */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/state.h"
#include "kernel/lib/printf.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/ktest.h"

static void count(uint32_t *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
}

/* ---- a reader elsewhere ------------------------------------------------------- */

static struct {
	uint32_t in, leave, left;
	struct thread *t;
} reader;

static int read_long(void *arg)
{
	(void)arg;
	rcu_read_lock();
	WRITE_ONCE(reader.in, 1);
	while (!READ_ONCE(reader.leave))
		ktest_busy();
	WRITE_ONCE(reader.left, 1);
	rcu_read_unlock();
	return 0;
}

/* Start a reader on the last core; the case moves to the first one. */
static unsigned int reader_start(void)
{
	unsigned int cpu = 31 - (unsigned int)__builtin_clz(cpu_online().bits);

	memset(&reader, 0, sizeof(reader));
	ktest_run_on(cpumask_first(cpu_online()));
	reader.t = ktest_thread("reader", read_long, NULL, cpumask_of(cpu));
	EXPECT(EVENTUALLY(READ_ONCE(reader.in)));
	return cpu;
}

static void reader_stop(void)
{
	WRITE_ONCE(reader.leave, 1);
	thread_join(reader.t);
}

static int wait_for_readers(void *arg)
{
	void (*sync)(void) = (void (*)(void))(uintptr_t)arg;

	sync();
	EXPECT_EQ(READ_ONCE(reader.left), 1);
	return 0;
}

static void check_waits(void (*sync)(void))
{
	uint32_t gp = READ_ONCE(rcu_sched_state.gp_seq);
	struct thread *t;

	reader_start();
	t = ktest_thread("waiter", wait_for_readers, (void *)(uintptr_t)sync,
			 cpumask_of(cpumask_first(cpu_online())));
	EXPECT(EVENTUALLY(READ_ONCE(t->waiting.ops) == &gp_wait));
	/* It gets many chances to end too early: time, ticks, IPIs. */
	for (int i = 0; i < 20; i++) {
		sleep_ns(1000000);
		EXPECT(!READ_ONCE(t->exited));
	}
	EXPECT(READ_ONCE(rcu_sched_state.gp_seq) - gp <= 3);
	reader_stop();
	thread_join(t);
}

KTEST(rcu, synchronize_waits)
{
	NEED_CORES(2);
	check_waits(synchronize_rcu);
}

KTEST(rcu, expedited_waits)
{
	NEED_CORES(2);
	check_waits(synchronize_rcu_expedited);
}

/* Without readers both forms return, on each core, also while the others idle. */
KTEST(rcu, synchronize_ends)
{
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		uint32_t seq = READ_ONCE(rcu_sched_state.gp_seq);

		ktest_run_on(cpu);
		synchronize_rcu();
		EXPECT((int32_t)(READ_ONCE(rcu_sched_state.gp_seq) - seq) >= 2);
		synchronize_rcu_expedited();
	}
}

static int spin_until(void *arg)
{
	while (!READ_ONCE(*(uint32_t *)arg))
		ktest_busy();
	return 0;
}

/* A grace period does not wait for busy cores without a reader. */
KTEST(rcu, synchronize_busy)
{
	struct thread *t[NR_CPUS];
	uint32_t stop = 0;
	unsigned int cpu;

	for_each_online_cpu (cpu)
		t[cpu] = ktest_thread("busy", spin_until, &stop,
				      cpumask_of(cpu));
	for (int i = 0; i < 3; i++) {
		synchronize_rcu();
		synchronize_rcu_expedited();
	}
	WRITE_ONCE(stop, 1);
	for_each_online_cpu (cpu)
		thread_join(t[cpu]);
}

/* ---- callbacks -------------------------------------------------------------------- */

#define MARKS 100

struct mark {
	struct rcu_head rcu;
	uint32_t number;
};

static struct mark marks[NR_CPUS][MARKS];
static uint32_t ran[NR_CPUS], wrong; /* by the core they were queued on */

static void mark_ran(struct rcu_head *head)
{
	struct mark *m = container_of(head, struct mark, rcu);
	unsigned int cpu = (unsigned int)(m - marks[0]) / MARKS;

	/* The callbacks of one core run in order, in a context that cannot sleep. */
	if (m->number != READ_ONCE(ran[cpu]) || may_sleep())
		count(&wrong);
	WRITE_ONCE(ran[cpu], ran[cpu] + 1);
}

static void marks_reset(void)
{
	memset(ran, 0, sizeof(ran));
	wrong = 0;
}

/* On each core: queue n there. */
static void queue_marks(void *arg)
{
	unsigned int cpu = smp_processor_id(), n = (unsigned int)(uintptr_t)arg;

	for (unsigned int i = 0; i < n; i++) {
		marks[cpu][i].number = i;
		call_rcu(&marks[cpu][i].rcu, mark_ran);
	}
}

KTEST(rcu, callbacks_in_order)
{
	unsigned int here = cpumask_first(cpu_online());

	marks_reset();
	ktest_run_on(here);
	for (unsigned int i = 0; i < MARKS; i++) {
		marks[here][i].number = i;
		call_rcu(&marks[here][i].rcu, mark_ran);
		if (i % 10 == 9) /* over several grace periods */
			synchronize_rcu();
	}
	EXPECT(EVENTUALLY(READ_ONCE(ran[here]) == MARKS));
	EXPECT_EQ(wrong, 0);
}

KTEST(rcu, callback_waits)
{
	unsigned int here = cpumask_first(cpu_online());

	NEED_CORES(2);
	marks_reset();
	reader_start();
	queue_marks((void *)1);
	for (int i = 0; i < 10; i++) {
		sleep_ns(1000000);
		EXPECT_EQ(READ_ONCE(ran[here]), 0);
	}
	EXPECT_EQ(rcu_nr_callbacks(here), 1);
	EXPECT(!rcu_is_quiet());
	reader_stop();
	EXPECT(EVENTUALLY(READ_ONCE(ran[here]) == 1));
	EXPECT(EVENTUALLY(rcu_is_quiet()));
}

static void all_marks_ran(unsigned int n)
{
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		EXPECT_EQ(ran[cpu], n);
		/* The count falls when the whole batch has run. */
		EXPECT(EVENTUALLY(!rcu_nr_callbacks(cpu)));
	}
	EXPECT_EQ(wrong, 0);
}

KTEST(rcu, barrier)
{
	for (unsigned int n = 1; n <= MARKS; n *= 3) {
		marks_reset();
		on_each_cpu(queue_marks, (void *)n);
		rcu_barrier();
		all_marks_ran(n);
	}
}

/* With no callback queued it starts no grace period and returns at once. */
KTEST(rcu, barrier_without)
{
	uint32_t seq;

	EXPECT(EVENTUALLY(rcu_is_quiet()));
	seq = READ_ONCE(rcu_sched_state.gp_seq);
	for (int i = 0; i < 50; i++)
		rcu_barrier();
	EXPECT_EQ(READ_ONCE(rcu_sched_state.gp_seq), seq);
	EXPECT_EQ(rcu_sched_state.n_barrier_done & 1, 0);
}

struct own {
	struct rcu_head rcu;
	uint32_t done;
};

static void own_done(struct rcu_head *head)
{
	WRITE_ONCE(container_of(head, struct own, rcu)->done, 1);
}

static int barrier_often(void *arg)
{
	struct own own;

	(void)arg;
	for (int i = 0; i < 15; i++) {
		own.done = 0;
		call_rcu(&own.rcu, own_done);
		rcu_barrier();
		EXPECT_EQ(READ_ONCE(own.done), 1);
	}
	return 0;
}

/* Many at the same time; some need not wait, because another one was enough. */
KTEST(rcu, barriers_together)
{
	struct thread *t[6];

	for (int i = 0; i < 6; i++)
		t[i] = ktest_thread("barrier", barrier_often, NULL,
				    CPUMASK_ALL);
	for (int i = 0; i < 6; i++)
		thread_join(t[i]);
}

/* ---- a core goes ------------------------------------------------------------------------ */

/* Queued so late that the dying core cannot run them. */
static int queue_dying(struct notifier_block *nb, unsigned long event,
		       void *data)
{
	(void)nb;
	(void)data;
	if (event == CPU_DYING)
		queue_marks((void *)MARKS);
	return NOTIFY_OK;
}

KTEST(rcu, dead_core)
{
	static struct notifier_block nb = { .notifier_call = queue_dying,
					    .priority = -5,
					    .name = "queue" };
	unsigned int cpu;

	NEED_CORES(2);
	EXPECT_EQ(register_cpu_notifier(&nb), 0);
	for_each_online_cpu (cpu) {
		marks_reset();
		EXPECT_EQ(cpu_down(cpu), 0);
		EXPECT_EQ(rcu_nr_callbacks(cpu), 0);
		if (cpu % 2)
			rcu_barrier();
		else
			EXPECT(EVENTUALLY(READ_ONCE(ran[cpu]) == MARKS));
		EXPECT_EQ(ran[cpu], MARKS);
		EXPECT_EQ(wrong, 0);
		synchronize_rcu(); /* this does not wait for the callback */
		synchronize_rcu_expedited();
		EXPECT(!cpumask_test(rcu_sched_state.online, cpu));
		EXPECT_EQ(cpu_up(cpu), 0);
		EXPECT(cpumask_test(rcu_sched_state.online, cpu));
	}
	unregister_cpu_notifier(&nb);
}

/* ---- the stall report ----------------------------------------------------------------------- */

KTEST(rcu, stall)
{
	unsigned int stalls = rcu_stalls, cpu;
	uint64_t before = rcu_stall_ns;
	struct thread *t;

	NEED_CORES(2);
	rcu_stall_ns =
		300000000; /* longer than printing the report takes with shift=10 */
	cpu = reader_start();
	kprintf("    # a stall of core %u is to be reported\n", cpu);
	t = ktest_thread("waiter", wait_for_readers,
			 (void *)(uintptr_t)synchronize_rcu,
			 cpumask_of(cpumask_first(cpu_online())));
	EXPECT(EVENTUALLY(READ_ONCE(rcu_stalls) != stalls));
	EXPECT_EQ(rcu_owed(&rcu_sched_state).bits, cpumask_of(cpu).bits);
	rcu_stall_ns = before;
	reader_stop();
	thread_join(t);
	/* If the host has kept this thread waiting, there is more than one report. */
	ktest_reports(0, 0, READ_ONCE(rcu_stalls) - stalls);
}

/* ---- kfree_rcu -------------------------------------------------------------------------------- */

struct thing {
	char before[20];
	struct rcu_head rcu;
	char after[40];
};

KTEST(rcu, kfree_rcu)
{
	struct {
		char big[5000];
		struct rcu_head rcu;
	} * big;
	struct slab_stats before, after;
	struct thing *things[20];

	rcu_barrier();
	slab_stats(&before);
	for (int i = 0; i < 20; i++) {
		things[i] = kmalloc(sizeof(*things[i]));
		EXPECT(things[i] != NULL);
	}
	big = kmalloc(sizeof(*big));
	EXPECT(big != NULL);
	for (int i = 0; i < 20; i++)
		kfree_rcu(things[i], rcu);
	kfree_rcu(big, rcu);
	rcu_barrier();
	slab_stats(&after);
	EXPECT_EQ(after.active, before.active);
}
