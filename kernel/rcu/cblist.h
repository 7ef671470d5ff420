/*
 * A core's RCU callbacks in segments, oldest first. Portable.
 *
 *   CB_DONE   their grace period has ended: they can be invoked
 *   CB_WAIT   they wait for the grace period seq[CB_WAIT] to end
 *   CB_NEXT   they wait for a later grace period, seq[CB_NEXT]
 *
 * Two waiting segments are enough: rcu_seq_snap() can return at most two
 * different numbers that have not been reached.
 *
 * The client's duties: only its core uses the list, with IRQs off;
 * cblist_advance() comes before cblist_enqueue().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

enum { CB_DONE, CB_WAIT, CB_NEXT, CB_SEGMENTS };
#define CB_NONE 1u /* odd, so no callback waits for it */

struct cblist {
	struct rcu_head *head;
	/* tail[i]: the link from segment i to the next one. */
	struct rcu_head **tail[CB_SEGMENTS];
	uint32_t seq[CB_SEGMENTS];
	/* The seq of the newest callback that waits, or CB_NONE. */
	uint32_t newest;
	unsigned int len; /* also counts callbacks extracted, not invoked */
};

/*
 * Grace-period numbers. The start of a grace period adds one, and so does its
 * end: odd while one runs. Compared modulo 2^32.
 */

/* The number at which a full grace period has passed that starts after
 * `now`. */
static inline uint32_t rcu_seq_snap(uint32_t now)
{
	return (now + 3) & ~1u;
}

static inline bool rcu_seq_done(uint32_t now, uint32_t snap)
{
	return (int32_t)(now - snap) >= 0;
}

void cblist_init(struct cblist *l);
/* i: CB_WAIT or CB_NEXT */
static always_inline bool cblist_is_empty(const struct cblist *l, int i)
{
	return l->tail[i] == l->tail[i - 1];
}

/* The second half of cblist_advance(): CB_WAIT is empty or ready. */
void cblist_advance_ready(struct cblist *l, uint32_t now);
/* Move the callbacks that are ready at grace-period number `now` to CB_DONE. */
static always_inline void cblist_advance(struct cblist *l, uint32_t now)
{
	if (cblist_is_empty(l, CB_WAIT) || rcu_seq_done(now, l->seq[CB_WAIT]))
		cblist_advance_ready(l, now);
}

/* Add a callback that is ready at grace-period number `snap`. */
static always_inline void cblist_enqueue(struct cblist *l, struct rcu_head *h,
					 uint32_t snap)
{
	struct rcu_head **end = &h->next;

	h->next = NULL;
	*l->tail[CB_NEXT] = h;
	if (cblist_is_empty(l, CB_NEXT) &&
	    (cblist_is_empty(l, CB_WAIT) || l->seq[CB_WAIT] == snap)) {
		WRITE_ONCE(l->tail[CB_WAIT], end);
		l->seq[CB_WAIT] = snap;
	} else {
		l->seq[CB_NEXT] = snap;
	}
	l->newest = snap;
	WRITE_ONCE(l->tail[CB_NEXT], end);
	WRITE_ONCE(l->len, l->len + 1);
}

/* The short form of cblist_advance() and cblist_enqueue(): if the newest
 * callback is ready at `snap`, add h behind it. Returns false if it is not. */
static always_inline bool cblist_append(struct cblist *l, struct rcu_head *h,
					uint32_t snap)
{
	if (l->newest != snap)
		return false;
	h->next = NULL;
	*l->tail[CB_NEXT] = h;
	if (cblist_is_empty(l, CB_NEXT))
		WRITE_ONCE(l->tail[CB_WAIT], &h->next);
	WRITE_ONCE(l->tail[CB_NEXT], &h->next);
	WRITE_ONCE(l->len, l->len + 1);
	return true;
}

/* Unlink up to max ready callbacks; *n: how many. The caller subtracts *n from
 * len when they have run. */
struct rcu_head *cblist_extract(struct cblist *l, unsigned int max,
				unsigned int *n);
/*
 * Move all callbacks of `from` to the end of `to`. Ready callbacks stay ready.
 * All others wait for `snap`, so that the segments of `to` stay in order.
 */
void cblist_adopt(struct cblist *to, struct cblist *from, uint32_t snap);
/* Is any callback ready? If another core asks, for a report, the answer may be
 * out of date. */
static inline bool cblist_ready(const struct cblist *l)
{
	return READ_ONCE(l->tail[CB_DONE]) != &l->head;
}
