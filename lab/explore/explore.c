/*
 * The search: all schedules of an experiment's threads, and the verdict.
 *
 *   REAL            lockdep (or a BUG or WARN) speaks, and a schedule fails
 *   FALSE-POSITIVE  it speaks; the search was complete, and none fails
 *   MISSED          it is silent, yet a schedule fails
 *   CLEAN           it is silent; the search was complete, and none fails
 *   NOT-FOUND       none fails within the bounds
 *
 * A schedule fails if its outcome is anything but `completes`. Owns the search's
 * memory, guarded by demo_mutex; in the runner's thread.
 */
#include "lab/explore/explore.h"

#include <string.h>

#include "lab/judge.h"
#include "lab/words.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/sched/sched.h"

#if GORDIAN_DEBUG

#define SCHEDULES_MAX	20000 /* unless told otherwise */
#define ROOM_ORDER	7     /* pages for straightening a witness */
#define NR_OUTCOMES	(OUT_CORRUPT + 1)
#define STATES_MAX	512
#define ORDER_OF_SEARCH 8 /* pages for struct search */
_Static_assert(sizeof(struct search) <= PAGE_SIZE << ORDER_OF_SEARCH,
	       "no room for the search");

static struct search *search_memory;
static uint8_t *room_memory;

/* ---- the search ---------------------------------------------------------- */

