/*
 * Mutexes: sleeping, first come first served, owner known.
 *
 * The owner word holds the thread and two flags. Without waiters lock and
 * unlock are one compare-and-swap each. With waiters, unlock hands the mutex to
 * the first in line before it wakes it: nobody overtakes, no wake-up is lost.
 * Thread context only; may sleep; not with a spinlock held or IRQs off.
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
	struct thread *lender;	  /* set while lent, see mutex_lend() */
	DEP_MAP
};

/* What a waiter of a mutex or rw-semaphore is told. GRANTING stands before the
 * owner word changes: a report that finds the waiter in the owner word finds it
 * no longer waiting. */
enum grant { WAITS, GRANTING, GRANTED };

extern const struct wait_ops mutex_wait; /* obj: the struct mutex */

#define MUTEX_WAITERS 1u /* release must take the slow path */
#define MUTEX_LENT    2u
#define MUTEX_FLAGS   3u

extern struct lock_class_key mutex_wait_key; /* of all wait_locks */

#define MUTEX_INIT(m, n)                                                       \
	{                                                                      \
		DEP_MAP_INIT(n).name = (n),                                    \
		.wait_lock =                                                   \
			SPINLOCK_INIT_KEY("mutex.wait_lock", mutex_wait_key),  \
		.waiters = LIST_HEAD_INIT((m).waiters)                         \
	}
#define DEFINE_MUTEX(m) struct mutex m = MUTEX_INIT(m, #m)

/* Of one class with all that this line initialises. */
#define mutex_init(m, n) __mutex_init((m), (n), LOCK_KEY())
void __mutex_init(struct mutex *m, const char *name, const void *key);
void mutex_lock(struct mutex *m);
/* While another of its class is held: with a nesting level, 1 to 7; or with an
 * outer mutex held that orders them. */
#define mutex_lock_nested(m, subclass)                                         \
	__mutex_lock_nested((m), (subclass), NULL)
#define mutex_lock_nest_lock(m, outer) __mutex_lock_nested((m), 0, (outer))
void __mutex_lock_nested(struct mutex *m, unsigned int subclass,
			 struct mutex *outer);
bool mutex_trylock(struct mutex *m);
/* As mutex_lock(), but a Ctrl-C (thread_interrupt()) ends it: 0 or -EINTR. */
int mutex_lock_interruptible(struct mutex *m);
void mutex_unlock(struct mutex *m);

static always_inline struct thread *mutex_owner(const struct mutex *m)
{
	return (struct thread *)(READ_ONCE(m->owner) & ~(uintptr_t)MUTEX_FLAGS);
}

static inline bool mutex_is_locked(const struct mutex *m)
{
	return mutex_owner(m) != NULL;
}

/*
 * Cut a knot (docs/design.md, "lending"): the owner, itself blocked, lends the
 * mutex to the waiter until that one unlocks it, and then owns it again. Returns
 * 0, or -EINVAL if `to` does not wait for it or it is lent already.
 */
int mutex_lend(struct mutex *m, struct thread *to);

/* Release a mutex whose owner has died (its reaper calls this). */
void mutex_release_dead(struct mutex *m, struct thread *dead);
