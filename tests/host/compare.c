/* See compare.h. */
#include "tests/host/compare.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/host/host.h"
#include "tests/host/oracle.h"

static void say(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PROGRAM_TEXT, format, args);
	va_end(args);
}

static bool is_among(const struct program_end *e, const struct program_end *all,
		     size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(&all[i], e, sizeof(*e)) == 0)
			return true;
	return false;
}

/* Is an end of `a` missing in `b`? */
static bool lacks(const struct program *p, const struct program_end *a,
		  size_t nr_a, const struct program_end *b, size_t nr_b,
		  const char *what, char *why)
{
	char text[PROGRAM_TEXT];

	for (size_t i = 0; i < nr_a; i++) {
		if (is_among(&a[i], b, nr_b))
			continue;
		say(why, "%s %s: %.800s", what,
		    oracle_is_deadlock(p, &a[i]) ? "a deadlock" : "an outcome",
		    program_print_end(p, &a[i], text));
		return true;
	}
	return false;
}

static bool compare_ends(const struct program *p, const struct oracle_result *o,
			 const struct program_end *end, size_t n,
			 const char *lost, const char *wrong, char *why)
{
	return lacks(p, o->end, o->nr_ends, end, n, lost, why) ||
	       lacks(p, end, n, o->end, o->nr_ends, wrong, why);
}

static bool compare_classes(const struct program *p,
			    const struct oracle_result *o,
			    const struct classes_result *c,
			    const struct search_found *f, char *why)
{
	if (c->broken) {
		char run[MAX_STEPS + 1] = { 0 };

		for (size_t i = 0; i < c->broken_steps; i++)
			run[i] = (char)('A' + c->broken_run[i]);
		say(why, "the machine's touches are wrong: %s: %s", c->broken,
		    run);
		return true;
	}
	if (compare_ends(p, o, c->end, c->nr_ends, "the machine lacks",
			 "the machine has", why))
		return true;
	if (c->nr_classes == f->nr_classes)
		return false;
	say(why, "%zu classes, the search ran %zu", c->nr_classes,
	    f->nr_classes);
	return true;
}

bool compare_program(const struct subject *s, const struct comparison *c,
		     const struct program *p, struct compared *sum, char *why)
{
	struct classes_result classes = { 0 };
	struct oracle_result o;
	struct search_found f = { 0 };
	struct step_machine m = { 0 };
	bool differs = false;

	*why = 0;
	oracle_run(&o, p, 0, c->max_states);
	if (s->machine && c->max_beginnings && !o.too_big) {
		s->machine(&m, p);
		classes_by_beginnings(&classes, &m, c->max_beginnings);
	}
	if (!o.too_big && !classes.too_big)
		s->search(&f, p);
	if (o.too_big || classes.too_big || f.too_big) {
		sum->too_big++;
		free(f.end);
		oracle_free(&o);
		classes_free(&classes);
		return false;
	}
	sum->programs++;
	sum->ends += o.nr_ends;
	for (size_t i = 0; i < o.nr_ends; i++)
		sum->deadlocks += oracle_is_deadlock(p, &o.end[i]);
	if (m.step) {
		sum->counted++;
		sum->classes += classes.nr_classes;
		differs = compare_classes(p, &o, &classes, &f, why);
	}
	differs = differs ||
		  compare_ends(p, &o, f.end, f.nr_ends, "the search lost",
			       "the search invented", why);
	if (!differs && f.broken) {
		say(why, "%s", f.broken);
		differs = true;
	}
	if (!differs && f.nr_redundant) {
		say(why, "%zu redundant runs", f.nr_redundant);
		differs = true;
	}
	free(f.end);
	oracle_free(&o);
	classes_free(&classes);
	return differs;
}

/* Leave out thread t. Returns false if another thread interrupts it. */
static bool drop_thread(struct program *p, unsigned int t)
{
	for (unsigned int u = 0; u < p->nr_threads; u++)
		for (unsigned int i = 0; u != t && i < p->thread[u].n; i++) {
			struct program_op *o = &p->thread[u].op[i];

			if (o->verb != DO_INTERRUPT)
				continue;
			if (o->which == t)
				return false;
		}
	for (unsigned int u = t; u + 1 < p->nr_threads; u++)
		p->thread[u] = p->thread[u + 1];
	memset(&p->thread[--p->nr_threads], 0, sizeof(p->thread[0]));
	for (unsigned int u = 0; u < p->nr_threads; u++)
		for (unsigned int i = 0; i < p->thread[u].n; i++) {
			struct program_op *o = &p->thread[u].op[i];

			if (o->verb == DO_INTERRUPT && o->which > t)
				o->which--;
		}
	return true;
}

static bool still_differs(const struct subject *s, const struct comparison *c,
			  const struct program *p)
{
	struct compared sum = { 0 };
	char why[PROGRAM_TEXT];

	return compare_program(s, c, p, &sum, why);
}

static bool smaller(const struct subject *s, const struct comparison *c,
		    struct program *p)
{
	struct program q;

	for (unsigned int t = 0; t < p->nr_threads; t++) {
		q = *p;
		if (p->nr_threads > 1 && drop_thread(&q, t) &&
		    still_differs(s, c, &q)) {
			*p = q;
			return true;
		}
		for (unsigned int i = 0; i < p->thread[t].n; i++) {
			q = *p;
			program_drop(&q, t, i);
			if (still_differs(s, c, &q)) {
				*p = q;
				return true;
			}
		}
	}
	return false;
}

void compare_minimise(const struct subject *s, const struct comparison *c,
		      struct program *p)
{
	while (smaller(s, c, p))
		;
}

size_t compare_random(const struct subject *s, const struct comparison *c,
		      uint32_t seed, size_t n, size_t most,
		      struct compared *sum)
{
	char text[PROGRAM_TEXT], why[PROGRAM_TEXT];
	size_t differences = 0;

	memset(sum, 0, sizeof(*sum));
	while (sum->programs < n && differences < most) {
		uint32_t its_seed = seed;
		struct program p;

		program_random(&p, &c->shape, &seed);
		if (!compare_program(s, c, &p, sum, why)) {
			/* Else the shape makes programs that nothing tests. */
			CHECK(sum->too_big <= 5 + sum->programs / 5);
			continue;
		}
		differences++;
		printf("seed %u: \"%s\"\n\t%s\n", its_seed,
		       program_print(&p, text), why);
		compare_minimise(s, c, &p);
		compare_program(s, c, &p, &(struct compared){ 0 }, why);
		printf("\tsmallest: \"%s\"\n\t%s\n", program_print(&p, text),
		       why);
		fflush(stdout);
	}
	return differences;
}
