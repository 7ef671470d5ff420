/*
 * Sentences that are composed piece by piece and printed in lines of 80 columns.
 * demo_mutex held.
 */
#pragma once

#include <stdbool.h>

#include "kernel/lib/compiler.h"

/* Add to the text. A '~' becomes a blank at which no line ends. */
printf_like(1, 2) void say(const char *format, ...);
/* Print the text, and forget it. */
void say_it(void);
/* Print the text, which is a list of fields like "verdict: E2 outcome=...", and forget
 * it. in_lines: print lines of 80 columns, and indent all but the first; else print one
 * line. */
void say_fields(bool in_lines);
/* The separator before item i of n: "A, B and C". */
const char *say_separator(unsigned int i, unsigned int n);
