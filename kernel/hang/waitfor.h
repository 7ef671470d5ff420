/*
 * Who waits for whom: the wait-for graph, searched on demand.
 *
 * Its nodes are threads. An edge goes to every thread without which a wait
 * cannot end, and only where that is certain:
 *
 *   mutex, spinlock      its owner
 *   rw_semaphore         reader: the writer inside, else a writer that queued
 *                        before it; writer: the writer or each reader inside
 *   percpu_rwsem         reader: the writer, inside or not yet; writer: each
 *                        reader inside (the mutex among writers is a mutex)
 *   completion, parking  the thread that has to do it, if the waiter said so
 *   grace period         its thread; from there, unless that is blocked itself,
 *                        whoever runs on the cores still owed
 *   rcu_barrier()        the grace-period thread or rcuc/N, whichever is next
 *   end of a thread      that thread
 *   answers of cores     whoever runs there
 *
 * A thread waits for all its edges (AND), so a cycle through any of them is a
 * deadlock. A count, time and an unknown completer are no thread: such a wait
 * is the end of a chain, an event that is missing. Readers inside are known in
 * debug builds alone, from lockdep's held stacks; spinning likewise.
 *
 * Guarded by threads_lock during each step. Any context but FIQ; takes no lock
 * that the threads it looks at could hold.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/sched/thread.h"

#define WAITFOR_MAX  16 /* threads in a chain */
#define WAITFOR_SEEN 64 /* threads in a search */

struct waitfor_link {
	struct thread *thread; /* its handle is not held: see waitfor_cycle() */
	uint32_t id;
	char name[THREAD_NAME_LEN];
	uint32_t cpu;
	struct waiting waiting; /* what it waits for (ops may be NULL) */
	uintptr_t owner_site;	/* where the owner took it, 0: not known */
	uint64_t owner_since;	/* and since when, counter ticks */
	unsigned int owners; /* how many threads it hangs on; 0: nobody known */
	uint64_t switches;
	const char *bug; /* the condition of the BUG that ended it */
};

struct waitfor {
	unsigned int n;	    /* links */
	bool cycle;	    /* the last link hangs on link[first] */
	unsigned int first; /* where the cycle begins */
	bool cut; /* a chain went on behind WAITFOR_MAX: there may be more */
	struct waitfor_link link[WAITFOR_MAX + 1]; /* one is the search's */
};

/*
 * Search from t, depth first, for a cycle. The result is a snapshot taken twice
 * that must agree (same threads and objects, none switched in meanwhile), so a
 * cycle reported is one that stands. false: there is none, w is of no use.
 */
bool waitfor_cycle(struct thread *t, struct waitfor *w);
/* The same, but without a cycle w is a chain from t (w->cycle is false), if
 * possible one that ends in a wait for an event. */
bool waitfor_walk(struct thread *t, struct waitfor *w);

/*
 * The hang report: for each thread of the walk who it is, for what it waits,
 * since when, who holds that, where and since when, and the stacks; then the
 * closed cycle, or what event is missing.
 */
void waitfor_report(const struct waitfor *w);

/* One line: "cycle: D -> slab_mutex (U) -> cpu_hotplug.lock (D)". */
void waitfor_print_cycle(const struct waitfor *w);

/* The kind of a wait in words; "-" if there is none. */
static inline const char *wait_name(const struct waiting *w)
{
	return w->ops ? w->ops->name : "-";
}
/* Whom a link hangs on, NULL: nobody known; and as what: "held by". */
static inline const struct waitfor_link *waitfor_owner(const struct waitfor *w,
						       unsigned int link)
{
	return link + 1 < w->n ? &w->link[link + 1] :
	       w->cycle	       ? &w->link[w->first] :
				 NULL;
}
const char *waitfor_relation(const struct waitfor *w, unsigned int link);

/* What t waits for, asleep or busy; ops is NULL if t runs, can run, or
 * waits for time or work. */
struct waiting waits_for(struct thread *t);
/* Is t blocked in a wait that only an event can end (not time, not idling)? */
bool waits_for_event(const struct thread *t);
/* t blocks: could that have closed a cycle? A few loads; may say yes too often,
 * never no when it is the last edge (but of those that are busy). */
bool waitfor_suspicious(const struct thread *t);
