/*
 * kernel/explore/search.c against brute force: small random programs over mutexes
 * and shared variables, run by a simulator in place of the engine. Every
 * interleaving is walked by recursion, without the search; schedules that differ
 * only in the order of independent steps are told by the order of those that are
 * not: for each two events of different threads that touch one thing, who came
 * first.
 *
 * In every other program the variables are elsewhere in each run, as allocated
 * things are, so what is known of them from an earlier run is not where. Who is
 * woken goes on at once: what it looks at next is in the step of who woke it.
 *
 * Held, for each program:
 *   full      each interleaving once
 *   bounded   each with at most that many preemptions; cut short just if there
 *             are others
 *   reduced   each class once, hence the same ends: no deadlock is lost; at least
 *             once where things move
 *   straight  the witness is of the class of its run, and none of that has fewer
 *             switches
 */
#include "kernel/explore/search.h"

#include <stdbool.h>
#include <string.h>

#include "tests/host/host.h"

#define THREADS	     4
#define OPS	     8
#define THINGS	     3	  /* mutexes, and as many variables */
#define RUNS_MAX     6000 /* of a program: a larger one is made anew */
#define CLASSES_SIZE 16384
#define ROOM	     (1u << 16)

enum op {
	LOCK,	 /* enabled while it is free, as before mutex_lock() */
	ACQUIRE, /* may block, as a rw-semaphore does: woken by the release */
	RELEASE,
	READ,
	WRITE,
};

struct program {
	unsigned int threads, nr[THREADS];
	struct {
		enum op op;
		unsigned int on;
	} ops[THREADS][OPS];
	bool moves; /* its variables do, from run to run */
};

struct event {
	uint8_t thread, at; /* its place in the thread's program */
};

struct state {
	unsigned int pc[THREADS];
	bool blocked[THREADS];
	uint8_t owner[THINGS]; /* 0: free; else the thread plus one */
	uint8_t queue[THINGS][THREADS], queued[THINGS];
	/* What has happened. */
	struct event event[THREADS * OPS];
	unsigned int events, preemptions, switches;
	unsigned int last; /* who took the last step */
};

static struct program program;

/* ---- the simulator ------------------------------------------------------------- */

static bool at_point(const struct state *s, unsigned int t)
{
	return !s->blocked[t] && s->pc[t] < program.nr[t];
}

static unsigned int enabled_in(const struct state *s)
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

/* Thread t has been woken; on to its next point. Variables are none for it, the
 * engine's points are farther apart than these. */
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

/* Thread t takes its next step; returns who was woken by it. */
static unsigned int take_step(struct state *s, unsigned int t)
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

static unsigned int shift; /* of this run: where the variables are */

/* What an operation touches: 1 and up, so that none is 0. */
static uintptr_t thing_of(unsigned int t, unsigned int at, bool *write,
			  bool *moves)
{
	enum op op = program.ops[t][at].op;
	unsigned int on = program.ops[t][at].on;

	*write = op != READ;
	*moves = op >= READ && program.moves;
	return 1 + (op >= READ ? THINGS + (on + shift) % THINGS : on);
}

/* ---- classes ------------------------------------------------------------------- */

struct class
{
	bool used;
	uint64_t order; /* a bit for each pair of conflicting events */
	uint32_t end; /* where each thread stands, and whether it is blocked */
	bool deadlock;
	unsigned int runs, fewest; /* interleavings; switches of the best */
	unsigned int seen;	   /* by the search under test */
};

static struct class classes[CLASSES_SIZE];
static unsigned int nr_classes, nr_runs;

static bool conflict(struct event a, struct event b)
{
	bool wa, wb, moves;
	uintptr_t x = thing_of(a.thread, a.at, &wa, &moves);
	uintptr_t y = thing_of(b.thread, b.at, &wb, &moves);

	return x == y && (wa || wb);
}

static struct class *class_of(const struct state *s)
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

/* Every interleaving; false: there are too many. within: those with at most so
 * many preemptions are counted. */
static unsigned int within[THREADS * OPS];

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

static bool walk_all(void)
{
	static const struct state start;

	memset(classes, 0, sizeof(classes));
	memset(within, 0, sizeof(within));
	nr_classes = nr_runs = 0;
	return walk(&start);
}

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

/* One run; false: the search gave it up. */
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

/* The order is one of the class of the run, and has the fewest switches. */
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
			check_straight(c, below(40)); /* as it ran */
	}
	CHECK(nr_classes ==
	      before); /* no class that brute force does not know */
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

/* Locks and releases, not always nested, not always complete; reads, writes. */
static void random_thread(unsigned int t, unsigned int nr, bool may_block)
{
	bool held[THINGS] = { false };

	program.nr[t] = nr;
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int on = below(THINGS), kind = below(6);
		enum op op = LOCK;

		if (kind >= 4)
			op = kind == 4 ? READ : WRITE;
		else if (held[on] && below(16)) /* else takes it twice */
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

/* "aBbA": small letters take a mutex, capitals release it. */
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

/* Counted on paper. */
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
	/* One order: who is first. Crossed: these two, and the knot. */
	known(2, (const char *const[]){ "abBA", "abBA" }, 2, 0);
	known(2, (const char *const[]){ "abBA", "baAB" }, 3, 1);
	known(1, (const char *const[]){ "aa" }, 1, 1);
	/* Two mutexes that have nothing to do with each other. */
	known(2, (const char *const[]){ "aA", "bB" }, 1, 0);
	/* Three at one mutex: in any order. */
	known(3, (const char *const[]){ "aA", "aA", "aA" }, 6, 0);
	/* A ring: each of three pairs in either order, but that all first ones
	 * were last (nobody can be) is none, and all of them first the knot. */
	known(3, (const char *const[]){ "abBA", "bcCB", "caAC" }, 7, 1);
}

