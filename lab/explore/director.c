/*
 * One schedule, directed: an experiment's threads move one at a time, and a
 * `struct director` says whose turn it is. The search (explore.c), replay.c and
 * step.c are such directors.
 *
 * On the real cores, with the real locks; then the knot is cut, and the state must
 * be as it was. How: kernel/explore/. On the_stage, guarded by demo_mutex; in the
 * runner's thread.
 */
#include "lab/explore/explore.h"

#include "lab/round.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/state.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/thread.h"

#if GORDIAN_DEBUG

/* What lasts 30 s of guest time will not end by itself; in looks, as a host may
 * stand still and the clock go on. */
#define CALLBACKS_NS	200000ull /* between two looks */
#define CALLBACKS_LOOKS 150000

static bool actor_ended(void *arg, unsigned int i)
{
	const struct stage *st = arg;

	return worker_ended(&st->worker[i]);
}

static void tell_stray(const struct thread *t)
{
	hush(false);
	kprintf("%s did not reach a scheduling point; is it spinning or "
		"polling?\n  (explore_await() waits in a way that can be "
		"explored)\n",
		t ? t->name : "a thread");
}

static void direct(struct stage *st, struct director *d)
{
	unsigned int left = 0, enabled, gates;

	enabled = explore_settle(&left);
	while (enabled && enabled != EXPLORE_STRAY) {
		int who;

		gates = 1;
		who = d->choose(d, st, enabled, &gates);
		if (who < 0)
			break;
		explore_grant_run((unsigned int)who, gates);
		enabled = explore_settle(&left);
		if (d->stepped && enabled != EXPLORE_STRAY)
			d->stepped(d, st);
	}
	d->strayed = enabled == EXPLORE_STRAY;
	if (d->strayed)
		tell_stray(explore_stray());
	if (d->over)
		d->over(d, st, left);
	if (explore_moved_at_rest()) {
		hush(false);
		kprintf("explore: something moved between two steps\n");
		d->strayed = true;
	}
	if (explore_untold_try()) {
		hush(false);
		kprintf("an actor tries for a lock: its scenario has to say "
			".search.tries = true\n");
		d->strayed = true;
	}
}

/* What the actors left to callbacks belongs to the schedule: a late one may find
 * something gone. */
static bool await_callbacks(void)
{
	for (unsigned int looks = 0; !rcu_is_quiet(); looks++) {
		if (looks == CALLBACKS_LOOKS) {
			hush(false);
			kprintf("callbacks do not end: somebody holds a grace "
				"period open?\n");
			return false;
		}
		sleep_ns(CALLBACKS_NS);
	}
	return true;
}

/* Findings that are no prediction: a rule was broken here and now. */
#define RULES_BROKEN                                                           \
	(LOCKDEP_BIT(LOCKDEP_UNBALANCED) | LOCKDEP_BIT(LOCKDEP_HELD_AT_END) |  \
	 LOCKDEP_BIT(LOCKDEP_HELD_FREED) | LOCKDEP_BIT(LOCKDEP_SLEEP) |        \
	 LOCKDEP_BIT(LOCKDEP_RCU) | LOCKDEP_BIT(LOCKDEP_NOT_HELD) |            \
	 LOCKDEP_BIT(LOCKDEP_NEST))

/* Threads that got to their end, but not as they should: a rule broken that the
 * scenario says nothing of, or a lock or a reference that an actor kept. */
static bool wrongly_completes(const struct played *p, unsigned int broken,
			      bool gave_back)
{
	return p->out == OUT_COMPLETES && (!gave_back || broken);
}

/* A round with its director. */
struct directed {
	struct round round;
	struct director *director;
	unsigned int lockdep; /* LOCKDEP_BIT()s found when it was over */
};

static struct directed *directed_of(struct round *r)
{
	return container_of(r, struct directed, round);
}

static int begin_steps(struct round *r, struct stage *st)
{
	struct explored subject = {
		.nr = st->nr_actors,
		.ended = actor_ended,
		.arg = st,
		.toggled = st->sc->world.toggles ? st->toggled : NR_CPUS,
		.tries = st->sc->search.tries,
	};

	(void)r;
	/* Callbacks of the set-up are no part of the schedule. */
	if (!await_callbacks())
		return -ETIMEDOUT;
	for (unsigned int i = 0; i < st->nr_actors; i++)
		subject.thread[i] = st->worker[i].thread;
	explore_begin(&subject);
	return 0;
}

static void direct_steps(struct round *r, struct stage *st)
{
	struct director *d = directed_of(r)->director;

	direct(st, d);
	explore_let_go();
	if (d->strayed || d->endless)
		say_threads_end_alone();
}

static void note_findings(struct round *r, struct stage *st)
{
	(void)st;
	directed_of(r)->lockdep = lockdep_seen();
}

/* While a callback is under way a check might wait for ever. */
static bool callbacks_have_run(struct round *r, struct stage *st)
{
	bool quiet = await_callbacks();

	(void)st;
	directed_of(r)->director->strayed |= !quiet;
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
	hush(d->quiet);
	err = play_round(&dr.round, st);
	if (err) {
		hush(false);
		st->explored = st->forced = false;
		return err;
	}
	p->out = dr.round.outcome;
	p->lockdep = dr.lockdep;
	if (show && !d->untold)
		show_round(st, p->out);
	gave_back = end_round(st, p->out, d->quiet);
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
		kprintf("an actor keeps a lock that nobody can give back for "
			"it\n");
	p->clean = compare_state(d->quiet) && !kept;
	st->explored = st->forced = false;
	return 0;
}
#endif
