/*
 * `explore ID graph`: take each possible step in each state of an experiment once.
 *
 * The full search (kernel/explore/search.h) runs every schedule. This one ends a schedule
 * where it comes to a state that it knows: all that follows has been run from there. So
 * it runs each edge of the graph once (graph.h), and the schedules are counted on the
 * graph. A run goes on from a known state over known edges, to its end. There it must end
 * as the runs before it have ended: a check that equal names mean equal states.
 *
 * During a recording, the choices are made in the runner's thread, and the actors stand on
 * the cores on which `step` puts them: so the recorder can write where they stand at each
 * state. Without a recording all actors share a core, as in a search.
 *
 * Owns the graph's memory, guarded by demo_mutex. In the runner's thread.
 */
#include "lab/explore/explore.h"

#include <string.h>

#include "lab/command.h"
#include "lab/explore/graph.h"
#include "lab/explore/progress.h"
#include "lab/explore/verdict.h"
#include "lab/record.h"
#include "lab/say.h"
#include "lab/words.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

#define ORDER_OF_GRAPH 9 /* pages */
_Static_assert(sizeof(struct graph) <= PAGE_SIZE << ORDER_OF_GRAPH,
	       "no room for the graph");

#define WENT_ASTRAY "a repeated schedule went another way"
#define UNSEEN                                                                 \
	"two schedules lead to one state and go on differently;\n"             \
	"  a step depends on data that the explorer does not see"

static struct graph *graph_memory;

static struct walk {
	struct director director;
	struct search *search;
	struct graph *graph;
	struct form form;
	unsigned int runs;  /* of this form */
	unsigned int here;  /* the node at which the round stands */
	unsigned int mover; /* that took the last step */
	bool known;	    /* all that follows has been run */
	const char *wrong;  /* why the walk cannot go on */
	bool interrupted;
} the_walk;

static const char *id_of(const struct stage *st)
{
	return st->sc->part ? st->sc->part : st->demo->id;
}

/* ---- a run --------------------------------------------------------------- */

static struct walk *walk_of(struct director *d)
{
	return container_of(d, struct walk, director);
}

/* The name of the state in which the round is. It has the part and the form in it. (The
 * hash is FNV-1a.) */
static uint64_t name_of_state(struct walk *w, const struct stage *st)
{
	uint64_t hash = 14695981039346656037ull ^ w->form.up;

	for (const char *p = id_of(st); *p; p++)
		hash = (hash ^ (uint8_t)*p) * 1099511628211ull;
	return search_state(w->search) + hash;
}

/* The round has come to a node by a step that was not run before, or this is the first
 * run. */
static void arrive_by_new_step(struct walk *w, uint64_t id,
			       unsigned int enabled)
{
	unsigned int from = w->here, to = graph_find(w->graph, id);

	w->known = to != GRAPH_NONE;
	if (!w->known)
		to = graph_add(w->graph, id, w->search->steps, enabled);
	if (to == GRAPH_NONE ||
	    (from != GRAPH_NONE && !graph_join(w->graph, from, w->mover, to)))
		w->wrong = "the graph is too large: there is room for 32768 "
			   "nodes and 65536 edges";
	else
		w->here = to;
}

static bool arrive(struct director *d, struct stage *st, unsigned int enabled,
		   uint64_t *node)
{
	struct walk *w = walk_of(d);
	unsigned int nodes = w->graph->nodes;

	*node = 0;
	if (w->wrong)
		return true;
	if (w->known)
		w->here = graph_next(w->graph, w->here, w->mover);
	else if (w->search->steps < w->search->prefix)
		w->here = graph_find(w->graph, name_of_state(w, st));
	else
		arrive_by_new_step(w, name_of_state(w, st), enabled);
	if (!w->wrong && (w->here == GRAPH_NONE ||
			  w->graph->node[w->here].enabled != enabled))
		w->wrong = w->known ? UNSEEN : WENT_ASTRAY;
	if (w->wrong)
		return true;
	*node = w->graph->node[w->here].id;
	return w->graph->nodes == nodes;
}

static int choose_in_graph(struct director *d, struct stage *st,
			   unsigned int enabled, unsigned int *gates)
{
	struct walk *w = walk_of(d);
	struct standing stands[SEARCH_THREADS];
	int mover;

	(void)st;
	(void)gates;
	if (w->wrong)
		return -1;
	if (w->known) {
		if (!(enabled & 1u << w->mover))
			w->mover = (unsigned int)__builtin_ctz(enabled);
		return (int)w->mover;
	}
	explore_standing(stands);
	mover = search_choose(w->search, enabled, stands);
	if (mover >= 0)
		w->mover = (unsigned int)mover;
	else
		w->wrong = mover == SEARCH_TOO_LONG ?
				   "more steps than there is room for" :
			   mover == SEARCH_NO_ROOM ?
				   "more different steps than there is room "
				   "for" :
				   WENT_ASTRAY;
	d->may_spin = mover == SEARCH_TOO_LONG;
	return mover;
}

