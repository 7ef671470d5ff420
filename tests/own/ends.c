/*
 * X2: an experiment for tests/test_ends.py, whose image has it in demos/.
 *
 *   X2/keeps, X2/keeps-two    A ends with a mutex; one schedule, and two
 *   X2/errs     the same; and if B was first, A also releases a mutex that it does
 *               not hold
 *   X2/wanted   the same, and B wants the mutex
 *   X2/slab     A ends with slab_mutex; two schedules
 *   X2/rwsem    A ends with a rw-semaphore; X2/rwsem-wanted: and B wants it
 *   X2/sems     two rw-semaphores, taken A-B and B-A
 *   X2/lost     A waits for a completion that nobody completes
 *   X2/knot     A and B wait for a completion of each other
 *   X2/in-vain  the same with a .rescue that does not help
 *   X2/rescued  a rw-semaphore that is never lent, and a completion, with a .rescue
 *               that helps
 *   X2/timer    A waits for a timer and then writes, as B does
 *   X2/await    A waits in explore_await() for a flag, which B does not raise if it
 *               looks too late
 *   X2/for-a-while    A waits in explore_await() for a flag that B raises and lowers
 *   X2/name     an actor has the name RCU, so there is no search
 *   X2/setup, X2/begin    the hook returns an error, so there is no search
 *   X2/forms    the search breaks off in the first of two forms
 *   X2/trace, X2/ends    the second run, which is the replay, differs from the first
 *
 * Owns the objects of its actors.
 */
#include "lab/experiment.h"
#include "kernel/arch/clock.h"
#include "kernel/explore/gates.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timer.h"

#define SOON_NS 20000000u
#define POLL_NS 1000000u

static DEFINE_MUTEX(own);
static DEFINE_MUTEX(door);
static struct rw_semaphore sem = RWSEM_INIT(sem, "own semaphore");
static unsigned int word;

/* ---- an actor ends with a lock --------------------------------------------------- */

static void actor_keeps(struct stage *st maybe_unused)
{
	shared_write(word, 1);
	mutex_lock(&own);
}

static void actor_keeps_slab(struct stage *st maybe_unused)
{
	shared_write(word, 1);
	mutex_lock(&slab_mutex);
}

/* In the second schedule it also releases a mutex that it does not hold. */
static void actor_keeps_and_errs(struct stage *st maybe_unused)
{
	if (shared_read(word) == 2)
		mutex_unlock(&door);
	mutex_lock(&own);
}

static int setup_word(struct stage *st maybe_unused)
{
	word = 0;
	return 0;
}

static void actor_keeps_sem(struct stage *st maybe_unused)
{
	down_write(&sem);
}

static void actor_writes(struct stage *st maybe_unused)
{
	shared_write(word, 2);
}

static void actor_wants(struct stage *st maybe_unused)
{
	mutex_lock(&own);
	mutex_unlock(&own);
}

static void actor_reads_sem(struct stage *st maybe_unused)
{
	down_read(&sem);
	up_read(&sem);
}

/* ---- a cycle without a mutex ---------------------------------------------------- */

static struct rw_semaphore other = RWSEM_INIT(other, "other semaphore");
static struct completion done, by_a, by_b;

static void actor_sem_other(struct stage *st maybe_unused)
{
	down_write(&sem);
	down_write(&other);
	up_write(&other);
	up_write(&sem);
}

static void actor_other_sem(struct stage *st maybe_unused)
{
	down_write(&other);
	down_write(&sem);
	up_write(&sem);
	up_write(&other);
}

static int setup_each_other(struct stage *st)
{
	init_completion(&by_a, "A's completion");
	by_a.by = st->worker[0].thread;
	init_completion(&by_b, "B's completion");
	by_b.by = st->worker[1].thread;
	return 0;
}

static void actor_awaits_b(struct stage *st maybe_unused)
{
	wait_for_completion(&by_b);
	complete(&by_a);
}

static void actor_awaits_a(struct stage *st maybe_unused)
{
	wait_for_completion(&by_a);
	complete(&by_b);
}

static bool does_nothing(struct stage *st maybe_unused,
			 bool quietly maybe_unused)
{
	return true;
}

static int setup_lost(struct stage *st maybe_unused)
{
	init_completion(&by_b, "a lost completion");
	return 0;
}

static bool is_never_lent(const void *lock)
{
	return lock == &sem;
}

static int setup_done(struct stage *st)
{
	init_completion(&done, "B");
	done.by = st->worker[1].thread;
	return 0;
}

static void actor_waits_inside(struct stage *st maybe_unused)
{
	down_write(&sem);
	wait_for_completion(&done);
	up_write(&sem);
}

static void actor_completes_inside(struct stage *st maybe_unused)
{
	down_write(&sem);
	complete(&done);
	up_write(&sem);
}

/* After this, B's own complete() is one too many, but has no effect. */
static bool complete_for_b(struct stage *st maybe_unused,
			   bool quietly maybe_unused)
{
	complete(&done);
	return true;
}

/* ---- a timer -------------------------------------------------------------------- */

static struct timer timer;
static struct completion fired;

static void timer_fires(struct timer *t maybe_unused)
{
	complete(&fired);
}

static int setup_timer(struct stage *st maybe_unused)
{
	init_completion(&fired, "the timer");
	timer_setup(&timer, timer_fires, NULL);
	return 0;
}

static void actor_arms(struct stage *st maybe_unused)
{
	timer_arm(&timer, timer_now() + timer_ticks(SOON_NS));
	wait_for_completion(&fired);
	shared_write(word, 1);
}

