/*
 * Read-copy-update, classic flavour: readers take no lock; an updater waits
 * until all readers that could still use the old data have finished.
 *
 * A reader is a region with preemption disabled. A grace period ends when each
 * core that was online at its start has passed through a quiescent state (a
 * context switch, idle, a tick that interrupted no reader) or has gone off.
 *
 * The client's duties:
 *  1. A reader does not sleep.
 *  2. An updater unlinks the data first, then waits for a grace period, then
 *     frees.
 *  3. A callback does not sleep.
 *
 * The consequences:
 *  a. Each reader that began before the grace period has finished before the
 *     grace period ends, and its effects are visible.
 *  b. Readers that start after the grace period began see all that the updater
 *     wrote before.
 *  c. rcu_barrier() waits for callbacks, not for a grace period. It returns at
 *     once if there are no callbacks.
 *
 * RCU is an object (docs/design.md, "objects"): struct rcu_state. The kernel's
 * own instance is rcu_sched_state. The mechanism: kernel/rcu/rcu.c for grace
 * periods, kernel/rcu/callback.c for callbacks and barriers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"
#include "kernel/lib/cpumask.h"
#include "kernel/sync/mutex.h"
#include "kernel/rcu/cblist.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/wait.h"

/* A core's part of an instance. */
struct rcu_data {
	struct rcu_state *rsp;
	struct cblist cbs;	/* only the core uses it, IRQs off */
	struct thread *thread;	/* rcuc/N, which invokes them */
	struct wait_queue wake; /* rcuc/N waits here */
	struct rcu_head barrier_head;
} cache_aligned;

/* Which cores a grace period still waits for. */
struct rcu_debt {
	struct cpumask owed;	     /* rsp->lock */
	struct wait_queue wake;	     /* its waiter waits here */
	uint32_t idle_snap[NR_CPUS]; /* the cores' idle counts at its start */
};

struct rcu_state {
	const char *name;
	/* One grace period. Called by the instance's thread. */
	void (*grace_period)(struct rcu_state *rsp);
	/* Take over a dead core's callbacks. Called at CPU_DEAD if it has
	 * any. */
	void (*adopt)(struct rcu_state *rsp, unsigned int dead);
	void (*barrier)(struct rcu_state *rsp); /* rcu_barrier()'s body */
	struct spinlock lock;
	/* lock guards (gp_seq, request and the masks are also read without
	 * it): */
	uint32_t gp_seq;       /* odd: one runs (kernel/rcu/cblist.h) */
	uint32_t request;      /* run grace periods until gp_seq is this */
	struct cpumask online; /* cores that a new grace period counts */
	struct rcu_debt gp;    /* of the grace period that runs */
	struct rcu_debt exp;   /* of the expedited one that runs */
	/* No lock: */
	uint64_t gp_start; /* counter ticks; written by `thread` */
	struct thread *thread;
	struct wait_queue gp_end; /* for the end of a grace period */
	struct mutex exp_mutex;	  /* one expedited grace period at a time */
	struct mutex barrier_mutex;
	struct completion barrier_completion; /* barrier_mutex */
	uint32_t barrier_count;		      /* atomic */
	uint32_t barrier_snap;	 /* when its callbacks are ready; for reports */
	uint32_t n_barrier_done; /* barrier_mutex; odd while a barrier runs */
	struct rcu_state *next;
	struct rcu_data data[NR_CPUS];
};

extern struct rcu_state rcu_sched_state;

/* A grace period older than this is reported (guest time, ns). */
extern uint64_t rcu_stall_ns;
extern unsigned int rcu_stalls; /* reports since boot */

#if GORDIAN_DEBUG
/* They note the place and the time of the reader, for reports. */
void rcu_read_lock(void);
void rcu_read_unlock(void);
#else
#define rcu_read_lock()	  preempt_disable()
#define rcu_read_unlock() preempt_enable()
#endif
/* A reader is a region with preemption or interrupts off. */
static inline bool rcu_read_lock_held(void)
{
	return current->preempt_count || current->irq_depth || irqs_disabled();
}

/* Load a pointer in a reader. ARM orders accesses through the pointer after the
 * load (address dependency); pairs with the release in rcu_assign_pointer(). */
