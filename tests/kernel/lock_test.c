/*
 * Suite lock: spinlocks, mutexes, rw-semaphores; each for its rules, then under
 * stress with a plain counter that only exclusion keeps right.
 */
#include <string.h>

#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"
#include "kernel/lock/spinlock.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/ktest.h"

static uint32_t order[NR_CPUS], next_order, nr_order;

static void note_order(unsigned int who)
{
	order[__atomic_fetch_add(&next_order, 1, __ATOMIC_SEQ_CST) % NR_CPUS] =
		who;
	__atomic_fetch_add(&nr_order, 1, __ATOMIC_SEQ_CST);
}

static void no_order(void)
{
	next_order = nr_order = 0;
}

static struct completion start;
static int (*work)(void *);

static int work_from_start(void *arg)
{
	wait_for_completion(&start);
	return work(arg);
}

/* Run fn((void *)i) in n threads, i from 0, on the online cores in turn; they
 * start when all are made, or the first ones would have done before the last. */
static void in_threads(unsigned int n, int (*fn)(void *))
{
	struct thread *t[2 * NR_CPUS];
	unsigned int cpu = NR_CPUS;

	work = fn;
	init_completion(&start, "start");
	for (unsigned int i = 0; i < n; i++) {
		do
			cpu = (cpu + 1) % NR_CPUS;
		while (!cpu_is_online(cpu));
		t[i] = ktest_thread("worker", work_from_start, (void *)i,
				    cpumask_of(cpu));
	}
	complete_all(&start);
	for (unsigned int i = 0; i < n; i++)
		thread_join(t[i]);
}

/* ---- spinlocks ------------------------------------------------------------------ */

static DEFINE_SPINLOCK(spin);
static uint32_t plain; /* no atomic: what the lock is for */

/* Adds one, with a window in it that only exclusion closes. */
static void count_plainly(void)
{
	uint32_t seen = READ_ONCE(plain);

	for (unsigned int i = 0; i < 30; i++)
		__asm__ volatile("");
	WRITE_ONCE(plain, seen + 1);
}

#define SPIN_ROUNDS 3000u

static int spin_count(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < SPIN_ROUNDS; i++) {
		spin_lock(&spin);
		EXPECT(spin.holder == current);
		count_plainly();
		spin_unlock(&spin);
	}
	return 0;
}

KTEST(lock, spin_exclusion)
{
	unsigned int n = ktest_cores() + 2;

	plain = 0;
	in_threads(n, spin_count);
	EXPECT_EQ(plain, n * SPIN_ROUNDS);
	EXPECT(!spin_is_locked(&spin) && !spin.holder);
}

/* Taken in interrupts: with interrupts off wherever it is taken. */
static DEFINE_SPINLOCK(irq_spin);
static uint32_t from_timers, timers_stop;
static uint64_t period; /* of the timers: what 200 rounds take */

static void timer_count(struct timer *t)
{
	uint32_t flags = spin_lock_irqsave(&irq_spin);

	count_plainly();
	from_timers++;
	spin_unlock_irqrestore(&irq_spin, flags);
	if (!READ_ONCE(timers_stop))
		timer_arm(t, timer_now() + period);
}

static int irq_count_up(void *arg)
{
	struct timer timer;

	(void)arg;
	timer_setup(&timer, timer_count, NULL);
	timer_arm(&timer, timer_now());
	for (unsigned int i = 0; i < SPIN_ROUNDS; i++) {
		uint32_t flags = spin_lock_irqsave(&irq_spin);

		EXPECT(irqs_disabled());
		count_plainly();
		spin_unlock_irqrestore(&irq_spin, flags);
	}
	EXPECT(EVENTUALLY(READ_ONCE(from_timers) > 10));
	WRITE_ONCE(timers_stop, 1);
	sleep_ns(KTEST_LOOK_NS);
	while (timer_cancel_sync(&timer))
		;
	return 0;
}

