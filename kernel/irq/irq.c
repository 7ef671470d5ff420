/*
 * Device interrupts: who handles them, and which core they are sent to.
 *
 * handlers is filled at boot; route belongs to whoever enables an interrupt
 * (boot) and to irq_migrate() (all cores stopped).
 */
#include "drivers/devices.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"

#define NR_IRQS	  288
#define FIRST_SPI 32

static struct {
	irq_handler fn;
	void *arg;
	uint8_t cpu; /* shared interrupts: the core it goes to, plus one */
} irqs[NR_IRQS];

void irq_register(unsigned int irq, irq_handler fn, void *arg)
{
	if (irq >= NR_IRQS)
		panic("irq %u: only %u are known", irq, NR_IRQS);
	irqs[irq].fn = fn;
	irqs[irq].arg = arg;
	if (irq < FIRST_SPI)
		return; /* a core's own: enabled on each core */
	irqs[irq].cpu = 1;
	irqchip->route(irq, 0);
	irqchip->enable(irq, 0);
}

void irq_dispatch(unsigned int irq)
{
	if (irq < NR_IRQS && irqs[irq].fn) {
		irqs[irq].fn(irq, irqs[irq].arg);
		return;
	}
	kprintf("irq %u: nobody handles it, disabled\n", irq);
	irqchip->disable(irq);
}

unsigned int irq_count(unsigned int cpu)
{
	unsigned int n = 0;

	for (unsigned int i = FIRST_SPI; i < NR_IRQS; i++)
		n += READ_ONCE(irqs[i].cpu) == cpu + 1;
	return n;
}

unsigned int irq_migrate(unsigned int cpu, unsigned int to)
{
	unsigned int n = 0;

	for (unsigned int i = FIRST_SPI; i < NR_IRQS; i++) {
		if (irqs[i].cpu != cpu + 1)
			continue;
		irqchip->route(i, to);
		WRITE_ONCE(irqs[i].cpu, (uint8_t)(to + 1));
		n++;
	}
	return n;
}
