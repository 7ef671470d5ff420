/*
 * Lockdep: classes, held locks, chains, uses; what is checked when. See
 * lockdep.h for what it is, lockdep_graph.h for the graph.
 *
 * A thread's list of held locks is its own, IRQs off (interrupts on it use the
 * same). A chain is the sequence of held locks as a hash; one that is known needs
 * no look at the graph, so an acquisition usually costs a hash and a look-up.
 *
 * graph_lock (a spinlock that lockdep does not see, IRQs off) guards the classes,
 * the graph, the chains and the findings. Classes and edges are made once and stay
 * as they are, so a report reads them without it. A chain is published by its
 * `hi`, which is written last.
 *
 * `recursion` of the thread is set inside: a lock that is taken here is not looked
 * at. Context: any but FIQ. Built without sanitizers.
 */
#include "kernel/lock/lockdep.h"

#include <string.h>

#include "boot/boot.h"
#include "drivers/board.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/lock/spinlock.h"

#if GORDIAN_DEBUG

#define BUCKETS 256
#define PROBES	16

struct lock_class_key lockdep_no_validate;
struct dep_graph lockdep_graph;
struct lock_class lockdep_classes[DEP_NODES];
unsigned int lockdep_nr_classes = 1;
unsigned int lockdep_nr_chains, lockdep_chain_misses, lockdep_max_depth;
unsigned int lockdep_nr_findings, lockdep_again;
unsigned int lockdep_distinct[NR_LOCKDEP_KINDS];

static DEFINE_SPINLOCK(graph_lock);
static uint16_t buckets[BUCKETS];
static uint64_t prints[LOCKDEP_FINDINGS]; /* of the findings so far */
static struct {
	uint32_t hi, lo; /* hi 0: free */
} chains[LOCKDEP_CHAINS];

static uint64_t mix(uint64_t key, uint32_t value)
{
	key = (key ^ value) * 0x9e3779b97f4a7c15ull;
	return key ^ key >> 29;
}

/* ---- what has been found --------------------------------------------------------- */

/* graph_lock held: the first of its sort? Counts it. */
static bool is_new(enum lockdep_kind kind, uint64_t print)
{
	print = mix(print, kind + 1u);
	for (unsigned int i = 0; i < lockdep_nr_findings; i++) {
		if (prints[i] == print) {
			lockdep_again++;
			return false;
		}
	}
	if (lockdep_nr_findings == LOCKDEP_FINDINGS) {
		lockdep_again++;
		return false; /* the report of the last one said so */
	}
	prints[lockdep_nr_findings++] = print;
	lockdep_distinct[kind]++;
	return true;
}

static void trace_from(struct dep_trace *t, const void *frame)
{
	t->n = backtrace_frame(frame, t->pc, DEP_FRAMES);
}

static struct held_copy copy_held(const struct held_lock *h)
{
	return (struct held_copy){ h->map, h->site, h->class, h->how,
				   h->waits };
}

static void fill(struct finding *f, enum lockdep_kind kind, const void *frame)
{
	const struct thread *t = current;

	f->kind = kind;
	f->thread = t->id;
	memcpy(f->comm, t->name, sizeof(f->comm));
	f->nr_held = min(t->lockdep.depth, (unsigned int)HELD_COPIES);
	for (unsigned int i = 0; i < f->nr_held; i++)
		f->held[i] = copy_held(&t->lockdep.held[i]);
	trace_from(&f->trace, frame);
}

/* ---- classes ---------------------------------------------------------------------- */

static uint16_t *bucket_of(const void *key, unsigned int subclass)
{
	return &buckets[mix((uintptr_t)key, subclass) % BUCKETS];
}

/* graph_lock held. */
static unsigned int find_class(const void *key, unsigned int subclass)
{
	unsigned int i = *bucket_of(key, subclass);

	while (i && (lockdep_classes[i].key != key ||
		     lockdep_classes[i].subclass != subclass))
		i = lockdep_classes[i].next;
	return i;
}

