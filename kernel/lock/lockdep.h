/*
 * lockdep: a validator of lock order, after Linux's.
 *
 * The idea. Locks fall into classes. A static lock is a class of its own; all
 * other locks that one line of source initialises are one class. If a thread
 * holds a lock of class A and takes one of class B, the graph gets an edge A ->
 * B, with the stack that made it. If an edge closes a cycle, the orders seen so
 * far can deadlock, unless something that is not a lock prevents it. Lockdep
 * reports it even if the deadlock has not happened and is not about to happen.
 * Lockdep sees locks only. It does not see that a counter excludes a thread,
 * and it sees no wait for anything but a lock, except the wait for an answer of
 * other cores (lockdep_call()). The mails of October 2012 argued about this.
 *
 * Interrupts. Lockdep is told when interrupts go on (kernel/lock/irqflags.h),
 * and when a handler begins and ends. It looks at the locks that are held then.
 *
 * Waiting. A lock has a wait type: a core that waits for a spinlock spins, a
 * thread that waits for a mutex sleeps. Nobody may sleep in an interrupt, with
 * interrupts or preemption off, or with a spinlock held. Whether a spinlock is
 * held is read from the list of held locks, not from counts or flags.
 *
 * Contexts. An interrupt and its handler, a timer function, a function that
 * another core calls or that runs in stop_machine(), a notifier, an RCU callback
 * and a thread begin and end. When one ends, it must leave things as it found
 * them: locks, readers, preempt count, interrupt flag. If it does not, lockdep
 * reports this there and restores the old state, so that it does not blame other
 * code.
 *
 * Readers. A recursive reader waits for a writer that is inside, but not for a
 * writer that waits. Any other reader waits for both. An edge records how its
 * first lock was held and how its second was asked for. Lockdep looks for strong
 * paths only: those whose threads can all wait for each other
 * (kernel/lock/lockdep_graph.h; Linux since 5.10).
 *
 * The duties of a client, which is the code of a lock:
 *  1. Call lock_acquire() before you try to take the lock, lock_contended()
 *     before you wait for it, lock_acquired() when this wait has ended, and
 *     lock_release() when you release the lock.
 *  2. If lock_release() returns false, leave the lock as it is.
 *  3. Give each lock a class: a key, a static place, or lockdep_no_validate.
 *  4. Call might_sleep() first where a thread may sleep.
 *
 * The consequences:
 *  a. Lockdep reports each finding once, and then counts it. lockdep_finding.c
 *     says which findings are the same. Some steps check all held locks: turning
 *     interrupts on, calling cores, the end of a context. If several locks break
 *     the rule there, lockdep reports the first lock and counts the others. A
 *     later step can report another of these locks.
 *  b. Lockdep goes on after a report. Nothing that it finds stops the system.
 *  c. If a table is full, one line names the constant to raise. Then lockdep sees
 *     less, but a full table never causes a false report.
 *  d. After a reset lockdep relearns which locks the threads hold.
 *  e. A release build contains no part of lockdep.
 *
 * The mechanism: lockdep.c (the list of held locks; the usual case of its hooks:
 * lockdep_fast.h), lockdep_class.c, lockdep_chain.c, lockdep_order.c, lockdep_irq.c,
 * lockdep_context.c, lockdep_finding.c; the graph: lockdep_graph.h; the reports:
 * lockdep_report.c, lockdep_scenario.c. What Linux's lockdep sees that this one does not:
 * docs/lockdep.md. Context: any but FIQ.
 * Source: Linux 6.1, kernel/locking/lockdep.c, for the findings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"
#include "kernel/lock/irqflags.h"

enum lockdep_kind {
	LOCKDEP_CIRCULAR,      /* an edge closes a cycle */
	LOCKDEP_RECURSIVE,     /* a lock of that class is held already */
	LOCKDEP_IRQ_ORDER,     /* irq-safe before irq-unsafe, by an edge */
	LOCKDEP_IRQ_INVERSION, /* irq-safe before irq-unsafe, by a new use */
	LOCKDEP_INCONSISTENT,  /* a class is taken in interrupts, and is held
				* with interrupts on; or is waited for with them
				* off, and is held while other cores are called */
	LOCKDEP_UNBALANCED,    /* released, but not held (here) */
	LOCKDEP_HELD_AT_END, /* a context ends, or a core idles, with a lock */
	LOCKDEP_HELD_FREED,  /* memory of a held lock freed or initialised, or
			      * its key unregistered */
	LOCKDEP_SLEEP,	     /* may sleep, but must not here */
	LOCKDEP_RCU,	     /* rcu_dereference() outside a reader */
	LOCKDEP_NOT_HELD,    /* the lockdep_assert_...() macros */
	LOCKDEP_NEST,	     /* outer lock of mutex_lock_nest_lock() not held */
	LOCKDEP_LEFT, /* a context ends in a reader, or with another preempt
		       * count or interrupt flag */
	NR_LOCKDEP_KINDS
};
#define LOCKDEP_BIT(kind) (1u << (kind))

