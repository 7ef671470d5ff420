/*
 * The scheduler: one run queue a core, strict priorities, round robin among
 * threads of one priority.
 *
 * What it is for. Threads (thread.h) share the cores, sleep until something
 * happens, and are woken up. wait.h has the forms that most code uses: wait
 * queues and completions. timer.h has the timers behind every timeout.
 *
 * The client's duties.
 * (1) Sleep only where may_sleep() is true: not under a spinlock, not in an
 *     interrupt, not with preemption disabled.
 * (2) Wait in this order: wait_begin(), look at the condition, schedule(), and
 *     again from the start until the condition holds; then wait_end().
 * (3) Wake in this order: change the condition, then wake_up_thread().
 * (4) Tolerate a spurious wake-up: look at the condition again after each one.
 *
 * Consequences.
 * (a) No wake-up is lost. The waiting thread sets its state before it looks at
 *     the condition, and the waking thread changes the condition before it
 *     looks at the state, each with a full barrier between. So at least one of
 *     the two sees what the other did.
 * (b) A thread that is preempted between wait_begin() and schedule() stays
 *     runnable (docs/design.md, "preempted sleeper"). Only schedule() itself
 *     takes a thread off its queue.
 * (c) With preemption disabled or IRQs off the current thread keeps its core,
 *     and an RCU reader is no more than that: preempt_disable().
 * (d) A thread may wake up on another core than it slept on, unless it
 *     is pinned.
 *
 * The mechanism is explained in sched.c.
 */
#pragma once

#include "kernel/arch/clock.h"
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
#if GORDIAN_DEBUG
	if (unlikely(t->preempt_count <= 0)) {
		lockdep_not_disabled();
		return;
	}
#endif
	WRITE_ONCE(t->preempt_count, t->preempt_count - 1);
	if (unlikely(READ_ONCE(t->need_resched)) && t->preempt_count == 0)
		preempt_schedule();
}

/* Is sleeping allowed here: in a thread, IRQs on, preemption enabled? */
static inline bool may_sleep(void)
{
	const struct thread *t = current;

	return !t->preempt_count && !t->irq_depth && !t->is_idle &&
	       !irqs_disabled();
}
/* The first line of each function that may sleep. Lockdep reports the call if
 * sleeping is not allowed there, or if the current thread holds a spinlock (of
 * any kind). */
#if GORDIAN_DEBUG
#define might_sleep()                                                          \
	do {                                                                   \
		bool _may = may_sleep();                                       \
		if (unlikely(!_may || current->lockdep.depth))                 \
			lockdep_sleeps(_may, __func__, CALLER);                \
	} while (0)
#else
#define might_sleep() ((void)0)
#endif

static inline bool in_interrupt(void)
{
	return current->irq_depth != 0;
}

/*
 * Give up the core. If the current thread's state is not TASK_RUNNING, the
 * thread leaves the run queue until it is woken. Context: may_sleep().
 */
void schedule(void);
/* As schedule(), for at most ns nanoseconds. Returns false if the time ran
 * out. */
bool schedule_timeout(uint64_t ns);
#if GORDIAN_DEBUG
/* Does the explorer choose whether the current thread's timed wait ends by its
 * event or by time? */
bool timeout_is_a_choice(void);
#else
static inline bool timeout_is_a_choice(void)
{
	return false;
}
#endif
/* Returns the time (counter ticks) that a timed wait compares with its `end`.
 * If the explorer chooses how the wait ends, this time is always before `end`.
 * So the thread sleeps even if `end` has passed, and schedule_timeout() returns
 * how the wait ended. (If the exploration ends before the thread sleeps, the
 * thread sleeps for at least one tick.) end: not 0. Context: after
 * wait_begin(). */
static inline uint64_t timeout_clock(uint64_t end)
{
	uint64_t now = timer_now();

	return now >= end && timeout_is_a_choice() ? end - 1 : now;
}
#define yield() schedule()
void sleep_ns(uint64_t ns);

