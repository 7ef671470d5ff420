/*
 * Lockdep: classes, held locks, chains and uses; which checks are made when.
 * What lockdep is for: lockdep.h. The graph: lockdep_graph.h.
 *
 * Each thread has a list of the locks that it holds. Only the thread uses it,
 * with IRQs off, and interrupts that come on top of the thread use the same
 * list.
 *
 * A chain is a sequence of held locks, with how each was taken and whether
 * interrupts were off. The findings of an acquisition depend only on the chain
 * that it makes. So if a chain was checked before, nothing else is looked at,
 * and an acquisition usually costs one hash and one look-up. A chain is stored
 * in one 32-bit word.
 *
 * lockdep_graph_lock (a spinlock that lockdep does not check, IRQs off) guards
 * the classes, the graph, the chains and the findings. Classes and edges do not
 * change once they are made, so a report reads them without the lock.
 *
 * A thread sets its `recursion` inside lockdep: locks that it takes here are
 * not checked. Context: any but FIQ. Built without sanitizers.
 */
#include "kernel/lock/lockdep.h"

#include <string.h>

#include "boot/boot.h"
#include "kernel/arch/clock.h"
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

DEFINE_SPINLOCK(lockdep_graph_lock);
static uint16_t buckets[BUCKETS];
static uint64_t fingerprints[LOCKDEP_FINDINGS]; /* of the findings */
static uint32_t resets;				/* under lockdep_graph_lock */
static uint32_t chains[LOCKDEP_CHAINS];		/* links; 0: free */

/* A hash of key and value. The factor is 2^64 divided by the golden ratio. */
static uint64_t mix(uint64_t key, uint32_t value)
{
	key = (key ^ value) * 0x9e3779b97f4a7c15ull;
	return key ^ key >> 29;
}

/* ---- findings ------------------------------------------------------------ */

/* Count a finding. Returns whether it is the first of its fingerprint and kind.
 * lockdep_graph_lock held. */
static bool count_finding(enum lockdep_kind kind, uint64_t fingerprint)
{
	/* Mixed first: the numbers of two classes may differ by as much as
	 * those of two kinds. */
	fingerprint = mix(mix(fingerprint, 0), kind + 1u);
	for (unsigned int i = 0; i < lockdep_nr_findings; i++) {
		if (fingerprints[i] == fingerprint) {
			lockdep_again++;
			return false;
		}
	}
	if (lockdep_nr_findings == LOCKDEP_FINDINGS) {
		lockdep_again++;
		return false; /* the table is full, which was printed */
	}
	fingerprints[lockdep_nr_findings++] = fingerprint;
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

/* Fill in what every finding of the current thread has. frame: the frame from
 * which its stack is recorded. */
static void fill_finding(struct finding *f, enum lockdep_kind kind,
			 const void *frame)
{
	const struct thread *t = current;

	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->thread = t->id;
	f->core = smp_processor_id();
	memcpy(f->comm, t->name, sizeof(f->comm));
	f->preempt_count = t->preempt_count;
	f->in_irq = t->irq_depth != 0;
	f->is_idle = t->is_idle;
	f->reader = t->lockdep.readers ? t->lockdep.reader_site : 0;
	f->nr_held = min(t->lockdep.depth, (unsigned int)HELD_COPIES);
	for (unsigned int i = 0; i < f->nr_held; i++)
		f->held[i] = copy_held(&t->lockdep.held[i]);
	trace_from(&f->trace, frame);
}

/* ---- classes ------------------------------------------------------------- */

static uint16_t *bucket_of(const void *key, unsigned int subclass)
{
	return &buckets[mix((uintptr_t)key, subclass) % BUCKETS];
}

/* lockdep_graph_lock held. */
static unsigned int find_class(const void *key, unsigned int subclass)
{
	unsigned int i = *bucket_of(key, subclass);

	while (i && (lockdep_classes[i].key != key ||
		     lockdep_classes[i].subclass != subclass))
		i = lockdep_classes[i].next;
	return i;
}

/* Make a class for a key that has none. Returns 0 if the table is full.
 * lockdep_graph_lock held. */
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
	/* The second class of a name is printed "lock#2", so are its
	 * subclasses. */
	for (unsigned int i = 1; i < lockdep_nr_classes; i++) {
		const struct lock_class *o = &lockdep_classes[i];

		if (o->key == key) {
			c->same = o->same;
			break;
		}
		if (o->same >= c->same && strcmp(o->name, name) == 0)
			c->same = o->same + 1u;
	}
	c->next = *bucket;
	*bucket = (uint16_t)lockdep_nr_classes;
	return lockdep_nr_classes++;
}

