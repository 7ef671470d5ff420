/*
 * kernel/explore/search.c against brute force, on small random programs.
 *
 * Checked for each program:
 *   full      each interleaving runs once
 *   bounded   each interleaving with at most that many preemptions runs once; the
 *             search says that it is cut short if and only if there are others
 *   reduced   each class runs once, at least once if variables move; hence all
 *             ends are reached and no deadlock is lost
 *   straight  the witness is of the same class as its run, and has as few switches
 *             as any schedule of the class
 */
#include "kernel/explore/search.h"

#include <stdbool.h>
#include <string.h>

#include "tests/host/host.h"
#include "tests/host/search_model.h"

#define ROOM (1u << 16)

/* ---- the search ---------------------------------------------------------------- */

static struct search search;
static uint8_t room[ROOM];

static void standing_of(const struct state *s, struct standing *out)
{
	memset(out, 0, SEARCH_THREADS * sizeof(*out));
	for (unsigned int t = 0; t < program.threads; t++) {
		if (!at_point(s, t)) {
			if (s->pc[t] == program.nr[t])
				out[t].where = STAND_ENDED;
			continue;
		}
		out[t].where = STAND_AT_POINT;
		out[t].op = (uint16_t)program.ops[t][s->pc[t]].op;
		out[t].thing =
			thing_of(t, s->pc[t], &out[t].write, &out[t].moves);
	}
}

/* One run; false: the search gave it up as redundant. */
static bool run_once(struct state *s)
{
	struct standing stands[SEARCH_THREADS];
	unsigned int able;
	int who = 0;

	memset(s, 0, sizeof(*s));
	shift = program.moves ? below(THINGS) : 0;
	for (;;) {
		struct footprint f = { .n = 0 };
		unsigned int from = s->events, woken;

		standing_of(s, stands);
		able = enabled_in(s);
		if (!able)
			break;
		who = search_choose(&search, able, stands);
		if (who < 0)
			break;
		CHECK(able & 1u << who);
		woken = take_step(s, (unsigned int)who);
		for (unsigned int k = from; k < s->events; k++) {
			bool write, moves;
			uintptr_t thing = thing_of(s->event[k].thread,
						   s->event[k].at, &write,
						   &moves);

			footprint_add(&f, thing, write, moves);
		}
		search_step(&search, &f, woken);
	}
	CHECK(search_end(&search, stands) == 0);
	CHECK(who >= 0 || who == SEARCH_REDUNDANT);
	return who >= 0;
}

/* The straightened order is of the class of its run, with the fewest switches. */
static void check_straight(const struct class *c, size_t room_size)
{
	uint8_t order[SEARCH_STEPS];
	struct state s = { .events = 0 };
	bool as_ran;
	unsigned int n =
		search_straighten(&search, order, room, room_size, &as_ran);

	for (unsigned int i = 0; i < search.steps; i++)
		take_step(&s, order[i]);
	CHECK(!enabled_in(&s));
	CHECK(class_of(&s) == c);
	CHECK(n == s.switches);
	CHECK(!as_ran || room_size != ROOM);
	if (!as_ran)
		CHECK(n == c->fewest);
}

struct found {
	unsigned int runs, redundant;
};

static struct found run_search(enum search_mode mode, unsigned int bound)
{
	struct found found = { 0, 0 };
	unsigned int before = nr_classes;

	for (unsigned int i = 0; i < CLASSES_SIZE; i++)
		classes[i].seen = 0;
	search_init(&search, program.threads, mode, bound);
	while (search_next(&search)) {
		struct state s;
		struct class *c;

		if (!run_once(&s)) {
			CHECK(mode == SEARCH_REDUCED);
			found.redundant++;
			continue;
		}
		found.runs++;
		CHECK(found.runs <= nr_runs);
		c = class_of(&s);
		c->seen++;
		check_straight(c, ROOM);
		if (below(8) == 0)
			check_straight(
				c,
				below(40)); /* little room: perhaps as it ran */
	}
	CHECK(nr_classes == before); /* brute force has seen all classes */
	return found;
}

static unsigned int deadlocks(void)
{
	uint32_t ends[CLASSES_SIZE / 2];
	unsigned int n = 0, k;

	for (unsigned int i = 0; i < CLASSES_SIZE; i++) {
		if (!classes[i].used || !classes[i].deadlock ||
		    !classes[i].seen)
			continue;
		for (k = 0; k < n && ends[k] != classes[i].end; k++)
			;
		if (k == n)
			ends[n++] = classes[i].end;
	}
	return n;
}

