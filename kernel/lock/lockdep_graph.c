/*
 * The graph of lock orders. See lockdep_graph.h.
 */
#include "kernel/lock/lockdep_graph.h"

#include <string.h>

void dep_clear(struct dep_graph *g)
{
	memset(g->out, 0, sizeof(g->out));
	memset(g->in, 0, sizeof(g->in));
	g->edges = 1;
}

unsigned int dep_find(const struct dep_graph *g, unsigned int from,
		      unsigned int to, unsigned int dep)
{
	static const uint8_t covered_by[] = {
		[DEP_EN] = DEP_EN,
		[DEP_SN] = DEP_EN | DEP_SN,
		[DEP_ER] = DEP_EN | DEP_ER,
		[DEP_SR] = DEP_EN | DEP_SN | DEP_ER | DEP_SR,
	};
	unsigned int e = g->out[from];

	while (e &&
	       (g->edge[e].to != to || !(g->edge[e].dep & covered_by[dep])))
		e = g->edge[e].next_out;
	return e;
}

int dep_add(struct dep_graph *g, unsigned int from, unsigned int to,
	    unsigned int dep)
{
	unsigned int i = dep_find(g, from, to, dep);
	struct dep_edge *e;

	if (i)
		return 0;
	if (g->edges == DEP_EDGES)
		return -1;
	i = g->edges++;
	e = &g->edge[i];
	e->from = (uint16_t)from;
	e->to = (uint16_t)to;
	e->dep = (uint8_t)dep;
	e->bad = false;
	e->trace.n = 0;
	e->next_out = g->out[from];
	e->next_in = g->in[to];
	g->out[from] = (uint16_t)i;
	g->in[to] = (uint16_t)i;
	return (int)i;
}

/* Mark the node as visited in this way, weak or strong. Returns false if the
 * node was visited before in this way or in the strong way. */
static bool first_visit(struct dep_graph *g, unsigned int node, bool weak)
{
	uint32_t bit = 1u << node % 32;

	if (g->seen[0][node / 32] & bit ||
	    (weak && g->seen[1][node / 32] & bit))
		return false;
	g->seen[weak][node / 32] |= bit;
	return true;
}

/* Write the edges from the start to queue entry i to *path. */
static void write_path(const struct dep_graph *g, unsigned int i,
		       struct dep_path *path)
{
	unsigned int n = 0;

	for (unsigned int k = i; k; k = g->queue[k].parent)
		n++;
	path->cut = n > DEP_PATH;
	path->n = path->cut ? DEP_PATH : n;
	for (; i; i = g->queue[i].parent)
		if (--n < DEP_PATH)
			path->edge[n] = g->queue[i].edge;
}

unsigned int dep_search(struct dep_graph *g, unsigned int start, bool weak,
			bool backward,
			bool (*match)(unsigned int node, bool weak, void *arg),
			void *arg, struct dep_path *path)
{
	/* A weak node is left by strong_on edges only. An edge that is not in
	 * strong_to leads to a weak node. */
	unsigned int strong_on = backward ? DEP_EN | DEP_SN : DEP_EN | DEP_ER;
	unsigned int strong_to = backward ? DEP_EN | DEP_ER : DEP_EN | DEP_SN;
	unsigned int head = 0, tail = 0;

	memset(g->seen, 0, sizeof(g->seen));
	g->searches++;
	g->queue[tail++] =
		(struct dep_visit){ .node = (uint16_t)start, .weak = weak };
	first_visit(g, start, weak);
	for (; head < tail; head++) {
		const struct dep_visit v = g->queue[head];
		unsigned int e = backward ? g->in[v.node] : g->out[v.node];

		g->visits++;
		if (match(v.node, v.weak, arg)) {
			write_path(g, head, path);
			return v.node;
		}
		while (e) {
			const struct dep_edge *x = &g->edge[e];
			unsigned int to = backward ? x->from : x->to;

			weak = !(x->dep & strong_to);
			if ((!v.weak || x->dep & strong_on) &&
			    first_visit(g, to, weak))
				g->queue[tail++] = (struct dep_visit){
					.node = (uint16_t)to,
					.weak = weak,
					.parent = (uint16_t)head,
					.edge = (uint16_t)e,
				};
			e = backward ? x->next_in : x->next_out;
		}
	}
	return 0;
}
