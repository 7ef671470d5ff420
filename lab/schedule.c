/*
 * The schedule that ran, drawn from the event stream: one column a thread, as
 * in the drawings of the thread of 2012, with the times of the events.
 *
 * Called by the runner while the actors stand still or have finished; the
 * snapshot buffer is the runner's (demo_mutex).
 */
#include <string.h>

#include "lab/stage.h"
#include "lab/words.h"
#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"

#define EVENTS_MAX 2000
#define LINES_MAX  48
#define WIDTH	   80
#define TIME_WIDTH 10 /* "12345.6 us" and a blank */
#define LAST_WIDTH 24 /* what the last column needs */

static struct trace_event events[EVENTS_MAX];

/* A lock that belongs to the story; the machinery's own are left out. */
static bool of_the_story(const struct stage *st, const void *obj)
{
	for (unsigned int i = 0; i < STORY_LOCKS; i++)
		if (obj == st->m[i])
			return true;
	return obj == &slab_mutex || obj == &cpu_hotplug.lock ||
	       obj == &rcu_sched_state.barrier_mutex || obj == st->spin;
}

/* The hotplug lock as a rw-semaphore, by the names of its functions. */
static bool describe_rwsem(const struct stage *st, const struct trace_event *e,
			   char *out, size_t size)
{
	static const char *const names[] = {
		[TR_READ_LOCK] = "cpus_read_lock",
		[TR_READ_UNLOCK] = "cpus_read_unlock",
		[TR_WRITE_LOCK] = "cpus_write_lock",
		[TR_WRITE_UNLOCK] = "cpus_write_unlock",
	};
	bool narrow = st->nr_actors + st->sc->show.rcu > 2;

	if (!is_hotplug_rwsem(e->obj))
		return false;
	if (e->op == TR_READ_CONTEND)
		ksnprintf(out, size, narrow ? "wait %s %s" : "waits: %s (%s)",
			  names[TR_READ_LOCK], actor_name_of(st, e->arg));
	else if (e->op == TR_WRITE_CONTEND)
		ksnprintf(out, size, narrow ? "wait %s" : "waits: %s (readers)",
			  names[TR_WRITE_LOCK]);
	else
		ksnprintf(out, size, "%s", names[e->op]);
	return true;
}

/* Grace periods and callbacks, for whom they are the story. */
static bool describe_rcu(const struct trace_event *e, char *out, size_t size)
{
	unsigned int nr = (unsigned int)(e->arg + 1) >> 1;

	if (e->obj != &rcu_sched_state)
		return false;
	switch (e->op) {
	case TR_GP_WAIT:
		ksnprintf(out, size, "synchronize_rcu()");
		return true;
	case TR_GP_START:
	case TR_GP_END:
		ksnprintf(out, size, "grace period %u %s", nr,
			  e->op == TR_GP_START ? "runs" : "ends");
		return true;
	case TR_CALL_RCU:
		ksnprintf(out, size, "call_rcu()");
		return true;
	case TR_RCU_CB:
		ksnprintf(out, size, "callback, core %u", e->cpu);
		return true;
	default:
		return false;
	}
}

