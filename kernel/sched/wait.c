/*
 * Wait queues and completions. See wait.h.
 *
 * The queue's lock (spinlock, IRQs off) guards its list and a completion's
 * count. Why no wake-up is lost: the waiting thread joins the queue and sets
 * its state before it looks at the condition. The waking thread changes the
 * condition before it looks at the queue. So one of the two sees the other.
 * (The barriers stand in wait_begin() and wake_up_thread().)
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

void prepare_to_wait(struct wait_queue *q, struct wait_entry *e,
		     const struct wait_ops *ops, uintptr_t caller)
{
	uint32_t flags;

	might_sleep();
	if (!e->thread) {
		trace_gate(TR_WAIT_FOR, q, caller);
		e->thread = current;
		list_init(&e->link);
		e->queue = q;
		e->outer = current->waits_in;
		current->waits_in = e;
	}
	flags = spin_lock_irqsave(&q->lock);
	if (list_empty(&e->link))
		list_add_tail(&e->link, &q->waiters);
	wait_begin(TASK_UNINTERRUPTIBLE, ops, q, q->name, caller);
	spin_unlock_irqrestore(&q->lock, flags);
}

/* Wake the thread that has waited longest, or all threads. A woken thread is
 * unlinked, so that the next wake_up() reaches another thread. q->lock held. */
static void wake_locked(struct wait_queue *q, bool all, uintptr_t caller)
{
	struct wait_entry *e, *next;

	list_for_each_safe (e, next, &q->waiters, link) {
		list_del(&e->link);
		wake_up_thread(e->thread, caller);
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
	current->waits_in = e->outer;
	wait_end();
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

static void complete_n(struct completion *c, bool all, uintptr_t caller)
{
	uint32_t flags;

	trace_gate(TR_COMPLETE, c, caller);
	flags = spin_lock_irqsave(&c->wait.lock);
	c->done = all ? ~0u / 2 : c->done + 1;
	trace_did_to(TR_COMPLETE, c, &c->wait.name, caller);
	trace_did(TR_DONE, &c->done, 0, caller);
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

/* Take one unit of the completion. Returns false if there is none. When this
 * function has returned true, the caller may free c: complete() uses c only
 * under the lock, which this function has taken after it. */
static bool take_done(struct completion *c)
{
	uint32_t flags = spin_lock_irqsave(&c->wait.lock);
	bool ok = c->done != 0;

	c->done -= ok;
	trace_did(TR_DONE, &c->done, 0, CALLER);
	spin_unlock_irqrestore(&c->wait.lock, flags);
	return ok;
}

static always_inline void await_completion(struct completion *c,
					   const struct wait_ops *ops)
{
	WRITE_ONCE(current->waiting.by, c->by);
	wait_event_kind(&c->wait, ops, take_done(c));
}

void wait_for_completion(struct completion *c)
{
	await_completion(c, &completion_wait);
}

void wait_for_completion_kind(struct completion *c, const struct wait_ops *ops)
{
	await_completion(c, ops);
}

bool wait_for_completion_timeout(struct completion *c, uint64_t ns, int n)
{
	bool ok;

	__wait_event(&c->wait, &completion_wait, (ok = take_done(c)) || !n--, {
		if (!schedule_timeout(ns) && timeout_is_a_choice())
			n = 0;
	});
	return ok || take_done(c); /* `ok` may be out of date */
}
