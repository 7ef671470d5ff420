/*
 * What the runner adds to a recorded stream: where a round begins and ends, the
 * waits that a knot is made of, and the orders of locks that lockdep has seen.
 *
 * Owns the number of rounds, and the time at which the last one ended. In the runner's
 * thread; demo_mutex held.
 */
#include "lab/record.h"

#include "lab/stage.h"
#include "lab/words.h"
#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"
#if GORDIAN_DEBUG
#include "kernel/lock/lockdep_internal.h"
#endif

static unsigned int rounds; /* recorded since boot */
static uint64_t ended;	    /* when the last round ended, in ticks */

unsigned int record_round(void)
{
	return rounds;
}

static const char *kind_of(const struct stage *st)
{
	return st->explored	      ? "explored" :
	       !st->forced	      ? "free" :
	       st->sc->forced.in_turn ? "in-turn" :
	       stage_script(st)	      ? "forced" :
					"once";
}

void record_round_begin(const struct stage *st)
{
	const char *part = st->sc->part ?: st->demo->id;
	const char *dir = !st->sc->world.toggles ? "-" : st->up ? "up" : "down";
	char word[64];

	live_round_begin(st->demo->id, part, kind_of(st), dir, st->toggled);
	if (!record_is_on())
		return;
	rounds++;
	for (unsigned int i = 0; i < st->nr_actors; i++)
		record_line("actor round=%u thread=%u core=%u name=%s", rounds,
			    st->worker[i].id, st->worker[i].cpu,
			    record_word(word, sizeof(word),
					st->sc->actors[i].name));
	record_line(
		"round %llx begin round=%u id=%s part=%s kind=%s dir=%s core=%u",
		(unsigned long long)timer_now(), rounds, st->demo->id,
		record_word(word, sizeof(word), part), kind_of(st), dir,
		st->toggled);
}

/* Record the waits of a walk. In a walk, each thread waits for the next thread. */
static void record_walk(const struct waitfor *w)
{
	char name[64], on[64], words[64], kind[64];

	for (unsigned int i = 0; i < w->n; i++) {
		const struct waitfor_link *l = &w->link[i];
		const struct waitfor_link *to = waitfor_owner(w, i);

		if (!l->waiting.ops)
			continue;
		record_word(name, sizeof(name), l->name);
		record_word(on, sizeof(on), l->waiting.name ?: "?");
		record_word(words, sizeof(words),
			    to ? waitfor_relation(w, i) : "-");
		record_line("wait round=%u thread=%u name=%s core=%u obj=%x "
			    "on=%s to=%u words=%s at=%x cycle=%d kind=%s",
			    rounds, l->id, name, l->cpu,
			    (unsigned int)l->waiting.obj, on, to ? to->id : 0,
			    words, (unsigned int)l->waiting.caller,
			    w->cycle && i >= w->first,
			    record_word(kind, sizeof(kind),
					l->waiting.ops->name));
	}
}

/* Each walk is written, so a wait may be written several times. A reader of the stream
 * keeps the first line of a thread. */
static void record_waits(struct stage *st, enum outcome out)
{
	if (out == OUT_DEADLOCK)
		record_walk(&st->waits);
	for (unsigned int i = 0; i < st->nr_actors && is_knot(out); i++) {
		static struct waitfor w; /* large; demo_mutex */

		if (worker_ended(&st->worker[i]))
			continue;
		waitfor_walk(st->worker[i].thread, &w);
		record_walk(&w);
	}
}

#if GORDIAN_DEBUG
/* The edges of lockdep's graph since the round began. bad: the edge closes a cycle, or
 * breaks another rule. The graph may grow meanwhile; an edge never changes. */
static void record_orders(void)
{
	const char *wanted, *held;
	char a[NAME_SIZE], b[NAME_SIZE], from[2 * NAME_SIZE], to[2 * NAME_SIZE];

	for (unsigned int i = 1; i < READ_ONCE(lockdep_graph.edges); i++) {
		const struct dep_edge *e = &lockdep_graph.edge[i];

		if (!e->from)
			continue; /* removed */
		record_word(from, sizeof(from), lockdep_class_name(e->from, a));
		record_word(to, sizeof(to), lockdep_class_name(e->to, b));
		record_line("order round=%u sort=%s bad=%d at=%x from=%s to=%s",
			    rounds,
			    e->dep == DEP_EN ? "EN" :
			    e->dep == DEP_SN ? "SN" :
			    e->dep == DEP_ER ? "ER" :
					       "SR",
			    e->bad,
			    (unsigned int)(e->trace.n > 1 ? e->trace.pc[1] : 0),
			    from, to);
	}
	if (lockdep_seen() && lockdep_last_pair(&wanted, &held))
		record_line("finding round=%u wanted=%s held=%s", rounds,
			    record_word(from, sizeof(from), wanted),
			    record_word(to, sizeof(to), held));
}
#else
#define record_orders() ((void)0)
#endif

void record_standstill(struct stage *st, enum outcome out)
{
	ended = timer_now();
	live_round_outcome(outcome_name(out));
	if (!record_is_on() || record_is_live())
		return;
	record_waits(st, out);
	record_orders();
}

void record_round_end(enum outcome out)
{
	char found[80], word[100];

	live_round_outcome(outcome_name(out));
	if (!record_is_on())
		return;
	lockdep_words(found, sizeof(found), lockdep_seen());
	record_line("round %llx end round=%u outcome=%s lockdep=%s",
		    (unsigned long long)ended, rounds, outcome_name(out),
		    record_word(word, sizeof(word), found));
}
