/*
 * The two interrupt controllers of BCM2836 and BCM2837. The local controller
 * belongs to the cores. It also has the mailboxes that wake a core and carry
 * IPIs. The second controller collects the shared interrupts of the peripherals
 * and passes them to the local controller. Source: Broadcom QA7 rev 3.4;
 * BCM2835 ARM Peripherals, chapter 7.
 *
 * Interrupts have the numbers that they would have with a GIC: 27, 29 and 30
 * are the timer's. 32 to 95 are the interrupts 0 to 63 of the peripherals. An IPI
 * is a bit of mailbox 0, but IPI_NMI is in mailbox 1, which comes as FIQ. A mailbox
 * bit stays set until it is cleared, so no IPI is lost.
 *
 * Owns the registers. Contexts: as board.h says of irqchip_ops. BCM2711 has the
 * local block too, and uses bcm2836_release().
 */
#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/arch/clock.h"
#include "kernel/arch/mmu.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/printf.h"

/* From the local base; n is the core's number in the hardware. */
#define CONTROL		 0x00
#define PRESCALER	 0x08
#define GPU_ROUTE	 0x0c
#define PMU_OFF		 0x14 /* a 1 turns a core's counters' interrupt off */
#define AXI_IRQ		 0x30
#define LOCAL_TIMER	 0x34
#define TIMER_ENABLE(n)	 (0x40 + 4 * (n))
#define MBOX_ENABLE(n)	 (0x50 + 4 * (n))
#define IRQ_SOURCE(n)	 (0x60 + 4 * (n))
#define FIQ_SOURCE(n)	 (0x70 + 4 * (n))
#define MBOX_SET(n, m)	 (0x80 + 0x10 * (n) + 4 * (m))
#define MBOX_CLEAR(n, m) (0xc0 + 0x10 * (n) + 4 * (m))

#define SOURCE_TIMERS 0xfu
#define SOURCE_MBOX0  0x10u
#define SOURCE_MBOX1  0x20u
#define SOURCE_GPU    0x100u
#define IRQ_HANDLED   (SOURCE_TIMERS | SOURCE_MBOX0 | SOURCE_GPU)
#define MBOX0_IRQ     0x01u
#define MBOX1_FIQ     0x20u
#define RATE_OF_CLOCK 0x80000000u /* the timer counts the crystal itself */

/* From the peripherals' base. Each of the two words has the bits of 32
 * interrupts. A third word has the interrupts of the graphics processor. */
#define GPU	       0xb200
#define GPU_FIQ	       (GPU + 0x0c)
#define GPU_PENDING(i) (GPU + 0x04 + 4 * (i))
#define GPU_ENABLE(i)  (GPU + 0x10 + 4 * (i))
#define GPU_DISABLE(i) (GPU + 0x1c + 4 * (i))

/* In AArch64 the firmware's loop, in page 0, reads no mailbox: core n waits for
 * an address at SPIN_TABLE + 8 * n. Source: Linux, bcm2837.dtsi. */
#define SPIN_TABLE 0xd8

static uintptr_t local, gpu;

/* The hardware's numbers of core cpu and of the calling core. */
static unsigned int hw_core(unsigned int cpu)
{
	return board.mpidr[cpu] & 3;
}

static unsigned int this_hw_core(void)
{
	return read_mpidr() & 3;
}

static void bcm_init_core(unsigned int cpu)
{
	unsigned int me = hw_core(cpu);

	/* Drop the IPIs that were sent to this core before it started, and the
	 * IPI that woke it. */
	for (unsigned int m = 0; m < 4; m++)
		mmio_write(local + MBOX_CLEAR(me, m), ~0u);
	mmio_arrived(local + MBOX_CLEAR(me, 3));
	mmio_write(local + TIMER_ENABLE(me), 0);
	mmio_write(local + MBOX_ENABLE(me), MBOX0_IRQ | MBOX1_FIQ);
	__asm__ volatile("cpsie f" ::: "memory");
}

/* The timer's interrupt in TIMER_ENABLE. Of the physical timer's bits, 0 and 1,
 * one is for secure state and one for non-secure; both are set. */
static uint32_t timer_bits(unsigned int irq)
{
	return irq == TIMER_IRQ_VIRTUAL ? 8 : 3;
}

static void gpu_dispatch(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t pending = mmio_read(gpu + GPU_PENDING(i));

		for (; pending; pending &= pending - 1)
			irq_dispatch(32 + i * 32 +
				     (unsigned int)__builtin_ctz(pending));
	}
}

/* Turn off the sources without a handler: a source that is on would interrupt
 * for ever. */
static void turn_others_off(void)
{
	mmio_write(local + PMU_OFF, 0xff);
	mmio_write(local + AXI_IRQ, 0);
	mmio_write(local + LOCAL_TIMER, 0);
	mmio_arrived(local + LOCAL_TIMER);
}

/* Called if sources without a handler are on, because something has turned them
 * on after bcm2836_init(). */
static void drop(uint32_t sources)
{
	turn_others_off();
	kprintf("irq: sources 0x%x have no handler, disabled\n", sources);
}

