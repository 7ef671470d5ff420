/*
 * Spinlocks: the ticket lock (kernel/lock/ticket.h) with parking and an owner
 * (kernel/lock/spinlock_fast.h). In debug builds lockdep (its usual case inline:
 * kernel/lock/lockdep_fast.h) and the gates of the explorer are around it. In release
 * builds the functions are inline. The duties of a client: kernel/lock/spinlock.h.
 *
 * core_wait() is here, too: it disables preemption.
 *
 * Locks: none. Context: any but FIQ. Built without sanitizers (docs/design.md,
 * "bare code").
 */
#include "kernel/lock/spinlock.h"

#include "boot/boot.h"
#include "kernel/arch/board.h"
#include "kernel/debug/trace.h"
#include "kernel/lock/lockdep_fast.h"
#include "kernel/lock/park.h"
#include "kernel/sched/sched.h"

void __spin_lock_init(struct spinlock *l, const char *name,
		      const void *key maybe_unused)
{
	debug_check_new_lock(l, sizeof(*l), CALLER);
	*l = (struct spinlock)SPINLOCK_INIT(name);
	lockdep_set_class(l, key, name);
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
		flags = raw_local_irq_save();
		irqchip->clear_kick();
		dsb(); /* clear an old kick before done() looks; pairs with the
			* barrier in core_kick() */
		if (!done(arg))
			sleep_in_wfi(flags, &wfis);
		raw_local_irq_restore(flags);
	}
	end_sleep_in_wfi(flags, wfis);
	preempt_enable();
}

#if GORDIAN_DEBUG
/* irqs_off: as for lock_acquire_inline(). */
static always_inline void acquire(struct spinlock *l, uintptr_t site,
				  bool irqs_off)
{
	lock_acquire_inline(&l->dep_map, LOCK_WRITE, site, irqs_off);
	take_lock(l, site);
}

/* For lockdep: the outer lock that orders the locks taken inside it. */
#define MAP_OF(outer) ((outer) ? &(outer)->dep_map : NULL)

/*
 * In sight: a trace or the explorer watches (trace_watched()). Then an
 * operation on a lock of an experiment is a point if the experiment's own code
 * calls the operation. A lock belongs to an experiment if the key of its
 * lockdep class lies in the experiments' data. If the kernel takes such a lock
 * for the experiment, as wake_up() takes the lock of a queue, this operation is
 * no point.
 */
struct lock_class_key out_of_sight;

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

/* Why a lock may be taken although a lock of its class is held: see
 * lock_acquire(). */
struct nesting {
	unsigned int subclass;
	const struct spinlock *outer;
};

/* n may be NULL. irqs: mask IRQs, and return the old flags. Otherwise disable
 * preemption. */
static noinline uint32_t lock_in_sight(struct spinlock *l,
				       const struct nesting *n, bool irqs,
				       uintptr_t site)
{
	bool point = is_experiments_code(site) && is_experiments_lock(l);
	uint32_t flags = 0;

	if (point && irqs)
		trace_gate_slow(TR_IRQ_OFF, l, site);
	if (irqs)
		flags = local_irq_save();
	if (point)
		trace_gate_slow(TR_SPIN_LOCK, l, site);
	if (!irqs)
		preempt_disable();
	lock_acquire(&l->dep_map, n ? n->subclass : 0, LOCK_WRITE,
		     n ? MAP_OF(n->outer) : NULL, site);
	if (point && spin_is_locked(l))
		trace_record(TR_SPIN_CONTEND, l, l->name,
			     (uintptr_t)READ_ONCE(l->holder), site);
	if (point)
		trace_gate_slow(TR_SPIN_TURN, l, site);
	take_lock(l, site);
	if (!point)
		return flags;
	trace_event_to(TR_SPIN_LOCK, l, l->name, site);
	trace_gate_slow(TR_SPIN_LOCKED, l, site);
	return flags;
}

/* irqs: restore the flags. Otherwise enable preemption. */
static noinline void unlock_in_sight(struct spinlock *l, bool irqs,
				     uint32_t flags, uintptr_t site)
{
	bool point = is_experiments_code(site) && is_experiments_lock(l);
	bool held;

	if (point) {
		trace_gate_slow(TR_SPIN_UNLOCK, l, site);
		trace_event_to(TR_SPIN_UNLOCK, l, l->name, site);
	}
	held = lock_release(&l->dep_map, site);
	if (held)
		drop_lock(l);
	if (irqs)
		local_irq_restore(flags);
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
	note_holder(l, site);
	lock_acquire(&l->dep_map, 0, LOCK_TRY, NULL, site);
	if (point) {
		trace_event_to(TR_SPIN_LOCK, l, l->name, site);
		trace_gate_slow(TR_SPIN_TRIED, l, site);
	}
	return true;
}

void raw_spin_lock(struct spinlock *l)
{
	acquire(l, CALLER, false);
}

void raw_spin_unlock(struct spinlock *l)
{
	if (lock_release_inline(&l->dep_map, CALLER))
		drop_lock(l);
}

void spin_lock(struct spinlock *l)
{
	if (trace_watched()) {
		lock_in_sight(l, NULL, false, CALLER);
		return;
	}
	preempt_disable();
	acquire(l, CALLER, false);
}

void spin_lock_nested(struct spinlock *l, unsigned int subclass)
{
	if (trace_watched()) {
		lock_in_sight(l, &(struct nesting){ .subclass = subclass },
			      false, CALLER);
		return;
	}
	preempt_disable();
	lock_acquire(&l->dep_map, subclass, LOCK_WRITE, NULL, CALLER);
	take_lock(l, CALLER);
}

void spin_unlock(struct spinlock *l)
{
	if (trace_watched()) {
		unlock_in_sight(l, false, 0, CALLER);
		return;
	}
	if (!lock_release_inline(&l->dep_map, CALLER))
		return;
	drop_lock(l);
	preempt_enable();
}

bool spin_trylock(struct spinlock *l)
{
	if (trace_watched())
		return trylock_in_sight(l, CALLER);
	preempt_disable();
	if (ticket_try(&l->tickets)) {
		note_holder(l, CALLER);
		lock_acquire_inline(&l->dep_map, LOCK_TRY, CALLER, false);
		return true;
	}
	preempt_enable();
	return false;
}

void spin_lock_nest_lock(struct spinlock *l, const struct spinlock *outer)
{
	if (trace_watched()) {
		lock_in_sight(l, &(struct nesting){ .outer = outer }, false,
			      CALLER);
		return;
	}
	preempt_disable();
	lock_acquire(&l->dep_map, 0, LOCK_WRITE, MAP_OF(outer), CALLER);
	take_lock(l, CALLER);
}

uint32_t spin_lock_irqsave(struct spinlock *l)
{
	uint32_t flags;

	if (trace_watched())
		return lock_in_sight(l, NULL, true, CALLER);
	flags = local_irq_save();
	acquire(l, CALLER, true);
	return flags;
}

uint32_t spin_lock_irqsave_nested(struct spinlock *l, unsigned int subclass)
{
	uint32_t flags;

	if (trace_watched())
		return lock_in_sight(l,
				     &(struct nesting){ .subclass = subclass },
				     true, CALLER);
	flags = local_irq_save();
	lock_acquire(&l->dep_map, subclass, LOCK_WRITE, NULL, CALLER);
	take_lock(l, CALLER);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *l, uint32_t flags)
{
	if (trace_watched()) {
		unlock_in_sight(l, true, flags, CALLER);
		return;
	}
	if (lock_release_inline(&l->dep_map, CALLER))
		drop_lock(l);
	local_irq_restore(flags);
}
#endif
