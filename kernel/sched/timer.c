/*
 * Timers, and the timer interrupt. See timer.h.
 *
 * Each core has a list of timers, sorted by deadline, and a lock that guards it
 * (taken with IRQs off). The comparator is set for the first timer or for the
 * scheduler's tick, whichever comes first. A switch to or from the idle thread
 * leaves it, if it is set for an earlier time: then one interrupt finds nothing
 * due, and sets it again. So a thread that wakes up and soon sleeps again does
 * not touch it. Under an emulator each access to it takes a lock of all cores,
 * and the interrupt of a comparator that has just expired may be late. Therefore
 * timer_arm() always sets it. An idle core has no tick, but perhaps one such
 * interrupt.
 *
 * While a timer's function runs on a core, the timer belongs to that core, even
 * if another core arms it. So the function cannot run on two cores at once, and
 * timer_cancel_sync() knows on which core it may run.
 */
#include "kernel/sched/timer.h"

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/trace.h"
#include "kernel/irq/irq.h"
#include "kernel/lock/spinlock.h"
#include "kernel/sched/internal.h"

#define NEVER UINT64_MAX

static struct timer_base {
	struct spinlock lock;
	/* lock guards: */
	struct list_head timers; /* earliest first */
	struct timer *running;	 /* its function is being called now */
	unsigned int armed;	 /* without timers that end a sleep */
	uint64_t comparator;	 /* its deadline; NEVER: it is off */
} cache_aligned bases[NR_CPUS];

static void timer_interrupt(unsigned int irq, void *arg);

void timers_init(void)
{
	for (struct timer_base *b = bases; b < bases + NR_CPUS; b++) {
		spin_lock_init(&b->lock, "timer_base.lock");
		list_init(&b->timers);
	}
	irq_register(timer_irq, timer_interrupt, NULL);
}

void timers_start_core(unsigned int cpu)
{
	timer_stop();
	bases[cpu].comparator = NEVER;
	irqchip->enable(timer_irq, cpu);
}

static struct timer *first_timer(struct timer_base *b)
{
	return list_first_or_null(&b->timers, struct timer, link);
}

/*
 * Lock the base of t. t->cpu may change until this core has the lock. The core
 * that set t->cpu held the lock of t's old base. So taking this lock does not
 * order us after that core's writes; the acquire does.
 */
static struct timer_base *lock_timer(struct timer *t, uint32_t *flags)
{
	for (;;) {
		struct timer_base *b = &bases[READ_ONCE(t->cpu)];

		*flags = spin_lock_irqsave(&b->lock);
		/* Acquire: pairs with the release in set_base(). */
		if (likely(b == &bases[smp_load_acquire(&t->cpu)]))
			return b;
		spin_unlock_irqrestore(&b->lock, *flags);
	}
}

/* Let t belong to core cpu. Afterwards the lock of cpu's base guards t. The
 * caller has taken t off its list, and holds the lock of the old base. */
static void set_base(struct timer *t, unsigned int cpu)
{
	/* Release: pairs with the acquire in lock_timer(), which then sees that
	 * t is on no list. */
	smp_store_release(&t->cpu, cpu);
}

void timer_setup(struct timer *t, void (*fn)(struct timer *), void *arg)
{
	*t = (struct timer){ LIST_HEAD_INIT(t->link), .fn = fn, .arg = arg };
}

static void insert(struct timer_base *b, struct timer *t)
{
	struct timer *pos;

	list_for_each (pos, &b->timers, link)
		if (pos->expires > t->expires)
			break;
	list_add_tail(&t->link, &pos->link); /* before pos */
	t->armed = true;
	b->armed += !t->timeout;
}

static void remove_timer(struct timer_base *b, struct timer *t)
{
	list_del(&t->link);
	t->armed = false;
	b->armed -= !t->timeout;
}

