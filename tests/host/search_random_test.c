/*
 * kernel/explore/search.c against brute force, with steps that no lock of the
 * kernel has: a step reads some variables, one after the other, and what it reads
 * decides what it touches next and which step its thread takes then. So the
 * footprint of a step is another one in another order, and a step may touch much.
 * A step may have to wait until a lock is open; it may open or close locks.
 *
 * Checked: each class runs once, none twice; nothing is off course. A search whose
 * memory is full makes redundant runs, but loses no class. The graph of states
 * (lab/explore/graph.h) has a leaf for each class, counts the schedules and those that
 * fail, and finds the fewest switches of one that fails.
 * argv: seed, number of random machines.
 */
#include "kernel/explore/search.h"

#include <stdbool.h>
#include <string.h>

#include "lab/explore/graph.h"
#include "tests/host/host.h"

enum {
	THREADS = 4,
	STEPS = 6, /* of one thread */
	ACTS = 4,  /* of one step */
	VARS = 3,
	LOCKS = 2,
	LOCK = 10, /* names of things */
	MOST_RUNS = 20000,
	MOST_CLASSES = 4000,
	TABLE = 1 << 15,
};

enum act_kind { READ, WRITE, ADD, SUBTRACT, OPEN, TRY, STOP, NR_KINDS };

struct act {
	enum act_kind kind;
	unsigned int on, value;
	bool skips; /* a read of 0, a try that fails: leave out the next act */
};

static struct {
	unsigned int threads, nr[THREADS];
	struct {
		bool takes; /* the first act takes lock `on` */
		unsigned int on, nr;
		struct act act[ACTS];
	} step[THREADS][STEPS];
} machine;

static struct {
	unsigned int pc[THREADS];
	unsigned int var[VARS], lock[LOCKS]; /* lock: who has it, plus 1 */
} now;

/* ---- the machine --------------------------------------------------------- */

static unsigned int enabled(void)
{
	unsigned int set = 0;

	for (unsigned int t = 0; t < machine.threads; t++)
		if (now.pc[t] < machine.nr[t] &&
		    !(machine.step[t][now.pc[t]].takes &&
		      now.lock[machine.step[t][now.pc[t]].on]))
			set |= 1u << t;
	return set;
}

/* Returns whether the next act is left out. */
static bool act(unsigned int t, const struct act *a, struct footprint *f)
{
	unsigned int *lock = &now.lock[a->on % LOCKS], *var = &now.var[a->on];
	bool failed = false;

	switch (a->kind) {
	case READ:
		footprint_add(f, a->on + 1, TOUCH_READ, false);
		return a->skips && *var == a->value;
	case WRITE:
		footprint_add(f, a->on + 1, TOUCH_WRITE, false);
		*var = a->value;
		return false;
	case ADD:
	case SUBTRACT:
		/* Modulo 4: nobody looks at a range. */
		footprint_add(f, a->on + 1,
			      a->kind == ADD ? TOUCH_INC : TOUCH_DEC, false);
		*var = (*var + (a->kind == ADD ? 1 : 3)) % 4;
		return false;
	case OPEN:
		if (*lock != t + 1)
			return false;
		footprint_add(f, LOCK + a->on % LOCKS, TOUCH_WRITE, true);
		*lock = 0;
		return false;
	case TRY:
		/* Only as the first act on this lock in the step, see make(). */
		failed = *lock != 0;
		footprint_add(f, LOCK + a->on % LOCKS, TOUCH_WRITE, false);
		if (!failed) {
			footprint_shuts(f, LOCK + a->on % LOCKS);
			*lock = t + 1;
		}
		return a->skips && failed;
	default: /* STOP: the thread ends here if the variable has the value */
		footprint_add(f, a->on + 1, TOUCH_READ, false);
		if (*var == a->value)
			now.pc[t] = machine.nr[t];
		return false;
	}
}

