/*
 * Spinlocks: fair (ticket), and quick also where virtual cores outnumber host
 * cores: a waiter spins a little, then parks in WFI and the releaser kicks
 * exactly the next in line (docs/design.md, "waiting").
 *
 * Always knows owner, core and acquire site. spin_lock() disables preemption;
 * spin_lock_irqsave() masks IRQs and leaves the preempt count alone: a
 * reschedule wanted meanwhile becomes an IPI to oneself.
 * Never sleep with a spinlock held.
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
		DEP_MAP_INIT(n).name = (n)                                     \
	}
/* One that shares a class: k is a struct lock_class_key. */
#define SPINLOCK_INIT_KEY(n, k)                                                \
	{                                                                      \
		DEP_MAP_KEY(n, &(k)).name = (n)                                \
	}
#define DEFINE_SPINLOCK(l) struct spinlock l = SPINLOCK_INIT(#l)

/* Of one class with all that this line initialises. */
#define spin_lock_init(l, n) __spin_lock_init((l), (n), LOCK_KEY())
void __spin_lock_init(struct spinlock *l, const char *name, const void *key);
void spin_lock(struct spinlock *l);
/* While another of its class is held: with a nesting level, 1 to 7. */
void spin_lock_nested(struct spinlock *l, unsigned int subclass);
void spin_unlock(struct spinlock *l);
bool spin_trylock(struct spinlock *l);
uint32_t spin_lock_irqsave(struct spinlock *l);
void spin_unlock_irqrestore(struct spinlock *l, uint32_t flags);
/* For the scheduler's hand-over across a switch: no preempt count, no flags. */
void raw_spin_lock(struct spinlock *l);
void raw_spin_unlock(struct spinlock *l);
/* Lockdep's own lock: it does not look at itself. IRQs off. */
void arch_spin_lock(struct spinlock *l);
void arch_spin_unlock(struct spinlock *l);

/*
 * Cut a knot (docs/design.md, "lending"): the next in line is let in although
 * the lock is held, by a thread that it has itself interrupted or that waits for
 * it. The tickets come out even: each of the two unlocks calls one. One at a
 * time.
 */
void spin_lock_rescue(struct spinlock *l);

static inline bool spin_is_locked(const struct spinlock *l)
{
	return ticket_is_taken(&l->tickets);
}

/*
 * Wait on this core until done(arg) is true: spin SPIN_LIMIT times with YIELD,
 * then WFI until kicked. Whoever makes it true calls core_kick(cpu) or
 * core_kick_mask() after it (the pair of barriers: kernel/lock/spinlock.c).
 * Interrupts may be on or off; must not be called with a lock that the other
 * side needs. Any context but FIQ.
 */
void core_wait(bool (*done)(void *arg), void *arg);
void core_kick(unsigned int cpu);
void core_kick_mask(struct cpumask cores); /* all of them but this one */
