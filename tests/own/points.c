/*
 * X1: an experiment for tests/test_points.py, which copies it to demos/.
 *
 *   X1/waker    W wakes with a spinlock held; R looks, and then queues up: lost
 *               if W comes in between, a point where nobody can be stopped
 *   X1/destroy  A gives its object back, B destroys the cache, which complains
 *               if it comes first
 *   X1/shrink   A takes an object and gives it back, B shrinks, and is told
 *               whether there is one
 *   X1/between, X1/under    A gives two objects back and completes in between, the
 *               second time under a spinlock; B waits for that and destroys
 *   X1/freed    A frees an RCU cache and waits for no callback; B may have waited
 *   X1/spinlock A and B look and write under a spinlock: who comes first
 *   X1/dying, X1/dying-completes, X1/dying-wakes    a notifier of CPU_DYING writes
 *               what A reads; completes what A looks at; wakes A, who does not
 *               look before it queues up
 *   X1/starting a notifier of CPU_STARTING writes what A reads
 *   X1/ipi      B has another core write what A reads, and waits for that
 *   X1/places   A looks ten times, queues up, and is not woken: stuck after each of
 *               them
 *   X1/long     four actors, each with steps of its own: the check says no
 *   X1/mutex, X1/reader    A tries for a lock that B takes and gives back; the
 *               same with -untold does not say .tries
 *   X1/gates, X1/polls, X1/blind    A has no end: from lock to lock; by looking
 *               again and again; by looking without a point
 *
 * Owns what its actors share, guarded as each of them says.
 */
#include "lab/experiment.h"
#include "kernel/arch/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/sync/mutex.h"
#include "kernel/sched/sched.h"

#define POLL_NS 1000000u

/* ---- a wake-up under a spinlock ------------------------------------------------ */

static DEFINE_SPINLOCK(box);
static bool full;
static struct wait_queue readers = WAIT_QUEUE_INIT(readers, "a letter");

static void actor_queues_up(struct stage *st maybe_unused)
{
	struct wait_entry me = { .thread = NULL };

	prepare_to_wait(&readers, &me, &queue_wait, CALLER);
	schedule();
	finish_wait(&readers, &me);
}

static void actor_R(struct stage *st)
{
	if (!shared_read(full))
		actor_queues_up(st);
}

static void actor_W(struct stage *st maybe_unused)
{
	uint32_t flags;

	shared_write(full, true);
	flags = spin_lock_irqsave(&box);
	wake_up(&readers);
	spin_unlock_irqrestore(&box, flags);
}

static int setup_box(struct stage *st maybe_unused)
{
	full = false;
	return 0;
}

static bool wake_the_reader(struct stage *st maybe_unused,
			    bool quietly maybe_unused)
{
	wake_up_all(&readers);
	return true;
}

static void actor_looks_often(struct stage *st)
{
	for (unsigned int i = 0; i < 10 && !shared_read(full); i++)
		;
	actor_queues_up(st);
}

static void actor_says_full(struct stage *st maybe_unused)
{
	shared_write(full, true);
}

/* ---- long, and nobody in anybody's way ------------------------------------------- */

static int own_steps[4];

static void take_steps(int *mine)
{
	for (int i = 0; i < 14; i++)
		shared_write(*mine, i);
}

#define LONG_ACTOR(n)                                                          \
	static void actor_long_##n(struct stage *st maybe_unused)              \
	{                                                                      \
		take_steps(&own_steps[n]);                                     \
	}
LONG_ACTOR(0)
LONG_ACTOR(1)
LONG_ACTOR(2)
LONG_ACTOR(3)

static bool no(struct stage *st maybe_unused)
{
	return false;
}

/* ---- objects ------------------------------------------------------------------- */

static int in_use; /* what the shrink says; of the round */
static bool taken; /* written for the sake of the point */

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

static bool none_in_use(struct stage *st maybe_unused)
{
	return !in_use;
}

static void teardown_cache(struct stage *st)
{
	if (st->cache)
		kmem_cache_destroy(st->cache);
	st->cache = NULL;
}

/* Two objects are out. */
static void *second;
static struct completion one_back;

static int setup_two_out(struct stage *st)
{
	int err = setup_one_out(st);

	init_completion(&one_back, "an object");
	second = err ? NULL : kmem_cache_alloc(st->cache);
	return second ? 0 : -ENOMEM;
}

static void actor_completes_between(struct stage *st)
{
	kmem_cache_free(st->cache, st->object);
	complete(&one_back);
	kmem_cache_free(st->cache, second);
}

static void actor_wakes_under_lock(struct stage *st)
{
	uint32_t flags;

	kmem_cache_free(st->cache, st->object);
	flags = spin_lock_irqsave(&box);
	one_back.done = 1;
	wake_up(&one_back.wait);
	spin_unlock_irqrestore(&box, flags);
	kmem_cache_free(st->cache, second);
}

