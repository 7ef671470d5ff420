/*
 * What a spinning thread waits for, for reports (debug builds).
 *
 * Before a thread sleeps, wait_begin() notes what it waits for. If a thread spins,
 * busy_begin() does so. The notes nest, also in interrupts: busy_begin() returns
 * the outer note, and busy_set() restores it. Only the thread itself writes its
 * note; other threads read it as copy_waiting() in kernel/hang/waitfor.c does.
 * Any context but FIQ.
 */
#pragma once

#include "kernel/arch/clock.h"
#include "kernel/sched/thread.h"

#if GORDIAN_DEBUG
/* Note w as the current thread's wait. Returns the note that w replaces. */
struct waiting busy_set(struct waiting w);
#define busy_begin(ops, obj, name, caller)                                     \
	busy_set((struct waiting){ (ops), (obj), (name), (caller),             \
				   .since = timer_now() })
#else
#define busy_begin(ops, obj, name, caller) ((struct waiting){ 0 })
#define busy_set(outer)			   ((void)(outer))
#endif
