/*
 * The stream of events: gate, rings, snapshot. See trace.h.
 *
 * Each core has a ring, which that core alone writes, with IRQs off. `head`
 * counts the events since trace_start(). It is stored (release) after the
 * event, so a reader that sees the count sees the event. trace_start() empties
 * the rings and then stores trace_mode (release). So a core that sees the new
 * mode adds its event to an empty ring, not to an old one. Only one thread at a
 * time calls trace_start() and trace_stop(): the thread that reads the stream.
 */
#include "kernel/debug/trace.h"

#include "kernel/arch/clock.h"
#include "kernel/lib/list.h"
#include "kernel/sched/sched.h"

#define RING_ENTRIES                                                           \
	((unsigned int)(TRACE_RING_SIZE / sizeof(struct trace_event)))

static struct ring {
	struct trace_event *events; /* RING_ENTRIES of them; NULL: no memory */
	uint32_t head;		    /* events written since trace_start() */
} cache_aligned rings[NR_CPUS];

unsigned int trace_mode;
trace_listener trace_listen;
static uint64_t last_time; /* of all events; atomic */

#if GORDIAN_DEBUG
trace_gate_fn trace_gate_hook;

void trace_gate_slow(enum trace_op op, const void *obj, uintptr_t caller)
{
	trace_gate_fn fn = READ_ONCE(trace_gate_hook);

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
	uint32_t head, flags = raw_local_irq_save();
	/* Acquire: pairs with the release in trace_start(). */
	unsigned int mode = smp_load_acquire(&trace_mode);
	struct ring *r = &rings[smp_processor_id()];
	trace_listener listen;

	if (r->events &&
	    (mode == TRACE_ALL ||
	     (mode == TRACE_MARKED && concerns_marked(op, obj, arg)))) {
		head = READ_ONCE(r->head);
		struct trace_event *e = &r->events[head % RING_ENTRIES];

		e->time = take_time();
		e->obj = obj;
		e->arg = arg;
		e->caller = caller;
		e->op = (uint16_t)op;
		e->cpu = (uint16_t)smp_processor_id();
		e->thread = current->id;
		e->name = name;
		/*
		 * Release: pairs with the acquire in trace_snapshot(). The
		 * exchange fails if trace_start() has emptied the ring in the
		 * meantime. If another core starts a trace while this ring is
		 * empty, an event of the old trace may become the first event
		 * of the new trace.
		 */
		__atomic_compare_exchange_n(&r->head, &head, head + 1, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
		listen = READ_ONCE(trace_listen); /* it may become NULL */
		if (listen)
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

	WRITE_ONCE(trace_mode, 0);
	for_each_possible_cpu (cpu)
		WRITE_ONCE(rings[cpu].head, 0);
	/* Release: pairs with the acquire in trace_record(). */
	smp_store_release(&trace_mode, mode);
}

void trace_stop(void)
{
	WRITE_ONCE(trace_mode, 0);
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
		pos[cpu] = head[cpu] > RING_ENTRIES ? head[cpu] - RING_ENTRIES :
						      0;
		*lost += pos[cpu];
	}
	while (n < max) {
		const struct trace_event *best = NULL;
		unsigned int from = 0;

		for_each_possible_cpu (cpu) {
			const struct trace_event *e;

			if (pos[cpu] == head[cpu])
				continue;
			e = &rings[cpu].events[pos[cpu] % RING_ENTRIES];
			if (!best || e->time < best->time) {
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
