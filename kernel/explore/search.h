/*
 * The search: which schedules of a few threads are worth running.
 *
 * It is portable and takes no lock, so one caller at a time may use it. The search
 * says which thread takes the next step, and the caller runs that step. Tested on
 * the host (tests/host/search_test.c).
 *
 * A schedule is a sequence of steps. In a step a thread goes from one point to its
 * next; the data that it touches on the way are the step's footprint. Two steps
 * are dependent if they touch the same thing and one of them changes it. Schedules
 * that differ only in the order of independent steps are one class (Mazurkiewicz
 * trace), and one of each class is run.
 *
 *   reduced   source-DPOR with sleep sets: Abdulla, Aronis, Jonsson, Sagonas,
 *             "Optimal dynamic partial order reduction", POPL 2014, algorithm 1;
 *             races as in Flanagan and Godefroid, POPL 2005. Every class is run;
 *             a run that turns out to be of a class already run is redundant and
 *             not counted.
 *   full      every choice at every point, no reduction
 *   bounded   the same, but only schedules with at most N preemptions (Musuvathi
 *             and Qadeer, PLDI 2007). A preemption is a switch away from a thread
 *             that could go on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEARCH_THREADS	 6
#define SEARCH_STEPS	 480
#define FOOTPRINT_THINGS 20

/* The things that a step touched. */
struct footprint {
	uint32_t reads, writes; /* a bit each, by hash: a quick no */
	uint16_t n;
	bool all; /* more than there is room for: dependent on every other */
	bool moving_read, moving_write; /* a thing that may move, see below */
	struct {
		uintptr_t thing;
		bool write, moves;
	} touch[FOOTPRINT_THINGS];
};

/* moves: in another run the same thing may be elsewhere, and another one here. */
void footprint_add(struct footprint *f, uintptr_t thing, bool write,
		   bool moves);
bool dependent(const struct footprint *a, const struct footprint *b);

/* Where a thread stands, for the comparison with an earlier run. */
enum stand { STAND_BLOCKED, STAND_AT_POINT, STAND_ENDED };

struct standing {
	enum stand where;  /* the rest: at a point only */
	uint16_t op;	   /* its next operation */
	uintptr_t thing;   /* the object of that; 0: not known */
	bool write, moves; /* as in footprint_add() */
};

/* One point of choice, and the step taken there. */
struct node {
	uint8_t enabled, todo, done, asleep; /* threads, a bit each */
	uint8_t chosen, woken;
	uint16_t preemptions; /* before this step */
	struct standing stands[SEARCH_THREADS];
	struct footprint step;
	/* The footprint of the first step of each thread that is done or asleep. */
	struct footprint first[SEARCH_THREADS];
	/* Steps of each thread that happen before this one is over, itself
	 * included: the last one's place in the schedule plus one. */
	uint16_t clock[SEARCH_THREADS];
};

enum search_mode { SEARCH_REDUCED, SEARCH_FULL, SEARCH_BOUNDED };

struct search {
	enum search_mode mode;
	unsigned int bound;    /* preemptions */
	unsigned int threads;  /* how many */
	unsigned int steps;    /* taken in this run */
	unsigned int prefix;   /* the first steps, which are given */
	bool begun, cut_short; /* some choice was beyond the bound */
	bool diverged;	       /* a given step touched other things */
	uint16_t clock[SEARCH_THREADS][SEARCH_THREADS]; /* each thread's now */
	struct node node[SEARCH_STEPS];
};

enum { SEARCH_REDUNDANT = -1, SEARCH_DIVERGED = -2, SEARCH_TOO_LONG = -3 };

void search_init(struct search *s, unsigned int threads, enum search_mode mode,
		 unsigned int bound);
/* The next schedule; false when there is none left. */
bool search_next(struct search *s);
/*
 * Choose the thread that takes the next step. enabled: the threads that could, a
 * bit each, not 0. Returns the thread, or a negative word. SEARCH_REDUNDANT: a
 * schedule of this class has been run, so do not call search_step() any more.
 * SEARCH_DIVERGED: the given prefix went another way. SEARCH_TOO_LONG: the
 * schedule has too many steps.
 */
int search_choose(struct search *s, unsigned int enabled,
		  const struct standing *stands);
/*
 * The step that was chosen is over. woken: the threads it let go on, a bit each.
 * A given step must touch the same things, and wake the same threads, as in the
 * run from which it was taken. If it does not, the next word is SEARCH_DIVERGED.
 */
void search_step(struct search *s, const struct footprint *step,
		 unsigned int woken);
/*
 * The run is over, or redundant from here on. stands: where each thread is.
 * Returns 0, or SEARCH_DIVERGED: the run did not follow the given prefix, or ended
 * before the prefix did.
 */
int search_end(struct search *s, const struct standing *stands);

/*
 * Find the schedule of the same class that has the fewest switches between
 * threads. order[] gets the thread of each of the s->steps steps. Returns the
 * number of switches. room: room_size bytes for intermediate results. If that is
 * not enough, order[] is the order that ran, and *as_ran is set.
 */
unsigned int search_straighten(const struct search *s, uint8_t *order,
			       uint8_t *room, size_t room_size, bool *as_ran);
