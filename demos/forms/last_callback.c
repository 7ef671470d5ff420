/*
 * The last callback of a core, which the core queues by call_rcu() at CPU_DYING, just
 * before it goes; and the check that a later rcu_barrier() has waited for it.
 *
 * `last` is written by the core that queues the callback, by the callback, and by
 * one watched barrier, one after another. Its flags say in which order.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/printf.h"

/* Times are counter ticks. */
static struct {
	struct rcu_head head;
	bool queued, ran; /* set by a release, after the times and cores */
	bool watched;	  /* a watched barrier began after `queued` */
	unsigned int cpu, ran_on;
	uint64_t queued_at, ran_at;
	/* The first barrier that began after `queued` and ended before `ran`: */
	bool missed;
	uint64_t called, returned;
	unsigned int left; /* callbacks on the core's list at that time */
} last;
static struct wait_queue last_changed =
	WAIT_QUEUE_INIT(last_changed, "a callback to be queued or run");

static void last_callback(struct rcu_head *head maybe_unused)
{
	last.ran_at = timer_now();
	last.ran_on = smp_processor_id();
	/* Release: pairs with the acquires in rcu_barrier_watched() and
	 * wait_until_it_has_run(). */
	smp_store_release(&last.ran, true);
	wake_up_all(&last_changed);
}

void queue_last_callback(void)
{
	uint32_t flags = local_irq_save();

	last.cpu = smp_processor_id();
	last.queued_at = timer_now();
	call_rcu(&last.head, last_callback);
	/* Release: pairs with the acquires in rcu_barrier_watched() and
	 * wait_until_last_callback_is_queued(). */
	smp_store_release(&last.queued, true);
	wake_up_all(&last_changed);
	local_irq_restore(flags);
}

void wait_until_last_callback_is_queued(void)
{
	/* Acquire: pairs with the release in queue_last_callback(). */
	wait_event(&last_changed, smp_load_acquire(&last.queued));
}

void rcu_barrier_watched(void)
{
	/* Acquire: pairs with the release in queue_last_callback(). */
	bool before = smp_load_acquire(&last.queued);
	uint64_t called = timer_now();

	if (before)
		saw(BARRIER_AFTER_CALLBACK);
	rcu_barrier();
	if (before) /* Release: pairs with the acquire in barrier_waited_for_callback(). */
		smp_store_release(&last.watched, true);
	/* Acquire: pairs with the release in last_callback(). */
	if (!before || smp_load_acquire(&last.ran) || last.missed)
		return;
	last.returned = timer_now();
	last.called = called;
	last.left = rcu_nr_callbacks(last.cpu);
	last.missed = true;
}

static void wait_until_it_has_run(void)
{
	/* Acquire: pairs with the release in last_callback(). */
	wait_event(&last_changed,
		   !READ_ONCE(last.queued) || smp_load_acquire(&last.ran));
}

int setup_last_callback(struct stage *st)
{
	int err = setup_core(st);

	wait_until_it_has_run(); /* setup_core() may have queued a callback */
	last.queued = last.ran = last.missed = last.watched = false;
	return err;
}

bool no_barrier_returned_early(struct stage *st maybe_unused)
{
	wait_until_it_has_run();
	return !last.missed;
}

bool barrier_waited_for_callback(struct stage *st)
{
	/* Acquire: pairs with the release in rcu_barrier_watched(). */
	return no_barrier_returned_early(st) && smp_load_acquire(&last.watched);
}

static void print_moment(uint64_t at, const char *format, unsigned int a,
			 unsigned int b)
{
	unsigned int ns = (unsigned int)timer_ns(at - last.queued_at);

	kprintf("%6u.%u  ", ns / 1000, ns / 100 % 10);
	kprintf(format, a, b);
}

void show_last_callback(struct stage *st maybe_unused)
{
	if (!last.missed)
		return;
	kprintf("rcu_barrier() should have waited for this callback:\n%8s\n",
		"us");
	print_moment(last.queued_at, "core %u queues it\n", last.cpu, 0);
	print_moment(last.called, "rcu_barrier() is called\n", 0, 0);
	print_moment(last.returned,
		     "rcu_barrier() returns before the callback runs "
		     "(waiting on core %u: %u)\n",
		     last.cpu, last.left);
	print_moment(last.ran_at, "it runs, on core %u\n", last.ran_on, 0);
}

void teardown_last_callback(struct stage *st maybe_unused)
{
	wait_until_it_has_run();
}

/* ---- an actor ---------------------------------------------------------------- */

#define IN_A_ROW 8

void actor_B_often(struct stage *st)
{
	unsigned int n = st->forced ? 1 : IN_A_ROW;

	while (n--)
		rcu_barrier();
}
