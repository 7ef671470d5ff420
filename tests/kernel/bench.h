/*
 * The rows of the shell's `bench` command, and what the files that have them share.
 *
 * A row is an operation whose cost is measured. A group is a few rows with data in
 * common. bench_cmd.c has the list of the groups. Everything here runs in the command's
 * thread, which stays on one core, unless a comment says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"
#include "kernel/lib/cpumask.h"

struct thread;

struct bench {
	const char *name, *what;
	/* Runs `times` times what is measured. That is `each` operations (0: 1). */
	void (*batch)(unsigned int times);
	unsigned int times, each;
	/* Called before and after each batch, and not timed; may be NULL. */
	void (*before)(void);
	void (*after)(void);
};

#define ROW(name_, what_, batch_, times_, ...)                                 \
	{                                                                      \
		.name = (name_), .what = (what_), .batch = (batch_),           \
		.times = (times_), __VA_ARGS__                                 \
	}

struct bench_group {
	const struct bench *rows;
	unsigned int nr_rows;
	/* Called before and after the group; may be NULL. `prepare` returns false if
	 * memory is out. `clean_up` is called in this case too. */
	bool (*prepare)(void);
	void (*clean_up)(void);
};

extern const struct bench_group bench_locks, bench_threads, bench_rcu,
	bench_slab, bench_lockdep, bench_trace;

/* A batch: it does something n times. The compiler must not move anything out of the
 * loop. */
#define BATCH(name, ...)                                                       \
	static void name(unsigned int n)                                       \
	{                                                                      \
		for (unsigned int i = 0; i < n; i++) {                         \
			__asm__ volatile("" ::: "memory");                     \
			__VA_ARGS__;                                           \
		}                                                              \
	}

/* The core on which the command measures. */
extern unsigned int bench_cpu;
/* Start a thread with the command's priority on that core. If memory is out, return
 * NULL and set bench_no_memory. */
struct thread *bench_thread(int (*fn)(void *), void *arg, unsigned int cpu);
/* The command ends with an error as soon as this is true. */
extern bool bench_no_memory;
/* Sort n numbers, the smallest first. */
void bench_sort(uint32_t *a, unsigned int n);
/* What an operation of b costs: the median of several batches, without the loop. */
unsigned int bench_cost(const struct bench *b);
/* Print whether the figures that follow are instructions. */
void bench_print_unit(void);
#define BENCH_INTERRUPTED                                                      \
	130 /* the command's status, as on Unix after Ctrl-C */

/* `bench cores`, `bench growth`. Return the status. */
int bench_cores(void);
int bench_growth(void);
/* `bench latency [SAMPLES]`; samples: the word, or NULL. Returns the status. */
int bench_latency(const char *samples);
