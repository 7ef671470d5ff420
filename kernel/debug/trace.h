/*
 * The one stream of events (docs/design.md, "one stream" and "gates").
 *
 * What it is for. The kernel says what happens at its trace points. The printed
 * schedules, the scripts and the explorer read that stream.
 *
 * The client's duties.
 * (1) Put trace_gate() before an operation, with no internal spinlock held and
 *     IRQs on: a script may hold the thread there. (Exception: the gates of an
 *     experiment's own spinlocks. Only the explorer holds threads there.)
 * (2) Put trace_did() where the operation has happened; any context. (For a release
 *     and a few others: just before it. enum trace_op says "about to".)
 * (3) Read the stream in one of two ways: with trace_snapshot() after the threads
 *     that matter have come to rest, or with trace_read() while the threads run.
 *
 * Consequences. (a) While nothing is recorded, trace_did() costs one load and a
 * branch, and so does trace_gate() in debug builds; in release builds
 * trace_gate() leaves no instruction. (b) A full ring overwrites its oldest
 * events; the snapshot says how many are lost, and so does trace_read(): events
 * read + events lost = events written, for each core. (c) A reader never gets an
 * event that is half overwritten.
 *
 * The mechanism. Each core has a ring that it alone writes, with IRQs off. An
 * event gets its time stamp and its place among the events of all cores in one
 * atomic step, so the times are in the order of the events.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

struct thread;

/* Each has a row in kernel/debug/events.c. */
enum trace_op {
	TR_NONE,
	/* mutexes: obj = the mutex */
	TR_LOCK,      /* gate: about to lock; did: acquired */
	TR_LOCKED,    /* gate: has just got the mutex */
	TR_LOCK_INTR, /* gate: about to lock, interruptibly */
	TR_CONTEND,   /* did: it is held, going to wait; arg = owner thread */
	TR_UNLOCK,    /* gate; did: about to release */
	TR_TRYLOCK,   /* gate: about to try */
	TR_HANDOVER,  /* did: given to a waiting thread; arg = that thread */
	/* spinlocks, only those that experiments take: obj = the lock */
	TR_IRQ_OFF,	  /* gate: about to mask IRQs, and then to lock */
	TR_SPIN_LOCK,	  /* gate: about to lock; did: acquired */
	TR_SPIN_TURN,	  /* gate: would spin now, if it is held */
	TR_SPIN_CONTEND,  /* did: it is held; arg = holder */
	TR_SPIN_LOCKED,	  /* gate: has just got the lock */
	TR_SPIN_TRYLOCK,  /* gate: about to try */
	TR_SPIN_TRIED,	  /* gate: has just got it by a try */
	TR_SPIN_UNLOCK,	  /* gate; did: about to release */
	TR_SPIN_UNLOCKED, /* gate: has just released it */
	/* rw-semaphores, per-core too: obj = the semaphore */
	TR_READ_LOCK,
	TR_READ_CONTEND,
	TR_READ_UNLOCK,	  /* gate; did: about to release */
	TR_READ_TRYLOCK,  /* gate: about to try */
	TR_WRITE_TRYLOCK, /* gate: about to try */
	TR_WRITE_LOCK,
	TR_WRITE_CONTEND,
	TR_WRITE_UNLOCK, /* gate; did: about to release */
	/* interrupts */
	TR_CALL_CORE, /* gate: about to call core obj and to wait for it */
	TR_COMES,     /* the explorer's: an interrupt may begin */
	/* scheduling: obj = the thread */
	TR_BLOCK,	/* gate: about to sleep, unless it was woken; did: stops
		      running, waits, obj = what for; arg = its wait_ops */
	TR_RESUME,	/* gate: has slept and was woken */
	TR_INTERRUPT,	/* gate: about to interrupt that thread's wait */
	TR_INTERRUPTED, /* gate: about to look whether it was interrupted */
	TR_WAKE,    /* gate: obj = wait queue; did: made runnable, by current */
	TR_WAKE_UP, /* did: about to wake threads in obj, a wait queue; arg = the
		       first of them, or 0: nobody is there */
	TR_SWITCH,  /* did: obj = next thread */
	TR_THREAD_BEGIN, /* did: its name in place of the operands */
	TR_THREAD_END,
	/* hotplug: obj = the hotplug lock */
	TR_GET_ONLINE, /* did: refcount after in arg */
	TR_PUT_ONLINE, /* did: refcount after in arg */
	TR_HP_BEGIN,   /* did: the writer has it */
	TR_HP_WAIT,    /* did: the writer sees refcount arg, waits */
	TR_HP_DONE,    /* did */
	TR_NOTIFY,     /* gate (`caller` is the event); did: about to call;
			  obj = notifier_block's function, arg = event */
	TR_CORE_ON,    /* gate; did: arg = core */
	TR_CORE_OFF,   /* gate; did: the platform says off; arg = core */
	/* RCU: obj = the rcu_state */
	TR_GP_START, /* did: arg = grace-period number */
	TR_GP_END,
	TR_GP_WAIT,  /* did: a thread waits for a grace period */
	TR_CALL_RCU, /* gate; did: arg = the callback's function */
	TR_ADOPT,    /* did: a dead core's callbacks change hands; arg = core */
	TR_BARRIER,  /* gate; did: entered rcu_barrier, took its snapshot */
	TR_BARRIER_COUNT, /* gate; did: it begins, or has queued on all cores */
	/* obj = the core's rcu_data; arg = core */
	TR_BARRIER_LOOK,  /* gate; did: looks at the core's callbacks */
	TR_BARRIER_QUEUE, /* gate; did: about to queue its callback there */
	TR_BARRIER_END,
	TR_RCU_CB, /* gate; did: a callback is invoked; arg = its function */
	/* slab: obj = the cache */
	TR_CACHE_CREATE,
	TR_CACHE_DESTROY, /* gate; did: entered */
	TR_CACHE_UNLINK,
	TR_CACHE_RELINK, /* gate; did: on slab_caches again */
	TR_CACHE_SHRINK,
	TR_CACHE_FREE, /* gate; did: the cache itself is freed */
	TR_CACHE_DESTROY_END,
	TR_CACHE_OBJECT, /* gate: about to take or give back an object of it */
	/* wait queues and completions: obj = the object */
	TR_WAIT_FOR,  /* gate: about to join the queue and look */
	TR_WAIT_DONE, /* gate: about to leave the queue */
	TR_COMPLETE,  /* gate; did */
	TR_DONE,      /* did: looked at, or changed, a count that ends a wait;
		       * obj = the count */
	/* obj = shared data, declared by shared_read(), shared_write() */
	TR_SHARED_READ,
	TR_SHARED_WRITE,
	TR_TIMER_ARM, /* did: obj = the timer */
	TR_AWAIT,     /* the explorer's: waits in explore_await() */
	TR_NOTE, /* did: obj = a text, for actions without an event of their own */
};