/* The same lock in threads and in the timer interrupts of all cores. */
KTEST(lock, spin_irqsave)
{
	unsigned int n = ktest_cores();

	period = ~0ull;
	for (int k = 0; k < 3; k++) { /* the host may stand still in one */
		uint64_t start = timer_now();

		for (int i = 0; i < 200; i++)
			spin_unlock_irqrestore(&irq_spin,
					       spin_lock_irqsave(&irq_spin));
		period = min(period, timer_now() - start);
	}
	plain = from_timers = timers_stop = 0;
	in_threads(n, irq_count_up);
	EXPECT_EQ(plain, n * SPIN_ROUNDS + from_timers);
	EXPECT(!irqs_disabled());
}

static int spin_once(void *arg)
{
	spin_lock(&spin);
	note_order((unsigned int)(uintptr_t)arg);
	spin_unlock(&spin);
	return 0;
}

/* Who draws first gets it first, parked in WFI or not. */
KTEST(lock, spin_fair)
{
	unsigned int here = cpumask_first(cpu_online()), cpu, n = 0;
	struct thread *t[NR_CPUS];

	NEED_CORES(3);
	no_order();
	ktest_run_on(here);
	spin_lock(&spin);
	for_each_cpu (cpu, cpumask_andnot(cpu_online(), cpumask_of(here))) {
		uint16_t drawn = READ_ONCE(spin.next);

		t[n] = ktest_thread("waiter", spin_once, (void *)n,
				    cpumask_of(cpu));
		/* Not EVENTUALLY: we hold a spinlock. */
		while (READ_ONCE(spin.next) == drawn)
			cpu_relax();
		n++;
	}
	EXPECT_EQ(nr_order, 0);
	EXPECT(!spin_trylock(&spin));
	spin_unlock(&spin);
	for (unsigned int i = 0; i < n; i++)
		thread_join(t[i]);
	EXPECT_EQ(nr_order, n);
	for (unsigned int i = 0; i < n; i++)
		EXPECT_EQ(order[i], i);
}

KTEST(lock, spin_basics)
{
	static DEFINE_SPINLOCK(l);
	uint32_t flags;

	EXPECT(!spin_is_locked(&l));
	spin_lock(&l);
	EXPECT(spin_is_locked(&l) && l.holder == current && l.site);
	EXPECT_EQ(current->preempt_count, 1);
	EXPECT(!spin_trylock(&l));
	EXPECT_EQ(current->preempt_count, 1);
	spin_unlock(&l);
	EXPECT_EQ(current->preempt_count, 0);
	EXPECT(spin_trylock(&l));
	EXPECT_EQ(current->preempt_count, 1);
	spin_unlock(&l);
	flags = spin_lock_irqsave(&l);
	EXPECT(irqs_disabled() && current->preempt_count == 0);
	spin_unlock_irqrestore(&l, flags);
	EXPECT(!irqs_disabled() && !spin_is_locked(&l));
	l.tickets = 0xffffffff; /* the tickets go round */
	for (int i = 0; i < 3; i++) {
		spin_lock(&l);
		EXPECT(spin_is_locked(&l));
		spin_unlock(&l);
	}
	EXPECT(!spin_is_locked(&l));
}

/* ---- mutexes ---------------------------------------------------------------------- */

static DEFINE_MUTEX(mutex);

static unsigned int waiting(void)
{
	uint32_t flags = spin_lock_irqsave(&mutex.wait_lock);
	const struct list_head *l;
	unsigned int n = 0;

	for (l = mutex.waiters.next; l != &mutex.waiters; l = l->next)
		n++;
	spin_unlock_irqrestore(&mutex.wait_lock, flags);
	return n;
}

static int mutex_once(void *arg)
{
	mutex_lock(&mutex);
	note_order((unsigned int)(uintptr_t)arg);
	mutex_unlock(&mutex);
	return 0;
}

/* Thread number i, which waits as the n-th now. */
static struct thread *mutex_waiter(int (*fn)(void *), unsigned int i,
				   unsigned int n)
{
	struct thread *t = ktest_thread("waiter", fn, (void *)i, CPUMASK_ALL);

	EXPECT(EVENTUALLY(waiting() == n && ktest_sleeps(t)));
	return t;
}

