/*
 * The search. What it is for, and its words: search.h. Owns nothing; the caller
 * owns struct search.
 *
 * How it works. E.w is a schedule that begins with E and goes on with w. Each
 * prefix E of the current run is a node. After each run, each race of the run
 * gives a sequence v that is to be run from an earlier node. v waits in the node's
 * list `pending`. (These lists are the wake-up tree of the paper: when a step is
 * taken, the sequences that could begin with it move to the next node.) When all
 * schedules that begin with the step chosen at a node have been run, the step's
 * thread sleeps at this node, and the next sequence of the list is run.
 *
 * Race. Step e and a later step e' of another thread race if e' happens after
 * e, no step lies between them in that order, and e' could have come first. If
 * e opened the thing that e' takes, e' could not have come first. If a thread
 * takes a thing that was closed and opened again, its step races with the step
 * that closed the thing (find_closer()). If a thread still waits at its gate
 * when the run ends, the step that it would take races with the step that
 * closed the thing, too. In both cases the thread's step could have come before
 * the closing step e if the thread's previous step does not happen after e. All
 * races of a run count, also those of the replayed steps: v contains steps of
 * the whole run. (If only new races counted, classes would be lost.)
 *
 * Reversal. N is the sequence of all later steps of the run that do not happen
 * after e. v = N.e'. In the schedule E.N the steps have the footprints that
 * they had in the run, because the steps that were left out are independent of
 * all of them. Then e' is enabled after E.N: of the steps that were left out,
 * only e could have enabled it, and then e and e' would not race. But e' may
 * touch other things than it did after e. Let f be e' after E.N. Only the
 * footprint of f is not known, and f is the last step.
 *
 * Sleep. Thread q sleeps at E if all schedules that begin with q's step have
 * been run from E. q also sleeps at E if they have been run from an earlier
 * node, and all steps since that node are independent of q's step. q's step is
 * a weak initial of v (it could be first in v.w for some w) if no step of v
 * before q's own depends on it. If q has no step in v, then no step of v at all
 * may depend on q's step. If a sleeper is a weak initial of v, then v is not
 * run.
 *
 * Why no class is run twice. v is run only if each sleeper depends on some step of
 * v. So no thread sleeps after E.v, and no run has to be given up. And if two runs
 * from E begin in different ways, the order of some dependent steps differs.
 *
 * The footprint of f. The steps that happen before a step determine the step,
 * and what it touches. So a hash of these steps is the step's id. The search
 * remembers the id of each vague step that was ever run. Let q be a sleeper
 * that depends on no step of N. Then E.q.N was run, and e' after it. If e' was
 * independent of q in that run, e' was f there, and look_up() finds f. If f is
 * not found, then f depends on q. So the answer is exact unless memory is full
 * (`forgetful`). In that case f counts as dependent, perhaps wrongly. If this
 * is wrong, a sleeper is left after E.v, and the run is given up as redundant.
 * No class is lost even then, because the sequences that are pending at that
 * node stay there.
 *
 * Why no class is lost. Suppose that all is done at E, and take E.w of which no
 * schedule was run. Of the threads that sleep at E, none is a weak initial of w.
 * For each sleeper p, let r be the longest beginning of w that does not depend on
 * p, and g the step after it: w = r.g.x. Take the sleeper p with the longest r. If
 * several have the same r, take the one that conflicts with g last: g touches one
 * thing after the other, and what counts is its first touch that conflicts with
 * p's step.
 *
 * E.p.r... was run. In it p and the thread of g race, or p closed what g takes. So
 * there was a sequence v = N.e'. N has all steps of r. It may have others, but none
 * of these happens after p, and none conflicts with g before p does. v was run from
 * E, or was not needed because of a sleeper. (If p sleeps since an earlier node E0,
 * E = E0.u, then v began with u, and went on to E with the steps of u.) In each case
 * there is a thread y that sleeps at E when all is done, and y's step is a weak
 * initial of v. If y's step is in r, it is a weak initial of w. Otherwise y's step
 * is independent of r. Then either it is independent of g, or it conflicts with g
 * later than p does. Each of these contradicts the choice of p.
 *
 * Off course. When a pending step is run, its footprint must be the one that was
 * recorded, unless the step is marked `unsure`. If the footprint is another one, or
 * if the step's thread is not enabled, then a footprint was incomplete, or a vague
 * point was not called vague. `off_course` counts these cases. The search goes on
 * with any other thread, and the other pending sequences stay.
 *
 * Hashes have 64 bits. If two steps had one hash, a class could be lost. With a
 * million steps the chance is below one in ten million.
 */
#include "kernel/explore/search.h"

#include <string.h>

#include "kernel/lib/compiler.h"

_Static_assert(sizeof(struct search) <= 2u << 20, "the client has 2 MiB");
_Static_assert(SEARCH_EVENTS < 1u << 24 && SEARCH_SEQUENCES <= 1u << 16,
	       "the numbers have so many bits");

#define BIT(t) (1u << (t))

/* ---- footprints ---------------------------------------------------------- */

/* Returns the index of the thing in the footprint. If the footprint does not
 * have the thing, returns the index at which to insert it. */
static unsigned int place_of(const struct footprint *f, uintptr_t thing)
{
	unsigned int i = f->n;

	while (i > 0 && f->touch[i - 1].thing >= thing)
		i--;
	return i;
}

void footprint_add(struct footprint *f, uintptr_t thing, enum touch_how how,
		   bool gives)
{
	unsigned int i = place_of(f, thing);
	struct touch *t = &f->touch[i];

	if (i < f->n && t->thing == thing) {
		if (t->how != how)
			t->how = TOUCH_WRITE;
		return;
	}
	if (f->n == FOOTPRINT_THINGS) {
		f->all = true;
		return;
	}
	memmove(t + 1, t, (f->n - i) * sizeof(*t));
	f->n++;
	memset(t, 0, sizeof(*t));
	t->thing = thing;
	t->how = (uint8_t)how;
	t->gives = gives;
}

