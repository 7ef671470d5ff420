/*
 * How `bench` measures: batches of operations, and their median.
 *
 * A batch of operations is timed, and an empty loop of the same length subtracted. The
 * median of several batches counts, because an interrupt may lengthen one. With
 * `-icount shift=0` the guest's clock counts instructions, and the figures repeat
 * exactly. QEMU does not tell the guest that it counts. So the guest looks: then loops
 * of a known number of instructions take exactly that many nanoseconds. Otherwise the figures are
 * nanoseconds of this host, and the output says so.
 *
 * The instructions of every core advance that clock, and so does a time in which all
 * cores idle. On several cores an operation that makes other cores work costs what all
 * of them do.
 *
 * Owns bench_cpu, which bench_cmd.c sets, and bench_no_memory. Context: see bench.h.
 */
#include "tests/kernel/bench.h"

#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define BATCHES 15u

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

unsigned int bench_cost(const struct bench *b)
{
	const struct bench loop = { .batch = empty_loop, .times = b->times };
	unsigned int ops = b->times * (b->each ? b->each : 1);
	uint64_t took = batch_ns(b), empty = batch_ns(&loop);

	took = took > empty ? took - empty : 0;
	return (unsigned int)((took + ops / 2) / ops);
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

void bench_print_unit(void)
{
	kprintf("bench: %s\n",
		clock_counts() ? "instructions per operation" :
				 "ns per operation; not counted, see -icount");
}
