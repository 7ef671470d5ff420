/*
 * lockdep: a validator of lock order, after Linux's.
 *
 * The idea. A class is what all locks made at one place have in common: a static
 * lock is its own class, others are of the class of the place that initialises
 * them. While a thread holds a lock of class A and takes one of class B, the
 * graph has an edge A -> B, with the stack that made it. When an edge closes a
 * cycle, the orders seen so far can deadlock in some schedule that respects
 * nothing but the locks; it need not have happened, nor be about to. Lockdep
 * knows locks only: an exclusion by a counter, or a wait that is no lock, it
 * does not see. That is the argument of October 2012.
 *
 * Readers: a recursive reader waits for a writer that is inside, not for one
 * that waits; any other reader waits for both. An edge says what its source was
 * held as and what its target was asked for as, and only strong paths count: a
 * recursive reader at the end of one edge does not wait for a reader that the
 * next one starts from (Linux since 5.10).
 *
 * What is reported, each distinct finding once, further ones counted: see
 * enum lockdep_kind. Nothing is turned off after a report, and nothing that
 * lockdep meets stops the system; a full table is one line that names the number
 * to raise.
 *
 * Who calls what: the locks call lock_acquire() before they try, lock_contended()
 * before they wait, lock_acquired() when they have it then, and lock_release()
 * when they give it back. Any context but FIQ. Debug profile; nothing of it is left in release.
 * Source: Linux, kernel/locking/lockdep.c, 6.1, for what is to be found.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

enum lockdep_kind {
	LOCKDEP_CIRCULAR,      /* an edge closes a cycle */
	LOCKDEP_RECURSIVE,     /* one of that class is held already */
	LOCKDEP_IRQ_ORDER,     /* irq-safe before irq-unsafe, by an edge */
	LOCKDEP_IRQ_INVERSION, /* the same, by a new use of a lock */
	LOCKDEP_INCONSISTENT,  /* in an interrupt, and with interrupts on */
	LOCKDEP_UNBALANCED,    /* released, but not held (here) */
	LOCKDEP_HELD_AT_END,   /* a thread ends, or idles, with a lock held */
	LOCKDEP_HELD_FREED,    /* memory of a held lock freed or initialised */
	LOCKDEP_SLEEP,	       /* may sleep, where that is not allowed */
	LOCKDEP_RCU,	       /* rcu_dereference() outside a reader */
	LOCKDEP_NOT_HELD,      /* lockdep_assert_held(), ..._cpus_held() */
	LOCKDEP_NEST,	       /* the outer lock of mutex_lock_nest_lock() */
	NR_LOCKDEP_KINDS
};
#define LOCKDEP_BIT(kind) (1u << (kind))

/* How a lock is taken: flags for lock_acquire(). */
#define LOCK_WRITE	    0u
#define LOCK_READ	    1u
#define LOCK_READ_RECURSIVE 2u
#define LOCK_TRY	    4u

/* A class's name in memory. */
struct lock_class_key {
	char unused;
};

struct thread;
struct lockdep_map;

/* A lock that a thread holds, or waits for. */
struct held_lock {
	const struct lockdep_map *map;
	uintptr_t site; /* where it was taken */
	uint64_t since; /* counter ticks: taken, or asked for */
	union {
		struct {
			uint32_t below : 14;   /* the chain before it */
			uint32_t how : 3;      /* LOCK_* */
			uint32_t nested : 1;   /* ordered by an outer lock */
			uint32_t in_irq : 1;   /* taken in an interrupt */
			uint32_t irqs_off : 1; /* taken with interrupts off */
			uint32_t checked : 1;  /* 1; see link (lockdep.c) */
			uint32_t class : 11;   /* last: is put there quickest */
		};
		uint32_t link; /* all of these: the chain with it */
	};
	uint16_t before; /* the thread's chain before it; not `below`, if this
			  * is the first that an interrupt takes */
	bool waits;	 /* not obtained yet */
};

/* One word, as in verdict lines: "circular". */
const char *lockdep_kind_name(enum lockdep_kind kind);

#if GORDIAN_DEBUG

#define LOCKDEP_SUBCLASSES 8

/* A lock as lockdep sees it; also by itself, for what is no lock. */
struct lockdep_map {
	const void *key; /* NULL: this map's own address (static locks) */
	const char *name;
	/* The class of each subclass, 0: not looked up yet. */
	uint16_t class[LOCKDEP_SUBCLASSES];
};

#define MAX_HELD 24

/* A thread's part (struct thread, `lockdep`); its own, interrupts on it too. */
struct lockdep_thread {
	unsigned int depth;	/* entries of held[] */
	unsigned int lost;	/* taken when held[] was full */
	unsigned int recursion; /* inside lockdep: not looked at */
	unsigned int readers;	/* rcu_read_lock() nesting */
	uintptr_t reader_site;	/* of the outermost, and since when */
	uint64_t reader_since;
	unsigned int chain; /* of all entries */
	struct held_lock held[MAX_HELD];
};

