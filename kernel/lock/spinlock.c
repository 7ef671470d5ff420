/*
 * Spinlocks: the ticket lock (kernel/lock/ticket.h) with parking, an owner and
 * lockdep around it; and how one core waits for another. The duties of a
 * client: kernel/lock/spinlock.h.
 *
 * Parking. A waiter spins SPIN_LIMIT times. Then it writes into its core's slot
 * which ticket of which lock it waits for, and sleeps in WFI. The releaser
 * looks for the core that waits for the ticket now served and kicks that core
 * alone. With more virtual cores than host cores, a hand-over then takes
 * microseconds. Without parking it takes milliseconds, because the host runs
 * the spinning cores while the next one in line waits for a host core.
 *
 * Why no kick is lost. The waiter stores its slot, then reads `serving`. The
 * releaser stores `serving`, then reads the slots. A full barrier stands
 * between the two accesses on each side (W1 and R1), so at least one side sees
 * the other's store. If the kick comes between the waiter's last look and its
 * WFI, it stays pending, because interrupts are masked; and a pending interrupt
 * ends WFI even if it is masked.
 *
 * A waiter with IRQs off. An interrupt that is pending ends each WFI of such a
 * core at once, and cannot be taken. Then the core would spin after all. On a
 * host with fewer cores this goes on for ever: hand-overs take so long that the
 * next tick is pending before a core has its turn. So from the second WFI on
 * only a kick ends the WFI (sleep_in_wfi() and end_sleep_in_wfi(); `wfis`
 * counts).
 *
 * Locks: none is below this one. Context: any but FIQ. Built without sanitizers
 * (docs/design.md, "bare code").
 */
#include "kernel/lock/spinlock.h"

#include "boot/boot.h"
#include "kernel/arch/board.h"
#include "kernel/debug/trace.h"
#include "kernel/lock/busy.h"
#include "kernel/sched/sched.h"

#define SPIN_LIMIT 200

/* The ticket that each core waits for in WFI. Only that core writes its slot,
 * with IRQs masked. */
static struct {
	const struct spinlock *lock;
	unsigned int ticket;
} cache_aligned park[NR_CPUS];

void __spin_lock_init(struct spinlock *l, const char *name,
		      const void *key maybe_unused)
{
	debug_check_no_locks_freed(l, sizeof(*l));
	*l = (struct spinlock)SPINLOCK_INIT(name);
	lockdep_set_class(l, key, name);
}

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
	(void)t; /* not needed: only the next in line can be let in */
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

/* Must this WFI be one that only a kick ends? It must from the second one
 * on, if IRQs were off before (flags: from the caller's local_irq_save())
 * and if the controller can do it. */
static bool hears_kicks_only(uint32_t flags, unsigned int wfis)
{
	/* A core waits only if other cores run, and irqchip is set before they
	 * do. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	return wfis > 1 && (flags & PSR_I) && irqchip->kicks_only;
}

/* Sleep in WFI once, and count that in *wfis. From the second WFI of a wait on,
 * only a kick ends it (hears_kicks_only()). IRQs off. */
static void sleep_in_wfi(uint32_t flags, unsigned int *wfis)
{
	++*wfis;
	/* Turn kicks_only() on before each WFI: done() of core_wait() may
	 * itself wait for a spinlock, and the end of that wait turns it off. */
	if (hears_kicks_only(flags, *wfis))
		irqchip->kicks_only(true);
	wfi();
}

/* The wait is over: let every interrupt end a WFI again. */
static void end_sleep_in_wfi(uint32_t flags, unsigned int wfis)
{
	if (hears_kicks_only(flags, wfis))
		irqchip->kicks_only(false);
}

/* Spin, then sleep, until the ticket is served or a rescue lets us in. */
static noinline void wait_turn(struct spinlock *l, unsigned int ticket,
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
		flags = local_irq_save();
		irqchip->clear_kick();
		park[cpu].ticket = ticket;
		/* Release: a releaser that sees the lock sees the ticket. */
		smp_store_release(&park[cpu].lock, l);
		dsb(); /* W1: slot before `serving`; pairs with R1 */
		if (!ticket_served(&l->tickets, ticket) &&
		    READ_ONCE(rescued) != l)
			sleep_in_wfi(flags, &wfis);
		WRITE_ONCE(park[cpu].lock, NULL);
		local_irq_restore(flags);
	}
	end_sleep_in_wfi(flags, wfis);
	busy_set(outer);
}

