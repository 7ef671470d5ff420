/*
 * M1: the experiment of docs/your-own.md.
 *
 *   M1/crossed   A moves money from one account to the other, B moves it
 *                back: each holds one account's lock and wants the other
 *                one's
 *   M1/ordered   the cure: the lower address first
 *   M1/lost      R looks into the letter box, finds it empty and goes to sleep;
 *                W may put its letter in, and wake R, in between
 *   M1/queued    the cure: queue up first, then look
 *
 * Owns the accounts and the letter box, guarded by their locks.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"

/* ---- two accounts ------------------------------------------------------------- */

static struct account {
	struct mutex lock;
	int money;
} savings = { .lock = MUTEX_INIT(savings.lock, "savings") },
  purse = { .lock = MUTEX_INIT(purse.lock, "purse") };

static noinline void move(struct account *from, struct account *to)
{
	mutex_lock(&from->lock);
	mutex_lock(&to->lock);
	from->money--;
	to->money++;
	mutex_unlock(&to->lock);
	mutex_unlock(&from->lock);
}

static noinline void move__ordered(struct account *from, struct account *to)
{
	struct account *first = from < to ? from : to;
	struct account *second = from < to ? to : from;

	mutex_lock(&first->lock);
	mutex_lock(&second->lock);
	from->money--;
	to->money++;
	mutex_unlock(&second->lock);
	mutex_unlock(&first->lock);
}

static void actor_A(struct stage *st maybe_unused)
{
	move(&savings, &purse);
}

static void actor_B_back(struct stage *st maybe_unused)
{
	move(&purse, &savings);
}

static void actor_A_ordered(struct stage *st maybe_unused)
{
	move__ordered(&savings, &purse);
}

static void actor_B_ordered(struct stage *st maybe_unused)
{
	move__ordered(&purse, &savings);
}

static int setup_accounts(struct stage *st maybe_unused)
{
	savings.money = purse.money = 100;
	return 0;
}

/* A moved one unit there and B moved it back: no money is lost. */
static bool nothing_lost(struct stage *st maybe_unused)
{
	return savings.money == 100 && purse.money == 100;
}

/* ---- a letter box ------------------------------------------------------------- */

static bool full;
static struct wait_queue readers = WAIT_QUEUE_INIT(readers, "a letter");

static void actor_W(struct stage *st maybe_unused)
{
	note("puts a letter in");
	shared_write(full, true);
	wake_up(&readers);
}

static noinline void letter_wait(void)
{
	struct wait_entry me = { .thread = NULL };

	if (shared_read(full))
		return;
	note("the box is empty");
	prepare_to_wait(&readers, &me, &queue_wait, CALLER);
	schedule();
	finish_wait(&readers, &me);
}

static noinline void letter_wait__queued(void)
{
	wait_event(&readers, shared_read(full));
}

static void actor_R(struct stage *st maybe_unused)
{
	letter_wait();
	note("has the letter");
}

static void actor_R_queued(struct stage *st maybe_unused)
{
	letter_wait__queued();
	note("has the letter");
}

static int setup_box(struct stage *st maybe_unused)
{
	full = false;
	return 0;
}

/* End the wait, so that the explorer can run the next schedule. */
static bool wake_the_reader(struct stage *st maybe_unused,
			    bool quietly maybe_unused)
{
	wake_up_all(&readers);
	return true;
}

static const struct scenario scenarios[] = {
	{
		.part = "M1/crossed",
		.about = "A takes savings, purse; B takes purse, savings",
		.actors = { { "A", ON_D, actor_A },
			    { "B", ON_U, actor_B_back } },
		.forced.order = STEPS(
			A(LOCK, &savings.lock), B(LOCK, &purse.lock),
			A(CONTEND, &purse.lock), B(CONTEND, &savings.lock)),
		.free.until_found = true,
		.said.outcome = DEADLOCK,
		.said.lockdep = CIRCULAR,
		.world.setup = setup_accounts,
		.said.check = nothing_lost,
	},
	{
		.part = "M1/ordered",
		.about = "both take the lower address first",
		.actors = { { "A", ON_D, actor_A_ordered },
			    { "B", ON_U, actor_B_ordered } },
		.forced.none = true,
		.free.rounds = 100,
		.said.outcome = COMPLETES,
		.world.setup = setup_accounts,
		.said.check = nothing_lost,
	},
	{
		.part = "M1/lost",
		.about = "R looks, and goes to sleep if the box is empty",
		.actors = { { "R", ON_D, actor_R }, { "W", ON_U, actor_W } },
		.forced.none = true,
		.free.rounds = 100,
		.said.outcome = COMPLETES | STUCK,
		.world.setup = setup_box,
		.cut.rescue = wake_the_reader,
	},
	{
		.part = "M1/queued",
		.about = "R queues up, looks, and then goes to sleep",
		.actors = { { "R", ON_D, actor_R_queued },
			    { "W", ON_U, actor_W } },
		.forced.none = true,
		.free.rounds = 100,
		.said.outcome = COMPLETES,
		.world.setup = setup_box,
		.cut.rescue = wake_the_reader,
	},
};

DEMO(98, m1, .id = "M1", .slug = "m1-mine",
     .claim = "two accounts and a letter box",
     .tried = { "Two accounts with a lock each, and a letter box that a reader",
		"waits at: first a wrong version of each, then a right one." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 20000,
     .for_reader = true);
