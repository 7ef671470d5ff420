/*
 * Programs for tests of the kernel's explorer, with what it must say of them: the
 * number of classes (of the step machine) and of deadlock states (of the oracle).
 * Prints a line for each: classes, states, text, with tabs between.
 *
 * programs SEED: random ones, until nobody reads them. Only words that
 * `explore program` knows.
 * programs TEXT...: these.
 */
#include "tests/host/classes.h"
#include "tests/host/host.h"
#include "tests/host/oracle.h"
#include "tests/host/program.h"
#include "tests/host/search_subject.h"

#include <string.h>

enum { MAX_STATES = 30000, MAX_BEGINNINGS = 2000 };

/* The operation that the kernel has instead. */
static struct program_op instead_of(struct program_op op)
{
	static const uint8_t verbs[NR_PROGRAM_VERBS][2] = {
		[DO_TRY] = { 1, DO_LOCK },
		[DO_LOCK_INTR] = { 1, DO_LOCK },
		[DO_READ_TRY] = { 1, DO_READ_LOCK },
		[DO_WAIT_TIMEOUT] = { 1, DO_WAIT },
		[DO_READ] = { 1, DO_ADD },
		[DO_WRITE] = { 1, DO_ADD },
		[DO_INTERRUPT] = { 1, DO_ADD },
	};

	if (verbs[op.verb][0])
		op = (struct program_op){ verbs[op.verb][1], op.which, 0, 0 };
	if (op.verb == DO_ADD)
		op.which = 0; /* the kernel's programs have one number */
	return op;
}

static void translate(struct program *p)
{
	for (unsigned int t = 0; t < p->nr_threads; t++)
		for (unsigned int i = 0; i < p->thread[t].n; i++)
			p->thread[t].op[i] = instead_of(p->thread[t].op[i]);
}

/* The number of different states in which the program may stop. */
static size_t nr_stops(const struct program *p, const struct oracle_result *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->nr_ends; i++) {
		bool known = !oracle_is_deadlock(p, &o->end[i]);

		for (size_t k = 0; k < i && !known; k++)
			known = oracle_is_deadlock(p, &o->end[k]) &&
				memcmp(o->end[k].pc, o->end[i].pc,
				       sizeof(o->end[k].pc)) == 0;
		n += !known;
	}
	return n;
}

/* Print the line, unless the program is too big. */
static void print_known(const struct program *p)
{
	static char text[PROGRAM_TEXT];
	struct classes_result c = { 0 };
	struct oracle_result o = { 0 };
	struct step_machine m;

	step_machine_of(&m, p);
	classes_by_beginnings(&c, &m, MAX_BEGINNINGS);
	if (!c.too_big)
		oracle_run(&o, p, 0, MAX_STATES);
	if (!c.too_big && !o.too_big)
		printf("%zu\t%zu\t%s\n", c.nr_classes, nr_stops(p, &o),
		       program_print(p, text));
	classes_free(&c);
	oracle_free(&o);
}

int main(int argc, char **argv)
{
	static const struct program_shape shape = { 4, 6, 11 };
	uint32_t seed = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	struct program p;

	for (int i = 1; !seed && i < argc; i++) {
		const char *why = program_parse_text(&p, argv[i]);

		if (why)
			fprintf(stderr, "\"%s\": %s\n", argv[i], why);
		CHECK(!why);
		print_known(&p);
	}
	while (seed && !ferror(stdout)) {
		program_random(&p, &shape, &seed);
		translate(&p);
		print_known(&p);
	}
	return 0;
}
