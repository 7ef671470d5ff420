/*
 * The command `explore`, its table, and the explorer's column of `demo all
 * search`.
 *
 * Owns the results of all rows and parts, guarded by demo_mutex. In the
 * runner's thread.
 */
#include "lab/explore/explore.h"

#include <string.h>
#include <strings.h>

#include "lab/command.h"
#include "lab/explore/spent.h"
#include "lab/words.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/left.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

/* Print the bounds within which every verdict holds. (The line of each search says what
 * else this search left out.) */
static void print_bounds(bool verbose)
{
	if (!verbose) {
		kprintf("memory is sequentially consistent; what is permuted: "
			"docs/explorer.md\n");
		return;
	}
	kprintf("\na step is the work of one thread, from a point to the next one; a "
		"woken thread\n"
		"  stops before it goes on; releases are points; a timed wait "
		"may end either way\n"
		"left=: what happened in these runs and was not permuted "
		"(docs/explorer.md)\n"
		"memory is sequentially consistent; each thread stays on its "
		"core\n");
}

/* ---- the table ----------------------------------------------------------- */

static void print_table_row(const struct explored_row *r, bool part)
{
	char lockdep[80];

	if (!r->verdict) {
		kprintf("%-16s %s\n", r->id, r->why ? r->why : "");
		return;
	}
	lockdep_words(lockdep, sizeof(lockdep), r->lockdep);
	kprintf(part ? "  %-14s" : "%-16s", r->id);
	kprintf(" %-19s", lockdep);
	if (strlen(lockdep) > 19) /* the rest goes on a line of its own */
		kprintf("\n%-36s", "");
	kprintf(" %4u %4u %-8s %-21s %s\n", r->schedules, r->failing, r->search,
		r->verdict, r->ok ? "ok" : "FAIL");
}

static int explore_all(const struct explore_request *rq)
{
	static struct explored_row rows[96], parts[256]; /* demo_mutex */
	uint64_t begun = timer_now(), ms;
	unsigned int schedules = 0;
	struct explored_row *part = parts;
	bool ok = true;

	BUG_ON(demos_end - demos_start > (int)ARRAY_SIZE(rows));
	memset(parts, 0, sizeof(parts));
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		struct explored_row *r = &rows[d - demos_start];

		if (d->for_reader)
			continue;
		BUG_ON(part + d->nr_scenarios > parts + ARRAY_SIZE(parts));
		*r = explore_demo(d, rq, part);
		part += d->nr_scenarios;
		ok &= r->ok;
		schedules += r->schedules + r->redundant;
		if (r->interrupted)
			return -EINTR;
	}
	ms = timer_ns(timer_now() - begun) / 1000000;
	kprintf("\n%-16s %-19s %4s %4s %-8s %s\n", "id", "lockdep", "runs",
		"fail", "search", "verdict");
	part = parts;
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		if (d->for_reader)
			continue;
		print_table_row(&rows[d - demos_start], false);
		for (unsigned int i = 0; i < d->nr_scenarios; i++, part++)
			if (d->scenarios[i].part && part->verdict)
				print_table_row(part, true);
	}
	print_bounds(true);
	if (rq->time)
		spent_print(schedules);
	kprintf("\n%u schedules in %u.%u s, %u per second\n", schedules,
		(unsigned int)(ms / 1000), (unsigned int)(ms / 100 % 10),
		(unsigned int)(schedules * 1000ull / (ms ? ms : 1)));
	return ok ? 0 : 1;
}

bool explore_row(const struct demo *d, const char **verdict, bool *interrupted)
{
	static const struct explore_request rq = { .all = true,
						   .brief = true,
						   .until_found = true,
						   .one_form = true };
	struct explored_row r = { .ok = allocate_search_memory() };
	char left[LEFT_WORDS];

	*verdict = "-";
	if (r.ok)
		r = explore_demo(d, &rq, NULL);
	*interrupted = r.interrupted;
	if (!r.verdict || r.interrupted)
		return r.ok;
	*verdict = r.verdict;
	left_words(left, sizeof(left), r.left);
	kprintf("explored: %s schedules=%u failing=%u search=%s left=%s "
		"verdict=%s %s\n",
		d->id, r.schedules, r.failing, r.search, left, r.verdict,
		r.ok ? "ok" : "FAIL");
	return r.ok;
}

/* ---- the command --------------------------------------------------------- */

/* `graph` takes no other word. Returns false if there is one; a line says so. */
static bool graph_is_alone(const struct explore_request *rq)
{
	if (!rq->graph || (rq->mode == SEARCH_REDUCED && !rq->max &&
			   !rq->time && !rq->verbose && !rq->all))
		return true;
	kprintf("explore: graph takes one experiment and no other word\n");
	return false;
}

/* Read the words of `explore program [full|graph] [verbose] TEXT` or `explore "TEXT"`. If
 * a word is wrong, prints a line that says so, and returns false. */
static bool parse_program(int argc, char **argv, struct explore_request *rq)
{
	int i = *argv[1] == '"' ? 1 : 2;

	for (; i < argc; i++)
		if (!strcasecmp(argv[i], "graph"))
			rq->graph = true;
		else if (!strcasecmp(argv[i], "full"))
			rq->mode = SEARCH_FULL;
		else if (!strcasecmp(argv[i], "verbose"))
			rq->verbose = true;
		else
			break;
	if (i == argc) {
		kprintf("explore: program takes the threads as text: explore "
			"program a b | b a\n");
		return false;
	}
	rq->demo = program_demo();
	return graph_is_alone(rq) &&
	       program_parse((unsigned int)(argc - i), argv + i);
}

