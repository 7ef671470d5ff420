/*
 * A line that says how far a search is, for a person who looks at the console. It is
 * overwritten about once a second. See progress.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A search begins. wanted: show the line, if somebody looks. */
void progress_begin(bool wanted);
bool progress_is_on(void);
/* Is it time for a new line? Then the old one is removed, and the caller prints the new
 * one without a line end. *ms: since the begin. */
bool progress_is_due(uint64_t *ms);
/* Remove the line. Call it before anything else is printed. */
void progress_clear(void);
