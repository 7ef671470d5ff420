/*
 * X5: waits that also end by time. A waits for a completion of B, or sleeps. See
 * tests/own/orders.c, and wait_for_completion_timeout() in kernel/sched/wait.c.
 *
 * A wait may end by its event or by its time, whatever the time is.
 *
 * Left out: the parts of X5 in which no wait ends by time; more than one waiter.
 *
 * row: X5/no-time  actor=must_not_get_it other=complete
 * row: X5/in-time  actor=must_not_get_it other=complete
 * row: X5/too-late actor=must_get_it     other=complete
 * row: X5/sleeps   actor=sleeps          other=looks
 */
byte units; /* of the completion */
bool asleep; /* A has set its sleep state, and nobody has woken it */
byte num;

inline complete()
{
	d_step { units++; asleep = false }
}

inline take_done(got)
{
	d_step { got = (units > 0); units = units - got }
}

inline wait_for_completion_timeout(got)
{
	bool is_over;

	do
	:: asleep = true;
		take_done(got);
		if
		:: got || is_over -> break
		:: else
		fi;
		if
		:: !asleep
		:: is_over = true
		fi
	od;
	if
	:: !got -> take_done(got) /* it may have come at the very end */
	:: else
	fi
}

inline must_not_get_it()
{
	bool got;

	wait_for_completion_timeout(got);
	assert(!got)
}

inline must_get_it()
{
	bool got;

	wait_for_completion_timeout(got);
	assert(got)
}

/* A sleep has no other event than its time. */
inline sleeps()
{
	num = 1;
	num = 2
}

inline looks()
{
	assert(num != 1)
}

proctype A()
{
	actor()
}

proctype B()
{
	other()
}

init {
	atomic {
		run A();
		run B()
	}
}
