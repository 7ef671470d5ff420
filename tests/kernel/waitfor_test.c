/*
 * Suite waitfor: one case for each kind of edge: a knot is tied, the search must
 * find it and name its links, and it is cut; or there is none and none is found.
 *
 * The watchdog is mute meanwhile: the case itself looks.
 */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/hang/waitfor.h"
#include "kernel/hang/watchdog.h"
#include "kernel/sync/rwsem.h"
#include "kernel/rcu/internal.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/ktest.h"

static struct mutex m[3];
static struct rw_semaphore rwsem;
static struct percpu_rwsem percpu;
static struct completion done, never;
static uint32_t steps; /* atomic: threads that have what they take first */
static uint32_t let_go;
static struct thread *t[4];
static struct waitfor w;

static void begin(void)
{
	watchdog_mute(true);
	mutex_init(&m[0], "first_mutex");
	mutex_init(&m[1], "second_mutex");
	mutex_init(&m[2], "third_mutex");
	init_rwsem(&rwsem, "an_rwsem");
	percpu_init_rwsem(&percpu, "a_percpu_rwsem");
	init_completion(&done, "the job");
	init_completion(&never, "what nobody knows");
	steps = let_go = 0;
}

static void step(void)
{
	__atomic_fetch_add(&steps, 1, __ATOMIC_SEQ_CST);
}

/* All of n have taken the first: now for the second. */
static void meet(uint32_t n)
{
	step();
	while (READ_ONCE(steps) < n)
		sleep_ns(KTEST_LOOK_NS);
}

static void end(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		thread_join(t[i]);
	watchdog_mute(false);
}

/* The cycle from t[from] has these threads and kinds, in this order. */
static bool cycle_is(unsigned int from, unsigned int n,
		     const enum wait_kind *kinds, struct thread *const *who)
{
	bool ok = EVENTUALLY(waitfor_walk(t[from], &w)) && w.n - w.first == n;

	for (unsigned int i = 0; ok && i < n; i++)
		ok = w.link[w.first + i].waiting.kind == kinds[i] &&
		     w.link[w.first + i].thread == who[i] &&
		     waitfor_owner(&w, w.first + i)->thread == who[(i + 1) % n];
	if (!ok)
		waitfor_report(&w);
	return ok;
}
#define KINDS(...) ((const enum wait_kind[]){ __VA_ARGS__ })
#define WHO(...)   ((struct thread *const[]){ __VA_ARGS__ })

static bool waits(const struct thread *who, enum wait_kind kind)
{
	return EVENTUALLY(waits_for((struct thread *)who).kind == kind);
}

/* ---- mutexes --------------------------------------------------------------------- */

static int ring(void *arg)
{
	unsigned int i = (unsigned int)arg;

	mutex_lock(&m[i]);
	meet(3);
	mutex_lock(&m[(i + 1) % 3]);
	mutex_unlock(&m[(i + 1) % 3]);
	mutex_unlock(&m[i]);
	return 0;
}

KTEST(waitfor, mutex_ring)
{
	begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	for (unsigned int i = 0; i < 3; i++)
		t[i] = ktest_thread("ring", ring, (void *)i, CPUMASK_ALL);
	EXPECT(cycle_is(1, 3, KINDS(WAIT_MUTEX, WAIT_MUTEX, WAIT_MUTEX),
			WHO(t[1], t[2], t[0])));
	EXPECT(w.link[0].owner_site && w.first == 0);
	EXPECT_EQ(mutex_lend(&m[2], t[1]), 0);
	end(3);
}

/* Rings as long as a chain may be, and by one longer; every second wait is one
 * that Ctrl-C would end. */
static struct mutex ring_lock[WAITFOR_MAX + 1];
static unsigned int ring_size;

static int long_ring(void *arg)
{
	unsigned int i = (unsigned int)arg;
	struct mutex *next = &ring_lock[(i + 1) % ring_size];

	mutex_lock(&ring_lock[i]);
	meet(ring_size);
	if (i & 1)
		EXPECT_EQ(mutex_lock_interruptible(next), 0);
	else
		mutex_lock(next);
	mutex_unlock(next);
	mutex_unlock(&ring_lock[i]);
	return 0;
}

