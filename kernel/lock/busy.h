/*
 * Notes of the waits of a thread that spins, for reports (debug builds).
 *
 * A thread that sleeps notes its wait in wait_begin(). A thread that spins
 * notes it here. The notes nest, also in interrupts: busy_begin() returns the
 * outer note, and busy_set() puts that back. Only the thread itself writes its
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
