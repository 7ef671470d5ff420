/*
 * Suite lockdep: the parts of the interface that the rows have no step for: nesting
 * levels and outer locks of other locks, many locks in one entry, keys that are given
 * back, names.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include <string.h>

#include "kernel/cpu/notifier.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/slab/slab.h"

/* ---- nesting ------------------------------------------------------------------------------- */

static struct rw_semaphore sems[2];
static struct spinlock spins[2];
static DEFINE_SPINLOCK(outer);

static void init_pairs(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		init_rwsem(&sems[i], "api_sem");
		spin_lock_init(&spins[i], "api_spin");
	}
}

KTEST(lockdep, nested_forms)
{
	uint32_t flags, inner;

	lockdep_quiet(true);
	init_pairs();
	down_read(&sems[0]);
	down_read_nested(&sems[1], 1);
	up_read(&sems[1]);
	up_read(&sems[0]);
	flags = spin_lock_irqsave(&spins[0]);
	inner = spin_lock_irqsave_nested(&spins[1], 1);
	spin_unlock_irqrestore(&spins[1], inner);
	spin_unlock_irqrestore(&spins[0], flags);
	row_check("levels", SILENT);
	spin_lock(&outer);
	spin_lock_nest_lock(&spins[0], &outer);
	spin_lock_nest_lock(&spins[1], &outer);
	spin_unlock(&spins[1]);
	spin_unlock(&spins[0]);
	spin_unlock(&outer);
	row_check("an outer lock", SILENT);
	down_read_nested(&sems[0], 1);
	down_read_nested(&sems[1], 1);
	up_read(&sems[1]);
	up_read(&sems[0]);
	row_check("one level twice", RECURSIVE);
	spin_lock_nest_lock(&spins[0], &outer);
	spin_unlock(&spins[0]);
	row_check("without the outer lock", NEST);
	flags = spin_lock_irqsave_nested(&spins[0], 2);
	inner = spin_lock_irqsave_nested(&spins[1], 2);
	spin_unlock_irqrestore(&spins[1], inner);
	spin_unlock_irqrestore(&spins[0], flags);
	row_check("one level of a spinlock twice", RECURSIVE);
	lockdep_quiet(false);
}

KTEST(lockdep, write_trylock)
{
	lockdep_quiet(true);
	init_pairs();
	EXPECT(down_write_trylock(&sems[0]));
	EXPECT(!down_write_trylock(&sems[0]));
	EXPECT(!down_read_trylock(&sems[0]));
	lockdep_assert_held_write(&sems[0]);
	up_write(&sems[0]);
	down_read(&sems[0]);
	EXPECT(!down_write_trylock(&sems[0]));
	lockdep_assert_held_read(&sems[0]);
	up_read(&sems[0]);
	lockdep_assert_not_held(&sems[0]);
	row_check("trying to write", SILENT);
	lockdep_quiet(false);
}

static noinline void assert_all_three(void)
{
	lockdep_assert_held_write(&sems[0]);
	lockdep_assert_held_read(&sems[0]);
	lockdep_assert_not_held(&sems[0]);
}

KTEST(lockdep, asserts_of_ways)
{
	lockdep_quiet(true);
	init_pairs();
	down_read(&sems[0]);
	assert_all_three();
	EXPECT_EQ(lockdep_count(LOCKDEP_NOT_HELD), 2);
	up_read(&sems[0]);
	lockdep_reset();
	assert_all_three();
	EXPECT_EQ(lockdep_count(LOCKDEP_NOT_HELD), 1);
	row_check("not held at all", NOT_HELD);
	lockdep_quiet(false);
}

KTEST(lockdep, might_lock)
{
	lockdep_quiet(true);
	init_pairs();
	spin_lock(&spins[0]);
	spin_lock(&outer);
	spin_unlock(&outer);
	spin_unlock(&spins[0]);
	spin_lock(&outer);
	might_lock(&spins[0]);
	spin_unlock(&outer);
	row_check("might take it in the wrong order", CIRCULAR);
	spin_lock(&outer);
	might_lock_read(&sems[0]);
	spin_unlock(&outer);
	row_check("might sleep", SLEEP);
	lockdep_quiet(false);
}

/* ---- many locks of one class ------------------------------------------------------------------ */