KTEST(waitfor, longest_ring)
{
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_RECURSIVE));
	for (unsigned int n = WAITFOR_MAX; n <= WAITFOR_MAX + 1; n++) {
		struct thread *who[WAITFOR_MAX + 1];

		begin();
		ring_size = n;
		for (unsigned int i = 0; i < n; i++)
			mutex_init(&ring_lock[i], "ring_lock");
		for (unsigned int i = 0; i < n; i++)
			who[i] = ktest_thread("ring", long_ring, (void *)i,
					      CPUMASK_ALL);
		for (unsigned int i = 0; i < n; i++)
			EXPECT(waits(who[i], WAIT_MUTEX));
		EXPECT_EQ(EVENTUALLY(waitfor_walk(who[0], &w) || w.cut), true);
		EXPECT_EQ(w.cycle, n == WAITFOR_MAX);
		EXPECT_EQ(w.cut, n > WAITFOR_MAX);
		EXPECT_EQ(mutex_lend(&ring_lock[0], who[n - 1]), 0);
		for (unsigned int i = 0; i < n; i++)
			thread_join(who[i]);
		watchdog_mute(false);
	}
}

static int twice(void *arg)
{
	(void)arg;
	mutex_lock(&m[0]);
	mutex_lock(&m[0]);
	mutex_unlock(&m[0]);
	mutex_unlock(&m[0]);
	return 0;
}

KTEST(waitfor, mutex_a_a)
{
	begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_RECURSIVE));
	t[0] = ktest_thread("twice", twice, NULL, CPUMASK_ALL);
	EXPECT(cycle_is(0, 1, KINDS(WAIT_MUTEX), WHO(t[0])));
	EXPECT_EQ(mutex_lend(&m[0], t[0]), 0);
	end(1);
}

/* Holds m[0] until it is told, by a completion that nobody is known to give. */
static int hold_first(void *arg)
{
	(void)arg;
	mutex_lock(&m[0]);
	step();
	wait_for_completion(&never);
	mutex_unlock(&m[0]);
	return 0;
}

static int take_first(void *arg)
{
	(void)arg;
	mutex_lock(&m[0]);
	mutex_unlock(&m[0]);
	return 0;
}

/* No cycle: the chain and the event at its end. */
KTEST(waitfor, chain_to_an_event)
{
	begin();
	t[0] = ktest_thread("holds", hold_first, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(steps) == 1));
	t[1] = ktest_thread("takes", take_first, NULL, CPUMASK_ALL);
	EXPECT(waits(t[0], WAIT_COMPLETION) && waits(t[1], WAIT_MUTEX));
	EXPECT(!waitfor_walk(t[1], &w));
	EXPECT_EQ(w.n, 2);
	EXPECT(w.link[1].thread == t[0] && !waitfor_owner(&w, 1));
	EXPECT_EQ(w.link[1].waiting.kind, WAIT_COMPLETION);
	complete(&never);
	end(2);
}

/* ---- other threads' acts ---------------------------------------------------------- */

static int complete_after_first(void *arg)
{
	(void)arg;
	meet(2);
	mutex_lock(&m[0]);
	mutex_unlock(&m[0]);
	complete(&done);
	return 0;
}

static int await_with_first(void *arg)
{
	(void)arg;
	mutex_lock(&m[0]);
	meet(2);
	wait_for_completion(&done);
	mutex_unlock(&m[0]);
	return 0;
}

KTEST(waitfor, completion)
{
	begin();
	t[1] = ktest_thread("worker", complete_after_first, NULL, CPUMASK_ALL);
	done.by = t[1];
	t[0] = ktest_thread("boss", await_with_first, NULL, CPUMASK_ALL);
	EXPECT(cycle_is(0, 2, KINDS(WAIT_COMPLETION, WAIT_MUTEX),
			WHO(t[0], t[1])));
	EXPECT_EQ(mutex_lend(&m[0], t[1]), 0);
	end(2);
}

static int join_with_first(void *arg)
{
	mutex_lock(&m[0]);
	meet(2);
	thread_join(arg);
	mutex_unlock(&m[0]);
	return 0;
}

KTEST(waitfor, join)
{
	begin();
	t[1] = ktest_thread("child", complete_after_first, NULL, CPUMASK_ALL);
	t[0] = ktest_thread("parent", join_with_first, t[1], CPUMASK_ALL);
	EXPECT(cycle_is(0, 2, KINDS(WAIT_JOIN, WAIT_MUTEX), WHO(t[0], t[1])));
	EXPECT_EQ(mutex_lend(&m[0], t[1]), 0);
	end(1);
}

static int park_after_first(void *arg)
{
	(void)arg;
	meet(2);
	mutex_lock(&m[0]);
	mutex_unlock(&m[0]);
	kthread_parkme();
	return 0;
}

