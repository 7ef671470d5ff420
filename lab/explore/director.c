/*
 * Plays one round under a director: the director chooses the actor that takes the
 * next step (explore.h).
 *
 * Owns no data. Works on the_stage, which demo_mutex guards; in the runner's thread.
 */
#include "lab/explore/explore.h"

#include "lab/record.h"
#include "lab/round.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/heap.h"
#include "kernel/explore/state.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/thread.h"

#if GORDIAN_DEBUG

/* Callbacks that take more than 30 s of guest time are taken as endless. The
 * limit is a number of looks, because the host may stand still while the clock
 * goes on. */
#define CALLBACKS_NS	200000ull /* between two looks */
#define CALLBACKS_LOOKS 150000

static bool actor_ended(void *arg, unsigned int i)
{
	const struct stage *st = arg;

	return worker_ended(&st->worker[i]);
}

/* Print a line about the thread that neither comes to a gate nor sleeps. */
static void say_stray(const struct thread *t)
{
	hush(false);
	kprintf("%s did not reach a scheduling point; is it spinning or "
		"polling?\n  (explore_await() waits in a way that can be "
		"explored)\n",
		t ? t->name : "a thread");
}

/* For the engine: the director of the round on the_stage, */
static struct director *playing;
/* and, for its points: how many steps have been taken, and whether the actors stand at a
 * point that the director knows of. */
static unsigned int taken;
static bool at_point;

/* Is the choice made in the runner's thread, which may sleep? */
static bool is_recorded(const struct director *d)
{
	return record_is_on() && !d->anywhere;
}

/* The actors stand at a point, and no more than `enabled` can go on. */
static void arrive(struct stage *st, unsigned int enabled)
{
	struct director *d = playing;
	uint64_t node;
	bool known;

	if (at_point)
		return;
	at_point = true;
	known = d->arrive && d->arrive(d, st, enabled, &node);
	if (is_recorded(d))
		record_point(st, taken, enabled, d->arrive ? &node : NULL,
			     known);
}

/* Let the actors take steps until no actor can, or until the director stops. */
static void take_steps(struct stage *st, struct director *d)
{
	unsigned int left;

	taken = 0;
	at_point = false;
	if (is_recorded(d))
		record_movers(st);
	left = explore_run();
	d->broken |= left == EXPLORE_STRAY;
	if (left == EXPLORE_STRAY)
		say_stray(explore_stray());
	else
		arrive(st, 0);
	if (d->after_last_step)
		d->after_last_step(d, st, left);
	if (explore_touched_at_rest()) {
		hush(false);
		kprintf("explore: something was touched between two steps\n");
		d->broken = true;
	}
}

/* Wait until RCU's callbacks have run. Returns false if they do not end.
 * (Callbacks that the actors have queued belong to the schedule: a late
 * callback may use freed memory.) */
static bool await_callbacks(void)
{
	for (unsigned int looks = 0; !rcu_is_quiet(); looks++) {
		if (looks == CALLBACKS_LOOKS) {
			hush(false);
			kprintf("RCU callbacks do not end; does a thread keep a "
				"grace period open?\n");
			return false;
		}
		sleep_ns(CALLBACKS_NS);
	}
	return true;
}

/* The findings of lockdep that predict no deadlock. They say that a rule has
 * been broken. */
#define RULES_BROKEN                                                           \
	(LOCKDEP_BIT(LOCKDEP_UNBALANCED) | LOCKDEP_BIT(LOCKDEP_HELD_AT_END) |  \
	 LOCKDEP_BIT(LOCKDEP_HELD_FREED) | LOCKDEP_BIT(LOCKDEP_SLEEP) |        \
	 LOCKDEP_BIT(LOCKDEP_RCU) | LOCKDEP_BIT(LOCKDEP_NOT_HELD) |            \
	 LOCKDEP_BIT(LOCKDEP_NEST))

/* Have all actors ended, although an actor broke a rule (and the scenario does
 * not expect this), or kept a lock or a reference? */
static bool wrongly_completes(const struct played *p, unsigned int broken,
			      bool gave_back)
{
	return p->out == OUT_COMPLETES && (!gave_back || broken);
}

