/*
 * Lockdep: how locks of a class are used, and which uses exclude each other.
 *
 * A class gets a use when a lock of it is taken, when interrupts are enabled
 * while it is held, and when its holder calls other cores. If a new use contradicts an old
 * use of the class, that is a finding. Lockdep notes the new use, so that it does
 * not find it again. But it derives no other findings from this use, because they
 * would have the same cause.
 *
 * lockdep_graph_lock guards the uses. Context: any but FIQ, IRQs off. Built
 * without sanitizers. Source: Linux 6.1, kernel/locking/lockdep.c, for the rule
 * about interrupts.
 */
#include <string.h>

#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/lock/spinlock.h"

#if GORDIAN_DEBUG

/* For each use: the uses that a class must not have besides it. (A class may
 * have both uses of readers.) */
static const uint8_t excluded[NR_USES] = {
	[USED_IN_HARDIRQ] = USE_ON,
	[USED_IN_HARDIRQ_READ] = USE_BIT(ENABLED_HARDIRQ),
	[ENABLED_HARDIRQ] = USE_IN,
	[ENABLED_HARDIRQ_READ] = USE_BIT(USED_IN_HARDIRQ),
	[TAKEN_IRQS_OFF] = USE_BIT(HELD_IN_CALL),
	[HELD_IN_CALL] = USE_BIT(TAKEN_IRQS_OFF),
};

/*
 * A safe lock must not lead to an unsafe one. There are two rules:
 *  - Safe: an interrupt takes the lock. Unsafe: the lock is held with
 *    interrupts on. The interrupt may come on top of a holder of the unsafe
 *    lock.
 *  - Safe: a core waits for the lock with interrupts off. Unsafe: a thread that
 *    holds the lock waits for an answer of other cores. A core with interrupts
 *    off does not answer. Only spinlocks are waited for in this way, so readers
 *    do not count. Waits in an interrupt do not count either: the holder of the
 *    unsafe lock has interrupts on, so the first rule is broken too.
 */
static const struct rule {
	uint32_t safe, unsafe; /* uses */
} rules[] = {
	{ USE_IN, USE_ON },
	{ USE_BIT(TAKEN_IRQS_OFF), USE_BIT(HELD_IN_CALL) },
};

static unsigned int rule_of(unsigned int use)
{
	return (USE_BIT(use) & USE_CALL) != 0;
}

uint32_t lockdep_uses_of(const struct held_lock *h)
{
	bool read = is_shared(h->how);
	/* A trylock in an interrupt does not wait for the interrupted
	 * thread. */
	bool waits = !(h->how & LOCK_TRY);
	uint32_t uses = 0;

	/* A reader that is not recursive waits for a waiting writer, and so for
	 * the readers for which this writer waits. So the reader counts as a
	 * writer here. */
	if (h->in_irq && waits)
		uses = USE_BIT(is_recursive(h->how) ? USED_IN_HARDIRQ_READ :
						      USED_IN_HARDIRQ);
	if (!h->irqs_off)
		uses |= USE_BIT(read ? ENABLED_HARDIRQ_READ : ENABLED_HARDIRQ);
	else if (!h->in_irq && !read && waits)
		uses = USE_BIT(TAKEN_IRQS_OFF);
	return uses;
}

/* ---- searches ------------------------------------------------------------- */

struct use_match {
	uint32_t mask, other;	       /* uses: to find, of the other side */
	unsigned int start;	       /* a node that does not count */
	unsigned int avoid;	       /* no path goes through this node */
	uint32_t said[DEP_NODES / 32]; /* found already */
};

/*
 * For dep_search(): has the class `node` one of the uses in arg->mask? weak:
 * the path reaches the class by recursive readers only. Recursive readers do
 * not wait for other readers, so in this case a use by readers does not count.
 * A path ends at the first safe or unsafe class: lockdep has already checked
 * what lies beyond this class.
 */
static enum dep_match has_use(unsigned int node, bool weak, void *arg)
{
	const struct use_match *m = arg;
	const struct lock_class *c = &lockdep_classes[node];
	uint32_t usage = lockdep_evidence(c);

	if (weak)
		usage &= ~USE_READ;
	if (node == m->start)
		return DEP_GO;
	if (node == m->avoid || m->said[node / 32] & 1u << node % 32)
		return DEP_STOP;
	if (usage & m->mask)
		return DEP_FOUND;
	/* A use by readers does not end the path, because it depends on the
	 * rest of the path whether this use counts. */
	return usage & m->other & ~USE_READ ? DEP_STOP : DEP_GO;
}

