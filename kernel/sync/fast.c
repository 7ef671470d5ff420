/*
 * The functions that release builds have inline: mutexes without contention
 * (mutex_fast.h), and the readers of a percpu_rwsem (rwsem_fast.h). In debug builds
 * they are here, with lockdep and the gates around them.
 *
 * Owns nothing. Context: thread, may sleep. Built without sanitizers, and optimized
 * (docs/design.md, "bare code").
 */
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"

#if GORDIAN_DEBUG
story void mutex_lock(struct mutex *m)
{
	lock_mutex(m, TASK_UNINTERRUPTIBLE, 0, NULL, CALLER);
}

story void mutex_unlock(struct mutex *m)
{
	unlock_mutex(m, CALLER);
}

void percpu_down_read(struct percpu_rwsem *s)
{
	might_sleep();
	percpu_read(s, CALLER);
}

void percpu_up_read(struct percpu_rwsem *s)
{
	percpu_unread(s, CALLER);
}
#endif
