/*
 * X7: an experiment for tests/test_callbacks.py, whose image has it in demos/. When RCU's
 * callbacks run.
 *
 *   X7/early   A queues a callback that reads what A writes after that: it is wrong if
 *              the callback runs before A goes on
 *   X7/late    A queues a callback and reads what the callback writes: it is wrong if
 *              the callback runs after that
 *   X7/waits   control: A calls rcu_barrier() before it reads
 *   X7/two     A and B queue a callback each; it is wrong if B's runs first. If both run
 *              in one step, their order is that of the cores: A's is first. (On fewer
 *              cores A is not before B.)
 *   X7/row     A queues two callbacks in a row: they run in one step
 *   X7/again   A queues a callback that queues itself again, twice. Each run is a step:
 *              A sees that it has run once
 *   X7/apart   A queues two callbacks, with a write between them. It is wrong if B sees
 *              the write, and no callback has run
 *   X7/between A queues two callbacks, B calls rcu_barrier(), perhaps between the two.
 *              One step of RCU runs all that are due, also those behind the barrier's
 *   X7/behind  A queues a callback, which queues another one, and calls rcu_barrier():
 *              the other one is not due in the step that queues it
 *   X7/readers A writes under a spinlock, B reads after a grace period. It may end
 *              although A holds the spinlock
 *
 * Owns the objects of its actors.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"
#include "kernel/rcu/rcu.h"

#define RUNS 3 /* of the callback that queues itself again */

static struct rcu_head first, second;
static DEFINE_SPINLOCK(spin);
static int written, ran;
static bool bad;

static int setup(struct stage *st maybe_unused)
{
	written = ran = 0;
	bad = false;
	return 0;
}

/* No callback of this round may run in the next one, even if it queues itself again. */
static void teardown(struct stage *st maybe_unused)
{
	for (int i = 0; i < RUNS; i++)
		rcu_barrier();
}

static bool is_good(struct stage *st maybe_unused)
{
	return !bad;
}

static void callback_reads(struct rcu_head *head maybe_unused)
{
	bad = !shared_read(written);
}

static void actor_writes_after(struct stage *st maybe_unused)
{
	call_rcu(&first, callback_reads);
	shared_write(written, 1);
}

static void callback_writes(struct rcu_head *head maybe_unused)
{
	shared_write(ran, 1);
}

static void actor_reads_after(struct stage *st maybe_unused)
{
	call_rcu(&first, callback_writes);
	bad = !shared_read(ran);
}

static void actor_waits(struct stage *st maybe_unused)
{
	call_rcu(&first, callback_writes);
	rcu_barrier();
	bad = !shared_read(ran);
}

static void actor_queues(struct stage *st maybe_unused)
{
	call_rcu(&first, callback_writes);
}

static void callback_second(struct rcu_head *head maybe_unused)
{
	bad = !shared_read(ran);
}

static void actor_queues_second(struct stage *st maybe_unused)
{
	call_rcu(&second, callback_second);
}

static void actor_queues_both(struct stage *st maybe_unused)
{
	call_rcu(&first, callback_writes);
	call_rcu(&second, callback_second);
}

static void callback_again(struct rcu_head *head)
{
	int n = shared_read(ran) + 1;

	shared_write(ran, n);
	if (n < RUNS)
		call_rcu(head, callback_again);
}

static void actor_sees_one(struct stage *st maybe_unused)
{
	call_rcu(&first, callback_again);
	bad = shared_read(ran) == 1;
}

static void callback_writes_2(struct rcu_head *head maybe_unused)
{
	shared_write(ran, 2);
}

static void actor_queues_apart(struct stage *st maybe_unused)
{
	call_rcu(&first, callback_writes);
	shared_write(written, 1);
	call_rcu(&second, callback_writes_2);
}

static void actor_sees_none(struct stage *st maybe_unused)
{
	if (shared_read(written))
		bad = !shared_read(ran);
}

static void actor_reads_after_barrier(struct stage *st maybe_unused)
{
	rcu_barrier();
	(void)shared_read(ran);
}

static void callback_queues(struct rcu_head *head maybe_unused)
{
	shared_write(ran, 1);
	call_rcu(&second, callback_writes_2);
}

static void actor_waits_for_first(struct stage *st maybe_unused)
{
	call_rcu(&first, callback_queues);
	rcu_barrier();
	bad = !shared_read(ran);
}

static void actor_writes_under_spinlock(struct stage *st maybe_unused)
{
	spin_lock(&spin);
	shared_write(written, 1);
	spin_unlock(&spin);
}

static void actor_reads_after_grace(struct stage *st maybe_unused)
{
	synchronize_rcu();
	(void)shared_read(written);
}

#define PART(name, ...)                                                        \
	.part = "X7/" name, .about = "see the head of tests/own/callbacks.c",  \
	.forced.none = true, .actors = { __VA_ARGS__ }, .world.setup = setup,  \
	.world.teardown = teardown, .said.check = is_good
#define EITHER .said.outcome = COMPLETES | CORRUPT
#define ALWAYS .said.outcome = COMPLETES

static const struct scenario scenarios[] = {
	{ PART("early", { "A", ON_D, actor_writes_after }), EITHER },
	{ PART("late", { "A", ON_D, actor_reads_after }), EITHER },
	{ PART("waits", { "A", ON_D, actor_waits }), ALWAYS },
	{ PART("two", { "A", ON_D, actor_queues },
	       { "B", ON_U, actor_queues_second }),
	  EITHER, .cores = 3 },
	{ PART("row", { "A", ON_D, actor_queues_both }), ALWAYS },
	{ PART("again", { "A", ON_D, actor_sees_one }), EITHER },
	{ PART("apart", { "A", ON_D, actor_queues_apart },
	       { "B", ON_U, actor_sees_none }),
	  EITHER },
	{ PART("between", { "A", ON_D, actor_queues_apart },
	       { "B", ON_U, actor_reads_after_barrier }),
	  ALWAYS },
	{ PART("behind", { "A", ON_D, actor_waits_for_first }), ALWAYS },
	{ PART("readers", { "A", ON_D, actor_writes_under_spinlock },
	       { "B", ON_U, actor_reads_after_grace }),
	  ALWAYS },
};

DEMO(99, x7, .id = "X7", .slug = "x7-callbacks",
     .claim = "when RCU's callbacks run",
     .tried = { "For the explorer alone.", "See tests/own/callbacks.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
