/*
 * The shell's `test` command. It runs the suites that KTEST() registered and reports
 * as KTAP, version 1: each suite is a subtest, each case one line of it.
 *
 * `now` is the running case. It belongs to the command's thread. Failures are counted
 * atomically, since an EXPECT may fail in any thread of the case. Only one `test` runs
 * at a time.
 */
#include "tests/kernel/ktest.h"

#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/state.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep.h"
#include "kernel/slab/internal.h"
#include "kernel/mm/page.h"
#include "kernel/mm/stack.h"
#include "kernel/rcu/rcu.h"
#include "kernel/shell/shell.h"

#define MAX_FAILURES 8	/* printed for each case */
#define SETTLES	     10 /* a host may keep a core from running for seconds */
#define IN	     "    "

struct reports {
	unsigned int warns, slab_errors, stalls;
};

static struct {
	unsigned int failures;	 /* atomic */
	const char *skipped;	 /* why, or NULL */
	struct reports expected; /* more than before the case */
	unsigned int lockdep;	 /* kinds that the case provokes */
	bool changes_state;
} now;

static struct {
	unsigned int passed, failed, skipped;
	unsigned int findings,
		provoked; /* of lockdep: all, and those announced */
} total;

static unsigned int seed; /* of the running command */

/* ---- what cases call ------------------------------------------------------- */

void ktest_fail(const char *file, int line, const char *what, long long got,
		long long want, bool values)
{
	/* Relaxed: the count is read after the case's threads are joined. */
	unsigned int n = __atomic_fetch_add(&now.failures, 1, __ATOMIC_RELAXED);

	if (n == MAX_FAILURES)
		kprintf(IN "# and more failures\n");
	if (n >= MAX_FAILURES)
		return;
	if (values)
		kprintf(IN "# %s:%d: %s: is %lld, should be %lld\n", file, line,
			what, got, want);
	else
		kprintf(IN "# %s:%d: %s\n", file, line, what);
}

void ktest_skip(const char *why)
{
	now.skipped = why;
}

void ktest_reports(unsigned int warns, unsigned int slabs, unsigned int stalls)
{
	now.expected.warns += warns;
	now.expected.slab_errors += slabs;
	now.expected.stalls += stalls;
}

#if GORDIAN_DEBUG
void ktest_lockdep(unsigned int kinds)
{
	now.lockdep |= kinds;
}
#endif

struct thread *ktest_thread(const char *name, int (*fn)(void *), void *arg,
			    struct cpumask where)
{
	struct thread *t = thread_create(name, fn, arg, PRIO_NORMAL, where);

	EXPECT(t != NULL);
	return t;
}

void ktest_run_on(unsigned int cpu)
{
	EXPECT_EQ(thread_set_affinity(current, cpumask_of(cpu)), 0);
	EXPECT_EQ(smp_processor_id(), cpu);
}

bool ktest_sleeps(const struct thread *t)
{
	enum thread_state s = READ_ONCE(t->state);

	return (s == TASK_UNINTERRUPTIBLE || s == TASK_INTERRUPTIBLE) &&
	       !READ_ONCE(t->on_rq);
}

void ktest_shrink_all(void)
{
	struct kmem_cache *s;

	get_online_cpus();
	mutex_lock(&slab_mutex);
	list_for_each (s, &slab_caches, list)
		__cache_shrink(s);
	mutex_unlock(&slab_mutex);
	put_online_cpus();
}

uint32_t ktest_take_stacks(void)
{
	uint32_t chain = 0;

	/* A thread that ends gives its stack back a little later; the boot thread
	 * has none. */
	EXPECT(EVENTUALLY(stacks_made() - stacks_cached() + 1 ==
			  threads_count()));
	while (stacks_cached()) {
		uint32_t stack = stack_alloc();

		*(uint32_t *)stack = chain;
		chain = stack;
	}
	return chain;
}

void ktest_give_stacks(uint32_t chain)
{
	while (chain) {
		uint32_t next = *(uint32_t *)chain;

		stack_free(chain);
		chain = next;
	}
}

void ktest_changes_state(void)
{
	now.changes_state = true;
}

uint32_t ktest_seed(void)
{
	return seed ? seed : 1;
}

/* ---- before and after a case ------------------------------------------------ */

