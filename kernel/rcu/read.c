/*
 * RCU readers in debug builds: lockdep counts them, and notes where and when the
 * outermost one began. In release builds a reader is no more than a region with
 * preemption off (rcu.h).
 *
 * Only the thread itself uses its counts. Any context but FIQ. Built without
 * sanitizers, and optimized (docs/design.md, "bare code").
 */
#include "kernel/rcu/rcu.h"

#include "kernel/lock/lockdep.h"

#if GORDIAN_DEBUG
void rcu_read_lock(void)
{
	struct thread *t = current;

	preempt_disable();
	if (t->lockdep.readers++ == t->lockdep.reader_base) {
		t->lockdep.reader_site = CALLER;
		t->lockdep.reader_since = timer_about_now();
	}
}

void rcu_read_unlock(void)
{
	struct thread *t = current;

	if (unlikely(t->lockdep.readers <= t->lockdep.reader_base)) {
		lockdep_no_reader(CALLER);
		return;
	}
	t->lockdep.readers--;
	preempt_enable();
}
#endif