static bool is_static(const void *p)
{
	return p >= (const void *)data_start && p < (const void *)bss_end;
}

/* The class of m, which m keeps. Returns 0 if m cannot have a class, and then a
 * line has said so. */
static noinline unsigned int class_of(struct lockdep_map *m,
				      unsigned int subclass)
{
	const void *key = m->key ? m->key : m;
	unsigned int class = 0;

	if (unlikely(subclass >= LOCKDEP_SUBCLASSES)) {
		lockdep_full("nesting levels", "LOCKDEP_SUBCLASSES",
			     LOCKDEP_SUBCLASSES);
		return 0;
	}
	if (!m->key && !is_static(m)) {
		lockdep_full("a lock that is not static has no class", m->name,
			     0);
		return 0;
	}
	arch_spin_lock(&lockdep_graph_lock);
	class = find_class(key, subclass);
	if (!class)
		class = new_class(key, m->name ? m->name : "?", subclass);
	arch_spin_unlock(&lockdep_graph_lock);
	if (!class)
		lockdep_full("lock classes", "DEP_NODES", DEP_NODES);
	/* Relaxed: two cores may store the same number here. A core that reads
	 * the number then reads the class under lockdep_graph_lock, under which
	 * the class was made before this store. Only the class's uses are read
	 * without the lock: see mark_use(). */
	WRITE_ONCE(m->class[subclass], (uint16_t) class);
	return class;
}

void lockdep_init_map(struct lockdep_map *m, const char *name, const void *key)
{
	memset(m, 0, sizeof(*m));
	m->name = name;
	m->key = key;
}

/* ---- chains -------------------------------------------------------------- */

/*
 * Chains form a tree in a hash table. An entry is a link: the lock on top, with
 * how it was taken, and the name of the chain below it. A chain's name is its
 * place in the table, or one of the names here. Different chains have different
 * names, so no chain is taken for a checked one by mistake. A reset clears the
 * `checked` bits and keeps the names, as locks may be held.
 */
enum { CHAIN_EMPTY, CHAIN_EMPTY_IRQ, CHAIN_NO_ROOM, CHAIN_NAMES };
_Static_assert(LOCKDEP_CHAINS + CHAIN_NAMES <= 1u << 14,
	       "`below` is too small");
_Static_assert(DEP_NODES <= 1u << 11, "`class` is too small");

/* The link without its `checked` bit. */
static uint32_t unchecked(uint32_t link)
{
	struct held_lock h = { .link = link };

	h.checked = 0;
	return h.link;
}

/* Where chain_find() looks first: a hash. The factor is 2^32 divided by the
 * golden ratio. */
static always_inline unsigned int place_of(uint32_t link)
{
	return link * 0x9e3779b1u >> (32 - LOCKDEP_CHAIN_BITS);
}

static always_inline unsigned int chain_name(unsigned int place)
{
	return place + CHAIN_NAMES;
}

/* The entry of the chain `link`, or a free entry; NULL if there is neither.
 * lockdep_graph_lock held. */
static uint32_t *chain_find(uint32_t link)
{
	for (unsigned int i = 0; i < PROBES; i++) {
		uint32_t *c = &chains[(place_of(link) + i) % LOCKDEP_CHAINS];

		if (!*c || unchecked(*c) == unchecked(link))
			return c;
	}
	return NULL;
}

/* Find or add the chain that is h on top of h->below. Returns its name. *known:
 * is the chain marked as checked? epoch: NULL, or the value of `resets` from
 * before the check that the caller has just made; then mark the chain as
 * checked, unless a reset came in between. */
static unsigned int chain_intern(const struct held_lock *h,
				 const uint32_t *epoch, bool *known)
{
	uint32_t *c = NULL;

	arch_spin_lock(&lockdep_graph_lock);
	if (h->below != CHAIN_NO_ROOM)
		c = chain_find(h->link);
	*known = c && *c == h->link;
	if (c && !*c) {
		lockdep_nr_chains++;
		WRITE_ONCE(*c, unchecked(h->link));
	}
	if (c && epoch && *epoch == resets)
		WRITE_ONCE(*c, h->link);
	arch_spin_unlock(&lockdep_graph_lock);
	if (c)
		return chain_name((unsigned int)(c - chains));
	if (h->below != CHAIN_NO_ROOM)
		lockdep_full("lock chains", "LOCKDEP_CHAINS", LOCKDEP_CHAINS);
	return CHAIN_NO_ROOM;
}

/* ---- interrupts and locks ------------------------------------------------ */

