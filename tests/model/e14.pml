/*
 * E14: two readers of the hotplug lock take it and another lock in opposite orders, with
 * or without a writer. See demos/e14.c.
 *
 * Left out: only what hotplug.pml and cpu.pml leave out.
 *
 * row: E14/readers ops=hotplug_rwsem_ops
 * row: E14/writer  U=up,down ops=hotplug_rwsem_ops
 */
#include "kernel.pml"
#include "cpu.pml"

byte kn_active; /* a mutex */

proctype R1()
{
	cpus_read_lock();
	mutex_lock(kn_active);
	mutex_unlock(kn_active);
	cpus_read_unlock()
}

proctype R2()
{
	mutex_lock(kn_active);
	cpus_read_lock();
	cpus_read_unlock();
	mutex_unlock(kn_active)
}

init {
	atomic {
		machine();
		run R1();
		run R2();
#if defined(U_up) || defined(U_down)
		run U(ON_U)
#endif
	}
}
