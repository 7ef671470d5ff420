/*
 * The state of the machine as a few logical numbers, no addresses: what must be
 * the same before and after whatever claims to leave no trace.
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
 * to run may still be about to wake somebody. *sum: if it is the same at a
 * second look, and the caller has not slept between, none of them woke.
 */
bool cores_sleep(uint32_t *sum);
/* No grace period under way, and none asked for. */
bool rcu_gp_is_quiet(void);
/* Nor a callback that could be invoked: those of a dead core wait for their
 * adoption. */
bool rcu_is_quiet(void);

/* Timers on all cores but for those of sleeping threads. */
unsigned int timers_armed_all(void);

void state_take(struct state_summary *s);
/* The state at rest: no callback, and the same at two looks. May sleep. */
void state_take_settled(struct state_summary *s);
/*
 * Wait until the state equals `want` (callbacks and dying threads need a
 * moment); false if it has not when nothing moves any more. May sleep.
 */
bool state_settles(const struct state_summary *want, struct state_summary *now);
void state_print_same(const struct state_summary *s);
void state_print_difference(const struct state_summary *a,
			    const struct state_summary *b);
