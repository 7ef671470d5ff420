/*
 * Software timers on the generic timer: one sorted list a core, guarded by that
 * core's timer lock (taken with IRQs off). The function runs in the timer
 * interrupt. When a core goes down its timers move to a surviving core.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/list.h"

struct timer {
	struct list_head link;
	uint64_t expires; /* counter ticks */
	void (*fn)(struct timer *t);
	void *arg;
	uint32_t cpu; /* whose list it is on */
	bool armed;
	bool timeout; /* of a sleeping thread */
};

/* At boot, after board_init(). */
void timers_init(void);
/* The calling core's comparator and its interrupt, each time the core comes up.
 * IRQs off. */
void timers_start_core(unsigned int cpu);
void timer_setup(struct timer *t, void (*fn)(struct timer *), void *arg);
/* (Re)arm on this core; deadline in counter ticks, absolute. Any context. */
void timer_arm(struct timer *t, uint64_t deadline);
/* Returns whether it was armed; its function may still be running elsewhere. */
bool timer_cancel(struct timer *t);
/* As above and waits until the function has returned. Not from that function. */
bool timer_cancel_sync(struct timer *t);

/* Program the comparator for the next event of this core. IRQs off. */
void timer_program(void);
/* A dead core's timers go to the calling core. */
void timers_migrate(unsigned int dead);
/* Armed timers on a core but for those of sleeping threads. */
unsigned int timers_armed(unsigned int cpu);
