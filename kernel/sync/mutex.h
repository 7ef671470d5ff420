/*
 * Mutexes: mutual exclusion between threads, which sleep while they wait.
 *
 * The client's duties:
 *  1. Take and release a mutex in thread context, not with a spinlock held or
 *     IRQs off: both may sleep.
 *  2. The thread that took it releases it.
 *  3. Keep to the order of docs/locking.md.
 *
 * The consequences:
 *  a. First come, first served: a release hands the mutex to the thread that
 *     has waited longest, before it wakes it. No thread overtakes a waiter, and
 *     no wake-up is lost.
 *  b. Without waiters, lock and unlock are one compare-and-swap each.
 *  c. The owner is known, and where it took the mutex.
 *  d. A blocked owner can lend the mutex (docs/design.md, "lending").
 *  e. The memory of a mutex may be freed once no thread holds it or wants it,
 *     although the unlock of the owner before has not returned yet. So the last
 *     user of an object may free it, also if the mutex in it guards the count
 *     of its users.
 *
 * The mechanism: kernel/sync/mutex.c, and kernel/sync/mutex_fast.h without
 * contention.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/debug/panic.h"
#include "kernel/lib/list.h"
#include "kernel/lock/spinlock.h"

struct thread;

struct mutex {
	uintptr_t owner; /* struct thread * | MUTEX_* flags, atomic */
	const char *name;
	uintptr_t site; /* where the owner took it; written by the owner */
	/* wait_lock guards: */
	struct spinlock wait_lock;
	struct list_head waiters; /* struct mutex_waiter, oldest first */
	/* struct thread * | how often its borrower has borrowed it again; 0: it is
	 * not lent. See mutex_lend(). */
	uintptr_t lender;
	DEP_MAP
};

/* The state of a waiter of a mutex or rw-semaphore. GRANTING is set before the
 * owner changes: a report that sees the waiter as the owner also sees that it
 * no longer waits. */
enum grant { WAITS, GRANTING, GRANTED };

extern const struct wait_ops mutex_wait; /* obj: the struct mutex */

/* The release takes wait_lock: a thread waits, or the owner before may not be
 * done with the mutex yet. */
#define MUTEX_WAITERS 1u
#define MUTEX_LENT    2u
#define MUTEX_FLAGS   3u
/* Of `lender`: a count, in the bits that are 0 in a pointer. */
#define MUTEX_AGAIN 3u

extern struct lock_class_key mutex_wait_key; /* of all wait_locks */

#define MUTEX_INIT(m, n)                                                       \
	{                                                                      \
		DEP_MAP_SLEEPS(n).name = (n),                                  \
		.wait_lock =                                                   \
			SPINLOCK_INIT_KEY("mutex.wait_lock", mutex_wait_key),  \
		.waiters = LIST_HEAD_INIT((m).waiters)                         \
	}
#define DEFINE_MUTEX(m) struct mutex m = MUTEX_INIT(m, #m)

/* All mutexes initialised by one line of source are of one class. */
#define mutex_init(m, n) __mutex_init((m), (n), LOCK_KEY())
void __mutex_init(struct mutex *m, const char *name, const void *key);
#if GORDIAN_DEBUG
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
#endif
/* For a mutex of a class that is held already. Give a nesting level from 1 to
 * 7, or a mutex `outer` that is held and orders all mutexes of the class. */
#define mutex_lock_nested(m, subclass)                                         \
	__mutex_lock_nested((m), (subclass), NULL)
#define mutex_lock_nest_lock(m, outer) __mutex_lock_nested((m), 0, (outer))
void __mutex_lock_nested(struct mutex *m, unsigned int subclass,
			 struct mutex *outer);
bool mutex_trylock(struct mutex *m);
/* As mutex_lock(), but thread_interrupt() ends the wait. Returns 0 or
 * -EINTR. */
int mutex_lock_interruptible(struct mutex *m);

static always_inline struct thread *mutex_owner(const struct mutex *m)
{
	return (struct thread *)(READ_ONCE(m->owner) & ~(uintptr_t)MUTEX_FLAGS);
}

static inline bool mutex_is_locked(const struct mutex *m)
{
	return mutex_owner(m) != NULL;
}

/*
 * Cut a knot (docs/design.md, "lending"): the owner, which is blocked, lends
 * the mutex to a waiter. When the waiter unlocks it, the owner owns it again.
 * Returns 0, or -EINVAL if `to` does not wait for m, or if m is lent already to
 * another thread.
 */
int mutex_lend(struct mutex *m, struct thread *to);

/* If a thread has died as the owner or the lender of m, release m for it.
 * Called when a knot is cut. */
void mutex_release_dead(struct mutex *m, struct thread *dead);

#include "kernel/sync/mutex_fast.h"
