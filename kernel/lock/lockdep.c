/*
 * Lockdep: the list of the locks that a thread holds, and the hooks of the locks.
 * What lockdep is for: lockdep.h. Its other files: lockdep_internal.h.
 *
 * Each thread has a list of the locks that it holds, in the order in which it
 * took them. Only the thread uses its list, with IRQs off. An interrupt uses the
 * list of the interrupted thread, and puts its locks behind those of the thread.
 * `base` is where the list of the running context begins.
 *
 * What always holds:
 *  (1) `chain` is the name of the chain that the entries from `base` on make
 *      (lockdep_chain.c).
 *  (2) If an entry was taken with IRQs off, and IRQs have stayed off since, only
 *      entries of the same kind follow it. (The entries of an interrupted
 *      context come before it, but they were there when IRQs were on.)
 *  (3) An entry without a class is held, but not checked.
 *
 * In the usual case (lockdep_fast.h) an acquisition writes an entry, and finds its
 * chain in the table of checked chains. A release takes the last entry off.
 *
 * Inside lockdep a thread sets its `recursion`: lockdep does not check the locks
 * that the thread takes then. Context: any but FIQ. Built without sanitizers.
 */
#include "kernel/lock/lockdep.h"

#include "kernel/arch/clock.h"
#include "kernel/debug/panic.h"
#include "kernel/lock/lockdep_fast.h"
#include "kernel/lock/lockdep_internal.h"

#if GORDIAN_DEBUG

/* If a list has more entries than this, further locks that one outer lock
 * orders share an entry. */
#define COMPRESS_FROM (MAX_HELD / 2)

unsigned int lockdep_max_depth;

/* ---- the list ------------------------------------------------------------- */

/* Is this the entry of m? An entry of several locks counts as the entry of
 * every lock of the entry's class. */
static bool is_entry_of(const struct held_lock *h, const struct lockdep_map *m)
{
	return h->map ? h->map == m : h->class && h->class == m->class[0];
}

const struct held_lock *lockdep_entry(const struct lockdep_thread *t,
				      const struct lockdep_map *m)
{
	const struct held_lock *shared = NULL;

	for (unsigned int i = t->depth; i-- > 0;) {
		const struct held_lock *h = &t->held[i];

		if (h->map == m)
			return h;
		if (!shared && is_entry_of(h, m))
			shared = h;
	}
	return shared;
}

unsigned int lockdep_chain_of(const struct lockdep_thread *t, unsigned int n)
{
	bool known;

	return n ? chain_intern(&t->held[n - 1], NULL, &known) : CHAIN_EMPTY;
}

/* The empty chain of the running context. */
static unsigned int empty_chain(const struct lockdep_thread *t)
{
	return t->in_irq_link ? CHAIN_EMPTY_IRQ : CHAIN_EMPTY;
}

/* The entries from i on now lie on top of `chain`: set the names of their
 * chains. */
static void rechain(struct lockdep_thread *t, unsigned int i,
		    unsigned int chain)
{
	bool known;

	for (; i < t->depth; i++) {
		struct held_lock *h = &t->held[i];

		if (h->in_irq && (i == 0 || i == t->base || !h[-1].in_irq))
			chain = CHAIN_EMPTY_IRQ;
		h->below = chain;
		chain = chain_intern(h, NULL, &known);
	}
	t->chain = t->depth > t->base ? chain : empty_chain(t);
}

/* Remove entry i. The entries above it move down, onto another chain. */
static void remove_entry(struct lockdep_thread *t, unsigned int i)
{
	unsigned int chain = t->held[i].below;

	t->depth--;
	t->base -= i < t->base;
	t->mark -= i < t->mark;
	for (unsigned int k = i; k < t->depth; k++)
		t->held[k] = t->held[k + 1];
	rechain(t, i, chain);
}

void lockdep_retire(struct lockdep_thread *t, unsigned int i, bool renewed)
{
	const struct held_lock *h = &t->held[i];
	struct stray_lock *s = stray_add(t, h, renewed);

	if (s) {
		if (i < t->mark || renewed)
			s->level = 0;
		/* The late release of a renewed lock returns false, so the
		 * releaser does not decrement the preempt count. If taking the
		 * lock has incremented the count (IRQs were on), pay() has to
		 * decrement it. */
		s->owes_a_count = renewed && !h->irqs_off;
	}
	remove_entry(t, i);
}

/* Note the greatest depth, for the command `lockdep`. If two cores note a depth
 * at once, the greater one may be lost. */
