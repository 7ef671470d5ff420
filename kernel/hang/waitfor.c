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

/* A wait, what it hangs on whom as (NULL: on who holds a lock), and its map. */
static const struct {
	const char *name, *relation;
	size_t map;
} kinds[] = {
	[WAIT_NONE] = { "-", NULL, 0 },
	[WAIT_MUTEX] = { "mutex", NULL, DEP_MAP_AT(struct mutex) },
	[WAIT_RWSEM_READ] = { "rwsem (read)", NULL,
			      DEP_MAP_AT(struct rw_semaphore) },
	[WAIT_RWSEM_WRITE] = { "rwsem (write)", NULL,
			       DEP_MAP_AT(struct rw_semaphore) },
	[WAIT_PERCPU_READ] = { "percpu rwsem (read)", NULL,
			       DEP_MAP_AT(struct percpu_rwsem) },
	[WAIT_PERCPU_WRITE] = { "percpu rwsem (write)", NULL,
				DEP_MAP_AT(struct percpu_rwsem) },
	[WAIT_COMPLETION] = { "completion", "up to", 0 },
	[WAIT_REFCOUNT] = { "refcount", NULL, 0 },
	[WAIT_GP] = { "grace period", "up to", 0 },
	[WAIT_JOIN] = { "end of thread", "up to", 0 },
	[WAIT_QUEUE] = { "wait queue", "up to", 0 },
	[WAIT_SLEEP] = { "time", NULL, 0 },
	[WAIT_GATE] = { "trace gate", NULL, 0 },
	[WAIT_IDLE] = { "work", NULL, 0 },
	[WAIT_SPIN] = { "spinlock", NULL, DEP_MAP_AT(struct spinlock) },
	[WAIT_CORE] = { "other cores", "where runs", 0 },
	[WAIT_READERS] = { "readers", "where runs", 0 },
};

const char *wait_kind_name(enum wait_kind kind)
{
	return kind < ARRAY_SIZE(kinds) ? kinds[kind].name : "?";
}

/* ---- one thread ---------------------------------------------------------- */

bool waits_for_event(const struct thread *t)
{
	enum wait_kind kind = READ_ONCE(t->waiting.kind);
	enum thread_state state = READ_ONCE(t->state);

	return (state == TASK_UNINTERRUPTIBLE ||
		(state == TASK_INTERRUPTIBLE && kind == WAIT_MUTEX)) &&
	       kind != WAIT_NONE && kind != WAIT_SLEEP && kind != WAIT_IDLE &&
	       kind != WAIT_GATE && !READ_ONCE(t->waiting.timed);
}

/* A copy that is not half of one wait and half of another, or NONE. */
static struct waiting copy_waiting(const struct waiting *from)
{
	/* Acquire: pairs with the release in wait_begin(), busy_begin(). */
	enum wait_kind kind = smp_load_acquire(&from->kind);
	struct waiting w = *from;

	smp_rmb(); /* the copy before the second look */
	if (READ_ONCE(from->kind) != kind || w.kind != kind ||
	    from->obj != w.obj || from->since != w.since)
		w.kind = WAIT_NONE; /* it moves */
	return w;
}

struct waiting waits_for(struct thread *t)
{
	struct rcu_state *rsp;
	struct waiting w;

#if GORDIAN_DEBUG
	w = copy_waiting(&t->busy);
	if (w.kind != WAIT_NONE)
		return w;
#endif
	w = copy_waiting(&t->waiting);
	/* Off its core: nothing has come since it looked last. */
	if (!waits_for_event(t) || READ_ONCE(t->on_rq))
		w.kind = WAIT_NONE;
	/* Handed over, but not awake yet: it can run. */
	if (w.kind >= WAIT_MUTEX && w.kind <= WAIT_PERCPU_READ &&
	    READ_ONCE(*w.granted) != WAITS)
		w.kind = WAIT_NONE;
	rsp = w.kind == WAIT_NONE ? rcu_awaits_cores(t) : NULL;
	if (rsp)
		w = (struct waiting){ WAIT_READERS, rsp, rsp->name,
				      (uintptr_t)rsp->grace_period,
				      .since = rsp->gp_start };
	return w;
}

/* ---- edges --------------------------------------------------------------- */

/* t's entry for what w waits for, if it has that; debug builds know. */
static const struct held_lock *holds(const struct thread *t,
				     const struct waiting *w)
{
	size_t map = kinds[w->kind].map;

	return map ? lock_held_by(t, (const void *)((uintptr_t)w->obj + map)) :
		     NULL;
}

static bool reads(const struct thread *t, const struct waiting *w)
{
	const struct held_lock *h = holds(t, w);

	return h && h->how & (LOCK_READ | LOCK_READ_RECURSIVE);
}

/* A core with interrupts on answers, whatever it spins for. */
static bool will_answer(const struct thread *t maybe_unused)
{
#if GORDIAN_DEBUG
	unsigned int n = READ_ONCE(t->lockdep.depth);

	return READ_ONCE(t->busy.kind) != WAIT_NONE && !t->irq_depth &&
	       !(n && n <= MAX_HELD && t->lockdep.held[n - 1].irqs_off);
#else
	return false;
#endif
}

/* On its core, and not on its way out. */
static bool runs(const struct thread *t)
{
	return sched_running(t->cpu) == t &&
	       (READ_ONCE(t->on_rq) || t->is_idle);
}