static int park_with_first(void *arg)
{
	mutex_lock(&m[0]);
	meet(2);
	kthread_park(arg);
	mutex_unlock(&m[0]);
	return 0;
}

KTEST(waitfor, parking)
{
	begin();
	t[1] = thread_create_on_cpu("core's", park_after_first, NULL,
				    PRIO_NORMAL, 0);
	if (!t[1])
		return;
	kthread_unpark(t[1]);
	t[0] = ktest_thread("parker", park_with_first, t[1], CPUMASK_ALL);
	EXPECT(cycle_is(0, 2, KINDS(WAIT_QUEUE, WAIT_MUTEX), WHO(t[0], t[1])));
	EXPECT_EQ(mutex_lend(&m[0], t[1]), 0);
	thread_join(t[0]);
	kthread_unpark(t[1]);
	t[0] = t[1];
	end(1);
}

#if GORDIAN_DEBUG /* readers inside, spinning: known there alone */

/* ---- rw-semaphores ------------------------------------------------------------------ */

static int read_then_first(void *arg)
{
	(void)arg;
	down_read(&rwsem);
	step();
	mutex_lock(&m[0]);
	mutex_unlock(&m[0]);
	up_read(&rwsem);
	return 0;
}

static int read_then_wait(void *arg)
{
	(void)arg;
	down_read(&rwsem);
	step();
	wait_for_completion(&never);
	up_read(&rwsem);
	return 0;
}

static int write_rwsem(void *arg)
{
	(void)arg;
	down_write(&rwsem);
	up_write(&rwsem);
	return 0;
}

static int first_then_read(void *arg)
{
	(void)arg;
	mutex_lock(&m[0]);
	step();
	wait_for_completion(&done);
	down_read(&rwsem);
	up_read(&rwsem);
	mutex_unlock(&m[0]);
	return 0;
}

static int first_then_write(void *arg)
{
	(void)arg;
	mutex_lock(&m[0]);
	step();
	wait_for_completion(&done);
	down_write(&rwsem);
	up_write(&rwsem);
	mutex_unlock(&m[0]);
	return 0;
}

/* A reader that could come in, were it not for the writer in front of it. */
KTEST(waitfor, rwsem_reader_behind_writer)
{
	begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	t[0] = ktest_thread("late", first_then_read, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(steps) == 1));
	t[1] = ktest_thread("inside", read_then_first, NULL, CPUMASK_ALL);
	EXPECT(waits(t[1], WAIT_MUTEX));
	t[2] = ktest_thread("writer", write_rwsem, NULL, CPUMASK_ALL);
	EXPECT(waits(t[2], WAIT_RWSEM_WRITE));
	EXPECT(!waitfor_walk(t[2], &w));
	complete(&done);
	EXPECT(cycle_is(0, 3,
			KINDS(WAIT_RWSEM_READ, WAIT_RWSEM_WRITE, WAIT_MUTEX),
			WHO(t[0], t[2], t[1])));
	EXPECT(strcmp(waitfor_relation(&w, 0), "behind") == 0);
	EXPECT(strcmp(waitfor_relation(&w, 1), "held by") == 0);
	EXPECT_EQ(mutex_lend(&m[0], t[1]), 0);
	end(3);
}

/* Two readers inside: the cycle goes through the second. */
KTEST(waitfor, rwsem_writer_behind_readers)
{
	begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	t[0] = ktest_thread("other", read_then_wait, NULL, CPUMASK_ALL);
	t[1] = ktest_thread("writer", first_then_write, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(steps) == 2));
	t[2] = ktest_thread("inside", read_then_first, NULL, CPUMASK_ALL);
	EXPECT(waits(t[2], WAIT_MUTEX));
	complete(&done);
	EXPECT(cycle_is(1, 2, KINDS(WAIT_RWSEM_WRITE, WAIT_MUTEX),
			WHO(t[1], t[2])));
	EXPECT_EQ(w.link[0].owners, 2);
	EXPECT(w.link[0].owner_since != 0);
	EXPECT_EQ(mutex_lend(&m[0], t[2]), 0);
	complete(&never);
	end(3);
}

static int percpu_read_then_first(void *arg)
{
	(void)arg;
	percpu_down_read(&percpu);
	step();
	mutex_lock(&m[0]);
	mutex_unlock(&m[0]);
	percpu_up_read(&percpu);
	return 0;
}

