/*
 * Where the guest time of a search goes. What it is for: spent.h.
 *
 * Owns the sums, guarded by demo_mutex. Only the thread that leads the explorer
 * (kernel/explore/engine.h) adds to them.
 */
#include "lab/explore/spent.h"

#include <string.h>

#include "kernel/arch/clock.h"
#include "kernel/explore/gates.h"
#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

static struct {
	enum spent_on on;
	uint64_t since; /* counter ticks */
	uint64_t ticks[NR_SPENT];
	unsigned int times[NR_SPENT];
} spent;

void spent_begin(void)
{
	memset(&spent, 0, sizeof(spent));
	spent.on = SPENT_BETWEEN;
	spent.since = timer_now();
}

void spent_from_now(enum spent_on on)
{
	uint64_t now = timer_now();

	spent.ticks[spent.on] += now - spent.since;
	spent.since = now;
	spent.times[on] += on != spent.on;
	spent.on = on;
}

/* For which kind of work does the time of a step with this operation count? */
static enum spent_on waits_for(enum trace_op op)
{
	switch (op) {
	case TR_NOTIFY:
	case TR_CORE_ON:
	case TR_CORE_OFF:
		return SPENT_CORES;
	case TR_GP_WAIT:
	case TR_CALL_RCU:
	case TR_BARRIER:
	case TR_BARRIER_COUNT:
	case TR_BARRIER_LOOK:
	case TR_BARRIER_QUEUE:
	case TR_RCU_CB:
		return SPENT_RCU;
	default:
		return SPENT_STEPS;
	}
}

void spent_on_step(unsigned int thread, unsigned int nr_actors)
{
	enum trace_op op = TR_RCU_CB;
	const void *obj;
	uintptr_t caller;

	if (thread < nr_actors && !explore_pending(thread, &op, &obj, &caller))
		op = TR_BLOCK; /* the end of a timed wait */
	spent_from_now(waits_for(op));
}

void spent_print(unsigned int schedules)
{
	static const char *const what[NR_SPENT] = {
		[SPENT_STEPS] = "steps of actors",
		[SPENT_CORES] = "steps while a core comes or goes",
		[SPENT_RCU] = "steps while a grace period passes",
		[SPENT_CHOICES] = "the search's choices",
		[SPENT_BETWEEN] = "set-up, clean-up, replays",
	};
	uint64_t all = 0;

	spent_from_now(SPENT_BETWEEN);
	for (unsigned int i = 0; i < NR_SPENT; i++)
		all += spent.ticks[i];
	kprintf("\nguest time: %u ms, %u us a schedule\n",
		(unsigned int)(timer_ns(all) / 1000000),
		(unsigned int)(timer_ns(all) / 1000 / (schedules ?: 1)));
	kprintf("  %-36s %8s %8s %6s\n", "", "times", "us each", "share");
	for (unsigned int i = 0; i < NR_SPENT; i++)
		kprintf("  %-36s %8u %8u %4u %%\n", what[i], spent.times[i],
			(unsigned int)(timer_ns(spent.ticks[i]) / 1000 /
				       (spent.times[i] ?: 1)),
			(unsigned int)(spent.ticks[i] * 100 / (all ?: 1)));
}
#endif
