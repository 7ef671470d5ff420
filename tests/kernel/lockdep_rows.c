/*
 * The engine that runs the rows of suite lockdep, see lockdep_rows.h.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "tests/kernel/lockdep_oracle.h"

/* ---- locks of a row --------------------------------------------------------------- */

const char *const row_type_name[] = { "mutex", "spinlock", "rw_semaphore",
				      "percpu_rwsem", "map" };

struct any_lock row_locks[CLASSES][INSTANCES];
enum lock_type row_type;
static DEFINE_SPINLOCK(outer_spin); /* for steps s and u */

static void init_with_key(struct any_lock *l, const char *name,
			  const struct lock_class_key *key)
{
	switch (row_type) {
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
		lockdep_init_map(&l->map, name, key, LOCK_WAITS_NONE);
	}
}

void row_lock_init(unsigned int class, unsigned int instance)
{
	static struct lock_class_key keys[NR_TYPES][CLASSES];
	static const char *const names[] = { "A", "B", "C", "D" };

	init_with_key(&row_locks[class][instance], names[class],
		      &keys[row_type][class]);
}

struct lockdep_map *row_map(struct any_lock *l)
{
	switch (row_type) {
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
	lockdep_init_map(row_map(l), row_map(l)->name, key,
			 (enum lock_wait)row_map(l)->wait);
}

noinline void row_assert_held(struct any_lock *l)
{
	switch (row_type) {
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

static void use_mutex(struct mutex *m, char op)
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
		mutex_lock_nest_lock(m, &row_locks[1][0].mutex);
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
	const struct lockdep_map *nest = op == 'O' ? &row_locks[1][0].map :
						     NULL;
	unsigned int how = op == 'Q' ? LOCK_READ :
			   op == 'R' ? LOCK_READ_RECURSIVE :
			   op == 'T' ? LOCK_TRY :
				       LOCK_WRITE;

	lock_acquire(m, op == 'N', how, nest, CALLER);
}

void row_take(struct any_lock *l, char op)
{
	switch (row_type) {
	case MUTEX:
		use_mutex(&l->mutex, op);
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

void row_release(struct any_lock *l)
{
	bool shared = l->shared;

	l->shared -= shared;
	switch (row_type) {
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

int *shared_pointer;

noinline int *dereference(void)
{
	return rcu_dereference(shared_pointer);
}

static noinline int *dereference_protected(void)
{
	return rcu_dereference_protected(
		shared_pointer, lock_is_held(row_map(&row_locks[0][0])));
}

noinline void assert_cpus_held(void)
{
	lockdep_assert_cpus_held();
}

noinline void sleep_perhaps(void)
{
	might_sleep();
}

static void nothing(void *arg)
{
	(void)arg;
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
	case 'C':
		on_each_cpu(nothing, NULL);
		break;
	case 'e':
		on_each_cpu_mask(cpumask_of(smp_processor_id()), nothing, NULL);
		break;
	case '!':
		lockdep_reset();
		break;
	default:
		FAIL("no such step");
	}
}

static void step_on(char op, unsigned int class, unsigned int instance)
{
	static struct lock_class_key other;
	struct any_lock *l = &row_locks[class][instance];

	switch (op) {
	case 'U':
		row_release(l);
		break;
	case 'h':
		row_assert_held(l);
		break;
	case 'i':
		row_lock_init(class, instance);
		break;
	case 'm':
		__might_lock(row_map(l), LOCK_WRITE, CALLER);
		break;
	case 'f':
		if (lock_is_on_list(row_map(l)))
			lockdep_unwanted(row_map(l), CALLER);
		break;
	case 'w':
	case 'r':
		if (!lock_is_held_as(row_map(l), op == 'r'))
			lockdep_complain(LOCKDEP_NOT_HELD, "row", CALLER);
		break;
	case 'n':
		set_class(l, &lockdep_no_validate);
		break;
	case 'k':
		set_class(l, &other);
		break;
	default:
		row_take(l, op);
	}
}

struct part {
	const char *from, *to;
	bool done;
};

static void part_in_interrupt(struct timer *t)
{
	struct part *part = t->arg;

	EXPECT(in_interrupt());
	run_steps(part->from, part->to);
	WRITE_ONCE(part->done, true);
}

void in_timer(void (*fn)(struct timer *), void *arg, bool *done)
{
	struct timer timer;

	timer_setup(&timer, fn, arg);
	preempt_disable();
	timer_arm(&timer, timer_now());
	while (!READ_ONCE(*done))
		ktest_busy();
	preempt_enable();
}

void in_thread(int (*fn)(void *), void *arg)
{
	struct thread *t = ktest_thread("holder", fn, arg, CPUMASK_ALL);

	if (t)
		thread_join(t);
}

void run_steps(const char *p, const char *end)
{
	while (p < end) {
		char op = *p++, name = *p;

		if (op == ' ')
			continue;
		if (op == '{') {
			struct part part = { p, strchr(p, '}'), false };

			in_timer(part_in_interrupt, &part, &part.done);
			p = part.to + 1;
		} else if (strchr("LTUQRNOhinkmfwr", op)) {
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

unsigned int rows_complaining, rows_silent, rows_foretold;

void row_count(unsigned int kinds)
{
	if (kinds)
		rows_complaining++;
	else
		rows_silent++;
}

static unsigned int bits(unsigned int kinds)
{
	return (unsigned int)__builtin_popcount(kinds);
}

void row_print_kinds(const char *what, unsigned int kinds)
{
	kprintf("%s", what);
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (kinds & LOCKDEP_BIT(k))
			kprintf(" %s", lockdep_kind_name((enum lockdep_kind)k));
	kprintf(kinds ? "" : " nothing");
}

void row_check(const char *program, unsigned int kinds)
{
	unsigned int found = lockdep_seen(), n = lockdep_total();

	row_count(kinds);
	if (found != kinds || n != bits(kinds)) {
		FAIL("lockdep has not found exactly what it should");
		kprintf("    # %s: %s:", row_type_name[row_type], program);
		row_print_kinds(" found", found);
		row_print_kinds(", should be", kinds);
		kprintf(" (%u findings)\n", n);
	}
	if (current->lockdep.depth) {
		kprintf("    # %s: %s: leaves locks held\n",
			row_type_name[row_type], program);
		FAIL("a lock is still held after the row");
		current->lockdep.depth = 0;
		current->lockdep.chain = 0;
	}
	lockdep_forget_stray();
	lockdep_reset();
}

/* The oracle must say what the row says. */
static void check_oracle(const char *program, unsigned int kinds)
{
	unsigned int says;

	if (!oracle_row(program, row_type, &says))
		return;
	rows_foretold++;
	if (says == kinds)
		return;
	FAIL("the oracle does not say what the row says");
	kprintf("    # %s: %s:", row_type_name[row_type], program);
	row_print_kinds(" says", says);
	row_print_kinds(", should be", kinds);
	kprintf("\n");
}

void row_begin(void)
{
	memset(row_locks, 0, sizeof(row_locks));
	for (unsigned int c = 0; c < CLASSES; c++)
		for (unsigned int i = 0; i < INSTANCES; i++)
			row_lock_init(c, i);
	outer_spin = (struct spinlock)SPINLOCK_INIT("outer_spin");
	lockdep_reset();
}

void run_row(const char *program, unsigned int kinds)
{
	row_begin();
	run_steps(program, program + strlen(program));
	row_check(program, kinds);
	check_oracle(program, kinds);
}

void run_rows(const struct row *rows, unsigned int n)
{
	lockdep_quiet(true);
	for (unsigned int i = 0; i < n; i++)
		for (row_type = 0; row_type < NR_TYPES; row_type++)
			if (rows[i].types & TYPE_BIT(row_type))
				run_row(rows[i].program, rows[i].kinds);
	lockdep_quiet(false);
}

#else

/* The release image holds no symbol with "lockdep" in its name. */
KTEST_AS(validator, "lockdep", "none", false)
{
	ktest_skip("needs the debug profile");
}
#endif
