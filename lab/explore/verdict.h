/*
 * The verdict of a search. See verdict.c.
 */
#pragma once

#include "lab/explore/explore.h"

#define NR_OUTCOMES (OUT_CORRUPT + 1)

/* Returns the outcomes of the set (OUT_BIT()s) that are failures. */
unsigned int failing_outcomes(unsigned int outcomes);
/* Compute r->verdict, and r->outcome, which stands for all outcomes, from r->lockdep,
 * r->outcomes, r->failing and r->left. complete: all schedules have run. */
void set_verdict(struct explored_row *r, bool complete);
/* Are the verdict, the outcomes and the findings the expected ones? Prints a line about
 * each of them that is not. */
bool search_is_expected(const struct explored_row *r);
/* Add a part's result to the row's. The row has the outcome of its worst part
 * (is_worse()), the worst verdict and the weakest search of all parts; their counts
 * are added up. */
void add_explored_part(struct explored_row *row,
		       const struct explored_row *part);
/* Print in a sentence what the search has found, and what it says about lockdep. */
void tell_search(const struct explored_row *r);
/* Print the line of a part or a row. what: the first word of the line, "part" or
 * "verdict". in_lines: as for say_fields(). */
void print_explored_row(const char *what, const struct explored_row *r,
			bool in_lines);
