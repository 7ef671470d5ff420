/*
 * The shell's `bench` command: the cost of operations. bench.c says how they are
 * measured, and what the figures are.
 *
 * Owns the list of groups. Runs in the command's thread, which it keeps on one core.
 */
#include "tests/kernel/bench.h"

#include <string.h>

#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/shell.h"

static const struct bench_group *const groups[] = {
	&bench_locks,	&bench_rcu, &bench_slab, &bench_threads,
#if GORDIAN_DEBUG
	&bench_lockdep,
#endif
	&bench_trace,
};

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
		kprintf("  %-12s %6u  %s\n", g->rows[i].name,
			bench_cost(&g->rows[i]), g->rows[i].what);
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

	bench_print_unit();
	for (unsigned int i = 0; i < ARRAY_SIZE(groups) && !status; i++)
		status = measure_group(groups[i], only);
	return status;
}

static const char *const words[] = { "cores", "growth", "latency" };

/* Run the command `bench word` (NULL: `bench`). samples: a word for `latency`; NULL:
 * none. */
static int run(const char *word, const char *samples)
{
	if (word && strcmp(word, "cores") == 0)
		return bench_cores();
	if (word && strcmp(word, "growth") == 0)
		return bench_growth();
	if (word && strcmp(word, "latency") == 0)
		return bench_latency(samples);
	return count(word ? find_row(word) : NULL);
}

static bool is_known(const char *word)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return find_row(word);
}

static int bench_command(int argc, char **argv)
{
	bool latency = argc > 1 && strcmp(argv[1], "latency") == 0;
	struct cpumask allowed = current->affinity;
	int status;

	if (argc > 2 + latency) {
		kprintf("usage: bench [ROW | cores | growth | latency [SAMPLES]]\n");
		return 1;
	}
	if (argc > 1 && !is_known(argv[1])) {
		kprintf("bench: no row \"%s\" (`bench` prints all)\n", argv[1]);
		return 1;
	}
	bench_cpu = cpumask_first(cpu_online());
	if (thread_set_affinity(current, cpumask_of(bench_cpu))) {
		kprintf("bench: core %u has gone off; run it again\n",
			bench_cpu);
		return 1;
	}
	status = run(argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL);
	thread_set_affinity(current, allowed);
	return status;
}

static const char *complete(int arg, unsigned int i)
{
	const struct bench *b;

	if (arg != 1)
		return NULL;
	if (i < ARRAY_SIZE(words))
		return words[i];
	b = row(i - ARRAY_SIZE(words));
	return b ? b->name : NULL;
}

SHELL_COMMAND(
	bench, .name = "bench",
	.usage = "bench [ROW | cores | growth | latency [SAMPLES]]",
	.help = "measure lock, RCU, slab and thread operations",
	.words =
		"  ROW      measure this row alone; `bench` prints all names\n"
		"  cores    measure what all cores do at once, and a core that goes\n"
		"  growth   measure with 1, 10 and 100 times as many objects\n"
		"  latency  measure how long operations take while all cores run\n"
		"  SAMPLES  how often each of these is measured, at most 1000\n",
	.example = "bench slab", .page = "docs/cost.md", .fn = bench_command,
	.complete = complete);