/* The uses that a use must not be mixed with. Two readers may be mixed. */
static const uint8_t excluded[NR_USES] = {
	[USED_IN_HARDIRQ] = USE_ON,
	[USED_IN_HARDIRQ_READ] = USE_BIT(ENABLED_HARDIRQ),
	[ENABLED_HARDIRQ] = USE_IN,
	[ENABLED_HARDIRQ_READ] = USE_BIT(USED_IN_HARDIRQ),
	[TAKEN_IRQS_OFF] = USE_BIT(HELD_IN_CALL),
	[HELD_IN_CALL] = USE_BIT(TAKEN_IRQS_OFF),
};

/*
 * A lock that is safe must not lead to one that is unsafe. There are two rules:
 *  - A lock that an interrupt takes, and one that is held with interrupts on:
 *    the interrupt may come on top of its holder.
 *  - A lock that a core waits for with interrupts off, and one that is held
 *    while its holder waits for an answer of other cores: such a core does not
 *    answer. Only spinlocks are waited for in this way, so readers do not
 *    count. Nor do interrupts: the holder has interrupts on, so the first rule
 *    is broken too.
 */
static const struct rule {
	uint32_t safe, unsafe; /* uses */
} rules[] = {
	{ USE_IN, USE_ON },
	{ USE_BIT(TAKEN_IRQS_OFF), USE_BIT(HELD_IN_CALL) },
};

static bool is_shared(unsigned int how)
{
	return (how & (LOCK_READ | LOCK_READ_RECURSIVE)) != 0;
}

static bool is_recursive(unsigned int how)
{
	return (how & LOCK_READ_RECURSIVE) != 0;
}

struct use_match {
	uint32_t mask;
	unsigned int except; /* a node that does not count */
};

/* For dep_search(): has the class `node` one of the uses in arg->mask? weak:
 * the path comes to it by recursive readers only. They do not wait for readers,
 * so then uses by readers do not count. */
static bool has_use(unsigned int node, bool weak, void *arg)
{
	const struct use_match *m = arg;
	uint32_t usage = lockdep_classes[node].usage;

	if (weak)
		usage &= ~(USE_BIT(USED_IN_HARDIRQ_READ) |
			   USE_BIT(ENABLED_HARDIRQ_READ));
	/* If a class breaks the rule alone, this was found: check_use(). */
	if ((usage & USE_CALL) == USE_CALL)
		usage &= ~USE_CALL;
	return node != m->except && (usage & m->mask);
}

static unsigned int lowest_use(uint32_t usage)
{
	return usage ? (unsigned int)__builtin_ctz(usage) : NR_USES;
}

/* Count a finding about f->safe and f->unsafe. */
static bool count_uses(const struct finding *f)
{
	bool call = f->unsafe_use == HELD_IN_CALL;

	return count_finding(f->kind,
			     (uint64_t)call << 32 | f->safe << 16 | f->unsafe);
}

/* h's class has just got its first use of the sort `use`. Returns true if that
 * is a new finding, and then *f has it. lockdep_graph_lock held. */
static bool check_use(struct finding *f, const struct held_lock *h,
		      unsigned int use)
{
	unsigned int class = h->class, other;
	struct lock_class *c = &lockdep_classes[class];
	const struct rule *r = &rules[(USE_BIT(use) & USE_CALL) != 0];
	bool safe = (USE_BIT(use) & r->safe) != 0;
	/* m has the uses of readers too: with other locks between them, two
	 * readers can wait for each other. */
	struct use_match m = { safe ? r->unsafe : r->safe, class };

	f->safe = f->unsafe = class;
	f->safe_use = f->unsafe_use = f->new_use = use;
	if (c->usage & excluded[use]) {
		unsigned int was = lowest_use(c->usage & excluded[use]);

		f->kind = LOCKDEP_INCONSISTENT;
		*(safe ? &f->unsafe_use : &f->safe_use) = was;
		return count_uses(f);
	}
	/* If the lock is now safe, look for an unsafe lock that comes after it;
	 * else for a safe lock that comes before it. */
	other = dep_search(&lockdep_graph, class,
			   safe ? is_recursive(h->how) : is_shared(h->how),
			   !safe, has_use, &m, &f->path);
	if (!other)
		return false;
	f->kind = LOCKDEP_IRQ_INVERSION;
	*(safe ? &f->unsafe : &f->safe) = other;
	*(safe ? &f->unsafe_use : &f->safe_use) =
		lowest_use(lockdep_classes[other].usage & m.mask);
	return count_uses(f);
}

/* Note for h's class the uses (USE_BIT()s) that it did not have. Report each
 * one that is a finding. */
