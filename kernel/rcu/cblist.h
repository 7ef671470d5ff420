/*
 * A core's RCU callbacks in segments, oldest first. Portable.
 *
 *   CB_DONE   their grace period has ended: ready to be invoked
 *   CB_WAIT   wait for the grace period seq[CB_WAIT] to end
 *   CB_NEXT   wait for a later one, seq[CB_NEXT]
 *
 * Two waiting segments are enough: rcu_seq_snap() names at most two different
 * grace periods that have not ended, and cblist_advance() runs first.
 *
 * Owns nothing: the list belongs to its core, IRQs off.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

enum { CB_DONE, CB_WAIT, CB_NEXT, CB_SEGMENTS };

struct cblist {
	struct rcu_head *head;
	/* tail[i]: where the segment behind i is linked in. */
	struct rcu_head **tail[CB_SEGMENTS];
	uint32_t seq[CB_SEGMENTS];
	unsigned int len; /* all, and those extracted but not yet invoked */
};

/*
 * Grace-period numbers: even while idle, odd while one runs; a start and an end
 * each add one. Compared modulo 2^32.
 */

/* The value that proves that a full grace period has passed from here on. */
static inline uint32_t rcu_seq_snap(uint32_t now)
{
	return (now + 3) & ~1u;
}

static inline bool rcu_seq_done(uint32_t now, uint32_t snap)
{
	return (int32_t)(now - snap) >= 0;
}

void cblist_init(struct cblist *l);
/* Move what has become ready at grace-period number now to CB_DONE. */
void cblist_advance(struct cblist *l, uint32_t now);
/* Add one that must wait for snap; cblist_advance() has been called. */
void cblist_enqueue(struct cblist *l, struct rcu_head *h, uint32_t snap);
/* Unlink up to max ready ones; the caller subtracts from len when they ran. */
struct rcu_head *cblist_extract(struct cblist *l, unsigned int max,
				unsigned int *n);
/*
 * All of from goes to the end of to: the ready ones stay ready, the others wait
 * for snap anew (the two cores' views of time are not comparable).
 */
void cblist_adopt(struct cblist *to, struct cblist *from, uint32_t snap);
/* Is anything ready? */
static inline bool cblist_ready(const struct cblist *l)
{
	return l->tail[CB_DONE] != &l->head;
}
