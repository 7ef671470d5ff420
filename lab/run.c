/*
 * Runs a scenario in its two forms and judges the result.
 *
 * On the_stage (lab/stage.c), guarded by demo_mutex (lab/command.c).
 */
#include "lab/stage.h"

#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"

static bool held; /* the stage stands in its knot (RUN_HOLD) */

static void hush_lockdep(struct stage *st, bool on)
{
	if (st->hushed != on)
		lockdep_quiet(on);
	st->hushed = on;
}

/* What lockdep has found goes into the tally; a kind that was not seen before is
 * shown, whatever else was not. */
static void note_lockdep(struct stage *st, struct tally *t)
{
	unsigned int more = lockdep_seen() & ~t->lockdep;

	if (more && st->brief)
		kprintf("  (demo %s shows the report)\n", st->demo->id);
	else if (more && st->hushed)
		lockdep_print_last();
	t->lockdep |= more;
}

/*
 * From here on lockdep looks at what the actors do, and at nothing before: each
 * round finds all there is to find by itself. So that a row does not print the
 * same report in each round, it is quiet when all that was to be found has been;
 * but not where the actors run one after another: there it is what is shown.
 */
static void restart_lockdep(struct stage *st, struct tally *t)
{
	const struct scenario *sc = st->sc;

	note_lockdep(st, t);
	lockdep_reset();
	hush_lockdep(st, !sc->forced.in_turn && t->lockdep &&
				 !(sc->said.lockdep & ~t->lockdep));
}

/* What the walk along the waits came to: a cycle, or the kind of event that is
 * missing at its end. w: the round's walk, of use if that ended in a cycle. */
static const char *walk_result(struct stage *st, enum outcome out,
			       struct waitfor *w)
{
	const char *end = NULL;

	if (out == OUT_DEADLOCK)
		return w->cycle ? "cycle" : NULL;
	for (unsigned int i = 0; i < st->nr_actors && !end; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		end = waitfor_walk(st->worker[i].thread, w) ?
			      "cycle" :
			      wait_kind_name(w->link[w->n - 1].waiting.kind);
	}
	return end;
}

/* Let the actors go; returns how it ended, the knot still tied. */
static int play(struct stage *st, uint32_t *seed, struct waitfor *w,
		enum outcome *out, struct tally *t)
{
	unsigned int warns = warn_count, errors;
	int err;

	reset_round(st);
	note_lockdep(st, t);
	lockdep_reset(); /* or the set-up would close the last round's cycle */
	seen_begin(st->sc);
	err = st->sc->world.setup ? st->sc->world.setup(st) : 0;
	if (err)
		return err;
	restart_lockdep(st, t);
	trace_start(TRACE_MARKED);
	observe_begin(st);
	errors = slab_errors;
	start_actors(st, seed);
	*out = watch_round(st, w, warns);
	note_lockdep(st, t);
	if (is_knot(*out) && (!t->waitfor || *out == OUT_DEADLOCK))
		t->waitfor = walk_result(st, *out, w);
	warns = warn_count - warns;
	t->warnings += warns;
	if (is_knot(*out) && warns != st->sc->said.warnings) {
		kprintf("unexpected: %u warnings before the knot, not %u\n",
			warns, st->sc->said.warnings);
		t->ok = false;
	}
	if (*out == OUT_COMPLETES)
		release_ended(st); /* or the check would wait for it */
	if (*out == OUT_COMPLETES && st->sc->said.check &&
	    !st->sc->said.check(st))
		*out = OUT_CORRUPT;
	if (slab_errors != errors + st->sc->said.slab_reports)
		*out = OUT_CORRUPT;
	return 0;
}

/* Of a chain of waits, without the stacks: the cycle, or its first link. */
static void report_briefly(const struct waitfor *w)
{
	const struct waitfor_link *first = &w->link[0];

	if (w->cycle)
		waitfor_print_cycle(w);
	else if (first->waiting.kind != WAIT_NONE)
		kprintf("%s waits for %s (%s)\n", first->name,
			first->waiting.name,
			wait_kind_name(first->waiting.kind));
}