static void note_depth(unsigned int depth)
{
	if (depth > READ_ONCE(lockdep_max_depth))
		WRITE_ONCE(lockdep_max_depth, depth);
}

/* ---- acquiring -------------------------------------------------------------- */

/* Does t hold the outer lock, as far as lockdep knows? */
static bool holds_outer(struct lockdep_thread *t,
			const struct lockdep_map *nest)
{
	const struct stray_lock *s = stray_find(t, nest);

	return lockdep_entry(t, nest) || (s && !s->gone) || t->blind;
}

static void report_nest(const struct held_lock *h, const void *frame)
{
	struct finding f;

	lockdep_fill(&f, LOCKDEP_NEST, frame);
	f.next = lockdep_copy(h);
	lockdep_found(&f, lockdep_serial(h->class), h->site, 0);
}

/* t->held[t->depth] is the new entry. The chain that ends with it may be
 * unchecked, or may be at another place of the table than its hash says. Find
 * the chain, and check it if it is unchecked. Returns the chain's name. */
static noinline unsigned int check_chain(struct lockdep_thread *t,
					 const struct lockdep_map *nest,
					 const void *frame)
{
	struct held_lock *h = &t->held[t->depth];
	uint32_t epoch = READ_ONCE(lockdep_resets);
	bool known, ok = true, ordered = nest && holds_outer(t, nest);
	const struct lock_class *c = &lockdep_classes[h->class];
	unsigned int name;
	uint32_t wrong;

	t->recursion = 1;
	h->unchecked = 0; /* lockdep_irq_enter() may have set it */
	note_depth(t->depth + 1);
	if (nest && !ordered && h->class)
		report_nest(h, frame);
	name = chain_intern(h, NULL, &known);
	if (!known) {
		/* Relaxed: nothing depends on the count. */
		__atomic_fetch_add(&lockdep_chain_misses, 1, __ATOMIC_RELAXED);
		wrong = c->wrong;
		lockdep_mark_use(h, lockdep_uses_of(h), frame);
		/* If a new use makes the class inconsistent, it also makes
		 * orders of the class break the same rule. These findings
		 * follow from the first: lockdep_check_order() leaves them
		 * out. */
		ok = lockdep_check_order(t, t->depth, h, ordered,
					 c->wrong & ~wrong, frame);
		name = chain_intern(h, ok ? &epoch : NULL, &known);
	}
	/* The locks of the interrupted context are not part of the chain. So
	 * look for recursion with them here, at each acquisition. */
	if (t->base && h->class && !ordered && !(h->how & LOCK_TRY))
		lockdep_check_recursion(t, 0, t->base, h, frame);
	t->recursion = 0;
	return name;
}

void lockdep_relearn(struct lockdep_thread *t)
{
	bool outer = false;

	WRITE_ONCE(t->stale, 0);
	/* Pairs with the barriers between set_stale() and the rest of
	 * lockdep_reset() or lockdep_unregister_key(). If the code below still
	 * reads what those functions forget, they set `stale` after us. */
	smp_mb();
	/* When a key is unregistered, the chains with its classes go. The names
	 * of these chains may be used for other chains. */
	for (unsigned int i = 0; i < t->depth; i++) {
		struct held_lock *h = &t->held[i];

		/* The class is gone. An edge to it would become an edge to the
		 * class that gets its place next. */
		if (!lockdep_classes[h->class].key)
			h->class = 0;
		outer |= !h->class && i < t->base;
	}
	rechain(t, 0, CHAIN_EMPTY);
	if (outer) /* this is an interrupt, and its end restores the old name of
		    * the thread's chain: learn again then */
		WRITE_ONCE(t->stale, 1);
	for (unsigned int i = 0; i < t->depth; i++) {
		struct held_lock *h = &t->held[i];
		/* A made-up frame, which returns to the place where h was
		 * taken. The real stack shows the present step, not how h was
		 * taken. */
		const uint32_t taken_at[] = { LOCKDEP_NO_OLDER_FRAME, h->site };
		const void *frame = &taken_at[1];

		lockdep_mark_use(h, lockdep_uses_of(h), frame);
		lockdep_check_order(t, i, h, h->nested, 0, frame);
	}
}

/* Add m to the locks that the thread holds, t->held[]. flags: the CPSR of the
 * caller. */
