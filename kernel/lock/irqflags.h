/*
 * Turning IRQs off and on. In debug builds these functions tell lockdep before
 * IRQs go on, and lockdep looks at the locks that the thread holds. They need not
 * tell lockdep that IRQs go off: lockdep reads the IRQ flag when a lock is taken.
 *
 * The floors below kernel/lock/ use the raw_ forms of kernel/arch/arch.h. These
 * floors take no lock that lockdep sees. Owns no data. Any context but FIQ.
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
