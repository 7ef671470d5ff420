/*
 * X7: when RCU's callbacks run. A queues a callback, which may run before A goes on, or
 * later. See tests/own/callbacks.c.
 *
 * In the explorer all callbacks that are due run in one step. Here others may come
 * between two callbacks.
 *
 * Left out: all that hotplug.pml and rcu.pml leave out.
 *
 * row: X7/early actor=writes_after callback=callback_reads
 * row: X7/late  actor=reads_after  callback=callback_writes
 * row: X7/waits actor=waits        callback=callback_writes
 * row: X7/two   actor=queues       callback=callback_writes WITH_B
 * row: X7/row   actor=queues_both  callback=callback_writes
 * row: X7/again actor=sees_one     callback=callback_again
 */
#define RUNS 3 /* of the callback that queues itself again */

mtype = { FIRST, SECOND };
bool written;
byte ran;

inline callback_reads()
{
	assert(written)
}

inline callback_writes()
{
	ran = 1
}

inline callback_again()
{
	ran++;
	if
	:: ran < RUNS -> call_rcu(cpu, FIRST)
	:: else
	fi
}

inline first_or_second(cb)
{
	if
	:: cb == FIRST -> callback()
	:: cb == SECOND -> assert(ran)
	fi
}

#define own_callback(cb) first_or_second(cb)
#include "kernel.pml"
#include "cpu.pml"

inline writes_after()
{
	call_rcu(cpu, FIRST);
	written = true
}

inline reads_after()
{
	call_rcu(cpu, FIRST);
	assert(ran)
}

inline waits()
{
	call_rcu(cpu, FIRST);
	rcu_barrier();
	assert(ran)
}

inline queues()
{
	call_rcu(cpu, FIRST)
}

inline queues_both()
{
	call_rcu(cpu, FIRST);
	call_rcu(cpu, SECOND)
}

inline sees_one()
{
	call_rcu(cpu, FIRST);
	assert(ran != 1)
}

proctype A(byte cpu)
{
	actor()
}

#ifdef WITH_B
proctype B(byte cpu)
{
	call_rcu(cpu, SECOND)
}
#endif

init {
	atomic {
		machine();
#ifdef WITH_B
		run B(ON_U);
#endif
		run A(ON_D)
	}
}
