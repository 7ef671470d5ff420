/*
 * The watchdog thread: finds threads that hang and reports why, once for each
 * wait. It never waits for a lock that a hung thread could hold.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct thread;

void watchdog_init(void);

/*
 * A wait that is longer than this (guest time, ns) and that no thread can end
 * is reported. A cycle is reported at once: debug builds look at each thread
 * that blocks on a blocked one. Release builds, and cycles of spinlocks, wait
 * for the next look.
 */
#define WATCHDOG_LOOK_NS 250000000ull
extern uint64_t watchdog_hung_ns;

/* Reports made since boot. */
extern unsigned int watchdog_reports;

/*
 * on: the caller finds hangs and reports them itself; the watchdog is silent
 * until the matching call with off. Nests.
 */
void watchdog_mute(bool on);