static void take_step(unsigned int t, struct footprint *f)
{
	unsigned int pc = now.pc[t];

	memset(f, 0, sizeof(*f));
	if (machine.step[t][pc].takes) {
		footprint_add(f, LOCK + machine.step[t][pc].on, TOUCH_WRITE,
			      false);
		now.lock[machine.step[t][pc].on] = t + 1;
	}
	for (unsigned int i = 0; i < machine.step[t][pc].nr; i++)
		i += act(t, &machine.step[t][pc].act[i], f);
	if (now.pc[t] == pc)
		now.pc[t]++;
}

static void standing_of(struct standing *out)
{
	memset(out, 0, SEARCH_THREADS * sizeof(*out));
	for (unsigned int t = 0; t < machine.threads; t++) {
		unsigned int pc = now.pc[t];

		out[t].where = STAND_ENDED;
		if (pc == machine.nr[t])
			continue;
		out[t].where = STAND_AT_POINT;
		out[t].op = (uint16_t)pc;
		out[t].takes = machine.step[t][pc].takes;
		if (out[t].takes)
			out[t].thing = LOCK + machine.step[t][pc].on;
		out[t].how = TOUCH_WRITE;
		out[t].vague = machine.step[t][pc].nr != 0;
	}
}

/* ---- classes ------------------------------------------------------------- */

struct run {
	unsigned int n;
	uint8_t thread[THREADS * STEPS];
	struct footprint step[THREADS * STEPS];
};

static struct run run;
static uint64_t table[TABLE];
static bool seen[TABLE];
static size_t runs, classes, redundant;
static size_t failing;	    /* schedules in which a thread waits for ever */
static unsigned int fewest; /* switches of one of them */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xff51afd7ed558ccd;
	return (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
}

/* The place of the run's class in the table. */
static unsigned int class_of(void)
{
	uint64_t id[THREADS * STEPS], sum = 0;
	unsigned int at;

	for (unsigned int i = 0; i < run.n; i++) {
		uint64_t h = run.thread[i] + 1u;

		for (unsigned int k = 0; k < i; k++)
			if (run.thread[k] == run.thread[i] ||
			    are_dependent(&run.step[k], &run.step[i]))
				h += mix(id[k]);
		id[i] = mix(h);
		sum += mix(id[i]);
	}
	at = sum % TABLE;
	while (table[at] && table[at] != sum)
		at = (at + 1) % TABLE;
	classes += !table[at];
	table[at] = sum;
	return at;
}

static void go(unsigned int t)
{
	take_step(t, &run.step[run.n]);
	run.thread[run.n++] = (uint8_t)t;
}

/* Does a thread wait for ever? */
static bool fails(void)
{
	for (unsigned int t = 0; t < machine.threads; t++)
		if (now.pc[t] < machine.nr[t])
			return true;
	return false;
}

static void note_failure(void)
{
	unsigned int switches = 0;

	failing++;
	for (unsigned int i = 1; i < run.n; i++)
		switches += run.thread[i] != run.thread[i - 1];
	if (switches < fewest)
		fewest = switches;
}

static bool walk(void)
{
	unsigned int able = enabled(), n = run.n;

	for (unsigned int t = 0; t < machine.threads; t++) {
		__typeof__(now) before = now;
		bool ok;

		if (!(able & 1u << t))
			continue;
		go(t);
		ok = walk();
		now = before;
		run.n = n;
		if (!ok)
			return false;
	}
	if (able)
		return true;
	class_of();
	if (fails())
		note_failure();
	return ++runs < MOST_RUNS && classes < MOST_CLASSES;
}

/* ---- the search ---------------------------------------------------------- */

static struct search search;

static void check(uint32_t seed, bool good, const char *what)
{
	if (!good)
		fprintf(stderr, "seed %u: %s\n", seed, what);
	CHECK(good);
}

/* One run. Returns whether it was not redundant. */
static bool run_once(uint32_t seed)
{
	struct standing stands[SEARCH_THREADS];
	unsigned int able;
	int who = 0;

	memset(&now, 0, sizeof(now));
	run.n = 0;
	for (;;) {
		standing_of(stands);
		able = enabled();
		if (!able)
			break;
		who = search_choose(&search, able, stands);
		if (who < 0)
			break;
		go((unsigned int)who);
		search_step(&search, &run.step[run.n - 1]);
	}
	check(seed, search_end(&search, stands) == 0, "diverged");
	check(seed, who >= 0 || who == SEARCH_REDUNDANT, "a negative answer");
	return who >= 0 && !search.redundant_run;
}

