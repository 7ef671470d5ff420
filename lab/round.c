/*
 * One round: from the set-up to its end. The runner (run.c) lets the actors run
 * freely or by a script, the explorer (explore/director.c) one step at a time;
 * both play their rounds with this sequence.
 *
 * On the_stage (lab/stage.c), guarded by demo_mutex; in the runner's thread.
 */
#include "lab/round.h"

#include "lab/record.h"
#include "kernel/debug/panic.h"

int play_round(struct round *r, struct stage *st)
{
	const struct scenario *sc = st->sc;
	unsigned int warnings = warn_count, slab;
	bool check = false;
	int err;

	reset_round(st);
	lockdep_reset(); /* else the set-up could close a cycle of the last round */
	seen_begin(sc);
	err = sc->world.setup ? sc->world.setup(st) : 0;
	if (!err && r->is_set_up)
		err = r->is_set_up(r, st);
	if (err)
		return err;
	lockdep_reset(); /* now lockdep judges the actors alone */
	slab = slab_errors + sc->said.slab_reports;
	trace_start(r->trace);
	observe_begin(st);
	record_round_begin(st);
	start_actors(st, &r->seed);
	if (r->lead)
		r->lead(r, st);
	r->outcome = watch_round(st, warnings);
	record_standstill(st, r->outcome);
	st->warnings = r->warnings = warn_count - warnings;
	if (r->is_over)
		r->is_over(r, st);
	if (r->outcome == OUT_COMPLETES) {
		release_ended(st); /* else the check could wait for ever */
		check = !r->may_check || r->may_check(r, st);
	}
	if (check && sc->said.check && !sc->said.check(st))
		r->outcome = OUT_CORRUPT;
	st->slab_differs = r->slab_differs = slab_errors != slab;
	if (r->slab_differs && (check || !r->may_check))
		r->outcome = OUT_CORRUPT;
	record_round_end(r->outcome);
	return 0;
}
