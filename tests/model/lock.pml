/*
 * Threads, sleeping mutexes, checks. See kernel/sync/mutex.c.
 *
 * A mutex is the id of its owner, or 0. A thread that finds it taken waits until it is
 * free. The order of the waiters does not matter: a waiting thread has no other effect, so
 * it could as well have come later. A thread that wants a mutex that it holds waits for
 * ever.
 *
 * Failures: a thread that never ends (spin: invalid end state), an assertion. A BUG ends its
 * thread at once, with all locks that it holds.
 */
#define me (_pid + 1)

inline mutex_lock(m)
{
	atomic { m == 0 -> m = me }
}

inline mutex_unlock(m)
{
	atomic { assert(m == me); m = 0 }
}

byte died; /* a thread has hit a BUG */
#define BUG_ON(condition)                                                      \
	if                                                                     \
	:: (condition) -> died = me; assert(!(condition)); end_bug: false      \
	:: else                                                                \
	fi

/* A warning is a failure, unless it is expected: .warnings of a scenario. */
#ifndef WARNINGS
#define WARNINGS 0
#endif
byte warnings;

inline warn()
{
	atomic { warnings++; assert(warnings <= WARNINGS) }
}