static int first_then_percpu_read(void *arg)
{
	(void)arg;
	mutex_lock(&m[0]);
	step();
	wait_for_completion(&done);
	percpu_down_read(&percpu);
	percpu_up_read(&percpu);
	mutex_unlock(&m[0]);
	return 0;
}

static int write_percpu(void *arg)
{
	(void)arg;
	percpu_down_write(&percpu);
	percpu_up_write(&percpu);
	return 0;
}

/* The same, but the reader is let past the writer. */
KTEST(waitfor, percpu_reader_behind_writer)
{
	begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	t[0] = ktest_thread("late", first_then_percpu_read, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(steps) == 1));
	t[1] = ktest_thread("inside", percpu_read_then_first, NULL,
			    CPUMASK_ALL);
	EXPECT(waits(t[1], WAIT_MUTEX));
	t[2] = ktest_thread("writer", write_percpu, NULL, CPUMASK_ALL);
	EXPECT(waits(t[2], WAIT_PERCPU_WRITE));
	EXPECT(percpu_rwsem_let_pass(&percpu, t[0]) != 0);
	complete(&done);
	EXPECT(cycle_is(0, 3,
			KINDS(WAIT_PERCPU_READ, WAIT_PERCPU_WRITE, WAIT_MUTEX),
			WHO(t[0], t[2], t[1])));
	EXPECT_EQ(percpu_rwsem_let_pass(&percpu, t[0]), 0);
	end(3);
	/* The counts are even: a writer comes in at once. */
	percpu_down_write(&percpu);
	percpu_up_write(&percpu);
}

static int read_in_write(void *arg)
{
	(void)arg;
	percpu_down_write(&percpu);
	percpu_down_read(&percpu);
	percpu_up_read(&percpu);
	percpu_up_write(&percpu);
	return 0;
}

KTEST(waitfor, percpu_reader_is_writer)
{
	begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_RECURSIVE));
	t[0] = ktest_thread("both", read_in_write, NULL, CPUMASK_ALL);
	EXPECT(cycle_is(0, 1, KINDS(WAIT_PERCPU_READ), WHO(t[0])));
	EXPECT_EQ(percpu_rwsem_let_pass(&percpu, t[0]), 0);
	end(1);
}

/* ---- grace periods ------------------------------------------------------------------- */

static int read_long(void *arg)
{
	(void)arg;
	rcu_read_lock();
	step();
	while (!READ_ONCE(let_go))
		ktest_busy();
	rcu_read_unlock();
	return 0;
}

static int await_gp(void *arg)
{
	(void)arg;
	synchronize_rcu();
	return 0;
}

/* The last of the chain is the reader. */
KTEST(waitfor, grace_period_behind_a_reader)
{
	struct cpumask boot_core = cpumask_of(cpumask_first(cpu_online()));

	NEED_CORES(2);
	begin();
	ktest_run_on(cpumask_first(cpumask_andnot(cpu_online(), boot_core)));
	t[0] = ktest_thread("reader", read_long, NULL, boot_core);
	EXPECT(EVENTUALLY(READ_ONCE(steps) == 1));
	t[1] = ktest_thread("updater", await_gp, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(!waitfor_walk(t[1], &w) && w.n == 3 &&
			  w.link[2].thread == t[0]));
	EXPECT_EQ(w.link[0].waiting.kind, WAIT_GP);
	EXPECT(w.link[1].thread == rcu_sched_state.thread);
	EXPECT_EQ(w.link[1].waiting.kind, WAIT_READERS);
	EXPECT_EQ(w.link[2].waiting.kind, WAIT_NONE);
	EXPECT(t[0]->lockdep.readers == 1 && t[0]->lockdep.reader_site);
	/* Idle cores too are owed until the thread looks again. */
	EXPECT(EVENTUALLY(rcu_owed(&rcu_sched_state).bits == 1u << t[0]->cpu));
	waitfor_report(&w);
	WRITE_ONCE(let_go, 1);
	end(2);
}

/* A grace period that takes a mutex first. */
static void gp_with_first(struct rcu_state *rsp)
{
	mutex_lock(&m[0]);
	mutex_unlock(&m[0]);
	rcu_grace_period(rsp);
}

static void no_callback(struct rcu_head *head)
{
	(void)head;
}

static struct rcu_head head;

static int gp_in_first(void *arg)
{
	mutex_lock(&m[0]);
	if (arg) {
		call_rcu(&head, no_callback);
		rcu_barrier();
	} else {
		synchronize_rcu();
	}
	mutex_unlock(&m[0]);
	return 0;
}

