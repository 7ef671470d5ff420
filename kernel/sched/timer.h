/*
 * Timers: call a function, in the timer interrupt, once a deadline has passed.
 *
 * A timer is armed on the core that arms it, or on the core that runs its
 * function at that moment. When that core goes down, the timer moves to another
 * core. The function runs with IRQs off and no lock held, and never on two
 * cores at once; it may arm its own timer again. Any context but FIQ, unless a
 * comment says otherwise.
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
	uint32_t cpu; /* its list belongs to that core */
	bool armed;
	bool timeout; /* it ends a thread's sleep */
};

/* At boot, after board_init(), which finds the comparator's interrupt. */
void timers_init(void);
/* Stop the calling core's comparator and enable its interrupt, each time the
 * core comes up. IRQs off. */
void timers_start_core(unsigned int cpu);
/* Prepare t, before its first use. */
void timer_setup(struct timer *t, void (*fn)(struct timer *), void *arg);
/* Arm t, or arm it anew. deadline: absolute, in counter ticks. */
void timer_arm(struct timer *t, uint64_t deadline);
/* Disarm t. Returns whether t was armed. Its function may still be running. */
bool timer_cancel(struct timer *t);
/* As timer_cancel(), and wait until the function has returned. If the function
 * has armed t again, t is disarmed again. The function itself must not call
 * this. */
bool timer_cancel_sync(struct timer *t);

/* Set the comparator for the next event of this core, if it is set for a later
 * time. IRQs off. */
void timer_program(void);
/* Move the timers of a core that is off to the calling core. */
void timers_migrate(unsigned int dead);
/* The number of armed timers of that core, without those that end a sleep. */
unsigned int timers_armed(unsigned int cpu);
