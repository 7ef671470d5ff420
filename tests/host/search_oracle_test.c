/*
 * The search (kernel/explore/search.c) over the step machine (search_model.h),
 * compared with the oracle, over random programs: outcomes, deadlock states,
 * number of classes, redundant runs. argv: seed, number of programs.
 */
#include "tests/host/compare.h"
#include "tests/host/host.h"
#include "tests/host/search_subject.h"

int main(int argc, char **argv)
{
	static const struct comparison c = { { 4, 5, 8 }, 100000, 10000 };
	unsigned long n = host_args(argc, argv);
	struct compared sum;
	size_t differ;

	printf("seed %u\n", random_state);
	differ = compare_random(&search_subject, &c, random_state, n, 10, &sum);
	printf("%zu programs, %zu too big, %zu ends (%zu deadlocks), "
	       "%zu classes, %zu differences\n",
	       sum.programs, sum.too_big, sum.ends, sum.deadlocks, sum.classes,
	       differ);
	CHECK(!differ);
	return 0;
}
