/*
 * The wait-for graph: search it, print it. See waitfor.h for what an edge is.
 *
 * Why a reported cycle is one. Both snapshots find each thread of it off its
 * core (or busy in the same wait), in the same wait, not switched in between: so
 * between the two none of them ran. What they hold they held then, and what they
 * waited for had not come: whoever brings it says so first (enum grant), wakes
 * them, or is in the cycle himself.
 */
#include "kernel/debug/waitfor.h"

#include <stddef.h>
#include <string.h>

#include "drivers/board.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/rwsem.h"
#include "kernel/rcu/rcu.h"

const char *wait_kind_name(enum wait_kind kind)
{
	static const char *const names[] = {
		[WAIT_NONE] = "-",
		[WAIT_MUTEX] = "mutex",
		[WAIT_RWSEM_READ] = "rwsem (read)",
		[WAIT_RWSEM_WRITE] = "rwsem (write)",
		[WAIT_PERCPU_READ] = "percpu rwsem (read)",
		[WAIT_PERCPU_WRITE] = "percpu rwsem (write)",
		[WAIT_COMPLETION] = "completion",
		[WAIT_REFCOUNT] = "refcount",
		[WAIT_GP] = "grace period",
		[WAIT_JOIN] = "end of thread",
		[WAIT_QUEUE] = "wait queue",
		[WAIT_SLEEP] = "time",
		[WAIT_GATE] = "trace gate",
		[WAIT_IDLE] = "work",
		[WAIT_SPIN] = "spinlock",
		[WAIT_CORE] = "other cores",
		[WAIT_READERS] = "readers",
	};

	return kind < ARRAY_SIZE(names) ? names[kind] : "?";
}

/* ---- one thread ---------------------------------------------------------- */

