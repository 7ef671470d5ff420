/*
 * Finding an experiment by a word of a command line, and whether it can run on
 * this machine. See command.h.
 *
 * Owns no data: the experiments are in a linker section (DEMO()).
 */
#include "lab/command.h"

#include <strings.h>

#include "kernel/arch/board.h"
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

const char *why_cannot_run(const struct demo *d, const struct scenario *sc)
{
	/* The text for a given number of cores is always the same, so the texts
	 * need no lock. */
	static char texts[NR_CPUS + 1][48];
	unsigned int need = sc->cores ? sc->cores : d->cores;
	char *why = texts[min(need, (unsigned int)NR_CPUS)];

	if (sc->needs_lockdep && !GORDIAN_DEBUG)
		return "needs the debug profile";
	if (board.nr_cores >= need)
		return NULL;
	ksnprintf(why, sizeof(texts[0]), "needs %u cores, this machine has %u",
		  need, board.nr_cores);
	return why;
}

const char *why_none_can_run(const struct demo *d, const struct scenario *part)
{
	const char *why = NULL;

	for (unsigned int i = 0; i < d->nr_scenarios; i++) {
		if (part && &d->scenarios[i] != part)
			continue;
		why = why_cannot_run(d, &d->scenarios[i]);
		if (!why)
			return NULL;
	}
	return why;
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
	return 130; /* as on Unix after Ctrl-C */
}
