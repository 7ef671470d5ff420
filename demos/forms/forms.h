/*
 * Code that several experiments use: historical forms of the hotplug lock and of
 * rcu_barrier() (in this folder), and functions that are in one experiment's file and
 * that another experiment uses.
 */
#pragma once

#include "lab/experiment.h"

/* ---- Kosina's drawing -------------------------------------------------------- */

/*
 * The steps of the drawing: D holds slab_mutex; U holds the hotplug lock; D wants the
 * hotplug lock; U wants slab_mutex. When the core comes up, U wants slab_mutex at
 * CPU_UP_PREPARE, while the core is still off. When the core goes down, U wants
 * slab_mutex at CPU_DEAD, so the script has one more step: D is held until the core is
 * off.
 */
#define AS_DRAWN                                                               \
	.forced.order = STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug), \
			      D(CONTEND, &cpu_hotplug.lock),                   \
			      U(CONTEND, &slab_mutex)),                        \
	.forced.down = STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug),  \
			     U(CORE_OFF, &cpu_hotplug),                        \
			     D(CONTEND, &cpu_hotplug.lock),                    \
			     U(CONTEND, &slab_mutex))

/* D destroys an RCU cache with that function, U takes a core down or up. */
#define THE_DRAWING(destroy_fn)                                                \
	.world.destroy = (destroy_fn), .world.setup = setup_victim,            \
	D_AND_U(actor_D), AS_DRAWN

/* The drawing with B in a bare rcu_barrier(): when U comes, D holds slab_mutex and is
 * about to call rcu_barrier(), and B is inside rcu_barrier(). */
#define THE_DRAWING_WITH_B(destroy_fn)                                         \
	.world.destroy = (destroy_fn), .world.setup = setup_victim, D_U_AND_B, \
	.forced.order = STEPS(D(LOCK, &slab_mutex),                            \
			      B(LOCK, &rcu_sched_state.barrier_mutex),         \
			      U(HP_BEGIN, &cpu_hotplug),                       \
			      B(LOCK, &cpu_hotplug.lock),                      \
			      D(BARRIER, &rcu_sched_state))

/* D and U after one put_online_cpus() too many. */
#define AFTER_A_LEAK(destroy_fn)                                               \
	.world.destroy = (destroy_fn), .world.leaks = true,                    \
	.world.setup = setup_leak, .world.teardown = teardown_refs,            \
	D_AND_U(actor_D_leaks)

/* Linux 3.6 with SLUB's destroy: D waits for U, but has released slab_mutex, so U gets
 * slab_mutex. */
#define SLUB_ORDER                                                             \
	.world.destroy = kmem_cache_destroy__slub,                             \
	.world.setup = setup_victim, D_AND_U(actor_D),                         \
	.forced.order = STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug), \
			      D(CONTEND, &cpu_hotplug.lock),                   \
			      U(LOCK, &slab_mutex))

/* ---- demos/forms/hotplug_3_6.c: the counter before the merged check ---------- */

extern const struct hotplug_lock_ops hotplug_3_6_ops;
extern const struct hotplug_lock_ops hotplug_bhat_a_ops;
extern const struct hotplug_lock_ops hotplug_bhat_b_ops;
extern const struct hotplug_lock_ops hotplug_morton_ops;

/* ---- demos/forms/hotplug_rwsem.c: a rw-semaphore, as since 2017 -------------- */

extern struct percpu_rwsem cpu_hotplug_lock;
extern const struct hotplug_lock_ops hotplug_rwsem_ops;
void cpus_read_lock(void);
void cpus_read_unlock(void);
void cpus_write_lock(void);
void cpus_write_unlock(void);
/* The outcome of a deadlock in which the writer waits for readers. The release profile
 * keeps no list of readers, so in that profile no walk can close the cycle. */
#define READERS_DEADLOCK (GORDIAN_DEBUG ? DEADLOCK : STUCK)

/* ---- demos/forms/barrier.c: forms of rcu_barrier() ---------------------------- */

extern const struct rcu_parameters rcu_mckenney, rcu_3_6;
extern const struct rcu_parameters rcu_5_18; /* demos/e10.c */

/* ---- demos/forms/last_callback.c: a core's last callback before it goes -------- */

/* Queue the last callback, on the calling core. Interrupts off or on. */
void queue_last_callback(void);
void wait_until_last_callback_is_queued(void);
/* Call rcu_barrier() and note whether it has waited for the last callback. */
void rcu_barrier_watched(void);
/* must_see: a watched barrier that began after the callback was queued. */
#define BARRIER_AFTER_CALLBACK "rcu_barrier() after the callback was queued"
int setup_last_callback(struct stage *st);
/* Two checks. no_barrier_returned_early(): no watched barrier returned before the
 * callback had run. barrier_waited_for_callback(): moreover, a watched barrier began
 * after the callback was queued. */
bool no_barrier_returned_early(struct stage *st);
bool barrier_waited_for_callback(struct stage *st);
void show_last_callback(struct stage *st);
void teardown_last_callback(struct stage *st);
/* A round in which the core that goes off leaves its last callback. */
#define LAST_CALLBACK                                                          \
	.world.setup = setup_last_callback,                                    \
	.world.teardown = teardown_last_callback,                              \
	.show.evidence = show_last_callback
/* B; in free rounds it calls rcu_barrier() several times in a row. */
void actor_B_often(struct stage *st);

/* ---- of single experiments ---------------------------------------------------- */

/* demos/e0.c: two mutexes in one order, and in the opposite order. */
void actor_AB(struct stage *st);
void actor_BA(struct stage *st);

/* demos/e1.c, demos/e2.c */
void kmem_cache_destroy__3_6(struct kmem_cache *s);
void kmem_cache_destroy__noref(struct kmem_cache *s);
void kmem_cache_destroy__slub(struct kmem_cache *s);

/* demos/e7.c: D fails to destroy a cache in use, while C creates another one. */
#define IN_USE(destroy_fn)                                                     \
	.actors = { { "D", ON_D, actor_D_fails }, { "C", ON_U, actor_C } },    \
	.world.destroy = (destroy_fn), .world.setup = setup_in_use,            \
	.world.teardown = teardown_list, .said.check = all_linked,             \
	.said.slab_reports = 1, .show.evidence = show_list
void actor_D_fails(struct stage *st);
void actor_C(struct stage *st);
int setup_in_use(struct stage *st);
bool all_linked(struct stage *st); /* a check: all caches are on slab_caches */
void show_list(struct stage *st);
void teardown_list(struct stage *st);
void kmem_cache_relink__halves(struct kmem_cache *s);

/* demos/e8.c: calls rcu_barrier(), and runs after RCU's own notifier. */
extern struct notifier_block barrier_after_rcu;

/* demos/e17.c: W frees objects of the cache that D destroys, and keeps callbacks from
 * running on W's core. */
#define D_AFTER_W(destroy_fn, w)                                               \
	.actors = { { "D", ON_D, actor_D_after_W },                            \
		    { "W", ON_U, (w), .urgent = true } },                      \
	.world.destroy = (destroy_fn), .world.setup = setup_objects,           \
	.said.check = check_callbacks, .show.rcu = true
void actor_D_after_W(struct stage *st);
void actor_W_frees(struct stage *st);
int setup_objects(struct stage *st);
bool check_callbacks(struct stage *st);

/* demos/yours.c */
void kmem_cache_destroy__yours(struct kmem_cache *s);