#define CROWD 200
static struct mutex crowd[CROWD];
static DEFINE_MUTEX(crowd_outer);

static void init_crowd(void)
{
	for (unsigned int i = 0; i < CROWD; i++)
		mutex_init(&crowd[i], "crowd");
}

/* An outer lock orders them, so they share entries, and the list has room for all. */
KTEST(lockdep, crowd)
{
	lockdep_quiet(true);
	init_crowd();
	mutex_lock(&crowd_outer);
	for (unsigned int i = 0; i < CROWD; i++)
		mutex_lock_nest_lock(&crowd[i], &crowd_outer);
	EXPECT(current->lockdep.depth < MAX_HELD);
	for (unsigned int i = 0; i < CROWD; i++)
		lockdep_assert_held(&crowd[i]);
	for (unsigned int i = 0; i < CROWD; i++)
		mutex_unlock(&crowd[i * 7 % CROWD]); /* in another order */
	EXPECT_EQ(current->lockdep.depth, 1);
	mutex_unlock(&crowd_outer);
	row_check("a crowd", SILENT);
	mutex_lock(&crowd_outer);
	for (unsigned int i = 0; i < CROWD; i++)
		mutex_lock_nest_lock(&crowd[i], &crowd_outer);
	for (unsigned int i = 0; i < CROWD; i++)
		mutex_unlock(&crowd[i]);
	EXPECT(!lock_release(&crowd[0].dep_map, CALLER)); /* once too often */
	mutex_unlock(&crowd_outer);
	row_check("a crowd, and one release too many", UNBALANCED);
	lockdep_quiet(false);
}

static struct lock_class_key crowd_key;
static struct lockdep_map crowd_map[MAX_HELD],
	outer_map = LOCKDEP_MAP_INIT("o");

static void join_crowd(unsigned int i)
{
	lock_acquire(&crowd_map[i], 0, LOCK_WRITE, &outer_map, CALLER);
}

static void join_crowd_in_irq(struct timer *t)
{
	join_crowd(MAX_HELD - 1);
	lock_map_release(&crowd_map[MAX_HELD - 1]);
	WRITE_ONCE(*(bool *)t->arg, true);
}

/* A lock of an interrupt does not share an entry of the interrupted thread. */
KTEST(lockdep, crowd_interrupted)
{
	bool done = false;

	lockdep_quiet(true);
	for (unsigned int i = 0; i < MAX_HELD; i++)
		lockdep_init_map(&crowd_map[i], "crowd_map", &crowd_key,
				 LOCK_WAITS_NONE);
	lock_map_acquire(&outer_map);
	for (unsigned int i = 0; i < MAX_HELD - 1; i++)
		join_crowd(i);
	EXPECT(current->lockdep.depth < MAX_HELD - 1);
	in_timer(join_crowd_in_irq, &done, &done);
	for (unsigned int i = 0; i < MAX_HELD - 1; i++)
		lock_map_release(&crowd_map[i]);
	lock_map_release(&outer_map);
	row_check("an interrupt of a crowd", INCONSISTENT);
	lockdep_quiet(false);
}

static void release_crowd_in_irq(struct timer *t)
{
	lock_map_release(&crowd_map[MAX_HELD - 2]);
	WRITE_ONCE(*(bool *)t->arg, true);
}

/* An interrupt releases one of the locks that share an entry of the thread. */
KTEST(lockdep, crowd_robbed)
{
	bool done = false;

	lockdep_quiet(true);
	for (unsigned int i = 0; i < MAX_HELD; i++)
		lockdep_init_map(&crowd_map[i], "crowd_map", &crowd_key,
				 LOCK_WAITS_NONE);
	lock_map_acquire(&outer_map);
	for (unsigned int i = 0; i < MAX_HELD - 1; i++)
		join_crowd(i);
	in_timer(release_crowd_in_irq, &done, &done);
	EXPECT_EQ(lockdep_seen(), UNBALANCED);
	for (unsigned int i = 0; i < MAX_HELD - 1; i++)
		lock_map_release(&crowd_map[i]); /* the last one: late */
	lock_map_release(&outer_map);
	EXPECT_EQ(current->lockdep.nr_stray, 0);
	row_check("an interrupt robs a crowd", UNBALANCED);
	lockdep_quiet(false);
}

