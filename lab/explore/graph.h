/*
 * The graph of an experiment's states. A node is a state, an edge a step. A schedule is a
 * path from the first node, the root, to a node without edges, a leaf.
 *
 * The graph has no cycle, and each path to a node has the same number of steps: a state
 * is what has happened so far (search_state()). So a schedule, or all of them, can be
 * judged from the leaves backwards.
 *
 * Portable, no locks, one caller at a time. Tested on the host
 * (tests/host/search_random_test.c). See graph.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define GRAPH_NODES 32768u
#define GRAPH_EDGES 65536u
#define GRAPH_NONE  ~0u /* no node */

struct graph_node {
	uint64_t id;
	/* Of the paths from here to a leaf: how many there are, and how many of
	 * them fail. UINT64_MAX: at least so many. */
	uint64_t schedules, failing;
	uint32_t first; /* edge; plus one */
	uint16_t depth; /* the steps on each path to here */
	uint8_t enabled;
	/* Of a leaf, from the client: how its schedules end, and whether that
	 * is a failure. */
	uint8_t outcome : 7;
	uint8_t fails : 1;
};

struct graph_edge {
	uint32_t to;
	uint32_t next; /* edge of the same node; plus one */
	/* The fewest switches between movers on a failing path that goes on
	 * behind this edge. */
	uint16_t switches;
	uint8_t mover;
};

struct graph {
	unsigned int nodes, edges;
	struct graph_node node[GRAPH_NODES];
	struct graph_edge edge[GRAPH_EDGES];
	uint16_t place[GRAPH_NODES * 2]; /* of a node, by its id; plus one */
};

void graph_clear(struct graph *g);
/* Returns the node of that id, or GRAPH_NONE. */
unsigned int graph_find(const struct graph *g, uint64_t id);
/* Add a node. Returns GRAPH_NONE if there is no room. */
unsigned int graph_add(struct graph *g, uint64_t id, unsigned int depth,
		       unsigned int enabled);
/* Add the edge between two nodes. Returns false if there is no room. */
bool graph_join(struct graph *g, unsigned int from, unsigned int mover,
		unsigned int to);
/* The node to which the step of this mover leads, or GRAPH_NONE. */
unsigned int graph_next(const struct graph *g, unsigned int from,
			unsigned int mover);
/* Fill in schedules, failing and switches. All nodes and edges are there; the leaves say
 * whether they fail. */
void graph_count(struct graph *g);
/* The failing path with the fewest switches from this node on, if the last step was that
 * of `last`. Returns its first edge, or NULL: no path from here fails, or this is a leaf.
 * *switches: how many there are on the path. */
const struct graph_edge *graph_best(const struct graph *g, unsigned int node,
				    unsigned int last, unsigned int *switches);
