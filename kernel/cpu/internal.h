/*
 * What the files of kernel/cpu/ share among themselves.
 */
#pragma once

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"

void smp_flush_calls(void);
/* Stopper threads: one a core, made before the core first comes up. */
int stopper_prepare(unsigned int cpu);
void stopper_unpark(unsigned int cpu);
