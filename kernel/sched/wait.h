/*
 * Wait queues and completions: the usual forms of sleeping.
 *
 * wait_event(queue, condition) sleeps until the condition holds. The code that
 * makes it true calls wake_up(queue) afterwards. A completion counts how often
 * something has been completed; each wait takes one unit. Waiting: where
 * may_sleep() is true. Waking: any context but FIQ.
 */
#pragma once

#include "kernel/arch/clock.h"
#include "kernel/lib/list.h"
#include "kernel/lock/spinlock.h"
#include "kernel/sched/sched.h"

struct wait_queue {
	struct spinlock lock;
	struct list_head waiters; /* struct wait_entry, guarded by lock */
	const char *name;
};

extern struct lock_class_key wait_queue_key;  /* the class of all their locks */
extern const struct wait_ops queue_wait;      /* obj: the struct wait_queue */
extern const struct wait_ops completion_wait; /* obj: the struct completion */

#define WAIT_QUEUE_INIT(q, n)                                                  \
	{                                                                      \
		.lock = SPINLOCK_INIT_KEY("wait_queue.lock", wait_queue_key),  \
		.waiters = LIST_HEAD_INIT((q).waiters), .name = (n)            \
	}

struct wait_entry {
	struct list_head link;
	struct thread *thread;
	struct wait_queue *queue;
	struct wait_entry *outer; /* of the same thread; NULL: the outermost */
};

void wait_queue_init(struct wait_queue *q, const char *name);
/* Join the queue and begin the wait. To be called before each look at the
 * condition. */
void prepare_to_wait(struct wait_queue *q, struct wait_entry *e,
		     const struct wait_ops *ops, uintptr_t caller);
/* The wait is over: the thread has slept and was woken. */
void finish_wait(struct wait_queue *q, struct wait_entry *e);
/* The wait is over, and the thread has not slept since the last
 * prepare_to_wait(). If a wake-up has come since then, the thread does not need
 * it, so the next thread in the queue gets this wake-up. */
void finish_wait_early(struct wait_queue *q, struct wait_entry *e);
/* Wake the thread that has waited longest, or all. */
void wake_up(struct wait_queue *q);
void wake_up_all(struct wait_queue *q);

/* The common part of wait_event() and its variants: look at `done`, sleep, and
 * repeat both until `done` is true. */
#define __wait_event(q, ops, done, sleep)                                      \
	do {                                                                   \
		struct wait_entry _e = { .thread = NULL };                     \
		for (;;) {                                                     \
			prepare_to_wait((q), &_e, (ops), CALLER);              \
			if (done)                                              \
				break;                                         \
			sleep;                                                 \
		}                                                              \
		finish_wait_early((q), &_e);                                   \
	} while (0)

#define wait_event_kind(q, ops, cond) __wait_event(q, ops, cond, schedule())
#define wait_event(q, cond)	      wait_event_kind(q, &queue_wait, cond)

/* Its value is true if cond became true within ns nanoseconds. */
#define wait_event_timeout(q, ops, cond, ns)                                   \
	({                                                                     \
		uint64_t _end = timer_now() + timer_ticks(ns), _now = 0;       \
		bool _ok, _over = false;                                       \
		/* The time is read once, so that _end - _now is positive. */  \
		__wait_event(                                                  \
			q, ops,                                                \
			(_ok = (cond)) || _over ||                             \
				(_now = timeout_clock(_end)) >= _end,          \
			_over = !schedule_timeout(timer_ns(_end - _now)));     \
		/* Perhaps cond became true just after the time ran out. */    \
		_ok || (cond);                                                 \
	})

struct completion {
	struct wait_queue wait;
	unsigned int done; /* wait.lock guards */
	/* For reports: the only thread that can complete it; NULL if there may
	 * be several. The owner sets it after init_completion(). */
	struct thread *by;
};

#define COMPLETION_INIT(c, n)                                                  \
	{                                                                      \
		.wait = WAIT_QUEUE_INIT((c).wait, (n))                         \
	}

void init_completion(struct completion *c, const char *name);
void complete(struct completion *c);
void complete_all(struct completion *c);
void wait_for_completion(struct completion *c);
/* As wait_for_completion(), but reports show the wait by ops, not by
 * completion_wait. */
void wait_for_completion_kind(struct completion *c, const struct wait_ops *ops);
/* Returns true if c was completed within n waits of ns nanoseconds each. (One
 * wait for n * ns would be wrong: an emulator's host may stop for a while
 * although the clock goes on, and in this while no core runs.) */
bool wait_for_completion_timeout(struct completion *c, uint64_t ns, int n);
