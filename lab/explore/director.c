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

#include "lab/command.h"
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
	kprintf("%s neither sleeps nor comes to a point of choice: it spins, or "
		"polls?\n  (explore_await() waits in a way that can be "
		"explored)\n",
		t ? t->name : "somebody");
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

int play_directed(struct stage *st, struct director *d, struct form form,
		  bool show, struct played *p)
{
	static struct waitfor w; /* demo_mutex */
	const struct scenario *sc = st->sc;
	struct explored subject = {
		.nr = st->nr_actors,
		.ended = actor_ended,
		.arg = st,
		.toggled = sc->world.toggles ? st->toggled : NR_CPUS,
		.tries = sc->search.tries,
	};
	unsigned int warns = warn_count, errors, broken;
	uint32_t seed = 1;
	bool gave_back, kept, quiet;
	int err;

	for (unsigned int i = 0; i < st->nr_actors; i++)
		subject.thread[i] = st->worker[i].thread;
	st->up = form.up;
	st->leak_by_d = !form.up;
	st->forced = st->explored = true;
	reset_round(st);
	st->script_open = true;
	hush(d->quiet);
	lockdep_reset();
	seen_begin(sc);
	err = sc->world.setup ? sc->world.setup(st) : 0;
	if (err) {
		hush(false);
		st->explored = st->forced = false;
		return err;
	}
	/* Callbacks of the set-up are no part of the schedule. */
	if (!await_callbacks()) {
		hush(false);
		st->explored = st->forced = false;
		return -ETIMEDOUT;
	}
	lockdep_reset(); /* it looks at the actors alone */
	errors = slab_errors;
	trace_start(TRACE_ALL);
	explore_begin(&subject);
	observe_begin(st);
	start_actors(st, &seed);
	direct(st, d);
	explore_let_go();
	if (d->strayed || d->endless)
		tell_on_their_own();
	p->out = watch_round(st, &w, warns);
	p->lockdep = lockdep_seen();
	if (p->out == OUT_COMPLETES) {
		release_ended(st);	   /* or the check would wait for it */
		quiet = await_callbacks(); /* or the check may wait for ever */
		d->strayed |= !quiet;
		if (quiet && ((sc->said.check && !sc->said.check(st)) ||
			      slab_errors != errors + sc->said.slab_reports))
			p->out = OUT_CORRUPT;
	}
	if (show && !d->untold)
		tell(st, p->out, &w);
	gave_back = end_round(st, p->out, &w, d->quiet);
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

unsigned int forms_of(const struct scenario *sc, struct form *out)
{
	unsigned int n = 0;

	if (!sc->world.toggles) {
		out[0] = (struct form){ "", false };
		return 1;
	}
	if (!sc->world.down_only)
		out[n++] = (struct form){ "up", true };
	out[n++] = (struct form){ "down", false };
	return n;
}

const char *no_search(const struct scenario *sc)
{
	if (sc->forced.in_turn && !sc->search.none)
		return "its actors run in turn: one schedule";
	return sc->search.none;
}
#endif
