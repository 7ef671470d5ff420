/*
 * X9: an experiment for tests/test_heap.py, whose image has it in demos/. Locks and data
 * that are allocated.
 *
 *   X9/set-up	  two mutexes in opposite orders, allocated in the set-up
 *   X9/actors	  the same, but each actor allocates one of them
 *   X9/spinlocks the same with spinlocks
 *   X9/members	  the same with two mutexes in one object
 *   X9/cache	  the same with objects of a cache
 *   X9/published control: A writes an object and publishes it. The set-up has freed it
 *   X9/own	  control: each actor allocates a mutex, uses it and frees it. The second
 *		  one may get the memory of the first one
 *   X9/interrupt control: an interrupt does so, before or after its actor
 *   X9/three	  X9/actors with that interrupt
 *   X9/order	  control: one order
 *   X9/adds	  A and B do n++ on an allocated number, which nobody has declared
 *   X9/guarded	  control: they do so under an allocated mutex
 *   X9/private	  control: on numbers of their own
 *   X9/pages	  two mutexes in blocks of pages, which have no names
 *   X9/many	  B uses two mutexes after more allocations than get names
 *   X9/freed	  B looks at an object that A has written and freed
 *   X9/reused	  the same, and A has allocated another one in its place
 *
 * Owns the objects of its actors.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/sync/mutex.h"

struct two {
	struct mutex first, second;
};

static struct mutex *first, *second;
static struct spinlock *spin[2];
static struct completion ready[2];
static struct two *two;
static int *number, *published;
static int seen;

static int set_up(struct stage *st maybe_unused)
{
	two = kzalloc(sizeof(*two));
	first = kzalloc(sizeof(*first));
	second = kzalloc(sizeof(*second));
	spin[0] = kzalloc(sizeof(*spin[0]));
	spin[1] = kzalloc(sizeof(*spin[1]));
	number = kzalloc(sizeof(*number));
	if (!two || !first || !second || !spin[0] || !spin[1] || !number)
		return -ENOMEM;
	mutex_init(first, "first");
	mutex_init(second, "second");
	mutex_init(&two->first, "first");
	mutex_init(&two->second, "second");
	spin_lock_init(spin[0], "spin 0");
	spin_lock_init(spin[1], "spin 1");
	init_completion(&ready[0], "A's mutex");
	init_completion(&ready[1], "B's mutex");
	seen = 0;
	return 0;
}

static void tear_down(struct stage *st maybe_unused)
{
	kfree(two);
	kfree(first);
	kfree(second);
	kfree(spin[0]);
	kfree(spin[1]);
	kfree(number);
}

/* ---- two locks -------------------------------------------------------------------- */

static void take_both(struct mutex *a, struct mutex *b)
{
	mutex_lock(a);
	mutex_lock(b);
	mutex_unlock(b);
	mutex_unlock(a);
}

static void takes_12(struct stage *st maybe_unused)
{
	take_both(first, second);
}

static void takes_21(struct stage *st maybe_unused)
{
	take_both(second, first);
}

static void spins_12(struct stage *st maybe_unused)
{
	spin_lock(spin[0]);
	spin_lock(spin[1]);
	spin_unlock(spin[1]);
	spin_unlock(spin[0]);
}

static void spins_21(struct stage *st maybe_unused)
{
	spin_lock(spin[1]);
	spin_lock(spin[0]);
	spin_unlock(spin[0]);
	spin_unlock(spin[1]);
}

static void takes_members_12(struct stage *st maybe_unused)
{
	take_both(&two->first, &two->second);
}

static void takes_members_21(struct stage *st maybe_unused)
{
	take_both(&two->second, &two->first);
}

/* ---- allocated by the actors ------------------------------------------------------ */

static int set_up_none(struct stage *st)
{
	int err = set_up(st);

	kfree(first);
	kfree(second);
	first = second = NULL;
	return err;
}

static void allocates_first(struct stage *st maybe_unused)
{
	first = kzalloc(sizeof(*first));
	mutex_init(first, "first");
	complete(&ready[0]);
	wait_for_completion(&ready[1]);
	take_both(first, second);
}

