/*
 * What each thread of an explored round would do next, or why it cannot: for the
 * person who plays the scheduler (step.c).
 *
 * Read while all of them stand still; of a mutex gate it is the mutex's owner that
 * counts, of everything else the wait-for graph. In the runner's thread, demo_mutex
 * held.
 */
#include "lab/explore/why.h"

#include <string.h>

#include "lab/explore/explore.h"
#include "lab/words.h"
#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

#define SYMBOL	  48
#define CHAIN_MAX 12

/* ---- what a thread would do, or waits for ------------------------------------ */

/* The function that an address is in. */
static const char *function_at(uintptr_t address, char *out)
{
	ksnprintf(out, SYMBOL, "%pS", (void *)address);
	out[strcspn(out, "+")] = 0;
	return out;
}

static void describe_gate(const struct stage *st, enum trace_op op,
			  const void *obj, uintptr_t caller, char *out)
{
	const char *rwsem = obj ? ((const struct rw_semaphore *)obj)->name : "";
	bool cpus = is_hotplug_rwsem(obj);
	const char *queue = obj ? ((const struct wait_queue *)obj)->name : "";
	const char *what = NULL;
	char fn[SYMBOL];
	int n = 0;

	switch (op) {
	case TR_LOCK:
	case TR_TRYLOCK:
	case TR_UNLOCK:
		n = ksnprintf(out, WHY_TEXT, "%s %s",
			      op == TR_LOCK    ? "lock" :
			      op == TR_TRYLOCK ? "try to lock" :
						 "unlock",
			      lock_name(st, obj));
		break;
	case TR_READ_LOCK:
	case TR_READ_UNLOCK:
	case TR_WRITE_LOCK:
	case TR_WRITE_UNLOCK:
		what = op == TR_READ_LOCK   ? "read_lock" :
		       op == TR_READ_UNLOCK ? "read_unlock" :
		       op == TR_WRITE_LOCK  ? "write_lock" :
					      "write_unlock";
		n = ksnprintf(out, WHY_TEXT, cpus ? "cpus_%s" : "%s %s", what,
			      rwsem);
		break;
	case TR_WAIT_FOR:
	case TR_WAKE:
		n = ksnprintf(out, WHY_TEXT, "%s %s",
			      op == TR_WAKE ? "wake who waits for" : "wait for",
			      queue);
		break;
	case TR_SHARED_READ:
	case TR_SHARED_WRITE:
		n = ksnprintf(out, WHY_TEXT, "%s shared data",
			      op == TR_SHARED_READ ? "read" : "write");
		break;
	case TR_NOTIFY:
		ksnprintf(out, WHY_TEXT, "call notifier %s (%s)",
			  function_at((uintptr_t)obj, fn),
			  cpu_event_name(caller));
		return;
	case TR_NONE:
		what = "begin";
		break;
	case TR_GP_WAIT:
		what = "synchronize_rcu()";
		break;
	case TR_BARRIER:
		what = "rcu_barrier()";
		break;
	case TR_CACHE_CREATE:
		what = "link a new cache";
		break;
	case TR_CACHE_DESTROY:
		what = "kmem_cache_destroy()";
		break;
	case TR_CACHE_UNLINK:
		what = "unlink the cache";
		break;
	case TR_CACHE_RELINK:
		what = "link the cache again";
		break;
	case TR_CACHE_SHRINK:
		what = "shrink the cache";
		break;
	case TR_CACHE_OBJECT:
		what = "take or give back an object";
		break;
	default:
		what = "go on";
	}
	if (n)
		ksnprintf(out + n, WHY_TEXT - (size_t)n, ", in %s",
			  function_at(caller, fn));
	else
		ksnprintf(out, WHY_TEXT, "%s", what);
}

/* One thread of a chain, and what blocks it. */
struct link {
	struct thread *thread;
	char name[THREAD_NAME_LEN];
	const char *what; /* NULL: it is not blocked */
	const char *kind, *relation;
	uintptr_t asked, site; /* where it, and where the owner took it */
	struct thread *owner;  /* NULL: nobody known */
	char owner_name[THREAD_NAME_LEN];
	unsigned int owners;
};

