/*
 * Wait queues and completions.
 *
 * A wait queue's lock guards its list; whoever changes the condition does so
 * before wake_up(). Waiting: thread context, may_sleep(). Waking: any context
 * but FIQ.
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

extern struct lock_class_key wait_queue_key; /* of all their locks */

#define WAIT_QUEUE_INIT(q, n)                                                  \
	{                                                                      \
		.lock = SPINLOCK_INIT_KEY("wait_queue.lock", wait_queue_key),  \
		.waiters = LIST_HEAD_INIT((q).waiters), .name = (n)            \
	}

struct wait_entry {
	struct list_head link;
	struct thread *thread;
};

void wait_queue_init(struct wait_queue *q, const char *name);
/* Join the queue and set the state; repeat before each look. */
void prepare_to_wait(struct wait_queue *q, struct wait_entry *e,
		     enum wait_kind kind, uintptr_t caller);
void finish_wait(struct wait_queue *q, struct wait_entry *e);
void wake_up(struct wait_queue *q); /* the first */
void wake_up_all(struct wait_queue *q);

/* The shape of all of them: sleep until done, which is looked at before. */
#define __wait_event(q, kind, done, sleep)                                     \
	do {                                                                   \
		struct wait_entry _e = { .thread = NULL };                     \
		for (;;) {                                                     \
			prepare_to_wait((q), &_e, (kind), CALLER);             \
			if (done)                                              \
				break;                                         \
			sleep;                                                 \
		}                                                              \
		finish_wait((q), &_e);                                         \
	} while (0)

#define wait_event_kind(q, kind, cond) __wait_event(q, kind, cond, schedule())
#define wait_event(q, cond)	       wait_event_kind(q, WAIT_QUEUE, cond)

/* true if cond became true within ns nanoseconds of guest time. */
#define wait_event_timeout(q, kind, cond, ns)                                  \
	({                                                                     \
		uint64_t _end = timer_now() + timer_ticks(ns), _now = 0;       \
		/* One reading of the time: it must not pass _end between. */  \
		__wait_event(q, kind, (cond) || (_now = timer_now()) >= _end,  \
			     schedule_timeout(timer_ns(_end - _now)));         \
		/* A wake-up that came to us is not lost. */                   \
		_now < _end || (cond);                                         \
	})

struct completion {
	struct wait_queue wait;
	unsigned int done; /* wait.lock guards */
	/* For reports: nobody else can complete it. The owner sets it after
	 * init_completion(); NULL: not known. */
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
/* true if completed within n times ns nanoseconds. Not all at once: a host may
 * stand still while the clock goes on, and nobody was given that time. */
bool wait_for_completion_timeout(struct completion *c, uint64_t ns, int n);
