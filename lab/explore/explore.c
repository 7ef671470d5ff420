/*
 * The search: run all schedules of an experiment's actors. For each way to fail,
 * keep the simplest schedule, and play it once more.
 *
 * Owns the search's memory, guarded by demo_mutex. In the runner's thread.
 */
#include "lab/explore/explore.h"

#include <string.h>

#include "lab/command.h"
#include "lab/explore/progress.h"
#include "lab/explore/spent.h"
#include "lab/explore/verdict.h"
#include "lab/judge.h"
#include "lab/words.h"
#include "kernel/explore/left.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

#define SCHEDULES_MAX 20000 /* unless the user gives a number */
/* If the search is right, no run is redundant. As a check, a redundant run is not
 * given up: its schedule is run to the end this number of times, each time in
 * another order. Each of these runs must end as an earlier run has ended. */
#define CHECK_ORDERS	4
#define ROOM_ORDER	7 /* pages for search_straighten() */
#define STATES_MAX	512
#define ORDER_OF_SEARCH 9 /* pages for struct search */
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
	unsigned int ends; /* of this form: OUT_BIT()s */
	unsigned int lockdep;
	struct witness best[NR_OUTCOMES];
	/* Different states in which no actor can go on, by hash. */
	uint64_t state[STATES_MAX];
	unsigned int states;
	bool more_states; /* there are more than fit in state[] */
	bool cut_short, stopped, found, broken, interrupted;
	bool one_form;
	/* Of the schedule that runs: */
	int word;	     /* search_choose()'s answer, if negative */
	uint64_t last_state; /* hash of the state in which it ended */
};

static bool went_wrong(const struct exploration *x)
{
	return x->word == SEARCH_DIVERGED || x->word == SEARCH_TOO_LONG ||
	       x->word == SEARCH_NO_ROOM;
}

static void say_broken(struct exploration *x, struct director *d)
{
	hush(false);
	progress_clear();
	kprintf("explore: %s\n",
		x->word == SEARCH_DIVERGED ?
			"a replayed schedule went another way" :
		x->word == SEARCH_TOO_LONG ?
			"more steps than there is room for" :
			"more schedules are pending than there is room for");
	x->broken = true;
	d->may_spin = x->word == SEARCH_TOO_LONG;
}

static int choose_searched(struct director *d, struct stage *st,
			   unsigned int enabled, unsigned int *gates)
{
	struct exploration *x = container_of(d, struct exploration, director);
	struct standing stands[SEARCH_THREADS];

	(void)gates;
	explore_standing(stands);
	x->word = search_choose(x->search, enabled, stands);
	if (x->word >= 0)
		spent_on_step((unsigned int)x->word, st->nr_actors);
	return x->word;
}

static void note_step(struct director *d, struct stage *st,
		      const struct footprint *f)
{
	struct exploration *x = container_of(d, struct exploration, director);

	(void)st;
	spent_from_now(SPENT_CHOICES);
	search_step(x->search, f);
}

/* How many steps the thread has taken in this run. */
static unsigned int steps_taken_by(const struct search *s, unsigned int thread)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < s->steps; k++)
		n += s->node[k].chosen == thread;
	return n;
}

static void note_last_state(struct director *d, struct stage *st,
			    unsigned int left)
{
	struct exploration *x = container_of(d, struct exploration, director);
	struct standing stands[SEARCH_THREADS];

	spent_from_now(SPENT_CHOICES);
	explore_standing(stands);
	if (!went_wrong(x) && !d->broken) {
		int end = search_end(x->search, stands);

		x->word = end ? end : x->word;
	}
	spent_from_now(SPENT_BETWEEN);
	if (went_wrong(x))
		say_broken(x, d);
	x->last_state = 14695981039346656037ull ^ x->form.up;
	for (unsigned int i = 0; left && i < st->nr_actors; i++) {
		unsigned int place =
			st->sc->search.position ?
				st->sc->search.position(i) :
				(steps_taken_by(x->search, i) * 256u +
				 stands[i].op) * 4u +
					stands[i].where;

		/* the hash FNV-1a, a word at a time */
		x->last_state = (x->last_state ^ place) * 1099511628211ull;
	}
}

