/*
 * The CPU hotplug lock of 2012: a counter, not a rw-semaphore.
 *
 * A reader (get_online_cpus()) holds the mutex only while it changes the count.
 * The writer (cpu_hotplug_begin()) waits until the count is exactly 0 and goes
 * on with the mutex held, so that readers wait for the mutex until
 * cpu_hotplug_done(). The writer itself may call get and put: they do nothing.
 *
 * Consequences.
 * (a) Readers keep the writer out by the count, not by the mutex. A validator
 *     that knows only mutexes cannot see this.
 * (b) Readers are preferred, and a steady stream of readers starves the writer
 *     (a comment in Linux says so, too).
 * (c) A wrong count breaks the exclusion. If the count is 0 already,
 *     put_online_cpus() warns and keeps it at 0 (Linux 075663d19885).
 *
 * cpu_hotplug.lock guards refcount. The writer sets active_writer before it
 * takes the lock; there is one writer at a time (cpu_add_remove_lock). Context:
 * thread, may sleep. Source: kernel/cpu.c of Linux at commit 075663d19885.
 */
#include "kernel/cpu/cpu.h"

#include <string.h>

#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

struct cpu_hotplug cpu_hotplug = {
	.lock = MUTEX_INIT(cpu_hotplug.lock, "cpu_hotplug.lock"),
};

const struct hotplug_lock_ops *hotplug_ops = &hotplug_counter_ops;

/* ---- the steps of which the operations are built ------------------------- */

static always_inline bool i_am_writer(void)
{
	return READ_ONCE(cpu_hotplug.active_writer) == current;
}

static always_inline void note_change(struct hotplug_change *c,
				      uintptr_t caller)
{
	c->id = current->id;
	/* The names are aligned, so that gcc copies words. */
	memcpy(__builtin_assume_aligned(c->name, 4),
	       __builtin_assume_aligned(current->name, 4), sizeof(c->name));
	WRITE_ONCE(c->caller, caller);
}

/* cpu_hotplug_count(), inline in the kernel's own get and put. */
static always_inline int count(int by, uintptr_t caller)
{
	int n = cpu_hotplug.refcount + by;

	if (by > 0)
		note_change(&cpu_hotplug.last_get, caller);
	else if (unlikely(n < 0) && !cpu_hotplug.below_0.caller)
		note_change(&cpu_hotplug.below_0, caller);

	WRITE_ONCE(cpu_hotplug.refcount, n);
#if GORDIAN_DEBUG
	current->cpus_refs += by;
#endif
	trace_did(by > 0 ? TR_GET_ONLINE : TR_PUT_ONLINE, &cpu_hotplug,
		  (uintptr_t)n, caller);
	return n;
}

int cpu_hotplug_count(int by, uintptr_t caller)
{
	return count(by, caller);
}

static always_inline void wake_writer(uintptr_t caller)
{
	struct thread *writer = READ_ONCE(cpu_hotplug.active_writer);

	if (unlikely(writer))
		wake_up_thread(writer, caller);
}

void cpu_hotplug_wake_writer(uintptr_t caller)
{
	wake_writer(caller);
}

story void get_online_cpus__counter(void)
{
	if (i_am_writer())
		return;
	mutex_lock(&cpu_hotplug.lock);
	count(1, CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

story void put_online_cpus__counter(void)
{
	if (i_am_writer())
		return;
	mutex_lock(&cpu_hotplug.lock);
	if (WARN_ON(cpu_hotplug.refcount == 0))
		count(1, CALLER); /* repair the count */
	if (count(-1, CALLER) == 0)
		wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

/* Print the count. If the count is above 0, also print the last
 * get_online_cpus(), if it is known. If the count is below 0, print the
 * put_online_cpus() that made it negative. */
static void print_refcount(const void *obj)
{
	const struct cpu_hotplug *hp = obj;
	int n = READ_ONCE(hp->refcount);
	const struct hotplug_change *c = n > 0 ? &hp->last_get : &hp->below_0;
	struct thread *t = thread_find(c->id);

	kprintf("    refcount is %d and must become 0\n", n);
	if (n && READ_ONCE(c->caller))
		kprintf("    %s called from %pS\n    by %s (thread %u)%s\n",
			n > 0 ? "last taken in get_online_cpus()" :
				"it went below 0 in put_online_cpus()",
			(void *)c->caller, c->name, c->id,
			t && !t->exited ? "" : ", which has ended");
	if (t)
		thread_put(t);
}

const struct wait_ops refcount_wait = {
	.name = "refcount",
	.event = true,
	.print = print_refcount,
};

story void cpu_hotplug_begin__counter(void)
{
	WRITE_ONCE(cpu_hotplug.active_writer, current);
	for (;;) {
		mutex_lock(&cpu_hotplug.lock);
		if (likely(cpu_hotplug.refcount == 0))
			break; /* keep the lock */
		trace_did(TR_HP_WAIT, &cpu_hotplug,
			  (uintptr_t)cpu_hotplug.refcount, CALLER);
		wait_begin(TASK_UNINTERRUPTIBLE, &refcount_wait, &cpu_hotplug,
			   "cpu_hotplug.refcount", CALLER);
		mutex_unlock(&cpu_hotplug.lock);
		schedule();
		wait_end();
	}
}

story void cpu_hotplug_done__counter(void)
{
	WRITE_ONCE(cpu_hotplug.active_writer, NULL);
	mutex_unlock(&cpu_hotplug.lock);
}

/* The counter does not record whose references it counts. So a debug build also
 * counts the references of each thread. A release build can only tell whether
 * any thread has a reference. */
bool held__counter(void)
{
#if GORDIAN_DEBUG
	return i_am_writer() || current->cpus_refs > 0;
#else
	return i_am_writer() || READ_ONCE(cpu_hotplug.refcount) > 0;
#endif
}

const struct hotplug_lock_ops hotplug_counter_ops = {
	.name = "counter",
	.get = get_online_cpus__counter,
	.put = put_online_cpus__counter,
	.begin = cpu_hotplug_begin__counter,
	.done = cpu_hotplug_done__counter,
	.held = held__counter,
};

int cpu_hotplug_rescue(void)
{
	int found;

	mutex_lock(&cpu_hotplug.lock);
	found = cpu_hotplug.refcount;
	WRITE_ONCE(cpu_hotplug.refcount, 0);
	WRITE_ONCE(cpu_hotplug.below_0.caller, 0); /* repaired */
	wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
	return found;
}

/* ---- exchange ------------------------------------------------------------ */

int hotplug_lock_install(const struct hotplug_lock_ops *ops)
{
	int err = -EBUSY;

	/* While this thread holds cpu_add_remove_lock, there is no writer.
	 * There must be no reader, either. */
	mutex_lock(&cpu_add_remove_lock);
	if (!mutex_is_locked(&cpu_hotplug.lock) &&
	    READ_ONCE(cpu_hotplug.refcount) == 0) {
		WRITE_ONCE(hotplug_ops, ops ? ops : &hotplug_counter_ops);
		err = 0;
	}
	mutex_unlock(&cpu_add_remove_lock);
	return err;
}