void footprint_shuts(struct footprint *f, uintptr_t thing)
{
	unsigned int i = place_of(f, thing);

	if (i < f->n && f->touch[i].thing == thing)
		f->touch[i].shuts = true;
}

/* Do two touches conflict, one of each list? Both lists are in the order of the
 * things' names. */
static bool have_conflict(const struct touch *a, unsigned int nr_a,
			  const struct touch *b, unsigned int nr_b)
{
	const struct touch *end_a = a + nr_a, *end_b = b + nr_b;

	while (a < end_a && b < end_b) {
		if (a->thing < b->thing) {
			a++;
		} else if (a->thing > b->thing) {
			b++;
		} else {
			if (a->how != b->how || a->how == TOUCH_WRITE)
				return true;
			a++;
			b++;
		}
	}
	return false;
}

bool are_dependent(const struct footprint *a, const struct footprint *b)
{
	return a->all || b->all ||
	       have_conflict(a->touch, a->n, b->touch, b->n);
}

/* ---- footprints as they are kept ----------------------------------------- */

static uint32_t hash_bit(uintptr_t thing)
{
	return 1u << ((uint32_t)thing * 2654435761u >> 27);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

static uint32_t hash_of(const struct footprint *f)
{
	uint32_t h = f->all;

	for (unsigned int i = 0; !f->all && i < f->n; i++) {
		const struct touch *t = &f->touch[i];

		h = (h ^ (uint32_t)t->thing) * 2654435761u;
		h = (h ^ h >> 15) + t->how * 4u + t->gives * 2u + t->shuts;
	}
	return (h * 2654435761u) >> 8;
}

/* Is the kept footprint p the same as *f? A footprint that is `all` has no list
 * to compare. */
static bool same_footprint(const struct search *s, const struct print *p,
			   const struct footprint *f)
{
	const struct touch *t = &s->touch[p->from];

	if (p->all || f->all)
		return p->all == f->all;
	if (p->n != f->n)
		return false;
	for (unsigned int i = 0; i < f->n; i++)
		if (t[i].thing != f->touch[i].thing ||
		    t[i].how != f->touch[i].how ||
		    t[i].gives != f->touch[i].gives ||
		    t[i].shuts != f->touch[i].shuts)
			return false;
	return true;
}

/* Returns the number of the footprint. A new footprint is put into the table
 * first. */
static uint16_t number_of(struct search *s, const struct footprint *f)
{
	unsigned int i = hash_of(f) % ARRAY_SIZE(s->print_at);
	unsigned int n = f->all ? 0 : f->n;
	struct print *p;

	for (; s->print_at[i]; i = (i + 1) % ARRAY_SIZE(s->print_at))
		if (same_footprint(s, &s->print[s->print_at[i] - 1], f))
			return (uint16_t)(s->print_at[i] - 1);
	if (s->prints == SEARCH_PRINTS || s->touches + n > SEARCH_TOUCHES) {
		s->no_room = true;
		return 0;
	}
	p = &s->print[s->prints++];
	memset(p, 0, sizeof(*p));
	p->from = (uint16_t)s->touches;
	p->n = (uint8_t)n;
	p->all = f->all;
	for (unsigned int k = 0; k < n; k++) {
		s->touch[s->touches++] = f->touch[k];
		p->mask[f->touch[k].how] |= hash_bit(f->touch[k].thing);
	}
	s->print_at[i] = (uint16_t)s->prints;
	return (uint16_t)(s->prints - 1);
}

static bool prints_conflict(const struct search *s, unsigned int a,
			    unsigned int b)
{
	const struct print *p = &s->print[a], *q = &s->print[b];
	const uint32_t *x = p->mask, *y = q->mask;
	uint32_t of_y = y[0] | y[1] | y[2] | y[3];

	if (p->all || q->all)
		return true;
	if (!(x[TOUCH_WRITE] & of_y) &&
	    !(x[TOUCH_READ] & (of_y & ~y[TOUCH_READ])) &&
	    !(x[TOUCH_READ] & (y[1] | y[2] | y[3])) &&
	    !(x[TOUCH_INC] & (y[0] | y[2] | y[3])) &&
	    !(x[TOUCH_DEC] & (y[0] | y[1] | y[3])))
		return false;
	return have_conflict(&s->touch[p->from], p->n, &s->touch[q->from],
			     q->n);
}

/* Are two steps dependent? a, b: the numbers of their footprints. The search
 * asks about the same few pairs again and again, so the last answers are
 * kept. */
static bool dependent(struct search *s, unsigned int a, unsigned int b)
{
	uint32_t pair = a * SEARCH_PRINTS + b;
	uint32_t *answer = &s->answer[(a * 61 + b) % SEARCH_ANSWERS];

	if (*answer >> 1 != pair + 1)
		*answer = (pair + 1) << 1 | prints_conflict(s, a, b);
	return *answer & 1;
}

static const struct touch *find_touch(const struct search *s,
				      const struct node *n, uintptr_t thing)
{
	const struct print *p = &s->print[n->step];

	if (!((p->mask[0] | p->mask[1] | p->mask[2] | p->mask[3]) &
	      hash_bit(thing)))
		return NULL;
	for (unsigned int i = 0; i < p->n; i++)
		if (s->touch[p->from + i].thing == thing)
			return &s->touch[p->from + i];
	return NULL;
}

/* ---- sequences that are to be run ---------------------------------------- */

static uint32_t wake_alloc(struct search *s, unsigned int thread,
			   unsigned int step, bool unsure)
{
	uint32_t w = s->free_wakes;

	if (w)
		s->free_wakes = s->wake[w].next;
	else if (s->nr_wakes + 1 < SEARCH_EVENTS)
		w = ++s->nr_wakes;
	else
		s->no_room = true;
	if (!w)
		return 0;
	s->wake[w].next = 0;
	s->wake[w].thread = thread & 0x7f;
	s->wake[w].unsure = unsure;
	s->wake[w].step = (uint16_t)step;
	return w;
}

static void wake_free(struct search *s, uint32_t w)
{
	s->wake[w].next = s->free_wakes & 0xffffff;
	s->free_wakes = w;
}

static void wakes_free(struct search *s, uint32_t w)
{
	while (w) {
		uint32_t next = s->wake[w].next;

		wake_free(s, w);
		w = next;
	}
}

static uint16_t sequence_alloc(struct search *s)
{
	uint16_t q = s->free_sequences;

	if (q)
		s->free_sequences = s->sequence[q].next;
	else if (s->nr_sequences + 1 < SEARCH_SEQUENCES)
		q = (uint16_t)++s->nr_sequences;
	else
		s->no_room = true;
	if (q)
		memset(&s->sequence[q], 0, sizeof(s->sequence[q]));
	return q;
}

static void sequence_free(struct search *s, uint16_t q)
{
	s->sequence[q].next = s->free_sequences;
	s->free_sequences = q;
}

static void add_pending(struct search *s, struct node *n, uint16_t q)
{
	s->sequence[q].next = 0;
	if (n->pending)
		s->sequence[n->last_pending].next = q;
	else
		n->pending = q;
	n->last_pending = q;
}

static uint16_t take_pending(struct search *s, struct node *n)
{
	uint16_t q = n->pending;

	if (q)
		n->pending = s->sequence[q].next;
	return q;
}

static void drop_pending(struct search *s, struct node *n)
{
	uint16_t q;

	while ((q = take_pending(s, n))) {
		wakes_free(s, s->sequence[q].first);
		sequence_free(s, q);
	}
}

/* Do two footprints have the same touches? */
static bool same_touches(const struct search *s, unsigned int a, unsigned int b)
{
	const struct print *p = &s->print[a], *q = &s->print[b];

	if (p->all || q->all || p->n != q->n)
		return p->all && q->all;
	for (unsigned int i = 0; i < p->n; i++)
		if (s->touch[p->from + i].thing !=
			    s->touch[q->from + i].thing ||
		    s->touch[p->from + i].how != s->touch[q->from + i].how)
			return false;
	return true;
}

/* Take thread t's first step out of the sequence, because t has taken this
 * step. step: the number of the footprint that the step really had. */
static void take_out(struct search *s, uint16_t q, unsigned int t,
		     unsigned int step)
{
	uint32_t w = s->sequence[q].first, before = 0;

	while (w && s->wake[w].thread != t) {
		before = w;
		w = s->wake[w].next;
	}
	if (!w)
		return;
	s->off_course += !s->wake[w].unsure &&
			 !same_touches(s, s->wake[w].step, step);
	if (before)
		s->wake[before].next = s->wake[w].next;
	else
		s->sequence[q].first = s->wake[w].next;
	wake_free(s, w);
	s->sequence[q].id = 0;
}

/* ---- steps that have been seen ------------------------------------------- */

/*
 * The id of a step is a hash of the step and of all that happens before the
 * step. before: the id of the thread's previous step; 0 for its first step.
 * sum: the ids of the earlier steps on which the step depends, mixed and added
 * up.
 */
static uint64_t id_of(unsigned int t, uint64_t before, unsigned int step,
		      uint64_t sum)
{
	uint64_t h = mix(before + (t + 1) * 0xd6e8feb86659fd93ull);

	return mix(h + (step + 1) * 0x9e3779b97f4a7c15ull + sum) | 1;
}

static uint32_t seen_key(unsigned int t, uint64_t before)
{
	return (uint32_t)mix(before + (t + 1) * 0xd6e8feb86659fd93ull);
}

static void remember(struct search *s, unsigned int t, uint64_t before,
		     unsigned int step, uint64_t id)
{
	uint32_t key = seen_key(t, before);
	unsigned int i = key % SEARCH_SEEN;

	for (; s->seen[i].id; i = (i + 1) % SEARCH_SEEN)
		if (s->seen[i].id == id)
			return;
	if (s->nr_seen >= SEARCH_SEEN / 4 * 3) {
		s->forgetful = true;
		return;
	}
	s->nr_seen++;
	s->seen[i] = (struct seen){ id, key, (uint16_t)step };
}

/* Returns `sum` (id_of()) for a step with the footprint `step`. Before it come
 * the first k steps of the run, and then nr steps of a sequence, from w on. The
 * ids of these nr steps are in s->ids[]. */
static uint64_t sum_of(struct search *s, unsigned int k, uint32_t w,
		       unsigned int nr, unsigned int step)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < k; i++)
		if (dependent(s, s->node[i].step, step))
			sum += mix(s->node[i].id);
	for (unsigned int i = 0; i < nr; i++, w = s->wake[w].next)
		if (dependent(s, s->wake[w].step, step))
			sum += mix(s->ids[i]);
	return sum;
}

