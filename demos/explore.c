/*
 * `explore`: all schedules of an experiment's threads, and the verdict.
 *
 *   REAL            lockdep (or a BUG or WARN) speaks, and a schedule fails
 *   FALSE-POSITIVE  it speaks; the search was complete, and none fails
 *   MISSED          it is silent, yet a schedule fails
 *   CLEAN           it is silent; the search was complete, and none fails
 *   NOT-FOUND       none fails within the bounds
 *
 * A schedule fails if its outcome is anything but `completes`. Each one runs on
 * the real cores with the real locks, is cut, and must leave the state as it was.
 * How: kernel/explore/. Owns the search's memory, guarded by demo_mutex.
 */
#include "demos/explore.h"

#include <string.h>

#include "demos/command.h"
#include "drivers/board.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/state.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/thread.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

#define SCHEDULES_MAX	20000 /* unless told otherwise */
#define ROOM_ORDER	7     /* pages for straightening a witness */
#define NR_OUTCOMES	(OUT_CORRUPT + 1)
#define STATES_MAX	512
#define CALLBACKS_NS	200000ull /* between two looks */
#define ORDER_OF_SEARCH 8	  /* pages for struct search */
_Static_assert(sizeof(struct search) <= PAGE_SIZE << ORDER_OF_SEARCH,
	       "no room for the search");

static struct search *search_memory;
static uint8_t *room_memory;

struct explore_wish {
	const struct demo *demo;     /* NULL: all */
	const struct scenario *part; /* of it, this one alone; NULL: all */
	bool all;
	bool brief; /* no line of its own, unless something is wrong */
	/* Where schedules are said to fail: until all that is said of them has
	 * been seen. Where none may fail: all. */
	bool until_found;
	bool one_form; /* of U, where none may fail */
	bool iterate;  /* bound: 0, 1, 2 ... until_found, or nothing is cut */
	enum search_mode mode;
	unsigned int bound, max; /* preemptions; schedules, 0: the usual */
};

/* ---- one schedule ------------------------------------------------------------ */

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
			".tries = true\n");
		d->strayed = true;
	}
}

/* What the actors left to callbacks belongs to the schedule: a late one may find
 * something gone. */
static void await_callbacks(void)
{
	while (!rcu_is_quiet())
		sleep_ns(CALLBACKS_NS);
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
		.toggled = sc->toggles ? st->toggled : NR_CPUS,
		.tries = sc->tries,
	};
	unsigned int warns = warn_count, errors, broken;
	uint32_t seed = 1;
	bool gave_back, kept;
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
	err = sc->setup ? sc->setup(st) : 0;
	if (err) {
		hush(false);
		st->explored = st->forced = false;
		return err;
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
		release_ended(st); /* or the check would wait for it */
		await_callbacks();
		if ((sc->check && !sc->check(st)) ||
		    slab_errors != errors + sc->slab_reports)
			p->out = OUT_CORRUPT;
	}
	if (show && !d->untold)
		tell(st, p->out, &w);
	gave_back = end_round(st, p->out, &w, d->quiet);
	broken = p->lockdep & RULES_BROKEN & ~(sc->lockdep | sc->lockdep_may);
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

	if (!sc->toggles) {
		out[0] = (struct form){ "", false };
		return 1;
	}
	if (!sc->down_only)
		out[n++] = (struct form){ "up", true };
	out[n++] = (struct form){ "down", false };
	return n;
}

const char *no_search(const struct scenario *sc)
{
	if (sc->in_turn && !sc->no_search)
		return "its actors run in turn: one schedule";
	return sc->no_search;
}

/* ---- the search ---------------------------------------------------------------- */

struct exploration {
	struct director director;
	struct search *search;
	uint8_t *room;
	struct form form;
	/* Of all forms: */
	unsigned int schedules, redundant, max;
	unsigned int count[NR_OUTCOMES];
	unsigned int lockdep;
	struct witness best[NR_OUTCOMES];
	/* Distinct states in which nobody can move on, by hash. */
	uint64_t state[STATES_MAX];
	unsigned int states;
	bool more_states; /* than there is room for */
	bool cut_short, stopped, found, broken, interrupted;
	bool one_form;
	/* Of the schedule that runs: */
	int word;      /* of search_choose(), if negative */
	uint64_t knot; /* the state in which it ended */
};

