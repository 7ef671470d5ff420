/*
 * GICv2, with one IPI as FIQ: the pseudo-NMI. Source: ARM IHI 0048B.
 *
 * All interrupts are in group 1 (IRQ), except IPI_NMI: it is in group 0 and so
 * comes as FIQ. In non-secure state the groups cannot be set: then there is no
 * pseudo-NMI.
 *
 * IPI_KICK has a higher priority than all other IRQs. While a core waits for a
 * spinlock in a handler, that handler's interrupt is still active. If IPI_KICK
 * had the same priority, the controller would not signal it, and the WFI of the
 * core would not end.
 */
#include "drivers/devices.h"
#include "drivers/gic.h"
#include "kernel/arch/mmu.h"
#include "kernel/debug/panic.h"
#include "kernel/irq/irq.h"

#define GICD_CTLR	0x000
#define GICD_TYPER	0x004
#define GICD_IGROUPR	0x080
#define GICD_ISENABLER	0x100
#define GICD_ICENABLER	0x180
#define GICD_ICPENDR	0x280
#define GICD_ICACTIVER	0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR	0x800
#define GICD_ICFGR	0xc00
#define GICD_SGIR	0xf00
#define GICD_CPENDSGIR	0xf10
#define GICD_PIDR2	0xfe8
#define GICC_CTLR	0x00
#define GICC_PMR	0x04
#define GICC_BPR	0x08
#define GICC_IAR	0x0c
#define GICC_EOIR	0x10
#define GICC_HPPIR	0x18
#define GICC_ABPR	0x1c
#define GICC_APR	0xd0
#define GICC_NSAPR	0xe0
#define GICC_IIDR	0xfc

static uintptr_t dist, cpuif;
static uint8_t iface[NR_CPUS]; /* core number to CPU interface bit */

static struct irqchip_ops gic2_ops;

/* Clear these bits of a register of the distributor in which a 1 clears a bit. The
 * register is read first: an emulator looks at all interrupts of all cores at each
 * write. */
static void clear_bits(uint32_t offset, uint32_t bits)
{
	if (mmio_read(dist + offset) & bits)
		mmio_write(dist + offset, bits);
}

/*
 * Set the binary points so that all bits of a priority decide whether one
 * interrupt preempts another. A 0 selects the least value that the controller
 * has. With a large value IPI_KICK would not preempt any interrupt.
 *
 * Clear the active priorities: an interrupt that the firmware has acknowledged
 * and not ended would mask its own priority and all lower ones for ever. A
 * register that the CPU interface does not have, or that belongs to the secure
 * state, ignores the write. IHI 0048B 4.4.3, 4.4.8, 4.4.12.
 */
static void reset_priorities(void)
{
	mmio_write(cpuif + GICC_BPR, 0);
	mmio_write(cpuif + GICC_ABPR, 0);
	for (unsigned int i = 0; i < 16; i += 4) {
		mmio_write(cpuif + GICC_APR + i, 0);
		mmio_write(cpuif + GICC_NSAPR + i, 0);
	}
}

static void gic2_init_core(unsigned int cpu)
{
	mmio_write(cpuif + GICC_CTLR, 0);
	iface[cpu] = (uint8_t)mmio_read(dist + GICD_ITARGETSR);
	if (!iface[cpu])
		iface[cpu] = 1; /* with one core the register reads as 0 */
	clear_bits(GICD_ICENABLER, 0xffff0000);
	clear_bits(GICD_ICPENDR, ~0u);
	clear_bits(GICD_ICACTIVER, ~0u);
	mmio_write(dist + GICD_ICFGR + 4, 0); /* its timers: by level */
	mmio_write(dist + GICD_IGROUPR, GROUP1);
	if (cpu == 0)
		gic2_ops.has_nmi = mmio_read(dist + GICD_IGROUPR) == GROUP1;
	gic_set_own_priorities(dist + GICD_IPRIORITYR);
	/* Drop the IPIs that were sent to this core before it went off. */
	for (unsigned int i = 0; i < 16; i += 4)
		clear_bits(GICD_CPENDSGIR + i, ~0u);
	mmio_write(dist + GICD_ISENABLER, 0xffff);
	reset_priorities();
	mmio_write(cpuif + GICC_PMR, MASK_NONE);
	/* Enable group 0 and group 1, AckCtl and FIQEn. Without groups the
	 * register has just the enable bit. */
	mmio_write(cpuif + GICC_CTLR, gic2_ops.has_nmi ? 0xf : 0x1);
	/* Now interrupts come, also those still pending after CPU_ON. */
	mmio_write(dist + GICD_CTLR, gic2_ops.has_nmi ? 3 : 1);
	if (gic2_ops.has_nmi)
		__asm__ volatile("cpsie f" ::: "memory");
}

/* One interrupt. If another one is pending, the core takes it when this one has
 * returned. To look for it here would cost each interrupt an access more. */
