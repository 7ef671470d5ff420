/*
 * Grace periods: when every core has passed through a quiescent state.
 *
 * How it works: the grace-period thread takes the lock, makes gp_seq odd and
 * writes down which cores are owed. A core in a quiescent state (a switch, a
 * tick or an IPI that interrupted no reader) that finds its bit set clears it
 * under the lock. Idle cores are never asked: each core counts its way in and
 * out of idle, and the thread reads that. When no core is owed gp_seq becomes
 * even, waiters and callback threads are woken.
 *
 * Why it is right:
 *   (a) A reader that began before the grace period runs with preemption off on
 *       a core that is owed (cores are added to `online` before they can run a
 *       reader). That core clears its bit only after the reader has ended, in
 *       program order before it takes the lock; whoever sees the grace period
 *       end has taken the lock after it. For idle cores the fully ordered
 *       idle count stands for the lock.
 *   (b) An updater's writes come before its snapshot of gp_seq (full barrier in
 *       rcu_request()); a grace period that starts later took the lock later;
 *       a reader that starts after its core cleared its bit took it later still.
 *   (c) A core looks at `owed` without the lock first. A stale "not owed" costs
 *       time until its next quiescent state, never correctness; a stale "owed"
 *       is looked at again under the lock.
 *
 * Locks: rsp->lock (spinlock, IRQs off), below it only wait queues and run
 * queues. Callbacks, barrier, hotplug and reports: kernel/rcu/callback.c.
 * Source: the requirements in Linux's Documentation/RCU; own design.
 */
#include "kernel/rcu/rcu.h"

#include "kernel/arch/clock.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/internal.h"

#define FORCE_NS 1000000ull /* to the first look at those who owe */

struct rcu_state rcu_sched_state = {
	.name = "rcu_sched",
	.barrier_mutex = MUTEX_INIT(rcu_sched_state.barrier_mutex,
				    "rcu_sched_state.barrier_mutex"),
};
struct rcu_state *rcu_states;

uint64_t rcu_stall_ns = 2000000000ull;
unsigned int rcu_stalls;

/* Odd: the core is busy; even: idle or off. Atomic, its own core writes. */
static struct {
	uint32_t count;
} cache_aligned idle_count[NR_CPUS];

#if GORDIAN_DEBUG
void rcu_read_lock(void)
{
	struct thread *t = current;

	preempt_disable();
	if (!t->irq_depth && t->lockdep.readers++ == 0) {
		t->lockdep.reader_site = CALLER;
		t->lockdep.reader_since = timer_about_now();
	}
}

void rcu_read_unlock(void)
{
	struct thread *t = current;

	if (!t->irq_depth)
		t->lockdep.readers--;
	preempt_enable();
}
#endif

/* ---- quiescent states ------------------------------------------------------------- */

/* A core owes no longer. rsp->lock held. */
static void clear_owed(struct rcu_debt *d, unsigned int cpu)
{
	if (!cpumask_test(d->owed, cpu))
		return;
	WRITE_ONCE(d->owed.bits, d->owed.bits & ~(1u << cpu));
	if (!d->owed.bits)
		wake_up(&d->wake);
}

/* The core is in a quiescent state now: good for both sorts. */
void rcu_report_qs(struct rcu_state *rsp, unsigned int cpu)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock);

	clear_owed(&rsp->gp, cpu);
	clear_owed(&rsp->exp, cpu);
	spin_unlock_irqrestore(&rsp->lock, flags);
}

/* This core is in a quiescent state. IRQs off. */
static void note_qs(unsigned int cpu)
{
	for (struct rcu_state *rsp = rcu_states; rsp; rsp = rsp->next)
		if (unlikely((READ_ONCE(rsp->gp.owed.bits) |
			      READ_ONCE(rsp->exp.owed.bits)) &
			     1u << cpu))
			rcu_report_qs(rsp, cpu);
}

/* In and out, seq_cst both: readers before idle have ended for whoever sees it idle, and
 * whoever sees it busy is seen by readers after. Pairs with rcu_idle_seen(). */
static void count_idle(unsigned int cpu)
{
	__atomic_fetch_add(&idle_count[cpu].count, 1, __ATOMIC_SEQ_CST);
}

