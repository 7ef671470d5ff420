/*
 * Where the guest time of a search goes, for `explore ID time`.
 *
 * Whenever the search begins another kind of work, it says so. The time after that
 * counts for this kind. Context: the thread that chooses the next step; one search
 * at a time (demo_mutex).
 */
#pragma once

enum spent_on {
	SPENT_STEPS, /* steps of actors, but those of the next two kinds */
	SPENT_CORES, /* steps in which a core comes or goes, or is told of it */
	SPENT_RCU,   /* steps that wait for grace periods, and RCU's own */
	SPENT_CHOICES, /* the search: what a step touched, and what comes next */
	SPENT_BETWEEN, /* set-up and clean-up; and replays of the witnesses */
	NR_SPENT
};

/* Forget all, and begin with SPENT_BETWEEN. */
void spent_begin(void);
/* From now on the time counts for this kind of work. */
void spent_from_now(enum spent_on on);
/* From now on the time counts for a step of this thread, whose number is that of
 * explore_pending(). */
void spent_on_step(unsigned int thread, unsigned int nr_actors);
/* Print the sums. schedules: how many were run. */
void spent_print(unsigned int schedules);
