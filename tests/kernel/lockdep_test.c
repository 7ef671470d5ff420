/*
 * Suite lockdep: what the validator must say, and where it must be silent.
 *
 * Most cases are rows: a few letters that take and release locks, and the kinds
 * of findings that must come of it, exactly those, once each. The orders of a row
 * run one after another in one thread, on two instances of each class, so that
 * nothing deadlocks. Interrupts are real ones. A row is run for each type of lock
 * that it names; complaints and silences are counted apart.
 *
 * show_*: one for each kind of finding, with its report, for
 * tests/test_lockdep.py. They, and those that fill a table or end the machine,
 * run only when named.
 */
#include <string.h>

#include "tests/kernel/ktest.h"

#if GORDIAN_DEBUG
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"
#include "kernel/lock/spinlock.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/timer.h"

/* ---- locks of a row --------------------------------------------------------------- */

#define CLASSES	  4
#define INSTANCES 2

enum type { MUTEX, SPIN, RWSEM, PERCPU, MAP, NR_TYPES };
#define M	  BIT_OF(MUTEX)
#define S	  BIT_OF(SPIN)
#define W	  BIT_OF(RWSEM)
#define P	  BIT_OF(PERCPU)
#define X	  BIT_OF(MAP)
#define ALL	  (M | S | W | P | X)
#define BIT_OF(t) (1u << (t))

static const char *const type_name[] = { "mutex", "spinlock", "rw_semaphore",
					 "percpu_rwsem", "map" };

struct any_lock {
	union {
		struct mutex mutex;
		struct spinlock spin;
		struct rw_semaphore rwsem;
		struct percpu_rwsem percpu;
		struct lockdep_map map;
	};
	unsigned int shared; /* held as a reader, so often */
};

static struct any_lock locks[CLASSES][INSTANCES];
static enum type type;
static DEFINE_SPINLOCK(outer_spin); /* beside whatever the row is about */

static void init_with_key(struct any_lock *l, const char *name,
			  const struct lock_class_key *key)
{
	switch (type) {
	case MUTEX:
		__mutex_init(&l->mutex, name, key);
		break;
	case SPIN:
		__spin_lock_init(&l->spin, name, key);
		break;
	case RWSEM:
		__init_rwsem(&l->rwsem, name, key);
		break;
	case PERCPU:
		__percpu_init_rwsem(&l->percpu, name, key);
		break;
	default:
		lockdep_init_map(&l->map, name, key);
	}
}

static void init_lock(unsigned int class, unsigned int instance)
{
	static struct lock_class_key keys[NR_TYPES][CLASSES];
	static const char *const names[] = { "A", "B", "C", "D" };

	init_with_key(&locks[class][instance], names[class],
		      &keys[type][class]);
}

static struct lockdep_map *map_of(struct any_lock *l)
{
	switch (type) {
	case MUTEX:
		return &l->mutex.dep_map;
	case SPIN:
		return &l->spin.dep_map;
	case RWSEM:
		return &l->rwsem.dep_map;
	case PERCPU:
		return &l->percpu.dep_map;
	default:
		return &l->map;
	}
}

static void set_class(struct any_lock *l, const struct lock_class_key *key)
{
	lockdep_init_map(map_of(l), map_of(l)->name, key);
}

static noinline void assert_held(struct any_lock *l)
{
	switch (type) {
	case MUTEX:
		lockdep_assert_held(&l->mutex);
		break;
	case SPIN:
		lockdep_assert_held(&l->spin);
		break;
	case RWSEM:
		lockdep_assert_held(&l->rwsem);
		break;
	case PERCPU:
		lockdep_assert_held(&l->percpu);
		break;
	default:
		if (!lock_is_held(&l->map))
			lockdep_complain(LOCKDEP_NOT_HELD, "map", CALLER);
	}
}

/* ---- the steps of a row ------------------------------------------------------------- */

/*
 * La  lock a          Ta  trylock         Ua  release, however it was taken
 * Qa  read lock       Ra  read lock, recursive (maps)
 * Na  lock, nesting level 1               Oa  lock, ordered by an outer b
 * ha  assert held     ia  initialise      na  do not validate
 * ka  a class of its own                  Da  forget that it is held
 * a to d: four classes; A to D: another lock of the same class
 * x o IRQs off, on    {}  in an interrupt []  in an RCU reader
 * s u a spinlock of another class         z   might_sleep()
 * d   rcu_dereference p   ..._protected by a
 * G P get, put_online_cpus                c   lockdep_assert_cpus_held
 */
static void lock_mutex(struct mutex *m, char op)
{
	switch (op) {
	case 'L':
		mutex_lock(m);
		break;
	case 'T':
		EXPECT(mutex_trylock(m));
		break;
	case 'N':
		mutex_lock_nested(m, 1);
		break;
	default:
		mutex_lock_nest_lock(m, &locks[1][0].mutex);
	}
}

static void lock_spin(struct spinlock *s, char op)
{
	if (op == 'T')
		EXPECT(spin_trylock(s));
	else
		spin_lock_nested(s, op == 'N');
}

static void lock_rwsem(struct rw_semaphore *s, char op)
{
	switch (op) {
	case 'L':
		down_write(s);
		break;
	case 'T':
		EXPECT(down_read_trylock(s));
		break;
	case 'N':
		down_write_nested(s, 1);
		break;
	default:
		down_read(s);
	}
}

static void lock_map(struct lockdep_map *m, char op)
{
	const struct lockdep_map *nest = op == 'O' ? &locks[1][0].map : NULL;
	unsigned int how = op == 'Q' ? LOCK_READ :
			   op == 'R' ? LOCK_READ_RECURSIVE :
			   op == 'T' ? LOCK_TRY :
				       LOCK_WRITE;

	lock_acquire(m, op == 'N', how, nest, CALLER);
}

static void take(struct any_lock *l, char op)
{
	switch (type) {
	case MUTEX:
		lock_mutex(&l->mutex, op);
		break;
	case SPIN:
		lock_spin(&l->spin, op);
		break;
	case RWSEM:
		lock_rwsem(&l->rwsem, op);
		l->shared += op == 'Q' || op == 'T';
		break;
	case PERCPU:
		if (op == 'L')
			percpu_down_write(&l->percpu);
		else
			percpu_down_read(&l->percpu);
		l->shared += op == 'Q';
		break;
	default:
		lock_map(&l->map, op);
	}
}

