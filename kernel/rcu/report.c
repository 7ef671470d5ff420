/*
 * RCU's reports: stalls, the `rcu` command, readings for others.
 *
 * Readings are racy by nature and say so by being reports. Any context but FIQ
 * unless said otherwise.
 */
#include "drivers/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/internal.h"

unsigned int rcu_nr_callbacks(unsigned int cpu)
{
	return READ_ONCE(rcu_sched_state.data[cpu].cbs.len);
}

bool rcu_is_quiet(void)
{
	const struct rcu_state *rsp = &rcu_sched_state;
	unsigned int cpu;

	for_each_online_cpu (cpu)
		if (rcu_nr_callbacks(cpu))
			return false;
	return rcu_seq_done(READ_ONCE(rsp->gp_seq), READ_ONCE(rsp->request)) &&
	       !(READ_ONCE(rsp->gp_seq) & 1);
}

struct cpumask rcu_owed(struct rcu_state *rsp)
{
	return cpumask_load(&rsp->owed);
}

/* From the grace-period thread: so that thread ran, the readers did not end. */
void rcu_report_stall(struct rcu_state *rsp)
{
	uint64_t ms = timer_ns(timer_now() - rsp->gp_start) / 1000000;
	unsigned int cpu;

	kprintf("rcu: stall: grace period %u of %s runs for %u ms\n",
		rsp->gp_seq >> 1, rsp->name, (unsigned int)ms);
	for_each_cpu (cpu, cpumask_load(&rsp->owed)) {
		const struct thread *t = sched_running(cpu);

		kprintf("  core %u owes a quiescent state: runs thread %u "
			"(%s),\n",
			cpu, t->id, t->name);
		kprintf("    preempt_count %d, %u callbacks queued\n",
			READ_ONCE(t->preempt_count), rcu_nr_callbacks(cpu));
	}
	backtrace_all_cores();
	WRITE_ONCE(rcu_stalls, rcu_stalls + 1); /* the report is out */
}

void rcu_print(void)
{
	const struct rcu_state *rsp = &rcu_sched_state;
	uint32_t seq = READ_ONCE(rsp->gp_seq);
	unsigned int cpu;

	kprintf("%s: grace period %u %s, %s\n", rsp->name, seq >> 1,
		seq & 1 ? "runs" : "ended",
		rcu_seq_done(seq, READ_ONCE(rsp->request)) ? "none wanted" :
							     "more wanted");
	kprintf("barriers done: %u%s; stalls reported: %u\n",
		READ_ONCE(rsp->n_barrier_done) / 2,
		mutex_is_locked(&rsp->barrier_mutex) ? ", one under way" : "",
		rcu_stalls);
	kprintf("%4s  %-7s %-5s %9s\n", "core", "awaited", "owed", "callbacks");
	for_each_possible_cpu (cpu)
		kprintf("%4u  %-7s %-5s %9u\n", cpu,
			cpumask_test(rsp->online, cpu) ? "yes" : "-",
			cpumask_test(rsp->owed, cpu) ? "yes" : "-",
			rcu_nr_callbacks(cpu));
}