static int slot_of(const struct stage *st, const struct thread *t)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (st->worker[i].thread == t)
			return (int)i;
	return -1;
}

/* At the gate before a mutex: that is taken, or nothing is in its way. */
static void blocked_at_gate(const struct stage *st, struct link *l,
			    enum trace_op op, const void *obj, uintptr_t caller)
{
	const struct mutex *m = obj;

	if (op != TR_LOCK || !mutex_is_locked(m))
		return;
	l->what = lock_name(st, m);
	l->kind = mutex_wait.name;
	l->relation = "held by";
	l->asked = caller;
	l->site = READ_ONCE(m->site);
	l->owner = mutex_owner(m);
	l->owners = 1;
	if (l->owner)
		memcpy(l->owner_name, l->owner->name, sizeof(l->owner_name));
}

static void look_at(const struct stage *st, struct thread *t, struct link *l)
{
	static struct waitfor w; /* demo_mutex */
	const struct waitfor_link *to;
	const struct waiting *now = &w.link[0].waiting;
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	int i = slot_of(st, t);

	memset(l, 0, sizeof(*l));
	l->thread = t;
	memcpy(l->name, t->name, sizeof(l->name));
	if (i >= 0 && worker_ended(&st->worker[i]))
		return;
	if (i >= 0 && explore_pending((unsigned int)i, &op, &obj, &caller)) {
		blocked_at_gate(st, l, op, obj, caller);
		return;
	}
	waitfor_walk(t, &w);
	if (!now->ops)
		return;
	l->what = now->ops == &mutex_wait ? lock_name(st, now->obj) : now->name;
	l->kind = now->ops->name;
	l->asked = now->caller;
	l->site = w.link[0].owner_site;
	l->owners = w.link[0].owners;
	to = waitfor_owner(&w, 0);
	if (!to)
		return;
	l->relation = waitfor_relation(&w, 0);
	l->owner = to->thread;
	memcpy(l->owner_name, to->name, sizeof(l->owner_name));
}

static bool counts_references(const struct link *l)
{
	return l->what && l->kind == refcount_wait.name;
}

static void describe_block(const struct link *l, char *out)
{
	if (counts_references(l))
		ksnprintf(out, WHY_TEXT, "waits for %s 0: it is %d", l->what,
			  READ_ONCE(cpu_hotplug.refcount));
	else if (l->owner)
		ksnprintf(out, WHY_TEXT, "waits for %s, %s %s", l->what,
			  l->relation, l->owner_name);
	else
		ksnprintf(out, WHY_TEXT, "waits for %s (%s)", l->what, l->kind);
}

/* Actor i in words: what it would do next, or waits for, or "ended". */
void describe_actor(const struct stage *st, unsigned int i, bool able,
		    char *out)
{
	const struct worker *w = &st->worker[i];
	const char *bug = READ_ONCE(w->thread->bug);
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	char fn[SYMBOL];
	struct link l;

	if (worker_ended(w)) {
		ksnprintf(out, WHY_TEXT, "ended%s%s", bug ? ": BUG: " : "",
			  bug ? bug : "");
		return;
	}
	look_at(st, w->thread, &l);
	if (l.what)
		describe_block(&l, out);
	else if (!explore_pending(i, &op, &obj, &caller))
		ksnprintf(out, WHY_TEXT, "is under way");
	else if (able)
		describe_gate(st, op, obj, caller, out);
	else
		ksnprintf(out, WHY_TEXT, "waits for its turn, in %s",
			  function_at(caller, fn));
}

/* ---- the threads, and why ------------------------------------------------------ */

int actor_width(const struct stage *st)
{
	int width = 0;

	for (unsigned int i = 0; i < st->nr_actors; i++)
		if ((int)strlen(st->sc->actors[i].name) > width)
			width = (int)strlen(st->sc->actors[i].name);
	return width;
}