static void set_said(struct use_match *m, unsigned int node)
{
	m->said[node / 32] |= 1u << node % 32;
}

static unsigned int lowest_use(uint32_t usage)
{
	return usage ? (unsigned int)__builtin_ctz(usage) : NR_USES;
}

static unsigned int evidence_of(unsigned int class, uint32_t mask)
{
	return lowest_use(lockdep_evidence(&lockdep_classes[class]) & mask);
}

/* Count a finding: the order of f->safe and f->unsafe breaks this rule. */
static bool note_pair(struct finding *f, unsigned int rule)
{
	return lockdep_note(f, lockdep_serial(f->safe),
			    lockdep_serial(f->unsafe), rule);
}

/* ---- a new use ------------------------------------------------------------ */

/* h's class is now used in this way. If this use makes the class safe, report
 * the unsafe classes that come after it. If this use makes the class unsafe,
 * report the safe classes that come before it. Returns false if there are
 * any. */
static bool check_paths(struct finding *f, const struct held_lock *h,
			unsigned int use)
{
	const struct rule *r = &rules[rule_of(use)];
	bool safe = (USE_BIT(use) & r->safe) != 0, first = false, ok = true;
	/* m has the uses of readers too: with other locks between them, two
	 * readers can wait for each other. */
	struct use_match m = { .mask = safe ? r->unsafe : r->safe,
			       .other = safe ? r->safe : r->unsafe,
			       .start = h->class };
	unsigned int other;

	f->kind = LOCKDEP_IRQ_INVERSION;
	for (;;) {
		f->safe = f->unsafe = h->class;
		f->safe_use = f->unsafe_use = use;
		arch_spin_lock(&lockdep_graph_lock);
		other = dep_search(&lockdep_graph, h->class,
				   safe ? is_recursive(h->how) :
					  is_shared(h->how),
				   !safe, has_use, &m, &f->path);
		if (other) {
			*(safe ? &f->unsafe : &f->safe) = other;
			*(safe ? &f->unsafe_use : &f->safe_use) =
				evidence_of(other, m.mask);
			first = note_pair(f, rule_of(use));
		}
		arch_spin_unlock(&lockdep_graph_lock);
		if (!other)
			return ok;
		if (first)
			lockdep_report(f);
		set_said(&m, other);
		ok = false;
	}
}

/* Note that h's class is used in this way. Returns false if this is a
 * finding. */
static noinline bool mark_one(const struct held_lock *h, unsigned int use,
			      const void *frame)
{
	struct lock_class *c = &lockdep_classes[h->class];
	bool safe = (USE_BIT(use) & rules[rule_of(use)].safe) != 0;
	bool known, first = false;
	uint32_t conflict = 0;
	struct finding f;

	lockdep_fill(&f, LOCKDEP_INCONSISTENT, frame);
	f.in_irq = h->in_irq; /* lockdep_relearn() may run in another one */
	f.next = lockdep_copy(h);
	f.safe = f.unsafe = h->class;
	f.safe_use = f.unsafe_use = f.new_use = use;
	arch_spin_lock(&lockdep_graph_lock);
	known = (c->usage & USE_BIT(use)) != 0;
	if (!known) {
		conflict = lockdep_evidence(c) & excluded[use];
		c->used[use] = f.trace;
		lockdep_set_use(h->class, use, conflict);
	}
	if (conflict) {
		*(safe ? &f.unsafe_use : &f.safe_use) = lowest_use(conflict);
		first = lockdep_note(&f, lockdep_serial(h->class), rule_of(use),
				     0);
	}
	arch_spin_unlock(&lockdep_graph_lock);
	if (first)
		lockdep_report(&f);
	return known || (!conflict && check_paths(&f, h, use));
}

bool lockdep_mark_use(const struct held_lock *h, uint32_t uses,
		      const void *frame)
{
	const struct lock_class *c = &lockdep_classes[h->class];
	bool ok = true;

	for (unsigned int use = 0; h->class && use < NR_USES; use++)
		/* Relaxed: a first look. A use that is set here has been
		 * checked; if it is not set, the next look is under the lock.
		 */
		if (uses & ~READ_ONCE(c->usage) & USE_BIT(use))
			ok &= mark_one(h, use, frame);
	return ok;
}

