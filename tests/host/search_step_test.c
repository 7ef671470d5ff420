/*
 * kernel/explore/search.c, its rules for steps: which steps are dependent; a prefix
 * that does not repeat is noticed, whatever differs; too many steps; full tables; a
 * client whose footprints are wrong; redundant runs in several orders.
 */
#include "kernel/explore/search.h"

#include <stdbool.h>
#include <string.h>

#include "tests/host/host.h"

enum { LOCK, WRITE }; /* operations: any two that differ */

static struct search search;

static void footprints(void)
{
	struct footprint f[2];
	uint8_t how[2][64];
	bool expected = false, full = false;

	memset(f, 0, sizeof(f));
	memset(how, 0xff, sizeof(how));
	for (unsigned int k = 0; k < 2; k++) {
		unsigned int n = below(2) ? below(30) : below(4), things = 0;

		for (unsigned int i = 0; i < n; i++) {
			unsigned int x = below(64);
			uint8_t h = (uint8_t)below(4);

			footprint_add(&f[k], x * 64, (enum touch_how)h, false);
			things += how[k][x] == 0xff;
			how[k][x] = how[k][x] == 0xff || how[k][x] == h ?
					    h :
					    TOUCH_WRITE;
		}
		CHECK(f[k].all == (things > FOOTPRINT_THINGS));
		full |= f[k].all;
	}
	for (unsigned int x = 0; x < 64; x++)
		expected |=
			how[0][x] != 0xff && how[1][x] != 0xff &&
			(how[0][x] != how[1][x] || how[0][x] == TOUCH_WRITE);
	CHECK(are_dependent(&f[0], &f[1]) == (full || expected));
	CHECK(are_dependent(&f[1], &f[0]) == (full || expected));
}

/* A step that touches two things, in any order. */
static struct footprint two_things(unsigned int first, enum touch_how how,
				   bool gives)
{
	struct footprint f = { .n = 0 };

	for (unsigned int i = 0; i < 2; i++) {
		unsigned int thing = (first + i) % 2;

		footprint_add(&f, thing + 1, thing ? TOUCH_READ : how,
			      thing == 0 && gives);
	}
	return f;
}

/* Take a step of the prefix; does the search notice that it is another one? */
static bool noticed(const struct footprint *f, const struct standing *stands)
{
	CHECK(search_choose(&search, 3, stands) >= 0);
	search_step(&search, f);
	return search_choose(&search, 3, stands) == SEARCH_DIVERGED;
}

/* Run three steps of two threads; in the next run the first two must repeat. */
static void begin_replay(const struct footprint *f,
			 const struct standing *stands)
{
	search_init(&search, 2, SEARCH_FULL, 0);
	CHECK(search_next(&search));
	for (unsigned int i = 0; i < 3; i++) {
		CHECK(search_choose(&search, 3, stands) >= 0);
		search_step(&search, f);
	}
	CHECK(search_end(&search, stands) == 0);
	CHECK(search_next(&search) && search.prefix == 3);
}

/* A prefix that does not repeat is noticed, whatever differs. */
static void divergence(void)
{
	static const struct standing same[SEARCH_THREADS] = {
		{ STAND_AT_POINT, LOCK, 1, TOUCH_WRITE, true, false, 0 },
		{ STAND_AT_POINT, LOCK, 1, TOUCH_WRITE, true, false, 0 },
	};
	struct standing stands[SEARCH_THREADS];
	const struct footprint f = two_things(0, TOUCH_WRITE, false);
	struct footprint other;

	memcpy(stands, same, sizeof(stands));
	begin_replay(&f, stands);
	CHECK(search_choose(&search, 1u << below(2), stands) ==
	      SEARCH_DIVERGED);
	stands[below(2)].op = WRITE;
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	memcpy(stands, same, sizeof(stands));
	stands[below(2)].thing = 2;
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	memcpy(stands, same, sizeof(stands));
	stands[below(2)].how = TOUCH_READ;
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	memcpy(stands, same, sizeof(stands));
	stands[below(2)].takes = false;
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	memcpy(stands, same, sizeof(stands));
	stands[below(2)].where = below(2) ? STAND_BLOCKED : STAND_ENDED;
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	memcpy(stands, same, sizeof(stands));
	CHECK(search_end(&search, stands) == SEARCH_DIVERGED); /* too early */

	other = two_things(1, TOUCH_WRITE, false); /* only in another order */
	CHECK(!noticed(&other, stands));
	begin_replay(&f, stands);
	other = f;
	footprint_add(&other, 3, TOUCH_READ, false);
	CHECK(noticed(&other, stands));
	begin_replay(&other, stands);
	CHECK(noticed(&f, stands)); /* one thing less */
	begin_replay(&f, stands);
	other = two_things(0, below(2) ? TOUCH_INC : TOUCH_DEC, false);
	CHECK(noticed(&other, stands));
	begin_replay(&f, stands);
	other = two_things(0, TOUCH_WRITE, true);
	CHECK(noticed(&other, stands));
	begin_replay(&f, stands);
	for (unsigned int i = 0; i < 2; i++) {
		CHECK(search_choose(&search, 3, stands) >= 0);
		search_step(&search, &f);
	}
	/* The last step of the prefix is the new choice: it may differ. */
	CHECK(search_choose(&search, 3, stands) >= 0);
	search_step(&search, &other);
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
		search_step(&search, &f);
	}
	CHECK(search_choose(&search, 1, stands) == SEARCH_TOO_LONG);
}

/* More different footprints than fit: the search says so, and goes on saying so. */
static void no_room(void)
{
	struct standing stands[SEARCH_THREADS] = { { .where =
							     STAND_AT_POINT } };
	unsigned int n = 0;
	int answer = 0;

	search_init(&search, 1, SEARCH_REDUCED, 0);
	search.threads = 2;
	while (search_next(&search) && answer != SEARCH_NO_ROOM) {
		while ((answer = search_choose(&search, n & 1 ? 3 : 1,
					       stands)) >= 0) {
			struct footprint f = { .n = 0 };

			footprint_add(&f, ++n, TOUCH_READ, false);
			search_step(&search, &f);
			if (search.steps == 900)
				break;
		}
		if (answer >= 0)
			answer = search_end(&search, stands);
		CHECK(answer == 0 || answer == SEARCH_NO_ROOM);
		/* Begin again, with the tables as they are. */
		search.begun = search.no_room;
		search.steps = search.prefix = search.same = search.ordered = 0;
	}
	CHECK(n > 2000 && answer == SEARCH_NO_ROOM);
	CHECK(search_next(&search));
	CHECK(search_choose(&search, 1, stands) == SEARCH_NO_ROOM);
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);

	too_long();
	no_room();
	for (unsigned long i = 0; i < rounds; i++) {
		footprints();
		divergence();
	}
	return 0;
}