static void note_step(struct director *d, struct stage *st,
		      const struct footprint *f)
{
	struct walk *w = walk_of(d);

	(void)st;
	if (!w->known)
		search_step(w->search, f);
}

static void end_run(struct director *d, struct stage *st, unsigned int left)
{
	struct walk *w = walk_of(d);
	struct standing stands[SEARCH_THREADS];

	(void)st;
	(void)left;
	explore_standing(stands);
	if (!w->wrong && !d->broken && search_end(w->search, stands))
		w->wrong = WENT_ASTRAY;
}

/* The run has come to a leaf, and has ended in this way. */
static void note_end(struct walk *w, const struct played *p)
{
	struct graph_node *leaf = &w->graph->node[w->here];

	if (!p->clean)
		w->wrong = "a schedule left a trace";
	else if (w->known && leaf->outcome != p->out)
		w->wrong = UNSEEN;
	leaf->outcome = (uint8_t)p->out & 0x7f;
	leaf->fails = p->out != OUT_COMPLETES;
}

static void show_progress(const struct walk *w, const struct stage *st)
{
	uint64_t ms;

	if (progress_is_due(&ms))
		kprintf("%s: %u runs, %u a second, %u nodes, %u edges",
			id_of(st), w->runs,
			(unsigned int)(w->runs * 1000ull / (ms ?: 1)),
			w->graph->nodes, w->graph->edges);
}

/* Run all edges of one form. Returns 0 or a negative errno. */
static int walk_form(struct stage *st, struct walk *w)
{
	search_init(w->search, st->nr_actors + 1, SEARCH_FULL, 0);
	graph_clear(w->graph);
	w->runs = 0;
	while (search_next(w->search)) {
		struct played p;
		int err;

		w->interrupted = thread_interrupted();
		if (w->interrupted)
			return 0;
		w->here = GRAPH_NONE;
		w->known = false;
		err = play_directed(st, &w->director, w->form, false, &p);
		if (err)
			return err;
		w->runs++;
		if (!w->wrong && w->director.broken)
			w->wrong = "a schedule could not be run";
		if (!w->wrong)
			note_end(w, &p);
		if (w->wrong)
			return 0;
		show_progress(w, st);
	}
	graph_count(w->graph);
	return 0;
}

/* ---- the result ---------------------------------------------------------- */

static void say_ends(const struct graph *g)
{
	unsigned int count[NR_OUTCOMES] = { 0 };
	const char *sep = " ends=";

	for (unsigned int i = 0; i < g->nodes; i++)
		if (!g->node[i].first)
			count[g->node[i].outcome]++;
	for (unsigned int o = 0; o < NR_OUTCOMES; o++) {
		if (!count[o])
			continue;
		say("%s%s:%u", sep, outcome_name((enum outcome)o), count[o]);
		sep = ",";
	}
}

/* A number of schedules. */
static const char *amount(uint64_t n, char *out)
{
	ksnprintf(out, 24, "%llu%s", (unsigned long long)n,
		  n == UINT64_MAX ? "+" : "");
	return out;
}

/* The failing schedule with the fewest switches. Returns how it ends. */
static enum outcome simplest(const struct walk *w, struct witness *line)
{
	const struct graph *g = w->graph;
	const struct graph_edge *e;
	unsigned int at = 0, last = 0, left;

	memset(line, 0, sizeof(*line));
	line->form = w->form;
	while ((e = graph_best(g, at, line->steps ? last : ~0u, &left))) {
		if (line->steps && e->mover != last)
			line->switches++;
		if ((!line->steps || e->mover != last) && line->nr < LEGS)
			line->leg[line->nr++].actor = e->mover;
		line->leg[line->nr - 1].steps++;
		line->steps++;
		last = e->mover;
		at = e->to;
	}
	return (enum outcome)g->node[at].outcome;
}

