/*
 * The `demo` and `cut` commands: list, run, table, verdicts.
 *
 * demo_mutex: one experiment at a time; it also guards the runner's stage.
 */
#include "lab/command.h"

#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

static DEFINE_MUTEX(demo_mutex);

struct wish {
	const struct demo *demo;     /* NULL: all */
	const struct scenario *part; /* of it, this one alone; NULL: all */
	bool all, verbose;
	bool search; /* all: with the explorer's verdict on each row */
	enum run_mode mode;
	unsigned int rounds;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool same_word(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return *a == *b;
}

const struct demo *find_demo(const char *word)
{
	for (const struct demo *d = demos_start; d < demos_end; d++)
		if (same_word(word, d->id) || same_word(word, d->slug))
			return d;
	return NULL;
}

/* The part of that name, "e0/irq", and its experiment. */
const struct scenario *find_part(const char *word, const struct demo **of)
{
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		for (unsigned int i = 0; i < d->nr_scenarios; i++) {
			const char *part = d->scenarios[i].part;

			if (!part || !same_word(word, part))
				continue;
			*of = d;
			return &d->scenarios[i];
		}
	}
	return NULL;
}

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

/* A set as words with a separator between; "" if it is empty. */
static void list_set(char *out, size_t size, unsigned int set, unsigned int n,
		     const char *sep, const char *(*name)(unsigned int))
{
	size_t at = 0;

	out[0] = 0;
	for (unsigned int i = 0; i < n && at < size; i++)
		if (set & 1u << i)
			at += (size_t)ksnprintf(out + at, size - at, "%s%s",
						at ? sep : "", name(i));
}

static const char *nth_outcome(unsigned int i)
{
	return outcome_name((enum outcome)i);
}

static const char *nth_kind(unsigned int i)
{
	return lockdep_kind_name((enum lockdep_kind)i);
}

void list_outcomes(char *out, size_t size, unsigned int set)
{
	list_set(out, size, set, OUT_CORRUPT + 1, "|", nth_outcome);
}

bool objected_to(const struct scenario *sc, unsigned int failed)
{
	return sc->said.objection && failed & sc->said.objects_to;
}

void list_lockdep(char *out, size_t size, unsigned int found)
{
	if (GORDIAN_DEBUG && found)
		list_set(out, size, found, NR_LOCKDEP_KINDS, ",", nth_kind);
	else
		ksnprintf(out, size, GORDIAN_DEBUG ? "silent" : "off");
}

/* "outcome=deadlock expected=deadlock lockdep=circular" */
static void print_result(const struct tally *t)
{
	char lockdep[80], expected[40];

	list_lockdep(lockdep, sizeof(lockdep), t->lockdep);
	list_outcomes(expected, sizeof(expected),
		      t->of ? t->of->said.outcome : 0);
	if (!t->ran) {
		kprintf(" expected=%s ran=0", expected);
		return;
	}
	kprintf(" outcome=%s expected=%s lockdep=%s", outcome_name(t->outcome),
		expected, lockdep);
}

/* A wait's kind as one word: "rwsem (read)" is rwsem-read. */
static void print_word(const char *name)
{
	for (; *name; name++)
		if (*name == ' ')
			kprintf("-");
		else if (*name != '(' && *name != ')')
			kprintf("%c", *name);
}