/*
 * The last step of a sequence is unsure. Has this step been seen in some run: a
 * step of the same thread, after the same earlier steps? If so, take the
 * footprint that was seen. The sequence begins after the first k steps of the
 * run.
 */
static bool look_up(struct search *s, unsigned int k, uint32_t first)
{
	uint64_t before[SEARCH_THREADS] = { 0 };
	unsigned int nr = 0, t, i;
	uint32_t w, key;

	for (i = 0; i < k; i++)
		before[s->node[i].chosen] = s->node[i].id;
	for (w = first; s->wake[w].next; w = s->wake[w].next, nr++) {
		t = s->wake[w].thread;
		s->ids[nr] = id_of(t, before[t], s->wake[w].step,
				   sum_of(s, k, first, nr, s->wake[w].step));
		before[t] = s->ids[nr];
	}
	t = s->wake[w].thread;
	key = seen_key(t, before[t]);
	i = key % SEARCH_SEEN;
	for (; s->seen[i].id; i = (i + 1) % SEARCH_SEEN) {
		const struct seen *e = &s->seen[i];

		if (e->before != key ||
		    e->id != id_of(t, before[t], e->step,
				   sum_of(s, k, first, nr, e->step)))
			continue;
		s->wake[w].step = e->step;
		s->wake[w].unsure = false;
		return true;
	}
	return false;
}