/* Write the graph to the recording. switches: "2", or "-". */
static void record_graph(const struct stage *st, const struct walk *w,
			 const char *switches)
{
	const struct graph *g = w->graph;
	const char *form = *w->form.name ? w->form.name : "-";
	char part[64], a[24], b[24];

	record_word(part, sizeof(part), id_of(st));
	for (unsigned int i = 0; i < g->nodes; i++) {
		const struct graph_node *n = &g->node[i];

		for (uint32_t e = n->first; e; e = g->edge[e - 1].next)
			record_line("edge part=%s form=%s from=%016llx "
				    "mover=%u to=%016llx",
				    part, form, (unsigned long long)n->id,
				    g->edge[e - 1].mover,
				    (unsigned long long)g
					    ->node[g->edge[e - 1].to]
					    .id);
		if (!n->first)
			record_line("leaf part=%s form=%s node=%016llx "
				    "outcome=%s",
				    part, form, (unsigned long long)n->id,
				    outcome_name((enum outcome)n->outcome));
	}
	record_line("graph part=%s form=%s root=%016llx nodes=%u edges=%u "
		    "schedules=%s failing=%s switches=%s",
		    part, form, (unsigned long long)g->node[0].id, g->nodes,
		    g->edges, amount(g->node[0].schedules, a),
		    amount(g->node[0].failing, b), switches);
}

static void print_graph(const struct stage *st, const struct walk *w)
{
	static struct witness line; /* demo_mutex */
	const struct graph *g = w->graph;
	char a[24], b[24], switches[12] = "-";
	enum outcome out = simplest(w, &line);

	if (g->node[0].failing)
		ksnprintf(switches, sizeof(switches), "%u", line.switches);
	say("graph: %s%s%s nodes=%u edges=%u runs=%u", id_of(st),
	    *w->form.name ? " " : "", w->form.name, g->nodes, g->edges,
	    w->runs);
	say_ends(g);
	say(" schedules=%s failing=%s switches=%s",
	    amount(g->node[0].schedules, a), amount(g->node[0].failing, b),
	    switches);
	say_fields(true);
	if (g->node[0].failing && line.switches < LEGS) {
		kprintf("failing schedule, fewest switches (%s): replay %s",
			outcome_name(out), id_of(st));
		print_witness(st->sc, &line);
		kprintf("\n");
	}
	record_graph(st, w, switches);
}

/* ---- the command --------------------------------------------------------- */

/* Walk all forms of the scenario on the open stage. Returns 0 or a negative errno. */
static int walk_forms(struct stage *st, struct walk *w)
{
	struct form form[FORMS_MAX];
	unsigned int forms = forms_of(st->sc, form);

	for (unsigned int f = 0; f < forms; f++) {
		int err;

		w->form = form[f];
		err = walk_form(st, w);
		progress_clear();
		if (err)
			return err;
		if (w->wrong) {
			kprintf("explore: %s%s%s: %s\n", id_of(st),
				*w->form.name ? " " : "", w->form.name,
				w->wrong);
			return 0;
		}
		if (w->interrupted) {
			kprintf("%s: interrupted after %u runs, with %u nodes "
				"and %u edges\n",
				id_of(st), w->runs, w->graph->nodes,
				w->graph->edges);
			return 0;
		}
		print_graph(st, w);
	}
	return 0;
}

static int walk_scenario(const struct demo *d, const struct scenario *sc)
{
	struct walk *w = &the_walk;
	bool recorded = record_is_on();
	int err;

	*w = (struct walk){
		.director = { .arrive = arrive,
			      .choose = choose_in_graph,
			      .after_step = note_step,
			      .after_last_step = end_run,
			      .anywhere = !recorded,
			      .quiet = true },
		.search = the_search(),
		.graph = graph_memory,
	};
	err = stage_open(d, sc, !recorded);
	progress_begin(true);
	if (!err)
		err = walk_forms(&the_stage, w);
	if (err)
		kprintf("%s: cannot go on, error %d\n", sc->part ?: d->id,
			-err);
	stage_close(&the_stage);
	lockdep_mark();
	return w->interrupted ? -EINTR : err || w->wrong ? 1 : 0;
}

int explore_graph(const struct demo *d, const struct scenario *part)
{
	const char *why = why_none_can_run(d, part);
	int status = 0;

	if (why) {
		kprintf("explore: %s %s\n", part ? part->part : d->id, why);
		return 1;
	}
	if (!graph_memory)
		graph_memory = pages_alloc(ORDER_OF_GRAPH);
	if (!graph_memory) {
		kprintf("explore: out of memory\n");
		return 1;
	}
	kprintf("\n%s (%s): %s\n", d->id, d->slug, d->claim);
	for (unsigned int i = 0; i < d->nr_scenarios && status >= 0; i++) {
		const struct scenario *sc = &d->scenarios[i];
		int one;

		if (part && sc != part)
			continue;
		why = why_not_searched(sc) ?: why_cannot_run(d, sc);
		if (why) {
			kprintf("%s: no search: %s\n", sc->part ?: d->id, why);
			continue;
		}
		one = walk_scenario(d, sc);
		status = one ? one : status;
	}
	return status;
}
#endif