static void print_fields(const struct tally *t, bool toggles, bool met)
{
	if (t->waitfor) {
		kprintf(" waitfor=");
		print_word(t->waitfor);
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

/* The row's result: the outcome of its first part, or of the first part with an
 * unexpected result. The counts of all parts are added up. */
static void add_part(struct tally *row, const struct tally *part)
{
	if (!row->of || (part->ran && (!row->ran || (row->ok && !part->ok)))) {
		row->outcome = part->outcome;
		row->of = part->of;
	}
	if (!row->waitfor)
		row->waitfor = part->waitfor;
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

/* "needs 8 cores", or NULL: this machine and image can run it. */
static const char *cannot_run(const struct scenario *sc)
{
	static char why[40]; /* demo_mutex */

	if (sc->needs_lockdep && !GORDIAN_DEBUG)
		return "needs the debug profile";
	if (board.nr_cores >= sc->cores)
		return NULL;
	ksnprintf(why, sizeof(why), "needs %u cores", sc->cores);
	return why;
}

/* Not one of its parts? */
static bool cannot_run_any(const struct demo *d)
{
	for (unsigned int i = 0; i < d->nr_scenarios; i++)
		if (!cannot_run(&d->scenarios[i]))
			return false;
	return true;
}

/* parts: NULL, or where the result of each goes. */
static bool run_demo(const struct demo *d, const struct wish *w,
		     struct tally *result, struct tally *parts)
{
	unsigned int skipped = 0;
	bool toggles = false, met = false;

	*result = (struct tally){ .ran = false };
	if (board.nr_cores < d->cores) {
		kprintf("%s: needs %u cores, this machine has %u\n", d->id,
			d->cores, board.nr_cores);
		return false;
	}
	if (cannot_run_any(d)) {
		kprintf("%s: %s\n", d->id, cannot_run(&d->scenarios[0]));
		return false;
	}
	result->ok = true;
	kprintf("\n%s (%s): %s\n  %s\n  %s\n", d->id, d->slug, d->claim,
		d->tried[0], d->tried[1]);
	for (unsigned int i = 0; i < d->nr_scenarios; i++) {
		const struct scenario *sc = &d->scenarios[i];
		const char *why = cannot_run(sc);
		struct tally t;

		if (w->part && sc != w->part)
			continue;
		if (sc->part)
			kprintf("\n%s: %s\n", sc->part, sc->about);
		if (why) {
			kprintf("not run: it %s\n", why);
			skipped++;
			continue;
		}
		t = scenario_run(d, sc, w->mode, w->rounds,
				 w->all && !w->verbose);
		if (parts)
			parts[i] = t;
		if (demo_held())
			return t.ok;
		result->interrupted = t.interrupted;
		if (t.interrupted)
			return false;
		skipped += t.skipped;
		if (sc->part && !t.skipped) {
			kprintf("part: %s", sc->part);
			print_result(&t);
			print_fields(&t, sc->world.toggles, meets(sc));
			kprintf(" %s\n", t.ok ? "ok" : "FAIL");
		}
		if (t.ran &&
		    objected_to(sc, OUT_BIT(t.outcome) & ~sc->said.outcome))
			kprintf("objection: %s\n", sc->said.objection);
		toggles |= sc->world.toggles;
		met |= meets(sc);
		add_part(result, &t);
	}
	kprintf("\nverdict: %s", d->id);
	print_result(result);
	print_fields(result, toggles, met);
	if (skipped)
		kprintf(" skipped=%u", skipped);
	kprintf(" %s\n", result->ok ? "ok" : "FAIL");
	return result->ok;
}

/*
 * Two lines of the table. The first has the claim and the result. The second has
 * lockdep's findings, the outcome with the number of rounds, and the expected
 * outcome (with `search`: the explorer's verdict).
 */
static void print_row(const struct demo *d, const struct tally *t)
{
	char lockdep[80], expected[40], ran[40];

	list_lockdep(lockdep, sizeof(lockdep), t->lockdep);
	list_outcomes(expected, sizeof(expected),
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
	kprintf("%-5s %-32s %-23s %s\n", "", t->ran ? lockdep : "-", ran,
		t->verdict ? t->verdict : expected);
}

/* A line under the row: "E14/writer  circular  deadlock, in free round 36  ok" */
static void print_part(const struct scenario *sc, const struct tally *t)
{
	char lockdep[80], ran[40];
	unsigned int n = t->forced + t->rounds;

	list_lockdep(lockdep, sizeof(lockdep), t->lockdep);
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

/* Of `demo all`: not the reader's, nor what a release image cannot run. */
bool in_table(const struct demo *d)
{
	return !d->for_reader &&
	       (GORDIAN_DEBUG || !d->scenarios[0].needs_lockdep);
}

/* "unexpected: E7, E9", or nothing. */
static void name_rows(const char *what, const struct tally *results, bool ran)
{
	unsigned int n = 0;

	for (const struct demo *d = demos_start; d < demos_end; d++) {
		const struct tally *t = &results[d - demos_start];

		if (in_table(d) && t->ran == ran && !(t->ran && t->ok))
			kprintf("%s%s", n++ ? ", " : what, d->id);
	}
	if (n)
		kprintf("\n");
}

/* By Ctrl-C: the status, as the shell has it. */
int interrupted(void)
{
	kprintf("interrupted\n");
	return 130;
}

static int run_all(const struct wish *w)
{
	static struct tally results[96], parts[256]; /* demo_mutex */
	struct tally *part = parts;
	unsigned int bad = 0;

	BUG_ON(demos_end - demos_start > (int)ARRAY_SIZE(results));
	memset(parts, 0, sizeof(parts));
	if (!w->verbose)
		kprintf("In short: stacks, lockdep's reports and the free "
			"rounds' schedules are left out\n"
			"  but for a few; `demo ID` shows a row's, `demo all "
			"verbose` all.\n");
	for (const struct demo *d = demos_start; d < demos_end; d++)
		if (in_table(d)) {
			struct tally *t = &results[d - demos_start];

			BUG_ON(part + d->nr_scenarios >
			       parts + ARRAY_SIZE(parts));
			bad += !run_demo(d, w, t, part);
			if (w->search && !t->interrupted)
				bad += !explore_row(d, &t->verdict,
						    &t->interrupted);
			part += d->nr_scenarios;
			if (t->interrupted)
				return interrupted();
		}
	kprintf("\n%-5s %-66s %7s\n", "id", "claim", "result");
	kprintf("%-5s %-32s %-23s %s\n", "", "lockdep", "what ran",
		w->search ? "explored" : "expected");
	part = parts;
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		if (!in_table(d))
			continue;
		print_row(d, &results[d - demos_start]);
		for (unsigned int i = 0; i < d->nr_scenarios; i++, part++)
			if (d->scenarios[i].part)
				print_part(&d->scenarios[i], part);
	}
	if (w->search)
		kprintf("\nexplored: where schedules fail, until all that the "
			"row says had been seen;\n"
			"  else all of them, with U in its first form (explore "
			"all: all, both forms)\n");
	kprintf("\n");
	name_rows("not run: ", results, false);
	name_rows("unexpected: ", results, true);
	return bad ? 1 : 0;
}

bool stage_claim(const char *command)
{
	if (mutex_lock_interruptible(&demo_mutex))
		return false;
	if (!demo_held())
		return true;
	mutex_unlock(&demo_mutex);
	kprintf("%s: a knot is held: cut it first (cut)\n", command);
	return false;
}

void stage_yield(void)
{
	mutex_unlock(&demo_mutex);
}

/* demo [ID|all] [forced|free|hold] [ROUNDS]; false: said what is wrong. */
static bool parse(int argc, char **argv, struct wish *w)
{
	static const struct {
		const char *word;
		enum run_mode mode;
	} modes[] = { { "forced", RUN_FORCED },
		      { "free", RUN_FREE },
		      { "hold", RUN_HOLD } };

	w->mode = RUN_BOTH;
	w->rounds = 0;
	w->verbose = w->search = false;
	w->all = same_word(argv[1], "all");
	w->demo = w->all ? NULL : find_demo(argv[1]);
	w->part = w->all || w->demo ? NULL : find_part(argv[1], &w->demo);
	if (!w->all && !w->demo) {
		kprintf("demo: no experiment \"%s\" (demo alone lists them)\n",
			argv[1]);
		return false;
	}
	for (int i = 2; i < argc; i++) {
		bool known = parse_uint(argv[i], &w->rounds) && w->rounds;

		if (same_word(argv[i], "verbose"))
			known = w->verbose = true;
		if (same_word(argv[i], "search"))
			known = w->search = true;

		for (unsigned int m = 0; m < ARRAY_SIZE(modes); m++) {
			if (same_word(argv[i], modes[m].word)) {
				w->mode = modes[m].mode;
				known = true;
			}
		}
		if (!known) {
			kprintf("demo: \"%s\" is neither forced, free, hold nor "
				"a number of rounds\n",
				argv[i]);
			return false;
		}
	}
	if (w->search && !(w->all && GORDIAN_DEBUG)) {
		kprintf("demo: search goes with all, in the debug profile (else: "
			"explore)\n");
		return false;
	}
	if (w->all && w->mode == RUN_HOLD) {
		kprintf("demo: hold takes one experiment\n");
		return false;
	}
	return true;
}

int cut_the_knot(void)
{
	int status;

	if (mutex_lock_interruptible(&demo_mutex))
		return 1;
	status = demo_cut();
	mutex_unlock(&demo_mutex);
	if (status == -ENOENT)
		kprintf("cut: no knot is held (demo e2 hold ties one)\n");
	return status ? 1 : 0;
}

static int demo_cmd(int argc, char **argv)
{
	struct wish w;
	struct tally t;
	int status;

	if (argc < 2) {
		list_demos();
		return 0;
	}
	if (same_word(argv[1], "cut"))
		return cut_the_knot();
	if (!parse(argc, argv, &w))
		return 1;
	if (!GORDIAN_DEBUG && (w.mode == RUN_FORCED || w.mode == RUN_HOLD)) {
		kprintf("demo: needs the debug profile\n");
		return 1;
	}
	if (!GORDIAN_DEBUG)
		w.mode = RUN_FREE;
	if (!stage_claim("demo"))
		return 1;
	if (w.all)
		status = run_all(&w);
	else if (run_demo(w.demo, &w, &t, NULL))
		status = 0;
	else
		status = !demo_held() && t.interrupted ? interrupted() : 1;
	if (demo_held())
		kprintf("\nthe knot is held: try ps, locks, waits; cut ends "
			"it\n");
	else if (w.mode == RUN_HOLD && !status)
		kprintf("hold: there was no knot to hold\n");
	stage_yield();
	return status;
}

static const char *demo_complete(int arg, unsigned int i)
{
	static const char *const forms[] = { "forced", "free", "hold" };

	if (arg == 1)
		return demos_start + i < demos_end ? demos_start[i].slug : NULL;
	return arg == 2 && i < ARRAY_SIZE(forms) ? forms[i] : NULL;
}

SHELL_COMMAND(
	demo, .name = "demo",
	.usage =
		"demo [ID|ID/PART|all|cut] [forced|free|hold] [ROUNDS] [verbose|search]",
	.help = "run an experiment of the thread; alone: list them",
	.fn = demo_cmd, .complete = demo_complete);

static int cut_cmd(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cut_the_knot();
}

SHELL_COMMAND(cut, .name = "cut", .usage = "cut",
	      .help = "cut the knot that `demo ID hold` left tied",
	      .fn = cut_cmd);
