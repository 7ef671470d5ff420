/*
 * Suite lockdep: what a context leaves behind when it ends, and sleeping with a
 * spinlock held. Contexts: a thread, the idle loop, a notifier, an RCU callback, a
 * timer's function, a function that another core calls. (Interrupts: the rows of
 * lockdep_rules_test.c.)
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/cpu/stop_machine.h"
#include "kernel/debug/panic.h"
#include "kernel/rcu/rcu.h"

static DEFINE_SPINLOCK(end_spin);
static DEFINE_SPINLOCK(end_other);
static DEFINE_MUTEX(end_mutex);

/* ---- a thread ends --------------------------------------------------------------------- */

static int end_with_spinlock(void *arg)
{
	(void)arg;
	spin_lock(&end_spin);
	return 0;
}

static int end_with_three(void *arg)
{
	(void)arg;
	mutex_lock(&end_mutex);
	spin_lock(&end_spin);
	spin_lock(&end_other);
	return 0;
}

static int end_in_reader(void *arg)
{
	(void)arg;
	rcu_read_lock();
	rcu_read_lock();
	return 0;
}

static int end_with_count(void *arg)
{
	(void)arg;
	preempt_disable();
	return 0;
}

static int end_with_irqs_off(void *arg)
{
	(void)arg;
	local_irq_disable();
	return 0;
}

static int end_well(void *arg)
{
	uint32_t flags;

	(void)arg;
	rcu_read_lock();
	flags = spin_lock_irqsave(&end_spin);
	spin_unlock_irqrestore(&end_spin, flags);
	rcu_read_unlock();
	return 0;
}

/* Locks that a thread has kept are free again. */
static void renew(void)
{
	spin_lock_init(&end_spin, "end_spin");
	spin_lock_init(&end_other, "end_other");
	if (mutex_is_locked(&end_mutex))
		mutex_release_dead(&end_mutex, mutex_owner(&end_mutex));
}

KTEST(lockdep, thread_leaves)
{
	static const struct {
		int (*fn)(void *);
		unsigned int kinds;
	} way[] = {
		{ end_well, SILENT },	    { end_with_spinlock, AT_END },
		{ end_with_three, AT_END }, { end_in_reader, LEFT },
		{ end_with_count, LEFT },   { end_with_irqs_off, LEFT },
	};

	lockdep_quiet(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(way); i++) {
		in_thread(way[i].fn, NULL);
		row_check("a thread ends", way[i].kinds);
		renew();
	}
	lockdep_quiet(false);
}

/* ---- callbacks -------------------------------------------------------------------------- */

static int keep_mutex(struct notifier_block *nb, unsigned long event,
		      void *data)
{
	(void)nb, (void)event, (void)data;
	mutex_lock(&end_mutex);
	return NOTIFY_OK;
}

static int keep_irqs_off(struct notifier_block *nb, unsigned long event,
			 void *data)
{
	(void)nb, (void)event, (void)data;
	local_irq_disable();
	return NOTIFY_OK;
}

static int keep_reader(struct notifier_block *nb, unsigned long event,
		       void *data)
{
	(void)nb, (void)event, (void)data;
	rcu_read_lock();
	return NOTIFY_OK;
}

static void notify(int (*fn)(struct notifier_block *, unsigned long, void *))
{
	struct notifier_block nb = { .notifier_call = fn };
	struct raw_notifier_head head = { NULL };

	raw_notifier_chain_register(&head, &nb);
	__raw_notifier_call_chain(&head, 0, NULL, -1, NULL);
}

KTEST(lockdep, notifier_leaves)
{
	lockdep_quiet(true);
	notify(keep_irqs_off);
	EXPECT(!irqs_disabled());
	row_check("a notifier turns interrupts off", LEFT);
	notify(keep_reader);
	EXPECT_EQ(current->preempt_count, 0);
	row_check("a notifier stays in a reader", LEFT);
	notify(keep_mutex);
	EXPECT_EQ(lockdep_seen(), AT_END);
	lockdep_assert_held(&end_mutex);
	mutex_unlock(&end_mutex); /* late, but right */
	row_check("a notifier keeps a mutex", AT_END);
	lockdep_quiet(false);
}

static uint32_t kept_flags;

static int keep_reader_and_spinlock(struct notifier_block *nb,
				    unsigned long event, void *data)
{
	(void)nb, (void)event, (void)data;
	rcu_read_lock();
	kept_flags = spin_lock_irqsave(&end_spin);
	return NOTIFY_OK;
}

