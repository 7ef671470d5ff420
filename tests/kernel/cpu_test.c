/*
 * Suite cpu: cores go off and on. What the notifiers see, refusals and failures
 * at each step, and that threads, timers, interrupts and calls survive.
 *
 * Three notifiers write one log, two characters an event: who (h, m, l, by
 * priority: before all of the kernel's, between them, after) and what:
 *
 *	P UP_PREPARE  S STARTING  O ONLINE  C UP_CANCELED
 *	D DOWN_PREPARE  Y DYING  X DEAD  Z POST_DEAD  F DOWN_FAILED
 *
 * The platform is exchanged by swapping core_ops while no core operation runs.
 */
#include <string.h>

#include "boot/boot.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/stop_machine.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/ktest.h"

#define FAR_NS 3600000000000ull

static void count(uint32_t *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
}

/* A core that is not the first one, to be taken down and up. */
static unsigned int victim(void)
{
	return 31 - (unsigned int)__builtin_clz(cpu_online().bits);
}

static unsigned int first(void)
{
	return cpumask_first(cpu_online());
}

/* ---- the notifiers and their log ------------------------------------------------ */

static struct {
	char text[96];
	unsigned int len;
	unsigned int cpu; /* the only one the events may be about */
	uint32_t wrong;	  /* events in the wrong place */
	char refuser;	  /* who refuses refused_event, 0: nobody */
	unsigned long refused_event;
	int refusal;
	void (*also)(unsigned long event, unsigned int cpu); /* run by h */
} log;

static char letter(unsigned long event)
{
	switch (event) {
	case CPU_UP_PREPARE:
		return 'P';
	case CPU_STARTING:
		return 'S';
	case CPU_ONLINE:
		return 'O';
	case CPU_UP_CANCELED:
		return 'C';
	case CPU_DOWN_PREPARE:
		return 'D';
	case CPU_DYING:
		return 'Y';
	case CPU_DEAD:
		return 'X';
	case CPU_POST_DEAD:
		return 'Z';
	case CPU_DOWN_FAILED:
		return 'F';
	default:
		return '?';
	}
}

/* Is this where that event has to be told? */
static bool right_place(unsigned long event, unsigned int cpu)
{
	bool writer = READ_ONCE(cpu_hotplug.active_writer) == current;

	switch (event) {
	case CPU_STARTING:
		return smp_processor_id() == cpu && irqs_disabled() &&
		       !cpu_is_online(cpu) && board_this_core() == cpu;
	case CPU_DYING:
		return smp_processor_id() == cpu && irqs_disabled() &&
		       !cpu_is_online(cpu);
	case CPU_UP_PREPARE:
	case CPU_UP_CANCELED:
		return may_sleep() && writer && !cpu_is_online(cpu) &&
		       mutex_owner(&cpu_hotplug.lock) == current;
	case CPU_ONLINE:
	case CPU_DOWN_PREPARE:
	case CPU_DOWN_FAILED:
		return may_sleep() && writer && cpu_is_online(cpu) &&
		       mutex_owner(&cpu_hotplug.lock) == current;
	case CPU_DEAD:
		return may_sleep() && writer && smp_processor_id() != cpu &&
		       !cpu_is_online(cpu);
	case CPU_POST_DEAD:
		return may_sleep() && !writer && !cpu_is_online(cpu) &&
		       mutex_owner(&cpu_hotplug.lock) != current &&
		       mutex_owner(&cpu_add_remove_lock) == current;
	default:
		return false;
	}
}

static int note(struct notifier_block *nb, unsigned long event, void *data)
{
	unsigned int cpu = (unsigned int)(uintptr_t)data;
	char who = nb->name[0];

	/* One event at a time: no lock. */
	if (cpu != log.cpu || !right_place(event, cpu))
		log.wrong++;
	if (log.len + 2 < sizeof(log.text)) {
		log.text[log.len++] = who;
		log.text[log.len++] = letter(event);
	}
	if (who == 'h' && log.also)
		log.also(event, cpu);
	if (who == log.refuser && event == log.refused_event)
		return log.refusal;
	return NOTIFY_OK;
}

