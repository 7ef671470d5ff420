/*
 * See search_run.h. Each run's class is computed here once more, without the
 * search's own order of events.
 */
#include "tests/host/search_run.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/explore/search.h"
#include "tests/host/host.h"
#include "tests/host/search_model.h"

#define ROOM (1u << 16)

struct run {
	unsigned int n;
	uint8_t thread[SEARCH_STEPS];
	struct footprint step[SEARCH_STEPS];
};

static struct search search;
static const struct program *prog;
static struct searched *res;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xff51afd7ed558ccd;
	return (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
}

/* The same for two runs if and only if they are of one class: the sum over all
 * events of a hash of the event and of those it directly depends on. */
static uint64_t class_of(const struct run *r)
{
	static uint64_t id[SEARCH_STEPS];
	uint64_t sum = 0;

	for (unsigned int i = 0; i < r->n; i++) {
		uint64_t h = r->thread[i] + 1u;

		for (unsigned int k = 0; k < i; k++)
			if (r->thread[k] == r->thread[i] ||
			    are_dependent(&r->step[k], &r->step[i]))
				h += mix(id[k]);
		id[i] = mix(h);
		sum += mix(id[i]);
	}
	return sum;
}

/* Take a step of the machine, and note it. */
static void take_step(struct run *r, unsigned int t)
{
	struct model_touch touched[MODEL_TOUCHES];
	unsigned int n = model_step(t, touched);
	struct footprint *f = &r->step[r->n];

	memset(f, 0, sizeof(*f));
	for (unsigned int i = 0; i < n; i++) {
		footprint_add(f, touched[i].thing * 64u,
			      (enum touch_how)touched[i].how, touched[i].opens);
		if (touched[i].shuts)
			footprint_shuts(f, touched[i].thing * 64u);
	}
	r->thread[r->n++] = (uint8_t)t;
}

static void standing_of(struct standing *out)
{
	memset(out, 0, SEARCH_THREADS * sizeof(*out));
	for (unsigned int t = 0; t < prog->nr_threads; t++) {
		struct model_gate g = model_gate(t);

		if (g.ended)
			out[t].where = STAND_ENDED;
		else if (!g.sleeps)
			out[t] = (struct standing){
				.where = STAND_AT_POINT,
				.op = (uint16_t)g.op,
				.thing = g.thing * 64u,
				.how = (enum touch_how)g.how,
				.takes = g.takes,
				.vague = g.vague,
			};
	}
}

/* ---- every interleaving -------------------------------------------------- */

/* A class, and the switches of its best run. A hash table. */
static struct {
	uint64_t class;
	unsigned int fewest;
} best[1u << 15];
static size_t nr_best;
static bool walked;

static unsigned int *fewest_of(uint64_t class)
{
	size_t i = class % (sizeof(best) / sizeof(best[0]));

	while (best[i].class && best[i].class != class)
		i = (i + 1) % (sizeof(best) / sizeof(best[0]));
	if (!best[i].class) {
		CHECK(++nr_best < sizeof(best) / sizeof(best[0]));
		best[i].class = class;
		best[i].fewest = ~0u;
	}
	return &best[i].fewest;
}

static unsigned int switches_of(const struct run *r)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i < r->n; i++)
		n += r->thread[i] != r->thread[i - 1];
	return n;
}

static struct run walk_run;

/* Run the steps that walk_run has. */
static void again(void)
{
	unsigned int n = walk_run.n;

	model_reset(prog);
	for (walk_run.n = 0; walk_run.n < n;)
		take_step(&walk_run, walk_run.thread[walk_run.n]);
}

static bool walk(struct walked *w, unsigned int preemptions, size_t max_runs)
{
	uint32_t able = model_enabled();
	unsigned int n = walk_run.n, *fewest;

	for (unsigned int t = 0; t < prog->nr_threads; t++) {
		unsigned int last = n ? walk_run.thread[n - 1] : t;
		bool ok;

		if (!(able & 1u << t))
			continue;
		take_step(&walk_run, t);
		ok = walk(w, preemptions + (t != last && able & 1u << last),
			  max_runs);
		walk_run.n = n;
		if (!ok)
			return false;
		again();
	}
	if (able)
		return true;
	if (w->runs == max_runs)
		return false;
	w->runs++;
	for (unsigned int b = preemptions; b < BOUNDS; b++)
		w->within[b]++;
	fewest = fewest_of(class_of(&walk_run));
	if (switches_of(&walk_run) < *fewest)
		*fewest = switches_of(&walk_run);
	return true;
}

