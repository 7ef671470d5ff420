/*
 * stop_machine(): run a function on one core while all other online cores wait
 * with IRQs off.
 */
#pragma once

/*
 * Run fn(arg) on core cpu, and return its value; -ENODEV if the core is
 * offline. The caller holds the hotplug lock as writer or reader. May sleep.
 */
int stop_machine(int (*fn)(void *), void *arg, unsigned int cpu);
/* At boot, on the boot core. */
void stop_machine_init(void);
