/*
 * E1, E1b, E2, E2s, E5, E6 without its leak, E9, E10 with a cache, E11: D destroys an
 * RCU cache while U takes a core up or down. In E1b a third thread calls rcu_barrier().
 * The rows differ in the hotplug lock, in rcu_barrier() and in the destroy function, as
 * the scenarios in C do.
 *
 * See demos/e1.c, e2.c, e5.c, e6.c, e9.c, e10.c, e11.c.
 *
 * Left out: the barrier that E1 runs first, which matters only to lockdep; and all that
 * cpu.pml, hotplug.pml, rcu.pml and slab.pml leave out.
 *
 * row: E1/drawing U=up,down destroy=kmem_cache_destroy__3_6
 * row: E1b        U=up,down destroy=kmem_cache_destroy__3_6 WITH_B
 * row: E2         U=up,down destroy=kmem_cache_destroy__noref
 * row: E2s        U=up,down destroy=kmem_cache_destroy__slub
 * row: E5/E1      U=up,down destroy=kmem_cache_destroy__3_6 rcu=rcu_mckenney
 * row: E5/E2      U=up,down destroy=kmem_cache_destroy__noref rcu=rcu_mckenney
 * row: E6/E1      U=up,down destroy=kmem_cache_destroy
 * row: E6/E1b     U=up,down destroy=kmem_cache_destroy WITH_B
 * row: E6/E2      U=up,down destroy=kmem_cache_destroy__slub
 * row: E9         U=up,down destroy=kmem_cache_destroy__3_6
 *                 ops=hotplug_rwsem_ops
 * row: E10/E1     U=up,down destroy=kmem_cache_destroy__6_12
 *                 ops=hotplug_rwsem_ops rcu=rcu_5_18
 * row: E10/E1b    U=up,down destroy=kmem_cache_destroy__6_12
 *                 ops=hotplug_rwsem_ops rcu=rcu_5_18 WITH_B
 * row: E11/E1     U=up,down destroy=kmem_cache_destroy__3_6 rcu=rcu_3_6
 * row: E11/E2     U=up,down destroy=kmem_cache_destroy__noref rcu=rcu_3_6
 */
#include "kernel.pml"
#include "cpu.pml"

proctype D(byte cpu)
{
	destroy()
}

#ifdef WITH_B
proctype bare_barrier(byte cpu)
{
	rcu_barrier()
}
#endif

init {
	atomic {
		machine();
		run D(ON_D);
		run U(ON_U);
#ifdef WITH_B
		run bare_barrier(ON_D)
#endif
	}
}
