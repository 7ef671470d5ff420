/*
 * Forms of rcu_barrier() that several experiments use, what they need of RCU,
 * and a callback that shows whether a barrier has waited for it.
 *
 * Read the forms beside _rcu_barrier() in kernel/rcu/callback.c. A scenario names
 * the form it runs with (.world.rcu); lab/world.c exchanges it.
 *
 * `words` is written by the core that queues the callback, by the callback and by
 * one watched barrier, one after another; its flags say in which order.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/arch/clock.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"

/* ---- McKenney's first proposal (2 October 2012) ----------------------------- */

/*
 * "Take the hotplug lock only when not called from a hotplug notifier." Whoever
 * calls from one is the active writer.
 */
static story void _rcu_barrier__mck(struct rcu_state *rsp)
{
	bool notifier = READ_ONCE(cpu_hotplug.active_writer) == current;
	uint32_t snap = rcu_barrier_enter(rsp, CALLER);
	unsigned int cpu;

	saw(__func__);
	mutex_lock(&rsp->barrier_mutex);
	if (!rcu_barrier_gone_by(rsp, snap)) {
		rcu_barrier_begin(rsp);
		if (!notifier)
			get_online_cpus();
		for_each_online_cpu (cpu)
			rcu_barrier_entrain(rsp, cpu);
		if (!notifier)
			put_online_cpus();
		rcu_barrier_wait(rsp);
	}
	mutex_unlock(&rsp->barrier_mutex);
	trace_did(TR_BARRIER_END, rsp, 0, CALLER);
}

const struct rcu_parameters rcu_mckenney = {
	.name = "_rcu_barrier__mck",
	.barrier = _rcu_barrier__mck,
};

/* ---- before commit 1331e7a1bbe1: Linux 3.6 ---------------------------------- */

/*
 * No hotplug lock. A dead core's callbacks go to the orphanage, and from there
 * to the core that cleans up, unless a barrier is in progress: then only that
 * barrier may adopt them, and it queues one more callback behind them.
 */
static struct cblist orphans;		       /* rsp->lock */
static struct thread *rcu_barrier_in_progress; /* rsp->lock */
/* Linux looked again every jiffy; this way it can be seen who waits for what. */
static struct wait_queue adopted =
	WAIT_QUEUE_INIT(adopted, "a dead core's callbacks to be moved");

/* rsp->lock held. */
static void rcu_adopt_orphan_cbs(struct rcu_state *rsp, uint32_t snap)
{
	struct cblist *mine = &rsp->data[smp_processor_id()].cbs;

	if (rcu_barrier_in_progress && rcu_barrier_in_progress != current)
		return;
	cblist_advance(mine, rsp->gp_seq);
	cblist_adopt(mine, &orphans, snap);
}

static void rcu_adopt__3_6(struct rcu_state *rsp, unsigned int dead)
{
	uint32_t flags = spin_lock_irqsave(&rsp->lock), snap = rcu_snap(rsp);
	struct rcu_data *mine = &rsp->data[smp_processor_id()];

	if (!orphans.tail[CB_DONE])
		cblist_init(&orphans);
	cblist_advance(&orphans, rsp->gp_seq);
	cblist_adopt(&orphans, &rsp->data[dead].cbs, snap);
	rcu_adopt_orphan_cbs(rsp, snap);
	spin_unlock_irqrestore(&rsp->lock, flags);
	rcu_request(rsp, snap);
	wake_up(&mine->wake);
	wake_up_all(&adopted);
}

static bool moved(struct rcu_state *rsp, unsigned int cpu)
{
	return cpu_is_online(cpu) || !READ_ONCE(rsp->data[cpu].cbs.len);
}

/* What is an orphan now is adopted here, and one callback goes behind. */
static void adopt_and_follow(struct rcu_state *rsp, struct rcu_data *rd)
{
	uint32_t irqs = local_irq_save(), snap;
	uint32_t flags = spin_lock_irqsave(&rsp->lock);
	struct rcu_data *mine = &rsp->data[smp_processor_id()];

	snap = rcu_snap(rsp);
	if (orphans.tail[CB_DONE])
		rcu_adopt_orphan_cbs(rsp, snap);
	rcu_barrier_in_progress = NULL;
	spin_unlock_irqrestore(&rsp->lock, flags);
	rcu_request(rsp, snap);
	rcu_barrier_queue(rd, &mine->cbs);
	wake_up(&mine->wake);
	local_irq_restore(irqs);
}

