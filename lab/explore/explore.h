/*
 * The explorer: every schedule of an experiment's actors, on the real cores.
 *
 * What it is for. `explore` says whether a failure that lockdep predicts can
 * happen. `replay` runs one schedule again. In `step` a person chooses.
 *
 * The experiment's duties, beside those in lab/README.md.
 * (1) Declare data of the kernel that actors share and that no mutex or semaphore
 *     guards (kernel/explore/shared.h). With clang, declare the experiment's own
 *     data too.
 * (2) Wait by sleeping in a wait queue, or call explore_await(). If a loop spins,
 *     it never comes to a point where another actor could be chosen. If a loop
 *     polls with a sleep, a schedule has no bounded length.
 * (3) Behave in the same way in each round: a schedule must be repeatable.
 *
 * Consequences. (a) One actor moves at a time, so memory is sequentially
 * consistent. (b) docs/explorer.md lists what is not permuted, and each verdict
 * prints which of these things happened. (c) If a schedule deadlocks, the deadlock
 * is ended as in any other round (lab/cut.c). The state afterwards must be the
 * state before.
 *
 * The mechanism. A director (struct director) chooses which actor takes the next step.
 * play_directed() in director.c plays one round under a director: it lets an
 * actor go from one gate to its next (kernel/explore/gates.h). There are four
 * directors: the search (explore.c, on top of kernel/explore/search.h), the search
 * of the graph (graph_cmd.c, on the same search), a witness (witness.c) and a person
 * (step.c).
 *
 * The commands are in explore_cmd.c (with its table), replay.c and step.c.
 * subject.c says what can be explored, verdict.c judges a search, why.c prints
 * for step what each thread waits for.
 *
 * Debug profile only. demo_mutex is held and guards all data; in the runner's
 * thread; everything here may sleep.
 */
#pragma once

#include "lab/stage.h"
#include "kernel/explore/gates.h"

/* How U goes: "up", "down", or "" if no core is toggled. */
struct form {
	const char *name;
	bool up;
};

#define FORMS_MAX 2

/* lab/explore/subject.c. The forms in which the scenario is explored. */
unsigned int forms_of(const struct scenario *sc, struct form *out);
/* Why there is no search of the scenario; NULL: there is one. */
const char *why_not_searched(const struct scenario *sc);
/* The scenario of that name, if it is searched. Otherwise NULL, and a line that begins
 * with `command` says why. An id alone is enough if only one part is searched. */
const struct scenario *find_searched(const char *command, const char *word,
				     const struct demo **of);

/* ---- a round under a director -------------------------------------------- */

struct director {
	/* Called at each point, before choose(), and at the last one, before
	 * after_last_step(); enabled is 0 there. *node: the name of the state,
	 * for the recorder. Returns whether an earlier call had the same name.
	 * May be NULL: states have no names. */
	bool (*arrive)(struct director *d, struct stage *st,
		       unsigned int enabled, uint64_t *node);
	/* Returns the actor that takes the next step, or nr_actors: RCU takes
	 * it, and the callbacks that are due run. Negative: let all actors go.
	 * *gates: how many gates the actor may pass without a stop; 1 if
	 * choose() does not change it. */
	int (*choose)(struct director *d, struct stage *st,
		      unsigned int enabled, unsigned int *gates);
	/* Called when a step is over, with what it has touched. May be NULL. */
	void (*after_step)(struct director *d, struct stage *st,
			   const struct footprint *f);
	/* True: the three functions above do not sleep, so they may be called in
	 * the thread of the actor whose step is over. False: they are called in
	 * the runner's thread, and the recorder writes the points and the steps. */
	bool anywhere;
	/* Called when nobody can take a step, or choose() was negative, before
	 * the actors are let go. left: the actors that have not ended, a bit
	 * each. May be NULL. */
	void (*after_last_step)(struct director *d, struct stage *st,
				unsigned int left);
	bool quiet;  /* nothing is printed meanwhile */
	bool mute;   /* nothing but what show_round() prints */
	bool hide;   /* after_last_step() may set it: do not print this round */
	bool broken; /* out: the round is no schedule; a line says why */
	bool may_spin; /* choose() may set it: the actors may never end */
};

/* The result of a round. */
struct played {
	enum outcome out;
	unsigned int lockdep; /* LOCKDEP_BIT()s found */
	bool clean;	      /* the state afterwards is the state before */
};

/* lab/explore/director.c. Play one round, from the set-up to the cut. show: print the
 * schedule, and the waits of a knot. Returns 0, or a negative errno. */
int play_directed(struct stage *st, struct director *d, struct form form,
		  bool show, struct played *p);

/* ---- a schedule in a line ------------------------------------------------- */

/* A schedule in a short form. In each leg one actor, or RCU, takes some steps. */
#define LEGS 64
struct witness {
	unsigned int nr; /* legs; 0: none */
	struct {
		uint8_t actor; /* nr_actors: RCU */
		uint16_t steps;
	} leg[LEGS];
	unsigned int steps, switches;
	bool as_ran; /* no room to look for a schedule with fewer switches */
	struct form form;
};

/* lab/explore/witness.c. Prints " up D:8 U:5 RCU:1". */
void print_witness(const struct scenario *sc, const struct witness *w);
/* Play the witness again. freely: an actor does not stop within a leg. show: print the
 * round, briefly if st->brief is set. Returns 0, a negative errno, or 1: the witness
 * could not be followed, and a line says so. */
int replay_witness(struct stage *st, const struct witness *w, bool freely,
		   bool show, struct played *p);

/* ---- a search -------------------------------------------------------------- */

struct explore_request {
	const struct demo *demo;     /* NULL: all */
	const struct scenario *part; /* only this part of it; NULL: all parts */
	bool all;
	bool brief; /* no line of its own, unless something is wrong */
	/* If the scenario expects schedules to fail, stop once every expected
	 * outcome and finding has been seen. */
	bool until_found;
	bool one_form; /* only the first form, if no schedule may fail */
	bool graph;    /* explore_graph(), and nothing else */
	bool verbose;  /* show every witness, with reports and stacks */
	bool time;     /* say where the time went */
	bool iterate; /* bound 0, 1, 2 ... until all is found or nothing is cut */
	enum search_mode mode;
	unsigned int bound; /* preemptions */
	unsigned int max;   /* runs; 0: the default */
};

/* The result of one part, or of a row. */
struct explored_row {
	const char *id;
	const struct scenario *of; /* the one that has this result */
	const char *why;	   /* there was no search: why */
	unsigned int lockdep, schedules, redundant, failing, states;
	unsigned int outcomes; /* OUT_BIT()s */
	enum outcome outcome;
	unsigned int left;   /* LEFT_ bits: what the search left out */
	char search[32];     /* "complete", "bounded:2" */
	const char *verdict; /* NULL: there was no search */
	bool more_states, interrupted, ok;
};

/* lab/explore/explore.c. Allocate the search's memory. If there is not enough, prints a
 * line that says so, and returns false. */
bool allocate_search_memory(void);
struct search *the_search(void);
/* Search all parts of a row, or the part that was asked for, and print the results.
 * parts: NULL, or where the result of each scenario goes. */
struct explored_row explore_demo(const struct demo *d,
				 const struct explore_request *rq,
				 struct explored_row *parts);

/* lab/explore/graph_cmd.c. Take each possible step in each state once, in each part of
 * the experiment, or in `part`; print how many schedules there are, and how many fail.
 * Returns the command's status, or -EINTR after Ctrl-C. */
int explore_graph(const struct demo *d, const struct scenario *part);