static void tell_broken(struct exploration *x, struct director *d)
{
	hush(false);
	kprintf("explore: %s\n",
		x->word == SEARCH_DIVERGED ?
			"a replayed schedule went another way" :
			"more steps than there is room for");
	x->broken = true;
	d->endless = x->word == SEARCH_TOO_LONG;
}

static int choose(struct director *d, struct stage *st, unsigned int enabled,
		  unsigned int *gates)
{
	struct exploration *x = container_of(d, struct exploration, director);
	struct standing stands[SEARCH_THREADS];

	(void)st;
	(void)gates;
	explore_standing(stands);
	x->word = search_choose(x->search, enabled, stands);
	if (x->word == SEARCH_TOO_LONG || x->word == SEARCH_DIVERGED)
		tell_broken(x, d);
	return x->word;
}

static void stepped(struct director *d, struct stage *st)
{
	struct exploration *x = container_of(d, struct exploration, director);
	struct footprint f;
	unsigned int woken;

	(void)st;
	explore_footprint(&f, &woken);
	search_step(x->search, &f, woken);
}

static unsigned int steps_of(const struct search *s, unsigned int thread)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < s->steps; k++)
		n += s->node[k].chosen == thread;
	return n;
}

static void over(struct director *d, struct stage *st, unsigned int left)
{
	struct exploration *x = container_of(d, struct exploration, director);
	struct standing stands[SEARCH_THREADS];

	explore_standing(stands);
	if (search_end(x->search, stands) == SEARCH_DIVERGED && x->word >= 0 &&
	    !d->strayed) {
		x->word = SEARCH_DIVERGED;
		tell_broken(x, d);
	}
	x->knot = 14695981039346656037ull ^ x->form.up;
	for (unsigned int i = 0; left && i < st->nr_actors; i++) {
		unsigned int place = st->sc->position ?
					     st->sc->position(i) :
					     (steps_of(x->search, i) * 256u +
					      stands[i].op) * 4u +
						     stands[i].where;

		/* FNV-1a, a word at a time */
		x->knot = (x->knot ^ place) * 1099511628211ull;
	}
}

static void note_state(struct exploration *x)
{
	for (unsigned int i = 0; i < x->states; i++)
		if (x->state[i] == x->knot)
			return;
	x->more_states |= x->states == STATES_MAX;
	if (x->states < STATES_MAX)
		x->state[x->states++] = x->knot;
}

/* The schedule that has just run, straightened; no legs: too many of them. */
static struct witness this_schedule(struct exploration *x)
{
	static uint8_t order[SEARCH_STEPS]; /* demo_mutex */
	const struct search *s = x->search;
	struct witness w = { .form = x->form, .steps = s->steps };

	w.switches = search_straighten(s, order, x->room,
				       PAGE_SIZE << ROOM_ORDER, &w.as_ran);
	for (unsigned int i = 0; i < s->steps && w.switches < LEGS; i++) {
		if (!w.nr || w.leg[w.nr - 1].actor != order[i])
			w.leg[w.nr++].actor = order[i];
		w.leg[w.nr - 1].steps++;
	}
	return w;
}

/* Keep the failing schedule if it is simpler than the one that is kept. */
static void note_witness(struct exploration *x, enum outcome out)
{
	struct witness *best = &x->best[out], w = this_schedule(x);

	if (!best->nr || w.switches < best->switches ||
	    (w.switches == best->switches && w.steps < best->steps))
		*best = w;
}

