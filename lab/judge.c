/*
 * Was the result the expected one? See judge.h.
 *
 * Owns no data. In the runner's thread, after a round; demo_mutex held.
 */
#include "lab/judge.h"

#include <string.h>

#include "lab/stage.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"

/* Does the BUG, or the warning, name the function that caused it? */
static bool culprit_is_named(const struct stage *st, enum outcome out)
{
	const struct thread *dead = thread_with_bug(st);
	const char *place;
	uintptr_t caller;
	uint32_t off;

	caller = out == OUT_BUG ? (dead ? dead->bug_caller : 0) : warn_caller;
	place = symbol_lookup(caller, &off);
	if (place && strcmp(place, st->sc->said.culprit) == 0)
		return true;
	kprintf("unexpected: %s is blamed, not %s\n", place ? place : "nobody",
		st->sc->said.culprit);
	return false;
}

bool outcome_is_expected(const struct stage *st, unsigned int set,
			 enum outcome out)
{
	bool blames = out == OUT_BUG || out == OUT_WARN ||
		      (out == OUT_COMPLETES && st->sc->said.warnings);

	if (st->sc->said.culprit && blames && !culprit_is_named(st, out))
		return false;
	return (set & OUT_BIT(out)) != 0;
}

bool lockdep_is_expected(unsigned int must, unsigned int may,
			 unsigned int found, const char *when)
{
	bool ok = true;

	for (unsigned int k = 0; GORDIAN_DEBUG && k < NR_LOCKDEP_KINDS; k++) {
		bool is = found & LOCKDEP_BIT(k);

		if (is == !!(must & LOCKDEP_BIT(k)) ||
		    (is && may & LOCKDEP_BIT(k)))
			continue;
		kprintf("unexpected: lockdep %s \"%s\"%s\n",
			is ? "found" : "did not find",
			lockdep_kind_name((enum lockdep_kind)k), when);
		ok = false;
	}
	return ok;
}

bool lock_pair_is_expected(const struct scenario *sc)
{
	const char *wanted = "nothing", *held = "nothing";

	if (!GORDIAN_DEBUG || !sc->said.wants)
		return true;
	if (lockdep_last_pair(&wanted, &held) &&
	    strcmp(wanted, sc->said.wants) == 0 &&
	    strcmp(held, sc->said.holds) == 0)
		return true;
	kprintf("unexpected: lockdep found that %s was wanted, %s held,\n"
		"  instead of %s wanted, %s held\n",
		wanted, held, sc->said.wants, sc->said.holds);
	return false;
}

bool warnings_are_expected(const struct scenario *sc, unsigned int warnings)
{
	if (warnings == sc->said.warnings)
		return true;
	kprintf("unexpected: %u warnings before the deadlock or endless wait; "
		"%u are expected\n",
		warnings, sc->said.warnings);
	return false;
}

bool order_is_expected(const struct stage *st)
{
	const struct scenario *sc = st->sc;
	unsigned int steps = script_length(stage_script(st));

	if (sc->forced.refused && !st->refusal.happened)
		kprintf("unexpected: the step was not refused\n");
	else if (!sc->forced.refused && st->script_pos < steps)
		kprintf("unexpected: step %u of %u did not come\n",
			st->script_pos + 1, steps);
	else
		return sc->forced.refused == st->refusal.happened;
	return false;
}

bool must_overlap(const struct scenario *sc)
{
	return sc->world.toggles && !sc->free.apart && !sc->forced.in_turn;
}

bool is_objected_to(const struct scenario *sc, unsigned int outcomes,
		    unsigned int lockdep)
{
	unsigned int failed = outcomes & ~sc->said.outcome;

	return sc->said.objection && failed & sc->said.objects_to &&
	       (!GORDIAN_DEBUG || !sc->said.objects_with ||
		lockdep & sc->said.objects_with);
}

bool is_worse(bool ok, enum outcome out, bool than_ok, enum outcome than)
{
	/* From harmless to bad. CORRUPT is the worst: perhaps no other check
	 * notices the wrong data. */
	static const uint8_t rank[] = {
		[OUT_COMPLETES] = 0, [OUT_WARN] = 1,	 [OUT_BUG] = 2,
		[OUT_STUCK] = 3,     [OUT_DEADLOCK] = 4, [OUT_CORRUPT] = 5,
	};

	return ok == than_ok ? rank[out] > rank[than] : !ok;
}
