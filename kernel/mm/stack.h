/*
 * Stacks: of threads, and of the exception modes of each core. A guard page
 * lies below each.
 */
#pragma once

#include <stdint.h>

/*
 * Allocate a thread's stack, of STACK_SIZE bytes. Returns its lowest address; 0
 * when memory is out. The pages of a freed stack stay cached for the next
 * thread. Any context but FIQ.
 */
uint32_t stack_alloc(void);
void stack_free(uint32_t stack);
unsigned int stacks_made(void); /* in use and cached */
unsigned int stacks_cached(void);

/* Make the exception stacks of core cpu, before the core first starts. Returns
 * 0 or -ENOMEM. (The stacks of the boot core are in the image.) Under
 * cpu_add_remove_lock. */
int exception_stacks_prepare(unsigned int cpu);
/* Set the vectors and the exception stacks of the calling core, which is core
 * cpu, each time it comes up. IRQs and FIQs masked. */
void vectors_init_core(unsigned int cpu);
