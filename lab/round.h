/*
 * One round, from the set-up to its end, for the runner and for the explorer. See
 * round.c.
 */
#pragma once

#include "lab/stage.h"

struct round {
	/* How it is played. */
	uint32_t seed;	    /* of the actors' pauses, in free rounds */
	unsigned int trace; /* TRACE_MARKED or TRACE_ALL */
	/* Where the runner and the explorer differ. Each may be NULL. */
	/* Called when the set-up is done and no actor runs. Returns 0, or a
	 * negative errno that ends the round. */
	int (*is_set_up)(struct round *r, struct stage *st);
	/* Called when the actors have started: it decides which of them go on,
	 * and when. */
	void (*lead)(struct round *r, struct stage *st);
	/* Called when the outcome of the round is known and no check has run. */
	void (*is_over)(struct round *r, struct stage *st);
	/* Called when all actors have ended: may the checks run? */
	bool (*may_check)(struct round *r, struct stage *st);

	/* The result. */
	enum outcome outcome;
	unsigned int warnings; /* WARN_ON reports */
	bool slab_differs;     /* slab reports: more or fewer than expected */
};

/* Play the round. A knot is not cut: end_round() does that. Returns 0, or a
 * negative errno: the set-up failed and no actor ran. Sleeps; demo_mutex held. */
int play_round(struct round *r, struct stage *st);
