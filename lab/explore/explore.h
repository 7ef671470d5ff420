/*
 * The explorer on the stage: what directed.c (one schedule), explore.c
 * (search, verdict), explore_cmd.c, replay.c and step.c share. Debug profile; demo_mutex held.
 */
#pragma once

#include "lab/stage.h"
#include "kernel/explore/gates.h"

/* "up", "down", or "" where no core is toggled. */
struct form {
	const char *name;
	bool up;
};

#define FORMS_MAX 2
/* The forms of U in which this scenario is explored. */
unsigned int forms_of(const struct scenario *sc, struct form *out);

/* Why a search has nothing to say about it; NULL: it is explored. */
const char *no_search(const struct scenario *sc);

/* The one of that name, if it is searched; NULL: said what is wrong. An id alone
 * will do where one part is searched. */
const struct scenario *find_searched(const char *command, const char *word,
				     const struct demo **of);

/* A schedule in short: runs of steps by one thread after another. */
#define LEGS 64
struct witness {
	unsigned int nr; /* legs; 0: none */
	struct {
		uint8_t actor;
		uint16_t steps;
	} leg[LEGS];
	unsigned int steps, switches;
	bool as_ran; /* too many steps to look for fewer switches */
	struct form form;
};

/* Who decides, at each point, who goes on. */
struct director {
	/* An actor, or a negative number: let them all go. */
	int (*choose)(struct director *d, struct stage *st,
		      unsigned int enabled, unsigned int *gates);
	/* The step is over. NULL: it does not matter. */
	void (*stepped)(struct director *d, struct stage *st);
	/* No step is left, or choose() said so: before they are let go. NULL: as
	 * above. */
	void (*over)(struct director *d, struct stage *st, unsigned int left);
	bool quiet;   /* nothing is printed meanwhile */
	bool strayed; /* out: a thread did not come to rest (said) */
	bool endless; /* out: nor may they, left to themselves */
	bool untold;  /* over() may say so: this is no round to tell of */
};

struct played {
	enum outcome out;
	unsigned int lockdep; /* LOCKDEP_BIT()s */
	bool clean;	      /* the state afterwards is the one before */
};

/* One schedule, from set-up to the cut. show: the schedule, and what a hang
 * waits for. 0, or a negative errno. */
int play_directed(struct stage *st, struct director *d, struct form form,
		  bool show, struct played *p);

/* "up D:6 U:4" */
void print_witness(const struct scenario *sc, const struct witness *w);
/* Replay it: 0, a negative errno, or 1: it could not be followed (said). */
int replay_witness(struct stage *st, const struct witness *w, bool freely,
		   bool show, struct played *p);

/* What is to be searched, and how. */
struct explore_wish {
	const struct demo *demo;     /* NULL: all */
	const struct scenario *part; /* of it, this one alone; NULL: all */
	bool all;
	bool brief; /* no line of its own, unless something is wrong */
	/* Where schedules are said to fail: until all that is said of them has
	 * been seen. Where none may fail: all. */
	bool until_found;
	bool one_form; /* of U, where none may fail */
	bool iterate;  /* bound: 0, 1, 2 ... until_found, or nothing is cut */
	enum search_mode mode;
	unsigned int bound, max; /* preemptions; schedules, 0: the usual */
};

/* The result of one part, or of a row. */
struct explored_row {
	const char *id;
	const struct scenario *of; /* whose result it is */
	const char *why;	   /* not searched: why */
	unsigned int lockdep, schedules, redundant, failing, states;
	unsigned int outcomes; /* OUT_BIT()s */
	enum outcome outcome;
	char search[32];
	const char *verdict;
	bool more_states, interrupted, ok;
};

/* The search's memory; false: there is none (said). */
bool explore_memory(void);
/* All parts of a row, or the one that was wished for. parts: if not NULL, the
 * result of each, as many as it has scenarios. Prints as it goes. */
struct explored_row explore_demo(const struct demo *d,
				 const struct explore_wish *w,
				 struct explored_row *parts);
