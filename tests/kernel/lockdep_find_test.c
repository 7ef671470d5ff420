/*
 * Suite lockdep: which findings are distinct; what follows from a finding is counted
 * only; limits blame nobody; a reset knows what is held.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include <string.h>

#include "kernel/irq/irq.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/mm/page.h"
#include "kernel/rcu/rcu.h"
#include "kernel/slab/slab.h"

static void run(const char *steps)
{
	run_steps(steps, steps + strlen(steps));
}

/* The row leads to findings of that one kind, so many. */
static void expect(enum lock_type type, const char *program, unsigned int kind,
		   unsigned int n)
{
	row_type = type;
	row_begin();
	run(program);
	if (lockdep_seen() != LOCKDEP_BIT(kind) || lockdep_total() != n) {
		FAIL("lockdep has not found exactly what it should");
		kprintf("    # %s: %u findings, should be %u\n", program,
			lockdep_total(), n);
	}
	lockdep_forget_stray();
	lockdep_reset();
}

/* ---- distinct ----------------------------------------------------------------------------- */

#define SETS 30
static struct lockdep_map maps[SETS][2]; /* a class for each pair */
static struct lock_class_key set_keys[SETS];
static struct lockdep_map left_out = LOCKDEP_MAP_INIT("left_out");

static void init_maps(void)
{
	for (unsigned int i = 0; i < SETS; i++)
		for (unsigned int k = 0; k < 2; k++)
			lockdep_init_map(&maps[i][k], "set", &set_keys[i],
					 LOCK_WAITS_NONE);
}

static noinline void recursion_here(unsigned int i)
{
	lock_map_acquire(&maps[i][0]);
	lock_map_acquire(&maps[i][1]);
	lock_map_release(&maps[i][1]);
	lock_map_release(&maps[i][0]);
}

static noinline void recursion_there(unsigned int i)
{
	lock_map_acquire(&maps[i][0]);
	lock_map_acquire(&maps[i][1]);
	lock_map_release(&maps[i][1]);
	lock_map_release(&maps[i][0]);
}

static bool taken_in_irq;

static void take_all(struct timer *t)
{
	(void)t;
	for (unsigned int i = 0; i < SETS; i++) {
		lock_map_acquire(&maps[i][0]);
		lock_map_release(&maps[i][0]);
	}
	WRITE_ONCE(taken_in_irq, true);
}

static void use_all_in_irq(void)
{
	taken_in_irq = false;
	in_timer(take_all, NULL, &taken_in_irq);
}

/* No two kinds and no two classes are taken for each other: each combination is a
 * finding of its own. */
KTEST(lockdep, distinct_kinds_and_classes)
{
	lockdep_quiet(true);
	init_maps();
	use_all_in_irq();
	for (unsigned int i = 0; i < SETS; i++) {
		recursion_here(i); /* and inconsistent */
		lock_map_release(&maps[i][0]);
		lock_acquire(&maps[i][0], 0, LOCK_WRITE, &left_out, CALLER);
		lock_map_release(&maps[i][0]);
	}
	EXPECT_EQ(lockdep_count(LOCKDEP_RECURSIVE), SETS);
	EXPECT_EQ(lockdep_count(LOCKDEP_INCONSISTENT), SETS);
	EXPECT_EQ(lockdep_count(LOCKDEP_UNBALANCED), SETS);
	EXPECT_EQ(lockdep_count(LOCKDEP_NEST), SETS);
	EXPECT_EQ(lockdep_total(), 4 * SETS);
	lockdep_quiet(false);
	lockdep_reset();
}

/* The same recursion at another place is another finding. */
KTEST(lockdep, distinct_sites)
{
	lockdep_quiet(true);
	init_maps();
	for (unsigned int i = 0; i < 2; i++) {
		recursion_here(0);
		recursion_there(0);
		EXPECT_EQ(lockdep_count(LOCKDEP_RECURSIVE), 2);
	}
	EXPECT_EQ(lockdep_total(), 2);
	EXPECT_EQ(lockdep_again, 2);
	lockdep_quiet(false);
	lockdep_reset();
}

/* One edge, one use, or one release may break the rule for several pairs of locks. But
 * what lies beyond a safe or an unsafe lock follows from it. */
