/*
 * The stage on which an experiment is played: its workers, the start and the
 * end of a round, and the comparison with the state before.
 *
 * Owns the_stage, guarded by demo_mutex (lab/hold.c). A worker (the
 * thread that plays an actor) touches it only between its `go` and its `done`.
 *
 * No clock decides how a round ends. It is over when
 *   (a) every worker has finished;                        completes, warn, bug
 *   (b) the wait-for graph has a cycle;                   deadlock
 *   (c) nothing can happen any more: every worker that has not finished waits
 *       for an event and not for time; no callback or grace period is under way;
 *       no more timers are armed than when the actors started; all cores sleep in
 *       their idle loops; and a second look finds the same, with no worker
 *       switched in and no core awake in between;         stuck
 * If a worker runs for ever, none of these happens. After many looks a line says
 * so, and a batch run panics.
 */
#include "lab/stage.h"

#include <string.h>

#include "lab/record.h"
#include "lab/words.h"
#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/hang/watchdog.h"
#include "kernel/explore/gates.h"
#include "kernel/explore/state.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/shell.h"

#define LOOK_NS 1000000ull /* between two looks at a round */
/* More than 10 s of guest time. The limit is a number of looks: the host may stand
 * still while the clock goes on. */
#define LOOKS_MAX    10000
#define PAUSE_MAX_NS 400000u /* random pause before an actor starts */

struct stage the_stage;
static struct state_summary state_before;
static struct cpumask runner_cores; /* the runner's before stage_open() */
static struct cpumask rcu_cores;    /* those of RCU's thread */
static struct cpumask was_off; /* cores that are on for the experiment alone */

void hush(bool on)
{
	if (READ_ONCE(console_hushed) == on)
		return;
	WRITE_ONCE(console_hushed, on);
	lockdep_quiet(on); /* lockdep goes on counting */
}

void say_threads_end_alone(void)
{
	kprintf("waiting for the threads to end on their own (Ctrl-C: no "
		"longer)\n");
}

/* ---- workers ------------------------------------------------------------- */

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
#if GORDIAN_DEBUG
		/* Begin with no lock and no reference. The cut has released the
		 * locks of the last round. A reference that was leaked there
		 * must not be blamed on this round. */
		lockdep_forget_stray();
		current->cpus_refs = 0;
#endif
		if (w->pause_ns)
			pause_ns(w->pause_ns);
		current->gated = w->st->forced;
		if (w->st->explored)
			explore_start();
		w->actor->fn(w->st);
		if (w->st->explored)
			explore_thread_returns();
		current->gated = false;
		/* A lock that the actor has kept is a finding of this round. */
		lockdep_thread_end();
		/* Release: pairs with the acquire in worker_ended(). */
		smp_store_release(&w->done, true);
		explore_thread_ends();
		wake_up(&w->st->finished);
	}
}

/* Which of n cores has this place? */
static unsigned int nth_core(enum place place, unsigned int n)
{
	static const unsigned int want[] = {
		[ON_D] = 1, [ON_U] = 2, [ON_B] = 0
	};

	return want[place] % n;
}

/* The number of the core for this place. */
static unsigned int place_core(const struct stage *st, enum place place)
{
	struct cpumask goes = st->sc->world.toggles ? cpumask_of(st->toggled) :
						      CPUMASK_NONE;
	struct cpumask ok = cpumask_andnot(cpu_online(), goes);
	unsigned int skip = nth_core(place, cpumask_weight(ok)), cpu;

	if (st->on_one_core)
		return cpumask_first(ok);
	for_each_cpu (cpu, ok)
		if (skip-- == 0)
			return cpu;
	return cpumask_first(ok);
}

int interrupted_actor(const struct stage *st, unsigned int i)
{
	const struct actor *actors = st->sc->actors;

	for (int k = 0; actors[i].interrupts && k < MAX_ACTORS; k++)
		if (actors[k].name &&
		    strcmp(actors[k].name, actors[i].interrupts) == 0)
			return k;
	return -1;
}

static unsigned int cores_needed(const struct demo *d,
				 const struct scenario *sc)
{
	return sc->cores ? sc->cores : d->cores;
}