static void reports_take(struct reports *r)
{
	r->warns = READ_ONCE(warn_count);
	r->slab_errors = READ_ONCE(slab_errors);
	r->stalls = READ_ONCE(rcu_stalls);
}

static void all_cores_on(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			EXPECT_EQ(cpu_up(cpu), 0);
}

/* Wait until callbacks have run, and threads that end have gone. */
static void come_to_rest(struct state_summary *s)
{
	struct state_summary next;

	rcu_barrier();
	state_take(s);
	/* Long only if the host keeps a core from running. */
	for (int i = 0; i < 20000; i++) {
		sleep_ns(KTEST_LOOK_NS);
		state_take(&next);
		if (rcu_is_quiet() && memcmp(s, &next, sizeof(next)) == 0)
			return;
		*s = next;
	}
}

static void check_reports(const struct reports *before)
{
	struct reports after;

	reports_take(&after);
	EXPECT_EQ(after.warns - before->warns, now.expected.warns);
	EXPECT_EQ(after.slab_errors - before->slab_errors,
		  now.expected.slab_errors);
	EXPECT_EQ(after.stalls - before->stalls, now.expected.stalls);
}

/* Lockdep must have found the kinds that the case announced, and no other. */
static void check_lockdep(void)
{
	if (!GORDIAN_DEBUG)
		return;
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++) {
		bool found = lockdep_seen() & LOCKDEP_BIT(k);

		if (found == !!(now.lockdep & LOCKDEP_BIT(k)))
			continue;
		FAIL("lockdep has not found exactly what was announced");
		kprintf(IN "# lockdep %s: %s\n",
			found ? "found" : "did not find",
			lockdep_kind_name((enum lockdep_kind)k));
	}
	total.findings += lockdep_total();
	if (now.lockdep == lockdep_seen())
		total.provoked += lockdep_total();
	if (lockdep_total())
		lockdep_reset();
}

static void check_thread(struct cpumask affinity)
{
	struct thread *t = current;

	EXPECT_EQ(t->preempt_count, 0);
	EXPECT_EQ(t->irq_depth, 0);
	EXPECT(!irqs_disabled());
	EXPECT_EQ(t->state, TASK_RUNNING);
#if GORDIAN_DEBUG
	EXPECT_EQ(t->lockdep.depth, 0);
#endif
	t->preempt_count = 0;
	local_irq_enable();
	if (t->affinity.bits != affinity.bits)
		thread_set_affinity(t, affinity);
}

static void check_state(const struct state_summary *before)
{
	struct state_summary after;

	if (now.changes_state)
		return;
	for (int i = 0; i < SETTLES; i++)
		if (state_settles(before, &after))
			return;
	FAIL("the state is not as before");
	state_print_difference(before, &after);
}

/* ---- running ------------------------------------------------------------------ */

static void run_case(const struct ktest *t, unsigned int number)
{
	struct cpumask affinity = current->affinity;
	struct state_summary before;
	struct reports reports;

	memset(&now, 0, sizeof(now));
	check_lockdep(); /* nothing must be found between the cases */
	if (!t->manual)
		all_cores_on();
	come_to_rest(&before);
	reports_take(&reports);
	t->fn();
	check_thread(affinity);
	check_reports(&reports);
	check_lockdep();
	check_state(&before);
	if (now.failures) {
		total.failed++;
		kprintf(IN "not ok %u %s\n", number, t->name);
	} else if (now.skipped) {
		total.skipped++;
		kprintf(IN "ok %u %s # SKIP %s\n", number, t->name,
			now.skipped);
	} else {
		total.passed++;
		kprintf(IN "ok %u %s\n", number, t->name);
	}
}

/* Does t belong to the suite and have that name? suite NULL: any. name NULL: all
 * cases that are not manual. */
static bool wanted(const struct ktest *t, const char *suite, const char *name)
{
	if (suite && strcmp(t->suite, suite) != 0)
		return false;
	return name ? strcmp(t->name, name) == 0 : !t->manual;
}

static unsigned int count_wanted(const char *suite, const char *name)
{
	unsigned int n = 0;

	for (const struct ktest *t = ktests_start; t < ktests_end; t++)
		n += wanted(t, suite, name);
	return n;
}

