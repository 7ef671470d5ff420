/*
 * Shared data of an experiment, declared to the explorer. Each access is a
 * point at which another thread may come first.
 *
 * In some places the thread cannot stop: under a spinlock of the kernel, with
 * interrupts off, in an RCU callback, in a notifier on the core that comes or goes.
 * There the access belongs to the step. Declare it there too: otherwise the
 * explorer does not try both orders.
 *
 * Thread context. Without the explorer these are READ_ONCE() and WRITE_ONCE().
 */
#pragma once

#include "kernel/debug/trace.h"
#include "kernel/lib/compiler.h"

/* The explorer ignores the plain accesses of such a function. Use it for a function
 * that only computes to let time pass, or that only writes notes which are read
 * after the round. */
#define unseen __attribute__((no_sanitize("thread"))) noinline

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