#define rcu_dereference(p)                                                     \
	({                                                                     \
		lockdep_check(rcu_read_lock_held(), LOCKDEP_RCU,               \
			      "rcu_dereference(" #p ")");                      \
		READ_ONCE(p);                                                  \
	})
/* Load a pointer in an updater. c: the condition under which no other thread
 * changes the pointer, such as a lock being held. */
#define rcu_dereference_protected(p, c)                                        \
	({                                                                     \
		lockdep_check(c, LOCKDEP_RCU,                                  \
			      "rcu_dereference_protected(" #p ", " #c ")");    \
		READ_ONCE(p);                                                  \
	})
/* Publish v: a reader that sees v sees everything written to *v before. */
#define rcu_assign_pointer(p, v) smp_store_release(&(p), (v))

/* Call func(head) after a grace period. Any context but FIQ. */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *));
/* Wait for a grace period. May sleep. */
void synchronize_rcu(void);
/* As synchronize_rcu(), but interrupt the cores that owe a quiescent state. May
 * sleep. */
void synchronize_rcu_expedited(void);
/* Wait until every callback queued before the call has run. May sleep. */
void rcu_barrier(void);

/* The kernel's own functions for an instance. _rcu_barrier() is the function of
 * the 2012 commit 1331e7a1bbe1. */
void rcu_grace_period(struct rcu_state *rsp);
void rcu_adopt(struct rcu_state *rsp, unsigned int dead);
void _rcu_barrier(struct rcu_state *rsp);

/*
 * The steps of a grace period: begin (note the cores that owe a quiescent
 * state), await these, end.
 *
 * The steps of a barrier:
 *  1. rcu_barrier_enter() takes a snapshot. The barrier waits for the callbacks
 *     that were queued before it.
 *  2. With barrier_mutex held, rcu_barrier_gone_by() says whether another
 *     barrier has run as a whole since the snapshot. If so, nothing is left to
 *     do.
 *  3. rcu_barrier_begin(), then rcu_barrier_entrain() for each online core.
 *     rcu_barrier_entrain() calls rcu_barrier_queue() on that core, with IRQs
 *     off. rcu_barrier_queue() counts rdp->barrier_head in barrier_count, and
 *     puts it behind all callbacks of the list l.
 *  4. rcu_barrier_wait() waits until each of these barrier_heads has run.
 */
void rcu_gp_begin(struct rcu_state *rsp);
void rcu_gp_await(struct rcu_state *rsp);
void rcu_gp_end(struct rcu_state *rsp);
uint32_t rcu_barrier_enter(struct rcu_state *rsp, uintptr_t caller);
bool rcu_barrier_gone_by(struct rcu_state *rsp, uint32_t snap);
void rcu_barrier_begin(struct rcu_state *rsp);
void rcu_barrier_entrain(struct rcu_state *rsp, unsigned int cpu);
void rcu_barrier_queue(struct rcu_data *rdp, struct cblist *l);
/* Is func the function of the barrier's callbacks? Any context. */
bool is_barrier_callback(uintptr_t func);
void rcu_barrier_wait(struct rcu_state *rsp);
/* rcu_snap() returns the gp_seq at which a full grace period that starts after
 * this call has passed. rcu_request() requests grace periods until gp_seq is
 * `snap`. Any context but FIQ. */
static always_inline uint32_t rcu_snap(struct rcu_state *rsp)
{
	smp_mb(); /* the caller's writes come before gp_seq is read: pairs with
		   * the lock in rcu_gp_begin() */
	return rcu_seq_snap(READ_ONCE(rsp->gp_seq));
}

/* The slow part: wake the grace-period thread. */
void rcu_request_slow(struct rcu_state *rsp, uint32_t snap);

static always_inline void rcu_request(struct rcu_state *rsp, uint32_t snap)
{
	if (!rcu_seq_done(READ_ONCE(rsp->request), snap))
		rcu_request_slow(rsp, snap);
}

/* Boot: registers scheduler hooks and the CPU notifier (before slab's). */
void rcu_init(void);
/* Boot: start RCU's threads, once threads can be created. */
void rcu_spawn(void);

/* Callbacks queued on that core, in all segments. May be out of date. */
unsigned int rcu_nr_callbacks(unsigned int cpu);
/* The core's idle count. Even: the core idles or is off. If the count has
 * changed between two looks, the core has gone into idle or come out of it in
 * between. */
uint32_t rcu_idle_count(unsigned int cpu);
/* The cores that the running grace period waits for; empty if none runs. */
struct cpumask rcu_owed(struct rcu_state *rsp);
/* For the wait-for graph: a wait for a grace period; a wait for a barrier's
 * last callback (obj: the barrier's completion); and the grace-period thread's
 * wait for readers (obj: the struct rcu_state). */
extern const struct wait_ops gp_wait, barrier_wait, readers_wait;
/* The instance whose grace-period thread is t, if t waits for cores; else
 * NULL. */
struct rcu_state *rcu_awaits_cores(const struct thread *t);
/* For the command `rcu`. */
void rcu_print(void);
