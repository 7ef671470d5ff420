/*
 * The wait-for graph: search it, print it. waitfor.h defines its edges.
 *
 * Why a reported cycle is a deadlock. In both snapshots each thread of the
 * cycle is in the same wait, and is off its core or spins. Between the two
 * snapshots no thread of the cycle was switched in. So each did nothing but
 * wait. (The grace-period thread may have been switched in: it looks at the
 * cores again and again, and waits on.) What a thread holds at the second
 * snapshot, it held at the first. At the second snapshot the event that a
 * thread waits for has not happened. For most waits, the code that causes the
 * event first sets `granted` or wakes the thread, and the snapshot would show
 * this. For the others, only a thread of the cycle can run this code, and none
 * has run.
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

#if GORDIAN_DEBUG
	/* While the explorer searches, a thread is held where it would spin
	 * otherwise: kernel/explore/turns.c. */
	if (state == TASK_HELD)
		return READ_ONCE(t->busy.ops) != NULL;
#endif
	return (state == TASK_UNINTERRUPTIBLE || state == TASK_INTERRUPTIBLE) &&
	       ops && ops->event && !READ_ONCE(t->waiting.timed);
}

/* Read the fields as they are now. They may belong to two waits. */
static struct waiting read_waiting(const struct waiting *from)
{
	/* Acquire: pairs with the release in wait_begin(), busy_set(). */
	struct waiting w = { .ops = smp_load_acquire(&from->ops) };

	w.obj = READ_ONCE(from->obj);
	w.name = READ_ONCE(from->name);
	w.caller = READ_ONCE(from->caller);
	w.since = READ_ONCE(from->since);
	w.timed = READ_ONCE(from->timed);
	w.granted = READ_ONCE(from->granted);
	w.by = READ_ONCE(from->by);
	return w;
}

/*
 * Copy the fields of one wait, or set ops to NULL. A thread that begins a wait
 * stores ops = NULL before the fields, and ops after the fields. If the first
 * reading has a field of a later wait, the second reading sees at least the
 * NULL. If the second reading sees the new ops, it sees all new fields, so the
 * two readings differ.
 */
static struct waiting copy_waiting(const struct waiting *from)
{
	struct waiting w = read_waiting(from), again;

	smp_rmb(); /* pairs with the smp_wmb() in wait_begin(), busy_set() */
	again = read_waiting(from);
	if (w.ops != again.ops || w.obj != again.obj || w.name != again.name ||
	    w.caller != again.caller || w.since != again.since)
		w.ops = NULL; /* the wait has changed */
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
	/* A thread that is still on its core may look at its condition once
	 * more. */
	if (!waits_for_event(t) || READ_ONCE(t->on_rq))
		w.ops = NULL;
	/* If the lock was handed over, the thread can run; it is only not awake
	 * yet. */
	if (w.ops && w.ops->handed_over && READ_ONCE(*w.granted) != WAITS)
		w.ops = NULL;
	rsp = w.ops ? NULL : rcu_awaits_cores(t);
	if (rsp)
		w = (struct waiting){ &readers_wait, rsp, rsp->name,
				      (uintptr_t)rsp->grace_period,
				      .since = READ_ONCE(rsp->gp_start) };
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
	/* The owner of a wait for callbacks is not known. The callbacks run
	 * unless the grace-period thread stands still. */
	if (!owner && w->ops == &barrier_wait)
		owner = rcu_sched_state.thread;
	/* No owner is known: suspicious if this kind of wait can have one. */
	return owner ? waits_for_event(owner) :
		       w->ops->owner || w->ops->waits_on;
}

/* ---- the search ---------------------------------------------------------- */

typedef struct waiting (*waits_fn)(struct thread *t);

static void fill_link(struct waitfor_link *l, struct thread *t, waits_fn waits)
{
	memset(l, 0, sizeof(*l));
	l->thread = t;
	l->id = t->id;
	memcpy(l->name, t->name, sizeof(l->name));
	l->cpu = t->cpu;
	l->switches = READ_ONCE(t->switches);
	l->bug = READ_ONCE(t->bug);
	l->waiting = waits(t);
}

/* Note where, and since when, the owner holds the lock that l waits for. */
static void note_owner(struct waitfor_link *l, const struct thread *owner)
{
	const struct wait_ops *ops = l->waiting.ops;
	const struct held_lock *h = wait_held_by(&l->waiting, owner);

	l->owner_since = h ? h->since : 0;
	l->owner_site = h ? h->site : ops->site ? ops->site(l->waiting.obj) : 0;
}

/* How a chain ends: in a thread that can run; in a wait for an unknown thread,
 * or in a thread that a BUG ended; in a cycle. */
enum chain_end { ENDS_RUNNING, ENDS_STUCK, ENDS_IN_CYCLE };

struct walk {
	struct waitfor *w; /* the chain; behind it the next link, if `found` */
	waits_fn waits;
	bool found;
	unsigned int nr_seen;
	uint32_t seen[WAITFOR_SEEN]; /* ids that are or were in the chain */
};

/* If seen[] is full, every thread counts as seen, so that the walk ends. */
static bool was_seen(const struct walk *k, uint32_t id)
{
	for (unsigned int i = 0; i < k->nr_seen; i++)
		if (k->seen[i] == id)
			return true;
	return k->nr_seen == WAITFOR_SEEN;
}

