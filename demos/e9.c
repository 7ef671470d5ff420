/*
 * E9, E9n: the false positive comes true.
 *
 * E1 as it was, with nothing exchanged but the hotplug lock: a rw-semaphore
 * that prefers writers, as in Linux since 2017 (fc8dffd379ca, "no more (known)
 * nested calls"). D holds it as a reader through kmem_cache_destroy() and takes
 * it once more in rcu_barrier(). With the counter the second get only counts;
 * with the rw-semaphore it queues behind a writer who waits for the first.
 * Bhat's argument holds for the counter alone.
 *
 * E9n is E8 with it: a notifier calls rcu_barrier() at the same events. With the
 * counter that works, as McKenney had said (E8), because get_online_cpus() does
 * nothing for the writer. The rw-semaphore knows no such exception: the writer
 * waits for itself. That is why rcu_barrier() had to change; in 2021 it stopped
 * taking the lock at all. (E8's notifier also queues a callback and looks when it
 * ran; this one has none: the barrier does not get that far.)
 *
 * Control: E1 and E8, the same with the counter.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/rcu/rcu.h"

static const struct step second_read[] =
	STEPS(D(READ_LOCK, &cpu_hotplug_lock), D(LOCK, &slab_mutex),
	      U(WRITE_CONTEND, &cpu_hotplug_lock),
	      D(LOCK, &rcu_sched_state.barrier_mutex),
	      D(READ_CONTEND, &cpu_hotplug_lock));

static const struct scenario e9[] = {
	{
		.about = "E1 with the hotplug lock as a rw-semaphore",
		D_AND_U(actor_D),
		.forced.order = second_read,
		.said.outcome = READERS_DEADLOCK,
		.free.until_found = true,
		.said.lockdep = RECURSIVE | CIRCULAR,
		.world.hotplug = &hotplug_rwsem_ops,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
	},
};

DEMO(09, e9, .id = "E9", .slug = "e9-rwsem",
     .claim = "with a rw-semaphore the false positive comes true",
     .tried = { "E1 with the hotplug lock of 2017: D reads it twice, and the",
		"second time it queues behind U, who waits for the first." },
     .cores = 2, SCENARIOS(e9), .free_rounds = 20000);

/* As E8's, before the core comes and when it has gone; but only U's, or the
 * runner would wait for itself where it brings the core to its start. */
static int barrier_callback(struct notifier_block *nb maybe_unused,
			    unsigned long event, void *data maybe_unused)
{
	if (current->traced && (event == CPU_UP_PREPARE || event == CPU_DEAD))
		rcu_barrier();
	return NOTIFY_OK;
}

static struct notifier_block barrier_notifier = {
	.notifier_call = barrier_callback,
	.priority = CPU_PRI_DEFAULT - 1, /* after RCU's own */
	.name = "barrier",
};

static const struct step waits_for_itself[] =
	STEPS(U(WRITE_LOCK, &cpu_hotplug_lock),
	      U(LOCK, &rcu_sched_state.barrier_mutex),
	      U(READ_CONTEND, &cpu_hotplug_lock));

static const struct scenario e9n[] = {
	{
		.about = "rcu_barrier() in a notifier, the writer inside",
		U_ALONE,
		.forced.order = waits_for_itself,
		.said.outcome = DEADLOCK,
		.free.until_found = true,
		.said.lockdep = RECURSIVE | CIRCULAR,
		.world.hotplug = &hotplug_rwsem_ops,
		.world.notifier = &barrier_notifier,
		.world.setup = setup_core,
	},
};

DEMO(09n, e9n, .id = "E9n", .slug = "e9n-notifier",
     .claim = "the writer in rcu_barrier() waits for itself",
     .tried = { "E8 with the hotplug lock of 2017: a notifier calls",
		"rcu_barrier(), which reads the lock that its thread writes." },
     .cores = 2, SCENARIOS(e9n), .free_rounds = 4);