/* ---- explore_await() ------------------------------------------------------------ */

static bool looked, flag;

static bool flag_is_up(void *arg maybe_unused)
{
	return READ_ONCE(flag);
}

static int setup_flag(struct stage *st maybe_unused)
{
	looked = flag = false;
	return 0;
}

static void actor_awaits(struct stage *st maybe_unused)
{
	shared_write(looked, true);
	if (!explore_await())
		while (!flag_is_up(NULL))
			sleep_ns(POLL_NS);
}

static void actor_raises(struct stage *st maybe_unused)
{
	if (!shared_read(looked))
		shared_write(flag, true);
}

static void actor_awaits_only(struct stage *st maybe_unused)
{
	(void)explore_await();
}

static void actor_raises_and_lowers(struct stage *st maybe_unused)
{
	shared_write(flag, true);
	shared_write(flag, false);
}

/* ---- searches that break off --------------------------------------------------------- */

static int cannot(struct stage *st maybe_unused)
{
	return -EIO;
}

static void actor_leaves_a_cache(struct stage *st)
{
	if (!st->cache)
		st->cache = kmem_cache_create("x2", 64, 0, 0, NULL);
}

/* ---- the second run ------------------------------------------------------------- */

/* The replay of the witness is on a stage of its own, the second of each search. */
static unsigned int stages;

static int begin_stage(struct stage *st maybe_unused)
{
	stages++;
	return 0;
}

static bool is_replay(void)
{
	return stages % 2 == 0;
}

static void actor_once(struct stage *st)
{
	if (is_replay())
		st->cache = kmem_cache_create("x2", 64, 0, 0, NULL);
}

static bool never_right(struct stage *st maybe_unused)
{
	return false;
}

static bool right_later(struct stage *st maybe_unused)
{
	return is_replay();
}

static void end_runs(struct stage *st)
{
	if (st->cache)
		kmem_cache_destroy(st->cache);
	st->cache = NULL;
}

#define PART(name, out)                                                        \
	.part = "X2/" name, .about = "see the head of tests/own/ends.c",       \
	.forced.none = true, .said.outcome = (out)
#define ALONE(a)   .actors = { { "A", ON_D, a } }
#define BOTH(a, b) .actors = { { "A", ON_D, a }, { "B", ON_U, b } }

static const struct scenario scenarios[] = {
	{ PART("keeps", COMPLETES), ALONE(actor_keeps) },
	{ PART("keeps-two", COMPLETES), BOTH(actor_keeps, actor_writes) },
	{ PART("errs", COMPLETES), BOTH(actor_keeps_and_errs, actor_writes),
	  .world.setup = setup_word },
	{ PART("wanted", COMPLETES), BOTH(actor_keeps, actor_wants) },
	{ PART("slab", COMPLETES), BOTH(actor_keeps_slab, actor_writes) },
	{ PART("rwsem", COMPLETES), ALONE(actor_keeps_sem) },
	{ PART("rwsem-wanted", COMPLETES),
	  BOTH(actor_keeps_sem, actor_reads_sem) },
	{ PART("sems", DEADLOCK), BOTH(actor_sem_other, actor_other_sem),
	  .said.lockdep = CIRCULAR },
	{ PART("lost", STUCK), ALONE(actor_awaits_b),
	  .world.setup = setup_lost },
	{ PART("knot", DEADLOCK), BOTH(actor_awaits_b, actor_awaits_a),
	  .world.setup = setup_each_other },
	{ PART("in-vain", DEADLOCK), BOTH(actor_awaits_b, actor_awaits_a),
	  .world.setup = setup_each_other, .cut.rescue = does_nothing },
	{ PART("rescued", DEADLOCK | COMPLETES),
	  BOTH(actor_waits_inside, actor_completes_inside),
	  .world.setup = setup_done, .cut.keeps = is_never_lent,
	  .cut.rescue = complete_for_b },
	{ PART("timer", COMPLETES), BOTH(actor_arms, actor_writes),
	  .world.setup = setup_timer },
	{ PART("await", COMPLETES | STUCK),
	  .actors = { { "A", ON_D, actor_awaits, .awaits = flag_is_up },
		      { "B", ON_U, actor_raises } },
	  .world.setup = setup_flag },
	{ PART("for-a-while", COMPLETES | STUCK),
	  .actors = { { "A", ON_D, actor_awaits_only, .awaits = flag_is_up },
		      { "B", ON_U, actor_raises_and_lowers } },
	  .world.setup = setup_flag },
	{ PART("name", COMPLETES),
	  .actors = { { "A", ON_D, actor_writes },
		      { "rcu", ON_U, actor_writes } } },
	{ PART("setup", COMPLETES), ALONE(actor_writes),
	  .world.setup = cannot },
	{ PART("begin", COMPLETES), ALONE(actor_writes),
	  .world.begin = cannot },
	{ PART("forms", COMPLETES), ALONE(actor_leaves_a_cache),
	  .world.toggles = true, .world.end = end_runs },
	{ PART("trace", CORRUPT), ALONE(actor_once), .world.begin = begin_stage,
	  .said.check = never_right, .world.end = end_runs },
	{ PART("ends", CORRUPT), ALONE(actor_writes),
	  .world.begin = begin_stage, .said.check = right_later },
};

DEMO(99, x2, .id = "X2", .slug = "x2-ends",
     .claim = "how a schedule, and a search, may end",
     .tried = { "For the explorer alone.", "See tests/own/ends.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