static struct lockdep_map callers_map = LOCKDEP_MAP_INIT("callers_map");
static struct lockdep_map kept_map = LOCKDEP_MAP_INIT("kept_map");

static int exchange_locks(struct notifier_block *nb, unsigned long event,
			  void *data)
{
	(void)nb, (void)event, (void)data;
	lock_map_release(&callers_map);
	lock_map_acquire(&kept_map);
	return NOTIFY_OK;
}

/* It releases the caller's lock, which is right, and keeps one of its own: as many
 * locks are held as before. */
KTEST(lockdep, notifier_exchanges)
{
	lockdep_quiet(true);
	lock_map_acquire(&callers_map);
	notify(exchange_locks);
	EXPECT_EQ(lockdep_seen(), AT_END);
	lock_map_release(&kept_map); /* late, but right */
	row_check("a notifier exchanges locks", AT_END);
	lockdep_quiet(false);
}

static int release_callers(struct notifier_block *nb, unsigned long event,
			   void *data)
{
	(void)nb, (void)event, (void)data;
	lock_map_release(&callers_map);
	return NOTIFY_OK;
}

static int exchange_in_two(struct notifier_block *nb, unsigned long event,
			   void *data)
{
	(void)nb, (void)event, (void)data;
	notify(release_callers);
	lock_map_acquire(&kept_map);
	return NOTIFY_OK;
}

/* The same, but a notifier that the notifier calls releases it. */
KTEST(lockdep, notifier_in_notifier_exchanges)
{
	lockdep_quiet(true);
	lock_map_acquire(&callers_map);
	notify(exchange_in_two);
	EXPECT_EQ(lockdep_seen(), AT_END);
	lock_map_release(&kept_map); /* late, but right */
	row_check("two notifiers exchange locks", AT_END);
	lockdep_quiet(false);
}

static int keep_two(struct notifier_block *nb, unsigned long event, void *data)
{
	(void)nb, (void)event, (void)data;
	kept_flags = spin_lock_irqsave(&end_spin);
	spin_lock(&end_other);
	return NOTIFY_OK;
}

/* Only the second of its spinlocks owns one of the preempt count. */
KTEST(lockdep, notifier_leaves_two)
{
	lockdep_quiet(true);
	notify(keep_two);
	spin_unlock_irqrestore(&end_spin,
			       kept_flags); /* both late, but right */
	EXPECT_EQ(current->preempt_count, 0);
	spin_unlock(&end_other);
	EXPECT_EQ(current->preempt_count, 0);
	row_check("a notifier keeps two spinlocks", AT_END);
	lockdep_quiet(false);
}

static int do_nothing(struct notifier_block *nb, unsigned long event,
		      void *data)
{
	(void)nb, (void)event, (void)data;
	return NOTIFY_OK;
}

static void rob_and_notify(struct timer *t)
{
	spin_unlock(&end_spin);
	notify(do_nothing);
	WRITE_ONCE(*(bool *)t->arg, true);
}

/* The preempt count that the interrupt returns with is explained by the lock that it
 * has released, also if it calls a notifier afterwards. */
KTEST(lockdep, robbed_by_two_contexts)
{
	bool done = false;

	lockdep_quiet(true);
	spin_lock(&end_spin);
	in_timer(rob_and_notify, &done, &done);
	spin_unlock(&end_spin); /* late, but right */
	EXPECT_EQ(current->preempt_count, 0);
	row_check("an interrupt releases, and notifies", UNBALANCED);
	lockdep_quiet(false);
}

/* With interrupts off a spinlock owns none of the preempt count, so the one that
 * is too many is the reader's. */
KTEST(lockdep, notifier_leaves_both)
{
	lockdep_quiet(true);
	notify(keep_reader_and_spinlock);
	EXPECT_EQ(current->preempt_count, 0);
	spin_unlock_irqrestore(&end_spin, kept_flags); /* late, but right */
	rcu_read_unlock();
	EXPECT_EQ(current->preempt_count, 0);
	row_check("a notifier keeps a reader and a spinlock", AT_END | LEFT);
	lockdep_quiet(false);
}

static void callback_in_reader(struct rcu_head *head)
{
	(void)head;
	rcu_read_lock();
}