static void release(struct any_lock *l)
{
	bool shared = l->shared;

	l->shared -= shared;
	switch (type) {
	case MUTEX:
		mutex_unlock(&l->mutex);
		break;
	case SPIN:
		spin_unlock(&l->spin);
		break;
	case RWSEM:
		(shared ? up_read : up_write)(&l->rwsem);
		break;
	case PERCPU:
		(shared ? percpu_up_read : percpu_up_write)(&l->percpu);
		break;
	default:
		lock_map_release(&l->map);
	}
}

/* The lock is gone, the thread still has it on its list. */
static void forget(struct any_lock *l)
{
	lock_release(map_of(l), CALLER);
	if (type == SPIN)
		preempt_enable();
}

static int *shared_pointer;

static noinline int *dereference(void)
{
	return rcu_dereference(shared_pointer);
}

static noinline int *dereference_protected(void)
{
	return rcu_dereference_protected(shared_pointer,
					 lock_is_held(map_of(&locks[0][0])));
}

static noinline void assert_cpus_held(void)
{
	lockdep_assert_cpus_held();
}

static noinline void sleep_perhaps(void)
{
	might_sleep();
}

static void step_alone(char op)
{
	switch (op) {
	case 'x':
		local_irq_disable();
		break;
	case 'o':
		local_irq_enable();
		break;
	case '[':
		rcu_read_lock();
		break;
	case ']':
		rcu_read_unlock();
		break;
	case 's':
		spin_lock(&outer_spin);
		break;
	case 'u':
		spin_unlock(&outer_spin);
		break;
	case 'z':
		sleep_perhaps();
		break;
	case 'd':
		dereference();
		break;
	case 'p':
		dereference_protected();
		break;
	case 'G':
		get_online_cpus();
		break;
	case 'P':
		put_online_cpus();
		break;
	case 'c':
		assert_cpus_held();
		break;
	default:
		EXPECT(!"a step that exists");
	}
}

static void step_on(char op, unsigned int class, unsigned int instance)
{
	static struct lock_class_key other;
	struct any_lock *l = &locks[class][instance];

	switch (op) {
	case 'U':
		release(l);
		break;
	case 'D':
		forget(l);
		break;
	case 'h':
		assert_held(l);
		break;
	case 'i':
		init_lock(class, instance);
		break;
	case 'n':
		set_class(l, &lockdep_no_validate);
		break;
	case 'k':
		set_class(l, &other);
		break;
	default:
		take(l, op);
	}
}

struct part {
	const char *from, *to;
	bool done;
};

static void run_part(const char *p, const char *end);

static void part_in_interrupt(struct timer *t)
{
	struct part *part = t->arg;

	EXPECT(in_interrupt());
	run_part(part->from, part->to);
	WRITE_ONCE(part->done, true);
}

/* fn in a timer interrupt on this core, on top of this thread. */
static void in_timer(void (*fn)(struct timer *), void *arg, bool *done)
{
	struct timer timer;

	timer_setup(&timer, fn, arg);
	preempt_disable();
	timer_arm(&timer, timer_now());
	while (!READ_ONCE(*done))
		ktest_busy();
	preempt_enable();
}

static void run_part(const char *p, const char *end)
{
	while (p < end) {
		char op = *p++, name = *p;

		if (op == ' ')
			continue;
		if (op == '{') {
			struct part part = { p, strchr(p, '}'), false };

			in_timer(part_in_interrupt, &part, &part.done);
			p = part.to + 1;
		} else if (strchr("LTUQRNOhinkD", op)) {
			bool second = name < 'a';

			step_on(op, (unsigned int)(name - (second ? 'A' : 'a')),
				second);
			p++;
		} else {
			step_alone(op);
		}
	}
}

/* ---- rows --------------------------------------------------------------------------- */

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
#define SILENT	     0u

static unsigned int complain, silent; /* cases of the suite so far */

static void count_case(unsigned int kinds)
{
	if (kinds)
		complain++;
	else
		silent++;
}

static unsigned int bits(unsigned int kinds)
{
	return (unsigned int)__builtin_popcount(kinds);
}

static void print_kinds(const char *what, unsigned int kinds)
{
	kprintf("%s", what);
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (kinds & LOCKDEP_BIT(k))
			kprintf(" %s", lockdep_kind_name((enum lockdep_kind)k));
	kprintf(kinds ? "" : " nothing");
}

/* Since the reset exactly these kinds were found, once each. */
static void check_found(const char *program, unsigned int kinds)
{
	unsigned int found = lockdep_seen(), n = lockdep_total();

	count_case(kinds);
	if (found != kinds || n != bits(kinds)) {
		kprintf("    # %s: %s:", type_name[type], program);
		print_kinds(" found", found);
		print_kinds(", should be", kinds);
		kprintf(" (%u findings)\n", n);
		EXPECT(!"lockdep says what it should");
	}
	if (current->lockdep.depth) {
		kprintf("    # %s: %s: leaves locks held\n", type_name[type],
			program);
		EXPECT(!"nothing is held after it");
		current->lockdep.depth = 0;
		current->lockdep.chain = 0;
	}
	lockdep_reset();
}

static void run_program(const char *program, unsigned int kinds)
{
	memset(locks, 0, sizeof(locks));
	for (unsigned int c = 0; c < CLASSES; c++)
		for (unsigned int i = 0; i < INSTANCES; i++)
			init_lock(c, i);
	lockdep_reset();
	run_part(program, program + strlen(program));
	check_found(program, kinds);
}

struct row {
	unsigned int kinds, types;
	const char *program;
};

static void run_rows(const struct row *rows, unsigned int n)
{
	lockdep_quiet(true);
	for (unsigned int i = 0; i < n; i++)
		for (type = 0; type < NR_TYPES; type++)
			if (rows[i].types & BIT_OF(type))
				run_program(rows[i].program, rows[i].kinds);
	lockdep_quiet(false);
}

#define ROWS(name, ...)                                                        \
	KTEST(lockdep, name)                                                   \
	{                                                                      \
		static const struct row rows[] = { __VA_ARGS__ };              \
                                                                               \
		run_rows(rows, ARRAY_SIZE(rows));                              \
	}

