/*
 * RCU's reports: stalls, the command `rcu`, readings for others.
 *
 * Other cores may change these data while they are read, so callers must not
 * rely on the answers. Any context but FIQ, unless a comment says otherwise.
 */
#include "kernel/arch/clock.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/internal.h"

unsigned int rcu_nr_callbacks(unsigned int cpu)
{
	return READ_ONCE(rcu_sched_state.data[cpu].cbs.len);
}

/* obj is a struct rcu_state, or the completion of its barrier: return the
 * struct rcu_state. NULL if obj is neither. */
static struct rcu_state *rcu_of(const void *obj)
{
	struct rcu_state *rsp = rcu_states;

	while (rsp && obj != rsp && obj != &rsp->barrier_completion)
		rsp = rsp->next;
	return rsp;
}

/* Is t a reader that the grace period waits for? A reader cannot be preempted.
 * The grace-period thread itself is no reader. */
static bool is_awaited_reader(const struct waiting *w, const struct thread *t)
{
	struct rcu_state *rsp = rcu_of(w->obj);

	return rsp && thread_is_on_core(t) && t != rsp->thread &&
	       READ_ONCE(t->preempt_count) &&
	       cpumask_test(rcu_owed(rsp), t->cpu);
}

/* Must t run callbacks, or end a grace period, before the barrier's last
 * callback has run? */
static bool must_act_for_barrier(const struct waiting *w,
				 const struct thread *t)
{
	struct rcu_state *rsp = rcu_of(w->obj);
	struct rcu_data *rdp;

	if (!rsp)
		return false;
	rdp = &rsp->data[t->cpu];
	if (t == rdp->thread)
		return READ_ONCE(rdp->cbs.len) && cblist_ready(&rdp->cbs);
	return t == rsp->thread && !rcu_seq_done(READ_ONCE(rsp->gp_seq),
						 READ_ONCE(rsp->barrier_snap));
}

struct rcu_state *rcu_awaits_cores(const struct thread *t)
{
	struct rcu_state *rsp = rcu_states;

	while (rsp && (rsp->thread != t || cpumask_empty(rcu_owed(rsp))))
		rsp = rsp->next;
	return rsp;
}

struct cpumask rcu_owed(struct rcu_state *rsp)
{
	return cpumask_load(&rsp->gp.owed);
}

static void print_reader(const struct thread *t maybe_unused)
{
#if GORDIAN_DEBUG
	const struct lockdep_thread *l = &t->lockdep;
	uint64_t us = timer_ns(timer_now() - l->reader_since) / 1000;

	if (READ_ONCE(l->readers))
		kprintf("    in a reader for %u.%06u s, entered at %pS\n",
			(unsigned int)(us / 1000000),
			(unsigned int)(us % 1000000), (void *)l->reader_site);
#endif
}

/* If obj is a struct rcu_state, print the cores that owe a quiescent state. If
 * obj is the completion of a barrier, print the cores that have callbacks. */
static void print_awaited(const void *obj)
{
	struct rcu_state *rsp = rcu_of(obj);
	unsigned int cpu;

	if (!rsp)
		return;
	for_each_possible_cpu (cpu) {
		const struct thread *t = sched_running(cpu);
		unsigned int left = READ_ONCE(rsp->data[cpu].cbs.len);

		if (obj != rsp && left)
			kprintf("    core %u%s: %u callbacks queued\n", cpu,
				cpu_is_online(cpu) ? "" : " (off)", left);
		if (obj != rsp || !cpumask_test(rcu_owed(rsp), cpu))
			continue;
		kprintf("  core %u owes a quiescent state: runs thread %u "
			"(%s),\n",
			cpu, t->id, t->name);
		kprintf("    preempt_count %d, %u callbacks queued\n",
			READ_ONCE(t->preempt_count), left);
		print_reader(t);
	}
}

const struct wait_ops gp_wait = {
	.name = "grace period",
	.relation = "up to",
	.event = true,
};

const struct wait_ops barrier_wait = {
	.name = "completion",
	.relation = "up to",
	.event = true,
	.waits_on = must_act_for_barrier,
	.print = print_awaited,
};

const struct wait_ops readers_wait = {
	.name = "readers",
	.relation = "where runs",
	.event = true,
	.waits_on = is_awaited_reader,
	.print = print_awaited,
};

/* Called by the grace-period thread. So this thread runs, and a core is the
 * cause of the stall. */
void rcu_report_stall(struct rcu_state *rsp)
{
	uint64_t ms = timer_ns(timer_now() - rsp->gp_start) / 1000000;

	kprintf("rcu: stall: grace period %u of %s runs for %u ms\n",
		(rsp->gp_seq + 1) >> 1, rsp->name, (unsigned int)ms);
	print_awaited(rsp);
	backtrace_all_cores();
	WRITE_ONCE(rcu_stalls, rcu_stalls + 1); /* the report is out */
}

void rcu_print(void)
{
	const struct rcu_state *rsp = &rcu_sched_state;
	uint32_t seq = READ_ONCE(rsp->gp_seq);
	unsigned int cpu;

	kprintf("%s: grace period %u %s, %s\n", rsp->name, (seq + 1) >> 1,
		seq & 1 ? "runs" : "ended",
		rcu_gp_wanted(rsp) ? "more wanted" : "none wanted");
	kprintf("barriers done: %u%s; stalls reported: %u\n",
		READ_ONCE(rsp->n_barrier_done) / 2,
		mutex_is_locked(&rsp->barrier_mutex) ? ", one under way" : "",
		rcu_stalls);
	kprintf("%4s  %-7s %-5s %9s\n", "core", "counted", "owed", "callbacks");
	for_each_possible_cpu (cpu)
		kprintf("%4u  %-7s %-5s %9u\n", cpu,
			cpumask_test(rsp->online, cpu) ? "yes" : "-",
			cpumask_test(rsp->gp.owed, cpu) ? "yes" : "-",
			rcu_nr_callbacks(cpu));
	print_awaited(rsp);
}
