/*
 * The commands `demo` and `cut`: read the command line and carry it out.
 *
 * Owns no data.
 */
#include "lab/command.h"

#include <string.h>
#include <strings.h>

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
 * Returns false after a line that says what is wrong. */
static bool parse_demo(int argc, char **argv, struct demo_request *rq)
{
	rq->mode = RUN_BOTH;
	rq->rounds = 0;
	rq->verbose = rq->search = false;
	rq->all = !strcasecmp(argv[1], "all");
	rq->demo = rq->all ? NULL : find_demo(argv[1]);
	rq->part = rq->all || rq->demo ? NULL : find_part(argv[1], &rq->demo);
	if (!rq->all && !rq->demo) {
		kprintf("demo: no experiment \"%s\" (demo alone lists them)\n",
			argv[1]);
		return false;
	}
	for (int i = 2; i < argc; i++)
		if (!parse_word(argv[i], rq)) {
			kprintf("demo: \"%s\" is none of forced|free|hold, "
				"ROUNDS, verbose, search (each once)\n",
				argv[i]);
			return false;
		}
	if (rq->rounds && (rq->mode == RUN_FORCED || rq->mode == RUN_HOLD)) {
		kprintf("demo: ROUNDS counts free rounds; leave it out with "
			"forced or hold\n");
		return false;
	}
	if (rq->verbose && !rq->all) {
		kprintf("demo: verbose goes with all (one experiment prints "
			"everything)\n");
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
	struct demo_request rq;
	struct tally t;
	int status;

	if (argc < 2) {
		list_demos();
		return 0;
	}
	if (!strcasecmp(argv[1], "cut"))
		return cut_cmd(argc - 1, argv + 1);
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
	else if (experiment_run(rq.demo, &rq, &t, NULL))
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
	static const char *const forms[] = { "forced", "free", "hold" };

	if (arg == 1)
		return complete_demo(i);
	return arg == 2 && i < ARRAY_SIZE(forms) ? forms[i] : NULL;
}

SHELL_COMMAND(
	demo, .name = "demo",
	.usage = "demo [ID|ID/PART] [forced|free|hold] [ROUNDS], or\n"
		 "       demo all [forced|free] [ROUNDS] [verbose] [search]",
	.help = "run an experiment; without an argument, list all",
	.fn = demo_cmd, .complete = demo_complete);

SHELL_COMMAND(
	cut, .name = "cut", .usage = "cut",
	.help = "cut the knot (end the deadlock) that `demo ID hold` has left",
	.fn = cut_cmd);
