/*
 * E10: the design that lasted.
 *
 * No mail has this. Three things changed after 2012, years apart. Together they leave
 * no cycle:
 *
 *   2017  the hotplug lock is a rw-semaphore that prefers writers, cpus_read_lock()
 *         (demos/forms/hotplug_rwsem.c); lockdep sees all of it
 *   2021  rcu_barrier() takes no hotplug lock (80b3fd474c91). The thread that moves a
 *         dead core's callbacks queues the barrier's own callback behind them, under
 *         barrier_lock, a spinlock. A number for each core says for which barrier
 *         this has been done.
 *   2024  kmem_cache_destroy() calls rcu_barrier() with no lock held (v6.12)
 *
 * E1, E1b and E8b run with all three: lockdep is silent, no thread waits in a cycle,
 * and no callback is missed.
 *
 * Controls: E1, E1b and E8b; E18, which leaves the lock out and puts nothing in its
 * place; E9 and E9n, which have the rw-semaphore with the functions of 2012.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"
#include "demos/forms/forms.h"

/* ---- rcu_barrier() since 2021 ------------------------------------------------ */

/* Taken in an interrupt, too: by the handler of a call from another core. */
static struct spinlock barrier_lock =
	SPINLOCK_INIT_KEY("barrier_lock", out_of_sight);
/* For each core the number of the last barrier that was entrained on it.
 * barrier_lock guards it. */
static uint32_t entrained[NR_CPUS];

/*
 * Queue a callback of the current barrier behind all callbacks of core `cpu`.
 * Does this once for each core and barrier. barrier_lock held, interrupts off.
 * Called on core `cpu`, or when core `cpu` is off or has no callbacks.
 */
static void rcu_barrier_entrain__5_18(struct rcu_state *rsp, unsigned int cpu)
{
	struct rcu_data *rdp = &rsp->data[cpu];
	uint32_t nr = shared_read(rsp->n_barrier_done);

	if (!(nr & 1) || entrained[cpu] == nr)
		return;
	if (READ_ONCE(rdp->cbs.len)) {
		trace_point(TR_BARRIER_QUEUE, &rsp->data[cpu], cpu, CALLER);
		rcu_barrier_queue(rdp, &rdp->cbs);
	}
	entrained[cpu] = nr;
}

static void rcu_barrier_handler(void *arg)
{
	uint32_t flags = spin_lock_irqsave(&barrier_lock);

	rcu_barrier_entrain__5_18(arg, smp_processor_id());
	spin_unlock_irqrestore(&barrier_lock, flags);
}

/* If core `cpu` is off or has no callbacks, entrain the barrier for it from this
 * core. Returns false if core `cpu` must be called instead. */
static bool entrained_from_here(struct rcu_state *rsp, unsigned int cpu)
{
	uint32_t flags = spin_lock_irqsave(&barrier_lock);
	bool done;

	trace_point(TR_BARRIER_LOOK, &rsp->data[cpu], cpu, CALLER);
	if (!cpu_is_online(cpu) || !READ_ONCE(rsp->data[cpu].cbs.len))
		rcu_barrier_entrain__5_18(rsp, cpu);
	done = entrained[cpu] == shared_read(rsp->n_barrier_done);
	spin_unlock_irqrestore(&barrier_lock, flags);
	return done;
}

static void rcu_adopt__5_18(struct rcu_state *rsp, unsigned int dead)
{
	uint32_t flags = spin_lock_irqsave(&barrier_lock);

	rcu_barrier_entrain__5_18(rsp, dead);
	rcu_adopt(rsp, dead);
	spin_unlock_irqrestore(&barrier_lock, flags);
}

static story void _rcu_barrier__5_18(struct rcu_state *rsp)
{
	uint32_t snap = rcu_barrier_enter(rsp, CALLER), flags;
	unsigned int cpu;

	saw(__func__);
	mutex_lock(&rsp->barrier_mutex);
	if (!rcu_barrier_gone_by(rsp, snap)) {
		flags = spin_lock_irqsave(&barrier_lock);
		rcu_barrier_begin(rsp);
		spin_unlock_irqrestore(&barrier_lock, flags);
		for_each_possible_cpu (cpu)
			/* Repeat if the core has just gone. */
			while (!entrained_from_here(rsp, cpu))
				smp_call_function_single(
					cpu, rcu_barrier_handler, rsp, true);
		rcu_barrier_wait(rsp);
	}
	mutex_unlock(&rsp->barrier_mutex);
	trace_did(TR_BARRIER_END, rsp, 0, CALLER);
}

