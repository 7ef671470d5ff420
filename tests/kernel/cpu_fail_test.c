/*
 * Suite cpu: a core does not start or does not stop, or there is no memory for it.
 * The caller gets an error, all is as before, and the next try works.
 *
 * The platform is exchanged by swapping core_ops while no core operation runs.
 */
#include <string.h>

#include "kernel/arch/coherency.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/rcu/rcu.h"
#include "kernel/slab/internal.h"
#include "tests/kernel/cpu_log.h"
#include "tests/kernel/ktest.h"

/* ---- the platform fails ------------------------------------------------------------------ */

static const struct core_ops *real_ops;
static struct core_ops fake_ops;
static unsigned int ons_asked; /* calls of the exchanged on() */
static uint32_t died_late;

static void fake_start(void)
{
	real_ops = core_ops;
	fake_ops = *real_ops;
	ons_asked = died_late = 0;
	core_ops = &fake_ops;
}

static void fake_stop(void)
{
	core_ops = real_ops;
}

static int on_fails(unsigned int cpu)
{
	(void)cpu;
	ons_asked++;
	return -EIO;
}

static int on_does_nothing(unsigned int cpu)
{
	(void)cpu;
	ons_asked++;
	return 0;
}

static void die_counted(unsigned int cpu)
{
	ktest_count(&died_late);
	real_ops->die(cpu);
}

/* With the real platform again: the core goes up, down and up. */
static void check_works_again(unsigned int cpu)
{
	fake_stop();
	cpu_log_clear();
	EXPECT(!cpu_is_online(cpu));
	core_up(cpu);
	cpu_log_check(UP);
	core_down(cpu);
	cpu_log_check(DOWN);
	core_up(cpu);
	cpu_log_check(UP);
	cpu_log_stop();
}

KTEST(cpu, start_fails)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	cpu_log_start(cpu);
	core_down(cpu);
	cpu_log_check(DOWN);
	fake_start();
	fake_ops.on = on_fails;
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(cpu_up(cpu), -EIO);
		EXPECT(!cpu_is_online(cpu));
		cpu_log_check(UP_FAILED);
	}
	EXPECT_EQ(ons_asked, 3);
	check_works_again(cpu);
}

/* The core comes up only after cpu_up() has given up: it must go off again. */
KTEST(cpu, start_too_late)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	cpu_log_start(cpu);
	core_down(cpu);
	cpu_log_check(DOWN);
	fake_start();
	fake_ops.on = on_does_nothing;
	fake_ops.die = die_counted;
	EXPECT_EQ(cpu_up(cpu), -EIO);
	EXPECT(!cpu_is_online(cpu));
	cpu_log_check(UP_FAILED);
	EXPECT_EQ(real_ops->on(cpu), 0);
	EXPECT(EVENTUALLY(READ_ONCE(died_late) == 1));
	EXPECT(EVENTUALLY(real_ops->is_off(cpu)));
	EXPECT(!cpu_is_online(cpu));
	cpu_log_check("");
	check_works_again(cpu);
}

/* The core says that it is alive, and then goes off. */
static void die_while_starting(unsigned int cpu)
{
	real_ops->die(cpu);
}

KTEST(cpu, start_dies)
{
	unsigned int cpu = ktest_last_core();
	const struct board_ops *real_board = board_ops;
	struct board_ops fake_board = *board_ops;

	NEED_CORES(2);
	cpu_log_start(cpu);
	core_down(cpu);
	cpu_log_check(DOWN);
	fake_start();
	fake_board.core_up = die_while_starting;
	board_ops = &fake_board;
	EXPECT_EQ(cpu_up(cpu), -EIO);
	board_ops = real_board;
	EXPECT(!cpu_is_online(cpu));
	EXPECT(!cpu_is_lost(cpu)); /* the platform says that it is off */
	cpu_log_check(UP_FAILED);
	check_works_again(cpu);
}

static struct thread *starter;

static int start_in_a_while(void *arg)
{
	sleep_ns(30000000);
	return real_ops->on((unsigned int)(uintptr_t)arg);
}

static int on_in_a_while(unsigned int cpu)
{
	ons_asked++;
	starter = ktest_thread("starter", start_in_a_while,
			       (void *)(uintptr_t)cpu, CPUMASK_ALL);
	return 0;
}

/* The core is on its way already: it arrives, but on() refuses. */
static int on_comes_and_refuses(unsigned int cpu)
{
	ons_asked++;
	EXPECT_EQ(real_ops->on(cpu), 0);
	EXPECT(EVENTUALLY(cpu_is_online(cpu)));
	return -EBUSY;
}

