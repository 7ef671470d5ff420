/*
 * The life of a thread: create, run, join, free; parking. See thread.h.
 *
 * A struct thread lies at the top of its own stack (the guard page is at the
 * other end), so a thread needs one allocation. This memory is type-stable: a
 * freed stack is reused only as the stack of another thread. So a pointer to a
 * thread that has ended still points to a struct thread, and a late wake-up
 * through this pointer is only a spurious wake-up.
 *
 * threads_lock (spinlock, IRQs off) guards the list of all threads, the handles
 * (refs), exited and the joiners. Lock order: threads_lock, then a run queue's
 * lock.
 */
#include "kernel/sched/thread.h"

#include <string.h>

#include "boot/boot.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/spinlock.h"
#include "kernel/mm/stack.h"
#include "kernel/sched/internal.h"
#include "kernel/sched/wait.h"

static DEFINE_SPINLOCK(threads_lock);
static LIST_HEAD(all_threads);
static uint32_t next_id = 1;

static struct wait_queue park_wait = WAIT_QUEUE_INIT(park_wait, "park");

static struct thread boot_thread = { .name = "main", .prio = PRIO_NORMAL };

/* ---- making ------------------------------------------------------------- */

static void thread_register(struct thread *t)
{
	uint32_t flags = spin_lock_irqsave(&threads_lock);

	t->id = next_id++;
	list_add_tail(&t->all_link, &all_threads);
	spin_unlock_irqrestore(&threads_lock, flags);
}

static struct thread *thread_alloc(const char *name, int (*fn)(void *),
				   void *arg, enum thread_prio prio)
{
	uint32_t stack = stack_alloc();
	struct thread *t;

	if (!stack)
		return NULL;
	t = (struct thread *)((stack + STACK_SIZE - sizeof(*t)) & ~63u);
	memset(t, 0, sizeof(*t));
	ksnprintf(t->name, sizeof(t->name), "%s", name);
	t->fn = fn;
	t->arg = arg;
	t->prio = prio;
	t->stack = stack;
	t->stack_top = (uint32_t)t;
	t->refs = 2; /* the creator's handle and the running thread itself */
	list_init(&t->rq_link);
	list_init(&t->joiners);
	t->sp = arch_thread_stack_init(t->stack_top);
	return t;
}

struct thread *thread_create(const char *name, int (*fn)(void *), void *arg,
			     enum thread_prio prio, struct cpumask allowed)
{
	struct thread *t = thread_alloc(name, fn, arg, prio);

	if (!t)
		return NULL;
	t->affinity = allowed;
	t->cpu = smp_processor_id(); /* sched_start() may change it */
	thread_register(t);
	sched_start(t);
	return t;
}

struct thread *thread_create_on_cpu(const char *name, int (*fn)(void *),
				    void *arg, enum thread_prio prio,
				    unsigned int cpu)
{
	struct thread *t = thread_alloc(name, fn, arg, prio);

	if (!t)
		return NULL;
	ksnprintf(t->name, sizeof(t->name), name, cpu);
	t->pinned = true;
	t->affinity = cpumask_of(cpu);
	t->cpu = cpu;
	t->state = TASK_PARKED;
	t->should_park = true;
	thread_register(t);
	return t;
}

static void trace_begin(void)
{
	struct trace_event e;

	_Static_assert(sizeof(e.text) == THREAD_NAME_LEN, "a name fits");
	if (likely(!READ_ONCE(trace_mode)))
		return;
	memcpy(e.text, current->name, sizeof(e.text));
	trace_record(TR_THREAD_BEGIN, e.obj, e.name, e.arg, e.caller);
}

/* Called with IRQs off. */
noreturn void thread_start(struct thread *prev)
{
	finish_switch(prev);
	local_irq_enable();
	trace_begin();
	thread_exit(current->fn(current->arg));
}

struct thread *idle_thread_prepare(unsigned int cpu)
{
	struct thread *t = sched_idle_thread(cpu);

	if (!t) {
		t = thread_create_on_cpu("idle/%u", NULL, NULL, PRIO_IDLE, cpu);
		if (!t)
			return NULL;
		t->is_idle = true;
	}
	t->preempt_count = 0;
	t->irq_depth = 0;
	t->need_resched = 0;
	t->state = TASK_RUNNING;
	sched_set_idle(cpu, t);
	return t;
}

void sched_init_early(void)
{
	list_init(&boot_thread.rq_link);
	list_init(&boot_thread.joiners);
	boot_thread.affinity = CPUMASK_ALL;
	boot_thread.refs = 2;
	set_current(&boot_thread);
}

static int boot_idle(void *arg maybe_unused)
{
	cpu_idle_loop();
}

void sched_init(void)
{
	struct thread *idle = idle_thread_prepare(0);

	BUG_ON(!idle);
#if GORDIAN_DEBUG
	lockdep_for_each_thread = threads_for_each;
#endif
	idle->fn = boot_idle;
	thread_register(&boot_thread);
	sched_set_boot(idle, &boot_thread);
}

/* ---- the end ------------------------------------------------------------ */

