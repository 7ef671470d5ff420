/*
 * The search (kernel/explore/search.c) over the step machine (search_model.h),
 * compared with the oracle, over random programs: outcomes, deadlock states,
 * number of classes, redundant runs. argv: seed, number of programs.
 */
#include "tests/host/compare.h"
#include "tests/host/host.h"
#include "tests/host/search_model.h"
#include "tests/host/search_run.h"

#include <string.h>

enum { MAX_RUNS = 4000 };

static void reset(void *arg)
{
	model_reset(arg);
}

static uint32_t enabled(void *arg)
{
	(void)arg;
	return model_enabled();
}

static unsigned int step(void *arg, unsigned int t, struct touch *touched)
{
	static const enum touch_how how[] = {
		[MODEL_READ] = TOUCH_READ,
		[MODEL_INC] = TOUCH_INC,
		[MODEL_DEC] = TOUCH_DEC,
		[MODEL_WRITE] = TOUCH_WRITE,
	};
	struct model_touch m[MODEL_TOUCHES];
	unsigned int n = model_step(t, m);

	(void)arg;
	for (unsigned int i = 0; i < n; i++)
		touched[i] = (struct touch){ m[i].thing, how[m[i].how] };
	return n;
}

static void end(void *arg, struct program_end *e)
{
	(void)arg;
	model_end(e);
}

static uint64_t state(void *arg)
{
	(void)arg;
	return model_state();
}

static void machine(struct step_machine *m, const struct program *p)
{
	static struct program now;

	now = *p;
	*m = (struct step_machine){ reset, enabled, step, end, state, &now };
}

static void search(struct search_found *f, const struct program *p)
{
	struct searched r;

	memset(&r, 0, sizeof(r));
	run_search(&r, p, MODE_REDUCED, 0, MAX_RUNS);
	f->nr_classes = r.runs;
	f->nr_redundant = r.redundant;
	f->too_big = r.too_big;
	if (r.cut_short || r.no_room || r.forgetful)
		f->broken = "the search says that it is not complete";
	else if (r.off_course)
		f->broken = "a witness is not of its class";
	else if (r.classes != r.runs)
		f->broken = "two runs of one class";
	f->nr_ends = r.nr_ends;
	f->end = malloc((r.nr_ends ? r.nr_ends : 1) * sizeof(*f->end));
	CHECK(f->end);
	memcpy(f->end, r.end, r.nr_ends * sizeof(*f->end));
	searched_free(&r);
}

int main(int argc, char **argv)
{
	static const struct comparison c = { { 4, 5, 8 }, 100000, 10000 };
	static const struct subject s = { search, machine };
	unsigned long n = host_args(argc, argv);
	struct compared sum;
	size_t differ;

	printf("seed %u\n", random_state);
	differ = compare_random(&s, &c, random_state, n, 10, &sum);
	printf("%zu programs, %zu too big, %zu ends (%zu deadlocks), "
	       "%zu classes, %zu differences\n",
	       sum.programs, sum.too_big, sum.ends, sum.deadlocks, sum.classes,
	       differ);
	CHECK(!differ);
	return 0;
}
