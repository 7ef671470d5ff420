/*
 * The wait-for graph: which thread waits for which, searched on demand.
 *
 * What it is for. A deadlock is a cycle in this graph. The watchdog, the
 * command `waits`, the runner of experiments and the explorer search it.
 *
 * Nodes are threads. A waiting thread has an edge to every thread that must act
 * before the wait can end, but only where that is certain:
 *
 *   mutex, spinlock      the owner
 *   rw_semaphore         for a reader: the writer inside, or a writer that
 *                        queued up before it; for a writer: the writer or each
 *                        reader inside
 *   percpu_rwsem         for a reader: the writer, inside or about to be; for
 *                        a writer: each reader inside (among writers it is a
 *                        mutex)
 *   completion, parking  the thread that must call complete() or park, if the
 *                        waiting thread named one
 *   grace period         the grace-period thread (none if the grace period is
 *                        expedited); from there, unless that is blocked, the
 *                        threads that run on the cores that owe a quiescent
 *                        state
 *   rcu_barrier()        the grace-period thread or rcuc/N, whichever is next
 *   end of a thread      that thread
 *   answers of cores     the threads that keep these cores from answering
 *
 * These edges are found through the struct wait_ops that each wait hands over.
 *
 * The duties of code that waits. (1) Announce the wait with wait_begin() or
 * busy_begin(). (2) If you know the one thread that must act, name it (struct
 * waiting, `by`).
 *
 * Consequences. (a) A thread needs all of its edges, so a cycle through any of
 * them is a deadlock. (b) A count, time and an unknown completer are no
 * threads: a chain ends there, and the report names the event that is missing.
 * (c) Readers inside and threads that spin are known in debug builds only
 * (lockdep's held stacks, busy_begin()). So the edges of spinlocks and answers
 * exist in debug builds only.
 *
 * The mechanism. Each step of a search goes through all threads under
 * threads_lock. A cycle is reported only if two searches in a row agree;
 * waitfor.c says why the cycle is then a deadlock. Any context but FIQ; takes no
 * lock that a thread it looks at could hold.
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
	struct waiting waiting; /* ops is NULL if it does not wait */
	uintptr_t owner_site;	/* where the owner took it; 0: not known */
	uint64_t owner_since;	/* since when, in counter ticks */
	unsigned int owners;	/* edges; 0: no thread is known */
	uint32_t switches;
	const char *bug; /* the condition of the BUG that ended it */
};

struct waitfor {
	unsigned int n;	    /* links */
	bool cycle;	    /* the last link waits for link[first] */
	unsigned int first; /* where the cycle begins */
	bool cut;	    /* a chain was longer than there is room for */
	struct waitfor_link link[WAITFOR_MAX + 1]; /* the search needs one more */
};

/*
 * Search from t, depth first, for a cycle. Two snapshots must agree: the same
 * threads and objects, and no thread has left its wait in between. Returns
 * false if there is no cycle, and then w is of no use.
 */
bool waitfor_cycle(struct thread *t, struct waitfor *w);
/* As waitfor_cycle(), but if there is no cycle, w is a chain from t (and
 * w->cycle is false): if possible, a chain that ends in a wait for an event. */
bool waitfor_walk(struct thread *t, struct waitfor *w);
/* As waitfor_walk(), for a caller that knows the waits of some threads better.
 * waits() returns the wait of a thread. For a thread that the caller does not
 * know, waits() calls waits_for(). threads_lock is held when waits() is
 * called. */
bool waitfor_walk_with(struct thread *t, struct waitfor *w,
		       struct waiting (*waits)(struct thread *t));

/*
 * Print the hang report. For each thread of the walk: the object that the
 * thread waits for, the duration of the wait, the holder of the object, the
 * place and the age of that holder's acquisition, and the stack. Then the end
 * of the chain.
 */
void waitfor_report(const struct waitfor *w);
/* One line: "cycle: D -> slab_mutex (U) -> cpu_hotplug.lock (D)", or the event
 * that is missing; nothing if the last thread can run. */
void waitfor_print_end(const struct waitfor *w);
void waitfor_print_cycle(const struct waitfor *w);

/* The kind of a wait in words; "-" if there is none. */
static inline const char *wait_name(const struct waiting *w)
{
	return w->ops ? w->ops->name : "-";
}

/* The thread that this link waits for; NULL: none is known. */
static inline const struct waitfor_link *waitfor_owner(const struct waitfor *w,
						       unsigned int link)
{
	return link + 1 < w->n ? &w->link[link + 1] :
	       w->cycle	       ? &w->link[w->first] :
				 NULL;
}
/* The words between the object and the thread of the next link: "held by".
 * Call it only if waitfor_owner() is not NULL. */
const char *waitfor_relation(const struct waitfor *w, unsigned int link);

/* The wait of t, asleep or spinning. ops is NULL if t runs or can run, or waits
 * for time or for new work. */
struct waiting waits_for(struct thread *t);
/* Is t blocked in a wait that only an event can end? (A wait for time or for
 * new work is no such wait.) */
bool waits_for_event(const struct thread *t);
/* t is about to block: could this close a cycle? (The check costs a few loads.)
 * The answer may be true although there is no cycle. It is never false for the
 * last edge of a cycle of sleeping threads. */
bool waitfor_suspicious(const struct thread *t);