bool actors_are_apart(const struct stage *st)
{
	unsigned int need = cores_needed(st->demo, st->sc), taken = 0;
	/* The core that comes and goes is no actor's place. */
	unsigned int n = need > 1 ? need - st->sc->world.toggles : 1;

	for (unsigned int i = 0; i < nr_actors_of(st->sc); i++) {
		unsigned int cpu = nth_core(st->sc->actors[i].place, n);

		if (interrupted_actor(st, i) >= 0)
			continue;
		if (taken & 1u << cpu)
			return false;
		taken |= 1u << cpu;
	}
	return true;
}

/* An interrupt's worker never runs: the worker of the interrupted actor runs
 * the interrupt. */
static int start_worker(struct stage *st, unsigned int i)
{
	int of = interrupted_actor(st, i);
	struct worker *w = &st->worker[i];

	w->st = st;
	w->actor = &st->sc->actors[i];
	w->cpu = place_core(st, st->sc->actors[of < 0 ? (int)i : of].place);
	w->done = true;
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
	while (st->nr_actors < MAX_ACTORS && sc->actors[st->nr_actors].name) {
		int err = start_worker(st, st->nr_actors);

		if (err)
			return err;
		st->nr_actors++;
	}
	return 0;
}

/* Keep the runner off the actors' cores. An actor may keep its core busy for
 * ever, even with interrupts off; then the runner must notice this and say so.
 * If the actors have all cores, the runner shares a core with an actor, unless
 * an actor may spin on purpose (`.world.spins`). If all actors are on one core,
 * the runner joins them. */
static int move_runner(const struct stage *st)
{
	struct cpumask ok = runner_cores, alone;

	if (st->on_one_core) {
		struct cpumask theirs = cpumask_of(st->worker[0].cpu);
		/* RCU's thread joins them, too. Then a grace period does not wait
		 * for the other cores, because they are idle. */
		int err = thread_set_affinity(rcu_sched_state.thread, theirs);

		record_run_on(theirs);
		return err ?: thread_set_affinity(current, theirs);
	}
	for (unsigned int i = 0; i < st->nr_actors; i++)
		ok = cpumask_andnot(ok, cpumask_of(st->worker[i].cpu));
	alone = cpumask_and(ok, cpu_online());
	if (!alone.bits && !st->sc->world.spins)
		ok = runner_cores;
	record_run_on(ok);
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

/* ---- the end of a round -------------------------------------------------- */

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

/* Search from each actor, one after another. *from: the actor from which a
 * cycle was found. */
static bool find_cycle_once(struct stage *st, unsigned int *from)
{
	for (*from = 0; *from < st->nr_actors; ++*from)
		if (!worker_ended(&st->worker[*from]) &&
		    waitfor_cycle(st->worker[*from].thread, &st->waits))
			return true;
	return false;
}

/* Search for a cycle. st->waits must begin at the first actor that leads to it.
 * If the cycle closes during the search, it may be found from a later actor. Then
 * search once more. */
static bool find_cycle(struct stage *st)
{
	unsigned int from;

	return find_cycle_once(st, &from) &&
	       (!from || find_cycle_once(st, &from));
}

/*
 * One look at condition (c) of the first comment. It does not check that the
 * cores sleep (other_cores_sleep() does). switches: how often each worker had been
 * switched in at the last look; updated here. A worker that the script holds at
 * a gate counts as waiting.
 */
static bool no_actor_moves(struct stage *st, uint64_t *switches)
{
	bool still = cores_idle() && rcu_is_quiet() &&
		     timers_armed_all() <= st->timers;

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		const struct worker *w = &st->worker[i];
		uint64_t n = READ_ONCE(w->thread->switches);

		if (worker_ended(w))
			continue;
		/* A held worker can still move if the script lets it go on. */
		if (READ_ONCE(w->gated) &&
		    (READ_ONCE(st->script_open) ||
		     READ_ONCE(st->script_pos) >= READ_ONCE(w->awaits)))
			still = false;
		/* A thread at its gate polls, so its count says nothing. */
		if (READ_ONCE(w->thread->waiting.ops) == &gate_wait)
			continue;
		if (!waits_for_event(w->thread) || switches[i] != n)
			still = false;
		switches[i] = n;
	}
	return still;
}

