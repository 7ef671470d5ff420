/*
 * Where the guest time of a search goes, for `explore ID time`.
 *
 * The search says at each turn what the time from now on is spent on. Context: the
 * thread that chooses the next step; one search at a time (demo_mutex).
 */
#pragma once

enum spent_on {
	SPENT_STEPS, /* steps of actors that wait for nothing else */
	SPENT_CORES, /* steps in which a core comes or goes, or is told of it */
	SPENT_RCU,   /* steps that wait for grace periods, and RCU's own */
	SPENT_CHOICES, /* the search: what a step touched, and what comes next */
	SPENT_BETWEEN, /* set-up and clean-up; and replays of the witnesses */
	NR_SPENT
};

/* Forget all, and begin with SPENT_BETWEEN. */
void spent_begin(void);
/* From now on the time is spent on that. */
void spent_from_now(enum spent_on on);
/* From now on it is spent on this thread's step. thread: as explore_pending() has it. */
void spent_on_step(unsigned int thread, unsigned int nr_actors);
/* Print the sums. schedules: how many were run. */
void spent_print(unsigned int schedules);
