/*
 * Slab torture: threads on all cores allocate objects of many caches, stamp them,
 * pass them to each other, check and free them. Meanwhile caches are created, shrunk
 * and destroyed, and cores go off and on.
 *
 * The counts of what went wrong:
 *   doubled    an object was allocated while it was in use: its owner word, set by an
 *              atomic exchange, shows it
 *   corrupted  the stamp or the filling of an object changed while it was in use, or
 *              the memory of a SLAB_TYPESAFE_BY_RCU object became something else
 *              while a reader looked at it
 *   lost       an object never came back: the counts of a cache differ, or it cannot
 *              be destroyed after its last object was freed
 *   errors     reports of the slab's own checks
 *
 * A `kind` is a kind of cache. From time to time its current generation is exchanged
 * (kind->now, protected by RCU); the old one is destroyed when its last object is back
 * (gen->live, atomic). Objects wait in mailboxes, which are exchanged atomically.
 */
#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"
#include "tests/kernel/ktest.h"
#include "tests/kernel/torture.h"

#define LIVE	    0x11fe0b1eu /* owner word, mixed with the address */
#define DEAD	    0xdeadbeefu
#define TYPE_MAGIC  0x7e571e57u
#define NR_BOXES    64
#define BURST	    48
#define KMALLOC_MAX 9000
#define MAX_WORKERS 12

/* One generation of a kind of cache; kmalloc is a kind with one, cache NULL. */
struct gen {
	struct kmem_cache *cache;
	uint32_t live; /* objects in use, counted before they are allocated */
	uint32_t allocs, frees;
};

struct kind {
	const char *name;
	unsigned int size, align, flags;
	void (*ctor)(void *);
	struct gen *now; /* RCU */
};

struct object {
	uint32_t type;	/* TYPE_MAGIC for ever, if there is a constructor */
	uint32_t owner; /* LIVE ^ address while it is in use; atomic */
	struct gen *gen;
	const struct kind *kind;
	uint32_t id, counter, core, size;
	uint32_t sum; /* over the five above and the filling */
	uint8_t fill[];
};

static void construct(void *obj)
{
	struct object *o = obj;

	o->type = TYPE_MAGIC;
	o->owner = DEAD;
}

static struct kind kinds[] = {
	{ .name = "t-plain", .size = 64 },
	{ .name = "t-odd", .size = 77 },
	{ .name = "t-align", .size = 100, .align = 128 },
	{ .name = "t-ctor", .size = 120, .ctor = construct },
	{ .name = "t-rcu",
	  .size = 96,
	  .flags = SLAB_TYPESAFE_BY_RCU,
	  .ctor = construct },
	{ .name = "t-big", .size = 1900 },
	{ .name = "t-bare", .size = 48, .flags = SLAB_NO_DEBUG },
	{ .name = "kmalloc" },
};
#define NR_KINDS     ARRAY_SIZE(kinds)
#define KIND_KMALLOC (NR_KINDS - 1)

static struct object *mailbox[NR_BOXES]; /* atomic */
static struct object *board_rcu[8];	 /* readers look here; atomic */
static uint64_t end;			 /* counter ticks */
static bool stopped;			 /* by Ctrl-C; atomic */

static struct {
	uint32_t allocs, frees, passed, looks, nomem;
	uint32_t doubled, corrupted, lost;
	uint32_t caches, shrinks, offs, ons, refused;
} n; /* relaxed counts */

static void count(uint32_t *c)
{
	__atomic_fetch_add(c, 1, __ATOMIC_RELAXED);
}

static bool time_is_up(void)
{
	return timer_now() >= end || READ_ONCE(stopped);
}

/* ---- stamps ---------------------------------------------------------------------- */

static uint32_t live_word(const struct object *o)
{
	return LIVE ^ (uint32_t)(uintptr_t)o;
}

