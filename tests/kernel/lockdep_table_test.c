/*
 * Suite lockdep: lockdep's own records. A finding is reported once and counted
 * each time; a reset forgets it; full tables and failures inside lockdep do no
 * harm.
 *
 * The cases that fill a table or end the machine run only when named.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include <string.h>

#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep_internal.h"

/* The same finding again: not reported again, but counted. */
KTEST(lockdep, found_again)
{
	static const struct {
		enum lock_type type;
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

		row_type = row[i].type;
		for (unsigned int c = 0; c < 2; c++)
			for (unsigned int k = 0; k < INSTANCES; k++)
				row_lock_init(c, k);
		for (unsigned int round = 0; round < 5; round++)
			run_steps(p, p + strlen(p));
		EXPECT_EQ(lockdep_again, 4);
		row_check(p, row[i].kinds);
	}
	lockdep_quiet(false);
}

/* After a reset lockdep checks again what it had checked before. A lock is held
 * during the reset. */
KTEST(lockdep, reset_while_held)
{
	static const char held[] = "La Lb Ub",
			  after[] = "Lb Ub Ua  Lb La Ua Ub";

	lockdep_quiet(true);
	for (row_type = 0; row_type < NR_TYPES; row_type++) {
		row_lock_init(0, 0);
		row_lock_init(1, 0);
		run_steps(held, held + strlen(held));
		lockdep_reset();
		run_steps(after, after + strlen(after));
		row_check(after, CIRCULAR);
	}
	lockdep_quiet(false);
}

KTEST(lockdep, counted)
{
	if (rows_complaining + rows_silent < 100) {
		rows_complaining = rows_silent = rows_foretold = 0;
		ktest_skip("after the whole suite only");
		return;
	}
	kprintf("lockdep cases: %u complain, %u silent\n", rows_complaining,
		rows_silent);
	EXPECT(rows_complaining >= 40 && rows_silent >= 20);
	EXPECT(rows_foretold >= 1000);
	rows_complaining = rows_silent = rows_foretold = 0;
}
/* ---- full tables --------------------------------------------------------------------------------- */

/* Each map is a class of its own, because it is static and has no key. */
static struct lockdep_map many[DEP_NODES + 50];

static void name_many(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
		many[i].name = "many";
}

/* Lockdep still works for classes that are known to it. */
static void check_it_goes_on(void)
{
	lockdep_reset();
	lockdep_quiet(true);
	row_type = MUTEX;
	run_row("La Lb Ub Ua  La Lb Ub Ua", SILENT);
	run_row("La Lb Ub Ua  Lb La Ua Ub", CIRCULAR);
	lockdep_quiet(false);
}

KTEST_MANUAL(lockdep, full_held)
{
	name_many();
	for (unsigned int i = 0; i < MAX_HELD + 5; i++)
		lock_map_acquire(&many[i]);
	EXPECT_EQ(current->lockdep.depth, MAX_HELD);
	EXPECT(lock_is_held(&many[0]));
	EXPECT(lock_is_held(&many[MAX_HELD + 4])); /* unknown counts as held */
	for (unsigned int i = MAX_HELD + 5; i-- > 0;)
		lock_map_release(&many[i]);
	EXPECT_EQ(current->lockdep.nr_stray, 0);
	EXPECT(!lock_is_held(&many[0]));
	check_it_goes_on();
}

#define FILL 45 /* any three of them in a row: more than 8192 sequences */

static void take_three(unsigned int i, unsigned int k, unsigned int l)
{
	lock_map_acquire(&many[i]);
	lock_map_acquire(&many[k]);
	lock_map_acquire(&many[l]);
	lock_map_release(&many[l]);
	lock_map_release(&many[k]);
	lock_map_release(&many[i]);
}

static void fill_chains(void)
{
	name_many();
	for (unsigned int i = 0; i < FILL; i++)
		for (unsigned int k = i + 1; k < FILL; k++)
			for (unsigned int l = k + 1; l < FILL; l++)
				take_three(i, k, l);
}

KTEST_MANUAL(lockdep, full_chains)
{
	fill_chains();
	EXPECT_EQ(lockdep_nr_chains, LOCKDEP_CHAINS);
	check_it_goes_on();
}