/* Count the state in which no actor could go on, if the state is new. */
static void note_state(struct exploration *x)
{
	for (unsigned int i = 0; i < x->states; i++)
		if (x->state[i] == x->last_state)
			return;
	x->more_states |= x->states == STATES_MAX;
	if (x->states < STATES_MAX)
		x->state[x->states++] = x->last_state;
}

/* The schedule that has just run, rearranged so that it has the fewest switches
 * of all schedules of its class. If it has too many switches, the witness has
 * no legs. */
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

/* Keep this failing schedule if it is simpler than the schedule that is kept. */
static void note_witness(struct exploration *x, enum outcome out)
{
	struct witness *best = &x->best[out], w = this_schedule(x);

	if (!best->nr && progress_is_on()) {
		progress_clear();
		kprintf("a schedule ends as %s, after %u schedules:",
			outcome_name(out), x->schedules);
		print_witness(the_stage.sc, &w);
		kprintf("\n");
	}
	if (!best->nr || w.switches < best->switches ||
	    (w.switches == best->switches && w.steps < best->steps))
		*best = w;
}

/* Print the schedule that went wrong, at the end of a line that says why. */
static void print_broken_schedule(struct exploration *x)
{
	struct witness w = this_schedule(x);

	print_witness(the_stage.sc, &w);
	kprintf("%s\n", x->search->redundant_run ? " ..." : "");
	x->broken = true;
}

static void note_schedule(struct exploration *x, const struct played *p)
{
	if (!p->clean) {
		progress_clear();
		kprintf("explore: this schedule left a trace:");
		print_broken_schedule(x);
	}
	if (x->search->redundant_run) {
		/* A schedule of the same class must have run before, and must
		 * have ended in the same way. If no schedule has ended in this
		 * way, the search has lost a class. */
		x->redundant++;
		if (!(x->ends & OUT_BIT(p->out))) {
			progress_clear();
			kprintf("explore: a redundant schedule ends as %s, and "
				"no schedule before it did:",
				outcome_name(p->out));
			print_broken_schedule(x);
		}
		return;
	}
	if (went_wrong(x))
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

/* Has every expected failure been seen, and every finding that lockdep must
 * make? */
static bool all_failures_seen(const struct scenario *sc,
			      const struct exploration *x)
{
	unsigned int fails = failing_outcomes(sc->said.outcome);

	return fails && !(fails & ~outcomes_of(x)) &&
	       !(sc->said.lockdep & ~x->lockdep);
}

static unsigned int nr_failing(const struct exploration *x)
{
	return x->schedules - x->count[OUT_COMPLETES];
}

/* Once a second: print how far the search is. */
static void show_progress(const struct exploration *x, const char *id)
{
	uint64_t ms;

	if (progress_is_due(&ms))
		kprintf("%s: %u schedules, %u a second, %u steps deep, %u fail",
			id, x->schedules,
			(unsigned int)(x->schedules * 1000ull / (ms ?: 1)),
			x->search->steps, nr_failing(x));
}

/* Ctrl-C: print what is known so far. */
static void show_interrupted(const struct exploration *x, const char *id)
{
	progress_clear();
	kprintf("%s: interrupted after %u schedules; %u of them fail\n", id,
		x->schedules, nr_failing(x));
	for (unsigned int o = 0; o < NR_OUTCOMES; o++) {
		if (!x->best[o].nr)
			continue;
		kprintf("so far: %s: replay %s", outcome_name((enum outcome)o),
			id);
		print_witness(the_stage.sc, &x->best[o]);
		kprintf("\n");
	}
}

/* Run all schedules of one form. Returns 0 or a negative errno. */
static int explore_form(struct stage *st, struct exploration *x,
			const struct explore_request *rq)
{
	search_init(x->search, st->nr_actors + 1, rq->mode, rq->bound);
	x->search->check_orders = CHECK_ORDERS;
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
		err = play_directed(st, &x->director, x->form, false, &p);
		if (err)
			return err;
		if (x->director.broken) {
			x->broken = true;
			return 0;
		}
		note_schedule(x, &p);
		if (x->broken)
			return 0;
		show_progress(x, st->sc->part ?: st->demo->id);
		if (rq->until_found && all_failures_seen(st->sc, x)) {
			x->found = true;
			return 0;
		}
	}
	x->cut_short |= x->search->cut_short;
	if (x->search->forgetful && x->redundant)
		kprintf("explore: no memory for more than %u steps: "
			"classes ran twice, none is lost\n",
			x->search->nr_seen);
	if (x->search->off_course) {
		kprintf("explore: %u schedules did not go as planned\n",
			x->search->off_course);
		x->broken = true;
	}
	return 0;
}