/* The search remembers no step of an earlier run. Then some runs are redundant, but
 * no class is lost. With check_orders, these runs go on, in several orders; each
 * reaches a class that another run has. */
static void check_forgetful(uint32_t seed, unsigned int orders)
{
	size_t found = 0, all = classes;
	unsigned int in_a_row = 0;

	memset(seen, 0, sizeof(seen));
	search_init(&search, machine.threads, SEARCH_REDUCED, 0);
	search.nr_seen = SEARCH_SEEN;
	search.check_orders = orders;
	while (search_next(&search)) {
		unsigned int class;

		if (!run_once(seed)) {
			redundant++;
			if (!orders)
				continue;
			check(seed, !enabled(), "not to the end");
			class_of();
			in_a_row++;
			continue;
		}
		check(seed, !orders || in_a_row % orders == 0, "orders");
		class = class_of();
		check(seed, !seen[class], "a class ran twice");
		seen[class] = true;
		found++;
	}
	check(seed, classes == all, "a class that brute force has not");
	check(seed, found == all, "a class is lost");
	check(seed, !search.off_course, "off course");
}

static void check_search(uint32_t seed)
{
	size_t found = 0, all = classes;

	memset(seen, 0, sizeof(seen));
	search_init(&search, machine.threads, SEARCH_REDUCED, 0);
	while (search_next(&search)) {
		unsigned int class;

		check(seed, run_once(seed), "redundant");
		class = class_of();
		check(seed, !seen[class], "a class ran twice");
		seen[class] = true;
		found++;
	}
	check(seed, !search.off_course, "off course");
	check(seed, classes == all, "a class that brute force has not");
	check(seed, found == all, "a class is lost");
}

/* ---- the graph of states -------------------------------------------------- */

static struct graph graph;
static __typeof__(now) state_of[GRAPH_NODES];

/* The machine has come to a state by this thread's step, which was not taken in state
 * `from` before. Returns the state's node. */
static unsigned int arrive(uint32_t seed, unsigned int from, unsigned int t)
{
	uint64_t id = search_state(&search);
	unsigned int node = graph_find(&graph, id);

	if (node == GRAPH_NONE) {
		node = graph_add(&graph, id, search.steps, enabled());
		state_of[node] = now;
		graph.node[node].fails = !enabled() && fails();
	}
	check(seed, memcmp(&state_of[node], &now, sizeof(now)) == 0,
	      "two states with one name");
	check(seed, from == GRAPH_NONE || graph_join(&graph, from, t, node),
	      "no room");
	return node;
}

/* Run up to a state that is known. */
static void run_new_steps(uint32_t seed)
{
	struct standing stands[SEARCH_THREADS];
	unsigned int at = GRAPH_NONE, t = 0;
	int who;

	memset(&now, 0, sizeof(now));
	run.n = 0;
	for (;;) {
		unsigned int nodes = graph.nodes;

		standing_of(stands);
		if (search.steps < search.prefix) {
			at = graph_find(&graph, search_state(&search));
			check(seed, at != GRAPH_NONE, "a state is unknown");
		} else {
			at = arrive(seed, at, t);
			if (graph.nodes == nodes)
				break;
		}
		if (!enabled())
			break;
		who = search_choose(&search, enabled(), stands);
		check(seed, who >= 0, "a negative answer");
		t = (unsigned int)who;
		go(t);
		search_step(&search, &run.step[run.n - 1]);
	}
	check(seed, search_end(&search, stands) == 0, "diverged");
}

