/*
 * The fixture of suite waitfor, see waitfor_knot.h.
 */
#include "tests/kernel/waitfor_knot.h"

#include "kernel/hang/watchdog.h"

struct knot knot;

void knot_begin(void)
{
	watchdog_mute(true);
	mutex_init(&knot.m[0], "first_mutex");
	mutex_init(&knot.m[1], "second_mutex");
	mutex_init(&knot.m[2], "third_mutex");
	init_rwsem(&knot.rwsem, "an_rwsem");
	percpu_init_rwsem(&knot.percpu, "a_percpu_rwsem");
	init_completion(&knot.done, "the job");
	init_completion(&knot.never, "what nobody knows");
	knot.steps = knot.let_go = 0;
}

void knot_step(void)
{
	ktest_count(&knot.steps);
}

void knot_meet(uint32_t n)
{
	knot_step();
	while (READ_ONCE(knot.steps) < n)
		sleep_ns(KTEST_LOOK_NS);
}

void knot_end(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		thread_join(knot.t[i]);
	watchdog_mute(false);
}

bool knot_has_cycle(unsigned int from, unsigned int n,
		    const struct wait_ops *const *kinds,
		    struct thread *const *who)
{
	const struct waitfor *w = &knot.walk;
	bool ok = EVENTUALLY(waitfor_walk(knot.t[from], &knot.walk)) &&
		  w->n - w->first == n;

	for (unsigned int i = 0; ok && i < n; i++)
		ok = w->link[w->first + i].waiting.ops == kinds[i] &&
		     w->link[w->first + i].thread == who[i] &&
		     waitfor_owner(w, w->first + i)->thread == who[(i + 1) % n];
	if (!ok)
		waitfor_report(w);
	return ok;
}

bool thread_waits(const struct thread *t, const struct wait_ops *kind)
{
	return EVENTUALLY(waits_for((struct thread *)t).ops == kind);
}
