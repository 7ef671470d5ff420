/*
 * What `record serial live` writes: not events but states. A state says which threads run,
 * who holds the locks of the 2012 deadlock, and who waits for whom.
 *
 * The recorder's thread calls live_look() again and again. A state is written if it differs
 * from the last one that was written, and at the latest LIVE_REPEAT_NS after that one: a
 * reader may come late or lose a frame, and wants to know that the kernel is alive.
 *
 * The recorder looks from outside, as the commands `locks` and `waits` do. It takes no
 * lock that an actor may hold while the actor stands still, and it never makes an actor
 * wait for the line. So a state is a look at a machine that may be moving: its lines may
 * belong to slightly different times. A cycle is reported only if it lasts (waitfor.h).
 *
 * Only the recorder's thread uses `now` and `written`. Before this thread begins, the
 * holder of record_mutex sets them. round_lock (a spinlock) guards `shown`.
 */
#include "lab/record.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/hang/waitfor.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"
#include "kernel/slab/slab.h"
#if GORDIAN_DEBUG
#include "kernel/lock/lockdep_internal.h"
#endif

#define LIVE_LOOK_NS   100000000ull
#define LIVE_REPEAT_NS 1000000000ull
/* Wait so long for each byte that was written. A line of 115200 baud then is used for a
 * third of its time at most. */
#define LIVE_BYTE_NS 260000ull

static struct text {
	size_t used;
	unsigned int lines, left_out; /* left out: there was no room */
	char bytes[LIVE_SIZE];
} now, written;
static unsigned int states; /* written */
static uint64_t last_time;  /* of the last one that was written */

/* The round on the stage; id is NULL if there is none. */
static struct shown {
	const char *id, *part, *kind, *dir;
	unsigned int core;
	const char *outcome; /* NULL: not known yet */
} shown;
/* Lockdep does not check it. */
static struct spinlock round_lock =
	SPINLOCK_INIT_KEY("record_live.round_lock", lockdep_no_validate);

static printf_like(1, 2) void add_line(const char *fmt, ...)
{
	char line[RECORD_LINE];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	kvsnprintf(line, RECORD_LINE - 1, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n++] = '\n';
	if (now.used + n > sizeof(now.bytes)) {
		now.left_out++;
		return;
	}
	memcpy(now.bytes + now.used, line, n);
	now.used += n;
	now.lines++;
}

/* ---- the lines of a state ---------------------------------------------------- */

static void add_round(void)
{
	char part[64];
	struct shown r;

	spin_lock(&round_lock);
	r = shown;
	spin_unlock(&round_lock);
	if (r.id)
		add_line(
			"stage id=%s part=%s kind=%s dir=%s core=%u outcome=%s",
			r.id, record_word(part, sizeof(part), r.part), r.kind,
			r.dir, r.core, r.outcome ?: "-");
}

static void add_cores(void)
{
	char name[64];
	unsigned int cpu;

	for (cpu = 0; cpu < board.nr_cores; cpu++) {
		struct thread *t = cpu_is_online(cpu) ? sched_running(cpu) :
							NULL;

		add_line("run core=%u state=%s thread=%u name=%s", cpu,
			 t		  ? "online" :
			 cpu_is_lost(cpu) ? "lost" :
					    "off",
			 t ? t->id : 0,
			 t ? record_word(name, sizeof(name), t->name) : "-");
	}
}

static void add_mutex(const struct mutex *m)
{
	const struct thread *owner = mutex_owner(m);
	char name[64], by[64];

	add_line("lock obj=%x name=%s owner=%u by=%s at=%x", (unsigned int)m,
		 record_word(name, sizeof(name), m->name),
		 owner ? owner->id : 0,
		 owner ? record_word(by, sizeof(by), owner->name) : "-",
		 owner ? (unsigned int)READ_ONCE(m->site) : 0);
}

static void add_locks(void)
{
	const struct thread *writer = READ_ONCE(cpu_hotplug.active_writer);
	char name[64], by[64];

	add_mutex(&slab_mutex);
	add_mutex(&cpu_add_remove_lock);
	add_mutex(&cpu_hotplug.lock);
	add_mutex(&rcu_sched_state.barrier_mutex);
	add_line("refcount value=%d lock=%s writer=%u by=%s",
		 READ_ONCE(cpu_hotplug.refcount),
		 record_word(name, sizeof(name), READ_ONCE(hotplug_ops)->name),
		 writer ? writer->id : 0,
		 writer ? record_word(by, sizeof(by), writer->name) : "-");
}