static uint32_t checksum(const struct object *o)
{
	uint32_t sum = o->id * 31 + o->counter;

	sum = sum * 31 + o->core;
	sum = sum * 31 + o->size;
	sum = sum * 31 + (uint32_t)(uintptr_t)o->gen;
	for (unsigned int i = 0; i < o->size - sizeof(*o); i++)
		sum = sum * 31 + o->fill[i];
	return sum;
}

static void complain(const char *what, const struct object *o)
{
	kprintf("slab torture: %s: object %p, id %u, counter %u, core %u, size "
		"%u\n",
		what, o, o->id, o->counter, o->core, o->size);
}

static void stamp(struct object *o, const struct kind *k, struct gen *g,
		  unsigned int size, uint32_t *rnd)
{
	static uint32_t next_id;

	/* Acq_rel: the writes of its last owner come before ours. */
	if (__atomic_exchange_n(&o->owner, live_word(o), __ATOMIC_ACQ_REL) ==
	    live_word(o)) {
		count(&n.doubled);
		complain("handed out twice", o);
	}
	if (k->ctor && o->type != TYPE_MAGIC) {
		count(&n.corrupted);
		complain("lost its constructed state", o);
	}
	o->kind = k;
	o->gen = g;
	o->id = __atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED);
	o->counter = 0;
	o->core = smp_processor_id();
	o->size = size;
	memset(o->fill, (int)ktest_random(rnd), size - sizeof(*o));
	o->sum = checksum(o);
}

static bool intact(struct object *o)
{
	if (READ_ONCE(o->owner) == live_word(o) && o->sum == checksum(o))
		return true;
	count(&n.corrupted);
	complain("corrupted", o);
	return false;
}

/* ---- allocate and free --------------------------------------------------------------- */

/* The current generation, with one more object counted. */
static struct gen *gen_enter(struct kind *k)
{
	struct gen *g;

	rcu_read_lock();
	g = rcu_dereference(k->now);
	/* Acq_rel: cache_retire() sees it before it destroys the cache. */
	__atomic_fetch_add(&g->live, 1, __ATOMIC_ACQ_REL);
	rcu_read_unlock();
	return g;
}

static void gen_leave(struct gen *g)
{
	/* Release: the free comes first; pairs with cache_retire(). */
	__atomic_fetch_sub(&g->live, 1, __ATOMIC_RELEASE);
}

static struct object *take(struct kind *k, uint32_t *rnd)
{
	struct gen *g = gen_enter(k);
	unsigned int size = k->size;
	struct object *o;

	if (g->cache) {
		o = kmem_cache_alloc(g->cache);
	} else {
		size = sizeof(*o) + ktest_random(rnd) % KMALLOC_MAX;
		o = kmalloc(size);
	}
	if (!o) {
		count(&n.nomem);
		gen_leave(g);
		return NULL;
	}
	count(&g->allocs);
	count(&n.allocs);
	stamp(o, k, g, size, rnd);
	return o;
}

static void give_back(struct object *o)
{
	struct gen *g;

	if (!intact(o))
		return; /* we cannot trust its words, so we do not free it */
	g = o->gen;
	/* Acq_rel: the next owner's exchange comes after ours. */
	if (__atomic_exchange_n(&o->owner, DEAD, __ATOMIC_ACQ_REL) !=
	    live_word(o)) {
		count(&n.doubled);
		complain("freed by two", o);
		return;
	}
	count(&g->frees);
	count(&n.frees);
	if (g->cache)
		kmem_cache_free(g->cache, o);
	else
		kfree(o);
	gen_leave(g);
}

/* ---- workers --------------------------------------------------------------------------- */

/* Put the object into a random mailbox, and free the object that was there. */
static void pass_on(struct object *o, uint32_t *rnd)
{
	struct object **box = &mailbox[ktest_random(rnd) % NR_BOXES];

	o->counter++;
	o->core = smp_processor_id();
	o->sum = checksum(o);
	/* Acq_rel: the object's words travel with the pointer. */
	o = __atomic_exchange_n(box, o, __ATOMIC_ACQ_REL);
	count(&n.passed);
	if (o)
		give_back(o);
}

