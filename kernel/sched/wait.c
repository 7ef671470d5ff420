/*
 * Wait queues and completions. See wait.h.
 *
 * The queue's lock (spinlock, IRQs off) guards its list and a completion's
 * count. Why no wake-up is lost: the waiting thread joins the queue and sets
 * its state before it looks at the condition. The waking thread changes the
 * condition before it looks at the queue. So one of the two sees the other.
 * (The barriers stand in wait_begin() and wake_up_thread().) For a completion it is
 * simpler: its count is looked at and changed under the queue's lock.
 *
 * The condition of a wait may wait, too, so a thread can have several entries.
 * They lie on the thread's stack. The thread has a list of its entries, the
 * innermost first. If a BUG ends the thread, leave_wait_queues() unlinks them.
 */
#include "kernel/sched/wait.h"

#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/sched/internal.h"

DEFINE_LOCK_KEY(wait_queue_key);

const struct wait_ops queue_wait = {
	.name = "wait queue",
	.relation = "up to",
	.event = true,
	.either = true,
};

const struct wait_ops completion_wait = {
	.name = "completion",
	.relation = "up to",
	.event = true,
	.either = true,
};

void wait_queue_init(struct wait_queue *q, const char *name)
{
	__spin_lock_init(&q->lock, "wait_queue.lock",
			 LOCK_KEY_OF(wait_queue_key));
	list_init(&q->waiters);
	q->name = name;
}

/* Prepare e, which is on no queue yet. */
static always_inline void entry_init(struct wait_entry *e, struct wait_queue *q)
{
	struct thread *me = current;

	e->thread = me;
	list_init(&e->link);
	e->queue = q;
	e->outer = me->waits_in;
	me->waits_in = e;
}

/* Join the queue, and begin the wait. q->lock held. */
static always_inline void join_queue(struct wait_queue *q, struct wait_entry *e,
				     const struct wait_ops *ops,
				     uintptr_t caller)
{
	if (list_empty(&e->link))
		list_add_tail(&e->link, &q->waiters);
	wait_begin_inline(TASK_UNINTERRUPTIBLE, ops, q, q->name, caller);
}

/* The wait of e's thread is over, and e is on no queue. */
static always_inline void entry_done(struct wait_entry *e)
{
	current->waits_in = e->outer;
	wait_end_inline();
}

void prepare_to_wait(struct wait_queue *q, struct wait_entry *e,
		     const struct wait_ops *ops, uintptr_t caller)
{
	uint32_t flags;

	might_sleep();
	if (!e->thread) {
		trace_gate(TR_WAIT_FOR, q, caller);
		entry_init(e, q);
	}
	flags = spin_lock_irqsave(&q->lock);
	join_queue(q, e, ops, caller);
	spin_unlock_irqrestore(&q->lock, flags);
}

/* Wake the thread that has waited longest, or all threads. A woken thread is
 * unlinked, so that the next wake_up() reaches another thread. q->lock held. */
static always_inline void wake_locked(struct wait_queue *q, bool all,
				      uintptr_t caller)
{
	struct wait_entry *e, *next;

	list_for_each_safe (e, next, &q->waiters, link) {
		list_del(&e->link);
		wake_waiter(e->thread, caller);
		if (!all)
			break;
	}
}

/* passes_on: if a wake-up has come since the thread joined the queue, the next
 * thread gets this wake-up. */
static void leave_queue(struct wait_queue *q, struct wait_entry *e,
			bool passes_on, uintptr_t caller)
{
	uint32_t flags;

	trace_gate(TR_WAIT_DONE, q, caller);
	flags = spin_lock_irqsave(&q->lock);
	if (passes_on && list_empty(&e->link))
		wake_locked(q, false, caller);
	list_del(&e->link);
	spin_unlock_irqrestore(&q->lock, flags);
	entry_done(e);
}

void finish_wait(struct wait_queue *q, struct wait_entry *e)
{
	leave_queue(q, e, false, CALLER);
}

void finish_wait_early(struct wait_queue *q, struct wait_entry *e)
{
	leave_queue(q, e, true, CALLER);
}

void leave_wait_queues(void)
{
	struct wait_entry *e;

	while ((e = current->waits_in)) {
		/* The BUG may have come while the thread held this lock. Other
		 * threads still need the queue. */
		if (READ_ONCE(e->queue->lock.holder) == current)
			raw_spin_unlock(&e->queue->lock);
		finish_wait_early(e->queue, e);
	}
}