void lockdep_mark_in_step(const struct held_lock *h, uint32_t uses, bool *ok,
			  const void *frame)
{
	const struct lock_class *c = &lockdep_classes[h->class];

	if (*ok) {
		*ok = lockdep_mark_use(h, uses, frame);
		return;
	}
	for (unsigned int use = 0; h->class && use < NR_USES; use++)
		if (uses & ~READ_ONCE(c->usage) & USE_BIT(use) &&
		    lockdep_evidence(c) & excluded[use])
			lockdep_count_again(1);
}

/* ---- a new edge ------------------------------------------------------------- */

/* Find the unsafe locks that come after `next`, and report each with f->safe.
 * Returns false if there are any. lockdep_graph_lock held; it is released for
 * the reports. */
static bool report_unsafe(struct finding *f, unsigned int rule,
			  const struct held_lock *next, struct dep_edge *e)
{
	struct use_match on = { .mask = rules[rule].unsafe,
				.other = rules[rule].safe,
				.avoid = f->prev.class };
	uint32_t epoch = lockdep_resets;
	bool ok = true;

	while (lockdep_resets == epoch) {
		f->unsafe = dep_search(&lockdep_graph, next->class,
				       is_recursive(next->how), false, has_use,
				       &on, &f->forward);
		if (!f->unsafe)
			break;
		ok = false;
		e->bad = true;
		f->unsafe_use = evidence_of(f->unsafe, on.mask);
		set_said(&on, f->unsafe);
		if (!note_pair(f, rule))
			continue;
		arch_spin_unlock(&lockdep_graph_lock);
		lockdep_report(f);
		arch_spin_lock(&lockdep_graph_lock);
	}
	return ok;
}

bool lockdep_check_irq_order(const struct held_lock *prev,
			     const struct held_lock *next, struct dep_edge *e,
			     uint32_t wrong, const void *frame)
{
	struct finding f;
	bool ok = true;

	lockdep_fill(&f, LOCKDEP_IRQ_ORDER, frame);
	f.prev = lockdep_copy(prev);
	f.next = lockdep_copy(next);
	arch_spin_lock(&lockdep_graph_lock);
	for (unsigned int rule = 0; rule < ARRAY_SIZE(rules); rule++) {
		struct use_match in = { .mask = rules[rule].safe,
					.other = rules[rule].unsafe,
					.avoid = next->class };
		uint32_t epoch = lockdep_resets;

		if (wrong & (rules[rule].safe | rules[rule].unsafe))
			continue; /* a finding would follow from the wrong
				   * use */
		while (lockdep_resets == epoch) {
			f.safe = dep_search(&lockdep_graph, prev->class,
					    is_shared(prev->how), true, has_use,
					    &in, &f.path);
			if (!f.safe)
				break;
			f.safe_use = evidence_of(f.safe, in.mask);
			set_said(&in, f.safe);
			if (report_unsafe(&f, rule, next, e))
				break; /* no unsafe lock comes after `next` */
			ok = false;
		}
	}
	arch_spin_unlock(&lockdep_graph_lock);
	return ok;
}

/* ---- the hooks -------------------------------------------------------------- */

/* IRQs go on, and the last lock was taken with IRQs off. */
static noinline void held_with_irqs_on(struct lockdep_thread *t,
				       const void *frame)
{
	bool ok = true;

	if (t->recursion)
		return;
	t->recursion = 1;
	for (unsigned int i = 0; i < t->depth; i++) {
		struct held_lock *h = &t->held[i];

		if (!h->irqs_off)
			continue;
		h->irqs_off = 0;
		lockdep_mark_in_step(h,
				     USE_BIT(is_shared(h->how) ?
						     ENABLED_HARDIRQ_READ :
						     ENABLED_HARDIRQ),
				     &ok, frame);
	}
	t->recursion = 0;
}

/*
 * The locks that were taken with IRQs off are the last ones of the list. When
 * IRQs go on, all of them count as held with IRQs on. So if the last lock was
 * taken with IRQs on, there is nothing to do.
 */
void lockdep_irqs_on(void)
{
	struct lockdep_thread *t = &current->lockdep;

	if (unlikely(t->depth && t->held[t->depth - 1].irqs_off))
		held_with_irqs_on(t, __builtin_frame_address(0));
}

void lockdep_call(void)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t flags = raw_local_irq_save();
	bool ok = true;

	if (!t->recursion) {
		t->recursion = 1;
		for (unsigned int i = 0; i < t->depth; i++)
			if (!is_shared(t->held[i].how))
				lockdep_mark_in_step(
					&t->held[i], USE_BIT(HELD_IN_CALL), &ok,
					__builtin_frame_address(0));
		t->recursion = 0;
	}
	raw_local_irq_restore(flags);
}
#endif