static void note_schedule(struct exploration *x, const struct played *p)
{
	if (!p->clean) {
		struct witness w = this_schedule(x);

		kprintf("explore: this schedule left a trace:");
		print_witness(the_stage.sc, &w);
		kprintf("\n");
		x->broken = true;
	}
	if (x->word == SEARCH_REDUNDANT) {
		x->redundant++; /* left to itself: what it met is no schedule */
		return;
	}
	if (x->word < 0)
		return;
	x->schedules++;
	x->lockdep |= p->lockdep;
	x->count[p->out]++;
	if (p->out == OUT_COMPLETES)
		return;
	if (is_knot(p->out))
		note_state(x);
	note_witness(x, p->out);
}

static unsigned int outcomes_of(const struct exploration *x)
{
	unsigned int set = 0;

	for (unsigned int o = 0; o < NR_OUTCOMES; o++)
		if (x->count[o])
			set |= OUT_BIT(o);
	return set;
}

/* The failing outcomes that the scenario names. */
static unsigned int said_to_fail(const struct scenario *sc)
{
	return sc->expect & ~OUT_BIT(OUT_COMPLETES);
}

/* Each of them, and what lockdep must say. */
static bool all_seen(const struct scenario *sc, const struct exploration *x)
{
	unsigned int fails = said_to_fail(sc);

	return fails && !(fails & ~outcomes_of(x)) &&
	       !(sc->lockdep & ~x->lockdep);
}

/* All schedules of one form. 0 or a negative errno. */
static int explore_form(struct stage *st, struct exploration *x,
			const struct explore_wish *w)
{
	search_init(x->search, st->nr_actors, w->mode, w->bound);
	while (search_next(x->search)) {
		struct played p;
		int err;

		if (thread_interrupted()) {
			x->interrupted = true;
			return 0;
		}
		if (x->schedules + x->redundant == x->max) {
			x->stopped = true;
			return 0;
		}
		x->word = 0;
		err = play_directed(st, &x->director, x->form, false, &p);
		if (err)
			return err;
		if (x->director.strayed) {
			x->broken = true;
			return 0;
		}
		note_schedule(x, &p);
		if (x->broken)
			return 0;
		if (w->until_found && all_seen(st->sc, x)) {
			x->found = true;
			return 0;
		}
	}
	x->cut_short |= x->search->cut_short;
	return 0;
}

/* ---- the verdict ------------------------------------------------------------------ */

static unsigned int failing(const struct exploration *x)
{
	return x->schedules - x->count[OUT_COMPLETES];
}

static const char *verdict(bool speaks, bool fails, bool complete)
{
	if (fails)
		return speaks ? "REAL" : "MISSED";
	if (!complete)
		return "NOT-FOUND";
	return speaks ? "FALSE-POSITIVE" : "CLEAN";
}

/* A BUG or a WARN is a word of its own. */
static bool says(unsigned int lockdep, unsigned int outcomes)
{
	return lockdep || outcomes & (OUT_BIT(OUT_BUG) | OUT_BIT(OUT_WARN));
}

static enum outcome worst(unsigned int set)
{
	unsigned int failed = set & ~OUT_BIT(OUT_COMPLETES);

	return failed ? (enum outcome)__builtin_ctz(failed) : OUT_COMPLETES;
}

/* What it must come to, from what the scenario expects of its rounds, and what
 * lockdep found of that which it may find or not. */
static const char *expected_verdict(const struct scenario *sc,
				    unsigned int lockdep)
{
	unsigned int fails = said_to_fail(sc);

	return verdict(says(sc->lockdep | (sc->lockdep_may & lockdep), fails),
		       fails, true);
}

/* Every failing outcome that was expected, no other, and the verdict. */
static bool search_as_said(const struct scenario *sc,
			   const struct exploration *x, const char *word)
{
	unsigned int found = outcomes_of(x) & ~OUT_BIT(OUT_COMPLETES);
	unsigned int said = said_to_fail(sc);
	const char *expected = expected_verdict(sc, x->lockdep);
	bool ok = strcmp(word, expected) == 0;

	if (!ok)
		kprintf("not as said: the verdict is %s, not %s\n", word,
			expected);
	for (unsigned int o = 0; o < NR_OUTCOMES; o++) {
		if (!((found ^ said) & OUT_BIT(o)))
			continue;
		kprintf("not as said: %s schedule ends as %s\n",
			found & OUT_BIT(o) ? "a" : "no",
			outcome_name((enum outcome)o));
		ok = false;
	}
	return ok &
	       lockdep_as_said(sc->lockdep, sc->lockdep_may, x->lockdep, "");
}