struct exploration {
	struct director director;
	struct search *search;
	uint8_t *room;
	struct form form;
	/* Of all forms: */
	unsigned int schedules, redundant, max;
	unsigned int count[NR_OUTCOMES];
	unsigned int ends; /* of this form, as bits */
	unsigned int lockdep;
	struct witness best[NR_OUTCOMES];
	/* Distinct states in which nobody can move on, by hash. */
	uint64_t state[STATES_MAX];
	unsigned int states;
	bool more_states; /* than there is room for */
	bool cut_short, stopped, found, broken, interrupted;
	bool one_form;
	/* Of the schedule that runs: */
	int word;	     /* of search_choose(), if negative */
	unsigned int beyond; /* steps that a redundant one took to its end */
	uint64_t knot;	     /* the state in which it ended */
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

/* What follows is no schedule of its own, but goes step by step too: left to
 * itself it could come, once in many runs, to where nothing else ever came. */
static int to_the_end(struct exploration *x, struct director *d,
		      unsigned int enabled)
{
	if (x->beyond++ < SEARCH_STEPS)
		return __builtin_ctz(enabled);
	x->word = SEARCH_TOO_LONG;
	tell_broken(x, d);
	return -1;
}

static int choose(struct director *d, struct stage *st, unsigned int enabled,
		  unsigned int *gates)
{
	struct exploration *x = container_of(d, struct exploration, director);
	struct standing stands[SEARCH_THREADS];

	(void)st;
	(void)gates;
	if (x->word == SEARCH_REDUNDANT)
		return to_the_end(x, d, enabled);
	explore_standing(stands);
	x->word = search_choose(x->search, enabled, stands);
	if (x->word == SEARCH_TOO_LONG || x->word == SEARCH_DIVERGED)
		tell_broken(x, d);
	if (x->word != SEARCH_REDUNDANT)
		return x->word;
	(void)search_end(x->search, stands); /* its prefix was as asked for */
	return to_the_end(x, d, enabled);
}

static void stepped(struct director *d, struct stage *st)
{
	struct exploration *x = container_of(d, struct exploration, director);
	struct footprint f;
	unsigned int woken;

	(void)st;
	explore_footprint(&f, &woken);
	if (x->word != SEARCH_REDUNDANT)
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
	if (x->word >= 0 && !d->strayed &&
	    search_end(x->search, stands) == SEARCH_DIVERGED) {
		x->word = SEARCH_DIVERGED;
		tell_broken(x, d);
	}
	x->knot = 14695981039346656037ull ^ x->form.up;
	for (unsigned int i = 0; left && i < st->nr_actors; i++) {
		unsigned int place = st->sc->search.position ?
					     st->sc->search.position(i) :
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

/* Behind what is wrong with it. */
static void tell_schedule(struct exploration *x)
{
	struct witness w = this_schedule(x);

	print_witness(the_stage.sc, &w);
	kprintf("%s\n", x->word == SEARCH_REDUNDANT ? " ..." : "");
	x->broken = true;
}

static void note_schedule(struct exploration *x, const struct played *p)
{
	if (!p->clean) {
		kprintf("explore: this schedule left a trace:");
		tell_schedule(x);
	}
	if (x->word == SEARCH_REDUNDANT) {
		/* One of its class has been run, or a schedule is lost. */
		x->redundant++;
		if (!(x->ends & OUT_BIT(p->out))) {
			kprintf("explore: a redundant schedule ends as %s, and "
				"none before it did:",
				outcome_name(p->out));
			tell_schedule(x);
		}
		return;
	}
	if (x->word < 0)
		return;
	x->schedules++;
	x->ends |= OUT_BIT(p->out);
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
	return sc->said.outcome & ~OUT_BIT(OUT_COMPLETES);
}

/* Each of them, and what lockdep must say. */
static bool all_seen(const struct scenario *sc, const struct exploration *x)
{
	unsigned int fails = said_to_fail(sc);

	return fails && !(fails & ~outcomes_of(x)) &&
	       !(sc->said.lockdep & ~x->lockdep);
}

/* All schedules of one form. 0 or a negative errno. */
static int explore_form(struct stage *st, struct exploration *x,
			const struct explore_wish *w)
{
	search_init(x->search, st->nr_actors, w->mode, w->bound);
	x->ends = 0;
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
		x->beyond = 0;
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

/* ---- the verdict --------------------------------------------------------- */

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

	return verdict(says(sc->said.lockdep | (sc->said.lockdep_may & lockdep),
			    fails),
		       fails, true);
}

/* Every failing outcome that was expected, no other, and the verdict. */
static bool search_as_expected(const struct scenario *sc,
			       const struct exploration *x, const char *word)
{
	unsigned int found = outcomes_of(x) & ~OUT_BIT(OUT_COMPLETES);
	unsigned int said = said_to_fail(sc);
	const char *expected = expected_verdict(sc, x->lockdep);
	bool ok = strcmp(word, expected) == 0;

	if (!ok)
		kprintf("unexpected: the verdict is %s, not %s\n", word,
			expected);
	for (unsigned int o = 0; o < NR_OUTCOMES; o++) {
		if (!((found ^ said) & OUT_BIT(o)))
			continue;
		kprintf("unexpected: %s schedule ends as %s\n",
			found & OUT_BIT(o) ? "a" : "no",
			outcome_name((enum outcome)o));
		ok = false;
	}
	return ok & lockdep_is_expected(sc->said.lockdep, sc->said.lockdep_may,
					x->lockdep, "");
}

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
		kprintf("unexpected: replayed it does not end as %s, the "
			"state as before\n",
			outcome_name((enum outcome)o));
		ok = false;
	}
	return ok;
}

static void sum_up(struct explored_row *r, const struct exploration *x,
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
	unsaid = r->outcomes & ~(r->of->said.outcome | OUT_BIT(OUT_COMPLETES));
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

static struct explored_row explore_scenario(const struct demo *d,
					    const struct scenario *sc,
					    const struct explore_wish *wish)
{
	static struct exploration x; /* demo_mutex */
	struct explore_wish w = *wish;
	struct explored_row r = { .id = sc->part ? sc->part : d->id, .of = sc };
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
	       (sc->said.any_verdict || search_as_expected(sc, &x, r.verdict));
	stage_close(&the_stage);
	lockdep_mark(); /* what it found is in the verdict */
	return r;
}

/* The row stands for its first part, or for the first unexpected one; what
 * was counted is added up. */
static void add_part(struct explored_row *row, const struct explored_row *part)
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

static void print_result(const char *what, const struct explored_row *r)
{
	char lockdep[80], expected[40];

	kprintf("%s: %s", what, r->id);
	if (!r->verdict) {
		kprintf(" search=none %s\n", r->ok ? "ok" : "FAIL");
		return;
	}
	lockdep_words(lockdep, sizeof(lockdep), r->lockdep);
	outcome_words(expected, sizeof(expected), r->of->said.outcome);
	kprintf(" outcome=%s expected=%s lockdep=%s schedules=%u failing=%u "
		"states=%u%s redundant=%u search=%s memory=sc verdict=%s %s\n",
		outcome_name(r->outcome), expected, lockdep, r->schedules,
		r->failing, r->states, r->more_states ? "+" : "", r->redundant,
		r->search, r->verdict, r->ok ? "ok" : "FAIL");
}

struct explored_row explore_demo(const struct demo *d,
				 const struct explore_wish *w,
				 struct explored_row *parts)
{
	struct explored_row all = { .id = d->id, .ok = true };

	if (!w->brief)
		kprintf("\n%s (%s): %s\n", d->id, d->slug, d->claim);
	for (unsigned int i = 0; i < d->nr_scenarios && !all.interrupted; i++) {
		const struct scenario *sc = &d->scenarios[i];
		struct explored_row r = { .id = sc->part };

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
		if (is_objected_to(sc, r.outcomes & ~sc->said.outcome))
			kprintf("objection: %s\n", sc->said.objection);
		all.why = all.why ? all.why : r.why;
		add_part(&all, &r);
	}
	if (!all.interrupted && !w->brief)
		print_result("verdict", &all);
	return all;
}

/* Once, for good: a megabyte that a boot without a search does not take. */
bool explore_memory(void)
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
#endif
