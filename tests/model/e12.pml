/*
 * E12: a notifier waits for a grace period, and RCU's grace-period thread wants a lock:
 * the hotplug lock or, in the row onoff, a lock of RCU's own. See demos/e12.c,
 * kernel/rcu/rcu.c.
 *
 * Left out: all that cpu.pml, gp.pml, hotplug.pml, rcu.pml and slab.pml leave out.
 *
 * row: E12/3.6   U=up,down rcu_grace_period=rcu_grace_period__3_6
 * row: E12/onoff U=up,down rcu_grace_period=rcu_grace_period__onoff
 *                rcu=rcu_onoff
 */
#include "kernel.pml"

#include "gp.pml"

inline rcu_grace_period__3_6()
{
	get_online_cpus();
	gp_seq++; /* rcu_gp_begin() */
	put_online_cpus();
	gp_seq++ /* rcu_gp_await(), rcu_gp_end() */
}

byte onoff_mutex;

inline rcu_grace_period__onoff()
{
	mutex_lock(onoff_mutex);
	gp_seq++;
	mutex_unlock(onoff_mutex);
	gp_seq++
}

inline rcu_adopt__onoff(dead)
{
	mutex_lock(onoff_mutex);
	rcu_adopt__kernel(dead);
	rcu_request(rcu_snap);
	mutex_unlock(onoff_mutex)
}

proctype rcu_gp()
{
end:
	do
	:: gp_seq < request -> rcu_grace_period()
	od
}

inline sync_notify(event)
{
	if
	:: event == CPU_DYING ->
		queue_last_callback(TOGGLED);
		rcu_request(rcu_snap)
	:: else
	fi;
	if
	:: event == CPU_UP_PREPARE || event == CPU_DEAD -> synchronize_rcu()
	:: else
	fi
}

#define notify_after_rcu(event) sync_notify(event)
#include "cpu.pml"

init {
	atomic {
		machine();
		run rcu_gp();
		run U(ON_U)
	}
}
