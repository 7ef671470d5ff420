/*
 * The wait-for graph: search it, print it. See waitfor.h for what an edge is.
 *
 * Why a reported cycle is one. Both snapshots find each thread of it off its
 * core (or busy in the same wait), in the same wait, not switched in between: so
 * between the two none of them ran. What they hold they held then, and what they
 * waited for had not come: whoever brings it says so first (enum grant), wakes
 * them, or is in the cycle himself.
 */
#include "kernel/hang/waitfor.h"

#include <stddef.h>
#include <string.h>

#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/sync/rwsem.h"
#include "kernel/rcu/rcu.h"

/* ---- one thread ---------------------------------------------------------- */

bool waits_for_event(const struct thread *t)
{
	const struct wait_ops *ops = READ_ONCE(t->waiting.ops);
	enum thread_state state = READ_ONCE(t->state);

	return (state == TASK_UNINTERRUPTIBLE || state == TASK_INTERRUPTIBLE) &&
	       ops && ops->event && !READ_ONCE(t->waiting.timed);
}

/* A copy that is not half of one wait and half of another, or of none. */
static struct waiting copy_waiting(const struct waiting *from)
{
	/* Acquire: pairs with the release in wait_begin(), busy_begin(). */
	const struct wait_ops *ops = smp_load_acquire(&from->ops);
	struct waiting w = *from;

	smp_rmb(); /* the copy before the second look */
	if (READ_ONCE(from->ops) != ops || w.ops != ops || from->obj != w.obj ||
	    from->since != w.since)
		w.ops = NULL; /* it moves */
	return w;
}

struct waiting waits_for(struct thread *t)
{
	struct rcu_state *rsp;
	struct waiting w;

#if GORDIAN_DEBUG
	w = copy_waiting(&t->busy);
	if (w.ops)
		return w;
#endif
	w = copy_waiting(&t->waiting);
	/* Off its core: nothing has come since it looked last. */
	if (!waits_for_event(t) || READ_ONCE(t->on_rq))
		w.ops = NULL;
	/* Handed over, but not awake yet: it can run. */
	if (w.ops && w.ops->handed_over && READ_ONCE(*w.granted) != WAITS)
		w.ops = NULL;
	rsp = w.ops ? NULL : rcu_awaits_cores(t);
	if (rsp)
		w = (struct waiting){ &readers_wait, rsp, rsp->name,
				      (uintptr_t)rsp->grace_period,
				      .since = rsp->gp_start };
	return w;
}

/* ---- edges --------------------------------------------------------------- */

/* The one thread that must act before w can end, or NULL. */
static const struct thread *wait_owner(const struct waiting *w)
{
	if (w->ops && w->by)
		return w->by;
	return w->ops && w->ops->owner ? w->ops->owner(w->obj) : NULL;
}

/* Must t act before w can end? */
static bool waits_on(const struct waiting *w, const struct thread *t)
{
	const struct thread *owner = wait_owner(w);

	if (owner)
		return t == owner;
	return w->ops && w->ops->waits_on && w->ops->waits_on(w, t);
}

bool waitfor_suspicious(const struct thread *t)
{
	const struct waiting *w = &t->waiting;
	const struct thread *owner;

	if (!waits_for_event(t))
		return false;
	owner = wait_owner(w);
	return owner ? waits_for_event(owner) :
		       w->ops->owner || w->ops->waits_on;
}

/* ---- the search ---------------------------------------------------------- */

static void fill_link(struct waitfor_link *l, struct thread *t)
{
	memset(l, 0, sizeof(*l));
	l->thread = t;
	l->id = t->id;
	memcpy(l->name, t->name, sizeof(l->name));
	l->cpu = t->cpu;
	l->switches = t->switches;
	l->bug = READ_ONCE(t->bug);
	l->waiting = waits_for(t);
}

/* Where and since when the owner has what l waits for. */
static void note_owner(struct waitfor_link *l, const struct thread *owner)
{
	const struct wait_ops *ops = l->waiting.ops;
	const struct held_lock *h = wait_held_by(&l->waiting, owner);

	l->owner_since = h ? h->since : 0;
	l->owner_site = h ? h->site : ops->site ? ops->site(l->waiting.obj) : 0;
}

/* How a chain ends: STUCK in a wait for nobody known, or with the dead. */
enum end { RUNS, STUCK, CYCLE };

struct search {
	struct waitfor *w; /* the chain; behind it, the next link if `found` */
	bool found;
	unsigned int nr_seen;
	uint32_t seen[WAITFOR_SEEN]; /* ids that are or were in the chain */
};

static bool was_seen(const struct search *s, uint32_t id)
{
	for (unsigned int i = 0; i < s->nr_seen; i++)
		if (s->seen[i] == id)
			return true;
	return s->nr_seen == WAITFOR_SEEN;
}

/* Is t the next link, the first not seen yet or the one that closes a cycle?
 * Under threads_lock, in the order of ids: a pointer that comes here lives. */
static void look_at(struct thread *t, void *arg)
{
	struct search *s = arg;
	struct waitfor *w = s->w;
	struct waitfor_link *l = &w->link[w->n - 1], *to = l + 1;

	if (!waits_on(&l->waiting, t))
		return;
	l->owners++;
	if (s->found)
		return;
	fill_link(to, t);
#if GORDIAN_DEBUG
	/* Whoever holds a spinlock, or has the core, runs: what it waits for as a
	 * sleeper, or is about to, does not stop it; only what it spins for. */
	if (!READ_ONCE(t->busy.ops) && l->waiting.ops->busy)
		to->waiting.ops = NULL;
#endif
	w->first = 0;
	while (w->first < w->n && w->link[w->first].thread != t)
		w->first++;
	w->cycle = w->first < w->n && to->waiting.ops;
	s->found = w->cycle || !was_seen(s, t->id);
	if (s->found)
		note_owner(l, t);
}

