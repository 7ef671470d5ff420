/*
 * E15: lockdep must go on after a false positive.
 *
 * Linux's lockdep turns itself off after its first report. In October 2012 the first
 * report was E1's, a false positive: "lockdep is actually getting this wrong" (Kosina,
 * 3 October 2012, 11:46 +0200). A real inversion after that stayed unseen until the next
 * boot. Gordian's lockdep goes on. Here E1's paths run first, then two mutexes are taken
 * in opposite orders, which can deadlock (E0 shows it). The actors run one after another,
 * so no thread waits, and nothing is reset in between.
 *
 * Controls: E1 has the first finding alone, E0 the second.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/lib/printf.h"

/* Has lockdep found two distinct cycles? Without lockdep there is nothing to check. */
static bool both_are_found(struct stage *st maybe_unused)
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
		.world.toggles = true,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
		.forced.in_turn = true,
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.said.check = both_are_found,
		.show.evidence = show_count,
		.search.none =
			"it tests lockdep's second report, not schedules",
	},
};

DEMO(15, e15, .id = "E15", .slug = "e15-second",
     .claim = "after a false positive lockdep reports a real inversion too",
     .tried = { "E1's paths, then two mutexes in opposite orders, with nothing reset",
		"in between: lockdep must report both." },
     .cores = 2, SCENARIOS(e15), .free_rounds = 1);