static bool any_is_gated(const struct stage *st)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (READ_ONCE(st->worker[i].gated) ||
		    READ_ONCE(st->worker[i].thread->waiting.ops) == &gate_wait)
			return true;
	return false;
}

const struct thread *thread_with_bug(const struct stage *st)
{
	for (unsigned int i = 0; !st->l && i < st->nr_actors; i++)
		if (READ_ONCE(st->worker[i].thread->bug))
			return st->worker[i].thread;
	return st->l;
}

bool is_knot(enum outcome out)
{
	return out == OUT_DEADLOCK || out == OUT_STUCK;
}

/* Say which actors do not end. If `waiting` is false, an actor that waits for an
 * event is not named, because another actor may be the cause. Returns whether an
 * actor was named. */
static bool say_no_end(const struct stage *st, bool waiting)
{
	bool any = false;

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		const struct worker *w = &st->worker[i];

		if (worker_ended(w) || (!waiting && waits_for_event(w->thread)))
			continue;
		kprintf("%s does not end; is it spinning or polling?\n",
			w->actor->name);
		any = true;
	}
	return any;
}

/* Count one more look at the round. If the round seems to have no end, say
 * which actors do not end. In a batch run nobody can press Ctrl-C, so a batch
 * run then panics. */
static void count_look(struct stage *st)
{
	if (++st->looks != LOOKS_MAX)
		return;
	hush(false);
	if (!say_no_end(st, false))
		say_no_end(st, true);
	if (console_taken)
		panic("the round does not end");
	say_threads_end_alone();
}

enum outcome watch_round(struct stage *st, unsigned int warns)
{
	uint64_t switches[MAX_ACTORS] = { 0 };
	uint32_t sum, again;

	for (;;) {
		if (wait_event_timeout(&st->finished, &queue_wait, all_done(st),
				       LOOK_NS))
			break;
		count_look(st);
		if (find_cycle(st))
			return OUT_DEADLOCK;
		/* Go on below only if two looks in a row find that no actor moves
		 * and the other cores sleep, and if no core woke up between the
		 * looks. */
		if (!no_actor_moves(st, switches) || !other_cores_sleep(&sum) ||
		    !no_actor_moves(st, switches) ||
		    !other_cores_sleep(&again) || sum != again)
			continue;
		/* During the looks the actors may have ended, or a cycle may have
		 * closed. */
		if (all_done(st))
			break;
		if (find_cycle(st))
			return OUT_DEADLOCK;
		/* If the condition of an explore_await() is true now, its thread
		 * goes on. */
		if (explore_release_waiting(false))
			continue;
		if (!any_is_gated(st))
			return thread_with_bug(st) ? OUT_BUG : OUT_STUCK;
		/* The script waits for a step that cannot come: let all actors
		 * go. */
		WRITE_ONCE(st->script_open, true);
	}
	if (thread_with_bug(st))
		return OUT_BUG;
	return warn_count != warns + st->sc->said.warnings ? OUT_WARN :
							     OUT_COMPLETES;
}

/* ---- rounds -------------------------------------------------------------- */

void reset_round(struct stage *st)
{
	st->d_inside = st->u_inside = st->together = st->waited = 0;
	memset(&st->refusal, 0, sizeof(st->refusal));
	memset(&st->let_in, 0, sizeof(st->let_in));
	memset(st->refs, 0, sizeof(st->refs));
	st->script_pos = 0;
	st->script_open = st->explored; /* the explorer has no script */
	st->left_held = false;
	st->missed = false;
	st->looks = 0;
}

void start_actors(struct stage *st, uint32_t *seed)
{
	st->timers = timers_armed_all();
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		WRITE_ONCE(st->worker[i].done,
			   st->sc->actors[i].interrupts != NULL);
		st->worker[i].nr_held = 0;
		WRITE_ONCE(st->worker[i].gated, false);
		/* Forget a thread_interrupt() that came after the thread's last
		 * wait. */
		WRITE_ONCE(st->worker[i].thread->interrupted, false);
	}
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		struct worker *wk = &st->worker[i];

		if (wk->actor->interrupts)
			continue;
		/* The generator of Numerical Recipes. */
		*seed = *seed * 1664525u + 1013904223u;
		wk->pause_ns = st->forced ? 0 : (*seed >> 8) % PAUSE_MAX_NS;
		complete(&wk->go);
		while (st->sc->forced.in_turn &&
		       !wait_event_timeout(&st->finished, &queue_wait,
					   worker_ended(wk), LOOK_NS))
			count_look(st);
	}
}

