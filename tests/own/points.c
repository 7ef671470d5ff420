/*
 * X1: an experiment for tests/test_points.py, which copies it to demos/.
 *
 *   X1/waker    W wakes with a spinlock held; R looks, and then queues up: lost
 *               if W comes in between, a point where nobody can be stopped
 *   X1/destroy  A gives its object back, B destroys the cache, which complains
 *               if it comes first
 *   X1/shrink   A takes an object and gives it back, B shrinks, and is told
 *               whether there is one
 *   X1/mutex, X1/reader    A tries for a lock that B takes and gives back; the
 *               same with -untold does not say .tries
 *   X1/gates, X1/polls, X1/blind    A has no end: from lock to lock; by looking
 *               again and again; by looking without a point
 *
 * Owns what its actors share, guarded as each of them says.
 */
#include "demos/demo.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/lock/mutex.h"
#include "kernel/sched/sched.h"

#define POLL_NS 1000000u

/* ---- a wake-up under a spinlock ------------------------------------------------ */

static DEFINE_SPINLOCK(box);
static bool full;
static struct wait_queue readers = WAIT_QUEUE_INIT(readers, "a letter");

static void actor_R(struct stage *st)
{
	struct wait_entry me = { .thread = NULL };

	(void)st;
	if (shared_read(full))
		return;
	prepare_to_wait(&readers, &me, WAIT_QUEUE, CALLER);
	schedule();
	finish_wait(&readers, &me);
}

static void actor_W(struct stage *st)
{
	uint32_t flags;

	(void)st;
	shared_write(full, true);
	flags = spin_lock_irqsave(&box);
	wake_up(&readers);
	spin_unlock_irqrestore(&box, flags);
}

static int setup_box(struct stage *st)
{
	(void)st;
	full = false;
	return 0;
}

static bool wake_the_reader(struct stage *st, bool quietly)
{
	(void)st;
	(void)quietly;
	wake_up_all(&readers);
	return true;
}

/* ---- objects ------------------------------------------------------------------- */

static int in_use; /* what the shrink says; of the round */
static bool taken; /* for a point between taking and giving back */

/* One object is out. */
static int setup_one_out(struct stage *st)
{
	st->cache = kmem_cache_create("x1", 64, 0, 0, NULL);
	if (!st->cache)
		return -ENOMEM;
	st->object = kmem_cache_alloc(st->cache);
	return st->object ? 0 : -ENOMEM;
}

static int setup_none_out(struct stage *st)
{
	st->cache = kmem_cache_create("x1", 64, 0, 0, NULL);
	return st->cache ? 0 : -ENOMEM;
}

static void actor_gives_back(struct stage *st)
{
	kmem_cache_free(st->cache, st->object);
}

/* What is left of it is on the list, and freed by the teardown. */
static void actor_destroys(struct stage *st)
{
	unsigned int errors = slab_errors;

	kmem_cache_destroy(st->cache);
	if (slab_errors == errors)
		st->cache = NULL;
}

static void actor_takes(struct stage *st)
{
	void *object = kmem_cache_alloc(st->cache);

	shared_write(taken, true);
	kmem_cache_free(st->cache, object);
}

static void actor_shrinks(struct stage *st)
{
	in_use = kmem_cache_shrink(st->cache);
}

static bool none_in_use(struct stage *st)
{
	(void)st;
	return !in_use;
}

static void teardown_cache(struct stage *st)
{
	if (st->cache)
		kmem_cache_destroy(st->cache);
	st->cache = NULL;
}

/* ---- who only tries ------------------------------------------------------------ */

static DEFINE_MUTEX(door);
static struct rw_semaphore gate = RWSEM_INIT(gate, "gate");
static bool got;

static void actor_tries(struct stage *st)
{
	(void)st;
	got = mutex_trylock(&door);
	if (got)
		mutex_unlock(&door);
}