static story void _rcu_barrier__3_6(struct rcu_state *rsp)
{
	uint32_t snap = rcu_barrier_enter(rsp, CALLER), flags;
	struct rcu_data rd = { .rsp = rsp }; /* for its barrier_head */
	unsigned int cpu;

	saw(__func__);
	mutex_lock(&rsp->barrier_mutex);
	if (!rcu_barrier_gone_by(rsp, snap)) {
		rcu_barrier_begin(rsp);
		flags = spin_lock_irqsave(&rsp->lock);
		rcu_barrier_in_progress = current;
		spin_unlock_irqrestore(&rsp->lock, flags);
		for_each_possible_cpu (cpu) {
			/* It cannot go between the look and the call. */
			preempt_disable();
			if (cpu_is_online(cpu)) {
				rcu_barrier_entrain(rsp, cpu);
				preempt_enable();
			} else {
				preempt_enable();
				wait_event(&adopted, moved(rsp, cpu));
			}
		}
		adopt_and_follow(rsp, &rd);
		rcu_barrier_wait(rsp);
	}
	mutex_unlock(&rsp->barrier_mutex);
	trace_did(TR_BARRIER_END, rsp, 0, CALLER);
}

const struct rcu_parameters rcu_3_6 = {
	.name = "_rcu_barrier__3_6",
	.adopt = rcu_adopt__3_6,
	.barrier = _rcu_barrier__3_6,
};

/* ---- was it awaited? -------------------------------------------------------- */

/* Times are counter ticks. */
static struct {
	struct rcu_head head;
	bool queued, ran; /* release after what belongs to it */
	bool watched;	  /* a watched barrier began after `queued` */
	unsigned int cpu, ran_on;
	uint64_t queued_at, ran_at;
	/* The first barrier that began after `queued` and ended before `ran`: */
	bool missed;
	uint64_t called, returned;
	unsigned int left; /* callbacks on that core's list then */
} words;
static struct wait_queue words_changed =
	WAIT_QUEUE_INIT(words_changed, "a callback to be queued or run");

static void words_callback(struct rcu_head *head maybe_unused)
{
	words.ran_at = timer_now();
	words.ran_on = smp_processor_id();
	/* Release: pairs with the acquires of whoever looks. */
	smp_store_release(&words.ran, true);
	wake_up_all(&words_changed);
}

void last_words_queue(void)
{
	uint32_t flags = local_irq_save();

	words.cpu = smp_processor_id();
	words.queued_at = timer_now();
	call_rcu(&words.head, words_callback);
	/* Release: pairs with the acquire in rcu_barrier_watched(). */
	smp_store_release(&words.queued, true);
	wake_up_all(&words_changed);
	local_irq_restore(flags);
}

void last_words_await(void)
{
	wait_event(&words_changed, smp_load_acquire(&words.queued));
}

void rcu_barrier_watched(void)
{
	bool before = smp_load_acquire(&words.queued);
	uint64_t called = timer_now();

	if (before)
		saw(BARRIER_FOR_WORDS);
	rcu_barrier();
	if (before) /* Release: pairs with the acquire in words_watched(). */
		smp_store_release(&words.watched, true);
	if (!before || smp_load_acquire(&words.ran) || words.missed)
		return;
	words.returned = timer_now();
	words.called = called;
	words.left = rcu_nr_callbacks(words.cpu);
	words.missed = true;
}

static void await_words(void)
{
	wait_event(&words_changed,
		   !READ_ONCE(words.queued) || smp_load_acquire(&words.ran));
}

int setup_words(struct stage *st)
{
	int err = setup_core(st);

	await_words(); /* of the way here */
	words.queued = words.ran = words.missed = words.watched = false;
	return err;
}

static void print_moment(uint64_t at, const char *format, unsigned int a,
			 unsigned int b)
{
	unsigned int ns = (unsigned int)timer_ns(at - words.queued_at);

	kprintf("%6u.%u  ", ns / 1000, ns / 100 % 10);
	kprintf(format, a, b);
}

bool words_awaited(struct stage *st maybe_unused)
{
	await_words();
	return !words.missed;
}

bool words_watched(struct stage *st)
{
	bool awaited = words_awaited(st);

	return awaited && smp_load_acquire(&words.watched);
}

void words_evidence(struct stage *st maybe_unused)
{
	if (!words.missed)
		return;
	kprintf("the callback that this barrier should have awaited:\n%8s\n",
		"us");
	print_moment(words.queued_at, "core %u queues it\n", words.cpu, 0);
	print_moment(words.called, "rcu_barrier() is called\n", 0, 0);
	print_moment(words.returned,
		     "rcu_barrier() returns: it has not run "
		     "(queued on core %u: %u)\n",
		     words.cpu, words.left);
	print_moment(words.ran_at, "it runs, on core %u\n", words.ran_on, 0);
}

void teardown_words(struct stage *st maybe_unused)
{
	await_words();
}

/* ---- an actor ---------------------------------------------------------------- */

#define IN_A_ROW 8

void actor_B_often(struct stage *st)
{
	unsigned int n = st->forced ? 1 : IN_A_ROW;

	while (n--)
		rcu_barrier();
}
