/*
 * `replay`: play a schedule again. The command line has the schedule.
 *
 *   replay e2 up D:8 U:5 RCU:1       one step after another
 *   replay e2 up D:8 U:5 RCU:1 free  D takes its eight steps without a stop, then U
 *   replay e2 up D:8 U:5 verbose     with lockdep's report, and stacks
 *
 * If a core goes off or on, "up" or "down" says what U does. After the last step
 * the actors are let go. (At the end of a schedule that fails no actor can go
 * on.)
 *
 * Owns no data. In the runner's thread; demo_mutex held while it plays.
 */
#include "lab/explore/explore.h"

#include <string.h>
#include <strings.h>

#include "lab/command.h"
#include "lab/words.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

/* Parse "D:31" (D takes 31 steps) and add it to the witness. */
static bool parse_leg(const struct scenario *sc, const char *word,
		      struct witness *w)
{
	const char *colon = strchr(word, ':');
	unsigned int n;
	int i;

	if (!colon || !parse_uint(colon + 1, &n) || !n || n > SEARCH_STEPS ||
	    w->nr == LEGS)
		return false;
	i = mover_by_name(sc, word, (size_t)(colon - word));
	if (i < 0)
		return false;
	w->leg[w->nr].actor = (uint8_t)i;
	w->leg[w->nr++].steps = (uint16_t)n;
	return true;
}

/* Print a line which says why the word is not accepted. late: it comes after
 * `free` or `verbose`. too_many: there are too many legs. Otherwise the word is no
 * leg, and the line shows the form of a leg. */
static void refuse_leg(const struct scenario *sc, const char *word,
		       bool too_many, bool late)
{
	if (late) {
		kprintf("replay: \"%s\": steps come before free and verbose (each "
			"once)\n",
			word);
		return;
	}
	if (too_many) {
		kprintf("replay: more than %u words of steps\n", LEGS);
		return;
	}
	kprintf("replay: \"%s\": expected ACTOR:STEPS; ACTOR is ", word);
	for (unsigned int i = 0; i <= nr_actors_of(sc); i++)
		kprintf("%s%s",
			!i		      ? "" :
			i == nr_actors_of(sc) ? " or " :
						", ",
			mover_name(sc, i));
	kprintf(", STEPS is 1 to %u\n", SEARCH_STEPS);
}

static bool parse_replay(const struct scenario *sc, int argc, char **argv,
			 struct witness *w, bool *freely, bool *verbose)
{
	struct form form[FORMS_MAX];
	unsigned int forms = forms_of(sc, form);
	int i = 2;

	memset(w, 0, sizeof(*w));
	*freely = *verbose = false;
	w->form = form[0];
	if (*form[0].name) {
		unsigned int f = 0;

		while (f < forms &&
		       (i >= argc || strcasecmp(argv[i], form[f].name) != 0))
			f++;
		if (f == forms) {
			kprintf("replay: say first what U does, up or down%s\n",
				forms == 1 ? " (here: down)" : "");
			return false;
		}
		w->form = form[f];
		i++;
	}
	for (; i < argc; i++) {
		if (!*freely && !strcasecmp(argv[i], "free")) {
			*freely = true;
		} else if (!*verbose && !strcasecmp(argv[i], "verbose")) {
			*verbose = true;
		} else if (*freely || *verbose || !parse_leg(sc, argv[i], w)) {
			refuse_leg(sc, argv[i], w->nr == LEGS,
				   *freely || *verbose);
			return false;
		}
	}
	if (w->nr)
		return true;
	kprintf("replay: no steps are given (explore prints such lines: "
		"D:6 U:4)\n");
	return false;
}

static int replay_line(const struct demo *d, const struct scenario *sc,
		       const struct witness *w, bool freely, bool verbose)
{
	struct played p = { .out = OUT_COMPLETES };
	int err = stage_open(d, sc, false);

	the_stage.brief = !verbose;
	if (!err)
		err = replay_witness(&the_stage, w, freely, true, &p);
	stage_close(&the_stage);
	lockdep_mark();
	if (err < 0)
		kprintf("replay: cannot go on, error %d\n", -err);
	if (err)
		return 1;
	kprintf("replay: %s", sc->part ? sc->part : d->id);
	print_witness(sc, w);
	kprintf("%s outcome=%s %s\n", freely ? " free" : "",
		outcome_name(p.out), p.clean ? "ok" : "FAIL");
	return p.clean ? 0 : 1;
}

static int replay_cmd(int argc, char **argv)
{
	const struct demo *d;
	const struct scenario *sc =
		find_searched("replay", argc > 1 ? argv[1] : NULL, &d);
	struct witness w;
	bool freely, verbose;
	int status;

	if (!sc)
		return 1;
	if (!parse_replay(sc, argc, argv, &w, &freely, &verbose) ||
	    !stage_claim("replay"))
		return 1;
	status = replay_line(d, sc, &w, freely, verbose);
	stage_release();
	return status;
}
#else
static int replay_cmd(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kprintf("replay: needs the debug profile\n");
	return 1;
}
#endif

SHELL_COMMAND(
	replay, .name = "replay",
	.usage = "replay ID|ID/PART [up|down] ACTOR:STEPS... [free] [verbose]",
	.words =
		"  up, down     does U take the core up or down? (if there is a U)\n"
		"  ACTOR:STEPS  the thread (or RCU) takes this number of steps\n"
		"  free         a thread does not stop between its steps\n"
		"  verbose      print lockdep's report and the stacks, too\n",
	.example = "replay E2 up D:8 U:5 RCU:1",
	.page = "docs/explorer.md, \"The witness\"",
	.help = "run one schedule again; copy its words from explore's line `witness:`",
	.fn = replay_cmd);
