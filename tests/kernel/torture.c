/*
 * The shell's `torture` command: runs the suites that TORTURE() registered.
 *
 * Owns the state of the progress lines. All of it runs in the command's thread, and only
 * one command runs at a time.
 */
#include "tests/kernel/torture.h"

#include <string.h>

#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep.h"
#include "kernel/shell/shell.h"
#include "kernel/explore/state.h"
#include "tests/kernel/ktest.h"

#define SECONDS	       10 /* default */
#define SECONDS_A_LINE 5

static struct {
	const char *name;
	unsigned int seconds; /* of the whole run */
	unsigned int said;    /* the last line's */
	uint64_t begun;	      /* ns */
} progress;

void torture_print_progress(void)
{
	uint64_t ns = timer_now_ns() - progress.begun;
	unsigned int now = (unsigned int)(ns / 1000000000);

	if (now < progress.said + SECONDS_A_LINE || now >= progress.seconds)
		return;
	progress.said = now;
	kprintf("torture %s: %u of %u s\n", progress.name, now,
		progress.seconds);
}

static int run(const struct torture *t, unsigned int seconds, unsigned int seed)
{
	struct cpumask were_off = cores_on_for("test");
	unsigned int findings = lockdep_total();
	int status;

	kprintf("torture %s: %u s, seed %u\n", t->name, seconds, seed);
	progress.name = t->name;
	progress.seconds = seconds;
	progress.said = 0;
	progress.begun = timer_now_ns();
	status = t->fn(seconds, seed);
	if (lockdep_total() != findings)
		status = 1;
	if (GORDIAN_DEBUG)
		kprintf("lockdep: %u findings\n", lockdep_total() - findings);
	kprintf("torture: %s %s\n", t->name,
		status == TORTURE_STOPPED ? "stopped" :
		status			  ? "FAIL" :
					    "ok");
	cores_off_again(were_off);
	return status;
}

static int list(void)
{
	for (const struct torture *t = tortures_start; t < tortures_end; t++)
		kprintf("%-8s %s\n", t->name, t->help);
	return 0;
}

static int torture_command(int argc, char **argv)
{
	unsigned int seconds = SECONDS, seed = 1;
	bool found = false, all;
	int status = 0;

	if (argc < 2)
		return list();
	if (argc > 4 || (argc > 2 && !parse_uint(argv[2], &seconds)) ||
	    (argc > 3 && !parse_uint(argv[3], &seed))) {
		kprintf("usage: torture [NAME|all] [SECONDS] [SEED]\n");
		return 1;
	}
	all = strcmp(argv[1], "all") == 0;
	for (const struct torture *t = tortures_start; t < tortures_end; t++) {
		if (!all && strcmp(argv[1], t->name) != 0)
			continue;
		found = true;
		int one = run(t, seconds, seed ? seed : 1);

		if (one == TORTURE_STOPPED)
			return one;
		if (one)
			status = 1;
	}
	if (!found) {
		kprintf("torture: no suite \"%s\" (`torture` lists them)\n",
			argv[1]);
		return 1;
	}
	return status;
}

static const char *complete(int arg, unsigned int i)
{
	if (arg != 1 || i >= (unsigned int)(tortures_end - tortures_start))
		return NULL;
	return tortures_start[i].name;
}

SHELL_COMMAND(torture, .name = "torture",
	      .usage = "torture [NAME|all] [SECONDS] [SEED]",
	      .help = "run a long random test; without a name, list the tests",
	      .words = "  NAME     the name of a test; all: all tests\n"
		       "  SECONDS  guest time of a test; Ctrl-C ends it early\n"
		       "  SEED     the seed, to repeat a run\n",
	      .example = "torture rcu 60 7", .page = "tests/kernel/torture.h",
	      .fn = torture_command, .complete = complete);