/* The result of one part, or of a row. */
struct row {
	const char *id;
	const struct scenario *of; /* whose result it is */
	const char *why;	   /* not searched: why */
	unsigned int lockdep, schedules, redundant, failing, states;
	unsigned int outcomes; /* OUT_BIT()s */
	enum outcome outcome;
	char search[32];
	const char *verdict;
	bool more_states, interrupted, ok;
};

/* Run each kept schedule once more: it must end as it did. */
static bool confirm(struct stage *st, struct exploration *x, const char *id,
		    const struct explore_wish *wish)
{
	bool ok = true;

	for (unsigned int o = 0; o < NR_OUTCOMES; o++) {
		struct witness *w = &x->best[o];
		struct played p;

		if (x->count[o] && o != OUT_COMPLETES && !w->nr)
			kprintf("witness: %s %s, %u switches: too many for a "
				"line\n",
				id, outcome_name((enum outcome)o), w->switches);
		if (!w->nr)
			continue;
		if (!wish->brief) {
			kprintf("witness: %s %s, %u switch%s%s: replay %s", id,
				outcome_name((enum outcome)o), w->switches,
				w->switches == 1 ? "" : "es",
				w->as_ran ? " (not minimised)" : "", id);
			print_witness(st->sc, w);
			kprintf("\n");
		}
		if (replay_witness(st, w, false, !wish->all, &p) == 0 &&
		    p.out == (enum outcome)o && p.clean)
			continue;
		kprintf("not as said: replayed it does not end as %s, the "
			"state as before\n",
			outcome_name((enum outcome)o));
		ok = false;
	}
	return ok;
}

static void sum_up(struct row *r, const struct exploration *x,
		   enum search_mode mode, unsigned int bound)
{
	bool complete = !x->stopped && !x->found && !x->broken &&
			!(mode == SEARCH_BOUNDED && x->cut_short);
	unsigned int unsaid;

	r->lockdep = x->lockdep;
	r->schedules = x->schedules;
	r->redundant = x->redundant;
	r->failing = failing(x);
	r->states = x->states;
	r->more_states = x->more_states;
	r->outcomes = outcomes_of(x);
	unsaid = r->outcomes & ~(r->of->expect | OUT_BIT(OUT_COMPLETES));
	r->outcome = worst(unsaid ? unsaid : r->outcomes);
	if (x->stopped)
		ksnprintf(r->search, sizeof(r->search), "stopped:%u", x->max);
	else if (x->found && mode != SEARCH_BOUNDED)
		ksnprintf(r->search, sizeof(r->search), "until-found");
	else if (!complete && !x->broken)
		ksnprintf(r->search, sizeof(r->search), "bounded:%u", bound);
	else
		ksnprintf(r->search, sizeof(r->search), "%s%s%s",
			  complete ? "complete" : "broken",
			  x->one_form ? ":" : "",
			  x->one_form ? x->form.name : "");
	r->verdict =
		verdict(says(x->lockdep, outcomes_of(x)), r->failing, complete);
}

static int explore_forms(struct exploration *x, const struct explore_wish *w)
{
	struct stage *st = &the_stage;
	struct form form[FORMS_MAX];
	unsigned int forms = forms_of(st->sc, form);
	int err = 0;

	memset(x, 0, sizeof(*x));
	x->director = (struct director){ .choose = choose,
					 .stepped = stepped,
					 .over = over,
					 .quiet = true };
	x->max = w->max ? w->max : SCHEDULES_MAX;
	x->search = search_memory;
	x->room = room_memory;
	if (w->one_form && forms > 1 && !said_to_fail(st->sc)) {
		x->one_form = true;
		forms = 1;
	}
	for (unsigned int f = 0;
	     !err && f < forms && !x->interrupted && !x->found && !x->broken;
	     f++) {
		x->form = form[f];
		err = explore_form(st, x, w);
	}
	return err;
}

