/*
 * Yours: change this function and run `make try`.
 *
 * It starts as a copy of the kernel's own kmem_cache_destroy(), which is the
 * merged fix of 2012; only that relinking (demos/e7.c) lets others come between
 * its two halves. `make try` runs it through the experiments of the thread
 * (demos/try.c), then through all their schedules, and says which it fails, and
 * whose objection that was.
 *
 * To begin with: move the mutex_unlock() above the `if` that asks for an RCU cache
 * to behind __kmem_cache_destroy(), and it is Linux 3.6; then take out
 * get_online_cpus() and both put_online_cpus(), and it is the drawing.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/debug/panic.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"

story void kmem_cache_destroy__yours(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());

	cache_destroy_enter(s, CALLER);
	get_online_cpus();
	mutex_lock(&slab_mutex);
	/* The list is never empty: the cache of caches is never destroyed. */
	kmem_cache_unlink(s);
	if (__cache_shrink(s)) {
		slab_error(s, "Can't free all objects");
		kmem_cache_relink__halves(s);
		mutex_unlock(&slab_mutex);
		put_online_cpus();
		cache_destroy_leave(s, CALLER);
		return;
	}
	mutex_unlock(&slab_mutex);

	if (unlikely(kmem_cache_is_rcu(s)))
		rcu_barrier();

	__kmem_cache_destroy(s);
	put_online_cpus();
	cache_destroy_leave(s, CALLER);
}
