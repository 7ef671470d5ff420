/*
 * The oracle (oracle.h), the count of classes (classes.h) and the comparison
 * (compare.h), without a search: programs whose ends are known, properties of the
 * ends of random programs, and searches that are wrong on purpose.
 * argv: seed, number of random programs.
 */
#include "tests/host/classes.h"
#include "tests/host/compare.h"
#include "tests/host/host.h"
#include "tests/host/oracle.h"
#include "tests/host/program.h"

#include <string.h>

enum { MAX_STATES = 200000 };

static const struct known {
	const char *text;
	unsigned int options;
	const char *ends; /* as program_print_end() prints them, sorted */
} known[] = {
	/* Opposite orders, of each kind of lock. */
	{ "a b | b a", 0, "A1 B1; A4. B4." },
	{ "A B | B A", 0, "A1 B1; A4. B4." },
	{ "a r | w a", 0, "A1 B1; A4. B4." },
	{ "A a -a -A | a A -A -a", 0, "A1 B1; A4. B4." },
	{ "a g -g -a | h a -a -h", 0, "A1 B1; A4. B4." },
	{ "a ? -a | a ! -a", 0, "A1 B0; A3. B3. A1:1" },
	{ "a P -a | a V -a", 0, "A1 B0; A3. B3." },
	/* A thread that waits for itself. */
	{ "a a", 0, "A1" },
	{ "A A", 0, "A1" },
	{ "r w", 0, "A1" },
	{ "w r", 0, "A1" },
	{ "h h", 0, "A1" },
	{ "g h", 0, "A1" },
	{ "pw pr", 0, "A1" },
	{ "ta ta", 0, "A4. A0:ok A1:failed" },
	{ "r r", 0, "A4." },
	{ "pr pr", 0, "A4." },
	{ "h g -g -h", 0, "A4." },
	/* A writer between two readers; the counter prefers readers. */
	{ "r r | w", 0, "A1 B0; A4. B2." },
	{ "pr pr | pw", 0, "A1 B0; A4. B2." },
	{ "g g | h", 0, "A4. B2." },
	{ "r tr | w", 0, "A4. B2. A1:failed; A4. B2. A1:ok" },
	{ "w | r | r | w", 0, "A2. B2. C2. D2." },
	{ "pw | pr | pw", 0, "A2. B2. C2." },
	{ "h -h g | g h", 0, "A0 B1; A4. B1" },
	/* To give back what is not held changes nothing. */
	{ "-a x | a", 0, "A2. B2. v0=1" },
	{ "-A -r -w -pr -pw -g -h", 0, "A7." },
	/* Tries, interrupts, time-outs. */
	{ "a s0 | ta v0:1 x1", 0,
	  "A3. B4. v0=1 B0:failed; A3. B4. v0=1 B0:ok B1:0; "
	  "A3. B4. v0=1 v1=1 B0:ok B1:1" },
	{ "ta:3 tb:1 -b -a | b a -a -b", 0,
	  "A4. B4. A0:failed; A4. B4. A0:ok A1:failed; "
	  "A4. B4. A0:ok A1:ok" },
	{ "ia:2 x -a | a ^A x -a", 0,
	  "A3. B4. v0=1 A0:failed; A3. B4. v0=2 A0:ok" },
	{ "^A ia:1 -a | a P", 0, "A3. B1 A1:failed; A3. B1 A1:ok" },
	/* An interrupt ends one wait, not two. */
	{ "ia:1 -a ia:1 -a | a ^A -a", 0,
	  "A4. B3. A0:failed A2:ok; A4. B3. A0:ok A2:failed; "
	  "A4. B3. A0:ok A2:ok" },
	{ "P~:1 V | P~:1 V", 0, "A2. B2. A0:failed B0:failed" },
	{ "P~ | V", 0, "A1. B1. A0:failed; A1. B1. A0:ok" },
	/* Accesses that are not atomic, and one that decides. */
	{ "x | x", 0, "A1. B1. v0=1; A1. B1. v0=2" },
	{ "x x | x", 0, "A2. B1. v0=1; A2. B1. v0=2; A2. B1. v0=3" },
	{ "A x | A x", 0, "A3. B3. v0=2" },
	{ "g x -g | h x -h", 0, "A3. B3. v0=2" },
	{ "v0:1 s1 | v1:1 s0", 0, "A2. B2. A0:0 B0:0" },
	{ "? | !", 0, "A0 B1.; A1. B1. A0:0; A1. B1. A0:1" },
	/* complete() wakes a thread that has its unit already but has not left
	 * the queue yet. */
	{ "P | P | V V", 0, "A1. B1. C2." },
	{ "P | P | V V", ORACLE_LATE_LEAVE,
	  "A0 B1. C2.; A1. B0 C2.; A1. B1. C2." },
	/* The wake-up for a mutex ends a sleep behind it. */
	{ "a -a ? | a -a | a -a", 0, "A2 B2. C2." },
	{ "a -a ? | a -a | a -a", ORACLE_LATE_WAKE,
	  "A2 B2. C2.; A3. B2. C2. A2:0" },
};

