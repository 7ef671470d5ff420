/*
 * Threads: their structure, and their life from creation to the end.
 *
 * All threads share one address space and can be preempted. Thread ids are
 * small numbers; none is used twice within a boot. A thread has a handle count:
 * the creator gets a handle and gives it up with thread_join() or thread_put(),
 * and the running thread has one of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/arch.h"
#include "kernel/lib/cpumask.h"
#include "kernel/lib/list.h"
#include "kernel/lock/lockdep.h"

struct completion;

enum thread_state {
	TASK_RUNNING,	      /* running or runnable */
	TASK_UNINTERRUPTIBLE, /* waits; only its event wakes it */
	TASK_INTERRUPTIBLE,   /* waits; thread_interrupt() wakes it too */
	/* A switch away from a thread in one of these may have more to do. */
	TASK_PARKED, /* a core's own thread, while the core is off */
	TASK_WAKING, /* on its way to a run queue */
	TASK_HELD,   /* held at a trace gate: sched_hold() */
	TASK_DEAD,
};

struct thread;
struct wait_entry;
struct waiting;

/*
 * A kind of wait. Each kind of lock, and each other thing that a thread can wait
 * for, has one and hands it to wait_begin() or busy_begin(). Reports, the wait-for
 * graph and the cut of a knot know a kind of lock by this alone. A function may be
 * NULL. It is called for another thread, in any context but FIQ; only `lend` may
 * take a lock.
 */
struct wait_ops {
	const char *name; /* "mutex" */
	/* The words of a report between the wait and a thread that must act:
	 * "up to". NULL: the words for a lock, "held by" or "behind". */
	const char *relation;
	bool event;	  /* only an event ends it: not time, not new work */
	bool handed_over; /* see struct waiting, `granted` */
	bool busy;	  /* the thread keeps its core while it waits */
	bool either;	  /* if timed: see `timeless` in struct thread */
	size_t dep_map;	  /* the lock's DEP_MAP_AT(); 0: lockdep has none */
	/* The one thread that must act before the wait can end, or NULL. */
	const struct thread *(*owner)(const void *obj);
	/* Called if owner() names no thread: must t act before the wait can
	 * end? Returns true only if that is certain. */
	bool (*waits_on)(const struct waiting *w, const struct thread *t);
	/* Where the owner took the object; 0: not known. Called if lockdep does
	 * not know the place. */
	uintptr_t (*site)(const void *obj);
	/* Prints more lines of a report. */
	void (*print)(const void *obj);
	/* Cut a knot (docs/design.md, "lending"): let t have the object.
	 * Returns 0, or -EINVAL: t does not wait for the object, or the object
	 * cannot be lent now. May take spinlocks. */
	int (*lend)(void *obj, struct thread *t);
	/* the report's format; arguments: owner, object, t, t */
	const char *lent;
	unsigned int lend_rank; /* in a knot the lowest is lent first */
};
#define LEND_RANKS 3

/* The wait of a blocked thread; every report prints it. The thread itself stores
 * it, with WRITE_ONCE(); others read it as copy_waiting() does in
 * kernel/hang/waitfor.c. */
struct waiting {
	const struct wait_ops *ops; /* NULL: it does not wait */
	const void *obj;
	const char *name; /* of the object, for people */
	uintptr_t caller;
	uint64_t since; /* counter ticks */
	bool timed;	/* a timer ends it too, so it cannot last for ever */
	/* Mutexes and rw-semaphores: enum grant. WAITS until just before the
	 * lock is handed over; then the thread has only to wake up. It lies on
	 * the waiting thread's stack, which stays memory for ever. */
	const uint32_t *granted;
	struct thread *by; /* the thread that must end it, if no lock's owner */
};

enum thread_prio { PRIO_STOP, PRIO_HIGH, PRIO_NORMAL, PRIO_IDLE, NR_PRIOS };

#define THREAD_NAME_LEN 16

struct thread {
	uint32_t sp;		/* saved by arch_switch_to(); offset 0 */
	int preempt_count;	/* written by the thread itself alone */
	unsigned int irq_depth; /* > 0: in an interrupt on this thread */
	uint32_t need_resched;	/* set under the run-queue lock */
	uint32_t cpu;		/* run queue it belongs to; changes under it */

	/* The lock of the run queue of `cpu` guards: */
	enum thread_state state;
	bool on_rq;
	struct list_head rq_link;
	struct cpumask affinity; /* cores it may run on */
	bool pinned;		 /* it never runs on another core */
	enum thread_prio prio;
	uint32_t switches; /* times it was switched in; wraps */

