/*
 * Lockdep's usual case, inline: the chain that an acquisition makes is known, and a
 * release takes the last entry off the list. lockdep.c has all other cases, and says
 * what always holds for the list.
 *
 * lockdep.c and the locks that are taken most often include this file. Their files
 * are built without sanitizers. Context: any but FIQ.
 */
#pragma once

#include "kernel/lock/lockdep.h"
#include "kernel/sched/sched.h"

#if GORDIAN_DEBUG

/* Size of the table of chains, a power of two. */
#define LOCKDEP_CHAIN_BITS 13
#define LOCKDEP_CHAINS	   (1u << LOCKDEP_CHAIN_BITS)

/* Names of chains that are in no table: of no locks, of no locks of an
 * interrupt; a chain that lockdep does not know. */
enum { CHAIN_EMPTY, CHAIN_EMPTY_IRQ, CHAIN_UNKNOWN, CHAIN_NAMES };

extern uint32_t lockdep_chains[LOCKDEP_CHAINS]; /* links; 0: free */

/* Where the search for a link begins. The factor is 2^32 divided by the golden
 * ratio. */
static always_inline unsigned int chain_place(uint32_t link)
{
	return link * 0x9e3779b1u >> (32 - LOCKDEP_CHAIN_BITS);
}

static always_inline unsigned int chain_name(unsigned int place)
{
	return place + CHAIN_NAMES;
}

/* Is the chain of this link known, and at the place that its hash says? */
static always_inline bool chain_is_known(uint32_t link)
{
	/* Relaxed: the link is only compared, and nothing is read through
	 * it. */
	return READ_ONCE(lockdep_chains[chain_place(link)]) == link;
}

/* Write m into h, the entry behind the last one of t->held[], which does not count
 * yet. flags: the CPSR of the caller. Returns the entry's link. IRQs off. */
static always_inline uint32_t lockdep_write(const struct lockdep_thread *t,
					    struct held_lock *h,
					    const struct lockdep_map *m,
					    unsigned int class,
					    unsigned int how, bool nested,
					    uintptr_t site, uint32_t flags)
{
	const struct held_lock off = { .irqs_off = 1 };
	const struct held_lock bits = { .nested = nested };
	/* Compose the link by hand from its fields: below, nested, in_irq, how,
	 * irqs_off, class. */
	uint32_t link = t->chain | bits.link | t->in_irq_link | how << 14 |
			(flags & PSR_I) * (off.link / PSR_I) | class << 21;

	_Static_assert(PSR_I == 1u << 7, "irqs_off");
	_Static_assert(MAX_HELD <= UINT8_MAX, "depth");
	h->since = timer_about_now();
	h->map = m;
	h->site = site;
	h->link = link;
	h->waits = false;
	h->more = 0;
	return link;
}

/* Put m on the thread's list, if its class and the chain that it makes are known and
 * there is room. Returns false if not. how: not LOCK_READ_RECURSIVE. flags: the CPSR
 * of the caller. IRQs off. */
static always_inline bool lockdep_push(const struct lockdep_map *m,
				       unsigned int how, uintptr_t site,
				       uint32_t flags)
{
	struct lockdep_thread *t = &current->lockdep;
	/* A plain load, to save instructions here: it is one aligned load, and a
	 * number that lockdep_class_of() has stored does not change any more. */
	unsigned int class = m->class[0];
	uint32_t depth = READ_ONCE(t->state), link;

	/* Inside lockdep the entry may be in use. */
	if (unlikely(depth >= MAX_HELD) || unlikely(!class))
		return false;
	link = lockdep_write(t, &t->held[depth], m, class, how, false, site,
			     flags);
	if (unlikely(!chain_is_known(link)))
		return false;
	t->chain = chain_name(chain_place(link));
	t->depth = (uint8_t)(depth + 1);
	return true;
}

/* Take m off the thread's list, if it is the last lock that the running context has
 * taken. Returns false if not. IRQs off. */
static always_inline bool lockdep_pop(const struct lockdep_map *m)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t last = READ_ONCE(t->state) - 1;

	/* Entries below `mark` are the locks of the context around this one. If
	 * one of these is released, `mark` moves, too. mark is never less than
	 * base. */
	if (unlikely(last - t->mark >= MAX_HELD) ||
	    unlikely(t->held[last].map != m))
		return false;
	t->chain = t->held[last].below;
	t->depth = (uint8_t)last;
	return true;
}

/* lock_acquire() and lock_release(), inline, without a subclass, an outer lock or a
 * recursive reader. irqs_off: the caller has just turned IRQs off. */
static always_inline void lock_acquire_inline(struct lockdep_map *m,
					      unsigned int how, uintptr_t site,
					      bool irqs_off)
{
	uint32_t flags = irqs_off ? PSR_I : raw_local_irq_save();
	bool done = lockdep_push(m, how, site, flags);

	if (!irqs_off)
		raw_local_irq_restore(flags);
	if (unlikely(!done))
		lock_acquire_slow(m, how, site);
}

static always_inline bool lock_release_inline(struct lockdep_map *m,
					      uintptr_t site)
{
	uint32_t flags = raw_local_irq_save();
	bool done = lockdep_pop(m);

	raw_local_irq_restore(flags);
	return likely(done) || lock_release(m, site);
}
#endif
