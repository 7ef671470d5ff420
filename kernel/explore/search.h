/*
 * The search: which schedules of a few threads are worth running.
 *
 * The idea. A schedule is a sequence of steps. In a step a thread goes from one
 * point to its next, and all that it touches is the footprint of the step. Two
 * steps are dependent if they touch the same thing and at least one of them
 * changes it. Schedules that differ only in the order of independent steps form
 * a class (a Mazurkiewicz trace). One schedule of each class is run.
 *
 *   reduced   source-DPOR with sleep sets: Abdulla, Aronis, Jonsson, Sagonas,
 *             "Optimal dynamic partial order reduction", POPL 2014, algorithm
 *             1. Races as in Flanagan and Godefroid, POPL 2005. Every class is
 *             run. A run of a class that was run before is redundant and not
 *             counted.
 *   full      every choice at every point, no reduction
 *   bounded   as full, but only schedules with at most N preemptions
 *             (Musuvathi and Qadeer, PLDI 2007). A preemption is a switch away
 *             from a thread that could go on.
 *
 * The client's duties:
 *  1. For each run: search_next(); then for each step search_choose(), run the
 *     chosen thread, search_step(); then search_end(). Or stop at a negative
 *     answer of search_choose().
 *  2. Begin each run in the same state, and report all that a step touches.
 *
 * The consequence: when search_next() returns false, every class has been run
 * (reduced), or every schedule (full), or every schedule within the bound.
 *
 * Portable, no locks, one caller at a time. Tested on the host
 * (tests/host/search_test.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEARCH_THREADS	 6
#define SEARCH_STEPS	 480
#define FOOTPRINT_THINGS 20

/* What a step touched. */
struct footprint {
	uint32_t reads, writes; /* hash bits of the things: a quick no */
	uint16_t n;
	bool all; /* more things than fit: dependent on all other steps */
	bool moving_read, moving_write; /* some thing has `moves` set */
	struct {
		uintptr_t thing;
		bool write, moves;
	} touch[FOOTPRINT_THINGS];
};

/* moves: in another run the thing may have another address, and another thing
 * may have this one. */
void footprint_add(struct footprint *f, uintptr_t thing, bool write,
		   bool moves);
bool are_dependent(const struct footprint *a, const struct footprint *b);

/* Where a thread is, to be compared with an earlier run. */
enum stand { STAND_BLOCKED, STAND_AT_POINT, STAND_ENDED };

struct standing {
	enum stand where;  /* the other members: for STAND_AT_POINT */
	uint16_t op;	   /* its next operation, */
	uintptr_t thing;   /* and the thing that this touches; 0: not known */
	bool write, moves; /* as in footprint_add() */
};

/* One point of choice, and the step taken there. */
struct node {
	uint8_t enabled, todo, done, asleep; /* sets of threads */
	uint8_t chosen, woken;
	uint16_t preemptions; /* before this step */
	struct standing stands[SEARCH_THREADS];
	struct footprint step;
	/* For the threads done or asleep: the footprint of their first step. */
	struct footprint first[SEARCH_THREADS];
	/* For each thread: the last of its steps that happens before the end of
	 * this step, this step included; its place in the schedule plus one. */
	uint16_t clock[SEARCH_THREADS];
};

enum search_mode { SEARCH_REDUCED, SEARCH_FULL, SEARCH_BOUNDED };

struct search {
	enum search_mode mode;
	unsigned int bound;    /* preemptions */
	unsigned int threads;  /* how many */
	unsigned int steps;    /* taken in this run */
	unsigned int prefix;   /* so many steps are replayed */
	bool begun, cut_short; /* a choice exceeded the bound */
	bool diverged;	       /* a replayed step touched other things */
	/* After each thread's last step: */
	uint16_t clock[SEARCH_THREADS][SEARCH_THREADS];
	struct node node[SEARCH_STEPS];
};

enum { SEARCH_REDUNDANT = -1, SEARCH_DIVERGED = -2, SEARCH_TOO_LONG = -3 };

void search_init(struct search *s, unsigned int threads, enum search_mode mode,
		 unsigned int bound);
/* Begin the next schedule. Returns false if there is none. */
bool search_next(struct search *s);
/*
 * Choose the thread that takes the next step. enabled: the threads that can, as
 * bits; not 0. Returns the thread, or a negative number:
 * SEARCH_REDUNDANT: a schedule of this class has been run; there is no
 * search_step() for the rest of the run. SEARCH_DIVERGED: the replayed prefix
 * went another way. SEARCH_TOO_LONG: too many steps.
 */
int search_choose(struct search *s, unsigned int enabled,
		  const struct standing *stands);
/*
 * The chosen step is over. woken: the threads that it woke, as bits. A replayed
 * step must touch the same things and wake the same threads as before; if not,
 * the next answer is SEARCH_DIVERGED.
 */
void search_step(struct search *s, const struct footprint *step,
		 unsigned int woken);
/*
 * The run is over, or redundant from here on. stands: where each thread is.
 * Returns 0, or SEARCH_DIVERGED if the run was not the one that was asked for:
 * it ended within the replayed prefix, or left it.
 */
int search_end(struct search *s, const struct standing *stands);

/*
 * Find the schedule with the fewest switches between threads in the class of
 * the last run. order[i], for s->steps steps: the thread that takes step i.
 * Returns the number of switches. room: room_size bytes of memory to work with.
 * If that is too little, *as_ran is true and the order is that of the run.
 */
unsigned int search_straighten(const struct search *s, uint8_t *order,
			       uint8_t *room, size_t room_size, bool *as_ran);
