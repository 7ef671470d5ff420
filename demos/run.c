/*
 * Running a scenario: workers, rounds, the end of a round, the cut.
 *
 * One stage at a time, `stage` below, guarded by demo_mutex (demos/command.c);
 * the workers touch it only between their `go` and their `done`.
 *
 * How a round ends is never decided by a clock. It is over when
 *   (a) every worker has finished;                        completes, warn, bug
 *   (b) a walk along mutex owners closes a cycle;         deadlock
 *   (c) all workers that are not done wait for an event and not for time, no
 *       callback or grace period is under way, no core has anything to run; every
 *       core has taken an interrupt since and ended it, and it is still so with
 *       no worker switched in between;                    stuck
 */
#include <string.h>

#include "demos/demo.h"
#include "drivers/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/state.h"
#include "kernel/debug/watchdog.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"

#define LOOK_NS	     1000000ull /* between two looks at a round */
#define PAUSE_MAX_NS 400000u	/* random pause before an actor starts */

static struct stage stage;
static struct state_summary state_before;
static bool held; /* the stage stands in its knot (RUN_HOLD) */
static struct cpumask runner_cores; /* where it may run, outside of a round */

const char *outcome_name(enum outcome o)
{
	static const char *const names[] = {
		[OUT_COMPLETES] = "completes", [OUT_DEADLOCK] = "deadlock",
		[OUT_STUCK] = "stuck",	       [OUT_BUG] = "bug",
		[OUT_WARN] = "warn",	       [OUT_CORRUPT] = "corrupt",
	};

	return names[o];
}

/* ---- workers -------------------------------------------------------------- */

static void pause_ns(uint32_t ns)
{
	uint64_t end = timer_now() + timer_ticks(ns);

	while (timer_now() < end)
		cpu_relax();
}

static int worker_thread(void *arg)
{
	struct worker *w = arg;

	current->bug_ends_me = true;
	for (;;) {
		wait_for_completion(&w->go);
		if (w->quit)
			return 0;
		if (w->pause_ns)
			pause_ns(w->pause_ns);
		current->gated = w->st->forced;
		w->actor->fn(w->st);
		current->gated = false;
		/* Release: pairs with the acquire in worker_ended(). */
		smp_store_release(&w->done, true);
		wake_up(&w->st->finished);
	}
}

static unsigned int place_core(const struct stage *st, enum place place)
{
	struct cpumask goes = st->sc->toggles ? cpumask_of(st->toggled) :
						CPUMASK_NONE;
	struct cpumask ok = cpumask_andnot(cpu_online(), goes);
	unsigned int want[] = { [ON_D] = 1, [ON_U] = 2, [ON_B] = 0 };
	unsigned int n = cpumask_weight(ok), skip = want[place] % n, cpu;

	for_each_cpu (cpu, ok)
		if (skip-- == 0)
			return cpu;
	return cpumask_first(ok);
}

static int start_worker(struct stage *st, unsigned int i)
{
	struct worker *w = &st->worker[i];

	w->st = st;
	w->actor = &st->sc->actors[i];
	w->cpu = place_core(st, w->actor->place);
	init_completion(&w->go, "its next round");
	w->thread = thread_create(w->actor->name, worker_thread, w,
				  w->actor->urgent ? PRIO_STOP : PRIO_NORMAL,
				  cpumask_of(w->cpu));
	if (!w->thread)
		return -ENOMEM;
	w->id = w->thread->id;
	w->thread->traced = true;
	return 0;
}

static int start_workers(struct stage *st, const struct scenario *sc)
{
	memset(st, 0, sizeof(*st));
	st->sc = sc;
	st->toggled = board.nr_cores - 1;
	wait_queue_init(&st->finished, "the end of the round");
	while (st->nr_actors < MAX_ACTORS && sc->actors[st->nr_actors].name) {
		int err = start_worker(st, st->nr_actors);

		if (err)
			return err;
		st->nr_actors++;
	}
	return 0;
}

/* The runner must not wait on a core that an actor has stuck. */
static int keep_off(const struct stage *st)
{
	struct cpumask ok = runner_cores;

	for (unsigned int i = 0; st->sc->spins && i < st->nr_actors; i++)
		ok = cpumask_andnot(ok, cpumask_of(st->worker[i].cpu));
	return thread_set_affinity(current, ok);
}

