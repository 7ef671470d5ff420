/*
 * The graph of lock orders. See lockdep_graph.h.
 */
#include "kernel/lock/lockdep_graph.h"

#include <string.h>

void dep_clear(struct dep_graph *g)
{
	/* Only the nodes of these edges have lists that are not empty. */
	for (unsigned int i = 1; i < g->edges; i++)
		g->out[g->edge[i].from] = g->in[g->edge[i].to] = 0;
	g->edges = 1;
	g->in_use = 0;
	g->free_edge = 0;
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
	if (g->in_use == DEP_EDGES - 1)
		return -1;
	g->in_use++;
	i = g->free_edge ? g->free_edge : g->edges++;
	e = &g->edge[i];
	if (g->free_edge)
		g->free_edge = e->next_out;
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

/* Remove edge i from the list that begins at *p: the edges from a node (out),
 * or the edges to a node. */
static void unlink_edge(struct dep_graph *g, uint16_t *p, unsigned int i,
			bool out)
{
	while (*p != i)
		p = out ? &g->edge[*p].next_out : &g->edge[*p].next_in;
	*p = out ? g->edge[i].next_out : g->edge[i].next_in;
}

void dep_remove(struct dep_graph *g, unsigned int node)
{
	unsigned int i;

	while ((i = g->out[node] ? g->out[node] : g->in[node])) {
		struct dep_edge *e = &g->edge[i];

		unlink_edge(g, &g->out[e->from], i, true);
		unlink_edge(g, &g->in[e->to], i, false);
		e->from = e->to = 0; /* not in use */
		e->next_out = g->free_edge;
		g->free_edge = (uint16_t)i;
		g->in_use--;
	}
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
	path->n = n > DEP_PATH ? DEP_PATH : n;
	path->more = n - path->n;
	for (; i; i = g->queue[i].parent) {
		n--;
		if (n >= DEP_PATH / 2 + path->more)
			path->edge[n - path->more] = g->queue[i].edge;
		else if (n < DEP_PATH / 2)
			path->edge[n] = g->queue[i].edge;
	}
}

unsigned int
dep_search(struct dep_graph *g, unsigned int start, bool weak, bool backward,
	   enum dep_match (*match)(unsigned int node, bool weak, void *arg),
	   void *arg, struct dep_path *path)
{
	/* The search leaves a weak node only by edges of a sort in strong_on. A
	 * node is weak if the search reaches it by an edge of a sort that is
	 * not in strong_to. */
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

		enum dep_match is = match(v.node, v.weak, arg);

		g->visits++;
		if (is == DEP_FOUND) {
			write_path(g, head, path);
			return v.node;
		}
		if (is == DEP_STOP)
			continue;
		while (e) {
			const struct dep_edge *x = &g->edge[e];
			unsigned int to = backward ? x->from : x->to;

			weak = !(x->dep & strong_to);
			if ((!v.weak || x->dep & strong_on) && to != start &&
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
