/*
 * The wait-for graph: walk it, print it. See waitfor.h for what an edge is.
 */
#include "kernel/debug/waitfor.h"

#include <string.h>

#include "drivers/board.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/mutex.h"

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
	};

	return kind < ARRAY_SIZE(names) ? names[kind] : "?";
}

bool waits_for_event(const struct thread *t)
{
	enum wait_kind kind = READ_ONCE(t->waiting.kind);

	return READ_ONCE(t->state) == TASK_UNINTERRUPTIBLE &&
	       kind != WAIT_NONE && kind != WAIT_SLEEP && kind != WAIT_IDLE &&
	       kind != WAIT_GATE && !READ_ONCE(t->waiting.timed);
}

struct walk {
	struct thread *want;
	struct waitfor_link *out;
	bool found;
};

/* Under threads_lock: fill the link if that pointer is a thread that lives. */
static void fill_link(struct thread *t, void *arg)
{
	struct walk *walk = arg;
	struct waitfor_link *l = walk->out;
	enum wait_kind kind;

	if (t != walk->want)
		return;
	walk->found = true;
	/* Acquire: pairs with the release in wait_begin(). */
	kind = smp_load_acquire(&t->waiting.kind);
	l->thread = t;
	l->id = t->id;
	memcpy(l->name, t->name, sizeof(l->name));
	l->cpu = t->cpu;
	l->waiting = t->waiting;
	l->switches = t->switches;
	l->bug = READ_ONCE(t->bug);
	l->owner = NULL;
	smp_rmb(); /* the copy before the second look */
	if (!waits_for_event(t) || t->waiting.kind != kind ||
	    l->waiting.kind != kind || t->waiting.obj != l->waiting.obj ||
	    t->waiting.since != l->waiting.since)
		l->waiting.kind = WAIT_NONE; /* it moves */
	if (l->waiting.kind == WAIT_JOIN)
		l->owner = (struct thread *)l->waiting.obj;
	if (l->waiting.kind == WAIT_MUTEX) {
		const struct mutex *m = l->waiting.obj;

		l->owner_site = READ_ONCE(m->site);
		l->owner = mutex_owner(m);
		smp_rmb(); /* owner before grant; pairs with mutex.c, grant() */
		if (READ_ONCE(*l->waiting.granted)) {
			/* Handed over, but not awake yet: it can run. */
			l->waiting.kind = WAIT_NONE;
			l->owner = NULL;
		}
	}
}

static void walk_once(struct thread *t, struct waitfor *w)
{
	w->n = 0;
	w->cycle = false;
	w->first = 0;
	while (t && w->n < WAITFOR_MAX) {
		struct walk walk = { .want = t, .out = &w->link[w->n] };

		for (unsigned int i = 0; i < w->n; i++) {
			if (w->link[i].thread == t) {
				w->cycle = true;
				w->first = i;
				return;
			}
		}
		threads_for_each(fill_link, &walk);
		if (!walk.found)
			return;
		if (w->n) {
			struct waitfor_link *l = &w->link[w->n - 1];

			l->owner_id = w->link[w->n].id;
			memcpy(l->owner_name, w->link[w->n].name,
			       sizeof(l->owner_name));
		}
		w->n++;
		t = w->link[w->n - 1].owner;
	}
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
		    x->waiting.since != y->waiting.since ||
		    x->switches != y->switches)
			return false;
	}
	return true;
}

bool waitfor_walk(struct thread *t, struct waitfor *w)
{
	struct waitfor again;

	walk_once(t, w);
	if (!w->cycle)
		return false;
	/* The threads of a cycle stand still: a second look must agree. */
	walk_once(t, &again);
	if (!same(w, &again))
		w->cycle = false;
	if (w->cycle) {
		struct waitfor_link *last = &w->link[w->n - 1];
		const struct waitfor_link *first = &w->link[w->first];

		last->owner_id = first->id;
		memcpy(last->owner_name, first->name, sizeof(last->owner_name));
	}
	return w->cycle;
}

static void print_link(const struct waitfor_link *l)
{
	uint64_t us = timer_ns(timer_now() - l->waiting.since) / 1000;

	kprintf("  %s (thread %u, core %u)\n", l->name, l->id, l->cpu);
	if (l->bug)
		kprintf("    has ended: BUG: %s\n", l->bug);
	else if (l->waiting.kind == WAIT_NONE)
		kprintf("    does not wait: it runs or can run\n");
	if (l->bug || l->waiting.kind == WAIT_NONE)
		return;
	kprintf("    waits for %s (%s) for %u.%06u s\n", l->waiting.name,
		wait_kind_name(l->waiting.kind), (unsigned int)(us / 1000000),
		(unsigned int)(us % 1000000));
	kprintf("    asked for at %pS\n", (void *)l->waiting.caller);
	if (l->owner && l->waiting.kind == WAIT_MUTEX)
		kprintf("    held by %s (thread %u), taken at %pS\n",
			l->owner_name, l->owner_id, (void *)l->owner_site);
	if (l->waiting.kind == WAIT_REFCOUNT)
		kprintf("    refcount is %d and must become 0\n",
			READ_ONCE(cpu_hotplug.refcount));
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
	uint32_t flags = report_begin();

	for (unsigned int i = 0; i < w->n; i++)
		print_link(&w->link[i]);
	if (w->cycle) {
		waitfor_print_cycle(w);
	} else {
		const struct waitfor_link *l = &w->link[w->n - 1];

		if (l->waiting.kind != WAIT_NONE)
			kprintf("no cycle: %s waits for an event (%s, %s)\n",
				l->name, l->waiting.name,
				wait_kind_name(l->waiting.kind));
	}
	report_end(flags);
}
