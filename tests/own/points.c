/*
 * X1: an experiment for tests/test_points.py, whose image has it in demos/. In each part
 * it matters who comes first, at a point where the explorer must have a choice.
 *
 *   X1/waker    W wakes with a spinlock held. R looks at a flag, then queues up. If W
 *               comes in between, at a point where no thread can be stopped, the
 *               wake-up is lost
 *   X1/spinlock A and B look and write under a spinlock
 *   X1/dying, X1/dying-completes, X1/dying-wakes    a notifier of CPU_DYING writes a
 *               flag that A reads; completes a completion that A looks at; wakes A,
 *               which does not look before it queues up
 *   X1/starting a notifier of CPU_STARTING writes a flag that A reads
 *   X1/ipi      B lets another core write a flag that A reads, and waits for that
 *   X1/mutex, X1/reader    A tries for a lock that B takes and releases
 *   X1/places   A looks ten times, queues up, and is not woken: ten places to be stuck
 *
 * Owns the objects of its actors.
 */
#include "lab/experiment.h"
#include "kernel/arch/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/explore/shared.h"
#include "kernel/sched/sched.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"

/* ---- a wake-up under a spinlock ------------------------------------------------ */

static DEFINE_SPINLOCK(box);
static bool full;
static struct wait_queue readers = WAIT_QUEUE_INIT(readers, "a letter");

static void actor_queues_up(struct stage *st maybe_unused)
{
	struct wait_entry me = { .thread = NULL };

	prepare_to_wait(&readers, &me, &queue_wait, CALLER);
	schedule();
	finish_wait(&readers, &me);
}

static void actor_R(struct stage *st)
{
	if (!shared_read(full))
		actor_queues_up(st);
}

static void actor_W(struct stage *st maybe_unused)
{
	uint32_t flags;

	shared_write(full, true);
	flags = spin_lock_irqsave(&box);
	wake_up(&readers);
	spin_unlock_irqrestore(&box, flags);
}

static int setup_box(struct stage *st maybe_unused)
{
	full = false;
	return 0;
}

static bool wake_the_reader(struct stage *st maybe_unused,
			    bool quietly maybe_unused)
{
	wake_up_all(&readers);
	return true;
}

static void actor_looks_often(struct stage *st)
{
	for (unsigned int i = 0; i < 10 && !shared_read(full); i++)
		;
	actor_queues_up(st);
}

static void actor_says_full(struct stage *st maybe_unused)
{
	shared_write(full, true);
}

/* ---- under a spinlock ------------------------------------------------------------ */

static int owner;

static void own(int who)
{
	uint32_t flags = spin_lock_irqsave(&box);

	if (!shared_read(owner))
		shared_write(owner, who);
	spin_unlock_irqrestore(&box, flags);
}

static void actor_owns_1(struct stage *st maybe_unused)
{
	own(1);
}

static void actor_owns_2(struct stage *st maybe_unused)
{
	own(2);
}

static int setup_no_owner(struct stage *st maybe_unused)
{
	owner = 0;
	return 0;
}

static bool owned_by_1(struct stage *st maybe_unused)
{
	return owner == 1;
}

/* ---- on a core that goes off or comes on ------------------------------------------ */

static bool gone, seen_gone;
static struct completion gone_done;

static int tell_dying(struct notifier_block *nb maybe_unused,
		      unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		shared_write(gone, true);
	return NOTIFY_OK;
}

static int tell_starting(struct notifier_block *nb maybe_unused,
			 unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_STARTING)
		shared_write(gone, true);
	return NOTIFY_OK;
}

static int complete_dying(struct notifier_block *nb maybe_unused,
			  unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		complete(&gone_done);
	return NOTIFY_OK;
}

static int wake_dying(struct notifier_block *nb maybe_unused,
		      unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		wake_up(&readers);
	return NOTIFY_OK;
}

static void write_gone(void *arg maybe_unused)
{
	shared_write(gone, true);
}

static void actor_sends(struct stage *st maybe_unused)
{
	smp_call_function_single(board.nr_cores - 1, write_gone, NULL, true);
}

static struct notifier_block tells = { .notifier_call = tell_dying };
static struct notifier_block greets = { .notifier_call = tell_starting };
static struct notifier_block completes = { .notifier_call = complete_dying };
static struct notifier_block wakes = { .notifier_call = wake_dying };

static int setup_not_gone(struct stage *st)
{
	int err = setup_core(st); /* it may start the core */

	gone = false;
	init_completion(&gone_done, "the core");
	return err;
}

