/*
 * The stream of events: gate, rings, snapshot, follower. See trace.h.
 *
 * Each core has a ring, which that core alone writes, with IRQs off. `head`
 * counts the events that the core has ever written. It is stored (release) after
 * the event, so a reader that sees the count sees the event. Its next event
 * overwrites the oldest one, number head - RING_ENTRIES. So a reader first
 * copies the events, and then reads `head`. Its copies of the events from number
 * head - RING_ENTRIES + 1 on are whole. (The counts wrap; RING_ENTRIES is a power
 * of two.)
 *
 * Two readers, each with a place of its own in each ring. A trace begins at
 * `start`; one thread at a time calls trace_start(), trace_stop() and
 * trace_snapshot(). The follower has read up to `tail`; one thread at a time
 * calls trace_follow() and trace_read().
 */
#include "kernel/debug/trace.h"

#include <string.h>

#include "kernel/arch/clock.h"
#include "kernel/lib/list.h"
#include "kernel/sched/sched.h"

#define RING_ENTRIES                                                           \
	((unsigned int)(TRACE_RING_SIZE / sizeof(struct trace_event)))

_Static_assert((RING_ENTRIES & (RING_ENTRIES - 1)) == 0, "its counts wrap");

static struct ring {
	struct trace_event *events; /* RING_ENTRIES of them; NULL: no memory */
	uint32_t head;		    /* events written; atomic */
	uint32_t start;		    /* head when the trace began */
	uint32_t tail; /* the follower has read up to here; atomic */
} cache_aligned rings[NR_CPUS];
static uint64_t started; /* when the trace began */

unsigned int trace_mode;
trace_listener trace_listen;
static uint64_t last_time; /* of all events; atomic */

#if GORDIAN_DEBUG
static trace_gate_fn gate;

void trace_set_gate(trace_gate_fn fn)
{
	WRITE_ONCE(gate, fn);
	/* Relaxed: no thread that may be held at a gate runs now, and
	 * trace_gate_slow() looks whether there is a function. */
	if (fn)
		__atomic_fetch_or(&trace_mode, TRACE_GATED, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&trace_mode, ~(unsigned int)TRACE_GATED,
				   __ATOMIC_RELAXED);
}

void trace_gate_slow(enum trace_op op, const void *obj, uintptr_t caller)
{
	trace_gate_fn fn = READ_ONCE(gate);

	if (fn && current->gated && !in_undeclared_interrupt(current))
		fn(op, obj, caller);
}
#endif

/* Is a marked thread concerned? The thread may cause the event, be woken by the
 * event, or get a lock by the event. */
static bool concerns_marked(enum trace_op op, const void *obj, uintptr_t arg)
{
	const struct thread *to = op == TR_WAKE	    ? obj :
				  op == TR_HANDOVER ? (const void *)arg :
						      NULL;

	return current->traced || (to && to->traced);
}

/*
 * The time of an event. It is also the place of the event among the events of
 * all cores, so both are taken in one step. With two steps (read the clock,
 * take a place) the core might stand still in between, because the host runs
 * another core. Then the event's time could be older than that of the event
 * before it.
 */
