/*
 * Suites that run in the kernel and report as KTAP.
 *
 *	KTEST(list, add_and_del)
 *	{
 *		EXPECT(list_empty(&head));
 *		EXPECT_EQ(count, 3);
 *	}
 *
 * `test` runs every suite, `test SUITE` one, `test SUITE.CASE` one case. Each
 * case runs in the shell command's thread (may sleep). A failed EXPECT prints
 * `# file:line: what` and marks the case `not ok`; the case goes on.
 */
#ifndef TESTS_KERNEL_KTEST_H
#define TESTS_KERNEL_KTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

struct ktest {
	const char *suite;
	const char *name;
	void (*fn)(void);
	bool manual; /* only when named: it ends the machine or takes long */
};

#define KTEST_(s, n, m)                                                        \
	static void ktest_##s##_##n(void);                                     \
	static const struct ktest ktest_entry_##s##_##n                        \
		__attribute__((__used__, __section__(".ktests"), __aligned__(4))) = {      \
			#s, #n, ktest_##s##_##n, m                             \
		};                                                             \
	static void ktest_##s##_##n(void)
#define KTEST(s, n)	   KTEST_(s, n, false)
#define KTEST_MANUAL(s, n) KTEST_(s, n, true)

void ktest_fail(const char *file, int line, const char *what, long long got,
		long long want, bool values);
/* Mark the running case as skipped, with the reason. */
void ktest_skip(const char *why);

#define EXPECT(c)                                                              \
	do {                                                                   \
		if (!(c))                                                      \
			ktest_fail(__FILE__, __LINE__, #c, 0, 0, false);       \
	} while (0)
#define EXPECT_EQ(got, want)                                                   \
	do {                                                                   \
		long long _g = (long long)(got), _w = (long long)(want);       \
		if (_g != _w)                                                  \
			ktest_fail(__FILE__, __LINE__, #got " == " #want, _g,  \
				   _w, true);                                  \
	} while (0)

/* A small seeded generator (xorshift32) for torture suites. */
static inline uint32_t ktest_random(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

#endif
