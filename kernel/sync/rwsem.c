/*
 * rw-semaphores. rwsem.h has their purpose and the client's duties.
 *
 * struct rw_semaphore: if a thread is waiting already, a new reader queues up
 * behind it. A release hands over to the oldest waiter; if that is a reader, also to
 * all readers directly behind it. A woken thread owns the semaphore already.
 *
 * struct percpu_rwsem: a reader counts itself on its core, then looks whether a
 * writer blocks it. The writer sets the block, then adds up the counters.
 * Barriers P1 (percpu_try_read()) and P2 (percpu_down_write()) make sure that at least
 * one of the two sees the other.
 *
 * wait_lock of each object guards its list. Context: thread, may sleep.
 */
#include "kernel/sync/rwsem.h"

#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/sched.h"

struct rwsem_waiter {
	struct list_head link;
	struct thread *thread;
	bool write;
	bool counted;	  /* let past a writer, and counted as inside already */
	uint32_t granted; /* enum grant; written under wait_lock */
};

/* Queue up and announce the wait, both under wait_lock: reports compare the
 * `since` of the waits to tell which thread came first. */
static void queue_up(struct rwsem_waiter *w, struct list_head *waiters,
		     const struct wait_ops *ops, const void *sem,
		     const char *name, uintptr_t site)
{
	w->granted = WAITS;
	list_add_tail(&w->link, waiters);
	WRITE_ONCE(current->waiting.granted, &w->granted);
	wait_begin(TASK_UNINTERRUPTIBLE, ops, sem, name, site);
}

/* Sleep until a release has let w in. */
static void wait_granted(struct rwsem_waiter *w, const struct wait_ops *ops,
			 const void *sem, const char *name, uintptr_t site)
{
	/* Acquire: pairs with the release in wake_granted(). */
	while (smp_load_acquire(&w->granted) != GRANTED) {
		schedule();
		wait_begin(TASK_UNINTERRUPTIBLE, ops, sem, name, site);
	}
	wait_end();
}

/* The waiter w is inside now: take it off the list and wake it. wait_lock
 * held. */
static void wake_granted(struct rwsem_waiter *w, uintptr_t caller)
{
	struct thread *t = w->thread;

	list_del(&w->link);
	/* Release: pairs with the acquire in wait_granted(). w is on t's stack
	 * and may be gone right after this store. */
	smp_store_release(&w->granted, GRANTED);
	wake_up_thread(t, caller);
}

DEFINE_LOCK_KEY(rwsem_wait_key);
DEFINE_LOCK_KEY(percpu_wait_key);

void __init_rwsem(struct rw_semaphore *s, const char *name,
		  const void *key maybe_unused)
{
	debug_check_new_lock(s, sizeof(*s), CALLER);
	*s = (struct rw_semaphore)RWSEM_INIT(*s, name);
	lockdep_set_class(s, key, name);
}

/* Is there room for one more thread beside the threads inside? wait_lock held,
 * as in enter() and admit(). */
static bool has_room(const struct rw_semaphore *s, bool write)
{
	return !s->writer && !(write && s->readers);
}

/* Let t be the writer, or one more reader. */
static void enter(struct rw_semaphore *s, struct thread *t, bool write)
{
	if (write)
		/* Release: pairs with the smp_rmb() in copy_waiting(). A report
		 * that sees t as the writer also sees that t is GRANTING. */
		smp_store_release(&s->writer, t);
	else
		s->readers++;
}

/* Let in the waiters that may come in now, oldest first. */
static void admit(struct rw_semaphore *s, uintptr_t caller)
{
	struct rwsem_waiter *w, *next;

	list_for_each_safe (w, next, &s->waiters, link) {
		if (!has_room(s, w->write))
			break;
		/* Before the release in enter(). */
		WRITE_ONCE(w->granted, GRANTING);
		enter(s, w->thread, w->write);
		wake_granted(w, caller);
	}
}

