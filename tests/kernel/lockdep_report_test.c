/*
 * Suite lockdep: cases show_* print one report of each kind. tests/test_lockdep.py
 * reads the reports. The cases run only when named.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/rcu/rcu.h"
#include "kernel/slab/slab.h"

/* ---- what each report looks like ---------------------------------------------------------------- */

static DEFINE_MUTEX(lock_a);
static DEFINE_MUTEX(lock_b);
static DEFINE_MUTEX(lock_c);
static DEFINE_MUTEX(lock_d);

#define ORDER(name, first, second)                                             \
	static noinline void name(void)                                        \
	{                                                                      \
		mutex_lock(&(first));                                          \
		mutex_lock(&(second));                                         \
		mutex_unlock(&(second));                                       \
		mutex_unlock(&(first));                                        \
	}
ORDER(a_then_b, lock_a, lock_b)
ORDER(b_then_a, lock_b, lock_a)
ORDER(b_then_c, lock_b, lock_c)
ORDER(c_then_d, lock_c, lock_d)
ORDER(d_then_a, lock_d, lock_a)

#define SHOW(name, kinds)                                                      \
	static void show_##name(void);                                         \
	KTEST_MANUAL(lockdep, show_##name)                                     \
	{                                                                      \
		ktest_lockdep(kinds);                                          \
		show_##name();                                                 \
		EXPECT_EQ(lockdep_total(), 1);                                 \
		kprintf("the same again:\n");                                  \
		EXPECT(lockdep_print_last());                                  \
	}                                                                      \
	static void show_##name(void)

SHOW(circular, CIRCULAR)
{
	a_then_b();
	b_then_a();
}

SHOW(ring, CIRCULAR)
{
	a_then_b();
	b_then_c();
	c_then_d();
	d_then_a();
}

static struct lockdep_map a_map = LOCKDEP_MAP_INIT("a_map");

static noinline void take_a(void)
{
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
}

static noinline void read_map_then_a(void)
{
	lock_map_acquire_read(&a_map);
	take_a();
	lock_map_release(&a_map);
}

static noinline void write_map_then_a(void)
{
	lock_map_acquire(&a_map);
	take_a();
	lock_map_release(&a_map);
}

static noinline void a_then_read_map(void)
{
	mutex_lock(&lock_a);
	lock_map_acquire_read(&a_map);
	lock_map_release(&a_map);
	mutex_unlock(&lock_a);
}

/* Two readers do not wait for each other. So the report must show the writer's
 * stack, although the reader came first. */
SHOW(readers, CIRCULAR)
{
	read_map_then_a();
	write_map_then_a();
	a_then_read_map();
}

static struct mutex twins[2];

static noinline void take_twins(void)
{
	mutex_lock(&twins[0]);
	mutex_lock(&twins[1]);
	mutex_unlock(&twins[1]);
	mutex_unlock(&twins[0]);
}

static void init_twins(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(twins); i++)
		mutex_init(&twins[i], "twin");
}

SHOW(recursive, RECURSIVE)
{
	init_twins();
	take_twins();
}

static DEFINE_SPINLOCK(irq_lock);
static DEFINE_SPINLOCK(plain_lock);
static bool handled;

static void take_in_timer(struct timer *t)
{
	(void)t;
	spin_lock(&irq_lock);
	spin_unlock(&irq_lock);
	WRITE_ONCE(handled, true);
}

static noinline void use_in_interrupt(void)
{
	handled = false;
	in_timer(take_in_timer, NULL, &handled);
}

static noinline void use_with_irqs_on(struct spinlock *s)
{
	spin_lock(s);
	spin_unlock(s);
}

static noinline void irq_lock_then_plain(void)
{
	uint32_t flags = spin_lock_irqsave(&irq_lock);

	spin_lock(&plain_lock);
	spin_unlock(&plain_lock);
	spin_unlock_irqrestore(&irq_lock, flags);
}

SHOW(irq_order, IRQ_ORDER)
{
	use_in_interrupt();
	use_with_irqs_on(&plain_lock);
	irq_lock_then_plain();
}

SHOW(irq_inversion, INVERSION)
{
	irq_lock_then_plain();
	use_with_irqs_on(&plain_lock);
	use_in_interrupt();
}

/* The other way round: here the last thing that lockdep learns is that the lock is
 * held with interrupts on. */
SHOW(irq_inversion_on, INVERSION)
{
	use_in_interrupt();
	irq_lock_then_plain();
	use_with_irqs_on(&plain_lock);
}

SHOW(inconsistent, INCONSISTENT)
{
	use_with_irqs_on(&irq_lock);
	use_in_interrupt();
}

