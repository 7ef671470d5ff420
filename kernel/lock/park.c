/*
 * How a core waits for a spinlock, or for anything else that another core does.
 * The functions that only lockdep calls are here, too. See park.h.
 *
 * Parking. A waiter spins SPIN_LIMIT times. Then it writes into its core's slot
 * which ticket of which lock it waits for, and sleeps in WFI. The releaser looks
 * for the core that waits for the ticket now served, and sends an interrupt to
 * that core alone (a kick). With more virtual cores than host cores, a hand-over
 * then takes microseconds. Without parking it takes milliseconds, because the host
 * runs the spinning cores while the next one in line waits for a host core.
 *
 * Why no kick is lost. The waiter stores its slot, then reads `serving`. The
 * releaser stores `serving`, then reads the slots. A full barrier stands
 * between the two accesses on each side (W1 and R1), so at least one side sees
 * the other's store. If the kick comes between the waiter's last look and its
 * WFI, it stays pending, because interrupts are masked; and a pending interrupt
 * ends WFI even if it is masked.
 *
 * A waiter with IRQs off. A pending interrupt ends each WFI of such a core at
 * once, and the core cannot take the interrupt. So the core would spin after all.
 * On a host with fewer cores this would go on for ever: hand-overs take so long
 * that the next tick is pending before the core gets the lock. Therefore from the
 * second WFI on only a kick ends the WFI, if the interrupt controller can do that
 * (sleep_in_wfi() and end_sleep_in_wfi(); `wfis` counts).
 *
 * Locks: these functions take no other lock. Context: any but FIQ. Built without
 * sanitizers (docs/design.md, "bare code").
 */
#include "kernel/lock/park.h"

#include "kernel/arch/board.h"
#include "kernel/lock/busy.h"
#include "kernel/sched/sched.h"

/* The ticket that each core waits for in WFI. Only that core writes its slot,
 * with IRQs masked. */
static struct {
	const struct spinlock *lock;
	unsigned int ticket;
} cache_aligned park[NR_CPUS];

/* See spin_lock_rescue(). `rescued` is atomic, and stored last. */
static const struct spinlock *rescued;
static const struct thread *rescued_for;

/* If a rescue lets this waiter in before its turn, use up the rescue and return
 * true. */
static bool take_rescue(const struct spinlock *l, unsigned int ticket)
{
	const struct thread *t;

	/* Acquire: pairs with the release in spin_lock_rescue(). */
	if (likely(smp_load_acquire(&rescued) != l))
		return false;
	t = READ_ONCE(rescued_for);
	if (t ? t != current :
		(uint16_t)(READ_ONCE(l->tickets.serving) + 1) != ticket)
		return false;
	/* Relaxed: nothing is handed over, the holder is still inside. */
	return __atomic_exchange_n(&rescued, NULL, __ATOMIC_RELAXED);
}

#if GORDIAN_DEBUG
static const struct thread *spin_holder(const void *obj)
{
	const struct spinlock *l = obj;

	return READ_ONCE(l->holder);
}

static int spin_lend(void *obj, struct thread *t)
{
	(void)t; /* not needed: a rescue for NULL lets the next waiter in */
	spin_lock_rescue(obj, NULL);
	return 0;
}

const struct wait_ops spin_wait = {
	.name = "spinlock",
	.event = true,
	.busy = true,
	.dep_map = DEP_MAP_AT(struct spinlock),
	.owner = spin_holder,
	.lend = spin_lend,
	.lent = "%s keeps %s; %s is let in once",
	.lend_rank = 2,
};
#endif

/* Must this WFI be one that only a kick ends? From the second WFI on it must,
 * if IRQs were off before (flags: from the caller's local_irq_save()) and if
 * the controller supports it. */
static bool hears_kicks_only(uint32_t flags, unsigned int wfis)
{
	/* A core waits only if other cores run, and irqchip is set before they
	 * do. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	return wfis > 1 && (flags & PSR_I) && irqchip->kicks_only;
}

void sleep_in_wfi(uint32_t flags, unsigned int *wfis)
{
	++*wfis;
	/* Turn kicks_only() on before each WFI: done() of core_wait() may
	 * itself wait for a spinlock. The end of that wait turns kicks_only()
	 * off. */
	if (hears_kicks_only(flags, *wfis))
		irqchip->kicks_only(true);
	wfi();
}

void end_sleep_in_wfi(uint32_t flags, unsigned int wfis)
{
	if (hears_kicks_only(flags, wfis))
		irqchip->kicks_only(false);
}

/* Spin, then sleep, until the ticket is served or a rescue lets this core
 * in. */
noinline void wait_turn(struct spinlock *l, unsigned int ticket,
			uintptr_t site maybe_unused)
{
	unsigned int cpu = smp_processor_id(), wfis = 0;
	struct waiting outer;
	uint32_t flags = 0;

	if (ticket_wait(&l->tickets, ticket, SPIN_LIMIT))
		return;
	outer = busy_begin(&spin_wait, l, l->name, site);
	while (!ticket_served(&l->tickets, ticket) && !take_rescue(l, ticket)) {
		cpu_relax();
		if (!irqchip)
			continue;
		flags = raw_local_irq_save();
		irqchip->clear_kick();
		park[cpu].ticket = ticket;
		/* Release: a releaser that sees the lock sees the ticket. */
		smp_store_release(&park[cpu].lock, l);
		dsb(); /* W1: store the slot before reading `serving`; pairs
			* with R1 */
		if (!ticket_served(&l->tickets, ticket) &&
		    READ_ONCE(rescued) != l)
			sleep_in_wfi(flags, &wfis);
		WRITE_ONCE(park[cpu].lock, NULL);
		raw_local_irq_restore(flags);
	}
	end_sleep_in_wfi(flags, wfis);
	busy_set(outer);
}

/* Kick the core that waits for this ticket in WFI, if there is one. */
noinline void kick_next(const struct spinlock *l, unsigned int ticket)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		/* Acquire: pairs with the release in wait_turn(). */
		if (smp_load_acquire(&park[cpu].lock) == l &&
		    READ_ONCE(park[cpu].ticket) == ticket) {
			core_kick(cpu);
			return;
		}
	}
}

void spin_lock_rescue(struct spinlock *l, const struct thread *t)
{
	WRITE_ONCE(rescued_for, t);
	/* Release: pairs with the acquire in take_rescue(). */
	smp_store_release(&rescued, l);
	smp_mb(); /* store `rescued` before reading the slots; pairs with W1 */
	kick_next(l, (uint16_t)(READ_ONCE(l->tickets.serving) + 1));
}

void arch_spin_lock(struct spinlock *l)
{
	const struct ticket_lock was = ticket_draw(&l->tickets);

	if (unlikely(ticket_taken_in(was)))
		wait_turn(l, was.next, CALLER);
	note_holder(l, CALLER);
}

void arch_spin_unlock(struct spinlock *l)
{
	drop_lock(l);
}

void core_kick(unsigned int cpu)
{
	dsb(); /* the waiter's condition before the kick; pairs with
		* core_wait(), wait_turn() */
	irqchip->send_ipi(cpumask_of(cpu), IPI_KICK);
}

void core_kick_mask(struct cpumask cores)
{
	dsb(); /* as in core_kick() */
	irqchip->send_ipi(cpumask_andnot(cores, cpumask_of(smp_processor_id())),
			  IPI_KICK);
}
