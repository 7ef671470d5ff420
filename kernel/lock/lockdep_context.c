/*
 * Lockdep: contexts, and what they leave behind; sleeping; assertions.
 *
 * When a context begins, its caller notes the locks held, the readers open, the
 * preempt count and the interrupt flag (struct lockdep_context). When the
 * context ends, all of these must be the same. If one of them is not, lockdep
 * reports this at the end, with the context's name. Then it restores the old
 * state: the lock becomes a stray (lockdep_stray.c), the counts and the flag
 * get their old values. So lockdep does not blame the interrupted context, or
 * the caller, later.
 *
 * One end makes at most two findings. If a lock was left, lockdep reports no
 * change of the preempt count or the interrupt flag, because the lock explains
 * it. If a reader was left, the reader explains the preempt count.
 *
 * Only the thread itself uses its struct lockdep_thread, with IRQs off.
 * Context: any but FIQ. Built without sanitizers.
 */
#include "kernel/debug/panic.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/lock/spinlock.h"

#if GORDIAN_DEBUG

/* ---- begin and end ---------------------------------------------------------- */

void lockdep_enter(struct lockdep_context *c)
{
	struct thread *me = current;
	struct lockdep_thread *t = &me->lockdep;

	*c = (struct lockdep_context){
		.depth = (uint16_t)t->depth,
		.base = (uint16_t)t->base,
		.mark = (uint16_t)t->mark,
		.chain = t->chain,
		.in_irq_link = t->in_irq_link,
		.irq_flag = arch_cpsr() & PSR_I,
		.readers = t->readers,
		.reader_base = t->reader_base,
		.reader_site = t->reader_site,
		.reader_since = t->reader_since,
		.preempt_count = me->preempt_count,
		.excused = t->excused,
	};
	t->mark = t->depth;
	t->reader_base = t->readers;
	t->excused = false;
	t->level++;
}

void lockdep_irq_enter(struct lockdep_context *c)
{
	/* If the interrupted context holds locks, each acquisition of the
	 * interrupt has to be checked. So set `unchecked` in the interrupt's
	 * links: a link with this bit has another place in the table than its
	 * chain, and chain_is_known() does not find it. */
	const struct held_lock in_irq = {
		.in_irq = 1,
		.unchecked = current->lockdep.depth != 0,
	};
	struct lockdep_thread *t = &current->lockdep;

	lockdep_irqs_on(); /* IRQs were on: otherwise no interrupt would come */
	lockdep_enter(c);
	t->base = t->depth;
	t->chain = CHAIN_EMPTY_IRQ;
	t->in_irq_link = in_irq.link;
}

/* A context that ends has left the entries from `first` on. what and fn
 * describe the context. Report the oldest entry, and make all of them
 * strays. */
static void report_held(struct lockdep_thread *t, unsigned int first,
			const char *what, const void *fn, const void *frame)
{
	const struct held_lock *h = &t->held[first];
	struct finding f;

	lockdep_fill(&f, LOCKDEP_HELD_AT_END, frame);
	f.what = what;
	f.site = (uintptr_t)fn;
	f.next = lockdep_copy(h);
	lockdep_found(&f, lockdep_serial(h->class), h->site, (uint32_t)what);
	lockdep_count_again(t->depth - first - 1);
	for (unsigned int i = first; i < t->depth; i++)
		stray_add(t, &t->held[i], false);
	t->chain = h->below;
	t->depth = first;
}

static void report_left(const struct lockdep_context *c, enum lockdep_left left,
			const char *what, const void *fn, const void *frame)
{
	struct finding f;

	lockdep_fill(&f, LOCKDEP_LEFT, frame);
	f.what = what;
	f.site = (uintptr_t)fn;
	f.left = left;
	f.was_count = c->preempt_count;
	if (!fn && !f.in_irq) /* the thread itself ends */
		fn = (const void *)current->fn;
	lockdep_found(&f, left == LEFT_READER ? f.reader : left, (uint32_t)what,
		      (uint32_t)fn);
}

/* What has the context left, apart from locks? locks: has it left locks? If so,
 * they explain a change of the count or the flag. */
static enum lockdep_left what_is_left(const struct lockdep_context *c,
				      bool locks)
{
	const struct thread *me = current;
	uint32_t flag = arch_cpsr() & PSR_I;

	if (me->lockdep.readers > c->readers)
		return LEFT_READER;
	if (locks || me->lockdep.excused)
		return LEFT_NOTHING;
	if (me->preempt_count != c->preempt_count)
		return LEFT_COUNT;
	if (flag != c->irq_flag)
		return flag ? LEFT_IRQS_OFF : LEFT_IRQS_ON;
	return LEFT_NOTHING;
}

static void put_back(const struct lockdep_context *c)
{
	struct thread *me = current;
	struct lockdep_thread *t = &me->lockdep;

	if (t->readers > c->readers)
		t->left_readers += t->readers - c->readers;
	/* A reader that is left has incremented the preempt count, too. No
	 * stray has to explain that part of the difference. */
	stray_owe(t, me->preempt_count - c->preempt_count -
			     (int)(t->readers - c->readers));
	t->readers = c->readers;
	WRITE_ONCE(me->preempt_count, c->preempt_count);
}

