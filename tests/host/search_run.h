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

/* straighten: check that the witness of each run is of its class. */
void run_search(struct searched *r, const struct program *p,
		enum searched_mode mode, unsigned int bound, size_t max_runs,
		bool straighten);
void searched_free(struct searched *r);
