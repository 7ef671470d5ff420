/*
 * The rows of suite lockdep: a row is a short program of steps that take and
 * release locks, and the findings that lockdep must report for it.
 *
 *	ROWS(order,
 *		{ SILENT,   ALL, "La Lb Ub Ua  La Lb Ub Ua" },
 *		{ CIRCULAR, M|S, "La Lb Ub Ua  Lb La Ua Ub" })
 *
 * A row is run once for each type of lock that it names. Its steps run one after
 * another in one thread, on two locks of each class, so nothing deadlocks.
 * Lockdep must report each kind that the row names exactly once, and no other.
 *
 * A step is one letter, most of them with the lock they are about:
 *
 *	La  lock a          Ta  trylock         Ua  release, however it was taken
 *	Qa  read lock       Ra  read lock, recursive (maps)
 *	Na  lock, nesting level 1               Oa  lock, ordered by an outer b
 *	ha  assert held     ia  initialise      na  do not validate
 *	ka  a class of its own
 *	ma  might_lock                          fa  assert not held
 *	wa  assert held for writing             ra  assert held for reading
 *	a to d: four classes; A to D: another lock of the same class
 *	x o IRQs off, on    {}  in an interrupt []  in an RCU reader
 *	s u a spinlock of another class         z   might_sleep()
 *	d   rcu_dereference p   ..._protected by a
 *	G P get, put_online_cpus                c   lockdep_assert_cpus_held
 *	C   call all cores, and wait            e   call this core only
 *	!   reset lockdep
 *
 * Debug profile only. One case at a time runs rows: no lock guards this state.
 */
#pragma once

#include "tests/kernel/ktest.h"

#if GORDIAN_DEBUG
#include "kernel/lib/compiler.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/spinlock.h"
#include "kernel/sched/timer.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"

/* What a row must lead to. */
#define CIRCULAR     LOCKDEP_BIT(LOCKDEP_CIRCULAR)
#define RECURSIVE    LOCKDEP_BIT(LOCKDEP_RECURSIVE)
#define IRQ_ORDER    LOCKDEP_BIT(LOCKDEP_IRQ_ORDER)
#define INVERSION    LOCKDEP_BIT(LOCKDEP_IRQ_INVERSION)
#define INCONSISTENT LOCKDEP_BIT(LOCKDEP_INCONSISTENT)
#define UNBALANCED   LOCKDEP_BIT(LOCKDEP_UNBALANCED)
#define AT_END	     LOCKDEP_BIT(LOCKDEP_HELD_AT_END)
#define FREED	     LOCKDEP_BIT(LOCKDEP_HELD_FREED)
#define SLEEP	     LOCKDEP_BIT(LOCKDEP_SLEEP)
#define RCU	     LOCKDEP_BIT(LOCKDEP_RCU)
#define NOT_HELD     LOCKDEP_BIT(LOCKDEP_NOT_HELD)
#define NEST	     LOCKDEP_BIT(LOCKDEP_NEST)
#define LEFT	     LOCKDEP_BIT(LOCKDEP_LEFT)
#define SILENT	     0u

/* The types of lock that a row is run for. */
enum lock_type { MUTEX, SPIN, RWSEM, PERCPU, MAP, NR_TYPES };
#define TYPE_BIT(t) (1u << (t))
#define M	    TYPE_BIT(MUTEX)
#define S	    TYPE_BIT(SPIN)
#define W	    TYPE_BIT(RWSEM)
#define P	    TYPE_BIT(PERCPU)
#define X	    TYPE_BIT(MAP)
#define ALL	    (M | S | W | P | X)

#define CLASSES	  4
#define INSTANCES 2

struct any_lock {
	union {
		struct mutex mutex;
		struct spinlock spin;
		struct rw_semaphore rwsem;
		struct percpu_rwsem percpu;
		struct lockdep_map map;
	};
	unsigned int shared; /* how often it is held as a reader */
};

extern struct any_lock row_locks[CLASSES][INSTANCES];
extern enum lock_type row_type; /* of all of them */
extern const char *const row_type_name[];
/* Cases run so far; and those of them that the oracle was asked about, too. */
extern unsigned int rows_complaining, rows_silent, rows_foretold;

struct row {
	unsigned int kinds, types;
	const char *program;
};

#define ROWS(name, ...)                                                        \
	KTEST(lockdep, name)                                                   \
	{                                                                      \
		static const struct row rows[] = { __VA_ARGS__ };              \
                                                                               \
		run_rows(rows, ARRAY_SIZE(rows));                              \
	}

void run_rows(const struct row *rows, unsigned int n);
/* The map of a lock of row_type. */
struct lockdep_map *row_map(struct any_lock *l);
/* One row with locks of row_type, from fresh locks to row_check(). */
void run_row(const char *program, unsigned int kinds);
/* The steps from p up to end, without a check. */
void run_steps(const char *p, const char *end);

/* Fresh locks of row_type and a fresh outer spinlock, and a lockdep that has found nothing. */
void row_begin(void);
/* Since the last reset lockdep has found exactly these kinds, once each, and the
 * thread holds nothing. Counts a case, and resets lockdep. program: for the
 * message. */
void row_check(const char *program, unsigned int kinds);
/* The words, then each kind, without end of line. */
void row_print_kinds(const char *what, unsigned int kinds);
/* Count a case that has checked for itself. */
void row_count(unsigned int kinds);

/* Steps for cases that are no rows; op: 'L', 'T', 'Q', 'R', 'N' or 'O'. */
void row_lock_init(unsigned int class, unsigned int instance);
void row_take(struct any_lock *l, char op);
void row_release(struct any_lock *l);
void row_assert_held(struct any_lock *l);
/* fn in a timer interrupt on this core, on top of this thread; fn sets *done. */
void in_timer(void (*fn)(struct timer *), void *arg, bool *done);
/* fn in a thread of its own, to its end. */
void in_thread(int (*fn)(void *), void *arg);
/* These break a rule when called alone; their names stand in reports. */
int *dereference(void);
void assert_cpus_held(void);
void sleep_perhaps(void);
extern int *shared_pointer;
#endif
