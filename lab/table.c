/*
 * `demo all`: every row, then the table.
 *
 * Owns the tallies of all rows and parts, guarded by demo_mutex. In the
 * runner's thread.
 */
#include "lab/command.h"

#include <string.h>

#include "lab/words.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"

/* ---- the short table ------------------------------------------------------ */

/* Print one experiment, "e2-kosina      deadlock  REAL". A line has two of them. */
static void print_short_cell(const struct demo *d, const struct tally *t,
			     bool last)
{
	char expected[40];

	outcome_words(expected, sizeof(expected),
		      t->of ? t->of->said.outcome :
			      d->scenarios[0].said.outcome);
	kprintf("%-14s %-9s %-*s%s", d->slug,
		t->ran ? outcome_name(t->outcome) : "-", last ? 0 : 14,
		!t->ok	   ? "FAIL" :
		t->verdict ? t->verdict :
			     expected,
		last ? "\n" : "  ");
}

/* Print the table on one screen, with the first half of the rows on the left. */
static void print_short_table(const struct tally *results, bool searched)
{
	const struct demo *row[2][48];
	unsigned int n[2] = { 0 }, all = 0;
	const char *third = searched ? "all schedules" : "expected";

	for (const struct demo *d = demos_start; d < demos_end; d++)
		all += in_table(d);
	for (const struct demo *d = demos_start; d < demos_end; d++)
		if (in_table(d)) {
			bool right = n[0] == (all + 1) / 2;

			row[right][n[right]++] = d;
		}
	kprintf("\n");
	kprintf("%-14s %-9s %-14s  %-14s %-9s %s\n", "id", "outcome", third,
		"id", "outcome", third);
	for (unsigned int i = 0; i < n[0]; i++) {
		print_short_cell(row[0][i], &results[row[0][i] - demos_start],
				 i >= n[1]);
		if (i < n[1])
			print_short_cell(row[1][i],
					 &results[row[1][i] - demos_start],
					 true);
	}
	if (searched)
		kprintf("all schedules, the worst part of each experiment: "
			"REAL: lockdep reports,\n"
			"  and a schedule fails; MISSED: a schedule fails, "
			"and lockdep is silent;\n"
			"  FALSE-POSITIVE: lockdep reports, and none fails; "
			"CLEAN: silent, none fails\n");
}

/* ---- the long table ------------------------------------------------------- */

/*
 * Print two lines of the table. The first line has the claim and the result.
 * The second line has lockdep's findings, the outcome with the number of
 * rounds, and the expected outcome (with `search`: the explorer's verdict).
 */
static void print_table_row(const struct demo *d, const struct tally *t)
{
	char lockdep[80], expected[40], ran[40];

	lockdep_words(lockdep, sizeof(lockdep), t->lockdep);
	outcome_words(expected, sizeof(expected),
		      t->of ? t->of->said.outcome :
			      d->scenarios[0].said.outcome);
	if (t->ran)
		ksnprintf(ran, sizeof(ran), "%s, %u round%s",
			  outcome_name(t->outcome), t->forced + t->rounds,
			  t->forced + t->rounds == 1 ? "" : "s");
	else
		ksnprintf(ran, sizeof(ran), "not run");
	kprintf("%-5s %-66s %7s\n", d->id, d->claim,
		t->ok ? t->ran ? "ok" : "-" : "FAIL");
	kprintf("%-5s %-28s %-23s %s\n", "", t->ran ? lockdep : "-", ran,
		t->verdict ? t->verdict : expected);
}

/* Print a line under the row: "E14/writer  circular  deadlock, 100 rounds  ok" */
static void print_table_part(const struct scenario *sc, const struct tally *t)
{
	char lockdep[80], ran[40];
	unsigned int n = t->forced + t->rounds;

	lockdep_words(lockdep, sizeof(lockdep), t->lockdep);
	if (!t->ran)
		ksnprintf(ran, sizeof(ran), "not run");
	else if (sc->free.until_found && t->rounds &&
		 sc->said.outcome & OUT_BIT(t->outcome))
		ksnprintf(ran, sizeof(ran), "%s, in free round %u",
			  outcome_name(t->outcome), t->rounds);
	else
		ksnprintf(ran, sizeof(ran), "%s, %u round%s",
			  outcome_name(t->outcome), n, n == 1 ? "" : "s");
	kprintf("%-5s %-14s %-22s %-28s %7s\n", "", sc->part,
		t->ran ? lockdep : "-", ran,
		!t->ran ? "-" :
		t->ok	? "ok" :
			  "FAIL");
}

static void print_table(const struct tally *results, const struct tally *part,
			bool searched)
{
	kprintf("\n%-5s %-66s %7s\n", "id", "claim", "result");
	kprintf("%-5s %-28s %-23s %s\n", "", "lockdep", "outcome, rounds",
		searched ? "explored" : "expected");
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		if (!in_table(d))
			continue;
		print_table_row(d, &results[d - demos_start]);
		for (unsigned int i = 0; i < d->nr_scenarios; i++, part++)
			if (d->scenarios[i].part)
				print_table_part(&d->scenarios[i], part);
	}
	if (searched)
		kprintf("\nexplored: if schedules are expected to fail, until "
			"every expected outcome had\n"
			"  been seen; else all schedules, but U only takes the "
			"core up (`explore all`:\n"
			"  all schedules, up and down)\n");
}

/* If `ok` is false, print the rows whose result is unexpected: "unexpected: E7,
 * E9". If `ok` is true, print the other rows that did not run. If there is no
 * such row, print nothing. */
static void print_row_names(const char *what, const struct tally *results,
			    bool ok)
{
	unsigned int n = 0;

	for (const struct demo *d = demos_start; d < demos_end; d++) {
		const struct tally *t = &results[d - demos_start];

		if (in_table(d) && t->ok == ok && !(ok && t->ran))
			kprintf("%s%s", n++ ? ", " : what, d->id);
	}
	if (n)
		kprintf("\n");
}

int experiment_run_all(const struct demo_request *rq)
{
	static struct tally results[96], parts[256]; /* demo_mutex */
	struct tally *part = parts;
	unsigned int bad = 0, n = 0;

	BUG_ON(demos_end - demos_start > (int)ARRAY_SIZE(results));
	memset(parts, 0, sizeof(parts));
	for (const struct demo *d = demos_start; d < demos_end; d++)
		n += in_table(d);
	kprintf("%u experiments\n", n);
	for (const struct demo *d = demos_start; d < demos_end; d++)
		if (in_table(d)) {
			struct tally *t = &results[d - demos_start];

			BUG_ON(part + d->nr_scenarios >
			       parts + ARRAY_SIZE(parts));
			bad += !experiment_run(d, rq, t, part);
			if (rq->search && !t->interrupted &&
			    !why_none_can_run(d, NULL) &&
			    !explore_row(d, &t->verdict, &t->interrupted)) {
				t->ok = false;
				bad++;
			}
			part += d->nr_scenarios;
			if (t->interrupted)
				return report_interrupt();
		}
	if (rq->verbose)
		print_table(results, parts, rq->search);
	print_short_table(results, rq->search);
	kprintf("\n");
	print_row_names("not run: ", results, true);
	print_row_names("unexpected: ", results, false);
	return bad ? 1 : 0;
}