struct trace_event {
	uint64_t time;	 /* counter ticks; no two events have the same */
	uint32_t thread; /* thread id */
	uint16_t op;	 /* enum trace_op */
	uint8_t cpu;
	bool traced; /* wanted by trace_start(), not only by trace_follow() */
	union {
		struct {
			const void *obj;
			uintptr_t caller; /* text address, for %pS */
			uintptr_t arg;
			/* obj's, for locks and what threads wait for; else
			 * NULL. obj may be gone when the event is read; its
			 * name is not. */
			const char *name;
		};
		char text[16]; /* TR_THREAD_BEGIN: the thread's name */
	};
};

/* Which events are recorded: those of every thread, or only those of threads with
 * `traced` set. TRACE_FOLLOWED, besides: those of every thread, for trace_read().
 * TRACE_GATED: the gates have a function (trace_set_gate()); this alone records
 * nothing. All flags are in one word, so that one look tells whether anybody
 * watches. */
enum { TRACE_ALL = 1, TRACE_MARKED = 2, TRACE_FOLLOWED = 4, TRACE_GATED = 8 };
extern unsigned int trace_mode; /* atomic */

/* Does anybody watch? If not, trace points and gates have nothing to do. */
static always_inline bool trace_watched(void)
{
	return unlikely(READ_ONCE(trace_mode) != 0);
}

/* The slow parts of trace_did() and trace_did_to(); trace_record() takes all
 * arguments. The first two have only four, which are passed in registers. So a
 * lock that is not traced pays nothing for the name. */