/* A core starts: busy from here on, whatever its count says. */
void rcu_idle_start(unsigned int cpu)
{
	__atomic_fetch_or(&idle_count[cpu].count, 1, __ATOMIC_SEQ_CST);
}

uint32_t rcu_idle_seen(unsigned int cpu)
{
	smp_mb(); /* the grace period's start before the look: pairs with the
		   * idle exit's full ordering */
	return __atomic_load_n(&idle_count[cpu].count, __ATOMIC_SEQ_CST);
}

/*
 * Look at those who owe. A core that is idle, or was since the first look, owes
 * no longer; but by now it may read again, and one of the other sort may have
 * begun meanwhile: this is no news for that. Others are asked to switch.
 */
static void look_at_cores(struct rcu_state *rsp, struct rcu_debt *d, bool first)
{
	unsigned int cpu;

	for_each_cpu (cpu, cpumask_load(&d->owed)) {
		uint32_t now = rcu_idle_seen(cpu), flags;

		if (first)
			d->idle_snap[cpu] = now;
		if (!(now & 1) || now != d->idle_snap[cpu]) {
			flags = spin_lock_irqsave(&rsp->lock);
			clear_owed(d, cpu);
			spin_unlock_irqrestore(&rsp->lock, flags);
		} else if (!first) {
			resched_cpu(cpu);
		}
	}
}

/* ---- the grace period ------------------------------------------------------------- */

void rcu_gp_begin(struct rcu_state *rsp)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock);

	WRITE_ONCE(rsp->gp_seq, rsp->gp_seq + 1);
	WRITE_ONCE(rsp->gp.owed.bits, rsp->online.bits);
	spin_unlock_irqrestore(&rsp->lock, flags);
	rsp->gp_start = timer_now();
	trace_did(TR_GP_START, rsp, rsp->gp_seq, CALLER);
	look_at_cores(rsp, &rsp->gp, true);
	/* This thread runs here, outside any reader: a quiescent state. */
	preempt_disable();
	rcu_report_qs(rsp, smp_processor_id());
	preempt_enable();
}

void rcu_gp_await(struct rcu_state *rsp)
{
	unsigned int reports = 0, looks = 0;

	/* Ever rarer, up to 16 FORCE_NS: where an instruction takes 1 us a look
	 * takes longer than FORCE_NS, and this thread would never sleep. A stall
	 * is some looks too: where the host stands still and the clock goes on
	 * a young grace period is none. */
	while (!wait_event_timeout(&rsp->gp.wake, &idle_wait,
				   !READ_ONCE(rsp->gp.owed.bits),
				   FORCE_NS << min(looks, 4u))) {
		look_at_cores(rsp, &rsp->gp, false);
		/* The first after rcu_stall_ns, the next after 3 more each. */
		if (looks++ > 8 &&
		    timer_ns(timer_now() - rsp->gp_start) >
			    READ_ONCE(rcu_stall_ns) * (1 + 3 * reports)) {
			rcu_report_stall(rsp);
			reports++;
		}
	}
}

void rcu_gp_end(struct rcu_state *rsp)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock);
	unsigned int cpu;

	WRITE_ONCE(rsp->gp_seq, rsp->gp_seq + 1);
	spin_unlock_irqrestore(&rsp->lock, flags);
	trace_did(TR_GP_END, rsp, rsp->gp_seq, CALLER);
	wake_up_all(&rsp->gp_end);
	for_each_possible_cpu (cpu)
		if (READ_ONCE(rsp->data[cpu].cbs.len))
			wake_up(&rsp->data[cpu].wake);
}

/* The grace period as the kernel has it. */
void rcu_grace_period(struct rcu_state *rsp)
{
	rcu_gp_begin(rsp);
	rcu_gp_await(rsp);
	rcu_gp_end(rsp);
}

int rcu_gp_thread(void *arg)
{
	struct rcu_state *rsp = arg;

	for (;;) {
		wait_event_kind(&rsp->gp.wake, &idle_wait, rcu_gp_wanted(rsp));
		rsp->grace_period(rsp);
	}
	return 0;
}