/* How a lock is taken: flags for lock_acquire(). */
#define LOCK_WRITE	    0u
#define LOCK_READ	    1u
#define LOCK_READ_RECURSIVE 2u
#define LOCK_TRY	    4u

/* What a thread does that waits for a lock. A lock of type NONE (a map) is
 * never in the way of a sleep. */
enum lock_wait { LOCK_WAITS_NONE, LOCK_WAITS_SPIN, LOCK_WAITS_SLEEP };

/* Its address names a class. */
struct lock_class_key {
	char unused;
};

struct thread;
struct lockdep_map;

/* A lock that a thread holds or waits for. */
struct held_lock {
	const struct lockdep_map *map;
	uintptr_t site; /* where it was taken */
	uint64_t since; /* counter ticks: taken, or asked for */
	union {
		struct {
			uint32_t below : 14;	/* the chain under it */
			uint32_t how : 3;	/* LOCK_* */
			uint32_t nested : 1;	/* ordered by an outer lock */
			uint32_t in_irq : 1;	/* taken in an interrupt */
			uint32_t irqs_off : 1;	/* interrupts not on since */
			uint32_t unchecked : 1; /* 0 here: lockdep_chain.c */
			uint32_t class : 11;	/* 0: it has none */
		};
		uint32_t link; /* all these bits: the chain that ends here */
	};
	bool waits;   /* not acquired yet */
	uint8_t more; /* so many more locks of its class, see compress() */
};

/* One word, as verdict lines have it: "circular". */
const char *lockdep_kind_name(enum lockdep_kind kind);

#if GORDIAN_DEBUG

#define LOCKDEP_SUBCLASSES 8

/* A lock as lockdep sees it. Something that is waited for like a lock has one
 * too, see lock_map_acquire(). */
struct lockdep_map {
	const void *key; /* NULL: this map's own address (static locks) */
	const char *name;
	/* The class for each subclass; 0: not looked up yet. */
	uint16_t class[LOCKDEP_SUBCLASSES];
	uint8_t wait; /* enum lock_wait */
};

#define MAX_HELD  24
#define MAX_STRAY 24

/* A lock that is not where it belongs: see lockdep_stray.c. */
struct stray_lock {
	const struct lockdep_map *map; /* NULL: `more` + 1 locks of `class` */
	uint16_t class;
	uint8_t more;
	uint8_t how; /* LOCK_* */
	bool spins;  /* it is a spinlock */
	bool in_irq; /* an interrupt has taken it */
	bool gone; /* released by another context, or initialised while held */
	uint8_t level;	   /* contexts open when it became one, plus 1; 0: the
			    * preempt count is right for it */
	bool owes_a_count; /* the preempt count was put back without it */
};

/* Part of struct thread. Only the thread itself uses it, and the interrupts
 * that come while it runs; but a reset, or the end of a key, on any
 * core, sets `stale`. */
