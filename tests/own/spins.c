/*
 * X8: an experiment for tests/test_spins.py, whose image has it in demos/. Spinlocks,
 * interrupts that an actor declares, and calls of other cores.
 *
 *   X8/AB-BA	 two spinlocks in opposite orders
 *   X8/A-A	 a spinlock twice
 *   X8/ring	 three actors, three spinlocks; two actors share a core on two cores
 *   X8/order	 control: one order
 *   X8/saved	 opposite orders, but both under one outer spinlock
 *   X8/under-mutex  a spinlock and a mutex, the mutex outside: one order
 *   X8/try	 A has first and tries for second, B has second and wants first
 *   X8/try-later  A touches something before it tries for first, so it stops there
 *   X8/twice	 a lost update between two sections of one actor
 *   X8/after-it  A takes a spinlock with interrupts off, and adds later: a lost update
 *   X8/rcu	 a spinlock inside a section of an RCU reader, in opposite orders
 *   X8/irq	 an interrupt takes a spinlock that its actor holds with interrupts on
 *   X8/irqsave	 the same with spin_lock_irqsave()
 *   X8/chance	 whether the interrupt comes before, between or after two writes, or
 *		 not at all
 *   X8/driver	 the actor sleeps until the interrupt completes a completion
 *   X8/waker	 the interrupt comes between the look and the sleep of its actor
 *   X8/cross	 an interrupt and another actor: opposite orders
 *   X8/stuck	 B keeps a spinlock for ever; the interrupt waits for it, so A does not
 *		 go on; the interrupt may come before, between or after A's writes
 *   X8/stuck-both  the same, and A wants the spinlock, too
 *   X8/call	 A holds a spinlock and calls B's core; B wants the spinlock with
 *		 interrupts off
 *   X8/call-on	 the same, but B waits with interrupts on
 *
 * Owns the objects of its actors.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"

static DEFINE_SPINLOCK(first);
static DEFINE_SPINLOCK(second);
static DEFINE_SPINLOCK(third);
static DEFINE_MUTEX(outer);
static struct wait_queue queue = WAIT_QUEUE_INIT(queue, "the interrupt");
static struct completion done;
static unsigned int n, seen;
static bool rung, got;

static int setup(struct stage *st maybe_unused)
{
	init_completion(&done, "the device");
	n = seen = 0;
	rung = got = false;
	return 0;
}

static void take_both(struct spinlock *a, struct spinlock *b)
{
	spin_lock(a);
	spin_lock(b);
	spin_unlock(b);
	spin_unlock(a);
}

static void actor_12(struct stage *st maybe_unused)
{
	take_both(&first, &second);
}

static void actor_21(struct stage *st maybe_unused)
{
	take_both(&second, &first);
}

static void actor_23(struct stage *st maybe_unused)
{
	take_both(&second, &third);
}

static void actor_31(struct stage *st maybe_unused)
{
	take_both(&third, &first);
}

static void actor_11(struct stage *st maybe_unused)
{
	take_both(&first, &first);
}

static void actor_312(struct stage *st)
{
	spin_lock(&third);
	actor_12(st);
	spin_unlock(&third);
}

static void actor_321(struct stage *st)
{
	spin_lock(&third);
	actor_21(st);
	spin_unlock(&third);
}

static void actor_under_mutex(struct stage *st maybe_unused)
{
	mutex_lock(&outer);
	spin_lock(&first);
	n++;
	spin_unlock(&first);
	mutex_unlock(&outer);
}

static void actor_first_alone(struct stage *st maybe_unused)
{
	uint32_t flags = spin_lock_irqsave(&first);

	n++;
	spin_unlock_irqrestore(&first, flags);
}

static void actor_tries(struct stage *st maybe_unused)
{
	spin_lock(&first);
	got = spin_trylock(&second);
	if (got)
		spin_unlock(&second);
	spin_unlock(&first);
}

/* The step before the trylock has touched something, so A stops there. */
static void actor_tries_later(struct stage *st maybe_unused)
{
	shared_write(rung, true);
	got = spin_trylock(&first);
	if (got)
		spin_unlock(&first);
}

static bool got_it(struct stage *st maybe_unused)
{
	return got;
}

static void actor_adds(struct stage *st maybe_unused)
{
	unsigned int was;

	spin_lock(&first);
	was = n;
	spin_unlock(&first);
	spin_lock(&first);
	n = was + 1;
	spin_unlock(&first);
}

