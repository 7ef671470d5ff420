/*
 * rw-semaphores: struct rw_semaphore, one for all cores and first come first
 * served; struct percpu_rwsem, whose readers touch only their own core's
 * counter and whose writer is preferred over readers that come later.
 *
 * Thread context only; may sleep; not with a spinlock held or IRQs off.
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
	struct list_head waiters; /* struct rwsem_waiter, oldest first */
	DEP_MAP
};

extern struct lock_class_key rwsem_wait_key; /* of all wait_locks */

/* obj: the struct rw_semaphore. */
extern const struct wait_ops rwsem_read_wait, rwsem_write_wait;
/* obj: the struct percpu_rwsem. */
extern const struct wait_ops percpu_read_wait, percpu_write_wait;

#define RWSEM_INIT(s, n)                                                       \
	{                                                                      \
		DEP_MAP_INIT(n).name = (n),                                    \
		.wait_lock =                                                   \
			SPINLOCK_INIT_KEY("rwsem.wait_lock", rwsem_wait_key),  \
		.waiters = LIST_HEAD_INIT((s).waiters)                         \
	}

#define init_rwsem(s, n) __init_rwsem((s), (n), LOCK_KEY())
void __init_rwsem(struct rw_semaphore *s, const char *name, const void *key);
void down_read(struct rw_semaphore *s);
/* While another of its class is held: with a nesting level, 1 to 7. */
void down_write_nested(struct rw_semaphore *s, unsigned int subclass);
bool down_read_trylock(struct rw_semaphore *s);
void up_read(struct rw_semaphore *s);
void down_write(struct rw_semaphore *s);
void up_write(struct rw_semaphore *s);

struct percpu_rwsem {
	const char *name;
	uint32_t block; /* a writer is inside or waits; atomic */
	/* Readers inside, by the core they came in on; a sum, so a reader may
	 * leave on another core. Written by its own core, preemption off. */
	struct {
		int32_t n;
	} cache_aligned count[NR_CPUS];
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
void percpu_down_read(struct percpu_rwsem *s);
void percpu_up_read(struct percpu_rwsem *s);
void percpu_down_write(struct percpu_rwsem *s);
void percpu_up_write(struct percpu_rwsem *s);

/*
 * Cut a knot (docs/design.md, "lending"): a reader that waits is let in although
 * a writer waits or is inside, itself blocked. 0, or -EINVAL: it does not wait.
 */
int percpu_rwsem_let_pass(struct percpu_rwsem *s, struct thread *reader);
