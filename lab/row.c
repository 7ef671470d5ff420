/*
 * A row: one experiment with all its parts, and the lines "part:" and
 * "verdict:".
 *
 * Owns no data. In the runner's thread; demo_mutex held.
 */
#include "lab/command.h"

#include "lab/judge.h"
#include "lab/words.h"
#include "kernel/lib/printf.h"

/* Print "outcome=deadlock expected=deadlock lockdep=circular". */
static void print_outcome(const struct tally *t)
{
	char lockdep[80], expected[40];

	lockdep_words(lockdep, sizeof(lockdep), t->lockdep);
	outcome_words(expected, sizeof(expected),
		      t->of ? t->of->said.outcome : 0);
	if (!t->ran) {
		kprintf(" expected=%s ran=0", expected);
		return;
	}
	kprintf(" outcome=%s expected=%s lockdep=%s", outcome_name(t->outcome),
		expected, lockdep);
}

/* Print the kind of a wait as one word: "rwsem (read)" becomes rwsem-read. */
static void print_as_word(const char *name)
{
	for (; *name; name++)
		if (*name == ' ')
			kprintf("-");
		else if (*name != '(' && *name != ')')
			kprintf("%c", *name);
}

static void print_counts(const struct tally *t, bool toggles, bool met)
{
	if (t->waitfor) {
		kprintf(" waitfor=");
		print_as_word(t->waitfor);
	}
	if (t->warnings)
		kprintf(" warnings=%u", t->warnings);
	if (!t->rounds)
		return;
	kprintf(" rounds=%u", t->rounds);
	if (met)
		kprintf(" overlap=%u", t->overlap);
	if (toggles)
		kprintf(" cycles=%u", t->cycles);
	if (t->stuck)
		kprintf(" stuck=%u", t->stuck);
}

/* Add a part's result to the row's. The row has the result of its worst part (see
 * is_worse()); the counts of all parts are added up. */
static void add_to_row(struct tally *row, const struct tally *part)
{
	if (!row->of ||
	    (part->ran && (!row->ran || is_worse(part->ok, part->outcome,
						 row->ok, row->outcome)))) {
		row->outcome = part->outcome;
		row->of = part->of;
		row->waitfor = part->waitfor;
	}
	row->ok &= part->ok;
	row->ran |= part->ran;
	row->rounds += part->rounds;
	row->forced += part->forced;
	row->overlap += part->overlap;
	row->cycles += part->cycles;
	row->stuck += part->stuck;
	row->warnings += part->warnings;
	row->lockdep |= part->lockdep;
}

/* parts: NULL, or room for the result of each part. */
bool experiment_run(const struct demo *d, const struct demo_request *rq,
		    struct tally *result, struct tally *parts)
{
	const char *why = why_none_can_run(d, rq->part);
	unsigned int skipped = 0;
	bool toggles = false, met = false;

	*result = (struct tally){ .ran = false };
	result->ok = true;
	if (why) {
		kprintf("%s: %s\n", rq->part ? rq->part->part : d->id, why);
		return false;
	}
	kprintf("\n%s (%s): %s\n  %s\n  %s\n", d->id, d->slug, d->claim,
		d->tried[0], d->tried[1]);
	for (unsigned int i = 0; i < d->nr_scenarios; i++) {
		const struct scenario *sc = &d->scenarios[i];
		struct tally t;

		if (rq->part && sc != rq->part)
			continue;
		why = why_cannot_run(d, sc);
		if (sc->part)
			kprintf("\n%s: %s\n", sc->part, sc->about);
		if (why) {
			kprintf("not run: it %s\n", why);
			skipped++;
			continue;
		}
		t = scenario_run(d, sc, rq->mode, rq->rounds,
				 rq->all && !rq->verbose);
		if (parts)
			parts[i] = t;
		if (knot_is_held())
			return t.ok;
		result->interrupted = t.interrupted;
		if (t.interrupted)
			return false;
		skipped += t.skipped;
		if (sc->part && !t.skipped) {
			kprintf("part: %s", sc->part);
			print_outcome(&t);
			print_counts(&t, sc->world.toggles, must_overlap(sc));
			kprintf(" %s\n", t.ok ? "ok" : "FAIL");
		}
		if (t.ran && is_objected_to(sc, OUT_BIT(t.outcome), t.lockdep))
			kprintf("objection: %s\n", sc->said.objection);
		toggles |= sc->world.toggles;
		met |= must_overlap(sc);
		add_to_row(result, &t);
	}
	kprintf("\nverdict: %s", d->id);
	print_outcome(result);
	print_counts(result, toggles, met);
	if (skipped)
		kprintf(" skipped=%u", skipped);
	kprintf(" %s\n", result->ok ? "ok" : "FAIL");
	return result->ok;
}
