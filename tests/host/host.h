/*
 * For all host tests: CHECK() and a random generator. Each test is a program;
 * tests/test_host.py builds it with sanitizers and runs it. argv[1] is the seed,
 * argv[2] the number of rounds.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(c)                                                               \
	do {                                                                   \
		if (!(c)) {                                                    \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__,       \
				__LINE__, #c);                                 \
			abort();                                               \
		}                                                              \
	} while (0)

static uint32_t random_state;

/* A number below n (xorshift32). */
static inline uint32_t below(uint32_t n)
{
	uint32_t x = random_state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	random_state = x;
	return x % n;
}

static inline unsigned long host_args(int argc, char **argv)
{
	random_state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
	if (!random_state)
		random_state = 1;
	return argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
}
