/*
 * E0: the alphabet. What a deadlock looks like when there is nothing else.
 *
 *   AB-BA  two mutexes, two threads, opposite orders
 *   A-A    one thread takes a mutex that it holds
 *   irq    a spinlock taken with interrupts on, and in an interrupt: the
 *          interrupt waits on the core of the thread that it has interrupted
 *   ABC    three mutexes in a ring, three threads, each with two of them
 *
 * Nobody in the thread doubted these. Lockdep has a name for each, and finds it
 * by the order alone: it need not happen. Here it does. Control: the same two
 * mutexes in one order everywhere.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/arch/clock.h"
#include "kernel/lock/spinlock.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timer.h"

static struct mutex lock_a = MUTEX_INIT(lock_a, "lock_a");
static struct mutex lock_b = MUTEX_INIT(lock_b, "lock_b");
static struct mutex lock_c = MUTEX_INIT(lock_c, "lock_c");
static DEFINE_SPINLOCK(irq_lock);

static uint32_t table[2048]; /* what the locks are taken for */
/* Three have to meet: on one core each must be preempted while it holds one. */
#define RING_READS 50

static noinline void read_table(void)
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

int setup_locks(struct stage *st)
{
	st->m[0] = &lock_a;
	st->m[1] = &lock_b;
	st->m[2] = &lock_c;
	st->spin = &irq_lock;
	return 0;
}

/* ---- in an interrupt ----------------------------------------------------------- */

/* Spinlocks make no events of their own: these two are in the story. */
static void spin_lock_told(struct spinlock *l)
{
	if (spin_is_locked(l))
		trace_did(TR_CONTEND, l, (uintptr_t)READ_ONCE(l->holder),
			  CALLER);
	spin_lock(l);
	trace_did(TR_LOCK, l, 0, CALLER);
}

static void spin_unlock_told(struct spinlock *l)
{
	trace_did(TR_UNLOCK, l, 0, CALLER);
	spin_unlock(l);
}

/* The timer interrupt on A's core: it wants what A may hold. */
static noinline void irq_wants_lock(struct timer *t)
{
	spin_lock_told(&irq_lock);
	spin_unlock_told(&irq_lock);
	/* Release: pairs with the acquire in actor_irq(). */
	smp_store_release((bool *)t->arg, true);
}

/* spin_lock() where spin_lock_irqsave() belongs. */
static void actor_irq(struct stage *st maybe_unused)
{
	bool came = false;
	struct timer t;

	timer_setup(&t, irq_wants_lock, &came);
	spin_lock_told(&irq_lock);
	timer_arm(&t, timer_now());
	read_table(); /* and here the interrupt comes */
	spin_unlock_told(&irq_lock);
	/* Acquire: pairs with the release in irq_wants_lock(). */
	while (!smp_load_acquire(&came))
		cpu_relax();
	timer_cancel_sync(&t);
}

/* ---- scripts --------------------------------------------------------------------- */

static const struct step crossed[] = STEPS(A(LOCK, &lock_a), B(LOCK, &lock_b),
					   A(CONTEND, &lock_b),
					   B(CONTEND, &lock_a));

static const struct step twice[] = STEPS(A(LOCK, &lock_a), A(CONTEND, &lock_a));

static const struct step interrupted[] =
	STEPS(A(LOCK, &irq_lock), A(CONTEND, &irq_lock));

static const struct step ring[] = STEPS(
	A(LOCK, &lock_a), B(LOCK, &lock_b), BY("C", LOCK, &lock_c),
	A(CONTEND, &lock_b), B(CONTEND, &lock_c), BY("C", CONTEND, &lock_a));

static const struct step one_after_the_other[] =
	STEPS(A(LOCK, &lock_a), B(CONTEND, &lock_a), A(LOCK, &lock_b));

static const struct scenario e0[] = {
	{
		.part = "E0/AB-BA",
		.about = "A takes lock_a, lock_b; B takes lock_b, lock_a",
		.actors = { { "A", ON_D, actor_AB }, { "B", ON_U, actor_BA } },
		.forced.order = crossed,
		.said.outcome = DEADLOCK,
		.free.until_found = true,
		.said.lockdep = CIRCULAR,
		.world.setup = setup_locks,
	},
	{
		.part = "E0/A-A",
		.about = "A takes lock_a, and lock_a again",
		.actors = { { "A", ON_D, actor_AA } },
		.forced.order = twice,
		.said.outcome = DEADLOCK,
		.free.until_found = true,
		.said.lockdep = RECURSIVE,
		.world.setup = setup_locks,
	},
	{
		.part = "E0/irq",
		.about =
			"A holds a spinlock, interrupts on; an interrupt wants "
			"it",
		.actors = { { "A", ON_D, actor_irq } },
		.forced.order = interrupted,
		.said.outcome = DEADLOCK,
		.free.until_found = true,
		.world.spins = true,
		.search.none = "an interrupt is no point of choice",
		.needs_lockdep = true, /* who spins for what: debug builds */
		.cores = 2, /* A's cannot go on: the runner needs another */
		/* The order alone is inconsistent; and when it happens, one
		 * thread has the lock twice. */
		.said.lockdep = INCONSISTENT | RECURSIVE,
		.world.setup = setup_locks,
	},
	{
		.part = "E0/ABC",
		.about = "three locks in a ring: a, b; b, c; c, a",
		.actors = { { "A", ON_D, actor_AB_long },
			    { "B", ON_U, actor_BC },
			    { "C", ON_B, actor_CA } },
		.forced.order = ring,
		.free.cores = 3, /* on one core they hardly meet */
		.said.outcome = DEADLOCK,
		.free.until_found = true,
		.said.lockdep = CIRCULAR,
		.world.setup = setup_locks,
	},
	{
		.part = "E0/one-order",
		.about = "control: both take lock_a, then lock_b",
		.actors = { { "A", ON_D, actor_AB }, { "B", ON_U, actor_AB } },
		.forced.order = one_after_the_other,
		.free.rounds = 100,
		.said.outcome = COMPLETES,
		.world.setup = setup_locks,
	},
};

DEMO(00, e0, .id = "E0", .slug = "e0-alphabet",
     .claim = "opposite orders, twice, in an interrupt, a ring: deadlocks",
     .tried = { "Locks taken in opposite orders, twice, in an interrupt, in a",
		"ring of three. Control: one order everywhere." },
     .cores = 1, SCENARIOS(e0), .free_rounds = 20000);
