/*
 * Turning IRQs off and on. In debug builds lockdep is told before IRQs go on:
 * it looks at the locks that the thread holds at that moment. Nothing has to be
 * told when they go off: a lock that is taken then notes that they are.
 *
 * The floors below kernel/lock/ use the raw_ forms of kernel/arch/arch.h; they
 * take no lock that lockdep sees. Owns no data. Any context but FIQ.
 */
#pragma once

#include "kernel/arch/arch.h"

#if GORDIAN_DEBUG
/* IRQs are about to go on (kernel/lock/lockdep_irq.c). */
void lockdep_irqs_on(void);
#else
#define lockdep_irqs_on() ((void)0)
#endif

#define local_irq_disable() raw_local_irq_disable()
#define local_irq_enable()                                                     \
	do {                                                                   \
		lockdep_irqs_on();                                             \
		raw_local_irq_enable();                                        \
	} while (0)

/* Mask IRQs; returns what local_irq_restore() takes. */
static inline uint32_t local_irq_save(void)
{
	return raw_local_irq_save();
}

static inline void local_irq_restore(uint32_t flags)
{
#if GORDIAN_DEBUG
	if (!(flags & PSR_I))
		lockdep_irqs_on();
#endif
	raw_local_irq_restore(flags);
}
