/*
 * CPU hotplug as of Linux just after 3.6: cpu_up(), cpu_down(), the notifier
 * chain and the hotplug lock. What the thread of October 2012 talks about.
 *
 * Lock order: cpu_add_remove_lock, then the hotplug lock, then whatever the
 * notifiers take (slab_mutex above all).
 */
#pragma once

#include <stdbool.h>

#include "kernel/cpu/notifier.h"
#include "kernel/sync/mutex.h"
#include "kernel/sched/thread.h"

/* Events, with Linux's numbers. data of the callback is (void *)(long)cpu. */
#define CPU_ONLINE	 0x0002
#define CPU_UP_PREPARE	 0x0003
#define CPU_UP_CANCELED	 0x0004
#define CPU_DOWN_PREPARE 0x0005
#define CPU_DOWN_FAILED	 0x0006
#define CPU_DEAD	 0x0007
#define CPU_DYING	 0x0008 /* on the leaving core, IRQs off, all stopped */
#define CPU_POST_DEAD	 0x0009 /* the hotplug lock is no longer held */
#define CPU_STARTING	 0x000a /* on the new core, IRQs off */

/* Priorities of the kernel's own notifiers (higher first). */
#define CPU_PRI_SMPBOOT 10 /* per-core threads */
#define CPU_PRI_DEFAULT 0
#define CPU_PRI_PARK	-20 /* per-core threads stop after all else */

int register_cpu_notifier(struct notifier_block *nb);
void unregister_cpu_notifier(struct notifier_block *nb);
/* The registered notifiers; cpu_add_remove_lock, or only to count them. */
extern struct raw_notifier_head cpu_chain;

/*
 * The hotplug lock: an object behind a table of operations, so that another
 * design can be put in its place while nobody holds it.
 */
struct hotplug_lock_ops {
	const char *name;
	void (*get)(void); /* get_online_cpus: may sleep */
	void (*put)(void);
	void (*begin)(void); /* cpu_hotplug_begin: the writer; may sleep */
	void (*done)(void);
	/* Is the set of cores kept stable by the caller? */
	bool (*held)(void);
	/* The rw-semaphore that the object is made of; NULL: of none. */
	struct percpu_rwsem *rwsem;
};

/* The lock of 2012: a counter, not a rw-semaphore. kernel/cpu/hotplug_lock.c */
struct hotplug_change {
	uintptr_t caller; /* 0: none yet */
	uint32_t id;
	char name[THREAD_NAME_LEN]; /* it may have ended since */
};

struct cpu_hotplug {
	struct thread *active_writer;
	struct mutex lock;
	/* lock guards: */
	int refcount;
	/* For reports: the last get, and the put that took it below 0. */
	struct hotplug_change last_get, below_0;
};

extern struct cpu_hotplug cpu_hotplug;
extern struct mutex cpu_add_remove_lock;
extern const struct hotplug_lock_ops hotplug_counter_ops;

/* Its operations; other objects may share some of them. */
void get_online_cpus__counter(void);
void put_online_cpus__counter(void);
void cpu_hotplug_begin__counter(void);
void cpu_hotplug_done__counter(void);
bool held__counter(void);

/* The object in place; written by hotplug_lock_install() alone. */
extern const struct hotplug_lock_ops *hotplug_ops;

/*
 * Keep the set of cores as it is. May sleep; nests; get and put of the thread
 * that is changing the set do nothing. (Inlined, so that in a backtrace the
 * frame is the object's own function, get_online_cpus__counter.)
 */
static always_inline void get_online_cpus(void)
{
	READ_ONCE(hotplug_ops)->get();
}
static always_inline void put_online_cpus(void)
{
	READ_ONCE(hotplug_ops)->put();
}
#define lockdep_assert_cpus_held()                                             \
	lockdep_check(READ_ONCE(hotplug_ops)->held(), LOCKDEP_NOT_HELD,        \
		      "the hotplug lock")

/* The steps that variants of get/put/begin are built from: count under
 * cpu_hotplug.lock, returning the new value; wake the waiting writer. */
int cpu_hotplug_count(int by, uintptr_t caller);
void cpu_hotplug_wake_writer(uintptr_t caller);

/* For the cut of a knot (docs/design.md, "lending"): set the count to 0 and wake
 * the waiting writer. Returns the count before. Readers inside are no longer
 * counted, so only a caller that knows them may use it. May sleep. */
int cpu_hotplug_rescue(void);

/* Exchange the object; -EBUSY while anybody holds or waits for the present one.
 * NULL: back to hotplug_counter_ops. May sleep. */
int hotplug_lock_install(const struct hotplug_lock_ops *ops);

/*
 * 0 or: -EINVAL no such core or wrong state, -EBUSY the last one or refused by
 * a notifier, -EIO the core did not start or stop, -ENOMEM. May sleep.
 */
int cpu_up(unsigned int cpu);
int cpu_down(unsigned int cpu);

/* Counts since boot: how often the platform said off, and a core came on. */
extern unsigned int cpu_offs, cpu_ons;

/* Bring up other cores at boot until max are online (Linux: smp_init). */
void smp_init(unsigned int max);
