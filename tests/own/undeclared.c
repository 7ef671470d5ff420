/*
 * X6: data that nobody declared, for tests/test_undeclared.py, whose image has this file
 * in demos/.
 *
 *   X6/plain    A and B do n++
 *   X6/flag     A sets a plain flag, B looks at it
 *   X6/spinlock A and B do n++ in two sections under a spinlock: read, then write
 *   X6/struct   A and B add to a member of a struct
 *   X6/array    A and B add to one element of an array
 *   X6/guarded  A and B do n++ under a mutex: nothing is lost
 *   X6/alone    A and B do n++ on numbers of their own
 *
 * X10: A sets a flag, and B looks at it, in functions that hide this from the explorer.
 * For tests/test_graph.py.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"

static int n, own_n[2];
static bool flag, seen_flag;
static struct {
	int before;
	struct {
		int n;
	} inner;
} thing;
static int array[8];
static DEFINE_SPINLOCK(spin);
static DEFINE_MUTEX(guard);

static int setup(struct stage *st maybe_unused)
{
	n = thing.inner.n = array[5] = own_n[0] = own_n[1] = 0;
	flag = seen_flag = false;
	return 0;
}

static void adds(struct stage *st maybe_unused)
{
	n++;
}

static void sets(struct stage *st maybe_unused)
{
	flag = true;
}

static void looks(struct stage *st maybe_unused)
{
	seen_flag = flag;
}

static void adds_in_two_sections(struct stage *st maybe_unused)
{
	int was;

	spin_lock(&spin);
	was = n;
	spin_unlock(&spin);
	spin_lock(&spin);
	n = was + 1;
	spin_unlock(&spin);
}

static void adds_to_struct(struct stage *st maybe_unused)
{
	thing.inner.n++;
}

static void adds_to_array(struct stage *st maybe_unused)
{
	array[5]++;
}

static void adds_guarded(struct stage *st maybe_unused)
{
	mutex_lock(&guard);
	n++;
	mutex_unlock(&guard);
}

static void adds_own_0(struct stage *st maybe_unused)
{
	own_n[0]++;
}

static void adds_own_1(struct stage *st maybe_unused)
{
	own_n[1]++;
}

static bool is_two(struct stage *st maybe_unused)
{
	return n == 2;
}

static bool was_seen(struct stage *st maybe_unused)
{
	return seen_flag;
}

static bool struct_is_two(struct stage *st maybe_unused)
{
	return thing.inner.n == 2;
}

static bool element_is_two(struct stage *st maybe_unused)
{
	return array[5] == 2;
}

static bool both_are_one(struct stage *st maybe_unused)
{
	return own_n[0] == 1 && own_n[1] == 1;
}

#define PART(name, what, a, b, ok, ends)                                       \
	{                                                                      \
		.part = "X6/" name, .about = (what),                           \
		.actors = { { "A", ON_D, a }, { "B", ON_U, b } },              \
		.forced.none = true, .world.setup = setup, .said.check = (ok), \
		.said.outcome = (ends)                                         \
	}

static const struct scenario scenarios[] = {
	PART("plain", "n++ twice", adds, adds, is_two, COMPLETES | CORRUPT),
	PART("flag", "a plain flag", sets, looks, was_seen,
	     COMPLETES | CORRUPT),
	PART("spinlock", "two sections", adds_in_two_sections,
	     adds_in_two_sections, is_two, COMPLETES | CORRUPT),
	PART("struct", "a member", adds_to_struct, adds_to_struct,
	     struct_is_two, COMPLETES | CORRUPT),
	PART("array", "an element", adds_to_array, adds_to_array,
	     element_is_two, COMPLETES | CORRUPT),
	PART("guarded", "under a mutex", adds_guarded, adds_guarded, is_two,
	     COMPLETES),
	PART("alone", "each its own", adds_own_0, adds_own_1, both_are_one,
	     COMPLETES),
};

DEMO(99f, x6, .id = "X6", .slug = "x6-undeclared",
     .claim = "data that nobody declared",
     .tried = { "For the explorer alone.", "See tests/own/undeclared.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);

/* ---- X10 ----------------------------------------------------------------------------- */

static bool hidden_flag;

static unseen void hide_set(void)
{
	WRITE_ONCE(hidden_flag, true);
}

static unseen bool hide_look(void)
{
	return READ_ONCE(hidden_flag);
}

static int hide_setup(struct stage *st maybe_unused)
{
	hidden_flag = false;
	return 0;
}

static void sets_hidden(struct stage *st maybe_unused)
{
	hide_set();
}

static void looks_at_hidden(struct stage *st maybe_unused)
{
	if (!hide_look())
		return;
	mutex_lock(&guard);
	mutex_unlock(&guard);
}

static const struct scenario hidden_scenarios[] = {
	{ .actors = { { "A", ON_D, sets_hidden },
		      { "B", ON_U, looks_at_hidden } },
	  .forced.none = true,
	  .world.setup = hide_setup,
	  .said.outcome = COMPLETES,
	  .said.any_verdict = true },
};

DEMO(99g, x10, .id = "X10", .slug = "x10-hidden", .claim = "hidden data",
     .tried = { "For the explorer alone.", "See tests/own/undeclared.c." },
     .cores = 1, SCENARIOS(hidden_scenarios), .free_rounds = 1,
     .for_reader = true);