struct lockdep_thread {
	union {
		struct {
			uint8_t depth;	   /* entries of held[] */
			uint8_t recursion; /* inside lockdep: its locks are
					    * not checked */
			uint16_t stale; /* orders of what it holds are forgotten */
		};
		/* All three, for one look: below MAX_HELD if there is room for an
		 * entry, and the other two are 0. (The byte order is little-endian.) */
		uint32_t state;
	};
	unsigned int base;	  /* the first entry of the running interrupt */
	unsigned int mark;	  /* the first one of the running context */
	unsigned int chain;	  /* name of the chain that all entries make */
	uint32_t in_irq_link;	  /* the bit in_irq of a link, or 0 */
	unsigned int readers;	  /* rcu_read_lock() nesting */
	unsigned int reader_base; /* of them, of contexts outside this one */
	unsigned int left_readers; /* left behind by contexts that have ended */
	/* Where and when the outermost reader of the running context began; if
	 * that has none, of the context outside. */
	uintptr_t reader_site;
	uint64_t reader_since;
	struct held_lock held[MAX_HELD];
	struct stray_lock stray[MAX_STRAY];
	uint8_t nr_stray;
	uint8_t level; /* contexts that are open around the running code */
	bool blind;    /* stray[] was full once: unknown releases are right */
	bool excused;  /* this context has released a lock of another one */
	/* `since` of the spinlock with which the thread sleeps: reported */
	uint64_t bad_sleep;
};

/* What a context found when it began. */
struct lockdep_context {
	uint16_t depth, base, mark;
	unsigned int chain;
	uint32_t in_irq_link, irq_flag;
	unsigned int readers, reader_base;
	uintptr_t reader_site;
	uint64_t reader_since;
	int preempt_count;
	bool excused;
};

#define DEP_MAP		 struct lockdep_map dep_map;
#define DEP_MAP_AT(type) offsetof(type, dep_map) /* 0: none */
/* n: its name; k: its key. */
#define DEP_MAP_OF(n, k, w)	 .dep_map = { .name = (n), .key = (k), .wait = (w) },
#define DEP_MAP_SPINS(n)	 DEP_MAP_OF(n, NULL, LOCK_WAITS_SPIN)
#define DEP_MAP_SPINS_KEY(n, k)	 DEP_MAP_OF(n, k, LOCK_WAITS_SPIN)
#define DEP_MAP_SLEEPS(n)	 DEP_MAP_OF(n, NULL, LOCK_WAITS_SLEEP)
#define DEP_MAP_SLEEPS_KEY(n, k) DEP_MAP_OF(n, k, LOCK_WAITS_SLEEP)
#define LOCKDEP_MAP_INIT(n)                                                    \
	{                                                                      \
		.name = (n)                                                    \
	}
/* The key of all locks that this place initialises. */
#define LOCK_KEY()                                                             \
	({                                                                     \
		static struct lock_class_key _key;                             \
		&_key;                                                         \
	})

/* A key for locks that several places initialise, and its address. */
#define DEFINE_LOCK_KEY(k) struct lock_class_key k
#define LOCK_KEY_OF(k)	   (&(k))

/* The key of locks that lockdep does not check. */
extern struct lock_class_key lockdep_no_validate;

void lockdep_init_map(struct lockdep_map *m, const char *name, const void *key,
		      enum lock_wait wait);
/* Put the lock into another class than the locks initialised at the same
 * place. */
#define lockdep_set_class(lock, k, n)                                          \
	lockdep_init_map(&(lock)->dep_map, (n), (k),                           \
			 (enum lock_wait)(lock)->dep_map.wait)
#define lockdep_set_novalidate_class(lock)                                     \
	lockdep_set_class(lock, &lockdep_no_validate, (lock)->dep_map.name)
/*
 * A key in memory that will be freed: register it before a lock gets it.
 * Unregister it before the memory is freed, and after the last lock that has it
 * is gone; then its classes and their orders are forgotten. (What was found
 * about them stays counted.) Thread context, or interrupt; not while a lock of
 * the key is held. If the calling thread holds one, that is reported.
 */
void lockdep_register_key(struct lock_class_key *key);
void lockdep_unregister_key(struct lock_class_key *key);

