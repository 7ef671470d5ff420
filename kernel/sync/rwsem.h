/*
 * rw-semaphores: many readers or one writer, which sleep while they wait.
 *
 * struct rw_semaphore serves threads in the order in which they come. struct
 * percpu_rwsem has readers that touch only a counter of their own core, and
 * prefers a writer to readers that come later.
 *
 * The client's duties: those of a mutex (kernel/sync/mutex.h). Also: a reader
 * does not take the same semaphore again, because a writer may wait between the
 * two.
 *
 * The consequences:
 *  a. A writer does not starve. A reader that finds a thread waiting queues up
 *     behind it (rw_semaphore), or a writer waits only for the readers that
 *     were inside before it came (percpu_rwsem).
 *  b. A percpu reader may leave on another core than it came in on.
 *  c. Which threads hold a semaphore as readers is known only to lockdep, in
 *     debug builds.
 *  d. A rw_semaphore may be freed by the last thread that leaves it, like a
 *     mutex. A percpu_rwsem may not: its memory must stay until no thread is
 *     inside one of its functions.
 *
 * The mechanism: kernel/sync/rwsem.c, and kernel/sync/rwsem_fast.h for the
 * readers of a percpu_rwsem.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/cpumask.h"
#include "kernel/lib/list.h"
#include "kernel/sync/mutex.h"
#include "kernel/lock/spinlock.h"

struct rw_semaphore {
	const char *name;
	/* wait_lock guards: */
	struct spinlock wait_lock;
	int readers; /* readers inside */
	struct thread *writer;
	struct thread *lender;	  /* the writer before, see rwsem_lend() */
	struct list_head waiters; /* struct rwsem_waiter, oldest first */
	DEP_MAP
};

/* Of all wait_locks. */
extern struct lock_class_key rwsem_wait_key, percpu_wait_key;

/* obj: the struct rw_semaphore. */
extern const struct wait_ops rwsem_read_wait, rwsem_write_wait;
/* obj: the struct percpu_rwsem. */
extern const struct wait_ops percpu_read_wait, percpu_write_wait;

#define RWSEM_INIT(s, n)                                                       \
	{                                                                      \
		DEP_MAP_SLEEPS(n).name = (n),                                  \
		.wait_lock =                                                   \
			SPINLOCK_INIT_KEY("rwsem.wait_lock", rwsem_wait_key),  \
		.waiters = LIST_HEAD_INIT((s).waiters)                         \
	}

#define init_rwsem(s, n) __init_rwsem((s), (n), LOCK_KEY())
void __init_rwsem(struct rw_semaphore *s, const char *name, const void *key);
void down_read(struct rw_semaphore *s);
/* For a semaphore of a class that is held already. subclass: a nesting level
 * from 1 to 7. */
void down_write_nested(struct rw_semaphore *s, unsigned int subclass);
void down_read_nested(struct rw_semaphore *s, unsigned int subclass);
bool down_read_trylock(struct rw_semaphore *s);
bool down_write_trylock(struct rw_semaphore *s);
void up_read(struct rw_semaphore *s);
void down_write(struct rw_semaphore *s);
void up_write(struct rw_semaphore *s);

/*
 * Cut a knot (docs/design.md, "lending"): let the waiting thread t in although
 * readers or a writer are inside. If t writes, the writer that is inside now is
 * the writer again after t. Returns 0; or -EINVAL if t does not wait, or if t
 * writes and a writer has lent the semaphore already.
 */
int rwsem_lend(struct rw_semaphore *s, struct thread *t);

struct percpu_rwsem {
	/* Readers that came in on a core, less those that left on it. Only the
	 * sum counts. Atomic. First: so a reader finds its counter with one
	 * addition. */
	struct {
		int32_t n;
	} cache_aligned count[NR_CPUS];
	const char *name;
	uint32_t block;	   /* a writer is inside or waits; atomic */
	bool past_readers; /* `draining` is let past them; wait_lock guards it */
	struct mutex writers; /* one writer at a time */
	struct thread *writer;
	/* wait_lock guards: */
	struct spinlock wait_lock;
	struct thread *draining;  /* the writer that waits for readers */
	struct list_head waiters; /* readers kept out by the writer */
	DEP_MAP
};

#define percpu_init_rwsem(s, n) __percpu_init_rwsem((s), (n), LOCK_KEY())
void __percpu_init_rwsem(struct percpu_rwsem *s, const char *name,
			 const void *key);
#if GORDIAN_DEBUG
void percpu_down_read(struct percpu_rwsem *s);
void percpu_up_read(struct percpu_rwsem *s);
#endif
void percpu_down_write(struct percpu_rwsem *s);
void percpu_up_write(struct percpu_rwsem *s);

/*
 * Cut a knot (docs/design.md, "lending"). If t is a waiting reader, let t in
 * although a blocked writer waits or is inside. If t is the waiting writer, let
 * t in although readers are inside. Returns 0; or -EINVAL if t is neither.
 */
int percpu_rwsem_let_pass(struct percpu_rwsem *s, struct thread *t);

#include "kernel/sync/rwsem_fast.h"