void thread_put(struct thread *t)
{
	uint32_t flags = spin_lock_irqsave(&threads_lock);
	bool last = --t->refs == 0;

	if (last)
		list_del(&t->all_link);
	spin_unlock_irqrestore(&threads_lock, flags);
	if (last)
		stack_free(t->stack);
}

void thread_get(struct thread *t)
{
	uint32_t flags = spin_lock_irqsave(&threads_lock);

	t->refs++;
	spin_unlock_irqrestore(&threads_lock, flags);
}

noreturn void thread_exit(int status)
{
	struct thread *t = current;
	struct wait_entry *w, *next;
	uint32_t flags;

	trace_did(TR_THREAD_END, t, t->id, 0);
	lockdep_thread_end();
	flags = spin_lock_irqsave(&threads_lock);
	t->exit_status = status;
	t->exited = true;
	list_for_each_safe (w, next, &t->joiners, link) {
		list_del(&w->link);
		wake_up_process(w->thread);
	}
	spin_unlock_irqrestore(&threads_lock, flags);
	/* IRQs off: if this thread were preempted now, it could be moved to
	 * another core. This makes it TASK_RUNNING again, and it would run
	 * on. */
	local_irq_disable();
	WRITE_ONCE(t->state, TASK_DEAD);
	schedule();
	panic("thread %u runs after its end", t->id);
}

noreturn void thread_bug_exit(void)
{
	current->gated = false; /* no gate holds this thread any more */
	lockdep_thread_died();
	current->preempt_count = 0;
	leave_wait_queues();
	local_irq_enable();
	thread_exit(-EIO);
}

static const struct thread *thread_to_end(const void *obj)
{
	return obj;
}

const struct wait_ops join_wait = {
	.name = "end of thread",
	.relation = "up to",
	.event = true,
	.owner = thread_to_end,
};

int thread_join_timeout(struct thread *t, uint64_t ns, int *status)
{
	struct wait_entry w = { .thread = current };
	uint64_t end = ns == ~0ull ? ~0ull : timer_now() + timer_ticks(ns), now;
	uintptr_t caller = CALLER;
	uint32_t flags;
	bool ended;

	might_sleep();
	list_init(&w.link);
	for (;;) {
		wait_begin(TASK_UNINTERRUPTIBLE, &join_wait, t, t->name,
			   caller);
		flags = spin_lock_irqsave(&threads_lock);
		ended = t->exited;
		if (!ended && list_empty(&w.link))
			list_add_tail(&w.link, &t->joiners);
		spin_unlock_irqrestore(&threads_lock, flags);
		now = timer_now(); /* read once, so that end - now is positive */
		if (ended || now >= end)
			break;
		if (ns == ~0ull)
			schedule();
		else
			schedule_timeout(timer_ns(end - now));
	}
	wait_end();
	flags = spin_lock_irqsave(&threads_lock);
	list_del(&w.link);
	ended = t->exited;
	if (status)
		*status = t->exit_status;
	spin_unlock_irqrestore(&threads_lock, flags);
	if (!ended)
		return -ETIMEDOUT;
	thread_put(t);
	return 0;
}

int thread_join(struct thread *t)
{
	int status = 0;

	thread_join_timeout(t, ~0ull, &status);
	return status;
}

/* ---- looking ------------------------------------------------------------ */

void threads_for_each(void (*fn)(struct thread *t, void *arg), void *arg)
{
	uint32_t flags = spin_lock_irqsave(&threads_lock);
	struct thread *t;

	list_for_each (t, &all_threads, all_link)
		fn(t, arg);
	spin_unlock_irqrestore(&threads_lock, flags);
}

struct thread *thread_after(uint32_t id)
{
	uint32_t flags = spin_lock_irqsave(&threads_lock);
	struct thread *t, *found = NULL;

	list_for_each (t, &all_threads, all_link) /* in the order of ids */
		if (t->id > id) {
			found = t;
			t->refs++;
			break;
		}
	spin_unlock_irqrestore(&threads_lock, flags);
	return found;
}

struct thread *thread_find(uint32_t id)
{
	struct thread *t = thread_after(id - 1);

	if (!t || t->id == id)
		return t;
	thread_put(t);
	return NULL;
}

unsigned int threads_count(void)
{
	uint32_t flags = spin_lock_irqsave(&threads_lock);
	struct thread *t;
	unsigned int n = 0;

	list_for_each (t, &all_threads, all_link)
		n += !t->exited;
	spin_unlock_irqrestore(&threads_lock, flags);
	return n;
}

/* ---- parking ------------------------------------------------------------ */

void thread_parked(void)
{
	wake_up_all(&park_wait);
}

bool kthread_should_park(void)
{
	return READ_ONCE(current->should_park);
}

void kthread_parkme(void)
{
	while (kthread_should_park()) {
		wait_begin(TASK_PARKED, &idle_wait, current, "park", CALLER);
		if (kthread_should_park())
			schedule();
	}
	wait_end();
}

void kthread_park(struct thread *t)
{
	WRITE_ONCE(t->should_park, true);
	wake_up_process(t);
	WRITE_ONCE(current->waiting.by, t);
	wait_event(&park_wait, sched_is_parked(t));
}

void kthread_unpark(struct thread *t)
{
	WRITE_ONCE(t->should_park, false);
	sched_unpark(t);
}
