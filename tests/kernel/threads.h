/*
 * Threads that several suites use: spinners, a gate to wait at, and the order in
 * which things happen. One case at a time uses them.
 */
#pragma once

#include "kernel/sched/wait.h"
#include "tests/kernel/ktest.h"

/* ---- a spinner: a thread that runs in a loop until it is stopped ----------- */

struct spinner {
	uint32_t stop;
	uint32_t loops;	   /* how often it has been round */
	uint32_t cpu;	   /* where, the last time */
	uint32_t sleep_ns; /* it sleeps so long in each loop; 0: not at all */
	struct thread *t;
};

void spinner_start(struct spinner *s, struct cpumask where, uint32_t sleep_ns);
void spinner_stop(struct spinner *s);
/* Wait until it has gone round n more times; false: it has not. */
bool spinner_advances(struct spinner *s, uint32_t n);

/* ---- workers that start together ------------------------------------------- */

/* Run fn((void *)i) in n threads, i from 0, on the online cores in turn, and wait
 * for them. They start when all exist: otherwise the first ones would be done
 * before the last one exists. n: at most MOST_WORKERS. */
#define MOST_WORKERS (2 * NR_CPUS + 1)
void run_in_threads(unsigned int n, int (*fn)(void *));

/* ---- a gate: a completion that threads wait for ---------------------------- */

extern struct completion gate; /* the case initialises it */
/* A thread's function: waits at the gate, then counts *arg, a uint32_t. */
int pass_gate(void *arg);

/* ---- a thread of high priority --------------------------------------------- */

/* A thread's function: sets *arg, a uint32_t, to 1. */
int set_ran(void *arg);
/* Clear *ran and start set_ran() with high priority on this core. */
struct thread *start_high(uint32_t *ran);

/* ---- the order in which things happen -------------------------------------- */

#define ORDER_MAX NR_CPUS
extern uint32_t order[ORDER_MAX]; /* its first nr_order entries are filled */
extern uint32_t nr_order;
void order_clear(void);
/* Add number to the order; from any thread or interrupt. */
void order_note(uint32_t number);
