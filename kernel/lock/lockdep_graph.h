/*
 * The graph of lock orders: classes as nodes, "while holding A it took B" as
 * edges A -> B, and the search for strong paths. Portable, tested on the host.
 *
 * What an edge is made of (its `dep`, one of these):
 *
 *     A held       B asked for
 *     exclusively  not as a recursive reader   DEP_EN
 *     shared       not as a recursive reader   DEP_SN
 *     exclusively  as a recursive reader       DEP_ER
 *     shared       as a recursive reader       DEP_SR
 *
 * Each sort between the same two classes is an edge of its own, with the stack
 * that made it, unless a stronger one is there already: EN stands for all four,
 * SN and ER for SR too.
 *
 * A path is strong, that is, its threads can all wait for each other, unless it
 * has ..R followed by S..: a recursive reader does not wait for a reader. A node
 * reached by an ..R edge may therefore only be left by E.. edges; the search
 * keeps the two ways to reach a node apart and visits each once, so it finds the
 * shortest strong path. (Linux keeps one mark a class.)
 *
 * Owns nothing: the graph belongs to its caller, who guards it. Edges and their
 * traces never change once made, until dep_clear().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DEP_NODES  512	/* lock classes, 0 is none */
#define DEP_EDGES  2048 /* 0 is none */
#define DEP_FRAMES 16	/* of a stack that made an edge */
#define DEP_PATH   24	/* edges of the longest path that is reported */

#define DEP_EN 1u
#define DEP_SN 2u
#define DEP_ER 4u
#define DEP_SR 8u

struct dep_trace {
	uint32_t n;
	uintptr_t pc[DEP_FRAMES];
};

struct dep_edge {
	uint16_t from, to;
	uint16_t next_out, next_in; /* lists, 0 ends them */
	uint8_t dep;
	/* Of a new one, for the caller to fill in: was it a finding, how were
	 * the two taken, and the stack. */
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
	unsigned int edges; /* in use, with the unused 0 */
	/* of the search: */
	uint32_t seen[2][DEP_NODES / 32];
	struct dep_visit queue[2 * DEP_NODES];
	unsigned int searches, visits; /* statistics */
};

/* The edges of a path, in the order of the search. */
struct dep_path {
	unsigned int n;
	bool cut; /* longer than DEP_PATH */
	uint16_t edge[DEP_PATH];
};

void dep_clear(struct dep_graph *g);

static inline unsigned int dep_of(bool from_shared, bool to_recursive)
{
	return (from_shared ? DEP_SN : DEP_EN) << (to_recursive ? 2 : 0);
}

/* An edge from -> to that is of that sort or a stronger one, 0: there is none. */
unsigned int dep_find(const struct dep_graph *g, unsigned int from,
		      unsigned int to, unsigned int dep);
/* Add it. Returns the edge if it is new, 0 if one such is there, -1 if the table
 * is full. The rest of a new one is for the caller to fill in. */
int dep_add(struct dep_graph *g, unsigned int from, unsigned int to,
	    unsigned int dep);

/*
 * The shortest strong path from `start` to a node for which match() is true;
 * backward: against the arrows. weak: how start is reached (forward: by a
 * recursive reader; backward: it will be left shared). The start itself is asked
 * too. Returns the node, 0 if there is none.
 */
unsigned int dep_search(struct dep_graph *g, unsigned int start, bool weak,
			bool backward,
			bool (*match)(unsigned int node, bool weak, void *arg),
			void *arg, struct dep_path *path);