/* The context ends. IRQs are off; the caller restores the interrupt flag. */
static void check_end(const struct lockdep_context *c, unsigned int first,
		      enum lockdep_left left, const char *what, const void *fn,
		      const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;

	if (t->recursion)
		return;
	t->recursion = 1;
	if (t->depth > first)
		report_held(t, first, what, fn, frame);
	if (left)
		report_left(c, left, what, fn, frame);
	put_back(c);
	t->recursion = 0;
}

static noinline void end_badly(const struct lockdep_context *c,
			       unsigned int first, const char *what,
			       const void *fn, const void *frame)
{
	const struct lockdep_thread *t = &current->lockdep;
	enum lockdep_left left = what_is_left(c, t->depth > first);

	raw_local_irq_disable();
	check_end(c, first, left, what, fn, frame);
	if (!c->irq_flag) {
		lockdep_irqs_on();
		raw_local_irq_enable();
	}
}

/* Is everything as the context has found it? first: the place of the context's
 * first lock. */
static always_inline bool ends_well(const struct lockdep_context *c,
				    unsigned int first)
{
	const struct thread *me = current;

	return likely(me->lockdep.depth <= first &&
		      me->lockdep.readers == c->readers &&
		      me->preempt_count == c->preempt_count &&
		      (arch_cpsr() & PSR_I) == c->irq_flag);
}

/* The context has ended, and so have its readers. The readers around it go
 * on. */
static always_inline void outer_readers(struct lockdep_thread *t,
					const struct lockdep_context *c)
{
	t->reader_base = c->reader_base;
	t->reader_site = c->reader_site;
	t->reader_since = c->reader_since;
}

void lockdep_leave(const struct lockdep_context *c, const char *what,
		   const void *fn)
{
	struct lockdep_thread *t = &current->lockdep;

	/* Compare with t->mark, not with c->depth: the context may have
	 * released locks of another context. */
	if (!ends_well(c, t->mark))
		end_badly(c, t->mark, what, fn, __builtin_frame_address(0));
	t->level--;
	t->mark = min(c->mark, t->mark);
	outer_readers(t, c);
	t->excused |= c->excused;
}

void lockdep_irq_exit(const struct lockdep_context *c)
{
	struct lockdep_thread *t = &current->lockdep;
	unsigned int base = t->base;

	if (!ends_well(c, base))
		end_badly(c, base, "an interrupt returns", NULL,
			  __builtin_frame_address(0));
	t->level--;
	outer_readers(t, c);
	t->excused = c->excused;
	t->in_irq_link = c->in_irq_link;
	t->base = min(c->base, base);
	t->mark = min(c->mark, base);
	t->chain = c->chain;
	if (unlikely(base != c->depth)) /* the interrupt has released a lock of
					 * another context */
		t->chain = base > t->base ? lockdep_chain_of(t, base) :
			   t->in_irq_link ? CHAIN_EMPTY_IRQ :
					    CHAIN_EMPTY;
}

void lockdep_thread_end(void)
{
	static const struct lockdep_context nothing;

	/* If a BUG ends the thread, the BUG has printed the held locks, and
	 * the thread's creator releases them (mutex_release_dead()). */
	if (!current->bug && !ends_well(&nothing, 0))
		end_badly(&nothing, 0, "the thread ends", NULL,
			  __builtin_frame_address(0));
}

void lockdep_idle(void)
{
	static const struct lockdep_context idle = { .irq_flag = PSR_I };

	if (!ends_well(&idle, 0))
		end_badly(&idle, 0, "the core idles", NULL,
			  __builtin_frame_address(0));
}

void lockdep_thread_died(void)
{
	/* `recursion` is never cleared: whatever the thread does on its way out
	 * follows from the BUG. */
	current->lockdep.recursion = 1;
	if (lockdep_graph_lock.holder == current)
		arch_spin_unlock(&lockdep_graph_lock);
}

/* ---- violations found here and by others ------------------------------------ */

/* Fill in *f for a finding that is not about the order of locks. Returns false
 * if lockdep is busy. IRQs off. */
static bool begin_violation(struct finding *f, enum lockdep_kind kind,
			    const char *what, uintptr_t site, uint32_t flags,
			    const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;

	if (t->recursion)
		return false;
	t->recursion = 1;
	lockdep_fill(f, kind, frame);
	f->what = what;
	f->irqs_off = (flags & PSR_I) != 0;
	f->site = site;
	return true;
}

static void end_violation(void)
{
	current->lockdep.recursion = 0;
}

void lockdep_complain(enum lockdep_kind kind, const char *what, uintptr_t site)
{
	uint32_t flags = raw_local_irq_save();
	struct finding f;

	if (begin_violation(&f, kind, what, site, flags,
			    __builtin_frame_address(0))) {
		lockdep_found(&f, (uint32_t)what, site, 0);
		end_violation();
	}
	raw_local_irq_restore(flags);
}