SHOW(inconsistent_on, INCONSISTENT)
{
	use_in_interrupt();
	use_with_irqs_on(&irq_lock);
}

static noinline void turn_irqs_on_with(struct spinlock *s)
{
	uint32_t flags = spin_lock_irqsave(s);

	local_irq_enable(); /* wrong */
	spin_unlock_irqrestore(s, flags);
}

SHOW(inconsistent_later, INCONSISTENT)
{
	use_in_interrupt();
	turn_irqs_on_with(&irq_lock);
}

static struct {
	struct lockdep_map map;
	bool holds, go;
} learnt = { .map = LOCKDEP_MAP_INIT("learnt_map") };

static int hold_learnt(void *arg)
{
	(void)arg;
	lock_map_acquire(&learnt.map);
	local_irq_disable(); /* so no interrupt tells for this thread */
	WRITE_ONCE(learnt.holds, true);
	while (!READ_ONCE(learnt.go))
		ktest_busy();
	local_irq_enable();
	lock_map_release(&learnt.map);
	return 0;
}

static void take_learnt(struct timer *t)
{
	(void)t;
	lock_map_acquire(&learnt.map);
	lock_map_release(&learnt.map);
	WRITE_ONCE(handled, true);
}

/* The thread tells after a reset what it holds. */
SHOW(inconsistent_learnt, INCONSISTENT)
{
	struct thread *t;

	NEED_CORES(2);
	ktest_run_on(ktest_first_core());
	t = ktest_thread("holder", hold_learnt, NULL,
			 cpumask_of(ktest_last_core()));
	EXPECT(EVENTUALLY(READ_ONCE(learnt.holds)));
	lockdep_reset();
	handled = false;
	in_timer(take_learnt, NULL, &handled);
	WRITE_ONCE(learnt.go, true);
	thread_join(t);
}

static void nothing(void *arg)
{
	(void)arg;
}

static noinline void call_with(struct spinlock *s)
{
	spin_lock(s);
	on_each_cpu(nothing, NULL);
	spin_unlock(s);
}

static noinline void take_masked(struct spinlock *s)
{
	uint32_t flags = spin_lock_irqsave(s);

	spin_unlock_irqrestore(s, flags);
}

static noinline void irq_lock_then_plain_on(void)
{
	spin_lock(&irq_lock);
	use_with_irqs_on(&plain_lock);
	spin_unlock(&irq_lock);
}

SHOW(call, INCONSISTENT)
{
	take_masked(&plain_lock);
	call_with(&plain_lock);
}

SHOW(call_first, INCONSISTENT)
{
	call_with(&plain_lock);
	take_masked(&plain_lock);
}

SHOW(call_order, IRQ_ORDER)
{
	take_masked(&irq_lock);
	call_with(&plain_lock);
	irq_lock_then_plain_on();
}

SHOW(call_inversion, INVERSION)
{
	take_masked(&irq_lock);
	irq_lock_then_plain_on();
	call_with(&plain_lock);
}

SHOW(call_inversion_off, INVERSION)
{
	call_with(&plain_lock);
	irq_lock_then_plain_on();
	take_masked(&irq_lock);
}

static noinline void release_what_is_free(void)
{
	mutex_unlock(&lock_a);
}

SHOW(unbalanced, UNBALANCED)
{
	release_what_is_free();
}

SHOW(unbalanced_other, UNBALANCED)
{
	mutex_lock(&lock_b);
	release_what_is_free();
	mutex_unlock(&lock_b);
}

static void release_in_timer(struct timer *t)
{
	(void)t;
	lock_map_release(&a_map);
	WRITE_ONCE(handled, true);
}

SHOW(out_of_context, UNBALANCED)
{
	lock_map_acquire(&a_map);
	handled = false;
	in_timer(release_in_timer, NULL, &handled);
}

static int end_with_lock(void *arg)
{
	mutex_lock(&lock_a);
	mutex_lock(&lock_b); /* the report names the one taken first */
	(void)arg;
	return 0;
}

SHOW(held_at_end, AT_END)
{
	struct thread *t =
		ktest_thread("keeper", end_with_lock, NULL, CPUMASK_ALL);

	thread_join(t);
	mutex_release_dead(&lock_b, t);
	mutex_release_dead(&lock_a, t);
}

static noinline void free_a_held_lock(void)
{
	struct mutex *m = kmalloc(2 * sizeof(*m));

	EXPECT(m != NULL);
	if (!m)
		return;
	mutex_init(m, "freed");
	mutex_lock(m);
	kfree(m);
	lock_release(&m->dep_map, CALLER);
}

SHOW(held_freed, FREED)
{
	free_a_held_lock();
}

static noinline void sleep_in_a_reader(void)
{
	rcu_read_lock();
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	rcu_read_unlock();
}