const struct rcu_parameters rcu_5_18 = {
	.name = "_rcu_barrier__5_18",
	.adopt = rcu_adopt__5_18,
	.barrier = _rcu_barrier__5_18,
};

/* ---- kmem_cache_destroy() since 2024 ----------------------------------------- */

static story void kmem_cache_destroy__6_12(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());
	cache_destroy_enter(s, CALLER);

	get_online_cpus();
	mutex_lock(&slab_mutex);
	kmem_cache_unlink(s);
	if (__cache_shrink(s)) {
		slab_error(s, "Can't free all objects");
		kmem_cache_relink(s);
		mutex_unlock(&slab_mutex);
		put_online_cpus();
		cache_destroy_leave(s, CALLER);
		return;
	}
	mutex_unlock(&slab_mutex);
	put_online_cpus();

	if (unlikely(kmem_cache_is_rcu(s)))
		rcu_barrier();

	__kmem_cache_destroy(s);
	cache_destroy_leave(s, CALLER);
}

/* ---- scenarios ---------------------------------------------------------------- */

#define TODAY                                                                  \
	.world.hotplug = &hotplug_rwsem_ops, .world.rcu = &rcu_5_18,           \
	.said.outcome = COMPLETES

static const struct scenario e10[] = {
	{
		.part = "E10/E1",
		.about = "D and U in today's design",
		D_AND_U(actor_D),
		TODAY,
		.world.destroy = kmem_cache_destroy__6_12,
		.world.setup = setup_victim,
		/* D is inside rcu_barrier() while U has the hotplug lock, and
		 * both get all the locks that they want. */
		.forced.order = STEPS(D(LOCK, &slab_mutex),
				      D(BARRIER, &rcu_sched_state),
				      U(WRITE_LOCK, &cpu_hotplug_lock),
				      D(LOCK, &rcu_sched_state.barrier_mutex),
				      U(LOCK, &slab_mutex)),
	},
	{
		.part = "E10/E1b",
		.about = "the same with B in a bare rcu_barrier()",
		D_U_AND_B,
		TODAY,
		.world.destroy = kmem_cache_destroy__6_12,
		.world.setup = setup_victim,
		.forced.order = STEPS(
			D(LOCK, &slab_mutex),
			B(LOCK, &rcu_sched_state.barrier_mutex),
			D(BARRIER, &rcu_sched_state),
			U(WRITE_LOCK, &cpu_hotplug_lock), U(LOCK, &slab_mutex),
			B(UNLOCK, &rcu_sched_state.barrier_mutex)),
	},
	{
		.part = "E10/E8b",
		.about = "rcu_barrier() in a notifier, and a bare one",
		B_AND_U(actor_B_often),
		TODAY,
		LAST_CALLBACK,
		.world.notifier = &barrier_after_rcu,
		/* U waits for barrier_mutex, but B does not wait for U. */
		.forced.order =
			STEPS(B(LOCK, &rcu_sched_state.barrier_mutex),
			      U(WRITE_LOCK, &cpu_hotplug_lock),
			      U(CONTEND, &rcu_sched_state.barrier_mutex),
			      B(UNLOCK, &rcu_sched_state.barrier_mutex),
			      U(LOCK, &rcu_sched_state.barrier_mutex)),
		.said.check = no_barrier_returned_early,
		.free.cores = 3, /* two actors on one core rarely meet */
	},
};

DEMO(10, e10, .id = "E10", .slug = "e10-today",
     .claim = "today's design leaves no cycle",
     .tried = { "E1, E1b and E8b with a rw-semaphore as the hotplug lock, rcu_barrier()",
		"without that lock, and a destroy that calls it with no lock held." },
     .cores = 2, SCENARIOS(e10), .free_rounds = 40);
