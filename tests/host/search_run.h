/*
 * kernel/explore/search.c over the step machine of search_model.h.
 */
#pragma once

#include "tests/host/program.h"

struct searched {
	size_t runs;	  /* whole runs, redundant ones not counted */
	size_t redundant; /* given up */
	size_t classes;	  /* different classes among the runs */
	size_t off_course;
	bool cut_short, no_room, forgetful;
	bool too_big;		 /* more than max_runs: the rest is not valid */
	struct program_end *end; /* sorted by memcmp(), each once */
	size_t nr_ends;
};

enum searched_mode { MODE_REDUCED, MODE_FULL, MODE_BOUNDED };

void run_search(struct searched *r, const struct program *p,
		enum searched_mode mode, unsigned int bound, size_t max_runs);
void searched_free(struct searched *r);

enum { BOUNDS = 64 };

/* Every interleaving of a program, by recursion. */
struct walked {
	size_t runs;
	size_t within[BOUNDS]; /* with at most so many preemptions */
};

/* Returns false if there are more than max_runs. Until the next walk, each
 * run_search() checks the straightened order of each run: it is of the class of
 * the run, and has as few switches as any run of the class. */
bool walk_all(struct walked *w, const struct program *p, size_t max_runs);
/* No such checks. */
void walk_none(void);
