/*
 * Mutexes without contention. mutex.h includes this file and has the duties of a
 * client; mutex.c has the mechanism. Release builds have mutex_lock() and
 * mutex_unlock() inline.
 *
 * The fast path of an unlock is a compare-and-swap with the bare owner. It
 * fails if a flag is set: a thread waits, or the mutex is lent. It also fails
 * if another thread owns the mutex. So nothing else is to be checked before.
 *
 * Context: thread, may sleep.
 */
#pragma once

#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/sched.h"

/* If the mutex is free, make current the owner. Returns whether it was free.
 * once: try only once; then the answer may be false although it was free. */
static always_inline bool mutex_take_free(struct mutex *m, bool once)
{
	uintptr_t free = 0;

	/* Acquire: pairs with the release in mutex_release_free(). */
	return __atomic_compare_exchange_n(&m->owner, &free, (uintptr_t)current,
					   once, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* If `by` owns the mutex and no flag is set, free the mutex and return true.
 * Then the caller must not access the mutex any more, because its memory may be
 * freed. Otherwise change nothing and return false. It tries only once, so the
 * answer may be false without such a reason, too: the caller then goes the slow
 * path, which tries again. */
static always_inline bool mutex_release_free(struct mutex *m, struct thread *by)
{
	uintptr_t o = (uintptr_t)by;

	/* Release: pairs with the acquire in mutex_take_free(). */
	return __atomic_compare_exchange_n(&m->owner, &o, 0, true,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* The mutex is not free: wait. Returns 0 or -EINTR. */
int mutex_lock_slow(struct mutex *m, enum thread_state state, uintptr_t site);
/* Unlock a mutex that has a flag set or is not owned by the current thread, or
 * while events are recorded. */
void mutex_unlock_slow(struct mutex *m, uintptr_t caller);

static always_inline int lock_mutex(struct mutex *m, enum thread_state state,
				    unsigned int subclass maybe_unused,
				    struct mutex *outer maybe_unused,
				    uintptr_t site)
{
	might_sleep();
	trace_gate(state == TASK_INTERRUPTIBLE ? TR_LOCK_INTR : TR_LOCK, m,
		   site);
	lock_acquire(&m->dep_map, subclass, LOCK_WRITE,
		     outer ? &outer->dep_map : NULL, site);
	if (unlikely(!mutex_take_free(m, true))) {
		if (mutex_lock_slow(m, state, site)) {
			(void)lock_release(&m->dep_map, site);
			return -EINTR;
		}
		lock_acquired(&m->dep_map);
	}
	WRITE_ONCE(m->site, site);
	if (trace_watched()) {
		trace_did_to(TR_LOCK, m, m->name, site);
		trace_gate(TR_LOCKED, m, site);
	}
	return 0;
}

static always_inline void unlock_mutex(struct mutex *m, uintptr_t caller)
{
	trace_gate(TR_UNLOCK, m, caller);
	if (!lock_release(&m->dep_map, caller))
		return;
	/* The event comes before the release, so the slow path records it. */
	if (unlikely(READ_ONCE(trace_mode)) ||
	    unlikely(!mutex_release_free(m, current)))
		mutex_unlock_slow(m, caller);
}

#if !GORDIAN_DEBUG
static always_inline void mutex_lock(struct mutex *m)
{
	lock_mutex(m, TASK_UNINTERRUPTIBLE, 0, NULL, arch_here());
}

static always_inline void mutex_unlock(struct mutex *m)
{
	unlock_mutex(m, arch_here());
}
#endif
