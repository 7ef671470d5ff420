/*
 * The stream of events: the times of all cores' events are in the order in which the
 * events stand, also if a core stands still in the middle of one. A reader that follows
 * the stream gets each event whole, once and in order, or counts it as lost.
 */
#include <string.h>

#include "kernel/debug/trace.h"
#include "kernel/sched/timer.h"
#include "tests/kernel/threads.h"

#define EVENTS 200u /* of each thread */
#define OTHERS 40u  /* at most, on average: of a thread's life, of a core */
#define ROUNDS 50u

static int note_events(void *arg)
{
	for (uintptr_t i = 1; i <= EVENTS; i++)
		trace_did(TR_NOTE, arg, i, CALLER);
	return 0;
}

KTEST(lib, trace_times)
{
	static struct trace_event e[NR_CPUS * (EVENTS + OTHERS)] not_cleared;
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

/* ---- gates ------------------------------------------------------------------------------ */

#if GORDIAN_DEBUG
static unsigned int notes_seen;

static void count_notes(enum trace_op op, const void *obj maybe_unused,
			uintptr_t caller maybe_unused)
{
	notes_seen += op == TR_NOTE;
}

static void note_gate(void)
{
	trace_gate(TR_NOTE, NULL, CALLER);
}

/* A trace that begins or ends takes no gate away, and a gate records nothing. */
KTEST(lib, trace_gates)
{
	struct trace_event e[1];
	unsigned int lost;

	notes_seen = 0;
	trace_start(TRACE_MARKED);
	trace_stop();
	note_gate();
	current->gated = true;
	trace_set_gate(count_notes);
	note_gate();
	trace_did(TR_NOTE, NULL, 0, CALLER);
	EXPECT_EQ(trace_snapshot(e, ARRAY_SIZE(e), &lost), 0);
	trace_start(TRACE_MARKED);
	note_gate();
	trace_stop();
	note_gate();
	trace_set_gate(NULL);
	note_gate();
	current->gated = false;
	EXPECT_EQ(notes_seen, 3);
}
#endif

/* ---- a reader that follows ------------------------------------------------------------ */

#define RING  (unsigned int)(TRACE_RING_SIZE / sizeof(struct trace_event))
#define BATCH RING

static struct {
	uint32_t events; /* of each writer */
	bool paced;	 /* they wait for the reader */
	uint32_t ended;	 /* writers; atomic */
} flood;

/* What the reader has found. */
static struct {
	uint32_t read, lost; /* of all cores */
	uint32_t wrong; /* cores for which read + lost is not what was written */
	uint32_t torn;	/* events whose parts are not of one event */
	uint32_t disorder; /* notes that come again, or too early */
	uint32_t notes;
} found;

static const char *const names[] = { "one", "two", "three" };

/* The parts of a note all follow from arg. */
static struct trace_event note_of(uint32_t i)
{
	return (struct trace_event){ .arg = i,
				     .obj = (const void *)~i,
				     .caller = i ^ 0x55,
				     .name = names[i % ARRAY_SIZE(names)] };
}

static bool is_whole(const struct trace_event *e)
{
	struct trace_event n = note_of(e->arg);

	return !memcmp(e->text, n.text, sizeof(n.text));
}

/* Wait until half of this core's ring is free. Each sleep is some events, too, so the
 * sleeps become longer. */
static void await_reader(void)
{
	uint64_t ns = 20000;

	while (READ_ONCE(trace_mode) & TRACE_FOLLOWED &&
	       trace_unread(smp_processor_id()) > RING / 2) {
		sleep_ns(ns);
		ns = min(2 * ns, 50000000ull);
	}
}

static int flood_thread(void *arg maybe_unused)
{
	for (uint32_t i = 1; i <= flood.events; i++) {
		if (flood.paced)
			await_reader();
		struct trace_event n = note_of(i);

		trace_record(TR_NOTE, n.obj, n.name, n.arg, n.caller);
	}
	ktest_count(&flood.ended);
	return 0;
}

/* Read what there is of that core. last: the last note of each core. */
static void follow_core(unsigned int cpu, uint32_t *last)
{
	static struct trace_event e[BATCH] not_cleared;
	unsigned int n, lost;

	do {
		n = trace_read(cpu, e, BATCH, &lost);
		found.read += n;
		found.lost += lost;
		for (unsigned int i = 0; i < n; i++) {
			if (e[i].op != TR_NOTE)
				continue;
			found.notes++;
			found.torn += !is_whole(&e[i]);
			found.disorder += e[i].arg <= last[cpu];
			last[cpu] = e[i].arg;
		}
	} while (n == BATCH);
}

/* A writer on each core, and this thread reads. held: it reads nothing before all writers
 * have ended. */
static void follow_flood(uint32_t events, bool paced, bool held)
{
	struct thread *writer[NR_CPUS];
	uint32_t last[NR_CPUS] = { 0 }, before[NR_CPUS], sum[NR_CPUS] = { 0 };
	unsigned int cores = ktest_cores(), cpu;

	memset(&found, 0, sizeof(found));
	flood.events = events;
	flood.paced = paced;
	flood.ended = 0;
	trace_follow(true, true);
	for_each_possible_cpu (cpu)
		before[cpu] = trace_taken(cpu);
	for_each_online_cpu (cpu)
		writer[cpu] = ktest_thread("flood", flood_thread, NULL,
					   cpumask_of(cpu));
	for (bool ended = false; !ended;) {
		ended = READ_ONCE(flood.ended) == cores;
		if (ended)
			trace_follow(false, false);
		for_each_possible_cpu (cpu) {
			uint32_t was = found.read + found.lost;

			if (ended || !held)
				follow_core(cpu, last);
			sum[cpu] += found.read + found.lost - was;
		}
		if (held && !ended)
			sleep_ns(1000000);
	}
	for_each_possible_cpu (cpu)
		found.wrong += sum[cpu] != trace_taken(cpu) - before[cpu];
	for_each_online_cpu (cpu)
		thread_join(writer[cpu]);
	EXPECT_EQ(found.wrong, 0);
	EXPECT_EQ(found.torn, 0);
	EXPECT_EQ(found.disorder, 0);
}

/* The writers wait for the reader: nothing is lost. */
static void follow_paced(uint32_t events)
{
	follow_flood(events, true, false);
	EXPECT_EQ(found.lost, 0);
	EXPECT_EQ(found.notes, events * ktest_cores());
}

KTEST(lib, trace_follow)
{
	follow_paced(10000);
}

/* A million events on 4 cores. */
KTEST_MANUAL(lib, trace_million)
{
	follow_paced(1000000 / ktest_cores());
}

/* The writers wait for nobody. They write where the reader copies. */
KTEST(lib, trace_torn)
{
	follow_flood(50000, false, false);
}

/* The reader is held: each ring has its last events, and all others are lost. */
KTEST(lib, trace_overrun)
{
	follow_flood(3 * RING, false, true);
	EXPECT(found.read < ktest_cores() * RING);
	EXPECT(found.lost >= ktest_cores() * 2 * RING);
}

/* ---- an interrupt that writes while the reader copies ---------------------------------- */

static struct {
	uint32_t next; /* the next note */
	uint32_t fired;
} burst;

static void write_notes(uint32_t n)
{
	while (n--) {
		struct trace_event e = note_of(burst.next++);

		trace_record(TR_NOTE, e.obj, e.name, e.arg, e.caller);
	}
}

static void write_burst(struct timer *t maybe_unused)
{
	write_notes(RING / 4);
	WRITE_ONCE(burst.fired, 1);
}

/* Read once. Returns whether each note is whole, and the notes follow each other. */
static bool read_is_sound(uint32_t *all, uint32_t *next)
{
	static struct trace_event e[RING] not_cleared;
	unsigned int lost, n = trace_read(smp_processor_id(), e, RING, &lost);
	bool sound = true, first = true;

	*all += n + lost;
	for (unsigned int i = 0; i < n; i++) {
		if (e[i].op != TR_NOTE)
			continue;
		sound &= is_whole(&e[i]) &&
			 (first ? e[i].arg >= *next : e[i].arg == *next);
		first = false;
		*next = e[i].arg + 1;
	}
	return sound;
}

/* The interrupt comes at any instruction of trace_read(), and overwrites a quarter of the
 * ring that is copied. */
KTEST(lib, trace_interrupted)
{
	uint32_t rnd = ktest_seed(), all = 0, next = 1, hits = 0, unsound = 0;
	uint32_t before, written;

	ktest_run_on(ktest_first_core());
	burst.next = 1;
	trace_follow(true, true);
	before = trace_taken(smp_processor_id());
	for (unsigned int i = 0; i < 500; i++) {
		struct timer t;

		timer_setup(&t, write_burst, NULL);
		burst.fired = 0;
		write_notes(RING);
		timer_arm(&t, timer_now() +
				      ktest_random(&rnd) % timer_ticks(200000));
		unsound += !read_is_sound(&all, &next);
		hits += READ_ONCE(burst.fired);
		while (!READ_ONCE(burst.fired))
			cpu_relax();
		timer_cancel_sync(&t);
		unsound += !read_is_sound(&all, &next);
	}
	trace_follow(false, false);
	read_is_sound(&all, &next);
	written = trace_taken(smp_processor_id()) - before;
	EXPECT_EQ(trace_unread(smp_processor_id()), 0);
	EXPECT_EQ(unsound, 0);
	EXPECT_EQ(all, written);
	EXPECT(hits > 0);
}

/* ---- for the command `record`, which reads ---------------------------------------------- */

/* `flood` overruns it, `paced` does not. */
static void flood_recorder(uint32_t events, bool paced)
{
	struct thread *writer[NR_CPUS];
	unsigned int cpu;

	flood.events = events;
	flood.paced = paced;
	for_each_online_cpu (cpu)
		writer[cpu] = ktest_thread("flood", flood_thread, NULL,
					   cpumask_of(cpu));
	for_each_online_cpu (cpu)
		thread_join(writer[cpu]);
}

KTEST_MANUAL(lib, record_flood)
{
	flood_recorder(100000, false);
}

KTEST_MANUAL(lib, record_paced)
{
	flood_recorder(10000, true);
}

KTEST_MANUAL(lib, record_million)
{
	flood_recorder(1000000 / ktest_cores(), true);
}