/* ---- what a sequence begins with ----------------------------------------- */

enum answer { NO, YES, UNSURE };

/* Is the step of thread t a weak initial of the sequence? It is one if it could
 * come first, whether or not the sequence contains it. */
static enum answer is_weak_initial(struct search *s, uint32_t w, unsigned int t,
				   unsigned int step)
{
	for (; w; w = s->wake[w].next) {
		if (s->wake[w].thread == t)
			return YES;
		if (s->wake[w].unsure)
			return UNSURE;
		if (dependent(s, s->wake[w].step, step))
			return NO;
	}
	return YES;
}

/* Returns the threads of the set whose next step depends on this step. */
static unsigned int awakened(struct search *s, const struct node *n,
			     unsigned int set, unsigned int step)
{
	unsigned int woken = 0;

	for (unsigned int t = 0; set >> t; t++)
		if (set & BIT(t) && dependent(s, n->first[t], step))
			woken |= BIT(t);
	return woken;
}

/* Is the step of a thread that sleeps at node k a weak initial of the sequence?
 * Then no schedule that begins with the sequence needs to be run. */
static bool is_covered(struct search *s, unsigned int k, uint32_t first)
{
	const struct node *n = &s->node[k];

	for (unsigned int t = 0; t < s->threads; t++) {
		enum answer a;

		if (!(n->asleep & BIT(t)))
			continue;
		a = is_weak_initial(s, first, t, n->first[t]);
		if (a == UNSURE && look_up(s, k, first))
			a = is_weak_initial(s, first, t, n->first[t]);
		if (a == YES)
			return true;
	}
	return false;
}

/* ---- schedules ----------------------------------------------------------- */

void search_init(struct search *s, unsigned int threads, enum search_mode mode,
		 unsigned int bound)
{
	memset(s, 0, offsetof(struct search, node));
	for (unsigned int i = 0; i <= SEARCH_STEPS; i++)
		s->node[i].pending = 0;
	memset(s->print_at, 0, sizeof(s->print_at));
	memset(s->answer, 0, sizeof(s->answer));
	memset(s->seen, 0, sizeof(s->seen));
	s->threads = threads;
	s->mode = mode;
	s->bound = bound;
}

/* Take the first step of the path. Returns its thread. */
static uint8_t follow_path(struct search *s)
{
	uint32_t w = s->path;
	uint8_t t = s->wake[w].thread;

	s->expects = !s->wake[w].unsure;
	s->expected = s->wake[w].step;
	s->path = s->wake[w].next;
	s->path_ends = !s->path;
	wake_free(s, w);
	return t;
}

/* All schedules that begin with the step chosen at node k have been run. Choose
 * the next pending sequence. Returns false if there is none. */
static bool choose_sequence(struct search *s, unsigned int k)
{
	struct node *n = &s->node[k];
	uint16_t q;

	while ((q = take_pending(s, n))) {
		uint32_t w = s->sequence[q].first;

		sequence_free(s, q);
		if (is_covered(s, k, w)) {
			wakes_free(s, w);
			continue;
		}
		if (!(n->enabled & BIT(s->wake[w].thread))) {
			s->off_course++; /* a footprint was wrong */
			wakes_free(s, w);
			continue;
		}
		s->path = w;
		n->chosen = follow_path(s);
		return true;
	}
	return false;
}

/* For the full and the bounded search: choose the next thread at this node.
 * Returns false if there is none. */
static bool choose_open(struct node *n)
{
	unsigned int open = n->todo & ~n->done;

	if (!open)
		return false;
	n->chosen = (uint8_t)__builtin_ctz(open);
	n->done |= (uint8_t)BIT(n->chosen);
	return true;
}

static bool begin_run(struct search *s, unsigned int prefix, unsigned int same)
{
	s->prefix = prefix;
	s->same = same;
	s->steps = 0;
	s->ordered = min(s->ordered, same);
	s->redundant = s->redundant_run = false;
	s->beyond = 0;
	return true;
}

bool search_next(struct search *s)
{
	unsigned int k = s->steps;

	if (!s->begun || s->no_room) {
		s->begun = true;
		return true; /* if there is no room, search_choose() says so */
	}
	if (s->redundant_run && ++s->order < s->check_orders)
		return begin_run(s, k, k);
	s->order = 0;
	wakes_free(s, s->path);
	s->path = 0;
	/* No step was chosen at the node where the run was given up: another
	 * sequence may begin there. */
	if (s->redundant && choose_sequence(s, k))
		return begin_run(s, k + 1, k);
	for (; k > 0; k--) {
		struct node *n = &s->node[k - 1];

		n->first[n->chosen] = n->step;
		if (s->mode == SEARCH_REDUCED)
			n->asleep |= (uint8_t)BIT(n->chosen);
		if (s->mode == SEARCH_REDUCED ? choose_sequence(s, k - 1) :
						choose_open(n))
			return begin_run(s, k, k - 1);
	}
	return false;
}

