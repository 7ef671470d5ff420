/*
 * Torture suites: long, random, time-bounded; the shell's `torture` runs them.
 *
 *	static int my_torture(unsigned int seconds, unsigned int seed) { ... }
 *	TORTURE(my, "what it beats on", my_torture);
 *
 * fn runs in the command's thread, may sleep, takes about `seconds` of guest
 * time, prints its counts and returns 0, or not 0 if anything was wrong.
 */
#pragma once

struct torture {
	const char *name;
	const char *help; /* one line */
	int (*fn)(unsigned int seconds, unsigned int seed);
};

#define TORTURE(id, h, f)                                                      \
	static const struct torture torture_entry_##id                         \
		__attribute__((__used__, __section__(".tortures"),             \
			       __aligned__(4))) = { #id, (h), (f) }

extern const struct torture tortures_start[], tortures_end[];
