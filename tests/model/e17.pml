/*
 * E17, E17s: W frees its objects on its core and tells D. D destroys the cache without
 * rcu_barrier(), or with synchronize_rcu() instead. See demos/e17.c.
 *
 * In the kernel W then computes, so its core runs its callbacks late. Here they may be
 * late by any time.
 *
 * Left out: objects and arrays; and all that gp.pml, hotplug.pml, rcu.pml and slab.pml
 * leave out.
 *
 * row: E17/left-out destroy=kmem_cache_destroy__nobarrier
 * row: E17/barrier  destroy=kmem_cache_destroy
 * row: E17s         destroy=kmem_cache_destroy__sync
 */
#include "kernel.pml"
#include "gp.pml"
#include "cpu.pml"

proctype rcu_gp()
{
end:
	do
	:: gp_seq < request -> gp_seq++; gp_seq++
	od
}

bool not_needed; /* a completion: W will not touch the cache again */

proctype W(byte cpu)
{
	call_rcu(cpu, VICTIM);
	not_needed = true
}

proctype D(byte cpu)
{
	not_needed;
	destroy()
}

init {
	atomic {
		machine();
		run rcu_gp();
		run D(ON_D);
		run W(ON_U)
	}
}
