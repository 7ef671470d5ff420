/*
 * Grace periods. rcu.h says what RCU is for, and has the client's duties.
 *
 * How it works. The grace-period thread makes gp_seq odd and notes the cores
 * that owe a quiescent state, both under the lock. If a core in a quiescent
 * state (a switch, or a tick or IPI that interrupted no reader) finds its bit
 * set, it clears the bit under the lock. Idle cores are not disturbed: each
 * core counts how often it goes into idle and comes out, and the grace-period
 * thread reads this count. When no core owes any more, gp_seq becomes even, and
 * the waiting threads and the callback threads are woken.
 *
 * Why it is right:
 *   (a) A reader that began before the grace period runs with preemption off on
 *       a core that owes, because a core is added to `online` before it can run
 *       a reader. The core clears its bit after the reader has ended and then
 *       releases the lock. The grace-period thread takes the lock later, to end
 *       the grace period. For idle cores the fully ordered idle count has the
 *       role of the lock.
 *   (b) An updater's writes come before its snapshot of gp_seq (full barrier in
 *       rcu_snap()). A grace period that starts after the snapshot takes the
 *       lock after it. A core that clears its bit takes the lock later still.
 *       So a reader that starts there afterwards sees the writes.
 *   (c) A core first looks at `owed` without the lock. If it wrongly sees "not
 *       owed", the bit is cleared at its next quiescent state. If it wrongly
 *       sees "owed", it looks again under the lock.
 *
 * Locks: rsp->lock (spinlock, IRQs off). Only locks of wait queues and run
 * queues are taken inside it. Callbacks, barriers and hotplug:
 * kernel/rcu/callback.c. Reports: kernel/rcu/report.c.
 * Source: the requirements in Linux's Documentation/RCU; the design is our own.
 */
#include "kernel/rcu/rcu.h"

#include "kernel/arch/clock.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/internal.h"

#define FORCE_NS 1000000ull /* between the first checks of cores that owe */

struct rcu_state rcu_sched_state = {
	.name = "rcu_sched",
	.barrier_mutex = MUTEX_INIT(rcu_sched_state.barrier_mutex,
				    "rcu_sched_state.barrier_mutex"),
};
struct rcu_state *rcu_states;

uint64_t rcu_stall_ns = 2000000000ull;
unsigned int rcu_stalls;

/* The idle count of each core. Odd: the core is busy; even: it is idle or off.
 * Atomic; each core writes its own. */
static struct {
	uint32_t count;
} cache_aligned idle_count[NR_CPUS];

/* ---- quiescent states ---------------------------------------------------- */

/* The grace period no longer waits for the core. rsp->lock held. */
static void clear_owed(struct rcu_debt *d, unsigned int cpu)
{
	if (!cpumask_test(d->owed, cpu))
		return;
	WRITE_ONCE(d->owed.bits, d->owed.bits & ~(1u << cpu));
	if (!d->owed.bits)
		wake_up(&d->wake);
}

/* The core is in a quiescent state. Note this for both kinds of grace period,
 * normal and expedited. */
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

/* The core goes into idle or comes out. Seq_cst: pairs with rcu_idle_count(). A
 * thread that reads the new count sees the effects of the readers that ran here
 * before. If a thread reads the old count, readers that run here afterwards see
 * what the thread wrote before. */
static void count_idle(unsigned int cpu)
{
	__atomic_fetch_add(&idle_count[cpu].count, 1, __ATOMIC_SEQ_CST);
}

/* A core starts: it is busy from here on. Seq_cst: pairs with rcu_idle_count(),
 * as in count_idle(). */
void rcu_idle_start(unsigned int cpu)
{
	__atomic_fetch_or(&idle_count[cpu].count, 1, __ATOMIC_SEQ_CST);
}

uint32_t rcu_idle_count(unsigned int cpu)
{
	smp_mb(); /* the grace period starts before the count is read: pairs
		   * with the seq_cst add in count_idle() */
	return __atomic_load_n(&idle_count[cpu].count, __ATOMIC_SEQ_CST);
}

/*
 * Check the cores that owe. If a core is idle, or has been idle since the first
 * check, this grace period no longer waits for the core. A grace period of the
 * other kind (normal or expedited) may have begun later, when the core was in a
 * reader again. So it still waits for the core. From the second check on, cores
 * that still owe are asked to switch.
 */
