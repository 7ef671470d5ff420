/*
 * Prints the next operation of each thread of an explored round, or the reason why
 * the thread cannot go on, for the person who plays the scheduler (step.c). The recorder
 * takes the same words (lab/record_steps.c).
 *
 * The chains are those of the wait-for graph (kernel/hang/waitfor.h), with one
 * difference. If a thread is held at the gate before a mutex or a spinlock that is
 * taken, the thread does not wait for the lock yet. Here it counts as waiting, because
 * it could not get the lock.
 *
 * Owns the chain that is printed, guarded by demo_mutex. In the runner's thread,
 * while all threads of the_stage stand still.
 */
#include "lab/explore/why.h"

#include <string.h>

#include "lab/explore/explore.h"
#include "lab/words.h"
#include "kernel/debug/events.h"
#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

#define SYMBOL 48

/* ---- the next operation of a thread -------------------------------------- */

/* The function that an address is in. */
static const char *function_at(uintptr_t address, char *out)
{
	ksnprintf(out, SYMBOL, "%pS", (void *)address);
	out[strcspn(out, "+")] = 0;
	return out;
}

const char *gate_object_name(enum trace_op op, const void *obj)
{
	switch (event_info(op)->of) {
	case OF_MUTEX:
		return lock_name(obj);
	case OF_SPIN:
		return ((const struct spinlock *)obj)->name;
	case OF_RWSEM:
		return ((const struct rw_semaphore *)obj)->name;
	case OF_QUEUE:
		return ((const struct wait_queue *)obj)->name;
	default:
		return NULL;
	}
}

/* Write to `out`, in words, the next operation of a thread at this gate. */
static void describe_gate(enum trace_op op, const void *obj, uintptr_t caller,
			  char *out)
{
	const struct event_info *info = event_info(op);
	const char *next = info->next ? info->next : "go on";
	char fn[SYMBOL];
	int n;

	switch (info->of) {
	case OF_MUTEX:
	case OF_SPIN:
	case OF_QUEUE:
		n = ksnprintf(out, WHY_TEXT, next, gate_object_name(op, obj));
		break;
	case OF_RWSEM:
		n = is_hotplug_rwsem(obj) ?
			    ksnprintf(out, WHY_TEXT, "cpus_%s", next) :
			    ksnprintf(out, WHY_TEXT, "%s %s", next,
				      gate_object_name(op, obj));
		break;
	case OF_DATA:
		n = ksnprintf(out, WHY_TEXT, "%s", next);
		break;
	case OF_CPU_EVENT: /* obj: the notifier; caller: the event */
		ksnprintf(out, WHY_TEXT, next, function_at((uintptr_t)obj, fn),
			  cpu_event_name(caller));
		return;
	default:
		ksnprintf(out, WHY_TEXT, "%s", next);
		return;
	}
	ksnprintf(out + n, WHY_TEXT - (size_t)n, ", in %s",
		  function_at(caller, fn));
}

/* ---- its wait ------------------------------------------------------------ */

static int actor_number_of(const struct stage *st, const struct thread *t)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (st->worker[i].thread == t)
			return (int)i;
	return -1;
}

/* As waits_for(). But if an actor is at the gate before a mutex or a spinlock
 * that is taken, the actor counts as waiting for this lock. */
static struct waiting wait_now_or_next(struct thread *t)
{
	const struct stage *st = &the_stage;
	struct waiting w = { .ops = NULL };
	int i = actor_number_of(st, t);
	enum trace_op op;
	const void *obj;
	uintptr_t caller;

	if (i >= 0 && worker_ended(&st->worker[i]))
		return w; /* a worker sleeps until its next round */
	if (i < 0 || !explore_pending((unsigned int)i, &op, &obj, &caller))
		w = waits_for(t);
	else if (op == TR_LOCK && mutex_is_locked(obj))
		w = (struct waiting){ &mutex_wait, obj, .caller = caller };
	else if (op == TR_SPIN_LOCK && spin_is_locked(obj))
		w = (struct waiting){ &turn_wait, obj,
				      ((const struct spinlock *)obj)->name,
				      .caller = caller };
	if (w.ops == &mutex_wait)
		w.name = lock_name(w.obj);
	return w;
}

bool waits_of_actor(const struct stage *st, unsigned int i, struct waitfor *w)
{
	return waitfor_walk_with(st->worker[i].thread, w, wait_now_or_next);
}

static void describe_wait_of(const struct waitfor *w, char *out)
{
	const struct waiting *now = &w->link[0].waiting;
	const struct waitfor_link *to = waitfor_owner(w, 0);

	if (now->ops == &refcount_wait)
		ksnprintf(out, WHY_TEXT, "waits for %s 0: it is %d", now->name,
			  READ_ONCE(cpu_hotplug.refcount));
	else if (to)
		ksnprintf(out, WHY_TEXT, "waits for %s, %s %s", now->name,
			  waitfor_relation(w, 0), to->name);
	else
		ksnprintf(out, WHY_TEXT, "waits for %s (%s)", now->name,
			  now->ops->name);
}

