/*
 * E18: a core goes off and leaves a callback. B knows of it and calls rcu_barrier(): the
 * kernel's, the same without the hotplug lock, or a form that needs no lock. See
 * demos/e18.c.
 *
 * Left out: all that cpu.pml, hotplug.pml, rcu.pml and slab.pml leave out.
 *
 * row: E18/without U=down rcu=rcu_nolock
 * row: E18/kernel  U=down
 * row: E18/3.6     U=down rcu=rcu_3_6
 * row: E18/5.18    U=down rcu=rcu_5_18
 */
#include "kernel.pml"

/* Runs before RCU's own notifier. */
inline leaves_callback(event)
{
	if
	:: event == CPU_DYING -> queue_last_callback(TOGGLED)
	:: else
	fi
}

#define notify_before_rcu(event) leaves_callback(event)
#include "cpu.pml"

proctype B(byte cpu)
{
	last_queued;
	rcu_barrier_watched()
}

init {
	atomic {
		machine();
		run B(ON_D);
		run U(ON_U)
	}
}
