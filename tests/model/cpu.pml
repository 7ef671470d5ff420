/*
 * A core comes up or goes off, and the notifiers are told. See _cpu_up() and _cpu_down()
 * in kernel/cpu/cpu.c. U does one of the two, chosen by U_up or U_down.
 *
 * The notifiers in their order: the threads of rcuc, one of the experiment before RCU's,
 * RCU's, slab's, one of the experiment after RCU's, the parking of rcuc. An experiment
 * defines its own notifiers before it includes this file.
 *
 * Left out: refusals, a core that does not start or stop, CPU_POST_DEAD, and events that
 * no notifier here handles.
 */
#ifndef notify_before_rcu
#define notify_before_rcu(event) skip
#endif
#ifndef notify_after_rcu
#define notify_after_rcu(event) skip
#endif
#ifndef u_may_begin
#define u_may_begin true
#endif

inline _cpu_up()
{
	cpu_hotplug_begin();
	notify_before_rcu(CPU_UP_PREPARE);
	cpuup_callback();
	notify_after_rcu(CPU_UP_PREPARE);
	online[TOGGLED] = true; /* the core itself does this when it starts */
	parked[TOGGLED] = false; /* CPU_ONLINE */
	cpu_hotplug_done()
}

inline _cpu_down()
{
	cpu_hotplug_begin();
	parked[TOGGLED] = true; /* CPU_DOWN_PREPARE */
	!invoking[TOGGLED];
	atomic { /* on the core that goes off, with all cores stopped */
		online[TOGGLED] = false;
		notify_before_rcu(CPU_DYING);
		notify_after_rcu(CPU_DYING)
	};
	notify_before_rcu(CPU_DEAD);
	rcu_cleanup_dead_cpu(TOGGLED);
	cpuup_callback();
	notify_after_rcu(CPU_DEAD);
	cpu_hotplug_done()
}

proctype U(byte cpu)
{
	u_may_begin;
#ifdef U_up
	_cpu_up()
#else
	_cpu_down()
#endif
}

/* Before the actors start. */
inline machine()
{
	online[ON_D] = true;
	online[ON_U] = true;
#ifdef U_up
	parked[TOGGLED] = true;
#else
	online[TOGGLED] = true;
#endif
	run rcuc(ON_D);
	run rcuc(ON_U);
	run rcuc(TOGGLED)
}
