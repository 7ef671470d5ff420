/*
 * E8, E8b, E8c, E8d, E9n, E10/E8b: rcu_barrier() inside a hotplug notifier, for a core that
 * comes up and for one that has gone off; alone, or while another thread calls it, too. See
 * demos/e8.c, demos/e9.c, demos/e10.c.
 *
 * The notifier queues a callback: on its own core if a core comes up, on the dying core as
 * its last action if it goes off. In E9n it queues none, because the barrier deadlocks
 * earlier. The barrier must have waited for the callback.
 *
 * Left out: all that cpu.pml, hotplug.pml, rcu.pml and slab.pml leave out.
 *
 * row: E8           U=up,down
 * row: E8b/kernel   U=up,down WITH_B
 * row: E8b/mckenney U=up,down WITH_B rcu=rcu_mckenney
 * row: E8c          U=up,down WITH_B rcu=rcu_reffirst
 * row: E8d/kernel   U=down BEFORE_RCU
 * row: E8d/3.6      U=down BEFORE_RCU rcu=rcu_3_6
 * row: E8d/after    U=down
 * row: E9n          U=up,down ops=hotplug_rwsem_ops WORDLESS
 * row: E10/E8b      U=up,down WITH_B ops=hotplug_rwsem_ops rcu=rcu_5_18
 */
#include "kernel.pml"

inline barrier_notify(event)
{
#ifndef WORDLESS
	if
	:: event == CPU_UP_PREPARE -> queue_last_callback(cpu)
	:: event == CPU_DYING -> queue_last_callback(TOGGLED)
	:: else
	fi;
#endif
	if
	:: event == CPU_UP_PREPARE || event == CPU_DEAD -> rcu_barrier_watched()
	:: else
	fi
}

#ifdef BEFORE_RCU
#define notify_before_rcu(event) barrier_notify(event)
#else
#define notify_after_rcu(event) barrier_notify(event)
#endif
#include "cpu.pml"

#ifdef WITH_B
proctype bare_barrier(byte cpu)
{
	rcu_barrier()
}
#endif

init {
	atomic {
		machine();
#ifdef WITH_B
		run bare_barrier(ON_D);
#endif
		run U(ON_U)
	}
}
