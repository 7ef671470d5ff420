/*
 * The clock: ARM's generic timer. All cores share one counter; each core has a
 * comparator of its own.
 *
 * A point in time is a count of ticks since the machine started. The counter
 * never goes back, and all cores read the same value. The comparator raises the
 * interrupt timer_irq on its core once the counter has reached the deadline;
 * kernel/sched/timer.c programs it.
 *
 * There is a virtual counter and a physical one. They differ by an offset that
 * only code in HYP mode can clear. The board's code decides which one the
 * kernel uses (timer_physical), before anybody reads the time.
 *
 * Any context, unless a comment says otherwise. Source: ARM DDI 0406C, B8.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Interrupt numbers of the two comparators. */
#define TIMER_IRQ_VIRTUAL  27
#define TIMER_IRQ_PHYSICAL 30

/* Set once, by the board's code on the boot core. */
extern bool timer_physical;
extern unsigned int timer_irq;
extern uint32_t timer_hz; /* ticks a second; clock_set_rate() writes it */

/* The counter's rate as the firmware has noted it, right or wrong. */
uint32_t timer_cntfrq(void);
/* Set the counter's rate. If hz is below 4 MHz or above 1 GHz, change nothing
 * and return false. Boot core, during start. */
bool clock_set_rate(uint32_t hz);

/* Now, in ticks; not read before the instructions in front of it are done. */
uint64_t timer_now(void);
/* As timer_now(), but the processor may read the counter a little early.
 * Cheaper. */
static inline uint64_t timer_about_now(void)
{
	uint32_t lo, hi;

	if (timer_physical)
		__asm__ volatile("mrrc p15, 0, %0, %1, c14"
				 : "=r"(lo), "=r"(hi)::"memory");
	else
		__asm__ volatile("mrrc p15, 1, %0, %1, c14"
				 : "=r"(lo), "=r"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}
uint64_t timer_now_ns(void);
uint64_t timer_ticks(uint64_t ns); /* ns to ticks, rounded up */
uint64_t timer_ns(uint64_t ticks);

/* The calling core's comparator: set an absolute deadline, or turn it off. */
void timer_set(uint64_t deadline);
void timer_stop(void);
