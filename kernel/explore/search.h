/*
 * The search: it decides which schedules of a few threads are run.
 *
 * What a step is. A schedule is a sequence of steps. In a step one thread goes
 * from one point to its next, or to its end, or to a wait. The step's footprint is
 * a list of all things that it touches, and of all things that its behaviour
 * depends on, with how it touched each. Two touches of one thing commute if both
 * only read it, or both add to it (INC), or both take from it (DEC). Two steps of
 * different threads are independent if all their touches commute.
 *
 * A footprint has the reads too. So an independent step of another thread changes
 * neither whether a step is enabled nor its footprint, even if the step's effect
 * depends on a condition. Therefore two neighbours in a schedule that are
 * independent can change places: the steps are the same, and so is the state
 * after them. Schedules that differ only in such changes form a class (a
 * Mazurkiewicz trace). A step happens before a later one if it comes first in all
 * schedules of the class.
 *
 *   reduced   Optimal DPOR: Abdulla, Aronis, Jonsson, Sagonas, "Source sets: a
 *             foundation for optimal dynamic partial order reduction", JACM
 *             2017. Each class is run once.
 *   full      every choice at every point, no reduction
 *   bounded   as full, but only schedules with at most N preemptions
 *             (Musuvathi and Qadeer, PLDI 2007). A preemption is a switch away
 *             from a thread that could go on.
 *
 * The client's duties:
 *  1. For each run call search_next(). Then for each step call search_choose(),
 *     run the chosen thread, and call search_step(). At the end of the run call
 *     search_end(). If search_choose() returns a negative number, stop.
 *  2. Begin each run in the same state. Call one thing by the same name in each
 *     run. Report all that a step touches or depends on.
 *  3. A thing that a thread `takes` is open or closed; the thread is enabled
 *     exactly while it is open. The step that opens it says `gives`; the step
 *     that closes it takes it and writes it, or calls footprint_shuts().
 *     A thread may take a second thing, `also`: enabled only while both are
 *     open. The step touches `also` as a read.
 *  4. `vague` is a property of the point, not of the present state. It is true if
 *     there is a state in which the step touches more than `thing` (struct
 *     standing), or touches it in another way.
 *
 * The consequence: when search_next() returns false, every class has been run
 * (reduced), or every schedule (full), or every schedule within the bound.
 *
 * Why no class is lost and none is run twice (reduced) is in search.c.
 *
 * Portable, no locks, one caller at a time, no recursion. Tested on the host
 * (tests/host/search_test.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEARCH_THREADS	 8
#define SEARCH_STEPS	 960
#define FOOTPRINT_THINGS 20

enum touch_how { TOUCH_READ, TOUCH_INC, TOUCH_DEC, TOUCH_WRITE };

struct touch {
	uintptr_t thing;
	uint8_t how; /* enum touch_how */
	bool gives, shuts;
};

/* What a step touched. */
struct footprint {
	uint16_t n;
	bool all; /* more things than fit: dependent on all other steps */
	struct touch touch[FOOTPRINT_THINGS]; /* in the order of their names */
};

/* gives: this touch opens the thing, which was closed before the step. It counts
 * only at the step's first touch of the thing. */
void footprint_add(struct footprint *f, uintptr_t thing, enum touch_how how,
		   bool gives);
/* The step closes a thing that was open, and did not wait for it at its gate (a
 * trylock that gets the lock). After footprint_add() of the thing. */
void footprint_shuts(struct footprint *f, uintptr_t thing);
bool are_dependent(const struct footprint *a, const struct footprint *b);

/* Where a thread is. */
enum stand { STAND_BLOCKED, STAND_AT_POINT, STAND_ENDED };

struct standing {
	enum stand where;   /* the other members: for STAND_AT_POINT */
	uint16_t op;	    /* its next operation, */
	uintptr_t thing;    /* and what it touches first; 0: not known */
	enum touch_how how; /* in this state */
	bool takes;	    /* enabled only while the thing is open */
	bool vague;
	uint16_t also; /* the name of another thing that it takes; 0: none */
};

/* A standing as it is kept. */
struct spot {
	uintptr_t thing;
	uint16_t op;
	uint8_t where, how;
	bool takes, vague;
	uint16_t also;
};

/* One point of choice, and the step taken there. */
struct node {
	uint8_t enabled, asleep; /* sets of threads */
	uint8_t todo, done;	 /* full and bounded: sets of threads */
	uint8_t chosen;
	uint16_t preemptions;		/* before this step */
	uint16_t step;			/* a number of a footprint */
	uint16_t first[SEARCH_THREADS]; /* of threads asleep: their next step */
	uint16_t pending, last_pending; /* sequences to be run from here */
	uint16_t prev; /* the thread's step before: its place plus one */
	/* For each thread: the last of its steps that happens before the end of
	 * this step, this step included; its place in the schedule plus one. */
	uint16_t clock[SEARCH_THREADS];
	uint64_t id; /* a hash of the step and of all that happens before it */
	struct spot stands[SEARCH_THREADS];
};

#define SEARCH_PRINTS	 2048	    /* different footprints */
#define SEARCH_TOUCHES	 (1u << 13) /* of all of them together */
#define SEARCH_ANSWERS	 4096 /* pairs of them that are dependent or not */
#define SEARCH_SEQUENCES (1u << 13)   /* pending at one time */
#define SEARCH_EVENTS	 (48u * 1024) /* of all pending sequences */
#define SEARCH_SEEN	 (1u << 16)   /* steps remembered */

