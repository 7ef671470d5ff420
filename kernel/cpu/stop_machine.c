/*
 * stop_machine(). See stop_machine.h.
 *
 * Each core has a stopper thread of the highest priority. The stoppers go
 * through the states together: the last one to finish a state opens the next
 * state. The others wait in core_wait(), in WFI, and are kicked when it opens.
 * (With more virtual cores than host cores, each state would take milliseconds
 * if the stoppers spun.) In STOP_RUN only the core that runs the function has
 * something to do, so only that core is kicked then; the others sleep on until
 * STOP_EXIT.
 *
 * stop_mutex lets one caller in at a time.
 * Source: kernel/stop_machine.c of Linux 3.6, for the states.
 */
#include "kernel/cpu/stop_machine.h"

#include "kernel/cpu/internal.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/wait.h"

enum stop_state { STOP_PREPARE, STOP_DISABLE_IRQ, STOP_RUN, STOP_EXIT };

struct stop_data {
	int (*fn)(void *arg);
	void *arg;
	int ret;
	unsigned int cpu;    /* where fn runs */
	struct cpumask mask; /* all cores; `cpu` may leave in STOP_RUN */
	uint32_t state;	     /* enum stop_state, atomic */
	uint32_t to_ack;     /* cores not in that state yet; atomic */
	struct completion done;
};

static DEFINE_MUTEX(stop_mutex);

static struct stopper {
	struct thread *thread;
	struct stop_data *work; /* atomic; set by stop_machine() */
} cache_aligned stoppers[NR_CPUS];

struct stop_step {
	const struct stop_data *data;
	uint32_t seen;
};

static bool next_state_is_open(void *arg)
{
	const struct stop_step *s = arg;

	/* Acquire: pairs with the release in arrive(). */
	return smp_load_acquire(&s->data->state) > s->seen;
}

/* Called when this core has finished the state. The last core to finish opens
 * the next state. */
static void arrive(struct stop_data *d)
{
	uint32_t state = READ_ONCE(d->state);
	struct cpumask next = state + 1 == STOP_RUN ? cpumask_of(d->cpu) :
						      d->mask;

	/* Acq_rel: pairs with the same operation on the other cores. The
	 * release below pairs with next_state_is_open(). So in the next state
	 * each core sees what the others did in this state. */
	if (__atomic_sub_fetch(&d->to_ack, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	WRITE_ONCE(d->to_ack, cpumask_weight(next));
	smp_store_release(&d->state, state + 1);
	core_kick_mask(next);
}

/* Run the function. */
static int run_stopped(const struct stop_data *d)
{
	struct lockdep_context context;
	int ret;

	lockdep_enter(&context);
	ret = d->fn(d->arg);
	lockdep_leave(&context, "a function of stop_machine() returns",
		      (const void *)d->fn);
	return ret;
}

/* Take this core through all states. */
static void stop_core(struct stop_data *d)
{
	struct stop_step s = { .data = d, .seen = STOP_PREPARE };
	unsigned int cpu = smp_processor_id();

	for (;;) {
		if (s.seen == STOP_DISABLE_IRQ)
			local_irq_disable();
		else if (s.seen == STOP_RUN)
			d->ret = run_stopped(d);
		else if (s.seen == STOP_EXIT)
			break;
		arrive(d);
		if (s.seen == STOP_DISABLE_IRQ && cpu != d->cpu)
			s.seen = STOP_RUN;
		core_wait(next_state_is_open, &s);
		s.seen++;
	}
	local_irq_enable();
	/* Acq_rel: pairs with the same operation on the other cores. So the
	 * last core completes `done` after the last access of the others to *d.
	 * When `done` is completed, *d may be gone. */
	if (__atomic_sub_fetch(&d->to_ack, 1, __ATOMIC_ACQ_REL) == 0)
		complete(&d->done);
}

static int stopper_thread(void *arg)
{
	struct stopper *me = arg;

	for (;;) {
		struct stop_data *d;

		wait_begin(TASK_UNINTERRUPTIBLE, &idle_wait, me, "work",
			   CALLER);
		/* Acquire: pairs with the release in stop_machine(). */
		d = __atomic_exchange_n(&me->work, NULL, __ATOMIC_ACQUIRE);
		if (!d)
			schedule();
		wait_end();
		if (d)
			stop_core(d);
	}
	return 0;
}

int stop_machine(int (*fn)(void *), void *arg, unsigned int cpu)
{
	struct cpumask cores = cpu_online();
	struct stop_data d = {
		.fn = fn,
		.arg = arg,
		.cpu = cpu,
		.mask = cores,
		.to_ack = cpumask_weight(cores),
	};
	unsigned int c;

	if (!cpumask_test(cores, cpu))
		return -ENODEV;
	init_completion(&d.done, "stop_machine");
	d.done.by = stoppers[cpu].thread;
	mutex_lock(&stop_mutex);
	lockdep_call(); /* all cores must answer: their stoppers must run */
	/* This thread must not be preempted here: this core's stopper would
	 * run, and wait for the stoppers that are not woken yet. */
	preempt_disable();
	for_each_cpu (c, cores) {
		/* Release: d is complete; pairs with the acquire in
		 * stopper_thread(). */
		smp_store_release(&stoppers[c].work, &d);
		wake_up_process(stoppers[c].thread);
	}
	preempt_enable();
	wait_for_completion(&d.done);
	mutex_unlock(&stop_mutex);
	return d.ret;
}

int stopper_prepare(unsigned int cpu)
{
	struct stopper *s = &stoppers[cpu];

	if (!s->thread)
		s->thread = thread_create_on_cpu("stopper/%u", stopper_thread,
						 s, PRIO_STOP, cpu);
	return s->thread ? 0 : -ENOMEM;
}

void stopper_unpark(unsigned int cpu)
{
	kthread_unpark(stoppers[cpu].thread);
}

void stop_machine_init(void)
{
	BUG_ON(stopper_prepare(0) != 0);
	stopper_unpark(0);
}
