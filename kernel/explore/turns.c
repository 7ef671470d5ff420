/*
 * The explorer's engine: spinlocks, masked IRQs and calls of other cores.
 *
 * The explorer handles a spinlock of the experiment like a mutex: a thread
 * stands before it, and can take a step while the lock is free. So no thread
 * spins. The thread also stops at gates while it holds a spinlock or has masked
 * IRQs. It may sleep there although preemption is disabled: when it runs again,
 * all is as before. The other explored threads do not see the
 * difference, because one thread runs at a time anyway. RCU sees a difference:
 * without the explorer RCU would wait for such a thread as for a reader, but RCU
 * does not wait for a thread that sleeps. The search then notes LEFT_READERS.
 *
 * Owns nothing; the footprint's lock guards the list of held spinlocks of a gate.
 */
#include <string.h>

#include "kernel/debug/panic.h"
#include "kernel/explore/engine.h"
#include "kernel/explore/left.h"
#include "kernel/hang/waitfor.h"
#include "kernel/lib/errno.h"
#include "kernel/lock/busy.h"

#if GORDIAN_DEBUG

/* Does thread t have the spinlock, or get it next? If t is NULL: does any
 * thread? */
static bool has_spinlock(const struct thread *t, const void *lock)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct gate *g = &ex.gate[i];

		for (unsigned int k = 0; k < READ_ONCE(g->nr_held); k++)
			if (READ_ONCE(g->held[k].lock) == lock &&
			    (!t || t == g->thread))
				return true;
	}
	return false;
}

bool any_spinlock_is_held(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (ex.gate[i].nr_held)
			return true;
	return false;
}

static bool has_awaited(const struct waiting *w, const struct thread *t)
{
	return has_spinlock(t, w->obj);
}

/* If t sleeps for the object, let t go on. Returns false if t does not sleep
 * for the object. */
static bool let_pass(const void *obj, struct thread *t)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];

		if (g->thread != t || READ_ONCE(g->wants) != obj)
			continue;
		WRITE_ONCE(g->lent, true);
		sched_release(t, &g->turn);
		return true;
	}
	return false;
}

/* t sleeps before a spinlock that is held. Let t take the spinlock. */
static int lend_turn(void *obj, struct thread *t)
{
	spin_lock_rescue(obj, t);
	return let_pass(obj, t) ? 0 : -EINVAL;
}

const struct wait_ops turn_wait = {
	.name = "spinlock",
	.event = true,
	.dep_map = DEP_MAP_AT(struct spinlock),
	.waits_on = has_awaited,
	.lend = lend_turn,
	.lent = "%s keeps %s; %s is let in once",
	.lend_rank = 2,
};

static bool masks(const struct waiting *w, const struct thread *t)
{
	return t == w->obj && READ_ONCE(gate_of(t)->masked);
}

static int pass_masked(void *obj, struct thread *t)
{
	return let_pass(obj, t) ? 0 : -EINVAL;
}

/* The wait for a core that does not answer, because its thread masks IRQs. */
static const struct wait_ops answer_wait = {
	.name = "other cores",
	.relation = "where runs",
	.event = true,
	.waits_on = masks,
	.lend = pass_masked,
	.lent = "%s masks interrupts, so %s does not come; %s goes on",
	.lend_rank = 1,
};

bool take_turn(struct gate *g, const struct spinlock *l)
{
	uint32_t flags = footprint_lock();
	bool mine = !has_spinlock(NULL, l) || g->lent;

	g->wants = mine ? NULL : l;
	g->turn = false;
	if (mine) {
		BUG_ON(g->nr_held == SPINS_MAX);
		g->held[g->nr_held].lock = l;
		WRITE_ONCE(g->nr_held, g->nr_held + 1);
		g->lent = false;
	}
	footprint_unlock(flags);
	return mine;
}

void await_turn(struct gate *g, const struct spinlock *l, uintptr_t caller)
{
	while (!take_turn(g, l)) {
		struct waiting outer =
			busy_begin(&turn_wait, l, l->name, caller);

		sched_hold(&g->turn);
		busy_set(outer);
	}
}

void await_answer(struct gate *g, struct gate *to, uintptr_t caller)
{
	WRITE_ONCE(g->wants, to->thread);
	while (READ_ONCE(to->masked) && !READ_ONCE(g->lent)) {
		struct waiting outer = busy_begin(&answer_wait, to->thread,
						  "an answer", caller);

		sched_hold(&g->turn);
		WRITE_ONCE(g->turn, false);
		busy_set(outer);
	}
	WRITE_ONCE(g->wants, NULL);
	WRITE_ONCE(g->lent, false);
}

void wake_wanting(const void *obj)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (READ_ONCE(ex.gate[i].wants) == obj)
			sched_release(ex.gate[i].thread, &ex.gate[i].turn);
}

void give_turn(struct gate *g, const void *lock)
{
	bool masked = irqs_disabled();
	uint32_t flags = footprint_lock();
	unsigned int i = g->nr_held;

	while (i > 0 && g->held[i - 1].lock != lock)
		i--;
	if (i) {
		g->preempt_count -= g->held[i - 1].adds;
		memmove(&g->held[i - 1], &g->held[i],
			(g->nr_held - i) * sizeof(g->held[0]));
		WRITE_ONCE(g->nr_held, g->nr_held - 1);
		g->irqs_off = g->nr_held ? masked : g->bound != NULL;
	}
	footprint_unlock(flags);
	if (!READ_ONCE(ex.gates_open))
		return;
	wake_wanting(lock);
	if (g->masked && !masked) {
		WRITE_ONCE(g->masked, false);
		wake_wanting(g->thread);
	}
}

bool may_stop(const struct gate *g)
{
	return current->preempt_count == g->preempt_count &&
	       irqs_disabled() == g->irqs_off;
}

void set_masked(struct gate *by, struct gate *g, bool masked)
{
	uintptr_t i = (uintptr_t)(g - ex.gate);

	g->masked = masked;
	if (masked)
		left_masked(i, ex.subject.apart);
	for (unsigned int k = 0; k < (g->has_interrupts ? 2 : 1); k++) {
		uintptr_t thing = k ? COMES_OF(i) : IRQS_OF(i);

		if (masked)
			touch_and_shut(by, thing, TOUCH_WRITE);
		else
			touch(by, thing, TOUCH_WRITE, true);
	}
}

void note_masked(struct gate *g)
{
	bool masked = irqs_disabled();

	if (masked != g->masked && !g->bound)
		set_masked(g, g, masked);
}
#endif
