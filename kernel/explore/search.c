/*
 * The search. What it is for: search.h. Owns nothing; the caller owns struct
 * search.
 */
#include "kernel/explore/search.h"

#include <string.h>

#include "kernel/lib/compiler.h"

/* ---- footprints ---------------------------------------------------------- */

static uint32_t hash_bit(uintptr_t thing)
{
	return 1u << ((uint32_t)thing * 2654435761u >> 27);
}

void footprint_add(struct footprint *f, uintptr_t thing, bool write, bool moves)
{
	unsigned int i = 0;

	f->moving_read |= moves;
	f->moving_write |= moves && write;
	*(write ? &f->writes : &f->reads) |= hash_bit(thing);
	while (i < f->n && f->touch[i].thing != thing)
		i++;
	if (i == FOOTPRINT_THINGS) {
		f->all = true;
		return;
	}
	f->touch[i].thing = thing;
	f->touch[i].write = write || (i < f->n && f->touch[i].write);
	f->touch[i].moves = moves;
	f->n = (uint16_t)(i < f->n ? f->n : i + 1);
}

bool are_dependent(const struct footprint *a, const struct footprint *b)
{
	if (a->all || b->all)
		return true;
	if (!(a->writes & (b->reads | b->writes)) && !(a->reads & b->writes))
		return false;
	for (unsigned int i = 0; i < a->n; i++)
		for (unsigned int k = 0; k < b->n; k++)
			if (a->touch[i].thing == b->touch[k].thing &&
			    (a->touch[i].write || b->touch[k].write))
				return true;
	return false;
}

/* Are steps of two different runs dependent? Any two things that move may be
 * the same thing. */
static bool are_dependent_across_runs(const struct footprint *a,
				      const struct footprint *b)
{
	return (a->moving_write && b->moving_read) ||
	       (a->moving_read && b->moving_write) || are_dependent(a, b);
}

/* Does b touch all things of a that do not move, in the same way? */
static bool covers_fixed_things(const struct footprint *a,
				const struct footprint *b)
{
	for (unsigned int i = 0; i < a->n; i++) {
		unsigned int k = 0;

		while (k < b->n && a->touch[i].thing != b->touch[k].thing)
			k++;
		if (!a->touch[i].moves &&
		    (k == b->n || a->touch[i].write != b->touch[k].write))
			return false;
	}
	return true;
}

/* Are these the footprints of one step in two runs? The order in which the step
 * touched things may differ, as parts of it run on other cores at the same
 * time. */
static bool same_footprint(const struct footprint *a, const struct footprint *b)
{
	if (a->moving_read != b->moving_read ||
	    a->moving_write != b->moving_write)
		return false;
	/* Things that move may be more things in one run than in the other, so
	 * one of the two footprints may have overflowed. */
	if (a->all || b->all)
		return a->all == b->all || a->moving_read;
	return covers_fixed_things(a, b) && covers_fixed_things(b, a);
}

/* ---- schedules ----------------------------------------------------------- */

void search_init(struct search *s, unsigned int threads, enum search_mode mode,
		 unsigned int bound)
{
	memset(s, 0, offsetof(struct search, node));
	s->threads = threads;
	s->mode = mode;
	s->bound = bound;
}

/* Returns the threads that are worth a run from this node and have had none. */
static unsigned int open_choices(const struct node *n)
{
	return n->todo & ~n->done & ~n->asleep;
}

bool search_next(struct search *s)
{
	unsigned int k = s->steps;

	memset(s->clock, 0, sizeof(s->clock));
	if (!s->begun) {
		s->begun = true;
		return true;
	}
	while (k > 0) {
		struct node *n = &s->node[k - 1];
		unsigned int open = open_choices(n);

		n->first[n->chosen] = n->step;
		if (open) {
			n->chosen = (uint8_t)__builtin_ctz(open);
			n->done |= (uint8_t)(1u << n->chosen);
			s->prefix = k;
			s->steps = 0;
			return true;
		}
		k--;
	}
	return false;
}

/* Do the two say that a thread is at one and the same point? */
static bool same_point(const struct standing *a, const struct standing *b)
{
	return a->where == b->where &&
	       (a->where != STAND_AT_POINT ||
		(a->op == b->op && a->write == b->write &&
		 (a->moves || b->moves || a->thing == b->thing)));
}

