/*
 * Suite lock: mutexes: their rules, stress with a plain counter that only exclusion
 * keeps right, and lending, by which a deadlock is cut.
 */
#include <string.h>

#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/slab/slab.h"
#include "kernel/sync/mutex.h"
#include "tests/kernel/threads.h"

/* ---- mutexes ---------------------------------------------------------------------- */

static DEFINE_MUTEX(mutex);
static uint32_t plain; /* not atomic: the mutex must protect it */

static unsigned int nr_waiters(void)
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
	order_note((unsigned int)(uintptr_t)arg);
	mutex_unlock(&mutex);
	return 0;
}

/* Start thread number i and wait until it is the n-th waiter of the mutex. */
static struct thread *start_waiter(int (*fn)(void *), unsigned int i,
				   unsigned int n)
{
	struct thread *t = ktest_thread("waiter", fn, (void *)i, CPUMASK_ALL);

	EXPECT(EVENTUALLY(nr_waiters() == n && ktest_sleeps(t)));
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

	order_clear();
	mutex_lock(&mutex);
	for (unsigned int i = 0; i < 6; i++)
		t[i] = start_waiter(mutex_once, i, i + 1);
	EXPECT_EQ(nr_waiters(), 6);
	mutex_unlock(&mutex);
	for (unsigned int i = 0; i < 6; i++) {
		thread_join(t[i]);
		EXPECT_EQ(order[i], i);
	}
	EXPECT_EQ(mutex.owner, 0);
}

/* If a thread waits, the release hands the mutex to it: no other thread can take
 * it in between. */