static noinline void mark_use(const struct held_lock *h, uint32_t uses,
			      const void *frame)
{
	struct lock_class *c = &lockdep_classes[h->class];

	for (unsigned int use = 0; use < NR_USES; use++) {
		struct finding f;
		bool wrong = false;

		/* Relaxed: a first look. A use that is set here has been
		 * checked; if it is not set, the next look is under the lock.
		 */
		if (!(uses & ~READ_ONCE(c->usage) & USE_BIT(use)))
			continue;
		fill_finding(&f, LOCKDEP_INCONSISTENT, frame);
		f.next = copy_held(h);
		arch_spin_lock(&lockdep_graph_lock);
		if (!(c->usage & USE_BIT(use))) {
			c->used[use] = f.trace;
			WRITE_ONCE(c->usage, c->usage | USE_BIT(use));
			wrong = check_use(&f, h, use);
		}
		arch_spin_unlock(&lockdep_graph_lock);
		if (wrong)
			lockdep_report(&f);
	}
}

/* The uses (USE_BIT()s) of the lock that this acquisition makes. A trylock in
 * an interrupt makes none: it does not wait for the interrupted thread. */
static uint32_t uses_of(const struct held_lock *h)
{
	bool read = is_shared(h->how);

	if (h->in_irq)
		return h->how & LOCK_TRY ? 0 :
		       read		 ? USE_BIT(USED_IN_HARDIRQ_READ) :
					   USE_BIT(USED_IN_HARDIRQ);
	if (h->irqs_off)
		return read || h->how & LOCK_TRY ? 0 : USE_BIT(TAKEN_IRQS_OFF);
	return USE_BIT(read ? ENABLED_HARDIRQ_READ : ENABLED_HARDIRQ);
}

/* Interrupts are enabled: mark the locks that were taken with interrupts off as
 * held with them enabled. */
static void mark_held_with_irqs_on(struct lockdep_thread *t, const void *frame)
{
	for (unsigned int i = 0; i < t->depth; i++) {
		struct held_lock *h = &t->held[i];

		if (likely(!h->irqs_off || h->in_irq))
			continue;
		h->irqs_off = false;
		mark_use(h, uses_of(h), frame);
	}
}

/* Does prev -> next connect a safe lock to an unsafe one? lockdep_graph_lock
 * held. */
static bool check_irq_order(struct finding *f, const struct rule *r,
			    const struct held_lock *prev,
			    const struct held_lock *next)
{
	struct use_match in = { .mask = r->safe }, on = { .mask = r->unsafe };

	f->safe = dep_search(&lockdep_graph, prev->class, is_shared(prev->how),
			     true, has_use, &in, &f->path);
	if (!f->safe)
		return false;
	f->unsafe = dep_search(&lockdep_graph, next->class,
			       is_recursive(next->how), false, has_use, &on,
			       &f->forward);
	if (!f->unsafe)
		return false;
	f->safe_use = lowest_use(lockdep_classes[f->safe].usage & in.mask);
	f->unsafe_use = lowest_use(lockdep_classes[f->unsafe].usage & on.mask);
	return true;
}

/* ---- order --------------------------------------------------------------- */

struct closing {
	unsigned int class;
	bool shared;
};

/* Does the path that has reached this node close a strong cycle? */
static bool closes_cycle(unsigned int node, bool weak, void *arg)
{
	const struct closing *c = arg;

	return node == c->class && !(weak && c->shared);
}

/* A cycle has the same fingerprint, whichever of its edges came last: the
 * sum over its classes. */
static uint64_t cycle_fingerprint(unsigned int start,
				  const struct dep_path *path)
{
	uint64_t sum = mix(0, start);

	for (unsigned int i = 0; i < path->n; i++)
		sum += mix(0, lockdep_graph.edge[path->edge[i]].to);
	return sum;
}

/* Returns the edge; if the table is full, entry 0, which no search visits. */
static struct dep_edge *add_edge(const struct held_lock *prev,
				 const struct held_lock *next, unsigned int dep,
				 const struct dep_trace *trace)
{
	int i = dep_add(&lockdep_graph, prev->class, next->class, dep);
	struct dep_edge *e = &lockdep_graph.edge[max(i, 0)];

	e->held_as = prev->how;
	e->taken_as = next->how;
	e->trace = *trace;
	return e;
}