static void stop_workers(struct stage *st)
{
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		struct worker *w = &st->worker[i];

		w->quit = true;
		complete(&w->go);
		thread_join(w->thread);
		w->thread = NULL;
	}
	st->nr_actors = 0;
}

/* ---- the end of a round ---------------------------------------------------- */

bool worker_ended(const struct worker *w)
{
	/* Acquire: pairs with the release in worker_thread(). */
	return smp_load_acquire(&w->done) || READ_ONCE(w->thread->bug);
}

bool all_done(const struct stage *st)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (!worker_ended(&st->worker[i]))
			return false;
	return true;
}

static bool find_cycle(struct stage *st, struct waitfor *w)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (!worker_ended(&st->worker[i]) &&
		    waitfor_cycle(st->worker[i].thread, w))
			return true;
	return false;
}

/* Threads other than the runner that are on a core or queued for one. */
static bool cores_idle(void)
{
	unsigned int cpu, busy = 0;

	for_each_possible_cpu (cpu) /* also one on its way out */
		busy += sched_nr_running(cpu);
	return busy <= 1; /* the runner itself */
}

/*
 * Condition (c). switches: the workers' counts at the last look, updated here.
 * A worker held at a gate by the script counts as waiting too.
 */
static bool nobody_moves(struct stage *st, uint64_t *switches)
{
	bool still = cores_idle() && rcu_is_quiet();

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		const struct worker *w = &st->worker[i];
		uint64_t n = w->thread->switches;

		if (worker_ended(w))
			continue;
		if (READ_ONCE(w->thread->waiting.kind) == WAIT_GATE)
			continue; /* it polls: its count moves */
		if (!waits_for_event(w->thread) || switches[i] != n)
			still = false;
		switches[i] = n;
	}
	return still;
}

static bool somebody_gated(const struct stage *st)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (READ_ONCE(st->worker[i].thread->waiting.kind) == WAIT_GATE)
			return true;
	return false;
}

static bool somebody_died(const struct stage *st)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (READ_ONCE(st->worker[i].thread->bug))
			return true;
	return st->l != NULL;
}

static void nothing(void *arg)
{
	(void)arg;
}

enum outcome watch_round(struct stage *st, struct waitfor *cycle,
			 unsigned int warns)
{
	uint64_t switches[MAX_ACTORS] = { 0 };
	unsigned int quiet = 0;

	for (;;) {
		if (wait_event_timeout(&st->finished, WAIT_QUEUE, all_done(st),
				       LOOK_NS))
			break;
		if (find_cycle(st, cycle))
			return OUT_DEADLOCK;
		quiet = nobody_moves(st, switches) ? quiet + 1 : 0;
		if (quiet)
			on_each_cpu(nothing, NULL); /* handlers have ended */
		if (quiet < 3)
			continue;
		if (!somebody_gated(st))
			return somebody_died(st) ? OUT_BUG : OUT_STUCK;
		/* The script waits for what cannot come: let them all go. */
		WRITE_ONCE(st->script_open, true);
		quiet = 0;
	}
	if (somebody_died(st))
		return OUT_BUG;
	return warn_count != warns + st->sc->warnings ? OUT_WARN :
							OUT_COMPLETES;
}

/* ---- rounds ---------------------------------------------------------------- */

static void reset_round(struct stage *st)
{
	st->d_inside = st->u_inside = st->together = st->waited = 0;
	memset(&st->refusal, 0, sizeof(st->refusal));
	memset(st->refs, 0, sizeof(st->refs));
	st->script_pos = 0;
	st->script_open = false;
	st->left_held = false;
	st->missed = false;
}

static void start_actors(struct stage *st, uint32_t *seed)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		WRITE_ONCE(st->worker[i].done, false);
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		struct worker *wk = &st->worker[i];

		*seed = *seed * 1664525u + 1013904223u;
		wk->pause_ns = st->forced ? 0 : (*seed >> 8) % PAUSE_MAX_NS;
		complete(&wk->go);
		if (st->sc->in_turn)
			wait_event(&st->finished, worker_ended(wk));
	}
}

