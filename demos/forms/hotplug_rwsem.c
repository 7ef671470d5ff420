/*
 * The hotplug lock as in Linux since 2017 (fc8dffd379ca, v4.13): a per-core rw-semaphore
 * that prefers writers, with the names of that time.
 *
 * Read it beside kernel/cpu/hotplug_lock.c. For callers this lock differs from the
 * counter in two points. A reader that comes while a writer waits queues behind that
 * writer. So if a reader takes the lock again, it may wait for a writer that waits for
 * this reader. And the thread that is the writer may not take the lock as a reader. In
 * return lockdep sees the whole lock (of the counter it sees only a mutex that is held
 * for an instant), and readers cannot starve the writer.
 *
 * Owns cpu_hotplug_lock, which guards the set of cores while hotplug_rwsem_ops is
 * installed (hotplug_lock_install()). Context: thread, may sleep.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

struct percpu_rwsem cpu_hotplug_lock = {
	DEP_MAP_SLEEPS("cpu_hotplug_lock").name = "cpu_hotplug_lock",
	/* Lockdep does not check this mutex: the map of the semaphore stands for it. */
	.writers = { DEP_MAP_SLEEPS_KEY("cpu_hotplug_lock.writers",
					&lockdep_no_validate)
			     .name = "cpu_hotplug_lock.writers",
		     .wait_lock = SPINLOCK_INIT_KEY("mutex.wait_lock",
						    mutex_wait_key),
		     .waiters =
			     LIST_HEAD_INIT(cpu_hotplug_lock.writers.waiters) },
	.wait_lock =
		SPINLOCK_INIT_KEY("percpu_rwsem.wait_lock", percpu_wait_key),
	.waiters = LIST_HEAD_INIT(cpu_hotplug_lock.waiters),
};

story void cpus_read_lock(void)
{
	saw(hotplug_rwsem_ops.name);
	percpu_down_read(&cpu_hotplug_lock);
	__asm__ volatile(""); /* keep the frame: no tail call in release */
}

story void cpus_read_unlock(void)
{
	percpu_up_read(&cpu_hotplug_lock);
	__asm__ volatile("");
}

story void cpus_write_lock(void)
{
	saw(hotplug_rwsem_ops.name);
	percpu_down_write(&cpu_hotplug_lock);
	__asm__ volatile("");
}

story void cpus_write_unlock(void)
{
	percpu_up_write(&cpu_hotplug_lock);
	__asm__ volatile("");
}

/* For lockdep_assert_cpus_held(), which does nothing in release. */
static bool percpu_rwsem_is_held(void)
{
#if GORDIAN_DEBUG
	return lock_is_held(&cpu_hotplug_lock.dep_map);
#else
	return true;
#endif
}

const struct hotplug_lock_ops hotplug_rwsem_ops = {
	.name = "rwsem",
	.get = cpus_read_lock,
	.put = cpus_read_unlock,
	.begin = cpus_write_lock,
	.done = cpus_write_unlock,
	.held = percpu_rwsem_is_held,
	.rwsem = &cpu_hotplug_lock,
};
