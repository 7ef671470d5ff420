/*
 * The commands `demo` and `cut`: read the command line and carry it out.
 *
 * Owns no data.
 */
#include "lab/command.h"

#include <string.h>
#include <strings.h>

#include "lab/words.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

static void list_demos(void)
{
	int width = (int)strlen("slug");

	for (const struct demo *d = demos_start; d < demos_end; d++)
		if ((int)strlen(d->slug) > width)
			width = (int)strlen(d->slug);
	kprintf("%-5s %-*s %s\n", "id", width, "slug", "claim");
	for (const struct demo *d = demos_start; d < demos_end; d++)
		kprintf("%-5s %-*s %s\n", d->id, width, d->slug, d->claim);
	kprintf("demo ID runs one; demo ID parts lists its parts; help demo "
		"explains all words\n");
}

/* Print the parts of an experiment: what each tries, and how it must end. */
static void list_parts(const struct demo *d)
{
	kprintf("%s (%s): %s\n  %s\n  %s\n", d->id, d->slug, d->claim,
		d->tried[0], d->tried[1]);
	for (unsigned int i = 0; i < d->nr_scenarios; i++) {
		const struct scenario *sc = &d->scenarios[i];
		char expected[40];

		outcome_words(expected, sizeof(expected), sc->said.outcome);
		kprintf("%-14s %s\n%-14s   expected: %s\n",
			sc->part ? sc->part : d->id, sc->about, "", expected);
	}
}

/* Read a word after the ID. Returns false if the word is not known, or if a
 * word of the same kind came before. */
static bool parse_word(const char *word, struct demo_request *rq)
{
	static const char *const modes[] = {
		[RUN_FORCED] = "forced", [RUN_FREE] = "free", [RUN_HOLD] = "hold"
	};
	unsigned int n;
	bool *flag = !strcasecmp(word, "verbose") ? &rq->verbose :
		     !strcasecmp(word, "search")  ? &rq->search :
						    NULL;

	if (flag && !*flag)
		return *flag = true;
	if (!rq->rounds && parse_uint(word, &n) && n) {
		rq->rounds = n;
		return true;
	}
	for (unsigned int m = RUN_FORCED; m <= RUN_HOLD; m++)
		if (rq->mode == RUN_BOTH && !strcasecmp(word, modes[m])) {
			rq->mode = (enum run_mode)m;
			return true;
		}
	return false;
}

/* Read the words of `demo ID|all [forced|free|hold] [ROUNDS] [verbose] [search]`.
 * If a word is wrong, prints a line that says so, and returns false. */
static bool parse_demo(int argc, char **argv, struct demo_request *rq)
{
	rq->mode = RUN_BOTH;
	rq->rounds = 0;
	rq->verbose = rq->search = false;
	rq->all = !strcasecmp(argv[1], "all");
	rq->demo = rq->all ? NULL : find_demo(argv[1]);
	rq->part = rq->all || rq->demo ? NULL : find_part(argv[1], &rq->demo);
	if (!rq->all && !rq->demo) {
		kprintf("demo: no experiment \"%s\" (`demo` lists them)\n",
			argv[1]);
		return false;
	}
	for (int i = 2; i < argc; i++)
		if (!parse_word(argv[i], rq)) {
			kprintf("demo: \"%s\": use forced|free|hold, ROUNDS, "
				"verbose, %s, each once\n",
				argv[i], rq->all ? "search" : "parts");
			return false;
		}
	if (rq->rounds && (rq->mode == RUN_FORCED || rq->mode == RUN_HOLD)) {
		kprintf("demo: ROUNDS counts free rounds; leave it out with "
			"forced or hold\n");
		return false;
	}
	if (rq->search && !(rq->all && GORDIAN_DEBUG)) {
		kprintf("demo: search needs all, and the debug profile (for one "
			"experiment use explore)\n");
		return false;
	}
	if (rq->all && rq->mode == RUN_HOLD) {
		kprintf("demo: hold needs one experiment, not all\n");
		return false;
	}
	return true;
}

static int cut_cmd(int argc, char **argv)
{
	return shell_has_no_arguments(argc, argv) ? cut_held_knot() : 1;
}

static int demo_cmd(int argc, char **argv)
{
	static struct tally parts[PARTS_MAX]; /* demo_mutex */
	struct demo_request rq;
	struct tally t;
	int status;

	if (argc < 2) {
		list_demos();
		return 0;
	}
	if (!strcasecmp(argv[1], "cut"))
		return cut_cmd(argc - 1, argv + 1);
	if (argc == 3 && !strcasecmp(argv[2], "parts") && find_demo(argv[1])) {
		list_parts(find_demo(argv[1]));
		return 0;
	}
	if (!parse_demo(argc, argv, &rq))
		return 1;
	if (!GORDIAN_DEBUG && (rq.mode == RUN_FORCED || rq.mode == RUN_HOLD)) {
		kprintf("demo: needs the debug profile\n");
		return 1;
	}
	if (!GORDIAN_DEBUG)
		rq.mode = RUN_FREE;
	if (!stage_claim("demo"))
		return 1;
	if (rq.all)
		status = experiment_run_all(&rq);
	else if (experiment_run(rq.demo, &rq, &t, parts))
		status = 0;
	else
		status = !knot_is_held() && t.interrupted ? report_interrupt() :
							    1;
	if (knot_is_held())
		kprintf("\nthe knot is held: try ps, locks, waits; cut ends "
			"it\n");
	else if (rq.mode == RUN_HOLD && !status)
		kprintf("hold: there was no knot to hold\n");
	stage_release();
	return status;
}

static const char *demo_complete(int arg, unsigned int i)
{
	static const char *const forms[] = { "forced", "free", "hold", "parts",
					     "verbose" };

	if (arg == 1)
		return complete_demo(i);
	return arg == 2 && i < ARRAY_SIZE(forms) ? forms[i] : NULL;
}

SHELL_COMMAND(
	demo, .name = "demo",
	.usage = "demo [ID|ID/PART] [parts|forced|free|hold] [ROUNDS] [verbose],\n"
		 "       or "
		 "demo all [forced|free] [ROUNDS] [verbose] [search]",
	.help = "run an experiment; without an argument, list all",
	.words =
		"  ID       for example E2, or its slug e2-kosina; ID/PART: one part\n"
		"  parts    list the parts of the experiment, and run nothing\n"
		"  forced   leave out the free rounds; if a part has no others, it runs them\n"
		"  free     only the free rounds (no thread is held), if there are any\n"
		"  hold     stop at the first deadlock or endless wait, and keep it:\n"
		"           try ps, locks and waits; end it with cut\n"
		"  ROUNDS   the number of free rounds\n"
		"  verbose  print lockdep's reports, the stacks, all rounds and all "
		"parts, too\n"
		"  search   (only with `all`) also search the schedules\n",
	.example = "demo e2", .page = "README.md, docs/reading.md",
	.fn = demo_cmd, .complete = demo_complete);

SHELL_COMMAND(
	cut, .name = "cut", .usage = "cut",
	.help = "cut the knot (end the deadlock) that `demo ID hold` has left",
	.example = "demo e2 hold; waits; cut",
	.page = "docs/design.md, \"lending\"", .fn = cut_cmd);
