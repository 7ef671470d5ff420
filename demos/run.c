/*
 * Running a scenario: workers, rounds, the end of a round, the cut.
 *
 * One stage at a time, `stage` below, guarded by demo_mutex (demos/command.c);
 * the workers touch it only between their `go` and their `finished`.
 *
 * How a round ends is never decided by a clock. It is over when
 *   (a) every worker has finished;                        completes, warn, bug
 *   (b) a walk along mutex owners closes a cycle;         deadlock
 *   (c) all workers that are not done wait for an event, none of them has been
 *       switched in since the last look, no callback or grace period is under
 *       way, and no core has anything to run;             stuck
 */
#include <string.h>

#include "demos/demo.h"
#include "drivers/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/state.h"
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
		/* Release: pairs with the acquire in all_done(). */
		smp_store_release(&w->done, true);
		complete(&w->st->finished);
	}
}

static unsigned int place_core(enum place place, unsigned int toggled)
{
	struct cpumask ok =
		cpumask_andnot(cpu_online(), cpumask_of(toggled));
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
	w->cpu = place_core(w->actor->place, st->toggled);
	init_completion(&w->go, "its next round");
	w->thread = thread_create(w->actor->name, worker_thread, w, PRIO_NORMAL,
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
	init_completion(&st->finished, "the end of the round");
	while (st->nr_actors < MAX_ACTORS && sc->actors[st->nr_actors].name) {
		int err = start_worker(st, st->nr_actors);

		if (err)
			return err;
		st->nr_actors++;
	}
	return 0;
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

static bool worker_ended(const struct worker *w)
{
	/* Acquire: pairs with the release in worker_thread(). */
	return smp_load_acquire(&w->done) || READ_ONCE(w->thread->bug);
}

static bool all_done(const struct stage *st)
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
		    waitfor_walk(st->worker[i].thread, w))
			return true;
	return false;
}

/* Threads other than the runner that are on a core or queued for one. */
static bool cores_idle(void)
{
	unsigned int cpu, busy = 0;

	for_each_online_cpu (cpu)
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

static enum outcome watch_round(struct stage *st, struct waitfor *cycle,
				unsigned int warns)
{
	uint64_t switches[MAX_ACTORS] = { 0 };
	unsigned int quiet = 0;

	for (;;) {
		wait_for_completion_timeout(&st->finished, LOOK_NS);
		if (all_done(st))
			break;
		if (find_cycle(st, cycle))
			return OUT_DEADLOCK;
		quiet = nobody_moves(st, switches) ? quiet + 1 : 0;
		if (quiet < 3)
			continue;
		if (!somebody_gated(st))
			return st->l ? OUT_BUG : OUT_STUCK;
		/* The script waits for what cannot come: let them all go. */
		WRITE_ONCE(st->script_open, true);
		quiet = 0;
	}
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (st->worker[i].thread->bug)
			return OUT_BUG;
	if (st->l)
		return OUT_BUG;
	return warn_count != warns ? OUT_WARN : OUT_COMPLETES;
}

/* ---- cutting the knot ------------------------------------------------------ */

/* Locks that a thread can have died with: its reaper releases them. */
static unsigned int release_for_dead(struct thread *dead)
{
	struct mutex *const locks[] = { &cpu_hotplug.lock, &slab_mutex,
					&cpu_add_remove_lock };
	unsigned int n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(locks); i++) {
		if (mutex_owner(locks[i]) != dead)
			continue;
		kprintf("cut: %s is released for %s, who died with it\n",
			locks[i]->name, dead->name);
		mutex_release_dead(locks[i], dead);
		n++;
	}
	return n;
}

/* Lend the lock that the cycle's last thread waits for. */
static void lend(const struct waitfor *w, bool quietly)
{
	const struct waitfor_link *l = &w->link[w->n - 1];
	struct mutex *m = (struct mutex *)l->waiting.obj;
	int err = mutex_lend(m, l->thread);

	BUG_ON(err); /* the cycle was checked: they stand still */
	if (!quietly)
		kprintf("cut: %s lends %s to %s until its release\n",
			l->owner_name, m->name, l->name);
}

static void cut_refcount(bool quietly)
{
	int found = cpu_hotplug_rescue();

	if (!quietly)
		kprintf("cut: refcount was %d, set to 0; the writer passes\n",
			found);
}

/* End whatever keeps the round from finishing, and let it finish. */
static void cut_and_finish(struct stage *st, enum outcome out,
			   struct waitfor *w, bool quietly)
{
	WRITE_ONCE(st->script_open, true);
	while (!all_done(st)) {
		if (st->l && release_for_dead(st->l))
			out = OUT_BUG;
		for (unsigned int i = 0; i < st->nr_actors; i++)
			if (st->worker[i].thread->bug)
				release_for_dead(st->worker[i].thread);
		if (out == OUT_DEADLOCK)
			lend(w, quietly);
		else if (out == OUT_STUCK)
			cut_refcount(quietly);
		if (all_done(st))
			break;
		out = watch_round(st, w, warn_count);
	}
	if (st->l) {
		release_for_dead(st->l);
		thread_put(st->l);
		st->l = NULL;
	}
}

/* ---- rounds ---------------------------------------------------------------- */

static void reset_round(struct stage *st)
{
	st->d_inside = st->u_inside = st->together = st->waited = 0;
	memset(&st->refusal, 0, sizeof(st->refusal));
	memset(st->refs, 0, sizeof(st->refs));
	st->script_pos = 0;
	st->script_open = false;
	init_completion(&st->finished, "the end of the round");
}