/* Lockdep counts on, but prints no report. */
static void hush(struct stage *st, bool on)
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
	hush(st, !sc->in_turn && t->lockdep && !(sc->lockdep & ~t->lockdep));
}

/* Somebody waits for what will not come. */
static bool is_knot(enum outcome out)
{
	return out == OUT_DEADLOCK || out == OUT_STUCK;
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
	err = st->sc->setup ? st->sc->setup(st) : 0;
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
	if (is_knot(*out) && warns != st->sc->warnings) {
		kprintf("not as said: %u warnings before the knot, not %u\n",
			warns, st->sc->warnings);
		t->ok = false;
	}
	if (*out == OUT_COMPLETES)
		release_ended(st); /* or the check would wait for it */
	if (*out == OUT_COMPLETES && st->sc->check && !st->sc->check(st))
		*out = OUT_CORRUPT;
	if (slab_errors != errors + st->sc->slab_reports)
		*out = OUT_CORRUPT;
	return 0;
}

/* false: an actor ended with a lock or a reference held. */
static bool end_round(struct stage *st, enum outcome out, struct waitfor *w,
		      bool quietly)
{
	bool clean;

	cut_and_finish(st, out, w, quietly);
	clean = !st->left_held;
	observe_end();
	trace_stop();
	if (!st->sc->leaks && READ_ONCE(cpu_hotplug.refcount) != 0) {
		kprintf("cut: an actor left refcount %d, set to 0\n",
			cpu_hotplug_rescue());
		clean = false;
	}
	if (st->sc->teardown)
		st->sc->teardown(st);
	return clean;
}

static void replace_dead_workers(struct stage *st)
{
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		struct worker *w = &st->worker[i];

		if (!w->thread->bug)
			continue;
		thread_join(w->thread);
		BUG_ON(start_worker(st, i) != 0);
	}
}

static void report_knot(struct stage *st, enum outcome out, struct waitfor *w)
{
	if (out == OUT_DEADLOCK) {
		waitfor_report(w);
		return;
	}
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		waitfor_walk(st->worker[i].thread, w);
		waitfor_report(w);
	}
}

static bool compare_state(void)
{
	struct state_summary now;

	if (stage.sc->toggles && !cpu_is_online(stage.toggled))
		cpu_up(stage.toggled);
	if (!state_settles(&state_before, &now)) {
		state_print_difference(&state_before, &now);
		return false;
	}
	state_print_same(&now);
	return true;
}

/* ---- the two forms --------------------------------------------------------- */

/* Did the BUG, or the warning, name the place that did it? */
static bool names_culprit(const struct stage *st, enum outcome out)
{
	const struct thread *dead = st->l;
	const char *place;
	uintptr_t caller;
	uint32_t off;

	for (unsigned int i = 0; !dead && i < st->nr_actors; i++)
		if (st->worker[i].thread->bug)
			dead = st->worker[i].thread;
	caller = out == OUT_BUG ? (dead ? dead->bug_caller : 0) : warn_caller;
	place = symbol_lookup(caller, &off);
	if (place && strcmp(place, st->sc->culprit) == 0)
		return true;
	kprintf("not as said: %s is blamed, not %s\n", place ? place : "nobody",
		st->sc->culprit);
	return false;
}

static bool expected(const struct stage *st, unsigned int set, enum outcome out)
{
	bool blames = out == OUT_BUG || out == OUT_WARN ||
		      (out == OUT_COMPLETES && st->sc->warnings);

	if (st->sc->culprit && blames && !names_culprit(st, out))
		return false;
	return (set & OUT_BIT(out)) != 0;
}

/* The evidence of a round that has ended, its knot still tied. */
static void tell(struct stage *st, enum outcome out, struct waitfor *w)
{
	trace_stop();
	show_schedule(st);
	if (st->refusal.happened)
		show_refusal(st);
	if (!all_done(st) || out == OUT_DEADLOCK)
		report_knot(st, out, w);
	if (st->sc->evidence)
		st->sc->evidence(st);
	if (out == OUT_COMPLETES &&
	    lockdep_seen() & LOCKDEP_BIT(LOCKDEP_CIRCULAR))
		show_completed(st);
}