static void fill_edges(void)
{
	name_many();
	for (unsigned int i = 0; i < 66; i++)
		for (unsigned int k = i + 1; k < 66; k++) {
			lock_map_acquire(&many[i]);
			lock_map_acquire(&many[k]);
			lock_map_release(&many[k]);
			lock_map_release(&many[i]);
		}
}

KTEST_MANUAL(lockdep, full_edges)
{
	fill_edges();
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
	EXPECT_EQ(lockdep_unsaid, 44);
	lockdep_mark();
	lockdep_complain(LOCKDEP_RCU, "made up", 0); /* a known one */
	EXPECT_EQ(lockdep_unsaid, 44);
	EXPECT_EQ(lockdep_since_mark(), 0);
	check_it_goes_on();
}

KTEST_MANUAL(lockdep, full_levels)
{
	static struct lockdep_map m[2];

	memset(m, 0, sizeof(m));
	m[0].name = "deep";
	lock_acquire(&m[0], LOCKDEP_SUBCLASSES, LOCK_WRITE, NULL, CALLER);
	EXPECT(lock_is_held(&m[0]) && !lock_is_held(&m[1]));
	lock_map_release(&m[0]);
	EXPECT(!lock_is_held(&m[0]));
	EXPECT(!m[1].key && !m[1].name);
	check_it_goes_on();
}

/* Giving back a key that had no place makes no room. */
KTEST_MANUAL(lockdep, full_keys)
{
	static struct lock_class_key keys[100];
	const unsigned int last = ARRAY_SIZE(keys) - 1;

	for (unsigned int i = 0; i <= last; i++)
		lockdep_register_key(&keys[i]);
	lockdep_unregister_key(&keys[last]);
	lockdep_register_key(&keys[last]);
	for (unsigned int i = 0; i <= last; i++)
		lockdep_unregister_key(&keys[i]);
	check_it_goes_on();
}

/* A lock on the stack that was not initialised at run time has no class. */
KTEST_MANUAL(lockdep, no_class)
{
	struct lockdep_map m = LOCKDEP_MAP_INIT("on_the_stack");

	lock_map_acquire(&m);
	lock_map_release(&m);
	EXPECT_EQ(current->lockdep.nr_stray, 0);
	check_it_goes_on();
}

/* Each name is printed once; after 16 names a line says that there are more. */
KTEST_MANUAL(lockdep, no_classes)
{
	static char names[20][8];

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		struct lockdep_map m = LOCKDEP_MAP_INIT(names[i]);

		ksnprintf(names[i], sizeof(names[i]), "lock%u", i);
		lock_map_acquire(&m);
		lock_map_release(&m);
	}
	check_it_goes_on();
}

/* A lock of an old class, with a new name. */
KTEST_MANUAL(lockdep, renamed)
{
	static struct lock_class_key key;
	struct lockdep_map m[2];

	for (unsigned int i = 0; i < 2; i++) {
		lockdep_init_map(&m[i], i ? "new_name" : "old_name", &key,
				 LOCK_WAITS_NONE);
		lock_map_acquire(&m[i]);
		lock_map_release(&m[i]);
	}
	check_it_goes_on();
}

/* Two locks for which there is no class: still known as held or not held. */
static void check_without_class(struct lockdep_map *a, struct lockdep_map *b)
{
	lockdep_quiet(true);
	lock_map_acquire(a);
	EXPECT(lock_is_held(a) && !lock_is_held(b));
	EXPECT(!lock_map_release(b)); /* wrong, and said to be */
	EXPECT_EQ(lockdep_seen(), UNBALANCED);
	EXPECT(lock_map_release(a));
	EXPECT_EQ(lockdep_total(), 1);
	lockdep_quiet(false);
}

/* Classes are never given back: after this case new locks have no class. */
KTEST_MANUAL(lockdep, full_classes)
{
	check_it_goes_on(); /* so the locks of the rows have their classes */
	name_many();
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++) {
		lock_map_acquire(&many[i]);
		lock_map_release(&many[i]);
	}
	EXPECT_EQ(lockdep_nr_classes, DEP_NODES);
	check_without_class(&many[ARRAY_SIZE(many) - 2],
			    &many[ARRAY_SIZE(many) - 1]);
	check_it_goes_on();
}

/* ---- all tables are full at once --------------------------------------------------------------------- */

