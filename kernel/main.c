/*
 * From the first C function to the shell, on the boot core.
 */
#include "boot/boot.h"
#include "kernel/arch/board.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/cpu/stop_machine.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/hang/watchdog.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/internal.h"
#include "kernel/sched/timer.h"
#include "kernel/shell/shell.h"

static void banner(void)
{
	kprintf("Gordian, %s profile: %s, %u of %u cores, %u MiB\n",
		GORDIAN_DEBUG ? "debug" : "release", board.name,
		cpumask_weight(cpu_online()), board.nr_cores,
		(unsigned int)(board.ram_size >> 20));
	kprintf("entered in %s at 0x%x, cores by %s, interrupts by %s%s\n",
		(boot_info.entry_cpsr & PSR_MODE_MASK) == PSR_MODE_HYP ? "HYP" :
									 "SVC",
		boot_info.image_pa, core_ops->name, irqchip->name,
		irqchip->has_nmi ? " with pseudo-NMI" : "");
	board_greet();
}

noreturn void start_kernel(void)
{
	sched_init_early();
	timers_init();
	smp_calls_init();
	vectors_init_core(0);
	board_init();
	for (unsigned int cpu = 0; cpu < board.nr_cores; cpu++)
		cpumask_set_atomic(&cpu_possible_mask, cpu);
	cpumask_set_atomic(&cpu_online_mask, 0);
	pages_init();
	sched_init();
	irqchip->init_core(0);
	timer_init_core();
	local_irq_enable();
	sched_boot_tick();
	trace_init();
	rcu_init();
	slab_init();
	stop_machine_init();
	rcu_spawn();
	smp_init(board_max_cores());
	watchdog_init();
	banner();
	WARN_ON(GORDIAN_DEBUG && map_audit());
	shell_main();
}
