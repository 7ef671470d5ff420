/*
 * The kernel command line: key=value words, values may stand in double quotes.
 * Owns nothing; any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Copy the value of key into out (cut to size). false if it is not there. */
bool cmdline_get(const char *cmdline, const char *key, char *out, size_t size);
/* Parse a whole decimal number of up to 9 digits; false if s is not one. */
bool parse_uint(const char *s, unsigned int *out);
