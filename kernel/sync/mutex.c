/*
 * Mutexes: sleeping, FIFO, owner known, lendable.
 *
 * The owner word is the truth: 0 is free; else a thread and two flags. While
 * anybody waits MUTEX_WAITERS is set and the owner word is never 0: the release
 * hands over to the oldest waiter. So:
 *   (1) nobody overtakes a waiter;
 *   (2) a woken waiter owns the mutex already; there is nothing to retry.
 *
 * wait_lock guards the list, the lender, and every change of the flags.
 * Context: thread context, may sleep; mutex_trylock() and the readers at the end
 * anywhere but FIQ.
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
	uint32_t granted; /* enum grant; under wait_lock, by whoever hands over */
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

	/* Acquire: pairs with the release in give() and mutex_unlock(). */
	return __atomic_compare_exchange_n(&m->owner, &free, (uintptr_t)current,
					   false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static uintptr_t waiters_flag(const struct mutex *m)
{
	return list_empty(&m->waiters) ? 0 : MUTEX_WAITERS;
}

/* wait_lock held: make `to` the owner (NULL: nobody). */
static void give(struct mutex *m, struct thread *to, uintptr_t flags)
{
	/* Release: pairs with the acquire of whoever finds itself the owner. */
	smp_store_release(&m->owner, (uintptr_t)to | flags | waiters_flag(m));
}

/* wait_lock held: hand over to that waiter and wake it. */
static void grant(struct mutex *m, struct mutex_waiter *w, uintptr_t flags,
		  uintptr_t caller)
{
	struct thread *t = w->thread;

	list_del(&w->link);
	WRITE_ONCE(m->site, w->site);
	WRITE_ONCE(w->granted, GRANTING); /* before the release in give() */
	give(m, t, flags);
	trace_did(TR_HANDOVER, m, (uintptr_t)t, caller);
	/* Release: w is on t's stack and may be gone right after this. */
	smp_store_release(&w->granted, GRANTED);
	wake_up_thread(t, caller);
}

/*
 * Queue behind the others unless the mutex has become free meanwhile. Returns
 * whether it has to be waited for. wait_lock held.
 */
static bool enqueue(struct mutex *m, struct mutex_waiter *w)
{
	uintptr_t o;

	do {
		o = READ_ONCE(m->owner);
		/* The flag without an owner would lock it for ever. */
		if (o == 0 && take_free(m))
			return false;
		/* Relaxed: only raises a flag, the mutex is not ours. */
	} while (o == 0 || !__atomic_compare_exchange_n(
				   &m->owner, &o, o | MUTEX_WAITERS, false,
				   __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	list_add_tail(&w->link, &m->waiters);
	return true;
}

/* Interrupted: leave the queue, unless it is ours already. */
static int dequeue(struct mutex *m, struct mutex_waiter *w)
{
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	bool in_vain = w->granted == WAITS;

	if (in_vain) {
		list_del(&w->link);
		if (list_empty(&m->waiters))
			/* Relaxed: a flag, under wait_lock. */
			__atomic_fetch_and(&m->owner, ~(uintptr_t)MUTEX_WAITERS,
					   __ATOMIC_RELAXED);
	} else {
		thread_interrupt(current); /* for the next wait */
	}
	spin_unlock_irqrestore(&m->wait_lock, flags);
	return in_vain ? -EINTR : 0;
}

static noinline int lock_slow(struct mutex *m, enum thread_state state,
			      uintptr_t site)
{
	struct mutex_waiter w = { .thread = current, .site = site };
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	int err = 0;

	if (!enqueue(m, &w)) {
		spin_unlock_irqrestore(&m->wait_lock, flags);
		return 0;
	}
	trace_did(TR_CONTEND, m, (uintptr_t)mutex_owner(m), site);
	spin_unlock_irqrestore(&m->wait_lock, flags);
	lock_contended(&m->dep_map); /* with wait_lock no longer on top */

	WRITE_ONCE(current->waiting.granted, &w.granted);
	wait_begin(state, &mutex_wait, m, m->name, site);
	/* Acquire: pairs with the release in grant(). */
	while (smp_load_acquire(&w.granted) != GRANTED) {
		if (state == TASK_INTERRUPTIBLE && thread_interrupted()) {
			err = dequeue(m, &w);
			break;
		}
		schedule();
		wait_begin(state, &mutex_wait, m, m->name, site);
	}
	wait_end();
	return err;
}

static always_inline int lock(struct mutex *m, enum thread_state state,
			      unsigned int subclass maybe_unused,
			      struct mutex *outer maybe_unused, uintptr_t site)
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
	lock(m, TASK_UNINTERRUPTIBLE, 0, NULL, CALLER);
}

void __mutex_lock_nested(struct mutex *m, unsigned int subclass,
			 struct mutex *outer)
{
	lock(m, TASK_UNINTERRUPTIBLE, subclass, outer, CALLER);
}

int mutex_lock_interruptible(struct mutex *m)
{
	return lock(m, TASK_INTERRUPTIBLE, 0, NULL, CALLER);
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
 * Release by `who`. The end states:
 *   (1) it was lent to who: its lender owns it again;
 *   (2) who had lent it out: the borrower keeps it, for good;
 *   (3) somebody waits: the oldest waiter owns it;
 *   (4) nobody does: it is free.
 */
static void release_slow(struct mutex *m, struct thread *who, uintptr_t caller)
{
	uint32_t flags = spin_lock_irqsave(&m->wait_lock);
	struct thread *lender = m->lender;

	if (lender && mutex_owner(m) == who) {
		give(m, lender, 0);
		/* Release: pairs with the acquire in mutex_unlock(). */
		smp_store_release(&m->lender, NULL);
		trace_did(TR_HANDOVER, m, (uintptr_t)lender, caller);
	} else if (lender == who) {
		m->lender = NULL;
		give(m, mutex_owner(m), 0);
	} else if (!list_empty(&m->waiters)) {
		grant(m, list_first(&m->waiters, struct mutex_waiter, link), 0,
		      caller);
	} else {
		give(m, NULL, 0);
	}
	spin_unlock_irqrestore(&m->wait_lock, flags);
}

story void mutex_unlock(struct mutex *m)
{
	uintptr_t o = (uintptr_t)current;

	trace_gate(TR_UNLOCK, m, CALLER);
	/* Not the owner: it stays as it is. Acquire: pairs with the release in
	 * release_slow(); who no longer lends it sees that it is the owner. */
	if (!lock_release(&m->dep_map, CALLER) ||
	    WARN_ON(smp_load_acquire(&m->lender) != current &&
		    mutex_owner(m) != current))
		return;
	trace_did(TR_UNLOCK, m, 0, CALLER);
	/* Release: pairs with the acquire in take_free(). */
	if (unlikely(!__atomic_compare_exchange_n(&m->owner, &o, 0, false,
						  __ATOMIC_RELEASE,
						  __ATOMIC_RELAXED)))
		release_slow(m, current, CALLER);
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
		grant(m, w, MUTEX_LENT, CALLER);
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
	.lent = "%s lends %s to %s until its release",
};

void mutex_release_dead(struct mutex *m, struct thread *dead)
{
	if (mutex_owner(m) == dead || READ_ONCE(m->lender) == dead)
		release_slow(m, dead, CALLER);
}