/* graph_lock held, none of that key: make it. 0: the table is full. */
static unsigned int new_class(const void *key, const char *name,
			      unsigned int subclass)
{
	struct lock_class *c = &lockdep_classes[lockdep_nr_classes];
	uint16_t *bucket = bucket_of(key, subclass);

	if (lockdep_nr_classes == DEP_NODES)
		return 0;
	if (lockdep_nr_classes == 1)
		dep_clear(&lockdep_graph);
	c->key = key;
	c->name = name;
	c->subclass = (uint8_t)subclass;
	for (unsigned int i = 1; i < lockdep_nr_classes; i++)
		c->same += !subclass && !lockdep_classes[i].subclass &&
			   strcmp(lockdep_classes[i].name, name) == 0;
	c->next = *bucket;
	*bucket = (uint16_t)lockdep_nr_classes;
	return lockdep_nr_classes++;
}

static bool is_static(const void *p)
{
	return p >= (const void *)data_start && p < (const void *)bss_end;
}

/* The class of m, looked up once; 0: it cannot have one, which was said. */
static noinline unsigned int class_of(struct lockdep_map *m,
				      unsigned int subclass)
{
	const void *key = m->key ? m->key : m;
	unsigned int class = 0;

	if (!m->key && !is_static(m)) {
		lockdep_full("a lock that is not static has no class", m->name,
			     0);
		return 0;
	}
	arch_spin_lock(&graph_lock);
	class = find_class(key, subclass);
	if (!class)
		class = new_class(key, m->name ? m->name : "?", subclass);
	arch_spin_unlock(&graph_lock);
	if (!class)
		lockdep_full("lock classes", "DEP_NODES", DEP_NODES);
	m->class[subclass] = (uint16_t) class;
	return class;
}

void lockdep_init_map(struct lockdep_map *m, const char *name, const void *key)
{
	memset(m, 0, sizeof(*m));
	m->name = name;
	m->key = key;
}

/* ---- chains ----------------------------------------------------------------------- */

static bool chain_known(uint64_t key)
{
	uint32_t hi = (uint32_t)(key >> 32) | 1, lo = (uint32_t)key, seen;

	for (unsigned int i = 0; i < PROBES; i++) {
		unsigned int at = (lo + i) % LOCKDEP_CHAINS;

		/* Acquire: pairs with the release in chain_add(). */
		seen = smp_load_acquire(&chains[at].hi);
		if (seen == hi && READ_ONCE(chains[at].lo) == lo)
			return true;
		if (!seen)
			return false;
	}
	return false;
}

static void chain_add(uint64_t key)
{
	uint32_t hi = (uint32_t)(key >> 32) | 1, lo = (uint32_t)key;
	bool added = false;

	arch_spin_lock(&graph_lock);
	lockdep_chain_misses++;
	added = chain_known(key);
	for (unsigned int i = 0; i < PROBES && !added; i++) {
		unsigned int at = (lo + i) % LOCKDEP_CHAINS;

		if (chains[at].hi)
			continue;
		WRITE_ONCE(chains[at].lo, lo);
		/* Release: pairs with the acquire in chain_known(). */
		smp_store_release(&chains[at].hi, hi);
		lockdep_nr_chains++;
		added = true;
	}
	arch_spin_unlock(&graph_lock);
	if (!added)
		lockdep_full("lock chains", "LOCKDEP_CHAINS", LOCKDEP_CHAINS);
}

/* ---- interrupts and locks ------------------------------------------------------------ */

/* What a use must not be mixed with: two readers may. */
static const uint8_t excluded[NR_USES] = {
	[USED_IN_HARDIRQ] = USE_ON,
	[USED_IN_HARDIRQ_READ] = USE_BIT(ENABLED_HARDIRQ),
	[ENABLED_HARDIRQ] = USE_IN,
	[ENABLED_HARDIRQ_READ] = USE_BIT(USED_IN_HARDIRQ),
};

static bool shared(unsigned int how)
{
	return (how & (LOCK_READ | LOCK_READ_RECURSIVE)) != 0;
}