KTEST(cpu, start_late)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	cpu_log_start(cpu);
	core_down(cpu);
	cpu_log_check(DOWN);
	fake_start();
	fake_ops.on = on_in_a_while;
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT(cpu_is_online(cpu));
	EXPECT_EQ(thread_join(starter), 0);
	cpu_log_check(UP);
	core_down(cpu);
	cpu_log_check(DOWN);
	fake_ops.on = on_comes_and_refuses;
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT(cpu_is_online(cpu));
	cpu_log_check(UP);
	core_down(cpu);
	check_works_again(cpu);
}

static bool never_off(unsigned int cpu)
{
	(void)cpu;
	return false;
}

static int may_not_go(unsigned int cpu)
{
	(void)cpu;
	return -ENOENT;
}

KTEST(cpu, stop_fails)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	cpu_log_start(cpu);
	fake_start();
	fake_ops.may_go_off = may_not_go;
	EXPECT_EQ(cpu_down(cpu), -ENOENT);
	EXPECT(cpu_is_online(cpu));
	cpu_log_check("");
	fake_stop();
	cpu_log_stop();
}

static int on_of_core_0(unsigned int cpu)
{
	(void)cpu;
	return real_ops->on(0);
}

static int on_of_no_core(unsigned int cpu)
{
	uint32_t mpidr = board.mpidr[cpu];
	int err;

	board.mpidr[cpu] = 0xffff;
	err = real_ops->on(cpu);
	board.mpidr[cpu] = mpidr;
	return err;
}

/* The firmware refuses to start a core; tests/test_fault.py reads the lines. */
KTEST_MANUAL(cpu, refused)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	core_down(cpu);
	fake_start();
	fake_ops.on = on_of_core_0;
	EXPECT_EQ(cpu_up(cpu), -EBUSY);
	fake_ops.on = on_of_no_core;
	EXPECT_EQ(cpu_up(cpu), -ENODEV);
	fake_stop();
	core_up(cpu);
}

static bool not_coherent(void)
{
	return false;
}

static int refuse_to_go_up(struct notifier_block *nb, unsigned long event,
			   void *data)
{
	(void)nb;
	(void)data;
	return event == CPU_UP_PREPARE ? notifier_from_errno(-ENOENT) :
					 NOTIFY_OK;
}

/* These two leave the last core off. What refuses it stays, for the command `cpu up`
 * after the case; the second one ends the first. */
static bool (*really_coherent)(void);

KTEST_MANUAL(cpu, not_coherent)
{
	unsigned int cpu = ktest_last_core();

	NEED_CORES(2);
	core_down(cpu);
	really_coherent = core_is_coherent;
	core_is_coherent = not_coherent;
	EXPECT_EQ(cpu_up(cpu), -EPERM);
	EXPECT(!cpu_is_online(cpu));
	ktest_changes_state();
}

KTEST_MANUAL(cpu, odd_refusal)
{
	static struct notifier_block nb = { refuse_to_go_up, NULL, 0, "odd" };

	core_is_coherent = really_coherent;
	EXPECT_EQ(register_cpu_notifier(&nb), 0);
	ktest_changes_state();
}

/* ---- a core is lost ------------------------------------------------------------------------ */

static struct {
	unsigned int cpu;
	bool go_on;
	uint32_t went_on; /* atomic */
} hanging;

/* RCU's own notifier comes after this one. */
static int hang_while_starting(struct notifier_block *nb, unsigned long event,
			       void *data)
{
	unsigned int cpu = (unsigned int)(uintptr_t)data;

	(void)nb;
	if (event == CPU_STARTING && cpu == hanging.cpu) {
		/* Acquire: pairs with the release in start_hangs(). */
		while (!smp_load_acquire(&hanging.go_on))
			cpu_relax();
		ktest_count(&hanging.went_on);
	}
	return NOTIFY_OK;
}

static void check_lost(unsigned int cpu)
{
	struct kmem_cache *s;

	EXPECT(!cpu_is_online(cpu));
	EXPECT(cpu_is_lost(cpu));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(cpu_up(cpu), -ENODEV);
		EXPECT_EQ(cpu_down(cpu), -EINVAL);
	}
	cpu_log_check("");
	/* It may still use its arrays, so it keeps them. */
	mutex_lock(&slab_mutex);
	list_for_each (s, &slab_caches, list)
		EXPECT(s->array[cpu] != NULL);
	mutex_unlock(&slab_mutex);
	ktest_shrink_all();
	synchronize_rcu();
}

/* The core hangs after it has said that it is alive. Grace periods end without it,
 * also when it goes on too late. */