static struct notifier_block notes[] = {
	{ .notifier_call = note, .priority = 50, .name = "h" },
	{ .notifier_call = note, .priority = 5, .name = "m" },
	{ .notifier_call = note, .priority = -5, .name = "l" },
};

static void log_start(unsigned int cpu)
{
	memset(&log, 0, sizeof(log));
	log.cpu = cpu;
	/* In another order than that of their priorities. */
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_EQ(register_cpu_notifier(&notes[(i + 1) % 3]), 0);
}

static void log_is(const char *want)
{
	if (strcmp(log.text, want) != 0) {
		EXPECT(!"the notifiers see what they should");
		kprintf("    # they see %s instead of %s\n", log.text, want);
	}
	EXPECT_EQ(log.wrong, 0);
	memset(log.text, 0, sizeof(log.text));
	log.len = 0;
}

static void log_stop(void)
{
	for (unsigned int i = 0; i < 3; i++)
		unregister_cpu_notifier(&notes[i]);
}

#define UP     "hPmPlPhSmSlShOmOlO"
#define DOWN   "hDmDlDhYmYlYhXmXlXhZmZlZ"
#define NO_WAY "hPmPlPhCmClC" /* all prepared, and the core does not come */

/* ---- down and up ------------------------------------------------------------------ */

static int where(void *arg)
{
	(void)arg;
	return (int)board_this_core();
}

static void down(unsigned int cpu)
{
	EXPECT_EQ(cpu_down(cpu), 0);
	EXPECT(!cpu_is_online(cpu));
	EXPECT(core_ops->is_off(cpu));
}

static void up(unsigned int cpu)
{
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT(cpu_is_online(cpu));
	EXPECT(!core_ops->is_off(cpu));
	EXPECT_EQ(thread_join(
			  ktest_thread("where", where, NULL, cpumask_of(cpu))),
		  cpu);
}

/* Each core, also the one we stand on, and the boot core. */
KTEST(cpu, off_and_on)
{
	unsigned int cpu;

	NEED_CORES(2);
	for_each_online_cpu (cpu) {
		unsigned int offs = cpu_offs, ons = cpu_ons;

		EXPECT_EQ(thread_set_affinity(current, cpumask_of(cpu)), 0);
		down(cpu); /* it may not run anywhere else: it does */
		EXPECT(smp_processor_id() != cpu);
		EXPECT_EQ(cpu_down(cpu), -EINVAL);
		up(cpu);
		EXPECT_EQ(cpu_up(cpu), -EINVAL);
		EXPECT(cpu_offs == offs + 1 && cpu_ons == ons + 1);
	}
}

KTEST(cpu, bad_numbers)
{
	static const unsigned int bad[] = { 31, 32, 99, 0x80000000u, ~0u };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		if (cpumask_test(cpu_possible_mask, bad[i]))
			continue;
		EXPECT_EQ(cpu_up(bad[i]), -EINVAL);
		EXPECT_EQ(cpu_down(bad[i]), -EINVAL);
		EXPECT_EQ(smp_call_function_single(bad[i], NULL, NULL, true),
			  -ENODEV);
	}
}

static void one_left(unsigned int last)
{
	unsigned int cpu;

	for_each_cpu (cpu, cpumask_andnot(cpu_possible_mask, cpumask_of(last)))
		down(cpu);
	EXPECT_EQ(cpu_online().bits, cpumask_of(last).bits);
	EXPECT_EQ(cpu_down(last), -EBUSY);
	EXPECT(cpu_is_online(last));
	for_each_cpu (cpu, cpumask_andnot(cpu_possible_mask, cpumask_of(last)))
		up(cpu);
}

KTEST(cpu, last_one_stays)
{
	unsigned int a = first(), b = victim();

	one_left(a);
	if (a != b)
		one_left(b);
}