static void report_knot(struct stage *st, enum outcome out, struct waitfor *w)
{
	void (*report)(const struct waitfor *w) =
		st->brief && !st->sc->show.waits ? report_briefly :
						   waitfor_report;

	if (out == OUT_DEADLOCK) {
		report(w);
		return;
	}
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		waitfor_walk(st->worker[i].thread, w);
		report(w);
	}
}

/* ---- the two forms --------------------------------------------------------- */

/* Did the BUG, or the warning, name the place that did it? */
bool names_culprit(const struct stage *st, enum outcome out)
{
	const struct thread *dead = who_died(st);
	const char *place;
	uintptr_t caller;
	uint32_t off;

	caller = out == OUT_BUG ? (dead ? dead->bug_caller : 0) : warn_caller;
	place = symbol_lookup(caller, &off);
	if (place && strcmp(place, st->sc->said.culprit) == 0)
		return true;
	kprintf("unexpected: %s is blamed, not %s\n", place ? place : "nobody",
		st->sc->said.culprit);
	return false;
}

static bool expected(const struct stage *st, unsigned int set, enum outcome out)
{
	bool blames = out == OUT_BUG || out == OUT_WARN ||
		      (out == OUT_COMPLETES && st->sc->said.warnings);

	if (st->sc->said.culprit && blames && !names_culprit(st, out))
		return false;
	return (set & OUT_BIT(out)) != 0;
}

/* The evidence of a round that has ended, its knot still tied. */
void tell(struct stage *st, enum outcome out, struct waitfor *w)
{
	trace_stop();
	if (st->forced || !st->brief)
		show_schedule(st);
	if (st->refusal.happened)
		show_refusal(st);
	if (!all_done(st) || out == OUT_DEADLOCK)
		report_knot(st, out, w);
	if (st->sc->show.evidence)
		st->sc->show.evidence(st);
	if (out == OUT_COMPLETES &&
	    lockdep_seen() & LOCKDEP_BIT(LOCKDEP_CIRCULAR))
		show_completed(st);
}

/* Did the forced order happen, as far as it can? Says so if not. */
static bool order_kept(const struct stage *st)
{
	const struct scenario *sc = st->sc;
	unsigned int steps = script_length(stage_script(st));

	if (sc->forced.refused && !st->refusal.happened)
		kprintf("unexpected: the step was not refused\n");
	else if (!sc->forced.refused && st->script_pos < steps)
		kprintf("unexpected: step %u of %u did not come\n",
			st->script_pos + 1, steps);
	else
		return sc->forced.refused == st->refusal.happened;
	return false;
}

/* Was it this lock that was wanted, and that one held? Says so if not. */
static bool pair_as_expected(const struct scenario *sc)
{
	const char *wanted = "nothing", *held = "nothing";

	if (!GORDIAN_DEBUG || !sc->said.wants)
		return true;
	if (lockdep_last_pair(&wanted, &held) &&
	    strcmp(wanted, sc->said.wants) == 0 &&
	    strcmp(held, sc->said.holds) == 0)
		return true;
	kprintf("unexpected: lockdep found that %s was wanted, %s held,\n"
		"  not %s and %s\n",
		wanted, held, sc->said.wants, sc->said.holds);
	return false;
}

static int forced_once(struct stage *st, bool hold, struct tally *t)
{
	static struct waitfor w; /* guarded by demo_mutex, like the stage */
	const struct scenario *sc = st->sc;
	unsigned int expect = sc->forced.outcome ? sc->forced.outcome :
						   sc->said.outcome;
	uint32_t seed = 1;
	enum outcome out;
	int err;

	st->forced = true;
	err = play(st, &seed, &w, &out, t);
	if (err)
		return err;
	t->forced++;
	tell(st, out, &w);
	t->outcome = out;
	if (!expected(st, expect, out)) {
		kprintf("unexpected: the forced round's outcome is %s\n",
			outcome_name(out));
		t->ok = false;
	}
	t->ok &= order_kept(st);
	t->ok &= seen_all();
	t->ok &= pair_as_expected(sc);
	if (hold && is_knot(out)) {
		held = true;
		return 0;
	}
	if (out == OUT_CORRUPT)
		kprintf("corrupt: a check of the slab or of the round\n");
	t->ok &= end_round(st, out, &w, false);
	replace_dead_workers(st);
	t->ok &= compare_state(false);
	return 0;
}