/*
 * The thread is about to take m: check that, report, and put m on the thread's
 * list of held locks. subclass: 0, or a nesting level below LOCKDEP_SUBCLASSES.
 * how: LOCK_*. nest: NULL, or an outer lock that orders all locks of this
 * class. site: the caller, for reports.
 */
void lock_acquire_full(struct lockdep_map *m, unsigned int subclass,
		       unsigned int how, const struct lockdep_map *nest,
		       uintptr_t site);
/* The usual case, which is quicker: no subclass, no recursive reader, no outer
 * lock. */
void lock_acquire_plain(struct lockdep_map *m, unsigned int how,
			uintptr_t site);
static always_inline void lock_acquire(struct lockdep_map *m,
				       unsigned int subclass, unsigned int how,
				       const struct lockdep_map *nest,
				       uintptr_t site)
{
	if (__builtin_constant_p(subclass) && subclass == 0 &&
	    __builtin_constant_p(how) && !(how & LOCK_READ_RECURSIVE) &&
	    __builtin_constant_p(!nest) && !nest)
		lock_acquire_plain(m, how, site);
	else
		lock_acquire_full(m, subclass, how, nest, site);
}
/* As lock_acquire_plain(), after the attempt of kernel/lock/lockdep_fast.h. */
void lock_acquire_slow(struct lockdep_map *m, unsigned int how, uintptr_t site);
/* lock_contended(): the thread must wait for m. lock_acquired(): that wait has
 * ended, and the thread has m. */
void lock_contended(struct lockdep_map *m);
void lock_acquired(struct lockdep_map *m);
/* The thread gives m back, or gives up waiting for it. If the thread does not
 * hold m, this is reported, and false is returned. */
bool lock_release(struct lockdep_map *m, uintptr_t site);

/* The thread is about to wait until other cores have run a function, or have
 * begun to. Interrupts are on. */
void lockdep_call(void);

/* Does the current thread, or an interrupt on top of it, hold m? */
bool lock_is_held(const struct lockdep_map *m);
/* Does the current thread, or an interrupt on top of it, hold m for reading
 * (read), or for writing (!read)? */
bool lock_is_held_as(const struct lockdep_map *m, bool read);
/* If t holds m: t's entry for m; else NULL. If t is another thread, the answer
 * may be out of date. */
const struct held_lock *lock_held_by(const struct thread *t,
				     const struct lockdep_map *m);

/* Report a violation that another file has found. what: a few words. */
void lockdep_complain(enum lockdep_kind kind, const char *what, uintptr_t site);

#define lockdep_check(ok, kind, what)                                          \
	do {                                                                   \
		if (unlikely(!(ok)))                                           \
			lockdep_complain((kind), (what), CALLER);              \
	} while (0)
#define lockdep_assert_held(lock)                                              \
	lockdep_check(lock_is_held(&(lock)->dep_map), LOCKDEP_NOT_HELD,        \
		      (lock)->dep_map.name)
#define lockdep_assert_held_write(lock) lockdep_assert_held_as(lock, false)
#define lockdep_assert_held_read(lock)	lockdep_assert_held_as(lock, true)
#define lockdep_assert_held_as(lock, read)                                     \
	do {                                                                   \
		if (unlikely(!lock_is_held_as(&(lock)->dep_map, (read))))      \
			lockdep_held_otherwise(&(lock)->dep_map, (read),       \
					       CALLER);                        \
	} while (0)
#define lockdep_assert_not_held(lock)                                          \
	do {                                                                   \
		if (unlikely(lock_is_on_list(&(lock)->dep_map)))               \
			lockdep_unwanted(&(lock)->dep_map, CALLER);            \
	} while (0)
/* For lockdep_assert_not_held(). lock_is_on_list(): as lock_is_held(), but
 * false if lockdep does not know. lockdep_unwanted(): report that m is held. */
