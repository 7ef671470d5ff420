/*
 * Lockdep's chains: the sequences of held locks that were checked.
 *
 * A chain is a sequence of held locks, with how each was taken and whether
 * interrupts were off. The findings of an acquisition depend only on the chain
 * that it makes. So lockdep checks each chain once, and an acquisition usually
 * costs one hash and one look-up.
 *
 * Chains form a tree in a hash table. An entry is a link: the last lock of the
 * chain, with how it was taken, and the name of the chain below it. A chain's
 * name is its place in the table, or one of the names of lockdep_internal.h.
 * Different chains have different names, so lockdep never takes one chain for
 * another. The bit `unchecked` of an entry says that the chain has yet to be
 * checked. A reset sets this bit in all entries. It keeps the names, because
 * threads may hold locks.
 *
 * An entry is in its hash slot, or in one of the next `furthest` slots. So a
 * search looks at no other slots, even if the table is full.
 *
 * lockdep_graph_lock guards the table; chain_is_known() looks at one entry
 * without it. Context: any but FIQ. Built without sanitizers.
 */
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/lock/spinlock.h"

#if GORDIAN_DEBUG

_Static_assert(LOCKDEP_CHAINS + CHAIN_NAMES <= 1u << 14,
	       "`below` is too small");
_Static_assert(DEP_NODES <= 1u << 11, "`class` is too small");

uint32_t lockdep_chains[LOCKDEP_CHAINS];
unsigned int lockdep_nr_chains, lockdep_chain_misses;
static unsigned int furthest;
/* The places of the chains that are checked, so that a reset looks only at what
 * was checked since the last reset. */
static uint16_t checked[LOCKDEP_CHAINS];
static unsigned int nr_checked;

static struct held_lock as_held(uint32_t link)
{
	return (struct held_lock){ .link = link };
}

/* The link with its bit `unchecked` set. */
static uint32_t unchecked(uint32_t link)
{
	struct held_lock h = as_held(link);

	h.unchecked = 1;
	return h.link;
}

/* Was the chain of this place removed? Then the place has a link without a
 * class, which no chain has. */
static bool is_removed(uint32_t link)
{
	return link && !as_held(link).class;
}

static uint32_t *entry(unsigned int place, unsigned int i)
{
	return &lockdep_chains[(place + i) % LOCKDEP_CHAINS];
}

/* The entry of the chain; NULL if there is none. lockdep_graph_lock held. */
static uint32_t *find(uint32_t link)
{
	unsigned int place = chain_place(link);

	for (unsigned int i = 0; i <= furthest; i++) {
		uint32_t *c = entry(place, i);

		if (!*c)
			return NULL;
		if (unchecked(*c) == unchecked(link))
			return c;
	}
	return NULL;
}

/* Add the chain, which is not in the table yet. Returns NULL if the table is
 * full. lockdep_graph_lock held. */
static uint32_t *add(uint32_t link)
{
	unsigned int place = chain_place(link);

	for (unsigned int i = 0;
	     i < LOCKDEP_CHAINS && lockdep_nr_chains < LOCKDEP_CHAINS; i++) {
		uint32_t *c = entry(place, i);

		if (*c && !is_removed(*c))
			continue;
		lockdep_nr_chains++;
		furthest = max(furthest, i);
		WRITE_ONCE(*c, unchecked(link));
		return c;
	}
	return NULL;
}

unsigned int chain_intern(const struct held_lock *h, const uint32_t *epoch,
			  bool *known)
{
	uint32_t *c = NULL;

	*known = false;
	if (!h->class || h->below == CHAIN_UNKNOWN)
		return CHAIN_UNKNOWN;
	arch_spin_lock(&lockdep_graph_lock);
	c = find(h->link);
	*known = c && *c == h->link;
	if (!c)
		c = add(h->link);
	if (c && epoch && *epoch == lockdep_resets && *c != h->link) {
		WRITE_ONCE(*c, h->link);
		checked[nr_checked++] = (uint16_t)(c - lockdep_chains);
	}
	arch_spin_unlock(&lockdep_graph_lock);
	if (c)
		return chain_name((unsigned int)(c - lockdep_chains));
	lockdep_full("lock chains", "LOCKDEP_CHAINS", LOCKDEP_CHAINS,
		     "acquisitions become slower");
	return CHAIN_UNKNOWN;
}

void chains_uncheck(void)
{
	while (nr_checked) {
		uint32_t *c = &lockdep_chains[checked[--nr_checked]];

		WRITE_ONCE(*c, unchecked(*c));
	}
}

void chains_remove(const uint32_t gone[DEP_NODES / 32])
{
	static uint32_t removed[LOCKDEP_CHAINS / 32]; /* lockdep_graph_lock */
	const struct held_lock none = { .unchecked = 1 };
	bool more = true;

	for (unsigned int i = 0; i < LOCKDEP_CHAINS / 32; i++)
		removed[i] = 0;
	/* A chain is also removed if the chain below it was removed. So repeat
	 * this until no further chain goes. */
	while (more) {
		more = false;
		for (unsigned int i = 0; i < LOCKDEP_CHAINS; i++) {
			struct held_lock h = as_held(lockdep_chains[i]);
			unsigned int b = h.below - CHAIN_NAMES;

			if (!h.class ||
			    (!(gone[h.class / 32] & 1u << h.class % 32) &&
			     !(h.below >= CHAIN_NAMES &&
			       removed[b / 32] & 1u << b % 32)))
				continue;
			WRITE_ONCE(lockdep_chains[i], none.link);
			removed[i / 32] |= 1u << i % 32;
			lockdep_nr_chains--;
			more = true;
		}
	}
}
#endif
