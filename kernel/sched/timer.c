/*
 * Software timers and the timer interrupt.
 *
 * Each core has a list sorted by deadline, guarded by its lock (IRQs off).
 * Functions run in the timer interrupt with no lock held. The comparator is set
 * for the earliest of the first timer and the tick; an idle core has no tick.
 */
#include "kernel/sched/timer.h"

#include "drivers/board.h"
#include "kernel/debug/panic.h"
#include "kernel/lock/spinlock.h"
#include "kernel/sched/internal.h"

static struct lock_class_key base_key maybe_unused;

static struct timer_base {
	struct spinlock lock;
	/* lock guards: */
	struct list_head timers; /* earliest first */
	struct timer *running;	 /* its function is being called now */
	unsigned int armed;	 /* but for those of sleeping threads */
	bool ready;
} cache_aligned bases[NR_CPUS] = {
	[0 ... NR_CPUS -
	 1] = { .lock = SPINLOCK_INIT_KEY("timer_base.lock", base_key) },
};

static struct timer_base *lock_base(unsigned int cpu, uint32_t *flags)
{
	struct timer_base *b = &bases[cpu];

	*flags = spin_lock_irqsave(&b->lock);
	if (!b->ready) {
		list_init(&b->timers);
		b->ready = true;
	}
	return b;
}

/* Lock the base t is on; its core may change while we wait for the lock. */
static struct timer_base *lock_timer(struct timer *t, uint32_t *flags)
{
	for (;;) {
		unsigned int cpu = READ_ONCE(t->cpu);
		struct timer_base *b = lock_base(cpu, flags);

		if (likely(t->cpu == cpu))
			return b;
		spin_unlock_irqrestore(&b->lock, *flags);
	}
}

void timer_setup(struct timer *t, void (*fn)(struct timer *), void *arg)
{
	list_init(&t->link);
	t->fn = fn;
	t->arg = arg;
	t->armed = t->timeout = false;
	t->cpu = 0;
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

void timer_arm(struct timer *t, uint64_t deadline)
{
	uint32_t outer = local_irq_save(), flags;
	unsigned int cpu = smp_processor_id();
	struct timer_base *b;

	/* Until the base it belongs to is ours: others may arm it meanwhile. */
	for (;;) {
		b = lock_timer(t, &flags);
		if (t->armed)
			remove_timer(b, t);
		if (t->cpu == cpu)
			break;
		WRITE_ONCE(t->cpu, cpu);
		spin_unlock_irqrestore(&b->lock, flags);
	}
	t->expires = deadline;
	insert(b, t);
	spin_unlock_irqrestore(&b->lock, flags);
	timer_program();
	local_irq_restore(outer);
}

bool timer_cancel(struct timer *t)
{
	uint32_t flags;
	struct timer_base *b = lock_timer(t, &flags);
	bool was = t->armed;

	if (was)
		remove_timer(b, t);
	spin_unlock_irqrestore(&b->lock, flags);
	return was;
}

static bool not_running(void *arg)
{
	struct timer *t = arg;
	uint32_t flags;
	struct timer_base *b = lock_timer(t, &flags);
	bool ok = b->running != t;

	spin_unlock_irqrestore(&b->lock, flags);
	return ok;
}

bool timer_cancel_sync(struct timer *t)
{
	bool was = timer_cancel(t);

	while (!not_running(t))
		cpu_relax();
	return was;
}

void timer_program(void)
{
	uint32_t flags;
	struct timer_base *b = lock_base(smp_processor_id(), &flags);
	uint64_t next = sched_next_tick();

	if (!list_empty(&b->timers)) {
		uint64_t first =
			list_first(&b->timers, struct timer, link)->expires;

		if (!next || first < next)
			next = first;
	}
	if (next)
		timer_set(next);
	else
		timer_stop();
	spin_unlock_irqrestore(&b->lock, flags);
}

void timer_interrupt(void)
{
	uint32_t flags;
	struct timer_base *b = lock_base(smp_processor_id(), &flags);
	uint64_t now = timer_now();

	while (!list_empty(&b->timers)) {
		struct timer *t = list_first(&b->timers, struct timer, link);

		if (t->expires > now)
			break;
		remove_timer(b, t);
		b->running = t;
		spin_unlock_irqrestore(&b->lock, flags);
		t->fn(t);
		b = lock_base(smp_processor_id(), &flags);
		b->running = NULL;
	}
	spin_unlock_irqrestore(&b->lock, flags);
	sched_tick_if_due(timer_now());
	timer_program();
}

unsigned int timers_migrate(unsigned int dead)
{
	uint32_t outer = local_irq_save(), flags;
	unsigned int me = smp_processor_id(), n = 0;

	for (;;) {
		struct timer_base *b = lock_base(dead, &flags);
		struct timer *t = NULL;

		if (!list_empty(&b->timers)) {
			t = list_first(&b->timers, struct timer, link);
			remove_timer(b, t);
			/*
			 * Both locks, dead's first: whoever looks for the
			 * timer between finds it nowhere else. One core goes
			 * at a time, so nobody nests them the other way round.
			 */
			spin_lock_nested(&bases[me].lock, 1);
			WRITE_ONCE(t->cpu, me);
			insert(&bases[me], t);
			spin_unlock(&bases[me].lock);
			n++;
		}
		spin_unlock_irqrestore(&b->lock, flags);
		if (!t)
			break;
	}
	timer_program();
	local_irq_restore(outer);
	return n;
}

unsigned int timers_armed(unsigned int cpu)
{
	uint32_t flags;
	struct timer_base *b = lock_base(cpu, &flags);
	unsigned int n = b->armed;

	spin_unlock_irqrestore(&b->lock, flags);
	return n;
}