/* Play each kept schedule once more, and check that it ends as it did before. Show the
 * first one of a row. (verbose: show each; all: show none.) */
static bool confirm_witnesses(struct stage *st, struct exploration *x,
			      const char *id, const struct explore_request *rq,
			      bool *shown)
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
		if (!rq->brief) {
			kprintf("witness: %s %s, %u switch%s%s: replay %s", id,
				outcome_name((enum outcome)o), w->switches,
				w->switches == 1 ? "" : "es",
				w->as_ran ? " (not minimised)" : "", id);
			print_witness(st->sc, w);
			kprintf("\n");
		}
		if (replay_witness(st, w, false, !rq->all && !*shown, &p) ==
			    0 &&
		    p.out == (enum outcome)o && p.clean) {
			*shown |= !rq->verbose;
			continue;
		}
		kprintf("unexpected: the replay does not end as %s with the "
			"state as before\n",
			outcome_name((enum outcome)o));
		ok = false;
	}
	return ok;
}

static void sum_up(struct explored_row *r, const struct exploration *x,
		   const struct explore_request *rq)
{
	bool bounded = rq->mode == SEARCH_BOUNDED;
	bool complete = !x->stopped && !x->found && !x->broken &&
			!(bounded && x->cut_short);

	r->lockdep = x->lockdep;
	r->schedules = x->schedules;
	r->redundant = x->redundant;
	r->failing = nr_failing(x);
	r->states = x->states;
	r->more_states = x->more_states;
	r->outcomes = outcomes_of(x);
	r->left = left_seen();
	if (x->stopped)
		ksnprintf(r->search, sizeof(r->search), "stopped:%u", x->max);
	else if (x->found && !bounded)
		ksnprintf(r->search, sizeof(r->search), "until-found");
	else if (!complete && !x->broken)
		ksnprintf(r->search, sizeof(r->search), "bounded:%u",
			  rq->bound);
	else
		ksnprintf(r->search, sizeof(r->search), "%s%s%s",
			  complete ? "complete" : "broken",
			  x->one_form ? ":" : "",
			  x->one_form ? x->form.name : "");
	set_verdict(r, complete);
}

static int explore_forms(struct exploration *x,
			 const struct explore_request *rq)
{
	struct stage *st = &the_stage;
	struct form form[FORMS_MAX];
	unsigned int forms = forms_of(st->sc, form);
	int err = 0;

	memset(x, 0, sizeof(*x));
	left_clear();
	x->director = (struct director){ .choose = choose_searched,
					 .after_step = note_step,
					 .after_last_step = note_last_state,
					 .anywhere = true,
					 .quiet = true };
	x->max = rq->max ? rq->max : SCHEDULES_MAX;
	x->search = search_memory;
	x->room = room_memory;
	if (rq->one_form && forms > 1 &&
	    !failing_outcomes(st->sc->said.outcome)) {
		x->one_form = true;
		forms = 1;
	}
	for (unsigned int f = 0;
	     !err && f < forms && !x->interrupted && !x->found && !x->broken;
	     f++) {
		x->form = form[f];
		err = explore_form(st, x, rq);
	}
	return err;
}