/* prev is held, next is being taken. Returns false if that is a finding. */
static bool check_edge(const struct held_lock *prev,
		       const struct held_lock *next, const void *frame)
{
	unsigned int dep = dep_of(is_shared(prev->how),
				  is_recursive(next->how)),
		     i;
	struct closing c = { prev->class, is_shared(prev->how) };
	bool bad, ok, irq, is_first = false, full;
	struct dep_edge *e;
	struct finding f;

	fill_finding(&f, LOCKDEP_CIRCULAR, frame);
	f.prev = copy_held(prev);
	f.next = copy_held(next);
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
	if (bad)
		is_first =
			count_finding(LOCKDEP_CIRCULAR,
				      cycle_fingerprint(next->class, &f.path));
	full = lockdep_graph.edges == DEP_EDGES;
	/* Still under the lock: if two edges close a cycle, the second search
	 * sees the first edge. */
	e = add_edge(prev, next, dep, &f.trace);
	e->bad = bad;
	arch_spin_unlock(&lockdep_graph_lock);
	if (full)
		lockdep_full("lock dependencies", "DEP_EDGES", DEP_EDGES);
	if (is_first)
		lockdep_report(&f);

	f.kind = LOCKDEP_IRQ_ORDER;
	ok = !bad;
	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		arch_spin_lock(&lockdep_graph_lock);
		irq = check_irq_order(&f, &rules[i], prev, next);
		e->bad |= irq;
		is_first = irq && count_uses(&f);
		arch_spin_unlock(&lockdep_graph_lock);
		if (is_first)
			lockdep_report(&f);
		ok &= !irq;
	}
	return ok;
}

/* The last entry of m on the list; NULL if there is none. */
static const struct held_lock *held_entry(const struct lockdep_thread *t,
					  const struct lockdep_map *m)
{
	for (unsigned int i = min(t->depth, (unsigned int)MAX_HELD); i-- > 0;)
		if (READ_ONCE(t->held[i].map) == m)
			return &t->held[i];
	return NULL;
}

/* Report a finding about two entries of the list, unless it was reported
 * before. frame: where its stack begins. */
static void report_pair(enum lockdep_kind kind, const struct held_lock *prev,
			const struct held_lock *next, const void *frame)
{
	struct finding f;
	bool first;

	fill_finding(&f, kind, frame);
	f.next = copy_held(next);
	f.prev = copy_held(prev);
	arch_spin_lock(&lockdep_graph_lock);
	first = count_finding(kind, next->class);
	arch_spin_unlock(&lockdep_graph_lock);
	if (first)
		lockdep_report(&f);
}

/* Returns false if the thread holds a lock of the same class and must not. */
static bool check_recursion(const struct lockdep_thread *t,
			    const struct held_lock *next,
			    const struct lockdep_map *nest, const void *frame)
{
	for (unsigned int i = 0; i < t->depth; i++) {
		const struct held_lock *prev = &t->held[i];

		if (prev->class != next->class ||
		    (is_recursive(next->how) && is_shared(prev->how)))
			continue;
		if (nest && held_entry(t, nest))
			return true;
		report_pair(LOCKDEP_RECURSIVE, prev, next, frame);
		return false;
	}
	return true;
}

/* Check the order of next, which is being taken, and the locks that t holds.
 * Returns false if there is a finding. */
static bool check_order(const struct lockdep_thread *t,
			const struct held_lock *next,
			const struct lockdep_map *nest, const void *frame)
{
	bool waits = !(next->how & LOCK_TRY); /* a trylock does not wait */
	bool ok = !waits || check_recursion(t, next, nest, frame);

	/*
	 * Go from the top down. Locks of the interrupted thread are left out:
	 * mark_use() judges them by their uses.
	 */
	for (unsigned int i = t->depth; waits && i-- > 0;) {
		const struct held_lock *prev = &t->held[i];

		if (prev->in_irq != next->in_irq)
			break;
		if (prev->class == next->class)
			continue;
		ok &= check_edge(prev, next, frame);
		/* Stop below prev if the graph already has the edges from all
		 * locks below prev to prev: paths through prev stand for their
		 * edges to next. If prev was taken by a trylock, it has no such
		 * edges. If prev is a recursive reader, no strong path leads
		 * through it. */
		if (!(prev->how & (LOCK_TRY | LOCK_READ_RECURSIVE)))
			break;
	}
	return ok;
}

/* ---- the hooks of the locks ---------------------------------------------- */

/* Note the greatest depth, for the command `lockdep`. If two cores do this at
 * once, the greater depth may be lost. */
static void note_depth(unsigned int depth)
{
	if (depth > READ_ONCE(lockdep_max_depth))
		WRITE_ONCE(lockdep_max_depth, depth);
}

/* The new entry, t->held[t->depth], makes a chain that is not marked as checked
 * at the place where place_of() looks. Find the chain, and check it if it is
 * unchecked. Returns the chain's name. */