static bool same_standing(const struct search *s, const struct node *n,
			  unsigned int enabled, const struct standing *stands)
{
	if (n->enabled != enabled)
		return false;
	for (unsigned int t = 0; t < s->threads; t++) {
		const struct spot *a = &n->stands[t];
		const struct standing *b = &stands[t];

		if (a->where != b->where)
			return false;
		if (a->where == STAND_AT_POINT &&
		    (a->op != b->op || a->thing != b->thing ||
		     a->how != b->how || a->takes != b->takes ||
		     a->also != b->also))
			return false;
	}
	return true;
}

static void keep_standing(const struct search *s, struct spot *kept,
			  const struct standing *stands)
{
	for (unsigned int t = 0; t < s->threads; t++)
		kept[t] = (struct spot){ .thing = stands[t].thing,
					 .op = stands[t].op,
					 .where = (uint8_t)stands[t].where,
					 .how = (uint8_t)stands[t].how,
					 .takes = stands[t].takes,
					 .also = stands[t].also,
					 .vague = stands[t].vague };
}

/* Set n->asleep: the threads that need no run from this node. Each of these
 * threads has had a run from an earlier node, and no step since that node is
 * dependent on the thread's step. */
static void set_asleep(struct search *s, struct node *n)
{
	const struct node *prev = n - 1;

	n->asleep = 0;
	if (s->mode != SEARCH_REDUCED || s->steps == 0)
		return;
	n->asleep = (uint8_t)(prev->asleep & ~BIT(prev->chosen));
	n->asleep &= (uint8_t)~awakened(s, prev, n->asleep, prev->step);
	memcpy(n->first, prev->first, sizeof(n->first));
}

/* Returns 1 if thread t, chosen at place k, preempts the thread of the step
 * before, else 0. */
static unsigned int preempts(const struct search *s, unsigned int k,
			     unsigned int t)
{
	unsigned int last = k ? s->node[k - 1].chosen : t;

	return t != last && s->node[k].enabled & BIT(last);
}

/* For the full and the bounded search: note which threads get a run from this
 * node. */
static void note_choices(struct search *s, struct node *n)
{
	unsigned int k = s->steps;

	n->preemptions = 0;
	if (k)
		n->preemptions =
			(uint16_t)((n - 1)->preemptions +
				   preempts(s, k - 1, (n - 1)->chosen));
	n->done = n->todo = (uint8_t)BIT(n->chosen);
	for (unsigned int t = 0; t < s->threads; t++) {
		if (!(n->enabled & BIT(t)))
			continue;
		if (s->mode == SEARCH_BOUNDED &&
		    n->preemptions + preempts(s, k, t) > s->bound)
			s->cut_short = true;
		else
			n->todo |= (uint8_t)BIT(t);
	}
}

/* Continue a redundant run in the order number s->order. Order 0 takes the
 * enabled thread with the lowest number, 1 the one with the highest, 2 takes
 * the threads in turn, and each other order mixes them in a way of its own. */
static int choose_redundant(struct search *s, unsigned int enabled)
{
	unsigned int turn = s->order;

	if (s->steps + s->beyond == SEARCH_STEPS)
		return SEARCH_TOO_LONG;
	s->beyond++;
	if (s->order > 2) /* a mixed order */
		turn = (unsigned int)mix(s->order * SEARCH_STEPS + s->beyond);
	else if (s->order == 1)
		return 31 - __builtin_clz(enabled);
	else if (s->order == 2)
		turn = s->beyond;
	while (!(enabled & BIT(turn % s->threads)))
		turn++;
	return (int)(turn % s->threads);
}

static int give_up(struct search *s, unsigned int enabled)
{
	s->redundant = true;
	if (!s->check_orders)
		return SEARCH_REDUNDANT;
	s->redundant_run = true;
	return choose_redundant(s, enabled);
}

/* Choose the step of a node that is reached for the first time. */
static int new_choice(struct search *s, struct node *n)
{
	unsigned int last = s->steps ? (n - 1)->chosen : 0;
	unsigned int able;

	set_asleep(s, n);
	able = n->enabled & ~n->asleep;
	if (s->path_ends) {
		s->path_ends = false;
		/* After the last step of a sequence no thread should sleep. If
		 * one does, this run is redundant. */
		if (n->asleep)
			return give_up(s, n->enabled);
		drop_pending(s, n);
	}
	if (s->path && able & BIT(s->wake[s->path].thread))
		return n->chosen = follow_path(s);
	s->off_course += s->path != 0;
	wakes_free(s, s->path);
	s->path = 0;
	if (!able)
		return give_up(s, n->enabled);
	n->chosen = (uint8_t)(able & BIT(last) ?
				      last :
				      (unsigned int)__builtin_ctz(able));
	return n->chosen;
}

int search_choose(struct search *s, unsigned int enabled,
		  const struct standing *stands)
{
	struct node *n = &s->node[s->steps];

	if (s->no_room)
		return SEARCH_NO_ROOM;
	if (s->diverged)
		return SEARCH_DIVERGED;
	if (s->redundant_run)
		return choose_redundant(s, enabled);
	if (s->steps == SEARCH_STEPS)
		return SEARCH_TOO_LONG;
	if (s->steps < s->prefix)
		return same_standing(s, n, enabled, stands) &&
				       enabled & BIT(n->chosen) ?
			       n->chosen :
			       SEARCH_DIVERGED;
	if (s->order) {
		s->redundant = s->redundant_run = true;
		return choose_redundant(s, enabled);
	}
	n->enabled = (uint8_t)enabled;
	keep_standing(s, n->stands, stands);
	if (s->mode == SEARCH_REDUCED)
		return new_choice(s, n);
	n->asleep = 0;
	n->chosen = s->steps && enabled & BIT((n - 1)->chosen) ?
			    (n - 1)->chosen :
			    (uint8_t)__builtin_ctz(enabled);
	note_choices(s, n);
	return n->chosen;
}

