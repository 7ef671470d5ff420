/*
 * The counter, the comparators, and the factors between ticks and nanoseconds.
 *
 * Owns the rate and the factors; they are fixed at boot. See clock.h.
 */
#include "kernel/arch/clock.h"

#include "kernel/arch/arch.h"

#define CTL_ENABLE 1u
#define HZ_MIN	   4000000u
#define HZ_MAX	   1000000000u
#define NS_IN_S	   1000000000u
/* Of the fixed-point factors. From HZ_MIN to HZ_MAX they are at most 2^32. */
#define NS_SHIFT    24
#define TICKS_SHIFT 32

uint32_t timer_hz;
bool timer_physical;
unsigned int timer_irq;
static uint64_t ns_per_tick, ticks_per_ns;

uint64_t timer_now(void)
{
	isb(); /* no read of the counter before earlier instructions are done */
	return timer_about_now();
}

/* v * factor >> shift without losing the upper half of the product. */
static uint64_t scale(uint64_t v, uint64_t factor, unsigned int shift)
{
	uint64_t lo = (v & 0xffffffffu) * factor;
	uint64_t hi = (v >> 32) * factor;

	return (hi << (32 - shift)) + (lo >> shift);
}

/* Returns a / b as a fixed-point factor, rounded up, so that a wait is never
 * too short. */
static uint64_t make_factor(uint64_t a, uint32_t b, unsigned int shift)
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

uint32_t timer_cntfrq(void)
{
	uint32_t hz;

	__asm__ volatile("mrc p15, 0, %0, c14, c0, 0" : "=r"(hz));
	return hz;
}

bool clock_set_rate(uint32_t hz)
{
	if (hz < HZ_MIN || hz > HZ_MAX)
		return false;
	timer_hz = hz;
	ns_per_tick = make_factor(NS_IN_S, hz, NS_SHIFT);
	ticks_per_ns = make_factor(hz, NS_IN_S, TICKS_SHIFT);
	return true;
}
