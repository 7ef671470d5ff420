/*
 * Shared by the files of kernel/sched/ alone.
 */
#pragma once

#include "kernel/sched/sched.h"

/* ---- sched.c ------------------------------------------------------------- */

/* The second half of a switch, on the next thread's stack. prev: the thread
 * that ran before. */
void finish_switch(struct thread *prev);
/* Queue a new thread for the first time. */
void sched_start(struct thread *t);
/* As wake_up_thread(), with IRQs off. */
void wake_waiter(struct thread *t, uintptr_t caller);
/* Wake a parked thread. */
void sched_unpark(struct thread *t);
/* Is t parked and off its stack? */
bool sched_is_parked(struct thread *t);
/* Set the idle thread of core cpu, which is off or is the booting core. */
void sched_set_idle(unsigned int cpu, struct thread *idle);
/* The boot core: its idle thread, and the thread that runs now. */
void sched_set_boot(struct thread *idle, struct thread *boot);
/* The boot core's first tick. */
void sched_boot_tick(void);
/* The deadline of the calling core's tick, 0 if it has none. IRQs off. */
uint64_t sched_next_tick(void);
/* From the timer interrupt: the tick, if its time has come. IRQs off. */
void sched_tick_if_due(uint64_t now);

/* wait_begin() and wait_end() of sched.h. */
static always_inline void wait_begin_inline(enum thread_state state,
					    const struct wait_ops *ops,
					    const void *obj, const char *name,
					    uintptr_t caller)
{
	struct thread *t = current;

	if (t->waiting.ops != ops || t->waiting.obj != obj) {
		WRITE_ONCE(t->waiting.ops, NULL);
		smp_wmb(); /* before the fields: pairs with copy_waiting() */
		WRITE_ONCE(t->waiting.obj, obj);
		WRITE_ONCE(t->waiting.name, name);
		WRITE_ONCE(t->waiting.caller, caller);
		/* A reader that sees one half of it sees NULL in `ops` next:
		 * copy_waiting(). */
		t->waiting.since = timer_about_now();
		/* Release: pairs with the acquire in copy_waiting(). */
		smp_store_release(&t->waiting.ops, ops);
	}
	WRITE_ONCE(t->state, state);
	smp_mb(); /* store state, read condition: pairs with wake_if() */
}

static always_inline void wait_end_inline(void)
{
	struct thread *t = current;

	WRITE_ONCE(t->state, TASK_RUNNING);
	WRITE_ONCE(t->waiting.ops, NULL);
	WRITE_ONCE(t->waiting.by, NULL);
}

/* ---- thread.c ------------------------------------------------------------ */

/* finish_switch() calls this when a thread has parked. IRQs off, no lock
 * held. */
void thread_parked(void);
/* The first C function of a thread, on its own stack; switch.S jumps there. */
noreturn void thread_start(struct thread *prev);

/* ---- wait.c -------------------------------------------------------------- */

/* Called when the current thread ends and is still on wait queues. Unlink its
 * entries. If it holds the lock of such a queue, release the lock. IRQs off,
 * because an interrupt handler may want this lock. */
void leave_wait_queues(void);
