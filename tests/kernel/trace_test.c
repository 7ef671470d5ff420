/*
 * The stream of events: the times of all cores' events are in the order in which the
 * events stand, also if a core stands still in the middle of one.
 */
#include "kernel/debug/trace.h"
#include "tests/kernel/threads.h"

#define EVENTS 200u /* of each thread */
#define ROUNDS 50u

static int note_events(void *arg)
{
	for (uintptr_t i = 1; i <= EVENTS; i++)
		trace_did(TR_NOTE, arg, i, CALLER);
	return 0;
}

KTEST(lib, trace_times)
{
	static struct trace_event e[NR_CPUS * (EVENTS + 8)];
	unsigned int backward = 0, lost_all = 0, missing = 0;
	unsigned int cores = cpumask_weight(cpu_online());

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uintptr_t last[NR_CPUS] = { 0 };
		unsigned int lost, n;

		trace_start(TRACE_ALL);
		run_in_threads(cores, note_events);
		trace_stop();
		n = trace_snapshot(e, ARRAY_SIZE(e), &lost);
		lost_all += lost;
		for (unsigned int i = 0; i < n; i++) {
			uintptr_t t = (uintptr_t)e[i].obj;

			backward += i && e[i].time <= e[i - 1].time;
			if (e[i].op == TR_NOTE && t < cores)
				missing += e[i].arg != ++last[t];
		}
		for (unsigned int t = 0; t < cores; t++)
			missing += last[t] != EVENTS;
	}
	EXPECT_EQ(backward, 0);
	EXPECT_EQ(missing, 0);
	EXPECT_EQ(lost_all, 0);
}