/* The fewest preemptions first (Musuvathi and Qadeer, PLDI 2007). */
static int explore_iterated(struct exploration *x, struct explore_wish *w)
{
	for (;; w->bound++) {
		int err = explore_forms(x, w);

		if (err)
			return err;
		if (!w->brief)
			kprintf("preemptions <= %u: schedules=%u failing=%u\n",
				w->bound, x->schedules, failing(x));
		if (!x->cut_short || x->found || x->stopped || x->broken ||
		    x->interrupted)
			return 0;
	}
}

static struct row explore_scenario(const struct demo *d,
				   const struct scenario *sc,
				   const struct explore_wish *wish)
{
	static struct exploration x; /* demo_mutex */
	struct explore_wish w = *wish;
	struct row r = { .id = sc->part ? sc->part : d->id, .of = sc };
	int err;

	r.why = no_search(sc);
	r.ok = true;
	if (r.why)
		return r;
	memset(&x, 0, sizeof(x));
	err = stage_open(d, sc);
	if (!err)
		err = w.iterate ? explore_iterated(&x, &w) :
				  explore_forms(&x, &w);
	x.broken |= err != 0;
	sum_up(&r, &x, w.mode, w.bound);
	if (err)
		kprintf("%s: cannot go on, error %d\n", r.id, -err);
	r.interrupted = x.interrupted;
	r.ok = !err && !x.broken && !x.interrupted &&
	       confirm(&the_stage, &x, r.id, &w) &&
	       (sc->any_verdict || search_as_said(sc, &x, r.verdict));
	stage_close(&the_stage);
	lockdep_mark(); /* what it found is in the verdict */
	return r;
}

/* The row stands for its first part, or for the first that is not as said; what
 * was counted is added up. */
static void add_part(struct row *row, const struct row *part)
{
	bool first_wrong = row->ok && !part->ok;

	row->interrupted |= part->interrupted;
	row->ok &= part->ok;
	if (part->why)
		return;
	if (!row->verdict) {
		const char *id = row->id;
		bool ok = row->ok;

		*row = *part;
		row->id = id;
		row->ok = ok;
		return;
	}
	if (first_wrong) {
		row->of = part->of;
		row->outcome = part->outcome;
		row->verdict = part->verdict;
	}
	row->lockdep |= part->lockdep;
	row->schedules += part->schedules;
	row->redundant += part->redundant;
	row->failing += part->failing;
	row->states += part->states;
	row->more_states |= part->more_states;
}

static void print_result(const char *what, const struct row *r)
{
	char lockdep[80], expected[40];

	kprintf("%s: %s", what, r->id);
	if (!r->verdict) {
		kprintf(" search=none %s\n", r->ok ? "ok" : "FAIL");
		return;
	}
	list_lockdep(lockdep, sizeof(lockdep), r->lockdep);
	list_outcomes(expected, sizeof(expected), r->of->expect);
	kprintf(" outcome=%s expected=%s lockdep=%s schedules=%u failing=%u "
		"states=%u%s redundant=%u search=%s memory=sc verdict=%s %s\n",
		outcome_name(r->outcome), expected, lockdep, r->schedules,
		r->failing, r->states, r->more_states ? "+" : "", r->redundant,
		r->search, r->verdict, r->ok ? "ok" : "FAIL");
}

static struct row explore_demo(const struct demo *d,
			       const struct explore_wish *w, struct row *parts)
{
	struct row all = { .id = d->id, .ok = true };

	if (!w->brief)
		kprintf("\n%s (%s): %s\n", d->id, d->slug, d->claim);
	for (unsigned int i = 0; i < d->nr_scenarios && !all.interrupted; i++) {
		const struct scenario *sc = &d->scenarios[i];
		struct row r = { .id = sc->part };

		if (w->part && sc != w->part)
			continue;
		if (sc->part && !w->all)
			kprintf("\n%s: %s\n", sc->part, sc->about);
		r = explore_scenario(d, sc, w);
		if (parts)
			parts[i] = r;
		if (w->brief)
			; /* the caller has a line for the row */
		else if (r.why)
			kprintf("%s: no search: %s\n", r.id, r.why);
		else if (sc->part && !r.interrupted)
			print_result("part", &r);
		if (objected_to(sc, r.outcomes & ~sc->expect))
			kprintf("objection: %s\n", sc->objection);
		all.why = all.why ? all.why : r.why;
		add_part(&all, &r);
	}
	if (!all.interrupted && !w->brief)
		print_result("verdict", &all);
	return all;
}

