/*
 * The simulator and the brute force, see search_model.h: every interleaving is
 * walked by recursion, without any code of the search.
 */
#include "tests/host/search_model.h"

#include <string.h>

#include "tests/host/host.h"

struct program program;

/* ---- the simulator ------------------------------------------------------------- */

bool at_point(const struct state *s, unsigned int t)
{
	return !s->blocked[t] && s->pc[t] < program.nr[t];
}

unsigned int enabled_in(const struct state *s)
{
	unsigned int set = 0;

	for (unsigned int t = 0; t < program.threads; t++)
		if (at_point(s, t) && (program.ops[t][s->pc[t]].op != LOCK ||
				       !s->owner[program.ops[t][s->pc[t]].on]))
			set |= 1u << t;
	return set;
}

static bool all_ended(const struct state *s)
{
	for (unsigned int t = 0; t < program.threads; t++)
		if (s->pc[t] < program.nr[t])
			return false;
	return true;
}

static void note_event(struct state *s, unsigned int t)
{
	s->event[s->events++] = (struct event){ (uint8_t)t, (uint8_t)s->pc[t] };
}

/* Thread t has been woken and goes on to its next point. Variables are no points
 * for it: the points of the kernel's explorer are farther apart than these. */
static void go_on(struct state *s, unsigned int t)
{
	s->blocked[t] = false;
	s->pc[t]++;
	while (s->pc[t] < program.nr[t] &&
	       program.ops[t][s->pc[t]].op >= READ) {
		note_event(s, t);
		s->pc[t]++;
	}
}

unsigned int take_step(struct state *s, unsigned int t)
{
	enum op op = program.ops[t][s->pc[t]].op;
	unsigned int on = program.ops[t][s->pc[t]].on, next;

	CHECK(enabled_in(s) & 1u << t);
	if (s->events) {
		s->switches += s->last != t;
		s->preemptions += s->last != t && enabled_in(s) & 1u << s->last;
	}
	s->last = t;
	note_event(s, t);
	if ((op == LOCK || op == ACQUIRE) && s->owner[on]) {
		s->queue[on][s->queued[on]++] = (uint8_t)t;
		s->blocked[t] = true;
		return 0;
	}
	s->pc[t]++;
	if (op == LOCK || op == ACQUIRE)
		s->owner[on] = (uint8_t)(t + 1);
	if (op != RELEASE)
		return 0;
	s->owner[on] = 0;
	if (!s->queued[on])
		return 0;
	next = s->queue[on][0];
	memmove(s->queue[on], s->queue[on] + 1, --s->queued[on]);
	s->owner[on] = (uint8_t)(next + 1);
	go_on(s, next);
	return 1u << next;
}

unsigned int shift;

uintptr_t thing_of(unsigned int t, unsigned int at, bool *write, bool *moves)
{
	enum op op = program.ops[t][at].op;
	unsigned int on = program.ops[t][at].on;

	*write = op != READ;
	*moves = op >= READ && program.moves;
	return 1 + (op >= READ ? THINGS + (on + shift) % THINGS : on);
}

/* ---- classes ------------------------------------------------------------------- */

struct class classes[CLASSES_SIZE];
unsigned int nr_classes, nr_runs;

static bool conflict(struct event a, struct event b)
{
	bool wa, wb, moves;
	uintptr_t x = thing_of(a.thread, a.at, &wa, &moves);
	uintptr_t y = thing_of(b.thread, b.at, &wb, &moves);

	return x == y && (wa || wb);
}

struct class *class_of(const struct state *s)
{
	unsigned int width[THREADS][THREADS], bits = 0, i;
	struct class c = { .used = true, .deadlock = !all_ended(s) };

	/* Each pair of events has its own bit. */
	for (unsigned int a = 0; a < program.threads; a++)
		for (unsigned int b = a + 1; b < program.threads; b++) {
			width[a][b] = bits;
			bits += program.nr[a] * program.nr[b];
		}
	CHECK(bits <= 64);
	for (unsigned int k = 0; k < s->events; k++)
		for (unsigned int m = k + 1; m < s->events; m++) {
			struct event e = s->event[k], f = s->event[m];

			if (e.thread < f.thread && conflict(e, f))
				c.order |=
					1ull
					<< (width[e.thread][f.thread] +
					    e.at * program.nr[f.thread] + f.at);
		}
	for (unsigned int t = 0; t < program.threads; t++)
		c.end = c.end << 5 | s->pc[t] << 1 | s->blocked[t];
	i = (unsigned int)((c.order ^ c.order >> 29) * 2654435761u + c.end) %
	    CLASSES_SIZE;
	while (classes[i].used &&
	       (classes[i].order != c.order || classes[i].end != c.end))
		i = (i + 1) % CLASSES_SIZE;
	if (!classes[i].used) {
		CHECK(++nr_classes < CLASSES_SIZE / 2);
		classes[i] = c;
		classes[i].fewest = ~0u;
	}
	return &classes[i];
}

unsigned int within[THREADS * OPS];

static bool walk(const struct state *s)
{
	unsigned int able = enabled_in(s);
	struct class *c;

	for (unsigned int t = 0; t < program.threads; t++) {
		struct state next = *s;

		if (!(able & 1u << t))
			continue;
		take_step(&next, t);
		if (!walk(&next))
			return false;
	}
	if (able)
		return true;
	if (nr_runs == RUNS_MAX)
		return false;
	nr_runs++;
	c = class_of(s);
	c->runs++;
	if (s->switches < c->fewest)
		c->fewest = s->switches;
	for (unsigned int b = s->preemptions; b < THREADS * OPS; b++)
		within[b]++;
	return true;
}

bool walk_all(void)
{
	static const struct state start;

	memset(classes, 0, sizeof(classes));
	memset(within, 0, sizeof(within));
	nr_classes = nr_runs = 0;
	return walk(&start);
}
