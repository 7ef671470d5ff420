/*
 * E15: a report must not be the last one.
 *
 * Linux's validator turns itself off after its first report. In October 2012
 * that first report was E1's, a false positive: whatever was really wrong
 * afterwards stayed unseen until the next boot. Ours goes on: here E1's paths
 * run first, then two mutexes are taken in opposite orders, which is a true
 * inversion (E0 shows that it deadlocks). One after another, so nobody waits;
 * nothing is reset in between.
 *
 * Control: E1 has the first finding alone, E0 the second.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/lib/printf.h"

static int setup_both(struct stage *st)
{
	setup_locks(st);
	return setup_victim(st);
}

/* Distinct cycles; without a lockdep there is nothing to check. */
static bool both_found(struct stage *st maybe_unused)
{
	return !GORDIAN_DEBUG || lockdep_count(LOCKDEP_CIRCULAR) == 2;
}

static void show_count(struct stage *st maybe_unused)
{
	if (GORDIAN_DEBUG)
		kprintf("lockdep: %u circular findings since this round began\n",
			lockdep_count(LOCKDEP_CIRCULAR));
}

static const struct scenario e15[] = {
	{
		.about = "E1's false positive, then E0's inversion",
		.actors = { { "U", ON_U, actor_U },
			    { "D", ON_D, actor_D },
			    { "AB", ON_D, actor_AB },
			    { "BA", ON_U, actor_BA } },
		.forced.in_turn = true,
		.search.none = "it is about lockdep's second word",
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_both,
		.said.check = both_found,
		.show.evidence = show_count,
	},
};

DEMO(15, e15, .id = "E15", .slug = "e15-second",
     .claim = "after a false positive the true inversion is reported too",
     .tried = { "E1's paths, then two mutexes in opposite orders, with nothing",
		"reset between: lockdep must report both." },
     .cores = 2, SCENARIOS(e15), .free_rounds = 1);