/* What the event says; false: not shown. */
static bool describe(const struct stage *st, const struct trace_event *e,
		     char *out, size_t size)
{
	bool narrow = st->nr_actors + st->sc->show.rcu > 2;

	switch (e->op) {
	case TR_LOCK:
	case TR_UNLOCK:
		if (!of_the_story(st, e->obj))
			return false;
		ksnprintf(out, size, "%s %s",
			  e->op == TR_LOCK ? "lock" : "unlock",
			  lock_name(st, e->obj));
		return true;
	case TR_CONTEND:
		if (!of_the_story(st, e->obj))
			return false;
		ksnprintf(out, size, narrow ? "wait %s %s" : "waits: %s (%s)",
			  lock_name(st, e->obj), actor_name_of(st, e->arg));
		return true;
	case TR_READ_LOCK:
	case TR_READ_CONTEND:
	case TR_READ_UNLOCK:
	case TR_WRITE_LOCK:
	case TR_WRITE_CONTEND:
	case TR_WRITE_UNLOCK:
		return describe_rwsem(st, e, out, size);
	case TR_GET_ONLINE:
	case TR_PUT_ONLINE:
		ksnprintf(out, size, "%s_online_cpus: %d",
			  e->op == TR_GET_ONLINE ? "get" : "put", (int)e->arg);
		return true;
	case TR_HP_BEGIN:
		ksnprintf(out, size, "cpu_hotplug_begin done");
		return true;
	case TR_HP_WAIT:
		ksnprintf(out, size, "waits: refcount is %d", (int)e->arg);
		return true;
	case TR_HP_DONE:
		ksnprintf(out, size, "cpu_hotplug_done");
		return true;
	case TR_NOTIFY:
		if (e->arg == CPU_DYING || e->arg == CPU_STARTING)
			return false;
		ksnprintf(out, size, "%s", cpu_event_name(e->arg));
		return true;
	case TR_CORE_ON:
	case TR_CORE_OFF:
		ksnprintf(out, size, "core %u is %s", (unsigned int)e->arg,
			  e->op == TR_CORE_ON ? "on" : "off");
		return true;
	case TR_BARRIER:
		ksnprintf(out, size, "rcu_barrier()");
		return true;
	case TR_BARRIER_END:
		if (st->sc->world.destroy) /* its next step shows it */
			return false;
		ksnprintf(out, size, "rcu_barrier() returns");
		return true;
	case TR_CACHE_DESTROY:
		ksnprintf(out, size, "kmem_cache_destroy()");
		return true;
	case TR_CACHE_UNLINK:
		ksnprintf(out, size, "unlink the cache");
		return true;
	case TR_CACHE_RELINK:
		ksnprintf(out, size,
			  e->obj == &slab_caches ?
				  "list_add(): reads the head" :
				  "link the cache again");
		return true;
	case TR_CACHE_CREATE:
		ksnprintf(out, size, "link a new cache");
		return true;
	case TR_CACHE_FREE:
		ksnprintf(out, size, "free the cache");
		return true;
	case TR_CACHE_DESTROY_END:
		ksnprintf(out, size, "%s returns",
			  narrow ? "destroy" : "kmem_cache_destroy");
		return true;
	case TR_NOTE:
		ksnprintf(out, size, "%s", (const char *)e->obj);
		return true;
	case TR_THREAD_END:
		ksnprintf(out, size, "ends");
		return true;
	default:
		return st->sc->show.rcu && describe_rcu(e, out, size);
	}
}

/* Whose column: an actor's, or the one of RCU's threads; -1: nobody's. Of the
 * grace-period thread its locks are shown too: it may wait for the story's. */
static int column_of(const struct stage *st, const struct trace_event *e)
{
	int actor = stage_actor_of(st, e->thread);
	bool rcu = e->op == TR_GP_START || e->op == TR_GP_END ||
		   e->op == TR_RCU_CB ||
		   e->thread == rcu_sched_state.thread->id;

	return actor < 0 && rcu && st->sc->show.rcu ? (int)st->nr_actors :
						      actor;
}

static void print_line(const struct trace_event *e, uint64_t start,
		       unsigned int column, unsigned int width,
		       const char *text)
{
	unsigned int ns = (unsigned int)timer_ns(e->time - start);

	kprintf("%6u.%u  %*s%.*s\n", ns / 1000, ns / 100 % 10,
		(int)(column * width), "",
		WIDTH - TIME_WIDTH - (int)(column * width), text);
}

static void print_head(const struct stage *st, unsigned int width)
{
	kprintf("%8s  ", "us");
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		char head[THREAD_NAME_LEN + 10];

		ksnprintf(head, sizeof(head), "%s core %u",
			  st->sc->actors[i].name, st->worker[i].cpu);
		if (i + 1 < st->nr_actors || st->sc->show.rcu)
			kprintf("%-*s", (int)width, head);
		else
			kprintf("%s", head);
	}
	kprintf("%s\n", st->sc->show.rcu ? "RCU" : "");
}

void show_schedule(const struct stage *st)
{
	unsigned int lost, shown = 0, hidden = 0;
	unsigned int n = trace_snapshot(events, EVENTS_MAX, &lost);
	unsigned int columns = st->nr_actors + st->sc->show.rcu;
	unsigned int width =
		columns < 3 ? (WIDTH - TIME_WIDTH) / 2 :
			      (WIDTH - TIME_WIDTH - LAST_WIDTH) / (columns - 1);
	const char *last = NULL;
	uint64_t start = 0;

	print_head(st, width);
	for (unsigned int i = 0; i < n; i++) {
		const struct trace_event *e = &events[i];
		int column = column_of(st, e);
		char text[64];

		if (column < 0 || !describe(st, e, text, sizeof(text)))
			continue;
		/* One line for an event of the chain, not one a callback. */
		if (e->op == TR_NOTIFY) {
			if (last == cpu_event_name(e->arg))
				continue;
			last = cpu_event_name(e->arg);
		}
		if (!start)
			start = e->time;
		if (shown == LINES_MAX) {
			hidden++;
			continue;
		}
		print_line(e, start, (unsigned int)column, width, text);
		shown++;
	}
	if (hidden || lost)
		kprintf("          (%u more lines, %u events lost)\n", hidden,
			lost);
}
