/*
 * kernel/lock/lockdep_graph.c against plain arithmetic: random small graphs. The test
 * keeps its own list of all edges that were ever added. It finds the shortest strong
 * walk by relaxing distances from edge to edge, so it need not know about weak and
 * strong nodes, nor about edges that cover others.
 *
 * Checked, in both directions: a node is found if and only if a strong walk leads to a
 * match; the path is a shortest one, connected, and strong at each node, and does not
 * go on behind a node that is closed. Nodes are removed in between. A full table keeps
 * its contents. Of a path longer than DEP_PATH both ends are kept.
 */
#include "kernel/lock/lockdep_graph.h"

#include <string.h>

#include "tests/host/host.h"

#define NODES 9
#define EDGES 40
#define NEVER 1000u

struct edge {
	unsigned int from, to;
	bool shared, recursive; /* from is held so, to is asked for so */
};

static struct dep_graph graph;
static struct edge edges[EDGES];
static unsigned int nr_edges;

/* The nodes that are searched for: reached in any way, or only strongly. */
static struct {
	bool any[NODES + 1], strong[NODES + 1];
	bool closed[NODES + 1]; /* no path goes on from here */
} wanted;

static enum dep_match match(unsigned int node, bool weak, void *arg)
{
	CHECK(arg == &wanted);
	if (wanted.any[node] || (!weak && wanted.strong[node]))
		return DEP_FOUND;
	return wanted.closed[node] ? DEP_STOP : DEP_GO;
}

/* A recursive reader does not wait for another reader. */
static bool can_wait(bool asked_recursive, bool held_shared)
{
	return !(asked_recursive && held_shared);
}

static struct edge edge_of(unsigned int i)
{
	const struct dep_edge *e = &graph.edge[i];

	CHECK(e->dep == DEP_EN || e->dep == DEP_SN || e->dep == DEP_ER ||
	      e->dep == DEP_SR);
	return (struct edge){ e->from, e->to,
			      e->dep == DEP_SN || e->dep == DEP_SR,
			      e->dep == DEP_ER || e->dep == DEP_SR };
}

/* Where an edge begins and ends in the direction of the search. */
static unsigned int begin_of(struct edge e, bool backward)
{
	return backward ? e.to : e.from;
}

static unsigned int end_of(struct edge e, bool backward)
{
	return backward ? e.from : e.to;
}

/* Can the walk go on along e, if it reached the beginning of e in this way? */
static bool may_leave(bool weak, struct edge e, bool backward)
{
	return backward ? can_wait(e.recursive, weak) :
			  can_wait(weak, e.shared);
}

static bool weak_end(struct edge e, bool backward)
{
	return backward ? e.shared : e.recursive;
}

/* The length of the shortest strong walk to a match; NEVER if there is none. */
static unsigned int shortest(unsigned int start, bool weak, bool backward)
{
	unsigned int d[EDGES], best = NEVER;
	bool changed = true;

	if (match(start, weak, &wanted))
		return match(start, weak, &wanted) == DEP_FOUND ? 0 : NEVER;
	for (unsigned int i = 0; i < nr_edges; i++)
		d[i] = begin_of(edges[i], backward) == start &&
				       end_of(edges[i], backward) != start &&
				       may_leave(weak, edges[i], backward) ?
			       1 :
			       NEVER;
	while (changed) {
		changed = false;
		for (unsigned int i = 0; i < nr_edges; i++)
			for (unsigned int k = 0; k < nr_edges; k++)
				if (d[i] + 1 < d[k] &&
				    end_of(edges[i], backward) ==
					    begin_of(edges[k], backward) &&
				    end_of(edges[k], backward) != start &&
				    !wanted.closed[begin_of(edges[k],
							    backward)] &&
				    may_leave(weak_end(edges[i], backward),
					      edges[k], backward)) {
					d[k] = d[i] + 1;
					changed = true;
				}
	}
	for (unsigned int i = 0; i < nr_edges; i++)
		if (d[i] < best &&
		    match(end_of(edges[i], backward),
			  weak_end(edges[i], backward), &wanted) == DEP_FOUND)
			best = d[i];
	return best;
}

static void check_path(const struct dep_path *path, unsigned int start,
		       bool weak, bool backward, unsigned int found)
{
	CHECK(!path->more);
	for (unsigned int i = 0; i < path->n; i++) {
		struct edge e = edge_of(path->edge[i]);

		CHECK(!wanted.closed[start]);
		CHECK(begin_of(e, backward) == start);
		CHECK(may_leave(weak, e, backward));
		start = end_of(e, backward);
		weak = weak_end(e, backward);
	}
	CHECK(start == found);
	CHECK(match(start, weak, &wanted) == DEP_FOUND);
}

static unsigned int dep_bits(struct edge e)
{
	return dep_of(e.shared, e.recursive);
}

static void add(struct edge e)
{
	unsigned int dep = dep_bits(e);
	bool known = dep_find(&graph, e.from, e.to, dep) != 0, covered = false;
	int i;

	for (unsigned int k = 0; k < nr_edges; k++)
		covered |= edges[k].from == e.from && edges[k].to == e.to &&
			   edges[k].shared <= e.shared &&
			   edges[k].recursive <= e.recursive;
	CHECK(known == covered);
	i = dep_add(&graph, e.from, e.to, dep);
	CHECK(known ? i == 0 : i > 0 && i < (int)graph.edges);
	CHECK(dep_find(&graph, e.from, e.to, dep));
	edges[nr_edges++] = e;
}