/* Search with at most 0 preemptions, then 1, 2, and so on (Musuvathi and
 * Qadeer, PLDI 2007). */
static int explore_iterated(struct exploration *x, struct explore_request *rq)
{
	for (;; rq->bound++) {
		int err = explore_forms(x, rq);

		if (err)
			return err;
		if (!rq->brief)
			kprintf("preemptions <= %u: schedules=%u failing=%u\n",
				rq->bound, x->schedules, nr_failing(x));
		if (!x->cut_short || x->found || x->stopped || x->broken ||
		    x->interrupted)
			return 0;
	}
}

static struct explored_row
explore_scenario(const struct demo *d, const struct scenario *sc,
		 const struct explore_request *request, bool *shown)
{
	static struct exploration x; /* demo_mutex */
	struct explore_request rq = *request;
	struct explored_row r = { .id = sc->part ? sc->part : d->id, .of = sc };
	int err;

	r.why = why_not_searched(sc) ?: why_cannot_run(d, sc);
	r.ok = true;
	if (r.why)
		return r;
	memset(&x, 0, sizeof(x));
	err = stage_open(d, sc, true);
	progress_begin(!rq.brief);
	if (!err)
		err = rq.iterate ? explore_iterated(&x, &rq) :
				   explore_forms(&x, &rq);
	x.broken |= err != 0;
	progress_clear();
	if (x.interrupted && !rq.brief)
		show_interrupted(&x, r.id);
	sum_up(&r, &x, &rq);
	if (err)
		kprintf("%s: cannot go on, error %d\n", r.id, -err);
	r.interrupted = x.interrupted;
	/* Unlike the search, the witnesses run with the actors on several cores. */
	stage_close(&the_stage);
	err = stage_open(d, sc, false);
	the_stage.brief = !rq.verbose;
	r.ok = !err && !x.broken && !x.interrupted &&
	       confirm_witnesses(&the_stage, &x, r.id, &rq, shown) &&
	       (sc->said.any_verdict || search_is_expected(&r));
	stage_close(&the_stage);
	lockdep_mark(); /* what lockdep found is in the verdict */
	return r;
}

struct explored_row explore_demo(const struct demo *d,
				 const struct explore_request *rq,
				 struct explored_row *parts)
{
	struct explored_row all = { .id = d->id, .ok = true };
	bool in_lines = !rq->verbose && !rq->all, shown = false;

	all.why = why_none_can_run(d, rq->part);
	if (all.why) {
		kprintf("explore: %s %s\n", rq->part ? rq->part->part : d->id,
			all.why);
		all.ok = false;
		return all;
	}
	if (!rq->brief)
		kprintf("\n%s (%s): %s\n", d->id, d->slug, d->claim);
	for (unsigned int i = 0; i < d->nr_scenarios && !all.interrupted; i++) {
		const struct scenario *sc = &d->scenarios[i];
		struct explored_row r = { .id = sc->part };

		if (rq->part && sc != rq->part)
			continue;
		if (sc->part && !rq->all && rq->verbose)
			kprintf("\n%s: %s\n", sc->part, sc->about);
		r = explore_scenario(d, sc, rq, &shown);
		if (parts)
			parts[i] = r;
		if (rq->brief)
			; /* the caller prints a line for the row */
		else if (r.why)
			kprintf("%s: no search: %s\n", r.id, r.why);
		else if (sc->part && !r.interrupted)
			print_explored_row("part", &r, in_lines);
		if (is_objected_to(sc, r.outcomes, r.lockdep))
			kprintf("objection: %s\n", sc->said.objection);
		all.why = all.why ? all.why : r.why;
		add_explored_part(&all, &r);
	}
	if (!all.interrupted && !rq->all)
		tell_search(&all);
	if (!all.interrupted && !rq->brief)
		print_explored_row("verdict", &all, in_lines);
	return all;
}

/* Allocate the search's memory once, and keep it. A boot without a search does
 * not need these two megabytes and a half. */
bool allocate_search_memory(void)
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

struct search *the_search(void)
{
	return search_memory;
}
#endif
