/*
 * Running an experiment's scenario: forced rounds, free rounds, and the tally
 * of both. See run.c.
 */
#pragma once

#include "lab/experiment.h"

/* The result of a scenario, or of all scenarios of a row. */
struct tally {
	enum outcome outcome;	     /* the worst, or the outcome looked for */
	unsigned int rounds;	     /* free ones */
	unsigned int overlap, stuck; /* free rounds with that result */
	unsigned int forced;	     /* rounds before the free ones */
	unsigned int lockdep;	     /* LOCKDEP_BIT()s found */
	unsigned int warnings;	     /* WARN_ON reports */
	const char *waitfor;	     /* "cycle", or the event that is missing */
	const char *verdict;	     /* the explorer's; NULL: it did not run */
	bool interrupted;	     /* by Ctrl-C */
	bool ran;		     /* at least one round */
	bool skipped;		     /* not on this machine; a line said so */
	const struct scenario *of;   /* the one that has this outcome */
	unsigned int cycles; /* times that a core went off and came back */
	bool ok;
};

enum run_mode { RUN_BOTH, RUN_FORCED, RUN_FREE, RUN_HOLD };

/* Run one scenario and print as it goes. rounds: the number of free rounds; 0: the
 * number that the scenario or d gives. brief: print no reports, no stacks and no
 * rounds. But if `tells` is true, print one round, in short. Sleeps; demo_mutex
 * held. */
struct tally scenario_run(const struct demo *d, const struct scenario *sc,
			  enum run_mode mode, unsigned int rounds, bool brief,
			  bool tells);