/* The one thread that w hangs on, if it is one. */
static const struct thread *the_one(const struct waiting *w)
{
	const struct rw_semaphore *rwsem = w->obj;
	const struct percpu_rwsem *percpu = w->obj;
	const struct spinlock *spin = w->obj;

	if (w->kind != WAIT_NONE && w->by)
		return w->by;
	switch (w->kind) {
	case WAIT_MUTEX:
		return mutex_owner(w->obj);
	case WAIT_RWSEM_READ:
	case WAIT_RWSEM_WRITE:
		return READ_ONCE(rwsem->writer);
	case WAIT_PERCPU_READ:
		return READ_ONCE(percpu->writer);
	case WAIT_JOIN:
		return w->obj;
	case WAIT_SPIN:
		return READ_ONCE(spin->holder);
	default:
		return NULL;
	}
}

/* Must t act before w can end? */
static bool hangs_on(const struct waiting *w, const struct thread *t)
{
	const struct thread *on = the_one(w);

	if (on)
		return t == on;
	switch (w->kind) {
	case WAIT_RWSEM_READ:
		return READ_ONCE(t->waiting.kind) == WAIT_RWSEM_WRITE &&
		       t->waiting.obj == w->obj && t->waiting.since < w->since;
	case WAIT_RWSEM_WRITE:
	case WAIT_PERCPU_WRITE:
		return reads(t, w);
	case WAIT_CORE:
		return runs(t) && !will_answer(t) &&
		       cpumask_test(cpumask_load(w->obj), t->cpu);
	case WAIT_READERS:
		return runs(t) && rcu_waits_for(w->obj, t);
	case WAIT_COMPLETION:
		return rcu_waits_for(w->obj, t);
	default:
		return false;
	}
}

bool waitfor_suspicious(const struct thread *t)
{
	const struct waiting *w = &t->waiting;
	const struct thread *on;

	if (!waits_for_event(t))
		return false;
	on = the_one(w);
	if (!on && w->kind == WAIT_COMPLETION)
		on = rcu_sched_state.thread; /* it may be a barrier's */
	return on ? waits_for_event(on) :
		    w->kind != WAIT_QUEUE && w->kind != WAIT_REFCOUNT;
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

/* What l waits for, as whoever it hangs on has it. */
static void note_owner(struct waitfor_link *l, const struct thread *owner)
{
	const struct held_lock *h = holds(owner, &l->waiting);
	const struct mutex *m = l->waiting.obj;

	l->owner_since = h ? h->since : 0;
	l->owner_site = h			      ? h->site :
			l->waiting.kind == WAIT_MUTEX ? READ_ONCE(m->site) :
							0;
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

	if (!hangs_on(&l->waiting, t))
		return;
	l->owners++;
	if (s->found)
		return;
	fill_link(to, t);
#if GORDIAN_DEBUG
	/* Whoever holds a spinlock, or has the core, runs: what it waits for as a
	 * sleeper, or is about to, does not stop it; only what it spins for. */
	if (READ_ONCE(t->busy.kind) == WAIT_NONE &&
	    (l->waiting.kind == WAIT_SPIN || l->waiting.kind == WAIT_CORE))
		to->waiting.kind = WAIT_NONE;
#endif
	w->first = 0;
	while (w->first < w->n && w->link[w->first].thread != t)
		w->first++;
	w->cycle = w->first < w->n && to->waiting.kind != WAIT_NONE;
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
		bool stuck = l->bug || l->waiting.kind != WAIT_NONE;

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
		    x->waiting.kind != y->waiting.kind ||
		    x->waiting.since != y->waiting.since)
			return false;
		/* The grace-period thread looks again and again. */
		if (x->switches != y->switches &&
		    x->waiting.kind != WAIT_READERS)
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

	if (kinds[l->waiting.kind].relation)
		return kinds[l->waiting.kind].relation;
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

/* The count, and who is the last known to have made it so. */
static void print_refcount(void)
{
	int n = READ_ONCE(cpu_hotplug.refcount);
	const struct hotplug_change *c = n > 0 ? &cpu_hotplug.last_get :
						 &cpu_hotplug.below_0;
	struct thread *t = thread_find(c->id);

	kprintf("    refcount is %d and must become 0\n", n);
	if (n && READ_ONCE(c->caller))
		kprintf("    %s called from %pS\n    by %s (thread %u)%s\n",
			n > 0 ? "last taken in get_online_cpus()" :
				"it went below 0 in put_online_cpus()",
			(void *)c->caller, c->name, c->id,
			t && !t->exited ? "" : ", which has ended");
	if (t)
		thread_put(t);
}

static void print_link(const struct waitfor *w, unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];

	kprintf("  %s (thread %u, core %u)\n", l->name, l->id, l->cpu);
	if (l->bug || l->waiting.kind == WAIT_NONE) {
		kprintf("    %s%s\n", l->bug ? "has ended: BUG: " : "",
			l->bug ?: "does not wait: it runs or can run");
		return;
	}
	kprintf("    waits for %s (%s)", l->waiting.name,
		wait_kind_name(l->waiting.kind));
	print_for(l->waiting.since);
	kprintf("\n    asked for at %pS\n", (void *)l->waiting.caller);
	print_owner(w, link);
	if (l->waiting.kind == WAIT_REFCOUNT)
		print_refcount();
	rcu_print_awaited(l->waiting.obj);
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
	else if (last->waiting.kind != WAIT_NONE)
		kprintf("no cycle: %s waits for an event (%s, %s)\n",
			last->name, last->waiting.name,
			wait_kind_name(last->waiting.kind));
	report_end(flags);
}