static noinline unsigned int check_chain(struct lockdep_thread *t,
					 const struct lockdep_map *nest,
					 const void *frame)
{
	struct held_lock *h = &t->held[t->depth];
	uint32_t uses, epoch = READ_ONCE(resets);
	unsigned int name;
	bool known, ok;

	t->recursion = 1;
	if (h->nested && !held_entry(t, nest))
		report_pair(LOCKDEP_NEST, h, h, frame);
	name = chain_intern(h, NULL, &known);
	if (!known) {
		/* Relaxed: a count by itself. */
		__atomic_fetch_add(&lockdep_chain_misses, 1, __ATOMIC_RELAXED);
		note_depth(t->depth + 1);
		if (!h->irqs_off)
			mark_held_with_irqs_on(t, frame);
		uses = uses_of(h);
		if (uses & ~READ_ONCE(lockdep_classes[h->class].usage))
			mark_use(h, uses, frame);
		/* A chain with a finding stays unchecked, so that each
		 * acquisition that makes the chain is counted. A chain whose
		 * edges a reset has removed also stays unchecked. */
		ok = check_order(t, h, nest, frame);
		name = chain_intern(h, ok ? &epoch : NULL, &known);
	}
	t->recursion = 0;
	return name;
}

/* The lock that is being pushed was taken in an interrupt. If it is the first
 * lock of this interrupt, a new chain begins with it. Returns the entry's
 * link. */
static noinline uint32_t mark_in_irq(struct lockdep_thread *t)
{
	struct held_lock *h = &t->held[t->depth];

	h->in_irq = 1;
	if (!t->depth || !h[-1].in_irq)
		h->below = CHAIN_EMPTY_IRQ;
	note_depth(t->depth + 1);
	return h->link;
}

/* Is m held shared in this context? Then a recursive reader does not wait, like
 * a trylock. */
static bool reads_already(const struct lockdep_thread *t,
			  const struct lockdep_map *m)
{
	const struct held_lock *h = held_entry(t, m);

	return h && is_shared(h->how) && h->in_irq == (current->irq_depth != 0);
}

/* Add m to the locks that the thread holds, t->held[]. */
static always_inline void push(struct lockdep_thread *t, struct lockdep_map *m,
			       unsigned int class, unsigned int how,
			       const struct lockdep_map *nest, uintptr_t site,
			       bool irqs_off, const void *frame)
{
	unsigned int depth = t->depth, place;
	struct held_lock *h = &t->held[depth];
	struct held_lock bits; /* of h->link, put together in a register */
	uint32_t link;

	h->map = m;
	h->site = site;
	h->since = timer_about_now();
	h->waits = false;
	h->before = (uint16_t)t->chain;
	bits.link = 0;
	bits.below = t->chain;
	bits.class = class;
	bits.how = how;
	bits.nested = nest != NULL;
	bits.irqs_off = irqs_off;
	bits.checked = 1;
	link = bits.link;
	h->link = link;
	if (unlikely(current->irq_depth))
		link = mark_in_irq(t);
	place = place_of(link);
	/* Relaxed: the word is only compared; nothing is read through it. */
	if (likely(READ_ONCE(chains[place]) == link) && !nest)
		t->chain = chain_name(place);
	else
		t->chain = check_chain(t, nest, frame);
	t->depth = depth + 1;
}

/* The class of m; 0 if this acquisition is not checked. */
static noinline unsigned int class_to_check(struct lockdep_thread *t,
					    struct lockdep_map *m,
					    unsigned int subclass)
{
	unsigned int class = 0;

	if (t->recursion || m->key == &lockdep_no_validate)
		return 0;
	t->recursion = 1;
	if (t->depth == MAX_HELD)
		lockdep_full("held locks of a thread", "MAX_HELD", MAX_HELD);
	else if (subclass < LOCKDEP_SUBCLASSES && READ_ONCE(m->class[subclass]))
		class = READ_ONCE(m->class[subclass]);
	else
		class = class_of(m, subclass);
	if (!class)
		t->lost++;
	t->recursion = 0;
	return class;
}

/* An acquisition that is not checked, or that needs more than push(). */
static noinline void acquire_slow(struct lockdep_thread *t,
				  struct lockdep_map *m, unsigned int subclass,
				  unsigned int how,
				  const struct lockdep_map *nest,
				  uintptr_t site, bool irqs_off,
				  const void *frame)
{
	unsigned int class = class_to_check(t, m, subclass);

	if (!class)
		return;
	if (is_recursive(how) && reads_already(t, m))
		how |= LOCK_TRY;
	push(t, m, class, how, nest, site, irqs_off, frame);
}

