/*
 * The graph of an experiment's states: its tables, and what is counted on it.
 *
 * Owns nothing: the caller owns struct graph (graph_cmd.c).
 */
#include "lab/explore/graph.h"

#include <string.h>

#include "kernel/lib/compiler.h"

#if GORDIAN_DEBUG

_Static_assert(GRAPH_NODES < 1u << 16, "struct graph.place has 16 bits");

void graph_clear(struct graph *g)
{
	g->nodes = g->edges = 0;
	memset(g->place, 0, sizeof(g->place));
}

/* Returns the place of the id in place[], or the free place where it belongs. */
static unsigned int place_of(const struct graph *g, uint64_t id)
{
	unsigned int i = (unsigned int)(id ^ id >> 32) % ARRAY_SIZE(g->place);

	while (g->place[i] && g->node[g->place[i] - 1].id != id)
		i = (i + 1) % ARRAY_SIZE(g->place);
	return i;
}

unsigned int graph_find(const struct graph *g, uint64_t id)
{
	return g->place[place_of(g, id)] - 1u;
}

unsigned int graph_add(struct graph *g, uint64_t id, unsigned int depth,
		       unsigned int enabled)
{
	if (g->nodes == GRAPH_NODES)
		return GRAPH_NONE;
	g->node[g->nodes] = (struct graph_node){ .id = id,
						 .depth = (uint16_t)depth,
						 .enabled = (uint8_t)enabled };
	g->place[place_of(g, id)] = (uint16_t)(g->nodes + 1);
	return g->nodes++;
}

bool graph_join(struct graph *g, unsigned int from, unsigned int mover,
		unsigned int to)
{
	if (g->edges == GRAPH_EDGES)
		return false;
	g->edge[g->edges++] = (struct graph_edge){ .to = to,
						   .next = g->node[from].first,
						   .mover = (uint8_t)mover };
	g->node[from].first = g->edges;
	return true;
}

unsigned int graph_next(const struct graph *g, unsigned int from,
			unsigned int mover)
{
	for (uint32_t e = g->node[from].first; e; e = g->edge[e - 1].next)
		if (g->edge[e - 1].mover == mover)
			return g->edge[e - 1].to;
	return GRAPH_NONE;
}

/* a + b; if this is too large, the largest number. */
static uint64_t add(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static void count_node(struct graph *g, struct graph_node *n)
{
	if (!n->first) {
		n->schedules = 1;
		n->failing = n->fails;
	}
	for (uint32_t e = n->first; e; e = g->edge[e - 1].next) {
		struct graph_edge *edge = &g->edge[e - 1];
		unsigned int switches;

		n->schedules = add(n->schedules, g->node[edge->to].schedules);
		n->failing = add(n->failing, g->node[edge->to].failing);
		graph_best(g, edge->to, edge->mover, &switches);
		edge->switches = (uint16_t)switches;
	}
}

void graph_count(struct graph *g)
{
	unsigned int depth = 0;

	for (unsigned int i = 0; i < g->nodes; i++)
		depth = max(depth, (unsigned int)g->node[i].depth);
	for (unsigned int d = depth + 1; d-- > 0;)
		for (unsigned int i = 0; i < g->nodes; i++)
			if (g->node[i].depth == d)
				count_node(g, &g->node[i]);
}

const struct graph_edge *graph_best(const struct graph *g, unsigned int node,
				    unsigned int last, unsigned int *switches)
{
	const struct graph_edge *best = NULL;

	/* Of equally good paths, take one on which a mover with a low number begins. */
	*switches = 0;
	for (uint32_t e = g->node[node].first; e; e = g->edge[e - 1].next) {
		const struct graph_edge *edge = &g->edge[e - 1];
		unsigned int n = edge->switches + (edge->mover != last);

		if (!g->node[edge->to].failing ||
		    (best && (n > *switches ||
			      (n == *switches && edge->mover > best->mover))))
			continue;
		best = edge;
		*switches = n;
	}
	return best;
}
#endif
