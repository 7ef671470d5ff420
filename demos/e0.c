/*
 * E0: the basic deadlocks, each by itself.
 *
 *   AB-BA      two mutexes, two threads, opposite orders
 *   A-A        a thread locks a mutex that it holds
 *   irq        a thread holds a spinlock with interrupts on; an interrupt on its
 *              core takes the same lock, and so waits for the thread that it
 *              has interrupted
 *   ABC        three mutexes and three threads in a ring: each thread locks one
 *              mutex and then the next one
 *   one-order  control: two threads lock two mutexes in the same order
 *
 * No mail of the 2012 thread is about these. They are a control for lockdep and
 * for the wait-for graph: lockdep reports each deadlock before it happens, from
 * the use of the locks alone, and the forced rounds show that the deadlock is real.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/explore/shared.h"
#include "kernel/sched/timer.h"

static struct mutex lock_a = MUTEX_INIT(lock_a, "lock_a");
static struct mutex lock_b = MUTEX_INIT(lock_b, "lock_b");
static struct mutex lock_c = MUTEX_INIT(lock_c, "lock_c");
static DEFINE_SPINLOCK(irq_lock);

static uint32_t table[2048]; /* read while a lock is held, to take some time */
/* How often the table is read: so often that, on one core, each of the three
 * actors is preempted while it holds a lock. */
#define RING_READS 50

static unseen void read_table(void)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++)
		sum += READ_ONCE(table[i]);
	WRITE_ONCE(table[0], sum);
}

static void take_both(struct mutex *first, struct mutex *second,
		      unsigned int reads)
{
	mutex_lock(first);
	while (reads--)
		read_table();
	mutex_lock(second);
	mutex_unlock(second);
	mutex_unlock(first);
}

void actor_AB(struct stage *st maybe_unused)
{
	take_both(&lock_a, &lock_b, 1);
}

void actor_BA(struct stage *st maybe_unused)
{
	take_both(&lock_b, &lock_a, 1);
}

static void actor_AB_long(struct stage *st maybe_unused)
{
	take_both(&lock_a, &lock_b, RING_READS);
}

static void actor_BC(struct stage *st maybe_unused)
{
	take_both(&lock_b, &lock_c, RING_READS);
}

static void actor_CA(struct stage *st maybe_unused)
{
	take_both(&lock_c, &lock_a, RING_READS);
}

static void actor_AA(struct stage *st maybe_unused)
{
	take_both(&lock_a, &lock_a, 1);
}

/* ---- in an interrupt ----------------------------------------------------------- */

/* The interrupt's handler, on A's core. It takes the lock that A may hold. */
static noinline void irq_wants_lock(struct stage *st maybe_unused)
{
	spin_lock(&irq_lock);
	spin_unlock(&irq_lock);
}

/* Called by a timer's interrupt, in rounds that are not explored. */
static void timer_expires(struct timer *t)
{
	irq_wants_lock(&the_stage);
	/* Release: pairs with the acquire in actor_irq(). */
	smp_store_release((bool *)t->arg, true);
}

/* A's mistake: it calls spin_lock() where spin_lock_irqsave() is needed. */
static void actor_irq(struct stage *st)
{
	bool arrived = st->explored; /* the explorer sends the interrupt */
	struct timer t;

	timer_setup(&t, timer_expires, &arrived);
	spin_lock(&irq_lock);
	if (!st->explored)
		timer_arm(&t, timer_now());
	read_table(); /* the interrupt comes here */
	spin_unlock(&irq_lock);
	/* Acquire: pairs with the release in timer_expires(). */
	while (!smp_load_acquire(&arrived))
		cpu_relax();
	timer_cancel_sync(&t);
}

/* ---- scenarios ------------------------------------------------------------------- */

static const struct scenario e0[] = {
	{
		.part = "E0/AB-BA",
		.about = "A locks lock_a, lock_b; B locks lock_b, lock_a",
		.actors = { { "A", ON_D, actor_AB }, { "B", ON_U, actor_BA } },
		.forced.order = STEPS(A(LOCK, &lock_a), B(LOCK, &lock_b),
				      A(CONTEND, &lock_b), B(CONTEND, &lock_a)),
		.said.outcome = DEADLOCK,
		.said.lockdep = CIRCULAR,
		.free.until_found = true,
	},
	{
		.part = "E0/A-A",
		.about = "A locks lock_a, and lock_a again",
		.actors = { { "A", ON_D, actor_AA } },
		.forced.order = STEPS(A(LOCK, &lock_a), A(CONTEND, &lock_a)),
		.said.outcome = DEADLOCK,
		.said.lockdep = RECURSIVE,
		.free.until_found = true,
	},
	{
		.part = "E0/irq",
		.about =
			"A holds a spinlock, interrupts on; an interrupt takes it",
		.cores = 2, /* A's core stops; the runner needs another core */
		.needs_lockdep = true, /* only debug builds know who spins */
		.actors = { { "A", ON_D, actor_irq },
			    { "I", .fn = irq_wants_lock, .interrupts = "A" } },
		.world.spins = true,
		.forced.order = STEPS(A(SPIN_LOCK, &irq_lock),
				      A(SPIN_CONTEND, &irq_lock)),
		.said.outcome = DEADLOCK,
		/* INCONSISTENT: an interrupt takes the lock, and A holds it with
		 * interrupts on, perhaps at another time. RECURSIVE: if the
		 * interrupt comes meanwhile, A's thread takes the lock twice. */
		.said.lockdep = INCONSISTENT | RECURSIVE,
		.free.until_found = true,
	},
	{
		.part = "E0/ABC",
		.about = "three locks in a ring: a, b; b, c; c, a",
		.actors = { { "A", ON_D, actor_AB_long },
			    { "B", ON_U, actor_BC },
			    { "C", ON_B, actor_CA } },
		.forced.order = STEPS(A(LOCK, &lock_a), B(LOCK, &lock_b),
				      C(LOCK, &lock_c), A(CONTEND, &lock_b),
				      B(CONTEND, &lock_c), C(CONTEND, &lock_a)),
		.said.outcome = DEADLOCK,
		.said.lockdep = CIRCULAR,
		.free.until_found = true,
		.free.cores = 3, /* two actors on one core rarely meet */
	},
	{
		.part = "E0/one-order",
		.about = "control: both lock lock_a, then lock_b",
		.actors = { { "A", ON_D, actor_AB }, { "B", ON_U, actor_AB } },
		.forced.order = STEPS(A(LOCK, &lock_a), B(CONTEND, &lock_a),
				      A(LOCK, &lock_b)),
		.said.outcome = COMPLETES,
		.free.rounds = 100,
	},
};

DEMO(00, e0, .id = "E0", .slug = "e0-alphabet",
     .claim = "basic deadlocks: AB-BA, A-A, an interrupt, a ring of three",
     .tried = { "Opposite orders, one lock twice, a lock in an interrupt, a ring",
		"of three locks. Control: one order everywhere." },
     .cores = 1, SCENARIOS(e0), .free_rounds = 20000);
