/*
 * Runs the rounds of a scenario (forced, once, in turn, free) and judges the
 * result. lab/experiment.h explains the kinds.
 *
 * On the_stage (lab/stage.c), guarded by demo_mutex (lab/hold.c).
 */
#include "lab/run.h"

#include "lab/command.h"
#include "lab/judge.h"
#include "lab/round.h"
#include "lab/words.h"
#include "kernel/arch/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

/* The rounds of one scenario. Each round adds to the tally. */
struct player {
	struct round round;
	struct tally *tally;
};

static void hush_lockdep(struct stage *st, bool on)
{
	if (st->hushed != on)
		lockdep_quiet(on);
	st->hushed = on;
}

/* Add lockdep's findings to the tally. Unless the output is brief, a report of a kind
 * that was not seen before is shown, even if lockdep is hushed. */
static void note_lockdep(struct stage *st, struct tally *t)
{
	unsigned int more = lockdep_seen() & ~t->lockdep;

	if (more && st->hushed && !st->brief)
		lockdep_print_last();
	t->lockdep |= more;
}

/*
 * Each round makes all findings again. To avoid the same report in every round,
 * lockdep is hushed once all expected kinds have been found. It is not hushed if
 * the actors run one after another, because then the report is the experiment's
 * result.
 */
static int hush_if_all_found(struct round *r, struct stage *st)
{
	struct tally *t = container_of(r, struct player, round)->tally;
	const struct scenario *sc = st->sc;

	note_lockdep(st, t);
	hush_lockdep(st, !sc->forced.in_turn && t->lockdep &&
				 !(sc->said.lockdep & ~t->lockdep));
	return 0;
}

/* Follow the waits of each thread that has not ended. Returns "cycle", or the kind of
 * the last wait, which nobody ends. st->waits is valid if the round ended in a cycle. */
static const char *describe_end_of_waits(struct stage *st, enum outcome out)
{
	struct waitfor *w = &st->waits;
	const char *end = NULL;

	if (out == OUT_DEADLOCK)
		return w->cycle ? "cycle" : NULL;
	for (unsigned int i = 0; i < st->nr_actors && !end; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		end = waitfor_walk(st->worker[i].thread, w) ?
			      "cycle" :
			      wait_name(&w->link[w->n - 1].waiting);
	}
	return end;
}

static void tally_end_of_round(struct round *r, struct stage *st)
{
	struct tally *t = container_of(r, struct player, round)->tally;

	note_lockdep(st, t);
	if (is_knot(r->outcome) && (!t->waitfor || r->outcome == OUT_DEADLOCK))
		t->waitfor = describe_end_of_waits(st, r->outcome);
	t->warnings += r->warnings;
	if (is_knot(r->outcome))
		t->ok &= warnings_are_expected(st->sc, r->warnings);
}

static struct player player(struct tally *t, uint32_t seed)
{
	return (struct player){ .round = { .seed = seed,
					   .trace = TRACE_MARKED,
					   .is_set_up = hush_if_all_found,
					   .is_over = tally_end_of_round },
				.tally = t };
}

/* Play a round, and put its outcome into *out. A knot is not cut. Returns 0 or a
 * negative errno. */
static int play_and_tally(struct player *p, struct stage *st, enum outcome *out)
{
	int err;

	note_lockdep(st, p->tally);
	hush(st->brief);
	err = play_round(&p->round, st);
	hush(false);
	*out = p->round.outcome;
	return err;
}

/* Print what the round has to show. In brief output only one round is shown: the one
 * that tells the story. But a round with an unexpected result (not `fine`) is shown in
 * full, because such a round may never come again. */
static void show_if_wanted(struct stage *st, enum outcome out, bool fine)
{
	st->brief &= fine;
	if (st->brief && !st->tells) {
		/* The evidence function may call saw(). */
		hush(true);
		show_evidence(st);
		hush(false);
		return;
	}
	st->tells = false;
	show_round(st, out);
}

/* ---- the forced form ----------------------------------------------------- */

/* Print "forced, U takes core 3 up:". */
static void print_form(const struct stage *st)
{
	kprintf("\n");
	if (st->brief && st->sc->part)
		kprintf("%s, ", st->sc->part);
	kprintf("%s", st->sc->forced.in_turn ? "in turn" :
		      stage_script(st)	     ? "forced" :
					       "once");
	if (st->sc->world.toggles)
		kprintf(", U takes core %u %s", st->toggled,
			st->up ? "up" : "down");
	kprintf(":\n");
}

