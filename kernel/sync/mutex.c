/*
 * Mutexes. Their purpose and the duties: mutex.h.
 *
 * The owner word is 0 if the mutex is free, else a thread and two flags. While
 * a thread waits, MUTEX_WAITERS is set and the owner word is never 0: a release
 * makes the oldest waiter the owner. So:
 *   (1) no thread overtakes a waiter;
 *   (2) a woken waiter owns the mutex already, and does not try again.
 *
 * wait_lock guards the list, the lender, and every change of the flags.
 * Context: thread, may sleep. mutex_trylock() and the functions that only read:
 * any but FIQ.
 */
#include "kernel/sync/mutex.h"

#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/sched.h"

struct mutex_waiter {
	struct list_head link;
	struct thread *thread;
	uintptr_t site;
	uint32_t granted; /* enum grant; written under wait_lock */
};

DEFINE_LOCK_KEY(mutex_wait_key);

void __mutex_init(struct mutex *m, const char *name,
		  const void *key maybe_unused)
{
	debug_check_no_locks_freed(m, sizeof(*m));
	*m = (struct mutex)MUTEX_INIT(*m, name);
	lockdep_set_class(m, key, name);
}

static always_inline bool take_free(struct mutex *m)
{
	uintptr_t free = 0;

	/* Acquire: pairs with the release in set_owner() and mutex_unlock(). */
	return __atomic_compare_exchange_n(&m->owner, &free, (uintptr_t)current,
					   false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static uintptr_t waiters_flag(const struct mutex *m)
{
	return list_empty(&m->waiters) ? 0 : MUTEX_WAITERS;
}

/* Make `to` the owner (NULL: nobody). wait_lock held. */
static void set_owner(struct mutex *m, struct thread *to, uintptr_t flags)
{
	/* Release: pairs with the acquire in take_free(), or in mutex_unlock()
	 * for a thread that owns it again. */
	smp_store_release(&m->owner, (uintptr_t)to | flags | waiters_flag(m));
}

/* Hand over to that waiter and wake it. wait_lock held. */
static void hand_over(struct mutex *m, struct mutex_waiter *w, uintptr_t flags,
		      uintptr_t caller)
{
	struct thread *t = w->thread;

	list_del(&w->link);
	WRITE_ONCE(m->site, w->site);
	WRITE_ONCE(w->granted, GRANTING); /* before the release below */
	set_owner(m, t, flags);
	trace_did(TR_HANDOVER, m, (uintptr_t)t, caller);
	/* Release: pairs with the acquire in lock_slow(). w is on t's stack and
	 * may be gone right after this. */
	smp_store_release(&w->granted, GRANTED);
	wake_up_thread(t, caller);
}

/*
 * Join the waiters, unless the mutex has become free: then take it. Returns
 * whether the thread has to wait. wait_lock held.
 */
static bool join_waiters(struct mutex *m, struct mutex_waiter *w)
{
	uintptr_t o;

	do {
		o = READ_ONCE(m->owner);
		/* A flag without an owner would lock it for ever. */
		if (o == 0 && take_free(m))
			return false;
		/* Relaxed: this sets a flag and does not take the mutex. */
	} while (o == 0 || !__atomic_compare_exchange_n(
				   &m->owner, &o, o | MUTEX_WAITERS, false,
				   __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	list_add_tail(&w->link, &m->waiters);
	return true;
}

/* The wait was interrupted. Leave the waiters and return -EINTR; or return 0 if
 * the thread has become the owner meanwhile. */
static int leave_waiters(struct mutex *m, struct mutex_waiter *w)
{
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	bool waits = w->granted == WAITS;

	if (waits) {
		list_del(&w->link);
		if (list_empty(&m->waiters))
			/* Relaxed: wait_lock guards the flag. */
			__atomic_fetch_and(&m->owner, ~(uintptr_t)MUTEX_WAITERS,
					   __ATOMIC_RELAXED);
	} else {
		thread_interrupt(current); /* ends its next wait instead */
	}
	spin_unlock_irqrestore(&m->wait_lock, flags);
	return waits ? -EINTR : 0;
}

static noinline int lock_slow(struct mutex *m, enum thread_state state,
			      uintptr_t site)
{
	struct mutex_waiter w = { .thread = current, .site = site };
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	int err = 0;

	if (!join_waiters(m, &w)) {
		spin_unlock_irqrestore(&m->wait_lock, flags);
		return 0;
	}
	trace_did(TR_CONTEND, m, (uintptr_t)mutex_owner(m), site);
	spin_unlock_irqrestore(&m->wait_lock, flags);
	lock_contended(&m->dep_map); /* not with wait_lock on top of m */

	WRITE_ONCE(current->waiting.granted, &w.granted);
	wait_begin(state, &mutex_wait, m, m->name, site);
	/* Acquire: pairs with the release in hand_over(). */
	while (smp_load_acquire(&w.granted) != GRANTED) {
		if (state == TASK_INTERRUPTIBLE && thread_interrupted()) {
			err = leave_waiters(m, &w);
			break;
		}
		schedule();
		wait_begin(state, &mutex_wait, m, m->name, site);
	}
	wait_end();
	return err;
}

static always_inline int lock_mutex(struct mutex *m, enum thread_state state,
				    unsigned int subclass maybe_unused,
				    struct mutex *outer maybe_unused,
				    uintptr_t site)
{
	might_sleep();
	trace_gate(TR_LOCK, m, site);
	lock_acquire(&m->dep_map, subclass, LOCK_WRITE,
		     outer ? &outer->dep_map : NULL, site);
	if (unlikely(!take_free(m))) {
		if (lock_slow(m, state, site)) {
			(void)lock_release(&m->dep_map, site);
			return -EINTR;
		}
		lock_acquired(&m->dep_map);
	}
	WRITE_ONCE(m->site, site);
	trace_did(TR_LOCK, m, 0, site);
	return 0;
}

story void mutex_lock(struct mutex *m)
{
	lock_mutex(m, TASK_UNINTERRUPTIBLE, 0, NULL, CALLER);
}

void __mutex_lock_nested(struct mutex *m, unsigned int subclass,
			 struct mutex *outer)
{
	lock_mutex(m, TASK_UNINTERRUPTIBLE, subclass, outer, CALLER);
}

int mutex_lock_interruptible(struct mutex *m)
{
	return lock_mutex(m, TASK_INTERRUPTIBLE, 0, NULL, CALLER);
}

bool mutex_trylock(struct mutex *m)
{
	trace_gate(TR_TRYLOCK, m, CALLER);
	if (!take_free(m))
		return false;
	lock_acquire(&m->dep_map, 0, LOCK_TRY, NULL, CALLER);
	WRITE_ONCE(m->site, CALLER);
	trace_did(TR_LOCK, m, 0, CALLER);
	return true;
}

/*
 * Release the mutex for `by`. The end states:
 *   (1) it was lent to `by`: the lender owns it again;
 *   (2) `by` has lent it: the borrower keeps it for good;
 *   (3) a thread waits: the oldest waiter owns it;
 *   (4) no thread waits: it is free.
 */
static void unlock_slow(struct mutex *m, struct thread *by, uintptr_t caller)
{
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	struct thread *lender = m->lender;

	if (lender && mutex_owner(m) == by) {
		set_owner(m, lender, 0);
		/* Release: pairs with the acquire in mutex_unlock(). */
		smp_store_release(&m->lender, NULL);
		trace_did(TR_HANDOVER, m, (uintptr_t)lender, caller);
	} else if (lender == by) {
		m->lender = NULL;
		set_owner(m, mutex_owner(m), 0);
	} else if (!list_empty(&m->waiters)) {
		hand_over(m, list_first(&m->waiters, struct mutex_waiter, link),
			  0, caller);
	} else {
		set_owner(m, NULL, 0);
	}
	spin_unlock_irqrestore(&m->wait_lock, flags);
}

story void mutex_unlock(struct mutex *m)
{
	uintptr_t o = (uintptr_t)current;

	trace_gate(TR_UNLOCK, m, CALLER);
	/* A thread that neither owns nor lends the mutex leaves it unchanged.
	 * Acquire: pairs with the release in unlock_slow(), so a thread that no
	 * longer lends it sees that it is the owner. */
	if (!lock_release(&m->dep_map, CALLER) ||
	    WARN_ON(smp_load_acquire(&m->lender) != current &&
		    mutex_owner(m) != current))
		return;
	trace_did(TR_UNLOCK, m, 0, CALLER);
	/* Release: pairs with the acquire in take_free(). */
	if (unlikely(!__atomic_compare_exchange_n(&m->owner, &o, 0, false,
						  __ATOMIC_RELEASE,
						  __ATOMIC_RELAXED)))
		unlock_slow(m, current, CALLER);
}

int mutex_lend(struct mutex *m, struct thread *to)
{
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	struct mutex_waiter *w;
	int err = -EINVAL;

	list_for_each (w, &m->waiters, link) {
		if (w->thread != to || m->lender)
			continue;
		m->lender = mutex_owner(m);
		hand_over(m, w, MUTEX_LENT, CALLER);
		err = 0;
		break;
	}
	spin_unlock_irqrestore(&m->wait_lock, flags);
	return err;
}

static const struct thread *mutex_holder(const void *obj)
{
	return mutex_owner(obj);
}

static uintptr_t mutex_site(const void *obj)
{
	const struct mutex *m = obj;

	return READ_ONCE(m->site);
}

static int mutex_lend_object(void *obj, struct thread *t)
{
	return mutex_lend(obj, t);
}

const struct wait_ops mutex_wait = {
	.name = "mutex",
	.event = true,
	.handed_over = true,
	.dep_map = DEP_MAP_AT(struct mutex),
	.owner = mutex_holder,
	.site = mutex_site,
	.lend = mutex_lend_object,
	.lent = "%s lends %s to %s until %s releases it",
};

void mutex_release_dead(struct mutex *m, struct thread *dead)
{
	if (mutex_owner(m) == dead || READ_ONCE(m->lender) == dead)
		unlock_slow(m, dead, CALLER);
}
