/*
 * Shared data of an experiment, declared to the explorer: each access is a point
 * at which another thread may come first.
 *
 * No other thread can come first under a spinlock, with interrupts off, in an RCU
 * callback, or in a notifier on the core that comes or goes. There the access is a
 * part of the current step. Declare it all the same: otherwise the explorer does
 * not know that the order of this step and another one makes a difference.
 *
 * Thread context. Without the explorer: READ_ONCE() and WRITE_ONCE().
 */
#pragma once

#include "kernel/debug/trace.h"
#include "kernel/lib/compiler.h"

#define shared_read(x)                                                         \
	({                                                                     \
		trace_point(TR_SHARED_READ, &(x), 0, CALLER);                  \
		READ_ONCE(x);                                                  \
	})
#define shared_write(x, value)                                                 \
	do {                                                                   \
		trace_point(TR_SHARED_WRITE, &(x), 0, CALLER);                 \
		WRITE_ONCE(x, value);                                          \
	} while (0)