static int run_forced(struct stage *st, bool hold, struct tally *t)
{
	const char *form[] = { "down", "up" };
	unsigned int forms = st->sc->world.toggles ? 2 : 1;

	for (unsigned int f = 0; f < forms; f++) {
		int err;

		st->up = f == 0;
		st->leak_by_d = f == 1;
		if (st->up && st->sc->world.down_only)
			continue;
		if (thread_interrupted())
			return -EINTR;
		kprintf("\n%s", st->sc->forced.in_turn ? "in turn" :
				stage_script(st)       ? "forced" :
							 "once");
		if (st->sc->world.toggles)
			kprintf(", U takes core %u %s", st->toggled,
				form[st->up]);
		kprintf(":\n");
		err = forced_once(st, hold, t);
		if (err || held)
			return err;
	}
	return 0;
}

/* Is it no test of anything if D and U are never at it at once? */
bool meets(const struct scenario *sc)
{
	return sc->world.toggles && !sc->free.apart && !sc->forced.in_turn;
}

/* What a search goes on until it has found. */
static enum outcome looked_for(const struct scenario *sc)
{
	return (enum outcome)__builtin_ctz(sc->said.outcome);
}

/* Does a round with an expected result (fine), or the outcome looked for, end the
 * rounds of this scenario? */
static bool search_ends(const struct scenario *sc, enum outcome out, bool fine,
			bool found)
{
	if (sc->free.until_found)
		return found || (!fine && out != OUT_COMPLETES);
	return !fine;
}

/* Who counts the rounds has to take what comes; else they go on, within reason,
 * until D and U have met once. */
static unsigned int enough_rounds(const struct scenario *sc, bool own,
				  unsigned int rounds, const struct tally *t)
{
	return own && meets(sc) && !t->overlap ? 5 * rounds : rounds;
}

static int run_free(struct stage *st, bool own, unsigned int rounds,
		    struct tally *t)
{
	static struct waitfor w;
	const struct scenario *sc = st->sc;
	unsigned int offs = cpu_offs, ons = cpu_ons;
	uint32_t seed = 2012;
	bool over = false, clean = true;
	int err = 0;

	if (board.nr_cores < sc->free.cores) {
		kprintf("\nnot run: the free form needs %u cores, this machine "
			"has %u\n",
			sc->free.cores, board.nr_cores);
		t->skipped = t->forced == 0;
		return 0;
	}
	st->forced = false;
	kprintf("\nfree, up to %u rounds:\n", rounds);
	t->outcome = OUT_COMPLETES;
	while (t->rounds < enough_rounds(sc, own, rounds, t) && !over &&
	       clean) {
		enum outcome out;
		bool fine, found;

		st->up = !cpu_is_online(st->toggled) && !sc->world.down_only;
		st->leak_by_d = t->rounds & 1;
		err = thread_interrupted() ? -EINTR :
					     play(st, &seed, &w, &out, t);
		if (err)
			break;
		t->rounds++;
		t->overlap += st->waited && st->together;
		t->stuck += out == OUT_STUCK;
		fine = st->missed || expected(st, sc->said.outcome, out);
		found = !st->missed && out == looked_for(sc);
		/* The first unexpected outcome stays; else the one looked for. */
		if (!fine || found ||
		    (t->outcome == OUT_COMPLETES && !st->missed))
			t->outcome = out;
		over = search_ends(sc, out, fine, found);
		t->ok &= fine || (sc->free.until_found && !over);
		if (over) {
			/* An unexpected result may never come again: show it. */
			st->brief &= fine;
			kprintf("round %u: %s\n", t->rounds, outcome_name(out));
			tell(st, out, &w);
		}
		clean = end_round(st, out, &w, !over);
		replace_dead_workers(st);
	}
	if (!err && sc->free.until_found && t->outcome != looked_for(sc))
		t->ok = false; /* looked for, and not found */
	if (!err && own && t->ok && meets(sc) && !t->overlap) {
		kprintf("unexpected: no round in which D and U overlapped\n");
		t->ok = false;
	}
	t->ok &= clean;
	/* A search that went on to its last round must not have left a trace. */
	if (!err)
		t->ok &= compare_state(false);
	t->cycles = (cpu_offs - offs + cpu_ons - ons) / 2;
	return err;
}

