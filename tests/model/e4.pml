/*
 * E4, E4x: L gives back a reference that it never took while D holds its own; U
 * comes when D has it, or when D has ended (late). See demos/e4.c.
 *
 * Left out: an L that looks while D has its reference and gets the lock when D
 * has given it back. That is E3, where the check is right to blame L. In E4x,
 * where L's put counts for nothing, it may come at any time.
 *
 * row: E4/patch-b    U=up,down ops=hotplug_bhat_b_ops
 * row: E4/final      U=up,down
 * row: E4/late-b     U=up,down ops=hotplug_bhat_b_ops LATE
 * row: E4/late-final U=up,down LATE
 * row: E4x           U=up,down ops=hotplug_counted_ops
 */
#include "kernel.pml"

byte d; /* D's thread */
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
	:: d_has_ended /* missed */
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