KTEST(lockdep, distinct_pairs)
{
	lockdep_quiet(true);
	expect(SPIN,
	       "{La Ua Lb Ub} x La Lc Uc Ua Lb Lc Uc Ub o  Ld Ud  "
	       "x Lc Ld Ud Uc o",
	       LOCKDEP_IRQ_ORDER, 2);
	expect(SPIN,
	       "{La Ua Lb Ub} x La Lc Uc Ua Lb Lc Uc Ub Lc Ld Ud Uc o  Ld Ud",
	       LOCKDEP_IRQ_INVERSION, 2);
	expect(SPIN,
	       "Lc Uc Ld Ud  x La Lb Lc Uc Ub Ua  La Lb Ld Ud Ub Ua o {La Ua}",
	       LOCKDEP_IRQ_INVERSION, 2);
	expect(SPIN, "{La Lb Ub Ua} x La Lb Ub Ua o  Lc Uc  x Lb Lc Uc Ub o",
	       LOCKDEP_IRQ_ORDER, 1);
	expect(MUTEX, "La Lb Ub Ua  Lb La Ua Ub  Lb La Ua Ub", LOCKDEP_CIRCULAR,
	       1);
	expect(MUTEX, "La Lb Ub Ua  Lb La Ua Ub  Lc Ld Ud Uc  Ld Lc Uc Ud",
	       LOCKDEP_CIRCULAR, 2);
	lockdep_quiet(false);
}

/* One pair breaks both rules, about interrupts and about calls: two findings. */
KTEST(lockdep, distinct_rules)
{
	NEED_CORES(2);
	lockdep_quiet(true);
	expect(MAP, "{La Ua}  x La Ua o  Lb C Ub  x La Qb Ub Ua o",
	       LOCKDEP_IRQ_ORDER, 2);
	lockdep_quiet(false);
}

static int leave_count(void *arg)
{
	(void)arg;
	preempt_disable();
	return 0;
}

static int leave_count_too(void *arg)
{
	preempt_disable();
	return arg ? 1 : 0;
}

static int leave_reader(void *arg)
{
	(void)arg;
	rcu_read_lock();
	return 0;
}

static int leave_reader_too(void *arg)
{
	rcu_read_lock();
	return arg ? 1 : 0;
}

/* Two functions of threads that leave the same thing behind. */
KTEST(lockdep, distinct_ends)
{
	lockdep_quiet(true);
	for (unsigned int i = 0; i < 2; i++) {
		in_thread(leave_count, NULL);
		in_thread(leave_count_too, NULL);
		EXPECT_EQ(lockdep_count(LOCKDEP_LEFT), 2);
	}
	for (unsigned int i = 0; i < 2; i++) {
		in_thread(leave_reader, NULL);
		in_thread(leave_reader_too, NULL);
		EXPECT_EQ(lockdep_count(LOCKDEP_LEFT), 4);
	}
	lockdep_quiet(false);
	lockdep_reset();
}

#define SOME_IRQ 20 /* a core's own; no device here has it */

static bool dispatched;

static void leave_in_handler(unsigned int irq, void *arg)
{
	(void)irq, (void)arg;
	preempt_disable();
}

static void leave_in_another(unsigned int irq, void *arg)
{
	(void)irq;
	preempt_disable();
	WRITE_ONCE(*(bool *)arg, false);
}

static void dispatch(struct timer *t)
{
	(void)t;
	irq_dispatch(SOME_IRQ);
	WRITE_ONCE(dispatched, true);
}

static void interrupt(irq_handler fn)
{
	static bool unused;

	irq_register(SOME_IRQ, fn, &unused);
	dispatched = false;
	in_timer(dispatch, NULL, &dispatched);
}

/* So have two handlers of interrupts. Each is named. */
KTEST(lockdep, distinct_handlers)
{
	lockdep_quiet(true);
	for (unsigned int i = 0; i < 2; i++) {
		interrupt(leave_in_handler);
		interrupt(leave_in_another);
		EXPECT_EQ(lockdep_count(LOCKDEP_LEFT), 2);
	}
	lockdep_quiet(false);
	lockdep_reset();
}

static struct mutex *held_mutex(size_t size)
{
	struct mutex *m = kmalloc(size);