/* Did the forced order happen, as far as it can? Says so if not. */
static bool order_kept(const struct stage *st)
{
	const struct scenario *sc = st->sc;
	unsigned int steps = script_length(stage_script(st));

	if (sc->refused && !st->refusal.happened)
		kprintf("not as said: the step was not refused\n");
	else if (!sc->refused && st->script_pos < steps)
		kprintf("not as said: step %u of %u did not come\n",
			st->script_pos + 1, steps);
	else
		return sc->refused == st->refusal.happened;
	return false;
}

/* Was it this lock that was wanted, and that one held? Says so if not. */
static bool pair_as_said(const struct scenario *sc)
{
	const char *wanted = "nothing", *held = "nothing";

	if (!GORDIAN_DEBUG || !sc->wants)
		return true;
	if (lockdep_last_pair(&wanted, &held) &&
	    strcmp(wanted, sc->wants) == 0 && strcmp(held, sc->holds) == 0)
		return true;
	kprintf("not as said: lockdep found that %s was wanted, %s held,\n"
		"  not %s and %s\n",
		wanted, held, sc->wants, sc->holds);
	return false;
}

static int forced_once(struct stage *st, bool hold, struct tally *t)
{
	static struct waitfor w; /* guarded by demo_mutex, like the stage */
	const struct scenario *sc = st->sc;
	unsigned int expect = sc->expect_forced ? sc->expect_forced :
						  sc->expect;
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
		kprintf("not as said: the forced round's outcome is %s\n",
			outcome_name(out));
		t->ok = false;
	}
	t->ok &= order_kept(st);
	t->ok &= seen_all();
	t->ok &= pair_as_said(sc);
	if (hold && is_knot(out)) {
		held = true;
		return 0;
	}
	if (out == OUT_CORRUPT)
		kprintf("corrupt: a check of the slab or of the round\n");
	t->ok &= end_round(st, out, &w, false);
	replace_dead_workers(st);
	t->ok &= compare_state();
	return 0;
}

