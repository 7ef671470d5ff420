/*
 * E13: F shrinks a cache and takes slab_mutex first, or the hotplug lock first; a writer of
 * the hotplug lock takes slab_mutex inside. See demos/e13.c.
 *
 * Left out: only what hotplug.pml and cpu.pml leave out.
 *
 * row: E13/reversed  U=up,down ops=hotplug_rwsem_ops
 *                    shrink=kmem_cache_shrink__reversed
 * row: E13/one-order U=up,down ops=hotplug_rwsem_ops shrink=kmem_cache_shrink
 */
#include "kernel.pml"
#include "cpu.pml"

inline kmem_cache_shrink__reversed()
{
	mutex_lock(slab_mutex);
	get_online_cpus();
	put_online_cpus();
	mutex_unlock(slab_mutex)
}

inline kmem_cache_shrink()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	mutex_unlock(slab_mutex);
	put_online_cpus()
}

proctype F()
{
	shrink()
}

init {
	atomic {
		machine();
		run F();
		run U(ON_U)
	}
}