static bool recursive(unsigned int how)
{
	return (how & LOCK_READ_RECURSIVE) != 0;
}

struct use_match {
	uint32_t mask;
	unsigned int not ; /* a node that does not count */
};

/* A node reached as a recursive reader alone does not wait for readers. */
static bool has_use(unsigned int node, bool weak, void *arg)
{
	const struct use_match *m = arg;
	uint32_t usage = lockdep_classes[node].usage;

	if (weak)
		usage &= ~(USE_BIT(USED_IN_HARDIRQ_READ) |
			   USE_BIT(ENABLED_HARDIRQ_READ));
	return node != m->not &&(usage & m->mask);
}

static unsigned int lowest_use(uint32_t usage)
{
	return usage ? (unsigned int)__builtin_ctz(usage) : NR_USES;
}

/* graph_lock held: class has just been used so. Returns whether f says what is
 * wrong with that. */
static bool check_use(struct finding *f, unsigned int class, unsigned int use)
{
	struct lock_class *c = &lockdep_classes[class];
	bool in = (USE_BIT(use) & USE_IN) != 0;
	struct use_match m = { .mask = excluded[use], .not = class };
	unsigned int other;

	f->safe = f->unsafe = class;
	f->safe_use = f->unsafe_use = use;
	if (c->usage & excluded[use]) {
		unsigned int was = lowest_use(c->usage & excluded[use]);

		f->kind = LOCKDEP_INCONSISTENT;
		*(in ? &f->unsafe_use : &f->safe_use) = was;
		return is_new(f->kind, class);
	}
	/* Who comes after a safe one, or before an unsafe one? */
	other = dep_search(&lockdep_graph, class,
			   use == USED_IN_HARDIRQ_READ ||
				   use == ENABLED_HARDIRQ_READ,
			   !in, has_use, &m, &f->path);
	if (!other)
		return false;
	f->kind = LOCKDEP_IRQ_INVERSION;
	*(in ? &f->unsafe : &f->safe) = other;
	*(in ? &f->unsafe_use : &f->safe_use) =
		lowest_use(lockdep_classes[other].usage & excluded[use]);
	return is_new(f->kind, f->safe << 16 | f->unsafe);
}

static noinline void mark_use(const struct held_lock *h, uint32_t uses,
			      const void *frame)
{
	struct lock_class *c = &lockdep_classes[h->class];

	for (unsigned int use = 0; use < NR_USES; use++) {
		struct finding f;
		bool wrong = false;

		if (!(uses & ~c->usage & USE_BIT(use)))
			continue;
		fill(&f, LOCKDEP_INCONSISTENT, frame);
		f.next = copy_held(h);
		arch_spin_lock(&graph_lock);
		if (!(c->usage & USE_BIT(use))) {
			c->used[use] = f.trace;
			WRITE_ONCE(c->usage, c->usage | USE_BIT(use));
			wrong = check_use(&f, h->class, use);
		}
		arch_spin_unlock(&graph_lock);
		if (wrong)
			lockdep_report(&f);
	}
}

/* A trylock in an interrupt does not wait for whom it interrupted. */
static uint32_t uses_of(const struct held_lock *h)
{
	bool read = shared(h->how);

	if (h->in_irq)
		return h->how & LOCK_TRY ? 0 :
		       read		 ? USE_BIT(USED_IN_HARDIRQ_READ) :
					   USE_BIT(USED_IN_HARDIRQ);
	if (h->irqs_off)
		return 0;
	return USE_BIT(read ? ENABLED_HARDIRQ_READ : ENABLED_HARDIRQ);
}

/* Interrupts are on: what was taken with interrupts off is held with them on. */
static void held_with_irqs_on(struct lockdep_thread *t, const void *frame)
{
	for (unsigned int i = 0; i < t->depth; i++) {
		struct held_lock *h = &t->held[i];

		if (likely(!h->irqs_off || h->in_irq))
			continue;
		h->irqs_off = false;
		mark_use(h, uses_of(h), frame);
	}
}