/* Is t the first case of its suite? A suite may be spread over several files. */
static bool begins_suite(const struct ktest *t)
{
	for (const struct ktest *p = ktests_start; p < t; p++)
		if (strcmp(p->suite, t->suite) == 0)
			return false;
	return true;
}

static void run_suite(const char *suite, const char *name, unsigned int number)
{
	unsigned int failed = total.failed, n = 0;

	kprintf(IN "KTAP version 1\n" IN "# Subtest: %s\n" IN "1..%u\n", suite,
		count_wanted(suite, name));
	for (const struct ktest *t = ktests_start; t < ktests_end; t++)
		if (wanted(t, suite, name))
			run_case(t, ++n);
	kprintf("%sok %u %s\n", total.failed == failed ? "" : "not ", number,
		suite);
}

static void run(const char *suite, const char *name)
{
	unsigned int suites = 0, n = 0;

	if (!lockdep_since_mark())
		lockdep_reset(); /* forget the findings of an experiment */
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			kprintf("KTAP version 1\n1..%u\n", suites);
		for (const struct ktest *t = ktests_start; t < ktests_end;
		     t++) {
			if (!begins_suite(t) ||
			    (suite && strcmp(t->suite, suite) != 0) ||
			    !count_wanted(t->suite, name))
				continue;
			if (pass)
				run_suite(t->suite, name, ++n);
			else
				suites++;
		}
	}
}

static int list(void)
{
	for (const struct ktest *t = ktests_start; t < ktests_end; t++)
		kprintf("%s.%s%s\n", t->suite, t->name,
			t->manual ? " (only when named)" : "");
	return 0;
}

/* ---- the command ----------------------------------------------------------------- */

static bool is_suite(const char *suite)
{
	for (const struct ktest *t = ktests_start; t < ktests_end; t++)
		if (strcmp(t->suite, suite) == 0)
			return true;
	return false;
}

/* A manual case takes the cores as they are. */
static bool needs_all_cores(const char *suite, const char *name)
{
	for (const struct ktest *t = ktests_start; t < ktests_end; t++)
		if (wanted(t, suite, name) && !t->manual)
			return true;
	return false;
}

static int test_command(int argc, char **argv)
{
	char word[48], *name = NULL, *suite = NULL;
	struct cpumask were_off = CPUMASK_NONE;

	seed = 1;
	if (argc > 3 || (argc == 3 && !parse_uint(argv[2], &seed))) {
		kprintf("usage: test [list|SUITE|SUITE.CASE [SEED]]\n");
		return 1;
	}
	if (argc > 1) {
		if (strcmp(argv[1], "list") == 0)
			return list();
		ksnprintf(word, sizeof(word), "%s", argv[1]);
		suite = word;
		name = strchr(word, '.');
		if (name)
			*name++ = '\0';
		if (!is_suite(suite) || (name && !count_wanted(suite, name))) {
			kprintf("test: no %s \"%s\", see `test list`\n",
				is_suite(suite) ? "case" : "suite", argv[1]);
			return 1;
		}
		if (!count_wanted(suite, name)) {
			kprintf("test: name a case of %s, see `test list`\n",
				suite);
			return 1;
		}
	}
	memset(&total, 0, sizeof(total));
	if (needs_all_cores(suite, name))
		were_off = cores_on_for("test");
	run(suite, name);
	if (GORDIAN_DEBUG)
		kprintf("lockdep: %u findings, %u of them provoked\n",
			total.findings, total.provoked);
	kprintf("test: %u passed, %u failed, %u skipped\n", total.passed,
		total.failed, total.skipped);
	cores_off_again(were_off);
	return total.failed || !total.passed;
}

static const char *complete_suite(int arg, unsigned int i)
{
	if (arg != 1)
		return NULL;
	if (i-- == 0)
		return "list";
	for (const struct ktest *t = ktests_start; t < ktests_end; t++)
		if (begins_suite(t) && i-- == 0)
			return t->suite;
	return NULL;
}

SHELL_COMMAND(
	test, .name = "test", .usage = "test [list|SUITE|SUITE.CASE [SEED]]",
	.help = "run one test suite of the kernel; without a name, run all",
	.words = "  list        list the suites\n"
		 "  SUITE.CASE  one case\n"
		 "  SEED        the seed, to repeat a run\n",
	.example = "test lock", .page = "tests/kernel/ktest.h",
	.fn = test_command, .complete = complete_suite);
