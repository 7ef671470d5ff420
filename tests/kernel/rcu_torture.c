/*
 * RCU torture: the director. It sets the pace, watches the workers and the objects,
 * ends the run and prints the counts. The theory is in rcu_torture.h.
 *
 * Owns rt. Context: the command's thread.
 */
#include "tests/kernel/rcu_torture.h"

#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/slab/slab.h"
#include "tests/kernel/torture.h"

struct rcu_torture rt;
static unsigned int nr_workers;
static bool spoiled; /* workers of an earlier run are left */

#define AT_ONCE_MS 100ull
#define JOINS	   40 /* tries to join a thread */

static bool late(uint32_t since_ms)
{
	return (int32_t)(now_ms() - since_ms) > (int32_t)(LATE_NS / 1000000);
}

/* ---- the director -------------------------------------------------------- */

static void print_state(void)
{
	uint32_t seq = READ_ONCE(rcu_sched_state.gp_seq);

	kprintf("  grace period %u %s, up to %u wanted, owed by 0x%x\n",
		seq >> 1, seq & 1 ? "runs" : "has ended",
		READ_ONCE(rcu_sched_state.request) >> 1,
		rcu_owed(&rcu_sched_state).bits);
}

/* Is its grace period over? Also true if no grace period runs: then the fault is
 * another one. */
static bool gp_ended(uint32_t snap)
{
	return rcu_seq_done(READ_ONCE(rcu_sched_state.gp_seq), snap);
}

static void look_at_object(const struct object *o)
{
	/* Acquire: pairs with the release in replace(). */
	uint32_t stamp = smp_load_acquire(&o->stamp), id = READ_ONCE(o->id);
	uint32_t ms = READ_ONCE(o->ms), snap = READ_ONCE(o->snap);

	if (stamp != RETIRED || READ_ONCE(o->how) != BY_CALL || !late(ms))
		return;
	smp_rmb(); /* the words above before the second look */
	if (READ_ONCE(o->stamp) != RETIRED || READ_ONCE(o->id) != id)
		return; /* it has changed meanwhile */
	if (gp_ended(snap))
		EVIDENCE(lost,
			 "object %u's callback, queued on core %u, %u ms old\n",
			 id, o->core, now_ms() - ms);
	else
		EVIDENCE(stalled,
			 "object %u, call_rcu on core %u %u ms ago, waits\n",
			 id, o->core, now_ms() - ms);
	print_state();
}

static void look_at_worker(const struct worker *w)
{
	/* Acquire: pairs with the release in WAITING_IN(). */
	const char *doing = smp_load_acquire(&w->doing);
	uint32_t since = READ_ONCE(w->since);
	unsigned int cpu, queued = 0;

	if (!doing || !late(since) || READ_ONCE(w->doing) != doing ||
	    READ_ONCE(w->since) != since)
		return;
	for_each_possible_cpu (cpu)
		queued += rcu_nr_callbacks(cpu);
	/* It waits in a barrier, but no callback is queued: the barrier's own is lost. */
	if (!queued && strcmp(doing, "rcu_barrier") == 0)
		EVIDENCE(lost, "%s waits in %s for %u ms\n", w->name, doing,
			 now_ms() - since);
	else
		EVIDENCE(stalled, "%s waits in %s for %u ms\n", w->name, doing,
			 now_ms() - since);
	print_state();
}

/* The clock of the run. It advances only a little at a time, so it stands still while
 * the host stands still. */
static void tick(void)
{
	uint64_t now = timer_now_ns(), passed = (now - rt.ticked) / 1000000;

	rt.ticked = passed > AT_ONCE_MS ? now : rt.ticked + passed * 1000000;
	WRITE_ONCE(rt.ms, rt.ms + (uint32_t)min(passed, AT_ONCE_MS));
}

/* Check everything once; false: the run must end. */
static bool watch(unsigned int stalls)
{
	tick();
	for (unsigned int i = 0; i < nr_workers; i++)
		look_at_worker(&rt.workers[i]);
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		look_at_object(&torture_objects[i]);
	if (READ_ONCE(rcu_stalls) != stalls)
		EVIDENCE(stalled, "a grace period was reported, see above\n");
	return !READ_ONCE(rt.stop);
}