bool lockdep_as_expected(unsigned int said, unsigned int may,
			 unsigned int found, const char *when)
{
	bool ok = true;

	for (unsigned int k = 0; GORDIAN_DEBUG && k < NR_LOCKDEP_KINDS; k++) {
		bool is = found & LOCKDEP_BIT(k), must = said & LOCKDEP_BIT(k);

		if (is == must || (is && may & LOCKDEP_BIT(k)))
			continue;
		kprintf("unexpected: lockdep %s \"%s\"%s\n",
			is ? "found" : "did not find",
			lockdep_kind_name((enum lockdep_kind)k), when);
		ok = false;
	}
	return ok;
}

static bool has_forced(const struct scenario *sc, enum run_mode mode)
{
	return sc->forced.in_turn || (mode != RUN_FREE && !sc->forced.none);
}

/* Where there is no order to force the free form is all there is. */
static bool has_free(const struct scenario *sc, enum run_mode mode)
{
	return !sc->forced.in_turn && mode != RUN_HOLD &&
	       (mode != RUN_FORCED || sc->forced.none);
}

/* The knot stands: is what happened so far as expected? */
static struct tally held_so_far(struct tally t)
{
	note_lockdep(&the_stage, &t);
	hush_lockdep(&the_stage, false);
	t.ran = true;
	t.ok &= lockdep_as_expected(t.of->said.lockdep, t.of->said.lockdep_may,
				    t.lockdep, "");
	return t;
}

struct tally scenario_run(const struct demo *d, const struct scenario *sc,
			  enum run_mode mode, unsigned int rounds, bool brief)
{
	struct stage *st = &the_stage;
	struct tally t = { .of = sc, .outcome = OUT_COMPLETES };
	int err;

	t.ok = lockdep_as_expected(0, 0, lockdep_since_mark(),
				   " before this one began");
	err = stage_open(d, sc);
	st->brief = brief && !sc->show.report;
	lockdep_brief(st->brief);
	if (!err && has_forced(sc, mode))
		err = run_forced(st, mode == RUN_HOLD, &t);
	if (held)
		return held_so_far(t);
	if (!err && has_free(sc, mode))
		err = run_free(st, !rounds,
			       rounds	       ? rounds :
			       sc->free.rounds ? sc->free.rounds :
						 d->free_rounds,
			       &t);
	t.interrupted = err == -EINTR;
	if (err && !t.interrupted)
		kprintf("%s: cannot go on, error %d\n", d->id, -err);
	stage_close(st);
	note_lockdep(st, &t);
	hush_lockdep(st, false);
	lockdep_brief(false);
	t.ran = t.forced + t.rounds != 0;
	if (t.ran && !t.interrupted)
		t.ok &= lockdep_as_expected(
			sc->said.lockdep, sc->said.lockdep_may, t.lockdep, "");
	else if (!err && !t.skipped)
		kprintf("not run: no order is forced here, nothing to hold\n");
	t.ok &= !err && (t.ran || t.skipped);
	lockdep_mark(); /* left for the command `lockdep` */
	return t;
}

bool demo_held(void)
{
	return held;
}

int demo_cut(void)
{
	static struct waitfor w;
	struct stage *st = &the_stage;
	bool clean;

	if (!held)
		return -ENOENT;
	held = false;
	clean = end_round(st, watch_round(st, &w, warn_count), &w, false);
	replace_dead_workers(st);
	clean &= compare_state(false);
	stage_close(st);
	lockdep_mark(); /* left for the command `lockdep` */
	return clean ? 0 : -EIO;
}