static uint64_t take_time(void)
{
	/* Relaxed: the exchange checks it. */
	uint64_t last = __atomic_load_n(&last_time, __ATOMIC_RELAXED), now;

	do
		now = max(timer_now(), last + 1);
	while (!__atomic_compare_exchange_n(&last_time, &last, now, false,
					    /* Seq_cst: pairs with itself. The
					     * events of all cores are printed
					     * in this order. */
					    __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
	return now;
}

void trace_record(enum trace_op op, const void *obj, const char *name,
		  uintptr_t arg, uintptr_t caller)
{
	/* IRQs off: an interrupt could start another trace after we have read
	 * the mode, or switch to a thread that does. */
	uint32_t flags = raw_local_irq_save();
	/* Acquire: pairs with the release in trace_start(). */
	unsigned int mode = smp_load_acquire(&trace_mode);
	struct ring *r = &rings[smp_processor_id()];
	trace_listener listen;
	bool traced = mode & TRACE_ALL ||
		      (mode & TRACE_MARKED && concerns_marked(op, obj, arg));

	if (r->events && (traced || mode & TRACE_FOLLOWED)) {
		uint32_t head = READ_ONCE(r->head);
		struct trace_event *e = &r->events[head % RING_ENTRIES];

		/* The count of the events before this one comes before it.
		 * Pairs with the smp_rmb() in oldest_whole(). */
		smp_wmb();
		e->time = take_time();
		e->obj = obj;
		e->arg = arg;
		e->caller = caller;
		e->op = (uint16_t)op;
		e->cpu = (uint8_t)smp_processor_id();
		e->traced = traced;
		e->thread = current->id;
		e->name = name;
		/* Release: pairs with the acquire in trace_snapshot() and in
		 * trace_read(). */
		smp_store_release(&r->head, head + 1);
		listen = READ_ONCE(trace_listen); /* it may become NULL */
		if (traced && listen)
			listen(e);
	}
	raw_local_irq_restore(flags);
}

void trace_event(enum trace_op op, const void *obj, uintptr_t arg,
		 uintptr_t caller)
{
	trace_record(op, obj, NULL, arg, caller);
}

void trace_event_to(enum trace_op op, const void *obj, const char *name,
		    uintptr_t caller)
{
	trace_record(op, obj, name, 0, caller);
}

void trace_init(unsigned int cpu, void *memory)
{
	rings[cpu].events = memory;
}

void trace_start(unsigned int mode)
{
	unsigned int cpu;

	trace_stop();
	for_each_possible_cpu (cpu)
		rings[cpu].start = READ_ONCE(rings[cpu].head);
	/* Another core may still be writing an event of the old trace. If its
	 * time is older than `started`, next_traced() leaves it out. Otherwise
	 * it happens after this line, and may be in the new trace. */
	started = take_time();
	/* Release: pairs with the acquire in trace_record(). */
	__atomic_fetch_or(&trace_mode, mode, __ATOMIC_RELEASE);
}

void trace_stop(void)
{
	/* Relaxed: a late event does no harm. */
	__atomic_fetch_and(&trace_mode,
			   ~(unsigned int)(TRACE_ALL | TRACE_MARKED),
			   __ATOMIC_RELAXED);
}

/* Go on to the first event of the snapshot from *pos on. NULL: there is none. */
static const struct trace_event *next_traced(const struct ring *r,
					     uint32_t *pos, uint32_t head)
{
	for (; *pos != head; ++*pos) {
		const struct trace_event *e = &r->events[*pos % RING_ENTRIES];

		if (e->traced && e->time > started)
			return e;
	}
	return NULL;
}

unsigned int trace_snapshot(struct trace_event *out, unsigned int max,
			    unsigned int *lost)
{
	uint32_t head[NR_CPUS], pos[NR_CPUS];
	unsigned int cpu, n = 0;

	*lost = 0;
	for_each_possible_cpu (cpu) {
		/* Acquire: pairs with the release in trace_record(). */
		head[cpu] = smp_load_acquire(&rings[cpu].head);
		pos[cpu] = rings[cpu].start;
		if (head[cpu] - pos[cpu] > RING_ENTRIES)
			pos[cpu] = head[cpu] - RING_ENTRIES;
		*lost += pos[cpu] - rings[cpu].start;
	}
	while (n < max) {
		const struct trace_event *best = NULL;
		unsigned int from = 0;

		for_each_possible_cpu (cpu) {
			const struct trace_event *e =
				next_traced(&rings[cpu], &pos[cpu], head[cpu]);

			if (e && (!best || e->time < best->time)) {
				best = e;
				from = cpu;
			}
		}
		if (!best)
			break;
		out[n++] = *best;
		pos[from]++;
	}
	return n;
}

/* ---- the follower -------------------------------------------------------- */

void trace_follow(bool on, bool all)
{
	unsigned int cpu;

	if (!on) {
		/* Relaxed: a late event stays in its ring, unread. */
		__atomic_fetch_and(&trace_mode, ~(unsigned int)TRACE_FOLLOWED,
				   __ATOMIC_RELAXED);
		return;
	}
	for_each_possible_cpu (cpu)
		WRITE_ONCE(rings[cpu].tail, READ_ONCE(rings[cpu].head));
	/* Relaxed: an event before this one is read, too. */
	__atomic_fetch_or(&trace_mode, all ? TRACE_FOLLOWED : 0,
			  __ATOMIC_RELAXED);
}

uint32_t trace_taken(unsigned int cpu)
{
	return READ_ONCE(rings[cpu].tail);
}

unsigned int trace_unread(unsigned int cpu)
{
	return READ_ONCE(rings[cpu].head) - READ_ONCE(rings[cpu].tail);
}

/* The number of the oldest event from number `tail` on that the core has not begun to
 * overwrite. */
static uint32_t oldest_whole(const struct ring *r)
{
	uint32_t head;

	/* The copies come before the count. Pairs with the smp_wmb() in
	 * trace_record(). */
	smp_rmb();
	head = READ_ONCE(r->head);
	return head - r->tail < RING_ENTRIES ? r->tail :
					       head - RING_ENTRIES + 1;
}

unsigned int trace_read(unsigned int cpu, struct trace_event *out,
			unsigned int max, unsigned int *lost)
{
	struct ring *r = &rings[cpu];
	uint32_t first = oldest_whole(r);
	/* Acquire: pairs with the release in trace_record(). Not before `first`
	 * was found. */
	unsigned int n = min(smp_load_acquire(&r->head) - first, max), gone;

	*lost = first - r->tail;
	WRITE_ONCE(r->tail, first);
	for (unsigned int i = 0; i < n; i++)
		out[i] = r->events[(first + i) % RING_ENTRIES];
	gone = min(oldest_whole(r) - first, n);
	*lost += gone;
	memmove(out, out + gone, (n - gone) * sizeof(*out));
	WRITE_ONCE(r->tail, first + n);
	return n - gone;
}
