/*
 * Suite fault: most cases end the machine with a report, which tests/test_fault.py
 * reads. So they run only when named. Each function of a case has a frame and a name
 * of its own, so that the report can show it.
 *
 * Suite hang: two threads deadlock; the watchdog reports it, and the case cuts it.
 */
#include <string.h>

#include "boot/boot.h"
#include "kernel/debug/panic.h"
#include "kernel/hang/watchdog.h"
#include "kernel/lib/printf.h"
#include "kernel/sync/mutex.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait.h"
#include "tests/kernel/ktest.h"

/* Volatile, so that the compiler neither checks the value nor makes a trap of it. */
static volatile uintptr_t nowhere;
static volatile uint32_t sink;
static uint32_t code_in_data[] = { 0xe12fff1e }; /* bx lr */

/* ---- one core ----------------------------------------------------------------- */

static noinline uint32_t overflow_the_stack(uint32_t depth)
{
	volatile uint32_t here[16];

	here[depth % 16] = depth;
	if (depth + 1 == nowhere)
		return 0; /* after all */
	return overflow_the_stack(depth + 1) + here[depth % 16];
}

KTEST_MANUAL(fault, stack_overflow)
{
	sink = overflow_the_stack(0);
}

static noinline void call_a_null_pointer(void)
{
	((void (*)(void))nowhere)();
	sink++;
}

KTEST_MANUAL(fault, null_call)
{
	call_a_null_pointer();
}

static noinline void read_through_null(void)
{
	sink = *(volatile uint32_t *)(nowhere + 8);
	sink++;
}

KTEST_MANUAL(fault, null_read)
{
	read_through_null();
}

static noinline void write_to_text(void)
{
	*(volatile uint32_t *)((uintptr_t)read_through_null & ~3u) = sink;
	sink++;
}

KTEST_MANUAL(fault, text_write)
{
	write_to_text();
}

static noinline void write_to_rodata(void)
{
	static const uint32_t constant[2] = { 1, 2 };

	*(volatile uint32_t *)((uintptr_t)constant + nowhere) = 3;
	sink++;
}

KTEST_MANUAL(fault, rodata_write)
{
	write_to_rodata();
}

static noinline void execute_data(void)
{
	((void (*)(void))((uintptr_t)code_in_data + nowhere))();
	sink++;
}

KTEST_MANUAL(fault, data_execute)
{
	execute_data();
}

static noinline void run_an_undefined_instruction(void)
{
	__asm__ volatile("udf #0");
	sink++;
}

KTEST_MANUAL(fault, undefined)
{
	run_an_undefined_instruction();
}

static noinline void find_a_bug(void)
{
	BUG_ON(nowhere == 0);
}

KTEST_MANUAL(fault, bug_on)
{
	find_a_bug();
}

static noinline void give_up(void)
{
	panic("nothing goes any more, %d", 42);
}

KTEST_MANUAL(fault, panic)
{
	static DEFINE_MUTEX(held);

	mutex_lock(&held);
	give_up();
}

#if GORDIAN_DEBUG
static noinline void smash_the_stack(void)
{
	char small[8] = { 0 };

	memset((char *)((uintptr_t)small + nowhere), 0x41, 24 + nowhere);
	sink = (uint32_t)small[0];
}

KTEST_MANUAL(fault, stack_smash)
{
	smash_the_stack();
}

static noinline int overflow_an_int(int by)
{
	return by + (int)sink;
}

KTEST_MANUAL(fault, undefined_behaviour)
{
	sink = 0x7fffffff;
	sink = (uint32_t)overflow_an_int(1);
}
#endif

static void fault_in_an_interrupt(struct timer *t)
{
	(void)t;
	read_through_null();
	sink++;
}

KTEST_MANUAL(fault, interrupt)
{
	struct timer t;

	timer_setup(&t, fault_in_an_interrupt, NULL);
	timer_arm(&t, timer_now());
	sleep_ns(1000000000);
}

/* A leaf function: it has no return address on the stack. */
static noinline void count_for_ever(void)
{
	for (;;)
		sink++;
}

KTEST_MANUAL(fault, interrupt_of_a_leaf)
{
	struct timer t;

	timer_setup(&t, fault_in_an_interrupt, NULL);
	timer_arm(&t, timer_now() + 1000000);
	count_for_ever();
}

/* tests/boards/hyp7.S answers this call: it makes an asynchronous abort pending. */
static noinline void abort_later(void)
{
	__asm__ volatile(".arch_extension virt\n\thvc #0x5e" ::
				 : "r0", "r1", "r2", "r3", "memory");
	for (unsigned int i = 0; i < 1000; i++)
		cpu_relax();
	sink++;
}

KTEST_MANUAL(fault, late_abort)
{
	abort_later();
	EXPECT(!"an abort came");
}

static void fault_in_putc(char c)
{
	sink = *(volatile uint32_t *)(nowhere + (c ? 8 : 4));
}

/* The console itself fails, and fails again while the failure is reported. */
KTEST_MANUAL(fault, dead_console)
{
	static struct uart_ops dead;

	dead = *uart;
	dead.putc = fault_in_putc;
	uart = &dead;
	give_up();
}

/* ---- several cores ---------------------------------------------------------------- */

static uint32_t ready;

static void meet(uint32_t how_many)
{
	preempt_disable();
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (READ_ONCE(ready) != how_many)
		cpu_relax();
}

static noinline void fault_on_one_core(void)
{
	sink = *(volatile uint32_t *)(nowhere + 0x11);
	sink++;
}

static noinline void fault_on_the_other(void)
{
	sink = *(volatile uint32_t *)(nowhere + 0x22);
	sink++;
}

