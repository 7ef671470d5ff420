/*
 * See classes.h. A class is known by its canonical run: of all its runs the one
 * that is first in the order of a dictionary, if each run is written as the
 * sequence of its threads' numbers.
 */
#include "tests/host/classes.h"

#include <stdlib.h>
#include <string.h>

#include "tests/host/host.h"

struct event {
	uint8_t thread;
	uint8_t n;
	struct touch touched[MAX_TOUCHES];
};

struct run {
	unsigned int n;
	struct event event[MAX_STEPS];
};

static const struct step_machine *m;
static struct classes_result *res;

/* ---- what commutes ------------------------------------------------------- */

static bool depend(const struct event *a, const struct event *b)
{
	if (a->thread == b->thread)
		return true;
	for (unsigned int i = 0; i < a->n; i++)
		for (unsigned int k = 0; k < b->n; k++)
			if (a->touched[i].thing == b->touched[k].thing &&
			    (a->touched[i].how != b->touched[k].how ||
			     a->touched[i].how == TOUCH_WRITE))
				return true;
	return false;
}

/* Put the canonical run of r's class into c. From the front: of all events that
 * depend on none of those that are still to come before them, the one of the
 * lowest thread is next. */
static void canonical(struct run *c, const struct run *r)
{
	bool done[MAX_STEPS] = { false };

	c->n = 0;
	while (c->n < r->n) {
		const struct event *best = NULL;

		for (unsigned int i = 0; i < r->n; i++) {
			bool first = !done[i];

			for (unsigned int k = 0; k < i && first; k++)
				first = done[k] ||
					!depend(&r->event[k], &r->event[i]);
			if (first &&
			    (!best || r->event[i].thread < best->thread))
				best = &r->event[i];
		}
		done[best - r->event] = true;
		c->event[c->n++] = *best;
	}
}

static bool same_touches(const struct event *a, const struct event *b)
{
	return a->n == b->n && memcmp(a->touched, b->touched,
				      a->n * sizeof(a->touched[0])) == 0;
}

/* ---- the machine --------------------------------------------------------- */

static int by_thing(const void *a, const void *b)
{
	const struct touch *x = a, *y = b;

	if (x->thing != y->thing)
		return x->thing < y->thing ? -1 : 1;
	return (int)x->how - (int)y->how;
}

/* Let thread t do a step, and add it to r. */
static void go(struct run *r, unsigned int t)
{
	struct event *e = &r->event[r->n++];

	CHECK(r->n < MAX_STEPS);
	memset(e, 0, sizeof(*e));
	e->thread = (uint8_t)t;
	e->n = (uint8_t)m->step(m->arg, t, e->touched);
	CHECK(e->n <= MAX_TOUCHES);
	qsort(e->touched, e->n, sizeof(e->touched[0]), by_thing);
}

static void broken(const char *why, const struct run *r)
{
	if (res->broken)
		return;
	res->broken = why;
	res->broken_steps = r->n;
	for (unsigned int i = 0; i < r->n; i++)
		res->broken_run[i] = r->event[i].thread;
}

/* Run r again from the start. Its steps must be possible, and touch the same. */
static bool again(const struct run *r)
{
	static struct run now;

	now.n = 0;
	m->reset(m->arg);
	for (unsigned int i = 0; i < r->n; i++) {
		if (!(m->enabled(m->arg) & 1u << r->event[i].thread)) {
			broken("the last step should be possible", &now);
			res->broken_run[res->broken_steps++] =
				r->event[i].thread;
			return false;
		}
		go(&now, r->event[i].thread);
		if (!same_touches(&now.event[i], &r->event[i])) {
			broken("the last step should touch other things", &now);
			return false;
		}
	}
	return true;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0xff51afd7ed558ccd;
	return h ^ h >> 32;
}

/* A hash of the state, as far as the machine tells it, and of all touches. */
static uint64_t state_after(const struct run *r)
{
	uint64_t h = mix(1, m->enabled(m->arg));

	if (m->state)
		h = mix(h, m->state(m->arg));
	for (unsigned int i = 0; i < r->n; i++)
		for (unsigned int k = 0; k < r->event[i].n; k++)
			h = mix(h, (uint64_t)r->event[i].touched[k].thing << 8 |
					   r->event[i].touched[k].how);
	return h;
}

/* ---- ends ---------------------------------------------------------------- */

static void add_end(void)
{
	struct program_end e;

	memset(&e, 0, sizeof(e));
	m->end(m->arg, &e);
	for (size_t i = 0; i < res->nr_ends; i++)
		if (memcmp(&res->end[i], &e, sizeof(e)) == 0)
			return;
	if (!(res->nr_ends & (res->nr_ends - 1)))
		res->end = realloc(res->end,
				   (res->nr_ends ? 2 * res->nr_ends : 1) *
					   sizeof(*res->end));
	CHECK(res->end);
	res->end[res->nr_ends++] = e;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct program_end));
}

static void sort_ends(void)
{
	if (res->nr_ends)
		qsort(res->end, res->nr_ends, sizeof(*res->end), compare);
}

void classes_free(struct classes_result *r)
{
	free(r->end);
	memset(r, 0, sizeof(*r));
}

/* ---- sets of runs -------------------------------------------------------- */

/* A canonical run, and what was true at its end. */
struct entry {
	uint8_t n;
	uint8_t thread[MAX_STEPS];
	uint64_t state;
};