static void read_text(struct program *p, const char *text)
{
	const char *why = program_parse_text(p, text);

	if (why)
		fprintf(stderr, "\"%s\": %s\n", text, why);
	CHECK(!why);
}

static void test_known(const struct known *k)
{
	static char all[64 * PROGRAM_TEXT], one[PROGRAM_TEXT];
	struct oracle_result r;
	struct program p;

	read_text(&p, k->text);
	oracle_run(&r, &p, k->options, MAX_STATES);
	CHECK(!r.too_big && r.nr_ends <= 64);
	*all = 0;
	for (size_t i = 0; i < r.nr_ends; i++) {
		strcat(all, i ? "; " : "");
		strcat(all, program_print_end(&p, &r.end[i], one));
	}
	oracle_free(&r);
	if (strcmp(all, k->ends) != 0)
		fprintf(stderr, "\"%s\" ends: %s\nexpected: %s\n", k->text, all,
			k->ends);
	CHECK(strcmp(all, k->ends) == 0);
}

/* ---- properties of random programs --------------------------------------- */

static bool has_end(const struct oracle_result *r, const struct program_end *e)
{
	for (size_t i = 0; i < r->nr_ends; i++)
		if (memcmp(&r->end[i], e, sizeof(*e)) == 0)
			return true;
	return false;
}

static void check_part(const struct program *p,
		       const struct oracle_result *part,
		       const struct oracle_result *whole, const char *what)
{
	char text[PROGRAM_TEXT], end[PROGRAM_TEXT];

	for (size_t i = 0; i < part->nr_ends; i++) {
		if (has_end(whole, &part->end[i]))
			continue;
		fprintf(stderr, "\"%s\": %s: not among the ends: %s\n",
			program_print(p, text), what,
			program_print_end(p, &part->end[i], end));
		CHECK(!"an end is missing");
	}
}

/* The threads of p in another order: the new thread t is the old to[t]. */
static void permute(struct program *q, const struct program *p,
		    const unsigned int *to)
{
	*q = *p;
	for (unsigned int t = 0; t < p->nr_threads; t++) {
		q->thread[t] = p->thread[to[t]];
		for (unsigned int i = 0; i < q->thread[t].n; i++) {
			struct program_op *o = &q->thread[t].op[i];
			unsigned int other = 0;

			if (o->verb != DO_INTERRUPT)
				continue;
			while (to[other] != o->which)
				other++;
			o->which = (uint8_t)other;
		}
	}
}

static void permute_ends(struct oracle_result *r, unsigned int n,
			 const unsigned int *to)
{
	for (size_t i = 0; i < r->nr_ends; i++) {
		struct program_end old = r->end[i], *e = &r->end[i];

		for (unsigned int t = 0; t < n; t++) {
			e->pc[t] = old.pc[to[t]];
			memcpy(e->told[t], old.told[to[t]], sizeof(e->told[t]));
		}
	}
}

/* Test one random program. Returns false if it has too many states. */
static bool test_random(uint32_t *seed)
{
	static const struct program_shape shape = { 4, 6, 11 };
	unsigned int to[PROGRAM_THREADS];
	struct oracle_result r, other;
	struct program p, q;
	char text[PROGRAM_TEXT];

	program_random(&p, &shape, seed);
	/* The text form says all. */
	read_text(&q, program_print(&p, text));
	CHECK(memcmp(&p, &q, sizeof(p)) == 0);
	oracle_run(&r, &p, 0, MAX_STATES);
	if (r.too_big) {
		oracle_free(&r);
		return false;
	}
	CHECK(r.nr_ends);
	/* The names of threads do not matter. */
	for (unsigned int t = 0; t < p.nr_threads; t++)
		to[t] = (t + 1) % p.nr_threads;
	permute(&q, &p, to);
	oracle_run(&other, &q, 0, MAX_STATES);
	permute_ends(&r, p.nr_threads, to);
	CHECK(!other.too_big);
	check_part(&q, &r, &other, "with other names");
	check_part(&q, &other, &r, "with other names");
	oracle_free(&other);
	/* More freedom, and no end is lost. */
	oracle_run(&other, &q, ORACLE_LATE_WAKE | ORACLE_LATE_LEAVE,
		   MAX_STATES);
	if (!other.too_big)
		check_part(&q, &r, &other, "with late steps");
	oracle_free(&other);
	oracle_free(&r);
	return true;
}

