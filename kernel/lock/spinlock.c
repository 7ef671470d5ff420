/*
 * Spinlocks: the ticket lock (kernel/lock/ticket.h) with parking and an owner
 * (kernel/lock/spinlock_fast.h). In debug builds lockdep and the gates of the explorer
 * are around it. In release builds the functions are inline. The duties of a client:
 * kernel/lock/spinlock.h.
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
static always_inline void acquire(struct spinlock *l, unsigned int subclass,
				  uintptr_t site)
{
	lock_acquire(&l->dep_map, subclass, LOCK_WRITE, NULL, site);
	take_lock(l, site);
}

/* For lockdep: the outer lock that orders the locks taken inside it. */
#define MAP_OF(outer) ((outer) ? &(outer)->dep_map : NULL)

/*
 * In sight: a trace or the explorer reads the stream of events. Then an
 * operation on a lock of an experiment is a point if the experiment's own code
 * calls the operation. A lock belongs to an experiment if the key of its
 * lockdep class lies in the experiments' data. If the kernel takes such a lock
 * for the experiment, as wake_up() takes the lock of a queue, this operation is
 * no point.
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

/* If flags is NULL, disable preemption. Otherwise mask IRQs, and store the old
 * flags in *flags. */
static noinline void lock_in_sight(struct spinlock *l, unsigned int subclass,
				   const struct spinlock *outer,
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
	lock_acquire(&l->dep_map, subclass, LOCK_WRITE, MAP_OF(outer), site);
	if (point && spin_is_locked(l))
		trace_record(TR_SPIN_CONTEND, l, l->name,
			     (uintptr_t)READ_ONCE(l->holder), site);
	if (point)
		trace_gate_slow(TR_SPIN_TURN, l, site);
	take_lock(l, site);
	if (!point)
		return;
	trace_event_to(TR_SPIN_LOCK, l, l->name, site);
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
		trace_event_to(TR_SPIN_UNLOCK, l, l->name, site);
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
		lock_in_sight(l, 0, NULL, NULL, CALLER);
		return;
	}
	preempt_disable();
	acquire(l, 0, CALLER);
}

void spin_lock_nested(struct spinlock *l, unsigned int subclass)
{
	if (in_sight()) {
		lock_in_sight(l, subclass, NULL, NULL, CALLER);
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
		note_holder(l, CALLER);
		lock_acquire(&l->dep_map, 0, LOCK_TRY, NULL, CALLER);
		return true;
	}
	preempt_enable();
	return false;
}

void spin_lock_nest_lock(struct spinlock *l, const struct spinlock *outer)
{
	if (in_sight()) {
		lock_in_sight(l, 0, outer, NULL, CALLER);
		return;
	}
	preempt_disable();
	lock_acquire(&l->dep_map, 0, LOCK_WRITE, MAP_OF(outer), CALLER);
	take_lock(l, CALLER);
}

uint32_t spin_lock_irqsave(struct spinlock *l)
{
	uint32_t flags = 0;

	if (in_sight()) {
		lock_in_sight(l, 0, NULL, &flags, CALLER);
		return flags;
	}
	flags = local_irq_save();
	acquire(l, 0, CALLER);
	return flags;
}

uint32_t spin_lock_irqsave_nested(struct spinlock *l, unsigned int subclass)
{
	uint32_t flags = 0;

	if (in_sight()) {
		lock_in_sight(l, subclass, NULL, &flags, CALLER);
		return flags;
	}
	flags = local_irq_save();
	acquire(l, subclass, CALLER);
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
#endif
