/*
 * Interrupt entry, device interrupts and IPIs. See irq.h.
 *
 * Owns the handlers, which are registered at boot, and the core that each
 * shared interrupt goes to. irq_register() sets that core, and irq_migrate()
 * changes it while all cores are stopped.
 */
#include "kernel/irq/irq.h"

#include "kernel/arch/board.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h" /* struct thread; nothing is called */

#define NR_IRQS	  288
#define FIRST_SPI 32

static struct {
	irq_handler fn;
	void *arg;
	uint8_t cpu; /* of a shared interrupt: its core, plus one */
} irqs[NR_IRQS];

static void (*ipis[NR_IPIS])(void); /* NULL: the interrupt itself is enough */

static struct regs *interrupted[NR_CPUS]; /* each core's own, IRQs off */

static void no_scheduler_yet(void)
{
}

void (*irq_preempt)(void) = no_scheduler_yet;

/* ---- entry --------------------------------------------------------------- */

void irq_entry(struct regs *regs)
{
	struct thread *t = current;
	unsigned int cpu = smp_processor_id();
	struct regs *outer = interrupted[cpu];
	struct lockdep_context context;

	interrupted[cpu] = regs;
	lockdep_irq_enter(&context);
	t->irq_depth++;
	irqchip->handle(regs);
	lockdep_irq_exit(&context);
	t->irq_depth--;
	interrupted[cpu] = outer;
	if (t->irq_depth || t->preempt_count || t->is_idle)
		return;
	if (READ_ONCE(t->need_resched))
		irq_preempt();
}

struct regs *irq_regs(void)
{
	return interrupted[smp_processor_id()];
}

/* ---- IPIs ---------------------------------------------------------------- */

void ipi_register(enum ipi ipi, void (*fn)(void))
{
	ipis[ipi] = fn;
}

void ipi_arrived(enum ipi ipi)
{
	if (ipis[ipi])
		ipis[ipi]();
}

static void stop_this_core(void)
{
	panic_stop_core(irq_regs());
}

void irq_init(void)
{
	ipi_register(IPI_STOP, stop_this_core);
}

/* ---- device interrupts --------------------------------------------------- */

void irq_register(unsigned int irq, irq_handler fn, void *arg)
{
	if (irq >= NR_IRQS)
		panic("irq %u: there are only %u", irq, NR_IRQS);
	irqs[irq].fn = fn;
	irqs[irq].arg = arg;
	if (irq < FIRST_SPI)
		return; /* not shared: each core enables its own */
	irqs[irq].cpu = 1;
	irqchip->route(irq, 0);
	irqchip->enable(irq, 0);
}

void irq_dispatch(unsigned int irq)
{
	if (irq < NR_IRQS && irqs[irq].fn) {
		irq_handler fn = irqs[irq].fn;
		struct lockdep_context context;

		lockdep_enter(&context);
		fn(irq, irqs[irq].arg);
		lockdep_leave(&context, "a handler returns", (const void *)fn);
		return;
	}
	kprintf("irq %u: no handler, disabled\n", irq);
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
