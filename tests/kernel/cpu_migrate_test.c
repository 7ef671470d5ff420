/*
 * Suite cpu: threads, timers and interrupts of a core that goes off move to another
 * core.
 */
#include <string.h>

#include "kernel/arch/mmu.h"
#include "kernel/cpu/cpu.h"
#include "kernel/irq/irq.h"
#include "kernel/sched/timer.h"
#include "tests/kernel/cpu_log.h"
#include "tests/kernel/threads.h"

#define FAR_NS	 3600000000000ull /* an hour: it never comes in a case */
#define SLEEP_NS 1000000 /* long enough to sleep really, also with shift=10 */

KTEST(cpu, threads_migrate)
{
	struct spinner s[4];
	struct thread *waits;
	uint32_t passed = 0;
	unsigned int cpu;

	NEED_CORES(2);
	for_each_online_cpu (cpu) {
		init_completion(&gate, "gate");
		/* Two run or are queued, two sleep, one waits at the gate. */
		for (int i = 0; i < 4; i++) {
			spinner_start(&s[i], cpumask_of(cpu),
				      i < 2 ? 0 : SLEEP_NS);
			EXPECT(spinner_advances(&s[i], 3));
		}
		waits = ktest_thread("waits", pass_gate, &passed,
				     cpumask_of(cpu));
		EXPECT(EVENTUALLY(ktest_sleeps(waits)));
		core_down(cpu);
		for (int i = 0; i < 4; i++) {
			EXPECT(spinner_advances(&s[i], 3));
			EXPECT(READ_ONCE(s[i].cpu) != cpu);
		}
		complete(&gate);
		thread_join(waits);
		core_up(cpu);
		/* When next woken it is back on the core of its affinity. */
		EXPECT(EVENTUALLY(READ_ONCE(s[2].cpu) == cpu));
		for (int i = 0; i < 4; i++)
			spinner_stop(&s[i]);
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
	ktest_count(&a->fired);
}

KTEST(cpu, timers_migrate)
{
	struct alarm soon = { .fired = 0 }, far = { .fired = 0 };
	unsigned int cpu = ktest_last_core(), armed;

	NEED_CORES(2);
	timer_setup(&soon.timer, ring, &soon);
	timer_setup(&far.timer, ring, &far);
	ktest_run_on(cpu);
	timer_arm(&far.timer, timer_now() + timer_ticks(FAR_NS));
	preempt_disable();
	timer_arm(&soon.timer, timer_now() + timer_ticks(5000000));
	EXPECT_EQ(soon.timer.cpu, cpu);
	preempt_enable();
	core_down(cpu);
	EXPECT_EQ(timers_armed(cpu), 0);
	EXPECT(EVENTUALLY(READ_ONCE(soon.fired) == 1));
	EXPECT(far.timer.armed && far.timer.cpu != cpu);
	armed = timers_armed(far.timer.cpu);
	EXPECT(armed > 0);
	core_up(cpu);
	ktest_run_on(cpu);
	EXPECT(timer_cancel(&far.timer));
	EXPECT(soon.fired == 1 && far.fired == 0);
}

#define SPARE_IRQ    100 /* no device of the virt machine uses it */
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
	ktest_count(&spare.fired);
}

/* Make the interrupt pending in the controller, as a device would. */
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
		core_down(cpu);
		EXPECT_EQ(irq_count(cpu), 0);
		sum = 0;
		for_each_online_cpu (other)
			sum += irq_count(other);
		EXPECT_EQ(sum, all);
		spare_raise();
		EXPECT(spare.cpu != cpu);
		seen |= 1u << spare.cpu;
		core_up(cpu);
	}
	EXPECT(cpumask_weight((struct cpumask){ seen }) > 1);
}
