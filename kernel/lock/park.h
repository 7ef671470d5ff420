/*
 * How a core waits until it may take a spinlock, and how it passes the lock on.
 * For kernel/lock/ only. The mechanism: park.c.
 */
#pragma once

#include "kernel/lock/spinlock.h"

#define SPIN_LIMIT 200 /* looks before a core sleeps */

/* Spin, then sleep, until the ticket is served or a rescue lets this core
 * in. */
void wait_turn(struct spinlock *l, unsigned int ticket, uintptr_t site);
/* Kick the core that waits for this ticket in WFI, if there is one. */
void kick_next(const struct spinlock *l, unsigned int ticket);

/* Sleep in WFI once, and add one to *wfis. From the second WFI of a wait on,
 * only a kick ends the WFI (hears_kicks_only()). flags: of the caller's
 * local_irq_save(). IRQs off. */
void sleep_in_wfi(uint32_t flags, unsigned int *wfis);
/* The wait is over: let every interrupt end a WFI again. */
void end_sleep_in_wfi(uint32_t flags, unsigned int wfis);

static always_inline void drop_lock(struct spinlock *l)
{
	uint16_t now;

	WRITE_ONCE(l->holder, NULL);
	now = ticket_hand_over(&l->tickets);
	/*
	 * From here on another core may have the lock, and may even have freed
	 * the memory of the lock. So l is not written any more. Reading it is
	 * harmless: memory stays mapped, and a wrong `next` means a look at the
	 * slots that finds nothing, or a kick too many. It never means a kick
	 * too few, because a lock with a waiter is not freed.
	 */
	smp_mb(); /* R1: store `serving` before reading the slots; pairs with
		   * W1 */
	if (unlikely(READ_ONCE(l->tickets.next) != now))
		kick_next(l, now);
}