static void push(struct lockdep_thread *t, struct lockdep_map *m,
		 unsigned int class, unsigned int how,
		 const struct lockdep_map *nest, uintptr_t site, uint32_t flags,
		 const void *frame)
{
	uint32_t link = lockdep_write(t, &t->held[t->depth], m, class, how,
				      nest, site, flags);

	if (likely(chain_is_known(link)) && !nest)
		t->chain = chain_name(chain_place(link));
	else
		t->chain = check_chain(t, nest, frame);
	t->depth++;
}

/* Is m held shared in this context? Then a recursive reader of m never waits,
 * so it counts as a trylock. */
static bool reads_already(const struct lockdep_thread *t,
			  const struct lockdep_map *m)
{
	const struct held_lock *h = lockdep_entry(t, m);

	return h && is_shared(h->how) && h >= &t->held[t->base];
}

/*
 * Many locks of one class, which one outer lock orders, share an entry from
 * COMPRESS_FROM on. This entry stands for no single lock. Locks of different
 * contexts do not share an entry. Returns whether the last entry has taken in
 * one more lock.
 */
static bool compress(struct lockdep_thread *t, unsigned int class,
		     unsigned int how, const struct lockdep_map *nest)
{
	struct held_lock *h = &t->held[t->depth - 1];

	if (t->depth <= max(t->mark, COMPRESS_FROM + 0u) || !h->nested ||
	    h->class != class || h->how != how || h->more == UINT8_MAX ||
	    !holds_outer(t, nest))
		return false;
	h->map = NULL;
	h->more++;
	return true;
}

/* Any acquisition. lockdep_push() does the usual one in fewer steps. flags: the CPSR of
 * the caller. IRQs off. */
static noinline void acquire(struct lockdep_map *m, unsigned int subclass,
			     unsigned int how, const struct lockdep_map *nest,
			     uintptr_t site, uint32_t flags, const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;
	unsigned int class;
	bool done;

	if (t->recursion || m->key == &lockdep_no_validate)
		return;
	t->recursion = 1;
	if (READ_ONCE(t->stale))
		lockdep_relearn(t);
	class = subclass < LOCKDEP_SUBCLASSES ? READ_ONCE(m->class[subclass]) :
						0;
	if (!class)
		class = lockdep_class_of(m, subclass);
	done = class && nest && compress(t, class, how, nest);
	if (!done && t->depth == MAX_HELD) {
		const struct held_lock h = { .map = m, .how = how };

		lockdep_full("held locks of a thread", "MAX_HELD", MAX_HELD,
			     "further locks of the thread are not checked");
		stray_add(t, &h, false);
		done = true;
	}
	t->recursion = 0;
	if (done)
		return;
	if (is_recursive(how) && reads_already(t, m))
		how |= LOCK_TRY;
	if (class) {
		push(t, m, class, how, nest, site, flags, frame);
		return;
	}
	t->held[t->depth++] = (struct held_lock){
		.map = m,
		.site = site,
		.since = timer_about_now(),
		.how = how,
		.in_irq = t->in_irq_link != 0,
		.irqs_off = (flags & PSR_I) != 0,
	};
	t->held[t->depth - 1].below = t->chain;
	t->chain = CHAIN_UNKNOWN;
}

void lock_acquire_full(struct lockdep_map *m, unsigned int subclass,
		       unsigned int how, const struct lockdep_map *nest,
		       uintptr_t site)
{
	uint32_t flags = raw_local_irq_save();

	acquire(m, subclass, how, nest, site, flags,
		__builtin_frame_address(0));
	raw_local_irq_restore(flags);
}

/* So few arguments are passed in registers: the caller needs no room for them on its
 * stack. */
static noinline void acquire_slow(struct lockdep_map *m, unsigned int how,
				  uintptr_t site, const void *frame)
{
	uint32_t flags = raw_local_irq_save();

	acquire(m, 0, how, NULL, site, flags, frame);
	raw_local_irq_restore(flags);
}

void lock_acquire_slow(struct lockdep_map *m, unsigned int how, uintptr_t site)
{
	acquire_slow(m, how, site, __builtin_frame_address(0));
}

void lock_acquire_plain(struct lockdep_map *m, unsigned int how, uintptr_t site)
{
	uint32_t flags = raw_local_irq_save();
	bool done = lockdep_push(m, how, site, flags);

	raw_local_irq_restore(flags);
	if (unlikely(!done))
		acquire_slow(m, how, site, __builtin_frame_address(0));
}

void lock_contended(struct lockdep_map *m)
{
	struct lockdep_thread *t = &current->lockdep;

	if (t->depth && t->held[t->depth - 1].map == m)
		t->held[t->depth - 1].waits = true;
}