KTEST(lock, mutex_basics)
{
	EXPECT(!mutex_is_locked(&mutex) && !mutex_owner(&mutex));
	mutex_lock(&mutex);
	EXPECT(mutex_owner(&mutex) == current && mutex.site);
	EXPECT(!mutex_trylock(&mutex));
	mutex_unlock(&mutex);
	EXPECT(mutex_trylock(&mutex));
	EXPECT(mutex_owner(&mutex) == current);
	mutex_unlock(&mutex);
	EXPECT_EQ(mutex_lock_interruptible(&mutex), 0);
	mutex_unlock(&mutex);
	EXPECT_EQ(mutex.owner, 0);
}

KTEST(lock, mutex_order)
{
	struct thread *t[6];

	no_order();
	mutex_lock(&mutex);
	for (unsigned int i = 0; i < 6; i++)
		t[i] = mutex_waiter(mutex_once, i, i + 1);
	EXPECT_EQ(waiting(), 6);
	mutex_unlock(&mutex);
	for (unsigned int i = 0; i < 6; i++) {
		thread_join(t[i]);
		EXPECT_EQ(order[i], i);
	}
	EXPECT_EQ(mutex.owner, 0);
}

/* With a waiter the release hands over: nobody gets in between. */
KTEST(lock, mutex_no_overtaking)
{
	for (int i = 0; i < 20; i++) {
		struct thread *t;

		no_order();
		mutex_lock(&mutex);
		t = mutex_waiter(mutex_once, 1, 1);
		thread_set_affinity(t, cpumask_of(smp_processor_id()));
		preempt_disable(); /* it cannot run before we try */
		mutex_unlock(&mutex);
		if (READ_ONCE(nr_order) == 0) {
			EXPECT(mutex_owner(&mutex) == t);
			EXPECT(!mutex_trylock(&mutex));
		}
		preempt_enable();
		mutex_lock(&mutex);
		EXPECT_EQ(nr_order, 1);
		mutex_unlock(&mutex);
		thread_join(t);
	}
}

#define MUTEX_ROUNDS 500u

static int mutex_count(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg + 1;

	for (unsigned int i = 0; i < MUTEX_ROUNDS; i++) {
		uint32_t seen;

		if (ktest_random(&rnd) % 8 == 0) {
			while (!mutex_trylock(&mutex))
				yield();
		} else {
			mutex_lock(&mutex);
		}
		seen = READ_ONCE(plain);
		if (ktest_random(&rnd) % 16 == 0)
			yield();
		WRITE_ONCE(plain, seen + 1);
		mutex_unlock(&mutex);
	}
	return 0;
}

KTEST(lock, mutex_stress)
{
	unsigned int n = 2 * ktest_cores() + 1;

	plain = 0;
	in_threads(n, mutex_count);
	EXPECT_EQ(plain, n * MUTEX_ROUNDS);
	EXPECT_EQ(mutex.owner, 0);
}

static int mutex_try_to_wait(void *arg)
{
	int err = mutex_lock_interruptible(&mutex);

	if (!err) {
		note_order((unsigned int)(uintptr_t)arg);
		mutex_unlock(&mutex);
	}
	return err;
}

KTEST(lock, mutex_interruptible)
{
	struct thread *t[3];

	no_order();
	mutex_lock(&mutex);
	for (unsigned int i = 0; i < 3; i++)
		t[i] = mutex_waiter(mutex_try_to_wait, i, i + 1);
	thread_interrupt(t[1]); /* out of the middle */
	EXPECT_EQ(thread_join(t[1]), -EINTR);
	EXPECT_EQ(waiting(), 2);
	EXPECT(mutex_owner(&mutex) == current);
	mutex_unlock(&mutex);
	EXPECT_EQ(thread_join(t[0]), 0);
	EXPECT_EQ(thread_join(t[2]), 0);
	EXPECT(nr_order == 2 && order[0] == 0 && order[1] == 2);
	mutex_lock(&mutex);
	t[0] = mutex_waiter(mutex_try_to_wait, 0, 1);
	thread_interrupt(t[0]); /* the only one: no flag is left */
	EXPECT_EQ(thread_join(t[0]), -EINTR);
	EXPECT_EQ(mutex.owner, (uintptr_t)current);
	mutex_unlock(&mutex);
	EXPECT_EQ(mutex.owner, 0);
}

