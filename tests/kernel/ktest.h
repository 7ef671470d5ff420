/*
 * Suites that run in the kernel and report as KTAP.
 *
 *	KTEST(list, add_and_del)
 *	{
 *		EXPECT(list_empty(&head));
 *		EXPECT_EQ(count, 3);
 *	}
 *
 * `test` runs every suite, `test SUITE` one suite, `test SUITE.CASE` one case. A number
 * after that is the seed of cases that draw random numbers: ktest_seed(). A case
 * runs in the thread of the shell's command and may sleep. If an EXPECT fails, it
 * prints `# file:line: condition` and marks the case `not ok`; the case goes on.
 * EXPECT may stand in any thread or interrupt of the case. A suite may be spread over
 * several files.
 *
 * Duties of a case:
 *  1. All cores are on when it begins (for a manual case: as they are). It leaves them
 *     on.
 *  2. It joins its threads and gives back what it took. The runner compares
 *     state_summary() before and after, and the affinity, preempt count and held locks
 *     of its thread.
 *  3. It announces each report that it provokes: ktest_reports(), ktest_lockdep().
 *  4. It does not measure time. It fails if a result is wrong, or if something does not
 *     happen within a very long time (EVENTUALLY).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/cpu/smp.h"
#include "kernel/lib/compiler.h"
#include "kernel/sched/sched.h"

struct ktest {
	const char *suite;
	const char *name;
	void (*fn)(void);
	bool manual; /* runs only when named: it ends the machine or takes long */
};

extern const struct ktest ktests_start[], ktests_end[];

#define KTEST_AS(id, s, n, m)                                                  \
	static void ktest_##id(void);                                          \
	static const struct ktest ktest_entry_##id                             \
		__attribute__((__used__, __section__(".ktests"),               \
			       __aligned__(4),                                 \
			       __no_reorder__)) = { s, n, ktest_##id, m };     \
	static void ktest_##id(void)
#define KTEST_(s, n, m)	   KTEST_AS(s##_##n, #s, #n, m)
#define KTEST(s, n)	   KTEST_(s, n, false)
#define KTEST_MANUAL(s, n) KTEST_(s, n, true)

void ktest_fail(const char *file, int line, const char *what, long long got,
		long long want, bool values);
/* Mark the running case as skipped, with the reason. */
void ktest_skip(const char *why);
/* Announce that the running case provokes so many reports of each kind. */
void ktest_reports(unsigned int warns, unsigned int slab_errors,
		   unsigned int rcu_stalls);

#define EXPECT(c)                                                              \
	do {                                                                   \
		if (!(c))                                                      \
			ktest_fail(__FILE__, __LINE__, #c, 0, 0, false);       \
	} while (0)
/* Fail the case; why: what is wrong, a sentence. */
#define FAIL(why) ktest_fail(__FILE__, __LINE__, (why), 0, 0, false)
#define EXPECT_EQ(got, want)                                                   \
	do {                                                                   \
		long long _g = (long long)(got), _w = (long long)(want);       \
		if (_g != _w)                                                  \
			ktest_fail(__FILE__, __LINE__, #got " == " #want, _g,  \
				   _w, true);                                  \
	} while (0)

/* Announce that the case provokes findings of these kinds, LOCKDEP_BIT()s. Lockdep is
 * reset after the case. A finding that was not announced fails its case. */
#if GORDIAN_DEBUG
void ktest_lockdep(unsigned int kinds);
#else
#define ktest_lockdep(kinds) ((void)(kinds))
#endif

/*
 * When we give up waiting: after so much guest time AND so many looks, since with
 * -icount shift=10 an instruction takes a microsecond.
 *
 * A sleep that is shorter than the work of going to sleep does not give up the core, and
 * then a thread of lower priority does not run there. So the sleep between two looks
 * becomes longer: the last one takes 10 ms.
 */
#define KTEST_PATIENCE_NS 20000000000ull
#define KTEST_LOOKS	  4000
#define KTEST_LOOK_NS	  50000ull
#define KTEST_SLEEP_NS(n) (KTEST_LOOK_NS + 2500ull * (n))

/* Look again and again, with sleeps in between, until c holds; false: it never did. */
#define EVENTUALLY(c)                                                          \
	({                                                                     \
		uint64_t _end = timer_now() + timer_ticks(KTEST_PATIENCE_NS);  \
		unsigned int _looks = 0;                                       \
		bool _yes;                                                     \
		while (!(_yes = (c)) &&                                        \
		       (_looks++ < KTEST_LOOKS || timer_now() < _end))         \
			sleep_ns(KTEST_SLEEP_NS(_looks));                      \
		_yes;                                                          \
	})

/* Skip the case if fewer cores are online. */
#define NEED_CORES(n)                                                          \
	do {                                                                   \
		if (ktest_cores() < (n)) {                                     \
			ktest_skip("needs " #n " cores");                      \
			return;                                                \
		}                                                              \
	} while (0)

/* Add one to a count that several threads or interrupts add to. */
static inline void ktest_count(uint32_t *n)
{
	/* Full order: a case reads what was done before the count. */
	__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
}

static inline unsigned int ktest_first_core(void)
{
	return cpumask_first(cpu_online());
}

/* If only one core is online, this is the first one, too. */
static inline unsigned int ktest_last_core(void)
{
	return 31 - (unsigned int)__builtin_clz(cpu_online().bits);
}

static inline unsigned int ktest_cores(void)
{
	return cpumask_weight(cpu_online());
}

/*
 * A moment of work, for loops that wait for another core or for the tick. It ends with
 * a YIELD: when QEMU runs all cores in one thread (thread=single, -icount), a loop
 * without YIELD keeps the other cores from running for 0.1 s each time. It has only one
 * YIELD: with -icount that costs the host as much as thousands of instructions.
 */
static inline void ktest_busy(void)
{
	for (unsigned int i = 0; i < 300; i++)
		__asm__ volatile("");
	cpu_relax();
}

/* Create a thread of normal priority; if that fails, the case fails. */
struct thread *ktest_thread(const char *name, int (*fn)(void *), void *arg,
			    struct cpumask where);
/* Let the case's own thread run only on that core, until the end of the case. */
void ktest_run_on(unsigned int cpu);
/* Is t asleep, and off its core? */
bool ktest_sleeps(const struct thread *t);

/* All caches give back their unused pages, so the next allocations need new ones. */
void ktest_shrink_all(void);
/* Take all stacks that are kept for new threads, as a chain; and give them back. */
uint32_t ktest_take_stacks(void);
void ktest_give_stacks(uint32_t chain);
/* The case leaves the machine in another state on purpose: do not compare. */
void ktest_changes_state(void);

/* The seed that the command was given, else 1. Never 0. */
uint32_t ktest_seed(void);

/* A small random generator (xorshift32). */
static inline uint32_t ktest_random(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}