static bool all_rest(void)
{
	for (unsigned int i = 0; i < nr_workers; i++) {
		const struct worker *w = &rt.workers[i];

		if (READ_ONCE(rt.pace) == QUIET && w->fn != reader &&
		    w->fn != expedited_writer && w->fn != call_writer)
			continue;
		/* Acquire: pairs with the release in go_on(). */
		if (!smp_load_acquire(&w->resting))
			return false;
	}
	return true;
}

static bool all_have_run(void)
{
	uint32_t ran = READ_ONCE(rt.n.ran);

	return READ_ONCE(rt.n.queued) == ran;
}

/*
 * QUIET: only the waiters and the barriers work, with readers in interrupts of idle
 * cores, while cores go off and on. LONELY: only the waiters ask for grace periods.
 * SILENT: no thread does: grace periods that were asked for must end, and queued
 * callbacks must run.
 */
static void quiet_phase(uint32_t *rnd, unsigned int stalls)
{
	WRITE_ONCE(rt.pace, QUIET);
	while (!all_rest() && watch(stalls))
		sleep_ns(2000 * US);
	sleep_ns(random_below(rnd, 80000) * US);
	if (random_below(rnd, 4)) {
		WRITE_ONCE(rt.pace, LONELY);
		sleep_ns(random_below(rnd, 20000) * US);
		WRITE_ONCE(rt.pace, SILENT);
		while ((!all_rest() || !all_have_run()) && watch(stalls))
			sleep_ns(2000 * US);
		count(&rt.n.silences);
	}
	watch(stalls);
}

/* Has the run done less than this for each second that was asked for? Then it proves too
 * little. */
static bool starved(unsigned int seconds, uint32_t gps)
{
	bool cores = board.nr_cores > 1;

	return gps < 10 * seconds || READ_ONCE(rt.n.reads) < 100 * seconds ||
	       READ_ONCE(rt.n.irq_reads) < 10 * seconds ||
	       READ_ONCE(rt.n.ran) < 50 * seconds ||
	       READ_ONCE(rt.n.updates[BY_EXPEDITED]) < seconds ||
	       READ_ONCE(rt.n.barriers) < seconds ||
	       READ_ONCE(rt.n.silences) == 0 ||
	       (cores &&
		(READ_ONCE(rt.n.offs) < seconds || !READ_ONCE(rt.n.ons))) ||
	       (cores && READ_ONCE(rt.n.seen[1]) < seconds);
}

static uint32_t gps_since(uint32_t seq)
{
	return (READ_ONCE(rcu_sched_state.gp_seq) - seq) / 2;
}

/* Run phases for so many seconds. If they have done too little, because the host gives
 * the cores little time, go on, for at most MOST_TIMES as long. Returns whether Ctrl-C
 * has ended it early. */
static bool direct(unsigned int seconds, uint32_t seq, uint32_t rnd)
{
	bool stopped = false;
	unsigned int stalls = rcu_stalls;
	uint32_t end = seconds * 1000, now;

	while (!READ_ONCE(rt.stop) && !stopped &&
	       ((now = now_ms()) < end ||
		(now < end * MOST_TIMES && starved(seconds, gps_since(seq))))) {
		uint32_t phase = now + 50 + random_below(&rnd, 300);

		if (now < end)
			phase = min(phase, end);
		WRITE_ONCE(rt.pace, DENSE + random_below(&rnd, 3));
		while (now_ms() < phase && watch(stalls))
			sleep_ns(10000 * US);
		stopped = thread_interrupted();
		torture_print_progress();
		if (!READ_ONCE(rt.stop) && !stopped)
			quiet_phase(&rnd, stalls);
	}
	now = now_ms();
	if (now > 2 * end)
		kprintf("rcu torture: %u s instead of %u, to do enough\n",
			now / 1000, seconds);
	WRITE_ONCE(rt.stop, true);
	return stopped;
}

static int work(void *arg)
{
	struct worker *w = arg;

	return w->fn(w);
}

static void start_worker(const char *name, int (*fn)(struct worker *w),
			 uint32_t *rnd)
{
	struct worker *w = &rt.workers[nr_workers];

	w->name = name;
	w->fn = fn;
	w->rnd = ktest_random(rnd);
	w->thread = thread_create(name, work, w, PRIO_NORMAL, CPUMASK_ALL);
	if (w->thread)
		nr_workers++;
	else
		EVIDENCE(refused, "no memory for a thread\n");
}

