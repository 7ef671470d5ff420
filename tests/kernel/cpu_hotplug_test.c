/*
 * Suite cpu: cores go off and on; the notifiers see each step, and one of them may
 * refuse it.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/lib/errno.h"
#include "tests/kernel/cpu_log.h"
#include "tests/kernel/ktest.h"

/* Each core in turn, also the boot core and the one that this thread runs on. */
KTEST(cpu, off_and_on)
{
	unsigned int cpu;

	NEED_CORES(2);
	for_each_online_cpu (cpu) {
		unsigned int offs = cpu_offs, ons = cpu_ons;

		EXPECT_EQ(thread_set_affinity(current, cpumask_of(cpu)), 0);
		core_down(cpu); /* so this thread moves, against its affinity */
		EXPECT(smp_processor_id() != cpu);
		EXPECT_EQ(cpu_down(cpu), -EINVAL);
		core_up(cpu);
		EXPECT_EQ(cpu_up(cpu), -EINVAL);
		EXPECT(cpu_offs == offs + 1 && cpu_ons == ons + 1);
	}
}

KTEST(cpu, bad_numbers)
{
	static const unsigned int bad[] = { 31, 32, 99, 0x80000000u, ~0u };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		if (cpumask_test(cpu_possible_mask, bad[i]))
			continue;
		EXPECT_EQ(cpu_up(bad[i]), -EINVAL);
		EXPECT_EQ(cpu_down(bad[i]), -EINVAL);
		EXPECT_EQ(smp_call_function_single(bad[i], NULL, NULL, true),
			  -ENODEV);
	}
}

static void check_last_core(unsigned int last)
{
	unsigned int cpu;

	for_each_cpu (cpu, cpumask_andnot(cpu_possible_mask, cpumask_of(last)))
		core_down(cpu);
	EXPECT_EQ(cpu_online().bits, cpumask_of(last).bits);
	EXPECT_EQ(cpu_down(last), -EBUSY);
	EXPECT(cpu_is_online(last));
	for_each_cpu (cpu, cpumask_andnot(cpu_possible_mask, cpumask_of(last)))
		core_up(cpu);
}

KTEST(cpu, last_one_stays)
{
	unsigned int a = ktest_first_core(), b = ktest_last_core();

	check_last_core(a);
	if (a != b)
		check_last_core(b);
}

/* Several threads take cores on and off at the same time: each request has an
 * answer. */
KTEST(cpu, concurrent_requests)
{
	struct thread *t[3];

	NEED_CORES(2);
	for (unsigned int i = 0; i < 3; i++)
		t[i] = ktest_thread("toggler", toggle_cores, (void *)(i + 7),
				    CPUMASK_ALL);
	for (unsigned int i = 0; i < 3; i++)
		thread_join(t[i]);
	cores_up();
}

/* ---- notifiers ------------------------------------------------------------------------ */

KTEST(cpu, events)
{
	unsigned int cpu;

	NEED_CORES(2);
	for_each_online_cpu (cpu) {
		cpu_log_start(cpu);
		core_down(cpu);
		cpu_log_check(DOWN);
		core_up(cpu);
		cpu_log_check(UP);
		cpu_log_stop();
	}
}

/* Notifier who answers event with ret: the request fails with err. */
static void refuse(char who, unsigned long event, int ret, int err,
		   const char *want)
{
	bool going_up = event == CPU_UP_PREPARE;

	cpu_log.refuser = who;
	cpu_log.refused_event = event;
	cpu_log.refusal = ret;
	EXPECT_EQ(going_up ? cpu_up(cpu_log.cpu) : cpu_down(cpu_log.cpu), err);
	EXPECT_EQ(cpu_is_online(cpu_log.cpu), !going_up);
	EXPECT_EQ(core_ops->is_off(cpu_log.cpu), going_up);
	cpu_log_check(want);
	cpu_log.refuser = 0;
}

/* Those who were told to prepare before the refusal are told to go back: not the
 * refuser, and nobody else. */
KTEST(cpu, up_refused)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	cpu_log_start(cpu);
	core_down(cpu);
	cpu_log_check(DOWN);
	refuse('h', CPU_UP_PREPARE, NOTIFY_BAD, -EBUSY, "hP");
	refuse('m', CPU_UP_PREPARE, NOTIFY_BAD, -EBUSY, "hPmPhC");
	refuse('l', CPU_UP_PREPARE, notifier_from_errno(-EINTR), -EINTR,
	       "hPmPlPhCmC");
	core_up(cpu);
	cpu_log_check(UP);
	cpu_log_stop();
}

KTEST(cpu, down_refused)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	cpu_log_start(cpu);
	refuse('h', CPU_DOWN_PREPARE, NOTIFY_BAD, -EBUSY, "hD");
	refuse('m', CPU_DOWN_PREPARE, notifier_from_errno(-EINTR), -EINTR,
	       "hDmDhF");
	refuse('l', CPU_DOWN_PREPARE, NOTIFY_BAD, -EBUSY, "hDmDlDhFmF");
	/* The core's own threads are at work again. */
	check_core_runs(cpu);
	core_down(cpu);
	cpu_log_check(DOWN);
	core_up(cpu);
	cpu_log_check(UP);
	cpu_log_stop();
}