/* ---- classes -------------------------------------------------------------- */

/* A simple machine: each word is a step. `a`, `-a`: a lock; `v0`, `s0`: READ and
 * WRITE of a variable; V, P: INC and DEC of a number that nobody looks at. */
static struct program toy;
static struct {
	uint8_t pc[PROGRAM_THREADS], locked[PROGRAM_LOCKS];
} at;

static void toy_reset(void *arg)
{
	(void)arg;
	memset(&at, 0, sizeof(at));
}

static const struct program_op *toy_next(unsigned int t)
{
	return at.pc[t] < toy.thread[t].n ? &toy.thread[t].op[at.pc[t]] : NULL;
}

static uint32_t toy_enabled(void *arg)
{
	uint32_t enabled = 0;

	(void)arg;
	for (unsigned int t = 0; t < toy.nr_threads; t++) {
		const struct program_op *o = toy_next(t);

		if (o && !(o->verb == DO_LOCK && at.locked[o->which]))
			enabled |= 1u << t;
	}
	return enabled;
}

static unsigned int toy_step(void *arg, unsigned int t, struct touch *touched)
{
	const struct program_op *o = toy_next(t);

	(void)arg;
	at.pc[t]++;
	*touched = (struct touch){ o->which, TOUCH_WRITE };
	if (o->verb == DO_LOCK || o->verb == DO_UNLOCK) {
		at.locked[o->which] = o->verb == DO_LOCK;
	} else if (o->verb == DO_COMPLETE || o->verb == DO_WAIT) {
		*touched = (struct touch){ 20, o->verb == DO_WAIT ? TOUCH_DEC :
								    TOUCH_INC };
	} else {
		touched->thing += 10;
		if (o->verb == DO_READ)
			touched->how = TOUCH_READ;
	}
	return 1;
}

static void toy_end(void *arg, struct program_end *e)
{
	(void)arg;
	memcpy(e->pc, at.pc, sizeof(e->pc));
}

/* As toy_step(), but it says of a write that it is a read. */
static unsigned int lying_step(void *arg, unsigned int t, struct touch *touched)
{
	toy_step(arg, t, touched);
	touched->how = TOUCH_READ;
	return 1;
}

static const struct {
	const char *text;
	size_t classes, runs, ends;
} counts[] = {
	{ "s0 | s0 | s0", 6, 6, 1 },
	{ "v0 | v0 | v0", 1, 6, 1 },
	{ "s0 | v0 | v0", 4, 6, 1 },
	{ "s0 s0 | s0 s0", 6, 6, 1 },
	{ "s0 s0 | s1 s1", 1, 6, 1 },
	{ "s0 s1 | s1 s0", 3, 6, 1 },
	{ "V V | V V", 1, 6, 1 },
	{ "P P | P P", 1, 6, 1 },
	{ "V | P | V", 4, 6, 1 },
	{ "a -a | a -a", 2, 2, 1 },
	{ "a -a | a -a | a -a", 6, 6, 1 },
	{ "a b -b -a | b a -a -b", 3, 6, 2 },
	{ "a s0 -a | a s0 -a | s0", 6, 14, 1 },
};

static void test_counts(void)
{
	struct step_machine m = { toy_reset, toy_enabled, toy_step,
				  toy_end,   NULL,	  NULL };
	struct classes_result r, b;

	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		read_text(&toy, counts[i].text);
		classes_by_runs(&r, &m, 1000);
		classes_by_beginnings(&b, &m, 1000);
		if (r.nr_classes != counts[i].classes ||
		    r.nr_runs != counts[i].runs)
			fprintf(stderr, "\"%s\": %zu classes, %zu runs\n",
				counts[i].text, r.nr_classes, r.nr_runs);
		CHECK(!r.broken && !b.broken && !r.too_big && !b.too_big);
		CHECK(r.nr_classes == counts[i].classes);
		CHECK(r.nr_runs == counts[i].runs);
		CHECK(b.nr_classes == counts[i].classes);
		CHECK(r.nr_ends == counts[i].ends);
		CHECK(b.nr_ends == counts[i].ends);
		classes_free(&r);
		classes_free(&b);
	}
	/* A machine with wrong touches is noticed. */
	m.step = lying_step;
	read_text(&toy, "a -a | a -a");
	classes_by_beginnings(&b, &m, 1000);
	CHECK(b.broken);
	classes_free(&b);
}