/* Depth first, until a chain ends like that or worse. */
static bool search(struct thread *t, struct waitfor *w, enum end least)
{
	struct search s = { .w = w };

	fill_link(&w->link[0], t);
	w->n = 1;
	w->cut = false;
	for (;;) {
		struct waitfor_link *l = &w->link[w->n - 1];
		bool stuck = l->bug || l->waiting.ops;

		if (!was_seen(&s, l->id))
			s.seen[s.nr_seen++] = l->id;
		s.found = w->cycle = false;
		l->owners = 0;
		threads_for_each(look_at, &s);
		if (w->cycle)
			return true;
		w->cut |= s.nr_seen == WAITFOR_SEEN ||
			  (s.found && w->n == WAITFOR_MAX);
		if (s.found && w->n < WAITFOR_MAX)
			w->n++;
		else if (!l->owners && least <= (stuck ? STUCK : RUNS))
			return true;
		else if (w->n > 1)
			w->n--;
		else
			return false;
	}
}

static bool same(const struct waitfor *a, const struct waitfor *b)
{
	if (a->n != b->n || a->cycle != b->cycle || a->first != b->first)
		return false;
	for (unsigned int i = 0; i < a->n; i++) {
		const struct waitfor_link *x = &a->link[i], *y = &b->link[i];

		if (x->thread != y->thread ||
		    x->waiting.obj != y->waiting.obj ||
		    x->waiting.ops != y->waiting.ops ||
		    x->waiting.since != y->waiting.since)
			return false;
		/* The grace-period thread looks again and again. */
		if (x->switches != y->switches &&
		    x->waiting.ops != &readers_wait)
			return false;
	}
	return true;
}

bool waitfor_cycle(struct thread *t, struct waitfor *w)
{
	struct waitfor again;

	return search(t, w, CYCLE) && search(t, &again, CYCLE) &&
	       same(w, &again);
}

bool waitfor_walk(struct thread *t, struct waitfor *w)
{
	if (waitfor_cycle(t, w))
		return true;
	if (!search(t, w, STUCK))
		search(t, w, RUNS);
	return w->cycle = false;
}

/* ---- reports ------------------------------------------------------------- */

static void print_for(uint64_t since)
{
	uint64_t us = timer_ns(timer_now() - since) / 1000;

	kprintf(" for %u.%06u s", (unsigned int)(us / 1000000),
		(unsigned int)(us % 1000000));
}

const char *waitfor_relation(const struct waitfor *w, unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];
	const struct waitfor_link *to = waitfor_owner(w, link);

	if (l->waiting.ops->relation)
		return l->waiting.ops->relation;
	/* A lock; the owner may wait for the same, in front. */
	return to != l && to->waiting.obj == l->waiting.obj ? "behind" :
							      "held by";
}

static void print_owner(const struct waitfor *w, unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];
	const struct waitfor_link *to = waitfor_owner(w, link);

	if (!to)
		return;
	kprintf("    %s %s (thread %u)", waitfor_relation(w, link), to->name,
		to->id);
	if (l->owner_since)
		print_for(l->owner_since);
	if (l->owners > 1)
		kprintf(", one of %u", l->owners);
	if (l->owner_site)
		kprintf("\n    taken at %pS", (void *)l->owner_site);
	kprintf("\n");
}

static void print_link(const struct waitfor *w, unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];

	kprintf("  %s (thread %u, core %u)\n", l->name, l->id, l->cpu);
	if (l->bug || !l->waiting.ops) {
		kprintf("    %s%s\n", l->bug ? "has ended: BUG: " : "",
			l->bug ?: "does not wait: it runs or can run");
		return;
	}
	kprintf("    waits for %s (%s)", l->waiting.name, l->waiting.ops->name);
	print_for(l->waiting.since);
	kprintf("\n    asked for at %pS\n", (void *)l->waiting.caller);
	print_owner(w, link);
	if (l->waiting.ops->print)
		l->waiting.ops->print(l->waiting.obj);
	dump_thread_stack(l->thread,
			  sched_running(l->thread->cpu) == l->thread);
}

void waitfor_print_cycle(const struct waitfor *w)
{
	kprintf("cycle: %s", w->link[w->first].name);
	for (unsigned int i = w->first; i < w->n; i++)
		kprintf(" -> %s (%s)", w->link[i].waiting.name,
			waitfor_owner(w, i)->name);
	kprintf("\n");
}

void waitfor_report(const struct waitfor *w)
{
	const struct waitfor_link *last = &w->link[w->n - 1];
	uint32_t flags = report_begin();

	for (unsigned int i = 0; i < w->n; i++)
		print_link(w, i);
	if (w->cycle)
		waitfor_print_cycle(w);
	else if (w->cut)
		kprintf("more than %u threads in a chain, or %u in all: "
			"there may be a cycle\n",
			WAITFOR_MAX, WAITFOR_SEEN);
	else if (last->waiting.ops)
		kprintf("no cycle: %s waits for an event (%s, %s)\n",
			last->name, last->waiting.name,
			last->waiting.ops->name);
	report_end(flags);
}