/* "* 1 D  core 1  lock slab_mutex, in kmem_cache_destroy": can go on. */
void show_threads(const struct stage *st, unsigned int enabled)
{
	char row[WHY_WIDTH + 1], text[WHY_TEXT];

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		bool able = enabled & 1u << i;

		describe_actor(st, i, able, text);
		ksnprintf(row, sizeof(row), "%c %u %-*s  core %-2u  %s",
			  able ? '*' : ' ', i + 1, actor_width(st),
			  st->sc->actors[i].name, st->worker[i].cpu, text);
		kprintf("%s\n", row);
	}
}

struct chain {
	unsigned int n;
	bool cycle; /* the last one's owner is link[first] */
	unsigned int first;
	struct link link[CHAIN_MAX];
};

/* From t along the owners: to a cycle, or to who is not blocked. */
static void follow_owners(const struct stage *st, struct thread *t,
			  struct chain *c)
{
	c->n = 0;
	c->cycle = false;
	while (t && c->n < CHAIN_MAX) {
		for (c->first = 0; c->first < c->n; c->first++)
			if (c->link[c->first].thread == t) {
				c->cycle = true;
				return;
			}
		look_at(st, t, &c->link[c->n]);
		t = c->link[c->n++].owner;
	}
}

/* Who gave no reference back: "held by D". */
static void print_references(const struct stage *st)
{
	const char *sep = "    held by ";

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (st->refs[i] <= 0)
			continue;
		kprintf("%s%s", sep, st->sc->actors[i].name);
		sep = ", ";
	}
	kprintf("%s", *sep == ',' ? "\n" : "");
}

static void print_link(const struct stage *st, const struct link *l,
		       unsigned int enabled)
{
	int i = slot_of(st, l->thread);
	char text[WHY_TEXT];

	if (!l->what) {
		if (i < 0)
			ksnprintf(text, sizeof(text), "is not blocked");
		else
			describe_actor(st, (unsigned int)i, enabled & 1u << i,
				       text);
		kprintf("  %s%s %.*s\n", l->name,
			i >= 0 && enabled & 1u << i ? " can go on:" : "",
			WHY_WIDTH - 24, text);
		return;
	}
	kprintf("  %s waits for %s (%s)\n    asked for at %pS\n", l->name,
		l->what, l->kind, (void *)l->asked);
	if (counts_references(l)) {
		kprintf("    it is %d and must become 0\n",
			READ_ONCE(cpu_hotplug.refcount));
		print_references(st);
	}
	if (!l->owner)
		return;
	kprintf("    %s %s", l->relation, l->owner_name);
	if (l->owners > 1)
		kprintf(", one of %u", l->owners);
	if (l->site)
		kprintf(", taken at %pS", (void *)l->site);
	kprintf("\n");
}

static void print_end_of(const struct chain *c)
{
	const struct link *last = &c->link[c->n - 1];

	if (c->cycle) {
		kprintf("cycle: %s", c->link[c->first].name);
		for (unsigned int i = c->first; i < c->n; i++)
			kprintf(" -> %s (%s)", c->link[i].what,
				c->link[i].owner_name);
		kprintf("\n");
	} else if (last->owner) {
		kprintf("the chain goes on: more than %u threads\n", CHAIN_MAX);
	} else if (last->what) {
		kprintf("no cycle: %s waits for an event (%s, %s)\n",
			last->name, last->what, last->kind);
	}
}

static struct chain the_chain; /* demo_mutex */

bool explain(const struct stage *st, unsigned int actor, unsigned int enabled)
{
	struct chain *c = &the_chain;

	follow_owners(st, st->worker[actor].thread, c);
	for (unsigned int i = 0; i < c->n; i++)
		print_link(st, &c->link[i], enabled);
	print_end_of(c);
	return c->cycle;
}

/* Nobody can move: the cycle, if there is one, else the ends of the chains. */
void print_knot(const struct stage *st)
{
	struct chain *c = &the_chain;
	unsigned int ends = 0;

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		follow_owners(st, st->worker[i].thread, c);
		if (!c->cycle)
			continue;
		kprintf("nobody can move: a deadlock\n");
		print_end_of(c);
		return;
	}
	kprintf("nobody can move: stuck\n");
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		follow_owners(st, st->worker[i].thread, c);
		if (c->n == 1 || !ends)
			print_end_of(c);
		ends++;
	}
}
#endif