bool walk_all(struct walked *w, const struct program *p, size_t max_runs)
{
	memset(w, 0, sizeof(*w));
	memset(best, 0, sizeof(best));
	nr_best = 0;
	prog = p;
	walk_run.n = 0;
	model_reset(p);
	walked = walk(w, 0, max_runs);
	return walked;
}

void walk_none(void)
{
	walked = false;
}

/* The straightened order is of the class of its run, with the fewest switches. */
static void check_straight(const struct run *r, size_t room_size)
{
	static uint8_t order[SEARCH_STEPS], room[ROOM];
	static struct run straight;
	bool as_ran;
	unsigned int n =
		search_straighten(&search, order, room, room_size, &as_ran);

	straight.n = 0;
	model_reset(prog);
	for (unsigned int i = 0; i < r->n; i++)
		take_step(&straight, order[i]);
	CHECK(!model_enabled());
	CHECK(class_of(&straight) == class_of(r));
	CHECK(n == switches_of(&straight));
	CHECK(!as_ran || !r->n || room_size != ROOM);
	if (!as_ran)
		CHECK(n == *fewest_of(class_of(r)));
}

/* ---- the search ---------------------------------------------------------- */

static uint64_t *classes;
static size_t room_for;

static void note_class(uint64_t class)
{
	if (res->runs >= room_for) {
		room_for = room_for ? 2 * room_for : 1024;
		classes = realloc(classes, room_for * sizeof(*classes));
		CHECK(classes);
	}
	classes[res->runs++] = class;
}

static void note_end(void)
{
	struct program_end e;

	model_end(&e);
	for (size_t i = 0; i < res->nr_ends; i++)
		if (memcmp(&res->end[i], &e, sizeof(e)) == 0)
			return;
	/* Double the room at each power of 2. */
	if (!(res->nr_ends & (res->nr_ends - 1)))
		res->end = realloc(res->end,
				   (res->nr_ends ? 2 * res->nr_ends : 1) *
					   sizeof(e));
	CHECK(res->end);
	res->end[res->nr_ends++] = e;
}

/* One run. Returns the answer of the search that ended it, or 0. */
static int run_once(struct run *r)
{
	struct standing stands[SEARCH_THREADS];
	uint32_t able;
	int who = 0, end;

	r->n = 0;
	model_reset(prog);
	for (;;) {
		standing_of(stands);
		able = model_enabled();
		if (!able)
			break;
		who = search_choose(&search, able, stands);
		if (who < 0)
			break;
		CHECK(able & 1u << who);
		take_step(r, (unsigned int)who);
		search_step(&search, &r->step[r->n - 1]);
	}
	end = search_end(&search, stands);
	if (who < 0)
		return who;
	if (end == SEARCH_NO_ROOM)
		return SEARCH_NO_ROOM;
	CHECK(end == 0);
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct program_end));
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void run_search(struct searched *r, const struct program *p,
		enum searched_mode mode, unsigned int bound, size_t max_runs)
{
	static struct run run;

	memset(r, 0, sizeof(*r));
	res = r;
	prog = p;
	search_init(&search, p->nr_threads, (enum search_mode)mode, bound);
	while (search_next(&search)) {
		int answer;

		if (r->runs + r->redundant == max_runs) {
			r->too_big = true;
			break;
		}
		answer = run_once(&run);
		if (answer == SEARCH_NO_ROOM) {
			r->no_room = true;
			break;
		}
		CHECK(answer == 0 || answer == SEARCH_REDUNDANT);
		if (answer) {
			r->redundant++;
			continue;
		}
		note_class(class_of(&run));
		note_end();
		if (!walked)
			continue;
		check_straight(&run, ROOM);
		if (below(8) == 0) /* little room: perhaps as it ran */
			check_straight(&run, below(40));
	}
	r->off_course = search.off_course;
	r->cut_short = search.cut_short;
	r->forgetful = search.forgetful;
	if (r->runs)
		qsort(classes, r->runs, sizeof(*classes), by_number);
	for (size_t i = 0; i < r->runs; i++)
		r->classes += i == 0 || classes[i] != classes[i - 1];
	if (r->nr_ends)
		qsort(r->end, r->nr_ends, sizeof(*r->end), by_bytes);
}

void searched_free(struct searched *r)
{
	free(r->end);
	memset(r, 0, sizeof(*r));
}
