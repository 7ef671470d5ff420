/*
 * From the first C function to the shell, on the boot core. This file is on top
 * of the kernel's floors: it starts each of them, from the ground up, and
 * connects the tables through which a lower floor reaches a higher one.
 */
#include "boot/boot.h"
#include "kernel/arch/board.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/cpu/stop_machine.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/hang/watchdog.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/cmdline.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/audit.h"
#include "kernel/mm/page.h"
#include "kernel/mm/stack.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/internal.h"
#include "kernel/sched/timer.h"
#include "kernel/shell/shell.h"

/* Pages of a core's trace ring, as a power of two. */
#define TRACE_RING_ORDER 4
_Static_assert(PAGE_SIZE << TRACE_RING_ORDER == TRACE_RING_SIZE,
	       "the ring has room for its events");

static void banner(void)
{
	kprintf("Gordian, %s profile: %s, %u of %u cores, %u MiB\n",
		GORDIAN_DEBUG ? "debug" : "release", board.name,
		cpumask_weight(cpu_online()), board.nr_cores,
		(unsigned int)(board.ram_size >> 20));
	kprintf("entered in %s at 0x%x, cores by %s, interrupts by %s%s\n",
		boot_info.entry_el == 3 ? "AArch64 EL3" :
		boot_info.entry_el	? "AArch64 EL2" :
		(boot_info.entry_cpsr & PSR_MODE_MASK) == PSR_MODE_HYP ? "HYP" :
									 "SVC",
		boot_info.image_pa, core_ops->name, irqchip->name,
		irqchip->has_nmi ? " with pseudo-NMI" : "");
}

/* Reports need these functions of floors above kernel/debug/. */
static void set_panic_hooks(void)
{
#if GORDIAN_DEBUG
	panic_hooks.print_locks = print_held_locks;
#endif
	panic_hooks.bug_exit = thread_bug_exit;
}

/* No more cores than that are started: N if the command line says maxcpus=N. */
static unsigned int max_cores(void)
{
	char value[12];
	unsigned int n;

	if (!cmdline_get(board.bootargs, "maxcpus", value, sizeof(value)))
		return NR_CPUS;
	if (parse_uint(value, &n))
		return n;
	kprintf("maxcpus=%s: this is no number, so all cores start\n", value);
	return NR_CPUS;
}

noreturn void start_kernel(void)
{
	unsigned int cpu, map_findings;

	sched_init_early();
	set_panic_hooks();
	irq_init();
	smp_calls_init();
	vectors_init_core(0);
	board_init();
	aborts_init_core(0);
	timers_init();
	for (cpu = 0; cpu < board.nr_cores; cpu++)
		cpumask_set_atomic(&cpu_possible_mask, cpu);
	cpumask_set_atomic(&cpu_online_mask, 0);
	pages_init();
	sched_init();
	irqchip->init_core(0);
	timers_start_core(0);
	board_ops->core_up(0);
	local_irq_enable();
	sched_boot_tick();
	for_each_possible_cpu (cpu)
		trace_init(cpu, pages_alloc(TRACE_RING_ORDER));
	rcu_init();
	slab_init();
	stop_machine_init();
	rcu_spawn();
	smp_init(max_cores());
	watchdog_init();
	banner();
	map_findings = GORDIAN_DEBUG ? map_audit() : 0;
	board_ops->greet(map_findings);
	WARN_ON(map_findings);
	shell_main();
}