static void check_graph(uint32_t seed)
{
	const struct graph_edge *edge;
	unsigned int leaves = 0, switches, left, at = 0;

	graph_clear(&graph);
	search_init(&search, machine.threads, SEARCH_FULL, 0);
	while (search_next(&search))
		run_new_steps(seed);
	graph_count(&graph);
	for (unsigned int i = 0; i < graph.nodes; i++)
		leaves += !graph.node[i].first;
	check(seed, leaves == classes, "leaves are classes");
	check(seed, graph.node[0].schedules == runs, "schedules");
	check(seed, graph.node[0].failing == failing, "failing");
	edge = graph_best(&graph, 0, SEARCH_THREADS, &switches);
	check(seed, !edge == !failing, "a failing path");
	check(seed, !edge || switches - 1 == fewest, "switches");
	for (; edge; edge = graph_best(&graph, at, edge->mover, &left)) {
		check(seed, graph_next(&graph, at, edge->mover) == edge->to,
		      "the edges of a node");
		at = edge->to;
	}
	check(seed, !failing || graph.node[at].fails, "the path's end");
}

/* More nodes and edges than there is room for; more schedules than can be counted. */
static void check_limits(void)
{
	graph_clear(&graph);
	for (unsigned int i = 0; i < GRAPH_NODES; i++)
		CHECK(graph_add(&graph, 77 * i, i / 2, 0) == i);
	CHECK(graph_add(&graph, 1, 0, 0) == GRAPH_NONE);
	CHECK(graph_find(&graph, 77 * 5) == 5);
	CHECK(graph_find(&graph, 1) == GRAPH_NONE);
	/* Two nodes at each depth, with two edges each to the next depth. */
	for (unsigned int i = 0; i + 2 < 200; i++)
		for (unsigned int t = 0; t < 2; t++)
			CHECK(graph_join(&graph, i, t, i / 2 * 2 + 2 + t));
	graph_count(&graph);
	CHECK(graph.node[200 - 2 - 2 * 63].schedules == 1ull << 63);
	CHECK(graph.node[0].schedules == UINT64_MAX);
	CHECK(graph.node[0].failing == 0);
	while (graph_join(&graph, 0, 0, 1))
		;
	CHECK(graph.edges == GRAPH_EDGES);
}

/* ---- random machines ----------------------------------------------------- */

static void make(void)
{
	bool locks = below(2), counts = below(2);

	memset(&machine, 0, sizeof(machine));
	machine.threads = 2 + below(THREADS - 1);
	for (unsigned int t = 0; t < machine.threads; t++) {
		machine.nr[t] = 1 + below(machine.threads == 2 ? STEPS : 3);
		for (unsigned int i = 0; i < machine.nr[t]; i++) {
			__typeof__(machine.step[0][0]) *s = &machine.step[t][i];
			bool touched[LOCKS] = { false };

			s->takes = locks && below(3) == 0;
			s->on = below(LOCKS);
			s->nr = s->takes ? below(ACTS) : 1 + below(ACTS);
			touched[s->on] = s->takes;
			for (unsigned int k = 0; k < s->nr; k++) {
				struct act *a = &s->act[k];

				a->kind = (enum act_kind)below(NR_KINDS);
				a->on = below(VARS);
				a->value = below(2);
				a->skips = below(2);
				if (a->kind == STOP && below(2))
					a->kind = READ;
				if ((a->kind == ADD || a->kind == SUBTRACT) &&
				    !counts)
					a->kind = WRITE;
				if (a->kind != OPEN && a->kind != TRY)
					continue;
				/* One touch of each lock in a step. */
				if (!locks || touched[a->on % LOCKS])
					a->kind = READ;
				else
					touched[a->on % LOCKS] = true;
			}
		}
	}
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	size_t all_runs = 0, all_classes = 0;

	for (unsigned long i = 0; i < rounds; i++) {
		uint32_t seed;

		do {
			seed = random_state;
			make();
			memset(table, 0, sizeof(table));
			memset(&now, 0, sizeof(now));
			runs = classes = failing = 0;
			fewest = ~0u;
			run.n = 0;
		} while (!walk());
		all_runs += runs;
		all_classes += classes;
		check_search(seed);
		check_graph(seed);
		check_forgetful(seed, below(4));
	}
	check_limits();
	printf("search: machines=%lu interleavings=%zu classes=%zu "
	       "redundant=%zu without memory\n",
	       rounds, all_runs, all_classes, redundant);
	return 0;
}
