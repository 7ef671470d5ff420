/*
 * stop_machine(): run a function on one core while all other online cores stand
 * still with IRQs off. One stopper thread a core, highest priority.
 */
#pragma once

/*
 * fn runs on core cpu with IRQs off everywhere. Returns fn's value. The caller
 * holds the hotplug lock as writer or reader. May sleep.
 */
int stop_machine(int (*fn)(void *), void *arg, unsigned int cpu);
void stop_machine_init(void);
