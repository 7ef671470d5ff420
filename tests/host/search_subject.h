/*
 * The search over the step machine, as compare.h wants it.
 */
#pragma once

#include "tests/host/compare.h"

extern const struct subject search_subject;

void step_machine_of(struct step_machine *m, const struct program *p);
