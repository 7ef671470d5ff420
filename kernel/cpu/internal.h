/*
 * Shared by the files of kernel/cpu/ alone.
 */
#pragma once

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"

/* Run the calls that are queued for this core. IRQs off. */
void smp_flush_calls(void);
/* Make the stopper thread of core cpu, before the core first starts: 0 or
 * -ENOMEM. Start it, once the core is on. */
int stopper_prepare(unsigned int cpu);
void stopper_unpark(unsigned int cpu);