static void bcm_handle(struct regs *regs)
{
	unsigned int me = this_hw_core();
	uint32_t source, ipis;

	(void)regs;
	do {
		source = mmio_read(local + IRQ_SOURCE(me));
		if (unlikely(source & ~IRQ_HANDLED))
			drop(source & ~IRQ_HANDLED);
		if (source & SOURCE_MBOX0) {
			ipis = mmio_read(local + MBOX_CLEAR(me, 0));
			mmio_write(local + MBOX_CLEAR(me, 0), ipis);
			/* Now the bits are cleared: an IPI that is sent from
			 * now on sets its bit again. */
			mmio_arrived(local + MBOX_CLEAR(me, 0));
			for (; ipis; ipis &= ipis - 1)
				ipi_arrived((enum ipi)__builtin_ctz(ipis));
		}
		if (source & SOURCE_TIMERS)
			irq_dispatch(timer_irq);
		if (source & SOURCE_GPU)
			gpu_dispatch();
	} while (source & IRQ_HANDLED);
}

static bool bcm_fiq(void)
{
	unsigned int me = this_hw_core();
	uint32_t source = mmio_read(local + FIQ_SOURCE(me));

	if (unlikely(source & ~SOURCE_MBOX1))
		drop(source & ~SOURCE_MBOX1);
	if (!(source & SOURCE_MBOX1))
		return false;
	mmio_write(local + MBOX_CLEAR(me, 1), ~0u);
	mmio_arrived(local + MBOX_CLEAR(me, 1));
	return true;
}

static void bcm_enable(unsigned int irq, unsigned int cpu)
{
	if (irq < 32)
		mmio_write(local + TIMER_ENABLE(hw_core(cpu)), timer_bits(irq));
	else
		mmio_write(gpu + GPU_ENABLE(irq / 32 - 1), 1u << irq % 32);
}

static void bcm_disable(unsigned int irq)
{
	if (irq < 32)
		mmio_write(local + TIMER_ENABLE(this_hw_core()), 0);
	else
		mmio_write(gpu + GPU_DISABLE(irq / 32 - 1), 1u << irq % 32);
}

/* All interrupts of the peripherals go to one core. */
static void bcm_route(unsigned int irq, unsigned int cpu)
{
	(void)irq;
	mmio_write(local + GPU_ROUTE, hw_core(cpu));
}

static void bcm_send_ipi(struct cpumask to, enum ipi ipi)
{
	unsigned int cpu;

	dsb(); /* the receiver sees our stores when the interrupt comes */
	for_each_cpu (cpu, to)
		mmio_write(local + MBOX_SET(hw_core(cpu), ipi == IPI_NMI),
			   1u << ipi);
}

static void bcm_clear_kick(void)
{
	uintptr_t a = local + MBOX_CLEAR(this_hw_core(), 0);

	mmio_write(a, 1u << IPI_KICK);
	mmio_arrived(a);
}

static void bcm_quiesce(void)
{
	unsigned int me = this_hw_core();

	mmio_write(local + TIMER_ENABLE(me), 0);
	for (unsigned int m = 0; m < 2; m++)
		mmio_write(local + MBOX_CLEAR(me, m), ~0u);
	mmio_arrived(local + MBOX_CLEAR(me, 1));
}

static const struct irqchip_ops bcm2836_ops = {
	.name = "BCM2836",
	.has_nmi = true,
	.init_core = bcm_init_core,
	.handle = bcm_handle,
	.fiq = bcm_fiq,
	.enable = bcm_enable,
	.disable = bcm_disable,
	.route = bcm_route,
	.send_ipi = bcm_send_ipi,
	.clear_kick = bcm_clear_kick,
	.quiesce = bcm_quiesce,
};

void bcm2836_local(uint32_t local_pa)
{
	local = map_device(local_pa, PAGE_SIZE);
}

void bcm2836_init(uintptr_t peripherals)
{
	gpu = peripherals;
	/* The firmware does not set these on every board. */
	mmio_write(local + CONTROL, 0);
	mmio_write(local + PRESCALER, RATE_OF_CLOCK);
	turn_others_off();
	mmio_write(gpu + GPU_FIQ, 0);
	for (unsigned int i = 0; i < 3; i++)
		mmio_write(gpu + GPU_DISABLE(i), ~0u);
	irqchip = &bcm2836_ops;
}

void bcm2836_release(unsigned int cpu)
{
	volatile uint64_t *table = (uint64_t *)(LOWMEM_VA + SPIN_TABLE);

	dsb(); /* the word that pen_on() has written is in memory */
	if (!boot_info.entry_el) {
		mmio_write(local + MBOX_SET(hw_core(cpu), 3),
			   boot_info.image_pa);
	} else if (!board.ram_base) { /* page 0 is in the direct map */
		table[hw_core(cpu)] = boot_info.image_pa;
		clean_to_memory(&table[hw_core(cpu)]);
	}
	sev(); /* the firmware's loop sleeps in WFE */
}

bool bcm2836_unread(unsigned int cpu)
{
	return mmio_read(local + MBOX_CLEAR(hw_core(cpu), 3)) != 0;
}