/* graph_lock held: does prev -> next connect a lock used in interrupts to one
 * held with interrupts on? */
static bool check_irq_order(struct finding *f, const struct held_lock *prev,
			    const struct held_lock *next)
{
	for (unsigned int use = USED_IN_HARDIRQ; use <= USED_IN_HARDIRQ_READ;
	     use++) {
		struct use_match in = { .mask = USE_BIT(use) };
		struct use_match on = { .mask = excluded[use] };

		f->safe = dep_search(&lockdep_graph, prev->class,
				     shared(prev->how), true, has_use, &in,
				     &f->path);
		if (!f->safe)
			continue;
		f->unsafe = dep_search(&lockdep_graph, next->class,
				       recursive(next->how), false, has_use,
				       &on, &f->forward);
		if (!f->unsafe)
			continue;
		f->safe_use = use;
		f->unsafe_use = lowest_use(lockdep_classes[f->unsafe].usage &
					   excluded[use]);
		return is_new(LOCKDEP_IRQ_ORDER, f->safe << 16 | f->unsafe);
	}
	return false;
}

/* ---- order ---------------------------------------------------------------------------- */

struct closing {
	unsigned int class;
	bool shared;
};

/* Does the new edge from this node close a strong cycle? */
static bool closes(unsigned int node, bool weak, void *arg)
{
	const struct closing *c = arg;

	return node == c->class && !(weak && c->shared);
}

/* Whatever lock it began with, a cycle is one finding: its classes. */
static uint64_t print_of_cycle(unsigned int start, const struct dep_path *path)
{
	uint64_t print = mix(0, start);

	for (unsigned int i = 0; i < path->n; i++)
		print += mix(0, lockdep_graph.edge[path->edge[i]].to);
	return print;
}

static void add_edge(const struct held_lock *prev, const struct held_lock *next,
		     const struct dep_trace *trace)
{
	int i = dep_add(&lockdep_graph, prev->class, next->class,
			dep_of(shared(prev->how), recursive(next->how)));

	if (i > 0) {
		lockdep_graph.edge[i].held_as = prev->how;
		lockdep_graph.edge[i].taken_as = next->how;
		lockdep_graph.edge[i].trace = *trace;
	}
}

static bool edge_known(const struct held_lock *prev,
		       const struct held_lock *next)
{
	unsigned int e = dep_find(&lockdep_graph, prev->class, next->class);

	return e && lockdep_graph.edge[e].dep &
			    dep_of(shared(prev->how), recursive(next->how));
}

/* prev is held, next is being taken. */
static void check_edge(const struct held_lock *prev,
		       const struct held_lock *next, const void *frame)
{
	struct closing c = { prev->class, shared(prev->how) };
	bool circular = false, irq = false, full;
	struct finding f;

	fill(&f, LOCKDEP_CIRCULAR, frame);
	f.prev = copy_held(prev);
	f.next = copy_held(next);
	arch_spin_lock(&graph_lock);
	if (edge_known(prev, next)) {
		arch_spin_unlock(&graph_lock);
		return;
	}
	if (dep_search(&lockdep_graph, next->class, recursive(next->how), false,
		       closes, &c, &f.path))
		circular = is_new(LOCKDEP_CIRCULAR,
				  print_of_cycle(next->class, &f.path));
	full = lockdep_graph.edges == DEP_EDGES;
	add_edge(prev, next, &f.trace);
	arch_spin_unlock(&graph_lock);
	if (full)
		lockdep_full("lock dependencies", "DEP_EDGES", DEP_EDGES);
	if (circular)
		lockdep_report(&f);

	arch_spin_lock(&graph_lock);
	irq = check_irq_order(&f, prev, next);
	arch_spin_unlock(&graph_lock);
	f.kind = LOCKDEP_IRQ_ORDER;
	if (irq)
		lockdep_report(&f);
}

static const struct held_lock *held_entry(const struct lockdep_thread *t,
					  const struct lockdep_map *m)
{
	for (unsigned int i = min(t->depth, (unsigned int)MAX_HELD); i-- > 0;)
		if (READ_ONCE(t->held[i].map) == m)
			return &t->held[i];
	return NULL;
}