/* Play and judge one round that is forced, in turn, or "once". hold: keep a knot.
 * Returns 0 or a negative errno. */
static int forced_once(struct stage *st, bool hold, struct tally *t)
{
	const struct scenario *sc = st->sc;
	unsigned int expect = sc->forced.outcome ? sc->forced.outcome :
						   sc->said.outcome;
	struct player p = player(t, 1);
	enum outcome out;
	bool fine, tells = st->tells;
	int err;

	st->forced = true;
	if (!st->brief || tells)
		print_form(st);
	err = play_and_tally(&p, st, &out);
	if (err)
		return err;
	t->forced++;
	show_if_wanted(st, out, true);
	fine = outcome_is_expected(st, expect, out);
	if (is_worse(fine, out, t->ok, t->outcome))
		t->outcome = out;
	if (!fine)
		kprintf("unexpected: the forced round's outcome is %s\n",
			outcome_name(out));
	fine &= order_is_expected(st);
	fine &= seen_all();
	fine &= lock_pair_is_expected(sc);
	if (st->brief && !fine) {
		print_form(st);
		show_if_wanted(st, out, false);
	}
	t->ok &= fine;
	if (hold && is_knot(out)) {
		hold_knot();
		return 0;
	}
	if (out == OUT_CORRUPT && !st->brief)
		kprintf("corrupt: a check of the slab or of the round\n");
	t->ok &= end_round(st, out, st->brief);
	replace_dead_workers(st);
	t->ok &= state_is_as_before(st->brief);
	return 0;
}

static int run_forced(struct stage *st, bool hold, struct tally *t)
{
	unsigned int forms = st->sc->world.toggles ? 2 : 1;

	for (unsigned int f = 0; f < forms; f++) {
		int err;

		st->up = f == 0;
		st->leak_by_d = f == 1;
		if (st->up && st->sc->world.down_only)
			continue;
		if (thread_interrupted())
			return -EINTR;
		err = forced_once(st, hold, t);
		if (err || knot_is_held())
			return err;
	}
	return 0;
}

/* ---- the free form ------------------------------------------------------- */

/* The outcome at which a scenario with `until_found` stops. If several outcomes
 * are expected, this is the first in enum outcome. */
static enum outcome outcome_to_find(const struct scenario *sc)
{
	return (enum outcome)__builtin_ctz(sc->said.outcome);
}

/* Was this the last round? fine: the round's result was expected. found: the
 * round had the outcome that is looked for. An unexpected result ends the
 * rounds. With until_found, the outcome that is looked for also ends them, but
 * an unexpected `completes` does not. */
static bool is_last_round(const struct scenario *sc, enum outcome out,
			  bool fine, bool found)
{
	if (sc->free.until_found)
		return found || (!fine && out != OUT_COMPLETES);
	return !fine;
}

/* The number of rounds after which to stop: `rounds`. But if the user gave no
 * number (`own` is true), and D and U must overlap and have not yet done so, the
 * number is five times as large. */
static unsigned int max_rounds(const struct scenario *sc, bool own,
			       unsigned int rounds, const struct tally *t)
{
	return own && must_overlap(sc) && !t->overlap ? 5 * rounds : rounds;
}

static int run_free(struct stage *st, bool own, unsigned int rounds,
		    struct tally *t)
{
	const struct scenario *sc = st->sc;
	unsigned int offs = cpu_offs, ons = cpu_ons;
	enum outcome word = OUT_COMPLETES; /* of the free rounds */
	struct player p = player(t, 2012);
	bool last = false, clean = true, forced_ok = t->ok, all_fine = true;
	int err = 0;

