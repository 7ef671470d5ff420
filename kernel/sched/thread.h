/*
 * Threads: preemptive, one address space, per-core run queues.
 *
 * Thread ids are small numbers, never reused within a boot. A thread's run
 * state belongs to the run queue of its core (kernel/sched/sched.c); the list
 * of all threads to threads_lock.
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
	TASK_PARKED,	      /* a core's own thread while the core is off */
	TASK_WAKING,	      /* on its way to another core's run queue */
	TASK_DEAD,
};

/* What a blocked thread waits for: what every report prints. */
enum wait_kind {
	WAIT_NONE,
	WAIT_MUTEX,	 /* obj = struct mutex */
	WAIT_RWSEM_READ, /* obj = struct rw_semaphore */
	WAIT_RWSEM_WRITE,
	WAIT_PERCPU_READ, /* obj = struct percpu_rwsem */
	WAIT_PERCPU_WRITE,
	WAIT_COMPLETION, /* obj = struct completion */
	WAIT_REFCOUNT,	 /* obj = struct cpu_hotplug */
	WAIT_GP,	 /* obj = struct rcu_state */
	WAIT_JOIN,	 /* obj = struct thread */
	WAIT_QUEUE,	 /* obj = struct wait_queue */
	WAIT_SLEEP,	 /* time only */
	WAIT_GATE,	 /* held by a script at a trace point */
	WAIT_IDLE,	 /* nothing to do: a server waiting for work */
	/* Busy, on its core: struct thread, `busy`. */
	WAIT_SPIN, /* obj = struct spinlock */
	WAIT_CORE, /* obj = struct cpumask, of the cores that must answer */
	/* The grace-period thread's, as reports see it: obj = struct rcu_state */
	WAIT_READERS,
};

struct waiting {
	enum wait_kind kind;
	const void *obj;
	const char *name; /* of the object, for people */
	uintptr_t caller;
	uint64_t since; /* counter ticks */
	bool timed;	/* a timer ends it too: no event can be missed */
	/* Mutexes, rw-semaphores: enum grant, WAITS until just before it is
	 * handed over to us: then we have only to wake up. On our own stack,
	 * which stays memory for ever. */
	const uint32_t *granted;
	struct thread *by; /* who must end it, where that is no lock's owner */
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
	bool pinned;		 /* affinity may not be broken by hotplug */
	enum thread_prio prio;
	uint64_t switches; /* times it was switched in */

	/* Written by the thread itself: */
	struct waiting waiting;
	bool interrupted; /* set by thread_interrupt(), atomic */
	bool bug_ends_me; /* a BUG ends this thread, not the machine */
	bool traced;	  /* marked: TRACE_MARKED records its events */
	bool gated;	  /* trace gates may hold it */
	bool is_idle;
	bool should_park; /* set by kthread_park(), atomic */
	const char *bug;  /* condition of the BUG that ended it */
	uintptr_t bug_site, bug_caller;
	uint64_t told; /* the watchdog's: waiting.since of what it reported */
#if GORDIAN_DEBUG
	struct lockdep_thread lockdep;
	struct waiting busy; /* the innermost wait without sleeping */
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

/*
 * Create a thread; it starts at once. fn's return value is its exit status.
 * allowed: cores it may use (CPUMASK_ALL: any). Returns NULL when memory is
 * out. The caller owns a handle: thread_join() or thread_put() ends it.
 * May sleep: no (takes spinlocks, allocates stack pages); thread context.
 */
struct thread *thread_create(const char *name, int (*fn)(void *), void *arg,
			     enum thread_prio prio, struct cpumask allowed);
/*
 * A core's own service thread: pinned to `cpu`, which may be offline; it stays
 * parked until kthread_unpark(). A %u in the name is the core. Otherwise as
 * thread_create().
 */
struct thread *thread_create_on_cpu(const char *name, int (*fn)(void *),
				    void *arg, enum thread_prio prio,
				    unsigned int cpu);
/* Wait for its end, return its status, give up the handle. May sleep. */
int thread_join(struct thread *t);
/* As join, but give up after ns: -ETIMEDOUT, and the handle is kept. */
int thread_join_timeout(struct thread *t, uint64_t ns, int *status);
void thread_get(struct thread *t);
void thread_put(struct thread *t);
noreturn void thread_exit(int status);
/* The end of a thread whose BUG ends it (kernel/debug/panic.c calls this). */
noreturn void thread_bug_exit(void);
/* Move to these cores (must hold one online core). 0 or -EINVAL. */
int thread_set_affinity(struct thread *t, struct cpumask allowed);
/* End an interruptible wait of t. Any context. */
void thread_interrupt(struct thread *t);
/* True once after thread_interrupt(current). */
bool thread_interrupted(void);

/* Visit all threads under threads_lock, IRQs off: fn must not sleep. */
void threads_for_each(void (*fn)(struct thread *t, void *arg), void *arg);
/* A handle on the thread with that id, or NULL. */
struct thread *thread_find(uint32_t id);
/* A handle on the thread with the next id after that one, or NULL. */
struct thread *thread_after(uint32_t id);
/* Each thread, with a handle on it in the body; not to be left by break. */
#define for_each_thread(t)                                                     \
	for (uint32_t _id = 0; ((t) = thread_after(_id)) && (_id = (t)->id);   \
	     thread_put(t))
unsigned int threads_count(void); /* that have not ended */

/* Per-core service threads: park before the core goes, unpark after. */
void kthread_park(struct thread *t);   /* may sleep: waits until parked */
void kthread_unpark(struct thread *t); /* binds it to its core again */
bool kthread_should_park(void);
void kthread_parkme(void);