bool end_round(struct stage *st, enum outcome out, bool quietly)
{
	bool clean, hushed = READ_ONCE(console_hushed);

	/* The actors may still hit a BUG_ON(), which prints. */
	hush(hushed || (quietly && st->brief));
	cut_and_finish(st, out, quietly);
	hush(hushed);
	clean = !st->left_held;
	observe_end();
	trace_stop();
	if (!st->sc->world.leaks && READ_ONCE(cpu_hotplug.refcount) != 0) {
		kprintf("cut: an actor left refcount %d, set to 0\n",
			cpu_hotplug_rescue());
		clean = false;
	}
	if (st->sc->world.teardown)
		st->sc->world.teardown(st);
	live_round_over();
	return clean;
}

void replace_dead_workers(struct stage *st)
{
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		struct worker *w = &st->worker[i];

		if (!w->thread->bug)
			continue;
		thread_join(w->thread);
		BUG_ON(start_worker(st, i) != 0);
	}
}

/* The state before the round as it has to be now: the recorder may have begun or ended
 * since then. */
static struct state_summary state_wanted(void)
{
	struct state_summary s = state_before;

	s.threads += record_is_on();
	return s;
}

bool state_is_as_before(bool quietly)
{
	struct state_summary want, now;

	if (the_stage.sc->world.toggles && !cpu_is_online(the_stage.toggled))
		cpu_up(the_stage.toggled);
	want = state_wanted();
	if (!state_settles(&want, &now)) {
		state_print_difference(&want, &now);
		return false;
	}
	if (!quietly)
		state_print_same(&now);
	return true;
}

void stage_restore_cores(void)
{
	cores_off_again(was_off);
	was_off = CPUMASK_NONE;
}

/* Are enough cores on? Some may have failed to start. */
static int check_cores(const struct demo *d, const struct scenario *sc)
{
	unsigned int need = cores_needed(d, sc);
	unsigned int on = cpumask_weight(cpu_online());

	if (on >= need)
		return 0;
	kprintf("%s: needs %u cores, and only %u can be turned on\n", d->id,
		need, on);
	return -ENODEV;
}

int stage_open(const struct demo *d, const struct scenario *sc, bool together)
{
	struct stage *st = &the_stage;
	int err;

	memset(st, 0, sizeof(*st));
	st->sc = sc;
	st->demo = d;
	wait_queue_init(&st->finished, "the end of the round");
	was_off.bits |= cores_on_for("experiment").bits;
	st->toggled = cpumask_last(cpu_online());
	st->on_one_core = together && !sc->world.spins && !actors_are_apart(st);
	watchdog_mute(true);
	lockdep_reset();
	runner_cores = current->affinity;
	rcu_cores = rcu_sched_state.thread->affinity;
	err = check_cores(d, sc);
	if (!err)
		err = hotplug_lock_install(sc->world.hotplug);
	if (!err)
		err = start_workers(st, sc);
	if (!err)
		err = check_scripts(st);
	if (!err)
		err = move_runner(st);
	if (!err)
		err = world_exchange(sc);
	if (!err && sc->world.begin)
		err = sc->world.begin(st);
	state_take_settled(&state_before);
	state_before.threads -= record_is_on();
	return err;
}

void stage_close(struct stage *st)
{
	if (st->sc->world.end)
		st->sc->world.end(st);
	world_restore(st->sc);
	stop_workers(st);
	thread_set_affinity(current, runner_cores);
	record_run_on(CPUMASK_ALL);
	thread_set_affinity(rcu_sched_state.thread, rcu_cores);
	hotplug_lock_install(NULL);
	if (st->sc->world.toggles && !cpu_is_online(st->toggled))
		cpu_up(st->toggled);
	watchdog_mute(false);
}
