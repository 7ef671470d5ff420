/*
 * The words for outcomes, findings, locks and events. See words.h.
 *
 * Owns no data.
 */
#include "lab/words.h"

#include <string.h>

#include "kernel/lib/printf.h"

const char *outcome_name(enum outcome o)
{
	static const char *const names[] = {
		[OUT_COMPLETES] = "completes", [OUT_DEADLOCK] = "deadlock",
		[OUT_STUCK] = "stuck",	       [OUT_BUG] = "bug",
		[OUT_WARN] = "warn",	       [OUT_CORRUPT] = "corrupt",
	};

	return names[o];
}

/* Write a set as words with a separator between them. An empty set gives "". */
static void set_words(char *out, size_t size, unsigned int set, unsigned int n,
		      const char *sep, const char *(*name)(unsigned int))
{
	size_t at = 0;

	out[0] = 0;
	for (unsigned int i = 0; i < n && at < size; i++)
		if (set & 1u << i)
			at += (size_t)ksnprintf(out + at, size - at, "%s%s",
						at ? sep : "", name(i));
}

static const char *nth_outcome(unsigned int i)
{
	return outcome_name((enum outcome)i);
}

static const char *nth_kind(unsigned int i)
{
	return lockdep_kind_name((enum lockdep_kind)i);
}

void outcome_words(char *out, size_t size, unsigned int set)
{
	set_words(out, size, set, OUT_CORRUPT + 1, "|", nth_outcome);
}

void lockdep_words(char *out, size_t size, unsigned int found)
{
	if (GORDIAN_DEBUG && found)
		set_words(out, size, found, NR_LOCKDEP_KINDS, ",", nth_kind);
	else
		ksnprintf(out, size, GORDIAN_DEBUG ? "silent" : "off");
}

const char *lock_name(const void *obj)
{
	const char *name = ((const struct mutex *)obj)->name;
	const char *dot = strrchr(name, '.');

	/* cpu_hotplug.lock keeps its name. rcu_sched_state.barrier_mutex is
	 * called barrier_mutex, as in the 2012 thread. */
	return dot && strcmp(dot, ".barrier_mutex") == 0 ? dot + 1 : name;
}

const char *cpu_event_name(unsigned long event)
{
	static const char *const names[] = {
		[CPU_ONLINE] = "CPU_ONLINE",
		[CPU_UP_PREPARE] = "CPU_UP_PREPARE",
		[CPU_UP_CANCELED] = "CPU_UP_CANCELED",
		[CPU_DOWN_PREPARE] = "CPU_DOWN_PREPARE",
		[CPU_DOWN_FAILED] = "CPU_DOWN_FAILED",
		[CPU_DEAD] = "CPU_DEAD",
		[CPU_DYING] = "CPU_DYING",
		[CPU_POST_DEAD] = "CPU_POST_DEAD",
		[CPU_STARTING] = "CPU_STARTING",
		[CPU_LOST] = "CPU_LOST",
	};

	return event < ARRAY_SIZE(names) && names[event] ? names[event] : "?";
}

unsigned int nr_actors_of(const struct scenario *sc)
{
	unsigned int n = 0;

	while (n < MAX_ACTORS && sc->actors[n].name)
		n++;
	return n;
}

const char *mover_name(const struct scenario *sc, unsigned int i)
{
	return i < nr_actors_of(sc) ? sc->actors[i].name : "RCU";
}

int mover_by_name(const struct scenario *sc, const char *name, size_t len)
{
	for (unsigned int i = 0; i <= nr_actors_of(sc); i++) {
		const char *known = mover_name(sc, i);

		if (strlen(known) == len && strncasecmp(known, name, len) == 0)
			return (int)i;
	}
	return -1;
}

const char *actor_name_of(const struct stage *st, uintptr_t thread)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if ((uintptr_t)st->worker[i].thread == thread)
			return st->sc->actors[i].name;
	return st->l && (uintptr_t)st->l == thread ? "L" : "?";
}
