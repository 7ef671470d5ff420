/*
 * The graph of lock orders: classes as nodes, "while holding A it took B" as
 * edges A -> B, and the search for strong paths. Portable, tested on the host.
 *
 * The sort of an edge, its `dep`:
 *
 *     A held       B asked for
 *     exclusively  not as a recursive reader   DEP_EN
 *     shared       not as a recursive reader   DEP_SN
 *     exclusively  as a recursive reader       DEP_ER
 *     shared       as a recursive reader       DEP_SR
 *
 * Two classes can have an edge of each sort between them. Each edge has the stack
 * of the thread that made it. No edge is added if a stronger one is there: EN is
 * stronger than the other three sorts, SN and ER are stronger than SR.
 *
 * A path is strong if its threads can all wait for each other. A recursive
 * reader does not wait for a reader, so a path is not strong if an ..R edge is
 * followed by an S.. edge. If the search has reached a node by an ..R edge, it
 * goes on by E.. edges only. So it visits a node up to twice, once for each way to
 * reach it, and finds the shortest strong path. (Linux's search visits each class
 * once.)
 *
 * The client's duty: own the graph, and guard it with a lock. The consequence: an
 * edge and its trace do not change once they are made, until dep_clear() or
 * dep_remove().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DEP_NODES  512	/* lock classes, 0 is none */
#define DEP_EDGES  2048 /* 0 is none */
#define DEP_FRAMES 16	/* of a stack that made an edge */
#define DEP_PATH   24	/* edges of the longest path that is reported in full */

#define DEP_EN 1u
#define DEP_SN 2u
#define DEP_ER 4u
#define DEP_SR 8u

struct dep_trace {
	uint16_t n;
	bool cut; /* the stack has more frames */
	uintptr_t pc[DEP_FRAMES];
};

struct dep_edge {
	uint16_t from, to;
	uint16_t next_out, next_in; /* lists, 0 ends them */
	uint8_t dep;
	/* Filled in by the caller: is the edge a finding, how were the two
	 * locks taken, the stack. */
	bool bad;
	uint8_t held_as, taken_as;
	struct dep_trace trace;
};

/* A node reached in one of two ways: by an ..R edge, or not. */
struct dep_visit {
	uint16_t node;
	bool weak;
	uint16_t parent; /* index in the queue */
	uint16_t edge;
};

struct dep_graph {
	uint16_t out[DEP_NODES], in[DEP_NODES]; /* lists of edges */
	struct dep_edge edge[DEP_EDGES];
	unsigned int edges; /* places used, and entry 0, which is not */
	unsigned int in_use;
	uint16_t free_edge; /* a list by next_out; 0 ends it */
	/* For the search: */
	uint32_t seen[2][DEP_NODES / 32];
	struct dep_visit queue[2 * DEP_NODES];
	unsigned int searches, visits; /* statistics */
};

/* The edges of a path, in the order of the search. Of a path that is longer than
 * DEP_PATH, the first and the last DEP_PATH / 2 edges. */
struct dep_path {
	unsigned int n; /* edges here */
	unsigned int
		more; /* so many between edge[DEP_PATH / 2 - 1] and the next */
	uint16_t edge[DEP_PATH];
};

/* What match() says about a node: go on from there; do not go on from there; it
 * is found. */
enum dep_match { DEP_GO, DEP_STOP, DEP_FOUND };

/* Remove all edges. *g is 0, or was cleared before. */
void dep_clear(struct dep_graph *g);

static inline unsigned int dep_of(bool from_shared, bool to_recursive)
{
	return (from_shared ? DEP_SN : DEP_EN) << (to_recursive ? 2 : 0);
}

/* Returns the number of an edge from -> to of the sort dep or a stronger one; 0:
 * there is none. */
unsigned int dep_find(const struct dep_graph *g, unsigned int from,
		      unsigned int to, unsigned int dep);
/* Add an edge. Returns its number. Returns 0 if dep_find() finds an edge
 * already, and -1 if the table is full. */
int dep_add(struct dep_graph *g, unsigned int from, unsigned int to,
	    unsigned int dep);
/* Remove all edges from and to the node. */
void dep_remove(struct dep_graph *g, unsigned int node);

/*
 * Find the shortest strong path from `start` to a node for which match()
 * returns DEP_FOUND; this node may be start itself. No path comes back to
 * start. backward: against the direction of the edges. weak: how start is
 * reached (forward: by a recursive reader; backward: it is held shared).
 * Returns the node, with its path in *path; 0 if there is none.
 */
unsigned int
dep_search(struct dep_graph *g, unsigned int start, bool weak, bool backward,
	   enum dep_match (*match)(unsigned int node, bool weak, void *arg),
	   void *arg, struct dep_path *path);