/* Two at a time want to change the set: each request has an answer. */
static int toggle(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < 15; i++) {
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;
		int err = ktest_random(&rnd) % 2 ? cpu_up(cpu) : cpu_down(cpu);

		EXPECT(err == 0 || err == -EINVAL || err == -EBUSY);
	}
	return 0;
}

KTEST(cpu, rivals)
{
	struct thread *t[3];
	unsigned int cpu;

	NEED_CORES(2);
	for (unsigned int i = 0; i < 3; i++)
		t[i] = ktest_thread("toggler", toggle, (void *)(i + 7),
				    CPUMASK_ALL);
	for (unsigned int i = 0; i < 3; i++)
		thread_join(t[i]);
	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			up(cpu);
}

/* ---- notifiers ------------------------------------------------------------------------ */

KTEST(cpu, events)
{
	unsigned int cpu;

	NEED_CORES(2);
	for_each_online_cpu (cpu) {
		log_start(cpu);
		down(cpu);
		log_is(DOWN);
		up(cpu);
		log_is(UP);
		log_stop();
	}
}

static void refuse(char who, unsigned long event, int ret, int err,
		   const char *want)
{
	bool up_way = event == CPU_UP_PREPARE;

	log.refuser = who;
	log.refused_event = event;
	log.refusal = ret;
	EXPECT_EQ(up_way ? cpu_up(log.cpu) : cpu_down(log.cpu), err);
	EXPECT_EQ(cpu_is_online(log.cpu), !up_way);
	EXPECT_EQ(core_ops->is_off(log.cpu), up_way);
	log_is(want);
	log.refuser = 0;
}

/* Told to go back: those who were told before, not the refuser, nobody else. */
KTEST(cpu, up_refused)
{
	unsigned int cpu = victim();

	NEED_CORES(2);
	log_start(cpu);
	down(cpu);
	log_is(DOWN);
	refuse('h', CPU_UP_PREPARE, NOTIFY_BAD, -EBUSY, "hP");
	refuse('m', CPU_UP_PREPARE, NOTIFY_BAD, -EBUSY, "hPmPhC");
	refuse('l', CPU_UP_PREPARE, notifier_from_errno(-EINTR), -EINTR,
	       "hPmPlPhCmC");
	up(cpu);
	log_is(UP);
	log_stop();
}

KTEST(cpu, down_refused)
{
	unsigned int cpu = victim();

	NEED_CORES(2);
	log_start(cpu);
	refuse('h', CPU_DOWN_PREPARE, NOTIFY_BAD, -EBUSY, "hD");
	refuse('m', CPU_DOWN_PREPARE, notifier_from_errno(-EINTR), -EINTR,
	       "hDmDhF");
	refuse('l', CPU_DOWN_PREPARE, NOTIFY_BAD, -EBUSY, "hDmDlDhFmF");
	/* The core's own threads are at work again. */
	EXPECT_EQ(thread_join(
			  ktest_thread("where", where, NULL, cpumask_of(cpu))),
		  cpu);
	down(cpu);
	log_is(DOWN);
	up(cpu);
	log_is(UP);
	log_stop();
}

/* ---- the platform fails ------------------------------------------------------------------ */

static const struct core_ops *real_ops;
static struct core_ops fake_ops;
static unsigned int ons_asked; /* calls of the exchanged on() */
static uint32_t late_deaths;

static void fake_start(void)
{
	real_ops = core_ops;
	fake_ops = *real_ops;
	ons_asked = late_deaths = 0;
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
	count(&late_deaths);
	real_ops->die(cpu);
}

/* After a failure: all as before, and the next try works. */
static void works_again(unsigned int cpu)
{
	fake_stop();
	log.len = 0;
	memset(log.text, 0, sizeof(log.text));
	EXPECT(!cpu_is_online(cpu));
	up(cpu);
	log_is(UP);
	down(cpu);
	log_is(DOWN);
	up(cpu);
	log_is(UP);
	log_stop();
}