struct directed {
	struct round round;
	struct director *director;
	unsigned int lockdep; /* LOCKDEP_BIT()s found when it was over */
};

static struct directed *directed_of(struct round *r)
{
	return container_of(r, struct directed, round);
}

static int choose_actor(void *arg, unsigned int enabled, unsigned int *gates)
{
	int n;

	arrive(arg, enabled);
	n = playing->choose(playing, arg, enabled, gates);
	if (n < 0)
		return n;
	at_point = false;
	taken++;
	if (is_recorded(playing))
		record_step(taken, (unsigned int)n);
	return n;
}

static void step_is_over(void *arg, const struct footprint *f)
{
	if (playing->after_step)
		playing->after_step(playing, arg, f);
}

static void run_handler(void *arg, unsigned int i)
{
	struct stage *st = arg;

	st->sc->actors[i].fn(st);
}

static int begin_steps(struct round *r, struct stage *st)
{
	struct explored subject = {
		.nr = st->nr_actors,
		.ended = actor_ended,
		.arg = st,
		.toggled = st->sc->world.toggles ? st->toggled : NR_CPUS,
		.apart = actors_are_apart(st),
		.choose = choose_actor,
		.step_over = step_is_over,
		.handler = run_handler,
		.anywhere = directed_of(r)->director->anywhere,
	};

	playing = directed_of(r)->director;
	playing->broken = false;
	/* The callbacks of the set-up do not belong to the schedule. */
	if (!await_callbacks())
		return -ETIMEDOUT;
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		int of = interrupted_actor(st, i);

		subject.interrupts[i] = (uint8_t)(of + 1);
		subject.thread[i] = st->worker[of < 0 ? (int)i : of].thread;
		subject.awaits[i] = st->sc->actors[i].awaits;
	}
	explore_begin(&subject);
	return 0;
}

static void direct_steps(struct round *r, struct stage *st)
{
	struct director *d = directed_of(r)->director;

	take_steps(st, d);
	explore_let_go();
	if (d->broken || d->may_spin)
		say_threads_end_alone();
}

static void note_findings(struct round *r, struct stage *st)
{
	(void)st;
	directed_of(r)->lockdep = lockdep_seen();
}

/* Wait for RCU's callbacks. Returns whether all have run: only then may the checks
 * run, because a check might wait for a callback for ever. */
static bool callbacks_have_run(struct round *r, struct stage *st)
{
	bool quiet = await_callbacks();

	(void)st;
	directed_of(r)->director->broken |= !quiet;
	return quiet;
}

int play_directed(struct stage *st, struct director *d, struct form form,
		  bool show, struct played *p)
{
	const struct scenario *sc = st->sc;
	struct directed dr = { .round = { .seed = 1,
					  .trace = TRACE_ALL,
					  .is_set_up = begin_steps,
					  .lead = direct_steps,
					  .is_over = note_findings,
					  .may_check = callbacks_have_run },
			       .director = d };
	unsigned int broken;
	bool gave_back, kept;
	int err;

	st->up = form.up;
	st->leak_by_d = !form.up;
	st->forced = st->explored = true;
	hush(d->quiet || d->mute);
	heap_begin();
	err = play_round(&dr.round, st);
	if (err) {
		hush(false);
		st->explored = st->forced = false;
		return err;
	}
	p->out = dr.round.outcome;
	p->lockdep = dr.lockdep;
	if (show && !d->hide) {
		hush(false);
		show_round(st, p->out);
		hush(d->quiet || d->mute);
	}
	gave_back = end_round(st, p->out, d->quiet || d->mute);
	broken = p->lockdep & RULES_BROKEN &
		 ~(sc->said.lockdep | sc->said.lockdep_may);
	kept = gave_back && broken & LOCKDEP_BIT(LOCKDEP_HELD_AT_END);
	if (wrongly_completes(p, broken, gave_back))
		p->out = OUT_WARN;
	explore_end();
	replace_dead_workers(st);
	hush(false);
	if (kept && d->quiet)
		lockdep_print_last();
	if (kept)
		kprintf("an actor ended with a lock that nobody else can "
			"release\n");
	p->clean = state_is_as_before(d->quiet || d->mute) && !kept;
	st->explored = st->forced = false;
	return 0;
}
#endif
