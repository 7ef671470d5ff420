/*
 * Spinlocks without contention. spinlock.h includes this file and has the duties of
 * a client. The release builds have all functions inline; the debug builds have
 * them in spinlock.c, with lockdep around them.
 *
 * `site` is a place in the function that takes the lock. Context: any but FIQ.
 */
#pragma once

#include "kernel/sched/sched.h"

/* Spin, then sleep, until the ticket is served or a rescue lets this core
 * in. */
void wait_turn(struct spinlock *l, unsigned int ticket, uintptr_t site);
/* Kick the core that waits for this ticket in WFI, if there is one. */
void kick_next(const struct spinlock *l, unsigned int ticket);

/* The current thread has the lock now. */
static always_inline void note_holder(struct spinlock *l, uintptr_t site)
{
	_Static_assert(offsetof(struct spinlock, site) ==
			       offsetof(struct spinlock, holder) + 4,
		       "side by side");
	arch_store_two(l, offsetof(struct spinlock, holder), (uint32_t)current,
		       site);
}

static always_inline void take_lock(struct spinlock *l, uintptr_t site)
{
	const struct ticket_lock was = ticket_draw(&l->tickets);

	if (unlikely(ticket_taken_in(was))) {
		lock_contended(&l->dep_map);
		wait_turn(l, was.next, site);
		lock_acquired(&l->dep_map);
	}
	note_holder(l, site);
}

static always_inline void drop_lock(struct spinlock *l)
{
	struct ticket_lock now;

	WRITE_ONCE(l->holder, NULL);
	ticket_hand_over(&l->tickets);
	/*
	 * From here on another core may have the lock, and may even have freed
	 * the memory of the lock. So l is not written any more. Reading it is
	 * harmless: memory stays mapped, and a wrong value means a look at the
	 * slots that finds nothing, or a kick too many. It never means a kick
	 * too few: a lock with a waiter is not freed, and if `serving` has gone
	 * on, the core that this core should have kicked is awake.
	 */
	smp_mb(); /* R1: store `serving` before reading the slots; pairs with
		   * W1 */
	now.both = READ_ONCE(l->tickets.both);
	if (unlikely(ticket_taken_in(now)))
		kick_next(l, now.serving);
}

#if !GORDIAN_DEBUG
static always_inline void raw_spin_lock(struct spinlock *l)
{
	take_lock(l, arch_here());
}

static always_inline void raw_spin_unlock(struct spinlock *l)
{
	drop_lock(l);
}

static always_inline void spin_lock(struct spinlock *l)
{
	preempt_disable();
	take_lock(l, arch_here());
}

static always_inline void spin_unlock(struct spinlock *l)
{
	drop_lock(l);
	preempt_enable();
}

static always_inline bool spin_trylock(struct spinlock *l)
{
	preempt_disable();
	if (ticket_try(&l->tickets)) {
		note_holder(l, arch_here());
		return true;
	}
	preempt_enable();
	return false;
}

static always_inline uint32_t spin_lock_irqsave(struct spinlock *l)
{
	uint32_t flags = local_irq_save();

	take_lock(l, arch_here());
	return flags;
}

static always_inline void spin_unlock_irqrestore(struct spinlock *l,
						 uint32_t flags)
{
	drop_lock(l);
	local_irq_restore(flags);
}

/* Only lockdep asks for the level and for the outer lock. */
#define spin_lock_nested(l, subclass) ((void)(subclass), spin_lock(l))
#define spin_lock_nest_lock(l, outer) ((void)(outer), spin_lock(l))
#define spin_lock_irqsave_nested(l, subclass)                                  \
	((void)(subclass), spin_lock_irqsave(l))
#endif