/* Called for each thread t in the order of ids, under threads_lock, so that t
 * is not freed. If the chain's last link has an edge to t, and t is new or
 * closes a cycle, t becomes the next link. The first such t counts. */
static void follow_edge(struct thread *t, void *arg)
{
	struct walk *k = arg;
	struct waitfor *w = k->w;
	struct waitfor_link *l = &w->link[w->n - 1], *to = l + 1;

	if (!waits_on(&l->waiting, t))
		return;
	l->owners++;
	if (k->found)
		return;
	fill_link(to, t, k->waits);
#if GORDIAN_DEBUG
	/* If the thread of l spins, t holds the spinlock or runs on the core
	 * that is awaited, so t is running. t may have announced a sleep
	 * (wait_begin()), but it does not sleep yet: ignore that wait. If t
	 * spins, too, its wait counts. */
	if (!READ_ONCE(t->busy.ops) && l->waiting.ops->busy)
		to->waiting.ops = NULL;
#endif
	w->first = 0;
	while (w->first < w->n && w->link[w->first].thread != t)
		w->first++;
	w->cycle = w->first < w->n && to->waiting.ops;
	k->found = w->cycle || !was_seen(k, t->id);
	if (k->found)
		note_owner(l, t);
}

/* Search depth first, until a chain ends in the way `least`, or in a way
 * further down in the enum. Returns false if no chain does. */
static bool walk_to(enum chain_end least, struct thread *t, struct waitfor *w,
		    waits_fn waits)
{
	struct walk k = { .w = w, .waits = waits };

	fill_link(&w->link[0], t, waits);
	w->n = 1;
	w->cut = false;
	for (;;) {
		struct waitfor_link *l = &w->link[w->n - 1];
		bool stuck = l->bug || l->waiting.ops;

		if (!was_seen(&k, l->id))
			k.seen[k.nr_seen++] = l->id;
		k.found = w->cycle = false;
		l->owners = 0;
		threads_for_each(follow_edge, &k);
		if (w->cycle)
			return true;
		w->cut |= k.nr_seen == WAITFOR_SEEN ||
			  (k.found && w->n == WAITFOR_MAX);
		if (k.found && w->n < WAITFOR_MAX)
			w->n++;
		else if (!l->owners &&
			 least <= (stuck ? ENDS_STUCK : ENDS_RUNNING))
			return true;
		else if (w->n > 1)
			w->n--;
		else
			return false;
	}
}

/* Do two snapshots agree, and did their threads stay in their waits? */
static bool stood_still(const struct waitfor *a, const struct waitfor *b)
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
		/* The grace-period thread wakes up again and again to look. */
		if (x->switches != y->switches &&
		    x->waiting.ops != &readers_wait)
			return false;
	}
	return true;
}

/* As waitfor_cycle(), but waits() says which waits count. */
static bool find_cycle_with(struct thread *t, struct waitfor *w, waits_fn waits)
{
	struct waitfor again;

	return walk_to(ENDS_IN_CYCLE, t, w, waits) &&
	       walk_to(ENDS_IN_CYCLE, t, &again, waits) &&
	       stood_still(w, &again);
}

bool waitfor_cycle(struct thread *t, struct waitfor *w)
{
	return find_cycle_with(t, w, waits_for);
}

bool waitfor_walk_with(struct thread *t, struct waitfor *w, waits_fn waits)
{
	if (find_cycle_with(t, w, waits))
		return true;
	if (!walk_to(ENDS_STUCK, t, w, waits))
		walk_to(ENDS_RUNNING, t, w, waits);
	/* These walks may have met a cycle. It does not count, because no
	 * second snapshot has confirmed it. */
	return w->cycle = false;
}

bool waitfor_walk(struct thread *t, struct waitfor *w)
{
	return waitfor_walk_with(t, w, waits_for);
}

/* ---- reports ------------------------------------------------------------- */

static void print_duration(uint64_t since)
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
	/* The object is a lock: the other thread holds it, or waits for it
	 * in front of this one. */
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
		print_duration(l->owner_since);
	if (l->owners > 1)
		kprintf(", one of %u", l->owners);
	if (l->owner_site)
		kprintf("\n    taken at %pS", (void *)l->owner_site);
	kprintf("\n");
}

static void print_waitfor_link(const struct waitfor *w, unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];

	kprintf("  %s (thread %u, core %u)\n", l->name, l->id, l->cpu);
	if (l->bug || !l->waiting.ops) {
		kprintf("    %s%s\n", l->bug ? "has ended: BUG: " : "",
			l->bug ?: "does not wait: it runs or can run");
		return;
	}
	kprintf("    waits for %s (%s)", l->waiting.name, l->waiting.ops->name);
	print_duration(l->waiting.since);
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

void waitfor_print_end(const struct waitfor *w)
{
	const struct waitfor_link *last = &w->link[w->n - 1];

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
}

void waitfor_report(const struct waitfor *w)
{
	uint32_t flags = report_begin();

	for (unsigned int i = 0; i < w->n; i++)
		print_waitfor_link(w, i);
	waitfor_print_end(w);
	report_end(flags);
}
