/*
 * Threads, sleeping mutexes, checks. See kernel/sync/mutex.c.
 *
 * A mutex is the id of its owner, or 0. Who finds it taken waits until it is
 * free; in which order the waiters are served makes no difference to what can
 * happen, because a thread that waits has no other effect and may as well have
 * come later. A thread that wants what it holds waits for ever.
 *
 * Fails: a thread that never ends (spin: invalid end state), an assertion. A
 * BUG ends its thread there and then, with all that it holds.
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

byte died; /* a thread, of a BUG */
#define BUG_ON(condition)                                                      \
	if                                                                     \
	:: (condition) -> died = me; assert(!(condition)); end_bug: false      \
	:: else                                                                \
	fi

/* A warning is a failure, unless it is expected, as .warnings of a scenario. */
#ifndef WARNINGS
#define WARNINGS 0
#endif
byte warnings;

inline warn()
{
	atomic { warnings++; assert(warnings <= WARNINGS) }
}
