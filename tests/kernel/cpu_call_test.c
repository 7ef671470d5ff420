/*
 * Suite cpu: stop_machine(), and calls to other cores.
 */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/stop_machine.h"
#include "kernel/lib/errno.h"
#include "tests/kernel/cpu_log.h"
#include "tests/kernel/threads.h"

/* ---- stop_machine -------------------------------------------------------------------------------- */

static struct {
	struct spinner s[NR_CPUS];
	uint32_t wrong, ran;
} stop;

/* All other cores must stand still, and this must be the right one. */
static int check_standstill(void *arg)
{
	uint32_t loops[NR_CPUS];
	unsigned int cpu;

	for_each_online_cpu (cpu)
		loops[cpu] = READ_ONCE(stop.s[cpu].loops);
	for (int i = 0; i < 50; i++)
		ktest_busy();
	for_each_online_cpu (cpu)
		if (READ_ONCE(stop.s[cpu].loops) != loops[cpu])
			ktest_count(&stop.wrong);
	if (smp_processor_id() != (unsigned int)(uintptr_t)arg ||
	    !irqs_disabled())
		ktest_count(&stop.wrong);
	ktest_count(&stop.ran);
	return 42;
}

static int stop_often(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < 6; i++) {
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;

		get_online_cpus();
		EXPECT_EQ(stop_machine(check_standstill, (void *)(uintptr_t)cpu,
				       cpu),
			  42);
		put_online_cpus();
	}
	return 0;
}

KTEST(cpu, stop_machine)
{
	unsigned int cpu;
	struct thread *t[3];

	memset(&stop, 0, sizeof(stop));
	for_each_online_cpu (cpu) {
		spinner_start(&stop.s[cpu], cpumask_of(cpu), 0);
		EXPECT(spinner_advances(&stop.s[cpu], 3));
	}
	for (unsigned int i = 0; i < 3; i++)
		t[i] = ktest_thread("stopper", stop_often, (void *)(i + 5),
				    CPUMASK_ALL);
	for (unsigned int i = 0; i < 3; i++)
		thread_join(t[i]);
	EXPECT_EQ(stop.ran, 18);
	EXPECT_EQ(stop.wrong, 0);
	if (board.nr_cores < NR_CPUS)
		EXPECT_EQ(stop_machine(check_standstill, NULL, NR_CPUS - 1),
			  -ENODEV);
	for_each_online_cpu (cpu) {
		EXPECT(spinner_advances(&stop.s[cpu], 3)); /* all go on */
		spinner_stop(&stop.s[cpu]);
	}
}

/* ---- calls to other cores --------------------------------------------------------------------------- */

static struct {
	uint32_t ran[NR_CPUS], wrong;
} calls;

static void called(void *arg)
{
	unsigned int cpu = smp_processor_id();

	if (cpu != (unsigned int)(uintptr_t)arg || !irqs_disabled())
		ktest_count(&calls.wrong);
	ktest_count(&calls.ran[cpu]);
}

static void called_anywhere(void *arg)
{
	(void)arg;
	called((void *)(uintptr_t)smp_processor_id());
}

static uint32_t calls_ran(void)
{
	uint32_t sum = 0;

	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		sum += READ_ONCE(calls.ran[cpu]);
	return sum;
}

KTEST(cpu, call_function)
{
	unsigned int cpu, n = ktest_cores();

	memset(&calls, 0, sizeof(calls));
	for_each_online_cpu (cpu) {
		void *arg = (void *)(uintptr_t)cpu;

		EXPECT_EQ(smp_call_function_single(cpu, called, arg, true), 0);
		EXPECT_EQ(calls.ran[cpu], 1);
		EXPECT_EQ(smp_call_function_single(cpu, called, arg, false), 0);
		EXPECT(EVENTUALLY(READ_ONCE(calls.ran[cpu]) == 2));
	}
	on_each_cpu(called_anywhere, NULL);
	EXPECT_EQ(calls_ran(), 3 * n);
	on_each_cpu_mask(cpumask_of(ktest_first_core()), called_anywhere, NULL);
	EXPECT_EQ(calls.ran[ktest_first_core()], 4);
	on_each_cpu_mask(CPUMASK_NONE, called_anywhere, NULL);
	EXPECT_EQ(calls_ran(), 3 * n + 1);
	EXPECT_EQ(calls.wrong, 0);
}

#define CALLS 200u

static uint32_t calls_accepted;

static int call_all(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	for (unsigned int i = 0; i < CALLS; i++) {
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;
		bool wait = ktest_random(&rnd) % 2;
		int err;

		if (ktest_random(&rnd) % 16 == 0)
			on_each_cpu_mask(CPUMASK_NONE, called_anywhere, NULL);
		err = smp_call_function_single(cpu, called,
					       (void *)(uintptr_t)cpu, wait);
		if (!err)
			ktest_count(&calls_accepted);
		else
			EXPECT_EQ(err, -ENODEV);
	}
	return 0;
}

/* Each call that is accepted runs once, on its core, also if that core is about to
 * go off. */
KTEST(cpu, call_function_stress)
{
	struct thread *t[NR_CPUS], *togglers[2];
	unsigned int cpu, n = 0;

	memset(&calls, 0, sizeof(calls));
	calls_accepted = 0;
	for_each_possible_cpu (cpu)
		t[n++] = ktest_thread("caller", call_all,
				      (void *)(uintptr_t)(cpu + 1),
				      CPUMASK_ALL);
	for (unsigned int i = 0; i < 2; i++)
		togglers[i] = ktest_thread("toggler", toggle_cores,
					   (void *)(uintptr_t)(i + 9),
					   CPUMASK_ALL);
	while (n)
		thread_join(t[--n]);
	thread_join(togglers[0]);
	thread_join(togglers[1]);
	EXPECT(EVENTUALLY(calls_ran() == READ_ONCE(calls_accepted)));
	EXPECT_EQ(calls.wrong, 0);
	EXPECT(calls_accepted > CALLS / 2);
	cores_up();
}
