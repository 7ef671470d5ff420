/*
 * What must be true at the prompt of every boot: all cores of the board are on,
 * and each runs a thread that is bound to it.
 */
#include "drivers/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/sched/sched.h"
#include "tests/kernel/ktest.h"

/* Where it runs, from the hardware and from the scheduler. */
static int where_am_i(void *arg)
{
	bool *at_home = arg;

	preempt_disable();
	*at_home = board.mpidr[smp_processor_id()] == read_mpidr();
	preempt_enable();
	return (int)smp_processor_id();
}

KTEST(boot, all_cores_are_on)
{
	EXPECT_EQ(cpumask_weight(cpu_possible_mask), board.nr_cores);
	EXPECT_EQ(cpu_online().bits, cpu_possible_mask.bits);
}

KTEST(boot, each_core_runs_its_thread)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		bool at_home = false;
		struct thread *t = thread_create("pinned", where_am_i, &at_home,
						 PRIO_NORMAL, cpumask_of(cpu));

		EXPECT(t != NULL);
		if (!t)
			continue;
		EXPECT_EQ(thread_join(t), cpu);
		EXPECT(at_home);
	}
}
