/*
 * The schedule that ran, drawn from the event stream: a column for each actor,
 * as in the drawings of the 2012 thread, and the time of each event.
 *
 * Owns the snapshot of the stream, guarded by demo_mutex. In the runner's
 * thread, while the actors stand still or have ended.
 */
#include <string.h>

#include "lab/stage.h"
#include "lab/words.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/events.h"
#include "kernel/lib/printf.h"

#define EVENTS_MAX 2000
#define LINES_MAX  48
#define WIDTH	   80
#define TIME_WIDTH 10 /* "12345.6 us" and a blank */
#define LAST_WIDTH 24 /* what the last column needs */

static struct trace_event events[EVENTS_MAX];
static unsigned int nr_events;

/* Is obj a lock of the experiment? A schedule leaves out all other locks. */
static bool is_shown_lock(const struct stage *st, const void *obj)
{
	for (unsigned int i = 0; i < SHOWN_LOCKS; i++)
		if (obj == st->m[i])
			return true;
	return obj == &slab_mutex || obj == &cpu_hotplug.lock ||
	       obj == &rcu_sched_state.barrier_mutex;
}

/* Has the event a line in the schedule? */
static bool is_shown(const struct stage *st, const struct trace_event *e)
{
	const struct event_info *info = event_info(e->op);

	if (!info->done)
		return false;
	switch (info->of) {
	case OF_MUTEX:
	case OF_MUTEX_OWNER:
		return is_shown_lock(st, e->obj);
	case OF_RWSEM:
	case OF_RWSEM_WRITER:
		return is_hotplug_rwsem(e->obj);
	case OF_CPU_EVENT: /* not those on the core that comes or goes */
		return e->arg != CPU_DYING && e->arg != CPU_STARTING;
	case OF_GP: /* gp_seq: odd while a grace period runs */
	case OF_CALLBACK:
		return st->sc->show.rcu && e->obj == &rcu_sched_state;
	default:
		/* If D destroys a cache, its next step shows that the barrier has
		 * returned. */
		return e->op != TR_BARRIER_END || !st->sc->world.destroy;
	}
}

/* The name of the event's spinlock. The lock may have been freed since, so its
 * memory is not read: a nearby event has the name. */
static const char *spin_name(const struct trace_event *e)
{
	const char *name = NULL;

	for (unsigned int i = 0; i < nr_events; i++) {
		if (events[i].op != TR_SPIN_LOCK || events[i].obj != e->obj)
			continue;
		if (&events[i] > e && name)
			break;
		name = (const char *)events[i].arg;
	}
	return name ?: "a spinlock";
}

/* The event in words, for a column. */
static void describe_event(const struct stage *st, const struct trace_event *e,
			   char *out, size_t size)
{
	const struct event_info *info = event_info(e->op);
	const char *format = info->done;

	if (info->narrow && st->nr_actors + st->sc->show.rcu > 2)
		format = info->narrow;
	if (e->op == TR_CACHE_RELINK && e->obj == &slab_caches)
		/* The first half of E7's list_add(); the second half writes. */
		format = "list_add(): reads the head";
	switch (info->of) {
	case OF_MUTEX:
	case OF_MUTEX_OWNER:
		ksnprintf(out, size, format, lock_name(e->obj),
			  actor_name_of(st, e->arg));
		break;
	case OF_SPIN:
		ksnprintf(out, size, format, spin_name(e),
			  actor_name_of(st, e->arg));
		break;
	case OF_RWSEM_WRITER:
		ksnprintf(out, size, format, actor_name_of(st, e->arg));
		break;
	case OF_COUNT:
	case OF_CORE:
		ksnprintf(out, size, format, (unsigned int)e->arg);
		break;
	case OF_CPU_EVENT:
		ksnprintf(out, size, format, cpu_event_name(e->arg));
		break;
	case OF_GP: /* gp_seq: odd while a grace period runs */
		ksnprintf(out, size, format, (unsigned int)(e->arg + 1) >> 1);
		break;
	case OF_CALLBACK:
		ksnprintf(out, size, format, e->cpu);
		break;
	case OF_TEXT:
		ksnprintf(out, size, format, (const char *)e->obj);
		break;
	default:
		ksnprintf(out, size, "%s", format);
	}
}

/* The column of the event: the actor's column, the column for RCU, or -1
 * (none). The RCU column also shows the locks of the grace-period thread,
 * because this thread may wait for an actor. */
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
	unsigned int columns = st->nr_actors + st->sc->show.rcu;
	unsigned int width =
		columns < 3 ? (WIDTH - TIME_WIDTH) / 2 :
			      (WIDTH - TIME_WIDTH - LAST_WIDTH) / (columns - 1);
	const char *last = NULL;
	uint64_t start = 0;

	nr_events = trace_snapshot(events, EVENTS_MAX, &lost);
	print_head(st, width);
	for (unsigned int i = 0; i < nr_events; i++) {
		const struct trace_event *e = &events[i];
		int column = column_of(st, e);
		char text[64];

		if (column < 0 || !is_shown(st, e))
			continue;
		describe_event(st, e, text, sizeof(text));
		/* Print one line for each event of the notifier chain, not one for
		 * each callback. */
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
