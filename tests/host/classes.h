/*
 * How many classes of runs (Mazurkiewicz traces) a machine has whose steps tell
 * what they touch, counted without a search that skips anything clever. Two
 * touches of one thing are independent if both are the same and not a WRITE.
 */
#pragma once

#include "tests/host/program.h"

enum touch_how { TOUCH_READ, TOUCH_INC, TOUCH_DEC, TOUCH_WRITE };

struct touch {
	unsigned int thing;
	enum touch_how how;
};

enum {
	MAX_TOUCHES = 16, /* of one step */
	MAX_STEPS = 200,  /* of one run */
};

/* A machine. It must be deterministic: the same steps after reset() lead to the
 * same state. */
struct step_machine {
	void (*reset)(void *arg);
	/* Which threads can do a step now? A bit each. */
	uint32_t (*enabled)(void *arg);
	/* Thread t, which is enabled, does one step. Returns what it touched:
	 * how many things, the things in touched[]. */
	unsigned int (*step)(void *arg, unsigned int t, struct touch *touched);
	/* No thread is enabled: how did the run end? */
	void (*end)(void *arg, struct program_end *e);
	/* A hash of the whole state, or NULL: then two states are compared by
	 * their enabled threads only. */
	uint64_t (*state)(void *arg);
	void *arg;
};

struct classes_result {
	size_t nr_classes;
	size_t nr_runs;		 /* interleavings; 0 if they were not counted */
	struct program_end *end; /* sorted by memcmp(), each once */
	size_t nr_ends;
	bool too_big; /* the rest is not valid */
	/* NULL, or what is wrong with the machine: a run that the touches say
	 * is equivalent to another one is not. broken_run[]: the threads. */
	const char *broken;
	uint8_t broken_run[MAX_STEPS];
	size_t broken_steps;
};

/* Run every interleaving, if there are at most max_runs. Only whole runs are
 * compared, so not every wrong touch is noticed. */
void classes_by_runs(struct classes_result *r, const struct step_machine *m,
		     size_t max_runs);
/* Keep one run of each class of beginnings, and make each of them longer by one
 * step, again and again; at most max_beginnings in all. That all runs of a class
 * lead to one state is not assumed: it is checked, and `broken` says if not. */
void classes_by_beginnings(struct classes_result *r,
			   const struct step_machine *m, size_t max_beginnings);
void classes_free(struct classes_result *r);
