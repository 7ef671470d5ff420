/*
 * Which scenarios can be explored, and in which forms.
 *
 * Owns no data.
 */
#include "lab/explore/explore.h"

#include <strings.h>

#include "lab/command.h"
#include "lab/words.h"
#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

unsigned int forms_of(const struct scenario *sc, struct form *out)
{
	unsigned int n = 0;

	if (!sc->world.toggles) {
		out[0] = (struct form){ "", false };
		return 1;
	}
	if (!sc->world.down_only)
		out[n++] = (struct form){ "up", true };
	out[n++] = (struct form){ "down", false };
	return n;
}

/* Is an actor called RCU? In a schedule this name stands for RCU's steps. */
static bool names_an_actor_rcu(const struct scenario *sc)
{
	for (unsigned int i = 0; i < nr_actors_of(sc); i++)
		if (!strcasecmp(sc->actors[i].name, "RCU"))
			return true;
	return false;
}

const char *why_not_searched(const struct scenario *sc)
{
	if (names_an_actor_rcu(sc))
		return "no actor may have the name RCU: it means RCU's steps";
	if (sc->forced.in_turn && !sc->search.none)
		return "its actors run in turn: one schedule";
	return sc->search.none;
}

/* The part, if exactly one part is searched; NULL if several parts are. If none
 * is searched, returns any part: the caller then prints why this part is not
 * searched. */
static const struct scenario *only_part(const struct demo *d)
{
	const struct scenario *sc = NULL;

	for (unsigned int i = 0; d && i < d->nr_scenarios; i++) {
		if (why_not_searched(&d->scenarios[i]))
			continue;
		if (sc)
			return NULL;
		sc = &d->scenarios[i];
	}
	return sc || !d ? sc : d->scenarios;
}

const struct scenario *find_searched(const char *command, const char *word,
				     const struct demo **of)
{
	const struct scenario *sc = NULL;

	*of = word ? find_demo(word) : NULL;
	if (*of)
		sc = (*of)->nr_scenarios == 1 ? (*of)->scenarios :
						only_part(*of);
	else if (word)
		sc = find_part(word, of);
	if (!word)
		kprintf("%s: which experiment? (demo lists them)\n", command);
	else if (!*of)
		kprintf("%s: no experiment \"%s\" (`demo` lists them)\n",
			command, word);
	else if (!sc)
		kprintf("%s: %s has parts: name one (demo %s prints them)\n",
			command, word, word);
	else if (why_not_searched(sc)) {
		kprintf("%s: %s is not explored: %s\n", command, word,
			why_not_searched(sc));
		return NULL;
	} else if (why_cannot_run(*of, sc)) {
		kprintf("%s: %s %s\n", command, sc->part ? sc->part : (*of)->id,
			why_cannot_run(*of, sc));
		return NULL;
	}
	return sc;
}
#endif
