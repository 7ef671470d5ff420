/*
 * The oracle of suite lockdep, see lockdep_oracle.h.
 *
 * How a lock is taken decides for whom the taker waits: a writer, or a reader
 * that is not recursive, waits for everybody; a recursive reader waits for a
 * writer only. So a pair has two bits of information: was the first lock held by
 * a writer, and does the second one's taker wait for everybody.
 *
 * A deadlock is a ring in which each one waits for the next. An interrupt adds
 * a link to such a ring: the thread holds a lock with interrupts on, and the
 * handler takes another. A call adds one, too: a core that waits for a lock with
 * interrupts off does not answer, and the caller keeps its locks until then.
 */
#include "tests/kernel/lockdep_oracle.h"

#if GORDIAN_DEBUG
#include <string.h>

/* `pair` has a bit for each (held by a writer) * 2 + (taker waits for all). */
/* Bits of `taken_in_irq` (takers that wait for all, for writers only) and of
 * `held_irqs_on` (held by a writer, by a reader). */
#define USE(yes) (1u << (yes))

#define OUTER_LOCK (CLASSES * INSTANCES)
#define OUTER_NODE (ORACLE_NODES - 1)

void oracle_begin(struct oracle *o, enum lock_type type)
{
	memset(o, 0, sizeof(*o));
	o->type = type;
	o->irqs_on = true;
}

struct oracle_says oracle_found(struct oracle *o)
{
	struct oracle_says s = { o->kinds, o->may | o->kinds, o->rings };

	o->kinds = o->may = 0;
	o->rings = 0;
	return s;
}

static unsigned int count_bits(const uint16_t *p, unsigned int n)
{
	unsigned int bits = 0;

	while (n--)
		bits += (unsigned int)__builtin_popcount(*p++);
	return bits;
}

unsigned int oracle_least(const struct oracle *o, enum lockdep_kind kind)
{
	return o->at_least[kind];
}

unsigned int oracle_most(const struct oracle *o, enum lockdep_kind kind)
{
	switch (kind) {
	case LOCKDEP_INCONSISTENT:
		return count_bits(o->inconsistent, 2);
	case LOCKDEP_IRQ_ORDER:
		return count_bits(o->order[0], 2 * ORACLE_NODES);
	case LOCKDEP_IRQ_INVERSION:
		return count_bits(o->inversion[0], 2 * ORACLE_NODES);
	default:
		return ~0u;
	}
}

/* Not a sleeping lock, nor a map: it turns preemption off. */
static bool is_spin(const struct oracle *o, unsigned int lock)
{
	return lock == OUTER_LOCK || o->type == SPIN;
}

int oracle_late(const struct oracle *o)
{
	for (unsigned int l = 0; l <= OUTER_LOCK; l++)
		if (o->stolen[l] && is_spin(o, l))
			return (int)l;
	return -1;
}

bool oracle_at_rest(const struct oracle *o)
{
	return !o->depth && !o->readers && !o->irq_readers && o->irqs_on &&
	       !o->in_irq && oracle_late(o) < 0;
}

/* ---- all paths ------------------------------------------------------------------- */

static bool waits(bool all, bool write)
{
	return all || write;
}

/*
 * The two rules. A lock is taken in an interrupt, and held with interrupts on. Or
 * it is taken with interrupts off, and held while other cores are called.
 */
struct rule {
	unsigned int number;
	uint8_t *taken, *held; /* of each class */
};

static struct rule irq_rule(struct oracle *o)
{
	return (struct rule){ 0, o->taken_in_irq, o->held_irqs_on };
}

static struct rule call_rule(struct oracle *o)
{
	return (struct rule){ 1, o->taken_irqs_off, o->held_in_call };
}

struct goal {
	const struct rule *rule; /* NULL: a ring */
	unsigned int node;
	bool write; /* a ring: how the lock at its end is held */
	/* The path must go through this pair; from < 0: through any. */
	int from, to;
	unsigned int how;
	bool shorter; /* a part of the path must be a finding by itself */
	bool again;   /* the path may visit a class twice, if in another way */
};

static bool meet(unsigned int takers, unsigned int holders)
{
	return (takers && (holders & USE(true))) ||
	       ((takers & USE(true)) && holders);
}