KTEST(cpu, start_fails)
{
	unsigned int cpu = victim();

	NEED_CORES(2);
	log_start(cpu);
	down(cpu);
	log_is(DOWN);
	fake_start();
	fake_ops.on = on_fails;
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(cpu_up(cpu), -EIO);
		EXPECT(!cpu_is_online(cpu));
		log_is(NO_WAY);
	}
	EXPECT_EQ(ons_asked, 3);
	works_again(cpu);
}

/* It never arrives; then, after the starter has given up, it does. */
KTEST(cpu, start_too_late)
{
	unsigned int cpu = victim();

	NEED_CORES(2);
	log_start(cpu);
	down(cpu);
	log_is(DOWN);
	fake_start();
	fake_ops.on = on_does_nothing;
	fake_ops.die = die_counted;
	EXPECT_EQ(cpu_up(cpu), -EIO);
	EXPECT(!cpu_is_online(cpu));
	log_is(NO_WAY);
	EXPECT_EQ(real_ops->on(cpu), 0);
	EXPECT(EVENTUALLY(READ_ONCE(late_deaths) == 1));
	EXPECT(EVENTUALLY(real_ops->is_off(cpu)));
	EXPECT(!cpu_is_online(cpu));
	log_is("");
	works_again(cpu);
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

/* On its way already from before: it comes, but on() refuses meanwhile. */
static int on_comes_and_refuses(unsigned int cpu)
{
	ons_asked++;
	EXPECT_EQ(real_ops->on(cpu), 0);
	EXPECT(EVENTUALLY(cpu_is_online(cpu)));
	return -EBUSY;
}

KTEST(cpu, start_late)
{
	unsigned int cpu = victim();

	NEED_CORES(2);
	log_start(cpu);
	down(cpu);
	log_is(DOWN);
	fake_start();
	fake_ops.on = on_in_a_while;
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT(cpu_is_online(cpu));
	EXPECT_EQ(thread_join(starter), 0);
	log_is(UP);
	down(cpu);
	log_is(DOWN);
	fake_ops.on = on_comes_and_refuses;
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT(cpu_is_online(cpu));
	log_is(UP);
	down(cpu);
	works_again(cpu);
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
	unsigned int cpu = victim();

	NEED_CORES(2);
	log_start(cpu);
	fake_start();
	fake_ops.may_go = may_not_go;
	EXPECT_EQ(cpu_down(cpu), -ENOENT);
	EXPECT(cpu_is_online(cpu));
	log_is("");
	fake_ops.may_go = real_ops->may_go;
	fake_ops.is_off = never_off;
	EXPECT_EQ(cpu_down(cpu), -EIO);
	EXPECT(!cpu_is_online(cpu));
	log_is(DOWN);
	EXPECT(EVENTUALLY(real_ops->is_off(cpu)));
	works_again(cpu);
}

/* ---- out of memory ------------------------------------------------------------------------ */

#define MANY_CACHES 80

/* At each page that cpu_up() allocates: refused, and as before. */
KTEST(cpu, no_memory)
{
	static struct kmem_cache *caches[MANY_CACHES];
	unsigned int cpu = victim(), failed = 0;

	NEED_CORES(2);
	log_start(cpu);
	down(cpu);
	log_is(DOWN);
	/* Made now: that core's arrays have no place in their slabs. */
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
		/* The allocator's notifier stands between m and l. */
		log_is("hPmPhCmC");
	}
	EXPECT(failed >= 3);
	EXPECT(cpu_is_online(cpu));
	log_is(UP);
	log_stop();
	for (unsigned int i = 0; i < MANY_CACHES; i++)
		kmem_cache_destroy(caches[i]);
	ktest_shrink_all();
	EXPECT(pages_check());
}

/* In use, but for slabs; what RCU still holds has gone. */
static size_t pages_but_slabs(void)
{
	struct slab_stats st;

	rcu_barrier();
	ktest_shrink_all();
	slab_stats(&st);
	return pages_total() - pages_free_count() - st.pages;
}