bool waits_for_event(const struct thread *t)
{
	enum wait_kind kind = READ_ONCE(t->waiting.kind);

	return READ_ONCE(t->state) == TASK_UNINTERRUPTIBLE &&
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

#if GORDIAN_DEBUG
/* t's entry for what w waits for, if it has that. */
static const struct held_lock *holds(const struct thread *t,
				     const struct waiting *w)
{
	static const uint16_t map[WAIT_READERS + 1] = {
		[WAIT_MUTEX] = offsetof(struct mutex, dep_map),
		[WAIT_RWSEM_READ] = offsetof(struct rw_semaphore, dep_map),
		[WAIT_RWSEM_WRITE] = offsetof(struct rw_semaphore, dep_map),
		[WAIT_PERCPU_READ] = offsetof(struct percpu_rwsem, dep_map),
		[WAIT_PERCPU_WRITE] = offsetof(struct percpu_rwsem, dep_map),
		[WAIT_SPIN] = offsetof(struct spinlock, dep_map),
	};

	return map[w->kind] ? lock_held_by(t, (const void *)((uintptr_t)w->obj +
							     map[w->kind])) :
			      NULL;
}
#endif

static bool reads(const struct thread *t maybe_unused,
		  const struct waiting *w maybe_unused)
{
#if GORDIAN_DEBUG
	const struct held_lock *h = holds(t, w);

	return h && h->how & (LOCK_READ | LOCK_READ_RECURSIVE);
#else
	return false;
#endif
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

/* Must t act before w can end? */
static bool hangs_on(const struct waiting *w, const struct thread *t)
{
	const struct rw_semaphore *s = w->obj;
	const struct thread *writer;

	if (w->kind != WAIT_NONE && w->by)
		return t == w->by;
	switch (w->kind) {
	case WAIT_MUTEX:
		return t == mutex_owner(w->obj);
	case WAIT_RWSEM_READ:
	case WAIT_RWSEM_WRITE:
		writer = READ_ONCE(s->writer);
		if (writer)
			return t == writer;
		if (w->kind == WAIT_RWSEM_WRITE)
			return reads(t, w);
		return READ_ONCE(t->waiting.kind) == WAIT_RWSEM_WRITE &&
		       t->waiting.obj == s && t->waiting.since < w->since;
	case WAIT_PERCPU_READ:
		return t ==
		       READ_ONCE(((const struct percpu_rwsem *)w->obj)->writer);
	case WAIT_PERCPU_WRITE:
		return reads(t, w);
	case WAIT_JOIN:
		return t == w->obj;
	case WAIT_SPIN:
		return t ==
		       READ_ONCE(((const struct spinlock *)w->obj)->holder);
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
	const struct thread *on = w->by;

	if (!waits_for_event(t))
		return false;
	if (w->kind == WAIT_MUTEX)
		on = mutex_owner(w->obj);
	else if (w->kind == WAIT_JOIN)
		on = w->obj;
	else if (w->kind == WAIT_COMPLETION && !on)
		on = rcu_sched_state.thread; /* it may be a barrier's */
	else if (w->kind != WAIT_QUEUE && w->kind != WAIT_REFCOUNT && !on)
		return true;
	return on && waits_for_event(on);
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

/* `to` is whom l hangs on. */
static void set_owner(struct waitfor_link *l, const struct waitfor_link *to)
{
	l->owner = to->thread;
	l->owner_id = to->id;
	memcpy(l->owner_name, to->name, sizeof(l->owner_name));
	l->owner_site = 0;
	if (l->waiting.kind == WAIT_MUTEX)
		l->owner_site =
			READ_ONCE(((const struct mutex *)l->waiting.obj)->site);
#if GORDIAN_DEBUG
	const struct held_lock *h = holds(to->thread, &l->waiting);

	l->owner_since = h ? h->since : 0;
	if (h)
		l->owner_site = h->site;
#endif
}

struct find {
	struct waitfor_link *from; /* whom it hangs on; NULL: `want` itself */
	const struct thread *want;
	uint32_t after; /* the first with a larger id */
	struct waitfor_link *found;
	bool any;
};

/* Under threads_lock, in the order of ids: a pointer that comes here lives. */
static void find_one(struct thread *t, void *arg)
{
	struct find *f = arg;

	if (f->from ? !hangs_on(&f->from->waiting, t) : t != f->want)
		return;
	if (f->from)
		f->from->owners++;
	if (f->any || t->id <= f->after)
		return;
	f->any = true;
	fill_link(f->found, t);
#if GORDIAN_DEBUG
	/* Whoever holds a spinlock, or has the core, runs: what it waits for as a
	 * sleeper, or is about to, does not stop it; only what it spins for. */
	if (f->from && READ_ONCE(t->busy.kind) == WAIT_NONE &&
	    (f->from->waiting.kind == WAIT_SPIN ||
	     f->from->waiting.kind == WAIT_CORE))
		f->found->waiting.kind = WAIT_NONE;
#endif
}

static bool among(uint32_t id, const uint32_t *ids, unsigned int n)
{
	while (n && ids[n - 1] != id)
		n--;
	return n;
}

enum goal {
	A_CYCLE,  /* nothing less */
	AN_EVENT, /* or a chain that ends in a wait */
	AN_END,	  /* or any chain */
};

static bool search(struct thread *t, struct waitfor *w, enum goal goal)
{
	uint32_t seen[WAITFOR_SEEN], tried[WAITFOR_MAX] = { 0 };
	struct find f = { .want = t, .found = &w->link[0] };
	unsigned int nr_seen = 0;

	w->n = w->first = 0;
	w->cycle = false;
	threads_for_each(find_one, &f);
	if (f.any)
		seen[nr_seen++] = w->link[w->n++].id;
	while (w->n && w->n < WAITFOR_MAX) {
		struct waitfor_link *l = &w->link[w->n - 1], *to = l + 1;

		f = (struct find){ l, NULL, tried[w->n - 1], to, false };
		l->owners = 0;
		threads_for_each(find_one, &f);
		if (!f.any) {
			if (!tried[w->n - 1] &&
			    (goal == AN_END ||
			     (goal == AN_EVENT &&
			      (l->bug || l->waiting.kind != WAIT_NONE))))
				return true;
			if (w->n == 1)
				return false;
			w->n--;
			continue;
		}
		tried[w->n - 1] = to->id;
		set_owner(l, to);
		for (w->first = 0; w->first < w->n; w->first++)
			if (w->link[w->first].thread == to->thread &&
			    to->waiting.kind != WAIT_NONE)
				return w->cycle = true;
		if (among(to->id, seen, nr_seen) || nr_seen == WAITFOR_SEEN)
			continue;
		seen[nr_seen++] = to->id;
		tried[w->n++] = 0;
	}
	return w->n && goal != A_CYCLE;
}

static bool same(const struct waitfor *a, const struct waitfor *b)
{
	if (a->n != b->n || a->cycle != b->cycle || a->first != b->first)
		return false;
	for (unsigned int i = 0; i < a->n; i++) {
		const struct waitfor_link *x = &a->link[i], *y = &b->link[i];

		if (x->thread != y->thread || x->owner != y->owner ||
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

	return search(t, w, A_CYCLE) && search(t, &again, A_CYCLE) &&
	       same(w, &again);
}

bool waitfor_walk(struct thread *t, struct waitfor *w)
{
	if (waitfor_cycle(t, w))
		return true;
	if (!search(t, w, AN_EVENT))
		search(t, w, AN_END);
	return w->cycle = false;
}

/* ---- reports ------------------------------------------------------------- */

static void print_time(const char *before, uint64_t since, const char *after)
{
	uint64_t us = timer_ns(timer_now() - since) / 1000;

	kprintf("%s %u.%06u s%s", before, (unsigned int)(us / 1000000),
		(unsigned int)(us % 1000000), after);
}

const char *waitfor_relation(const struct waitfor *w, unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];
	const struct waitfor_link *to = link + 1 < w->n ? l + 1 :
							  &w->link[w->first];

	switch (l->waiting.kind) {
	case WAIT_CORE:
	case WAIT_READERS:
		return "where runs";
	case WAIT_JOIN:
	case WAIT_COMPLETION:
	case WAIT_QUEUE:
	case WAIT_GP:
		return "up to";
	default: /* a lock; the owner may wait for the same, in front */
		return to != l && to->waiting.obj == l->waiting.obj ? "behind" :
								      "held by";
	}
}

static void print_owner(const struct waitfor *w, unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];

	kprintf("    %s %s (thread %u)", waitfor_relation(w, link),
		l->owner_name, l->owner_id);
	if (l->owner_since)
		print_time(" for", l->owner_since, "");
	if (l->owners > 1)
		kprintf(", one of %u", l->owners);
	if (l->owner_site)
		kprintf("\n    taken at %pS", (void *)l->owner_site);
	kprintf("\n");
}

static void print_change(const char *what, const struct hotplug_change *c)
{
	struct thread *t = thread_find(c->id);

	if (!READ_ONCE(c->caller))
		return;
	kprintf("    %s called from %pS\n    by %s (thread %u)%s\n", what,
		(void *)c->caller, c->name, c->id,
		t && !t->exited ? "" : ", which has ended");
	if (t)
		thread_put(t);
}

static void print_refcount(void)
{
	int n = READ_ONCE(cpu_hotplug.refcount);

	kprintf("    refcount is %d and must become 0\n", n);
	if (n > 0)
		print_change("last taken in get_online_cpus()",
			     &cpu_hotplug.last_get);
	if (n < 0)
		print_change("it went below 0 in put_online_cpus()",
			     &cpu_hotplug.below_0);
}

static void print_link(const struct waitfor *w, unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];

	kprintf("  %s (thread %u, core %u)\n", l->name, l->id, l->cpu);
	if (l->bug)
		kprintf("    has ended: BUG: %s\n", l->bug);
	else if (l->waiting.kind == WAIT_NONE)
		kprintf("    does not wait: it runs or can run\n");
	if (l->bug || l->waiting.kind == WAIT_NONE)
		return;
	kprintf("    waits for %s (%s)", l->waiting.name,
		wait_kind_name(l->waiting.kind));
	print_time(" for", l->waiting.since, "\n");
	kprintf("    asked for at %pS\n", (void *)l->waiting.caller);
	if (l->owner)
		print_owner(w, link);
	if (l->waiting.kind == WAIT_REFCOUNT)
		print_refcount();
	rcu_print_awaited(l->waiting.obj);
	dump_thread_stack(l->thread);
}

void waitfor_print_cycle(const struct waitfor *w)
{
	kprintf("cycle: %s", w->link[w->first].name);
	for (unsigned int i = w->first; i < w->n; i++)
		kprintf(" -> %s (%s)", w->link[i].waiting.name,
			w->link[i].owner_name);
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
	else if (w->n && last->waiting.kind != WAIT_NONE)
		kprintf("no cycle: %s waits for an event (%s, %s)\n",
			last->name, last->waiting.name,
			wait_kind_name(last->waiting.kind));
	report_end(flags);
}