/* Set the comparator; if it is set for an earlier time, only if `later`. */
static void program(bool later)
{
	struct timer_base *b = &bases[smp_processor_id()];
	uint32_t flags = spin_lock_irqsave(&b->lock);
	struct timer *first = first_timer(b);
	uint64_t tick = sched_next_tick(), next = tick ? tick : NEVER;

	if (first)
		next = min(next, first->expires);
	if (later || next < b->comparator) {
		b->comparator = next;
		if (next == NEVER)
			timer_stop();
		else
			timer_set(next);
	}
	spin_unlock_irqrestore(&b->lock, flags);
}

void timer_arm(struct timer *t, uint64_t deadline)
{
	uint32_t outer = local_irq_save(), flags;
	unsigned int cpu = smp_processor_id();
	struct timer_base *b;

	if (!t->timeout)
		trace_did(TR_TIMER_ARM, t, 0, CALLER);
	/* Other threads may arm t at the same time, so repeat until t belongs
	 * to this core. But if t's function runs on another core, t stays
	 * there: when the function has returned, that core sets its
	 * comparator. */
	for (;;) {
		b = lock_timer(t, &flags);
		if (t->armed)
			remove_timer(b, t);
		if (t->cpu == cpu || b->running == t)
			break;
		set_base(t, cpu);
		spin_unlock_irqrestore(&b->lock, flags);
	}
	t->expires = deadline;
	insert(b, t);
	spin_unlock_irqrestore(&b->lock, flags);
	program(true);
	local_irq_restore(outer);
}

/* Disarm t without waiting for its function. Returns whether t was armed.
 * *runs: is t's function being called now? */
static bool disarm(struct timer *t, bool *runs)
{
	uint32_t flags;
	struct timer_base *b = lock_timer(t, &flags);
	bool was = t->armed;

	if (was)
		remove_timer(b, t);
	*runs = b->running == t;
	spin_unlock_irqrestore(&b->lock, flags);
	return was;
}

bool timer_cancel(struct timer *t)
{
	bool runs;

	return disarm(t, &runs);
}

bool timer_cancel_sync(struct timer *t)
{
	bool runs, was = disarm(t, &runs);

	/* The function may arm t again before it returns. */
	while (runs) {
		cpu_relax();
		was |= disarm(t, &runs);
	}
	return was;
}

void timer_program(void)
{
	program(false);
}

static void timer_interrupt(unsigned int irq maybe_unused,
			    void *arg maybe_unused)
{
	struct timer_base *b = &bases[smp_processor_id()];
	uint32_t flags = spin_lock_irqsave(&b->lock);
	uint64_t now = timer_now();
	struct timer *t;

	while ((t = first_timer(b)) && t->expires <= now) {
		const void *fn = (const void *)t->fn;
		struct lockdep_context context;

		remove_timer(b, t);
		b->running = t;
		spin_unlock_irqrestore(&b->lock, flags);
		lockdep_enter(&context);
		t->fn(t);
		lockdep_leave(&context, "a timer's function returns", fn);
		flags = spin_lock_irqsave(&b->lock);
		b->running = NULL;
	}
	spin_unlock_irqrestore(&b->lock, flags);
	sched_tick_if_due(timer_now());
	program(true);
}

void timers_migrate(unsigned int dead)
{
	uint32_t outer = local_irq_save(), flags;
	unsigned int me = smp_processor_id();
	struct timer_base *b = &bases[dead];
	struct timer *t;

	do {
		flags = spin_lock_irqsave(&b->lock);
		t = first_timer(b);
		if (t) {
			remove_timer(b, t);
			/*
			 * Hold both locks, so that nobody sees the timer
			 * between the two lists. The dead core's lock comes
			 * first. One core goes at a time, so nobody nests these
			 * locks in the other order.
			 */
			spin_lock_nested(&bases[me].lock, 1);
			set_base(t, me);
			insert(&bases[me], t);
			spin_unlock(&bases[me].lock);
		}
		spin_unlock_irqrestore(&b->lock, flags);
	} while (t);
	timer_program();
	local_irq_restore(outer);
}

unsigned int timers_armed(unsigned int cpu)
{
	struct timer_base *b = &bases[cpu];
	uint32_t flags = spin_lock_irqsave(&b->lock);
	unsigned int n = b->armed;

	spin_unlock_irqrestore(&b->lock, flags);
	return n;
}
