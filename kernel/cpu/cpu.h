/*
 * CPU hotplug, as in Linux just after 3.6: cpu_up(), cpu_down(), the notifier
 * chain and the hotplug lock. The 2012 thread is about this code.
 *
 * What it is for. Cores start and stop while the kernel runs. Each part of the
 * kernel with data or threads of each core registers a notifier, which is called
 * before and after (the table of events is in cpu.c).
 *
 * The client's duties.
 * (1) Hold a reference (get_online_cpus()) while you need the set of online
 *     cores to stay as it is and may sleep. If you do not sleep,
 *     preempt_disable() is enough.
 * (2) Give back each reference you took, and no other.
 * (3) A callback must not call cpu_up() or cpu_down(). It may take the locks
 *     that stand below in the lock order.
 *
 * Consequences.
 * (a) A writer (cpu_up(), cpu_down()) waits until all references are given
 *     back, and callbacks run while it holds the hotplug lock. So a thread that
 *     holds a lock which a callback takes must not wait for a writer.
 *     get_online_cpus() may be such a wait, unless the thread has a reference
 *     already.
 * (b) A core that does not start or stop is an error of cpu_up() or cpu_down(),
 *     and the kernel goes on without it. If it may still run, it is *lost*: its
 *     data is kept, and it is never told to start again. A core that was told
 *     to start and has not reached C code is not lost, also if the platform
 *     says that it is on: so far it uses only the boot code, the page tables
 *     and its idle thread, which are never freed. If it comes later, it goes
 *     off, or a later cpu_up() takes it.
 * (c) One core starts or stops at a time.
 *
 * Lock order: cpu_add_remove_lock, then the hotplug lock, then the locks that
 * the callbacks take (slab_mutex above all).
 *
 * smp.h has function calls on other cores, stop_machine.h the way to stop all
 * of them.
 */
#pragma once

#include <stdbool.h>

#include "kernel/cpu/notifier.h"
#include "kernel/sync/mutex.h"
#include "kernel/sched/thread.h"

/* Events, with Linux's numbers. A callback's data is the core, as a pointer. */
#define CPU_ONLINE	 0x0002
#define CPU_UP_PREPARE	 0x0003
#define CPU_UP_CANCELED	 0x0004
#define CPU_DOWN_PREPARE 0x0005
#define CPU_DOWN_FAILED	 0x0006
#define CPU_DEAD	 0x0007
#define CPU_DYING	 0x0008 /* on the leaving core, IRQs off, all stopped */
#define CPU_POST_DEAD	 0x0009 /* the hotplug lock is no longer held */
#define CPU_STARTING	 0x000a /* on the new core, IRQs off */
/* Gordian's own: the core is not online, but it may still run. Take over its
 * work; keep each object that it may use. */
#define CPU_LOST 0x000b

/* Priorities of the kernel's own notifiers (higher first). */
#define CPU_PRI_SMPBOOT 10 /* per-core threads */
#define CPU_PRI_DEFAULT 0
#define CPU_PRI_PARK	-20 /* per-core threads stop last */

/* 0, or -EEXIST if nb is registered already. May sleep. */
int register_cpu_notifier(struct notifier_block *nb);
void unregister_cpu_notifier(struct notifier_block *nb);
/* The registered notifiers. cpu_add_remove_lock guards them; without it they
 * may only be counted. */
extern struct raw_notifier_head cpu_chain;

/*
 * The hotplug lock is an object with a table of operations (docs/design.md,
 * "objects"): another one can be installed while nobody holds it.
 */
struct hotplug_lock_ops {
	const char *name;
	void (*get)(void); /* get_online_cpus(); may sleep */
	void (*put)(void);
	void (*begin)(void); /* cpu_hotplug_begin(), the writer; may sleep */
	void (*done)(void);
	/* For lockdep_assert_cpus_held(): does a reference of the calling
	 * thread, or that thread as the writer, keep all cores as they are? */
	bool (*held)(void);
	/* The rw-semaphore that the object is made of; NULL: there is none. */
	struct percpu_rwsem *rwsem;
};

/* A change of the count of the lock of 2012, for reports. */
struct hotplug_change {
	uintptr_t caller; /* 0: none yet */
	uint32_t id;
	char name[THREAD_NAME_LEN]; /* a copy: the thread may have ended */
};

/* The lock of 2012: a counter, not a rw-semaphore. kernel/cpu/hotplug_lock.c */
struct cpu_hotplug {
	struct thread *active_writer;
	struct mutex lock;
	/* lock guards: */
	int refcount;
	/* For reports: the last get, and the put that took the count below
	 * 0. */
	struct hotplug_change last_get, below_0;
};

extern struct cpu_hotplug cpu_hotplug;
extern struct mutex cpu_add_remove_lock;
extern const struct hotplug_lock_ops hotplug_counter_ops;

/* Its operations. Other objects may use some of them. */
void get_online_cpus__counter(void);
void put_online_cpus__counter(void);
void cpu_hotplug_begin__counter(void);
void cpu_hotplug_done__counter(void);
bool held__counter(void);

/* The installed object; only hotplug_lock_install() writes it. */
extern const struct hotplug_lock_ops *hotplug_ops;

/*
 * Take and give back a reference. While any thread has a reference, the set of
 * online cores stays as it is. May sleep; a thread may take several references.
 * In the thread that is starting or stopping a core both functions do nothing.
 * (Inlined, so that backtraces show the object's own function, such as
 * get_online_cpus__counter().)
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

/* A writer's wait for the count; obj: the struct cpu_hotplug. */
extern const struct wait_ops refcount_wait;

/* Parts of get and put, and of their variants. cpu_hotplug_count() adds `by` to
 * the count and returns the sum; cpu_hotplug.lock held.
 * cpu_hotplug_wake_writer() wakes the writer if it waits. The trace events name
 * `caller`. */
int cpu_hotplug_count(int by, uintptr_t caller);
void cpu_hotplug_wake_writer(uintptr_t caller);

/* For the cut of a knot (docs/design.md, "lending"): set the count to 0 and
 * wake the waiting writer. Returns the old count. References that threads still
 * have are no longer counted, so the caller must know these threads. May
 * sleep. */
int cpu_hotplug_rescue(void);

/* Install another object; NULL: hotplug_counter_ops. 0, or -EBUSY while a
 * thread holds the present one or waits for it. May sleep. */
int hotplug_lock_install(const struct hotplug_lock_ops *ops);

/*
 * Start or stop a core. 0, or: -EINVAL if there is no such core or it is on
 * (off) already, -EBUSY if it is the last one, or the platform or a notifier
 * refuses, -EIO if the core does not start (stop), -ENODEV if it is lost or the
 * platform has no such core, -EPERM if this core is not coherent with others,
 * -ENOMEM. May sleep.
 */
int cpu_up(unsigned int cpu);
int cpu_down(unsigned int cpu);

/* Is the core lost (consequence b)? A lost core stays lost. Any context. */
bool cpu_is_lost(unsigned int cpu);

/* How many times, since boot, the platform has confirmed that a core is off,
 * and a core has come on. Guarded by cpu_add_remove_lock. */
extern unsigned int cpu_offs, cpu_ons;

/* At boot: start cores until max are online. */
void smp_init(unsigned int max);