	EXPECT(m != NULL);
	if (!m)
		return NULL;
	mutex_init(m, "freed");
	mutex_lock(m);
	return m;
}

/* Each place that frees a held lock is a finding. What is gone is held by nobody: the
 * thread may take the next lock of the class. */
KTEST(lockdep, distinct_frees)
{
	static const size_t sizes[] = { sizeof(struct mutex), 4 * PAGE_SIZE };

	lockdep_quiet(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned int k = 0; k < 2 * MAX_STRAY; k++) {
			kfree(held_mutex(sizes[i]));
			kfree(held_mutex(sizes[i]));
		}
		EXPECT_EQ(lockdep_count(LOCKDEP_HELD_FREED), 2);
		EXPECT_EQ(lockdep_total(), 2);
		EXPECT_EQ(current->lockdep.depth, 0);
		EXPECT(!lock_is_held(&left_out));
		current->lockdep.depth = current->lockdep.chain = 0;
		lockdep_forget_stray();
		lockdep_reset();
	}
	lockdep_quiet(false);
}

/* The second cycle that an acquisition closes is counted only. But its edge is judged
 * by the rules about interrupts. */
KTEST(lockdep, cycles_and_pairs)
{
	lockdep_quiet(true);
	row_type = MAP;
	row_begin();
	run("QA QC UC {Lc RB UB Uc} UA  OB Rc QA UA Uc UB");
	EXPECT_EQ(lockdep_count(LOCKDEP_CIRCULAR), 2);
	EXPECT_EQ(lockdep_count(LOCKDEP_IRQ_ORDER), 1);
	lockdep_quiet(false);
	lockdep_reset();
}

/* ---- one wrong step among many held locks ----------------------------------------------------- */

static struct lockdep_map many[MAX_HELD + MAX_STRAY + 4];
static struct lockdep_map stranger = LOCKDEP_MAP_INIT("stranger");

static void take_many(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		many[i].name = "one_of_many";
		lock_map_acquire(&many[i]);
	}
}

static void release_many(unsigned int n)
{
	while (n-- > 0)
		lock_map_release(&many[n]);
}

#define N 20

static void take_many_in_irq(struct timer *t)
{
	(void)t;
	take_many(N);
	release_many(N);
	WRITE_ONCE(taken_in_irq, true);
}

static void take_and_release_pairs(void)
{
	local_irq_disable();
	for (unsigned int i = 0; i < N; i++)
		for (unsigned int k = i + 1; k < N; k++) {
			lock_map_acquire(&many[i]);
			lock_map_acquire(&many[k]);
			lock_map_release(&many[k]);
			lock_map_release(&many[i]);
		}
	local_irq_enable();
}

KTEST(lockdep, one_wrong_step)
{
	lockdep_quiet(true);
	taken_in_irq = false;
	in_timer(take_many_in_irq, NULL, &taken_in_irq);
	local_irq_disable();
	take_many(N);
	local_irq_enable(); /* wrong */
	local_irq_disable();
	release_many(N);
	local_irq_enable();
	EXPECT_EQ(lockdep_total(), 1);
	EXPECT(lockdep_again > 0);
	take_and_release_pairs(); /* right, so nothing new */
	EXPECT_EQ(lockdep_total(), 1);
	/* What was not noted then is found when it has a cause of its own. */
	lock_map_acquire(&many[5]);
	lock_map_release(&many[5]);
	EXPECT_EQ(lockdep_count(LOCKDEP_INCONSISTENT), 2);
	lockdep_quiet(false);
	lockdep_reset();
}

static int end_with_many(void *arg)
{
	(void)arg;
	take_many(N);
	return 0;
}

KTEST(lockdep, one_wrong_end)
{
	lockdep_quiet(true);
	in_thread(end_with_many, NULL);
	EXPECT_EQ(lockdep_seen(), AT_END);
	EXPECT_EQ(lockdep_total(), 1);
	EXPECT_EQ(lockdep_again, N - 1);
	lockdep_reset();
	take_many(N);
	debug_check_no_locks_freed(many, sizeof(many), CALLER);
	release_many(N);
	EXPECT_EQ(lockdep_seen(), FREED);
	EXPECT_EQ(lockdep_total(), 1);
	EXPECT_EQ(lockdep_again, N - 1);
	lockdep_quiet(false);
	lockdep_reset();
}

