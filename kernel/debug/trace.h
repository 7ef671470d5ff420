/*
 * The one stream of events (docs/design.md, "one stream" and "gates").
 *
 * Every trace point stands in two places: trace_gate(), about to do it, where a
 * script may block the thread unless an internal spinlock is held or interrupts
 * are off; and trace_did(), it happened, callable anywhere. The ring, the
 * printed schedules and the scripts are readers of this stream.
 *
 * Free when off: one load and one branch for trace_did(), in debug builds one
 * more for trace_gate(); in release trace_gate() leaves no instruction.
 *
 * The ring: one buffer a core, written by that core alone with interrupts off,
 * read by trace_snapshot() after the threads of interest have come to rest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

struct thread;

enum trace_op {
	TR_NONE,
	/* mutexes: obj = the mutex */
	TR_LOCK,     /* gate: about to lock; did: acquired */
	TR_CONTEND,  /* did: it is held, going to wait; arg = owner thread */
	TR_UNLOCK,   /* gate; did: released */
	TR_TRYLOCK,  /* gate: about to try; rw-semaphores too */
	TR_HANDOVER, /* did: given to a waiter; arg = the new owner */
	/* rw-semaphores, per-core too: obj = the semaphore */
	TR_READ_LOCK,
	TR_READ_CONTEND,
	TR_READ_UNLOCK,
	TR_WRITE_LOCK,
	TR_WRITE_CONTEND,
	TR_WRITE_UNLOCK,
	/* scheduling: obj = the thread */
	TR_BLOCK,  /* did: stops running, waits; arg = wait kind */
	TR_WAKE,   /* gate: obj = wait queue; did: made runnable, by current */
	TR_SWITCH, /* did: obj = next thread */
	TR_THREAD_END,
	/* hotplug: obj = the hotplug lock */
	TR_GET_ONLINE, /* did: refcount after in arg */
	TR_PUT_ONLINE, /* did: refcount after in arg */
	TR_HP_BEGIN,   /* did: the writer has it */
	TR_HP_WAIT,    /* did: the writer sees refcount arg, waits */
	TR_HP_DONE,    /* did */
	TR_NOTIFY,     /* gate (event for its caller); did: about to call;
			  obj = notifier_block's function, arg = event */
	TR_CORE_ON,    /* did: arg = core */
	TR_CORE_OFF,   /* did: the platform says off; arg = core */
	/* RCU: obj = the rcu_state */
	TR_GP_START, /* did: arg = grace-period number */
	TR_GP_END,
	TR_GP_WAIT,  /* did: a thread waits for a grace period */
	TR_CALL_RCU, /* did: arg = the callback's function */
	TR_ADOPT,    /* did: a dead core's callbacks change hands; arg = core */
	TR_BARRIER,  /* gate; did: entered rcu_barrier, took its snapshot */
	TR_BARRIER_COUNT, /* did: one begins, or has seen to all cores */
	TR_BARRIER_LOOK,  /* did: at a core's callbacks; arg = core */
	TR_BARRIER_END,
	TR_RCU_CB, /* gate; did: a callback is invoked; arg = its function */
	/* slab: obj = the cache */
	TR_CACHE_CREATE,
	TR_CACHE_DESTROY, /* gate; did: entered */
	TR_CACHE_UNLINK,
	TR_CACHE_RELINK, /* gate; did: on slab_caches again */
	TR_CACHE_SHRINK,
	TR_CACHE_FREE, /* did: the cache itself is freed */
	TR_CACHE_DESTROY_END,
	TR_CACHE_OBJECT, /* gate: about to take or give back an object of it */
	/* wait queues and completions: obj = the object */
	TR_WAIT_FOR, /* gate: about to queue up and look */
	TR_COMPLETE,
	/* obj = shared data, declared by shared_read(), shared_write() */
	TR_SHARED_READ,
	TR_SHARED_WRITE,
	TR_NOTE, /* did: obj = a text, from whoever has no event of its own */
};

struct trace_event {
	uint64_t time; /* counter ticks */
	const void *obj;
	uintptr_t caller; /* text address, for %pS */
	uintptr_t arg;
	uint16_t op; /* enum trace_op */
	uint16_t cpu;
	uint32_t thread; /* thread id */
	uint32_t seq;	 /* order of arrival, one counter for all cores */
};

/* Readers that want events; 0 = off. */
enum { TRACE_ALL = 1, TRACE_MARKED = 2 };
extern unsigned int trace_mode;

void trace_event(enum trace_op op, const void *obj, uintptr_t arg,
		 uintptr_t caller);

/* It happened. Any context. */
static always_inline void trace_did(enum trace_op op, const void *obj,
				    uintptr_t arg, uintptr_t caller)
{
	if (unlikely(READ_ONCE(trace_mode)))
		trace_event(op, obj, arg, caller);
}

#if GORDIAN_DEBUG
/*
 * Where a script may hold the calling thread, if may_sleep(): under a spinlock or
 * with IRQs off the point is passed, and must not be counted on. Installed and
 * removed only while no thread with `gated` set runs.
 */
typedef void (*trace_gate_fn)(enum trace_op op, const void *obj,
			      uintptr_t caller);
extern trace_gate_fn trace_gate_hook;
void trace_gate_slow(enum trace_op op, const void *obj, uintptr_t caller);

/* About to do it. May sleep where may_sleep() says so. Any context. */
static inline void trace_gate(enum trace_op op, const void *obj,
			      uintptr_t caller)
{
	if (unlikely(READ_ONCE(trace_gate_hook) != NULL))
		trace_gate_slow(op, obj, caller);
}
#else
#define trace_gate(op, obj, caller) ((void)(obj), (void)(caller))
#endif

/* Both, where nothing lies between them. */
#define trace_point(op, obj, arg, caller)                                      \
	(trace_gate(op, obj, caller), trace_did(op, obj, arg, caller))

/*
 * A second reader of the stream beside the ring: called for each event a
 * marked thread makes, in that thread's context, wherever the trace point
 * stands (perhaps under a spinlock): it may only look and count.
 */
typedef void (*trace_listener)(const struct trace_event *e);
extern trace_listener trace_listen;

#define TRACE_RING_SIZE (64u << 10)
/* The ring of core cpu: TRACE_RING_SIZE bytes, or NULL: it records nothing. */
void trace_init(unsigned int cpu, void *memory);
void trace_start(unsigned int mode); /* empties the rings */
void trace_stop(void);
/*
 * Copy the events since trace_start(), in order of seq, into out. Returns the
 * number copied; *lost is how many the rings had to overwrite. The tracing may
 * go on; events being written meanwhile are left out.
 */
unsigned int trace_snapshot(struct trace_event *out, unsigned int max,
			    unsigned int *lost);