/*
 * wait_begin() begins a wait of the current thread, and wait_end() ends it (the
 * client's duty 2). They set the thread's state and, for reports, note what the
 * thread waits for. In wait_begin() a full barrier follows the store of the
 * state. It pairs with the barrier in wake_up_thread().
 */
void wait_begin(enum thread_state state, const struct wait_ops *ops,
		const void *obj, const char *name, uintptr_t caller);
void wait_end(void);
extern const struct wait_ops sleep_wait; /* a wait for time alone */
extern const struct wait_ops idle_wait;	 /* a server waits for work */
extern const struct wait_ops gate_wait;	 /* a thread held at a trace point */

#if GORDIAN_DEBUG
/*
 * Hold the current thread at a trace gate until *go is true. Only
 * sched_release() ends the hold. The thread may have called wait_begin(), and
 * not schedule() yet. If a wake-up for this wait comes during the hold, it is
 * not lost: the thread's state is TASK_RUNNING after the hold. Thread context,
 * where may_sleep() is true.
 */
void sched_hold(const bool *go);
/* Set *go, and end the sched_hold(go) of thread t. If t calls sched_hold(go)
 * only later, t is not held. Any context but FIQ. */
void sched_release(struct thread *t, bool *go);
/* The state that t would have if it were not held at a gate. */
enum thread_state sched_state_apart_from_gate(const struct thread *t);
#endif

/*
 * Wake t if its state is TASK_UNINTERRUPTIBLE or TASK_INTERRUPTIBLE. Returns
 * whether t was woken. The trace event names `caller`. Any context but FIQ.
 */
bool wake_up_thread(struct thread *t, uintptr_t caller);
#define wake_up_process(t) wake_up_thread((t), CALLER)

/* At boot, before anything takes a lock: gives the boot core a `current`. */
void sched_init_early(void);
/* At boot, after pages_init(): the running code becomes thread "main", and the
 * boot core gets an idle thread. */
void sched_init(void);
/* Prepare the idle thread of core cpu, before the core is started. The first
 * call makes the thread, later calls reuse it. Returns NULL when memory is
 * out. */
struct thread *idle_thread_prepare(unsigned int cpu);
/* The idle loop of the calling core. If the core has left the online mask, the
 * loop ends in sched_hooks.play_dead(). */
noreturn void cpu_idle_loop(void);
/* On core cpu, which is leaving: move all runnable threads to other cores. IRQs
 * off, all cores stopped. */
void sched_migrate_dying(unsigned int cpu);

/* Ask core cpu to look at its run queue. Any context but FIQ. */
void resched_cpu(unsigned int cpu);

/*
 * Calls to higher floors, which register once, at boot. All hooks are called
 * with IRQs off. The idle loop waits with IRQs masked and calls
 * idle_exit before it takes an interrupt, so no interrupt handler runs between
 * idle_enter and idle_exit.
 */
struct sched_hooks {
	/* No RCU reader runs on this core: it switches threads, or its tick has
	 * interrupted code with preemption enabled. */
	void (*quiescent)(unsigned int cpu);
	void (*idle_enter)(unsigned int cpu);
	void (*idle_exit)(unsigned int cpu);
	/* The current thread is about to block; debug builds. */
	void (*blocks)(void);
	/* The core has left the online mask and idles for the last time. */
	void (*play_dead)(unsigned int cpu);
};
extern struct sched_hooks sched_hooks;

/* No lock is taken, so the answers may be out of date at once.
 * sched_nr_running(): how many threads of core cpu run or could run, without
 * its idle thread. sched_running(): the thread that runs. */
unsigned int sched_nr_running(unsigned int cpu);
struct thread *sched_running(unsigned int cpu);
/* Does t run on its core? False if t has begun to leave the core to sleep. */
bool thread_is_on_core(const struct thread *t);
/* The idle thread of core cpu; NULL if the core never had one. */
struct thread *sched_idle_thread(unsigned int cpu);