bool lock_is_on_list(const struct lockdep_map *m);
void lockdep_unwanted(const struct lockdep_map *m, uintptr_t site);
/* For lockdep_assert_held_read() and lockdep_assert_held_write(): report that m
 * is not held for reading (read), or not for writing (!read). */
void lockdep_held_otherwise(const struct lockdep_map *m, bool read,
			    uintptr_t site);

/* The calling function may take this lock, though not at each call: check as if
 * it took the lock now. If a thread sleeps to wait for this lock, also check
 * that the function may sleep here. */
#define might_lock(lock)      __might_lock(&(lock)->dep_map, LOCK_WRITE, CALLER)
#define might_lock_read(lock) __might_lock(&(lock)->dep_map, LOCK_READ, CALLER)
void __might_lock(struct lockdep_map *m, unsigned int how, uintptr_t site);

/* The thread is about to sleep, or to call a function that may sleep. Report
 * this if the counts and flags do not allow it (!allowed), or if the thread
 * holds a spinlock. what: the name of the function. */
void lockdep_sleeps(bool allowed, const char *what, uintptr_t site);
/* For schedule(): report a spinlock that the thread holds, unless
 * lockdep_sleeps() has seen this spinlock. */
void lockdep_switches(uintptr_t site);

/*
 * lockdep_irq_enter() and lockdep_irq_exit(): an interrupt handler begins and
 * ends, on top of the current thread. lockdep_enter() and lockdep_leave(): any
 * other context begins and ends; `what` and fn name it in a report. When a
 * context ends, lockdep reports what it has left behind, and restores the old
 * state.
 */
void lockdep_irq_enter(struct lockdep_context *c);
void lockdep_irq_exit(const struct lockdep_context *c);
void lockdep_enter(struct lockdep_context *c);
void lockdep_leave(const struct lockdep_context *c, const char *what,
		   const void *fn);
/* lockdep_thread_end(): the thread is about to end. lockdep_idle(): the core is
 * about to idle. Both report what is left, and restore the state without it. */
void lockdep_thread_end(void);
void lockdep_idle(void);
/* rcu_read_unlock() without a reader of this context: report it, unless an ended
 * context has left a reader. */
void lockdep_no_reader(uintptr_t site);
/* preempt_enable() without preempt_disable(): report it. The count stays as it is.
 * Otherwise the next function that may sleep would be blamed. */
void lockdep_not_disabled(void);
/* The locks and readers that contexts of this thread have left behind are gone:
 * somebody else has released them. */
void lockdep_forget_stray(void);
/* debug_check_no_locks_freed(): this memory is about to be freed.
 * debug_check_new_lock(): a lock in this memory is about to be initialised.
 * Both report the locks in the memory that the current thread holds, and no
 * longer check these locks. Nobody holds a new lock, so a late release of the
 * old lock leaves the new one as it is. site: the caller of the function that
 * frees or initialises. */
void debug_check_no_locks_freed(const void *from, size_t len, uintptr_t site);
void debug_check_new_lock(const void *from, size_t len, uintptr_t site);
/* A BUG has ended the current thread, perhaps inside lockdep: release lockdep's
 * lock for the other threads, and no longer check the thread that has ended. */
void lockdep_thread_died(void);

/* Since the last reset: lockdep_count() is the number of distinct findings of
 * that kind, lockdep_total() the number of all; lockdep_seen() returns the
 * kinds found, as LOCKDEP_BIT()s. */
unsigned int lockdep_count(enum lockdep_kind kind);
unsigned int lockdep_total(void);
unsigned int lockdep_seen(void);
/* lockdep_mark() sets a mark. lockdep_since_mark() returns the kinds that have
 * new findings since the mark, as LOCKDEP_BIT()s. A reset removes the mark. */
void lockdep_mark(void);
unsigned int lockdep_since_mark(void);
/* Forget the edges, uses and findings. Classes and chains stay, but each chain
 * has to be checked again. Each thread tells lockdep at its next lock operation
 * what it holds. */
void lockdep_reset(void);
/* Calls fn for each thread. A reset needs it; kernel/sched/thread.c sets it. */
extern void (*lockdep_for_each_thread)(void (*fn)(struct thread *t, void *arg),
				       void *arg);