/* Is the path from its start to this node a finding by itself? */
static bool ends_here(const struct goal *g, unsigned int node, bool all)
{
	return g->rule && meet(USE(all), g->rule->held[node]);
}

/* Is the path from this node to its end a finding by itself? */
static bool begins_here(const struct goal *g, unsigned int node, bool write)
{
	return g->rule && meet(g->rule->taken[node], USE(write));
}

static bool at_goal(const struct goal *g, unsigned int node, bool all)
{
	return g->rule ? ends_here(g, node, all) : waits(all, g->write);
}

/*
 * Is there a path from `node`, whose taker waits for all or not, to the goal?
 * Each step of it: somebody holds the node in a way that the taker waits for,
 * and takes the next one. seen: the nodes of the path before, two bits each. via: the
 * path has gone through the goal's pair. shorter: a part of it is a finding, too.
 */
static bool path(const struct oracle *o, unsigned int node, bool all,
		 const struct goal *g, unsigned int seen, bool via,
		 bool shorter)
{
	bool start = !seen;

	BUG_ON(node >= ORACLE_NODES);
	if (node == g->node)
		return via && (shorter || !g->shorter) && at_goal(g, node, all);
	shorter |= !start && ends_here(g, node, all);
	/* The path never comes back to its start. */
	seen |= (seen && g->again ? 1u << all : 3u) << (2 * node);
	for (unsigned int next = 0; next < ORACLE_NODES; next++) {
		for (unsigned int how = 0; how < 4; how++) {
			bool here = (int)node == g->from &&
				    (int)next == g->to && how == g->how;
			bool begins = !start && begins_here(g, node, how >> 1);

			if ((o->pair[node][next] & (1u << how)) &&
			    !(seen & (1u << (2 * next + (how & 1)))) &&
			    waits(all, how >> 1) &&
			    path(o, next, how & 1, g, seen, via || here,
				 shorter || begins))
				return true;
		}
	}
	return false;
}

static void found(struct oracle *o, unsigned int kind, bool new)
{
	o->kinds |= new ? kind : 0;
	o->may |= kind;
}

/* ---- uses and pairs ------------------------------------------------------------- */

/* What is looked for: all findings from a class to another one. from or to < 0:
 * from or to any. */
struct search {
	struct rule rule;
	int from, to;
	struct goal goal;
	bool new; /* the use or the pair is new; else it makes no new finding */
	bool one; /* only one finding is reported, nobody knows which */
};

static bool finding(const struct oracle *o, const struct search *s,
		    struct goal goal, unsigned int from, unsigned int to)
{
	goal.rule = &s->rule;
	goal.node = to;
	for (unsigned int all = 0; all < 2; all++)
		if ((s->rule.taken[from] & USE(all)) &&
		    path(o, from, all, &goal, 0, goal.from < 0, false))
			return true;
	return false;
}

/* Two classes make a finding of their own only if no third one lies between them
 * and makes one with one of them. */
static bool hidden(const struct oracle *o, const struct search *s,
		   unsigned int from, unsigned int to)
{
	const struct goal shorter = { .from = -1, .to = -1, .shorter = true };

	return finding(o, s, shorter, from, to);
}

static bool is_first(const struct oracle *o, unsigned int rule)
{
	return !count_bits(o->order[rule], ORACLE_NODES) &&
	       !count_bits(o->inversion[rule], ORACLE_NODES);
}

/* table: the findings so far; set: their kind. Returns whether there is a new one.
 */
static bool findings(struct oracle *o, const struct search *s,
		     enum lockdep_kind kind, uint16_t table[2][ORACLE_NODES])
{
	struct goal once = s->goal, again = s->goal;
	unsigned int fresh = 0, stale = 0;
	bool any = false, first = is_first(o, s->rule.number);

	again.again = true;
	for (unsigned int a = 0; a < ORACLE_NODES; a++)
		for (unsigned int b = 0; b < ORACLE_NODES; b++) {
			uint16_t *said = &table[s->rule.number][a];

			if (a == b || (s->from >= 0 && (int)a != s->from) ||
			    (s->to >= 0 && (int)b != s->to) ||
			    !finding(o, s, again, a, b))
				continue;
			found(o, LOCKDEP_BIT(kind), false);
			if ((*said & (1u << b)) || !s->new)
				stale++;
			else if (hidden(o, s, a, b))
				any = true;
			else
				fresh += finding(o, s, once, a, b);
			*said |= (uint16_t)(1u << b);
		}
	/* A new use may find two that hide each other: one of them is named. */
	if (any && !fresh && first && s->goal.from < 0)
		fresh = 1;
	if (fresh)
		found(o, LOCKDEP_BIT(kind), true);
	o->at_least[kind] += !s->one ? fresh : fresh && !stale;
	return fresh;
}

