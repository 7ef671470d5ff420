/*
 * The hotplug counter of Linux 3.6, without the merged check (075663d19885), and with
 * each check that the 2012 thread proposed.
 *
 * The functions work on the kernel's own cpu_hotplug, by the kernel's own steps. Read
 * them beside kernel/cpu/hotplug_lock.c, whose put_online_cpus() is the merged form. Each
 * table below (struct hotplug_lock_ops) is named after a function of this file. Its other
 * functions are the kernel's, but no table has the merged put_online_cpus(): the table of
 * debug patch A has that of Linux 3.6. The engine installs a table by
 * hotplug_lock_install() while nobody holds the lock. Context: thread, may sleep.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

/* The function of Linux 3.6: it does not test the count. */
static story void put_online_cpus__3_6(void)
{
	saw(__func__);
	if (READ_ONCE(cpu_hotplug.active_writer) == current)
		return;
	mutex_lock(&cpu_hotplug.lock);
	if (cpu_hotplug_count(-1, CALLER) == 0)
		cpu_hotplug_wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

/* Bhat, 3 October 2012, 11:38 +0530, debug patch A: is the count negative? The BUG hits
 * the next caller, not the culprit. */
static story void get_online_cpus__bhat_a(void)
{
	saw(__func__);
	if (READ_ONCE(cpu_hotplug.active_writer) == current)
		return;
	mutex_lock(&cpu_hotplug.lock);
	BUG_ON(cpu_hotplug.refcount < 0);
	cpu_hotplug_count(1, CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

/* Bhat, 3 October 2012, 04:24 EST, debug patch B: "catch the bug even earlier, at the
 * right moment". */
static story void put_online_cpus__bhat_b(void)
{
	saw(__func__);
	if (READ_ONCE(cpu_hotplug.active_writer) == current)
		return;
	mutex_lock(&cpu_hotplug.lock);
	BUG_ON(cpu_hotplug.refcount == 0);
	if (cpu_hotplug_count(-1, CALLER) == 0)
		cpu_hotplug_wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

/* Morton, 3 October 2012, 14:13 -0700, a sketch: warn, and repair the count. The sketch
 * tests for -1 where the count is 0, so it never warns. */
static story void put_online_cpus__morton(void)
{
	saw(__func__);
	if (READ_ONCE(cpu_hotplug.active_writer) == current)
		return;
	mutex_lock(&cpu_hotplug.lock);
	if (cpu_hotplug_count(-1, CALLER) == 0) {
		if (WARN_ON(cpu_hotplug.refcount == -1))
			cpu_hotplug_count(1, CALLER);
		cpu_hotplug_wake_writer(CALLER);
	}
	mutex_unlock(&cpu_hotplug.lock);
}

#define COUNTER_WITH(variant, get_fn, put_fn)                                  \
	{                                                                      \
		.name = #variant, .get = (get_fn), .put = (put_fn),            \
		.begin = cpu_hotplug_begin__counter,                           \
		.done = cpu_hotplug_done__counter, .held = held__counter,      \
	}
#define COUNTER_WITH_PUT(fn) COUNTER_WITH(fn, get_online_cpus__counter, fn)
#define COUNTER_WITH_GET(fn) COUNTER_WITH(fn, fn, put_online_cpus__3_6)

const struct hotplug_lock_ops hotplug_3_6_ops =
	COUNTER_WITH_PUT(put_online_cpus__3_6);
const struct hotplug_lock_ops hotplug_bhat_a_ops =
	COUNTER_WITH_GET(get_online_cpus__bhat_a);
const struct hotplug_lock_ops hotplug_bhat_b_ops =
	COUNTER_WITH_PUT(put_online_cpus__bhat_b);
const struct hotplug_lock_ops hotplug_morton_ops =
	COUNTER_WITH_PUT(put_online_cpus__morton);
