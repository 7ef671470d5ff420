/*
 * The stack of a thread before its first switch. Owns no data; any context.
 */
#include "kernel/arch/arch.h"

void thread_trampoline(void); /* switch.S */

uint32_t arch_thread_stack_init(uint32_t stack_top)
{
	/* arch_switch_to() pops r4 to r11, then pc. */
	uint32_t *sp = (uint32_t *)(stack_top & ~7u) - 9;

	for (unsigned int i = 0; i < 8; i++)
		sp[i] = 0;
	sp[8] = (uint32_t)thread_trampoline;
	return (uint32_t)sp;
}
