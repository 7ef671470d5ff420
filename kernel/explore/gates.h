/*
 * The explorer's engine: it moves a few threads one step at a time.
 *
 * The idea. Each of the threads stops at gates (kernel/debug/trace.h), but only
 * at those that end a step (ends_step() in gates.c). One thread at a time is
 * let go. The step is over when each thread is at a gate, has ended, or waits
 * for something that only another of the threads can bring.
 *
 * A thread at a gate is enabled, with two exceptions:
 *   - before mutex_lock(): only while the mutex is free. A thread at that gate
 *     has not come to the lock yet, and it may come as late as the explorer
 *     likes.
 *   - before explore_await(): only while the condition is true.
 * All other waits are real, and a thread may really block in them: a
 * rw-semaphore, the reference count, a completion, a wait queue. Between
 * prepare_to_wait() and its sleep a thread passes gates without stopping.
 *
 * The environment is waited for and not permuted: the grace-period thread,
 * timers, the stopper threads, interrupts. RCU callbacks run late and in order:
 * one at a time, and only while a thread waits for an event. Callbacks on the
 * core that comes or goes belong to the environment.
 *
 * The client's duties:
 *  1. Mark the threads `gated` before they start, and let explore_start() be
 *     the first thing that each does.
 *  2. Call explore_begin(); then in a loop explore_settle() and
 *     explore_grant_run() for an enabled thread; then explore_let_go(), if
 *     threads are left, and explore_end().
 *  3. Say in the subject if a thread tries for a lock, and which core comes or
 *     goes.
 *
 * The consequences:
 *  a. Only the granted thread runs until its next gate, apart from threads that
 *     it wakes.
 *  b. The same grants give the same run. explore_touched_at_rest() and
 *     explore_undeclared_try() say when that may not be true.
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
	/* Has thread i ended? Any context. */
	bool (*ended)(void *arg, unsigned int i);
	void *arg;
	unsigned int toggled; /* the core that comes and goes; NR_CPUS: none */
	bool tries; /* a thread calls a trylock: releases end steps, too */
};

/* One exploration at a time. Thread context, may sleep. */
void explore_begin(const struct explored *subject);
/* From here on the threads run on their own, and callbacks too. */
void explore_let_go(void);
void explore_end(void);

#define EXPLORE_STRAY (1u << 31)
/* Wait until the step is over (or the threads have started). Returns the
 * enabled threads as bits; *left: the threads that have not ended. Returns
 * EXPLORE_STRAY if a thread neither comes to a gate nor sleeps; explore_stray()
 * returns that thread. */
unsigned int explore_settle(unsigned int *left);
const struct thread *explore_stray(void);
/* Let thread i, which must be enabled, pass so many gates without
 * stopping. */
void explore_grant_run(unsigned int i, unsigned int gates);
/* How many of the granted gates thread i has not come to, because it waits or
 * has ended. */
unsigned int explore_gates_left(unsigned int i);
/* Where each thread is now, into out[]. */
void explore_standing(struct standing *out);
/* Was anything touched while no step was under way? That must not happen. */
bool explore_touched_at_rest(void);
/* Has a thread tried for a lock although the subject does not say so? */
bool explore_undeclared_try(void);
/* What the threads have touched since the last grant; *woken: the threads that
 * went on without a grant. */
void explore_footprint(struct footprint *f, unsigned int *woken);
/* What thread i is about to do, for printing. Returns false if it is at no
 * gate. */
bool explore_pending(unsigned int i, enum trace_op *op, const void **obj,
		     uintptr_t *caller);

/* The caller installs them as trace_gate_hook, and in its listener. The first
 * holds the current thread at a gate that ends its step; the second adds an event
 * to the footprint. */
void explore_gate(enum trace_op op, const void *obj, uintptr_t caller);
void explore_event(const struct trace_event *e);

/*
 * Wait until the condition is true. what: the data it reads. Returns false at
 * once if the thread is not explored; the caller then waits in its own way.
 */
bool explore_await(bool (*holds)(void *arg), void *arg, const void *what);
/* Call it after explore_let_go(), while no thread runs. Let threads in
 * explore_await() go on: the threads whose condition is true, or (all) every
 * one. Returns whether there was such a thread. */
bool explore_release_waiting(bool all);
/* The calling thread takes the place of thread i. */
void explore_become(unsigned int i);
/* The first gate of an explored thread. Does nothing in other threads. */
void explore_start(void);
