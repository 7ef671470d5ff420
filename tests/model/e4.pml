/*
 * E4, E4x: L calls put_online_cpus() without a reference, while D has one. U comes while D
 * has it, or after D has ended (late). See demos/e4.c.
 *
 * Left out: L looks while D has its reference, but gets the lock only after D has given it
 * back. That is E3, where the check blames L rightly. In E4x L's put has no effect, so it
 * may come at any time.
 *
 * row: E4/patch-b    U=up,down ops=hotplug_bhat_b_ops
 * row: E4/final      U=up,down
 * row: E4/late-b     U=up,down ops=hotplug_bhat_b_ops LATE
 * row: E4/late-final U=up,down LATE
 * row: E4x           U=up,down ops=hotplug_counted_ops
 */
#include "kernel.pml"

byte d; /* the thread D */
bool d_is_done;

#define d_has_ended (d_is_done || died == d + 1)
#define d_holds	    (refs[d] > 0)
#ifdef LATE
#define u_may_begin (d_has_ended)
#else
#define u_may_begin (d_holds || d_has_ended)
#endif
#include "cpu.pml"

#define leak_a_reference put_online_cpus

proctype D(byte cpu)
{
	kmem_cache_destroy__3_6();
	d_is_done = true
}

proctype L()
{
#if ops == hotplug_counted_ops
	d_holds || d_has_ended;
	leak_a_reference()
#else
	if
	:: atomic { d_holds && cpu_hotplug.lock == 0 -> leak_a_reference() }
	:: d_has_ended /* too late for D */
	fi
#endif
}

init {
	atomic {
		machine();
		d = run D(ON_D);
		run U(ON_U);
		run L()
	}
}