void lockdep_unwanted(const struct lockdep_map *m, uintptr_t site)
{
	uint32_t flags = raw_local_irq_save();
	struct finding f;

	if (begin_violation(&f, LOCKDEP_NOT_HELD, m->name, site, flags,
			    __builtin_frame_address(0))) {
		f.next.lock = m; /* so the report says that m is held */
		lockdep_found(&f, (uint32_t)m->name, site, 1);
		end_violation();
	}
	raw_local_irq_restore(flags);
}

void lockdep_held_otherwise(const struct lockdep_map *m, bool read,
			    uintptr_t site)
{
	uint32_t flags = raw_local_irq_save();
	struct finding f;

	if (begin_violation(&f, LOCKDEP_NOT_HELD, m->name, site, flags,
			    __builtin_frame_address(0))) {
		f.held_how = read ? HELD_FOR_READING : HELD_FOR_WRITING;
		f.prev.lock = lock_is_on_list(m) ? m : NULL;
		lockdep_found(&f, (uint32_t)m->name, site, 0);
		end_violation();
	}
	raw_local_irq_restore(flags);
}

noinline void lockdep_not_disabled(void)
{
	lockdep_complain(LOCKDEP_UNBALANCED, "preempt_disable", CALLER);
}

void lockdep_no_reader(uintptr_t site)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t flags = raw_local_irq_save();
	struct finding f;

	if (t->left_readers) {
		t->left_readers--;
	} else if (begin_violation(&f, LOCKDEP_UNBALANCED, "rcu_read_lock",
				   site, flags, __builtin_frame_address(0))) {
		lockdep_found(&f, 0, site, 0);
		end_violation();
	}
	raw_local_irq_restore(flags);
}

/* The memory from `from` on is about to be freed, or (renewed) a lock in it is
 * about to be initialised. Report and retire the held locks in this memory. */
static noinline void check_memory(const void *from, size_t len, bool renewed,
				  uintptr_t site, const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;
	const char *what = "frees or initialises memory with a held lock in it";
	uint32_t flags = raw_local_irq_save();
	bool first = true;
	struct finding f;

	if (renewed)
		stray_renewed(t, from, len);
	for (unsigned int i = 0; i < t->depth && !t->recursion;) {
		const struct held_lock *h = &t->held[i];

		if (likely((uintptr_t)h->map - (uintptr_t)from >= len)) {
			i++;
			continue;
		}
		begin_violation(&f, LOCKDEP_HELD_FREED, what, site, flags,
				frame);
		f.next = lockdep_copy(h);
		if (first)
			lockdep_found(&f, lockdep_serial(h->class), site, 0);
		else
			lockdep_count_again(1);
		first = false;
		lockdep_retire(t, i, renewed);
		end_violation();
	}
	raw_local_irq_restore(flags);
}

void debug_check_no_locks_freed(const void *from, size_t len, uintptr_t site)
{
	if (unlikely(current->lockdep.depth))
		check_memory(from, len, false, site,
			     __builtin_frame_address(0));
}

void debug_check_new_lock(const void *from, size_t len, uintptr_t site)
{
	if (unlikely(current->lockdep.depth || current->lockdep.nr_stray))
		check_memory(from, len, true, site, __builtin_frame_address(0));
}

/* ---- sleeping --------------------------------------------------------------- */

/* The last spinlock of the list, in whatever context it was taken. NULL if
 * there is none. */
static const struct held_lock *held_spinlock(const struct lockdep_thread *t)
{
	for (unsigned int i = t->depth; i-- > 0;)
		if (lockdep_classes[t->held[i].class].wait == LOCK_WAITS_SPIN)
			return &t->held[i];
	return NULL;
}

static void report_sleep(const char *what, const struct held_lock *spins,
			 uintptr_t site, const void *frame)
{
	uint32_t flags = raw_local_irq_save();
	struct finding f;

	if (begin_violation(&f, LOCKDEP_SLEEP, what, site, flags, frame)) {
		if (spins)
			f.prev = lockdep_copy(spins);
		lockdep_found(&f, (uint32_t)what, site, 0);
		end_violation();
	}
	raw_local_irq_restore(flags);
}

void lockdep_sleeps(bool allowed, const char *what, uintptr_t site)
{
	struct lockdep_thread *t = &current->lockdep;
	const struct held_lock *spins = held_spinlock(t);

	if (spins)
		t->bad_sleep = spins->since;
	if (!allowed || spins)
		report_sleep(what, spins, site, __builtin_frame_address(0));
}

void lockdep_switches(uintptr_t site)
{
	struct lockdep_thread *t = &current->lockdep;
	const struct held_lock *spins = held_spinlock(t);

	if (!spins || spins->since == t->bad_sleep)
		return;
	t->bad_sleep = spins->since;
	report_sleep("schedule", spins, site, __builtin_frame_address(0));
}

void __might_lock(struct lockdep_map *m, unsigned int how, uintptr_t site)
{
	const struct thread *me = current;

	if (m->wait == LOCK_WAITS_SLEEP)
		lockdep_sleeps(may_sleep(), "might_lock", site);
	if (me->lockdep.depth < MAX_HELD) {
		lock_acquire(m, 0, how, NULL, site);
		(void)lock_release(m, site);
	}
}
#endif
