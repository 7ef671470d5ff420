/*
 * The words for outcomes, findings, locks and events in every line that lab/
 * prints. Any context; sc and st are only read.
 */
#pragma once

#include "lab/experiment.h"

const char *outcome_name(enum outcome o);
/* OUT_BIT()s: "deadlock|stuck". */
void outcome_words(char *out, size_t size, unsigned int set);
/* LOCKDEP_BIT()s: "circular,recursive"; "silent": none; "off": this image has
 * no lockdep. */
void lockdep_words(char *out, size_t size, unsigned int found);
/* The name of a mutex, as in the 2012 thread. */
const char *lock_name(const void *obj);
/* "CPU_ONLINE"; "?": no event of that number. */
const char *cpu_event_name(unsigned long event);
unsigned int nr_actors_of(const struct scenario *sc);
/* The name of actor i. If i is the number of actors: "RCU", which takes steps too. */
const char *mover_name(const struct scenario *sc, unsigned int i);
/* The number of the actor (or RCU) with that name, or -1. Upper and lower case are the
 * same. */
int mover_by_name(const struct scenario *sc, const char *name, size_t len);
/* The actor's name, "L" for the thread that leaked a reference, or "?". */
const char *actor_name_of(const struct stage *st, uintptr_t thread);
