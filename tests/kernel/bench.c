/*
 * The shell's `bench` command: the cost of operations without contention.
 *
 * A batch of operations is timed, and an empty loop of the same length subtracted. The
 * median of several batches counts, because an interrupt may lengthen one. With
 * `-icount shift=0` the guest's clock counts instructions, and the figures repeat
 * exactly. QEMU does not tell the guest, but it shows: loops of a known number of
 * instructions take exactly that many nanoseconds. Otherwise the figures are
 * nanoseconds of this host, and the output says so.
 *
 * The instructions of every core advance that clock, and so does a time in which all
 * cores idle. On several cores an operation that makes other cores work costs what all
 * of them do.
 *
 * Owns the list of groups. Runs in the command's thread, which it keeps on one core.
 */
#include "tests/kernel/bench.h"

#include <string.h>

#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/shell.h"

#define BATCHES 15u

static const struct bench_group *const groups[] = {
	&bench_locks,	&bench_rcu, &bench_slab, &bench_threads,
#if GORDIAN_DEBUG
	&bench_lockdep,
#endif
	&bench_trace,
};

unsigned int bench_cpu;
bool bench_no_memory;

struct thread *bench_thread(int (*fn)(void *), void *arg, unsigned int cpu)
{
	struct thread *t =
		thread_create("bench", fn, arg, current->prio, cpumask_of(cpu));

	if (!t)
		bench_no_memory = true;
	return t;
}

void bench_sort(uint32_t *a, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++)
		for (unsigned int j = i; j && a[j - 1] > a[j]; j--) {
			uint32_t x = a[j];

			a[j] = a[j - 1];
			a[j - 1] = x;
		}
}

BATCH(empty_loop, )

/* The nanoseconds of a batch: the median. */
static uint64_t batch_ns(const struct bench *b)
{
	uint32_t took[BATCHES]; /* counter ticks */

	for (unsigned int i = 0; i < BATCHES; i++) {
		if (b->before)
			b->before();
		uint64_t start = timer_now();

		b->batch(b->times);
		took[i] = (uint32_t)(timer_now() - start);
		if (b->after)
			b->after();
	}
	bench_sort(took, BATCHES);
	return timer_ns(took[BATCHES / 2]);
}

static void print_cost(const struct bench *b)
{
	const struct bench loop = { .batch = empty_loop, .times = b->times };
	unsigned int ops = b->times * (b->each ? b->each : 1);
	uint64_t took = batch_ns(b), empty = batch_ns(&loop);

	took = took > empty ? took - empty : 0;
	kprintf("  %-12s %6u  %s\n", b->name,
		(unsigned int)((took + ops / 2) / ops), b->what);
}

/* Does an instruction take a nanosecond? Then each of these loops takes 2 n, apart
 * from reading the clock. */
static bool clock_counts(void)
{
	const uint64_t margin = timer_ns(2) + 32;
	uint32_t flags = local_irq_save();
	bool exact = true;

	for (uint32_t n = 10000; n <= 20000; n += 1000) {
		uint64_t start = timer_now(), took;
		uint32_t left = n;

		__asm__ volatile("1: subs %0, %0, #1\n\tbne 1b"
				 : "+r"(left)::"cc");
		took = timer_ns(timer_now() - start);
		exact &= took + margin >= 2 * n && took <= 2 * n + margin;
	}
	local_irq_restore(flags);
	return exact;
}

/* The i-th row of all groups, or NULL. */
static const struct bench *row(unsigned int i)
{
	for (unsigned int g = 0; g < ARRAY_SIZE(groups); g++) {
		if (i < groups[g]->nr_rows)
			return &groups[g]->rows[i];
		i -= groups[g]->nr_rows;
	}
	return NULL;
}

static const struct bench *find_row(const char *name)
{
	const struct bench *b;

	for (unsigned int i = 0; (b = row(i)); i++)
		if (strcmp(b->name, name) == 0)
			break;
	return b;
}

/* only: NULL, or the one row to measure. Returns the command's status. */
static int measure_group(const struct bench_group *g, const struct bench *only)
{
	int status = 0;

	if (only && (only < g->rows || only >= g->rows + g->nr_rows))
		return 0;
	bench_no_memory = g->prepare && !g->prepare();
	for (unsigned int i = 0; i < g->nr_rows && !bench_no_memory; i++) {
		if (only && only != &g->rows[i])
			continue;
		if (thread_interrupted())
			status = BENCH_INTERRUPTED;
		if (status)
			break;
		print_cost(&g->rows[i]);
	}
	if (g->clean_up)
		g->clean_up();
	if (bench_no_memory)
		kprintf("bench: out of memory\n");
	return bench_no_memory ? 1 : status;
}

/* only: NULL, or the one row to measure. */
static int count(const struct bench *only)
{
	int status = 0;

	kprintf("bench: %s\n",
		clock_counts() ? "instructions per operation" :
				 "ns per operation; not counted, see -icount");
	for (unsigned int i = 0; i < ARRAY_SIZE(groups) && !status; i++)
		status = measure_group(groups[i], only);
	return status;
}

static int bench_command(int argc, char **argv)
{
	bool latency = argc > 1 && strcmp(argv[1], "latency") == 0;
	const struct bench *only = argc > 1 ? find_row(argv[1]) : NULL;
	struct cpumask allowed = current->affinity;
	int status;

	if (argc > 2 + latency) {
		kprintf("usage: bench [ROW | latency [SAMPLES]]\n");
		return 1;
	}
	if (argc > 1 && !latency && !only) {
		kprintf("bench: no row \"%s\" (`bench` prints all)\n", argv[1]);
		return 1;
	}
	bench_cpu = cpumask_first(cpu_online());
	if (thread_set_affinity(current, cpumask_of(bench_cpu))) {
		kprintf("bench: core %u has gone off; run it again\n",
			bench_cpu);
		return 1;
	}
	status = latency ? bench_latency(argc > 2 ? argv[2] : NULL) :
			   count(only);
	thread_set_affinity(current, allowed);
	return status;
}

static const char *complete(int arg, unsigned int i)
{
	const struct bench *b = arg == 1 && i ? row(i - 1) : NULL;

	return arg == 1 && !i ? "latency" : b ? b->name : NULL;
}

SHELL_COMMAND(
	bench, .name = "bench", .usage = "bench [ROW | latency [SAMPLES]]",
	.help = "measure lock, RCU, slab and thread operations",
	.words =
		"  ROW      measure this row alone; `bench` prints all names\n"
		"  latency  measure how long operations take while all cores run\n"
		"  SAMPLES  how often each of these is measured, at most 1000\n",
	.example = "bench slab", .page = "docs/cost.md", .fn = bench_command,
	.complete = complete);
