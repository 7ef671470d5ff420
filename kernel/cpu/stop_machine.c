/*
 * stop_machine(): all online cores stand still with IRQs off while one of them
 * runs a function.
 *
 * Each core has a stopper thread of the highest priority. They walk through the
 * states together: the last one to arrive in a state opens the next. They wait
 * with core_wait(), in WFI, kicked at each step: with more virtual cores than
 * host cores spinning here would cost milliseconds a step.
 *
 * stop_mutex: one at a time. Context: thread, may sleep; the caller keeps the
 * set of online cores stable (hotplug lock).
 * Source: kernel/stop_machine.c of Linux 3.6 for the states.
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
	struct cpumask mask; /* which; one of them may leave in RUN */
	uint32_t state;	     /* enum stop_state, atomic */
	uint32_t to_ack;     /* atomic: cores that have not reached it yet */
	struct completion done;
};

static DEFINE_MUTEX(stop_mutex);

static struct stopper {
	struct thread *thread;
	struct stop_data *work; /* atomic; set by stop_machine() */
} cache_aligned stoppers[NR_CPUS];

struct step {
	const struct stop_data *data;
	uint32_t seen;
};

static bool moved_on(void *arg)
{
	const struct step *s = arg;

	/* Acquire: pairs with the release in ack(). */
	return smp_load_acquire(&s->data->state) != s->seen;
}

/* The last core to arrive opens the next state. */
static void ack(struct stop_data *d)
{
	uint32_t state = READ_ONCE(d->state);

	/* Acq_rel: what each core did before is seen by all in the next. */
	if (__atomic_sub_fetch(&d->to_ack, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	WRITE_ONCE(d->to_ack, cpumask_weight(d->mask));
	smp_store_release(&d->state, state + 1);
	core_kick_mask(d->mask);
}

static void stop_core(struct stop_data *d)
{
	struct step s = { .data = d, .seen = STOP_PREPARE };
	unsigned int cpu = smp_processor_id();

	for (;;) {
		if (s.seen == STOP_DISABLE_IRQ)
			local_irq_disable();
		else if (s.seen == STOP_RUN && cpu == d->cpu)
			d->ret = d->fn(d->arg);
		else if (s.seen == STOP_EXIT)
			break;
		ack(d);
		core_wait(moved_on, &s);
		s.seen++;
	}
	local_irq_enable();
	/* Acq_rel: pairs with the completion; d is gone after the last one. */
	if (__atomic_sub_fetch(&d->to_ack, 1, __ATOMIC_ACQ_REL) == 0)
		complete(&d->done);
}

static int stopper_thread(void *arg)
{
	struct stopper *me = arg;

	for (;;) {
		struct stop_data *d;

		wait_begin(TASK_UNINTERRUPTIBLE, WAIT_IDLE, me, "work", CALLER);
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
	/* All or none: the stopper of this core would keep us from the rest. */
	preempt_disable();
	for_each_cpu (c, cores) {
		/* Release: d is complete; pairs with the acquire above. */
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
