/*
 * The explorer's engine: it moves a few threads one step at a time.
 *
 * The idea. Each thread stops at gates (kernel/debug/trace.h), but only at those
 * that end a step (ends_step() in gates.c). The explorer lets one thread run at a
 * time. The thread's step lasts until its next gate, until it sleeps, or until it
 * ends. So a step is the work of one thread.
 *
 * If a step wakes a thread, this thread does nothing in the step. It stops right
 * after its sleep, at its resume gate, before it looks at anything. So an
 * operation that blocks is two steps: the first begins it, and the second goes on
 * after the sleep.
 *
 * A thread is "enabled" if it can take a step. A thread at a gate is enabled, with
 * these exceptions:
 *   - before mutex_lock(), and before a spinlock of the experiment: it is enabled
 *     only while the lock is free. The thread has not come to the lock yet, and it
 *     may come as late as the explorer likes. (If it queued up for a held lock, it
 *     would only change who gets the lock next. The explorer chooses that anyway.)
 *   - before a call of another core: only while the thread there has IRQs on.
 *   - before explore_await(): only while the condition is true.
 * All other waits are real: a thread really blocks in a rw-semaphore, the
 * reference count, a completion, a wait queue, mutex_lock_interruptible(). A wait
 * with a timeout arms no timer. While its thread sleeps, the thread is enabled
 * too: a step then ends the wait as if the time had run out.
 *
 * What the steps touch. A step's footprint (search.h) has all things that the step
 * changes, and all things on which it depends. So two steps with independent
 * footprints commute. Each thread has a thing for its wake-up as well. The step
 * that wakes the thread opens this thing, and the step at the thread's resume gate
 * takes it (search.h).
 *
 * RCU takes steps too. In explored.choose() and explore_standing() RCU is number
 * `nr`, after the threads. A callback is due if a thread has queued it and its
 * grace period is over. RCU is enabled while a callback is due; its step runs all
 * callbacks that are due, in the order of the cores. The callbacks that
 * rcu_barrier() itself queues never count as due: they run at once if no other
 * callback is due, else in RCU's step.
 *
 * The explorer waits for the environment, and does not permute it: the
 * grace-period thread, armed timers, the stopper threads, interrupts, and
 * callbacks on the core that comes or goes.
 *
 * Which thread calls choose(). If the environment is at rest, and choose() may be
 * called anywhere, the thread whose step is over calls it, and lets the next
 * thread go. Otherwise the exploring thread does both.
 *
 * The client's duties:
 *  1. Mark the threads `gated` before they start. Each thread calls
 *     explore_start() first, and explore_thread_ends() once ended() is true for
 *     it.
 *  2. Call explore_begin(), explore_run(), then explore_let_go() if threads are
 *     left, and explore_end().
 *  3. Say in the subject which core comes or goes.
 *
 * The consequences:
 *  a. Only the granted thread runs until its step is over.
 *  b. If the choices are the same, the run is the same. If this may not be so,
 *     explore_touched_at_rest() returns true.
 *
 * Debug profile only.
 */
#pragma once

#include "kernel/debug/trace.h"
#include "kernel/explore/search.h"

struct thread;

/* The threads that are explored. */
struct explored {
	unsigned int nr;
	struct thread *thread[SEARCH_THREADS];
	/* Has thread i ended? Called in any context. */
	bool (*ended)(void *arg, unsigned int i);
	void *arg;
	/* The condition for which thread i waits in explore_await(). NULL:
	 * thread i must not call explore_await(). The condition depends only on
	 * what the threads do. Called in any context. */
	bool (*awaits[SEARCH_THREADS])(void *arg);
	/* If interrupts[i] is not 0, number i is a declared interrupt of thread
	 * interrupts[i] - 1. thread[i] is then this thread, and handler() is
	 * the interrupt's handler. */
	uint8_t interrupts[SEARCH_THREADS];
	void (*handler)(void *arg, unsigned int i);
	/* Has each thread a core of its own, on every machine? */
	bool apart;
	unsigned int toggled; /* the core that comes and goes; NR_CPUS: none */
	/* Returns the thread, or RCU, that takes the next step: one of the set
	 * `enabled`. Negative: there are no more steps. *gates: how many gates
	 * the chosen thread may pass without a stop; 1 if choose() does not
	 * change it. anywhere: choose() does not sleep, and may be called in the
	 * thread whose step is over; else only in the exploring thread. */
	int (*choose)(void *arg, unsigned int enabled, unsigned int *gates);
	bool anywhere;
	/* Called before choose(), in the same thread: a step is over. May be
	 * NULL. */
	void (*step_over)(void *arg, const struct footprint *f);
};

/* One exploration at a time. Thread context, may sleep. */
void explore_begin(const struct explored *subject);
#define EXPLORE_STRAY (1u << 31)
/* Let the threads take steps until none can, or until choose() returns a
 * negative number. Returns the threads that have not ended, as bits. If a
 * thread neither comes to a gate nor sleeps, returns EXPLORE_STRAY;
 * explore_stray() then returns this thread. */
unsigned int explore_run(void);
const struct thread *explore_stray(void);
/* From here on the threads run on their own, and callbacks too. */
void explore_let_go(void);
void explore_end(void);

/* How many of the gates that choose() has granted to thread i are left, because
 * the thread waits or has ended before it came to them. For choose(). */
unsigned int explore_gates_left(unsigned int i);
/* Where each thread and RCU is now, into out[nr + 1]. For choose(), and after
 * explore_run(). */
void explore_standing(struct standing *out);
/* Was anything touched while no step was under way? That must not happen. */
bool explore_touched_at_rest(void);
/* After explore_let_go(): the wait of a thread that sleeps before a spinlock
 * which another explored thread has. */
extern const struct wait_ops turn_wait;
/* What thread i is about to do, for printing. Returns false if it is at no
 * gate. */
bool explore_pending(unsigned int i, enum trace_op *op, const void **obj,
		     uintptr_t *caller);

#if GORDIAN_DEBUG
/* The client installs explore_gate() with trace_set_gate(), and calls
 * explore_event() in its listener. explore_gate() holds the current thread at a
 * gate that ends its step. explore_event() adds an event to the footprint. */
void explore_gate(enum trace_op op, const void *obj, uintptr_t caller);
void explore_event(const struct trace_event *e);

/*
 * Wait until the thread's own condition is true: `awaits` in the subject.
 * Returns false at once if the thread is not explored; the caller then waits in
 * its own way.
 */
bool explore_await(void);
/* Call it after explore_let_go(), while no thread runs. Let the threads in
 * explore_await() go on whose condition is true; if `all`, let every thread in
 * explore_await() go on. Returns whether there was such a thread. */
bool explore_release_waiting(bool all);
/* The calling thread takes the place of thread i, which sleeps or has ended, or is
 * about to. */
void explore_become(unsigned int i);
/* The first gate of an explored thread. Does nothing in other threads. */
void explore_start(void);
/* The current thread has nothing more to do. If it has declared interrupts, it
 * stops at a last gate, where they can still begin. */
void explore_thread_returns(void);
/* The current thread takes no more steps. Does nothing in other threads. */
void explore_thread_ends(void);
#else
static inline void explore_event(const struct trace_event *e)
{
	(void)e;
}
static inline bool explore_await(void)
{
	return false;
}
static inline bool explore_release_waiting(bool all)
{
	(void)all;
	return false;
}
static inline void explore_become(unsigned int i)
{
	(void)i;
}
static inline void explore_start(void)
{
}
static inline void explore_thread_returns(void)
{
}
static inline void explore_thread_ends(void)
{
}
#endif