static void both_sides(struct oracle *o, const struct rule *r,
		       unsigned int node)
{
	uint16_t *said = &o->inconsistent[r->number];
	bool new = !(*said & (1u << node));

	found(o, INCONSISTENT, new);
	o->at_least[LOCKDEP_INCONSISTENT] += new;
	*said |= (uint16_t)(1u << node);
}

static bool is_on_both_sides(struct rule r, const uint8_t *table,
			     unsigned int node, bool how)
{
	return table == r.taken ? meet(USE(how), r.held[node]) :
				  meet(r.taken[node], USE(how));
}

/* The class gets that use, in one of the two tables of the rule. A use that puts
 * the class on both sides is refused. one: see struct search. Returns whether the
 * use is new and leads to a finding. */
static bool use(struct oracle *o, struct rule r, uint8_t *table,
		unsigned int node, bool how, bool one)
{
	bool takes = table == r.taken, by_path;
	uint8_t all = table[node] | (uint8_t)USE(how);
	struct search s = {
		.rule = r,
		.from = takes ? (int)node : -1,
		.to = takes ? -1 : (int)node,
		.goal = { .from = -1, .to = -1 },
		.new = !(table[node] & USE(how)),
		.one = one,
	};

	if (is_on_both_sides(r, table, node, how)) {
		uint8_t *refused = &o->refused[r.number][takes][node];
		bool new = !(*refused & USE(how));

		both_sides(o, &r, node);
		*refused |= USE(how);
		return new;
	}
	/* Paths that begin or end with this use alone. */
	table[node] = USE(how);
	by_path = findings(o, &s, LOCKDEP_IRQ_INVERSION, o->inversion);
	table[node] = all;
	return by_path;
}

/* A step about all held locks ends with its first finding. */
static void call_others(struct oracle *o)
{
	for (unsigned int i = 0; i < o->depth; i++)
		if (o->held[i].write && use(o, call_rule(o), o->held_in_call,
					    o->held[i].node, true, true))
			return;
}

static void irqs_come_on(struct oracle *o)
{
	bool ends = o->irqs_on;

	o->irqs_on = true;
	for (unsigned int i = 0; i < o->depth; i++) {
		struct oracle_lock *h = &o->held[i];

		ends |= !h->irqs_on && !ends &&
			use(o, irq_rule(o), o->held_irqs_on, h->node, h->write,
			    true);
		h->irqs_on = true;
	}
}

/* Each way to hold and to take, and those in which more would wait. */
static const uint8_t stronger[4] = { 0xf, 0xa, 0xc, 0x8 };

static unsigned int how_pair(const struct oracle_lock *h, bool all)
{
	return h->write * 2u + all;
}

/* Record the pair of a lock that is held and one that is taken. Returns whether
 * it is new: not even known in a stronger way. */
static bool add_pair(struct oracle *o, const struct oracle_lock *h,
		     unsigned int node, bool all)
{
	unsigned int how = how_pair(h, all);
	bool new = !(o->pair[h->node][node] & stronger[how]);

	if (h->node != node)
		o->pair[h->node][node] |= (uint8_t)(1u << how);
	return new;
}

/* What the pair leads to. */
static void judge_pair(struct oracle *o, const struct oracle_lock *h,
		       unsigned int node, bool all, bool new)
{
	struct goal back = {
		.node = h->node, .write = h->write, .from = -1, .to = -1
	};
	struct search s = {
		.from = -1,
		.to = -1,
		.goal = { .from = h->node,
			  .to = (int)node,
			  .how = how_pair(h, all) },
		.new = new,
	};

	BUG_ON(node >= ORACLE_NODES || h->node >= ORACLE_NODES);
	if (h->node == node)
		return;
	if (path(o, node, all, &back, 0, true, false))
		found(o, CIRCULAR, new);
	back.again = true;
	if (path(o, node, all, &back, 0, true, false)) {
		found(o, CIRCULAR, false);
		o->rings |= oracle_ring(node / 2, h->node / 2);
	}
	/* A lock that is on both sides is one mistake. That others come before it
	 * need not be said, too. */
	s.rule = irq_rule(o);
	s.new = new && !o->both_sides[0];
	findings(o, &s, LOCKDEP_IRQ_ORDER, o->order);
	s.rule = call_rule(o);
	s.new = new && !o->both_sides[1];
	findings(o, &s, LOCKDEP_IRQ_ORDER, o->order);
}

