/*
 * A core comes or goes, and everybody is told. See _cpu_up() and _cpu_down() in
 * kernel/cpu/cpu.c. U is one of them, chosen by U_up or U_down.
 *
 * The notifiers in their order: rcuc's threads, one of the experiment's before
 * RCU's, RCU's, slab's, one of the experiment's after RCU's, parking of rcuc.
 * An experiment defines its own, before it includes this file.
 *
 * Left out: refusals, a core that does not start or stop, CPU_POST_DEAD; events
 * for which nobody here has anything to do.
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
	online[TOGGLED] = true; /* the core itself, at its start */
	parked[TOGGLED] = false; /* CPU_ONLINE */
	cpu_hotplug_done()
}

inline _cpu_down()
{
	cpu_hotplug_begin();
	parked[TOGGLED] = true; /* CPU_DOWN_PREPARE */
	!invoking[TOGGLED];
	atomic { /* on the leaving core, all cores stopped */
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
