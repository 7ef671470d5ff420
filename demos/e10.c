/*
 * E10: the design that lasted.
 *
 * Three things changed after 2012, years apart, and together they leave nothing
 * of the story:
 *
 *   2017  the hotplug lock is a writer-preferring rw-semaphore, cpus_read_lock()
 *         (demos/forms/hotplug_rwsem.c), which lockdep sees whole;
 *   2021  rcu_barrier() takes no hotplug lock (80b3fd474c91): whoever moves a dead
 *         core's callbacks entrains the barrier's own behind them, under
 *         barrier_lock, a spinlock, and a number says for which barrier a core
 *         has been seen to;
 *   2024  kmem_cache_destroy() calls rcu_barrier() with no lock held (v6.12).
 *
 * E1, E1b and E8b with all three: lockdep has nothing to say, nobody waits for
 * somebody who waits for him, and no callback is missed.
 *
 * Controls: E1, E1b, E8b; E18, which leaves the lock out and does nothing
 * instead; E9 and E9n, the rw-semaphore with the functions of 2012.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"

/* ---- rcu_barrier() since 2021 ------------------------------------------------ */

static DEFINE_SPINLOCK(barrier_lock);
static uint32_t entrained[NR_CPUS]; /* barrier_lock: the barrier, by its number */

/*
 * Behind all callbacks of that core one of the barrier in progress, unless it has
 * been seen to. barrier_lock held, IRQs off; on that core, or after its end.
 */
static void rcu_barrier_entrain__5_18(struct rcu_state *rsp, unsigned int cpu)
{
	struct rcu_data *rdp = &rsp->data[cpu];
	uint32_t nr = READ_ONCE(rsp->n_barrier_done);

	if (!(nr & 1) || entrained[cpu] == nr)
		return;
	if (READ_ONCE(rdp->cbs.len))
		rcu_barrier_queue(rdp, &rdp->cbs);
	entrained[cpu] = nr;
}

static void rcu_barrier_handler(void *arg)
{
	uint32_t flags = spin_lock_irqsave(&barrier_lock);

	rcu_barrier_entrain__5_18(arg, smp_processor_id());
	spin_unlock_irqrestore(&barrier_lock, flags);
}

/* From here if the core is off or has none, else by a call. */
static bool see_to(struct rcu_state *rsp, unsigned int cpu)
{
	uint32_t flags = spin_lock_irqsave(&barrier_lock);
	bool seen;

	if (!cpu_is_online(cpu) || !READ_ONCE(rsp->data[cpu].cbs.len))
		rcu_barrier_entrain__5_18(rsp, cpu);
	seen = entrained[cpu] == rsp->n_barrier_done;
	spin_unlock_irqrestore(&barrier_lock, flags);
	return seen;
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
			while (!see_to(rsp,
				       cpu)) /* -ENODEV: it has just gone */
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

/* ---- the orders --------------------------------------------------------------- */

/* The drawing with nothing to it: D is inside rcu_barrier() while U has the
 * hotplug lock; U gets slab_mutex, D the barrier_mutex. */
static const struct step nobody_waits[] =
	STEPS(D(LOCK, &slab_mutex), D(BARRIER, &rcu_sched_state),
	      U(WRITE_LOCK, &cpu_hotplug_lock),
	      D(LOCK, &rcu_sched_state.barrier_mutex), U(LOCK, &slab_mutex));

static const struct step three_inside[] =
	STEPS(D(LOCK, &slab_mutex), B(LOCK, &rcu_sched_state.barrier_mutex),
	      D(BARRIER, &rcu_sched_state), U(WRITE_LOCK, &cpu_hotplug_lock),
	      U(LOCK, &slab_mutex), B(UNLOCK, &rcu_sched_state.barrier_mutex));

/* The same notifier as in E8b: B holds barrier_mutex, U waits for that alone. */
static const struct step uncrossed[] =
	STEPS(B(LOCK, &rcu_sched_state.barrier_mutex),
	      U(WRITE_LOCK, &cpu_hotplug_lock),
	      U(CONTEND, &rcu_sched_state.barrier_mutex),
	      B(UNLOCK, &rcu_sched_state.barrier_mutex),
	      U(LOCK, &rcu_sched_state.barrier_mutex));

#define TODAY                                                                  \
	.said.outcome = COMPLETES, .world.hotplug = &hotplug_rwsem_ops,        \
	.world.rcu = &rcu_5_18

static const struct scenario e10[] = {
	{
		.part = "E10/E1",
		.about = "D and U in today's shape",
		D_AND_U(actor_D),
		.forced.order = nobody_waits,
		.world.destroy = kmem_cache_destroy__6_12,
		.world.setup = setup_victim,
		TODAY,
	},
	{
		.part = "E10/E1b",
		.about = "with a bare rcu_barrier() beside them",
		D_U_AND_B,
		.forced.order = three_inside,
		.world.destroy = kmem_cache_destroy__6_12,
		.world.setup = setup_victim,
		TODAY,
	},
	{
		.part = "E10/E8b",
		.free.cores = 3, /* on one core they hardly meet */
		.about = "rcu_barrier() in a notifier, and a bare one",
		B_AND_U(actor_B_often),
		.forced.order = uncrossed,
		.world.notifier = &barrier_after_rcu,
		.world.setup = setup_words,
		.said.check = words_awaited,
		.show.evidence = words_evidence,
		.world.teardown = teardown_words,
		TODAY,
	},
};

DEMO(10, e10, .id = "E10", .slug = "e10-today",
     .claim = "today's shape leaves no cycle",
     .tried = { "E1, E1b and E8b with a rw-semaphore as hotplug lock, rcu_barrier()",
		"without it, and a destroy that calls that with no lock held." },
     .cores = 2, SCENARIOS(e10), .free_rounds = 40);