static void actor_destroys_after(struct stage *st)
{
	wait_for_completion(&one_back);
	actor_destroys(st);
}

/* An RCU cache with an empty slab. */
static int setup_rcu_cache(struct stage *st)
{
	st->cache = kmem_cache_create("x1", 64, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	st->object = st->cache ? kmem_cache_alloc(st->cache) : NULL;
	if (!st->object)
		return -ENOMEM;
	kmem_cache_free(st->cache, st->object);
	return 0;
}

static void actor_frees_early(struct stage *st)
{
	struct kmem_cache *s = st->cache;

	st->cache = NULL;
	get_online_cpus();
	mutex_lock(&slab_mutex);
	kmem_cache_unlink(s);
	__cache_shrink(s);
	mutex_unlock(&slab_mutex);
	shared_write(taken, true);
	__kmem_cache_destroy(s);
	put_online_cpus();
}

static void actor_awaits_callbacks(struct stage *st maybe_unused)
{
	rcu_barrier();
}

/* ---- under a spinlock ------------------------------------------------------------ */

static int owner;

static void own(int who)
{
	uint32_t flags = spin_lock_irqsave(&box);

	if (!shared_read(owner))
		shared_write(owner, who);
	spin_unlock_irqrestore(&box, flags);
}

static void actor_owns_1(struct stage *st maybe_unused)
{
	own(1);
}

static void actor_owns_2(struct stage *st maybe_unused)
{
	own(2);
}

static int setup_no_owner(struct stage *st maybe_unused)
{
	owner = 0;
	return 0;
}

static bool owned_by_1(struct stage *st maybe_unused)
{
	return owner == 1;
}

/* ---- on a core that goes --------------------------------------------------------- */

static bool gone, seen_gone;

static int tell_dying(struct notifier_block *nb maybe_unused,
		      unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		shared_write(gone, true);
	return NOTIFY_OK;
}

static int tell_starting(struct notifier_block *nb maybe_unused,
			 unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_STARTING)
		shared_write(gone, true);
	return NOTIFY_OK;
}

static int complete_dying(struct notifier_block *nb maybe_unused,
			  unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		complete(&one_back);
	return NOTIFY_OK;
}

static int wake_dying(struct notifier_block *nb maybe_unused,
		      unsigned long action, void *hcpu maybe_unused)
{
	if (action == CPU_DYING)
		wake_up(&readers);
	return NOTIFY_OK;
}

static void write_gone(void *arg maybe_unused)
{
	shared_write(gone, true);
}

static void actor_sends(struct stage *st maybe_unused)
{
	smp_call_function_single(board.nr_cores - 1, write_gone, NULL, true);
}

static struct notifier_block tells = { .notifier_call = tell_dying };
static struct notifier_block greets = { .notifier_call = tell_starting };
static struct notifier_block completes = { .notifier_call = complete_dying };
static struct notifier_block wakes = { .notifier_call = wake_dying };

static int setup_not_gone(struct stage *st)
{
	int err = setup_core(st); /* which may be a start, too */

	gone = false;
	init_completion(&one_back, "the core");
	return err;
}

static void actor_sees(struct stage *st maybe_unused)
{
	seen_gone = shared_read(gone);
}

/* The look and the queueing up are one step. */
static void actor_awaits_it(struct stage *st maybe_unused)
{
	seen_gone = READ_ONCE(one_back.done);
	wait_for_completion(&one_back);
}

static bool not_seen(struct stage *st maybe_unused)
{
	return !seen_gone;
}

/* ---- who only tries ------------------------------------------------------------ */

static DEFINE_MUTEX(door);
static struct rw_semaphore gate = RWSEM_INIT(gate, "gate");
static bool got;

static void actor_tries(struct stage *st maybe_unused)
{
	got = mutex_trylock(&door);
	if (got)
		mutex_unlock(&door);
}

static void actor_locks(struct stage *st maybe_unused)
{
	mutex_lock(&door);
	mutex_unlock(&door);
}

static void actor_tries_to_read(struct stage *st maybe_unused)
{
	got = down_read_trylock(&gate);
	if (got)
		up_read(&gate);
}

static void actor_writes(struct stage *st maybe_unused)
{
	down_write(&gate);
	up_write(&gate);
}

static bool got_it(struct stage *st maybe_unused)
{
	return got;
}

/* ---- who has no end ------------------------------------------------------------ */

static bool never;

static void actor_locks_for_ever(struct stage *st maybe_unused)
{
	for (;;) {
		mutex_lock(&door);
		mutex_unlock(&door);
	}
}

static void actor_polls(struct stage *st maybe_unused)
{
	while (!shared_read(never))
		sleep_ns(POLL_NS);
}

static void actor_polls_blindly(struct stage *st maybe_unused)
{
	while (!READ_ONCE(never))
		sleep_ns(POLL_NS);
}