static always_inline void lock_rwsem(struct rw_semaphore *s, bool write,
				     unsigned int subclass maybe_unused,
				     uintptr_t site)
{
	struct rwsem_waiter w = { .thread = current, .write = write };
	uint32_t flags;

	might_sleep();
	trace_gate(write ? TR_WRITE_LOCK : TR_READ_LOCK, s, site);
	lock_acquire(&s->dep_map, subclass, write ? LOCK_WRITE : LOCK_READ,
		     NULL, site);
	flags = spin_lock_irqsave(&s->wait_lock);
	if (list_empty(&s->waiters) && has_room(s, write)) {
		enter(s, current, write);
		spin_unlock_irqrestore(&s->wait_lock, flags);
	} else {
		queue_up(&w, &s->waiters,
			 write ? &rwsem_write_wait : &rwsem_read_wait, s,
			 s->name, site);
		trace_did_all(write ? TR_WRITE_CONTEND : TR_READ_CONTEND, s,
			      s->name, (uintptr_t)s->writer, site);
		spin_unlock_irqrestore(&s->wait_lock, flags);
		lock_contended(&s->dep_map);
		wait_granted(&w, write ? &rwsem_write_wait : &rwsem_read_wait,
			     s, s->name, site);
		lock_acquired(&s->dep_map);
	}
	trace_did_to(write ? TR_WRITE_LOCK : TR_READ_LOCK, s, s->name, site);
}

/*
 * current, a writer, leaves. wait_lock held. As in hand_on() of mutex.c: (1) if
 * the semaphore was lent to current, the lender is the writer again; (2) if
 * current has lent it, the borrower stays the writer, and later leaves as any
 * writer does; (3) otherwise no writer is inside.
 */
static void writer_leaves(struct rw_semaphore *s)
{
	struct thread *lender = s->lender;

	BUG_ON(s->writer != current && lender != current);
	s->lender = NULL;
	if (!lender || s->writer == current)
		/* Reports read s->writer without the lock, so each store of it
		 * is a WRITE_ONCE(). */
		WRITE_ONCE(s->writer, lender);
}

static always_inline void unlock_rwsem(struct rw_semaphore *s, bool write,
				       uintptr_t caller)
{
	uint32_t flags;

	trace_gate(write ? TR_WRITE_UNLOCK : TR_READ_UNLOCK, s, caller);
	if (!lock_release(&s->dep_map, caller))
		return;
	trace_did_to(write ? TR_WRITE_UNLOCK : TR_READ_UNLOCK, s, s->name,
		     caller);
	flags = spin_lock_irqsave(&s->wait_lock);
	if (write) {
		writer_leaves(s);
	} else {
		BUG_ON(s->readers <= 0);
		s->readers--;
	}
	admit(s, caller);
	spin_unlock_irqrestore(&s->wait_lock, flags);
}

/* Come in if this is possible without waiting. Returns whether it was. */
static always_inline bool trylock_rwsem(struct rw_semaphore *s, bool write,
					uintptr_t site)
{
	uint32_t flags = spin_lock_irqsave(&s->wait_lock);
	bool ok = list_empty(&s->waiters) && has_room(s, write);

	if (ok)
		enter(s, current, write);
	spin_unlock_irqrestore(&s->wait_lock, flags);
	if (ok) {
		lock_acquire(&s->dep_map, 0,
			     LOCK_TRY | (write ? LOCK_WRITE : LOCK_READ), NULL,
			     site);
		trace_did_to(write ? TR_WRITE_LOCK : TR_READ_LOCK, s, s->name,
			     site);
	}
	return ok;
}

void down_read(struct rw_semaphore *s)
{
	lock_rwsem(s, false, 0, CALLER);
}

void down_read_nested(struct rw_semaphore *s, unsigned int subclass)
{
	lock_rwsem(s, false, subclass, CALLER);
}

bool down_read_trylock(struct rw_semaphore *s)
{
	trace_gate(TR_READ_TRYLOCK, s, CALLER);
	return trylock_rwsem(s, false, CALLER);
}

bool down_write_trylock(struct rw_semaphore *s)
{
	trace_gate(TR_WRITE_TRYLOCK, s, CALLER);
	return trylock_rwsem(s, true, CALLER);
}

void up_read(struct rw_semaphore *s)
{
	unlock_rwsem(s, false, CALLER);
}

void down_write(struct rw_semaphore *s)
{
	lock_rwsem(s, true, 0, CALLER);
}

void down_write_nested(struct rw_semaphore *s, unsigned int subclass)
{
	lock_rwsem(s, true, subclass, CALLER);
}

void up_write(struct rw_semaphore *s)
{
	unlock_rwsem(s, true, CALLER);
}

