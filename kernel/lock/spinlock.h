/*
 * Spinlocks: mutual exclusion between cores for short sections, also in
 * interrupt handlers.
 *
 * The client's duties:
 *  1. Do not sleep while you hold one.
 *  2. If an interrupt handler takes the lock, take it with spin_lock_irqsave()
 *     everywhere else. Otherwise the handler can wait for the thread that it
 *     interrupted.
 *  3. Keep to the order of docs/locking.md.
 *  4. Release the lock in the thread, or in the interrupt, that took it.
 *
 * The consequences:
 *  a. spin_lock() disables preemption. spin_lock_irqsave() masks IRQs instead;
 *     a reschedule that is wanted meanwhile becomes an IPI of the core to
 *     itself.
 *  b. Cores get the lock in the order in which they asked for it.
 *  c. Each lock knows its holder and where it was taken, in release too.
 *  d. A core that waits long sleeps and is kicked when its turn comes
 *     (docs/design.md, "waiting").
 *
 * The mechanism: kernel/lock/ticket.h, and kernel/lock/park.c for parking. In
 * release builds the functions are inline (kernel/lock/spinlock_fast.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/arch.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/cpumask.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/ticket.h"

struct spinlock {
	struct ticket_lock tickets;
	struct thread *holder; /* written by the holder alone */
	uintptr_t site;	       /* where it was taken */
	const char *name;
	DEP_MAP
};

#define SPINLOCK_INIT(n)                                                       \
	{                                                                      \
		DEP_MAP_SPINS(n).name = (n)                                    \
	}
/* For locks that share a class: k is their struct lock_class_key. */
#define SPINLOCK_INIT_KEY(n, k)                                                \
	{                                                                      \
		DEP_MAP_SPINS_KEY(n, &(k)).name = (n)                          \
	}
/* Give this class to a spinlock of an experiment if it is also taken by an
 * interrupt that is not an actor, or by a thread that is not one. The explorer
 * does not stop an actor that holds such a lock: otherwise the interrupt or the
 * thread would spin for ever. */
extern struct lock_class_key out_of_sight;
#define DEFINE_SPINLOCK(l) struct spinlock l = SPINLOCK_INIT(#l)

/* All locks initialised by one line of source are of one class. */
#define spin_lock_init(l, n) __spin_lock_init((l), (n), LOCK_KEY())
void __spin_lock_init(struct spinlock *l, const char *name, const void *key);
#if GORDIAN_DEBUG
void spin_lock(struct spinlock *l);
/* Takes a lock of a class that is held already. subclass: a nesting level,
 * 1 to 7. */
void spin_lock_nested(struct spinlock *l, unsigned int subclass);
void spin_unlock(struct spinlock *l);
/* Takes a lock of a class that is held already. `outer` is held too, and orders
 * all locks of this class. */
void spin_lock_nest_lock(struct spinlock *l, const struct spinlock *outer);
bool spin_trylock(struct spinlock *l);
uint32_t spin_lock_irqsave(struct spinlock *l);
uint32_t spin_lock_irqsave_nested(struct spinlock *l, unsigned int subclass);
void spin_unlock_irqrestore(struct spinlock *l, uint32_t flags);
/* For the scheduler, which hands its lock over across a switch. The caller
 * takes care of preemption and IRQs. */
void raw_spin_lock(struct spinlock *l);
void raw_spin_unlock(struct spinlock *l);
#endif
/* For lockdep's own lock: not checked by lockdep. IRQs off. */
void arch_spin_lock(struct spinlock *l);
void arch_spin_unlock(struct spinlock *l);

extern const struct wait_ops spin_wait; /* debug builds; obj: the lock */
/*
 * Cut a knot (docs/design.md, "lending"): let thread t in although the lock is
 * held, because the holder cannot release the lock before t is done. If t is
 * NULL, let the next waiter in. Then both threads release the lock, so each
 * ticket is served once. One rescue at a time. Until t is in, no thread but t
 * may spin for the lock.
 */
void spin_lock_rescue(struct spinlock *l, const struct thread *t);

static inline bool spin_is_locked(const struct spinlock *l)
{
	return ticket_is_taken(&l->tickets);
}

/*
 * Wait on this core until done(arg) is true: spin SPIN_LIMIT times with YIELD,
 * then sleep in WFI until kicked. The side that makes done() true calls
 * core_kick(cpu) or core_kick_mask() afterwards. Their barriers are in
 * kernel/lock/park.c. Interrupts may be on or off. The caller must not hold
 * a lock that the other side needs. Any context but FIQ.
 */
void core_wait(bool (*done)(void *arg), void *arg);
void core_kick(unsigned int cpu);
/* Kick all these cores, but not the calling one. */
void core_kick_mask(struct cpumask cores);

#include "kernel/lock/spinlock_fast.h"
