/*
 * The cores that the user has turned off. Experiments and tests need all cores, because
 * what they show or count depends on the cores that are on.
 *
 * Owns nothing. Context: see off_cores.h.
 */
#include "lab/off_cores.h"

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/lib/printf.h"

struct cpumask cores_on_for(const char *what)
{
	struct cpumask were_off = CPUMASK_NONE;
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		if (cpu_is_online(cpu) || cpu_up(cpu) != 0)
			continue;
		kprintf("core %u was off: it is on until the %s has ended\n",
			cpu, what);
		were_off.bits |= cpumask_of(cpu).bits;
	}
	return were_off;
}

void cores_off_again(struct cpumask were_off)
{
	unsigned int cpu;

	for_each_cpu (cpu, were_off) {
		int err = cpu_is_online(cpu) ? cpu_down(cpu) : 0;

		if (err)
			kprintf("core %u stays on (error %d)\n", cpu, -err);
		else
			kprintf("core %u is off again\n", cpu);
	}
}
