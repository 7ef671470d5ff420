/*
 * See search_subject.h.
 */
#include "tests/host/search_subject.h"

#include <string.h>

#include "tests/host/host.h"
#include "tests/host/search_model.h"
#include "tests/host/search_run.h"

static struct program prog;

static void reset(void *arg)
{
	(void)arg;
	model_reset(&prog);
}

static uint32_t enabled(void *arg)
{
	(void)arg;
	return model_enabled();
}

/* A thing that is touched in two ways counts as written. */
static unsigned int step(void *arg, unsigned int t, struct touch *touched)
{
	struct model_touch all[MODEL_TOUCHES];
	unsigned int n = model_step(t, all), nr = 0;

	(void)arg;
	for (unsigned int i = 0; i < n; i++) {
		enum touch_how how = (enum touch_how)all[i].how;
		unsigned int k = 0;

		while (k < nr && touched[k].thing != all[i].thing)
			k++;
		if (k < nr && touched[k].how != how)
			how = TOUCH_WRITE;
		touched[k] = (struct touch){ all[i].thing, how };
		nr += k == nr;
	}
	return nr;
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

void step_machine_of(struct step_machine *m, const struct program *p)
{
	prog = *p;
	*m = (struct step_machine){ reset, enabled, step, end, state, NULL };
}

static void search(struct search_found *f, const struct program *p)
{
	struct searched r;

	run_search(&r, p, MODE_REDUCED, 0, SUBJECT_MOST_RUNS);
	*f = (struct search_found){ .end = r.end,
				    .nr_ends = r.nr_ends,
				    .nr_classes = r.runs,
				    .nr_redundant = r.redundant,
				    .too_big = r.too_big };
	if (r.no_room)
		f->broken = "the search has no room";
	else if (r.off_course)
		f->broken = "a sequence could not be run";
	else if (r.classes != r.runs)
		f->broken = "two runs of one class";
}

const struct subject search_subject = { search, step_machine_of };