static void actor_adds_later(struct stage *st maybe_unused)
{
	uint32_t flags = local_irq_save();

	spin_lock(&first);
	spin_unlock(&first);
	local_irq_restore(flags);
	n++;
}

static void actor_adds_plainly(struct stage *st maybe_unused)
{
	n++;
}

static bool is_two(struct stage *st maybe_unused)
{
	return n == 2;
}

static void actor_reads_12(struct stage *st)
{
	rcu_read_lock();
	actor_12(st);
	rcu_read_unlock();
}

static void actor_reads_21(struct stage *st)
{
	rcu_read_lock();
	actor_21(st);
	rcu_read_unlock();
}

/* ---- interrupts ---------------------------------------------------------------- */

static void on_first(struct stage *st maybe_unused)
{
	spin_lock(&first);
	spin_unlock(&first);
}

static void actor_first(struct stage *st maybe_unused)
{
	spin_lock(&first);
	spin_unlock(&first);
}

static void actor_writes_twice(struct stage *st maybe_unused)
{
	shared_write(n, 1);
	shared_write(n, 2);
}

static void on_sees(struct stage *st maybe_unused)
{
	seen = shared_read(n) + 1;
}

static unsigned int wanted; /* the value of `seen` that the check is for */

static bool is_wanted(struct stage *st maybe_unused)
{
	return seen != wanted;
}

static int setup_0(struct stage *st)
{
	wanted = 0;
	return setup(st);
}

static int setup_1(struct stage *st)
{
	wanted = 1;
	return setup(st);
}

static int setup_2(struct stage *st)
{
	wanted = 2;
	return setup(st);
}

static int setup_3(struct stage *st)
{
	wanted = 3;
	return setup(st);
}

static void actor_drives(struct stage *st maybe_unused)
{
	wait_for_completion(&done);
}

static void on_completes(struct stage *st maybe_unused)
{
	complete(&done);
}

static void actor_sleeps_badly(struct stage *st maybe_unused)
{
	struct wait_entry me = { .thread = NULL };

	if (shared_read(rung))
		return;
	prepare_to_wait(&queue, &me, &queue_wait, CALLER);
	schedule();
	finish_wait(&queue, &me);
}

static void on_rings(struct stage *st maybe_unused)
{
	shared_write(rung, true);
	wake_up(&queue);
}

static bool wake_them(struct stage *st maybe_unused, bool quietly maybe_unused)
{
	wake_up_all(&queue);
	return true;
}

static void on_second_first(struct stage *st maybe_unused)
{
	take_both(&second, &first);
}

static void actor_nothing(struct stage *st maybe_unused)
{
}

static void actor_first_between(struct stage *st maybe_unused)
{
	n = 1;
	spin_lock(&first);
	spin_unlock(&first);
	n = 2;
}

/* ---- calls --------------------------------------------------------------------- */

static void answer(void *arg maybe_unused)
{
}

static void actor_calls(struct stage *st)
{
	spin_lock(&first);
	smp_call_function_single(st->worker[1].cpu, answer, NULL, true);
	spin_unlock(&first);
}

#define PART(name, ...)                                                        \
	.part = "X8/" name, .about = name, .forced.none = true,                \
	.actors = { __VA_ARGS__ }
#define CHANCE(name, set_up)                                                   \
	PART(name, { "A", ON_D, actor_writes_twice },                          \
	     { "I", .fn = on_sees, .interrupts = "A" }),                       \
		.world.setup = (set_up), .said.check = is_wanted,              \
		.said.outcome = COMPLETES | CORRUPT