static int mutex_keep_trying(void *arg)
{
	for (unsigned int i = 0; i < MUTEX_ROUNDS; i++)
		if (mutex_try_to_wait(arg) == -EINTR)
			__atomic_fetch_add(&plain, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Interrupted at any moment, also just when it is handed over. */
KTEST(lock, mutex_interrupt_stress)
{
	struct thread *t[4];

	plain = 0;
	no_order();
	for (unsigned int i = 0; i < 4; i++) {
		t[i] = ktest_thread("trier", mutex_keep_trying, (void *)i,
				    CPUMASK_ALL);
		thread_get(t[i]);
	}
	for (unsigned int i = 0; i < 4 * MUTEX_ROUNDS; i++) {
		thread_interrupt(t[i % 4]);
		mutex_lock(&mutex);
		mutex_unlock(&mutex);
	}
	for (unsigned int i = 0; i < 4; i++) {
		thread_join(t[i]);
		thread_put(t[i]);
	}
	EXPECT_EQ(nr_order + plain, 4 * MUTEX_ROUNDS);
	EXPECT_EQ(mutex.owner, 0);
}

static int unlock_it(void *arg)
{
	mutex_unlock(arg);
	return 0;
}

KTEST(lock, mutex_not_owner)
{
	ktest_reports(GORDIAN_DEBUG ? 0 : 2, 0, 0);
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_UNBALANCED));
	mutex_unlock(&mutex); /* nobody's */
	EXPECT_EQ(mutex.owner, 0);
	mutex_lock(&mutex);
	thread_join(ktest_thread("thief", unlock_it, &mutex, CPUMASK_ALL));
	EXPECT_EQ(mutex.owner, (uintptr_t)current);
	mutex_unlock(&mutex);
	EXPECT_EQ(mutex.owner, 0);
}

/* ---- lending: the owner is blocked in `hold`, the borrower in `borrow` --------------- */

static struct completion owner_go, borrower_go;

static int hold(void *arg)
{
	(void)arg;
	mutex_lock(&mutex);
	wait_for_completion(&owner_go);
	mutex_unlock(&mutex);
	return 0;
}

static int borrow(void *arg)
{
	mutex_lock(&mutex);
	note_order((unsigned int)(uintptr_t)arg);
	wait_for_completion(&borrower_go);
	mutex_unlock(&mutex);
	return 0;
}

static struct thread *lend_setup(void)
{
	struct thread *t;

	no_order();
	init_completion(&owner_go, "owner may go on");
	init_completion(&borrower_go, "borrower may go on");
	t = ktest_thread("owner", hold, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(mutex_owner(&mutex) == t && ktest_sleeps(t)));
	return t;
}

KTEST(lock, mutex_lend)
{
	struct thread *a = lend_setup(), *b, *c;

	b = mutex_waiter(borrow, 1, 1);
	c = mutex_waiter(mutex_once, 2, 2);
	EXPECT_EQ(mutex_lend(&mutex, a), -EINVAL);
	EXPECT_EQ(mutex_lend(&mutex, current), -EINVAL);
	EXPECT_EQ(mutex_lend(&mutex, b), 0);
	EXPECT(mutex_owner(&mutex) == b && mutex.owner & MUTEX_LENT);
	EXPECT_EQ(mutex_lend(&mutex, c), -EINVAL); /* lent already */
	EXPECT_EQ(waiting(), 1);
	complete(&borrower_go);
	thread_join(b);
	EXPECT(mutex_owner(&mutex) == a && !(mutex.owner & MUTEX_LENT));
	EXPECT_EQ(waiting(), 1); /* c has not overtaken its lender */
	EXPECT_EQ(mutex_lend(&mutex, c), 0); /* again */
	thread_join(c);
	EXPECT(mutex_owner(&mutex) == a);
	complete(&owner_go);
	thread_join(a);
	EXPECT_EQ(mutex.owner, 0);
	EXPECT(nr_order == 2 && order[0] == 1 && order[1] == 2);
}

/* The lender unlocks while it is lent out: the borrower keeps it. */
KTEST(lock, mutex_lend_kept)
{
	struct thread *a = lend_setup(), *b, *c;

	b = mutex_waiter(borrow, 1, 1);
	c = mutex_waiter(mutex_once, 2, 2);
	EXPECT_EQ(mutex_lend(&mutex, b), 0);
	complete(&owner_go);
	thread_join(a);
	EXPECT(mutex_owner(&mutex) == b && !mutex.lender);
	EXPECT_EQ(waiting(), 1);
	complete(&borrower_go);
	thread_join(b);
	thread_join(c); /* it was next */
	EXPECT_EQ(mutex.owner, 0);
}

