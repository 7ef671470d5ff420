/*
 * E13: the order reversed, as it nearly came back in 2026.
 *
 * Everybody takes the hotplug lock first and slab_mutex inside it: create,
 * shrink and destroy as readers, a core that comes or goes as the writer.
 * Linux 67ea9d353d0b (May 2026) keeps cpus_read_lock() out of a region that
 * holds slab_mutex, because that order "would form an AB-BA deadlock". Here F
 * shrinks a cache in that order: no counter excuses it, one nesting is enough.
 *
 * Control: the other order, the kernel's own kmem_cache_shrink().
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/lib/errno.h"

/* slab_mutex first; get_online_cpus() is cpus_read_lock() here. */
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

/* No RCU cache: its end would have a barrier in it, which is E9's. */
static int setup_cache(struct stage *st)
{
	int err = setup_core(st);

	if (err)
		return err;
	st->cache = kmem_cache_create("flushed", 96, 0, 0, NULL);
	return st->cache ? 0 : -ENOMEM;
}

static const struct step crossed_up[] = STEPS(
	BY("F", LOCK, &slab_mutex), U(WRITE_LOCK, &cpu_hotplug_lock),
	BY("F", READ_CONTEND, &cpu_hotplug_lock), U(CONTEND, &slab_mutex));

static const struct step crossed_down[] = STEPS(
	BY("F", LOCK, &slab_mutex), U(WRITE_LOCK, &cpu_hotplug_lock),
	U(CORE_OFF, &cpu_hotplug), BY("F", READ_CONTEND, &cpu_hotplug_lock),
	U(CONTEND, &slab_mutex));

static const struct step one_order[] =
	STEPS(BY("F", READ_LOCK, &cpu_hotplug_lock),
	      U(WRITE_CONTEND, &cpu_hotplug_lock), BY("F", LOCK, &slab_mutex),
	      U(LOCK, &slab_mutex));

static const struct scenario e13[] = {
	{
		.part = "E13/reversed",
		.about = "F takes slab_mutex, then the hotplug lock",
		.actors = { { "F", ON_D, actor_F_reversed },
			    { "U", ON_U, actor_U } },
		.forced.order = crossed_up,
		.forced.down = crossed_down,
		.free.rounds = 20000,
		.free.cores = 3, /* on one core they hardly meet */
		.said.outcome = DEADLOCK,
		.free.until_found = true,
		.world.toggles = true,
		.said.lockdep = CIRCULAR,
		.world.hotplug = &hotplug_rwsem_ops,
		.world.setup = setup_cache,
		.world.teardown = teardown_victim,
	},
	{
		.part = "E13/one-order",
		.about = "control: the hotplug lock first, as everybody does",
		.actors = { { "F", ON_D, actor_F }, { "U", ON_U, actor_U } },
		.forced.order = one_order,
		.free.cores = 3, /* on one core they hardly meet */
		.said.outcome = COMPLETES,
		.world.toggles = true,
		.world.hotplug = &hotplug_rwsem_ops,
		.world.setup = setup_cache,
		.world.teardown = teardown_victim,
	},
};

DEMO(13, e13, .id = "E13", .slug = "e13-reversed",
     .claim = "slab_mutex outside cpus_read_lock() deadlocks",
     .tried = { "F takes slab_mutex, then the hotplug lock; U, the writer,",
		"takes slab_mutex inside it. Control: one order everywhere." },
     .cores = 2, SCENARIOS(e13), .free_rounds = 40);