/*
 * The same for a core's very first way up, which makes its threads and stacks
 * too. Boot with maxcpus=1, 3 cores or more.
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
	/* Core 1 with failures, core 2 without: they must use the same. */
	for (cpu = 1; cpu <= 2; cpu++) {
		uint32_t stacks = ktest_take_stacks();
		size_t before = pages_but_slabs();
		int err = -ENOMEM;

		/* What is made stays: 1, 1 2, 1 2 3, ... meets them all. */
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
		used[cpu - 1] = pages_but_slabs() - before;
		ktest_give_stacks(stacks);
	}
	kprintf("    # %u failures, %u pages for a core\n", failed,
		(unsigned int)used[0]);
	EXPECT(failed >= 10);
	EXPECT_EQ(used[0], used[1]);
	EXPECT(pages_check());
	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			up(cpu);
	ktest_changes_state();
}

/* ---- what runs there goes elsewhere ---------------------------------------------------------- */

struct runner {
	uint32_t stop, loops, cpu, sleep;
	struct thread *t;
};

static int run_on(void *arg)
{
	struct runner *r = arg;

	while (!READ_ONCE(r->stop)) {
		WRITE_ONCE(r->cpu, smp_processor_id());
		WRITE_ONCE(r->loops, r->loops + 1);
		if (READ_ONCE(r->sleep))
			sleep_ns(1000000); /* really, also with shift=10 */
		else
			ktest_busy();
	}
	return 0;
}

static bool runs(struct runner *r)
{
	uint32_t loops = READ_ONCE(r->loops);

	return EVENTUALLY(READ_ONCE(r->loops) - loops >= 3);
}

static struct completion gate;

static int pass_gate(void *arg)
{
	(void)arg;
	wait_for_completion(&gate);
	return 0;
}

KTEST(cpu, threads_migrate)
{
	struct runner r[4];
	struct thread *waits;
	unsigned int cpu;

	NEED_CORES(2);
	for_each_online_cpu (cpu) {
		init_completion(&gate, "gate");
		memset(r, 0, sizeof(r));
		/* Two that run or queue, two that sleep, one that waits. */
		for (int i = 0; i < 4; i++) {
			r[i].sleep = i >= 2;
			r[i].t = ktest_thread("runner", run_on, &r[i],
					      cpumask_of(cpu));
			EXPECT(runs(&r[i]));
		}
		waits = ktest_thread("waits", pass_gate, NULL, cpumask_of(cpu));
		EXPECT(EVENTUALLY(ktest_sleeps(waits)));
		down(cpu);
		for (int i = 0; i < 4; i++) {
			EXPECT(runs(&r[i]));
			EXPECT(READ_ONCE(r[i].cpu) != cpu);
		}
		complete(&gate);
		thread_join(waits);
		up(cpu);
		/* Home again, as its affinity says, when next woken. */
		EXPECT(EVENTUALLY(READ_ONCE(r[2].cpu) == cpu));
		for (int i = 0; i < 4; i++) {
			WRITE_ONCE(r[i].stop, 1);
			thread_join(r[i].t);
		}
	}
}

struct alarm {
	struct timer timer;
	uint32_t fired, cpu;
};

static void ring(struct timer *t)
{
	struct alarm *a = t->arg;

	a->cpu = smp_processor_id();
	count(&a->fired);
}

KTEST(cpu, timers_migrate)
{
	struct alarm soon = { .fired = 0 }, far = { .fired = 0 };
	unsigned int cpu = victim(), armed;

	NEED_CORES(2);
	timer_setup(&soon.timer, ring, &soon);
	timer_setup(&far.timer, ring, &far);
	ktest_run_on(cpu);
	timer_arm(&far.timer, timer_now() + timer_ticks(FAR_NS));
	preempt_disable();
	timer_arm(&soon.timer, timer_now() + timer_ticks(5000000));
	EXPECT_EQ(soon.timer.cpu, cpu);
	preempt_enable();
	down(cpu);
	EXPECT_EQ(timers_armed(cpu), 0);
	EXPECT(EVENTUALLY(READ_ONCE(soon.fired) == 1));
	EXPECT(far.timer.armed && far.timer.cpu != cpu);
	armed = timers_armed(far.timer.cpu);
	EXPECT(armed > 0);
	up(cpu);
	ktest_run_on(cpu);
	EXPECT(timer_cancel(&far.timer));
	EXPECT(soon.fired == 1 && far.fired == 0);
}