SHOW(sleep, SLEEP)
{
	sleep_in_a_reader();
}

static void sleep_in_timer(struct timer *t)
{
	(void)t;
	sleep_perhaps();
	WRITE_ONCE(handled, true);
}

SHOW(sleep_in_interrupt, SLEEP)
{
	handled = false;
	in_timer(sleep_in_timer, NULL, &handled);
}

SHOW(rcu, RCU)
{
	dereference();
}

static noinline int *dereference_under_a(void)
{
	return rcu_dereference_protected(shared_pointer,
					 lock_is_held(&lock_a.dep_map));
}

SHOW(rcu_protected, RCU)
{
	dereference_under_a();
}

static noinline void needs_a(void)
{
	lockdep_assert_held(&lock_a);
}

SHOW(not_held, NOT_HELD)
{
	needs_a();
}

SHOW(cpus_not_held, NOT_HELD)
{
	assert_cpus_held();
}

static struct rw_semaphore read_sem;

static noinline void must_write(void)
{
	lockdep_assert_held_write(&read_sem);
}

SHOW(not_held_for_writing, NOT_HELD)
{
	init_rwsem(&read_sem, "read_sem");
	down_read(&read_sem);
	must_write();
	up_read(&read_sem);
}

static noinline void must_read(void)
{
	lockdep_assert_held_read(&read_sem);
}

SHOW(not_held_for_reading, NOT_HELD)
{
	init_rwsem(&read_sem, "read_sem");
	must_read();
}

static noinline void must_not_hold_a(void)
{
	lockdep_assert_not_held(&lock_a);
}

SHOW(held, NOT_HELD)
{
	mutex_lock(&lock_a);
	must_not_hold_a();
	mutex_unlock(&lock_a);
}

static noinline void sleep_with_a_spinlock(void)
{
	uint32_t flags = spin_lock_irqsave(&irq_lock);

	local_irq_enable(); /* a wrong flag */
	sleep_perhaps();
	spin_unlock_irqrestore(&irq_lock, flags);
}

SHOW(sleep_with_spinlock, SLEEP)
{
	sleep_with_a_spinlock();
}

static noinline void end_a_reader(void)
{
	rcu_read_unlock();
}

static noinline void enable_once_too_often(void)
{
	preempt_enable();
}

SHOW(no_preempt_disable, UNBALANCED)
{
	enable_once_too_often();
	sleep_perhaps();
}

SHOW(no_reader, UNBALANCED)
{
	end_a_reader();
}

static void stay_in_reader(struct timer *t)
{
	(void)t;
	rcu_read_lock();
	WRITE_ONCE(handled, true);
}

SHOW(left_reader, LEFT)
{
	handled = false;
	in_timer(stay_in_reader, NULL, &handled);
}

static void read_in_timer(struct timer *t)
{
	(void)t;
	rcu_read_lock();
	rcu_read_unlock();
	WRITE_ONCE(handled, true);
}

static void leave_irqs_on(struct timer *t)
{
	(void)t;
	local_irq_enable();
	WRITE_ONCE(handled, true);
}

/* The thread is in a reader of its own, which is right. */
SHOW(left_inner_reader, LEFT)
{
	handled = false;
	rcu_read_lock();
	in_timer(stay_in_reader, NULL, &handled);
	rcu_read_unlock();
}

/* The timer's reader is over; the thread's is not. */
SHOW(left_outer_reader, SLEEP)
{
	handled = false;
	rcu_read_lock();
	in_timer(read_in_timer, NULL, &handled);
	sleep_perhaps();
	rcu_read_unlock();
}

SHOW(left_irqs_on, LEFT)
{
	handled = false;
	in_timer(leave_irqs_on, NULL, &handled);
}

static int end_with_preempt_count(void *arg)
{
	(void)arg;
	preempt_disable();
	return 0;
}

SHOW(left_count, LEFT)
{
	in_thread(end_with_preempt_count, NULL);
}

static void keep_in_timer(struct timer *t)
{
	(void)t;
	spin_lock(&irq_lock);
	WRITE_ONCE(handled, true);
}

SHOW(held_at_timer_end, AT_END)
{
	handled = false;
	in_timer(keep_in_timer, NULL, &handled);
	spin_unlock(&irq_lock);
}

static struct lockdep_map row_of_maps[40];

static noinline void take_map(unsigned int i)
{
	lock_map_acquire(&row_of_maps[i]);
}

