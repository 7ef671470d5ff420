/*
 * Wait queues and completions.
 *
 * A wait queue's lock guards its list; whoever changes the condition does so
 * before wake_up(). Waiting: thread context, may_sleep(). Waking: any context
 * but FIQ.
 */
#ifndef KERNEL_SCHED_WAIT_H
#define KERNEL_SCHED_WAIT_H

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
		     enum thread_state state, enum wait_kind kind,
		     uintptr_t caller);
void finish_wait(struct wait_queue *q, struct wait_entry *e);
void wake_up(struct wait_queue *q); /* the first */
void wake_up_all(struct wait_queue *q);

#define wait_event_kind(q, kind, cond)                                         \
	do {                                                                   \
		struct wait_entry _e = { .thread = NULL };                     \
		for (;;) {                                                     \
			prepare_to_wait((q), &_e, TASK_UNINTERRUPTIBLE,        \
					(kind), CALLER);                       \
			if (cond)                                              \
				break;                                         \
			schedule();                                            \
		}                                                              \
		finish_wait((q), &_e);                                         \
	} while (0)
#define wait_event(q, cond) wait_event_kind(q, WAIT_QUEUE, cond)

/* 0, or -EINTR after thread_interrupt(). */
#define wait_event_interruptible(q, cond)                                      \
	({                                                                     \
		struct wait_entry _e = { .thread = NULL };                     \
		int _r = 0;                                                    \
		for (;;) {                                                     \
			prepare_to_wait((q), &_e, TASK_INTERRUPTIBLE,          \
					WAIT_QUEUE, CALLER);                   \
			if (cond)                                              \
				break;                                         \
			if (thread_interrupted()) {                            \
				_r = -EINTR;                                   \
				break;                                         \
			}                                                      \
			schedule();                                            \
		}                                                              \
		finish_wait((q), &_e);                                         \
		if (_r && (cond))                                              \
			_r = 0; /* a wake-up that came to us is not lost */    \
		_r;                                                            \
	})

/* true if cond became true within ns nanoseconds of guest time. */
#define wait_event_timeout(q, kind, cond, ns)                                  \
	({                                                                     \
		struct wait_entry _e = { .thread = NULL };                     \
		uint64_t _end = timer_now() + timer_ticks(ns), _now;           \
		bool _ok;                                                      \
		for (;;) {                                                     \
			prepare_to_wait((q), &_e, TASK_UNINTERRUPTIBLE,        \
					(kind), CALLER);                       \
			_ok = (cond);                                          \
			_now = timer_now(); /* once: it must not pass _end */  \
			if (_ok || _now >= _end)                               \
				break;                                         \
			schedule_timeout(timer_ns(_end - _now));               \
		}                                                              \
		finish_wait((q), &_e);                                         \
		_ok || (cond); /* a wake-up that came to us is not lost */     \
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
/* true if completed within ns nanoseconds. */
bool wait_for_completion_timeout(struct completion *c, uint64_t ns);

#endif
