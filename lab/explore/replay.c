/*
 * `replay`: a schedule in one line, run again.
 *
 *   replay e2 up D:6 U:4          step by step, each one over before the next
 *   replay e2 up D:6 U:4 free     each run of steps at its natural speed
 *
 * "up" or "down" is U's form, where a core is toggled. What follows the last step
 * is left to the threads: in a schedule that fails nobody can go on there.
 */
#include "lab/explore/explore.h"

#include <string.h>

#include "lab/command.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

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

/* "D:31" into a leg. */
static bool parse_leg(const struct scenario *sc, const char *word,
		      struct witness *w)
{
	const char *colon = strchr(word, ':');
	unsigned int n;

	if (!colon || !parse_uint(colon + 1, &n) || !n || n > SEARCH_STEPS ||
	    w->nr == LEGS)
		return false;
	for (unsigned int i = 0; i < MAX_ACTORS && sc->actors[i].name; i++) {
		const char *name = sc->actors[i].name;
		size_t len = (size_t)(colon - word);

		if (strlen(name) != len || memcmp(name, word, len) != 0)
			continue;
		w->leg[w->nr].actor = (uint8_t)i;
		w->leg[w->nr++].steps = (uint16_t)n;
		return true;
	}
	return false;
}

static bool parse_line(const struct scenario *sc, int argc, char **argv,
		       struct witness *w, bool *freely)
{
	struct form form[FORMS_MAX];
	unsigned int forms = forms_of(sc, form);
	int i = 2;

	memset(w, 0, sizeof(*w));
	*freely = false;
	w->form = form[0];
	if (*form[0].name) {
		unsigned int f = 0;

		while (f < forms &&
		       (i >= argc || !same_word(argv[i], form[f].name)))
			f++;
		if (f == forms) {
			kprintf("replay: first the form of U, up or down%s\n",
				forms == 1 ? " (here: down)" : "");
			return false;
		}
		w->form = form[f];
		i++;
	}
	for (; i < argc; i++) {
		if (i == argc - 1 && same_word(argv[i], "free")) {
			*freely = true;
		} else if (!parse_leg(sc, argv[i], w)) {
			kprintf("replay: \"%s\" is not an actor of this "
				"experiment and its steps, as %s:12\n",
				argv[i], sc->actors[0].name);
			return false;
		}
	}
	if (w->nr)
		return true;
	kprintf("replay: who takes how many steps, in turn? (explore prints "
		"such lines)\n");
	return false;
}

/* The experiment's own part, if it has but one that is searched; if it has none,
 * any will do to say so. */
static const struct scenario *only_part(const struct demo *d)
{
	const struct scenario *sc = NULL;

	for (unsigned int i = 0; d && i < d->nr_scenarios; i++) {
		if (no_search(&d->scenarios[i]))
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
		kprintf("%s: no experiment \"%s\" (demo alone lists them)\n",
			command, word);
	else if (!sc)
		kprintf("%s: %s has parts: name one (demo %s prints them)\n",
			command, word, word);
	else if (no_search(sc)) {
		kprintf("%s: %s has no schedules to choose from: %s\n", command,
			word, no_search(sc));
		return NULL;
	}
	return sc;
}

static int replay(const struct demo *d, const struct scenario *sc,
		  const struct witness *w, bool freely)
{
	struct played p = { .out = OUT_COMPLETES };
	int err = stage_open(d, sc);

	if (!err)
		err = replay_witness(&the_stage, w, freely, true, &p);
	stage_close(&the_stage);
	lockdep_mark();
	if (err < 0)
		kprintf("replay: cannot go on, error %d\n", -err);
	if (err)
		return 1;
	kprintf("replay: %s", sc->part ? sc->part : d->id);
	print_witness(sc, w);
	kprintf("%s outcome=%s %s\n", freely ? " free" : "",
		outcome_name(p.out), p.clean ? "ok" : "FAIL");
	return p.clean ? 0 : 1;
}

static int replay_cmd(int argc, char **argv)
{
	const struct demo *d;
	const struct scenario *sc =
		find_searched("replay", argc > 1 ? argv[1] : NULL, &d);
	struct witness w;
	bool freely;
	int status;

	if (!sc)
		return 1;
	if (!parse_line(sc, argc, argv, &w, &freely) || !stage_claim("replay"))
		return 1;
	status = replay(d, sc, &w, freely);
	stage_yield();
	return status;
}
#else
static int replay_cmd(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kprintf("replay: needs the debug profile\n");
	return 1;
}
#endif

SHELL_COMMAND(replay, .name = "replay",
	      .usage = "replay ID|ID/PART [up|down] ACTOR:STEPS... [free]",
	      .help = "run one schedule again, as explore printed it",
	      .fn = replay_cmd);