static void check_owing_cores(struct rcu_state *rsp, struct rcu_debt *d,
			      bool first)
{
	unsigned int cpu;

	for_each_cpu (cpu, cpumask_load(&d->owed)) {
		uint32_t now = rcu_idle_count(cpu), flags;

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

/* ---- the grace period ---------------------------------------------------- */

void rcu_gp_begin(struct rcu_state *rsp)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock);

	WRITE_ONCE(rsp->gp_seq, rsp->gp_seq + 1);
	/* This thread runs on this core and is in no reader, so no thread is in
	 * a reader here. */
	WRITE_ONCE(rsp->gp.owed.bits,
		   rsp->online.bits & ~(1u << smp_processor_id()));
	spin_unlock_irqrestore(&rsp->lock, flags);
	WRITE_ONCE(rsp->gp_start, timer_now()); /* read by reports alone */
	trace_did(TR_GP_START, rsp, rsp->gp_seq, CALLER);
	check_owing_cores(rsp, &rsp->gp, true);
}

void rcu_gp_await(struct rcu_state *rsp)
{
	unsigned int reports = 0, looks = 0;

	if (!READ_ONCE(rsp->gp.owed.bits))
		return; /* all cores were idle */
	/* The time between two looks doubles until it is 16 FORCE_NS. If it
	 * stayed FORCE_NS, and a look took longer than that, this thread
	 * would never sleep. (A look takes longer with -icount, if an
	 * instruction takes 1 us.) The host of an emulator may stop while the
	 * guest's clock goes on, so report a stall only after more than 8
	 * looks. */
	while (!wait_event_timeout(&rsp->gp.wake, &idle_wait,
				   !READ_ONCE(rsp->gp.owed.bits),
				   FORCE_NS << min(looks, 4u))) {
		check_owing_cores(rsp, &rsp->gp, false);
		/* Report after rcu_stall_ns, then every 3 * rcu_stall_ns, until
		 * the grace period ends. */
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
	smp_mb(); /* store gp_seq, then look for threads that wait: pairs with
		   * wait_begin() in synchronize_rcu() */
	if (!list_empty(&rsp->gp_end.waiters))
		wake_up_all(&rsp->gp_end);
	for_each_possible_cpu (cpu)
		if (READ_ONCE(rsp->data[cpu].cbs.len))
			wake_up(&rsp->data[cpu].wake);
}

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

noinline void rcu_request_slow(struct rcu_state *rsp, uint32_t snap)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock);

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
	/* Only the grace-period thread changes gp_seq. */
	WRITE_ONCE(current->waiting.by, rsp->thread);
	wait_event_kind(&rsp->gp_end, &gp_wait,
			rcu_seq_done(READ_ONCE(rsp->gp_seq), snap));
	smp_mb(); /* the end of the grace period comes before the caller's next
		   * accesses; pairs with the lock in rcu_gp_end() */
}

/* ---- expedited ----------------------------------------------------------- */

/* Runs on a core that owes a quiescent state. If this is an interrupt, and it
 * has interrupted no reader, report a quiescent state now. Otherwise ask the
 * core to switch as soon as it can. (If this is a local call, the caller may be
 * a reader itself.) */
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
	/* If the caller itself is in a reader, its own core owes, too. Then
	 * this function never returns: schedule() does not allow the wait. */
	bool in_reader = current->preempt_count != 0;
	uint32_t flags;

	might_sleep();
	mutex_lock(&rsp->exp_mutex);
	smp_mb(); /* the caller's writes come before `owed` is set; pairs with
		   * the lock in rcu_report_qs(): a reader that starts after
		   * its core's report sees these writes */
	flags = spin_lock_irqsave(&rsp->lock);
	/* This thread runs on this core, so no other thread is in a reader
	 * here. */
	WRITE_ONCE(rsp->exp.owed.bits,
		   rsp->online.bits &
			   ~((uint32_t)!in_reader << smp_processor_id()));
	spin_unlock_irqrestore(&rsp->lock, flags);
	check_owing_cores(rsp, &rsp->exp, true);
	on_each_cpu_mask(cpumask_load(&rsp->exp.owed), exp_handler, rsp);
	while (!wait_event_timeout(&rsp->exp.wake, &gp_wait,
				   !READ_ONCE(rsp->exp.owed.bits), FORCE_NS))
		check_owing_cores(rsp, &rsp->exp, false);
	smp_mb(); /* the last core's report comes before the caller's next
		   * accesses; pairs with the lock around clear_owed() */
	mutex_unlock(&rsp->exp_mutex);
}

/* ---- start --------------------------------------------------------------- */

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
	/* Release: *rsp is initialised before it is seen. Pairs with the
	 * address dependency in the loops over rcu_states. */
	smp_store_release(&rcu_states, rsp);
}

void rcu_init(void)
{
	rcu_idle_start(smp_processor_id());
	rcu_state_init(&rcu_sched_state);
	sched_hooks.quiescent = note_qs;
	sched_hooks.idle_enter = sched_hooks.idle_exit = count_idle;
	rcu_register_notifiers();
}