static void tie_gp(bool barrier, enum wait_kind kind)
{
	struct thread *gp = rcu_sched_state.thread;

	begin();
	WRITE_ONCE(rcu_sched_state.grace_period, gp_with_first);
	t[0] = ktest_thread("holder", gp_in_first, (void *)barrier,
			    CPUMASK_ALL);
	EXPECT(cycle_is(0, 2, KINDS(kind, WAIT_MUTEX), WHO(t[0], gp)));
	waitfor_report(&w);
	/* A grace period that began before the exchange may end first. */
	WRITE_ONCE(rcu_sched_state.grace_period, rcu_grace_period);
	EXPECT_EQ(mutex_lend(&m[0], gp), 0);
	end(1);
}

KTEST(waitfor, grace_period_thread)
{
	tie_gp(false, WAIT_GP);
}

KTEST(waitfor, rcu_barrier)
{
	tie_gp(true, WAIT_COMPLETION);
}

/* ---- spinning ------------------------------------------------------------------------ */

static DEFINE_SPINLOCK(spin_a);
static DEFINE_SPINLOCK(spin_b);

static void spin_in_irq(struct timer *timer)
{
	(void)timer;
	spin_lock(&spin_a);
	spin_unlock(&spin_a);
	WRITE_ONCE(let_go, 1);
}

static int interrupted(void *arg)
{
	struct timer timer;

	(void)arg;
	timer_setup(&timer, spin_in_irq, NULL);
	spin_lock(&spin_a);
	timer_arm(&timer, timer_now());
	while (!READ_ONCE(let_go))
		ktest_busy();
	spin_unlock(&spin_a);
	timer_cancel_sync(&timer);
	return 0;
}

/* The holder is the very thread that was interrupted. */
KTEST(waitfor, spin_in_an_interrupt)
{
	NEED_CORES(2);
	begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_INCONSISTENT) |
		      LOCKDEP_BIT(LOCKDEP_RECURSIVE));
	ktest_run_on(0);
	t[0] = ktest_thread("victim", interrupted, NULL, cpumask_of(1));
	EXPECT(cycle_is(0, 1, KINDS(WAIT_SPIN), WHO(t[0])));
	EXPECT(w.link[0].waiting.obj == &spin_a && w.link[0].owner_site);
	spin_lock_rescue(&spin_a);
	end(1);
	EXPECT(!spin_is_locked(&spin_a));
}

static int spin_both(void *arg)
{
	struct spinlock *first = arg ? &spin_b : &spin_a;
	struct spinlock *second = arg ? &spin_a : &spin_b;

	spin_lock(first);
	step();
	while (READ_ONCE(steps) < 2)
		ktest_busy();
	spin_lock(second);
	spin_unlock(second);
	spin_unlock(first);
	return 0;
}

KTEST(waitfor, spin_a_b_b_a)
{
	NEED_CORES(3);
	begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	ktest_run_on(0);
	t[0] = ktest_thread("a_b", spin_both, NULL, cpumask_of(1));
	t[1] = ktest_thread("b_a", spin_both, (void *)1, cpumask_of(2));
	EXPECT(cycle_is(0, 2, KINDS(WAIT_SPIN, WAIT_SPIN), WHO(t[0], t[1])));
	spin_lock_rescue(&spin_b);
	end(2);
	EXPECT(!spin_is_locked(&spin_a) && !spin_is_locked(&spin_b));
}

static void nothing(void *arg)
{
	(void)arg;
}

static int call_with_spinlock(void *arg)
{
	(void)arg;
	spin_lock(&spin_a);
	step();
	while (READ_ONCE(steps) < 2)
		ktest_busy();
	smp_call_function_single(2, nothing, NULL, true);
	spin_unlock(&spin_a);
	return 0;
}

static int spin_masked(void *arg)
{
	uint32_t flags;

	while (READ_ONCE(steps) < 1)
		ktest_busy();
	if (arg) {
		flags = spin_lock_irqsave(&spin_a);
		spin_unlock_irqrestore(&spin_a, flags);
	} else {
		spin_lock(&spin_a);
		spin_unlock(&spin_a);
	}
	return 0;
}