/* Show an object of the RCU kind to the readers, while it is freed and reused. */
static void show(struct object *o, uint32_t *rnd)
{
	struct object **slot =
		&board_rcu[ktest_random(rnd) % ARRAY_SIZE(board_rcu)];

	o = __atomic_exchange_n(slot, o, __ATOMIC_ACQ_REL);
	if (o)
		give_back(o);
}

/* The object may be freed and allocated again meanwhile, but it stays an object. */
static void look(uint32_t *rnd)
{
	struct object *o;

	rcu_read_lock();
	o = rcu_dereference(
		board_rcu[ktest_random(rnd) % ARRAY_SIZE(board_rcu)]);
	for (unsigned int i = ktest_random(rnd) % 200; o && i; i--) {
		if (READ_ONCE(o->type) != TYPE_MAGIC) {
			count(&n.corrupted);
			complain("is no object any more under a reader", o);
			break;
		}
		cpu_relax();
	}
	rcu_read_unlock();
	count(&n.looks);
}

static void burst(uint32_t *rnd)
{
	struct object *o[BURST];
	unsigned int k = ktest_random(rnd) % NR_KINDS, got = 0;
	unsigned int want = 1 + ktest_random(rnd) % BURST;

	for (unsigned int i = 0; i < want; i++) {
		o[got] = take(&kinds[k], rnd);
		if (o[got])
			got++;
	}
	look(rnd);
	while (got) {
		/* In random order, so that slabs fill up unevenly. */
		unsigned int i = ktest_random(rnd) % got;
		struct object *one = o[i];

		o[i] = o[--got];
		if (kinds[k].flags & SLAB_TYPESAFE_BY_RCU &&
		    ktest_random(rnd) % 4 == 0)
			show(one, rnd);
		else if (ktest_random(rnd) % 2)
			pass_on(one, rnd);
		else
			give_back(one);
	}
}

static int worker(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	while (!time_is_up()) {
		/* Change the core; -EINVAL if that core is off. */
		thread_set_affinity(current, cpumask_of(ktest_random(&rnd) %
							board.nr_cores));
		for (unsigned int i = 0; i < 8; i++)
			burst(&rnd);
	}
	return 0;
}

/* ---- caches come and go ------------------------------------------------------------------ */

static struct gen *gen_make(const struct kind *k)
{
	struct gen *g = kzalloc(sizeof(*g));

	if (g && k->size) {
		g->cache = kmem_cache_create(k->name, k->size, k->align,
					     k->flags, k->ctor);
		if (!g->cache) {
			kfree(g);
			return NULL;
		}
		count(&n.caches);
	}
	return g;
}

static void empty_boxes(void)
{
	for (unsigned int i = 0; i < NR_BOXES + ARRAY_SIZE(board_rcu); i++) {
		struct object **box = i < NR_BOXES ? &mailbox[i] :
						     &board_rcu[i - NR_BOXES];
		struct object *o =
			__atomic_exchange_n(box, NULL, __ATOMIC_ACQ_REL);

		if (o)
			give_back(o);
	}
}

/* Wait for the last object of an old generation, then destroy its cache. */
static void cache_retire(struct gen *g)
{
	unsigned int errors;

	synchronize_rcu(); /* from here on no thread enters it */
	/* Acquire: pairs with gen_leave(). A corrupted object is never freed. */
	while (smp_load_acquire(&g->live) && !READ_ONCE(n.corrupted)) {
		empty_boxes();
		sleep_ns(200000);
	}
	if (g->allocs != g->frees) {
		count(&n.lost);
		kprintf("slab torture: %u objects allocated, %u came back\n",
			g->allocs, g->frees);
		return;
	}
	errors = READ_ONCE(slab_errors);
	if (g->cache)
		kmem_cache_destroy(g->cache);
	if (READ_ONCE(slab_errors) != errors)
		count(&n.lost);
	kfree(g);
}

