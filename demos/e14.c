/*
 * E14: two readers in opposite orders are harmless until a writer comes.
 *
 * No mail has this. In Linux 0495e337b703 (Waiman Long, 2022) lockdep reported a cycle of
 * the hotplug lock, slab_mutex and kn->active. A thread that destroys a cache holds the
 * hotplug lock as a reader and waits until nobody uses the cache's file in sysfs
 * (kn->active). A thread that writes to that file holds kn->active and takes the hotplug
 * lock as a reader. Two readers do not exclude each other, so these two alone always
 * complete. A waiting writer makes the second reader wait, and all three stand still.
 *
 * A mutex, kn_active, stands for kn->active here. R1 destroys the cache, R2 writes to its
 * file, U takes a core off or on.
 *
 * Control: E14/readers is E14/writer without the writer.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

#define WORK_NS 60000u /* each reader computes so long between its two locks */

static DEFINE_MUTEX(kn_active);

static void compute(void)
{
	uint64_t end = timer_now() + timer_ticks(WORK_NS);

	while (timer_now() < end)
		cpu_relax();
}

static void actor_R1(struct stage *st maybe_unused)
{
	cpus_read_lock();
	compute();
	mutex_lock(&kn_active);
	mutex_unlock(&kn_active);
	cpus_read_unlock();
}

static void actor_R2(struct stage *st maybe_unused)
{
	mutex_lock(&kn_active);
	compute();
	cpus_read_lock();
	cpus_read_unlock();
	mutex_unlock(&kn_active);
}

static int setup_readers(struct stage *st)
{
	return st->sc->world.toggles ? setup_core(st) : 0;
}

static const struct scenario e14[] = {
	{
		.part = "E14/readers",
		.about = "R1: hotplug lock, kn_active; R2: the other order",
		.actors = { { "R1", ON_D, actor_R1 },
			    { "R2", ON_B, actor_R2 } },
		.world.hotplug = &hotplug_rwsem_ops,
		.world.setup = setup_readers,
		.forced.order = STEPS(BY("R1", READ_LOCK, &cpu_hotplug_lock),
				      BY("R2", LOCK, &kn_active),
				      BY("R1", CONTEND, &kn_active),
				      BY("R2", READ_LOCK, &cpu_hotplug_lock)),
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.free.rounds = 100,
	},
	{
		.part = "E14/writer",
		.about = "the same, and a writer comes between",
		.actors = { { "R1", ON_D, actor_R1 },
			    { "U", ON_U, actor_U },
			    { "R2", ON_B, actor_R2 } },
		.world.toggles = true,
		.world.hotplug = &hotplug_rwsem_ops,
		.world.setup = setup_readers,
		.forced.order = STEPS(BY("R1", READ_LOCK, &cpu_hotplug_lock),
				      BY("R2", LOCK, &kn_active),
				      U(WRITE_CONTEND, &cpu_hotplug_lock),
				      BY("R2", READ_CONTEND, &cpu_hotplug_lock),
				      BY("R1", CONTEND, &kn_active)),
		.said.outcome = READERS_DEADLOCK,
		.said.lockdep = CIRCULAR,
		.free.until_found = true,
		.free.cores = 3, /* two actors on one core rarely meet */
	},
};

DEMO(14, e14, .id = "E14", .slug = "e14-readers",
     .claim = "two readers complete; with a waiting writer they deadlock",
     .tried = { "Two readers of the hotplug lock take another lock, in opposite",
		"orders; then the same while U waits to write." },
     .cores = 2, SCENARIOS(e14), .free_rounds = 20000);