/* Are the threads where they were when this node was first reached? */
static bool same_standing(const struct search *s, const struct node *n,
			  unsigned int enabled, const struct standing *stands)
{
	if (n->enabled != enabled)
		return false;
	for (unsigned int t = 0; t < s->threads; t++)
		if (!same_point(&n->stands[t], &stands[t]))
			return false;
	return true;
}

/* Set n->asleep: the threads that need no run from this node. Each of them has
 * had a run from an earlier node, and no step since that node is dependent with
 * the thread's step. */
static void set_asleep(struct search *s, struct node *n)
{
	const struct node *prev = n - 1;
	unsigned int may;

	n->asleep = 0;
	if (s->mode != SEARCH_REDUCED || s->steps == 0)
		return;
	may = (prev->asleep | prev->done) & ~(1u << prev->chosen);
	for (unsigned int t = 0; t < s->threads; t++) {
		if (!(may & 1u << t) ||
		    are_dependent_across_runs(&prev->first[t], &prev->step))
			continue;
		n->asleep |= (uint8_t)(1u << t);
		n->first[t] = prev->first[t];
	}
}

/* 1 if thread t, chosen at place k, preempts the thread of the step before. */
static unsigned int preempts(const struct search *s, unsigned int k,
			     unsigned int t)
{
	unsigned int last = k ? s->node[k - 1].chosen : t;

	return t != last && s->node[k].enabled & 1u << last;
}

/* Choose the step of a node that is reached for the first time. Returns the
 * thread, or SEARCH_REDUNDANT. */
static int new_choice(struct search *s, struct node *n)
{
	unsigned int k = s->steps, last = k ? (n - 1)->chosen : 0;
	unsigned int able = n->enabled;

	n->preemptions = 0;
	if (k)
		n->preemptions = (uint16_t)((n - 1)->preemptions +
					    preempts(s, k - 1, last));
	set_asleep(s, n);
	able &= ~n->asleep;
	if (!able)
		return SEARCH_REDUNDANT;
	n->chosen = (uint8_t)(able & 1u << last ?
				      last :
				      (unsigned int)__builtin_ctz(able));
	n->done = n->todo = (uint8_t)(1u << n->chosen);
	if (s->mode == SEARCH_REDUCED)
		return n->chosen;
	for (unsigned int t = 0; t < s->threads; t++) {
		if (!(able & 1u << t))
			continue;
		if (s->mode == SEARCH_BOUNDED &&
		    n->preemptions + preempts(s, k, t) > s->bound)
			s->cut_short = true;
		else
			n->todo |= (uint8_t)(1u << t);
	}
	return n->chosen;
}

int search_choose(struct search *s, unsigned int enabled,
		  const struct standing *stands)
{
	struct node *n = &s->node[s->steps];

	if (s->diverged)
		return SEARCH_DIVERGED;
	if (s->steps == SEARCH_STEPS)
		return SEARCH_TOO_LONG;
	if (s->steps < s->prefix)
		return same_standing(s, n, enabled, stands) ? n->chosen :
							      SEARCH_DIVERGED;
	n->enabled = (uint8_t)enabled;
	memcpy(n->stands, stands, s->threads * sizeof(*stands));
	return new_choice(s, n);
}

/* ---- races --------------------------------------------------------------- */

/* Does step i happen before the step whose clock this is? */
static bool happens_before(const struct search *s, unsigned int i,
			   const uint16_t *clock)
{
	return clock[s->node[i].chosen] > i;
}

/*
 * Step i and a step of thread t, at place k, race: they could also come in the
 * other order. Add to node i a thread whose run leads to the other order.
 * Consider the steps between the two that do not happen after step i, and then
 * t's step. A thread will do if its first step among these does not happen
 * after another of them. clock: the clock of t's step.
 */
