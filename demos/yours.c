/*
 * Yours: change kmem_cache_destroy__yours() and run `make try`.
 *
 * It starts as a copy of the kernel's own kmem_cache_destroy(), the merged fix of 2012.
 * One call differs: kmem_cache_relink__halves() (demos/e7.c) puts the cache back in two
 * steps, so that a missing lock shows (yours/E7). `story` gives the function a frame in
 * each backtrace, and CALLER is the address it was called from: leave both as they are.
 *
 * `make try` runs the function in the six parts of one experiment (demos/try.c). Each part
 * is an experiment of the 2012 thread with your function in it. The parts run first in
 * rounds and then in all schedules. `make try` says which parts fail, and quotes the
 * objection of the 2012 thread.
 *
 * Two changes to begin with. Each is a version that was discussed:
 *
 *   1. Linux 3.6: move the second mutex_unlock() down, after __kmem_cache_destroy().
 *      yours/E3 fails.
 *   2. Kosina's drawing: after that, also remove get_online_cpus() and both
 *      put_online_cpus(). yours/E1 fails too.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

story void kmem_cache_destroy__yours(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());

	cache_destroy_enter(s, CALLER);
	get_online_cpus();
	mutex_lock(&slab_mutex);
	/* Notifiers no longer meet the cache. */
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
