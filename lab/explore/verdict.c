/*
 * The verdict of a search, and whether it is the expected one.
 *
 *   REAL            lockdep (or a BUG or WARN) reports, and a schedule fails
 *   FALSE-POSITIVE  lockdep reports; all schedules ran, and none fails
 *   MISSED          lockdep is silent, and a schedule fails
 *   CLEAN           lockdep is silent; all schedules ran, and none fails
 *   NOT-FOUND       not all schedules ran, and none of those that ran fails
 *
 * If all schedules ran, but the search left out something (kernel/explore/left.h),
 * the word is FALSE-POSITIVE-WITHIN or CLEAN-WITHIN.
 *
 * A schedule fails if its outcome is anything but `completes`.
 *
 * Owns no data.
 */
#include "lab/explore/verdict.h"

#include <string.h>

#include "lab/judge.h"
#include "lab/say.h"
#include "lab/words.h"
#include "kernel/explore/left.h"
#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

static const char *verdict_word(bool reported, bool fails, bool complete,
				bool left)
{
	if (fails)
		return reported ? "REAL" : "MISSED";
	if (!complete)
		return "NOT-FOUND";
	if (left)
		return reported ? "FALSE-POSITIVE-WITHIN" : "CLEAN-WITHIN";
	return reported ? "FALSE-POSITIVE" : "CLEAN";
}

/* Does anything report a fault? A BUG or a WARN counts like a finding of lockdep. */
static bool something_reports(unsigned int lockdep, unsigned int outcomes)
{
	return lockdep || outcomes & (OUT_BIT(OUT_BUG) | OUT_BIT(OUT_WARN));
}

unsigned int failing_outcomes(unsigned int outcomes)
{
	return outcomes & ~OUT_BIT(OUT_COMPLETES);
}

void set_verdict(struct explored_row *r, bool complete)
{
	unsigned int unexpected = failing_outcomes(r->outcomes) &
				  ~r->of->said.outcome;
	unsigned int set =
		failing_outcomes(unexpected ? unexpected : r->outcomes);

	r->outcome = set ? (enum outcome)__builtin_ctz(set) : OUT_COMPLETES;
	r->verdict = verdict_word(something_reports(r->lockdep, r->outcomes),
				  r->failing, complete, r->left);
}

/* The verdict that follows from the expected outcomes and findings of the
 * scenario. If a finding of lockdep is allowed but not required, it counts if
 * lockdep has made it. */
static const char *expected_verdict(const struct scenario *sc,
				    unsigned int lockdep, bool left)
{
	unsigned int fails = failing_outcomes(sc->said.outcome);

	return verdict_word(
		something_reports(sc->said.lockdep |
					  (sc->said.lockdep_may & lockdep),
				  fails),
		fails, true, left);
}

bool search_is_expected(const struct explored_row *r)
{
	const struct scenario *sc = r->of;
	unsigned int differ = failing_outcomes(r->outcomes ^ sc->said.outcome);
	const char *expected = expected_verdict(sc, r->lockdep, r->left);
	bool ok = strcmp(r->verdict, expected) == 0;

	if (!strcmp(r->verdict, "NOT-FOUND")) {
		kprintf("unexpected: the search is not complete, so %s is not "
			"confirmed\n",
			expected);
		return false;
	}
	if (!ok)
		kprintf("unexpected: the verdict is %s, not %s\n", r->verdict,
			expected);
	for (unsigned int o = 0; o < NR_OUTCOMES; o++) {
		if (!(differ & OUT_BIT(o)))
			continue;
		kprintf("unexpected: %s schedule ends as %s\n",
			r->outcomes & OUT_BIT(o) ? "a" : "no",
			outcome_name((enum outcome)o));
		ok = false;
	}
	return ok & lockdep_is_expected(sc->said.lockdep, sc->said.lockdep_may,
					r->lockdep, "");
}

/* Returns the place of the list's entry with which the word begins. If two
 * entries fit, the later entry counts. */
static unsigned int place_of(const char *word, const char *const *list,
			     unsigned int n)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < n; i++)
		if (strncmp(word, list[i], strlen(list[i])) == 0)
			at = i;
	return at;
}

/* Is verdict `a` worse than verdict `b`? MISSED is the worst: lockdep gave no warning
 * of the failure. */