static void report_pair(enum lockdep_kind kind, const struct held_lock *prev,
			const struct held_lock *next, const void *frame)
{
	struct finding f;
	bool first;

	fill(&f, kind, frame);
	f.next = copy_held(next);
	f.prev = copy_held(prev);
	arch_spin_lock(&graph_lock);
	first = is_new(kind, next->class);
	arch_spin_unlock(&graph_lock);
	if (first)
		lockdep_report(&f);
}

/* One of the same class is held: may that be? */
static void check_recursion(const struct lockdep_thread *t,
			    const struct held_lock *next,
			    const struct lockdep_map *nest, const void *frame)
{
	for (unsigned int i = 0; i < t->depth; i++) {
		const struct held_lock *prev = &t->held[i];

		if (prev->class != next->class ||
		    (recursive(next->how) && shared(prev->how)))
			continue;
		if (!nest || !held_entry(t, nest))
			report_pair(LOCKDEP_RECURSIVE, prev, next, frame);
		return;
	}
}

/* A sequence of held locks that was not seen before, with next on top. */
static noinline void new_chain(const struct lockdep_thread *t,
			       const struct held_lock *next,
			       const struct lockdep_map *nest, uint64_t chain,
			       const void *frame)
{
	bool waits = !(next->how & LOCK_TRY); /* a trylock waits for nobody */

	if (nest && !held_entry(t, nest))
		report_pair(LOCKDEP_NEST, next, next, frame);
	if (waits)
		check_recursion(t, next, nest, frame);
	/*
	 * From the nearest held ones: what is below the first that was waited
	 * for comes before that one already. Locks of the interrupted thread
	 * are another matter: the uses above.
	 */
	for (unsigned int i = t->depth; waits && i-- > 0;) {
		const struct held_lock *prev = &t->held[i];

		if (prev->in_irq != next->in_irq)
			break;
		if (prev->class == next->class)
			continue;
		check_edge(prev, next, frame);
		if (!(prev->how & LOCK_TRY))
			break;
	}
	chain_add(chain);
}

/* ---- the hooks of the locks ------------------------------------------------------------- */

static uint64_t chain_with(uint64_t below, const struct held_lock *h)
{
	return mix(below, h->class | (uint32_t)h->how << 16 |
				  (uint32_t)h->nested << 20);
}

/* The chain that an entry at place i stands on. */
static uint64_t chain_below(const struct lockdep_thread *t, unsigned int i,
			    bool in_irq)
{
	if (i && t->held[i - 1].in_irq == in_irq)
		return t->chain;
	return in_irq; /* each context begins anew */
}

static void acquire(struct lockdep_thread *t, struct lockdep_map *m,
		    unsigned int subclass, unsigned int how,
		    const struct lockdep_map *nest, uintptr_t site,
		    bool irqs_off, const void *frame)
{
	unsigned int class = m->class[subclass], depth = t->depth;
	struct held_lock *h = &t->held[depth];
	uint64_t chain;
	uint32_t uses;

	if (unlikely(!class))
		class = class_of(m, subclass);
	if (unlikely(depth == MAX_HELD))
		lockdep_full("held locks of a thread", "MAX_HELD", MAX_HELD);
	if (unlikely(!class || depth == MAX_HELD)) {
		t->lost++;
		return;
	}
	h->map = m;
	h->site = site;
	h->since = timer_now();
	h->chain = t->chain;
	h->class = (uint16_t) class;
	h->how = (uint8_t)how;
	h->nested = nest != NULL;
	h->waits = false;
	h->in_irq = current->irq_depth != 0;
	h->irqs_off = irqs_off;

	if (depth && !irqs_off)
		held_with_irqs_on(t, frame);
	uses = uses_of(h);
	if (unlikely(uses & ~READ_ONCE(lockdep_classes[class].usage)))
		mark_use(h, uses, frame);
	chain = chain_with(chain_below(t, depth, h->in_irq), h);
	if (unlikely(!chain_known(chain)))
		new_chain(t, h, nest, chain, frame);
	t->chain = chain;
	t->depth = depth + 1;
	if (unlikely(t->depth > READ_ONCE(lockdep_max_depth)))
		WRITE_ONCE(lockdep_max_depth, t->depth);
}

