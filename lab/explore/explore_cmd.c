/*
 * `explore`: the command, the table of all rows, and the column of `demo all
 * search`. What is said there comes from explore.c. demo_mutex held; in the
 * runner's thread.
 */
#include "kernel/arch/clock.h"
#include "lab/explore/explore.h"

#include <string.h>
#include <strings.h>

#include "lab/command.h"
#include "lab/words.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

/* What every verdict rests on. */
static void print_bounds(void)
{
	kprintf("\npermuted: sleeping locks, the hotplug lock, waits and wakes, "
		"notifiers,\n"
		"  cores on and off, barriers, slab objects (many in a row are "
		"one step),\n"
		"  declared shared reads and writes; releases with .tries\n"
		"not permuted: what lies in one spinlock section, other "
		"releases, interrupts\n"
		"  (what one completes or wakes is in no step), grace periods, "
		"timers, how\n"
		"  threads woken in one step go on side by side; callbacks run "
		"late, in order,\n"
		"  those of the set-up before; memory is sequential\n");
	kprintf("not seen: data that is not declared, unless a mutex or a "
		"semaphore guards it\n");
}

/* ---- the table ----------------------------------------------------------- */

static void print_row(const struct explored_row *r, bool part)
{
	char lockdep[80];

	if (!r->verdict) {
		kprintf("%-16s %s\n", r->id, r->why ? r->why : "");
		return;
	}
	lockdep_words(lockdep, sizeof(lockdep), r->lockdep);
	kprintf(part ? "  %-14s" : "%-16s", r->id);
	kprintf(" %-19s %5u %5u  %-9s %-14s %4s\n", lockdep, r->schedules,
		r->failing, r->search, r->verdict, r->ok ? "ok" : "FAIL");
}

static int explore_all(const struct explore_wish *w)
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
		*r = explore_demo(d, w, part);
		part += d->nr_scenarios;
		ok &= r->ok;
		schedules += r->schedules + r->redundant;
		if (r->interrupted)
			return -EINTR;
	}
	ms = timer_ns(timer_now() - begun) / 1000000;
	kprintf("\n%-16s %-19s %5s %5s  %-9s %s\n", "id", "lockdep", "sched",
		"fail", "search", "verdict");
	part = parts;
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		if (d->for_reader)
			continue;
		print_row(&rows[d - demos_start], false);
		for (unsigned int i = 0; i < d->nr_scenarios; i++, part++)
			if (d->scenarios[i].part && part->verdict)
				print_row(part, true);
	}
	print_bounds();
	kprintf("\n%u schedules in %u.%u s, %u per second\n", schedules,
		(unsigned int)(ms / 1000), (unsigned int)(ms / 100 % 10),
		(unsigned int)(schedules * 1000ull / (ms ? ms : 1)));
	return ok ? 0 : 1;
}

bool explore_row(const struct demo *d, const char **verdict, bool *interrupted)
{
	static const struct explore_wish w = { .all = true,
					       .brief = true,
					       .until_found = true,
					       .one_form = true };
	struct explored_row r = { .ok = explore_memory() };

	*verdict = "-";
	if (r.ok)
		r = explore_demo(d, &w, NULL);
	*interrupted = r.interrupted;
	if (!r.verdict || r.interrupted)
		return r.ok;
	*verdict = r.verdict;
	kprintf("explored: %s schedules=%u failing=%u search=%s verdict=%s "
		"%s\n",
		d->id, r.schedules, r.failing, r.search, r.verdict,
		r.ok ? "ok" : "FAIL");
	return r.ok;
}

/* ---- the command --------------------------------------------------------- */

/* explore program [full] TEXT, or TEXT alone in quotes. */
static bool parse_program(int argc, char **argv, struct explore_wish *w)
{
	int i = *argv[1] == '"' ? 1 : 2;

	if (i < argc && !strcasecmp(argv[i], "full")) {
		w->mode = SEARCH_FULL;
		i++;
	}
	w->demo = program_demo();
	return program_parse((unsigned int)(argc - i), argv + i);
}

/* explore ID|all [full] [bound [N]] [max N]; false: said what is wrong. */
static bool parse(int argc, char **argv, struct explore_wish *w)
{
	*w = (struct explore_wish){ .mode = SEARCH_REDUCED };
	if (argc > 1 && (!strcasecmp(argv[1], "program") || *argv[1] == '"'))
		return parse_program(argc, argv, w);
	w->all = argc > 1 && !strcasecmp(argv[1], "all");
	w->demo = argc < 2 || w->all ? NULL : find_demo(argv[1]);
	if (argc > 1 && !w->all && !w->demo)
		w->part = find_part(argv[1], &w->demo);
	if (!w->all && !w->demo) {
		if (argc < 2)
			kprintf("explore: which experiment? (demo lists them; "
				"or all)\n");
		else
			kprintf("explore: no experiment \"%s\" (demo alone "
				"lists them)\n",
				argv[1]);
		return false;
	}
	for (int i = 2; i < argc; i++) {
		bool more = i + 1 < argc;

		if (!strcasecmp(argv[i], "full")) {
			w->mode = SEARCH_FULL;
		} else if (!strcasecmp(argv[i], "bound")) {
			w->mode = SEARCH_BOUNDED;
			w->iterate = !more ||
				     !parse_uint(argv[i + 1], &w->bound);
			w->until_found = w->iterate;
			i += !w->iterate;
		} else if (!strcasecmp(argv[i], "max") && more &&
			   parse_uint(argv[i + 1], &w->max) && w->max) {
			i++;
		} else {
			kprintf("explore: \"%s\" is neither full, bound [N] nor "
				"max N\n",
				argv[i]);
			return false;
		}
	}
	return true;
}

static int run_wish(const struct explore_wish *w)
{
	struct explored_row r;

	if (w->all)
		return explore_all(w);
	r = explore_demo(w->demo, w, NULL);
	print_bounds();
	return r.interrupted ? -EINTR : r.ok ? 0 : 1;
}

static int explore_cmd(int argc, char **argv)
{
	struct explore_wish w;
	int status = 1;

	if (!stage_claim("explore"))
		return 1;
	if (parse(argc, argv, &w) && explore_memory())
		status = run_wish(&w);
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
	static const char *const how[] = { "full", "bound", "max" };

	if (arg == 1)
		return complete_demo(i);
	return i < ARRAY_SIZE(how) ? how[i] : NULL;
}

SHELL_COMMAND(
	explore, .name = "explore",
	.usage =
		"explore ID|ID/PART|all|program TEXT [full] [bound [N]] [max N]",
	.help = "run all schedules of an experiment: can it deadlock?",
	.fn = explore_cmd, .complete = explore_complete);