/* on: from now on count findings but do not print them. Nests. */
void lockdep_quiet(bool on);
/* on: from now on print one line instead of each report: "lockdep: circular: D
 * wants slab_mutex, holds ...". */
void lockdep_brief(bool on);
/* Print the last report, also if it was suppressed. Returns false if there is
 * none. */
bool lockdep_print_last(void);
/* The classes of the two locks of the last report: of the lock that was wanted,
 * and of the lock that was held. Returns false if that report is not about two
 * locks. */
bool lockdep_last_pair(const char **wanted, const char **held);

/* Print the locks that t holds, one line each. Racy if t is another thread. */
void print_held_locks(const struct thread *t);

#else /* release */

struct lockdep_context {
	char unused;
};

#define DEP_MAP
#define DEP_MAP_AT(type) 0
#define DEP_MAP_SPINS(n)
#define DEP_MAP_SPINS_KEY(n, k)
#define DEP_MAP_SLEEPS(n)
#define DEP_MAP_SLEEPS_KEY(n, k)
#define LOCK_KEY()			   NULL
#define DEFINE_LOCK_KEY(k)		   extern struct lock_class_key k
#define LOCK_KEY_OF(k)			   NULL
#define lockdep_set_class(lock, k, n)	   ((void)0)
#define lockdep_set_novalidate_class(lock) ((void)0)
#define lock_acquire(m, subclass, how, nest, site)                             \
	((void)(subclass), (void)(site))
#define lock_contended(m)		      ((void)0)
#define lock_acquired(m)		      ((void)0)
#define lock_release(m, site)		      ((void)(site), true)
#define lockdep_call()			      ((void)0)
#define lockdep_check(ok, kind, what)	      ((void)0)
#define lockdep_assert_held(lock)	      ((void)(lock))
#define lockdep_assert_held_write(lock)	      ((void)(lock))
#define lockdep_assert_held_read(lock)	      ((void)(lock))
#define lockdep_assert_not_held(lock)	      ((void)(lock))
#define lockdep_register_key(key)	      ((void)(key))
#define lockdep_unregister_key(key)	      ((void)(key))
#define might_lock(lock)		      ((void)(lock))
#define might_lock_read(lock)		      ((void)(lock))
#define lockdep_irq_enter(c)		      ((void)(c))
#define lockdep_irq_exit(c)		      ((void)(c))
#define lockdep_enter(c)		      ((void)(c))
#define lockdep_leave(c, what, fn)	      ((void)(c), (void)(fn))
#define lockdep_forget_stray()		      ((void)0)
#define lock_held_by(t, m)		      ((void)(t), (const struct held_lock *)NULL)
#define lockdep_thread_end()		      ((void)0)
#define lockdep_idle()			      ((void)0)
#define debug_check_no_locks_freed(at, n, by) ((void)0)
#define debug_check_new_lock(at, n, by)	      ((void)0)
#define lockdep_thread_died()		      ((void)0)
#define print_held_locks(t)		      ((void)(t))
#define lockdep_count(kind)		      0u
#define lockdep_total()			      0u
#define lockdep_seen()			      0u
#define lockdep_reset()			      ((void)0)
#define lockdep_mark()			      ((void)0)
#define lockdep_since_mark()		      0u
#define lockdep_quiet(on)		      ((void)(on))
#define lockdep_print_last()		      ((void)0)
#define lockdep_brief(on)		      ((void)(on))
#define lockdep_last_pair(wanted, held)	      ((void)(wanted), (void)(held), false)

#endif

/* For something that is not a lock but is waited for like one. */
#if GORDIAN_DEBUG
#define lock_map_acquire(m) lock_acquire(m, 0, LOCK_WRITE, NULL, CALLER)
#define lock_map_acquire_read(m)                                               \
	lock_acquire(m, 0, LOCK_READ_RECURSIVE, NULL, CALLER)
#define lock_map_release(m) lock_release(m, CALLER)
#endif
