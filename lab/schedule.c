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
#include "boot/boot.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/events.h"
#include "kernel/lib/printf.h"

#define EVENTS_MAX 2000
#define LINES_MAX  48
/* The most lines of a short drawing, without and with other evidence beside it. */
#define SHORT_MAX    13
#define SHORT_BESIDE 10
#define WIDTH	     80
#define TIME_WIDTH   10 /* "12345.6 us" and a blank */
#define LAST_WIDTH   24 /* what the last column needs */

static struct trace_event events[EVENTS_MAX] not_cleared;
static unsigned int nr_events;

/* The lines of the drawing, in order. */
static struct line {
	const struct trace_event *e;
	unsigned int column;
	bool left_out;
	bool in_gap; /* left out, and a line says how many are */
} lines[EVENTS_MAX];
static unsigned int nr_lines;

/* Is it one of the locks of the 2012 deadlock? */
static bool is_lock_of_2012(const void *obj)
{
	return obj == &slab_mutex || obj == &cpu_hotplug.lock ||
	       obj == &rcu_sched_state.barrier_mutex;
}

static bool lies_in(const void *obj, const char *start, const char *end)
{
	return (const char *)obj >= start && (const char *)obj < end;
}

/* Is it a variable of the experiments? */
static bool is_variable(const void *obj)
{
	return lies_in(obj, experiments_data_start, experiments_data_end) ||
	       lies_in(obj, experiments_bss_start, experiments_bss_end);
}

/* Did a thread wait for it? */
static bool was_waited_for(const void *obj)
{
	for (unsigned int i = 0; i < nr_events; i++)
		if (event_info(events[i].op)->is_wait && events[i].obj == obj)
			return true;
	return false;
}

/* A schedule shows the locks of the 2012 deadlock, the locks of the experiment, and locks
 * in allocated memory. It shows another lock of the kernel only if a thread has waited
 * for this lock. */
static bool is_shown_lock(const void *obj)
{
	bool in_image = lies_in(obj, image_start, bss_end);

	return is_lock_of_2012(obj) || is_variable(obj) || !in_image ||
	       was_waited_for(obj);
}

/* Is the wait queue, or the code that sleeps or wakes threads there, part of the
 * experiment? (The kernel's own sleeps and wake-ups are not shown.) A wait for a lock or
 * for the count has a line of its own already. */