static const struct scenario scenarios[] = {
	{ PART("AB-BA", { "A", ON_D, actor_12 }, { "B", ON_U, actor_21 }),
	  .said.outcome = DEADLOCK, .said.lockdep = CIRCULAR },
	{ PART("A-A", { "A", ON_D, actor_11 }), .said.outcome = DEADLOCK,
	  .said.lockdep = RECURSIVE },
	{ PART("ring", { "A", ON_D, actor_12 }, { "B", ON_U, actor_23 },
	       { "C", ON_B, actor_31 }),
	  .said.outcome = DEADLOCK, .said.lockdep = CIRCULAR },
	{ PART("order", { "A", ON_D, actor_12 }, { "B", ON_U, actor_12 }),
	  .said.outcome = COMPLETES },
	{ PART("saved", { "A", ON_D, actor_312 }, { "B", ON_U, actor_321 }),
	  .said.outcome = COMPLETES, .said.lockdep = CIRCULAR },
	{ PART("under-mutex", { "A", ON_D, actor_under_mutex },
	       { "B", ON_U, actor_first_alone }),
	  .said.outcome = COMPLETES, .world.setup = setup,
	  .said.check = is_two },
	{ PART("try", { "A", ON_D, actor_tries }, { "B", ON_U, actor_21 }),
	  .said.outcome = COMPLETES | CORRUPT, .said.check = got_it,
	  .world.setup = setup },
	{ PART("try-later", { "A", ON_D, actor_tries_later },
	       { "B", ON_U, actor_first }),
	  .said.outcome = COMPLETES | CORRUPT, .said.check = got_it,
	  .world.setup = setup },
	{ PART("twice", { "A", ON_D, actor_adds }, { "B", ON_U, actor_adds }),
	  .said.outcome = COMPLETES | CORRUPT, .said.check = is_two,
	  .world.setup = setup },
	{ PART("after-it", { "A", ON_D, actor_adds_later },
	       { "B", ON_U, actor_adds_plainly }),
	  .said.outcome = COMPLETES | CORRUPT, .said.check = is_two,
	  .world.setup = setup },
	{ PART("rcu", { "A", ON_D, actor_reads_12 },
	       { "B", ON_U, actor_reads_21 }),
	  .said.outcome = DEADLOCK, .said.lockdep = CIRCULAR },
	{ PART("irq", { "A", ON_D, actor_first },
	       { "I", .fn = on_first, .interrupts = "A" }),
	  .said.outcome = DEADLOCK, .said.lockdep = INCONSISTENT | RECURSIVE },
	{ PART("irqsave", { "A", ON_D, actor_first_alone },
	       { "I", .fn = on_first, .interrupts = "A" }),
	  .said.outcome = COMPLETES },
	{ CHANCE("never", setup_0) },
	{ CHANCE("before", setup_1) },
	{ CHANCE("between", setup_2) },
	{ CHANCE("after", setup_3) },
	{ PART("driver", { "A", ON_D, actor_drives },
	       { "I", .fn = on_completes, .interrupts = "A" }),
	  .said.outcome = COMPLETES, .world.setup = setup },
	{ PART("waker", { "A", ON_D, actor_sleeps_badly },
	       { "I", .fn = on_rings, .interrupts = "A" }),
	  .said.outcome = COMPLETES | STUCK, .world.setup = setup,
	  .cut.rescue = wake_them },
	{ PART("cross", { "A", ON_D, actor_nothing }, { "B", ON_U, actor_12 },
	       { "I", .fn = on_second_first, .interrupts = "A" }),
	  .said.outcome = DEADLOCK | COMPLETES,
	  /* The use that makes first inconsistent is no evidence for an order of
	   * safe and unsafe locks. */
	  .said.lockdep = CIRCULAR | INCONSISTENT },
	{ PART("stuck", { "B", ON_U, actor_11 },
	       { "I", .fn = on_first, .interrupts = "A" },
	       { "A", ON_D, actor_writes_twice }),
	  .said.outcome = DEADLOCK, .said.lockdep = RECURSIVE | INCONSISTENT },
	{ PART("stuck-both", { "B", ON_U, actor_11 },
	       { "I", .fn = on_first, .interrupts = "A" },
	       { "A", ON_D, actor_first_between }),
	  .said.outcome = DEADLOCK, .said.lockdep = RECURSIVE | INCONSISTENT },
	{ PART("call", { "A", ON_D, actor_calls },
	       { "B", ON_U, actor_first_alone }),
	  .said.outcome = COMPLETES | DEADLOCK, .said.lockdep = INCONSISTENT,
	  .cores = 2 },
	{ PART("call-on", { "A", ON_D, actor_calls },
	       { "B", ON_U, actor_first }),
	  .said.outcome = COMPLETES, .cores = 2 },
};

DEMO(99, x8, .id = "X8", .slug = "x8-spins", .claim = "spinlocks",
     .tried = { "For the explorer alone.", "See tests/own/spins.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
