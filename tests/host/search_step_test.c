/*
 * kernel/explore/search.c, its rules for steps: which steps are dependent; a prefix
 * that does not repeat is noticed, whatever differs; too many steps.
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
	CHECK(are_dependent(&f[0], &f[1]) == (full || expected));
	CHECK(are_dependent(&f[1], &f[0]) == (full || expected));
}

/* The footprint of a step that touches three things, the first two of them in any
 * order; the last one moves. */
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

/* Take a step of the prefix; does the search notice that it is another one? */
static bool noticed(const struct footprint *f, const struct standing *stands)
{
	bool other;

	CHECK(search_choose(&search, 3, stands) >= 0);
	search_step(&search, f, 0);
	other = search_choose(&search, 3, stands) == SEARCH_DIVERGED;
	return other;
}

/* Run three steps of two threads; in the next run the first two must repeat. */
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

/* A prefix that does not repeat is noticed, whatever differs. */
static void divergence(void)
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

	other = three_things(1, true, 200, false); /* only moved */
	CHECK(!noticed(&other, stands));
	begin_replay(&f, stands);
	other = f;
	footprint_add(&other, 3, false, false);
	CHECK(noticed(&other, stands));
	begin_replay(&other, stands);
	CHECK(noticed(&f, stands)); /* one thing less */
	begin_replay(&f, stands);
	other = three_things(0, false, 100, false);
	CHECK(noticed(&other, stands));
	begin_replay(&f, stands);
	other = three_things(0, true, 100, true);
	CHECK(noticed(&other, stands));
	begin_replay(&f, stands);
	CHECK(search_choose(&search, 3, stands) >= 0);
	search_step(&search, &f, 1); /* now it wakes a thread */
	CHECK(search_choose(&search, 3, stands) == SEARCH_DIVERGED);
	begin_replay(&f, stands);
	for (unsigned int i = 0; i < 2; i++) {
		CHECK(search_choose(&search, 3, stands) >= 0);
		search_step(&search, &f, 0);
	}
	/* The last step of the prefix is the new choice: it may differ. */
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

	too_long();
	for (unsigned long i = 0; i < rounds; i++) {
		footprints();
		divergence();
	}
	return 0;
}