struct set {
	struct entry *entry;
	size_t n, room;
	uint32_t *table; /* numbers of entries plus 1 */
	size_t size;	 /* a power of 2 */
};

static uint32_t *place_of(struct set *s, const struct entry *e)
{
	uint64_t h = e->n;
	size_t at;

	for (unsigned int i = 0; i < e->n; i++)
		h = mix(h, e->thread[i]);
	for (at = h & (s->size - 1); s->table[at];
	     at = (at + 1) & (s->size - 1)) {
		const struct entry *o = &s->entry[s->table[at] - 1];

		if (o->n == e->n && memcmp(o->thread, e->thread, e->n) == 0)
			break;
	}
	return &s->table[at];
}

static void start_set(struct set *s)
{
	s->n = 0;
	s->size = 1024;
	free(s->table);
	s->table = calloc(s->size, sizeof(*s->table));
	CHECK(s->table);
}

/* The entry of the set that is the same run as e, or NULL: then e was added. */
static const struct entry *find_or_add(struct set *s, const struct entry *e)
{
	uint32_t *place = place_of(s, e);

	if (*place)
		return &s->entry[*place - 1];
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 256;
		s->entry = realloc(s->entry, s->room * sizeof(*s->entry));
		CHECK(s->entry);
	}
	s->entry[s->n++] = *e;
	*place = (uint32_t)s->n;
	if (s->n * 2 > s->size) {
		s->size *= 2;
		free(s->table);
		s->table = calloc(s->size, sizeof(*s->table));
		CHECK(s->table);
		for (size_t i = 0; i < s->n; i++)
			*place_of(s, &s->entry[i]) = (uint32_t)(i + 1);
	}
	return NULL;
}

/* r is a run that the machine has just done. Add its class to the set. */
static void add_class(struct set *s, const struct run *r)
{
	static struct run c;
	const struct entry *found;
	struct entry e;

	canonical(&c, r);
	memset(&e, 0, sizeof(e));
	e.n = (uint8_t)c.n;
	for (unsigned int i = 0; i < c.n; i++)
		e.thread[i] = c.event[i].thread;
	e.state = state_after(&c);
	found = find_or_add(s, &e);
	if (found && found->state != e.state)
		broken("equivalent to another run, but ends differently", r);
	/* Is the canonical run a run of the machine, with the same end? */
	if (!found && again(&c) && state_after(&c) != e.state)
		broken("not the same state as in another order", &c);
}

/* ---- every interleaving -------------------------------------------------- */

static size_t runs_left;

static void all_runs(struct set *s, const struct run *from)
{
	uint32_t enabled = m->enabled(m->arg);

	if (!enabled) {
		if (!runs_left--) {
			res->too_big = true;
			return;
		}
		res->nr_runs++;
		add_end();
		add_class(s, from);
		return;
	}
	for (unsigned int t = 0; t < PROGRAM_THREADS && !res->too_big; t++) {
		struct run *longer;

		if (!(enabled & 1u << t))
			continue;
		if (!again(from))
			return;
		longer = malloc(sizeof(*longer));
		CHECK(longer);
		*longer = *from;
		go(longer, t);
		all_runs(s, longer);
		free(longer);
	}
}

static void start(struct classes_result *r, const struct step_machine *machine)
{
	memset(r, 0, sizeof(*r));
	res = r;
	m = machine;
	m->reset(m->arg);
}

void classes_by_runs(struct classes_result *r,
		     const struct step_machine *machine, size_t max_runs)
{
	static struct set s;
	static struct run empty;

	start(r, machine);
	start_set(&s);
	runs_left = max_runs;
	all_runs(&s, &empty);
	r->nr_classes = s.n;
	sort_ends();
}

/* ---- one run of each class of beginnings ---------------------------------- */

/* Do the run that e tells. */
static bool redo(struct run *r, const struct entry *e)
{
	r->n = 0;
	m->reset(m->arg);
	for (unsigned int i = 0; i < e->n; i++) {
		if (!(m->enabled(m->arg) & 1u << e->thread[i])) {
			broken("it cannot be repeated", r);
			return false;
		}
		go(r, e->thread[i]);
	}
	return true;
}

void classes_by_beginnings(struct classes_result *r,
			   const struct step_machine *machine,
			   size_t max_beginnings)
{
	static struct set sets[2];
	static struct run run;
	struct set *now = &sets[0], *next = &sets[1], *old;
	size_t total = 0;

	start(r, machine);
	start_set(now);
	run.n = 0;
	add_class(now, &run);
	for (; now->n && !r->broken; old = now, now = next, next = old) {
		total += now->n;
		if (total > max_beginnings) {
			r->too_big = true;
			break;
		}
		start_set(next);
		for (size_t i = 0; i < now->n && !r->broken; i++) {
			uint32_t enabled;

			if (!redo(&run, &now->entry[i]))
				break;
			enabled = m->enabled(m->arg);
			if (!enabled) {
				r->nr_classes++;
				add_end();
			}
			for (unsigned int t = 0; t < PROGRAM_THREADS; t++) {
				if (!(enabled & 1u << t))
					continue;
				if (!redo(&run, &now->entry[i]))
					break;
				go(&run, t);
				add_class(next, &run);
			}
		}
	}
	sort_ends();
}