void describe_actor(const struct stage *st, unsigned int i, bool able,
		    char *out)
{
	static struct waitfor w; /* demo_mutex */
	const struct worker *worker = &st->worker[i];
	const char *bug;
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	char fn[SYMBOL];

	if (i == st->nr_actors) {
		ksnprintf(out, WHY_TEXT, "%s",
			  explore_pending(i, &op, &obj, &caller) ?
				  "run the callbacks that are due" :
				  "has no callbacks to run");
		return;
	}
	if (worker->actor->interrupts) {
		if (explore_pending(i, &op, &obj, &caller))
			describe_gate(op, obj, caller, out);
		else
			ksnprintf(out, WHY_TEXT, "ended");
		return;
	}
	bug = READ_ONCE(worker->thread->bug);
	if (worker_ended(worker)) {
		ksnprintf(out, WHY_TEXT, "ended%s%s", bug ? ": BUG: " : "",
			  bug ? bug : "");
		return;
	}
	waits_of_actor(st, i, &w);
	if (w.link[0].waiting.ops)
		describe_wait_of(&w, out);
	else if (!explore_pending(i, &op, &obj, &caller))
		ksnprintf(out, WHY_TEXT, "is under way");
	else if (able)
		describe_gate(op, obj, caller, out);
	else
		ksnprintf(out, WHY_TEXT, "waits for its turn, in %s",
			  function_at(caller, fn));
}

/* ---- the threads, and why ------------------------------------------------ */

int actor_width(const struct stage *st)
{
	int width = 0;

	for (unsigned int i = 0; i < st->nr_actors; i++)
		if ((int)strlen(st->sc->actors[i].name) > width)
			width = (int)strlen(st->sc->actors[i].name);
	return width;
}

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
	if (!(enabled & 1u << st->nr_actors))
		return;
	describe_actor(st, st->nr_actors, true, text);
	ksnprintf(row, sizeof(row), "* %u %-*s           %s", st->nr_actors + 1,
		  actor_width(st), mover_name(st->sc, st->nr_actors), text);
	kprintf("%s\n", row);
}

static struct waitfor the_walk; /* the walk that is printed; demo_mutex */

/* Print the actors that hold hotplug references: "held by D". */
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

/* Print the end of a chain, which is a thread that does not wait. */
static void print_unblocked(const struct stage *st,
			    const struct waitfor_link *l, unsigned int enabled)
{
	int i = actor_number_of(st, l->thread);
	bool able = i >= 0 && enabled & 1u << i;
	char text[WHY_TEXT] = "is not blocked";

	if (i >= 0)
		describe_actor(st, (unsigned int)i, able, text);
	kprintf("  %s%s%.*s\n", l->name, able ? " can take a step:\n    " : " ",
		WHY_WIDTH - 5, text);
}

static void print_wait_of(const struct stage *st, unsigned int link,
			  unsigned int enabled)
{
	const struct waitfor_link *l = &the_walk.link[link];
	const struct waitfor_link *to = waitfor_owner(&the_walk, link);

	if (!l->waiting.ops) {
		print_unblocked(st, l, enabled);
		return;
	}
	kprintf("  %s waits for %s (%s)\n    asked for at %pS\n", l->name,
		l->waiting.name, l->waiting.ops->name,
		(void *)l->waiting.caller);
	if (l->waiting.ops == &refcount_wait) {
		kprintf("    it is %d and must become 0\n",
			READ_ONCE(cpu_hotplug.refcount));
		print_references(st);
	}
	if (!to)
		return;
	kprintf("    %s %s", waitfor_relation(&the_walk, link), to->name);
	if (l->owners > 1)
		kprintf(", one of %u", l->owners);
	if (l->owner_site)
		kprintf(", taken at %pS", (void *)l->owner_site);
	kprintf("\n");
}

bool show_waits_of(const struct stage *st, unsigned int actor,
		   unsigned int enabled)
{
	waits_of_actor(st, actor, &the_walk);
	for (unsigned int i = 0; i < the_walk.n; i++)
		print_wait_of(st, i, enabled);
	waitfor_print_end(&the_walk);
	return the_walk.cycle;
}

void show_standstill(const struct stage *st)
{
	bool first = true;

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]) ||
		    !waits_of_actor(st, i, &the_walk))
			continue;
		kprintf("no thread can go on: a deadlock\n");
		waitfor_print_end(&the_walk);
		return;
	}
	kprintf("no thread can go on: stuck\n");
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		waits_of_actor(st, i, &the_walk);
		/* Print the end of the first chain, and of each chain of one
		 * thread. The other chains mostly end as the first one does. */
		if (the_walk.n == 1 || first)
			waitfor_print_end(&the_walk);
		first = false;
	}
}
#endif
