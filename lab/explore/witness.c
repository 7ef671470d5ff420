/*
 * A witness is a schedule in a short form. This file prints it as a line, and has
 * the director that plays it again.
 *
 * Owns no data. On the_stage, guarded by demo_mutex; in the runner's thread.
 */
#include "lab/explore/explore.h"

#include "lab/record.h"
#include "lab/words.h"
#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

void print_witness(const struct scenario *sc, const struct witness *w)
{
	if (*w->form.name)
		kprintf(" %s", w->form.name);
	for (unsigned int i = 0; i < w->nr; i++)
		kprintf(" %s:%u", mover_name(sc, w->leg[i].actor),
			w->leg[i].steps);
}

struct replay {
	struct director director;
	const struct witness *w;
	bool freely;
	unsigned int leg, step; /* the next leg; its steps so far */
	bool lost;		/* the line cannot be followed */
};

/* In a free replay: did the leg that was just played end before all its steps
 * were taken? If so, note in r->lost that the line cannot be followed, and
 * return true. */
static bool note_if_cut_short(struct replay *r)
{
	unsigned int left;

	if (!r->leg || r->step)
		return false;
	left = explore_gates_left(r->w->leg[r->leg - 1].actor);
	if (!left)
		return false;
	r->leg--;
	r->step = r->w->leg[r->leg].steps - left;
	return r->lost = true;
}

static void check_last_leg(struct director *d, struct stage *st,
			   unsigned int left)
{
	struct replay *r = container_of(d, struct replay, director);

	(void)st;
	(void)left;
	if (!r->lost)
		note_if_cut_short(r);
}

static int choose_as_written(struct director *d, struct stage *st,
			     unsigned int enabled, unsigned int *gates)
{
	struct replay *r = container_of(d, struct replay, director);
	unsigned int actor;

	if (note_if_cut_short(r) || r->leg == r->w->nr)
		return -1;
	actor = r->w->leg[r->leg].actor;
	if (!(enabled & 1u << actor)) {
		r->lost = true;
		return -1;
	}
	if (r->freely && actor < st->nr_actors)
		*gates = r->w->leg[r->leg].steps;
	r->step += *gates;
	if (r->step == r->w->leg[r->leg].steps) {
		r->leg++;
		r->step = 0;
	}
	return (int)actor;
}

int replay_witness(struct stage *st, const struct witness *w, bool freely,
		   bool show, struct played *p)
{
	struct replay r = {
		.director = { .choose = choose_as_written,
			      .after_last_step = check_last_leg,
			      /* The recorder writes the points, unless an
			       * actor does not stop there. */
			      .anywhere = freely || !record_is_on(),
			      .quiet = !show,
			      .mute = st->brief },
		.w = w,
		.freely = freely,
	};
	int err = play_directed(st, &r.director, w->form, show, p);

	if (err)
		return err;
	if (r.director.broken)
		return 1;
	if (!r.lost && r.leg == w->nr)
		return 0;
	kprintf("replay: this schedule cannot be followed: %s cannot take step "
		"%u of its %u\n",
		mover_name(st->sc, w->leg[r.leg].actor), r.step + 1,
		w->leg[r.leg].steps);
	return 1;
}
#endif