static int join_crowd_and_stay(struct notifier_block *nb, unsigned long event,
			       void *data)
{
	(void)nb, (void)event, (void)data;
	join_crowd(MAX_HELD - 1);
	return NOTIFY_OK;
}

/* A callback's lock does not share an entry of its caller, so it is found. */
KTEST(lockdep, crowd_in_callback)
{
	struct notifier_block nb = { .notifier_call = join_crowd_and_stay };
	struct raw_notifier_head head = { NULL };

	lockdep_quiet(true);
	for (unsigned int i = 0; i < MAX_HELD; i++)
		lockdep_init_map(&crowd_map[i], "crowd_map", &crowd_key,
				 LOCK_WAITS_NONE);
	raw_notifier_chain_register(&head, &nb);
	lock_map_acquire(&outer_map);
	for (unsigned int i = 0; i < MAX_HELD - 1; i++)
		join_crowd(i);
	__raw_notifier_call_chain(&head, 0, NULL, -1, NULL);
	EXPECT_EQ(lockdep_seen(), AT_END);
	for (unsigned int i = 0; i < MAX_HELD; i++)
		lock_map_release(&crowd_map[i]);
	lock_map_release(&outer_map);
	row_check("a callback in a crowd", AT_END);
	lockdep_quiet(false);
}

static int keep_crowd(struct notifier_block *nb, unsigned long event,
		      void *data)
{
	(void)nb, (void)event, (void)data;
	for (unsigned int i = 0; i < MAX_HELD; i++)
		join_crowd(i);
	return NOTIFY_OK;
}

/* A callback keeps many locks, in few entries. Each of them is released late. */
KTEST(lockdep, crowd_left)
{
	struct notifier_block nb = { .notifier_call = keep_crowd };
	struct raw_notifier_head head = { NULL };

	lockdep_quiet(true);
	for (unsigned int i = 0; i < MAX_HELD; i++)
		lockdep_init_map(&crowd_map[i], "crowd_map", &crowd_key,
				 LOCK_WAITS_NONE);
	raw_notifier_chain_register(&head, &nb);
	lock_map_acquire(&outer_map);
	__raw_notifier_call_chain(&head, 0, NULL, -1, NULL);
	for (unsigned int i = 0; i < MAX_HELD; i++)
		EXPECT(lock_is_held(&crowd_map[i]));
	for (unsigned int i = 0; i < MAX_HELD; i++)
		EXPECT(lock_release(&crowd_map[i], CALLER));
	EXPECT_EQ(current->lockdep.nr_stray, 0);
	lock_map_release(&outer_map);
	row_check("a callback keeps a crowd", AT_END);
	lockdep_quiet(false);
}

/* ---- names ------------------------------------------------------------------------------------- */

