/*
 * Calling functions on other cores (IPI_CALL).
 */
#pragma once

#include <stdbool.h>

#include "kernel/lib/cpumask.h"

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