static noinline void mistake(uintptr_t n)
{
	lockdep_complain(LOCKDEP_RCU, "a mistake", n);
}

KTEST_MANUAL(lockdep, full_all)
{
	static struct lockdep_map more[MAX_HELD + MAX_STRAY + 1];

	check_it_goes_on(); /* so the locks of the rows have their classes */
	lockdep_quiet(true);
	fill_chains();
	fill_edges();
	for (uintptr_t i = 0; i < LOCKDEP_FINDINGS; i++)
		lockdep_complain(LOCKDEP_NOT_HELD, "made up", i);
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++) {
		lock_map_acquire(&many[i]);
		lock_map_release(&many[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(more); i++) {
		more[i].name = "more";
		lock_map_acquire(&more[i]);
	}
	lockdep_quiet(false);
	EXPECT_EQ(lockdep_unsaid, 0);
	for (uintptr_t i = 0; i < 5; i++)
		mistake(i);
	EXPECT_EQ(lockdep_unsaid, 5);
	EXPECT(lockdep_seen() & RCU);
	for (unsigned int i = ARRAY_SIZE(more); i-- > 0;)
		lock_map_release(&more[i]);
	EXPECT_EQ(lockdep_unsaid, 5); /* the releases are right */
	EXPECT_EQ(current->lockdep.depth, 0);
	check_it_goes_on();
}

/* ---- known chains ------------------------------------------------------------------------------ */

static DEFINE_SPINLOCK(known_spin);

/* The depth of the list while known_spin is held. */
static unsigned int depth_with_it(void)
{
	unsigned int depth;

	spin_lock(&known_spin);
	depth = current->lockdep.depth;
	spin_unlock(&known_spin);
	return depth;
}

/* Even if a chain is known: inside lockdep no lock comes on the list, a thread that
 * has to learn again does so, and the entry tells whether IRQs are off. */
KTEST(lockdep, known_chain)
{
	unsigned int depth = depth_with_it();
	uint32_t flags;

	EXPECT_EQ(depth, 1);
	current->lockdep.recursion = 1;
	depth = depth_with_it();
	current->lockdep.recursion = 0;
	EXPECT_EQ(depth, 0);
	WRITE_ONCE(current->lockdep.stale, 1);
	spin_lock(&known_spin);
	EXPECT_EQ(READ_ONCE(current->lockdep.stale), 0);
	EXPECT(!current->lockdep.held[0].irqs_off);
	spin_unlock(&known_spin);
	flags = spin_lock_irqsave(&known_spin);
	EXPECT(current->lockdep.held[0].irqs_off);
	spin_unlock_irqrestore(&known_spin, flags);
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

static DEFINE_SPINLOCK(dead_spin);
static struct lockdep_map dead_map = LOCKDEP_MAP_INIT("dead_map");

static void take_dead(struct timer *t)
{
	lock_map_acquire(&dead_map);
	lock_map_release(&dead_map);
	WRITE_ONCE(*(bool *)t->arg, true);
}

static int die_with_locks(void *arg)
{
	bool done = false;

	(void)arg;
	in_timer(take_dead, &done, &done);
	current->bug_ends_me = true;
	local_irq_disable();
	lock_map_acquire(&dead_map);
	spin_lock(&dead_spin);
	BUG_ON(current->bug_ends_me);
	return 0;
}

/* The BUG was reported. That the thread turns interrupts on and switches, and that
 * its lock is held for ever, follows from it. */
KTEST_MANUAL(lockdep, bug_with_locks)
{
	in_thread(die_with_locks, NULL);
	spin_lock_init(&dead_spin, "dead_spin");
	EXPECT_EQ(lockdep_total(), 0);
	check_it_goes_on();
}

/* The report contains a name that cannot be read, so printing it faults. */
KTEST_MANUAL(lockdep, oops_in_report)
{
	lockdep_complain(LOCKDEP_NOT_HELD, (const char *)8, CALLER);
}

/* A name that cannot be read again; this fault hits while lockdep's own lock is
 * held. */
KTEST_MANUAL(lockdep, oops_in_lockdep)
{
	static struct lockdep_map bad = LOCKDEP_MAP_INIT((const char *)8);

	lock_map_acquire(&bad);
}
#endif