static int run_forced(struct stage *st, bool hold, struct tally *t)
{
	const char *form[] = { "down", "up" };
	unsigned int forms = st->sc->toggles ? 2 : 1;

	for (unsigned int f = 0; f < forms; f++) {
		int err;

		st->up = f == 0;
		st->leak_by_d = f == 1;
		if (st->up && st->sc->down_only)
			continue;
		if (thread_interrupted())
			return -EINTR;
		kprintf("\n%s", st->sc->in_turn	 ? "in turn" :
				stage_script(st) ? "forced" :
						   "once");
		if (st->sc->toggles)
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
	return sc->toggles && !sc->apart && !sc->in_turn;
}

/* What a search goes on until it has found. */
static enum outcome looked_for(const struct scenario *sc)
{
	return (enum outcome)__builtin_ctz(sc->expect);
}

/* Does a round that was as said (fine), or what was looked for, end the rounds
 * of this scenario? */
static bool search_ends(const struct scenario *sc, enum outcome out, bool fine,
			bool found)
{
	if (sc->until_found)
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

	if (board.nr_cores < sc->free_cores) {
		kprintf("\nnot run: the free form needs %u cores, this machine "
			"has %u\n",
			sc->free_cores, board.nr_cores);
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

		st->up = !cpu_is_online(st->toggled) && !sc->down_only;
		st->leak_by_d = t->rounds & 1;
		err = thread_interrupted() ? -EINTR :
					     play(st, &seed, &w, &out, t);
		if (err)
			break;
		t->rounds++;
		t->overlap += st->waited && st->together;
		t->stuck += out == OUT_STUCK;
		fine = st->missed || expected(st, sc->expect, out);
		found = !st->missed && out == looked_for(sc);
		/* The first unexpected outcome stays; else the one looked for. */
		if (!fine || found ||
		    (t->outcome == OUT_COMPLETES && !st->missed))
			t->outcome = out;
		over = search_ends(sc, out, fine, found);
		t->ok &= fine || (sc->until_found && !over);
		if (over) {
			kprintf("round %u:\n", t->rounds);
			tell(st, out, &w);
		}
		clean = end_round(st, out, &w, !over);
		replace_dead_workers(st);
	}
	if (!err && sc->until_found && t->outcome != looked_for(sc))
		t->ok = false; /* looked for, and not found */
	if (!err && own && t->ok && meets(sc) && !t->overlap) {
		kprintf("not as said: no round in which D and U overlapped\n");
		t->ok = false;
	}
	t->ok &= clean;
	/* A search that went on to its last round must not have left a trace. */
	if (!err)
		t->ok &= compare_state();
	t->cycles = (cpu_offs - offs + cpu_ons - ons) / 2;
	return err;
}

static void pack_up(struct stage *st)
{
	if (st->sc->end)
		st->sc->end(st);
	stop_workers(st);
	thread_set_affinity(current, runner_cores);
	hotplug_lock_install(NULL);
	if (st->sc->toggles && !cpu_is_online(st->toggled))
		cpu_up(st->toggled);
	watchdog_mute(false);
}

/* Was that all lockdep had to find, and nothing else? Says so if not. */
static bool lockdep_as_said(unsigned int said, unsigned int may,
			    unsigned int found, const char *when)
{
	bool ok = true;

	for (unsigned int k = 0; GORDIAN_DEBUG && k < NR_LOCKDEP_KINDS; k++) {
		bool is = found & LOCKDEP_BIT(k), must = said & LOCKDEP_BIT(k);

		if (is == must || (is && may & LOCKDEP_BIT(k)))
			continue;
		kprintf("not as said: lockdep %s \"%s\"%s\n",
			is ? "found" : "did not find",
			lockdep_kind_name((enum lockdep_kind)k), when);
		ok = false;
	}
	return ok;
}

static void all_cores_on(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			cpu_up(cpu);
}

static bool has_forced(const struct scenario *sc, enum run_mode mode)
{
	return sc->in_turn || (mode != RUN_FREE && !sc->no_forced);
}

/* Where there is no order to force the free form is all there is. */
static bool has_free(const struct scenario *sc, enum run_mode mode)
{
	return !sc->in_turn && mode != RUN_HOLD &&
	       (mode != RUN_FORCED || sc->no_forced);
}

/* The knot stands: is what led to it as said, as far as it went? */
static struct tally held_so_far(struct tally t)
{
	note_lockdep(&stage, &t);
	hush(&stage, false);
	t.ran = true;
	t.ok &= lockdep_as_said(t.of->lockdep, t.of->lockdep_may, t.lockdep,
				"");
	return t;
}

struct tally scenario_run(const struct demo *d, const struct scenario *sc,
			  enum run_mode mode, unsigned int rounds, bool brief)
{
	struct stage *st = &stage;
	struct tally t = { .of = sc, .outcome = OUT_COMPLETES };
	int err;

	all_cores_on(); /* the same start for all */
	t.ok = lockdep_as_said(0, 0, lockdep_since_mark(),
			       " before this one began");
	watchdog_mute(true);
	lockdep_reset();
	runner_cores = current->affinity;
	err = hotplug_lock_install(sc->ops);
	if (!err)
		err = start_workers(st, sc);
	st->demo = d;
	st->brief = brief && !sc->shows_report;
	lockdep_brief(st->brief);
	if (!err)
		err = keep_off(st);
	if (!err && sc->begin)
		err = sc->begin(st);
	state_take_settled(&state_before);
	if (!err && has_forced(sc, mode))
		err = run_forced(st, mode == RUN_HOLD, &t);
	if (held)
		return held_so_far(t);
	if (!err && has_free(sc, mode))
		err = run_free(st, !rounds,
			       rounds	  ? rounds :
			       sc->rounds ? sc->rounds :
					    d->free_rounds,
			       &t);
	t.interrupted = err == -EINTR;
	if (err && !t.interrupted)
		kprintf("%s: cannot go on, error %d\n", d->id, -err);
	pack_up(st);
	note_lockdep(st, &t);
	hush(st, false);
	lockdep_brief(false);
	t.ran = t.forced + t.rounds != 0;
	if (t.ran && !t.interrupted)
		t.ok &= lockdep_as_said(sc->lockdep, sc->lockdep_may, t.lockdep,
					"");
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
	struct stage *st = &stage;
	bool clean;

	if (!held)
		return -ENOENT;
	held = false;
	clean = end_round(st, watch_round(st, &w, warn_count), &w, false);
	replace_dead_workers(st);
	clean &= compare_state();
	pack_up(st);
	lockdep_mark(); /* left for the command `lockdep` */
	return clean ? 0 : -EIO;
}
