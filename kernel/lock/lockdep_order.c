/*
 * Lockdep: the order of the held locks and of the one that is being taken.
 *
 * If a thread holds A and takes B, the graph gets the edge A -> B. If the graph
 * has a strong path from B to A (lockdep_graph.h), the edge closes a cycle.
 *
 * lockdep_graph_lock guards the graph. Context: any but FIQ, IRQs off. Built
 * without sanitizers.
 */
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/lock/spinlock.h"

#if GORDIAN_DEBUG

struct closing {
	unsigned int class;
	bool shared;
};

/* Does the path to this node close a strong cycle? If the path has come to the
 * node c->class but closes no strong cycle, the search need not go on from this
 * node: a cycle that contains the node twice contains a shorter cycle. */
static enum dep_match closes_cycle(unsigned int node, bool weak, void *arg)
{
	const struct closing *c = arg;

	if (node != c->class)
		return DEP_GO;
	return weak && c->shared ? DEP_STOP : DEP_FOUND;
}

static uint64_t edge_fingerprint(unsigned int from, unsigned int to)
{
	return lockdep_mix(lockdep_mix(0, lockdep_serial(from)),
			   lockdep_serial(to));
}

/* The fingerprint of a cycle is the sum over its edges, so it does not depend
 * on which edge came last. The edge from -> to closes the cycle. */
static uint64_t cycle_fingerprint(unsigned int from, unsigned int to,
				  const struct dep_path *path)
{
	uint64_t sum = edge_fingerprint(from, to);

	for (unsigned int i = 0; i < path->n; i++) {
		const struct dep_edge *e = &lockdep_graph.edge[path->edge[i]];

		sum += edge_fingerprint(e->from, e->to);
	}
	return sum + path->more;
}

/* Add an edge and return it. If the table is full, return entry 0, which no
 * search visits. */
static struct dep_edge *add_edge(const struct held_lock *prev,
				 const struct held_lock *next, unsigned int dep,
				 const struct dep_trace *trace, bool *full)
{
	int i = dep_add(&lockdep_graph, prev->class, next->class, dep);
	struct dep_edge *e = &lockdep_graph.edge[max(i, 0)];

	*full = i < 0;
	e->held_as = prev->how;
	e->taken_as = next->how;
	e->trace = *trace;
	return e;
}

/*
 * prev is held, next is being taken. Returns false if this is a finding. wrong:
 * see lockdep_check_order(). *cycle: has this acquisition closed a cycle
 * already? Then a second cycle follows from the same step: count it, and do not
 * add its edge.
 */
static bool check_edge(const struct held_lock *prev,
		       const struct held_lock *next, uint32_t wrong,
		       bool *cycle, const void *frame)
{
	unsigned int dep = dep_of(is_shared(prev->how),
				  is_recursive(next->how)),
		     i;
	struct closing c = { prev->class, is_shared(prev->how) };
	bool bad, is_first = false, full = false;
	struct dep_edge *e = NULL;
	struct finding f;

	lockdep_fill(&f, LOCKDEP_CIRCULAR, frame);
	f.prev = lockdep_copy(prev);
	f.next = lockdep_copy(next);
	arch_spin_lock(&lockdep_graph_lock);
	i = dep_find(&lockdep_graph, prev->class, next->class, dep);
	if (i) {
		bad = lockdep_graph.edge[i].bad;
		lockdep_again += bad;
		arch_spin_unlock(&lockdep_graph_lock);
		return !bad;
	}
	bad = dep_search(&lockdep_graph, next->class, is_recursive(next->how),
			 false, closes_cycle, &c, &f.path);
	if (bad && *cycle) {
		lockdep_again++;
		e = &lockdep_graph.edge[0]; /* in no list */
		arch_spin_unlock(&lockdep_graph_lock);
		lockdep_check_irq_order(prev, next, e, wrong, frame);
		return false;
	}
	if (bad) {
		uint64_t id =
			cycle_fingerprint(prev->class, next->class, &f.path);

		is_first =
			lockdep_note(&f, (uint32_t)id, (uint32_t)(id >> 32), 0);
		*cycle = true;
	}
	/* Add the edge under the lock under which the search was made: if two
	 * cores add the edges of a cycle at once, the second search sees the
	 * first edge. */
	e = add_edge(prev, next, dep, &f.trace, &full);
	e->bad = bad;
	arch_spin_unlock(&lockdep_graph_lock);
	if (full)
		lockdep_full("lock dependencies", "DEP_EDGES", DEP_EDGES,
			     "new orders are not known");
	if (is_first)
		lockdep_report(&f);
	return lockdep_check_irq_order(prev, next, e, wrong, frame) && !bad;
}

bool lockdep_check_recursion(const struct lockdep_thread *t, unsigned int first,
			     unsigned int n, const struct held_lock *next,
			     const void *frame)
{
	for (unsigned int i = first; i < n; i++) {
		const struct held_lock *prev = &t->held[i];
		struct finding f;

		if (prev->class != next->class ||
		    (is_recursive(next->how) && is_shared(prev->how)))
			continue;
		lockdep_fill(&f, LOCKDEP_RECURSIVE, frame);
		f.next = lockdep_copy(next);
		f.prev = lockdep_copy(prev);
		lockdep_found(&f, lockdep_serial(next->class), prev->site,
			      next->site);
		return false;
	}
	return true;
}

bool lockdep_check_order(const struct lockdep_thread *t, unsigned int n,
			 const struct held_lock *next, bool ordered,
			 uint32_t wrong, const void *frame)
{
	bool waits = !(next->how & LOCK_TRY); /* a trylock does not wait */
	unsigned int bottom = n >= t->base ? t->base : 0;
	bool ok, cycle = false;

	if (!next->class)
		return true;
	ok = !waits || ordered ||
	     lockdep_check_recursion(t, bottom, n, next, frame);
	/*
	 * Go from the top down. Locks of the interrupted context are left out:
	 * lockdep_mark_use() judges them by their uses.
	 */
	for (unsigned int i = n; waits && i-- > bottom;) {
		const struct held_lock *prev = &t->held[i];

		if (prev->in_irq != next->in_irq)
			break;
		if (prev->class == next->class || !prev->class)
			continue;
		ok &= check_edge(prev, next, wrong, &cycle, frame);
		/* In most cases stop below prev: the graph already has the
		 * edges from the locks below prev to prev, and paths through
		 * prev stand for edges from these locks to next. But a trylock
		 * of prev makes no such edges, and no strong path leads through
		 * a recursive reader. In these two cases go on. */
		if (!(prev->how & (LOCK_TRY | LOCK_READ_RECURSIVE)))
			break;
	}
	return ok;
}
#endif