void lock_acquire(struct lockdep_map *m, unsigned int subclass,
		  unsigned int how, const struct lockdep_map *nest,
		  uintptr_t site)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t flags = local_irq_save();
	bool irqs_off = (flags & PSR_I) != 0;
	/* A plain load, to save instructions here: it is one aligned load, and
	 * a number that class_of() has stored does not change any more. */
	unsigned int class = m->class[subclass % LOCKDEP_SUBCLASSES];
	uintptr_t rare = t->recursion | (how & LOCK_READ_RECURSIVE) |
			 subclass / LOCKDEP_SUBCLASSES | (uintptr_t)nest;

	if (unlikely(rare) || unlikely(!class) ||
	    unlikely(t->depth == MAX_HELD))
		acquire_slow(t, m, subclass, how, nest, site, irqs_off,
			     __builtin_frame_address(0));
	else
		push(t, m, class, how, NULL, site, irqs_off,
		     __builtin_frame_address(0));
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
		t->held[t->depth - 1].since = timer_about_now();
	}
}

/* Remove entry i. The entries above it move down, onto another chain. */
static void remove_entry(struct lockdep_thread *t, unsigned int i)
{
	bool known;

	t->chain = t->held[i].before;
	t->depth--;
	for (; i < t->depth; i++) {
		struct held_lock *h = &t->held[i];

		*h = h[1];
		h->before = (uint16_t)t->chain;
		h->below = h->in_irq && !(i && h[-1].in_irq) ? CHAIN_EMPTY_IRQ :
							       t->chain;
		t->chain = chain_intern(h, NULL, &known);
	}
}

/* Release of a lock that is not on the list. Returns true if the lock may be
 * one for which the list had no room. Otherwise reports the release, and
 * returns false. */
static noinline bool release_unlisted(struct lockdep_thread *t,
				      struct lockdep_map *m, uintptr_t site,
				      const void *frame)
{
	unsigned int class = READ_ONCE(m->class[0]) ?: class_of(m, 0);
	struct finding f;
	bool first;

	if (t->lost) {
		t->lost--;
		return true;
	}
	fill_finding(&f, LOCKDEP_UNBALANCED, frame);
	f.next = (struct held_copy){ m, site, (uint16_t) class, 0, false };
	arch_spin_lock(&lockdep_graph_lock);
	first = count_finding(f.kind, mix(class, (uint32_t)site));
	arch_spin_unlock(&lockdep_graph_lock);
	if (first)
		lockdep_report(&f);
	return false;
}

/* A release of a lock that was not the last one taken, or that is a finding. */
static noinline bool release_checked(struct lockdep_thread *t,
				     struct lockdep_map *m, uintptr_t site,
				     bool irqs_off, const void *frame)
{
	bool in_irq = current->irq_depth != 0, ok = true;
	unsigned int i = t->depth;
	struct held_lock *h;

	if (t->recursion || m->key == &lockdep_no_validate)
		return true;
	t->recursion = 1;
	while (i > 0 && t->held[i - 1].map != m)
		i--;
	if (i == 0) {
		ok = release_unlisted(t, m, site, frame);
	} else {
		h = &t->held[i - 1];
		if (h->in_irq != in_irq) /* taken in another context */
			report_pair(LOCKDEP_UNBALANCED, h, h, frame);
		if (h->irqs_off && !irqs_off)
			mark_held_with_irqs_on(t, frame);
		remove_entry(t, i - 1);
	}
	t->recursion = 0;
	return ok;
}

bool lock_release(struct lockdep_map *m, uintptr_t site)
{
	const struct thread *me = current;
	struct lockdep_thread *t = &current->lockdep;
	uint32_t flags = local_irq_save();
	bool irqs_off = (flags & PSR_I) != 0, ok = true;
	struct held_lock *h = &t->held[t->depth - 1];

	if (likely(t->depth && h->map == m && !t->recursion &&
		   h->in_irq == (me->irq_depth != 0) &&
		   h->irqs_off <= irqs_off)) {
		t->chain = h->before;
		t->depth--;
	} else {
		ok = release_checked(t, m, site, irqs_off,
				     __builtin_frame_address(0));
	}
	local_irq_restore(flags);
	return ok;
}

void lockdep_call(void)
{
	struct lockdep_thread *t = &current->lockdep;
	const void *frame = __builtin_frame_address(0);
	uint32_t flags = local_irq_save();

	if (!t->recursion) {
		t->recursion = 1;
		for (unsigned int i = 0; i < t->depth; i++)
			if (!is_shared(t->held[i].how))
				mark_use(&t->held[i], USE_BIT(HELD_IN_CALL),
					 frame);
		t->recursion = 0;
	}
	local_irq_restore(flags);
}

bool lock_is_held(const struct lockdep_map *m)
{
	const struct held_lock *h = held_entry(&current->lockdep, m);

	return (h && !h->waits) || current->lockdep.lost ||
	       m->key == &lockdep_no_validate;
}

