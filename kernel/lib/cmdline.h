/*
 * The kernel command line: words of the form key=value. Blanks, tabs and line
 * ends are between them. A value may be in double quotes. Owns nothing; any
 * context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Copy the value of key into out (cut to size). Returns false if key is not
 * there. */
bool cmdline_get(const char *cmdline, const char *key, char *out, size_t size);
/* Parse s, a decimal number of 1 to 9 digits. Returns false if s is no such
 * number. */
bool parse_uint(const char *s, unsigned int *out);
