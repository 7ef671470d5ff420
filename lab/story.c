/*
 * What happened in a round, and why: sentences that are composed from the waits of
 * the threads, the hotplug references that the listener has counted, and the
 * findings of the checks.
 *
 * Owns no data. In the runner's thread, while the actors stand still or have ended;
 * demo_mutex held.
 */
#include "lab/say.h"
#include "lab/stage.h"
#include "lab/words.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/printf.h"

static unsigned int count_bits(uint32_t set)
{
	return (unsigned int)__builtin_popcount(set);
}

/* Say the names of the actors in `set`, a bit each. */
static void say_actors(const struct stage *st, uint32_t set)
{
	unsigned int n = 0, all = count_bits(set);

	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (set & 1u << i)
			say("%s%s", say_separator(n++, all),
			    st->sc->actors[i].name);
}

static uint32_t actors_with_references(const struct stage *st)
{
	uint32_t set = 0;

	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (st->refs[i] > 0)
			set |= 1u << i;
	return set;
}

/* ---- waits --------------------------------------------------------------- */

static void say_wait(const struct stage *st, const struct waitfor *w,
		     unsigned int link)
{
	const struct waitfor_link *l = &w->link[link];
	const struct waitfor_link *to = waitfor_owner(w, link);

	if (l->waiting.ops == &refcount_wait) {
		uint32_t holders = actors_with_references(st);

		say("%s waits until the reference count is 0, but it is %d",
		    l->name, READ_ONCE(cpu_hotplug.refcount));
		if (holders) {
			say(", held by ");
			say_actors(st, holders);
		} else {
			say(" and no actor holds a reference");
		}
	} else if (to == l) {
		say("%s waits for %s, which it holds itself", l->name,
		    l->waiting.name);
	} else if (to) {
		say("%s waits for %s, %s %s", l->name, l->waiting.name,
		    waitfor_relation(w, link), to->name);
	} else {
		say("%s waits for %s (%s)", l->name, l->waiting.name,
		    l->waiting.ops->name);
	}
}

/* Say how U got past cpu_hotplug_begin() while D was in its operation. */
static void say_why_let_in(const struct stage *st)
{
	if (!st->let_in.happened)
		return;
	say(" %s got past cpu_hotplug_begin() because the reference count was "
	    "0%s %s had taken %s reference.",
	    st->sc->actors[st->let_in.actor].name,
	    st->let_in.refs > 0 ? ", although" : ":",
	    st->sc->actors[D_ACTOR].name, st->let_in.refs > 0 ? "a" : "no");
}

static void say_deadlock(const struct stage *st)
{
	const struct waitfor *w = &st->waits;
	unsigned int n = w->n - w->first;

	for (unsigned int i = w->first; i < w->n; i++) {
		say(i > w->first ? "; " : "");
		say_wait(st, w, i);
	}
	say(n == 1 ? ", so it cannot go on." :
	    n == 2 ? ": neither can go on." :
		     ": none of them can go on.");
	say_why_let_in(st);
}

static void say_stuck(struct stage *st)
{
	bool any = false;

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		struct waitfor *w = &st->waits;

		if (worker_ended(&st->worker[i]))
			continue;
		waitfor_walk(st->worker[i].thread, w);
		if (!w->link[0].waiting.ops)
			continue;
		say(any ? "; " : "");
		say_wait(st, w, 0);
		any = true;
	}
	say("%snobody will end that wait, but there is no cycle.",
	    any ? ": " : "");
}

/* ---- ends ---------------------------------------------------------------- */

/* The function that an address is in. */
static const char *function_at(uintptr_t address)
{
	uint32_t offset;

	return symbol_lookup(address, &offset) ?: "?";
}

static void say_bug(const struct stage *st)
{
	const struct thread *t = thread_with_bug(st);

	say("%s ended at BUG_ON(%s) in %s, called from %s.", t->name, t->bug,
	    function_at(t->bug_site), function_at(t->bug_caller));
}

static void say_warnings(const struct stage *st)
{
	say("%u WARN_ON() report%s, the last one about a call from %s. ",
	    st->warnings, st->warnings == 1 ? "" : "s",
	    function_at(warn_caller));
}

static void say_corrupt(const struct stage *st)
{
	if (st->slab_differs && slab_last_error)
		say("The slab allocator found an error: %s.", slab_last_error);
	else
		say("The check %s() failed.",
		    function_at((uintptr_t)st->sc->said.check));
}

static void say_refusal(const struct stage *st)
{
	const char *u = st->sc->actors[st->refusal.actor].name;

	say("Refused: in the drawing %s gets past cpu_hotplug_begin() here, but "
	    "it waits for reference count 0, and the count is %d",
	    u, (int)st->refusal.value);
	if (st->refusal.holders) {
		say(", held by ");
		say_actors(st, st->refusal.holders);
	}
	say(". ");
}

static void say_lockdep(void)
{
	const char *wanted, *held;
	char found[80];

	lockdep_words(found, sizeof(found), lockdep_seen());
	say("%s", found);
	if (lockdep_seen() && lockdep_last_pair(&wanted, &held))
		say(" (%s wanted, %s held)", wanted, held);
}

static void say_completed(const struct stage *st)
{
	bool found = GORDIAN_DEBUG && lockdep_seen();

	if (found) {
		say("lockdep reports ");
		say_lockdep();
		say(", but ");
	}
	say_actors(st, (1u << st->nr_actors) - 1);
	say(st->nr_actors > 1 ? " ran to their ends" : " ran to its end");
	say(found ? "." : GORDIAN_DEBUG ? ", and lockdep is silent." : ".");
}

void tell_round(struct stage *st, enum outcome out)
{
	if (st->refusal.happened)
		say_refusal(st);
	if (st->warnings)
		say_warnings(st);
	switch (out) {
	case OUT_DEADLOCK:
		say_deadlock(st);
		break;
	case OUT_STUCK:
		say_stuck(st);
		break;
	case OUT_BUG:
		say_bug(st);
		break;
	case OUT_CORRUPT:
		say_corrupt(st);
		break;
	default:
		say_completed(st);
	}
	say_it();
	if (GORDIAN_DEBUG && out != OUT_COMPLETES && out != OUT_WARN) {
		say(lockdep_seen() ? "lockdep reports " : "lockdep is ");
		say_lockdep();
		say(".");
		say_it();
	}
}