/* A step was taken at this node. Move the pending sequences that could begin
 * with this step to the next node, without the step. */
static void move_pending(struct search *s, struct node *n)
{
	uint16_t all = n->pending;

	n->pending = 0;
	while (all) {
		uint16_t q = all;
		bool goes = is_weak_initial(s, s->sequence[q].first, n->chosen,
					    n->step) == YES;

		all = s->sequence[q].next;
		if (goes)
			take_out(s, q, n->chosen, n->step);
		if (s->sequence[q].first)
			add_pending(s, goes ? n + 1 : n, q);
		else
			sequence_free(s, q);
	}
}

void search_step(struct search *s, const struct footprint *step)
{
	struct node *n = &s->node[s->steps];

	if (s->redundant_run || s->no_room)
		return;
	if (s->steps < s->same) {
		s->diverged |= !same_footprint(s, &s->print[n->step], step);
	} else {
		n->step = number_of(s, step);
		s->off_course += s->expects &&
				 !same_touches(s, s->expected, n->step);
		s->expects = false;
		move_pending(s, n);
	}
	s->steps++;
}

/* ---- races --------------------------------------------------------------- */

/* Does step i happen before the step whose clock this is? */
static bool happens_before(const struct search *s, unsigned int i,
			   const uint16_t *clock)
{
	return clock[s->node[i].chosen] > i;
}

static void join(const struct search *s, uint16_t *clock, const uint16_t *other)
{
	for (unsigned int q = 0; q < s->threads; q++)
		clock[q] = max(clock[q], other[q]);
}

/* May the step have another footprint in another state? */
static bool is_vague(const struct search *s, const struct node *n)
{
	const struct spot *at = &n->stands[n->chosen];
	const struct print *p = &s->print[n->step];
	const struct touch *t = &s->touch[p->from];

	return at->vague || !at->thing || p->n != 1 || p->all ||
	       t->thing != at->thing || t->how != at->how;
}

/* Compute the members prev, clock and id of step k from the steps before it. */
static void order_step(struct search *s, unsigned int k)
{
	struct node *n = &s->node[k];
	unsigned int t = n->chosen;
	uint64_t before = 0, sum = 0;

	n->prev = s->last[t];
	memset(n->clock, 0, sizeof(n->clock));
	if (n->prev) {
		before = s->node[n->prev - 1].id;
		memcpy(n->clock, s->node[n->prev - 1].clock, sizeof(n->clock));
	}
	for (unsigned int i = 0; i < k; i++) {
		if (!dependent(s, s->node[i].step, n->step))
			continue;
		sum += mix(s->node[i].id);
		join(s, n->clock, s->node[i].clock);
	}
	n->clock[t] = (uint16_t)(k + 1);
	s->last[t] = (uint16_t)(k + 1);
	n->id = id_of(t, before, n->step, sum);
	if (s->mode == SEARCH_REDUCED && is_vague(s, n))
		remember(s, t, before, n->step, n->id);
}

/* Suppose that only these steps were run: all steps before place i, and the
 * later steps that do not happen after step i. Is the thing closed then? *by:
 * the place of the step that closed the thing. */
static bool is_closed_before(const struct search *s, unsigned int i,
			     uintptr_t thing, unsigned int *by)
{
	for (unsigned int j = s->steps; j-- > 0;) {
		const struct node *n = &s->node[j];
		const struct spot *at = &n->stands[n->chosen];
		const struct touch *touch;

		if (j >= i && happens_before(s, i, n->clock))
			continue;
		touch = find_touch(s, n, thing);
		if (touch && touch->gives && !touch->shuts)
			return false;
		if (touch &&
		    (touch->shuts || (at->takes && at->thing == thing &&
				      touch->how == TOUCH_WRITE))) {
			*by = j;
			return true;
		}
	}
	return false;
}

/*
 * Step i and a step of thread t race. So this is a sequence to run from node i:
 * the steps behind i that do not happen after i, and then t's step. step: the
 * number of the footprint of t's step; unsure: the step may have another
 * footprint here. other: if not 0, a thing that t takes too. Then the step that
 * closes this thing, and all steps that happen after that step, are left out.
 * (If the thing was closed before place i, t's step could not come here.)
 */
static void reverse(struct search *s, unsigned int i, unsigned int t,
		    unsigned int step, bool unsure, uintptr_t other)
{
	struct node *n = &s->node[i];
	unsigned int asleep = n->asleep, out = i;
	uint64_t id = (t + 1) * 0xd6e8feb86659fd93ull;
	uint32_t tail = 0;
	uint16_t q;

	if (other && is_closed_before(s, i, other, &out) && out < i)
		return;
	/* If the step of a sleeper is a weak initial of the sequence, the
	 * sequence is not needed. */
	for (unsigned int j = i + 1; j < s->steps; j++) {
		const struct node *m = &s->node[j];

		if (happens_before(s, i, m->clock) ||
		    happens_before(s, out, m->clock))
			continue;
		id += mix(m->id);
		if (asleep & BIT(m->chosen))
			return;
		asleep &= ~awakened(s, n, asleep, m->step);
	}
	if (asleep & BIT(t))
		return;
	if (!unsure && (asleep & ~awakened(s, n, asleep, step)))
		return;
	for (q = n->pending; q; q = s->sequence[q].next)
		if (s->sequence[q].id == id)
			return;
	q = sequence_alloc(s);
	if (!q)
		return;
	s->sequence[q].id = id;
	for (unsigned int j = i + 1; j <= s->steps; j++) {
		const struct node *m = &s->node[j];
		uint32_t w;

		if (j < s->steps && (happens_before(s, i, m->clock) ||
				     happens_before(s, out, m->clock)))
			continue;
		w = j < s->steps ? wake_alloc(s, m->chosen, m->step, false) :
				   wake_alloc(s, t, step, unsure);
		if (!w)
			return;
		if (tail)
			s->wake[tail].next = w & 0xffffff;
		else
			s->sequence[q].first = w;
		tail = w;
	}
	if (asleep && is_covered(s, i, s->sequence[q].first)) {
		wakes_free(s, s->sequence[q].first);
		sequence_free(s, q);
		return;
	}
	add_pending(s, n, q);
}