static void actor_sees(struct stage *st maybe_unused)
{
	seen_gone = shared_read(gone);
}

/* The look and the queueing are one step. */
static void actor_awaits_it(struct stage *st maybe_unused)
{
	seen_gone = READ_ONCE(gone_done.done);
	wait_for_completion(&gone_done);
}

static bool not_seen(struct stage *st maybe_unused)
{
	return !seen_gone;
}

/* ---- trylocks ------------------------------------------------------------------ */

static DEFINE_MUTEX(door);
static struct rw_semaphore gate = RWSEM_INIT(gate, "gate");
static bool got;

static void actor_tries(struct stage *st maybe_unused)
{
	got = mutex_trylock(&door);
	if (got)
		mutex_unlock(&door);
}

static void actor_locks(struct stage *st maybe_unused)
{
	mutex_lock(&door);
	mutex_unlock(&door);
}

static void actor_tries_to_read(struct stage *st maybe_unused)
{
	got = down_read_trylock(&gate);
	if (got)
		up_read(&gate);
}

static void actor_writes(struct stage *st maybe_unused)
{
	down_write(&gate);
	up_write(&gate);
}

static bool got_it(struct stage *st maybe_unused)
{
	return got;
}

#define DYING(name, about_it, fn, nb)                                          \
	.part = (name), .about = (about_it),                                   \
	.actors = { { "A", ON_D, fn }, { "U", ON_U, actor_U } },               \
	.forced.none = true, .world.toggles = true, .world.down_only = true,   \
	.world.notifier = (nb)
#define EITHER (COMPLETES | CORRUPT)
#define TRIES(name, about_it, try_it, take_it)                                 \
	{                                                                      \
		.part = (name), .about = (about_it),                           \
		.actors = { { "A", ON_D, try_it }, { "B", ON_U, take_it } },   \
		.forced.none = true, .said.outcome = EITHER,                   \
		.said.check = got_it,                                          \
	}

static const struct scenario scenarios[] = {
	{
		.part = "X1/waker",
		.about = "W wakes with a spinlock held",
		.actors = { { "R", ON_D, actor_R }, { "W", ON_U, actor_W } },
		.forced.none = true,
		.said.outcome = COMPLETES | STUCK,
		.world.setup = setup_box,
		.cut.rescue = wake_the_reader,
	},
	{
		.part = "X1/spinlock",
		.about = "A and B want the same under a spinlock",
		.actors = { { "A", ON_D, actor_owns_1 },
			    { "B", ON_U, actor_owns_2 } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_no_owner,
		.said.check = owned_by_1,
	},
	{
		DYING("X1/dying", "a notifier writes", actor_sees, &tells),
		.said.outcome = EITHER,
		.world.setup = setup_not_gone,
		.said.check = not_seen,
	},
	{
		.part = "X1/ipi",
		.about = "an interrupt writes",
		.actors = { { "A", ON_D, actor_sees },
			    { "B", ON_U, actor_sends } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_not_gone,
		.said.check = not_seen,
	},
	{
		.part = "X1/starting",
		.about = "a notifier writes",
		.actors = { { "A", ON_D, actor_sees }, { "U", ON_U, actor_U } },
		.forced.none = true,
		.world.toggles = true,
		.world.notifier = &greets,
		.said.outcome = EITHER,
		.world.setup = setup_not_gone,
		.said.check = not_seen,
	},
	{
		DYING("X1/dying-completes", "a notifier completes",
		      actor_awaits_it, &completes),
		.said.outcome = EITHER,
		.world.setup = setup_not_gone,
		.said.check = not_seen,
	},
	{
		DYING("X1/dying-wakes", "a notifier wakes", actor_queues_up,
		      &wakes),
		.said.outcome = COMPLETES | STUCK,
		.world.setup = setup_core,
		.cut.rescue = wake_the_reader,
	},
	{
		.part = "X1/places",
		.about = "A looks ten times and is not woken",
		.actors = { { "A", ON_D, actor_looks_often },
			    { "W", ON_U, actor_says_full } },
		.forced.none = true,
		.said.outcome = STUCK,
		.world.setup = setup_box,
		.cut.rescue = wake_the_reader,
	},
	TRIES("X1/mutex", "A tries for the mutex", actor_tries, actor_locks),
	TRIES("X1/reader", "A tries to read", actor_tries_to_read,
	      actor_writes),
};

DEMO(99, x1, .id = "X1", .slug = "x1-points",
     .claim = "what the explorer must see",
     .tried = { "For the explorer alone.", "See tests/own/points.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
