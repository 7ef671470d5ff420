/*
 * The watchdog thread: finds threads that hang and says why, once for each
 * wait. It never waits for a lock that a hung thread could hold.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct thread;

void watchdog_init(void);

/*
 * A wait longer than this that nobody can end is reported (guest time, ns). A
 * cycle is reported at once: debug builds look at whoever blocks on somebody
 * blocked; the others, and cycles of spinlocks, at the next look.
 */
#define WATCHDOG_LOOK_NS 250000000ull
extern uint64_t watchdog_hung_ns;

/* Reports made since boot. */
extern unsigned int watchdog_reports;

/*
 * Somebody else looks after hangs now and reports them itself;
 * nests. The watchdog is silent meanwhile.
 */
void watchdog_mute(bool on);
