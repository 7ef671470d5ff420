/*
 * GICv3 through its system registers, with one IPI as FIQ: the pseudo-NMI.
 * Priorities and groups are as in gic2.c. Source: ARM IHI 0069.
 */
#include "drivers/devices.h"
#include "drivers/gic.h"
#include "kernel/arch/mmu.h"
#include "kernel/debug/panic.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/printf.h"

#define GICD_CTLR	0x0000
#define GICD_TYPER	0x0004
#define GICD_IGROUPR	0x0080
#define GICD_ISENABLER	0x0100
#define GICD_ICENABLER	0x0180
#define GICD_ICPENDR	0x0280
#define GICD_ICACTIVER	0x0380
#define GICD_IPRIORITYR 0x0400
#define GICD_ICFGR	0x0c00
#define GICD_IGRPMODR	0x0d00
#define GICD_IROUTER	0x6000
#define CTLR_ARE	0x10u
#define CTLR_BUSY	(1u << 31) /* RWP: a write is not effective yet */
#define GICR_TYPER	0x0008
#define GICR_TYPER_LAST 0x10u
#define GICR_TYPER_HI	0x000c
#define GICR_WAKER	0x0014
#define GICR_SGI	0x10000 /* second frame */
#define GICR_STRIDE	0x20000
#define GIC_PIDR2	0xffe8			     /* version, in both */
#define REDIST_MAX	(0u + NR_CPUS * GICR_STRIDE) /* so much is looked at */

#define ICC_WRITE(v, ...)                                                      \
	__asm__ volatile("mcr p15, 0, %0, " __VA_ARGS__ ::"r"(v) : "memory")
#define ICC_READ(v, ...)                                                       \
	__asm__ volatile("mrc p15, 0, %0, " __VA_ARGS__ : "=r"(v)::"memory")

#define BUSY_TRIES 100000u /* a dead controller must not hang the kernel */

static uintptr_t dist, redist[NR_CPUS];

static struct irqchip_ops gic3_ops;

/* Write the distributor's CTLR, and wait until the write has taken effect. */
static void set_ctlr(uint32_t v)
{
	mmio_write(dist + GICD_CTLR, v);
	for (unsigned int i = 0; i < BUSY_TRIES; i++)
		if (!(mmio_read(dist + GICD_CTLR) & CTLR_BUSY))
			break;
}

/*
 * As reset_priorities() in gic2.c. This function also sets the control
 * register: an end of interrupt also deactivates the interrupt, and each group
 * has its own binary point. There is one register of active priorities for each
 * group, and more if the controller has more than 5 bits of priority. IHI 0069
 * 12.2.
 */
static void reset_priorities(void)
{
	uint32_t bits;

	ICC_WRITE(0, "c12, c12, 4"); /* CTLR */
	ICC_READ(bits, "c12, c12, 4");
	bits = (bits >> 8 & 7) + 1;
	ICC_WRITE(0, "c12, c8, 3");  /* BPR0 */
	ICC_WRITE(0, "c12, c12, 3"); /* BPR1 */
	ICC_WRITE(0, "c12, c8, 4");  /* AP0R0 */
	ICC_WRITE(0, "c12, c9, 0");  /* AP1R0 */
	if (bits > 5) {
		ICC_WRITE(0, "c12, c8, 5");
		ICC_WRITE(0, "c12, c9, 1");
	}
	if (bits > 6) {
		ICC_WRITE(0, "c12, c8, 6");
		ICC_WRITE(0, "c12, c8, 7");
		ICC_WRITE(0, "c12, c9, 2");
		ICC_WRITE(0, "c12, c9, 3");
	}
}

