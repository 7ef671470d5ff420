/*
 * Compare a search with the oracle, over random programs. A test gives a subject,
 * which says how the search is run.
 */
#pragma once

#include "tests/host/classes.h"
#include "tests/host/program.h"

/* What a search says of a program. */
struct search_found {
	struct program_end *end; /* in any order; from malloc() */
	size_t nr_ends;
	size_t nr_classes;   /* runs to an end that it made */
	size_t nr_redundant; /* runs that it began and gave up */
	bool too_big;	     /* it gave up; the rest is not valid */
	const char *broken;  /* NULL, or what it says of itself */
};

struct subject {
	void (*search)(struct search_found *f, const struct program *p);
	/* The machine that it searches, for the count of classes. The machine
	 * is used before the next call. NULL: classes are not compared. */
	void (*machine)(struct step_machine *m, const struct program *p);
};

struct comparison {
	struct program_shape shape;
	size_t max_states;     /* of the oracle */
	size_t max_beginnings; /* of classes; 0: they are not counted */
};

/* Counts of all comparisons, for the line that the test prints. */
struct compared {
	size_t programs, too_big, ends, deadlocks, counted, classes;
};

/* The difference as a text of up to PROGRAM_TEXT bytes in `why`. Returns false if
 * there is none. */
bool compare_program(const struct subject *s, const struct comparison *c,
		     const struct program *p, struct compared *sum, char *why);
/* Drop operations and threads of p while there is a difference. */
void compare_minimise(const struct subject *s, const struct comparison *c,
		      struct program *p);
/* Compare n random programs. A difference is printed, with the seed of its
 * program and the smallest program that still shows one. Returns the number of
 * differences; after `most` it stops. */
size_t compare_random(const struct subject *s, const struct comparison *c,
		      uint32_t seed, size_t n, size_t most,
		      struct compared *sum);