static int fault_together(void *arg)
{
	/* The other core's panic must not stop this core before its own fault. */
	__asm__ volatile("cpsid f" ::: "memory");
	meet(2);
	if (arg)
		fault_on_one_core();
	else
		fault_on_the_other();
	return 0;
}

KTEST_MANUAL(fault, two_cores)
{
	struct thread *t[2];

	NEED_CORES(2);
	ready = 0;
	for (unsigned int i = 0; i < 2; i++)
		t[i] = ktest_thread(i ? "one" : "other", fault_together,
				    (void *)i, cpumask_of(i));
	thread_join(t[0]);
	thread_join(t[1]);
}

static int talk(void *arg)
{
	(void)arg;
	for (unsigned int i = 0;; i++) {
		kprintf("talk: the quick brown fox jumps over the lazy dog\n");
		__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

/* A core that is stopped in the middle of a message ends the message first. */
KTEST_MANUAL(fault, panic_amid_talk)
{
	unsigned int cpu;

	NEED_CORES(2);
	ready = 0;
	ktest_run_on(cpumask_first(cpu_online()));
	for_each_cpu (cpu, cpumask_andnot(cpu_online(),
					  cpumask_of(smp_processor_id())))
		ktest_thread("talker", talk, NULL, cpumask_of(cpu));
	EXPECT(EVENTUALLY(READ_ONCE(ready) > 30));
	give_up();
}

static noinline void hang_in_a_message(void)
{
	report_begin();
	kprintf("half a report\n");
	WRITE_ONCE(ready, 1);
	for (;;)
		cpu_relax();
}

static int hang_with_the_console(void *arg)
{
	(void)arg;
	hang_in_a_message();
	return 0;
}

/* A core hangs in the middle of a message, and another one panics. */
KTEST_MANUAL(fault, stuck_console)
{
	unsigned int cpu = 31 - (unsigned int)__builtin_clz(cpu_online().bits);

	NEED_CORES(2);
	ktest_run_on(cpumask_first(cpu_online()));
	ready = 0;
	ktest_thread("stuck", hang_with_the_console, NULL, cpumask_of(cpu));
	EXPECT(EVENTUALLY(READ_ONCE(ready)));
	give_up();
}

static int ask_again_and_again(void *arg)
{
	(void)arg;
	for (;;) {
		backtrace_all_cores();
		__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

/* A core panics and asks the others where they are, while another one does the same. */
KTEST_MANUAL(fault, two_askers)
{
	NEED_CORES(4);
	ktest_run_on(cpumask_first(cpu_online()));
	ready = 0;
	ktest_thread("asker", ask_again_and_again, NULL,
		     cpumask_of(31 - (unsigned int)__builtin_clz(
					     cpu_online().bits)));
	EXPECT(EVENTUALLY(READ_ONCE(ready) > 3));
	give_up();
}

static uint32_t stuck_stop;

static noinline void spin_with_interrupts_off(void)
{
	uint32_t flags = local_irq_save();

	WRITE_ONCE(ready, 1);
	while (!READ_ONCE(stuck_stop))
		cpu_relax();
	local_irq_restore(flags);
}

static int get_stuck(void *arg)
{
	(void)arg;
	spin_with_interrupts_off();
	return 0;
}

/* A core with interrupts off still tells where it is; afterwards all goes on. */
KTEST_MANUAL(fault, stuck_core)
{
	unsigned int cpu = 31 - (unsigned int)__builtin_clz(cpu_online().bits);
	struct thread *t;

	NEED_CORES(2);
	if (!irqchip->has_nmi) {
		ktest_skip("the interrupt controller has no pseudo-NMI");
		return;
	}
	ktest_run_on(cpumask_first(cpu_online()));
	ready = stuck_stop = 0;
	t = ktest_thread("stuck", get_stuck, NULL, cpumask_of(cpu));
	EXPECT(EVENTUALLY(READ_ONCE(ready)));
	kprintf("    # core %u is stuck\n", cpu);
	backtrace_all_cores();
	WRITE_ONCE(stuck_stop, 1);
	thread_join(t);
}

static noinline bool be_surprised(void)
{
	return WARN_ON(nowhere == 0);
}

KTEST_MANUAL(fault, warn_on)
{
	ktest_reports(1, 0, 0);
	EXPECT(be_surprised());
}

/* ---- a hang ------------------------------------------------------------------------ */

static struct mutex left, right;
static struct completion left_held, right_held;

static noinline void take_left_then_right(void)
{
	mutex_lock(&left);
	complete(&left_held);
	wait_for_completion(&right_held);
	mutex_lock(&right);
	mutex_unlock(&right);
	mutex_unlock(&left);
}

static noinline void take_right_then_left(void)
{
	mutex_lock(&right);
	complete(&right_held);
	wait_for_completion(&left_held);
	mutex_lock(&left);
	mutex_unlock(&left);
	mutex_unlock(&right);
}

static int hang(void *arg)
{
	if (arg)
		take_left_then_right();
	else
		take_right_then_left();
	return 0;
}

KTEST(hang, a_b_b_a)
{
	unsigned int reports = READ_ONCE(watchdog_reports);
	struct thread *a, *b;

	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	mutex_init(&left, "left_mutex");
	mutex_init(&right, "right_mutex");
	init_completion(&left_held, "left held");
	init_completion(&right_held, "right held");
	a = ktest_thread("anna", hang, (void *)1, CPUMASK_ALL);
	b = ktest_thread("bert", hang, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(watchdog_reports) > reports));
	/* The knot is tied; then it is cut, and both threads end. */
	EXPECT(mutex_owner(&left) == a && mutex_owner(&right) == b);
	EXPECT_EQ(mutex_lend(&left, b), 0);
	thread_join(b);
	thread_join(a);
	EXPECT(!mutex_owner(&left) && !mutex_owner(&right));
}