static always_inline void take_lock(struct spinlock *l, uintptr_t site)
{
	const struct ticket_lock was = ticket_draw(&l->tickets);

	if (unlikely(was.next != was.serving)) {
		lock_contended(&l->dep_map);
		wait_turn(l, was.next, site);
		lock_acquired(&l->dep_map);
	}
	WRITE_ONCE(l->holder, current);
	WRITE_ONCE(l->site, site);
}

/* Kick the core that waits for this ticket in WFI, if there is one. */
static noinline void kick_next(const struct spinlock *l, unsigned int ticket)
{
	unsigned int cpu;

	for_each_cpu (cpu, CPUMASK_ALL) {
		/* Acquire: pairs with the release in wait_turn(). */
		if (smp_load_acquire(&park[cpu].lock) == l &&
		    READ_ONCE(park[cpu].ticket) == ticket) {
			core_kick(cpu);
			return;
		}
	}
}

static always_inline void drop_lock(struct spinlock *l)
{
	uint16_t now;

	WRITE_ONCE(l->holder, NULL);
	now = ticket_hand_over(&l->tickets);
	/*
	 * From here on another core may have the lock, and may even have freed
	 * the memory of the lock. So l is not written any more. Reading it is
	 * harmless: memory stays mapped, and a wrong `next` means a look at the
	 * slots that finds nothing, or a kick too many. It never means a kick
	 * too few, because a lock with a waiter is not freed.
	 */
	smp_mb(); /* R1: `serving` before the slots; pairs with W1 */
	if (unlikely(READ_ONCE(l->tickets.next) != now))
		kick_next(l, now);
}

void spin_lock_rescue(struct spinlock *l, const struct thread *t)
{
	WRITE_ONCE(rescued_for, t);
	/* Release: pairs with the acquire in take_rescue(). */
	smp_store_release(&rescued, l);
	smp_mb(); /* `rescued` before the slots; pairs with W1 */
	kick_next(l, (uint16_t)(READ_ONCE(l->tickets.serving) + 1));
}

void arch_spin_lock(struct spinlock *l)
{
	take_lock(l, CALLER);
}

void arch_spin_unlock(struct spinlock *l)
{
	drop_lock(l);
}

static always_inline void acquire(struct spinlock *l, unsigned int subclass,
				  uintptr_t site)
{
	lock_acquire(&l->dep_map, subclass, LOCK_WRITE, NULL, site);
	take_lock(l, site);
}

#if GORDIAN_DEBUG
/*
 * In sight: somebody reads the stream of events, and the lock may be one that an
 * experiment takes. A lock is an experiment's if lockdep's class of it is, and
 * only what the experiment itself does with it is a point. What the kernel does
 * on its behalf (wake_up() takes the queue's lock) is not.
 */
struct lock_class_key out_of_sight;

static bool in_sight(void)
{
	return unlikely((READ_ONCE(trace_mode) |
			 (uintptr_t)READ_ONCE(trace_gate_hook)) != 0);
}

static bool is_experiments_lock(const struct spinlock *l)
{
	const char *key = l->dep_map.key ?: (const char *)&l->dep_map;

	return (key >= experiments_data_start && key < experiments_data_end) ||
	       (key >= experiments_bss_start && key < experiments_bss_end);
}

static bool is_experiments_code(uintptr_t site)
{
	return site >= (uintptr_t)experiments_text_start &&
	       site < (uintptr_t)experiments_text_end;
}

/* flags: NULL: disable preemption; else mask IRQs. */
static noinline void lock_in_sight(struct spinlock *l, unsigned int subclass,
				   uint32_t *flags, uintptr_t site)
{
	bool point = is_experiments_code(site) && is_experiments_lock(l);

	if (point && flags)
		trace_gate_slow(TR_IRQ_OFF, l, site);
	if (flags)
		*flags = local_irq_save();
	if (point)
		trace_gate_slow(TR_SPIN_LOCK, l, site);
	if (!flags)
		preempt_disable();
	lock_acquire(&l->dep_map, subclass, LOCK_WRITE, NULL, site);
	if (point && spin_is_locked(l))
		trace_event(TR_SPIN_CONTEND, l, (uintptr_t)READ_ONCE(l->holder),
			    site);
	if (point)
		trace_gate_slow(TR_SPIN_TURN, l, site);
	take_lock(l, site);
	if (!point)
		return;
	trace_event(TR_SPIN_LOCK, l, (uintptr_t)l->name, site);
	trace_gate_slow(TR_SPIN_LOCKED, l, site);
}