/* Join the workers, but give up after a time: those that hang are left. */
static void join_workers(void)
{
	for (unsigned int i = 0; i < nr_workers; i++) {
		struct worker *w = &rt.workers[i];
		bool ended = false;

		for (int k = 0; !ended && k < JOINS; k++)
			ended = !thread_join_timeout(w->thread, LATE_NS / JOINS,
						     NULL);
		if (ended)
			continue;
		spoiled = true;
		if (!rt.n.lost && !rt.n.stalled)
			EVIDENCE(stalled, "%s does not end, waits in %s\n",
				 w->name, w->doing ? w->doing : "nothing");
	}
	nr_workers = 0;
}

static void print_counts(uint32_t gps)
{
	kprintf("rcu torture: reads=%u in_timer=%u pipe=%u,%u,%u,%u\n",
		rt.n.reads, rt.n.irq_reads, rt.n.seen[0], rt.n.seen[1],
		rt.n.seen[2], rt.n.seen[3]);
	kprintf("rcu torture: sync=%u expedited=%u call=%u kfree=%u gps=%u\n",
		rt.n.updates[BY_SYNC], rt.n.updates[BY_EXPEDITED],
		rt.n.updates[BY_CALL], rt.n.updates[BY_KFREE], gps);
	kprintf("rcu torture: callbacks=%u/%u barriers=%u pings=%u silent=%u\n",
		rt.n.ran, rt.n.queued, rt.n.barriers, rt.n.pings,
		rt.n.silences);
	kprintf("rcu torture: offs=%u ons=%u last_words=%u first_words=%u\n",
		rt.n.offs, rt.n.ons, rt.n.last_words, rt.n.first_words);
}

static int rcu_torture(unsigned int seconds, unsigned int seed)
{
	uint32_t rnd = seed, seq = READ_ONCE(rcu_sched_state.gp_seq), gps;
	struct slab_stats before, after;
	bool bad, little, stopped;

	if (spoiled) {
		kprintf("rcu torture: an earlier run has left threads behind\n");
		return 1;
	}
	rcu_barrier();
	slab_stats(&before);
	memset(&rt, 0, sizeof(rt));
	if (!objects_prepare()) {
		kprintf("rcu torture: out of memory at the start\n");
		return 1;
	}
	rt.ticked = timer_now_ns();
	register_cpu_notifier(&torture_notifier);
	for (unsigned int i = 0; i < NR_TESTERS; i++)
		start_worker("barrier", barrier_tester, &rnd);
	for (unsigned int i = 0; i < 3; i++)
		start_worker("sync", sync_writer, &rnd);
	start_worker("expedited", expedited_writer, &rnd);
	start_worker("call/0", call_writer, &rnd);
	start_worker("call/1", call_writer, &rnd);
	if (board.nr_cores > 1)
		start_worker("toggler", toggler, &rnd);
	for (unsigned int i = 0; i < min(board.nr_cores + 1, MAX_READERS); i++)
		start_worker("reader", reader, &rnd);
	stopped = direct(seconds, seq, ktest_random(&rnd));
	join_workers();
	gps = gps_since(seq);
	little = !stopped && starved(seconds, gps);
	bad = rt.n.reclaimed || rt.n.lost || rt.n.doubled || rt.n.stalled ||
	      rt.n.refused;
	if (!bad) {
		start_worker("finisher", finisher, &rnd);
		join_workers();
	}
	if (!spoiled)
		unregister_cpu_notifier(&torture_notifier);
	if (!bad && !spoiled) {
		objects_end();
		slab_stats(&after);
		if (rt.n.queued != rt.n.ran || after.active != before.active)
			EVIDENCE(lost,
				 "%u callbacks queued, %u ran; %d kmalloc()ed "
				 "objects left\n",
				 rt.n.queued, rt.n.ran,
				 (int)(after.active - before.active));
	}
	bad = rt.n.reclaimed || rt.n.lost || rt.n.doubled || rt.n.stalled ||
	      rt.n.refused;

	print_counts(gps);
	kprintf("rcu torture: reclaimed=%u lost=%u doubled=%u stalled=%u "
		"refused=%u %s\n",
		rt.n.reclaimed, rt.n.lost, rt.n.doubled, rt.n.stalled,
		rt.n.refused,
		bad    ? "FAIL" :
		little ? "starved FAIL" :
			 "ok");
	return bad || little ? 1 : stopped ? TORTURE_STOPPED : 0;
}

TORTURE(rcu, "readers, writers, callbacks, barriers; cores come and go",
	rcu_torture);