/*
 * Thread t takes the thing at place k. (If not `taken`, the run has ended and t
 * waits: t would take the thing if it were open.) Another thread may have
 * closed the thing before, and may have opened it again. Find the step that
 * closed the thing: t could have taken the thing before this step, so call
 * reverse(). prior: the clock of t's previous step.
 */
static void find_closer(struct search *s, unsigned int k, unsigned int t,
			const uint16_t *prior, uintptr_t thing,
			enum touch_how how, bool taken, unsigned int step,
			bool unsure, uintptr_t other)
{
	const struct touch *touch;
	unsigned int from, j = k;

	while (taken && j-- > 0) {
		touch = find_touch(s, &s->node[j], thing);
		if (touch && touch->gives && !touch->shuts)
			break;
		if (j == 0)
			return;
	}
	if (taken && (!k || happens_before(s, j, prior)))
		return;
	from = j;
	while (j-- > 0) {
		const struct node *n = &s->node[j];
		const struct spot *at = &n->stands[n->chosen];
		bool takes;

		touch = find_touch(s, n, thing);
		if (!touch)
			continue;
		if (touch->gives && touch->shuts)
			continue; /* the thing was closed before this step and
				   * after it */
		if (touch->gives)
			break;
		takes = at->takes && at->thing == thing;
		if (touch->shuts || (takes && touch->how == TOUCH_WRITE)) {
			if (n->chosen != t && !happens_before(s, j, prior))
				reverse(s, j, t, step, unsure, other);
			return;
		}
		if (takes)
			break;
	}
	/* No record says which step closed the thing, so reverse each step that
	 * may have closed it. */
	for (j++; j < from; j++) {
		const struct node *n = &s->node[j];

		touch = find_touch(s, n, thing);
		if (!touch || touch->how == TOUCH_READ || n->chosen == t ||
		    happens_before(s, j, prior))
			continue;
		/* If t came to this point after step j, and takes the thing by
		 * writing, step j may have closed it. (If t only reads it, t
		 * waits to be woken: t's own step has closed it.) If t came
		 * before step j, `enabled` says whether t could go on. */
		if (prior[t] > j ? how == TOUCH_WRITE : n->enabled & BIT(t))
			reverse(s, j, t, step, unsure, other);
	}
}

static const uint16_t no_clock[SEARCH_THREADS];

static bool gives(const struct search *s, const struct node *n, uintptr_t thing)
{
	const struct touch *touch = find_touch(s, n, thing);

	return touch && touch->gives;
}

/* Find the steps that race with step k, and call reverse() for each. */
static void find_races(struct search *s, unsigned int k)
{
	const struct node *n = &s->node[k];
	const struct spot *at = &n->stands[n->chosen];
	const uint16_t *prior = n->prev ? s->node[n->prev - 1].clock : no_clock;
	bool unsure = is_vague(s, n);
	uint16_t clock[SEARCH_THREADS];

	memcpy(clock, prior, sizeof(clock));
	for (unsigned int i = k; i-- > 0;) {
		const struct node *m = &s->node[i];

		if (happens_before(s, i, clock) ||
		    !dependent(s, m->step, n->step))
			continue;
		join(s, clock, m->clock);
		if (!(at->takes && gives(s, m, at->thing)) &&
		    !(at->also && gives(s, m, at->also)))
			reverse(s, i, n->chosen, n->step, unsure, 0);
	}
	if (at->takes)
		find_closer(s, k, n->chosen, prior, at->thing,
			    (enum touch_how)at->how, true, n->step, unsure,
			    at->also);
	if (at->also)
		find_closer(s, k, n->chosen, prior, at->also, TOUCH_READ, true,
			    n->step, unsure, at->takes ? at->thing : 0);
}

/* Thread t waits at its gate. Find the steps that race with the step that t
 * would take if the thing were open. */
static void find_races_of_waiting(struct search *s, unsigned int t,
				  const struct standing *stand)
{
	const uint16_t *prior = s->last[t] ? s->node[s->last[t] - 1].clock :
					     no_clock;
	struct footprint f = { .n = 0 };
	unsigned int step;

	footprint_add(&f, stand->thing, stand->how, false);
	if (stand->also)
		footprint_add(&f, stand->also, TOUCH_READ, false);
	step = number_of(s, &f);
	if (stand->takes)
		find_closer(s, s->steps, t, prior, stand->thing, stand->how,
			    false, step, stand->vague, stand->also);
	if (stand->also)
		find_closer(s, s->steps, t, prior, stand->also, TOUCH_READ,
			    false, step, stand->vague,
			    stand->takes ? stand->thing : 0);
}

/* Compute the ids of the steps of this run. */
static void order_steps(struct search *s)
{
	memset(s->last, 0, sizeof(s->last));
	for (unsigned int k = 0; k < s->ordered; k++)
		s->last[s->node[k].chosen] = (uint16_t)(k + 1);
	for (; s->ordered < s->steps; s->ordered++)
		order_step(s, s->ordered);
}

