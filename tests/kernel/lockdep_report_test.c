/*
 * Suite lockdep: cases show_* print one report of each kind. tests/test_lockdep.py
 * reads the reports. The cases run only when named.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include "kernel/lib/printf.h"
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
	(void)arg;
	return 0;
}

SHOW(held_at_end, AT_END)
{
	struct thread *t =
		ktest_thread("keeper", end_with_lock, NULL, CPUMASK_ALL);

	thread_join(t);
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

static noinline void take_without_the_outer(void)
{
	mutex_lock_nest_lock(&lock_b, &lock_a);
	mutex_unlock(&lock_b);
}

SHOW(nest, NEST)
{
	take_without_the_outer();
}
#endif
