/*
 * The next operation of each thread of an explored round, and its wait.
 * See why.c. enabled: the actors that can go on, a bit each.
 */
#pragma once

#include "lab/stage.h"
#include "kernel/debug/trace.h"

#define WHY_WIDTH 80
#define WHY_TEXT  96 /* of what a thread does; printed as far as it fits */

/* Write to `out`, which has WHY_TEXT bytes, what actor i would do next, or what it waits
 * for, or "ended". able: the actor can go on. */
void describe_actor(const struct stage *st, unsigned int i, bool able,
		    char *out);
/* The name of the object of a thread at this gate, or NULL: it has no name. */
const char *gate_object_name(enum trace_op op, const void *obj);
/* The chain of waits from actor i on, into *w. Returns whether it ends in a cycle. */
bool waits_of_actor(const struct stage *st, unsigned int i, struct waitfor *w);
/* The length of the longest name of an actor, in characters. */
int actor_width(const struct stage *st);
/* Print a line for each actor: "* 1 D  core 1  lock slab_mutex, in
 * kmem_cache_destroy". */
void show_threads(const struct stage *st, unsigned int enabled);
/* Print the chain of waits from that actor on. Returns whether the chain ends in a
 * cycle. */
bool show_waits_of(const struct stage *st, unsigned int actor,
		   unsigned int enabled);
/* No thread can go on: print the cycle or, if there is none, how the chains of
 * waits end. */
void show_standstill(const struct stage *st);
