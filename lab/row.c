/*
 * A row: one experiment with all its parts, and the lines "part:" and
 * "verdict:".
 *
 * Owns no data. In the runner's thread; demo_mutex held.
 */
#include "lab/command.h"

#include "lab/judge.h"
#include "lab/say.h"
#include "lab/words.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"

/* Add "outcome=deadlock expected=deadlock lockdep=circular". */
static void add_outcome(const struct tally *t)
{
	char lockdep[80], expected[40];

	lockdep_words(lockdep, sizeof(lockdep), t->lockdep);
	outcome_words(expected, sizeof(expected),
		      t->of ? t->of->said.outcome : 0);
	if (!t->ran) {
		say(" expected=%s ran=0", expected);
		return;
	}
	say(" outcome=%s expected=%s lockdep=%s", outcome_name(t->outcome),
	    expected, lockdep);
}

/* Add the kind of a wait as one word: "rwsem (read)" becomes rwsem-read. */
static void add_as_word(const char *name)
{
	for (; *name; name++)
		if (*name == ' ')
			say("-");
		else if (*name != '(' && *name != ')')
			say("%c", *name);
}

static void add_counts(const struct tally *t, bool toggles, bool met)
{
	if (t->waitfor) {
		say(" waitfor=");
		add_as_word(t->waitfor);
	}
	if (t->warnings)
		say(" warnings=%u", t->warnings);
	if (!t->rounds)
		return;
	say(" rounds=%u", t->rounds);
	if (met)
		say(" overlap=%u", t->overlap);
	if (toggles)
		say(" cycles=%u", t->cycles);
	if (t->stuck)
		say(" stuck=%u", t->stuck);
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

/* ---- the part that tells the story ---------------------------------------- */

/* A brief output shows one round of one part. How well does this part show what the
 * experiment claims? Best is a part that must fail, then one with a script. 0: the part
 * cannot run. */
static unsigned int tells_how_well(const struct demo *d,
				   const struct scenario *sc)
{
	if (why_cannot_run(d, sc))
		return 0;
	return !(sc->said.outcome & COMPLETES) ? 3 : sc->forced.order ? 2 : 1;
}

static const struct scenario *part_that_tells(const struct demo *d,
					      const struct scenario *only)
{
	const struct scenario *best = NULL;

	for (unsigned int i = 0; i < d->nr_scenarios && !only; i++)
		if (!best || tells_how_well(d, &d->scenarios[i]) >
				     tells_how_well(d, best))
			best = &d->scenarios[i];
	return only ?: best;
}

/* ---- the row --------------------------------------------------------------- */

static void print_part(const struct scenario *sc, const struct tally *t,
		       bool brief)
{
	if (sc->part && !t->skipped) {
		say("part: %s", sc->part);
		add_outcome(t);
		add_counts(t, sc->world.toggles, must_overlap(sc));
		say("~%s", t->ok ? "ok" : "FAIL");
		say_fields(brief);
	}
	if (t->ran && is_objected_to(sc, OUT_BIT(t->outcome), t->lockdep))
		kprintf("objection: %s\n", sc->said.objection);
}

/* In brief output: print the outcome of each part in a word. A part that was asked for,
 * or whose result is unexpected, has a whole line. */
static void print_parts_briefly(const struct demo *d, const struct tally *parts,
				const struct scenario *only)
{
	unsigned int n = 0, ran = 0;
	bool same = true;

	for (unsigned int i = 0; i < d->nr_scenarios; i++)
		if (parts[i].of && (only || !parts[i].ok))
			print_part(&d->scenarios[i], &parts[i], true);
	for (unsigned int i = 0; i < d->nr_scenarios; i++) {
		ran += parts[i].ran;
		same &= parts[i].ran && parts[i].outcome == parts[0].outcome;
	}
	if (same && ran > 1)
		kprintf("%s parts: %s\n", ran == 2 ? "both" : "all",
			outcome_name(parts[0].outcome));
	for (unsigned int i = 0; i < d->nr_scenarios && !only && !same; i++) {
		if (!d->scenarios[i].part || !parts[i].ran)
			continue;
		say("%s%s~%s", n++ ? ", " : "parts: ", d->scenarios[i].part,
		    outcome_name(parts[i].outcome));
	}
	say_it();
}

static void print_row(const struct demo *d, const struct tally *row,
		      unsigned int skipped, bool brief)
{
	bool toggles = false, met = false;

	for (unsigned int i = 0; i < d->nr_scenarios; i++) {
		toggles |= d->scenarios[i].world.toggles;
		met |= must_overlap(&d->scenarios[i]);
	}
	if (!brief)
		kprintf("\n");
	say("verdict: %s", d->id);
	add_outcome(row);
	add_counts(row, toggles, met);
	if (skipped)
		say(" skipped=%u", skipped);
	say("~%s", row->ok ? "ok" : "FAIL");
	say_fields(brief);
}

bool experiment_run(const struct demo *d, const struct demo_request *rq,
		    struct tally *result, struct tally *parts)
{
	const struct scenario *tells = part_that_tells(d, rq->part);
	const char *why = why_none_can_run(d, rq->part);
	unsigned int skipped = 0;

	BUG_ON(d->nr_scenarios > PARTS_MAX);
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
		bool shown = rq->verbose || sc == tells;

		parts[i] = (struct tally){ .of = NULL };
		if (rq->part && sc != rq->part)
			continue;
		why = why_cannot_run(d, sc);
		if (sc->part && (rq->verbose || why))
			kprintf("\n%s: %s\n", sc->part, sc->about);
		if (why) {
			kprintf("not run: it %s\n", why);
			skipped++;
			continue;
		}
		parts[i] = scenario_run(d, sc, rq->mode, rq->rounds,
					!rq->verbose, shown);
		if (knot_is_held())
			return parts[i].ok;
		result->interrupted = parts[i].interrupted;
		if (result->interrupted)
			return false;
		skipped += parts[i].skipped;
		if (rq->verbose)
			print_part(sc, &parts[i], false);
		add_to_row(result, &parts[i]);
	}
	if (!rq->verbose)
		print_parts_briefly(d, parts, rq->part);
	print_row(d, result, skipped, !rq->verbose);
	return result->ok;
}
