/*
 * Stacks: of threads, and of the exception modes of each core. A guard page
 * lies below each.
 */
#pragma once

#include <stdint.h>

/*
 * A thread's stack: its lowest address, of STACK_SIZE bytes; 0 when memory is
 * out. The pages of a freed stack stay cached for the next thread. Any context
 * but FIQ.
 */
uint32_t stack_alloc(void);
void stack_free(uint32_t stack);
unsigned int stacks_made(void); /* in use and cached */
unsigned int stacks_cached(void);

/* The exception stacks of core cpu, before it first starts: 0 or -ENOMEM. The
 * boot core's come with the image. Under cpu_add_remove_lock. */
int exception_stacks_prepare(unsigned int cpu);
/* The calling core's vectors and exception stacks, each time it comes up. Core
 * number cpu, IRQs and FIQs masked. */
void vectors_init_core(unsigned int cpu);
