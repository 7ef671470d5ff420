/*
 * kernel/lib/cpumask.h: random masks against loops over all cores; and the
 * atomic forms in several threads at once, for the thread sanitizer.
 */
#include "kernel/lib/cpumask.h"

#include <pthread.h>
#include <string.h>

#include "tests/host/host.h"

#define THREADS 4

static struct cpumask shared;

static void *worker(void *arg)
{
	unsigned int cpu = (unsigned int)(uintptr_t)arg;

	for (unsigned int i = 0; i < 20000; i++) {
		cpumask_set_atomic(&shared, cpu);
		CHECK(cpumask_test(cpumask_load(&shared), cpu));
		cpumask_clear_atomic(&shared, cpu);
		CHECK(!cpumask_test(cpumask_load(&shared), cpu));
	}
	cpumask_set_atomic(&shared, cpu);
	return NULL;
}

static void algebra(void)
{
	struct cpumask a = { below(~0u) & below(~0u) }, b = { below(~0u) };
	unsigned int n = 0, first = NR_CPUS, cpu, seen = 0;
	int last = -1;

	for (unsigned int i = 0; i < NR_CPUS; i++) {
		bool in_a = a.bits & (1u << i), in_b = b.bits & (1u << i);

		CHECK(cpumask_test(a, i) == in_a);
		CHECK(cpumask_test(cpumask_and(a, b), i) == (in_a && in_b));
		CHECK(cpumask_test(cpumask_andnot(a, b), i) == (in_a && !in_b));
		CHECK(cpumask_first(cpumask_of(i)) == i);
		n += in_a;
		if (in_a && first == NR_CPUS)
			first = i;
	}
	CHECK(cpumask_weight(a) == n && cpumask_first(a) == first);
	CHECK(cpumask_empty(a) == (n == 0));
	CHECK(!cpumask_test(CPUMASK_ALL, NR_CPUS));
	for_each_cpu (cpu, a) {
		CHECK(cpumask_test(a, cpu) && (int)cpu > last);
		last = (int)cpu;
		seen++;
	}
	CHECK(seen == n);
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	pthread_t t[THREADS];

	while (rounds--)
		algebra();
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t[i], NULL, worker, (void *)(i * 9)));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK(cpumask_weight(shared) == THREADS);
	CHECK(cpumask_empty((struct cpumask){ 0 }));
	return 0;
}
