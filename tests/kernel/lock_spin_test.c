/*
 * Suite lock: spinlocks: their rules, then stress with a plain counter that only
 * exclusion keeps right.
 */
#include "kernel/lock/spinlock.h"
#include "kernel/sched/timer.h"
#include "tests/kernel/threads.h"

static DEFINE_SPINLOCK(spin);
static uint32_t plain; /* not atomic: the lock must protect it */

/* Add one, slowly enough that a second thread would be noticed. */
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
	run_in_threads(n, spin_count);
	EXPECT_EQ(plain, n * SPIN_ROUNDS);
	EXPECT(!spin_is_locked(&spin) && !spin.holder);
}

/* Taken in interrupts, so threads take it with interrupts off. */
static DEFINE_SPINLOCK(irq_spin);
static uint32_t from_timers, from_threads;
static uint64_t while_free; /* 200 rounds take so long if nobody else is there */

static void timer_count(struct timer *t)
{
	uint32_t flags = spin_lock_irqsave(&irq_spin);

	(void)t;
	count_plainly();
	from_timers++;
	spin_unlock_irqrestore(&irq_spin, flags);
}

static int irq_count_up(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg + 1;
	struct timer timer;
	unsigned int i;

	timer_setup(&timer, timer_count, NULL);
	/* A loaded host brings the first interrupts late: go on until they come. */
	for (i = 0; i < SPIN_ROUNDS ||
		    (READ_ONCE(from_timers) <= 10 && i < 1000 * SPIN_ROUNDS);
	     i++) {
		uint32_t flags;

		/* The thread arms the timer, so it gets on between two interrupts.
		 * If the function did, and a loaded host made it wait for the lock
		 * for longer than its period, nothing else would run here. */
		if (i % 100 == 0 && !READ_ONCE(timer.armed))
			timer_arm(&timer, timer_now() + ktest_random(&rnd) %
								while_free);
		flags = spin_lock_irqsave(&irq_spin);
		EXPECT(irqs_disabled());
		count_plainly();
		spin_unlock_irqrestore(&irq_spin, flags);
	}
	timer_cancel_sync(&timer);
	__atomic_fetch_add(&from_threads, i, __ATOMIC_RELAXED);
	return 0;
}

/* One lock, taken by threads and by timer interrupts on all cores. */
KTEST(lock, spin_irqsave)
{
	unsigned int n = ktest_cores();

	while_free = ~0u;
	for (int k = 0; k < 3;
	     k++) { /* the host may stop us during one of them */
		uint64_t start = timer_now();

		for (int i = 0; i < 200; i++)
			spin_unlock_irqrestore(&irq_spin,
					       spin_lock_irqsave(&irq_spin));
		while_free = min(while_free, timer_now() - start);
	}
	plain = from_timers = from_threads = 0;
	run_in_threads(n, irq_count_up);
	EXPECT(from_timers > 10);
	EXPECT_EQ(plain, from_threads + from_timers);
	EXPECT(!irqs_disabled());
}

static int spin_once(void *arg)
{
	spin_lock(&spin);
	order_note((unsigned int)(uintptr_t)arg);
	spin_unlock(&spin);
	return 0;
}

/* Waiters get the lock in the order of their tickets, parked in WFI or not. */
KTEST(lock, spin_fair)
{
	unsigned int here = ktest_first_core(), cpu, n = 0;
	struct thread *t[NR_CPUS];

	NEED_CORES(3);
	order_clear();
	ktest_run_on(here);
	spin_lock(&spin);
	for_each_cpu (cpu, cpumask_andnot(cpu_online(), cpumask_of(here))) {
		uint16_t drawn = READ_ONCE(spin.tickets.next);

		t[n] = ktest_thread("waiter", spin_once, (void *)n,
				    cpumask_of(cpu));
		/* No EVENTUALLY() here: we hold a spinlock. */
		while (READ_ONCE(spin.tickets.next) == drawn)
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
	l.tickets.both = 0xffffffff; /* the ticket numbers overflow */
	for (int i = 0; i < 3; i++) {
		spin_lock(&l);
		EXPECT(spin_is_locked(&l));
		spin_unlock(&l);
	}
	EXPECT(!spin_is_locked(&l));
}