/* What every verdict rests on. */
static void print_bounds(void)
{
	kprintf("\npermuted: sleeping locks, the hotplug lock, waits and wakes, "
		"notifiers,\n"
		"  cores on and off, barriers, slab objects (many in a row are "
		"one step),\n"
		"  declared shared reads and writes; releases with .tries\n"
		"not permuted: what lies in one spinlock section, other "
		"releases, interrupts,\n"
		"  grace periods, timers, how threads woken in one step go on "
		"side by side;\n"
		"  callbacks run late, in order; memory is sequential\n");
	kprintf("not seen: data that is not declared, unless a mutex or a "
		"semaphore guards it\n");
}

/* ---- the table ------------------------------------------------------------------- */

static void print_row(const struct row *r, bool part)
{
	char lockdep[80];

	if (!r->verdict) {
		kprintf("%-16s %s\n", r->id, r->why ? r->why : "");
		return;
	}
	list_lockdep(lockdep, sizeof(lockdep), r->lockdep);
	kprintf(part ? "  %-14s" : "%-16s", r->id);
	kprintf(" %-19s %5u %5u  %-9s %-14s %4s\n", lockdep, r->schedules,
		r->failing, r->search, r->verdict, r->ok ? "ok" : "FAIL");
}

static int explore_all(const struct explore_wish *w)
{
	static struct row rows[96], parts[256]; /* demo_mutex */
	uint64_t begun = timer_now(), ms;
	unsigned int schedules = 0;
	struct row *part = parts;
	bool ok = true;

	BUG_ON(demos_end - demos_start > (int)ARRAY_SIZE(rows));
	memset(parts, 0, sizeof(parts));
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		struct row *r = &rows[d - demos_start];

		if (d->for_reader)
			continue;
		BUG_ON(part + d->nr_scenarios > parts + ARRAY_SIZE(parts));
		*r = explore_demo(d, w, part);
		part += d->nr_scenarios;
		ok &= r->ok;
		schedules += r->schedules + r->redundant;
		if (r->interrupted)
			return -EINTR;
	}
	ms = timer_ns(timer_now() - begun) / 1000000;
	kprintf("\n%-16s %-19s %5s %5s  %-9s %s\n", "id", "lockdep", "sched",
		"fail", "search", "verdict");
	part = parts;
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		if (d->for_reader)
			continue;
		print_row(&rows[d - demos_start], false);
		for (unsigned int i = 0; i < d->nr_scenarios; i++, part++)
			if (d->scenarios[i].part && part->verdict)
				print_row(part, true);
	}
	print_bounds();
	kprintf("\n%u schedules in %u.%u s, %u per second\n", schedules,
		(unsigned int)(ms / 1000), (unsigned int)(ms / 100 % 10),
		(unsigned int)(schedules * 1000ull / (ms ? ms : 1)));
	return ok ? 0 : 1;
}

/* Once, for good: a megabyte that a boot without a search does not take. */
static bool have_memory(void)
{
	if (!search_memory)
		search_memory = pages_alloc(ORDER_OF_SEARCH);
	if (!room_memory)
		room_memory = pages_alloc(ROOM_ORDER);
	if (search_memory && room_memory)
		return true;
	kprintf("explore: out of memory\n");
	return false;
}

