/*
 * The search over the step machine, as compare.h wants it.
 */
#pragma once

#include "tests/host/compare.h"

enum { SUBJECT_MOST_RUNS = 20000 };

extern const struct subject search_subject;

void step_machine_of(struct step_machine *m, const struct program *p);