/* ---- taking ----------------------------------------------------------------------- */

static bool type_sleeps(const struct oracle *o, unsigned int lock)
{
	return lock != OUTER_LOCK && o->type != SPIN && o->type != MAP;
}

/* Is preemption off, or are we in an interrupt, or are interrupts off? */
static bool is_atomic(const struct oracle *o)
{
	if (o->in_irq || !o->irqs_on || o->readers || oracle_late(o) >= 0)
		return true;
	for (unsigned int i = 0; i < o->depth; i++)
		if (is_spin(o, o->held[i].lock))
			return true;
	return false;
}

static const struct oracle_lock *find_held(const struct oracle *o,
					   unsigned int lock)
{
	for (unsigned int i = o->depth; i-- > 0;)
		if (o->held[i].lock == lock)
			return &o->held[i];
	return NULL;
}

static void check_recursion(struct oracle *o, struct oracle_lock *new, bool all,
			    bool outer_held)
{
	for (unsigned int i = 0; i < o->depth; i++) {
		const struct oracle_lock *h = &o->held[i];

		if (h->node != new->node || !waits(all, h->write) ||
		    (new->nested &&outer_held))
			continue;
		found(o, RECURSIVE, true);
		new->recursive = all;
	}
}

/* A recursive reader of a lock that it reads already waits for nobody. What an
 * interrupt finds below it is chance, and does not count. */
static bool reads_again(const struct oracle *o, unsigned int lock, bool all)
{
	const struct oracle_lock *h = find_held(o, lock);

	return h && h->in_irq == o->in_irq && !h->write && !all;
}

/* After a recursion only the last lock of that class counts for what is taken
 * later: what the others would lead to follows from the recursion. (Not after a
 * recursive reader.) */
static bool shadowed(const struct oracle *o, unsigned int i)
{
	for (unsigned int k = i + 1; k < o->depth; k++)
		if (o->held[k].node == o->held[i].node && o->held[k].recursive)
			return true;
	return false;
}

static void add_pairs(struct oracle *o, unsigned int node, bool all)
{
	bool new[ORACLE_HELD] = { false };

	for (unsigned int pass = 0; pass < 2; pass++)
		for (unsigned int i = 0; i < o->depth; i++) {
			const struct oracle_lock *h = &o->held[i];

			if (h->in_irq != o->in_irq || shadowed(o, i))
				continue;
			if (pass)
				judge_pair(o, h, node, all, new[i]);
			else
				new[i] = add_pair(o, h, node, all);
		}
}

/* Also a lock that a handler has left behind is still held. */
static bool is_held(const struct oracle *o, unsigned int lock)
{
	return find_held(o, lock) || o->lost[lock];
}

/* A use by the lock that is taken now. */
static void use_now(struct oracle *o, struct rule r, uint8_t *table,
		    unsigned int node, bool how)
{
	o->both_sides[r.number] |= is_on_both_sides(r, table, node, how);
	use(o, r, table, node, how, false);
}

/* What comes from taking the lock, or from the announcement that it might be
 * taken. outer_lock: the one that orders step O. */
static void check_taking(struct oracle *o, struct oracle_lock *new, char op,
			 bool all)
{
	const unsigned int outer_lock = 1 * INSTANCES;
	bool try = op == 'T';
	bool waits_at_all = !try && !reads_again(o, new->lock, all);

	o->both_sides[0] = o->both_sides[1] = false;
	if (new->nested && !is_held(o, outer_lock))
		found(o, NEST, true);
	if (waits_at_all)
		check_recursion(o, new, all, is_held(o, outer_lock));
	if (!try && o->in_irq)
		use_now(o, irq_rule(o), o->taken_in_irq, new->node, all);
	if (new->irqs_on)
		use_now(o, irq_rule(o), o->held_irqs_on, new->node, new->write);
	if (!try && !o->irqs_on && new->write)
		use_now(o, call_rule(o), o->taken_irqs_off, new->node, true);
	if (waits_at_all)
		add_pairs(o, new->node, all);
}