bool explore_row(const struct demo *d, const char **verdict, bool *interrupted)
{
	static const struct explore_wish w = { .all = true,
					       .brief = true,
					       .until_found = true,
					       .one_form = true };
	struct row r = { .ok = have_memory() };

	*verdict = "-";
	if (r.ok)
		r = explore_demo(d, &w, NULL);
	*interrupted = r.interrupted;
	if (!r.verdict || r.interrupted)
		return r.ok;
	*verdict = r.verdict;
	kprintf("explored: %s schedules=%u failing=%u search=%s verdict=%s "
		"%s\n",
		d->id, r.schedules, r.failing, r.search, r.verdict,
		r.ok ? "ok" : "FAIL");
	return r.ok;
}

/* ---- the command ----------------------------------------------------------------- */

/* explore program [full] TEXT, or TEXT alone in quotes. */
static bool parse_program(int argc, char **argv, struct explore_wish *w)
{
	int i = *argv[1] == '"' ? 1 : 2;

	if (i < argc && same_word(argv[i], "full")) {
		w->mode = SEARCH_FULL;
		i++;
	}
	w->demo = program_demo();
	return program_parse((unsigned int)(argc - i), argv + i);
}

/* explore ID|all [full] [bound [N]] [max N]; false: said what is wrong. */
static bool parse(int argc, char **argv, struct explore_wish *w)
{
	*w = (struct explore_wish){ .mode = SEARCH_REDUCED };
	if (argc > 1 && (same_word(argv[1], "program") || *argv[1] == '"'))
		return parse_program(argc, argv, w);
	w->all = argc > 1 && same_word(argv[1], "all");
	w->demo = argc < 2 || w->all ? NULL : find_demo(argv[1]);
	if (argc > 1 && !w->all && !w->demo)
		w->part = find_part(argv[1], &w->demo);
	if (!w->all && !w->demo) {
		if (argc < 2)
			kprintf("explore: which experiment? (demo lists them; "
				"or all)\n");
		else
			kprintf("explore: no experiment \"%s\" (demo alone "
				"lists them)\n",
				argv[1]);
		return false;
	}
	for (int i = 2; i < argc; i++) {
		bool more = i + 1 < argc;

		if (same_word(argv[i], "full")) {
			w->mode = SEARCH_FULL;
		} else if (same_word(argv[i], "bound")) {
			w->mode = SEARCH_BOUNDED;
			w->iterate = !more ||
				     !parse_uint(argv[i + 1], &w->bound);
			w->until_found = w->iterate;
			i += !w->iterate;
		} else if (same_word(argv[i], "max") && more &&
			   parse_uint(argv[i + 1], &w->max) && w->max) {
			i++;
		} else {
			kprintf("explore: \"%s\" is neither full, bound [N] nor "
				"max N\n",
				argv[i]);
			return false;
		}
	}
	return true;
}

static int run_wish(const struct explore_wish *w)
{
	struct row r;

	if (w->all)
		return explore_all(w);
	r = explore_demo(w->demo, w, NULL);
	print_bounds();
	return r.interrupted ? -EINTR : r.ok ? 0 : 1;
}

static int explore_cmd(int argc, char **argv)
{
	struct explore_wish w;
	int status = 1;

	if (!stage_claim("explore"))
		return 1;
	if (parse(argc, argv, &w) && have_memory())
		status = run_wish(&w);
	stage_yield();
	return status == -EINTR ? interrupted() : status;
}
#else
bool explore_row(const struct demo *d, const char **verdict, bool *interrupted)
{
	(void)d;
	*verdict = "-";
	*interrupted = false;
	return true;
}

static int explore_cmd(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kprintf("explore: needs the debug profile\n");
	return 1;
}
#endif

static const char *explore_complete(int arg, unsigned int i)
{
	static const char *const how[] = { "full", "bound", "max" };

	if (arg == 1)
		return demos_start + i < demos_end ? demos_start[i].slug : NULL;
	return i < ARRAY_SIZE(how) ? how[i] : NULL;
}

SHELL_COMMAND(
	explore, .name = "explore",
	.usage =
		"explore ID|ID/PART|all|program TEXT [full] [bound [N]] [max N]",
	.help = "run all schedules of an experiment: is it real?",
	.fn = explore_cmd, .complete = explore_complete);
