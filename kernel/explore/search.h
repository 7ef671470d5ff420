/*
 * The search: which schedules of a few threads are worth running.
 *
 * Portable, no locks: one caller at a time, who runs what this decides. Tested on
 * the host (tests/host/search_test.c).
 *
 * A schedule is a sequence of steps: a thread goes from one point to its next,
 * and whatever that step touches is its footprint. Two steps are dependent if
 * they touch the same thing and one of them changes it; schedules that differ
 * only in the order of independent steps are one class (Mazurkiewicz trace), and
 * one of each class is run.
 *
 *   reduced   source-DPOR with sleep sets: Abdulla, Aronis, Jonsson, Sagonas,
 *             "Optimal dynamic partial order reduction", POPL 2014, algorithm 1;
 *             races as in Flanagan and Godefroid, POPL 2005. Every class is run;
 *             a run that turns out to be of a class already run is redundant and
 *             not counted.
 *   full      every choice at every point, no reduction
 *   bounded   the same, as far as it needs at most N preemptions (Musuvathi and
 *             Qadeer, PLDI 2007): a switch away from a thread that could go on
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
	uint16_t op;	   /* what it is about to do */
	uintptr_t thing;   /* to what; 0: not known */
	bool write, moves; /* as in footprint_add() */
};

/* One point of choice, and the step taken there. */
struct node {
	uint8_t enabled, todo, done, asleep; /* threads, a bit each */
	uint8_t chosen, woken;
	uint16_t preemptions; /* before this step */
	struct standing stands[SEARCH_THREADS];
	struct footprint step;
	/* What the first step of those done or asleep touches. */
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
	unsigned int prefix;   /* of which so many are given */
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
 * Who takes the next step. enabled: the threads that could, a bit each, not 0.
 * Returns the thread, or one of the negative words above: one of this run's class
 * has been run, what follows is not for search_step(); the given prefix went
 * another way; it has too many steps.
 */
int search_choose(struct search *s, unsigned int enabled,
		  const struct standing *stands);
/*
 * The step that was chosen is over. woken: the threads it let go on, a bit each.
 * A given step must touch what it did in the run it was taken from, and wake whom it
 * woke; if not, the next word is SEARCH_DIVERGED.
 */
void search_step(struct search *s, const struct footprint *step,
		 unsigned int woken);
/*
 * The run is over, or redundant from here on; where each thread stands. Returns 0,
 * or SEARCH_DIVERGED: it is none that was asked for, and came to its end before or
 * by another way.
 */
int search_end(struct search *s, const struct standing *stands);

/*
 * The same schedule with as few switches between threads as its class has: which
 * thread takes each step, into order[], s->steps of them. Returns the number of
 * switches. room: for room_size bytes of intermediate results; if that is not
 * enough the order is the one that ran, and *as_ran says so.
 */
unsigned int search_straighten(const struct search *s, uint8_t *order,
			       uint8_t *room, size_t room_size, bool *as_ran);