	if (board.nr_cores < sc->free.cores) {
		kprintf("\nnot run: the free form needs %u cores, this machine "
			"has %u\n",
			sc->free.cores, board.nr_cores);
		t->skipped = t->forced == 0;
		return 0;
	}
	st->forced = false;
	if (!st->brief)
		kprintf("\nfree, up to %u rounds:\n", rounds);
	while (t->rounds < max_rounds(sc, own, rounds, t) && !last && clean) {
		enum outcome out;
		bool fine, found;

		st->up = !cpu_is_online(st->toggled) && !sc->world.down_only;
		st->leak_by_d = t->rounds & 1;
		err = thread_interrupted() ? -EINTR :
					     play_and_tally(&p, st, &out);
		if (err)
			break;
		t->rounds++;
		t->overlap += st->waited && st->together;
		t->stuck += out == OUT_STUCK;
		fine = st->missed ||
		       outcome_is_expected(st, sc->said.outcome, out);
		found = !st->missed && out == outcome_to_find(sc);
		/* An unexpected outcome counts at once, and so does the outcome
		 * that is looked for. Of other outcomes the worst counts. */
		if (!fine || (sc->free.until_found && found) ||
		    (!st->missed && is_worse(true, out, true, word)))
			word = out;
		all_fine &= fine;
		last = is_last_round(sc, out, fine, found);
		t->ok &= fine || (sc->free.until_found && !last);
		if (last) {
			if (!st->brief || st->tells || !fine)
				kprintf("%sround %u: %s\n",
					st->brief ? "free, " : "", t->rounds,
					outcome_name(out));
			show_if_wanted(st, out, fine);
		}
		clean = end_round(st, out, !last || st->brief);
		replace_dead_workers(st);
	}
	/* If the free rounds look for an outcome, they decide alone. */
	if (sc->free.until_found ||
	    is_worse(all_fine, word, forced_ok, t->outcome))
		t->outcome = word;
	if (!err && sc->free.until_found && word != outcome_to_find(sc))
		t->ok = false; /* the outcome that is looked for has not come */
	if (!err && own && t->ok && must_overlap(sc) && !t->overlap) {
		kprintf("unexpected: no round in which D and U overlapped\n");
		t->ok = false;
	}
	t->ok &= clean;
	/* The state was not compared after each round. */
	if (!err)
		t->ok &= state_is_as_before(st->brief);
	if (!err && st->brief && st->tells)
		kprintf("free: %u rounds, and the worst outcome is %s\n",
			t->rounds, outcome_name(word));
	t->cycles = (cpu_offs - offs + cpu_ons - ons) / 2;
	return err;
}

/* ---- a scenario ---------------------------------------------------------- */

static bool has_forced(const struct scenario *sc, enum run_mode mode)
{
	return sc->forced.in_turn || (mode != RUN_FREE && !sc->forced.none);
}

/* A scenario without a forced round runs its free rounds even if the user asked
 * for the forced round. */
static bool has_free(const struct scenario *sc, enum run_mode mode)
{
	return !sc->forced.in_turn && mode != RUN_HOLD &&
	       (mode != RUN_FORCED || sc->forced.none);
}

/* The knot is kept: judge the rounds so far. */
static struct tally judge_held(struct tally t)
{
	note_lockdep(&the_stage, &t);
	hush_lockdep(&the_stage, false);
	t.ran = true;
	t.ok &= lockdep_is_expected(t.of->said.lockdep, t.of->said.lockdep_may,
				    t.lockdep, "");
	return t;
}

struct tally scenario_run(const struct demo *d, const struct scenario *sc,
			  enum run_mode mode, unsigned int rounds, bool brief,
			  bool tells)
{
	struct stage *st = &the_stage;
	struct tally t = { .of = sc, .outcome = OUT_COMPLETES };
	int err;

	t.ok = lockdep_is_expected(0, 0, lockdep_since_mark(),
				   " before this one began");
	err = stage_open(d, sc, false);
	st->brief = brief;
	st->tells = tells;
	if (brief)
		lockdep_quiet(true);
	if (!err && has_forced(sc, mode))
		err = run_forced(st, mode == RUN_HOLD, &t);
	if (knot_is_held()) {
		if (brief)
			lockdep_quiet(false);
		return judge_held(t);
	}
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
	if (brief)
		lockdep_quiet(false);
	t.ran = t.forced + t.rounds != 0;
	if (t.ran && !t.interrupted)
		t.ok &= lockdep_is_expected(
			sc->said.lockdep, sc->said.lockdep_may, t.lockdep, "");
	else if (!err && !t.skipped)
		kprintf("not run: it has no rounds of this kind\n");
	t.ok &= !err && (t.ran || t.skipped);
	lockdep_mark(); /* the findings stay for the command `lockdep` */
	return t;
}