static void callback_with_lock(struct rcu_head *head)
{
	(void)head;
	spin_lock(&end_spin);
}

KTEST(lockdep, callback_leaves)
{
	static struct rcu_head head;

	lockdep_quiet(true);
	call_rcu(&head, callback_in_reader);
	rcu_barrier();
	row_check("a callback stays in a reader", LEFT);
	call_rcu(&head, callback_with_lock);
	rcu_barrier();
	row_check("a callback keeps a spinlock", AT_END);
	renew();
	lockdep_quiet(false);
}

static void call_with_count(void *arg)
{
	(void)arg;
	preempt_disable();
}

static void call_with_irqs_on(void *arg)
{
	(void)arg;
	local_irq_enable();
}

KTEST(lockdep, call_leaves)
{
	unsigned int cpu;

	lockdep_quiet(true);
	for_each_online_cpu (cpu) {
		smp_call_function_single(cpu, call_with_count, NULL, true);
		row_check("a call leaves another count", LEFT);
		smp_call_function_single(cpu, call_with_irqs_on, NULL, true);
		row_check("a call leaves interrupts on", LEFT);
	}
	EXPECT_EQ(current->preempt_count, 0);
	lockdep_quiet(false);
}

static int stop_with_count(void *arg)
{
	(void)arg;
	preempt_disable();
	return 0;
}

KTEST(lockdep, stop_leaves)
{
	lockdep_quiet(true);
	stop_machine(stop_with_count, NULL, ktest_first_core());
	row_check("a function of stop_machine() leaves another count", LEFT);
	lockdep_quiet(false);
}

/* ---- the idle loop ------------------------------------------------------------------------ */

static struct lockdep_map left_map = LOCKDEP_MAP_INIT("left_map");
static struct lockdep_map free_map = LOCKDEP_MAP_INIT("free_map");

static struct {
	bool done, left, free;
} idle_case;

/* In an idle thread: what does it hold? */
static void look_in_idle(void *arg)
{
	(void)arg;
	if (!current->is_idle)
		return;
	idle_case.left = lock_is_held(&left_map);
	idle_case.free = lock_is_held(&free_map);
	idle_case.done = true;
}

static void take_and_leave(void *arg)
{
	if (current->is_idle) {
		lock_map_acquire(&left_map);
		*(bool *)arg = true;
	}
}

static void release_late(void *arg)
{
	if (current->is_idle) {
		lock_map_release(&left_map);
		*(bool *)arg = true;
	}
}

static bool done_in_idle(unsigned int cpu, void (*fn)(void *))
{
	bool done = false;

	smp_call_function_single(cpu, fn, &done, true);
	return done;
}

static bool seen_in_idle(unsigned int cpu)
{
	idle_case.done = false;
	smp_call_function_single(cpu, look_in_idle, NULL, true);
	return idle_case.done;
}

/* What an idle thread has left behind is known exactly, also after a reset. */
KTEST(lockdep, idle_leaves)
{
	unsigned int cpu;

	NEED_CORES(2);
	ktest_run_on(ktest_first_core());
	cpu = ktest_last_core();
	lockdep_quiet(true);
	EXPECT(EVENTUALLY(done_in_idle(cpu, take_and_leave)));
	EXPECT_EQ(lockdep_seen(), AT_END);
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT(EVENTUALLY(seen_in_idle(cpu)));
		EXPECT(idle_case.left && !idle_case.free);
		lockdep_reset();
	}
	EXPECT(EVENTUALLY(done_in_idle(cpu, release_late)));
	EXPECT(EVENTUALLY(seen_in_idle(cpu)));
	EXPECT(!idle_case.left && !idle_case.free);
	row_check("an idle thread leaves a lock", SILENT);
	lockdep_quiet(false);
}

/* ---- sleeping with a spinlock held ---------------------------------------------------------- */

/* Release end_other with the flags of end_spin: interrupts are on, the preempt
 * count is 0, and end_spin is held. */
static uint32_t take_with_wrong_flags(uint32_t *right)
{
	uint32_t flags = spin_lock_irqsave(&end_spin);

	*right = spin_lock_irqsave(&end_other);
	spin_unlock_irqrestore(&end_other, flags);
	return flags;
}

