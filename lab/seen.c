/*
 * The facts that a forced round must have seen, beside its outcome: the
 * functions of an exchanged table (hotplug lock or RCU parameters, known by its
 * name) really ran, and any other event that the scenario asks for happened.
 * Without this check a scenario whose table was never installed would pass, if
 * the kernel's own functions happen to give the same outcome.
 *
 * `wanted` changes between rounds only (demo_mutex). `seen` is set in any context,
 * and read when the round stands still.
 */
#include <string.h>

#include "lab/experiment.h"
#include "kernel/lib/printf.h"

#define WANTED_MAX 3

static const char *wanted[WANTED_MAX];
static bool seen[WANTED_MAX]; /* atomic */

void seen_begin(const struct scenario *sc)
{
	const char *const names[WANTED_MAX] = {
		sc->said.must_see,
		sc->world.hotplug ? sc->world.hotplug->name : NULL,
		sc->world.rcu ? sc->world.rcu->name : NULL,
	};

	for (unsigned int i = 0; i < WANTED_MAX; i++) {
		WRITE_ONCE(seen[i], false);
		WRITE_ONCE(wanted[i], names[i]);
	}
}

void saw(const char *what)
{
	for (unsigned int i = 0; i < WANTED_MAX; i++) {
		const char *name = READ_ONCE(wanted[i]);

		if (name && strcmp(name, what) == 0)
			WRITE_ONCE(seen[i], true);
	}
}

bool seen_all(void)
{
	bool all = true;

	for (unsigned int i = 0; i < WANTED_MAX; i++) {
		if (!wanted[i] || READ_ONCE(seen[i]))
			continue;
		kprintf("unexpected: this round saw no %s\n", wanted[i]);
		all = false;
	}
	return all;
}