/* flags: as for lock_in_sight(). */
static noinline void unlock_in_sight(struct spinlock *l, const uint32_t *flags,
				     uintptr_t site)
{
	bool point = is_experiments_code(site) && is_experiments_lock(l);
	bool held;

	if (point) {
		trace_gate_slow(TR_SPIN_UNLOCK, l, site);
		trace_event(TR_SPIN_UNLOCK, l, 0, site);
	}
	held = lock_release(&l->dep_map, site);
	if (held)
		drop_lock(l);
	if (flags)
		local_irq_restore(*flags);
	else if (held)
		preempt_enable();
	if (point)
		trace_gate_slow(TR_SPIN_UNLOCKED, l, site);
}

static noinline bool trylock_in_sight(struct spinlock *l, uintptr_t site)
{
	bool point = is_experiments_code(site) && is_experiments_lock(l);

	if (point)
		trace_gate_slow(TR_SPIN_TRYLOCK, l, site);
	preempt_disable();
	if (!ticket_try(&l->tickets)) {
		preempt_enable();
		return false;
	}
	WRITE_ONCE(l->holder, current);
	WRITE_ONCE(l->site, site);
	lock_acquire(&l->dep_map, 0, LOCK_TRY, NULL, site);
	if (point) {
		trace_event(TR_SPIN_LOCK, l, (uintptr_t)l->name, site);
		trace_gate_slow(TR_SPIN_TRIED, l, site);
	}
	return true;
}
#else
#define in_sight()				false
#define lock_in_sight(l, subclass, flags, site) ((void)0)
#define unlock_in_sight(l, flags, site)		((void)0)
#define trylock_in_sight(l, site)		false
#endif

void raw_spin_lock(struct spinlock *l)
{
	acquire(l, 0, CALLER);
}

void raw_spin_unlock(struct spinlock *l)
{
	if (lock_release(&l->dep_map, CALLER))
		drop_lock(l);
}

void spin_lock(struct spinlock *l)
{
	if (in_sight()) {
		lock_in_sight(l, 0, NULL, CALLER);
		return;
	}
	preempt_disable();
	acquire(l, 0, CALLER);
}

void spin_lock_nested(struct spinlock *l, unsigned int subclass maybe_unused)
{
	if (in_sight()) {
		lock_in_sight(l, subclass, NULL, CALLER);
		return;
	}
	preempt_disable();
	acquire(l, subclass, CALLER);
}

void spin_unlock(struct spinlock *l)
{
	if (in_sight()) {
		unlock_in_sight(l, NULL, CALLER);
		return;
	}
	if (!lock_release(&l->dep_map, CALLER))
		return;
	drop_lock(l);
	preempt_enable();
}

bool spin_trylock(struct spinlock *l)
{
	if (in_sight())
		return trylock_in_sight(l, CALLER);
	preempt_disable();
	if (ticket_try(&l->tickets)) {
		WRITE_ONCE(l->holder, current);
		WRITE_ONCE(l->site, CALLER);
		lock_acquire(&l->dep_map, 0, LOCK_TRY, NULL, CALLER);
		return true;
	}
	preempt_enable();
	return false;
}

uint32_t spin_lock_irqsave(struct spinlock *l)
{
	uint32_t flags = 0;

	if (in_sight()) {
		lock_in_sight(l, 0, &flags, CALLER);
		return flags;
	}
	flags = local_irq_save();
	acquire(l, 0, CALLER);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *l, uint32_t flags)
{
	if (in_sight()) {
		unlock_in_sight(l, &flags, CALLER);
		return;
	}
	if (lock_release(&l->dep_map, CALLER))
		drop_lock(l);
	local_irq_restore(flags);
}

void core_wait(bool (*done)(void *arg), void *arg)
{
	unsigned int wfis = 0;
	uint32_t flags = 0;

	preempt_disable();
	for (unsigned int i = 0; !done(arg); i++) {
		cpu_relax();
		if (i < SPIN_LIMIT)
			continue;
		flags = local_irq_save();
		irqchip->clear_kick();
		dsb(); /* an old kick is cleared before done() looks; pairs
			* with the barrier in core_kick() */
		if (!done(arg))
			sleep_in_wfi(flags, &wfis);
		local_irq_restore(flags);
	}
	end_sleep_in_wfi(flags, wfis);
	preempt_enable();
}

void core_kick(unsigned int cpu)
{
	dsb(); /* condition before kick; pairs with core_wait(), wait_turn() */
	irqchip->send_ipi(cpumask_of(cpu), IPI_KICK);
}

void core_kick_mask(struct cpumask cores)
{
	dsb(); /* as in core_kick() */
	irqchip->send_ipi(cpumask_andnot(cores, cpumask_of(smp_processor_id())),
			  IPI_KICK);
}