static void start_hangs(unsigned int cpu)
{
	struct notifier_block nb = { hang_while_starting, NULL, CPU_PRI_SMPBOOT,
				     "hang" };

	core_down(cpu);
	hanging.cpu = cpu;
	EXPECT_EQ(register_cpu_notifier(&nb), 0);
	cpu_log_start(cpu);
	EXPECT_EQ(cpu_up(cpu), -EIO);
	cpu_log_check("hPmPlPhShLmLlL");
	check_lost(cpu);
	/* Release: pairs with the acquire in hang_while_starting(). */
	smp_store_release(&hanging.go_on, true);
	EXPECT(EVENTUALLY(core_ops->is_off(cpu)));
	EXPECT_EQ(READ_ONCE(hanging.went_on), 1);
	cpu_log_check("mSlS");
	check_lost(cpu);
	unregister_cpu_notifier(&nb);
	cpu_log_stop();
}

static void die_does_nothing(unsigned int cpu)
{
	(void)cpu;
}

static void stop_hangs(unsigned int cpu)
{
	cpu_log_start(cpu);
	fake_start();
	fake_ops.die = die_does_nothing;
	fake_ops.is_off = never_off;
	EXPECT_EQ(cpu_down(cpu), -EIO);
	fake_stop();
	cpu_log_check("hDmDlDhYmYlYhLmLlL");
	check_lost(cpu);
	cpu_log_stop();
}

KTEST_MANUAL(cpu, lost)
{
	NEED_CORES(3);
	start_hangs(ktest_last_core());
	stop_hangs(ktest_last_core());
	ktest_changes_state();
}

/* ---- out of memory ------------------------------------------------------------------------ */

#define MANY_CACHES 240

/* Fail each page allocation of cpu_up() in turn: an error, and all as before. */
KTEST(cpu, no_memory)
{
	static struct kmem_cache *caches[MANY_CACHES];
	unsigned int cpu = ktest_last_core(), failed = 0;

	NEED_CORES(2);
	cpu_log_start(cpu);
	core_down(cpu);
	cpu_log_check(DOWN);
	/* Made while the core is off: their slabs have no room for its arrays. */
	for (unsigned int i = 0; i < MANY_CACHES; i++)
		caches[i] = kmem_cache_create("many", 64, 0, 0, NULL);
	for (unsigned int n = 1; n < 100; n++) {
		int err;

		ktest_shrink_all();
		pages_fail_after(n, n % 2 ? 1 : ~0u);
		err = cpu_up(cpu);
		pages_fail_after(0, 0);
		if (!err)
			break;
		failed++;
		EXPECT_EQ(err, -ENOMEM);
		EXPECT(!cpu_is_online(cpu));
		/* The allocator's notifier comes after m and before l. */
		cpu_log_check("hPmPhCmC");
	}
	EXPECT(failed >= 3);
	EXPECT(cpu_is_online(cpu));
	cpu_log_check(UP);
	cpu_log_stop();
	for (unsigned int i = 0; i < MANY_CACHES; i++)
		kmem_cache_destroy(caches[i]);
	ktest_shrink_all();
	EXPECT(pages_check());
}

/* Pages in use, apart from the slabs; RCU's callbacks have run. */
static size_t pages_without_slabs(void)
{
	struct slab_stats st;

	rcu_barrier();
	ktest_shrink_all();
	slab_stats(&st);
	return pages_total() - pages_free_count() - st.pages;
}

/*
 * The same when a core goes up for the first time, which also makes its threads and
 * stacks. Needs maxcpus=1 and 3 cores or more.
 */
KTEST_MANUAL(cpu, no_memory_first)
{
	unsigned int failed = 0, cpu;
	size_t used[2];

	if (board.nr_cores < 3 || sched_idle_thread(1) ||
	    sched_idle_thread(2)) {
		ktest_skip("needs maxcpus=1 and three cores that never ran");
		return;
	}
	/* Core 1 with failures, core 2 without: both must use as many pages. */
	for (cpu = 1; cpu <= 2; cpu++) {
		uint32_t stacks = ktest_take_stacks();
		size_t before = pages_without_slabs();
		int err = -ENOMEM;

		/* What a failed try has made is kept for the next one. Failing
		 * allocation 1, then 1 2, then 1 2 3, ... meets them all. */
		for (unsigned int top = 1; err && top < 20; top++) {
			for (unsigned int n = 1; err && n <= top; n++) {
				ktest_shrink_all();
				pages_fail_after(cpu == 1 ? n : 0,
						 top % 2 ? 1 : ~0u);
				err = cpu_up(cpu);
				pages_fail_after(0, 0);
				EXPECT(!err || err == -ENOMEM);
				EXPECT_EQ(cpu_is_online(cpu), !err);
				failed += err != 0;
			}
		}
		EXPECT(cpu_is_online(cpu));
		used[cpu - 1] = pages_without_slabs() - before;
		ktest_give_stacks(stacks);
	}
	kprintf("    # %u failures, %u pages for a core\n", failed,
		(unsigned int)used[0]);
	EXPECT(failed >= 10);
	EXPECT_EQ(used[0], used[1]);
	EXPECT(pages_check());
	cores_up();
	ktest_changes_state();
}