/* The second class of a name has a number; a level of the first class has none. */
KTEST(lockdep, name_of_a_level)
{
	static struct lock_class_key keys[2];
	static struct lockdep_map m[2];
	char name[NAME_SIZE];

	for (unsigned int i = 0; i < 2; i++) {
		lockdep_init_map(&m[i], "twin_name", &keys[i], LOCK_WAITS_NONE);
		lock_map_acquire(&m[i]);
		lock_map_release(&m[i]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		lock_acquire(&m[i], 1, LOCK_WRITE, NULL, CALLER);
		lock_map_release(&m[i]);
		EXPECT(strcmp(lockdep_class_name(m[i].class[1], name),
			      i ? "twin_name#2/1" : "twin_name/1") == 0);
	}
}

/* ---- keys that are given back ------------------------------------------------------------------- */

struct module {
	struct lock_class_key key;
	struct mutex lock;
};

static DEFINE_MUTEX(base_lock);

static struct module *load(void)
{
	struct module *m = kmalloc(sizeof(*m));

	EXPECT(m != NULL);
	if (m) {
		lockdep_register_key(&m->key);
		__mutex_init(&m->lock, "module_lock", &m->key);
	}
	return m;
}

static void unload(struct module *m)
{
	lockdep_unregister_key(&m->key);
	kfree(m);
}

static void take_both(struct mutex *a, struct mutex *b)
{
	mutex_lock(a);
	mutex_lock(b);
	mutex_unlock(b);
	mutex_unlock(a);
}

KTEST(lockdep, dynamic_keys)
{
	unsigned int classes = 0, edges = 0, chains = 0;

	lockdep_quiet(true);
	lockdep_reset();
	/* More often than there are classes, edges and chains. */
	for (unsigned int i = 0; i < 3 * DEP_NODES; i++) {
		struct module *m = load();

		if (!m)
			break;
		if (i % 2)
			take_both(&base_lock, &m->lock);
		else
			take_both(&m->lock, &base_lock);
		EXPECT_EQ(lockdep_total(), 0); /* the orders are forgotten */
		unload(m);
		if (i == 2) {
			classes = lockdep_classes_in_use;
			edges = lockdep_graph.in_use;
			chains = lockdep_nr_chains;
		}
	}
	EXPECT_EQ(lockdep_classes_in_use, classes);
	EXPECT(lockdep_graph.in_use <= edges + 8); /* others take locks, too */
	EXPECT(lockdep_nr_chains <= chains + 16);
	row_check("keys are given back", SILENT);
	lockdep_quiet(false);
}

/* The orders of other locks, and findings about them, stay. */
KTEST(lockdep, dynamic_key_among_others)
{
	struct module *m = load();

	if (!m)
		return;
	lockdep_quiet(true);
	init_pairs();
	down_write(&sems[0]);
	mutex_lock(&base_lock);
	mutex_lock(&m->lock);
	mutex_unlock(&m->lock);
	mutex_unlock(&base_lock);
	up_write(&sems[0]);
	unload(m);
	mutex_lock(&base_lock);
	down_write(&sems[0]);
	up_write(&sems[0]);
	mutex_unlock(&base_lock);
	row_check("the others' order is known", CIRCULAR);
	lockdep_quiet(false);
}

static void run(const char *steps)
{
	run_steps(steps, steps + strlen(steps));
}

/* Hold a and c. That a comes first is known through m's lock alone. */
static void hold_around(struct module *m)
{
	run("La");
	mutex_lock(&m->lock);
	run("Lc");
	mutex_unlock(&m->lock);
}

static const char then_take_d[] = "Ld Ud Uc Ua", d_first[] = "Ld La Ua Ud";

/* What is held meanwhile keeps its order, too. */
KTEST(lockdep, dynamic_key_between_held)
{
	struct module *m = load();

	if (!m)
		return;
	lockdep_quiet(true);
	row_type = MAP;
	row_begin();
	hold_around(m);
	unload(m);
	run(then_take_d);
	run(d_first);
	row_check("an order of held locks", CIRCULAR);
	lockdep_quiet(false);
}

/* A key is given back while its lock is held: that is reported. The next class, which
 * has its place, knows nothing of what is held; its own orders are all checked. */
KTEST(lockdep, dynamic_key_of_held)
{
	struct module *m = load(), *next = load();

	if (!m || !next)
		return;
	lockdep_quiet(true);
	row_type = MAP;
	row_begin();
	run("La");
	mutex_lock(&m->lock);
	lockdep_unregister_key(&m->key);
	mutex_unlock(&m->lock);
	run("Ua");
	mutex_lock(&next->lock);
	run("La Ua");
	mutex_unlock(&next->lock);
	row_check("a class in the place of another", FREED);
	kfree(m);
	unload(next);
	m = load();
	if (!m)
		return;
	mutex_lock(&m->lock);
	lockdep_unregister_key(&m->key);
	run("La Ua");
	mutex_unlock(&m->lock);
	next = load();
	if (!next)
		return;
	mutex_lock(&next->lock);
	run("La Ua");
	mutex_unlock(&next->lock);
	run("La");
	mutex_lock(&next->lock);
	mutex_unlock(&next->lock);
	run("Ua");
	row_check("a chain in the place of another", FREED | CIRCULAR);
	lockdep_quiet(false);
	kfree(m);
	unload(next);
}

static struct {
	struct module *m;
	bool holds, go;
} owner_case;

static int hold_of_key(void *arg)
{
	(void)arg;
	mutex_lock(&owner_case.m->lock);
	WRITE_ONCE(owner_case.holds, true);
	while (!READ_ONCE(owner_case.go))
		sleep_ns(KTEST_LOOK_NS);
	run("La Ua");
	mutex_unlock(&owner_case.m->lock);
	return 0;
}

static void lose_key_of_another(void)
{
	struct module *m = load(), *next;
	struct thread *t;

	if (!m)
		return;
	row_begin();
	owner_case.m = m;
	owner_case.holds = owner_case.go = false;
	t = ktest_thread("owner", hold_of_key, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(owner_case.holds)));
	lockdep_unregister_key(&m->key);
	WRITE_ONCE(owner_case.go, true);
	thread_join(t);
	kfree(m);
	next = load();
	if (!next)
		return;
	mutex_lock(&next->lock);
	run("La Ua");
	mutex_unlock(&next->lock);
	run("La");
	mutex_lock(&next->lock);
	mutex_unlock(&next->lock);
	run("Ua");
	row_check("a chain in the place of another thread's", CIRCULAR);
	unload(next);
}