void lock_acquire(struct lockdep_map *m, unsigned int subclass,
		  unsigned int how, const struct lockdep_map *nest,
		  uintptr_t site)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t flags;

	if (unlikely(t->recursion || m->key == &lockdep_no_validate))
		return;
	flags = local_irq_save();
	t->recursion = 1;
	acquire(t, m, subclass, how, nest, site, (flags & PSR_I) != 0,
		__builtin_frame_address(0));
	t->recursion = 0;
	local_irq_restore(flags);
}

void lock_contended(struct lockdep_map *m)
{
	struct lockdep_thread *t = &current->lockdep;

	if (t->depth && t->held[t->depth - 1].map == m)
		t->held[t->depth - 1].waits = true;
}

void lock_acquired(struct lockdep_map *m)
{
	struct lockdep_thread *t = &current->lockdep;

	if (t->depth && t->held[t->depth - 1].map == m) {
		t->held[t->depth - 1].waits = false;
		t->held[t->depth - 1].since = timer_now();
	}
}

/* Take entry i out; what stands above it moves down and gets a new chain. */
static void remove_entry(struct lockdep_thread *t, unsigned int i)
{
	t->chain = t->held[i].chain;
	t->depth--;
	for (; i < t->depth; i++) {
		t->held[i] = t->held[i + 1];
		t->held[i].chain = t->chain;
		t->chain = chain_with(chain_below(t, i, t->held[i].in_irq),
				      &t->held[i]);
	}
}

static noinline bool not_held(struct lockdep_thread *t, struct lockdep_map *m,
			      uintptr_t site, const void *frame)
{
	unsigned int class = m->class[0] ? m->class[0] : class_of(m, 0);
	struct finding f;
	bool first;

	if (t->lost) {
		t->lost--;
		return true;
	}
	fill(&f, LOCKDEP_UNBALANCED, frame);
	f.next = (struct held_copy){ m, site, (uint16_t) class, 0, false };
	f.prev.lock = NULL; /* nowhere on the list */
	arch_spin_lock(&graph_lock);
	first = is_new(f.kind, mix(class, (uint32_t)site));
	arch_spin_unlock(&graph_lock);
	if (first)
		lockdep_report(&f);
	return false;
}

static bool release(struct lockdep_thread *t, struct lockdep_map *m,
		    uintptr_t site, bool irqs_off, const void *frame)
{
	unsigned int i = t->depth;
	bool in_irq = current->irq_depth != 0;
	struct held_lock *h;

	do
		if (unlikely(i == 0))
			return not_held(t, m, site, frame);
	while (t->held[--i].map != m);
	h = &t->held[i];
	if (unlikely(h->in_irq != in_irq)) /* released out of its context */
		report_pair(LOCKDEP_UNBALANCED, h, h, frame);
	if (unlikely(h->irqs_off && !irqs_off))
		held_with_irqs_on(t, frame);
	remove_entry(t, i);
	return true;
}

bool lock_release(struct lockdep_map *m, uintptr_t site)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t flags;
	bool ok;

	if (unlikely(t->recursion || m->key == &lockdep_no_validate))
		return true;
	flags = local_irq_save();
	t->recursion = 1;
	ok = release(t, m, site, (flags & PSR_I) != 0,
		     __builtin_frame_address(0));
	t->recursion = 0;
	local_irq_restore(flags);
	return ok;
}

bool lock_is_held(const struct lockdep_map *m)
{
	const struct held_lock *h = held_entry(&current->lockdep, m);

	return (h && !h->waits) || current->lockdep.lost;
}

