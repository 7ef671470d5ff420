/*
 * E3, E3u, E3a to E3d, E6/E3: one put_online_cpus() too many; then E1, or U alone. L, who
 * calls it, is another thread that has ended before (L=L), or D itself just before its
 * destroy (L=D). See demos/e3.c, demos/e6.c.
 *
 * Left out: that D and U go on after another thread L has hit its BUG. Here they do not
 * start then.
 *
 * row: E3    U=up,down L=L,D ops=hotplug_3_6_ops
 *            destroy=kmem_cache_destroy__3_6
 * row: E3u   U=up,down L=L ops=hotplug_3_6_ops
 * row: E3a   U=up,down L=L,D ops=hotplug_bhat_a_ops
 *            destroy=kmem_cache_destroy__3_6
 * row: E3b   U=up,down L=L,D ops=hotplug_bhat_b_ops
 *            destroy=kmem_cache_destroy__3_6
 * row: E3c   U=up,down L=L,D ops=hotplug_morton_ops
 *            destroy=kmem_cache_destroy__3_6
 * row: E3d   U=up,down L=L,D destroy=kmem_cache_destroy__3_6 WARNINGS=1
 * row: E6/E3 U=up,down L=L,D ops=hotplug_3_6_ops destroy=kmem_cache_destroy
 */
#include "kernel.pml"
#include "cpu.pml"

#define leak_a_reference put_online_cpus

#ifdef destroy
proctype D(byte cpu)
{
#ifdef L_D
	leak_a_reference();
#endif
	destroy()
}
#endif

init {
#ifdef L_L
	leak_a_reference();
#endif
	atomic {
		machine();
#ifdef destroy
		run D(ON_D);
#endif
		run U(ON_U)
	}
}