const struct held_lock *lock_held_by(const struct thread *t,
				     const struct lockdep_map *m)
{
	unsigned int n = min(READ_ONCE(t->lockdep.depth), MAX_HELD + 0u);

	/* A thread may have two entries for m: it holds m as a reader, and
	 * waits to take m once more. */
	while (n--)
		if (t->lockdep.held[n].map == m &&
		    !READ_ONCE(t->lockdep.held[n].waits))
			return &t->lockdep.held[n];
	return NULL;
}

/* ---- violations found by others ------------------------------------------ */

/* Report a violation of a rule that is not about the order of locks. h: the
 * lock that it is about, or NULL. */
static void report_violation(enum lockdep_kind kind, const char *what,
			     uintptr_t site, const struct held_lock *h,
			     const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;
	uint64_t fingerprint = mix((uintptr_t)what, (uint32_t)site);
	uint32_t flags = local_irq_save();
	struct finding f;
	bool first;

	if (!t->recursion) {
		t->recursion = 1;
		fill_finding(&f, kind, frame);
		f.what = what;
		f.irqs_off = (flags & PSR_I) != 0;
		f.site = site;
		if (h) {
			f.next = copy_held(h);
			fingerprint = mix(h->class, (uint32_t)site);
		}
		arch_spin_lock(&lockdep_graph_lock);
		first = count_finding(kind, fingerprint);
		arch_spin_unlock(&lockdep_graph_lock);
		if (first)
			lockdep_report(&f);
		t->recursion = 0;
	}
	local_irq_restore(flags);
}

void lockdep_complain(enum lockdep_kind kind, const char *what, uintptr_t site)
{
	report_violation(kind, what, site, NULL, __builtin_frame_address(0));
}

/* Report each lock that is still held, and empty the list. */
static void report_still_held(const char *what, const void *frame)
{
	struct lockdep_thread *t = &current->lockdep;

	for (unsigned int i = 0; i < t->depth; i++)
		report_violation(LOCKDEP_HELD_AT_END, what, t->held[i].site,
				 &t->held[i], frame);
	t->lost += t->depth; /* a later release of them is no finding */
	t->depth = 0;
	t->chain = 0;
}

void lockdep_thread_end(void)
{
	/* If a BUG ends the thread, the BUG has printed the held locks, and
	 * the thread's creator releases them (mutex_release_dead()). */
	if (current->lockdep.depth && !current->bug)
		report_still_held("the thread ends",
				  __builtin_frame_address(0));
}

void lockdep_idle(void)
{
	if (unlikely(current->lockdep.depth))
		report_still_held("the core idles", __builtin_frame_address(0));
}

void debug_check_no_locks_freed(const void *from, size_t len)
{
	struct lockdep_thread *t = &current->lockdep;

	for (unsigned int i = 0; i < t->depth; i++) {
		const struct held_lock *h = &t->held[i];
		uintptr_t at = (uintptr_t)h->map - (uintptr_t)from;

		if (unlikely(at < len))
			report_violation(LOCKDEP_HELD_FREED, "", CALLER, h,
					 __builtin_frame_address(0));
	}
}

void lockdep_thread_died(void)
{
	current->lockdep.recursion = 0;
	if (lockdep_graph_lock.holder == current)
		arch_spin_unlock(&lockdep_graph_lock);
}

/* ---- counts and reset ---------------------------------------------------- */

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

/* lockdep_distinct[] at the last lockdep_mark(). */
static unsigned int marked[NR_LOCKDEP_KINDS];

void lockdep_mark(void)
{
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		marked[k] = READ_ONCE(lockdep_distinct[k]);
}

unsigned int lockdep_since_mark(void)
{
	unsigned int since = 0;

	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (READ_ONCE(lockdep_distinct[k]) > marked[k])
			since |= LOCKDEP_BIT(k);
	return since;
}

void lockdep_reset(void)
{
	struct lockdep_thread *t = &current->lockdep;
	uint32_t flags = local_irq_save();

	t->recursion = 1;
	arch_spin_lock(&lockdep_graph_lock);
	for (unsigned int i = 0; i < LOCKDEP_CHAINS; i++)
		WRITE_ONCE(chains[i], unchecked(chains[i]));
	for (unsigned int i = 1; i < lockdep_nr_classes; i++)
		WRITE_ONCE(lockdep_classes[i].usage, 0);
	dep_clear(&lockdep_graph);
	WRITE_ONCE(resets, resets + 1);
	memset(lockdep_distinct, 0, sizeof(lockdep_distinct));
	memset(marked, 0, sizeof(marked));
	lockdep_nr_findings = lockdep_again = 0;
	lockdep_chain_misses = lockdep_max_depth = 0;
	lockdep_forget_full_tables();
	arch_spin_unlock(&lockdep_graph_lock);
	t->recursion = 0;
	local_irq_restore(flags);
}

#endif