const struct held_lock *lock_held_by(const struct thread *t,
				     const struct lockdep_map *m)
{
	unsigned int n = min(READ_ONCE(t->lockdep.depth), MAX_HELD + 0u);

	/* A reader that waits for it once more holds it all the same. */
	while (n--)
		if (t->lockdep.held[n].map == m &&
		    !READ_ONCE(t->lockdep.held[n].waits))
			return &t->lockdep.held[n];
	return NULL;
}

/* ---- what is found elsewhere --------------------------------------------------------------- */

static void complain(enum lockdep_kind kind, const char *what, uintptr_t site,
		     const struct held_lock *h, const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;
	uint64_t print = mix((uintptr_t)what, (uint32_t)site);
	uint32_t flags = local_irq_save();
	struct finding f;
	bool first;

	if (!t->recursion) {
		t->recursion = 1;
		fill(&f, kind, frame);
		f.what = what;
		f.site = site;
		if (h) {
			f.next = copy_held(h);
			print = mix(h->class, (uint32_t)site);
		}
		arch_spin_lock(&graph_lock);
		first = is_new(kind, print);
		arch_spin_unlock(&graph_lock);
		if (first)
			lockdep_report(&f);
		t->recursion = 0;
	}
	local_irq_restore(flags);
}

void lockdep_complain(enum lockdep_kind kind, const char *what, uintptr_t site)
{
	complain(kind, what, site, NULL, __builtin_frame_address(0));
}

/* Each lock that is still held, and then forget them. */
static void still_held(const char *what, const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;

	for (unsigned int i = 0; i < t->depth; i++)
		complain(LOCKDEP_HELD_AT_END, what, t->held[i].site,
			 &t->held[i], frame);
	t->depth = 0;
	t->chain = 0;
}

void lockdep_thread_end(void)
{
	/* A BUG has said what the thread holds; its reaper releases that. */
	if (current->lockdep.depth && !current->bug)
		still_held("the thread ends", __builtin_frame_address(0));
}

void lockdep_idle(void)
{
	if (unlikely(current->lockdep.depth))
		still_held("the core idles", __builtin_frame_address(0));
}

void debug_check_no_locks_freed(const void *from, size_t len)
{
	struct lockdep_thread *t = &current->lockdep;

	for (unsigned int i = 0; i < t->depth; i++) {
		const struct held_lock *h = &t->held[i];
		uintptr_t at = (uintptr_t)h->map - (uintptr_t)from;

		if (unlikely(at < len))
			complain(LOCKDEP_HELD_FREED, "", CALLER, h,
				 __builtin_frame_address(0));
	}
}

void lockdep_thread_died(void)
{
	current->lockdep.recursion = 0;
	if (graph_lock.holder == current)
		arch_spin_unlock(&graph_lock);
}

/* ---- the whole ------------------------------------------------------------------------------ */

unsigned int lockdep_count(enum lockdep_kind kind)
{
	return READ_ONCE(lockdep_distinct[kind]);
}

unsigned int lockdep_total(void)
{
	return READ_ONCE(lockdep_nr_findings);
}

unsigned int lockdep_seen(void)
{
	unsigned int seen = 0;

	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (READ_ONCE(lockdep_distinct[k]))
			seen |= LOCKDEP_BIT(k);
	return seen;
}

void lockdep_reset(void)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t flags = local_irq_save();

	t->recursion = 1;
	arch_spin_lock(&graph_lock);
	for (unsigned int i = 0; i < LOCKDEP_CHAINS; i++)
		WRITE_ONCE(chains[i].hi, 0);
	for (unsigned int i = 1; i < lockdep_nr_classes; i++)
		WRITE_ONCE(lockdep_classes[i].usage, 0);
	dep_clear(&lockdep_graph);
	memset(lockdep_distinct, 0, sizeof(lockdep_distinct));
	lockdep_nr_findings = lockdep_again = 0;
	lockdep_nr_chains = lockdep_chain_misses = lockdep_max_depth = 0;
	arch_spin_unlock(&graph_lock);
	t->recursion = 0;
	local_irq_restore(flags);
}

#endif
