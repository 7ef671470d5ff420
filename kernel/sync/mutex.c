/*
 * Mutexes. mutex.h has their purpose and the client's duties.
 *
 * The owner word is 0 if the mutex is free, otherwise a thread and two flags.
 * While a thread waits, MUTEX_WAITERS is set and the owner word is never 0: a
 * release makes the oldest waiter the owner. So:
 *   (1) no thread overtakes a waiter;
 *   (2) a woken waiter owns the mutex already, and does not try again.
 *
 * The next owner may free the memory of the mutex as soon as its own unlock has
 * returned. So a release does not use the mutex any more once the next owner
 * can get that far:
 *   (a) a release without waiters ends with its compare-and-swap, in
 *       unlock_mutex() and in release_slow();
 *   (b) a waiter is told that it owns the mutex only after wait_lock has been
 *       released (unlock_and_wake());
 *   (c) if the new owner does not wait (it is a lender or a borrower),
 *       MUTEX_WAITERS is set. So its own release takes wait_lock, and comes
 *       after this release.
 * (wait_lock may still be read: drop_lock() in kernel/lock/spinlock_fast.h.)
 *
 * The fast paths are in mutex_fast.h. In release builds they are inline, in debug
 * builds they are in fast.c.
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
	debug_check_new_lock(m, sizeof(*m), CALLER);
	*m = (struct mutex)MUTEX_INIT(*m, name);
	lockdep_set_class(m, key, name);
}

static uintptr_t waiters_flag(const struct mutex *m)
{
	return list_empty(&m->waiters) ? 0 : MUTEX_WAITERS;
}

/* Make `to` the owner. wait_lock held. */
static void set_owner(struct mutex *m, struct thread *to, uintptr_t flags)
{
	/* Release: pairs with the smp_rmb() in copy_waiting(). A report that
	 * sees a waiter as the owner also sees that it is GRANTING. */
	smp_store_release(&m->owner, (uintptr_t)to | flags | waiters_flag(m));
}

/* Make the waiter w the owner. wait_lock held; the caller then calls
 * unlock_and_wake(). */
static void hand_over(struct mutex *m, struct mutex_waiter *w, uintptr_t flags,
		      uintptr_t caller)
{
	list_del(&w->link);
	WRITE_ONCE(m->site, w->site);
	WRITE_ONCE(w->granted, GRANTING); /* before set_owner()'s release */
	set_owner(m, w->thread, flags);
	trace_did(TR_HANDOVER, m, (uintptr_t)w->thread, caller);
}

/* Release wait_lock. Then tell the waiter w, if it is not NULL, that it is the
 * owner. After that m and w may be gone (w is on its thread's stack). IRQs stay
 * off between the two steps: otherwise an interrupt, or another thread on this
 * core, could delay w's thread. */
static void unlock_and_wake(struct mutex *m, uint32_t flags,
			    struct mutex_waiter *w, uintptr_t caller)
{
	raw_spin_unlock(&m->wait_lock);
	if (w) {
		struct thread *t = w->thread;

		/* Release: pairs with the acquire in mutex_lock_slow(). */
		smp_store_release(&w->granted, GRANTED);
		wake_up_thread(t, caller);
	}
	local_irq_restore(flags);
}

/*
 * Join the waiters. But if the mutex has become free, take it. Returns whether
 * the thread has to wait. wait_lock held.
 */