void trace_event(enum trace_op op, const void *obj, uintptr_t arg,
		 uintptr_t caller);
void trace_event_to(enum trace_op op, const void *obj, const char *name,
		    uintptr_t caller);
void trace_record(enum trace_op op, const void *obj, const char *name,
		  uintptr_t arg, uintptr_t caller);

/* Record that the operation has happened (or see duty (2)). Any context. These are
 * macros: what they need is read only if the event is recorded. */
#define trace_did(op, obj, arg, caller)                                        \
	({                                                                     \
		if (unlikely(READ_ONCE(trace_mode)))                           \
			trace_event(op, obj, arg, caller);                     \
	})

/* As trace_did(), with the name of obj, and arg = 0. */
#define trace_did_to(op, obj, name, caller)                                    \
	({                                                                     \
		if (unlikely(READ_ONCE(trace_mode)))                           \
			trace_event_to(op, obj, name, caller);                 \
	})

/* As trace_did(), with a name. */
#define trace_did_all(op, obj, name, arg, caller)                              \
	({                                                                     \
		if (unlikely(READ_ONCE(trace_mode)))                           \
			trace_record(op, obj, name, arg, caller);              \
	})

#if GORDIAN_DEBUG
/*
 * Called at each gate of a thread with `gated` set. The function may hold the
 * thread there if may_sleep() is true. Under a spinlock or with IRQs off it
 * must let the thread go on at once. (Exception: inside an experiment's own
 * spinlocks the explorer holds threads.) The function is installed and removed
 * only while no thread with `gated` set runs.
 */
typedef void (*trace_gate_fn)(enum trace_op op, const void *obj,
			      uintptr_t caller);
/* Install the function; NULL: remove it. */
void trace_set_gate(trace_gate_fn fn);
/* The slow part of trace_gate(). */
void trace_gate_slow(enum trace_op op, const void *obj, uintptr_t caller);

/* The operation is about to happen. May sleep if may_sleep() is true. Any
 * context. */
static inline void trace_gate(enum trace_op op, const void *obj,
			      uintptr_t caller)
{
	if (unlikely(READ_ONCE(trace_mode) & TRACE_GATED))
		trace_gate_slow(op, obj, caller);
}
#else
#define trace_gate(op, obj, caller) ((void)(obj), (void)(caller))
#endif

/* trace_gate() and trace_did(), for an operation that is done as soon as it
 * begins. */
#define trace_point(op, obj, arg, caller)                                      \
	(trace_gate(op, obj, caller), trace_did(op, obj, arg, caller))

/*
 * A second reader beside the rings. This function is called for each recorded
 * event, in the context of the trace point, perhaps under a spinlock. It may
 * only look and count.
 */
typedef void (*trace_listener)(const struct trace_event *e);
extern trace_listener trace_listen;

#define TRACE_RING_SIZE (64u << 10)
/* Give core cpu its ring: TRACE_RING_SIZE bytes. NULL: the core records
 * nothing. */
void trace_init(unsigned int cpu, void *memory);
/* A new trace begins: TRACE_ALL or TRACE_MARKED. The old one ends. */
void trace_start(unsigned int mode);
void trace_stop(void);
/*
 * Copy the events since trace_start() to out, in order of time, at most max;
 * returns how many. *lost: how many the rings have overwritten. Tracing may go
 * on; events that are written in the meantime are left out.
 */
unsigned int trace_snapshot(struct trace_event *out, unsigned int max,
			    unsigned int *lost);

/*
 * Follow the stream: from trace_follow(true) to trace_follow(false) trace_read()
 * copies the events of core cpu which it has not copied yet, in order, at most
 * max; returns how many. all: every event is recorded; if not, only those of
 * traces. *lost: how many it has found overwritten. One thread at a time follows
 * and reads. Traces may start and stop meanwhile. trace_unread(): how many are
 * left. trace_taken(): how many of the core's events, from its first one on, are
 * read, overwritten, or from before the begin; it wraps. Any context.
 */
void trace_follow(bool on, bool all);
unsigned int trace_read(unsigned int cpu, struct trace_event *out,
			unsigned int max, unsigned int *lost);
unsigned int trace_unread(unsigned int cpu);
uint32_t trace_taken(unsigned int cpu);
