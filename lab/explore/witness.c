/*
 * A witness: a failing schedule in short, as a line and as a director that plays
 * it again.
 *
 * Owns no data. On the_stage, guarded by demo_mutex; in the runner's thread.
 */
#include "lab/explore/explore.h"

#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

void print_witness(const struct scenario *sc, const struct witness *w)
{
	if (*w->form.name)
		kprintf(" %s", w->form.name);
	for (unsigned int i = 0; i < w->nr; i++)
		kprintf(" %s:%u", sc->actors[w->leg[i].actor].name,
			w->leg[i].steps);
}

struct replay {
	struct director director;
	const struct witness *w;
	bool freely;
	unsigned int leg, step; /* of that leg, taken */
	bool lost;		/* the line cannot be followed here */
};

/* A free leg that ended before its last step: the line cannot be followed. */
static bool cut_off(struct replay *r)
{
	unsigned int left;

	if (!r->leg || r->step)
		return false;
	left = explore_run_left(r->w->leg[r->leg - 1].actor);
	if (!left)
		return false;
	r->leg--;
	r->step = r->w->leg[r->leg].steps - left;
	return r->lost = true;
}

static void last_leg(struct director *d, struct stage *st, unsigned int left)
{
	struct replay *r = container_of(d, struct replay, director);

	(void)st;
	(void)left;
	if (!r->lost)
		cut_off(r);
}

static int follow(struct director *d, struct stage *st, unsigned int enabled,
		  unsigned int *gates)
{
	struct replay *r = container_of(d, struct replay, director);
	unsigned int actor;

	(void)st;
	if (cut_off(r) || r->leg == r->w->nr)
		return -1;
	actor = r->w->leg[r->leg].actor;
	if (!(enabled & 1u << actor)) {
		r->lost = true;
		return -1;
	}
	*gates = r->freely ? r->w->leg[r->leg].steps : 1;
	r->step += *gates;
	if (r->step == r->w->leg[r->leg].steps) {
		r->leg++;
		r->step = 0;
	}
	return (int)actor;
}

/* It is not looked at; but from here to the next step nothing must move. */
static void forget_footprint(struct director *d, struct stage *st)
{
	struct footprint f;
	unsigned int woken;

	(void)d;
	(void)st;
	explore_footprint(&f, &woken);
}

int replay_witness(struct stage *st, const struct witness *w, bool freely,
		   bool show, struct played *p)
{
	struct replay r = {
		.director = { .choose = follow,
			      .stepped = forget_footprint,
			      .over = last_leg,
			      .quiet = !show },
		.w = w,
		.freely = freely,
	};
	int err = play_directed(st, &r.director, w->form, show, p);

	if (err)
		return err;
	if (r.director.strayed)
		return 1;
	if (!r.lost && r.leg == w->nr)
		return 0;
	kprintf("replay: it does not go that way: %s cannot take step %u of "
		"its %u\n",
		st->sc->actors[w->leg[r.leg].actor].name, r.step + 1,
		w->leg[r.leg].steps);
	return 1;
}
#endif