static bool join_waiters(struct mutex *m, struct mutex_waiter *w)
{
	uintptr_t o;

	do {
		o = READ_ONCE(m->owner);
		/* Do not set a flag while the owner word is 0: the flag would
		 * lock the mutex for ever. */
		if (o == 0 && mutex_take_free(m, false))
			return false;
		/* Relaxed: this sets a flag and does not take the mutex. */
	} while (o == 0 || !__atomic_compare_exchange_n(
				   &m->owner, &o, o | MUTEX_WAITERS, false,
				   __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	list_add_tail(&w->link, &m->waiters);
	return true;
}

/* The wait of w was interrupted: take w off the list of waiters. Returns false if
 * the mutex has been handed over to w. */
static bool leave_waiters(struct mutex *m, struct mutex_waiter *w)
{
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	bool waits = w->granted == WAITS;

	if (waits) {
		list_del(&w->link);
		if (list_empty(&m->waiters))
			/* Relaxed: wait_lock guards the flag. */
			__atomic_fetch_and(&m->owner, ~(uintptr_t)MUTEX_WAITERS,
					   __ATOMIC_RELAXED);
	}
	spin_unlock_irqrestore(&m->wait_lock, flags);
	return waits;
}

noinline int mutex_lock_slow(struct mutex *m, enum thread_state state,
			     uintptr_t site)
{
	struct mutex_waiter w = { .thread = current, .site = site };
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	bool interrupted = false;

	if (!join_waiters(m, &w)) {
		spin_unlock_irqrestore(&m->wait_lock, flags);
		return 0;
	}
	trace_did_all(TR_CONTEND, m, m->name, (uintptr_t)mutex_owner(m), site);
	spin_unlock_irqrestore(&m->wait_lock, flags);
	/* Only now, because lockdep's top entry must be m, not wait_lock. */
	lock_contended(&m->dep_map);

	WRITE_ONCE(current->waiting.granted, &w.granted);
	wait_begin(state, &mutex_wait, m, m->name, site);
	/* Acquire: pairs with the release in unlock_and_wake(). */
	while (smp_load_acquire(&w.granted) != GRANTED) {
		if (state == TASK_INTERRUPTIBLE && take_interruption()) {
			if (leave_waiters(m, &w)) {
				wait_end();
				return -EINTR;
			}
			interrupted = true;
			state = TASK_UNINTERRUPTIBLE; /* GRANTED comes soon */
		}
		schedule();
		wait_begin(state, &mutex_wait, m, m->name, site);
	}
	wait_end();
	if (interrupted)
		thread_interrupt(current); /* end the next wait instead */
	return 0;
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
	if (!mutex_take_free(m, false))
		return false;
	lock_acquire(&m->dep_map, 0, LOCK_TRY, NULL, CALLER);
	WRITE_ONCE(m->site, CALLER);
	trace_did_to(TR_LOCK, m, m->name, CALLER);
	return true;
}

/* The thread that has lent the mutex, or NULL. Acquire: pairs with the releases
 * in hand_on(). */
static struct thread *mutex_lender(const struct mutex *m)
{
	return (struct thread *)(smp_load_acquire(&m->lender) &
				 ~(uintptr_t)MUTEX_AGAIN);
}

/*
 * The thread `by` releases the mutex. Hand it on to the next owner:
 *   (1) if the mutex was lent to `by`, the lender owns it again. But if `by`
 *       has borrowed it more than once, `by` still owns it;
 *   (2) if `by` has lent it, the borrower stays the owner, and later releases
 *       it as any owner does;
 *   (3) if a thread waits, the oldest waiter owns it;
 *   (4) if no thread waits, `by` still owns it, without a flag.
 * Returns false in case (4): the mutex is still to be released.
 */
static bool hand_on(struct mutex *m, struct thread *by, uintptr_t caller)
{
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	struct thread *lender = mutex_lender(m), *owner = mutex_owner(m);
	struct thread *next = m->lender & MUTEX_AGAIN ? owner : lender;
	uintptr_t lent = m->lender & MUTEX_AGAIN ? MUTEX_LENT : 0;
	struct mutex_waiter *w = NULL;
	bool done = true;

	if (lender && owner == by) {
		set_owner(m, next, MUTEX_WAITERS | lent);
		/* Release: pairs with the acquire in mutex_lender(). A lender
		 * that lends no longer then sees that it is the owner. */
		smp_store_release(&m->lender, lent ? m->lender - 1 : 0);
		trace_did(TR_HANDOVER, m, (uintptr_t)next, caller);
	} else if (lender == by) {
		/* Release: pairs with the acquire in mutex_lender(). */
		smp_store_release(&m->lender,
				  lent ? ((uintptr_t)owner |
					  (m->lender & MUTEX_AGAIN)) -
						  1 :
					 0);
		set_owner(m, owner, MUTEX_WAITERS | lent);
	} else if (!list_empty(&m->waiters)) {
		w = list_first(&m->waiters, struct mutex_waiter, link);
		hand_over(m, w, 0, caller);
	} else {
		set_owner(m, by, 0);
		done = false;
	}
	unlock_and_wake(m, flags, w, caller);
	return done;
}

static noinline void release_slow(struct mutex *m, struct thread *by,
				  uintptr_t caller)
{
	/* Between hand_on() and mutex_release_free() another thread may have come to
	 * wait. */
	while (!hand_on(m, by, caller) && !mutex_release_free(m, by))
		;
}

noinline void mutex_unlock_slow(struct mutex *m, uintptr_t caller)
{
	struct thread *me = current;

	/* If the thread neither owns nor lends the mutex, the mutex stays as it
	 * is. The lender is read first: if this thread lends no longer, it then
	 * sees that it is the owner. */
	if (WARN_ON(mutex_lender(m) != me && mutex_owner(m) != me))
		return;
	trace_did_to(TR_UNLOCK, m, m->name, caller);
	if (!mutex_release_free(m, me))
		release_slow(m, me, caller);
}

/* A mutex that is lent may be lent again only to its borrower, if the borrower
 * locks it again, and at most MUTEX_AGAIN times. */
static bool may_lend_to(const struct mutex *m, const struct thread *to)
{
	return !m->lender || (mutex_owner(m) == to &&
			      (m->lender & MUTEX_AGAIN) != MUTEX_AGAIN);
}

int mutex_lend(struct mutex *m, struct thread *to)
{
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	struct mutex_waiter *w, *found = NULL;

	list_for_each (w, &m->waiters, link)
		if (w->thread == to && may_lend_to(m, to))
			found = w;
	if (found) {
		WRITE_ONCE(m->lender, m->lender ? m->lender + 1 :
						  (uintptr_t)mutex_owner(m));
		hand_over(m, found, MUTEX_LENT, CALLER);
	}
	unlock_and_wake(m, flags, found, CALLER);
	return found ? 0 : -EINVAL;
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
	if (mutex_owner(m) == dead || mutex_lender(m) == dead)
		release_slow(m, dead, CALLER);
}