static void gic3_init_core(unsigned int cpu)
{
	uintptr_t sgi = redist[cpu] + GICR_SGI;
	uint32_t v;

	v = mmio_read(redist[cpu] + GICR_WAKER);
	mmio_write(redist[cpu] + GICR_WAKER, v & ~2u);
	/* No emulator's redistributor stays asleep, so no test runs this
	 * line. */
	for (unsigned int i = 0; mmio_read(redist[cpu] + GICR_WAKER) & 4u; i++)
		if (i == BUSY_TRIES) {
			kprintf("GICv3: the redistributor of core %u stays "
				"asleep; going on without waiting\n",
				cpu);
			break;
		}
	mmio_write(sgi + GICD_ICENABLER, 0xffff0000);
	mmio_write(sgi + GICD_ICPENDR, ~0u);
	mmio_write(sgi + GICD_ICACTIVER, ~0u);
	mmio_write(sgi + GICD_ICFGR + 4, 0); /* its timers: by level */
	mmio_write(sgi + GICD_IGRPMODR, 0);
	mmio_write(sgi + GICD_IGROUPR, GROUP1);
	if (cpu == 0)
		gic3_ops.has_nmi = mmio_read(sgi + GICD_IGROUPR) == GROUP1;
	gic_set_own_priorities(sgi + GICD_IPRIORITYR);
	mmio_write(sgi + GICD_ISENABLER, 0xffff);
	ICC_WRITE(7, "c12, c12, 5"); /* SRE */
	isb();
	ICC_READ(v, "c12, c12, 5");
	if (!(v & 1))
		panic("GICv3: the firmware does not allow its system "
		      "registers");
	reset_priorities();
	ICC_WRITE(MASK_NONE, "c4, c6, 0");	    /* PMR */
	ICC_WRITE(gic3_ops.has_nmi, "c12, c12, 6"); /* IGRPEN0 */
	ICC_WRITE(1, "c12, c12, 7");		    /* IGRPEN1 */
	set_ctlr(gic3_ops.has_nmi ? CTLR_ARE | 3 : CTLR_ARE | 2);
	isb();
	if (gic3_ops.has_nmi)
		__asm__ volatile("cpsie f" ::: "memory");
}

/* One interrupt, as in gic2.c. */
static void gic3_handle(struct regs *regs)
{
	uint32_t id;

	(void)regs;
	ICC_READ(id, "c12, c12, 0"); /* IAR1 */
	dsb(); /* acknowledged before the handler looks at its data */
	id &= 0xffffff;
	if (id >= NO_IRQ)
		return;
	if (id < NR_IPIS)
		ipi_arrived((enum ipi)id);
	else
		irq_dispatch(id);
	ICC_WRITE(id, "c12, c12, 1"); /* EOIR1 */
}

static bool gic3_fiq(void)
{
	uint32_t id;

	ICC_READ(id, "c12, c8, 0"); /* IAR0 */
	id &= 0xffffff;
	if (id >= NO_IRQ)
		return false;
	ICC_WRITE(id, "c12, c8, 1"); /* EOIR0 */
	return id == IPI_NMI;
}

static void gic3_enable(unsigned int irq, unsigned int cpu)
{
	uintptr_t base = irq < 32 ? redist[cpu] + GICR_SGI : dist;

	mmio_write(base + GICD_ISENABLER + irq / 32 * 4, 1u << (irq % 32));
}

static void gic3_disable(unsigned int irq)
{
	/* Each core has its own interrupts below 32, and registers for them. */
	uintptr_t base = irq < 32 ? redist[board_this_core()] + GICR_SGI : dist;

	mmio_write(base + GICD_ICENABLER + irq / 32 * 4, 1u << (irq % 32));
}

static void gic3_route(unsigned int irq, unsigned int cpu)
{
	mmio_write(dist + GICD_IROUTER + irq * 8, board.mpidr[cpu]);
	mmio_write(dist + GICD_IROUTER + irq * 8 + 4, 0);
}

static void gic3_send_ipi(struct cpumask to, enum ipi ipi)
{
	unsigned int cpu;

	dsb(); /* the receiver sees our stores when the interrupt comes */
	for_each_cpu (cpu, to) {
		uint32_t aff = board.mpidr[cpu];
		uint32_t lo = (uint32_t)ipi << 24 | (aff >> 8 & 0xff) << 16 |
			      1u << (aff & 15);
		uint32_t hi = aff >> 16 & 0xff;

		if (ipi == IPI_NMI)
			__asm__ volatile("mcrr p15, 2, %0, %1, c12" ::"r"(lo),
					 "r"(hi));
		else
			__asm__ volatile("mcrr p15, 0, %0, %1, c12" ::"r"(lo),
					 "r"(hi));
	}
	isb();
}