/* ---- the rest ------------------------------------------------------------------ */

static void footprints(void)
{
	struct footprint f[2];
	uint8_t bits[2][64] = { { 0 } };
	bool expected = false, full = false;

	memset(f, 0, sizeof(f));
	for (unsigned int k = 0; k < 2; k++) {
		unsigned int n = below(2) ? below(30) : below(4), things = 0;

		for (unsigned int i = 0; i < n; i++) {
			unsigned int x = below(64);
			bool write = below(4) == 0;

			footprint_add(&f[k], x * 64, write, false);
			things += !bits[k][x];
			bits[k][x] |= write ? 2 : 1;
		}
		CHECK(f[k].all == (things > FOOTPRINT_THINGS));
		full |= f[k].all;
	}
	for (unsigned int x = 0; x < 64; x++)
		expected |= bits[0][x] && bits[1][x] &&
			    ((bits[0][x] | bits[1][x]) & 2);
	CHECK(dependent(&f[0], &f[1]) == (full || expected));
	CHECK(dependent(&f[1], &f[0]) == (full || expected));
}

/* What a step touched, told in any order; the last thing moves. */
static struct footprint three_things(unsigned int first, bool write_first,
				     unsigned int moving, bool write_moving)
{
	struct footprint f = { .n = 0 };

	for (unsigned int i = 0; i < 2; i++) {
		unsigned int thing = (first + i) % 2;

		footprint_add(&f, thing + 1, thing == 0 && write_first, false);
	}
	footprint_add(&f, moving, write_moving, true);
	return f;
}

/* A given step is taken; does the search see that it is another one? */
static bool seen_as_other(const struct footprint *f,
			  const struct standing *stands)
{
	bool other;

	CHECK(search_choose(&search, 3, stands) >= 0);
	search_step(&search, f, 0);
	other = search_choose(&search, 3, stands) == SEARCH_DIVERGED;
	return other;
}

/* Three steps of two threads, and the next run: its first two steps are given. */
static void begin_replay(const struct footprint *f,
			 const struct standing *stands)
{
	search_init(&search, 2, SEARCH_FULL, 0);
	CHECK(search_next(&search));
	for (unsigned int i = 0; i < 3; i++) {
		CHECK(search_choose(&search, 3, stands) >= 0);
		search_step(&search, f, 0);
	}
	CHECK(search_end(&search, stands) == 0);
	CHECK(search_next(&search) && search.prefix == 3);
}

/* A prefix that goes another way is told, whatever differs. */
static void diverges(void)
{
	static const struct standing same[SEARCH_THREADS] = {
		{ STAND_AT_POINT, LOCK, 1, true, false },
		{ STAND_AT_POINT, LOCK, 1, true, false },
	};
	struct standing stands[SEARCH_THREADS];
	const struct footprint f = three_things(0, true, 100, false);
	struct footprint other = f;

	memcpy(stands, same, sizeof(stands));
	begin_replay(&f, stands);
	CHECK(search_choose(&search, 1u << below(2), stands) ==
	      SEARCH_DIVERGED);
	stands[below(2)].op = WRITE;
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	memcpy(stands, same, sizeof(stands));
	stands[below(2)].where = below(2) ? STAND_BLOCKED : STAND_ENDED;
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	memcpy(stands, same, sizeof(stands));
	CHECK(search_end(&search, stands) == SEARCH_DIVERGED); /* too early */

	other = three_things(1, true, 200, false); /* the same, and elsewhere */
	CHECK(!seen_as_other(&other, stands));
	begin_replay(&f, stands);
	other = f;
	footprint_add(&other, 3, false, false);
	CHECK(seen_as_other(&other, stands));
	begin_replay(&other, stands);
	CHECK(seen_as_other(&f, stands)); /* one less */
	begin_replay(&f, stands);
	other = three_things(0, false, 100, false);
	CHECK(seen_as_other(&other, stands));
	begin_replay(&f, stands);
	other = three_things(0, true, 100, true);
	CHECK(seen_as_other(&other, stands));
	begin_replay(&f, stands);
	CHECK(search_choose(&search, 3, stands) >= 0);
	search_step(&search, &f, 1); /* wakes one whom it did not wake */
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	begin_replay(&f, stands);
	for (unsigned int i = 0; i < 2; i++) {
		CHECK(search_choose(&search, 3, stands) >= 0);
		search_step(&search, &f, 0);
	}
	/* The last that is given is another choice, and touches other things. */
	CHECK(search_choose(&search, 3, stands) >= 0);
	search_step(&search, &other, 0);
	CHECK(search_end(&search, stands) == 0);
}

static void too_long(void)
{
	struct standing stands[SEARCH_THREADS] = { { .where =
							     STAND_AT_POINT } };
	struct footprint f = { .n = 0 };

	search_init(&search, 1, SEARCH_REDUCED, 0);
	CHECK(search_next(&search));
	for (unsigned int i = 0; i < SEARCH_STEPS; i++) {
		CHECK(search_choose(&search, 1, stands) == 0);
		search_step(&search, &f, 0);
	}
	CHECK(search_choose(&search, 1, stands) == SEARCH_TOO_LONG);
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	unsigned long runs = 0, reduced = 0, redundant = 0, knots = 0;

	known_programs();
	too_long();
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
		footprints();
		diverges();
	}
	printf("search: programs=%lu interleavings=%lu classes=%lu "
	       "redundant=%lu deadlocks=%lu\n",
	       rounds, runs, reduced, redundant, knots);
	return 0;
}
