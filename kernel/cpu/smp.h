/*
 * Calling functions on other cores, in an interrupt there (IPI_CALL).
 *
 * fn runs with IRQs off and must not sleep. The caller has IRQs on. If it waits,
 * it holds no lock that fn takes, and none that a core waits for with IRQs off,
 * as such a core does not answer. Lockdep checks this.
 */
#pragma once

#include <stdbool.h>

#include "kernel/lib/cpumask.h"

/* At boot, before IRQs are on. */
void smp_calls_init(void);
/*
 * Run fn(arg) on that core; if that is the calling core, run it at once. wait:
 * return only after fn has run. Returns 0, or -ENODEV if the core is offline.
 */
int smp_call_function_single(unsigned int cpu, void (*fn)(void *), void *arg,
			     bool wait);
/* Run fn(arg) on every online core, this one too, and wait for all. */
void on_each_cpu(void (*fn)(void *), void *arg);
/* Run fn(arg) on the online cores of the mask, and wait for all. */
void on_each_cpu_mask(struct cpumask mask, void (*fn)(void *), void *arg);
/* Debug builds; obj: the struct cpumask of the cores that must answer. */
extern const struct wait_ops cores_wait;
