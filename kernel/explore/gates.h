/*
 * The explorer's engine: a few threads, moved one step at a time.
 *
 * Each of the threads stops at gates (kernel/debug/trace.h): at those that end a
 * step, see ends_step(). One is let go at a time; the step is over when each of
 * them stands at a gate, has ended, or waits for something that only another one
 * can bring. Debug profile only.
 *
 * Enabled is who stands at a gate, but
 *   - before mutex_lock(): only while that mutex is free. Who waits at the gate
 *     has not come to the lock yet: as late as one likes is an order like others.
 *   - before explore_await(): only while the condition holds.
 * All else is really done, and may really block: a rw-semaphore, the reference
 * count, a completion, a wait queue. Between its prepare_to_wait() and its sleep a
 * thread passes gates without stopping.
 *
 * Environment, waited for and not permuted: the grace-period thread, timers, the
 * stopper threads, interrupts. RCU callbacks run late and in order: one at a
 * time, and only while a thread waits for an event. Those of the core that comes
 * and goes are not held back: they are environment.
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
	bool tries; /* somebody tries for a lock: releases are points */
};

/* One at a time, between begin and end; thread context, may sleep. */
void explore_begin(const struct explored *subject);
/* The threads run on their own from here on, callbacks too. */
void explore_let_go(void);
void explore_end(void);

#define EXPLORE_STRAY (1u << 31)
/* After the threads were started, or a step: wait until it is over. Returns the
 * enabled threads, a bit each; *left: those that have not ended. EXPLORE_STRAY: one
 * neither comes to a gate nor sleeps; explore_stray() says who. */
unsigned int explore_settle(unsigned int *left);
const struct thread *explore_stray(void);
/* Let that one, which has to be enabled, go through `gates` gates without
 * stopping, as fast as it can. */
void explore_grant_run(unsigned int i, unsigned int gates);
/* How many of these it has not come to: it waits or has ended before. */
unsigned int explore_run_left(unsigned int i);
void explore_standing(struct standing *out);
/* Has anything been touched while no step was under way? It must not. */
bool explore_moved_at_rest(void);
/* Has a thread tried for a lock though the subject does not say so? */
bool explore_untold_try(void);
/* What the threads did since the last grant; *woken: those that went on though
 * they had not been let go. */
void explore_footprint(struct footprint *f, unsigned int *woken);
/* What thread i would do next, for people: its gate; false if it is at none. */
bool explore_pending(unsigned int i, enum trace_op *op, const void **obj,
		     uintptr_t *caller);

/* For trace_gate_hook and trace_listen. */
void explore_gate(enum trace_op op, const void *obj, uintptr_t caller);
void explore_event(const struct trace_event *e);

/*
 * In an explored thread: go on when the condition holds, and no sooner. what: the
 * data it looks at. Elsewhere the caller has to wait in its own way: returns
 * false.
 */
bool explore_await(bool (*holds)(void *arg), void *arg, const void *what);
/* After explore_let_go(), while nobody moves: let those go on that wait there, if
 * it holds by now; or anyway. Was there one? */
bool explore_stir(bool anyway);
/* The calling thread takes the place of thread i; both are good until the end. */
void explore_become(unsigned int i);
/* The first gate of every explored thread; elsewhere nothing. */
void explore_start(void);
