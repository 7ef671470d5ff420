/*
 * The output about a round: the schedule, a refused step, the waits of the
 * threads, the scenario's own evidence.
 *
 * Owns no data. In the runner's thread, while the actors stand still or have
 * ended; demo_mutex held.
 */
#include "lab/stage.h"

#include "lab/words.h"
#include "kernel/lib/printf.h"

static void show_refusal(const struct stage *st)
{
	kprintf("refused: the next step of the drawing is that %s gets past "
		"cpu_hotplug_begin()\n",
		st->sc->actors[st->refusal.actor].name);
	kprintf("  it waits for refcount 0; refcount is %d, held by",
		(int)st->refusal.value);
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (st->refusal.holders & 1u << i)
			kprintf(" %s", st->sc->actors[i].name);
	kprintf("\n");
}

/* Print a sentence about a round in which lockdep found something, but every thread
 * ended. */
static void show_completed(const struct stage *st)
{
	char found[80];

	lockdep_words(found, sizeof(found), lockdep_seen());
	kprintf("lockdep reported %s, but", found);
	for (unsigned int i = 0; i < st->nr_actors; i++)
		kprintf("%s %s",
			i == 0		      ? "" :
			i + 1 < st->nr_actors ? "," :
						" and",
			st->sc->actors[i].name);
	kprintf(st->nr_actors > 1 ? " ran to their ends.\n" :
				    " ran to its end.\n");
}

static void show_waits(struct stage *st, enum outcome out)
{
	if (out == OUT_DEADLOCK) {
		waitfor_report(&st->waits);
		return;
	}
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		waitfor_walk(st->worker[i].thread, &st->waits);
		waitfor_report(&st->waits);
	}
}

void show_evidence(struct stage *st)
{
	if (st->sc->show.evidence)
		st->sc->show.evidence(st);
}

/* Print the drawing, the cycle, and what happened. */
static void show_briefly(struct stage *st, enum outcome out)
{
	show_short_schedule(st, out == OUT_COMPLETES);
	if (out == OUT_DEADLOCK)
		waitfor_print_cycle(&st->waits);
	show_evidence(st);
	tell_round(st, out);
}

void show_round(struct stage *st, enum outcome out)
{
	trace_stop();
	if (st->brief) {
		show_briefly(st, out);
		return;
	}
	show_schedule(st);
	if (st->refusal.happened)
		show_refusal(st);
	if (!all_done(st) || out == OUT_DEADLOCK)
		show_waits(st, out);
	show_evidence(st);
	if (out == OUT_COMPLETES &&
	    lockdep_seen() & LOCKDEP_BIT(LOCKDEP_CIRCULAR))
		show_completed(st);
}
