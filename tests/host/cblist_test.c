/*
 * kernel/rcu/cblist.c against a plain array that says for each callback which
 * grace-period number it needs. Random enqueue, append, advance, extract and adopt on two
 * lists, while the grace-period number grows, also across 2^32.
 *
 * Checked: no callback comes out before its number, none is lost or comes twice, those
 * of one list come out in order, and the counts are right.
 */
#include "kernel/rcu/cblist.h"

#include <string.h>

#include "tests/cblist_count.h"
#include "tests/host/host.h"

#define CALLBACKS 64
#define LISTS	  2

struct cb {
	struct rcu_head head;
	int where;     /* the list it is on; -1: free */
	uint32_t snap; /* the grace period it needs; the list may wait longer */
	uint32_t order; /* in which it came to its list */
	bool ready;	/* the list says that it is ready */
};

static struct cb cbs[CALLBACKS];
static struct cblist lists[LISTS];
static uint32_t now, next_order;
static unsigned long appended; /* by cblist_append() */

static unsigned int count(int l, bool ready)
{
	unsigned int n = 0;

	for (int i = 0; i < CALLBACKS; i++)
		n += cbs[i].where == l && (!ready || cbs[i].ready);
	return n;
}

static void look(int l)
{
	struct cblist *c = &lists[l];
	unsigned int segs = 0, walked = 0, done = cblist_count(c, CB_DONE);
	uint32_t last = 0;

	for (unsigned int s = 0; s < CB_SEGMENTS; s++)
		segs += cblist_count(c, s);
	for (struct rcu_head *h = c->head; h; h = h->next) {
		struct cb *cb = (struct cb *)h;

		CHECK(cb->where == l);
		CHECK(walked < CALLBACKS);
		/* The ready ones come first, and their numbers have passed. */
		if (walked < done) {
			CHECK(rcu_seq_done(now, cb->snap));
			cb->ready = true;
		} else {
			CHECK(!cb->ready);
			/* The waiting ones are in the order in which they came. */
			CHECK(walked == done || cb->order > last);
			last = cb->order;
		}
		walked++;
	}
	CHECK(walked == segs && walked == c->len && walked == count(l, false));
	CHECK(cblist_ready(c) == (done != 0));
	CHECK(*c->tail[CB_NEXT] == NULL);
}

/* A callback must be ready if its own number has passed, unless it waits behind a
 * later one. */
static void advance(int l)
{
	struct cblist *c = &lists[l];

	cblist_advance(c, now);
	look(l);
	if (cblist_count(c, CB_WAIT)) {
		CHECK(!rcu_seq_done(now, c->seq[CB_WAIT]));
	} else {
		CHECK(!cblist_count(c, CB_NEXT));
	}
	uint32_t newest = CB_NONE;

	/* After at most two more grace periods all are ready. */
	for (unsigned int s = CB_WAIT; s < CB_SEGMENTS; s++)
		if (cblist_count(c, s)) {
			CHECK((int32_t)(c->seq[s] - now) <= 4);
			newest = c->seq[s];
		}
	CHECK(c->newest == newest);
}

static void enqueue(int l)
{
	for (int i = 0; i < CALLBACKS; i++) {
		struct cb *cb = &cbs[i];

		if (cb->where >= 0)
			continue;
		cb->snap = rcu_seq_snap(now);
		if (below(2) && cblist_append(&lists[l], &cb->head, cb->snap)) {
			appended++;
		} else {
			advance(l);
			cblist_enqueue(&lists[l], &cb->head, cb->snap);
		}
		cb->where = l;
		cb->ready = false;
		cb->order = ++next_order;
		return;
	}
}

static void extract(int l)
{
	unsigned int ready = count(l, true), max = below(6), n, got = 0;
	struct rcu_head *h = cblist_extract(&lists[l], max, &n), *next;

	CHECK(n == (ready < max ? ready : max));
	for (; h; h = next) {
		struct cb *cb = (struct cb *)h;

		next = h->next;
		CHECK(cb->where == l && cb->ready);
		CHECK(rcu_seq_done(now, cb->snap));
		cb->where = -1;
		memset(&cb->head, 0x6b, sizeof(cb->head));
		got++;
	}
	CHECK(got == n);
	lists[l].len -= n;
}

static void adopt(int from, int to)
{
	unsigned int ready = count(from, true) + count(to, true);

	advance(to);
	look(from);
	ready = count(from, true) + count(to, true);
	cblist_adopt(&lists[to], &lists[from], rcu_seq_snap(now));
	for (int i = 0; i < CALLBACKS; i++) {
		struct cb *cb = &cbs[i];

		if (cb->where != from)
			continue;
		cb->where = to;
		if (!cb->ready)
			cb->snap = rcu_seq_snap(now); /* it needs a new one */
	}
	/* Renumber them in the order of the list. */
	for (struct rcu_head *h = lists[to].head; h; h = h->next)
		((struct cb *)h)->order = ++next_order;
	CHECK(lists[from].len == 0 && !lists[from].head);
	CHECK(cblist_count(&lists[to], CB_DONE) == ready);
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);

	now = 0xffffff00u; /* soon it will wrap */
	for (int l = 0; l < LISTS; l++)
		cblist_init(&lists[l]);
	for (int i = 0; i < CALLBACKS; i++)
		cbs[i].where = -1;
	while (rounds--) {
		int l = (int)below(LISTS);

		switch (below(8)) {
		case 0:
		case 1:
		case 2:
			enqueue(l);
			break;
		case 3:
			now++;
			break;
		case 4:
			advance(l);
			break;
		case 5:
		case 6:
			extract(l);
			break;
		case 7:
			if (below(8) == 0)
				adopt(l, 1 - l);
			break;
		}
		look(0);
		look(1);
	}
	/* At the end all come out. */
	now += 4;
	for (int l = 0; l < LISTS; l++) {
		cblist_advance(&lists[l], now);
		CHECK(cblist_count(&lists[l], CB_DONE) == lists[l].len);
	}
	CHECK(appended);
	return 0;
}