#define SPARE_IRQ    100 /* no device of virt has it */
#define VIRT_GICD    0x08000000u
#define GICD_ISPENDR 0x200

static struct {
	uintptr_t gicd; /* mapped once */
	uint32_t fired, cpu;
} spare;

static void spare_fires(unsigned int irq, void *arg)
{
	(void)irq;
	(void)arg;
	spare.cpu = smp_processor_id();
	count(&spare.fired);
}

/* Make the controller believe that the device has raised it. */
static void spare_raise(void)
{
	uint32_t before = READ_ONCE(spare.fired);

	*(volatile uint32_t *)(spare.gicd + GICD_ISPENDR + SPARE_IRQ / 32 * 4) =
		1u << SPARE_IRQ % 32;
	EXPECT(EVENTUALLY(READ_ONCE(spare.fired) == before + 1));
}

KTEST(cpu, interrupts_migrate)
{
	unsigned int cpu, all = 0, sum, seen = 0;

	NEED_CORES(2);
	if (strcmp(board.name, "QEMU virt") != 0) {
		ktest_skip("needs an interrupt that no device uses");
		return;
	}
	if (!spare.gicd) {
		spare.gicd = map_device(VIRT_GICD, 0x1000);
		irq_register(SPARE_IRQ, spare_fires, NULL);
	}
	for_each_online_cpu (cpu)
		all += irq_count(cpu);
	EXPECT(all > 0);
	for_each_cpu (cpu, cpu_online()) {
		unsigned int other;

		spare_raise();
		EXPECT(irq_count(spare.cpu) > 0);
		down(cpu);
		EXPECT_EQ(irq_count(cpu), 0);
		sum = 0;
		for_each_online_cpu (other)
			sum += irq_count(other);
		EXPECT_EQ(sum, all);
		spare_raise();
		EXPECT(spare.cpu != cpu);
		seen |= 1u << spare.cpu;
		up(cpu);
	}
	EXPECT(cpumask_weight((struct cpumask){ seen }) > 1);
}

/* ---- the hotplug lock --------------------------------------------------------------------------- */

KTEST(cpu, hotplug_lock)
{
	EXPECT_EQ(cpu_hotplug.refcount, 0);
	EXPECT(!hotplug_ops->held());
	get_online_cpus();
	get_online_cpus(); /* nests */
	EXPECT_EQ(cpu_hotplug.refcount, 2);
	EXPECT(hotplug_ops->held());
	EXPECT(!mutex_is_locked(&cpu_hotplug.lock));
	EXPECT_EQ(hotplug_lock_install(NULL), -EBUSY);
	put_online_cpus();
	EXPECT_EQ(cpu_hotplug.refcount, 1);
	put_online_cpus();
	EXPECT_EQ(cpu_hotplug.refcount, 0);
	EXPECT_EQ(hotplug_lock_install(NULL), 0);
	EXPECT(hotplug_ops == &hotplug_counter_ops);
}

/* One put too many: a warning, and the count is right again. */
KTEST(cpu, hotplug_lock_underflow)
{
	ktest_reports(1, 0, 0);
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_NOT_HELD));
	put_online_cpus();
	EXPECT_EQ(cpu_hotplug.refcount, 0);
	EXPECT(!mutex_is_locked(&cpu_hotplug.lock));
	lockdep_assert_cpus_held(); /* nobody holds it */
	get_online_cpus();
	EXPECT_EQ(cpu_hotplug.refcount, 1);
	put_online_cpus();
	if (ktest_cores() > 1) {
		down(victim());
		up(board.nr_cores - 1);
	}
}

static int down_it(void *arg)
{
	return cpu_down((unsigned int)(uintptr_t)arg);
}