static void gic2_handle(struct regs *regs)
{
	uint32_t iar = mmio_read(cpuif + GICC_IAR);
	uint32_t id = iar & 0x3ff;

	if (id >= NO_IRQ)
		return;
	dsb(); /* acknowledged before the handler looks at its data */
	if (id == IPI_NMI) /* with AckCtl, IAR returns this too */
		fiq_report(regs);
	else if (id < NR_IPIS)
		ipi_arrived((enum ipi)id);
	else
		irq_dispatch(id);
	mmio_write(cpuif + GICC_EOIR, iar);
}

static bool gic2_fiq(void)
{
	/* gic2_handle() may have taken the IPI_NMI already. Then a read of IAR
	 * here would acknowledge another interrupt. */
	if ((mmio_read(cpuif + GICC_HPPIR) & 0x3ff) != IPI_NMI)
		return false;
	mmio_write(cpuif + GICC_EOIR, mmio_read(cpuif + GICC_IAR));
	return true;
}

static void gic2_enable(unsigned int irq, unsigned int cpu)
{
	(void)cpu;
	if (irq >= 32) /* gic2_init_core() has set those of the core's own */
		*(volatile uint8_t *)(dist + GICD_IPRIORITYR + irq) = PRIO_ALL;
	mmio_write(dist + GICD_ISENABLER + irq / 32 * 4, 1u << (irq % 32));
}

static void gic2_disable(unsigned int irq)
{
	mmio_write(dist + GICD_ICENABLER + irq / 32 * 4, 1u << (irq % 32));
}

static void gic2_route(unsigned int irq, unsigned int cpu)
{
	uintptr_t a = dist + GICD_ITARGETSR + irq / 4 * 4;
	unsigned int shift = irq % 4 * 8;

	mmio_write(a, (mmio_read(a) & ~(0xffu << shift)) |
			      ((uint32_t)iface[cpu] << shift));
}

static void gic2_send_ipi(struct cpumask to, enum ipi ipi)
{
	uint32_t targets = 0;
	unsigned int cpu;

	for_each_cpu (cpu, to)
		targets |= iface[cpu];
	dsb(); /* the receiver sees our stores when the interrupt comes */
	/* Bit 15: send as group 1 (ignored without security extension). */
	mmio_write(dist + GICD_SGIR, targets << 16 |
					     (ipi == IPI_NMI ? 0 : 1u << 15) |
					     (uint32_t)ipi);
}

static void gic2_clear_kick(void)
{
	uintptr_t a = dist + GICD_CPENDSGIR + IPI_KICK / 4 * 4;

	mmio_write(a, 0xffu << (IPI_KICK % 4 * 8));
	mmio_arrived(a);
}

static void gic2_kicks_only(bool on)
{
	mmio_write(cpuif + GICC_PMR, on ? MASK_ALL : MASK_NONE);
}

static void gic2_quiesce(void)
{
	mmio_write(dist + GICD_ICENABLER, ~0u << 16);
	for (unsigned int i = 0; i < 16; i += 4)
		mmio_write(dist + GICD_CPENDSGIR + i, ~0u);
	mmio_arrived(dist + GICD_CPENDSGIR);
}

static struct irqchip_ops gic2_ops = {
	.name = "GICv2",
	.init_core = gic2_init_core,
	.handle = gic2_handle,
	.fiq = gic2_fiq,
	.enable = gic2_enable,
	.disable = gic2_disable,
	.route = gic2_route,
	.send_ipi = gic2_send_ipi,
	.clear_kick = gic2_clear_kick,
	.kicks_only = gic2_kicks_only,
	.quiesce = gic2_quiesce,
};

bool gic2_init(uint32_t dist_pa, uint32_t cpu_pa)
{
	unsigned int lines;

	/* An ID field of each block must say architecture version 2. */
	dist = map_checked(dist_pa, 0x1000, GICD_PIDR2, 0xf0, 2 << 4);
	cpuif = map_checked(cpu_pa, 0x2000, GICC_IIDR, 0xf0000, 2 << 16);
	if (!dist || !cpuif)
		return false;
	mmio_write(dist + GICD_CTLR, 0);
	lines = 32 * ((mmio_read(dist + GICD_TYPER) & 31) + 1);
	for (unsigned int i = 32; i < lines; i += 32) {
		clear_bits(GICD_ICENABLER + i / 8, ~0u);
		clear_bits(GICD_ICPENDR + i / 8, ~0u);
		clear_bits(GICD_ICACTIVER + i / 8, ~0u);
		mmio_write(dist + GICD_IGROUPR + i / 8, ~0u);
		/* By level; two bits each. */
		mmio_write(dist + GICD_ICFGR + i / 4, 0);
		mmio_write(dist + GICD_ICFGR + i / 4 + 4, 0);
	}
	irqchip = &gic2_ops;
	return true;
}
