/*
 * Lockdep: the reset, and the unregistering of keys.
 *
 * Both change the classes and edges that a report refers to. So they hold the
 * console from report_begin() to report_end(), and no report is printed
 * meanwhile. If a finding was made before, and is not printed yet, a reset
 * forgets the finding. The unregistering of a key does not forget it. But if
 * the finding is about the key's classes, it is printed in one line only.
 * lockdep_report() compares lockdep_resets and lockdep_removals. Locks: the
 * console, then lockdep_graph_lock.
 *
 * Threads may hold locks meanwhile. Only a thread itself knows which, so each
 * thread tells lockdep at its next lock operation (lockdep_relearn()).
 *
 * Context: any but FIQ. Built without sanitizers.
 */
#include "kernel/debug/panic.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/lock/spinlock.h"

#if GORDIAN_DEBUG

static void no_threads_yet(void (*fn)(struct thread *t, void *arg), void *arg)
{
	fn(current, arg);
}

void (*lockdep_for_each_thread)(void (*fn)(struct thread *t, void *arg),
				void *arg) = no_threads_yet;

/* Called after lockdep_graph_lock was released. This release, and the lock of
 * the list of threads, have the barriers that pair with lockdep_relearn(). */
static void set_stale(struct thread *t, void *arg maybe_unused)
{
	WRITE_ONCE(t->lockdep.stale, 1);
}

void lockdep_reset(void)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t irqs = raw_local_irq_save(), flags = report_begin();

	t->recursion = 1;
	arch_spin_lock(&lockdep_graph_lock);
	chains_uncheck();
	lockdep_forget_uses();
	dep_clear(&lockdep_graph);
	lockdep_forget_findings();
	WRITE_ONCE(lockdep_resets, lockdep_resets + 1);
	lockdep_chain_misses = lockdep_max_depth = 0;
	arch_spin_unlock(&lockdep_graph_lock);
	lockdep_has_room("DEP_EDGES");
	lockdep_has_room("LOCKDEP_FINDINGS");
	report_end(flags);
	/* After report_end(), because this takes a spinlock. */
	lockdep_for_each_thread(set_stale, NULL);
	lockdep_relearn(t);
	t->recursion = 0;
	raw_local_irq_restore(irqs);
}

/* Report that t holds locks of the key, and no longer check these locks. Their
 * classes and chains will go, and other classes and chains may get the
 * places. */
static void retire_locks_of(struct lockdep_thread *t, const void *key,
			    uintptr_t site, const void *frame)
{
	bool first = true;

	for (unsigned int i = 0; i < t->depth;) {
		const struct held_lock *h = &t->held[i];
		struct finding f;

		if (!h->class || lockdep_classes[h->class].key != key) {
			i++;
			continue;
		}
		lockdep_fill(&f, LOCKDEP_HELD_FREED, frame);
		f.what = "gives back the key of a held lock";
		f.next = lockdep_copy(h);
		if (first)
			lockdep_found(&f, lockdep_serial(h->class), site, 1);
		else
			lockdep_count_again(1);
		first = false;
		lockdep_retire(t, i, false);
	}
}

void lockdep_unregister_key(struct lock_class_key *key)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t gone[DEP_NODES / 32] = { 0 };
	uint32_t irqs = raw_local_irq_save(), flags;
	bool registered, any;

	t->recursion = 1;
	retire_locks_of(t, key, CALLER, __builtin_frame_address(0));
	flags = report_begin();
	arch_spin_lock(&lockdep_graph_lock);
	any = lockdep_forget_key(key, gone, &registered);
	if (any) {
		for (unsigned int n = 1; n < lockdep_nr_classes; n++)
			if (gone[n / 32] & 1u << n % 32)
				dep_remove(&lockdep_graph, n);
		chains_remove(gone);
		/* Orders that led through this key's classes are gone, and two
		 * other classes may have had no other order. For a thread that
		 * holds locks of both, this is like a reset. */
		chains_uncheck();
		WRITE_ONCE(lockdep_resets, lockdep_resets + 1);
		WRITE_ONCE(lockdep_removals, lockdep_removals + 1);
	}
	arch_spin_unlock(&lockdep_graph_lock);
	lockdep_forget_last();
	if (registered)
		lockdep_has_room("KEYS");
	lockdep_has_room("DEP_NODES");
	lockdep_has_room("DEP_EDGES");
	lockdep_has_room("LOCKDEP_CHAINS");
	report_end(flags);
	/* After report_end(), because this takes a spinlock. */
	if (any)
		lockdep_for_each_thread(set_stale, NULL);
	t->recursion = 0;
	raw_local_irq_restore(irqs);
}
#endif