static bool is_worse_verdict(const char *a, const char *b)
{
	static const char *const words[] = {
		"CLEAN",	  "CLEAN-WITHIN",
		"FALSE-POSITIVE", "FALSE-POSITIVE-WITHIN",
		"NOT-FOUND",	  "REAL",
		"MISSED"
	};

	return place_of(a, words, ARRAY_SIZE(words)) >
	       place_of(b, words, ARRAY_SIZE(words));
}

/* Does search `a` leave out more than search `b`? "complete:up" leaves out more than
 * "complete", and so on. */
static bool is_weaker_search(const char *a, const char *b)
{
	static const char *const words[] = {
		"complete", "complete:", "until-found",
		"bounded:", "stopped:",	 "broken"
	};

	return place_of(a, words, ARRAY_SIZE(words)) >
	       place_of(b, words, ARRAY_SIZE(words));
}

void add_explored_part(struct explored_row *row,
		       const struct explored_row *part)
{
	bool worse = is_worse(part->ok, part->outcome, row->ok, row->outcome);

	row->interrupted |= part->interrupted;
	row->ok &= part->ok;
	if (part->why)
		return;
	if (!row->verdict) {
		const char *id = row->id;
		bool ok = row->ok;

		*row = *part;
		row->id = id;
		row->ok = ok;
		return;
	}
	if (worse) {
		row->of = part->of;
		row->outcome = part->outcome;
	}
	if (is_worse_verdict(part->verdict, row->verdict))
		row->verdict = part->verdict;
	if (is_weaker_search(part->search, row->search))
		memcpy(row->search, part->search, sizeof(row->search));
	row->lockdep |= part->lockdep;
	row->left |= part->left;
	/* A part with a better verdict may have left out something. */
	if (row->left && strcmp(row->verdict, "FALSE-POSITIVE") == 0)
		row->verdict = "FALSE-POSITIVE-WITHIN";
	row->schedules += part->schedules;
	row->redundant += part->redundant;
	row->failing += part->failing;
	row->states += part->states;
	row->more_states |= part->more_states;
}

void tell_search(const struct explored_row *r)
{
	char lockdep[80], left[LEFT_WORDS];

	if (!r->verdict)
		return;
	lockdep_words(lockdep, sizeof(lockdep), r->lockdep);
	left_words(left, sizeof(left), r->left);
	if (r->failing)
		say("%u of %u schedules fail%s", r->failing, r->schedules,
		    r->failing == 1 ? "s" : "");
	else
		say("None of the %u schedules%s fails", r->schedules,
		    strcmp(r->verdict, "NOT-FOUND") ? "" : " that ran");
	if (!strcmp(r->verdict, "MISSED") || !strncmp(r->verdict, "CLEAN", 5))
		say(", and lockdep is silent");
	else if (!strcmp(r->verdict, "NOT-FOUND"))
		say(", but the search is not complete (%s)", r->search);
	else if (r->lockdep)
		say(", so what lockdep reports (%s) is %s", lockdep,
		    r->failing ? "real" : "a false positive");
	else
		say(", and a BUG or a warning reports it");
	if (r->left)
		say(" (not permuted: %s)", left);
	say(".");
	say_it();
}

void print_explored_row(const char *what, const struct explored_row *r,
			bool in_lines)
{
	char lockdep[80], expected[40], left[LEFT_WORDS];

	say("%s: %s", what, r->id);
	if (!r->verdict) {
		say(" search=none~%s", r->ok ? "ok" : "FAIL");
		say_fields(in_lines);
		return;
	}
	lockdep_words(lockdep, sizeof(lockdep), r->lockdep);
	outcome_words(expected, sizeof(expected), r->of->said.outcome);
	left_words(left, sizeof(left), r->left);
	say(" outcome=%s expected=%s lockdep=%s schedules=%u failing=%u "
	    "states=%u%s redundant=%u search=%s memory=sc left=%s "
	    "verdict=%s~%s",
	    outcome_name(r->outcome), expected, lockdep, r->schedules,
	    r->failing, r->states, r->more_states ? "+" : "", r->redundant,
	    r->search, left, r->verdict, r->ok ? "ok" : "FAIL");
	say_fields(in_lines);
}
#endif