static bool is_shown_queue(const struct trace_event *e)
{
	const struct wait_ops *ops = (const void *)e->arg;

	if (e->op == TR_BLOCK && (!ops || !ops->event || ops->lend ||
				  ops == &refcount_wait || ops == &gate_wait))
		return false;
	return is_variable(e->obj) ||
	       lies_in((const void *)e->caller, experiments_text_start,
		       experiments_text_end);
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
	case OF_RWSEM:
	case OF_RWSEM_WRITER:
		return is_shown_lock(e->obj);
	case OF_QUEUE:
	case OF_WAKE_UP:
	case OF_NAMED:
		return is_shown_queue(e);
	case OF_CPU_EVENT: /* no events on the core that comes or goes */
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

/* The name of the event's object. A lock of the 2012 deadlock has the name that the
 * mail thread uses. */
static const char *name_of(const struct trace_event *e)
{
	return is_lock_of_2012(e->obj) ? lock_name(e->obj) : e->name ?: "?";
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
	case OF_SPIN:
		ksnprintf(out, size, format, name_of(e),
			  actor_name_of(st, e->arg));
		break;
	case OF_RWSEM:
	case OF_RWSEM_WRITER:
		if (is_hotplug_rwsem(e->obj))
			ksnprintf(out, size, format, actor_name_of(st, e->arg));
		else
			ksnprintf(out, size, info->other, name_of(e),
				  e->arg ? actor_name_of(st, e->arg) :
					   "readers");
		break;
	case OF_WAKE_UP:
		ksnprintf(out, size, format, name_of(e),
			  e->arg ? actor_name_of(st, e->arg) : "nobody there");
		break;
	case OF_QUEUE:
	case OF_NAMED:
		ksnprintf(out, size, format, name_of(e));
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

/* Find the events that have a line. */
static void collect_lines(const struct stage *st)
{
	const char *last = NULL;

	nr_lines = 0;
	for (unsigned int i = 0; i < nr_events; i++) {
		const struct trace_event *e = &events[i];
		int column = column_of(st, e);

		if (column < 0 || !is_shown(st, e))
			continue;
		/* One line for each event of the notifier chain, not one for each
		 * callback. */
		if (e->op == TR_NOTIFY) {
			if (last == cpu_event_name(e->arg))
				continue;
			last = cpu_event_name(e->arg);
		}
		lines[nr_lines++] =
			(struct line){ .e = e, .column = (unsigned int)column };
	}
}

/* ---- a short drawing ----------------------------------------------------- */

/* The number of the next line after line i in the same column, or nr_lines. */
static unsigned int next_in_column(unsigned int i)
{
	unsigned int column = lines[i].column;

	while (++i < nr_lines && lines[i].column != column)
		;
	return i;
}

static bool waits_at(const struct line *l)
{
	return event_info(l->e->op)->is_wait;
}

/* get_online_cpus() and put_online_cpus() hold cpu_hotplug.lock while they change the
 * count. Leave out the two lines of the lock, because the line about the count says
 * enough. But keep the two lines if another thread waits for the lock meanwhile. */
static void leave_out_locks_of_counts(void)
{
	for (unsigned int i = 0; i < nr_lines; i++) {
		unsigned int count = next_in_column(i), end = count;
		const void *lock = lines[i].e->obj;
		bool waited = false;

		if (lines[i].e->op == TR_LOCK && count < nr_lines &&
		    event_info(lines[count].e->op)->of == OF_COUNT)
			end = next_in_column(count);
		if (end == count || end == nr_lines ||
		    lines[end].e->op != TR_UNLOCK || lines[end].e->obj != lock)
			continue;
		for (unsigned int k = i; k < end; k++)
			waited |= waits_at(&lines[k]) &&
				  lines[k].e->obj == lock;
		lines[i].left_out = lines[end].left_out = !waited;
	}
}

/* Leave out a get that finds other references, and a put that leaves other references:
 * they do not change whether the count is 0. */
static void leave_out_more_references(void)
{
	for (unsigned int i = 0; i < nr_lines; i++) {
		const struct trace_event *e = lines[i].e;
		int count = (int)e->arg;

		lines[i].left_out |= (e->op == TR_GET_ONLINE && count > 1) ||
				     (e->op == TR_PUT_ONLINE && count > 0);
	}
}

/* A wait begins at line i. Returns the number of the line at which the wait is over: the
 * next line of the same column or, in a wait for the count, the line at which the writer
 * has got past cpu_hotplug_begin(). */
static unsigned int end_of_wait(unsigned int i)
{
	unsigned int end = next_in_column(i);

	while (lines[i].e->op == TR_HP_WAIT && end < nr_lines &&
	       lines[end].e->op != TR_HP_BEGIN)
		end = next_in_column(end);
	return end;
}

/* For a round in which all threads have ended. The lines after the end of the last wait
 * do not help to explain why they have. Returns the number of the first of these lines, or
 * nr_lines if there are none. */
static unsigned int first_after_waits(void)
{
	unsigned int first = 0;

	for (unsigned int i = 0; i < nr_lines; i++)
		if (waits_at(&lines[i]))
			first = max(first, end_of_wait(i) + 1);
	return first && first < nr_lines ? first : nr_lines;
}

/* If more than `most` lines are left, leave out lines in the middle, but no waits. One
 * line too many stays: the line that tells of the gap would take its place. */
static void leave_out_middle(unsigned int most)
{
	unsigned int left = 0, kept = 0;

	for (unsigned int i = 0; i < nr_lines; i++)
		left += !lines[i].left_out;
	if (left <= most + 1)
		return;
	for (unsigned int i = 0; left > most && i < nr_lines; i++) {
		if (lines[i].left_out || kept++ < most / 2 ||
		    waits_at(&lines[i]))
			continue;
		lines[i].left_out = lines[i].in_gap = true;
		left--;
	}
}

/* ---- print it ------------------------------------------------------------ */

static void print_line(const struct stage *st, const struct line *l,
		       uint64_t start, unsigned int width)
{
	unsigned int ns = (unsigned int)timer_ns(l->e->time - start);
	unsigned int indent = l->column * width;
	char text[64];

	describe_event(st, l->e, text, sizeof(text));
	kprintf("%6u.%u  %*s%.*s\n", ns / 1000, ns / 100 % 10, (int)indent, "",
		WIDTH - TIME_WIDTH - (int)indent, text);
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

static unsigned int column_width(const struct stage *st)
{
	unsigned int columns = st->nr_actors + st->sc->show.rcu;

	return columns < 3 ? (WIDTH - TIME_WIDTH) / 2 :
			     (WIDTH - TIME_WIDTH - LAST_WIDTH) / (columns - 1);
}

static unsigned int take_events(const struct stage *st)
{
	unsigned int lost;

	nr_events = trace_snapshot(events, EVENTS_MAX, &lost);
	collect_lines(st);
	return lost;
}

void show_schedule(const struct stage *st)
{
	unsigned int lost = take_events(st), width = column_width(st);

	print_head(st, width);
	for (unsigned int i = 0; i < min(nr_lines, (unsigned int)LINES_MAX);
	     i++)
		print_line(st, &lines[i], lines[0].e->time, width);
	if (nr_lines > LINES_MAX || lost)
		kprintf("          (%u more lines, %u events lost)\n",
			nr_lines > LINES_MAX ? nr_lines - LINES_MAX : 0, lost);
}

void show_short_schedule(const struct stage *st, bool ended)
{
	unsigned int lost = take_events(st), width = column_width(st);
	unsigned int end = nr_lines, gap = 0, rest = 0;
	unsigned int most = st->sc->show.evidence ? SHORT_BESIDE : SHORT_MAX;
	uint64_t start = 0;

	leave_out_locks_of_counts();
	leave_out_more_references();
	if (ended)
		end = first_after_waits();
	for (unsigned int i = end; i < nr_lines; i++) {
		rest += !lines[i].left_out;
		lines[i].left_out = true;
	}
	leave_out_middle(most);
	print_head(st, width);
	for (unsigned int i = 0; i < nr_lines; i++) {
		gap += lines[i].in_gap;
		if (lines[i].left_out)
			continue;
		if (gap)
			kprintf("          ... (%u line%s)\n", gap,
				gap == 1 ? "" : "s");
		gap = 0;
		if (!start)
			start = lines[i].e->time;
		print_line(st, &lines[i], start, width);
	}
	if (rest)
		kprintf("          ... (%u lines more, until all have ended)\n",
			rest);
	if (lost)
		kprintf("          (%u events lost)\n", lost);
}
