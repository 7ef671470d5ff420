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

/* ---- a waiter with interrupts off ------------------------------------------------ */

/* Its tick is pending, and must not end the WFI of the core that waits. The controller
 * is exchanged, to see what that core asks of it. */
static const struct irqchip_ops *real_chip;
static struct irqchip_ops watched_chip;
static struct {
	unsigned int cpu;
	uint32_t sleeps; /* before each WFI it clears the kick */
	uint32_t deaf;	 /* how often kicks only was turned on */
	bool kicks_only;
} waiter;

static void watched_clear_kick(void)
{
	real_chip->clear_kick();
	if (smp_processor_id() == waiter.cpu)
		WRITE_ONCE(waiter.sleeps, waiter.sleeps + 1);
}

static void watched_kicks_only(bool on)
{
	real_chip->kicks_only(on);
	if (smp_processor_id() == waiter.cpu) {
		waiter.deaf += on;
		WRITE_ONCE(waiter.kicks_only, on);
	}
}

static bool watch_chip(void)
{
	if (!irqchip->kicks_only)
		return false;
	real_chip = irqchip;
	watched_chip = *real_chip;
	watched_chip.clear_kick = watched_clear_kick;
	watched_chip.kicks_only = watched_kicks_only;
	waiter.cpu = smp_processor_id();
	waiter.sleeps = waiter.deaf = 0;
	waiter.kicks_only = false;
	irqchip = &watched_chip;
	return true;
}

/* The waiter has interrupts on again, and the tick must come. */
static void hears_again(const uint32_t *ticks)
{
	irqchip = real_chip;
	EXPECT(waiter.deaf > 0);
	EXPECT(!waiter.kicks_only);
	for (unsigned int i = 0; i < 1000 && !READ_ONCE(*ticks); i++)
		ktest_busy();
	EXPECT_EQ(READ_ONCE(*ticks), 1);
	real_chip->kicks_only(false); /* the cases after a failed one */
}

static void count_tick(struct timer *t)
{
	ktest_count(t->arg);
}

static void for_50_ms(void)
{
	uint64_t end = timer_now() + timer_ticks(50000000);

	while (timer_now() < end)
		ktest_busy();
}

static uint32_t stage; /* how far the other core has come */

static int hold_while_it_waits(void *arg)
{
	(void)arg;
	spin_lock(&spin);
	WRITE_ONCE(stage, 1);
	/* No EVENTUALLY() in these: we hold a spinlock. */
	while (READ_ONCE(waiter.sleeps) < 2)
		cpu_relax();
	for_50_ms();
	spin_unlock(&spin);
	return 0;
}

KTEST(lock, spin_waits_for_kicks_only)
{
	uint32_t ticks = 0, flags;
	struct timer tick;
	struct thread *t;

	NEED_CORES(2);
	ktest_run_on(ktest_first_core());
	stage = 0;
	if (!watch_chip()) {
		ktest_skip("the controller cannot do that");
		return;
	}
	t = ktest_thread("holder", hold_while_it_waits, NULL,
			 cpumask_of(ktest_last_core()));
	EXPECT(EVENTUALLY(READ_ONCE(stage) == 1));
	waiter.sleeps = 0;
	timer_setup(&tick, count_tick, &ticks);
	flags = local_irq_save();
	timer_arm(&tick, timer_now());
	spin_lock(&spin);
	spin_unlock(&spin);
	EXPECT_EQ(ticks, 0);
	EXPECT(waiter.sleeps <= 10);
	local_irq_restore(flags);
	hears_again(&ticks);
	thread_join(t);
	timer_cancel_sync(&tick);
}

static bool inner_ended;

/* The condition takes a lock that is held: two waits, one in the other. */
static bool take_and_look(void *arg)
{
	uint32_t want = *(uint32_t *)arg;

	if (READ_ONCE(stage) == 1) {
		spin_lock(&spin);
		spin_unlock(&spin);
		WRITE_ONCE(inner_ended, true);
	}
	return READ_ONCE(stage) == want;
}

static void kick_until(uint32_t sleeps)
{
	for (uint32_t n = 0; n < sleeps; n++) {
		uint32_t seen = READ_ONCE(waiter.sleeps);

		core_kick(waiter.cpu);
		while (READ_ONCE(waiter.sleeps) == seen)
			cpu_relax();
	}
}

static int hold_while_the_condition_waits(void *arg)
{
	(void)arg;
	while (!READ_ONCE(waiter.kicks_only) && READ_ONCE(waiter.sleeps) < 1000)
		cpu_relax();
	spin_lock(&spin);
	WRITE_ONCE(stage, 1);
	kick_until(3); /* the inner wait sleeps more than once */
	WRITE_ONCE(stage, 2);
	spin_unlock(&spin);
	while (!READ_ONCE(inner_ended))
		cpu_relax();
	kick_until(1); /* the outer one sleeps again */
	WRITE_ONCE(waiter.sleeps, 0);
	for_50_ms();
	WRITE_ONCE(stage, 3);
	core_kick(waiter.cpu);
	return 0;
}

KTEST(lock, spin_nested_in_core_wait)
{
	uint32_t ticks = 0, flags, end = 3;
	struct timer tick;
	struct thread *t;

	NEED_CORES(2);
	ktest_run_on(ktest_first_core());
	stage = 0;
	inner_ended = false;
	if (!watch_chip()) {
		ktest_skip("the controller cannot do that");
		return;
	}
	timer_setup(&tick, count_tick, &ticks);
	t = ktest_thread("holder", hold_while_the_condition_waits, NULL,
			 cpumask_of(ktest_last_core()));
	flags = local_irq_save();
	timer_arm(&tick, timer_now());
	core_wait(take_and_look, &end);
	EXPECT_EQ(ticks, 0);
	EXPECT(waiter.sleeps <= 10);
	local_irq_restore(flags);
	hears_again(&ticks);
	thread_join(t);
	timer_cancel_sync(&tick);
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