static int take_and_end(void *arg)
{
	(void)arg;
	mutex_lock(&mutex);
	return 0;
}

KTEST(lock, mutex_release_dead)
{
	struct thread *dead =
		ktest_thread("dead", take_and_end, NULL, CPUMASK_ALL);
	struct thread *t;

	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_HELD_AT_END));
	no_order();
	thread_get(dead);
	thread_join(dead);
	t = mutex_waiter(mutex_once, 1, 1);
	EXPECT(mutex_owner(&mutex) == dead);
	mutex_release_dead(&mutex, current); /* not ours: nothing */
	EXPECT(mutex_owner(&mutex) == dead);
	mutex_release_dead(&mutex, dead);
	thread_join(t);
	thread_put(dead);
	EXPECT_EQ(mutex.owner, 0);
	EXPECT_EQ(nr_order, 1);
}

/* ---- rw-semaphores ----------------------------------------------------------------------- */

/* Either kind behind one face, so that one set of cases beats on both. */
static struct rw_semaphore rwsem;
static struct percpu_rwsem percpu;
static bool use_percpu;

static void read_in(void)
{
	if (use_percpu)
		percpu_down_read(&percpu);
	else
		down_read(&rwsem);
}

static void read_out(void)
{
	if (use_percpu)
		percpu_up_read(&percpu);
	else
		up_read(&rwsem);
}

static void write_in(void)
{
	if (use_percpu)
		percpu_down_write(&percpu);
	else
		down_write(&rwsem);
}

static void write_out(void)
{
	if (use_percpu)
		percpu_up_write(&percpu);
	else
		up_write(&rwsem);
}

static uint32_t inside; /* readers, by their own count; atomic */

static void rw_setup(bool percpu_kind)
{
	use_percpu = percpu_kind;
	init_rwsem(&rwsem, "rwsem");
	percpu_init_rwsem(&percpu, "percpu");
	no_order();
	inside = plain = 0;
}

static int read_once(void *arg)
{
	read_in();
	note_order((unsigned int)(uintptr_t)arg);
	read_out();
	return 0;
}

static int write_once(void *arg)
{
	write_in();
	note_order((unsigned int)(uintptr_t)arg);
	write_out();
	return 0;
}

static struct thread *rw_blocked(int (*fn)(void *), unsigned int i)
{
	uint32_t n = READ_ONCE(nr_order);
	struct thread *t = ktest_thread("rw", fn, (void *)i, CPUMASK_ALL);

	EXPECT(EVENTUALLY(ktest_sleeps(t)));
	EXPECT_EQ(READ_ONCE(nr_order), n);
	return t;
}

static void rw_rules(bool percpu_kind)
{
	struct thread *w, *r[3];

	rw_setup(percpu_kind);
	/* Readers share. */
	read_in();
	thread_join(ktest_thread("r", read_once, (void *)1, CPUMASK_ALL));
	EXPECT_EQ(nr_order, 1);
	/* A writer waits for them, and who reads after it waits for it. */
	w = rw_blocked(write_once, 2);
	for (unsigned int i = 0; i < 3; i++)
		r[i] = rw_blocked(read_once, 3 + i);
	if (!percpu_kind)
		EXPECT(!down_read_trylock(&rwsem));
	read_out();
	thread_join(w);
	for (unsigned int i = 0; i < 3; i++)
		thread_join(r[i]);
	EXPECT(nr_order == 5 && order[1] == 2);
	/* A writer keeps all out. */
	write_in();
	w = rw_blocked(write_once, 9);
	r[0] = rw_blocked(read_once, 8);
	if (!percpu_kind)
		EXPECT(!down_read_trylock(&rwsem));
	write_out();
	thread_join(w);
	thread_join(r[0]);
	EXPECT_EQ(nr_order, 7);
	if (percpu_kind)
		return;
	EXPECT_EQ(order[5], 9); /* first come, first served */
	EXPECT(down_read_trylock(&rwsem) && down_read_trylock(&rwsem));
	up_read(&rwsem);
	up_read(&rwsem);
	EXPECT(!rwsem.readers && !rwsem.writer && list_empty(&rwsem.waiters));
}

