/*
 * Segmented callback lists. See cblist.h. Portable, tested on the host.
 *
 * Reports read len and tail[CB_DONE] of another core's list, and rcu_barrier()
 * reads len. Each value is used by itself. So these two members are stored with
 * WRITE_ONCE().
 */
#include "kernel/rcu/cblist.h"

#include "kernel/lib/compiler.h"

void cblist_init(struct cblist *l)
{
	l->head = NULL;
	for (int i = 0; i < CB_SEGMENTS; i++) {
		WRITE_ONCE(l->tail[i], &l->head);
		l->seq[i] = 0;
	}
	l->newest = CB_NONE;
	WRITE_ONCE(l->len, 0);
}

void cblist_advance_ready(struct cblist *l, uint32_t now)
{
	WRITE_ONCE(l->tail[CB_DONE], l->tail[CB_WAIT]);
	if (cblist_is_empty(l, CB_NEXT)) {
		l->newest = CB_NONE;
	} else if (rcu_seq_done(now, l->seq[CB_NEXT])) {
		l->tail[CB_WAIT] = l->tail[CB_NEXT];
		WRITE_ONCE(l->tail[CB_DONE], l->tail[CB_NEXT]);
		l->newest = CB_NONE;
	} else {
		l->tail[CB_WAIT] = l->tail[CB_NEXT];
		l->seq[CB_WAIT] = l->seq[CB_NEXT];
	}
}

struct rcu_head *cblist_extract(struct cblist *l, unsigned int max,
				unsigned int *n)
{
	struct rcu_head *first = l->head, **end = &l->head;

	*n = 0;
	while (end != l->tail[CB_DONE] && *n < max) {
		end = &(*end)->next;
		(*n)++;
	}
	if (*n == 0)
		return NULL;
	l->head = *end;
	*end = NULL;
	for (int i = 0; i < CB_SEGMENTS && l->tail[i] == end; i++)
		WRITE_ONCE(l->tail[i], &l->head);
	return first;
}

void cblist_adopt(struct cblist *to, struct cblist *from, uint32_t snap)
{
	struct rcu_head *done = from->head, *rest = *from->tail[CB_DONE];
	unsigned int len = from->len;

	if (cblist_ready(from)) {
		struct rcu_head **end = from->tail[CB_DONE];

		/* Put the ready callbacks of `from` behind the ready callbacks
		 * of `to`, and before the waiting callbacks of `to`. */
		*end = *to->tail[CB_DONE];
		*to->tail[CB_DONE] = done;
		for (int i = CB_SEGMENTS - 1; i >= 0; i--)
			if (to->tail[i] == to->tail[CB_DONE])
				WRITE_ONCE(to->tail[i], end);
	}
	len += to->len;
	while (rest) {
		struct rcu_head *next = rest->next;

		cblist_enqueue(to, rest, snap);
		rest = next;
	}
	WRITE_ONCE(to->len, len);
	cblist_init(from);
}
