/*
 * Finding an experiment by a word of a command line. See command.h.
 *
 * Owns no data: the experiments are in a linker section (DEMO()).
 */
#include "lab/command.h"

#include <strings.h>

#include "kernel/lib/printf.h"

const struct demo *find_demo(const char *word)
{
	for (const struct demo *d = demos_start; d < demos_end; d++)
		if (!strcasecmp(word, d->id) || !strcasecmp(word, d->slug))
			return d;
	return NULL;
}

const struct scenario *find_part(const char *word, const struct demo **of)
{
	for (const struct demo *d = demos_start; d < demos_end; d++) {
		for (unsigned int i = 0; i < d->nr_scenarios; i++) {
			const char *part = d->scenarios[i].part;

			if (!part || strcasecmp(word, part) != 0)
				continue;
			*of = d;
			return &d->scenarios[i];
		}
	}
	return NULL;
}

bool in_table(const struct demo *d)
{
	return !d->for_reader &&
	       (GORDIAN_DEBUG || !d->scenarios[0].needs_lockdep);
}

const char *complete_demo(unsigned int i)
{
	return demos_start + i < demos_end ? demos_start[i].slug : NULL;
}

int report_interrupt(void)
{
	kprintf("interrupted\n");
	return 130;
}