void lock_acquired(struct lockdep_map *m)
{
	struct lockdep_thread *t = &current->lockdep;

	if (t->depth && t->held[t->depth - 1].map == m) {
		t->held[t->depth - 1].waits = false;
		t->held[t->depth - 1].since = timer_about_now();
	}
}

/* ---- releasing -------------------------------------------------------------- */

/* Report a wrong release of m. h: the entry of m, which another context has
 * made; NULL: m is not held. */
static void report_unbalanced(struct lockdep_map *m, uintptr_t site,
			      const struct held_lock *h, const void *frame)
{
	unsigned int class = READ_ONCE(m->class[0]) ?: lockdep_class_of(m, 0);
	struct finding f;

	lockdep_fill(&f, LOCKDEP_UNBALANCED, frame);
	f.next = (struct held_copy){ m, site, (uint16_t) class, 0, false, 0 };
	if (h) {
		f.next = f.prev = lockdep_copy(h);
		f.next.lock = f.prev.lock = m; /* h may stand for many */
	}
	lockdep_found(&f, lockdep_serial(f.next.class), site, 0);
}

/* Any release. lockdep_pop() does the usual one in fewer steps; otherwise the lock was
 * not the last one taken, or another context took it, or the release is a finding. IRQs
 * off. */
static bool release(struct lockdep_map *m, uintptr_t site, const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;
	const struct held_lock *found;
	struct held_lock *h = NULL;
	unsigned int i = 0;
	bool ok = true;

	if (t->recursion || m->key == &lockdep_no_validate)
		return true;
	t->recursion = 1;
	if (READ_ONCE(t->stale))
		lockdep_relearn(t);
	found = lockdep_entry(t, m);
	if (found) {
		i = (unsigned int)(found - t->held);
		h = &t->held[i];
	}
	if (!h && !stray_release(t, m, &ok)) {
		report_unbalanced(m, site, NULL, frame);
		ok = false;
	}
	if (h && i < t->base) { /* taken in another context */
		const struct held_lock gone = { .map = m,
						.how = h->how,
						.in_irq = h->in_irq };

		report_unbalanced(m, site, h, frame);
		stray_add(t, &gone, true);
		t->excused = true;
	}
	if (h && h->more)
		h->more--;
	else if (h)
		remove_entry(t, i);
	t->recursion = 0;
	return ok;
}

static noinline bool release_slow(struct lockdep_map *m, uintptr_t site,
				  const void *frame)
{
	uint32_t flags = raw_local_irq_save();
	bool ok = release(m, site, frame);

	raw_local_irq_restore(flags);
	return ok;
}

bool lock_release(struct lockdep_map *m, uintptr_t site)
{
	uint32_t flags = raw_local_irq_save();
	bool ok = lockdep_pop(m);

	raw_local_irq_restore(flags);
	if (unlikely(!ok))
		ok = release_slow(m, site, __builtin_frame_address(0));
	return ok;
}

/* ---- is it held? ------------------------------------------------------------ */

bool lock_is_on_list(const struct lockdep_map *m)
{
	struct lockdep_thread *t = &current->lockdep;
	const struct held_lock *h = lockdep_entry(t, m);
	const struct stray_lock *s = stray_find(t, m);

	return (h && !h->waits) || (s && !s->gone);
}

static bool is_unknown(const struct lockdep_map *m)
{
	return current->lockdep.blind || m->key == &lockdep_no_validate;
}

bool lock_is_held(const struct lockdep_map *m)
{
	return lock_is_on_list(m) || is_unknown(m);
}

bool lock_is_held_as(const struct lockdep_map *m, bool read)
{
	struct lockdep_thread *t = &current->lockdep;
	const struct stray_lock *s = stray_find(t, m);

	for (unsigned int i = 0; i < t->depth; i++)
		if (is_entry_of(&t->held[i], m) && !t->held[i].waits &&
		    is_shared(t->held[i].how) == read)
			return true;
	return (s && !s->gone && is_shared(s->how) == read) || is_unknown(m);
}

const struct held_lock *lock_held_by(const struct thread *t,
				     const struct lockdep_map *m)
{
	unsigned int n = min(READ_ONCE(t->lockdep.depth), MAX_HELD + 0u);

	/* A thread may have two entries for m: it holds m as a reader, and
	 * waits to take m once more. */
	while (n--)
		if (READ_ONCE(t->lockdep.held[n].map) == m &&
		    !READ_ONCE(t->lockdep.held[n].waits))
			return &t->lockdep.held[n];
	return NULL;
}
#endif