KTEST(lock, rwsem)
{
	rw_rules(false);
}

KTEST(lock, percpu_rwsem)
{
	rw_rules(true);
}

static int writer_then_readers(void *arg)
{
	write_in();
	note_order((unsigned int)(uintptr_t)arg);
	EXPECT_EQ(inside, 0);
	write_out();
	return 0;
}

static int stay_inside(void *arg)
{
	(void)arg;
	read_in();
	__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
	wait_for_completion(&owner_go);
	__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
	read_out();
	return 0;
}

/* r r w r r w: the two behind a writer come in together when it has gone. */
KTEST(lock, rwsem_batches)
{
	struct thread *r[4], *w[2];

	rw_setup(false);
	init_completion(&owner_go, "readers may leave");
	write_in();
	r[0] = rw_blocked(stay_inside, 0);
	r[1] = rw_blocked(stay_inside, 0);
	w[0] = rw_blocked(writer_then_readers, 1);
	r[2] = rw_blocked(stay_inside, 0);
	r[3] = rw_blocked(stay_inside, 0);
	w[1] = rw_blocked(writer_then_readers, 2);
	write_out();
	EXPECT(EVENTUALLY(READ_ONCE(inside) == 2));
	EXPECT_EQ(READ_ONCE(nr_order), 0);
	complete(&owner_go);
	complete(&owner_go);
	EXPECT(EVENTUALLY(READ_ONCE(inside) == 2 && READ_ONCE(nr_order) == 1));
	complete_all(&owner_go);
	for (int i = 0; i < 4; i++)
		thread_join(r[i]);
	thread_join(w[0]);
	thread_join(w[1]);
	EXPECT(order[0] == 1 && order[1] == 2);
}

/* In on one core, out on another: the sum counts. */
KTEST(lock, percpu_rwsem_migrates)
{
	unsigned int cpu, back = cpumask_first(cpu_online());
	struct thread *w;

	rw_setup(true);
	for_each_online_cpu (cpu) {
		ktest_run_on(cpu);
		read_in();
		ktest_run_on(back);
		w = rw_blocked(write_once, 0);
		read_out();
		thread_join(w);
	}
	EXPECT_EQ(nr_order, ktest_cores());
}

#define RW_ROUNDS 300u

static int rw_work(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg + 77;
	bool roams = (uintptr_t)arg % 2;

	for (unsigned int i = 0; i < RW_ROUNDS; i++) {
		uint32_t r = ktest_random(&rnd);
		uint32_t seen;

		if (r % 5 == 0) {
			write_in();
			EXPECT_EQ(READ_ONCE(inside), 0);
			seen = READ_ONCE(plain);
			if (r % 16 == 0)
				yield();
			EXPECT_EQ(READ_ONCE(inside), 0);
			WRITE_ONCE(plain, seen + 1);
			write_out();
			note_order(0);
			continue;
		}
		read_in();
		__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
		seen = READ_ONCE(plain);
		if (roams)
			thread_set_affinity(current,
					    cpumask_of(r % board.nr_cores));
		else if (r % 16 == 0)
			yield();
		EXPECT_EQ(READ_ONCE(plain), seen); /* no writer meanwhile */
		__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
		read_out();
	}
	return 0;
}

static void rw_stress(bool percpu_kind)
{
	rw_setup(percpu_kind);
	in_threads(2 * ktest_cores() + 1, rw_work);
	EXPECT(nr_order > 0);
	EXPECT_EQ(plain, nr_order); /* no writer's count was lost */
	EXPECT_EQ(inside, 0);
}

KTEST(lock, rwsem_stress)
{
	rw_stress(false);
}

KTEST(lock, percpu_rwsem_stress)
{
	int32_t sum = 0;
	unsigned int cpu;

	rw_stress(true);
	for_each_cpu (cpu, CPUMASK_ALL)
		sum += percpu.count[cpu].n;
	EXPECT_EQ(sum, 0);
	EXPECT(!percpu.block && !percpu.writer && list_empty(&percpu.waiters));
}