/* ---- limits blame nobody ------------------------------------------------------------------------- */

/* The list of held locks is full: what it has no room for is still known. */
static void check_overflow(unsigned int n, unsigned int unbalanced)
{
	lockdep_reset();
	lockdep_quiet(true);
	take_many(n);
	lock_map_release(&stranger); /* wrong */
	EXPECT_EQ(lockdep_total(), unbalanced);
	for (unsigned int i = 0; i < n; i++)
		EXPECT(lock_is_held(&many[i]));
	if (unbalanced)
		EXPECT(!lock_is_held(&stranger));
	for (unsigned int i = 0; i < n; i++) /* right, in another order */
		EXPECT(lock_release(&many[i], CALLER));
	EXPECT_EQ(lockdep_total(), unbalanced);
	EXPECT_EQ(current->lockdep.depth, 0);
	lockdep_forget_stray();
	lockdep_quiet(false);
	lockdep_reset();
}

KTEST_MANUAL(lockdep, overflow)
{
	check_overflow(MAX_HELD, 1);
	check_overflow(MAX_HELD + 5, 1);
	check_overflow(MAX_HELD + MAX_STRAY, 1);
	check_overflow(ARRAY_SIZE(many), 0); /* it cannot know any more */
}

/* ---- a reset while locks are held ------------------------------------------------------------------ */

/* clang-format off */
ROWS(reset_knows,
	{ CIRCULAR,     ALL, "La Lb ! Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR,     ALL, "La ! Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR,     ALL, "La Lb Lc ! Uc Ub Ua  Lc La Ua Uc" },
	{ SILENT,       ALL, "La Lb ! Ub Ua  La Lb Ub Ua" },
	{ SILENT,       ALL, "La Lb Ub Ua ! Lb La Ua Ub" },
	{ INCONSISTENT, S|X, "La ! Ua {La Ua}" },
	{ INCONSISTENT, S|X, "x La o ! x Ua o {La Ua}" },
	{ SILENT,       S|X, "x La ! Ua o {La Ua}" },
	{ INCONSISTENT, S|X, "{La ! Ua} La Ua" },
	{ CIRCULAR,     S|X, "{La Lb ! Ub Ua} x Lb La Ua Ub o" },
	{ SILENT,       S|X, "La {Lb ! Ub} Ua  x La Lb Ub Ua o" })
/* clang-format on */

static struct {
	bool holds, go;
} other;

static int hold_two(void *arg)
{
	(void)arg;
	run("La Lb");
	WRITE_ONCE(other.holds, true);
	while (!READ_ONCE(other.go))
		sleep_ns(KTEST_LOOK_NS);
	run("Ub Ua");
	return 0;
}

/* The locks are held by another thread, and the orders are its own. */
KTEST(lockdep, reset_knows_others)
{
	struct thread *t;

	lockdep_quiet(true);
	row_type = MUTEX;
	row_begin();
	other.holds = other.go = false;
	t = ktest_thread("holder", hold_two, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(other.holds)));
	lockdep_reset();
	WRITE_ONCE(other.go, true);
	thread_join(t);
	run("Lb La Ua Ub");
	row_check("another thread's order", CIRCULAR);
	lockdep_quiet(false);
}

static int hold_two_irqs_off(void *arg)
{
	(void)arg;
	run("x La Lb");
	WRITE_ONCE(other.holds, true);
	while (!READ_ONCE(other.go))
		ktest_busy();
	run("Ub Ua  Lb La Ua Ub o");
	return 0;
}

/* The other thread's first step after the reset is a release. */
KTEST(lockdep, reset_before_a_release)
{
	struct thread *t;

	NEED_CORES(2);
	ktest_run_on(ktest_first_core());
	lockdep_quiet(true);
	row_type = MAP;
	row_begin();
	other.holds = other.go = false;
	t = ktest_thread("holder", hold_two_irqs_off, NULL,
			 cpumask_of(ktest_last_core()));
	EXPECT(EVENTUALLY(READ_ONCE(other.holds)));
	lockdep_reset();
	WRITE_ONCE(other.go, true);
	thread_join(t);
	row_check("an order that ends after the reset", CIRCULAR);
	lockdep_quiet(false);
}
#endif
