/*
 * How a core sleeps until it may take a spinlock. For kernel/lock/ only. The
 * mechanism: park.c.
 */
#pragma once

#include "kernel/lock/spinlock.h"

#define SPIN_LIMIT 200 /* looks before a core sleeps */

/* Sleep in WFI once, and add one to *wfis. From the second WFI of a wait on,
 * only a kick ends the WFI (hears_kicks_only()). flags: of the caller's
 * local_irq_save(). IRQs off. */
void sleep_in_wfi(uint32_t flags, unsigned int *wfis);
/* The wait is over: let every interrupt end a WFI again. */
void end_sleep_in_wfi(uint32_t flags, unsigned int wfis);