/* ---- the comparison ------------------------------------------------------- */

static void copy_ends(struct search_found *f, const struct program *p)
{
	struct oracle_result r;

	oracle_run(&r, p, 0, MAX_STATES);
	CHECK(!r.too_big);
	f->end = r.end;
	f->nr_ends = r.nr_ends;
}

/* A search that loses each end in which a try of the rw-semaphore failed. */
static void forgetful(struct search_found *f, const struct program *p)
{
	size_t n = 0;

	copy_ends(f, p);
	for (size_t i = 0; i < f->nr_ends; i++) {
		bool failed = false;

		for (unsigned int t = 0; t < p->nr_threads; t++)
			for (unsigned int k = 0; k < p->thread[t].n; k++)
				failed |= p->thread[t].op[k].verb ==
						  DO_READ_TRY &&
					  f->end[i].told[t][k] == TOLD_FAILED;
		if (!failed)
			f->end[n++] = f->end[i];
	}
	f->nr_ends = n;
}

/* A search that invents an end. */
static void inventive(struct search_found *f, const struct program *p)
{
	copy_ends(f, p);
	f->end[0].var[3] = 9;
}

/* Searches that count the classes of "a b -b -a | b a -a -b": 3. */
static void counts_3(struct search_found *f, const struct program *p)
{
	copy_ends(f, p);
	f->nr_classes = 3;
}

static void counts_2(struct search_found *f, const struct program *p)
{
	copy_ends(f, p);
	f->nr_classes = 2;
}

static void redundant(struct search_found *f, const struct program *p)
{
	copy_ends(f, p);
	f->nr_redundant = 1;
}

static void toy_machine(struct step_machine *m, const struct program *p)
{
	toy = *p;
	*m = (struct step_machine){ toy_reset, toy_enabled, toy_step,
				    toy_end,   NULL,	    NULL };
}

static unsigned int nr_ops(const struct program *p)
{
	unsigned int n = 0;

	for (unsigned int t = 0; t < p->nr_threads; t++)
		n += p->thread[t].n;
	return n;
}

static bool differs(const struct subject *s, const struct comparison *c,
		    const struct program *p)
{
	struct compared sum = { 0 };
	char why[PROGRAM_TEXT];

	return compare_program(s, c, p, &sum, why);
}

static void test_comparison(void)
{
	static const struct comparison c = { { 3, 6, 8 }, MAX_STATES, 10000 };
	struct subject s = { copy_ends, NULL };
	struct compared sum;
	struct program p;

	CHECK(compare_random(&s, &c, 1, 20, 1, &sum) == 0);
	CHECK(sum.programs == 20 && sum.ends > 20 && sum.deadlocks);
	s.search = forgetful;
	read_text(&p, "w x -w a -a | x | tr x -r");
	CHECK(differs(&s, &c, &p));
	compare_minimise(&s, &c, &p);
	CHECK(nr_ops(&p) == 2 && p.nr_threads == 2 && differs(&s, &c, &p));
	s.search = inventive;
	CHECK(differs(&s, &c, &p));
	read_text(&p, "a b -b -a | b a -a -b");
	s.search = redundant;
	CHECK(differs(&s, &c, &p));
	s = (struct subject){ counts_3, toy_machine };
	CHECK(!differs(&s, &c, &p));
	s.search = counts_2;
	CHECK(differs(&s, &c, &p));
}

int main(int argc, char **argv)
{
	unsigned long n = host_args(argc, argv);
	uint32_t seed = random_state;
	unsigned long too_big = 0;

	for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		test_known(&known[i]);
	test_counts();
	test_comparison();
	for (unsigned long i = 0; i < n;)
		if (test_random(&seed))
			i++;
		else
			too_big++;
	printf("%lu programs tested, %lu were too big\n", n, too_big);
	/* Else the generator makes programs that nothing tests. */
	CHECK(too_big <= 2 + n / 10);
	return 0;
}