/* A footprint as it is kept: each different one once. */
struct print {
	uint32_t mask[4]; /* hash bits of the things, for each touch_how */
	uint16_t from;	  /* its place in search.touch[] */
	uint8_t n;
	bool all;
};

/* A step of a sequence that is to be run. */
struct wake {
	uint32_t next : 24;
	uint32_t thread : 7;
	/* The footprint is that of the last run; here it may be another one. */
	uint32_t unsure : 1;
	uint16_t step;
};

struct sequence {
	uint64_t id; /* of the set of its steps; 0: changed since */
	uint32_t first;
	uint16_t next; /* sequence pending at the node */
};

/* A vague step that has been seen in some run. */
struct seen {
	uint64_t id;
	uint32_t before; /* part of the id of its thread's step before */
	uint16_t step;
};

enum search_mode { SEARCH_REDUCED, SEARCH_FULL, SEARCH_BOUNDED };

struct search {
	enum search_mode mode;
	unsigned int bound;    /* preemptions */
	unsigned int threads;  /* how many */
	unsigned int steps;    /* taken in this run */
	unsigned int prefix;   /* so many choices are replayed */
	unsigned int same;     /* so many steps must be as in the run before */
	bool begun, cut_short; /* a choice exceeded the bound */
	bool diverged;	       /* a replayed step touched other things */
	bool no_room;	       /* some table is full */
	bool forgetful;	       /* seen[] is full */
	/* A redundant run goes on, in one of several orders. */
	unsigned int check_orders, order, beyond;
	bool redundant, redundant_run;
	/* A sequence that was to be run could not be, or a step of it was not
	 * the step that was expected. Must stay 0. */
	unsigned int off_course;
	uint32_t path; /* the steps that come next */
	bool path_ends;
	bool expects; /* the step that was chosen touches what it did before: */
	uint16_t expected;
	uint32_t free_wakes;
	uint16_t free_sequences;
	unsigned int prints, touches, nr_seen, nr_wakes, nr_sequences;
	unsigned int ordered; /* so many steps have their clocks */
	/* After the last step of each thread: its place plus one. */
	uint16_t last[SEARCH_THREADS];
	struct node node[SEARCH_STEPS + 1];
	struct print print[SEARCH_PRINTS];
	uint16_t print_at[SEARCH_PRINTS * 2]; /* by hash; plus one */
	/* A pair of prints, plus one, and in bit 0 whether they are dependent. */
	uint32_t answer[SEARCH_ANSWERS];
	struct touch touch[SEARCH_TOUCHES];
	struct sequence sequence[SEARCH_SEQUENCES];
	struct wake wake[SEARCH_EVENTS];
	struct seen seen[SEARCH_SEEN]; /* by hash of `before` */
	uint64_t ids[SEARCH_STEPS];    /* to work with */
};

enum {
	SEARCH_REDUNDANT = -1,
	SEARCH_DIVERGED = -2,
	SEARCH_TOO_LONG = -3,
	SEARCH_NO_ROOM = -4,
};

/* threads: at most SEARCH_THREADS. Afterwards the caller may set check_orders. */
void search_init(struct search *s, unsigned int threads, enum search_mode mode,
		 unsigned int bound);
/* Begin the next schedule. Returns false if there is none. */
bool search_next(struct search *s);
/*
 * Choose the thread that takes the next step. enabled: the threads that can, as
 * bits; not 0. Returns the thread, or a negative number:
 * SEARCH_REDUNDANT: a schedule of this class has been run. Do not call
 * search_step() in the rest of the run. If check_orders is n > 0, the answer is
 * a thread instead: s->redundant_run is true, and the run goes on. The steps up
 * to here are run n times, each time with another order of the steps that
 * follow.
 * SEARCH_DIVERGED: the replayed prefix went another way. SEARCH_TOO_LONG: too
 * many steps. SEARCH_NO_ROOM: a table is full. After these three the search is
 * over, and not complete.
 */
int search_choose(struct search *s, unsigned int enabled,
		  const struct standing *stands);
/* The chosen step is over. A replayed step must touch the same things as before;
 * if not, the next answer is SEARCH_DIVERGED. */
void search_step(struct search *s, const struct footprint *step);
/*
 * The run is over, or redundant from here on. stands: where each thread is.
 * Returns 0; SEARCH_DIVERGED if the run was not the one that was asked for (it
 * ended within the replayed prefix, or left it); or SEARCH_NO_ROOM.
 */
int search_end(struct search *s, const struct standing *stands);
/*
 * Between two steps: a name for the state that the steps of this run have led to. Two
 * names are equal if the same steps were taken and each dependent pair came in the same
 * order: then the states are equal. In a full search the client may end a run where it
 * knows all that follows; it calls neither search_choose() nor search_step() in the rest
 * of the run.
 */
uint64_t search_state(struct search *s);

/*
 * Find the schedule with the fewest switches between threads in the class of
 * the last run. order[i], for s->steps steps: the thread that takes step i.
 * Returns the number of switches. room: room_size bytes of memory to work with.
 * If the room is too small, or the run broke off, *as_ran is true, and the
 * order is that of the run.
 */
unsigned int search_straighten(const struct search *s, uint8_t *order,
			       uint8_t *room, size_t room_size, bool *as_ran);