static int changer(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	while (!time_is_up()) {
		struct kind *k = &kinds[ktest_random(&rnd) % KIND_KMALLOC];
		struct gen *old = k->now, *g;

		if (ktest_random(&rnd) % 2) {
			kmem_cache_shrink(old->cache);
			count(&n.shrinks);
			continue;
		}
		g = gen_make(k);
		if (!g)
			continue;
		rcu_assign_pointer(k->now, g);
		cache_retire(old);
	}
	return 0;
}

/* ---- cores go off and on -------------------------------------------------------------------- */

static int toggler(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	while (!time_is_up()) {
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;

		if (!cpu_is_online(cpu))
			count(cpu_up(cpu) ? &n.refused : &n.ons);
		else if (cpumask_weight(cpu_online()) > 1)
			count(cpu_down(cpu) ? &n.refused : &n.offs);
		sleep_ns(ktest_random(&rnd) % 3000000);
	}
	return 0;
}

static void all_cores_on(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu) && cpu_up(cpu))
			count(&n.refused);
}

/* ---- the suite ---------------------------------------------------------------------------------- */

static void run_threads(uint32_t seed)
{
	struct thread *t[MAX_WORKERS + 2];
	unsigned int workers = min(board.nr_cores + 3, MAX_WORKERS + 0u);
	unsigned int started = 0;

	for (unsigned int i = 0; i < workers + 2; i++) {
		int (*fn)(void *) = i < workers	 ? worker :
				    i == workers ? changer :
						   toggler;
		uint32_t s = ktest_random(&seed);

		if (fn == toggler && board.nr_cores == 1)
			continue;
		t[started] = thread_create(fn == worker	 ? "worker" :
					   fn == changer ? "changer" :
							   "toggler",
					   fn, (void *)(uintptr_t)s,
					   PRIO_NORMAL, CPUMASK_ALL);
		if (t[started])
			started++;
		else
			count(&n.lost); /* without the thread the run proves nothing */
	}
	while (!time_is_up()) {
		sleep_ns(10000000);
		WRITE_ONCE(stopped, thread_interrupted());
		torture_print_progress();
	}
	while (started)
		thread_join(t[--started]);
}

static int slab_torture(unsigned int seconds, unsigned int seed)
{
	unsigned int errors = slab_errors, warns = warn_count;
	struct slab_stats before, after;
	bool bad;

	memset(&n, 0, sizeof(n));
	stopped = false;
	all_cores_on();
	rcu_barrier();
	slab_stats(&before);
	for (unsigned int i = 0; i < NR_KINDS; i++) {
		kinds[i].now = gen_make(&kinds[i]);
		if (!kinds[i].now) {
			kprintf("slab torture: out of memory at the start\n");
			return 1;
		}
	}
	end = timer_now() + timer_ticks(seconds * 1000000000ull);
	run_threads(seed);
	all_cores_on();
	empty_boxes();
	for (unsigned int i = 0; i < NR_KINDS; i++) {
		cache_retire(kinds[i].now);
		kinds[i].now = NULL;
	}
	rcu_barrier();
	slab_stats(&after);
	if (n.allocs != n.frees || after.active != before.active ||
	    after.caches != before.caches || !pages_check())
		count(&n.lost);
	bad = n.lost || n.doubled || n.corrupted || n.refused ||
	      slab_errors != errors || warn_count != warns;

	kprintf("slab torture: allocs=%u frees=%u passed=%u looks=%u nomem=%u\n",
		n.allocs, n.frees, n.passed, n.looks, n.nomem);
	kprintf("slab torture: caches=%u shrinks=%u offs=%u ons=%u\n", n.caches,
		n.shrinks, n.offs, n.ons);
	kprintf("slab torture: lost=%u doubled=%u corrupted=%u errors=%u "
		"refused=%u %s\n",
		n.lost, n.doubled, n.corrupted, slab_errors - errors, n.refused,
		bad ? "FAIL" : "ok");
	return bad ? 1 : stopped ? TORTURE_STOPPED : 0;
}

TORTURE(slab, "allocate, pass on, free; caches and cores come and go",
	slab_torture);