int rwsem_lend(struct rw_semaphore *s, struct thread *t)
{
	uint32_t flags = spin_lock_irqsave(&s->wait_lock);
	struct rwsem_waiter *w;
	int err = -EINVAL;

	list_for_each (w, &s->waiters, link) {
		if (w->thread != t || (w->write && s->lender))
			continue;
		if (w->write)
			s->lender = s->writer;
		/* Before the release in enter(). */
		WRITE_ONCE(w->granted, GRANTING);
		enter(s, t, w->write);
		wake_granted(w, CALLER);
		err = 0;
		break;
	}
	spin_unlock_irqrestore(&s->wait_lock, flags);
	return err;
}

/* ---- readers that count on their own core -------------------------------- */

void __percpu_init_rwsem(struct percpu_rwsem *s, const char *name,
			 const void *key maybe_unused)
{
	debug_check_new_lock(s, sizeof(*s), CALLER);
	*s = (struct percpu_rwsem){ DEP_MAP_SLEEPS(name).name = name };
	lockdep_set_class(s, key, name);
	mutex_init(&s->writers, name);
	/* Lockdep does not check s->writers: s->dep_map stands for it. */
	lockdep_set_novalidate_class(&s->writers);
	__spin_lock_init(&s->wait_lock, "percpu_rwsem.wait_lock",
			 LOCK_KEY_OF(percpu_wait_key));
	list_init(&s->waiters);
}

/* The sum of the counters of all cores. */
static int32_t readers_inside(struct percpu_rwsem *s)
{
	unsigned int cpu;
	int32_t sum = 0;

	for_each_cpu (cpu, CPUMASK_ALL)
		sum += READ_ONCE(s->count[cpu].n);
	return sum;
}

/* A reader has left, or has failed to get in. If a writer waits for the
 * readers, wake it. */
noinline void percpu_wake_writer(struct percpu_rwsem *s, uintptr_t caller)
{
	uint32_t flags = spin_lock_irqsave(&s->wait_lock);

	if (s->draining)
		wake_up_thread(s->draining, caller);
	spin_unlock_irqrestore(&s->wait_lock, flags);
}

noinline void percpu_read_slow(struct percpu_rwsem *s, uintptr_t site)
{
	struct rwsem_waiter w = { .thread = current };

	do {
		uint32_t flags;

		percpu_wake_writer(s, site);
		flags = spin_lock_irqsave(&s->wait_lock);
		if (s->block) {
			queue_up(&w, &s->waiters, &percpu_read_wait, s, s->name,
				 site);
			trace_did_all(TR_READ_CONTEND, s, s->name,
				      (uintptr_t)s->writer, site);
			spin_unlock_irqrestore(&s->wait_lock, flags);
			wait_granted(&w, &percpu_read_wait, s, s->name, site);
		} else {
			spin_unlock_irqrestore(&s->wait_lock, flags);
		}
	} while (!w.counted && !percpu_try_read(s));
}

void percpu_down_write(struct percpu_rwsem *s)
{
	uintptr_t site = CALLER;
	uint32_t flags;

	might_sleep();
	trace_gate(TR_WRITE_LOCK, s, site);
	lock_acquire(&s->dep_map, 0, LOCK_WRITE, NULL, site);
	lock_contended(&s->dep_map);
	mutex_lock(&s->writers);
	flags = spin_lock_irqsave(&s->wait_lock);
	WRITE_ONCE(s->writer, current);
	s->draining = current;
	WRITE_ONCE(s->block, 1);
	spin_unlock_irqrestore(&s->wait_lock, flags);
	smp_mb(); /* P2: store `block`, then read the counts; pairs with P1, and
		   * with the last barriers in percpu_try_read() and
		   * percpu_unread() */

	wait_begin(TASK_UNINTERRUPTIBLE, &percpu_write_wait, s, s->name, site);
	while (readers_inside(s) != 0 && !READ_ONCE(s->past_readers)) {
		trace_did_to(TR_WRITE_CONTEND, s, s->name, site);
		schedule();
		wait_begin(TASK_UNINTERRUPTIBLE, &percpu_write_wait, s, s->name,
			   site);
	}
	wait_end();
	smp_mb(); /* read the counts, then begin the writer's section; pairs
		   * with the first barrier in percpu_unread() */
	flags = spin_lock_irqsave(&s->wait_lock);
	s->draining = NULL;
	s->past_readers = false;
	spin_unlock_irqrestore(&s->wait_lock, flags);
	lock_acquired(&s->dep_map);
	trace_did_to(TR_WRITE_LOCK, s, s->name, site);
}