static struct found check_program(void)
{
	unsigned int states, bound;
	struct found full, reduced;

	full = run_search(SEARCH_FULL, 0);
	CHECK(full.runs == nr_runs && !search.cut_short);
	for (unsigned int i = 0; i < CLASSES_SIZE; i++)
		CHECK(classes[i].seen == classes[i].runs);
	states = deadlocks();

	full = run_search(SEARCH_BOUNDED, THREADS * OPS);
	CHECK(full.runs == nr_runs && !search.cut_short);
	bound = below(4);
	full = run_search(SEARCH_BOUNDED, bound);
	CHECK(full.runs == within[bound]);
	CHECK(search.cut_short == (within[bound] < nr_runs));

	reduced = run_search(SEARCH_REDUCED, 0);
	for (unsigned int i = 0; i < CLASSES_SIZE; i++)
		CHECK(classes[i].seen == classes[i].used ||
		      (program.moves && classes[i].seen > classes[i].used));
	CHECK(reduced.runs == nr_classes || program.moves);
	CHECK(deadlocks() == states);
	return reduced;
}

/* ---- programs ------------------------------------------------------------------ */

/* Locks and releases, reads and writes. Locks need not be nested nor released. */
static void random_thread(unsigned int t, unsigned int nr, bool may_block)
{
	bool held[THINGS] = { false };

	program.nr[t] = nr;
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int on = below(THINGS), kind = below(6);
		enum op op = LOCK;

		if (kind >= 4)
			op = kind == 4 ? READ : WRITE;
		else if (held[on] && below(16)) /* else it takes it twice */
			op = RELEASE;
		else if (may_block && below(2))
			op = ACQUIRE;
		if (op <= RELEASE)
			held[on] = op != RELEASE;
		program.ops[t][i].op = op;
		program.ops[t][i].on = on;
	}
}

static void random_program(void)
{
	static const unsigned int most[] = { 0, 0, OPS, 4, 3 };
	bool may_block = below(2);

	program.threads = 2 + below(3);
	program.moves = below(2);
	for (unsigned int t = 0; t < program.threads; t++)
		random_thread(t, 1 + below(most[program.threads]), may_block);
}

/* "abBA": small letters take a mutex, capitals release it. */
static void program_of(unsigned int threads, const char *const *text)
{
	program.threads = threads;
	program.moves = false;
	for (unsigned int t = 0; t < threads; t++) {
		program.nr[t] = (unsigned int)strlen(text[t]);
		for (unsigned int i = 0; i < program.nr[t]; i++) {
			bool release = text[t][i] < 'a';

			program.ops[t][i].op = release ? RELEASE : LOCK;
			program.ops[t][i].on =
				(unsigned int)(text[t][i] -
					       (release ? 'A' : 'a'));
		}
	}
}

/* The number of classes and of deadlocks, counted on paper. */
static void known(unsigned int threads, const char *const *text,
		  unsigned int runs, unsigned int dead)
{
	program_of(threads, text);
	CHECK(walk_all());
	CHECK(check_program().runs == runs);
	CHECK(deadlocks() == dead);
}

static void known_programs(void)
{
	/* One order: either thread is first. Opposite orders: the same two classes,
	 * and the deadlock. */
	known(2, (const char *const[]){ "abBA", "abBA" }, 2, 0);
	known(2, (const char *const[]){ "abBA", "baAB" }, 3, 1);
	known(1, (const char *const[]){ "aa" }, 1, 1);
	/* Two mutexes, each used by one thread. */
	known(2, (const char *const[]){ "aA", "bB" }, 1, 0);
	/* Three threads at one mutex: any order. */
	known(3, (const char *const[]){ "aA", "aA", "aA" }, 6, 0);
	/* A ring: each of the three pairs of threads in either order gives 8; one
	 * of them is impossible, and one is the deadlock. */
	known(3, (const char *const[]){ "abBA", "bcCB", "caAC" }, 7, 1);
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	unsigned long runs = 0, reduced = 0, redundant = 0, knots = 0;

	known_programs();
	for (unsigned long i = 0; i < rounds; i++) {
		struct found found;

		do
			random_program();
		while (!walk_all());
		found = check_program();
		runs += nr_runs;
		reduced += found.runs;
		redundant += found.redundant;
		knots += deadlocks();
	}
	printf("search: programs=%lu interleavings=%lu classes=%lu "
	       "redundant=%lu deadlocks=%lu\n",
	       rounds, runs, reduced, redundant, knots);
	return 0;
}
