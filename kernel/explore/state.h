/*
 * A summary of the kernel's state: a few numbers, no addresses. Take it before and
 * after an operation that must leave the state unchanged, and compare the two.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct state_summary {
	unsigned int caches;  /* slab caches */
	unsigned int objects; /* slab objects in use */
	unsigned int pages;   /* pages in use but for slabs and stacks */
	unsigned int threads;
	uint32_t online;	/* cores, as a mask */
	unsigned int notifiers; /* CPU notifiers registered */
	int refcount;		/* of the hotplug lock */
	unsigned int callbacks; /* RCU callbacks queued, all cores */
	unsigned int timers;	/* armed, but for those of sleeping threads */
	unsigned int held; /* of slab_mutex, hotplug, barrier, add_remove */
};

/* No thread but the caller is on a core or queued for one. */
bool cores_idle(void);
/*
 * Does every core but the caller's sleep in its idle loop? A core with nothing
 * to run may still be about to wake a thread. *sum: if it is the same at a second
 * look, and the caller did not sleep in between, none of the cores woke up.
 */
bool cores_sleep(uint32_t *sum);
/* No grace period runs, and none has been requested. */
bool rcu_gp_is_quiet(void);
/* Also no callback that could be invoked. (Callbacks of a dead core cannot be:
 * they wait for their adoption.) */
bool rcu_is_quiet(void);

/* Timers on all cores but for those of sleeping threads. */
unsigned int timers_armed_all(void);

void state_take(struct state_summary *s);
/* The state at rest: no callback, and the same at two looks. May sleep. */
void state_take_settled(struct state_summary *s);
/*
 * Wait until the state equals `want` (callbacks and dying threads need a
 * moment). False if it does not equal it when nothing moves any more. May sleep.
 */
bool state_settles(const struct state_summary *want, struct state_summary *now);
void state_print_same(const struct state_summary *s);
void state_print_difference(const struct state_summary *a,
			    const struct state_summary *b);