#define DEP_MAP		  struct lockdep_map dep_map;
#define DEP_MAP_AT(type)  offsetof(type, dep_map) /* 0: has none */
#define DEP_MAP_INIT(n)	  .dep_map = { .name = (n) },
#define DEP_MAP_KEY(n, k) .dep_map = { .name = (n), .key = (k) },
#define LOCKDEP_MAP_INIT(n)                                                    \
	{                                                                      \
		.name = (n)                                                    \
	}
/* The class of whatever is initialised at this place. */
#define LOCK_KEY()                                                             \
	({                                                                     \
		static struct lock_class_key _key;                             \
		&_key;                                                         \
	})

/* A key for locks of several places, and to pass it on. */
#define DEFINE_LOCK_KEY(k) struct lock_class_key k
#define LOCK_KEY_OF(k)	   (&(k))

/* The key of locks that lockdep must leave alone. */
extern struct lock_class_key lockdep_no_validate;

void lockdep_init_map(struct lockdep_map *m, const char *name, const void *key);
/* Of another class than the others of its place, from now on. */
#define lockdep_set_class(lock, k, n)                                          \
	lockdep_init_map(&(lock)->dep_map, (n), (k))
#define lockdep_set_novalidate_class(lock)                                     \
	lockdep_set_class(lock, &lockdep_no_validate, (lock)->dep_map.name)

/*
 * About to take m: checks, reports, and puts it on the thread's list of held
 * locks. subclass: 0, or a nesting level below LOCKDEP_SUBCLASSES. how: LOCK_*.
 * nest: NULL, or an outer lock that orders all of this class. site: for people.
 */
void lock_acquire(struct lockdep_map *m, unsigned int subclass,
		  unsigned int how, const struct lockdep_map *nest,
		  uintptr_t site);
/* It has to be waited for; and then: it is ours now. */
void lock_contended(struct lockdep_map *m);
void lock_acquired(struct lockdep_map *m);
/* Given back (or never obtained). false: it is not held here, which has been
 * reported; the caller leaves the lock as it is. */
bool lock_release(struct lockdep_map *m, uintptr_t site);

/* Does the current thread (this interrupt included) hold it? */
bool lock_is_held(const struct lockdep_map *m);
/* That thread's entry for it, NULL if none: a racy reading of another thread. */
const struct held_lock *lock_held_by(const struct thread *t,
				     const struct lockdep_map *m);

/* Reports of what is found elsewhere. what: a few words for the first line. */
void lockdep_complain(enum lockdep_kind kind, const char *what, uintptr_t site);

#define lockdep_check(ok, kind, what)                                          \
	do {                                                                   \
		if (unlikely(!(ok)))                                           \
			lockdep_complain((kind), (what), CALLER);              \
	} while (0)
#define lockdep_assert_held(lock)                                              \
	lockdep_check(lock_is_held(&(lock)->dep_map), LOCKDEP_NOT_HELD,        \
		      (lock)->dep_map.name)

/* The thread is about to end; the idle thread is about to idle. */
void lockdep_thread_end(void);
void lockdep_idle(void);
/* That memory is about to be freed, or a lock there to be initialised. */
void debug_check_no_locks_freed(const void *from, size_t len);
/* A BUG ends the thread inside lockdep itself: let the others go on. */
void lockdep_thread_died(void);

/* Distinct findings of a kind since the last reset; all kinds as LOCKDEP_BIT()s;
 * and all that was found again. */
unsigned int lockdep_count(enum lockdep_kind kind);
unsigned int lockdep_total(void);
unsigned int lockdep_seen(void);
/* What has been found so far is accounted for; the kinds found since then, as
 * LOCKDEP_BIT()s. A reset forgets the mark. */
void lockdep_mark(void);
unsigned int lockdep_since_mark(void);
/* Forget the edges, uses and findings; classes and chains stay, unchecked. */
void lockdep_reset(void);
/* Count findings, but do not print them (suites). Nests. */
void lockdep_quiet(bool on);
/* A line for a report: "lockdep: circular: D wants slab_mutex, holds ...". */
void lockdep_brief(bool on);
/* The last report, printed or not; false: there is none. */
bool lockdep_print_last(void);
/* The classes of its new edge; false: it is not about two locks. */
bool lockdep_last_pair(const char **wanted, const char **held);

/* The locks that a thread holds, one line each. Racy for other threads. */
void print_held_locks(const struct thread *t);

#else /* release: nothing is left */

#define DEP_MAP
#define DEP_MAP_AT(type) 0
#define DEP_MAP_INIT(n)
#define DEP_MAP_KEY(n, k)
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
#define lockdep_check(ok, kind, what)	      ((void)0)
#define lockdep_assert_held(lock)	      ((void)(lock))
#define lock_held_by(t, m)		      ((void)(t), (const struct held_lock *)NULL)
#define lockdep_thread_end()		      ((void)0)
#define lockdep_idle()			      ((void)0)
#define debug_check_no_locks_freed(from, len) ((void)0)
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

/* What is no lock but is waited for like one. */
#if GORDIAN_DEBUG
#define lock_map_acquire(m) lock_acquire(m, 0, LOCK_WRITE, NULL, CALLER)
#define lock_map_acquire_read(m)                                               \
	lock_acquire(m, 0, LOCK_READ_RECURSIVE, NULL, CALLER)
#define lock_map_release(m) lock_release(m, CALLER)
#endif