static void gic3_clear_kick(void)
{
	uintptr_t sgi = redist[board_this_core()] + GICR_SGI;

	mmio_write(sgi + GICD_ICPENDR, 1u << IPI_KICK);
	mmio_arrived(sgi + GICD_ICPENDR);
}

static void gic3_kicks_only(bool on)
{
	ICC_WRITE(on ? MASK_ALL : MASK_NONE, "c4, c6, 0"); /* PMR */
	isb();
}

static void gic3_quiesce(void)
{
	uintptr_t sgi = redist[board_this_core()] + GICR_SGI;

	mmio_write(sgi + GICD_ICENABLER, ~0u << 16);
	mmio_write(sgi + GICD_ICPENDR, 0xffffu);
	mmio_arrived(sgi + GICD_ICPENDR);
}

static struct irqchip_ops gic3_ops = {
	.name = "GICv3",
	.init_core = gic3_init_core,
	.handle = gic3_handle,
	.fiq = gic3_fiq,
	.enable = gic3_enable,
	.disable = gic3_disable,
	.route = gic3_route,
	.send_ipi = gic3_send_ipi,
	.clear_kick = gic3_clear_kick,
	.kicks_only = gic3_kicks_only,
	.quiesce = gic3_quiesce,
};

/* Find the redistributor frame of each core by its affinity, from r on. */
static void find_frames(uintptr_t r, uint32_t size)
{
	uint32_t aff, type = 0;

	for (uint32_t off = 0;
	     off + GICR_STRIDE <= size && !(type & GICR_TYPER_LAST) &&
	     probe_read(r + off + GICR_TYPER, &type) &&
	     probe_read(r + off + GICR_TYPER_HI, &aff);
	     off += GICR_STRIDE)
		for (unsigned int cpu = 0; cpu < board.nr_cores; cpu++)
			if (board.mpidr[cpu] == (aff & 0xffffff))
				redist[cpu] = r + off;
}

/* A core without a redistributor would get no interrupt. */
static void drop_cores(void)
{
	for (unsigned int cpu = 1, last; cpu < board.nr_cores;) {
		if (redist[cpu]) {
			cpu++;
			continue;
		}
		kprintf("board: core 0x%x has no GIC redistributor: not used\n",
			board.mpidr[cpu]);
		last = --board.nr_cores;
		board.mpidr[cpu] = board.mpidr[last];
		redist[cpu] = redist[last];
	}
}

bool gic3_init(uint32_t dist_pa, uint32_t redist_pa, uint32_t redist_size)
{
	uint32_t size = min(redist_size, REDIST_MAX), lines;
	uintptr_t r;

	dist = map_checked(dist_pa, 0x10000, GIC_PIDR2, 0xf0, 3 << 4);
	r = map_checked(redist_pa, size, GIC_PIDR2, 0xf0, 3 << 4);
	if (!dist || !r)
		return false;
	find_frames(r, size);
	if (!redist[0])
		return false;
	drop_cores();
	/* Affinity routing may be turned on only while all groups are off. */
	set_ctlr(mmio_read(dist + GICD_CTLR) & CTLR_ARE);
	set_ctlr(CTLR_ARE);
	lines = 32 * ((mmio_read(dist + GICD_TYPER) & 31) + 1);
	for (unsigned int i = 32; i < lines; i += 4) {
		mmio_write(dist + GICD_IPRIORITYR + i, PRIO_ALL * 0x01010101u);
		if (i % 32)
			continue;
		mmio_write(dist + GICD_ICENABLER + i / 8, ~0u);
		mmio_write(dist + GICD_ICPENDR + i / 8, ~0u);
		mmio_write(dist + GICD_ICACTIVER + i / 8, ~0u);
		mmio_write(dist + GICD_IGRPMODR + i / 8, 0);
		mmio_write(dist + GICD_IGROUPR + i / 8, ~0u);
		/* By level; two bits each. */
		mmio_write(dist + GICD_ICFGR + i / 4, 0);
		mmio_write(dist + GICD_ICFGR + i / 4 + 4, 0);
	}
	irqchip = &gic3_ops;
	return true;
}
