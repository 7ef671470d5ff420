/*
 * X4: an experiment for tests/test_points.py, whose image has it in demos/: more steps
 * than the explorer has room for.
 *
 *   X4/long     four actors, each with steps of its own; the check says no
 *   X4/gates, X4/polls, X4/blind    A has no end: it goes from lock to lock; it looks
 *               at a flag again and again; it does so without a point of choice
 *
 * Owns the objects of its actors.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"
#include "kernel/sched/sched.h"
#include "kernel/sync/mutex.h"

#define POLL_NS 1000000u

/* ---- many steps that do not depend on each other ---------------------------------- */

static int own_steps[4];

static void take_steps(int *mine)
{
	for (int i = 0; i < 14; i++)
		shared_write(*mine, i);
}

#define LONG_ACTOR(n)                                                          \
	static void actor_long_##n(struct stage *st maybe_unused)              \
	{                                                                      \
		take_steps(&own_steps[n]);                                     \
	}
LONG_ACTOR(0)
LONG_ACTOR(1)
LONG_ACTOR(2)
LONG_ACTOR(3)

static bool no(struct stage *st maybe_unused)
{
	return false;
}

static DEFINE_MUTEX(door);

static void actor_locks(struct stage *st maybe_unused)
{
	mutex_lock(&door);
	mutex_unlock(&door);
}

/* ---- actors without an end ------------------------------------------------------ */

static bool never;

static void actor_locks_for_ever(struct stage *st maybe_unused)
{
	for (;;) {
		mutex_lock(&door);
		mutex_unlock(&door);
	}
}

static void actor_polls(struct stage *st maybe_unused)
{
	while (!shared_read(never))
		sleep_ns(POLL_NS);
}

/* The explorer does not see this look. */
static unseen bool has_come(void)
{
	return READ_ONCE(never);
}

static void actor_polls_blindly(struct stage *st maybe_unused)
{
	while (!has_come())
		yield();
}

#define NO_END(name, about_it, fn)                                             \
	{                                                                      \
		.part = (name), .about = (about_it),                           \
		.actors = { { "A", ON_D, fn }, { "B", ON_U, actor_locks } },   \
		.forced.none = true, .said.outcome = COMPLETES                 \
	}

static const struct scenario scenarios[] = {
	{
		.part = "X4/long",
		.about = "four actors with steps of their own",
		.actors = { { "A", ON_D, actor_long_0 },
			    { "B", ON_U, actor_long_1 },
			    { "C", ON_D, actor_long_2 },
			    { "E", ON_U, actor_long_3 } },
		.forced.none = true,
		.said.outcome = CORRUPT,
		.said.check = no,
	},
	NO_END("X4/gates", "from lock to lock", actor_locks_for_ever),
	NO_END("X4/polls", "by looking again and again", actor_polls),
	NO_END("X4/blind", "without a point", actor_polls_blindly),
};

DEMO(99, x4, .id = "X4", .slug = "x4-endless",
     .claim = "more steps than the explorer has room for",
     .tried = { "For the explorer alone.", "See tests/own/endless.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