/* clang-format off */
ROWS(order,
	{ SILENT,   ALL, "La Ua La Ua" },
	{ SILENT,   ALL, "La Lb Ub Ua  La Lb Ub Ua" },
	{ SILENT,   ALL, "La Lb Ua Ub  La Lb Ub Ua" }, /* out of order */
	{ SILENT,   ALL, "La Ua Lb Ub  Lb Ub La Ua" },
	{ SILENT,   ALL, "La Lb Lc Uc Ub Ua  La Lc Uc Ua  Lb Lc Uc Ub" },
	{ SILENT,   ALL, "La Lb Ua Lc Ub Uc  La Lc Uc Ua" }, /* hand over hand */
	{ SILENT,   ALL, "La Lb Ub Ua  La Lc Uc Ua  Lb Ld Ud Ub  Lc Ld Ud Uc" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR, ALL, "La Lb Ua Ub  LB LA UA UB" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lb Lc Uc Ub  Lc La Ua Uc" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lc La Ua Uc  Lb Lc Uc Ub" },
	{ CIRCULAR, ALL, "La Lb Ua Lc Ub Uc  Lc La Ua Uc" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lb Lc Uc Ub  Lc Ld Ud Uc  Ld La Ua Ud" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lc Ld Ud Uc  Lb Ld Ud Ub  Ld La Ua Ud" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lc Ld Ud Uc  Lb Lc Uc Ub  Ld La Ua Ud" },
	/* Below what was waited for last nothing need be looked at. */
	{ CIRCULAR, ALL, "La Lb Lc Uc Ub Ua  Lc La Ua Uc" })

ROWS(recursion,
	{ RECURSIVE, ALL,   "La LA UA Ua" },
	{ RECURSIVE|CIRCULAR, ALL, "La Lb LA UA Ub Ua" },
	{ SILENT,    ALL,   "La Ua LA UA" },
	{ SILENT,    M|S|X, "La TA UA Ua" },
	{ RECURSIVE, W|P|X, "Qa QA UA Ua" },
	{ RECURSIVE, W|P|X, "Qa LA UA Ua" },
	{ RECURSIVE, W|P|X, "La QA UA Ua" },
	{ SILENT,    W,     "Qa TA UA Ua" },
	{ SILENT,    X,     "Ra RA UA Ua" },
	{ SILENT,    X,     "Qa RA UA Ua" },
	{ RECURSIVE, X,     "Ra QA UA Ua" },
	{ RECURSIVE, X,     "Ra LA UA Ua" },
	{ RECURSIVE, X,     "La RA UA Ua" },
	{ SILENT,    ALL,   "kA La LA UA Ua" },
	{ CIRCULAR,  ALL,   "kA La LA UA Ua  LA La Ua UA" })

ROWS(nesting,
	{ SILENT,    M|S|W|X, "La NA UA Ua  La NA UA Ua" },
	{ SILENT,    M|S|W|X, "Na Ua  La Ua" },
	{ RECURSIVE, M|S|W|X, "Na NA UA Ua" },
	{ CIRCULAR,  M|S|W|X, "La NA UA Ua  Na LA UA Ua" },
	{ CIRCULAR,  M|S|W|X, "Na Lb Ub Ua  Lb Na Ua Ub" },
	{ SILENT,    M|S|W|X, "Na Lb Ub Ua  Lb La Ua Ub" },
	{ SILENT,    M|X,     "Lb Oa OA UA Ua Ub  Lb OA Oa Ua UA Ub" },
	{ NEST|RECURSIVE, M|X, "Lb Oa Ub OA UA Ua" },
	{ RECURSIVE, M|X,     "Lb Oa OA UA Ua Ub  Lb La LA UA Ua Ub" },
	{ NEST,      M|X,     "Oa Ua" },
	{ NEST,      M|X,     "Lb Oa Ua Ub  Oa Ua" },
	/* The same classes, but not that outer lock. */
	{ NEST,      M|X,     "Lb Oa Ua Ub  LB Oa Ua UB" },
	{ NEST|RECURSIVE, M|X, "La OA UA Ua" })

ROWS(trylock,
	{ SILENT,   M|S|X, "La Tb Ub Ua  Lb Ta Ua Ub" },
	{ SILENT,   M|S|X, "La Lb Ub Ua  Lb Ta Ua Ub" },
	{ SILENT,   W,     "La Tb Ub Ua  Lb Ta Ua Ub" },
	{ CIRCULAR, M|S|W|X, "Ta Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR, M|S|W|X, "Ta Lb Ub Ua  Tb La Ua Ub" },
	{ CIRCULAR, M|S|W|X, "La Tb Lc Uc Ub Ua  Lc La Ua Uc" },
	{ CIRCULAR, M|S|W|X, "La Tb Lc Uc Ub Ua  Lc Lb Ub Uc" },
	/* Tried first, then waited for: another sequence. */
	{ CIRCULAR, M|S|W|X, "Lb La Ua Ub  La Tb Ub Ua  La Lb Ub Ua" })

/* rw_semaphores and percpu_rwsems have no recursive readers. */
ROWS(readers,
	/* The recursive reader between does not carry a's order to c. */
	{ CIRCULAR,     X, "La Rb Lc Uc Ub Ua  Lc La Ua Uc" },
	{ CIRCULAR, W|P|X, "Qa Qb Ub Ua  Qb Qa Ua Ub" },
	{ CIRCULAR, W|P|X, "Qa Lb Ub Ua  Lb Qa Ua Ub" },
	{ CIRCULAR, W|P|X, "La Qb Ub Ua  Qb La Ua Ub" },
	{ SILENT,   W|P|X, "Qa Qb Ub Ua  Qa Lb Ub Ua  La Qb Ub Ua" },
	{ SILENT,   X,     "Ra Lb Ub Ua  Lb Ra Ua Ub" },
	{ CIRCULAR, X,     "Ra Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR, X,     "Ra Lb Ub Ua  Lb Qa Ua Ub" },
	{ CIRCULAR, X,     "La Lb Ub Ua  Lb Ra Ua Ub" },
	/* The sequence was known, but for how they were taken. */
	{ CIRCULAR, X,     "Lb Ra Ua Ub  Ra Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR, X,     "Lb Ra Ua Ub  Ra Lb Ub Ua  La Lb Ub Ua" },
	/* A ring with one weak joint, and with none. */
	{ SILENT,   X, "La Lb Ub Ua  Lb Rc Uc Ub  Rc La Ua Uc" },
	{ SILENT,   X, "Rc La Ua Uc  La Lb Ub Ua  Lb Rc Uc Ub" },
	{ CIRCULAR, X, "La Lb Ub Ua  Lb Rc Uc Ub  Lc La Ua Uc" },
	{ CIRCULAR, X, "La Rb Ub Ua  Lb Rc Uc Ub  Lc Ra Ua Uc" },
	/* b is reached weakly at once, and strongly by a detour. */
	{ SILENT,   X, "La Rb Ub Ua  Rb Ld Ud Ub  Ld La Ua Ud" },
	{ CIRCULAR, X, "La Lc Uc Ua  La Rb Ub Ua  Lc Lb Ub Uc  "
		       "Rb Ld Ud Ub  Ld La Ua Ud" },
	{ CIRCULAR, X, "La Rb Ub Ua  La Lc Uc Ua  Lc Lb Ub Uc  "
		       "Rb Ld Ud Ub  Ld La Ua Ud" },
	/* Inside already: it waits for nobody. Another one does. */
	{ SILENT,   X, "Ra Lb Ra Ua Ub Ua  La Lb Ub Ua" },
	{ CIRCULAR, X, "Ra Lb RA UA Ub Ua  La Lb Ub Ua" },
	{ CIRCULAR, X, "Ra Lb Ra Ua Ub Ua  Lb La Ua Ub" },
	{ SILENT,   X, "Ra Ra Lb Ub Ua Ua  Lb Ra Ua Ub" })

ROWS(interrupts,
	{ SILENT,       S|X, "x La Ua o {La Ua}" },
	{ SILENT,       S|X, "La Ua {Lb Ub}" },
	{ SILENT,       S|X, "{La Lb Ub Ua} x La Lb Ub Ua o" },
	{ CIRCULAR,     S|X, "{La Lb Ub Ua} x Lb La Ua Ub o" },
	{ INCONSISTENT, S|X, "{La Ua} La Ua" },
	{ INCONSISTENT, S|X, "{La Ua} x La Ua o La Ua" },
	{ INCONSISTENT, S|X, "La Ua {La Ua}" },
	{ INCONSISTENT|RECURSIVE, S|X, "La {LA UA} Ua" },
	{ IRQ_ORDER,    S|X, "{La Ua} Lb Ub x La Lb Ub Ua o" },
	{ IRQ_ORDER,    S|X, "{La Ua} Lc Uc x La Lb Ub Ua Lb Lc Uc Ub o" },
	{ IRQ_ORDER,    S|X, "{La Ua} Lc Uc x Lb Lc Uc Ub La Lb Ub Ua o" },
	{ INVERSION,    S|X, "Lb Ub x La Lb Ub Ua o {La Ua}" },
	{ INVERSION,    S|X, "{La Ua} x La Lb Ub Ua o Lb Ub" },
	{ INVERSION,    S|X, "{La Ua} x La Lb Lc Uc Ub Ua o Lc Uc" },
	{ SILENT,       S|X, "{La Ua} x Lb La Ua Ub o Lb Ub" },
	{ SILENT,       S|X, "{La Ua} x La Lb Ub Ua o" },
	/* Held by the interrupted thread: no order, whatever else is wrong. */
	{ IRQ_ORDER,    S|X, "La {Lb Ub} Ua x Lb La Ua Ub o" },
	{ SILENT,       S|X, "La {Lb Ub} Ua x La Lb Ub Ua o" },
	/* After it what the thread holds counts again, as if it had not come. */
	{ CIRCULAR,     ALL, "Lc {s u} Lb Ub Uc  La {s u} Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR,     S|X, "Lc {Ld Ud} Lb Ub Uc  La {Ld Ud} Lb Ub Ua  "
			     "Lb La Ua Ub" },
	{ SILENT,       ALL, "Lc {s u} Lb Ub Uc  La {s u} Lb Ub Ua  La Lb Ub Ua" },
	/* What an interrupt takes and gives back leaves the chain as it was. */
	{ CIRCULAR,     S|X, "La {Lc Uc} Lb Ub Ua  Ld {Lc Uc} Lb Ub Ud  "
			     "Lb Ld Ud Ub" },
	/* What moves down when the first is released first is another chain. */
	{ CIRCULAR,     S|X, "{La Tb Ua Lc Uc Ub} {La Tb Lc Uc Ub Ua}  "
			     "x Lc La Ua Uc o" },
	/* A trylock in an interrupt does not wait; one with them on is held. */
	{ SILENT,       M|S|X, "La Ua {Ta Ua}" },
	{ SILENT,       M|S|X, "La {Tb Ub} Ua" },
	{ INCONSISTENT, S|X, "{La Ua} Ta Ua" },
	{ SILENT,       S|X, "{La Ua} x Ta Ua o" },
	/* Interrupts go on while it is held: seen at the next step. */
	{ INCONSISTENT, S|X, "{La Ua} x La o Ua" },
	{ INCONSISTENT, S|X, "x La o Ua {La Ua}" },
	{ INCONSISTENT|INVERSION, S|X, "{La Ua} x La Lb o Ub Ua" },
	/* After it the thread holds what it held. */
	{ CIRCULAR, ALL, "{s u} Lb Ub La {s u} Lb Ub Ua  Lb La Ua Ub" })

ROWS(readers_in_interrupts,
	{ SILENT,       X, "{Ra Ua} Ra Ua" },
	{ SILENT,       X, "Ra Ua {Ra Ua}" },
	{ SILENT,       X, "Ra {Ra Ua} Ua" },
	{ INCONSISTENT, X, "{Ra Ua} La Ua" },
	{ INCONSISTENT, X, "{La Ua} Ra Ua" },
	{ INCONSISTENT, X, "Ra Ua {La Ua}" },
	{ INCONSISTENT, X, "La Ua {Ra Ua}" },
	/* Two readers, and others between them (Linux: exclusive_mask()). */
	{ IRQ_ORDER,    X, "{Ra Ua} Rb Ub x La Lb Ub Ua o" },
	{ SILENT,       X, "{Ra Ua} Rb Ub x Ra Lb Ub Ua o" },
	{ SILENT,       X, "{Ra Ua} Rb Ub x La Rb Ub Ua o" },
	{ SILENT,       X, "{Ra Ua} Lb Ub x Ra Lb Ub Ua o" },
	{ IRQ_ORDER,    X, "{La Ua} Rb Ub x Ra Lb Ub Ua o" },
	{ INVERSION,    X, "Rb Ub x La Lb Ub Ua o {Ra Ua}" },
	{ SILENT,       X, "Rb Ub x Ra Lb Ub Ua o {Ra Ua}" },
	{ SILENT,       X, "Rb Ub x La Rb Ub Ua o {Ra Ua}" },
	{ INVERSION,    X, "{Ra Ua} x La Lb Ub Ua o Rb Ub" },
	{ SILENT,       X, "{Ra Ua} x La Rb Ub Ua o Rb Ub" },
	{ SILENT,       X, "{Ra Ua} x Ra Lb Ub Ua o Rb Ub" })

ROWS(balance,
	{ UNBALANCED, ALL, "Ua" },
	{ UNBALANCED, ALL, "La Ua Ua" },
	{ UNBALANCED, ALL, "La UA Ua" },
	{ UNBALANCED, S|X, "La {Ua}" },
	{ UNBALANCED, S|X, "{La} Ua" },
	{ SILENT,     ALL, "La Lb Lc Ub Ua Uc" },
	{ SILENT,     X,   "Ra Ra Ua Ua" },
	/* Of two of a class the right one goes. */
	{ SILENT,     X,   "Ra RA Ua hA UA" },
	{ SILENT,     M|X, "Lb Oa OA Ua hA UA Ub" },
	/* What stays stands on another chain than before. */
	{ RECURSIVE,  M|S|X, "La Tb Ua LA UA Ub  La Tb LA UA Ub Ua" })

ROWS(memory,
	{ FREED,  M|S|W|P, "La ia Da" },
	{ FREED,  W|P,     "Qa ia Da" },
	{ SILENT, ALL, "La Ua ia La Ua" },
	{ SILENT, ALL, "La iA ib Ua" })

ROWS(sleep,
	{ SLEEP,  M|W,   "s La Ua u" },
	{ SLEEP,  W|P,   "s Qa Ua u" },
	{ SLEEP,  M|W,   "x La Ua o" },
	{ SLEEP,  W|P,   "x Qa Ua o" },
	{ SLEEP,  M|W,   "[ La Ua ]" },
	{ SLEEP,  W|P,   "[ Qa Ua ]" },
	{ SLEEP,  M|W,   "{La Ua}" },
	{ SLEEP,  W|P,   "{Qa Ua}" },
	{ SILENT, M|W|P, "La s u Ua [ ] La Ua" },
	{ SILENT, M|W,   "s Ta Ua u [ Ta Ua ] x Ta Ua o {Ta Ua}" },
	{ SILENT, S,     "s La Ua u [ La Ua ] x La Ua o" },
	{ SILENT, X,     "z La z Ua z" },
	{ SLEEP,  X,     "s z u" },
	{ SLEEP,  X,     "x z o" },
	{ SLEEP,  X,     "[ z ]" },
	{ SLEEP,  X,     "{z}" })

ROWS(rcu,
	{ RCU,    X,   "d" },
	{ RCU,    M,   "La d Ua" },
	{ SILENT, X,   "[ d ]" },
	{ SILENT, X,   "[ [ ] d ]" },
	{ SILENT, S,   "La d Ua" },
	{ SILENT, X,   "x d o" },
	{ SILENT, X,   "{d}" },
	{ RCU,    ALL, "p" },
	{ RCU,    ALL, "LA p UA" },
	{ RCU,    X,   "[ p ]" },
	{ SILENT, ALL, "La p Ua" })

ROWS(asserts,
	{ NOT_HELD, ALL,   "ha" },
	{ NOT_HELD, ALL,   "La Ua ha" },
	{ NOT_HELD, ALL,   "LA ha UA" },
	{ SILENT,   ALL,   "La ha Ua" },
	{ SILENT,   W|P|X, "Qa ha Ua" },
	{ SILENT,   M|S|X, "Ta ha Ua" },
	{ SILENT,   ALL,   "La {ha} Ua" },
	{ NOT_HELD, X,     "c" },
	{ SILENT,   X,     "G c P" },
	{ NOT_HELD, X,     "G P c" })

ROWS(not_validated,
	{ SILENT,   ALL, "na nb  La Lb Ub Ua  Lb La Ua Ub" },
	{ SILENT,   ALL, "na nA  La LA UA Ua" },
	{ SILENT,   ALL, "na  La ha Ua" },
	{ CIRCULAR, ALL, "na  La Lb Lc Uc Ub Ua  Lc Lb Ub Uc" })
/* clang-format on */

/* ---- rings of readers and writers, all of them ------------------------------------------ */

static const char how_name[] = "LQR"; /* write, read, recursive read */

/* A recursive reader does not wait for who holds it shared. */
static bool waits_for(char taken, char held)
{
	return taken != 'R' || held == 'L';
}

/*
 * n threads: number i holds lock i as how[2i] and takes the next one as
 * how[2i + 1]. They can wait for each other if each can wait for the next.
 */
static void run_ring(unsigned int n, const char *how)
{
	char program[80];
	bool deadlock = true;
	int at = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int next = (i + 1) % n;
		char a = (char)('a' + i), b = (char)('a' + next);

		at += ksnprintf(program + at, sizeof(program) - (size_t)at,
				"%c%c %c%c U%c U%c ", how[2 * i], a,
				how[2 * i + 1], b, b, a);
		deadlock &= waits_for(how[2 * i + 1], how[2 * next]);
	}
	run_program(program, deadlock ? CIRCULAR : SILENT);
}

static void run_rings(unsigned int n)
{
	unsigned int all = 1;
	char how[2 * CLASSES];

	type = MAP;
	for (unsigned int i = 0; i < 2 * n; i++)
		all *= 3;
	lockdep_quiet(true);
	for (unsigned int k = 0; k < all; k++) {
		unsigned int rest = k;

		for (unsigned int i = 0; i < 2 * n; i++, rest /= 3)
			how[i] = how_name[rest % 3];
		run_ring(n, how);
	}
	lockdep_quiet(false);
}

KTEST(lockdep, rings_of_two)
{
	run_rings(2);
}

/* Too many of a kind to be called cases: not counted. */
KTEST(lockdep, rings_of_three)
{
	unsigned int complained = complain, kept_silent = silent;

	run_rings(3);
	EXPECT_EQ(complain + silent - complained - kept_silent, 729);
	complain = complained;
	silent = kept_silent;
}

/* ---- threads and cores that keep a lock ---------------------------------------------------- */

static int take_and_end(void *arg)
{
	take(arg, 'L');
	return 0;
}

static int take_and_release(void *arg)
{
	take(arg, 'L');
	release(arg);
	return 0;
}

static void in_thread(int (*fn)(void *), void *arg)
{
	struct thread *t = ktest_thread("holder", fn, arg, CPUMASK_ALL);

	if (t)
		thread_join(t);
}

/* A spinlock would end it before: no thread ends with preemption off. */
KTEST(lockdep, thread_end)
{
	static const enum type types[] = { MUTEX, RWSEM, PERCPU, MAP };

	lockdep_quiet(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		type = types[i];
		init_lock(0, 0);
		in_thread(take_and_end, &locks[0][0]);
		check_found("taken, the thread ends", AT_END);
		init_lock(0, 0);
		in_thread(take_and_release, &locks[0][0]);
		check_found("released, the thread ends", SILENT);
	}
	lockdep_quiet(false);
}

static struct lockdep_map idle_map = LOCKDEP_MAP_INIT("idle_map");

/* On a core that idles: the idle thread holds it now. */
static void take_in_idle(void *done)
{
	if (!current->is_idle)
		return;
	lock_map_acquire(&idle_map);
	*(bool *)done = true;
}

static bool taken_in_idle(void)
{
	bool done = false;
	unsigned int cpu;

	for_each_online_cpu (cpu)
		if (cpu != smp_processor_id() && !done)
			smp_call_function_single(cpu, take_in_idle, &done,
						 true);
	return done;
}

KTEST(lockdep, idle)
{
	NEED_CORES(2);
	lockdep_quiet(true);
	EXPECT(EVENTUALLY(taken_in_idle()));
	EXPECT(EVENTUALLY(lockdep_count(LOCKDEP_HELD_AT_END) == 1));
	check_found("the core idles", AT_END);
	lockdep_quiet(false);
}

static int release_it(void *arg)
{
	release(arg);
	return 0;
}

KTEST(lockdep, release_by_another)
{
	lockdep_quiet(true);
	for (type = 0; type < NR_TYPES; type++) {
		struct any_lock *l = &locks[0][0];

		if (type == SPIN)
			continue; /* a thread with preemption off cannot join */
		init_lock(0, 0);
		take(l, 'L');
		in_thread(release_it, l);
		assert_held(l);
		release(l);
		check_found("released by another thread", UNBALANCED);
	}
	lockdep_quiet(false);
}

/* ---- held while it is freed ------------------------------------------------------------------ */

static struct kmem_cache *cache;

static void *alloc_object(void)
{
	return kmem_cache_alloc(cache);
}

static void free_object(void *p)
{
	kmem_cache_free(cache, p);
}

static void *alloc_small(void)
{
	return kmalloc(2 * sizeof(struct mutex));
}

static void *alloc_large(void)
{
	return kmalloc(4 * PAGE_SIZE);
}

static void *alloc_pages(void)
{
	return pages_alloc(1);
}

static void free_pages(void *p)
{
	pages_free(p, 1);
}

static const struct allocator {
	const char *name;
	void *(*alloc)(void);
	void (*free)(void *);
} allocators[] = {
	{ "kmem_cache_free()", alloc_object, free_object },
	{ "kfree()", alloc_small, kfree },
	{ "kfree() of pages", alloc_large, kfree },
	{ "pages_free()", alloc_pages, free_pages },
};

static struct mutex *alloc_mutex(const struct allocator *a)
{
	struct mutex *m = a->alloc();

	EXPECT(m != NULL);
	if (m)
		mutex_init(m, "freed");
	return m;
}

static void free_held(const struct allocator *a)
{
	struct mutex *m = alloc_mutex(a), *other = alloc_mutex(a);

	if (!m || !other)
		return;
	mutex_lock(m);
	a->free(other);
	EXPECT_EQ(lockdep_total(), 0);
	count_case(SILENT);
	a->free(m);
	lock_release(&m->dep_map, CALLER);
	check_found(a->name, FREED);
}

KTEST(lockdep, freed)
{
	type = MUTEX;
	cache = kmem_cache_create("freed", sizeof(struct mutex), 0, 0, NULL);
	EXPECT(cache != NULL);
	lockdep_quiet(true);
	for (unsigned int i = 0; cache && i < ARRAY_SIZE(allocators); i++)
		free_held(&allocators[i]);
	lockdep_quiet(false);
	if (cache)
		kmem_cache_destroy(cache);
}

/* ---- what else it must get right ----------------------------------------------------------------- */

static struct {
	struct spinlock lock;
	bool go;
} wait_case;

static int wait_for_spin(void *arg)
{
	(void)arg;
	spin_lock(&wait_case.lock);
	while (!READ_ONCE(wait_case.go))
		ktest_busy();
	spin_unlock(&wait_case.lock);
	return 0;
}

/* Does t have so many entries, and does the first one wait? */
static bool has_entry(const struct thread *t, bool waits)
{
	return READ_ONCE(t->lockdep.depth) == 1 &&
	       READ_ONCE(t->lockdep.held[0].waits) == waits;
}

static unsigned int another_core(void)
{
	unsigned int cpu = smp_processor_id();

	do
		cpu = (cpu + 1) % NR_CPUS;
	while (!cpu_is_online(cpu));
	return cpu;
}

/* A spinlock that is waited for is not held. */
KTEST(lockdep, waiting_is_not_holding)
{
	uint64_t end = timer_now() + timer_ticks(KTEST_PATIENCE_NS);
	const struct lockdep_map *m = &wait_case.lock.dep_map;
	struct thread *t;

	NEED_CORES(2);
	ktest_run_on(smp_processor_id());
	spin_lock_init(&wait_case.lock, "wait_case");
	wait_case.go = false;
	spin_lock(&wait_case.lock);
	t = ktest_thread("waiter", wait_for_spin, NULL,
			 cpumask_of(another_core()));
	while (!has_entry(t, true) && timer_now() < end)
		ktest_busy();
	EXPECT(has_entry(t, true));
	EXPECT(lock_held_by(t, m) == NULL);
	EXPECT(lock_held_by(current, m) != NULL);
	spin_unlock(&wait_case.lock);
	EXPECT(EVENTUALLY(has_entry(t, false)));
	EXPECT(lock_held_by(t, m) != NULL);
	WRITE_ONCE(wait_case.go, true);
	thread_join(t);
}

/* Reported once, counted each time. */
KTEST(lockdep, again)
{
	static const struct {
		enum type type;
		unsigned int kinds;
		const char *program;
	} row[] = {
		{ MUTEX, CIRCULAR, "La Lb Ub Ua  Lb La Ua Ub" },
		{ SPIN, IRQ_ORDER, "{La Ua} Lb Ub x La Lb Ub Ua o" },
		{ MUTEX, RECURSIVE, "La LA UA Ua" },
		{ MUTEX, NEST, "Oa Ua" },
		{ MUTEX, UNBALANCED, "Ua" },
		{ MAP, SLEEP, "[ z ]" },
		{ MAP, RCU, "d" },
		{ MAP, NOT_HELD, "ha" },
	};

	lockdep_quiet(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++) {
		const char *p = row[i].program;

		type = row[i].type;
		for (unsigned int c = 0; c < 2; c++)
			for (unsigned int k = 0; k < INSTANCES; k++)
				init_lock(c, k);
		for (unsigned int round = 0; round < 5; round++)
			run_part(p, p + strlen(p));
		EXPECT_EQ(lockdep_again, 4);
		check_found(p, row[i].kinds);
	}
	lockdep_quiet(false);
}

/* What was checked is to be checked again, with a lock held all the while. */
KTEST(lockdep, reset_while_held)
{
	static const char held[] = "La Lb Ub",
			  after[] = "Lb Ub Ua  Lb La Ua Ub";

	lockdep_quiet(true);
	for (type = 0; type < NR_TYPES; type++) {
		init_lock(0, 0);
		init_lock(1, 0);
		run_part(held, held + strlen(held));
		lockdep_reset();
		run_part(after, after + strlen(after));
		check_found(after, CIRCULAR);
	}
	lockdep_quiet(false);
}

KTEST(lockdep, counted)
{
	if (complain + silent < 100) {
		complain = silent = 0;
		ktest_skip("after the whole suite only");
		return;
	}
	kprintf("lockdep cases: %u complain, %u silent\n", complain, silent);
	EXPECT(complain >= 40 && silent >= 20);
	complain = silent = 0;
}

/* ---- what each report looks like ---------------------------------------------------------------- */

static DEFINE_MUTEX(lock_a);
static DEFINE_MUTEX(lock_b);
static DEFINE_MUTEX(lock_c);
static DEFINE_MUTEX(lock_d);

#define ORDER(name, first, second)                                             \
	static noinline void name(void)                                        \
	{                                                                      \
		mutex_lock(&(first));                                          \
		mutex_lock(&(second));                                         \
		mutex_unlock(&(second));                                       \
		mutex_unlock(&(first));                                        \
	}
ORDER(a_then_b, lock_a, lock_b)
ORDER(b_then_a, lock_b, lock_a)
ORDER(b_then_c, lock_b, lock_c)
ORDER(c_then_d, lock_c, lock_d)
ORDER(d_then_a, lock_d, lock_a)

#define SHOW(name, kinds)                                                      \
	static void show_##name(void);                                         \
	KTEST_MANUAL(lockdep, show_##name)                                     \
	{                                                                      \
		ktest_lockdep(kinds);                                          \
		show_##name();                                                 \
		EXPECT_EQ(lockdep_total(), 1);                                 \
		kprintf("the same again:\n");                                  \
		EXPECT(lockdep_print_last());                                  \
	}                                                                      \
	static void show_##name(void)

SHOW(circular, CIRCULAR)
{
	a_then_b();
	b_then_a();
}

SHOW(ring, CIRCULAR)
{
	a_then_b();
	b_then_c();
	c_then_d();
	d_then_a();
}

static struct lockdep_map a_map = LOCKDEP_MAP_INIT("a_map");

static noinline void take_a(void)
{
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
}

static noinline void read_map_then_a(void)
{
	lock_map_acquire_read(&a_map);
	take_a();
	lock_map_release(&a_map);
}

static noinline void write_map_then_a(void)
{
	lock_map_acquire(&a_map);
	take_a();
	lock_map_release(&a_map);
}

static noinline void a_then_read_map(void)
{
	mutex_lock(&lock_a);
	lock_map_acquire_read(&a_map);
	lock_map_release(&a_map);
	mutex_unlock(&lock_a);
}

/* Two readers do not wait for each other: it is the writer's stack that counts,
 * though the reader's came first. */
SHOW(readers, CIRCULAR)
{
	read_map_then_a();
	write_map_then_a();
	a_then_read_map();
}

static struct mutex twins[2];

static noinline void take_twins(void)
{
	mutex_lock(&twins[0]);
	mutex_lock(&twins[1]);
	mutex_unlock(&twins[1]);
	mutex_unlock(&twins[0]);
}

static void init_twins(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(twins); i++)
		mutex_init(&twins[i], "twin");
}

SHOW(recursive, RECURSIVE)
{
	init_twins();
	take_twins();
}

static DEFINE_SPINLOCK(irq_lock);
static DEFINE_SPINLOCK(plain_lock);
static bool handled;

static void take_in_timer(struct timer *t)
{
	(void)t;
	spin_lock(&irq_lock);
	spin_unlock(&irq_lock);
	WRITE_ONCE(handled, true);
}

static noinline void use_in_interrupt(void)
{
	handled = false;
	in_timer(take_in_timer, NULL, &handled);
}

static noinline void use_with_irqs_on(struct spinlock *s)
{
	spin_lock(s);
	spin_unlock(s);
}

static noinline void irq_lock_then_plain(void)
{
	uint32_t flags = spin_lock_irqsave(&irq_lock);

	spin_lock(&plain_lock);
	spin_unlock(&plain_lock);
	spin_unlock_irqrestore(&irq_lock, flags);
}

SHOW(irq_order, IRQ_ORDER)
{
	use_in_interrupt();
	use_with_irqs_on(&plain_lock);
	irq_lock_then_plain();
}

SHOW(irq_inversion, INVERSION)
{
	irq_lock_then_plain();
	use_with_irqs_on(&plain_lock);
	use_in_interrupt();
}

/* The other one: the lock turns out to be held with interrupts on. */
SHOW(irq_inversion_on, INVERSION)
{
	use_in_interrupt();
	irq_lock_then_plain();
	use_with_irqs_on(&plain_lock);
}

SHOW(inconsistent, INCONSISTENT)
{
	use_with_irqs_on(&irq_lock);
	use_in_interrupt();
}

SHOW(inconsistent_on, INCONSISTENT)
{
	use_in_interrupt();
	use_with_irqs_on(&irq_lock);
}

static noinline void release_what_is_free(void)
{
	mutex_unlock(&lock_a);
}

SHOW(unbalanced, UNBALANCED)
{
	release_what_is_free();
}

SHOW(unbalanced_other, UNBALANCED)
{
	mutex_lock(&lock_b);
	release_what_is_free();
	mutex_unlock(&lock_b);
}

static void release_in_timer(struct timer *t)
{
	(void)t;
	lock_map_release(&a_map);
	WRITE_ONCE(handled, true);
}

SHOW(out_of_context, UNBALANCED)
{
	lock_map_acquire(&a_map);
	handled = false;
	in_timer(release_in_timer, NULL, &handled);
}

static int end_with_lock(void *arg)
{
	mutex_lock(&lock_a);
	(void)arg;
	return 0;
}

SHOW(held_at_end, AT_END)
{
	struct thread *t =
		ktest_thread("keeper", end_with_lock, NULL, CPUMASK_ALL);

	thread_join(t);
	mutex_release_dead(&lock_a, t);
}

static noinline void free_a_held_lock(void)
{
	struct mutex *m = alloc_mutex(&allocators[1]);

	if (!m)
		return;
	mutex_lock(m);
	kfree(m);
	lock_release(&m->dep_map, CALLER);
}

SHOW(held_freed, FREED)
{
	free_a_held_lock();
}

static noinline void sleep_in_a_reader(void)
{
	rcu_read_lock();
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	rcu_read_unlock();
}

SHOW(sleep, SLEEP)
{
	sleep_in_a_reader();
}

static void sleep_in_timer(struct timer *t)
{
	(void)t;
	sleep_perhaps();
	WRITE_ONCE(handled, true);
}

SHOW(sleep_in_interrupt, SLEEP)
{
	handled = false;
	in_timer(sleep_in_timer, NULL, &handled);
}

SHOW(rcu, RCU)
{
	dereference();
}

static noinline int *dereference_under_a(void)
{
	return rcu_dereference_protected(shared_pointer,
					 lock_is_held(&lock_a.dep_map));
}

SHOW(rcu_protected, RCU)
{
	dereference_under_a();
}

static noinline void needs_a(void)
{
	lockdep_assert_held(&lock_a);
}

SHOW(not_held, NOT_HELD)
{
	needs_a();
}

SHOW(cpus_not_held, NOT_HELD)
{
	assert_cpus_held();
}

static noinline void take_without_the_outer(void)
{
	mutex_lock_nest_lock(&lock_b, &lock_a);
	mutex_unlock(&lock_b);
}

SHOW(nest, NEST)
{
	take_without_the_outer();
}

/* ---- full tables --------------------------------------------------------------------------------- */

/* Each a class of its own: static, without a key. */
static struct lockdep_map many[DEP_NODES + 50];

static void name_many(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
		many[i].name = "many";
}

/* Lockdep works as before, apart from what did not fit. */
static void check_it_goes_on(void)
{
	lockdep_reset();
	lockdep_quiet(true);
	type = MUTEX;
	run_program("La Lb Ub Ua  La Lb Ub Ua", SILENT);
	run_program("La Lb Ub Ua  Lb La Ua Ub", CIRCULAR);
	lockdep_quiet(false);
}

KTEST_MANUAL(lockdep, full_held)
{
	name_many();
	for (unsigned int i = 0; i < MAX_HELD + 5; i++)
		lock_map_acquire(&many[i]);
	EXPECT_EQ(current->lockdep.depth, MAX_HELD);
	EXPECT(lock_is_held(&many[0]));
	EXPECT(lock_is_held(&many[MAX_HELD + 4])); /* nobody can tell */
	for (unsigned int i = MAX_HELD + 5; i-- > 0;)
		lock_map_release(&many[i]);
	EXPECT_EQ(current->lockdep.lost, 0);
	EXPECT(!lock_is_held(&many[0]));
	check_it_goes_on();
}

#define FILL 45 /* so many in threes: more than 8192 sequences */

static void take_three(unsigned int i, unsigned int k, unsigned int l)
{
	lock_map_acquire(&many[i]);
	lock_map_acquire(&many[k]);
	lock_map_acquire(&many[l]);
	lock_map_release(&many[l]);
	lock_map_release(&many[k]);
	lock_map_release(&many[i]);
}

KTEST_MANUAL(lockdep, full_chains)
{
	name_many();
	for (unsigned int i = 0; i < FILL; i++)
		for (unsigned int k = i + 1; k < FILL; k++)
			for (unsigned int l = k + 1; l < FILL; l++)
				take_three(i, k, l);
	EXPECT(lockdep_nr_chains > LOCKDEP_CHAINS / 2);
	check_it_goes_on();
}

KTEST_MANUAL(lockdep, full_edges)
{
	name_many();
	for (unsigned int i = 0; i < 66; i++)
		for (unsigned int k = i + 1; k < 66; k++) {
			lock_map_acquire(&many[i]);
			lock_map_acquire(&many[k]);
			lock_map_release(&many[k]);
			lock_map_release(&many[i]);
		}
	EXPECT_EQ(lockdep_graph.edges, DEP_EDGES);
	check_it_goes_on();
}

KTEST_MANUAL(lockdep, full_findings)
{
	lockdep_quiet(true);
	for (uintptr_t i = 0; i < LOCKDEP_FINDINGS + 44; i++)
		lockdep_complain(LOCKDEP_RCU, "made up", i);
	lockdep_quiet(false);
	EXPECT_EQ(lockdep_total(), LOCKDEP_FINDINGS);
	EXPECT_EQ(lockdep_again, 44);
	check_it_goes_on();
}

KTEST_MANUAL(lockdep, full_levels)
{
	static struct lockdep_map m[2];

	memset(m, 0, sizeof(m));
	m[0].name = "deep";
	lock_acquire(&m[0], LOCKDEP_SUBCLASSES, LOCK_WRITE, NULL, CALLER);
	EXPECT_EQ(current->lockdep.lost, 1);
	lock_map_release(&m[0]);
	EXPECT_EQ(current->lockdep.lost, 0);
	EXPECT(!m[1].key && !m[1].name);
	check_it_goes_on();
}

/* A lock on the stack that nobody initialised at run time. */
KTEST_MANUAL(lockdep, no_class)
{
	struct lockdep_map m = LOCKDEP_MAP_INIT("on_the_stack");

	lock_map_acquire(&m);
	lock_map_release(&m);
	EXPECT_EQ(current->lockdep.lost, 0);
	check_it_goes_on();
}

/* Classes stay until the end: from here on new locks have none. */
KTEST_MANUAL(lockdep, full_classes)
{
	check_it_goes_on(); /* its locks have theirs */
	name_many();
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++) {
		lock_map_acquire(&many[i]);
		lock_map_release(&many[i]);
	}
	EXPECT_EQ(lockdep_nr_classes, DEP_NODES);
	EXPECT_EQ(current->lockdep.lost, 0);
	check_it_goes_on();
}

/* ---- failures inside lockdep ------------------------------------------------------------------- */

static int die_inside(void *arg)
{
	(void)arg;
	current->bug_ends_me = true;
	local_irq_disable();
	current->lockdep.recursion = 1;
	arch_spin_lock(&lockdep_graph_lock);
	BUG_ON(current->bug_ends_me);
	return 0;
}

KTEST_MANUAL(lockdep, bug_inside)
{
	in_thread(die_inside, NULL);
	EXPECT(!spin_is_locked(&lockdep_graph_lock));
	check_it_goes_on();
}

/* A name that cannot be read: found while its report is printed. */
KTEST_MANUAL(lockdep, oops_in_report)
{
	lockdep_complain(LOCKDEP_NOT_HELD, (const char *)8, CALLER);
}

/* The same with lockdep's lock held. */
KTEST_MANUAL(lockdep, oops_in_lockdep)
{
	static struct lockdep_map bad = LOCKDEP_MAP_INIT((const char *)8);

	lock_map_acquire(&bad);
}

#else

/* Not a symbol of the image has that word in it. */
KTEST_AS(validator, "lockdep", "none", false)
{
	ktest_skip("needs the debug profile");
}
#endif