KTEST(lock, mutex_no_overtaking)
{
	for (int i = 0; i < 20; i++) {
		struct thread *t;

		order_clear();
		mutex_lock(&mutex);
		t = start_waiter(mutex_once, 1, 1);
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
	run_in_threads(n, mutex_count);
	EXPECT_EQ(plain, n * MUTEX_ROUNDS);
	EXPECT_EQ(mutex.owner, 0);
}

/*
 * Objects with a mutex in them, which guards the count of their users. The last
 * user frees the object, perhaps while the one before is still in its unlock.
 * Two things make that likely: a listener holds up each unlock where it wakes or
 * makes an owner, and the waiting threads are woken again and again.
 */

#define SHARED	     200u
#define SHARED_USERS 3u
#define POISON	     0x6b

static struct shared {
	struct mutex lock;
	uint32_t users;
} * shared;
static uint32_t nr_freed, users_done;

static void hold_up(const struct trace_event *e, int looks)
{
	uint32_t was = READ_ONCE(nr_freed);

	if (!current->traced || (e->op != TR_WAKE && e->op != TR_HANDOVER))
		return;
	while (looks-- && READ_ONCE(nr_freed) == was)
		ktest_busy();
}

static void hold_up_briefly(const struct trace_event *e)
{
	hold_up(e, 10);
}

static void free_shared(struct shared *s)
{
	memset(s, POISON, sizeof(*s));
	ktest_count(&nr_freed);
}

static bool all_is_poison(const struct shared *s, unsigned int n)
{
	const uint8_t *p = (const void *)s;

	while (p < (const uint8_t *)(s + n) && *p == POISON)
		p++;
	return p == (const uint8_t *)(s + n);
}

static int leave_shared(void *arg)
{
	(void)arg;
	current->traced = true;
	for (struct shared *s = shared; s < shared + SHARED; s++) {
		bool last;

		mutex_lock(&s->lock);
		last = --s->users == 0;
		while (!last && !(READ_ONCE(s->lock.owner) & MUTEX_WAITERS)) {
			yield();
			ktest_busy();
		}
		mutex_unlock(&s->lock);
		if (last)
			free_shared(s);
	}
	current->traced = false;
	ktest_count(&users_done);
	return 0;
}

KTEST(lock, mutex_freed_by_last_user)
{
	struct thread *t[SHARED_USERS];

	NEED_CORES(2);
	shared = kmalloc(SHARED * sizeof(*shared));
	BUG_ON(!shared);
	for (unsigned int i = 0; i < SHARED; i++) {
		mutex_init(&shared[i].lock, "shared.lock");
		shared[i].users = SHARED_USERS;
	}
	users_done = 0;
	WRITE_ONCE(trace_listen, hold_up_briefly);
	trace_start(TRACE_MARKED);
	for (unsigned int i = 0; i < SHARED_USERS; i++)
		t[i] = ktest_thread("user", leave_shared, NULL, CPUMASK_ALL);
	while (READ_ONCE(users_done) < SHARED_USERS) {
		for (unsigned int i = 0; i < SHARED_USERS; i++)
			wake_up_process(t[i]);
		ktest_busy();
	}
	for (unsigned int i = 0; i < SHARED_USERS; i++)
		thread_join(t[i]);
	trace_stop();
	WRITE_ONCE(trace_listen, NULL);
	EXPECT(all_is_poison(shared, SHARED));
	kfree(shared);
}

static int lock_interruptible(void *arg)
{
	int err = mutex_lock_interruptible(&mutex);

	if (!err) {
		order_note((unsigned int)(uintptr_t)arg);
		mutex_unlock(&mutex);
	}
	return err;
}

KTEST(lock, mutex_interruptible)
{
	struct thread *t[3];

	order_clear();
	mutex_lock(&mutex);
	for (unsigned int i = 0; i < 3; i++)
		t[i] = start_waiter(lock_interruptible, i, i + 1);
	thread_interrupt(t[1]); /* the middle one */
	EXPECT_EQ(thread_join(t[1]), -EINTR);
	EXPECT_EQ(nr_waiters(), 2);
	EXPECT(mutex_owner(&mutex) == current);
	mutex_unlock(&mutex);
	EXPECT_EQ(thread_join(t[0]), 0);
	EXPECT_EQ(thread_join(t[2]), 0);
	EXPECT(nr_order == 2 && order[0] == 0 && order[1] == 2);
	mutex_lock(&mutex);
	t[0] = start_waiter(lock_interruptible, 0, 1);
	thread_interrupt(t[0]); /* the only waiter: MUTEX_WAITERS goes, too */
	EXPECT_EQ(thread_join(t[0]), -EINTR);
	EXPECT_EQ(mutex.owner, (uintptr_t)current);
	mutex_unlock(&mutex);
	EXPECT_EQ(mutex.owner, 0);
}

static int mutex_keep_trying(void *arg)
{
	for (unsigned int i = 0; i < MUTEX_ROUNDS; i++)
		if (lock_interruptible(arg) == -EINTR)
			__atomic_fetch_add(&plain, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Waiters are interrupted at any moment, also just when they get the mutex. */
KTEST(lock, mutex_interrupt_stress)
{
	struct thread *t[4];

	plain = 0;
	order_clear();
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
	mutex_unlock(&mutex); /* nobody holds it */
	EXPECT_EQ(mutex.owner, 0);
	mutex_lock(&mutex);
	thread_join(ktest_thread("thief", unlock_it, &mutex, CPUMASK_ALL));
	EXPECT_EQ(mutex.owner, (uintptr_t)current);
	mutex_unlock(&mutex);
	EXPECT_EQ(mutex.owner, 0);
}

/* ---- lending ----------------------------------------------------------------- */

/* The owner is blocked in hold(), a borrower in borrow(). */

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
	order_note((unsigned int)(uintptr_t)arg);
	wait_for_completion(&borrower_go);
	mutex_unlock(&mutex);
	return 0;
}

static struct thread *lend_setup(void)
{
	struct thread *t;

	order_clear();
	init_completion(&owner_go, "owner may go on");
	init_completion(&borrower_go, "borrower may go on");
	t = ktest_thread("owner", hold, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(mutex_owner(&mutex) == t && ktest_sleeps(t)));
	return t;
}

KTEST(lock, mutex_lend)
{
	struct thread *a = lend_setup(), *b, *c;

	b = start_waiter(borrow, 1, 1);
	c = start_waiter(mutex_once, 2, 2);
	EXPECT_EQ(mutex_lend(&mutex, a), -EINVAL);
	EXPECT_EQ(mutex_lend(&mutex, current), -EINVAL);
	EXPECT_EQ(mutex_lend(&mutex, b), 0);
	EXPECT(mutex_owner(&mutex) == b && mutex.owner & MUTEX_LENT);
	EXPECT_EQ(mutex_lend(&mutex, c), -EINVAL); /* lent already */
	EXPECT_EQ(nr_waiters(), 1);
	complete(&borrower_go);
	thread_join(b);
	EXPECT(mutex_owner(&mutex) == a && !(mutex.owner & MUTEX_LENT));
	EXPECT_EQ(nr_waiters(), 1); /* c did not get it before the lender */
	EXPECT_EQ(mutex_lend(&mutex, c), 0); /* again */
	thread_join(c);
	EXPECT(mutex_owner(&mutex) == a);
	complete(&owner_go);
	thread_join(a);
	EXPECT_EQ(mutex.owner, 0);
	EXPECT(nr_order == 2 && order[0] == 1 && order[1] == 2);
}

/* The lender unlocks while the mutex is lent: the borrower owns it from then on. */
KTEST(lock, mutex_lend_kept)
{
	struct thread *a = lend_setup(), *b, *c;

	b = start_waiter(borrow, 1, 1);
	c = start_waiter(mutex_once, 2, 2);
	EXPECT_EQ(mutex_lend(&mutex, b), 0);
	complete(&owner_go);
	thread_join(a);
	EXPECT(mutex_owner(&mutex) == b && !mutex.lender);
	EXPECT_EQ(nr_waiters(), 1);
	complete(&borrower_go);
	thread_join(b);
	thread_join(c); /* c got it after b */
	EXPECT_EQ(mutex.owner, 0);
}

static uint32_t held_up, owner_unlocks;

static void hold_up_past_owner(const struct trace_event *e)
{
	if (e->op != TR_HANDOVER || !current->traced)
		return;
	WRITE_ONCE(held_up, 1);
	while (!READ_ONCE(owner_unlocks))
		cpu_relax();
	hold_up(e, 400);
}

static int hold_shared(void *arg)
{
	(void)arg;
	mutex_lock(&shared->lock);
	wait_for_completion(&owner_go);
	WRITE_ONCE(owner_unlocks, 1);
	mutex_unlock(&shared->lock);
	free_shared(shared);
	return 0;
}

static int borrow_shared(void *arg)
{
	(void)arg;
	current->traced = true;
	mutex_lock(&shared->lock);
	mutex_unlock(&shared->lock);
	return 0;
}

/* The borrower gives the mutex back, and the lender frees it at once. */
KTEST(lock, mutex_lend_freed)
{
	struct cpumask here = cpumask_of(ktest_first_core());
	struct thread *a, *b;

	NEED_CORES(2);
	ktest_run_on(ktest_first_core());
	shared = kmalloc(sizeof(*shared));
	BUG_ON(!shared);
	mutex_init(&shared->lock, "shared.lock");
	init_completion(&owner_go, "owner may go on");
	a = ktest_thread("owner", hold_shared, NULL, here);
	EXPECT(EVENTUALLY(mutex_owner(&shared->lock) == a && ktest_sleeps(a)));
	b = ktest_thread("borrower", borrow_shared, NULL,
			 cpumask_andnot(cpu_online(), here));
	EXPECT(EVENTUALLY(ktest_sleeps(b)));
	held_up = owner_unlocks = 0;
	WRITE_ONCE(trace_listen, hold_up_past_owner);
	trace_start(TRACE_MARKED);
	EXPECT_EQ(mutex_lend(&shared->lock, b), 0);
	while (!READ_ONCE(held_up)) {
		yield();
		ktest_busy();
	}
	complete(&owner_go);
	thread_join(a);
	thread_join(b);
	trace_stop();
	WRITE_ONCE(trace_listen, NULL);
	EXPECT(all_is_poison(shared, 1));
	kfree(shared);
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
	order_clear();
	thread_get(dead);
	thread_join(dead);
	t = start_waiter(mutex_once, 1, 1);
	EXPECT(mutex_owner(&mutex) == dead);
	mutex_release_dead(&mutex, current); /* we do not hold it: no effect */
	EXPECT(mutex_owner(&mutex) == dead);
	mutex_release_dead(&mutex, dead);
	thread_join(t);
	thread_put(dead);
	EXPECT_EQ(mutex.owner, 0);
	EXPECT_EQ(nr_order, 1);
}