/* Which steps the engine has for which type. */
static bool has_step(enum lock_type type, char op)
{
	switch (op) {
	case 'L':
		return true;
	case 'T':
		return type != PERCPU;
	case 'Q':
		return type == RWSEM || type == PERCPU || type == MAP;
	case 'R':
		return type == MAP;
	case 'N':
		return type != PERCPU;
	case 'O':
		return type == MUTEX || type == MAP;
	default:
		return false;
	}
}

static bool must_wait(const struct oracle *o, const struct oracle_lock *new)
{
	int inside = o->inside[new->lock];

	if (o->type == MAP && new->lock != OUTER_LOCK)
		return false;
	return new->write ? inside != 0 : inside < 0;
}

static bool step_take(struct oracle *o, char op, unsigned int lock)
{
	bool outer = lock == OUTER_LOCK;
	struct oracle_lock new = {
		.lock = (uint8_t)lock,
		.node = (uint8_t)(outer ? OUTER_NODE :
					  lock / INSTANCES * 2 + (op == 'N')),
		.write = op != 'Q' && op != 'R' &&
			 !(op == 'T' && o->type == RWSEM),
		.in_irq = o->in_irq,
		.nested = op == 'O',
		.irqs_on = o->irqs_on && !o->in_irq,
	};

	if (!outer && !has_step(o->type, op))
		return false;
	if (o->depth == ORACLE_HELD || must_wait(o, &new))
		return false;
	if (type_sleeps(o, lock) && op != 'T' && is_atomic(o)) {
		/* The writer of a percpu_rwsem really sleeps. */
		if (o->type == PERCPU && op == 'L')
			return false;
		found(o, SLEEP, true);
	}
	check_taking(o, &new, op, op != 'R');
	o->held[o->depth++] = new;
	if (o->inside[lock] >= 0)
		o->inside[lock] = new.write ? -1 : o->inside[lock] + 1;
	return true;
}

static void step_might_take(struct oracle *o, unsigned int lock)
{
	struct oracle_lock new = {
		.lock = (uint8_t)lock,
		.node = (uint8_t)(lock / INSTANCES * 2),
		.write = true,
		.in_irq = o->in_irq,
		.irqs_on = o->irqs_on && !o->in_irq,
	};

	if (type_sleeps(o, lock) && is_atomic(o))
		found(o, SLEEP, true);
	check_taking(o, &new, 'L', true);
}

/* ---- the other steps ---------------------------------------------------------------- */

static void give_back(struct oracle *o, unsigned int lock)
{
	if (o->inside[lock] > 0)
		o->inside[lock]--;
	else
		o->inside[lock] = 0;
}

/* What follows from a mistake that was found is no finding. */
static void release_other(struct oracle *o, unsigned int lock)
{
	if (o->lost[lock]) {
		o->lost[lock]--;
		give_back(o, lock);
	} else if (o->stolen[lock] && !o->in_irq) {
		o->stolen[lock]--;
	} else {
		found(o, UNBALANCED, true);
	}
}

/* A lock that a handler has left behind is not released by one: nobody could say
 * which of the two a later release is about. */
static bool step_release(struct oracle *o, unsigned int lock)
{
	const struct oracle_lock *h = find_held(o, lock);
	unsigned int at;

	if (!h) {
		release_other(o, lock);
		return true;
	}
	if (h->in_irq != o->in_irq) {
		found(o, UNBALANCED, true);
		o->stolen[lock]++;
	}
	at = (unsigned int)(h - o->held);
	o->depth--;
	memmove(&o->held[at], &o->held[at + 1],
		(o->depth - at) * sizeof(o->held[0]));
	give_back(o, lock);
	return !(o->stolen[lock] && o->lost[lock]);
}

/* op: held (h), for writing (w), for reading (r), or not at all (f). A lock that
 * was left behind is still held. */
