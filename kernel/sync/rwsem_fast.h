/*
 * The readers of a percpu_rwsem. rwsem.h includes this file and has the duties of
 * a client; rwsem.c has the rest of the mechanism. Release builds have
 * percpu_down_read() and percpu_up_read() inline.
 *
 * A reader adds to the counter of a core with one atomic operation, so it need
 * not disable preemption. If it moves to another core in between, it uses the
 * counter of the core before: only the sum counts. A reader that finds the block
 * takes back its 1 from the same counter. So a sum that the writer adds up after
 * it has set the block is never too small: in each counter, a reader has added
 * before it subtracts, or has come in before the block.
 *
 * Context: thread, may sleep.
 */
#pragma once

#include "kernel/debug/trace.h"
#include "kernel/sched/sched.h"

static always_inline int32_t *percpu_counter(struct percpu_rwsem *s)
{
	return &s->count[smp_processor_id()].n;
}

static always_inline void percpu_count(int32_t *counter, int32_t by)
{
	/* Relaxed: the barriers of the callers order it. */
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* A reader has left, or has failed to get in. If a writer waits for the
 * readers, wake it. */
void percpu_wake_writer(struct percpu_rwsem *s, uintptr_t caller);
/* Wait until no writer blocks the readers, and come in. */
void percpu_read_slow(struct percpu_rwsem *s, uintptr_t site);

/* Come in if no writer blocks the readers. Returns whether none does. */
static always_inline bool percpu_try_read(struct percpu_rwsem *s)
{
	int32_t *counter = percpu_counter(s);

	percpu_count(counter, 1);
	smp_mb(); /* P1: store the count, then read `block`; pairs with P2 */
	/* Acquire: pairs with the release in percpu_up_write(). */
	if (likely(!smp_load_acquire(&s->block)))
		return true;
	percpu_count(counter, -1);
	smp_mb(); /* store the count, then look for a writer in
		   * percpu_wake_writer(); pairs with P2 */
	return false;
}

/* The place to print in reports: site; or, if site is 0, this place. While no
 * report needs the place, it costs nothing to find it. */
static always_inline uintptr_t percpu_site(uintptr_t site)
{
	return site ? site : arch_here();
}

static always_inline void percpu_read(struct percpu_rwsem *s, uintptr_t site)
{
	trace_gate(TR_READ_LOCK, s, site);
	lock_acquire(&s->dep_map, 0, LOCK_READ, NULL, site);
	if (unlikely(!percpu_try_read(s))) {
		lock_contended(&s->dep_map);
		percpu_read_slow(s, percpu_site(site));
		lock_acquired(&s->dep_map);
	}
	trace_did_to(TR_READ_LOCK, s, s->name, percpu_site(site));
}

static always_inline void percpu_unread(struct percpu_rwsem *s,
					uintptr_t caller)
{
	trace_gate(TR_READ_UNLOCK, s, caller);
	if (!lock_release(&s->dep_map, caller))
		return;
	trace_did_to(TR_READ_UNLOCK, s, s->name, percpu_site(caller));
	smp_mb(); /* end the reader's section, then store the count; pairs with
		   * the last barrier in percpu_down_write() */
	percpu_count(percpu_counter(s), -1);
	smp_mb(); /* store the count, then read `block`; pairs with P2 */
	if (unlikely(READ_ONCE(s->block)))
		percpu_wake_writer(s, percpu_site(caller));
}

#if !GORDIAN_DEBUG
static always_inline void percpu_down_read(struct percpu_rwsem *s)
{
	percpu_read(s, 0);
}

static always_inline void percpu_up_read(struct percpu_rwsem *s)
{
	percpu_unread(s, 0);
}
#endif