/* The writer waits for the readers that are in. */
KTEST(cpu, hotplug_lock_excludes)
{
	unsigned int cpu = victim();
	struct thread *t;

	NEED_CORES(2);
	get_online_cpus();
	get_online_cpus();
	t = ktest_thread("downer", down_it, (void *)(uintptr_t)cpu,
			 CPUMASK_ALL);
	EXPECT(EVENTUALLY(ktest_sleeps(t) && t->waiting.kind == WAIT_REFCOUNT));
	put_online_cpus();
	sleep_ns(KTEST_LOOK_NS);
	EXPECT(t->waiting.kind == WAIT_REFCOUNT && cpu_is_online(cpu));
	put_online_cpus();
	EXPECT_EQ(thread_join(t), 0);
	up(cpu);
}

static struct thread *reader;
static uint32_t post_dead_count;

static int get_and_put(void *arg)
{
	(void)arg;
	get_online_cpus();
	EXPECT(!READ_ONCE(cpu_hotplug.active_writer));
	put_online_cpus();
	return 0;
}

/* In the notifiers: the writer may use what readers use; others wait. */
static void use_as_writer(unsigned long event, unsigned int cpu)
{
	struct kmem_cache *s;

	(void)cpu;
	if (event == CPU_STARTING || event == CPU_DYING)
		return;
	get_online_cpus();
	post_dead_count += event == CPU_POST_DEAD && cpu_hotplug.refcount == 1;
	if (event != CPU_POST_DEAD)
		EXPECT_EQ(cpu_hotplug.refcount, 0);
	put_online_cpus();
	s = kmem_cache_create("inside", 40, 0, 0, NULL);
	EXPECT(s != NULL);
	kmem_cache_free(s, kmem_cache_alloc(s));
	kmem_cache_destroy(s);
	if (event != CPU_UP_PREPARE)
		return;
	reader = ktest_thread("reader", get_and_put, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(ktest_sleeps(reader) &&
			  reader->waiting.obj == &cpu_hotplug.lock));
}

KTEST(cpu, hotplug_lock_writer)
{
	unsigned int cpu = victim();

	NEED_CORES(2);
	log_start(cpu);
	log.also = use_as_writer;
	post_dead_count = 0;
	down(cpu);
	EXPECT_EQ(post_dead_count, 1);
	log_is(DOWN);
	up(cpu);
	log_is(UP);
	thread_join(reader);
	log_stop();
}

/* ---- stop_machine -------------------------------------------------------------------------------- */

static struct {
	struct runner r[NR_CPUS];
	unsigned int cpu; /* where it must run */
	uint32_t wrong, ran;
} stop;

/* Does anybody else move? */
static int look_around(void *arg)
{
	uint32_t loops[NR_CPUS];
	unsigned int cpu;

	for_each_online_cpu (cpu)
		loops[cpu] = READ_ONCE(stop.r[cpu].loops);
	for (int i = 0; i < 50; i++)
		ktest_busy();
	for_each_online_cpu (cpu)
		if (READ_ONCE(stop.r[cpu].loops) != loops[cpu])
			count(&stop.wrong);
	if (smp_processor_id() != (unsigned int)(uintptr_t)arg ||
	    !irqs_disabled())
		count(&stop.wrong);
	count(&stop.ran);
	return 42;
}

static int stop_often(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < 6; i++) {
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;

		get_online_cpus();
		EXPECT_EQ(stop_machine(look_around, (void *)(uintptr_t)cpu,
				       cpu),
			  42);
		put_online_cpus();
	}
	return 0;
}

