/*
 * Who waits for whom: the wait-for graph, walked on demand.
 *
 * An edge is drawn only where the owner is known for certain: from a thread
 * that waits for a mutex to the thread in the mutex's owner word, and from one
 * that joins to the thread that has to end. A walk that
 * comes back to a thread it has seen has closed a cycle: nobody in it can move.
 * Other waits (reference counts, completions, time) end the walk and are named.
 *
 * Guarded by threads_lock during the walk. Any context but FIQ; takes no lock
 * that the threads it looks at could hold.
 */
#ifndef KERNEL_DEBUG_WAITFOR_H
#define KERNEL_DEBUG_WAITFOR_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/sched/thread.h"

#define WAITFOR_MAX 16

struct waitfor_link {
	struct thread *thread; /* its handle is not held: see waitfor_walk() */
	uint32_t id;
	char name[THREAD_NAME_LEN];
	uint32_t cpu;
	struct waiting waiting; /* what it waits for (kind may be NONE) */
	struct thread *owner;	/* who has that, or NULL if nobody is known */
	uint32_t owner_id;
	char owner_name[THREAD_NAME_LEN];
	uintptr_t owner_site; /* where the owner took it */
	uint64_t switches;
	const char *bug; /* the condition of the BUG that ended it */
};

struct waitfor {
	unsigned int n;	    /* links */
	bool cycle;	    /* the last link's owner is link[first] */
	unsigned int first; /* where the cycle begins */
	struct waitfor_link link[WAITFOR_MAX];
};

/*
 * Follow owners from t. The result is a snapshot: for a cycle it is taken twice
 * and must agree (same threads, same objects, none switched in meanwhile), so a
 * cycle reported is one that stands. Returns w->cycle.
 */
bool waitfor_walk(struct thread *t, struct waitfor *w);

/*
 * The hang report: for each thread of the walk who it is, for what it waits,
 * since when, who owns that and where it was taken, and the stacks; then the
 * closed cycle, or what event is missing.
 */
void waitfor_report(const struct waitfor *w);

/* One line: "cycle: D -> slab_mutex (U) -> cpu_hotplug.lock (D)". */
void waitfor_print_cycle(const struct waitfor *w);

const char *wait_kind_name(enum wait_kind kind);

/* Is t blocked in a wait that only an event can end (not time, not idling)? */
bool waits_for_event(const struct thread *t);

#endif
