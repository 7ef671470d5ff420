/*
 * What board.c calls in the device files; nobody else includes this.
 */
#pragma once

#include "kernel/arch/board.h"

#define SAFE_RAM (64u << 20) /* what every machine has */
#define RAM_MAX	 0x40000000u

/* The command line, cut if it is too long; size: at most that many bytes. */
void board_args(const char *args, size_t size);
/* Memory that is not to be allocated. */
void board_reserve(uint64_t base, uint64_t size);

/* clock: what it runs at, in Hz; 0: its rate is left as it is. */
void pl011_init(uint32_t pa, unsigned int irq, uint32_t clock);
/* Until all has been sent, or for some ms. */
void pl011_drain(void);
void gic2_init(uint32_t dist_pa, uint32_t cpu_pa);
void gic3_init(uint32_t dist_pa, uint32_t redist_pa, uint32_t redist_size);
void psci_init(bool smc, uint32_t cpu_on, uint32_t cpu_off);
/* release: NULL, or lets core cpu out of the firmware's loop, to boot/start.S. */
void pen_init(void (*release)(unsigned int cpu));
/*
 * Is this a Raspberry Pi? fdt: its tree, NULL if there is none. Then its name,
 * console, interrupts, timer and core operations are set, drivers/pi.c.
 */
bool pi_init(const struct fdt *fdt);
/* Memory, cores and command line where no tree tells. */
void pi_without_tree(void);
/* The activity LED; any context. */
void pi_led(bool on);
/* The counter by the 1 MHz system timer, in Hz; 0: that stands still. Takes
 * 5 ms. */
uint32_t pi_measure(void);
/* Power off or reset, as far as the board can; returns if it is no Pi. */
void pi_power(bool off);
void bcm2836_local(uint32_t local_pa);
void bcm2836_init(uintptr_t peripherals);
/* Let core cpu out of the firmware's loop: mailbox 3. */
void bcm2836_release(unsigned int cpu);
/* What is in that mailbox now: 0 once the core has seen it. */
uint32_t bcm2836_unread(unsigned int cpu);
#define TIMER_IRQ_VIRTUAL  27
#define TIMER_IRQ_PHYSICAL 30
uint32_t timer_cntfrq(void);
/* hz: what the counter is known to run at; 0: what CNTFRQ says. */
void timer_init(unsigned int irq, uint32_t hz);
extern unsigned int timer_irq;
/* PSCI's SYSTEM_OFF if there is a PSCI; returns otherwise. */
void psci_system_off(void);
/* The same for SYSTEM_RESET. */
void psci_system_reset(void);

static inline uint32_t mmio_read(uintptr_t a)
{
	return *(volatile uint32_t *)a;
}
static inline void mmio_write(uintptr_t a, uint32_t v)
{
	*(volatile uint32_t *)a = v;
}

/* The line that p is in, from the caches to memory; and out of them: a clean alone
 * may be overtaken on a Cortex-A53 (erratum 855873). */
static inline void clean_to_memory(const volatile void *p)
{
	dsb();
	__asm__ volatile("mcr p15, 0, %0, c7, c14, 1" ::"r"(p) : "memory");
	dsb();
}
