/*
 * E4g: G takes a reference and ends. See demos/e4.c.
 *
 * Left out: lockdep. If references are counted for each thread, it finds the leak at G's
 * end; U waits in the same way.
 *
 * row: E4g/counter    U=up,down
 * row: E4g/counted    U=up,down ops=hotplug_counted_ops
 * row: E4g/given-back U=up,down GIVES_BACK
 */
#include "kernel.pml"
#include "cpu.pml"

proctype G()
{
	get_online_cpus();
#ifdef GIVES_BACK
	put_online_cpus()
#endif
}

init {
	atomic {
		machine();
		run G();
		run U(ON_U)
	}
}
