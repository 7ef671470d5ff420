/*
 * Shared by the commands of lab/: finding an experiment, the right to the
 * stage, rows and tables.
 */
#pragma once

#include "lab/run.h"

/* lab/find.c. find_demo() finds an experiment by its id or slug; find_part() finds a
 * part by its name, "e0/irq", and sets *of to the part's experiment. Both accept upper
 * and lower case. NULL: there is none. */
const struct demo *find_demo(const char *word);
const struct scenario *find_part(const char *word, const struct demo **of);
/* Why this machine or image cannot run that scenario, "needs 2 cores, this machine
 * has 1"; NULL: it can. */
const char *why_cannot_run(const struct demo *d, const struct scenario *sc);
/* Why no part of the experiment can be run; or, if part is not NULL, why that part
 * cannot be run. */
const char *why_none_can_run(const struct demo *d, const struct scenario *part);
/* Is the experiment in `demo all`? Experiments for the reader to try (for_reader) are
 * not, and experiments that this image cannot run are not. */
bool in_table(const struct demo *d);
/* For the Tab key: the i-th slug, or NULL. */
const char *complete_demo(unsigned int i);
/* Print that Ctrl-C has interrupted the command. Returns the command's status. */
int report_interrupt(void);

/* lab/hold.c. Take demo_mutex for that command. Returns false if Ctrl-C came first, or
 * if a knot is held. In the second case a line says so. Sleeps. */
bool stage_claim(const char *command);
void stage_release(void);
/* Keep the knot of the round that ran last, until it is cut. demo_mutex held. */
void hold_knot(void);
bool knot_is_held(void);
/* Cut the knot that is held, or print that there is none. Returns the command's
 * status: 0 if the state afterwards is the state before. Sleeps; call it without
 * demo_mutex. */
int cut_held_knot(void);

/* A command line of `demo`. */
struct demo_request {
	const struct demo *demo;     /* NULL: all */
	const struct scenario *part; /* only this part of it; NULL: all parts */
	bool all, verbose;
	bool search; /* all: with the explorer's verdict on each row */
	enum run_mode mode;
	unsigned int rounds; /* 0: as many as the experiment says */
};

#define PARTS_MAX 64 /* scenarios of an experiment */
/* lab/row.c. Run an experiment, or a part of it, and print its verdict. parts:
 * room for the tally of each scenario; the tally of a scenario that did not run
 * is empty. Returns whether all was as expected. demo_mutex held; sleeps. */
bool experiment_run(const struct demo *d, const struct demo_request *rq,
		    struct tally *result, struct tally *parts);

/* lab/table.c. Run all, and print the table. Returns the command's status.
 * demo_mutex held; sleeps. */
int experiment_run_all(const struct demo_request *rq);

/* lab/explore/explore_cmd.c. Search that row and print a line about it.
 * *verdict: the verdict, or "-" if the row is not searched. Returns whether the
 * result is the expected one. demo_mutex held; sleeps. */
bool explore_row(const struct demo *d, const char **verdict, bool *interrupted);

/* lab/program.c: an experiment whose threads are given as text, "a b | b a".
 * program_parse() joins the words of the command to one text. Returns false if the
 * text is wrong; a message says why. program_demo() is the experiment; program_pc()
 * is the number of operations that a thread has done. demo_mutex. */
bool program_parse(unsigned int nr_words, char *const *words);
const struct demo *program_demo(void);
unsigned int program_pc(unsigned int thread);
