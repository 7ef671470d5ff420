/*
 * Shared by the files of kernel/cpu/ alone.
 */
#pragma once

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"

/* Run the calls that are queued for this core. IRQs off. */
void smp_flush_calls(void);
/* stopper_prepare() makes the stopper thread of core cpu, before the core first
 * starts, and returns 0 or -ENOMEM. stopper_unpark() starts the thread once the
 * core is on. */
int stopper_prepare(unsigned int cpu);
void stopper_unpark(unsigned int cpu);
