/*
 * What a forced round must have seen, besides its outcome: that the form which
 * it names was really the one that ran, or that somebody waited for the dead.
 * Without this a scenario that forgets to install its form would pass whenever
 * the kernel's own form has the same outcome.
 *
 * `wanted` changes between rounds only (demo_mutex); `seen` is set by whoever
 * runs, in any context, and looked at when the round stands still.
 */
#include <string.h>

#include "lab/experiment.h"
#include "kernel/lib/printf.h"

static const char *wanted[MUST_SEE];
static bool seen[MUST_SEE]; /* atomic */

void seen_begin(const struct scenario *sc)
{
	for (unsigned int i = 0; i < MUST_SEE; i++) {
		WRITE_ONCE(seen[i], false);
		WRITE_ONCE(wanted[i], sc->said.must_see[i]);
	}
}

void saw(const char *what)
{
	for (unsigned int i = 0; i < MUST_SEE; i++) {
		const char *name = READ_ONCE(wanted[i]);

		if (name && strcmp(name, what) == 0)
			WRITE_ONCE(seen[i], true);
	}
}

bool seen_all(void)
{
	bool all = true;

	for (unsigned int i = 0; i < MUST_SEE; i++) {
		if (!wanted[i] || READ_ONCE(seen[i]))
			continue;
		kprintf("unexpected: this round saw no %s\n", wanted[i]);
		all = false;
	}
	return all;
}