KTEST(lockdep, wrong_flags)
{
	uint32_t flags, right;

	lockdep_quiet(true);
	flags = take_with_wrong_flags(&right);
	mutex_lock(&end_mutex);
	mutex_unlock(&end_mutex);
	spin_unlock_irqrestore(&end_spin, flags);
	row_check("a mutex in a spinlock", SLEEP);
	flags = take_with_wrong_flags(&right);
	yield();
	spin_unlock_irqrestore(&end_spin, flags);
	row_check("a switch in a spinlock", SLEEP);
	lockdep_quiet(false);
}

static int hold_until_told(void *go)
{
	mutex_lock(&end_mutex);
	while (!READ_ONCE(*(bool *)go))
		sleep_ns(KTEST_LOOK_NS);
	mutex_unlock(&end_mutex);
	return 0;
}

static int let_go(void *go)
{
	sleep_ns(KTEST_LOOK_NS);
	WRITE_ONCE(*(bool *)go, true);
	return 0;
}

/* It really sleeps: one finding, not one for the call and one for the switch. */
KTEST(lockdep, wrong_flags_and_asleep)
{
	struct thread *t[2];
	uint32_t flags, right;
	bool go = false;

	lockdep_quiet(true);
	t[0] = ktest_thread("holder", hold_until_told, &go, CPUMASK_ALL);
	EXPECT(EVENTUALLY(mutex_is_locked(&end_mutex)));
	t[1] = ktest_thread("teller", let_go, &go, CPUMASK_ALL);
	flags = take_with_wrong_flags(&right);
	mutex_lock(&end_mutex);
	mutex_unlock(&end_mutex);
	spin_unlock_irqrestore(&end_spin, flags);
	thread_join(t[0]);
	thread_join(t[1]);
	row_check("asleep with a spinlock", SLEEP);
	lockdep_quiet(false);
}

/* ---- when it is found ------------------------------------------------------------------------- */

static void run(const char *steps)
{
	const char *end = steps;

	while (*end)
		end++;
	run_steps(steps, end);
}

KTEST(lockdep, found_at_the_step)
{
	lockdep_quiet(true);
	row_type = SPIN;
	row_begin();
	run("{La Ua} x La");
	EXPECT_EQ(lockdep_seen(), SILENT);
	run("o");
	EXPECT_EQ(lockdep_seen(), INCONSISTENT);
	run("x Ua o");
	row_check("interrupts go on", INCONSISTENT);
	row_begin();
	run("x La");
	run("o x Ua o");
	EXPECT_EQ(lockdep_seen(), SILENT);
	run("{La Ua}");
	row_check("an interrupt takes it later", INCONSISTENT);
	lockdep_quiet(false);
}

static int robbed(void *arg)
{
	(void)arg;
	run("La {Ua} Lb Ub Ua");
	return 0;
}

/* After the interrupt has released a, the thread holds b alone: that says nothing
 * about a and b, so their order is still to be checked. */
KTEST(lockdep, robbed_by_interrupt)
{
	lockdep_quiet(true);
	row_type = MAP;
	row_begin();
	in_thread(robbed, NULL);
	EXPECT_EQ(lockdep_seen(), UNBALANCED);
	run("La Lb Ub Ua  Lb La Ua Ub");
	row_check("the order after that", UNBALANCED | CIRCULAR);
	lockdep_quiet(false);
}

/* A grace period that is awaited in a reader does not return: this panics. */
KTEST_MANUAL(lockdep, expedited_in_reader)
{
	rcu_read_lock();
	synchronize_rcu_expedited();
	FAIL("the grace period has ended");
}

/* ---- hotplug references ------------------------------------------------------------------------- */

static int keep_reference(void *go)
{
	get_online_cpus();
	while (!READ_ONCE(*(bool *)go))
		sleep_ns(KTEST_LOOK_NS);
	put_online_cpus();
	return 0;
}

/* A reference of another thread is no reference of this one. */
KTEST(lockdep, cpus_held_by_another)
{
	bool go = false;
	struct thread *t =
		ktest_thread("keeper", keep_reference, &go, CPUMASK_ALL);

	lockdep_quiet(true);
	EXPECT(EVENTUALLY(READ_ONCE(cpu_hotplug.refcount) > 0));
	assert_cpus_held();
	EXPECT_EQ(lockdep_seen(), NOT_HELD);
	get_online_cpus();
	lockdep_reset();
	assert_cpus_held();
	row_check("a reference of its own", SILENT);
	put_online_cpus();
	WRITE_ONCE(go, true);
	thread_join(t);
	lockdep_quiet(false);
}
#endif
