/*
 * The fixture of suite waitfor. A case ties a knot: its threads wait for each
 * other. The wait-for graph must show the cycle with its links in order; then the
 * case cuts the knot. Other cases wait without a cycle, and none may be found.
 *
 * The watchdog is mute during a case, because the case looks for itself.
 */
#pragma once

#include "kernel/hang/waitfor.h"
#include "kernel/sched/wait.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"
#include "tests/kernel/ktest.h"

struct knot {
	/* To wait for. */
	struct mutex m[3];
	struct rw_semaphore rwsem;
	struct percpu_rwsem percpu;
	struct completion done;	 /* a case may say by whom */
	struct completion never; /* nobody is known to complete it */

	uint32_t steps;	 /* atomic: threads that have what they take first */
	uint32_t let_go; /* threads that spin may go on */
	struct thread *t[4];
	struct waitfor walk; /* the last one */
};
extern struct knot knot;

/* Initialise the knot, before its threads start. */
void knot_begin(void);
/* Join its first n threads. */
void knot_end(unsigned int n);

/* For its threads: this one has what it takes first. */
void knot_step(void);
/* The same, and wait until n threads have. */
void knot_meet(uint32_t n);

/* Wait until a walk from knot.t[from] finds a cycle. It must be of n links: thread
 * who[i] waits in the way kinds[i] for who[i + 1], the last one for who[0]. */
bool knot_has_cycle(unsigned int from, unsigned int n,
		    const struct wait_ops *const *kinds,
		    struct thread *const *who);
#define KINDS(...) ((const struct wait_ops *const[]){ __VA_ARGS__ })
#define WHO(...)   ((struct thread *const[]){ __VA_ARGS__ })

/* Wait until the thread waits in this way. */
bool thread_waits(const struct thread *t, const struct wait_ops *kind);