uint64_t search_state(struct search *s)
{
	uint64_t sum = 0;

	order_steps(s);
	for (unsigned int k = 0; k < s->steps; k++)
		sum += mix(s->node[k].id);
	return sum;
}

int search_end(struct search *s, const struct standing *stands)
{
	if (s->diverged || (s->steps < s->prefix && !s->no_room))
		return SEARCH_DIVERGED;
	if (s->no_room)
		return SEARCH_NO_ROOM;
	if (s->order)
		return 0;
	if (s->path_ends && !s->redundant)
		drop_pending(s, &s->node[s->steps]);
	s->path_ends = false;
	s->off_course += s->path != 0 ||
			 (!s->redundant && s->node[s->steps].pending);
	order_steps(s);
	if (s->mode != SEARCH_REDUCED)
		return 0;
	for (unsigned int k = 1; k < s->steps; k++)
		find_races(s, k);
	for (unsigned int t = 0; !s->redundant && t < s->threads; t++)
		if (stands[t].where == STAND_AT_POINT &&
		    (stands[t].takes || stands[t].also))
			find_races_of_waiting(s, t, &stands[t]);
	return s->no_room ? SEARCH_NO_ROOM : 0;
}

/* ---- few switches -------------------------------------------------------- */

/*
 * Dynamic programming. A state is how far each thread has come (a number in
 * mixed radix) and which thread took the last step. `room` holds for each state
 * the fewest switches to get there, and the thread of the step before.
 */
struct lattice {
	const struct search *s;
	unsigned int count[SEARCH_THREADS], stride[SEARCH_THREADS], size;
	/* place[t][n]: where thread t's n-th step is in the schedule. */
	uint16_t place[SEARCH_THREADS][SEARCH_STEPS];
};

#define FAR 255

/* The number of steps that thread t has taken in state `at`. */
static unsigned int steps_taken(const struct lattice *l, unsigned int at,
				unsigned int t)
{
	return at / l->stride[t] % (l->count[t] + 1);
}

/* Can thread t take a step in state `at`? It can if all steps that happen
 * before its next step have been taken. */
static bool may_step(const struct lattice *l, unsigned int at, unsigned int t)
{
	unsigned int n = steps_taken(l, at, t), i;

	if (n == l->count[t])
		return false;
	i = l->place[t][n];
	for (unsigned int q = 0; q < l->s->threads; q++) {
		unsigned int done = steps_taken(l, at, q);
		/* Does q's next step happen before t's? */
		if (q != t && done < l->count[q] &&
		    l->s->node[i].clock[q] > l->place[q][done])
			return false;
	}
	return true;
}

/* Prepare the lattice of the last run. Returns false if there is no room. */
static bool lattice_init(struct lattice *l, const struct search *s,
			 size_t room_size)
{
	memset(l->count, 0, sizeof(l->count));
	l->s = s;
	for (unsigned int i = 0; i < s->steps; i++) {
		unsigned int t = s->node[i].chosen;

		l->place[t][l->count[t]++] = (uint16_t)i;
	}
	l->size = 1;
	for (unsigned int t = 0; t < s->threads; t++) {
		l->stride[t] = l->size;
		l->size *= l->count[t] + 1;
		if (l->size > room_size / 2 / SEARCH_THREADS)
			return false;
	}
	return true;
}

static unsigned int switches_in(const uint8_t *order, unsigned int n)
{
	unsigned int switches = 0;

	for (unsigned int i = 1; i < n; i++)
		switches += order[i] != order[i - 1];
	return switches;
}

/* Go on from state `at` by one step of each thread that can take one. */
static void extend_orders(const struct lattice *l, unsigned int at,
			  uint8_t *cost, uint8_t *from)
{
	for (unsigned int last = 0; last < l->s->threads; last++) {
		unsigned int c = cost[at * SEARCH_THREADS + last];

		for (unsigned int t = 0; c < FAR && t < l->s->threads; t++) {
			unsigned int then =
				(at + l->stride[t]) * SEARCH_THREADS + t;
			unsigned int with = c + (t != last && at != 0);

			if (with >= FAR || !may_step(l, at, t) ||
			    with > cost[then])
				continue;
			cost[then] = (uint8_t)with;
			from[then] = (uint8_t)last;
		}
	}
}

unsigned int search_straighten(const struct search *s, uint8_t *order,
			       uint8_t *room, size_t room_size, bool *as_ran)
{
	static struct lattice l; /* one caller at a time */
	unsigned int best = 0, at, n = s->steps;
	uint8_t *cost = room, *from;

	for (unsigned int i = 0; i < n; i++)
		order[i] = s->node[i].chosen;
	*as_ran = n != 0;
	if (!n || s->ordered < n || !lattice_init(&l, s, room_size))
		return switches_in(order, n);
	from = room + l.size * SEARCH_THREADS;
	memset(cost, FAR, l.size * SEARCH_THREADS);
	cost[0] = 0; /* no step yet; "thread 0 was last" means nothing */
	for (at = 0; at < l.size; at++)
		extend_orders(&l, at, cost, from);
	at = l.size - 1;
	for (unsigned int t = 1; t < s->threads; t++)
		/* Of equally good orders, take the one whose last steps belong
		 * to the thread with the highest number. Then a thread with a
		 * low number begins. (extend_orders() chooses in the same
		 * way.) */
		if (cost[at * SEARCH_THREADS + t] <=
		    cost[at * SEARCH_THREADS + best])
			best = t;
	if (cost[at * SEARCH_THREADS + best] == FAR)
		return switches_in(order, n);
	*as_ran = false;
	for (unsigned int t = best; n > 0;) {
		unsigned int prev = from[at * SEARCH_THREADS + t];

		order[--n] = (uint8_t)t;
		at -= l.stride[t];
		t = prev;
	}
	return switches_in(order, s->steps);
}
