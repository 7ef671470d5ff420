/*
 * The stage, for the runner (lab/run.c) and the explorer (lab/explore/), which
 * play rounds on it. See lab/stage.c.
 */
#pragma once

#include "lab/experiment.h"

/* Start the workers, install what the scenario exchanges, and note the state. together:
 * put the workers and the runner on one core, unless the experiment needs several cores.
 * This saves the time in which one core wakes another. Returns 0, or a negative errno.
 * Call stage_close() in any case. Both sleep; demo_mutex held, as for all functions
 * here. */
int stage_open(const struct demo *d, const struct scenario *sc, bool together);
void stage_close(struct stage *st);

/* Turn off the cores that the user had turned off before stage_open() turned them
 * on. Called when a command ends, while no stage is open. Sleeps. */
void stage_restore_cores(void);

/* Forget the last round. */
void reset_round(struct stage *st);
/* Let the actors go. seed: in free rounds, of the random pauses before they start. */
void start_actors(struct stage *st, uint32_t *seed);
/* Wait until it is known how the round ends. A knot is not cut yet. After a deadlock
 * st->waits has the cycle. warns: warn_count when the round began. */
enum outcome watch_round(struct stage *st, unsigned int warns);
/* Cut the knot, if there is one, and tear down. quietly: print errors only. Returns
 * false if an actor ended with a lock or a reference held. */
bool end_round(struct stage *st, enum outcome out, bool quietly);
/* Give a new thread to each worker that a BUG has ended. */
void replace_dead_workers(struct stage *st);
/* Is the state as it was when the stage was opened? Prints the state, or how it
 * differs; quietly: prints only how it differs. */
bool state_is_as_before(bool quietly);

/* on: nothing is printed, and lockdep makes no reports. */
void hush(bool on);
/* Print a line which says that from here on the threads are left to end by
 * themselves. */
void say_threads_end_alone(void);

bool all_done(const struct stage *st);
/* Has each actor a core of its own, on every machine with enough cores for the
 * experiment? */
bool actors_are_apart(const struct stage *st);
/* If actor i is an interrupt: the number of the actor that it interrupts. Else -1. */
int interrupted_actor(const struct stage *st, unsigned int i);
/* Is the outcome a knot: deadlock or stuck? */
bool is_knot(enum outcome out);
/* The thread that a BUG ended, or NULL. */
const struct thread *thread_with_bug(const struct stage *st);

/* lab/observe.c: from here to observe_end() the gate and the listener work for
 * this stage. */
void observe_begin(struct stage *st);
void observe_end(void);

/* lab/schedule.c: print the actions of the actors, in columns. The short form leaves
 * out lines that do not bear on the outcome. ended: all actors have ended. */
void show_schedule(const struct stage *st);
void show_short_schedule(const struct stage *st, bool ended);
/* lab/story.c: print in a sentence or two what happened in the round, and why. */
void tell_round(struct stage *st, enum outcome out);
/* lab/evidence.c: print all that a round has to show. Called before a knot is cut.
 * Short if st->brief is set. */
void show_round(struct stage *st, enum outcome out);
/* Print the scenario's own evidence. */
void show_evidence(struct stage *st);

/* Is obj the rw-semaphore that the installed hotplug lock is made of? */
static inline bool is_hotplug_rwsem(const void *obj)
{
	return obj && obj == READ_ONCE(hotplug_ops)->rwsem;
}

/* lab/observe.c: does each step of the scripts name an actor of the scenario? Returns 0;
 * or -EINVAL, and then a line says which step does not. */
int check_scripts(const struct stage *st);

/* lab/world.c: install everything that the scenario exchanges in the kernel, except
 * the hotplug lock. Returns 0, or a negative errno of register_cpu_notifier(). Sleeps. */
int world_exchange(const struct scenario *sc);
/* Undo world_exchange(), whether or not it succeeded. Sleeps. */
void world_restore(const struct scenario *sc);

/* lab/cut.c */
/* Release the locks of actors that have ended. If an actor that ended without a BUG held
 * a lock, set st->left_held. Returns the number of locks released. */
unsigned int release_ended(struct stage *st);
/* End every wait that keeps the round from its end, and wait until all actors have
 * ended. */
void cut_and_finish(struct stage *st, enum outcome out, bool quietly);