/* Read the words of `explore ID|all [graph|full|bound [N]] [max N] [time] [verbose]`. If a
 * word is wrong, prints a line that says so, and returns false. */
static bool parse_explore(int argc, char **argv, struct explore_request *rq)
{
	*rq = (struct explore_request){ .mode = SEARCH_REDUCED };
	if (argc > 1 && (!strcasecmp(argv[1], "program") || *argv[1] == '"'))
		return parse_program(argc, argv, rq);
	rq->all = argc > 1 && !strcasecmp(argv[1], "all");
	rq->demo = argc < 2 || rq->all ? NULL : find_demo(argv[1]);
	if (argc > 1 && !rq->all && !rq->demo)
		rq->part = find_part(argv[1], &rq->demo);
	if (!rq->all && !rq->demo) {
		if (argc < 2)
			kprintf("explore: name an experiment (demo lists them) "
				"or say all\n");
		else
			kprintf("explore: no experiment \"%s\" (`demo` lists "
				"them)\n",
				argv[1]);
		return false;
	}
	for (int i = 2; i < argc; i++) {
		bool more = i + 1 < argc, first = rq->mode == SEARCH_REDUCED;

		if (!strcasecmp(argv[i], "graph") && !rq->graph) {
			rq->graph = true;
		} else if (!strcasecmp(argv[i], "full") && first) {
			rq->mode = SEARCH_FULL;
		} else if (!strcasecmp(argv[i], "bound") && first) {
			rq->mode = SEARCH_BOUNDED;
			rq->iterate = !more ||
				      !parse_uint(argv[i + 1], &rq->bound);
			rq->until_found = rq->iterate;
			i += !rq->iterate;
		} else if (!strcasecmp(argv[i], "max") && !rq->max) {
			i++;
			if (more && parse_uint(argv[i], &rq->max) && rq->max)
				continue;
			kprintf("explore: max takes a number of runs, from 1%s%s\n",
				more ? ", not " : "", more ? argv[i] : "");
			return false;
		} else if (!strcasecmp(argv[i], "time") && !rq->time) {
			rq->time = true;
		} else if (!strcasecmp(argv[i], "verbose") && !rq->verbose) {
			rq->verbose = true;
		} else {
			kprintf("explore: \"%s\" is none of graph, full|bound "
				"[N], max N, time, verbose (each once)\n",
				argv[i]);
			return false;
		}
	}
	return graph_is_alone(rq);
}

static int run_request(const struct explore_request *rq)
{
	struct explored_row r;

	if (rq->graph)
		return explore_graph(rq->demo, rq->part);
	if (rq->all)
		return explore_all(rq);
	r = explore_demo(rq->demo, rq, NULL);
	if (r.verdict)
		print_bounds(rq->verbose);
	if (rq->time)
		spent_print(r.schedules + r.redundant);
	return r.interrupted ? -EINTR : r.ok ? 0 : 1;
}

static int explore_cmd(int argc, char **argv)
{
	struct explore_request rq;
	int status = 1;

	if (!stage_claim("explore"))
		return 1;
	if (parse_explore(argc, argv, &rq) && allocate_search_memory()) {
		spent_begin();
		status = run_request(&rq);
	}
	stage_release();
	return status == -EINTR ? report_interrupt() : status;
}
#else
bool explore_row(const struct demo *d, const char **verdict, bool *interrupted)
{
	(void)d;
	*verdict = "-";
	*interrupted = false;
	return true;
}

static int explore_cmd(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kprintf("explore: needs the debug profile\n");
	return 1;
}
#endif

static const char *explore_complete(int arg, unsigned int i)
{
	static const char *const how[] = { "full", "bound",   "max",
					   "time", "verbose", "graph" };

	if (arg == 1)
		return complete_demo(i);
	return i < ARRAY_SIZE(how) ? how[i] : NULL;
}

SHELL_COMMAND(
	explore, .name = "explore",
	.usage = "explore ID|ID/PART|all [full|bound [N]] [max N] [time] "
		 "[verbose], or\n"
		 "       explore ID|ID/PART graph, or\n"
		 "       explore program [full|graph] [verbose] TEXT",
	.help = "run all schedules of an experiment: can it deadlock?",
	.words =
		"  ID        E2, or its slug e2-kosina; ID/PART: one part; all: all of them\n"
		"  full      run every order, also orders that must have the same "
		"outcome\n"
		"  bound N   at most N switches away from a thread that could go "
		"on; without N:\n"
		"            first 0, then 1, 2 ... until every expected outcome "
		"has been seen\n"
		"  max N     stop after N runs\n"
		"  time      print how the search has spent its time\n"
		"  graph     take each possible step in each state once; count all "
		"schedules\n"
		"  verbose   show every witness, with lockdep's report "
		"and stacks\n"
		"  TEXT      the threads: bars separate threads, "
		"blanks separate operations:\n"
		"            a to f, -a to -f: lock, unlock a mutex; ? !: "
		"sleep, wake;\n"
		"            docs/explorer.md lists all operations\n",
	.example = "explore program a b | b a", .page = "docs/explorer.md",
	.fn = explore_cmd, .complete = explore_complete);