#define DYING(name, about_it, fn, nb)                                          \
	.part = (name), .about = (about_it),                                   \
	.actors = { { "A", ON_D, fn }, { "U", ON_U, actor_U } },               \
	.forced.none = true, .world.toggles = true, .world.down_only = true,   \
	.world.notifier = (nb)
#define EITHER (COMPLETES | CORRUPT)
#define TRIES(name, about_it, try_it, take_it, says)                           \
	{                                                                      \
		.part = (name), .about = (about_it),                           \
		.actors = { { "A", ON_D, try_it }, { "B", ON_U, take_it } },   \
		.forced.none = true, .said.outcome = EITHER,                   \
		.said.check = got_it, .search.tries = (says)                   \
	}
#define NO_END(name, about_it, fn)                                             \
	{                                                                      \
		.part = (name), .about = (about_it),                           \
		.actors = { { "A", ON_D, fn }, { "B", ON_U, actor_locks } },   \
		.forced.none = true, .said.outcome = COMPLETES                 \
	}

static const struct scenario scenarios[] = {
	{
		.part = "X1/waker",
		.about = "W wakes with a spinlock held",
		.actors = { { "R", ON_D, actor_R }, { "W", ON_U, actor_W } },
		.forced.none = true,
		.said.outcome = COMPLETES | STUCK,
		.world.setup = setup_box,
		.cut.rescue = wake_the_reader,
	},
	{
		.part = "X1/destroy",
		.about = "A gives its object back, B destroys the cache",
		.actors = { { "A", ON_D, actor_gives_back },
			    { "B", ON_U, actor_destroys } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_one_out,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X1/shrink",
		.about = "A takes an object and gives it back, B shrinks",
		.actors = { { "A", ON_D, actor_takes },
			    { "B", ON_U, actor_shrinks } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_none_out,
		.said.check = none_in_use,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X1/between",
		.about = "A completes between two objects",
		.actors = { { "A", ON_D, actor_completes_between },
			    { "B", ON_U, actor_destroys_after } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_two_out,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X1/under",
		.about = "the same, by a wake-up under a spinlock",
		.actors = { { "A", ON_D, actor_wakes_under_lock },
			    { "B", ON_U, actor_destroys_after } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_two_out,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X1/freed",
		.about = "A frees an RCU cache, B waits for callbacks",
		.actors = { { "A", ON_D, actor_frees_early },
			    { "B", ON_U, actor_awaits_callbacks } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_rcu_cache,
		.world.teardown = teardown_cache,
	},
	{
		.part = "X1/spinlock",
		.about = "A and B want the same under a spinlock",
		.actors = { { "A", ON_D, actor_owns_1 },
			    { "B", ON_U, actor_owns_2 } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_no_owner,
		.said.check = owned_by_1,
	},
	{
		DYING("X1/dying", "a notifier writes", actor_sees, &tells),
		.said.outcome = EITHER,
		.world.setup = setup_not_gone,
		.said.check = not_seen,
	},
	{
		.part = "X1/ipi",
		.about = "an interrupt writes",
		.actors = { { "A", ON_D, actor_sees },
			    { "B", ON_U, actor_sends } },
		.forced.none = true,
		.said.outcome = EITHER,
		.world.setup = setup_not_gone,
		.said.check = not_seen,
	},
	{
		.part = "X1/starting",
		.about = "a notifier writes",
		.actors = { { "A", ON_D, actor_sees }, { "U", ON_U, actor_U } },
		.forced.none = true,
		.world.toggles = true,
		.world.notifier = &greets,
		.said.outcome = EITHER,
		.world.setup = setup_not_gone,
		.said.check = not_seen,
	},
	{
		DYING("X1/dying-completes", "a notifier completes",
		      actor_awaits_it, &completes),
		.said.outcome = EITHER,
		.world.setup = setup_not_gone,
		.said.check = not_seen,
	},
	{
		DYING("X1/dying-wakes", "a notifier wakes", actor_queues_up,
		      &wakes),
		.said.outcome = COMPLETES | STUCK,
		.world.setup = setup_core,
		.cut.rescue = wake_the_reader,
	},
	{
		.part = "X1/places",
		.about = "A looks ten times and is not woken",
		.actors = { { "A", ON_D, actor_looks_often },
			    { "W", ON_U, actor_says_full } },
		.forced.none = true,
		.said.outcome = STUCK,
		.world.setup = setup_box,
		.cut.rescue = wake_the_reader,
	},
	{
		.part = "X1/long",
		.about = "four actors with steps of their own",
		.actors = { { "A", ON_D, actor_long_0 },
			    { "B", ON_U, actor_long_1 },
			    { "C", ON_D, actor_long_2 },
			    { "E", ON_U, actor_long_3 } },
		.forced.none = true,
		.said.outcome = CORRUPT,
		.said.check = no,
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
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
