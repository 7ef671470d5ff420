/*
 * The watchdog thread: finds threads that hang and reports why, once for each
 * wait.
 *
 *  a. A cycle is reported at once: debug builds check each thread that blocks
 *     on a blocked thread. In release builds a cycle is found at the next
 *     regular look, and so is a cycle of spinlocks.
 *  b. A wait that no thread can end is reported after watchdog_hung_ns, and so
 *     is a wait for a grace period that a reader delays.
 *  c. The watchdog takes no lock that a hung thread could hold.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct thread;

void watchdog_init(void);

/*
 * In nanoseconds of guest time: between two regular looks; how long a wait may
 * last that no thread can end.
 */
#define WATCHDOG_LOOK_NS 250000000ull
extern uint64_t watchdog_hung_ns;

/* Reports made since boot. */
extern unsigned int watchdog_reports;

/*
 * After watchdog_mute(true) the watchdog is silent until the matching
 * watchdog_mute(false): the caller itself finds hangs and reports them. Nests.
 */
void watchdog_mute(bool on);