uint32_t rcu_snap(struct rcu_state *rsp)
{
	smp_mb(); /* the caller's writes before the look at gp_seq: pairs with
		   * the lock in rcu_gp_begin() */
	return rcu_seq_snap(READ_ONCE(rsp->gp_seq));
}

void rcu_request(struct rcu_state *rsp, uint32_t snap)
{
	uint32_t flags;

	if (rcu_seq_done(READ_ONCE(rsp->request), snap))
		return; /* asked for already */
	flags = spin_lock_irqsave(&rsp->lock);
	if (!rcu_seq_done(rsp->request, snap))
		WRITE_ONCE(rsp->request, snap);
	wake_up(&rsp->gp.wake);
	spin_unlock_irqrestore(&rsp->lock, flags);
}

story void synchronize_rcu(void)
{
	struct rcu_state *rsp = &rcu_sched_state;
	uint32_t snap;

	might_sleep();
	trace_point(TR_GP_WAIT, rsp, 0, CALLER);
	snap = rcu_snap(rsp);
	rcu_request(rsp, snap);
	current->waiting.by = rsp->thread; /* it alone moves gp_seq */
	wait_event_kind(&rsp->gp_end, &gp_wait,
			rcu_seq_done(READ_ONCE(rsp->gp_seq), snap));
	smp_mb(); /* the end seen before what the caller does next: pairs with
		   * the lock in rcu_gp_end() */
}

/* ---- expedited --------------------------------------------------------------------- */

/* On a core that is owed: quiescent now, or as soon as it may switch. */
static void exp_handler(void *arg)
{
	unsigned int cpu = smp_processor_id();

	if (current->preempt_count == 0 && in_interrupt())
		rcu_report_qs(arg, cpu);
	else
		resched_cpu(cpu);
}

story void synchronize_rcu_expedited(void)
{
	struct rcu_state *rsp = &rcu_sched_state;
	uint32_t flags;

	might_sleep();
	mutex_lock(&rsp->exp_mutex);
	smp_mb(); /* the caller's writes before the cores are asked */
	flags = spin_lock_irqsave(&rsp->lock);
	/* This core: we are outside any reader, so it is quiescent. */
	WRITE_ONCE(rsp->exp.owed.bits,
		   rsp->online.bits & ~(1u << smp_processor_id()));
	spin_unlock_irqrestore(&rsp->lock, flags);
	look_at_cores(rsp, &rsp->exp, true);
	on_each_cpu_mask(cpumask_load(&rsp->exp.owed), exp_handler, rsp);
	while (!wait_event_timeout(&rsp->exp.wake, &gp_wait,
				   !READ_ONCE(rsp->exp.owed.bits), FORCE_NS))
		look_at_cores(rsp, &rsp->exp, false);
	smp_mb(); /* the end before what the caller does next */
	mutex_unlock(&rsp->exp_mutex);
}

/* ---- start -------------------------------------------------------------------------- */

static void rcu_state_init(struct rcu_state *rsp)
{
	unsigned int cpu;

	rsp->grace_period = rcu_grace_period;
	rsp->adopt = rcu_adopt;
	rsp->barrier = _rcu_barrier;
	spin_lock_init(&rsp->lock, "rcu_state.lock");
	wait_queue_init(&rsp->gp.wake, "a grace period to run");
	wait_queue_init(&rsp->gp_end, "a grace period");
	wait_queue_init(&rsp->exp.wake, "an expedited grace period");
	mutex_init(&rsp->exp_mutex, "rcu_state.exp_mutex");
	if (!rsp->barrier_mutex.name)
		mutex_init(&rsp->barrier_mutex, "rcu_state.barrier_mutex");
	for_each_possible_cpu (cpu) {
		rsp->data[cpu].rsp = rsp;
		cblist_init(&rsp->data[cpu].cbs);
		wait_queue_init(&rsp->data[cpu].wake, "callbacks");
	}
	rsp->online = cpu_online();
	rsp->next = rcu_states;
	smp_store_release(&rcu_states, rsp); /* initialised before it is seen */
}

void rcu_init(void)
{
	rcu_idle_start(smp_processor_id());
	rcu_state_init(&rcu_sched_state);
	sched_hooks.quiescent = note_qs;
	sched_hooks.idle_enter = sched_hooks.idle_exit = count_idle;
	rcu_register_notifiers();
}
