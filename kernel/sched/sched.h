/*
 * The scheduler: strict priorities, round robin among equals, one run queue a
 * core, each with its own lock.
 */
#pragma once

#include "kernel/sched/thread.h"

/* Tick while something runs, in nanoseconds. Idle cores have none. */
#define TICK_NS 10000000ull

static always_inline unsigned int smp_processor_id(void)
{
	return READ_ONCE(current->cpu);
}

static always_inline void preempt_disable(void)
{
	struct thread *t = current;

	WRITE_ONCE(t->preempt_count, t->preempt_count + 1);
	__asm__ volatile("" ::: "memory");
}

void preempt_schedule(void);

static always_inline void preempt_enable(void)
{
	struct thread *t = current;

	__asm__ volatile("" ::: "memory");
	WRITE_ONCE(t->preempt_count, t->preempt_count - 1);
	if (unlikely(READ_ONCE(t->need_resched)) && t->preempt_count == 0)
		preempt_schedule();
}

/* Thread context with preemption possible: where sleeping is allowed. */
static inline bool may_sleep(void)
{
	const struct thread *t = current;

	return !t->preempt_count && !t->irq_depth && !t->is_idle &&
	       !irqs_disabled();
}
/* First thing of whatever may sleep: a finding where that is not allowed. */
#define might_sleep() lockdep_check(may_sleep(), LOCKDEP_SLEEP, __func__)

static inline bool in_interrupt(void)
{
	return current->irq_depth != 0;
}

/*
 * Give up the core. If current's state is not TASK_RUNNING it leaves the run
 * queue. Context: may_sleep().
 */
void schedule(void);
/* As schedule(), at most until `ns` from now; false if the time ran out. */
bool schedule_timeout(uint64_t ns);
#define yield() schedule()
void sleep_ns(uint64_t ns);

/*
 * Announce a wait. The sequence is: wait_begin(state, ...), look at the
 * condition, schedule(), ..., wait_end(). Setting the state is a full barrier:
 * it pairs with the one in wake_up_thread() between condition and state.
 */
void wait_begin(enum thread_state state, enum wait_kind kind, const void *obj,
		const char *name, uintptr_t caller);
void wait_end(void);

/*
 * Make t runnable if it waits (either form). Any context.
 * Returns whether it did. caller goes to the event stream.
 */
bool wake_up_thread(struct thread *t, uintptr_t caller);
#define wake_up_process(t) wake_up_thread((t), CALLER)

/* Boot: what runs now becomes thread "main", with an idle thread beside it. */
void sched_init(void);
/* Before anything takes a lock: a `current` for the boot core. */
void sched_init_early(void);
/* Make (or reuse) the idle thread of a core before it is started. */
struct thread *idle_thread_prepare(unsigned int cpu);
/* The idle loop; never returns. Leaves through core_ops->die when offline. */
noreturn void cpu_idle_loop(void);
/* CPU_DYING on the leaving core: push all runnable threads elsewhere. */
void sched_migrate_dying(unsigned int cpu);

/* Ask core cpu to look at its run queue. Any context. */
void resched_cpu(unsigned int cpu);

/*
 * What a higher floor wants to know (registered once at boot; the scheduler
 * does not reach up). The idle loop waits with IRQs masked and leaves idle
 * before it takes an interrupt, so no interrupt handler ever runs "in idle".
 */
struct sched_hooks {
	/* All with IRQs off. No reader on this core: a switch, or a tick that
	 * interrupted code with preempt_count 0. */
	void (*quiescent)(unsigned int cpu);
	void (*idle_enter)(unsigned int cpu);
	void (*idle_exit)(unsigned int cpu);
	/* current is about to block; debug builds. */
	void (*blocks)(void);
	/* The idle loop of a core that has left the online mask: its end. */
	void (*play_dead)(unsigned int cpu);
};
extern struct sched_hooks sched_hooks;

/* Runnable threads on cpu besides idle (a racy reading for reports). */
unsigned int sched_nr_running(unsigned int cpu);
struct thread *sched_running(unsigned int cpu);
struct thread *sched_idle_thread(unsigned int cpu);