static void step_assert(struct oracle *o, char op, unsigned int lock)
{
	bool right = op == 'f' || (op == 'h' && o->lost[lock]);

	for (unsigned int i = 0; i < o->depth; i++) {
		const struct oracle_lock *h = &o->held[i];

		if (h->lock != lock)
			continue;
		right = op != 'f';
		if (op != 'h' && op != 'f')
			right = op == 'w' ? h->write : !h->write;
	}
	if (!right)
		found(o, NOT_HELD, true);
}

static bool step_irq_begin(struct oracle *o)
{
	if (o->in_irq || !o->irqs_on)
		return false;
	o->in_irq = true;
	return true;
}

/* What a handler leaves behind is named and taken off the list. */
static bool step_irq_end(struct oracle *o)
{
	unsigned int kept = 0;
	bool clear = true; /* see step_release() */

	if (!o->in_irq)
		return false;
	for (unsigned int i = 0; i < o->depth; i++) {
		if (o->held[i].in_irq) {
			found(o, AT_END, true);
			o->lost[o->held[i].lock]++;
			clear &= !o->stolen[o->held[i].lock];
		} else {
			o->held[kept++] = o->held[i];
		}
	}
	o->depth = kept;
	if (o->irq_readers)
		found(o, LEFT, true);
	o->lost_readers += o->irq_readers;
	o->irq_readers = 0;
	o->in_irq = false;
	return clear;
}

static void step_reader_end(struct oracle *o)
{
	unsigned int *readers = o->in_irq ? &o->irq_readers : &o->readers;

	if (*readers)
		--*readers;
	else if (o->lost_readers)
		o->lost_readers--;
	else
		found(o, UNBALANCED, true);
}

static bool step_call(struct oracle *o)
{
	if (o->in_irq || !o->irqs_on || (o->type != SPIN && o->type != MAP))
		return false;
	if (ktest_cores() > 1)
		call_others(o);
	return true;
}

/* The lock of that name, as its place in `inside`. */
static unsigned int lock_named(char name)
{
	unsigned int class =
		(unsigned int)(name >= 'a' ? name - 'a' : name - 'A');

	return class % CLASSES * INSTANCES + (name < 'a');
}

/* Steps without a lock. Returns false if the step cannot run, or is not one. */
static bool step_alone(struct oracle *o, char op)
{
	switch (op) {
	case '{':
		return step_irq_begin(o);
	case '}':
		return step_irq_end(o);
	case 'x':
		o->irqs_on &= o->in_irq;
		return true;
	case 'o':
		if (!o->in_irq)
			irqs_come_on(o);
		return !o->in_irq;
	case '[':
		++*(o->in_irq ? &o->irq_readers : &o->readers);
		return o->readers + o->irq_readers <= ORACLE_READERS;
	case ']':
		step_reader_end(o);
		return true;
	case 's':
		return step_take(o, 'L', OUTER_LOCK);
	case 'u':
		return step_release(o, OUTER_LOCK);
	case 'z':
		if (is_atomic(o))
			found(o, SLEEP, true);
		return true;
	case 'd':
		if (!is_atomic(o))
			found(o, RCU, true);
		return true;
	default:
		return op == 'C' && step_call(o);
	}
}

/* Steps with a lock; the others of them take it. */
#define OPS_ON	   "UhwrfmLTQRNO"
#define OPS_ASSERT "hwrf"

bool oracle_step(struct oracle *o, char op, char name)
{
	unsigned int lock = lock_named(name);

	if (!strchr(OPS_ON, op))
		return step_alone(o, op);
	if (strchr(OPS_ASSERT, op))
		step_assert(o, op, lock);
	else if (op == 'U')
		return step_release(o, lock);
	else if (op == 'm')
		step_might_take(o, lock);
	else
		return step_take(o, op, lock);
	return true;
}

void oracle_end(struct oracle *o)
{
	if (o->depth)
		found(o, AT_END, true);
	if (o->readers || (!o->depth && (!o->irqs_on || oracle_late(o) >= 0)))
		found(o, LEFT, true);
}

bool oracle_row(const char *program, enum lock_type type, unsigned int *kinds)
{
	static struct oracle o;

	oracle_begin(&o, type);
	for (const char *p = program; *p; p++) {
		char op = *p;

		if (op == ' ')
			continue;
		if (strchr(OPS_ON, op))
			p++;
		if (!oracle_step(&o, op, *p))
			return false;
	}
	*kinds = oracle_found(&o).must;
	return true;
}
#endif