/* Let the actors go; returns how it ended, the knot still tied. */
static int play(struct stage *st, uint32_t *seed, struct waitfor *w,
		enum outcome *out)
{
	unsigned int warns;
	int err;

	reset_round(st);
	err = st->sc->setup ? st->sc->setup(st) : 0;
	if (err)
		return err;
	trace_start(TRACE_MARKED);
	observe_begin(st);
	warns = warn_count;
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		struct worker *wk = &st->worker[i];

		WRITE_ONCE(wk->done, false);
		*seed = *seed * 1664525u + 1013904223u;
		wk->pause_ns = st->forced ? 0 : (*seed >> 8) % PAUSE_MAX_NS;
		complete(&wk->go);
	}
	*out = watch_round(st, w, warns);
	return 0;
}

static void end_round(struct stage *st, enum outcome out, struct waitfor *w,
		      bool quietly)
{
	cut_and_finish(st, out, w, quietly);
	observe_end();
	trace_stop();
	if (st->sc->teardown)
		st->sc->teardown(st);
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

static void compare_state(void)
{
	struct state_summary now;

	if (stage.sc->toggles && !cpu_is_online(stage.toggled))
		cpu_up(stage.toggled);
	if (state_settles(&state_before, &now))
		state_print_same(&now);
	else
		state_print_difference(&state_before, &now);
}

/* ---- the two forms --------------------------------------------------------- */

static bool expected(unsigned int set, enum outcome out)
{
	return (set & OUT_BIT(out)) != 0;
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
	err = play(st, &seed, &w, &out);
	if (err)
		return err;
	trace_stop();
	show_schedule(st);
	if (st->refusal.happened)
		show_refusal(st);
	t->outcome = out;
	if (!expected(expect, out) || sc->refused != st->refusal.happened)
		t->ok = false;
	if (out == OUT_DEADLOCK || out == OUT_STUCK)
		report_knot(st, out, &w);
	if (hold && (out == OUT_DEADLOCK || out == OUT_STUCK)) {
		held = true;
		return 0;
	}
	end_round(st, out, &w, false);
	replace_dead_workers(st);
	compare_state();
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
		if (st->sc->toggles)
			kprintf("\nforced, U takes core %u %s:\n", st->toggled,
				form[st->up]);
		else
			kprintf("\nforced:\n");
		err = forced_once(st, hold, t);
		if (err || held)
			return err;
	}
	return 0;
}

static int run_free(struct stage *st, unsigned int rounds, struct tally *t)
{
	static struct waitfor w;
	const struct scenario *sc = st->sc;
	unsigned int offs = cpu_offs, ons = cpu_ons;
	uint32_t seed = 2012;
	enum outcome worst = OUT_COMPLETES;
	int err = 0;

	st->forced = false;
	while (t->rounds < rounds && !current->interrupted) {
		enum outcome out;

		st->up = !cpu_is_online(st->toggled);
		st->leak_by_d = t->rounds & 1;
		err = play(st, &seed, &w, &out);
		if (err)
			break;
		t->rounds++;
		t->together += st->together;
		t->overlap += st->waited;
		t->stuck += out == OUT_STUCK;
		if (out == OUT_DEADLOCK || (worst == OUT_COMPLETES &&
					    out != OUT_COMPLETES))
			worst = out;
		if (out == OUT_DEADLOCK) {
			trace_stop();
			kprintf("\nfree, round %u:\n", t->rounds);
			show_schedule(st);
			report_knot(st, out, &w);
		}
		end_round(st, out, &w, out != OUT_DEADLOCK);
		replace_dead_workers(st);
		if (out == OUT_DEADLOCK) {
			compare_state();
			break;
		}
		if (!expected(sc->expect, out) && !sc->until_found)
			break;
	}
	t->cycles = (cpu_offs - offs + cpu_ons - ons) / 2;
	t->outcome = worst;
	if (err || !expected(sc->expect, worst))
		t->ok = false;
	return err;
}

struct tally scenario_run(const struct demo *d, const struct scenario *sc,
			  enum run_mode mode, unsigned int rounds)
{
	struct stage *st = &stage;
	struct tally t = { .ok = true, .outcome = OUT_COMPLETES };
	unsigned int cpu;
	int err = 0;

	/* Same start for all: every core is on. */
	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			cpu_up(cpu);
	watchdog_mute(true);
	err = hotplug_lock_install(sc->ops);
	if (!err)
		err = start_workers(st, sc);
	state_take(&state_before);
	if (!err && mode != RUN_FREE && !sc->no_forced)
		err = run_forced(st, mode == RUN_HOLD, &t);
	if (held)
		return t;
	if (!err && (mode == RUN_FREE || mode == RUN_BOTH))
		err = run_free(st, rounds ? rounds : d->free_rounds, &t);
	if (err) {
		kprintf("%s: cannot go on, error %d\n", d->id, -err);
		t.ok = false;
	}
	stop_workers(st);
	hotplug_lock_install(NULL);
	if (sc->toggles && !cpu_is_online(st->toggled))
		cpu_up(st->toggled);
	watchdog_mute(false);
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

	if (!held)
		return -ENOENT;
	held = false;
	end_round(st, watch_round(st, &w, warn_count), &w, false);
	replace_dead_workers(st);
	stop_workers(st);
	hotplug_lock_install(NULL);
	if (!cpu_is_online(st->toggled))
		cpu_up(st->toggled);
	compare_state();
	watchdog_mute(false);
	return 0;
}