static void allocates_second(struct stage *st maybe_unused)
{
	second = kzalloc(sizeof(*second));
	mutex_init(second, "second");
	complete(&ready[1]);
	wait_for_completion(&ready[0]);
	take_both(second, first);
}

static void uses_two(struct stage *st maybe_unused)
{
	struct mutex *m = kzalloc(sizeof(*m)), *n = kzalloc(sizeof(*n));

	mutex_init(m, "outer");
	mutex_init(n, "inner");
	take_both(m, n);
	kfree(m);
	kfree(n);
}

static void uses_its_own(struct stage *st maybe_unused)
{
	struct mutex *m = kzalloc(sizeof(*m));

	mutex_init(m, "its own");
	mutex_lock(m);
	mutex_unlock(m);
	kfree(m);
}

/* More objects than have names. */
static unseen void allocate_many(void)
{
	for (unsigned int i = 0; i < 8192; i++)
		kfree(kmalloc(8));
}

static void uses_two_later(struct stage *st)
{
	allocate_many();
	uses_two(st);
}

static void on_uses_its_own(struct stage *st maybe_unused)
{
	struct spinlock *l = kzalloc(sizeof(*l));

	spin_lock_init(l, "the interrupt's");
	spin_lock(l);
	spin_unlock(l);
	kfree(l);
}

static void adds_to_its_own(struct stage *st maybe_unused)
{
	int *n = kzalloc(sizeof(*n));

	(*n)++;
	kfree(n);
}

/* ---- objects of a cache ----------------------------------------------------------- */

static int set_up_cache(struct stage *st)
{
	int err = set_up(st);

	st->cache =
		err ? NULL :
		      kmem_cache_create("mutexes", sizeof(*first), 0, 0, NULL);
	if (!st->cache)
		return -ENOMEM;
	kfree(first);
	kfree(second);
	first = kmem_cache_alloc(st->cache);
	second = kmem_cache_alloc(st->cache);
	if (!first || !second)
		return -ENOMEM;
	mutex_init(first, "first");
	mutex_init(second, "second");
	return 0;
}

/* Each core can get what this frees: it is more than an array holds. */
static int set_up_used_cache(struct stage *st)
{
	void *obj[64];
	int err = set_up_cache(st);

	for (unsigned int i = 0; !err && i < ARRAY_SIZE(obj); i++)
		obj[i] = kmem_cache_alloc(st->cache);
	for (unsigned int i = 0; !err && i < ARRAY_SIZE(obj); i++)
		kmem_cache_free(st->cache, obj[i]);
	published = NULL;
	return err;
}

static void publishes(struct stage *st)
{
	int *n = kmem_cache_alloc(st->cache);

	*n = 3;
	published = n;
	complete(&ready[0]);
}

static void looks_at_published(struct stage *st maybe_unused)
{
	wait_for_completion(&ready[0]);
	seen = *published;
}

static bool saw_three(struct stage *st)
{
	kmem_cache_free(st->cache, published);
	return seen == 3;
}

static void tear_down_cache(struct stage *st)
{
	kmem_cache_free(st->cache, first);
	kmem_cache_free(st->cache, second);
	first = second = NULL;
	tear_down(st);
	kmem_cache_destroy(st->cache);
	st->cache = NULL;
}

/* ---- plain accesses --------------------------------------------------------------- */

static void adds(struct stage *st maybe_unused)
{
	(*number)++;
}

static void adds_guarded(struct stage *st maybe_unused)
{
	mutex_lock(first);
	(*number)++;
	mutex_unlock(first);
}

static bool is_two(struct stage *st maybe_unused)
{
	return *number == 2;
}

/* ---- what has no name ------------------------------------------------------------- */

static int set_up_pages(struct stage *st)
{
	int err = set_up(st);

	kfree(first);
	kfree(second);
	first = kzalloc(3 * PAGE_SIZE);
	second = kzalloc(3 * PAGE_SIZE);
	if (err || !first || !second)
		return -ENOMEM;
	mutex_init(first, "first");
	mutex_init(second, "second");
	return 0;
}

static void writes_and_frees(struct stage *st maybe_unused)
{
	int *n = number;

	*n = 1;
	number = NULL;
	kfree(n);
	complete(&ready[0]);
}