	/* Written by the thread itself: */
	struct waiting waiting;
	struct wait_entry *waits_in; /* its innermost entry: wait.c */
	bool interrupted;	     /* set by thread_interrupt(), atomic */
	bool bug_ends_me; /* a BUG ends this thread, not the machine */
	bool traced;	  /* TRACE_MARKED records its events */
	bool gated;	  /* trace gates may hold it */
	bool is_idle;
	bool should_park; /* set by kthread_park(), atomic */
	const char *bug;  /* condition of the BUG that ended it */
	uintptr_t bug_site, bug_caller;
	uint64_t told; /* waiting.since of the wait the watchdog reported last */
#if GORDIAN_DEBUG
	struct lockdep_thread lockdep;
	/* References of the hotplug lock that it took, without those that it
	 * gave back. */
	int cpus_refs;
	struct waiting busy; /* kernel/lock/busy.h */
	/* It is in sched_hold(), and goes on in this state. (A late
	 * sched_release() for an earlier hold may make it run in this one, so
	 * its own state may not be TASK_HELD.) The lock of its run queue guards
	 * both. */
	bool held;
	enum thread_state state_after;
	/* For the explorer: this thread arms no timer for a wait whose kind says
	 * `either`. The wait ends by its event, or when the explorer sets
	 * timed_out and wakes the thread. Atomic. */
	bool timeless, timed_out;
	/* So many of irq_depth are interrupts that an experiment declares. */
	unsigned int declared_irqs;
	/* It runs so many functions that its own core was called to run. On
	 * another core an interrupt would run them, so for the explorer they are
	 * as in an interrupt here too. */
	unsigned int own_calls;
	/* The label of the next slab object that it allocates: slab_origin(). 0:
	 * its objects have none. */
	uint32_t next_label;
#endif

	/* Fixed at creation: */
	uint32_t id;
	char name[THREAD_NAME_LEN];
	uint32_t stack; /* lowest address; the guard page lies below it */
	uint32_t stack_top;
	int (*fn)(void *arg);
	void *arg;

	/* threads_lock guards: */
	struct list_head all_link;
	unsigned int refs; /* the creator's handle, reports in progress */
	int exit_status;
	bool exited;
	struct list_head joiners;
};

/* If t holds the lock that w waits for: t's entry for the lock, else NULL.
 * Always NULL in release builds. */
static inline const struct held_lock *wait_held_by(const struct waiting *w,
						   const struct thread *t)
{
	size_t map = w->ops->dep_map;

	return map ? lock_held_by(t, (const void *)((uintptr_t)w->obj + map)) :
		     NULL;
}

#if GORDIAN_DEBUG
/* Does code run on t's stack that does nothing on behalf of t? This is an
 * interrupt that no experiment has declared, or a function that t's core was
 * called to run (own_calls). */
static inline bool in_undeclared_interrupt(const struct thread *t)
{
	return t->irq_depth != t->declared_irqs || t->own_calls;
}
#endif

/*
 * Create a thread; it starts at once, and fn's return value is its exit status.
 * allowed: the cores it may use (CPUMASK_ALL: any). NULL when memory is out.
 * The caller owns a handle. Thread context; does not sleep.
 */
struct thread *thread_create(const char *name, int (*fn)(void *), void *arg,
			     enum thread_prio prio, struct cpumask allowed);
/*
 * Create a core's own service thread: it is pinned to `cpu`, which may be off,
 * and stays parked until kthread_unpark(). The core replaces a %u in the name.
 * Otherwise as thread_create().
 */
struct thread *thread_create_on_cpu(const char *name, int (*fn)(void *),
				    void *arg, enum thread_prio prio,
				    unsigned int cpu);
/* Wait for the end of t, give up the handle, and return the exit status. May
 * sleep. */
int thread_join(struct thread *t);
/* As thread_join(), but wait for at most ns nanoseconds. Returns 0 if t has
 * ended; then *status is the exit status (unless status is NULL). Otherwise
 * returns -ETIMEDOUT, and the caller keeps the handle. */
int thread_join_timeout(struct thread *t, uint64_t ns, int *status);
extern const struct wait_ops join_wait; /* obj: the struct thread */
/* thread_get() takes one more handle, thread_put() gives one up. Any context
 * but FIQ. */
void thread_get(struct thread *t);
void thread_put(struct thread *t);
noreturn void thread_exit(int status);
/* End the current thread after its BUG (panic_hooks.bug_exit). The thread
 * leaves its wait queues. Other locks that it holds stay held. */
noreturn void thread_bug_exit(void);
/* From now on t may run only on the cores `allowed`. If t runs or is queued on
 * another core, t moves. Returns 0, or -EINVAL if t is pinned or none of these
 * cores is online. */
int thread_set_affinity(struct thread *t, struct cpumask allowed);
/* End an interruptible wait of t. Any context. */
void thread_interrupt(struct thread *t);
/* Was thread_interrupt() called for the current thread? Returns true once for
 * each such interruption. */
bool thread_interrupted(void);
/* The same, for a wait that has a trace point of its own (TR_LOCK_INTR). */
bool take_interruption(void);

/* Call fn for all threads, under threads_lock with IRQs off. */
void threads_for_each(void (*fn)(struct thread *t, void *arg), void *arg);
/* The thread with that id, with a handle for the caller; or NULL. */
struct thread *thread_find(uint32_t id);
/* The thread with the lowest id above `id`, with a handle for the caller; or
 * NULL. */
struct thread *thread_after(uint32_t id);
/* Visit each thread. The body has a handle on the thread, and must not leave
 * the loop. */
#define for_each_thread(t)                                                     \
	for (uint32_t _id = 0; ((t) = thread_after(_id)) && (_id = (t)->id);   \
	     thread_put(t))
unsigned int threads_count(void); /* those that have not ended */

/* Service threads of a core: parked before the core goes, unparked after it has
 * come. kthread_park() returns when t has parked; may sleep. The thread itself
 * asks kthread_should_park() and then calls kthread_parkme(), which returns
 * after kthread_unpark(). */
void kthread_park(struct thread *t);
void kthread_unpark(struct thread *t);
bool kthread_should_park(void);
void kthread_parkme(void);