/* Many locks are held: the report names all, also the newest, which it is about. */
SHOW(many_held, RECURSIVE)
{
	static struct lock_class_key key;

	init_twins();
	for (unsigned int i = 0; i < 20; i++) {
		lockdep_init_map(&row_of_maps[i], "map", NULL, LOCK_WAITS_NONE);
		take_map(i);
	}
	lockdep_init_map(&row_of_maps[20], "newest", &key, LOCK_WAITS_NONE);
	lockdep_init_map(&row_of_maps[21], "newest", &key, LOCK_WAITS_NONE);
	take_map(20);
	take_map(21);
	for (unsigned int i = 22; i-- > 0;)
		lock_map_release(&row_of_maps[i]);
}

static struct mutex crowd[40];

/* Many locks that share entries. */
SHOW(crowd, RCU)
{
	mutex_lock(&lock_a);
	for (unsigned int i = 0; i < ARRAY_SIZE(crowd); i++) {
		mutex_init(&crowd[i], "crowd");
		mutex_lock_nest_lock(&crowd[i], &lock_a);
	}
	dereference();
	for (unsigned int i = ARRAY_SIZE(crowd); i-- > 0;)
		mutex_unlock(&crowd[i]);
	mutex_unlock(&lock_a);
}

static noinline void take_pair(unsigned int i, unsigned int k)
{
	lock_map_acquire(&row_of_maps[i]);
	lock_map_acquire(&row_of_maps[k]);
	lock_map_release(&row_of_maps[k]);
	lock_map_release(&row_of_maps[i]);
}

static void show_cycle_of(unsigned int n)
{
	static char names[40][8];

	for (unsigned int i = 0; i < n; i++) {
		ksnprintf(names[i], sizeof(names[i]), "m%u", i);
		lockdep_init_map(&row_of_maps[i], names[i], NULL,
				 LOCK_WAITS_NONE);
	}
	for (unsigned int i = 0; i < n; i++)
		take_pair(i, (i + 1) % n);
}

/* Too long for columns; too long to be printed in full. */
SHOW(cycle_of_20, CIRCULAR)
{
	show_cycle_of(20);
}

SHOW(cycle_of_40, CIRCULAR)
{
	show_cycle_of(40);
}

static noinline void take_deep(unsigned int depth)
{
	if (depth)
		take_deep(depth - 1);
	else
		dereference();
	__asm__ volatile("");
}

SHOW(deep_stack, RCU)
{
	take_deep(30);
}

/* One lockdep_quiet(false) too many: reports are still printed. */
SHOW(quiet_once_too_often, RCU)
{
	lockdep_quiet(true);
	lockdep_quiet(false);
	lockdep_quiet(false);
	dereference();
}

static noinline void take_without_the_outer(void)
{
	mutex_lock_nest_lock(&lock_b, &lock_a);
	mutex_unlock(&lock_b);
}

SHOW(nest, NEST)
{
	take_without_the_outer();
}

/* ---- reports of four cores at once, with resets ------------------------------------------------- */

#define STORM 1000

static struct lockdep_map storm_maps[4][2] = {
	{ LOCKDEP_MAP_INIT("storm0_a"), LOCKDEP_MAP_INIT("storm0_b") },
	{ LOCKDEP_MAP_INIT("storm1_a"), LOCKDEP_MAP_INIT("storm1_b") },
	{ LOCKDEP_MAP_INIT("storm2_a"), LOCKDEP_MAP_INIT("storm2_b") },
	{ LOCKDEP_MAP_INIT("storm3_a"), LOCKDEP_MAP_INIT("storm3_b") },
};

static noinline void storm_pair(struct lockdep_map *a, struct lockdep_map *b)
{
	lock_map_acquire(a);
	lock_map_acquire(b);
	lock_map_release(b);
	lock_map_release(a);
}

static unsigned int storm_start;

static bool storm_goes_on(void)
{
	return READ_ONCE(lockdep_reports) - storm_start < STORM;
}

static int storm(void *arg)
{
	struct lockdep_map *m = arg;

	while (storm_goes_on()) {
		storm_pair(&m[0], &m[1]);
		storm_pair(&m[1], &m[0]);
		yield();
	}
	return 0;
}

static int reset_in_a_loop(void *arg)
{
	(void)arg;
	while (storm_goes_on()) {
		lockdep_reset();
		yield();
	}
	return 0;
}

KTEST_MANUAL(lockdep, storm)
{
	struct thread *t[5];

	NEED_CORES(4);
	storm_start = lockdep_reports;
	for (unsigned int i = 0; i < 4; i++) {
		char name[8];

		ksnprintf(name, sizeof(name), "storm%u", i);
		t[i] = ktest_thread(name, storm, storm_maps[i], cpumask_of(i));
	}
	t[4] = ktest_thread("reset", reset_in_a_loop, NULL, CPUMASK_ALL);
	for (unsigned int i = 0; i < 5; i++)
		thread_join(t[i]);
	lockdep_reset();
}
#endif