KTEST(cpu, stop_machine)
{
	unsigned int cpu;
	struct thread *t[3];

	memset(&stop, 0, sizeof(stop));
	for_each_online_cpu (cpu) {
		stop.r[cpu].t = ktest_thread("runner", run_on, &stop.r[cpu],
					     cpumask_of(cpu));
		EXPECT(runs(&stop.r[cpu]));
	}
	for (unsigned int i = 0; i < 3; i++)
		t[i] = ktest_thread("stopper", stop_often, (void *)(i + 5),
				    CPUMASK_ALL);
	for (unsigned int i = 0; i < 3; i++)
		thread_join(t[i]);
	EXPECT_EQ(stop.ran, 18);
	EXPECT_EQ(stop.wrong, 0);
	EXPECT_EQ(stop_machine(look_around, NULL, 31), -ENODEV);
	for_each_online_cpu (cpu) {
		EXPECT(runs(&stop.r[cpu])); /* all go on */
		WRITE_ONCE(stop.r[cpu].stop, 1);
		thread_join(stop.r[cpu].t);
	}
}

/* ---- calls to other cores --------------------------------------------------------------------------- */

static struct {
	uint32_t ran[NR_CPUS], wrong;
} calls;

static void called(void *arg)
{
	unsigned int cpu = smp_processor_id();

	if (cpu != (unsigned int)(uintptr_t)arg || !irqs_disabled())
		count(&calls.wrong);
	count(&calls.ran[cpu]);
}

static void called_anywhere(void *arg)
{
	(void)arg;
	called((void *)(uintptr_t)smp_processor_id());
}

static uint32_t calls_ran(void)
{
	uint32_t sum = 0;

	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		sum += READ_ONCE(calls.ran[cpu]);
	return sum;
}

KTEST(cpu, call_function)
{
	unsigned int cpu, n = ktest_cores();

	memset(&calls, 0, sizeof(calls));
	for_each_online_cpu (cpu) {
		void *arg = (void *)(uintptr_t)cpu;

		EXPECT_EQ(smp_call_function_single(cpu, called, arg, true), 0);
		EXPECT_EQ(calls.ran[cpu], 1);
		EXPECT_EQ(smp_call_function_single(cpu, called, arg, false), 0);
		EXPECT(EVENTUALLY(READ_ONCE(calls.ran[cpu]) == 2));
	}
	on_each_cpu(called_anywhere, NULL);
	EXPECT_EQ(calls_ran(), 3 * n);
	on_each_cpu_mask(cpumask_of(first()), called_anywhere, NULL);
	EXPECT_EQ(calls.ran[first()], 4);
	on_each_cpu_mask(CPUMASK_NONE, called_anywhere, NULL);
	EXPECT_EQ(calls_ran(), 3 * n + 1);
	EXPECT_EQ(calls.wrong, 0);
}

#define CALLS 200u

static uint32_t calls_accepted;

static int call_all(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	for (unsigned int i = 0; i < CALLS; i++) {
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;
		bool wait = ktest_random(&rnd) % 2;
		int err;

		if (ktest_random(&rnd) % 16 == 0)
			on_each_cpu_mask(CPUMASK_NONE, called_anywhere, NULL);
		err = smp_call_function_single(cpu, called,
					       (void *)(uintptr_t)cpu, wait);
		if (!err)
			count(&calls_accepted);
		else
			EXPECT_EQ(err, -ENODEV);
	}
	return 0;
}

/* Each accepted call runs once, there, also on a core that is about to go. */
KTEST(cpu, call_function_stress)
{
	struct thread *t[NR_CPUS], *togglers[2];
	unsigned int cpu, n = 0;

	memset(&calls, 0, sizeof(calls));
	calls_accepted = 0;
	for_each_possible_cpu (cpu)
		t[n++] = ktest_thread("caller", call_all,
				      (void *)(uintptr_t)(cpu + 1),
				      CPUMASK_ALL);
	for (unsigned int i = 0; i < 2; i++)
		togglers[i] = ktest_thread("toggler", toggle,
					   (void *)(uintptr_t)(i + 9),
					   CPUMASK_ALL);
	while (n)
		thread_join(t[--n]);
	thread_join(togglers[0]);
	thread_join(togglers[1]);
	EXPECT(EVENTUALLY(calls_ran() == READ_ONCE(calls_accepted)));
	EXPECT_EQ(calls.wrong, 0);
	EXPECT(calls_accepted > CALLS / 2);
	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			up(cpu);
}
