/*
 * The explorer's engine: a few threads, moved one step at a time.
 *
 * Each of the threads stops at the gates (kernel/debug/trace.h) that end a step:
 * see ends_step(). One thread is let go at a time. Its step is over when each
 * thread is at a gate, has ended, or waits for an event that only another of the
 * threads can cause. Debug profile only.
 *
 * A thread that is at a gate is enabled: it may be chosen for the next step.
 * There are two exceptions.
 *   - Before mutex_lock() it is enabled only while that mutex is free. A thread
 *     that is held at this gate has not asked for the mutex yet. It may be held
 *     there for any time, because that is one more possible order.
 *   - Before explore_await() it is enabled only while the condition is true.
 * Every other operation is carried out at once, and may block: on a rw-semaphore,
 * the reference count, a completion, a wait queue. Between its prepare_to_wait()
 * and its sleep a thread passes gates without a stop.
 *
 * The environment is the grace-period thread, timers, the stopper threads and
 * interrupts. The explorer waits until they rest, but does not try them in
 * different orders. RCU callbacks are held back: they run in order, one at a time,
 * and only while a thread waits for an event. The callbacks of the core that comes
 * and goes are not held back; they belong to the environment.
 */
#pragma once

#include "kernel/debug/trace.h"
#include "kernel/explore/search.h"

struct thread;

/* The subject: threads that are about to run, gated, from a first gate on. */
struct explored {
	unsigned int nr;
	struct thread *thread[SEARCH_THREADS];
	/* Has it come to its end? Any context. */
	bool (*ended)(void *arg, unsigned int i);
	void *arg;
	unsigned int toggled; /* the core that comes and goes; NR_CPUS: none */
	bool tries; /* a thread calls a trylock: releases end steps, too */
};

/* One at a time, between begin and end; thread context, may sleep. */
void explore_begin(const struct explored *subject);
/* The threads run on their own from here on, callbacks too. */
void explore_let_go(void);
void explore_end(void);

#define EXPLORE_STRAY (1u << 31)
/* After the start of the threads, or after a step was begun: wait until it is
 * over. Returns the enabled threads, a bit each; *left: those that have not ended.
 * Returns EXPLORE_STRAY if a thread neither comes to a gate nor sleeps;
 * explore_stray() returns that thread. */
unsigned int explore_settle(unsigned int *left);
const struct thread *explore_stray(void);
/* Let thread i, which must be enabled, go through `gates` gates without a stop. */
void explore_grant_run(unsigned int i, unsigned int gates);
/* The number of these gates that it has not reached, because it waits or ended. */
unsigned int explore_run_left(unsigned int i);
void explore_standing(struct standing *out);
/* Has anything been touched while no step was under way? It must not. */
bool explore_moved_at_rest(void);
/* Has a thread tried for a lock though the subject does not say so? */
bool explore_untold_try(void);
/* The data that the threads touched since the last grant. *woken: the threads
 * that went on though they had not been let go. */
void explore_footprint(struct footprint *f, unsigned int *woken);
/* The next operation of thread i, for output: its gate. False if it is at none. */
bool explore_pending(unsigned int i, enum trace_op *op, const void **obj,
		     uintptr_t *caller);

/* For trace_gate_hook and trace_listen. */
void explore_gate(enum trace_op op, const void *obj, uintptr_t caller);
void explore_event(const struct trace_event *e);

/*
 * In an explored thread: wait until the condition is true. what: the data that it
 * reads. In any other thread it returns false at once, and the caller must wait in
 * another way.
 */
bool explore_await(bool (*holds)(void *arg), void *arg, const void *what);
/* After explore_let_go(), while no thread moves: let the threads go on that wait
 * in explore_await(), if their condition is true by now, or in any case (anyway).
 * Returns whether there was one. */
bool explore_stir(bool anyway);
/* The calling thread takes the place of thread i; both are good until the end. */
void explore_become(unsigned int i);
/* The first gate of every explored thread; elsewhere nothing. */
void explore_start(void);
