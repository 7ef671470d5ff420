/*
 * The hotplug counter as it was in Linux 3.6, before the underflow check of
 * 075663d19885, and the same with the debug patch of the mail.
 *
 * The functions operate on the kernel's own cpu_hotplug, by the kernel's own
 * steps; only put_online_cpus() differs. Read them beside
 * kernel/cpu/hotplug_lock.c. They are installed by hotplug_lock_install() while
 * nobody holds the lock. Context: thread, may sleep.
 */
#include "demos/demo.h"
#include "kernel/debug/panic.h"

static story void put_online_cpus__3_6(void)
{
	if (READ_ONCE(cpu_hotplug.active_writer) == current)
		return;
	mutex_lock(&cpu_hotplug.lock);
	if (cpu_hotplug_count(-1, CALLER) == 0)
		cpu_hotplug_wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

/* Bhat, 3 October 2012: "catch the bug even earlier, at the right moment". */
static story void put_online_cpus__bhat_b(void)
{
	if (READ_ONCE(cpu_hotplug.active_writer) == current)
		return;
	mutex_lock(&cpu_hotplug.lock);
	BUG_ON(cpu_hotplug.refcount == 0);
	if (cpu_hotplug_count(-1, CALLER) == 0)
		cpu_hotplug_wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

#define COUNTER_WITH_PUT(fn)                                                   \
	{                                                                      \
		.name = #fn, .get = get_online_cpus__counter, .put = (fn),     \
		.begin = cpu_hotplug_begin__counter,                           \
		.done = cpu_hotplug_done__counter, .held = held__counter,      \
	}

const struct hotplug_lock_ops hotplug_3_6_ops =
	COUNTER_WITH_PUT(put_online_cpus__3_6);
const struct hotplug_lock_ops hotplug_bhat_b_ops =
	COUNTER_WITH_PUT(put_online_cpus__bhat_b);
