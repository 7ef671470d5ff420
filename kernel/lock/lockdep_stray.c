/*
 * Lockdep's strays: locks whose real state is not what the list of held locks says.
 *
 * A lock is a stray in each of these cases:
 * (1) A context has ended and left it behind: it is held, but not on the list.
 * (2) It was taken when the list was full: it is held, but not on the list.
 * (3) Its memory was freed while it was held: it may still be released.
 * (4) It is gone: an interrupt has released it, or it was initialised while it was
 *     held. Its owner will release it again.
 *
 * Lockdep has printed a line or a report about each of these. Because it knows the
 * strays, lockdep does not report the consequences too: the owner's late release, an
 * assertion about the lock, the change of the preempt count that belongs to the lock.
 *
 * If there is no room for a stray, the thread becomes blind. From then on lockdep
 * accepts each release of a lock that is not on the thread's list, and treats each
 * lock that is not on the list as held.
 *
 * Only the thread uses its strays, IRQs off. Built without sanitizers.
 */
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"

#if GORDIAN_DEBUG

/* Does stray s count in the running context? A lock that is gone is a stray of
 * the context that took it; for all other contexts the lock is not held. */
static bool is_known(const struct lockdep_thread *t, const struct stray_lock *s)
{
	return !s->gone || s->in_irq == (t->in_irq_link != 0);
}

struct stray_lock *stray_find(struct lockdep_thread *t,
			      const struct lockdep_map *m)
{
	struct stray_lock *shared = NULL;

	for (unsigned int i = t->nr_stray; i-- > 0;) {
		struct stray_lock *s = &t->stray[i];

		if (!is_known(t, s))
			continue;
		if (s->map == m)
			return s;
		if (s->class && s->class == m->class[0])
			shared = s;
	}
	return shared;
}

struct stray_lock *stray_add(struct lockdep_thread *t,
			     const struct held_lock *h, bool gone)
{
	struct stray_lock *s = &t->stray[t->nr_stray];

	if (t->nr_stray == MAX_STRAY) {
		t->blind = true;
		lockdep_full("locks off a thread's list", "MAX_STRAY",
			     MAX_STRAY,
			     "no release by the thread is wrong any more");
		return NULL;
	}
	t->nr_stray++;
	*s = (struct stray_lock){
		.map = h->map,
		.class = h->map ? 0 : h->class,
		.more = h->more,
		.how = h->how,
		.spins = h->map && h->map->wait == LOCK_WAITS_SPIN,
		.in_irq = h->in_irq,
		.gone = gone,
		.level = t->level + 1u,
	};
	return s;
}

void stray_renewed(struct lockdep_thread *t, const void *from, size_t len)
{
	for (unsigned int i = t->nr_stray; i-- > 0;)
		if (!t->stray[i].gone &&
		    (uintptr_t)t->stray[i].map - (uintptr_t)from < len)
			t->stray[i] = t->stray[--t->nr_stray];
}

/* The stray s is released. If lockdep has restored the preempt count without
 * this lock, change the count now, so that it is right after the release. */
static void pay(const struct stray_lock *s)
{
	struct thread *me = current;

	if (s->owes_a_count && s->spins)
		WRITE_ONCE(me->preempt_count,
			   me->preempt_count + (s->gone ? -1 : 1));
}

bool stray_release(struct lockdep_thread *t, const struct lockdep_map *m,
		   bool *ok)
{
	struct stray_lock *s = stray_find(t, m);

	*ok = true;
	if (!s)
		return t->blind;
	pay(s);
	*ok = !s->gone;
	if (s->more)
		s->more--;
	else
		*s = t->stray[--t->nr_stray];
	return true;
}

/* Has s become a stray in the running context? */
static bool is_own(const struct lockdep_thread *t, const struct stray_lock *s)
{
	return s->level > t->level;
}

/*
 * The context that ends has changed the preempt count by `by`. Which of its
 * strays have done this? A spinlock that was left has added one, and a spinlock
 * that is gone has taken one away, unless interrupts were turned off instead of
 * preemption. If all strays of the context together make `by`, all have changed
 * the count. Otherwise the last ones have.
 */
void stray_owe(struct lockdep_thread *t, int by)
{
	int all = 0;

	for (unsigned int i = 0; i < t->nr_stray; i++)
		if (is_own(t, &t->stray[i]) && t->stray[i].spins)
			all += t->stray[i].gone ? -1 : 1;
	for (unsigned int i = t->nr_stray; i-- > 0;) {
		struct stray_lock *s = &t->stray[i];
		int one = s->gone ? -1 : 1;

		if (!is_own(t, s))
			continue;
		s->level = 0;
		if (!s->spins || (all != by && by * one <= 0))
			continue;
		s->owes_a_count = true;
		if (all != by)
			by -= one;
	}
}

void lockdep_forget_stray(void)
{
	struct lockdep_thread *t = &current->lockdep;

	t->nr_stray = 0;
	t->left_readers = 0;
	t->blind = false;
}
#endif
