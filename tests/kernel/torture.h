/*
 * Torture suites: long random tests with a time limit. The shell's `torture` runs them.
 *
 *	static int my_torture(unsigned int seconds, unsigned int seed) { ... }
 *	TORTURE(my, "one line for the list", my_torture);
 *
 * fn runs in the command's thread and may sleep. It takes about `seconds` of guest time
 * and prints its counts; it ends early if thread_interrupted() is true (Ctrl-C). It
 * returns 0, TORTURE_STOPPED, or another value if anything was wrong.
 */
#pragma once

#define TORTURE_STOPPED 130 /* the command's status, as on Unix after Ctrl-C */

struct torture {
	const char *name;
	const char *help; /* one line */
	int (*fn)(unsigned int seconds, unsigned int seed);
};

/* Print how much of the time is over, every five seconds. A suite calls this at least
 * once a second from the thread of its fn. */
void torture_print_progress(void);

#define TORTURE(id, h, f)                                                      \
	static const struct torture torture_entry_##id                         \
		__attribute__((__used__, __section__(".tortures"),             \
			       __aligned__(4))) = { #id, (h), (f) }

extern const struct torture tortures_start[], tortures_end[];