/* The thread that has waited longest, or NULL. q->lock held. */
static const struct thread *first_waiter(const struct wait_queue *q)
{
	return list_empty(&q->waiters) ?
		       NULL :
		       list_first(&q->waiters, struct wait_entry, link)->thread;
}

static void take_lock_and_wake(struct wait_queue *q, bool all, uintptr_t caller)
{
	uint32_t flags;

	trace_gate(TR_WAKE, q, caller);
	flags = spin_lock_irqsave(&q->lock);
	trace_did_all(TR_WAKE_UP, q, q->name, (uintptr_t)first_waiter(q),
		      caller);
	wake_locked(q, all, caller);
	spin_unlock_irqrestore(&q->lock, flags);
}

void wake_up(struct wait_queue *q)
{
	take_lock_and_wake(q, false, CALLER);
}

void wake_up_all(struct wait_queue *q)
{
	take_lock_and_wake(q, true, CALLER);
}

void init_completion(struct completion *c, const char *name)
{
	wait_queue_init(&c->wait, name);
	c->done = 0;
	c->by = NULL;
}

static noinline void trace_complete(const struct completion *c,
				    uintptr_t caller)
{
	trace_event_to(TR_COMPLETE, c, c->wait.name, caller);
	trace_event(TR_DONE, &c->done, 0, caller);
}

static always_inline void complete_n(struct completion *c, bool all,
				     uintptr_t caller)
{
	uint32_t flags;

	trace_gate(TR_COMPLETE, c, caller);
	flags = spin_lock_irqsave(&c->wait.lock);
	c->done = all ? ~0u / 2 : c->done + 1;
	if (unlikely(READ_ONCE(trace_mode)))
		trace_complete(c, caller);
	wake_locked(&c->wait, all, caller);
	spin_unlock_irqrestore(&c->wait.lock, flags);
}

void complete(struct completion *c)
{
	complete_n(c, false, CALLER);
}

void complete_all(struct completion *c)
{
	complete_n(c, true, CALLER);
}

#define FOREVER (-1)

/*
 * Take one unit of the completion. While there is none, wait: for ever, or n times
 * at most, ns nanoseconds each. Returns whether it has taken a unit. Then the
 * caller may free c: complete() uses c only under the lock, which this function has
 * taken after it.
 *
 * A thread looks at the count and joins the queue under one lock, so it joins only
 * if the count is 0. That is why a thread that leaves the queue never has a wake-up
 * to pass on: it takes the unit itself, or another thread has taken it.
 */
static always_inline bool take_unit(struct completion *c,
				    const struct wait_ops *ops, uint64_t ns,
				    int n, uintptr_t caller)
{
	struct wait_queue *q = &c->wait;
	struct wait_entry e;
	uint32_t flags;
	bool ok;

	might_sleep();
	trace_gate(TR_WAIT_FOR, q, caller);
	entry_init(&e, q);
	for (;;) {
		flags = spin_lock_irqsave(&q->lock);
		trace_did(TR_DONE, &c->done, 0, caller);
		ok = c->done != 0;
		/* likely(): so the compiler moves nothing out of the loop,
		 * which runs once or twice. */
		if (likely(ok) || (n != FOREVER && !n--))
			break;
		join_queue(q, &e, ops, caller);
		spin_unlock_irqrestore(&q->lock, flags);
		if (n == FOREVER)
			schedule();
		else if (!schedule_timeout(ns) && timeout_is_a_choice())
			n = 0;
	}
	c->done -= ok;
	list_del(&e.link);
	spin_unlock_irqrestore(&q->lock, flags);
	trace_gate(TR_WAIT_DONE, q, caller);
	entry_done(&e);
	return ok;
}

/* A unit without a limit of time. */
static always_inline void
await_unit(struct completion *c, const struct wait_ops *ops, uintptr_t caller)
{
	WRITE_ONCE(current->waiting.by, c->by);
	take_unit(c, ops, 0, FOREVER, caller);
}

void wait_for_completion(struct completion *c)
{
	await_unit(c, &completion_wait, CALLER);
}

void wait_for_completion_kind(struct completion *c, const struct wait_ops *ops)
{
	await_unit(c, ops, CALLER);
}

bool wait_for_completion_timeout(struct completion *c, uint64_t ns, int n)
{
	return take_unit(c, &completion_wait, ns, n, CALLER);
}
