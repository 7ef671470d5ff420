/*
 * Suite cpu: the hotplug lock as the counter of 2012: readers nest, the writer
 * excludes them and may read itself.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/lib/errno.h"
#include "kernel/slab/slab.h"
#include "tests/kernel/cpu_log.h"
#include "tests/kernel/ktest.h"

KTEST(cpu, hotplug_lock)
{
	EXPECT_EQ(cpu_hotplug.refcount, 0);
	EXPECT(!hotplug_ops->held());
	get_online_cpus();
	get_online_cpus(); /* nests */
	EXPECT_EQ(cpu_hotplug.refcount, 2);
	EXPECT(hotplug_ops->held());
	EXPECT(!mutex_is_locked(&cpu_hotplug.lock));
	EXPECT_EQ(hotplug_lock_install(NULL), -EBUSY);
	put_online_cpus();
	EXPECT_EQ(cpu_hotplug.refcount, 1);
	put_online_cpus();
	EXPECT_EQ(cpu_hotplug.refcount, 0);
	EXPECT_EQ(hotplug_lock_install(NULL), 0);
	EXPECT(hotplug_ops == &hotplug_counter_ops);
}

/* One put_online_cpus() too many: a warning, and the count is right again. */
KTEST(cpu, hotplug_lock_underflow)
{
	ktest_reports(1, 0, 0);
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_NOT_HELD));
	put_online_cpus();
	EXPECT_EQ(cpu_hotplug.refcount, 0);
	EXPECT(!mutex_is_locked(&cpu_hotplug.lock));
	lockdep_assert_cpus_held(); /* nobody holds it */
	get_online_cpus();
	EXPECT_EQ(cpu_hotplug.refcount, 1);
	put_online_cpus();
	if (ktest_cores() > 1) {
		core_down(ktest_last_core());
		core_up(board.nr_cores - 1);
	}
}

static int take_core_down(void *arg)
{
	return cpu_down((unsigned int)(uintptr_t)arg);
}

/* The writer waits for the readers. */
KTEST(cpu, hotplug_lock_excludes)
{
	unsigned int cpu = ktest_last_core();
	struct thread *t;

	NEED_CORES(2);
	get_online_cpus();
	get_online_cpus();
	t = ktest_thread("downer", take_core_down, (void *)(uintptr_t)cpu,
			 CPUMASK_ALL);
	EXPECT(EVENTUALLY(ktest_sleeps(t) && t->waiting.ops == &refcount_wait));
	put_online_cpus();
	sleep_ns(KTEST_LOOK_NS);
	EXPECT(t->waiting.ops == &refcount_wait && cpu_is_online(cpu));
	put_online_cpus();
	EXPECT_EQ(thread_join(t), 0);
	core_up(cpu);
}

static struct thread *reader;
static uint32_t post_dead_count;

static int get_and_put(void *arg)
{
	(void)arg;
	get_online_cpus();
	EXPECT(!READ_ONCE(cpu_hotplug.active_writer));
	put_online_cpus();
	return 0;
}

/* Run by the notifiers: the writer may do what readers do; other threads wait. */
static void use_as_writer(unsigned long event, unsigned int cpu)
{
	struct kmem_cache *s;

	(void)cpu;
	if (event == CPU_STARTING || event == CPU_DYING)
		return;
	get_online_cpus();
	post_dead_count += event == CPU_POST_DEAD && cpu_hotplug.refcount == 1;
	if (event != CPU_POST_DEAD)
		EXPECT_EQ(cpu_hotplug.refcount, 0);
	put_online_cpus();
	s = kmem_cache_create("inside", 40, 0, 0, NULL);
	EXPECT(s != NULL);
	kmem_cache_free(s, kmem_cache_alloc(s));
	kmem_cache_destroy(s);
	if (event != CPU_UP_PREPARE)
		return;
	reader = ktest_thread("reader", get_and_put, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(ktest_sleeps(reader) &&
			  reader->waiting.obj == &cpu_hotplug.lock));
}

KTEST(cpu, hotplug_lock_writer)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	cpu_log_start(cpu);
	cpu_log.also = use_as_writer;
	post_dead_count = 0;
	core_down(cpu);
	EXPECT_EQ(post_dead_count, 1);
	cpu_log_check(DOWN);
	core_up(cpu);
	cpu_log_check(UP);
	thread_join(reader);
	cpu_log_stop();
}
