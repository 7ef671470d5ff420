/*
 * kmem_cache_destroy() of an RCU cache, and slab's CPU notifier. See
 * kernel/slab/slab_common.c; the variants: demos/e1.c (3_6), demos/e2.c (noref,
 * slub), demos/e10.c (6_12), demos/e17.c (nobarrier, sync). An experiment chooses one by
 * `destroy`.
 *
 * Shrinking passes the empty slabs of the cache to call_rcu(), on the core of the caller.
 * Their callback must not run after the cache is gone.
 *
 * Left out: objects and arrays; a cache that is still in use (e7.pml).
 */
byte slab_mutex;
bool cache_linked = true; /* guarded by slab_mutex */

inline kmem_cache_unlink()
{
	cache_linked = false
}

inline __cache_shrink()
{
	call_rcu(cpu, VICTIM)
}

inline __kmem_cache_destroy()
{
	cache_freed = true
}

/* The merged fix, which is also the kernel's own function. */
inline kmem_cache_destroy()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	kmem_cache_unlink();
	__cache_shrink();
	mutex_unlock(slab_mutex);
	rcu_barrier();
	__kmem_cache_destroy();
	put_online_cpus()
}

inline kmem_cache_destroy__3_6()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	kmem_cache_unlink();
	__cache_shrink();
	rcu_barrier();
	__kmem_cache_destroy();
	mutex_unlock(slab_mutex);
	put_online_cpus()
}

inline kmem_cache_destroy__noref()
{
	mutex_lock(slab_mutex);
	kmem_cache_unlink();
	__cache_shrink();
	rcu_barrier();
	__kmem_cache_destroy();
	mutex_unlock(slab_mutex)
}

inline kmem_cache_destroy__slub()
{
	mutex_lock(slab_mutex);
	kmem_cache_unlink();
	__cache_shrink();
	mutex_unlock(slab_mutex);
	rcu_barrier();
	__kmem_cache_destroy()
}

inline kmem_cache_destroy__6_12()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	kmem_cache_unlink();
	__cache_shrink();
	mutex_unlock(slab_mutex);
	put_online_cpus();
	rcu_barrier();
	__kmem_cache_destroy()
}

inline kmem_cache_destroy__nobarrier()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	kmem_cache_unlink();
	__cache_shrink();
	mutex_unlock(slab_mutex);
	__kmem_cache_destroy();
	put_online_cpus()
}

inline kmem_cache_destroy__sync()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	kmem_cache_unlink();
	__cache_shrink();
	mutex_unlock(slab_mutex);
	synchronize_rcu();
	__kmem_cache_destroy();
	put_online_cpus()
}

/* CPU_UP_PREPARE and CPU_DEAD: it visits all caches on the list. */
inline cpuup_callback()
{
	mutex_lock(slab_mutex);
	assert(!(cache_linked && cache_freed));
	mutex_unlock(slab_mutex)
}
