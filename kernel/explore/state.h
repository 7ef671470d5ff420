/*
 * The state of the machine as a few logical numbers, without addresses. It must
 * be the same before and after an operation that claims to leave no trace.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/cpumask.h"

struct state_summary {
	unsigned int caches;  /* slab caches */
	unsigned int objects; /* slab objects in use */
	unsigned int pages;   /* in use, without those of slabs and stacks */
	unsigned int threads;
	uint32_t online;	/* cores, as a mask */
	unsigned int notifiers; /* CPU notifiers registered */
	int refcount;		/* of the hotplug lock */
	unsigned int callbacks; /* RCU callbacks queued, all cores */
	unsigned int timers;	/* armed, without those that end a sleep */
	unsigned int held;	/* how many of the four mutexes are held */
};

/* Is no thread but the caller on a core or queued for one? */
bool cores_idle(void);
/*
 * Are all cores but the caller's asleep in their idle loops? (A core with
 * nothing to run may still be about to wake a thread.) *sum: if two calls give
 * the same number, and the caller has not slept between them, no core has woken
 * between them.
 */
bool other_cores_sleep(uint32_t *sum);
/* Does no grace period run, and is none requested? */
bool rcu_gp_is_quiet(void);
/* Is rcu_gp_is_quiet() true, and are there no callbacks on any online core? */
bool rcu_is_quiet(void);

/* The number of armed timers on all cores, without those that end a sleep. */
unsigned int timers_armed_all(void);

void state_take(struct state_summary *s);
/* Take the state when there are no callbacks and two looks in a row are the
 * same, or when a time limit is over. May sleep. */
void state_take_settled(struct state_summary *s);
/*
 * Wait until the state equals `want`; callbacks and ending threads take some
 * time. Returns false if the state still differs when a time limit is over. May
 * sleep.
 */
bool state_settles(const struct state_summary *want, struct state_summary *now);
void state_print_same(const struct state_summary *s);
void state_print_difference(const struct state_summary *a,
			    const struct state_summary *b);

/* An experiment or a test needs all cores, because what it shows depends on the cores that
 * are on. Afterwards the cores are as the user had them. */

/* Turn on the cores that are off, and print for each: "... until the `what` has
 * ended". Returns the cores that were off and are on now. A core that cannot be
 * turned on stays off. May sleep. */
struct cpumask cores_on_for(const char *what);
/* Turn off each of these cores that is on. Prints for each core what happened.
 * May sleep. */
void cores_off_again(struct cpumask were_off);