static void forget(unsigned int node)
{
	unsigned int n = 0;

	dep_remove(&graph, node);
	for (unsigned int i = 0; i < nr_edges; i++)
		if (edges[i].from != node && edges[i].to != node)
			edges[n++] = edges[i];
	nr_edges = n;
	CHECK(graph.in_use <= nr_edges);
	for (unsigned int i = 1; i < graph.edges; i++)
		CHECK(graph.edge[i].from != node && graph.edge[i].to != node);
}

static unsigned int nodes;
static unsigned long found_some, found_none, longest;

static void search(void)
{
	unsigned int start = 1 + below(nodes), want, node;
	bool weak = below(2), backward = below(2);
	struct dep_path path;

	memset(&wanted, 0, sizeof(wanted));
	(below(2) ? wanted.any : wanted.strong)[1 + below(nodes)] = true;
	if (below(4) == 0)
		wanted.strong[1 + below(nodes)] = true;
	wanted.closed[1 + below(nodes)] = below(2);
	for (unsigned int i = 1; i <= NODES; i++)
		if (wanted.any[i] || wanted.strong[i])
			wanted.closed[i] = false;
	want = shortest(start, weak, backward);
	node = dep_search(&graph, start, weak, backward, match, &wanted, &path);
	CHECK((node != 0) == (want != NEVER));
	if (!node) {
		found_none++;
		return;
	}
	found_some++;
	CHECK(path.n == want);
	check_path(&path, start, weak, backward, node);
	if (path.n > longest)
		longest = path.n;
}

static void random_graph(void)
{
	unsigned int n = below(EDGES) + 1;

	nodes = 2 + below(NODES - 1);
	dep_clear(&graph);
	nr_edges = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct edge e = { 1 + below(nodes), 1 + below(nodes), below(2),
				  below(2) };

		if (e.from != e.to)
			add(e);
		if (below(3) == 0)
			search();
		if (below(16) == 0)
			forget(1 + below(nodes));
	}
	for (unsigned int i = 0; i < 8; i++)
		search();
}

static enum dep_match is_node(unsigned int node, bool weak, void *arg)
{
	(void)weak;
	return node == *(unsigned int *)arg ? DEP_FOUND : DEP_GO;
}

/* 1 -> 2 -> ... -> 40 */
static void long_path(void)
{
	unsigned int last = 40;
	struct dep_path path;

	dep_clear(&graph);
	for (unsigned int i = 1; i < last; i++)
		CHECK(dep_add(&graph, i, i + 1, DEP_EN) > 0);
	CHECK(dep_search(&graph, 1, false, false, is_node, &last, &path) ==
	      last);
	CHECK(path.more == last - 1 - DEP_PATH && path.n == DEP_PATH);
	for (unsigned int i = 0; i < DEP_PATH; i++)
		CHECK(graph.edge[path.edge[i]].from ==
		      i + 1 + (i < DEP_PATH / 2 ? 0 : path.more));
	last = DEP_PATH + 1;
	CHECK(dep_search(&graph, 1, false, false, is_node, &last, &path));
	CHECK(!path.more && path.n == DEP_PATH);
}

static void full_table(void)
{
	unsigned int from = 1, to = 2, last = DEP_NODES - 1;
	struct dep_path path;

	dep_clear(&graph);
	while (dep_add(&graph, from, to, DEP_SR) > 0)
		if (++to == DEP_NODES)
			to = ++from + 1;
	CHECK(graph.edges == DEP_EDGES);
	CHECK(dep_add(&graph, from, to, DEP_EN) == -1);
	CHECK(dep_add(&graph, 1, 2, DEP_EN) == -1); /* a stronger one */
	CHECK(dep_add(&graph, 1, 2, DEP_SR) == 0);
	CHECK(!dep_find(&graph, from, to, DEP_SR));
	CHECK(dep_search(&graph, 1, false, false, is_node, &last, &path) ==
	      last);
	CHECK(path.n == 1);
	/* A node is removed: there is room again. */
	dep_remove(&graph, 1);
	CHECK(graph.in_use < DEP_EDGES - 1 && !graph.out[1] && !graph.in[1]);
	CHECK(dep_add(&graph, from, to, DEP_EN) > 0);
	CHECK(graph.edges == DEP_EDGES);
}

/* Every node is reached weakly and strongly: the longest queue of a search. */
static void widest(void)
{
	unsigned int nowhere = DEP_NODES;
	struct dep_path path;

	dep_clear(&graph);
	for (unsigned int i = 2; i < DEP_NODES; i++) {
		dep_add(&graph, 1, i, DEP_ER);
		dep_add(&graph, i, i % (DEP_NODES - 1) + 1, DEP_EN);
	}
	CHECK(!dep_search(&graph, 1, false, false, is_node, &nowhere, &path));
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);

	for (unsigned long i = 0; i < rounds; i++)
		random_graph();
	long_path();
	full_table();
	widest();
	printf("%lu found, %lu not, longest path %lu\n", found_some, found_none,
	       longest);
	CHECK(found_some > rounds && found_none > rounds && longest >= 4);
	return 0;
}
