/*
 * The ticket lock: one core at a time, in the order of arrival.
 *
 * The idea. A ticket dispenser and a display, as at a counter. `next` is the
 * number on the ticket that is drawn next, `serving` is the number on the
 * display. The lock is free if the two are equal. A core that wants the lock
 * draws a ticket, waits until the display shows its number, and on leaving
 * counts the display up by one.
 *
 * The client's duties:
 *  1. The core that holds the lock hands it over, once.
 *  2. A core does not draw a second ticket of a lock that it holds: it would
 *     wait for itself. So the client disables preemption, and interrupts too if
 *     a handler takes the lock (kernel/lock/spinlock.c).
 *  3. Fewer than 65 536 cores wait at a time.
 *
 * The consequences:
 *  a. No core starves: each waits only for the cores that drew a ticket before
 *     it.
 *  b. A waiting core only reads. Only the holder writes `serving`, so `serving`
 *     needs no atomic addition.
 *  c. If the core whose ticket is served does not run, no other core gets in.
 *     This happens if there are more virtual cores than host cores. Therefore
 *     waiting cores sleep (park.c).
 *
 * The barriers. ticket_hand_over() releases; ticket_draw(), ticket_served() and
 * ticket_try() acquire. The core that sees its number on the display therefore
 * sees all that the holders before it wrote. No order is needed among the draws
 * themselves: each is one atomic operation.
 *
 * Accesses of two sizes. A draw is an exclusive access to both halves; a
 * hand-over is a plain store to one half. Neither undoes the other. If another
 * core stores to an address that is tagged for exclusive access, or to a part
 * of it, the tag is cleared, the draw's STREX fails, and the draw begins anew
 * (ARM DDI 0406C, A3.4.2 and A3.4.3: the tagged block has at least eight
 * bytes). An aligned load of the word sees each half either before or after
 * such a store (A3.5.3).
 *
 * Locks: none. Context: any but FIQ, MMU and caches on (exclusive accesses).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/arch.h"
#include "kernel/lib/compiler.h"

struct ticket_lock {
	union {
		uint32_t both; /* atomic */
		struct {
			uint16_t serving; /* written by the holder alone */
			uint16_t next;	  /* upper half: its carry is lost */
		};
	};
};
#define ONE_TICKET (1u << 16)

/* Returns the lock as it was: .next is the ticket that this core has drawn. If
 * .serving is equal to .next, this core has the lock at once. */
static always_inline struct ticket_lock ticket_draw(struct ticket_lock *l)
{
	/* Acquire: pairs with the release in ticket_hand_over(). */
	uint32_t both =
		__atomic_fetch_add(&l->both, ONE_TICKET, __ATOMIC_ACQUIRE);

	return (struct ticket_lock){ .both = both };
}

/* Is the lock held, if it is as in `now`? The two halves are swapped by one
 * rotation, and compared by the same instruction. */
static always_inline bool ticket_taken_in(struct ticket_lock now)
{
	return now.both != (now.both << 16 | now.both >> 16);
}

/* Is the ticket served? Then the core that drew the ticket has the lock. */
static always_inline bool ticket_served(const struct ticket_lock *l,
					unsigned int ticket)
{
	/* Acquire: pairs with the release in ticket_hand_over(). */
	return smp_load_acquire(&l->serving) == ticket;
}

/* Wait until the ticket is served, for at most `looks` looks. Returns whether
 * it is served. */
static always_inline bool ticket_wait(const struct ticket_lock *l,
				      unsigned int ticket, unsigned int looks)
{
	for (unsigned int i = 0; i < looks; i++) {
		if (ticket_served(l, ticket))
			return true;
		cpu_relax();
	}
	return false;
}

/* Called by the holder. */
static always_inline void ticket_hand_over(struct ticket_lock *l)
{
	/* The word is read: to load a half takes one more instruction. */
	uint16_t now = (uint16_t)(READ_ONCE(l->both) + 1);

	/* Release: pairs with the acquires in ticket_draw(), ticket_served()
	 * and ticket_try(). */
	smp_store_release(&l->serving, now);
}

/* Draw a ticket only if the lock is free. Returns whether this core has the
 * lock now. */
static always_inline bool ticket_try(struct ticket_lock *l)
{
	uint32_t both = READ_ONCE(l->both);

	/* Acquire: pairs with the release in ticket_hand_over(). */
	return !ticket_taken_in((struct ticket_lock){ .both = both }) &&
	       __atomic_compare_exchange_n(&l->both, &both, both + ONE_TICKET,
					   false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* Is the lock held? The answer may be out of date when it is returned. */
static always_inline bool ticket_is_taken(const struct ticket_lock *l)
{
	return ticket_taken_in(
		(struct ticket_lock){ .both = READ_ONCE(l->both) });
}
