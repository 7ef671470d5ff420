/*
 * The stage, for who plays on it: the runner (lab/run.c), the explorer's
 * commands (lab/explore/explore.c), the cut (lab/cut.c). See lab/stage.c.
 */
#pragma once

#include "lab/experiment.h"

extern struct stage the_stage; /* demo_mutex */

/* Workers, core and lock as the scenario needs them, the state noted. 0 or a
 * negative errno; stage_close() in any case. */
int stage_open(const struct demo *d, const struct scenario *sc);
void stage_close(struct stage *st);

/* The round: from here on nothing of the last one is left. */
void reset_round(struct stage *st);
/* Let the actors go; seed: of the pauses before them, in free rounds. */
void start_actors(struct stage *st, uint32_t *seed);
/* Wait until it is decided how it ends; the knot, if there is one, is tied. */
enum outcome watch_round(struct stage *st, struct waitfor *cycle,
			 unsigned int warns);
/* false: an actor ended with a lock or a reference held. */
bool end_round(struct stage *st, enum outcome out, struct waitfor *w,
	       bool quietly);
void replace_dead_workers(struct stage *st);
/* Is the state as it was when the stage was opened? Says how it is, or how it
 * differs; quietly: only the latter. */
bool compare_state(bool quietly);

/* Nothing is printed, and lockdep writes no report that nobody would see. */
void hush(bool on);
/* Of use only if the threads do end, left to themselves. */
void tell_on_their_own(void);

bool all_done(const struct stage *st);
/* Somebody waits for what will not come. */
bool is_knot(enum outcome out);
/* The thread that a BUG ended, or NULL. */
const struct thread *who_died(const struct stage *st);

/* lab/run.c, for the explorer too: */
/* Did the BUG, or the warning, name the place that did it? Says so if not. */
bool names_culprit(const struct stage *st, enum outcome out);
/* What lockdep found beside what the scenario says; says so if it differs. */
bool lockdep_as_expected(unsigned int said, unsigned int may,
			 unsigned int found, const char *when);
/* The evidence of a round that has ended, its knot still tied. */
void tell(struct stage *st, enum outcome out, struct waitfor *w);

/* Is it the rw-semaphore that the installed hotplug lock is made of? */
static inline bool is_hotplug_rwsem(const void *obj)
{
	return obj && obj == READ_ONCE(hotplug_ops)->rwsem;
}

/* lab/world.c: put in place what the scenario exchanges in the kernel, beside the
 * hotplug lock: 0, or a negative errno of register_cpu_notifier(). Sleeps. */
int world_exchange(const struct scenario *sc);
/* And take it out again, whether or not that succeeded. Sleeps. */
void world_restore(const struct scenario *sc);

/* lab/cut.c */
/* Release what actors that have ended hold; st->left_held notes it. Returns how
 * many locks that were. */
unsigned int release_ended(struct stage *st);
/* End whatever keeps the round from finishing, and let it finish. */
void cut_and_finish(struct stage *st, enum outcome out, struct waitfor *w,
		    bool quietly);
