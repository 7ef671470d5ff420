/*
 * Suite sched: a thread's life from creation to join, parking, and what each core and
 * each thread has of its own.
 */
#include <string.h>

#include "kernel/lib/errno.h"
#include "kernel/mm/page.h"
#include "kernel/mm/stack.h"
#include "kernel/cpu/cpu.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/threads.h"

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

/* Create threads until there is no room for another; then do it all again. */
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
	/* The reference from thread_find() keeps it. */
	EXPECT(found->id == id && found->exited);
	thread_put(found);
	EXPECT(EVENTUALLY(!(found = thread_find(id)) ||
			  (thread_put(found), false)));
	EXPECT(!thread_find(~0u));
}

/* ---- parking ------------------------------------------------------------------------------ */

static struct wait_queue parking = WAIT_QUEUE_INIT(parking, "parking");

/* A spinner that parks when it is told to. */
static int park_and_spin(void *arg)
{
	struct spinner *s = arg;

	while (!READ_ONCE(s->stop)) {
		if (kthread_should_park())
			kthread_parkme();
		WRITE_ONCE(s->cpu, smp_processor_id());
		WRITE_ONCE(s->loops, s->loops + 1);
		if (READ_ONCE(s->sleep_ns))
			wait_event_timeout(&parking, &idle_wait,
					   kthread_should_park(), s->sleep_ns);
		else
			ktest_busy();
	}
	return 0;
}

static void check_parking(unsigned int cpu, uint32_t ns)
{
	struct spinner s = { .sleep_ns = ns };
	uint32_t loops;

	s.t = thread_create_on_cpu("parker", park_and_spin, &s, PRIO_NORMAL,
				   cpu);
	EXPECT(s.t != NULL);
	sleep_ns(KTEST_LOOK_NS);
	EXPECT_EQ(READ_ONCE(s.loops), 0); /* it starts parked */
	EXPECT_EQ(thread_set_affinity(s.t, CPUMASK_ALL), -EINVAL);
	kthread_park(s.t); /* changes nothing */
	for (int i = 0; i < 25; i++) {
		kthread_unpark(s.t);
		if (i % 2)
			EXPECT(spinner_advances(&s, 1));
		kthread_park(s.t);
		loops = READ_ONCE(s.loops);
		EXPECT_EQ(READ_ONCE(s.t->state), TASK_PARKED);
		sleep_ns(KTEST_LOOK_NS);
		EXPECT_EQ(READ_ONCE(s.loops), loops);
		wake_up_process(s.t); /* a wake-up does not unpark it */
		EXPECT_EQ(READ_ONCE(s.t->state), TASK_PARKED);
	}
	kthread_unpark(s.t);
	kthread_unpark(s.t); /* changes nothing */
	EXPECT(spinner_advances(&s, 1));
	EXPECT_EQ(READ_ONCE(s.cpu), cpu);
	spinner_stop(&s);
}

KTEST(sched, park)
{
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		check_parking(cpu, 0);
		check_parking(cpu, 20000);
	}
}

/* ---- what is a core's own ------------------------------------------------------------------ */

static struct {
	uint32_t arrived, wrong, cores;
	unsigned int caller;
} meeting;

/* Run by all cores at the same time. */
static void check_own_state(void *arg)
{
	unsigned int cpu = smp_processor_id();
	struct thread *me = current;
	uint32_t sp = (uint32_t)(uintptr_t)__builtin_frame_address(0);
	bool direct = cpu == meeting.caller;

	(void)arg;
	ktest_count(&meeting.arrived);
	while (READ_ONCE(meeting.arrived) != meeting.cores)
		ktest_busy();
	if (cpu != board_this_core() || me->cpu != cpu || current != me ||
	    me->irq_depth != !direct || in_interrupt() == direct ||
	    !irqs_disabled() || sched_running(cpu) != me)
		ktest_count(&meeting.wrong);
	/* The main thread runs on the boot stack, the others on their own. */
	if (me->stack && (sp <= me->stack || sp >= me->stack_top))
		ktest_count(&meeting.wrong);
	if (me->is_idle && me->preempt_count != 0)
		ktest_count(&meeting.wrong);
}

KTEST(sched, each_core_its_own)
{
	for (int i = 0; i < 20; i++) {
		memset(&meeting, 0, sizeof(meeting));
		preempt_disable();
		meeting.cores = ktest_cores();
		meeting.caller = smp_processor_id();
		on_each_cpu(check_own_state, NULL);
		preempt_enable();
		EXPECT_EQ(meeting.arrived, meeting.cores);
		EXPECT_EQ(meeting.wrong, 0);
	}
}

static void check_counts(struct thread *t, void *arg)
{
	unsigned int *checked = arg;

	if (!ktest_sleeps(t) && READ_ONCE(t->state) != TASK_PARKED)
		return;
	(*checked)++;
	EXPECT_EQ(READ_ONCE(t->preempt_count), 0);
	EXPECT_EQ(READ_ONCE(t->irq_depth), 0);
}

/* No sleeping thread has a preempt or interrupt count left over. */
KTEST(sched, counts_balanced)
{
	for (int i = 0; i < 10; i++) {
		unsigned int checked = 0;

		threads_for_each(check_counts, &checked);
		EXPECT(checked > 0);
		sleep_ns(KTEST_LOOK_NS);
	}
}
