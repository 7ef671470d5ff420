/*
 * Was the result the expected one? Each function returns whether it was, and
 * prints a line "unexpected: ..." if not. See judge.c.
 */
#pragma once

#include "lab/experiment.h"

/* Is the outcome of a round in the set (OUT_BIT()s), and does a BUG or a warning name
 * the function that the scenario expects? */
bool outcome_is_expected(const struct stage *st, unsigned int set,
			 enum outcome out);
/* Did lockdep find every kind in `must`, and besides these only kinds in `may`
 * (LOCKDEP_BIT()s)? when: the end of the line, " before this one began". */
bool lockdep_is_expected(unsigned int must, unsigned int may,
			 unsigned int found, const char *when);
/* Is the last circular finding about the two locks that the scenario names? */
bool lock_pair_is_expected(const struct scenario *sc);
/* Is the number of warnings before a knot the expected one? */
bool warnings_are_expected(const struct scenario *sc, unsigned int warnings);
/* Did the forced order happen? If a refusal is expected: was a step refused? */
bool order_is_expected(const struct stage *st);

/* Must D and U overlap in at least one free round, for the scenario to test
 * anything? Prints nothing. */
bool must_overlap(const struct scenario *sc);
/* Does the 2012 thread object to a failure among these outcomes (OUT_BIT()s), with
 * these findings of lockdep? */
bool is_objected_to(const struct scenario *sc, unsigned int outcomes,
		    unsigned int lockdep);
/* Is a part with the first result (ok, out) worse than a part with the second result
 * (than_ok, than)? A part with an unexpected result (ok is false) is worse than a part
 * with an expected result. Among equals the outcomes decide: corrupt is the worst, then
 * deadlock, stuck, bug, warn, completes. (A row has the word of its worst part.) */
bool is_worse(bool ok, enum outcome out, bool than_ok, enum outcome than);
