/*
 * Calling functions on other cores (IPI_CALL), and who the cores are.
 *
 * cpu_online_mask changes only inside cpu_up()/cpu_down() with all cores stopped
 * or the core itself unable to run anything else: with preemption disabled a
 * core seen online stays online.
 */
#pragma once

#include <stdbool.h>

#include "kernel/lib/cpumask.h"

extern struct cpumask cpu_possible_mask; /* fixed after board_init() */
extern struct cpumask cpu_online_mask;	 /* written through *_atomic */

static inline struct cpumask cpu_online(void)
{
	return cpumask_load(&cpu_online_mask);
}
static inline bool cpu_is_online(unsigned int cpu)
{
	return cpumask_test(cpu_online(), cpu);
}

#define for_each_online_cpu(cpu)   for_each_cpu (cpu, cpu_online())
#define for_each_possible_cpu(cpu) for_each_cpu (cpu, cpu_possible_mask)

void smp_calls_init(void); /* before interrupts are on */
/*
 * Run fn(arg) on that core, in its interrupt context (directly, IRQs off, if it
 * is this one). wait: return after it has run. 0, or -ENODEV if it is offline.
 * Context: IRQs on; with wait not under a lock that fn takes.
 */
int smp_call_function_single(unsigned int cpu, void (*fn)(void *), void *arg,
			     bool wait);
/* On every online core, this one too; returns after all have run. */
void on_each_cpu(void (*fn)(void *), void *arg);
/* On those of the mask that are online. */
void on_each_cpu_mask(struct cpumask mask, void (*fn)(void *), void *arg);
