/*
 * Interrupts: the entry, the handlers, and the interrupts that one core sends
 * to another (IPIs).
 *
 * What it is for. The vector calls irq_entry(). The controller's driver finds
 * out what is pending and calls irq_dispatch() or ipi_arrived(). These call the
 * function that was registered.
 *
 * The client's duties.
 * (1) Register before the interrupt can come: device interrupts and IPIs during
 *     start, on the boot core.
 * (2) A handler runs with IRQs off, on the stack of the interrupted thread. It
 *     must not sleep, and takes only locks that are always taken with IRQs off.
 * (3) A driver's handler makes its device quiet before it returns, or the
 *     interrupt comes again at once.
 *
 * Consequences. (a) While irq_depth of the current thread is above 0, `current`
 * is a thread that has nothing to do with the interrupt. (b) A wake-up in a
 * handler switches threads when the outermost interrupt ends. (c) A shared
 * interrupt goes to one core at a time; when that core goes off it moves
 * (irq_migrate()).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/board.h"

typedef void (*irq_handler)(unsigned int irq, void *arg);

/* Let fn handle a device interrupt from now on. An interrupt that cores share
 * (32 and up) is routed to the boot core and enabled. An interrupt that each
 * core has for itself must be enabled on each core. */
void irq_register(unsigned int irq, irq_handler fn, void *arg);
/* Called by the controller's driver: the device or timer interrupt irq is
 * pending. If it has no handler, it is disabled, with a message. */
void irq_dispatch(unsigned int irq);
/* Move the shared interrupts of core cpu to core `to`; returns how many. All
 * cores are stopped. */
unsigned int irq_migrate(unsigned int cpu, unsigned int to);
/* How many shared interrupts go to that core now. */
unsigned int irq_count(unsigned int cpu);

/* Call fn for each IPI of that kind. */
void ipi_register(enum ipi ipi, void (*fn)(void));
/* Called by the controller's driver: that IPI has come. */
void ipi_arrived(enum ipi ipi);
/* Register the handler that this floor itself has: IPI_STOP's. */
void irq_init(void);

/* Called from the IRQ vector. */
void irq_entry(struct regs *regs);
/* Registers of the interrupted code, on the core that asks; NULL if the core is
 * not in an interrupt. IRQs off. */
struct regs *irq_regs(void);

/*
 * The scheduler's part, set once at boot. Called with IRQs off when the
 * outermost interrupt ends, if the thread underneath may be preempted and has
 * need_resched set.
 */
extern void (*irq_preempt)(void);
