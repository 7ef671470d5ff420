/*
 * The generic timer: a counter for all and a comparator a core, the virtual ones
 * or, where the offset of the virtual counter could not be cleared at the entry,
 * the physical ones. Source: ARM DDI 0406C, B8.
 *
 * Owns the conversion factors, fixed at boot. Any context.
 */
#include "drivers/devices.h"
#include "kernel/lib/printf.h"

#define CTL_ENABLE 1u
#define HZ_DEFAULT 62500000u
#define HZ_MIN	   4000000u
/* Of the fixed-point factors, which are at most 2^32 from 4 MHz to 1 GHz. */
#define NS_SHIFT    24
#define TICKS_SHIFT 32

uint32_t timer_hz;
bool timer_physical;
unsigned int timer_irq;
static uint64_t ns_per_tick, ticks_per_ns;

uint64_t timer_now(void)
{
	isb(); /* not read ahead of what stands before */
	return timer_about_now();
}

/* v * factor >> shift without losing the upper half of the product. */
static uint64_t scale(uint64_t v, uint64_t factor, unsigned int shift)
{
	uint64_t lo = (v & 0xffffffffu) * factor;
	uint64_t hi = (v >> 32) * factor;

	return (hi << (32 - shift)) + (lo >> shift);
}

/* The least factor for a / b: a wait is never too short for it. */
static uint64_t factor(uint64_t a, uint32_t b, unsigned int shift)
{
	return ((a << shift) + b - 1) / b;
}

uint64_t timer_ns(uint64_t ticks)
{
	return scale(ticks, ns_per_tick, NS_SHIFT);
}

uint64_t timer_ticks(uint64_t ns)
{
	return scale(ns, ticks_per_ns, TICKS_SHIFT) + 1;
}

uint64_t timer_now_ns(void)
{
	return timer_ns(timer_now());
}

static void set_ctl(uint32_t v)
{
	if (timer_physical)
		__asm__ volatile("mcr p15, 0, %0, c14, c2, 1" ::"r"(v));
	else
		__asm__ volatile("mcr p15, 0, %0, c14, c3, 1" ::"r"(v));
	isb();
}

void timer_set(uint64_t deadline)
{
	uint32_t lo = (uint32_t)deadline, hi = (uint32_t)(deadline >> 32);

	if (timer_physical)
		__asm__ volatile("mcrr p15, 2, %0, %1, c14" ::"r"(lo), "r"(hi));
	else
		__asm__ volatile("mcrr p15, 3, %0, %1, c14" ::"r"(lo), "r"(hi));
	set_ctl(CTL_ENABLE);
}

void timer_stop(void)
{
	set_ctl(0);
}

static void timer_irq_handler(unsigned int irq, void *arg)
{
	(void)irq;
	(void)arg;
	timer_interrupt();
}

void timer_init_core(void)
{
	unsigned int cpu = board_this_core();

	timer_stop();
	irqchip->enable(timer_irq, cpu);
	board_note_core(cpu);
}

uint32_t timer_cntfrq(void)
{
	uint32_t hz;

	__asm__ volatile("mrc p15, 0, %0, c14, c0, 0" : "=r"(hz));
	return hz;
}

void timer_init(unsigned int irq, uint32_t hz)
{
	uint32_t said = timer_cntfrq();

	timer_hz = hz ? hz : said;
	if (timer_hz < HZ_MIN || timer_hz > 1000000000u) {
		kprintf("timer: CNTFRQ says %u Hz, taking %u\n", said,
			HZ_DEFAULT);
		timer_hz = HZ_DEFAULT;
	}
	ns_per_tick = factor(1000000000u, timer_hz, NS_SHIFT);
	ticks_per_ns = factor(timer_hz, 1000000000u, TICKS_SHIFT);
	timer_irq = irq;
	irq_register(irq, timer_irq_handler, NULL);
}
