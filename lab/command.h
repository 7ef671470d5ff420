/*
 * What the commands of demos/ share: how experiments are named, and who has the
 * stage. See lab/command.c.
 */
#pragma once

#include "lab/experiment.h"

bool same_word(const char *a, const char *b); /* in any case */
/* By id or slug; by the name of a part, "e0/irq". NULL: there is none. */
const struct demo *find_demo(const char *word);
const struct scenario *find_part(const char *word, const struct demo **of);
/* "deadlock|stuck" */
void list_outcomes(char *out, size_t size, unsigned int set);
/* Does the thread object to one of these failures (OUT_BIT()s)? */
bool objected_to(const struct scenario *sc, unsigned int failed);
/* Not the reader's, nor what this image cannot run. */
bool in_table(const struct demo *d);

/* lab/explore/explore_cmd.c: search that row and print a line about it. *verdict: the
 * verdict, or "-" if the row is not searched. false: the result is unexpected.
 * demo_mutex held. */
bool explore_row(const struct demo *d, const char **verdict, bool *interrupted);
/* The stage for this command: demo_mutex. false: said why not (a knot is held);
 * or interrupted. */
bool stage_claim(const char *command);
void stage_yield(void);
/* Cut the knot that is held, or say that there is none: the status. Sleeps. */
int cut_the_knot(void);
/* By Ctrl-C: says so; the status, as the shell has it. */
int interrupted(void);