static void actor_locks(struct stage *st)
{
	(void)st;
	mutex_lock(&door);
	mutex_unlock(&door);
}

static void actor_tries_to_read(struct stage *st)
{
	(void)st;
	got = down_read_trylock(&gate);
	if (got)
		up_read(&gate);
}

static void actor_writes(struct stage *st)
{
	(void)st;
	down_write(&gate);
	up_write(&gate);
}

static bool got_it(struct stage *st)
{
	(void)st;
	return got;
}

/* ---- who has no end ------------------------------------------------------------ */

static bool never;

static void actor_locks_for_ever(struct stage *st)
{
	(void)st;
	for (;;) {
		mutex_lock(&door);
		mutex_unlock(&door);
	}
}

static void actor_polls(struct stage *st)
{
	(void)st;
	while (!shared_read(never))
		sleep_ns(POLL_NS);
}

static void actor_polls_blindly(struct stage *st)
{
	(void)st;
	while (!READ_ONCE(never))
		sleep_ns(POLL_NS);
}

#define EITHER (OUT_BIT(OUT_COMPLETES) | OUT_BIT(OUT_CORRUPT))
#define TRIES(name, about_it, try_it, take_it, says)                           \
	{                                                                      \
		.part = (name), .about = (about_it),                           \
		.actors = { { "A", ON_D, try_it }, { "B", ON_U, take_it } },   \
		.no_forced = true, .expect = EITHER, .check = got_it,          \
		.tries = (says)                                                \
	}
#define NO_END(name, about_it, fn)                                             \
	{                                                                      \
		.part = (name), .about = (about_it),                           \
		.actors = { { "A", ON_D, fn }, { "B", ON_U, actor_locks } },   \
		.no_forced = true, .expect = OUT_BIT(OUT_COMPLETES)            \
	}

static const struct scenario scenarios[] = {
	{
		.part = "X1/waker",
		.about = "W wakes with a spinlock held",
		.actors = { { "R", ON_D, actor_R }, { "W", ON_U, actor_W } },
		.no_forced = true,
		.expect = OUT_BIT(OUT_COMPLETES) | OUT_BIT(OUT_STUCK),
		.setup = setup_box,
		.rescue = wake_the_reader,
	},
	{
		.part = "X1/destroy",
		.about = "A gives its object back, B destroys the cache",
		.actors = { { "A", ON_D, actor_gives_back },
			    { "B", ON_U, actor_destroys } },
		.no_forced = true,
		.expect = EITHER,
		.setup = setup_one_out,
		.teardown = teardown_cache,
	},
	{
		.part = "X1/shrink",
		.about = "A takes an object and gives it back, B shrinks",
		.actors = { { "A", ON_D, actor_takes },
			    { "B", ON_U, actor_shrinks } },
		.no_forced = true,
		.expect = EITHER,
		.setup = setup_none_out,
		.check = none_in_use,
		.teardown = teardown_cache,
	},
	TRIES("X1/mutex", "A tries for the mutex", actor_tries, actor_locks,
	      true),
	TRIES("X1/reader", "A tries to read", actor_tries_to_read, actor_writes,
	      true),
	TRIES("X1/mutex-untold", "the same, not told", actor_tries, actor_locks,
	      false),
	TRIES("X1/reader-untold", "the same, not told", actor_tries_to_read,
	      actor_writes, false),
	NO_END("X1/gates", "from lock to lock", actor_locks_for_ever),
	NO_END("X1/polls", "by looking again and again", actor_polls),
	NO_END("X1/blind", "without a point", actor_polls_blindly),
};

DEMO(99, x1, .id = "X1", .slug = "x1-points",
     .claim = "what the explorer has to see, or to complain of",
     .tried = { "For the explorer alone.", "See tests/own/points.c." },
     .cores = 1, .scenarios = scenarios, .nr_scenarios = ARRAY_SIZE(scenarios),
     .free_rounds = 1, .for_reader = true);
