/*
 * An oracle for the search: every end that a small program can have, found
 * without any idea that the search uses. It tries all interleavings of single
 * accesses to memory: an access to a lock word, a flag, a thread's sleep state
 * or a variable is a step, and so is a section of a raw spinlock around a list.
 * It never asks which steps commute. It only remembers the states that it has
 * seen. The locks are written after kernel/sync, kernel/sched/wait.c and
 * kernel/cpu/hotplug_lock.c.
 */
#pragma once

#include "tests/host/program.h"

enum oracle_option {
	/* A release grants a lock and wakes the waiter in two steps, as the
	 * kernel does: a waiter that sees the grant before the wake-up goes on,
	 * and the wake-up ends its next sleep. Without it: one step. */
	ORACLE_LATE_WAKE = 1,
	/* A waiter takes a unit of a completion in one section of the queue's
	 * lock and leaves the queue in another. Without it: in one. */
	ORACLE_LATE_LEAVE = 2,
};

struct oracle_result {
	struct program_end *end; /* sorted by memcmp(), each once */
	size_t nr_ends;
	size_t nr_states;
	bool too_big; /* more than max_states: the rest is not valid */
};

void oracle_run(struct oracle_result *r, const struct program *p,
		unsigned int options, size_t max_states);
void oracle_free(struct oracle_result *r);
bool oracle_is_deadlock(const struct program *p, const struct program_end *e);
