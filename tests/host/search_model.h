/*
 * The model for search_test.c: small programs over mutexes and shared variables,
 * a simulator that runs them step by step, and the classes of their schedules.
 *
 * Two schedules are of the same class if they differ only in the order of
 * independent steps: for each two events of different threads that touch the same
 * thing, and not both only read it, the same one comes first.
 *
 * In every other program the variables move: in each run they are elsewhere, as
 * allocated objects are. So the address that an earlier run has seen says nothing.
 * A thread that is woken goes on at once; the variables that it then looks at
 * belong to the step that woke it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define THREADS	     4
#define OPS	     8
#define THINGS	     3	  /* mutexes, and as many variables */
#define RUNS_MAX     6000 /* of a program; larger programs are not used */
#define CLASSES_SIZE 16384

enum op {
	LOCK,	 /* enabled while the mutex is free */
	ACQUIRE, /* may block until the release, as a rw-semaphore does */
	RELEASE,
	READ,
	WRITE,
};

struct program {
	unsigned int threads, nr[THREADS];
	struct {
		enum op op;
		unsigned int on;
	} ops[THREADS][OPS];
	bool moves; /* its variables, from run to run */
};

struct event {
	uint8_t thread, at; /* at: which operation of the thread */
};

struct state {
	unsigned int pc[THREADS];
	bool blocked[THREADS];
	uint8_t owner[THINGS]; /* 0: free; else the thread plus one */
	uint8_t queue[THINGS][THREADS], queued[THINGS];
	/* What has happened so far. */
	struct event event[THREADS * OPS];
	unsigned int events, preemptions, switches;
	unsigned int last; /* the thread that took the last step */
};

extern struct program program; /* the one that is under test */

/* ---- the simulator -------------------------------------------------------- */

/* The threads that can take a step in this state, a set of bits. */
unsigned int enabled_in(const struct state *s);
/* Is thread t at a point, where the search has a choice? */
bool at_point(const struct state *s, unsigned int t);
/* Thread t takes its next step; returns the threads that it wakes. */
unsigned int take_step(struct state *s, unsigned int t);

extern unsigned int shift; /* where the variables are in this run */
/* What thread t's operation number `at` touches: never 0. */
uintptr_t thing_of(unsigned int t, unsigned int at, bool *write, bool *moves);

/* ---- classes of schedules -------------------------------------------------- */

struct class
{
	bool used;
	uint64_t order; /* a bit for each pair of conflicting events */
	uint32_t end; /* where each thread stands, and whether it is blocked */
	bool deadlock;
	unsigned int runs, fewest; /* interleavings; switches of the best */
	unsigned int seen;	   /* by the search under test */
};

extern struct class classes[CLASSES_SIZE];
extern unsigned int nr_classes, nr_runs;
/* Interleavings with at most so many preemptions. */
extern unsigned int within[THREADS * OPS];

/* The class of a schedule that has ended, made if it is new. */
struct class *class_of(const struct state *s);
/* Run every interleaving of the program; false: there are more than RUNS_MAX. */
bool walk_all(void);