#if GORDIAN_DEBUG
/* The locks that the thread holds; not spinlocks, which are held for a moment. */
static void add_held_locks(const struct thread *t)
{
	unsigned int n =
		min(READ_ONCE(t->lockdep.depth), (unsigned int)MAX_HELD);
	char buf[NAME_SIZE], lock[2 * NAME_SIZE], name[64];

	for (unsigned int i = 0; i < n; i++) {
		const struct held_lock h = t->lockdep.held[i];
		unsigned int class = h.class % DEP_NODES;

		if (h.waits || lockdep_classes[class].wait != LOCK_WAITS_SLEEP)
			continue;
		add_line("held thread=%u name=%s lock=%s at=%x", t->id,
			 record_word(name, sizeof(name), t->name),
			 record_word(lock, sizeof(lock),
				     lockdep_class_name(class, buf)),
			 (unsigned int)h.site);
	}
}
#else
#define add_held_locks(t) ((void)(t))
#endif

/* What the thread waits for, if it waits for an event. */
static void add_wait(struct thread *t)
{
	static struct waitfor w; /* only the recorder's thread uses it */
	const struct waitfor_link *l = &w.link[0], *to;
	char name[64], on[64], words[64], whom[64], kind[64];

	if (!waits_for(t).ops)
		return;
	waitfor_walk(t, &w);
	if (!l->waiting.ops)
		return;
	to = waitfor_owner(&w, 0);
	if (to && to->thread == current)
		return; /* t waits for the recorder's end (`record stop`) */
	add_line("waiting thread=%u name=%s core=%u obj=%x on=%s kind=%s to=%u "
		 "to-name=%s words=%s at=%x cycle=%d since=%llx",
		 t->id, record_word(name, sizeof(name), l->name), l->cpu,
		 (unsigned int)l->waiting.obj,
		 record_word(on, sizeof(on), l->waiting.name ?: "?"),
		 record_word(kind, sizeof(kind), l->waiting.ops->name),
		 to ? to->id : 0,
		 to ? record_word(whom, sizeof(whom), to->name) : "-",
		 to ? record_word(words, sizeof(words),
				  waitfor_relation(&w, 0)) :
		      "-",
		 (unsigned int)l->waiting.caller, w.cycle && w.first == 0,
		 (unsigned long long)l->waiting.since);
}

static void read_state(void)
{
	struct thread *t;

	now.used = now.lines = now.left_out = 0;
	add_round();
	add_cores();
	add_locks();
	for_each_thread (t)
		add_held_locks(t);
	for_each_thread (t)
		add_wait(t);
}

/* ---- when -------------------------------------------------------------------- */

void live_begin(void)
{
	states = 0;
	last_time = 0;
	written.used = 0;
}

uint64_t live_look(void (*put)(const char *lines, size_t size))
{
	uint64_t time = timer_now();
	char line[RECORD_LINE];

	read_state();
	if (last_time && timer_ns(time - last_time) < LIVE_REPEAT_NS &&
	    now.used == written.used &&
	    !memcmp(now.bytes, written.bytes, now.used))
		return LIVE_LOOK_NS;
	ksnprintf(line, sizeof(line), "state %llx n=%u lines=%u left-out=%u\n",
		  (unsigned long long)time, states, now.lines, now.left_out);
	put(line, strlen(line));
	put(now.bytes, now.used);
	ksnprintf(line, sizeof(line), "state-end n=%u\n", states++);
	put(line, strlen(line));
	written = now;
	last_time = time;
	return max(LIVE_LOOK_NS, now.used * LIVE_BYTE_NS);
}

unsigned int live_states(void)
{
	return READ_ONCE(states);
}

/* ---- the round --------------------------------------------------------------- */

void live_round_begin(const char *id, const char *part, const char *kind,
		      const char *dir, unsigned int core)
{
	spin_lock(&round_lock);
	shown = (struct shown){ id, part, kind, dir, core, NULL };
	spin_unlock(&round_lock);
}

void live_round_outcome(const char *outcome)
{
	spin_lock(&round_lock);
	shown.outcome = outcome;
	spin_unlock(&round_lock);
}

void live_round_over(void)
{
	spin_lock(&round_lock);
	shown = (struct shown){ NULL };
	spin_unlock(&round_lock);
}