/* It waits for the answer of a core that spins, interrupts off, for its lock. */
KTEST(waitfor, answer_of_a_core)
{
	NEED_CORES(3);
	begin();
	ktest_run_on(0);
	t[0] = ktest_thread("caller", call_with_spinlock, NULL, cpumask_of(1));
	t[1] = ktest_thread("deaf", spin_masked, (void *)1, cpumask_of(2));
	EXPECT(waits(t[1], WAIT_SPIN));
	step();
	EXPECT(cycle_is(0, 2, KINDS(WAIT_CORE, WAIT_SPIN), WHO(t[0], t[1])));
	spin_lock_rescue(&spin_a);
	end(2);
	EXPECT(!spin_is_locked(&spin_a));
}

/* ---- and where there is none ------------------------------------------------------------ */

#define LOOKS 600

/* All kinds, nested in one order, so there can be no cycle. */
static int in_order(void *arg)
{
	uint32_t seed = 77 + (uint32_t)arg;

	while (!READ_ONCE(let_go)) {
		uint32_t r = ktest_random(&seed);

		if (r & 1)
			mutex_lock(&m[0]);
		if (r & 2)
			down_write(&rwsem);
		else
			down_read(&rwsem);
		if ((r & 0x1c) == 0)
			percpu_down_write(&percpu);
		else
			percpu_down_read(&percpu);
		mutex_lock(&m[1]);
		if ((r & 0x60) == 0)
			synchronize_rcu();
		spin_lock(&spin_a);
		if (r & 0x80)
			on_each_cpu(nothing, NULL);
		spin_unlock(&spin_a);
		mutex_unlock(&m[1]);
		if ((r & 0x1c) == 0)
			percpu_up_write(&percpu);
		else
			percpu_up_read(&percpu);
		if (r & 2)
			up_write(&rwsem);
		else
			up_read(&rwsem);
		if (r & 1)
			mutex_unlock(&m[0]);
		step();
	}
	return 0;
}

KTEST(waitfor, no_false_cycle)
{
	begin();
	for (unsigned int i = 0; i < 4; i++)
		t[i] = ktest_thread("in order", in_order, (void *)i,
				    CPUMASK_ALL);
	for (unsigned int looks = 0; looks < LOOKS || READ_ONCE(steps) < LOOKS;
	     looks++)
		for (unsigned int i = 0; i < 4; i++) {
			if (waitfor_walk(t[i], &w)) {
				EXPECT(!"a cycle");
				waitfor_report(&w);
			}
			ktest_busy();
		}
	WRITE_ONCE(let_go, 1);
	end(4);
}
#endif

/* ---- the count -------------------------------------------------------------------------- */

static int get_and_end(void *arg)
{
	(void)arg;
	get_online_cpus();
	return 0;
}

static int put_too_many(void *arg)
{
	(void)arg;
	mutex_lock(&cpu_hotplug.lock);
	cpu_hotplug_count(-1, CALLER);
	mutex_unlock(&cpu_hotplug.lock);
	return 0;
}

static int take_down(void *arg)
{
	EXPECT_EQ(cpu_down((unsigned int)arg), 0);
	EXPECT_EQ(cpu_up((unsigned int)arg), 0);
	return 0;
}

static void repair_count(void)
{
	mutex_lock(&cpu_hotplug.lock);
	WRITE_ONCE(cpu_hotplug.refcount, 0);
	WRITE_ONCE(cpu_hotplug.below_0.caller, 0);
	cpu_hotplug_wake_writer(CALLER);
	mutex_unlock(&cpu_hotplug.lock);
}

static void miscount(int (*fn)(void *), const char *name, int count,
		     const struct hotplug_change *change)
{
	uint32_t id;

	NEED_CORES(2);
	begin();
	t[0] = ktest_thread(name, fn, NULL, CPUMASK_ALL);
	id = t[0]->id;
	thread_join(t[0]);
	t[0] = ktest_thread("writer", take_down, (void *)1, CPUMASK_ALL);
	EXPECT(waits(t[0], WAIT_REFCOUNT));
	EXPECT(!waitfor_walk(t[0], &w) && w.n == 1);
	EXPECT_EQ(cpu_hotplug.refcount, count);
	EXPECT_EQ(change->id, id);
	EXPECT(strcmp(change->name, name) == 0 && change->caller);
	waitfor_report(&w);
	repair_count();
	end(1);
}

KTEST(waitfor, reference_of_the_dead)
{
	miscount(get_and_end, "forgetful", 1, &cpu_hotplug.last_get);
}

KTEST(waitfor, count_below_0)
{
	miscount(put_too_many, "leaker", -1, &cpu_hotplug.below_0);
}
