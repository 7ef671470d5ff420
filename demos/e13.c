/*
 * E13: the locks in the reversed order, as nearly merged in 2026.
 *
 * No mail has this. In Linux all code takes the hotplug lock first and slab_mutex inside
 * it: create, shrink and destroy as readers, a core that comes or goes as the writer.
 * Commit 67ea9d353d0b (May 2026) keeps cpus_read_lock() out of a region that holds
 * slab_mutex, because the two orders "together would form an AB-BA deadlock". Here F
 * shrinks a cache in the reversed order. One such nesting is enough for a deadlock: F
 * holds no hotplug reference when it takes slab_mutex, so nothing keeps the writer out.
 *
 * Control: the kernel's own kmem_cache_shrink(), which has the usual order.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/lib/errno.h"

/* Takes slab_mutex first, and the hotplug lock inside it. (get_online_cpus() is
 * cpus_read_lock() here.) */
static story int kmem_cache_shrink__reversed(struct kmem_cache *s)
{
	int in_use;

	mutex_lock(&slab_mutex);
	get_online_cpus();
	in_use = __cache_shrink(s);
	put_online_cpus();
	mutex_unlock(&slab_mutex);
	return in_use;
}

static void actor_F_reversed(struct stage *st)
{
	kmem_cache_shrink__reversed(st->cache);
}

static void actor_F(struct stage *st)
{
	kmem_cache_shrink(st->cache);
}

/* Make a cache that is no RCU cache: the destroy of an RCU cache calls rcu_barrier(),
 * and would take the hotplug lock twice, as in E9. */
static int setup_cache(struct stage *st)
{
	int err = setup_core(st);

	if (err)
		return err;
	st->cache = kmem_cache_create("flushed", 96, 0, 0, NULL);
	return st->cache ? 0 : -ENOMEM;
}

#define F_AND_U(f)                                                             \
	.actors = { { "F", ON_D, (f) }, { "U", ON_U, actor_U } },              \
	.world.toggles = true, .world.hotplug = &hotplug_rwsem_ops,            \
	.world.setup = setup_cache, .world.teardown = teardown_victim,         \
	.free.cores = 3 /* two actors on one core rarely meet */

static const struct scenario e13[] = {
	{
		.part = "E13/reversed",
		.about = "F takes slab_mutex, then the hotplug lock",
		F_AND_U(actor_F_reversed),
		.forced.order = STEPS(BY("F", LOCK, &slab_mutex),
				      U(WRITE_LOCK, &cpu_hotplug_lock),
				      BY("F", READ_CONTEND, &cpu_hotplug_lock),
				      U(CONTEND, &slab_mutex)),
		.forced.down = STEPS(BY("F", LOCK, &slab_mutex),
				     U(WRITE_LOCK, &cpu_hotplug_lock),
				     U(CORE_OFF, &cpu_hotplug),
				     BY("F", READ_CONTEND, &cpu_hotplug_lock),
				     U(CONTEND, &slab_mutex)),
		.said.outcome = DEADLOCK,
		.said.lockdep = CIRCULAR,
		.free.until_found = true,
		.free.rounds = 20000,
	},
	{
		.part = "E13/one-order",
		.about = "control: the hotplug lock first, as everywhere else",
		F_AND_U(actor_F),
		.forced.order = STEPS(BY("F", READ_LOCK, &cpu_hotplug_lock),
				      U(WRITE_CONTEND, &cpu_hotplug_lock),
				      BY("F", LOCK, &slab_mutex),
				      U(LOCK, &slab_mutex)),
		.said.outcome = COMPLETES,
	},
};

DEMO(13, e13, .id = "E13", .slug = "e13-reversed",
     .claim = "slab_mutex taken before cpus_read_lock() deadlocks",
     .tried = { "F takes slab_mutex, then the hotplug lock; U, the writer, takes",
		"slab_mutex inside it. Control: one order everywhere." },
     .cores = 2, SCENARIOS(e13), .free_rounds = 40);