/* Another thread holds it: no chain of that thread is taken for one of the next class.
 * (In the first round another new class may get the place.) */
KTEST(lockdep, dynamic_key_of_another)
{
	lockdep_quiet(true);
	row_type = MAP;
	for (unsigned int i = 0; i < 3; i++)
		lose_key_of_another();
	lockdep_quiet(false);
}

static bool noted(void)
{
	return lockdep_total() != 0;
}

static int find_something(void *arg)
{
	(void)arg;
	run("La Lb Ub Ua  Lb La Ua Ub");
	return 0;
}

/* fn, in a thread, makes a finding, which waits for the console to be printed. Meanwhile
 * m's key is given back. */
static void unregister_before_report(struct module *m, int (*fn)(void *))
{
	uint32_t flags = report_begin();
	struct thread *t =
		ktest_thread("finder", fn, NULL, cpumask_of(ktest_last_core()));

	while (!noted())
		ktest_busy();
	lockdep_unregister_key(&m->key);
	report_end(flags);
	thread_join(t);
	kfree(m);
}

/* The finding is not about that key: it is printed all the same. */
KTEST(lockdep, dynamic_key_before_a_report)
{
	const char *wanted, *held;
	struct module *m;

	NEED_CORES(2);
	m = load();
	if (!m)
		return;
	ktest_run_on(ktest_first_core());
	lockdep_quiet(true);
	row_type = MAP;
	row_begin();
	take_both(&base_lock, &m->lock);
	unregister_before_report(m, find_something);
	EXPECT(lockdep_last_pair(&wanted, &held));
	row_check("a finding that was not printed yet", CIRCULAR);
	lockdep_quiet(false);
}

static int close_cycle(void *arg)
{
	(void)arg;
	run("Lb La Ua Ub");
	return 0;
}

/* It is: a line says so, because the report would show other classes. */
KTEST_MANUAL(lockdep, dynamic_key_of_a_report)
{
	const char *wanted, *held;
	struct module *m;

	NEED_CORES(2);
	m = load();
	if (!m)
		return;
	ktest_run_on(ktest_first_core());
	row_type = MAP;
	row_begin();
	run("La");
	mutex_lock(&m->lock);
	mutex_unlock(&m->lock);
	run("Ua");
	mutex_lock(&m->lock);
	run("Lb Ub");
	mutex_unlock(&m->lock);
	unregister_before_report(m, close_cycle);
	EXPECT(!lockdep_last_pair(&wanted, &held));
	row_check("a finding about a key that is gone", CIRCULAR);
}

static struct {
	struct module *between;
	bool holds, go;
} key_case;

static int hold_without_key(void *arg)
{
	(void)arg;
	hold_around(key_case.between);
	WRITE_ONCE(key_case.holds, true);
	while (!READ_ONCE(key_case.go))
		sleep_ns(KTEST_LOOK_NS);
	run(then_take_d);
	return 0;
}

/* Another thread holds them. */
KTEST(lockdep, dynamic_key_between_others)
{
	struct module *m = load();
	struct thread *t;

	if (!m)
		return;
	lockdep_quiet(true);
	row_type = MAP;
	row_begin();
	key_case.between = m;
	key_case.holds = key_case.go = false;
	t = ktest_thread("holder", hold_without_key, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(key_case.holds)));
	unload(m);
	WRITE_ONCE(key_case.go, true);
	thread_join(t);
	run(d_first);
	row_check("an order of another thread's locks", CIRCULAR);
	lockdep_quiet(false);
}
#endif
