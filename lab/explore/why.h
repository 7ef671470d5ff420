/*
 * What each thread of an explored round would do next, and what it waits for. See
 * why.c. enabled: the actors that can go on, a bit each.
 */
#pragma once

#include "lab/stage.h"

#define WHY_WIDTH 80
#define WHY_TEXT  96 /* of what a thread does; printed as far as it fits */

/* Actor i in words: what it would do next, or waits for, or "ended". out: for
 * WHY_TEXT bytes. */
void describe_actor(const struct stage *st, unsigned int i, bool able,
		    char *out);
/* The longest of the actors' names, in characters. */
int actor_width(const struct stage *st);
/* A line each: "* 1 D  core 1  lock slab_mutex, in kmem_cache_destroy". */
void show_threads(const struct stage *st, unsigned int enabled);
/* The chain of waits from that actor on; returns whether it is a cycle. */
bool explain(const struct stage *st, unsigned int actor, unsigned int enabled);
/* Nobody can move: the cycle, if there is one, else the ends of the chains. */
void print_knot(const struct stage *st);