static void add_choice(struct search *s, unsigned int i, unsigned int k,
		       unsigned int t, const uint16_t *clock)
{
	struct node *n = &s->node[i];
	unsigned int seen = 0, first = 0, able;

	for (unsigned int j = i + 1; j <= k; j++) {
		const uint16_t *c = j < k ? s->node[j].clock : clock;
		unsigned int by = j < k ? s->node[j].chosen : t;
		bool needs = false;

		if (j < k && happens_before(s, i, c))
			continue;
		if (seen & 1u << by)
			continue;
		seen |= 1u << by;
		for (unsigned int m = i + 1; m < j && !needs; m++)
			needs = !happens_before(s, i, s->node[m].clock) &&
				happens_before(s, m, c);
		if (!needs)
			first |= 1u << by;
	}
	if ((n->todo | n->asleep) & first)
		return;
	able = first & n->enabled;
	if (able)
		n->todo |= (uint8_t)(able & 1u << t ? 1u << t : able & -able);
	else if (first != 1u << t || n->stands[t].where != STAND_AT_POINT)
		n->todo |= n->enabled; /* all threads, to be sure */
	/* Else t was at this point already at node i, and had to wait: this is
	 * no race. */
}

/* Find the steps that race with a step of thread t, which is at place k or not
 * taken yet, and add choices for them. after[]: the clock after the step. */
static void find_races(struct search *s, unsigned int t, unsigned int k,
		       const struct footprint *step, uint16_t *after)
{
	const uint16_t *prior = s->clock[t];

	memcpy(after, prior, sizeof(s->clock[t]));
	for (unsigned int i = 0; i < k; i++) {
		const struct node *n = &s->node[i];

		if (n->chosen == t || !are_dependent(&n->step, step))
			continue;
		for (unsigned int q = 0; q < s->threads; q++)
			after[q] = max(after[q], n->clock[q]);
	}
	/* The races of the replayed steps, except the last one, were handled in
	 * an earlier run. */
	if (s->mode != SEARCH_REDUCED || k + 1 < s->prefix)
		return;
	for (unsigned int i = 0; i < k; i++) {
		const struct node *n = &s->node[i];

		if (n->chosen != t && !happens_before(s, i, prior) &&
		    are_dependent(&n->step, step))
			add_choice(s, i, k, t, after);
	}
}

void search_step(struct search *s, const struct footprint *step,
		 unsigned int woken)
{
	unsigned int k = s->steps;
	struct node *n = &s->node[k];
	unsigned int t = n->chosen;

	/* The prefix ends with a new choice, which is not compared. */
	s->diverged |= k + 1 < s->prefix &&
		       (n->woken != woken || !same_footprint(&n->step, step));
	n->step = *step;
	n->woken = (uint8_t)woken;
	find_races(s, t, k, step, n->clock);
	n->clock[t] = (uint16_t)(k + 1);
	memcpy(s->clock[t], n->clock, sizeof(n->clock));
	/* A woken thread goes on after this step and because of it. */
	for (unsigned int q = 0; q < s->threads; q++)
		for (unsigned int i = 0; woken & 1u << q && i < s->threads; i++)
			s->clock[q][i] = max(s->clock[q][i], n->clock[i]);
	s->steps++;
}

/* The steps that the threads are about to take have not been taken, but they
 * may race too. */
int search_end(struct search *s, const struct standing *stands)
{
	uint16_t after[SEARCH_THREADS];

	if (s->diverged || s->steps < s->prefix)
		return SEARCH_DIVERGED;
	for (unsigned int t = 0; t < s->threads; t++) {
		struct footprint f = { .n = 0 };

		if (stands[t].where != STAND_AT_POINT || !stands[t].thing)
			continue;
		footprint_add(&f, stands[t].thing, stands[t].write, false);
		find_races(s, t, s->steps, &f, after);
	}
	return 0;
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
 * before t's next step have been taken. */
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
			    with >= cost[then])
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
	if (!n || !lattice_init(&l, s, room_size))
		return switches_in(order, n);
	from = room + l.size * SEARCH_THREADS;
	memset(cost, FAR, l.size * SEARCH_THREADS);
	cost[0] = 0; /* no step yet; "thread 0 was last" means nothing */
	for (at = 0; at < l.size; at++)
		extend_orders(&l, at, cost, from);
	at = l.size - 1;
	for (unsigned int t = 1; t < s->threads; t++)
		/* Of orders that are equally good, take the one whose last step
		 * is a later thread's: an earlier thread begins it. */
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
