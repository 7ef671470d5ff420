/*
 * E9, E9n: with a rw-semaphore the false positive becomes a deadlock.
 *
 * No mail has these; they test later code. E9 is E1 with another hotplug lock: a
 * rw-semaphore that prefers writers, as in Linux since 2017 (fc8dffd379ca, "no more
 * (known) nested calls"). D takes this lock as a reader in kmem_cache_destroy(), and
 * once more in rcu_barrier(). With the counter the second get only counts. With the
 * rw-semaphore the second get queues behind a writer that waits for D. So Bhat's
 * argument (3 October 2012, 09:20 +0530) holds for the counter alone.
 *
 * E9n is E8 with the rw-semaphore: a notifier calls rcu_barrier() at the same events.
 * With the counter that works, as McKenney said (2 October 2012, 23:31 UTC), because
 * get_online_cpus() does nothing in the thread that is the writer. The rw-semaphore
 * has no such exception, so the writer waits for itself. That is why rcu_barrier() had
 * to change; since 2021 it takes no hotplug lock. (E8's notifier also queues a
 * callback. This one does not: the barrier never gets that far.)
 *
 * Controls: E1 and E8, the same with the counter.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

static const struct scenario e9[] = {
	{
		.about = "E1 with the hotplug lock as a rw-semaphore",
		D_AND_U(actor_D),
		.world.hotplug = &hotplug_rwsem_ops,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_victim,
		.forced.order = STEPS(D(READ_LOCK, &cpu_hotplug_lock),
				      D(LOCK, &slab_mutex),
				      U(WRITE_CONTEND, &cpu_hotplug_lock),
				      D(LOCK, &rcu_sched_state.barrier_mutex),
				      D(READ_CONTEND, &cpu_hotplug_lock)),
		.said.outcome = READERS_DEADLOCK,
		.said.lockdep = RECURSIVE | CIRCULAR,
		.free.until_found = true,
	},
};

DEMO(09, e9, .id = "E9", .slug = "e9-rwsem",
     .claim = "with a rw-semaphore the false positive becomes a deadlock",
     .tried = { "E1 with the hotplug lock of 2017: D reads it twice, and the second",
		"time it queues behind U, which waits for the first." },
     .cores = 2, SCENARIOS(e9), .free_rounds = 20000);

/* Calls rcu_barrier() at the same events as the notifier of E8, but only in the
 * thread U. The thread that runs the rounds also turns the core off and on, to
 * restore its state. If it called rcu_barrier() there, it would wait for itself. */
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

static const struct scenario e9n[] = {
	{
		.about = "rcu_barrier() in a notifier, called by the writer",
		U_ALONE,
		.world.hotplug = &hotplug_rwsem_ops,
		.world.notifier = &barrier_notifier,
		.world.setup = setup_core,
		.forced.order = STEPS(U(WRITE_LOCK, &cpu_hotplug_lock),
				      U(LOCK, &rcu_sched_state.barrier_mutex),
				      U(READ_CONTEND, &cpu_hotplug_lock)),
		.said.outcome = DEADLOCK,
		.said.lockdep = RECURSIVE | CIRCULAR,
		.free.until_found = true,
	},
};

DEMO(09n, e9n, .id = "E9n", .slug = "e9n-notifier",
     .claim = "with a rw-semaphore the writer waits for itself",
     .tried = { "E8 with the hotplug lock of 2017: a notifier calls rcu_barrier(),",
		"which reads the lock that its own thread holds as the writer." },
     .cores = 2, SCENARIOS(e9n), .free_rounds = 4);