static void looks_too_late(struct stage *st maybe_unused)
{
	int *n = number;

	wait_for_completion(&ready[0]);
	seen = n ? *n : 0;
}

/* It looks before or after A has had the number, but not while. */
static bool saw_no_one(struct stage *st maybe_unused)
{
	return seen != 1;
}

/* The new object is where the old one was. */
static void frees_and_allocates(struct stage *st maybe_unused)
{
	kfree(number);
	number = kmalloc(sizeof(*number));
	*number = 2;
}

static void looks_at_it(struct stage *st maybe_unused)
{
	seen = *number;
}

/* ---- scenarios -------------------------------------------------------------------- */

#define PART(name, ...)                                                        \
	.part = "X9/" name, .about = "see the head of tests/own/heap.c",       \
	.forced.none = true, .actors = { __VA_ARGS__ }
#define BOTH(a, b)                                                             \
	{ "A", ON_D, a },                                                      \
	{                                                                      \
		"B", ON_U, b                                                   \
	}
#define IN(up, down) .world.setup = (up), .world.teardown = (down)
#define KNOT	     .said.outcome = DEADLOCK, .said.lockdep = CIRCULAR

static const struct scenario scenarios[] = {
	{ PART("set-up", BOTH(takes_12, takes_21)), IN(set_up, tear_down),
	  KNOT },
	{ PART("actors", BOTH(allocates_first, allocates_second)),
	  IN(set_up_none, tear_down), KNOT },
	{ PART("spinlocks", BOTH(spins_12, spins_21)), IN(set_up, tear_down),
	  KNOT },
	{ PART("members", BOTH(takes_members_12, takes_members_21)),
	  IN(set_up, tear_down), KNOT },
	{ PART("cache", BOTH(takes_12, takes_21)),
	  IN(set_up_cache, tear_down_cache), KNOT },
	{ PART("published", BOTH(publishes, looks_at_published)),
	  IN(set_up_used_cache, tear_down_cache), .said.outcome = COMPLETES,
	  .said.check = saw_three },
	{ PART("own", BOTH(uses_its_own, uses_its_own)), IN(set_up, tear_down),
	  .said.outcome = COMPLETES },
	{ PART("interrupt", { "A", ON_D, uses_its_own },
	       { "I", .fn = on_uses_its_own, .interrupts = "A" }),
	  IN(set_up, tear_down), .said.outcome = COMPLETES },
	{ PART("three", BOTH(allocates_first, allocates_second),
	       { "I", .fn = on_uses_its_own, .interrupts = "A" }),
	  IN(set_up_none, tear_down), KNOT },
	{ PART("order", BOTH(takes_12, takes_12)), IN(set_up, tear_down),
	  .said.outcome = COMPLETES },
	{ PART("adds", BOTH(adds, adds)), IN(set_up, tear_down),
	  .said.outcome = COMPLETES | CORRUPT, .said.check = is_two },
	{ PART("guarded", BOTH(adds_guarded, adds_guarded)),
	  IN(set_up, tear_down), .said.outcome = COMPLETES,
	  .said.check = is_two },
	{ PART("private", BOTH(adds_to_its_own, adds_to_its_own)),
	  IN(set_up, tear_down), .said.outcome = COMPLETES },
	{ PART("pages", BOTH(takes_12, takes_12)), IN(set_up_pages, tear_down),
	  .said.outcome = COMPLETES },
	{ PART("many", BOTH(uses_two, uses_two_later)), IN(set_up, tear_down),
	  .said.outcome = COMPLETES },
	{ PART("freed", BOTH(writes_and_frees, looks_too_late)),
	  IN(set_up, tear_down), .said.outcome = COMPLETES,
	  .said.check = saw_no_one },
	{ PART("reused", BOTH(frees_and_allocates, looks_at_it)),
	  IN(set_up, tear_down), .said.outcome = COMPLETES,
	  .said.check = saw_no_one },
};

DEMO(99, x9, .id = "X9", .slug = "x9-heap", .claim = "the heap",
     .tried = { "For the explorer alone.", "See tests/own/heap.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