void percpu_up_write(struct percpu_rwsem *s)
{
	uint32_t flags;

	trace_gate(TR_WRITE_UNLOCK, s, CALLER);
	if (!lock_release(&s->dep_map, CALLER))
		return;
	trace_did_to(TR_WRITE_UNLOCK, s, s->name, CALLER);
	flags = spin_lock_irqsave(&s->wait_lock);
	BUG_ON(s->writer != current);
	WRITE_ONCE(s->writer, NULL);
	/* Release: pairs with the acquire in percpu_try_read(). A reader that sees no
	 * block sees the writer's effects. */
	smp_store_release(&s->block, 0);
	while (!list_empty(&s->waiters))
		wake_granted(list_first(&s->waiters, struct rwsem_waiter, link),
			     CALLER);
	spin_unlock_irqrestore(&s->wait_lock, flags);
	mutex_unlock(&s->writers);
}

int percpu_rwsem_let_pass(struct percpu_rwsem *s, struct thread *t)
{
	uint32_t flags = spin_lock_irqsave(&s->wait_lock);
	struct rwsem_waiter *w;
	int err = -EINVAL;

	if (s->draining == t && !s->past_readers) {
		/* Before the wake-up, so that the writer sees it when it looks
		 * again. The barrier in wake_up_thread() pairs with the one in
		 * wait_begin(). */
		WRITE_ONCE(s->past_readers, true);
		wake_up_thread(t, CALLER);
		err = 0;
	}
	list_for_each (w, &s->waiters, link) {
		if (w->thread != t)
			continue;
		/* Count the reader before the wake-up. So if the writer waits
		 * for readers, it waits for this one, too. */
		percpu_count(percpu_counter(s), 1);
		w->counted = true;
		wake_granted(w, CALLER);
		err = 0;
		break;
	}
	spin_unlock_irqrestore(&s->wait_lock, flags);
	return err;
}

/* ---- for reports and for the cut ----------------------------------------- */

/* Is t inside as a reader? A release build does not know. */
static bool is_reader(const struct waiting *w, const struct thread *t)
{
	const struct held_lock *h = wait_held_by(w, t);

	return h && h->how & (LOCK_READ | LOCK_READ_RECURSIVE);
}

static const struct thread *rwsem_writer(const void *obj)
{
	const struct rw_semaphore *s = obj;

	return READ_ONCE(s->writer);
}

/* Is t a writer that queued up before the reader whose wait is w? */
static bool is_writer_in_front(const struct waiting *w, const struct thread *t)
{
	return READ_ONCE(t->waiting.ops) == &rwsem_write_wait &&
	       t->waiting.obj == w->obj && t->waiting.since < w->since;
}

static const struct thread *percpu_writer(const void *obj)
{
	const struct percpu_rwsem *s = obj;

	return READ_ONCE(s->writer);
}

static int rwsem_lend_object(void *obj, struct thread *t)
{
	return rwsem_lend(obj, t);
}

static int percpu_lend(void *obj, struct thread *t)
{
	return percpu_rwsem_let_pass(obj, t);
}

const struct wait_ops rwsem_read_wait = {
	.name = "rwsem (read)",
	.event = true,
	.handed_over = true,
	.dep_map = DEP_MAP_AT(struct rw_semaphore),
	.owner = rwsem_writer,
	.waits_on = is_writer_in_front,
	.lend = rwsem_lend_object,
	.lent = "%s, a writer of %s, lets %s pass",
	.lend_rank = 2,
};

const struct wait_ops rwsem_write_wait = {
	.name = "rwsem (write)",
	.event = true,
	.handed_over = true,
	.dep_map = DEP_MAP_AT(struct rw_semaphore),
	.owner = rwsem_writer,
	.waits_on = is_reader,
	.lend = rwsem_lend_object,
	.lent = "%s lends %s to %s until %s releases it",
	.lend_rank = 2,
};

const struct wait_ops percpu_read_wait = {
	.name = "percpu rwsem (read)",
	.event = true,
	.handed_over = true,
	.dep_map = DEP_MAP_AT(struct percpu_rwsem),
	.owner = percpu_writer,
	.lend = percpu_lend,
	.lent = "%s, the writer of %s, lets %s pass",
	.lend_rank = 1,
};

const struct wait_ops percpu_write_wait = {
	.name = "percpu rwsem (write)",
	.event = true,
	.dep_map = DEP_MAP_AT(struct percpu_rwsem),
	.waits_on = is_reader,
	.lend = percpu_lend,
	.lent = "%s, a reader of %s, lets %s pass",
	.lend_rank = 2,
};
