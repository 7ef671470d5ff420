/*
 * X5: an experiment for tests/test_orders.py, whose image has it in demos/. Each part has
 * an order that a search could easily leave out. The order makes the part corrupt.
 *
 *   X5/readers   the last reader of a rw-semaphore lets the writer in, whichever of the
 *                two it is; the outcome is wrong in a few orders only
 *   X5/window    B reads a flag and then waits for A, while C writes a number that A
 *                reads: the order of A and B at the mutex decides whether there is a wait
 *   X5/condition W writes two words between the two reads of R's condition, when R has
 *                set its sleep state and does not sleep yet
 *   X5/sections  an update is lost between two sections under one spinlock
 *   X5/no-time   a wait for a completion without any time is a look
 *   X5/in-time, X5/too-late    a wait with a time ends by its event; by its time
 *   X5/sleeps    a sleep may be longer or shorter than what others do
 *   X5/long, X5/short    A waits with a long time, and with a time that is over at
 *                once; the explorer has the same choices
 *   X5/naps      a sleep that is over at once, as X5/sleeps
 *   X5/leaves    an interrupt of a thread that leaves a queue, where it may be woken
 *   X5/told      an interrupt interrupts A, which has waited and looks whether it was
 *   X5/interrupt, X5/gets-it   B interrupts A's wait for a mutex; B does so too late
 *   X5/handed    B waits for a mutex, interruptibly, and it is handed over to B
 *   X5/before    the same, and C writes before it takes the mutex what B reads under it
 *   X5/woken     A is woken, perhaps before it sleeps. An interrupt comes wherever A
 *                stands, also when it has been woken and has not gone on
 *   X5/heap      A waits with a mutex that B must take before it completes; the mutex
 *                was allocated
 *
 * Owns the objects of its actors.
 */
#include "lab/experiment.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/slab/slab.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"

#define LONG_NS	 1000000000u
#define SHORT_NS 0u

static DEFINE_SPINLOCK(box);
static DEFINE_MUTEX(door);
static struct mutex *allocated;
static struct rw_semaphore sem = RWSEM_INIT(sem, "sem");
static struct wait_queue queue = WAIT_QUEUE_INIT(queue, "queue");
static struct completion comp;
static int num, num3, num5, ain, go, adone;
static bool bad, failed;
static int ga, gb, gy;

static int spin_get(int *p)
{
	uint32_t flags = spin_lock_irqsave(&box);
	int n = shared_read(*p);

	spin_unlock_irqrestore(&box, flags);
	return n;
}

static void spin_set(int *p, int n)
{
	uint32_t flags = spin_lock_irqsave(&box);

	shared_write(*p, n);
	spin_unlock_irqrestore(&box, flags);
}

static int setup(struct stage *st maybe_unused)
{
	num = num3 = num5 = ain = go = adone = 0;
	ga = gb = gy = 0;
	bad = failed = false;
	init_completion(&comp, "completion");
	allocated = kzalloc(sizeof(*allocated));
	if (!allocated)
		return -ENOMEM;
	mutex_init(allocated, "allocated");
	return 0;
}

static void teardown(struct stage *st maybe_unused)
{
	kfree(allocated);
}

static bool is_good(struct stage *st maybe_unused)
{
	return !bad;
}

/* ---- readers ---------------------------------------------------------------------- */

static void readers_A(struct stage *st maybe_unused)
{
	down_read(&sem);
	spin_set(&ain, 1);
	ga = shared_read(num3);
	spin_set(&go, 1);
	wake_up(&queue);
	up_read(&sem);
	shared_write(num5, 1);
}

static void readers_C(struct stage *st maybe_unused)
{
	down_read(&sem);
	failed = !down_read_trylock(&sem);
	if (!failed)
		up_read(&sem);
	if (spin_get(&ain))
		wait_event(&queue, (spin_set(&num3, 1), spin_get(&go)));
	up_read(&sem);
	gy = shared_read(num);
}

static void readers_B(struct stage *st maybe_unused)
{
	down_write(&sem);
	spin_set(&num, 1);
	up_write(&sem);
	gb = shared_read(num5);
}

static bool readers_right(struct stage *st maybe_unused)
{
	return !(failed && ga == 1 && gy == 0 && gb == 0);
}

/* ---- window ----------------------------------------------------------------------- */

static void window_A(struct stage *st maybe_unused)
{
	mutex_lock(&door);
	if (spin_get(&num))
		bad = true;
	spin_set(&adone, 1);
	mutex_unlock(&door);
}

static void window_B(struct stage *st maybe_unused)
{
	mutex_lock(&door);
	if (!spin_get(&adone))
		wait_for_completion(&comp);
	mutex_unlock(&door);
}

static void window_C(struct stage *st maybe_unused)
{
	shared_write(num, 1);
}

static bool complete_it(struct stage *st maybe_unused,
			bool quietly maybe_unused)
{
	complete_all(&comp);
	return true;
}

/* ---- a condition with two reads --------------------------------------------------- */

static void condition_R(struct stage *st maybe_unused)
{
	wait_event(&queue, (ga = shared_read(num), gb = shared_read(num3), gb));
	bad = !ga;
}

static void condition_W(struct stage *st maybe_unused)
{
	shared_write(num, 1);
	shared_write(num3, 1);
	wake_up(&queue);
}

/* ---- two sections ----------------------------------------------------------------- */

static void adds_one(struct stage *st maybe_unused)
{
	int n = spin_get(&num);

	spin_set(&num, n + 1);
}

static bool both_added(struct stage *st maybe_unused)
{
	return num == 2;
}

/* ---- time ------------------------------------------------------------------------- */

static void looks_for_it(struct stage *st maybe_unused)
{
	bad = wait_for_completion_timeout(&comp, 0, 1);
}

static void waits_long_for_it(struct stage *st maybe_unused)
{
	bad = wait_for_completion_timeout(&comp, LONG_NS, 1);
}

static void gives_up(struct stage *st maybe_unused)
{
	bad = !wait_for_completion_timeout(&comp, LONG_NS, 1);
}

static void completes(struct stage *st maybe_unused)
{
	complete(&comp);
}

static void sleeps_for(uint64_t ns)
{
	shared_write(num, 1);
	sleep_ns(ns);
	shared_write(num, 2);
}

static void sleeps(struct stage *st maybe_unused)
{
	sleeps_for(LONG_NS);
}

static void naps(struct stage *st maybe_unused)
{
	sleeps_for(SHORT_NS);
}

/* It is wrong only if it comes during the sleep. */
static void looks(struct stage *st maybe_unused)
{
	bad = shared_read(num) == 1;
}

static void waits_for_go(uint64_t ns)
{
	bad = wait_event_timeout(&queue, &queue_wait, go, ns);
}

static void waits_long(struct stage *st maybe_unused)
{
	waits_for_go(LONG_NS);
}

static void waits_shortly(struct stage *st maybe_unused)
{
	waits_for_go(SHORT_NS);
}

static void says_go(struct stage *st maybe_unused)
{
	num = 1;
	go = 1;
	wake_up(&queue);
}

/* ---- interrupts of a thread that waits ---------------------------------------------- */

static void says_go_to_all(struct stage *st maybe_unused)
{
	go = 1;
	wake_up_all(&queue);
}

static void waits(struct stage *st maybe_unused)
{
	wait_event(&queue, go);
}

static void waits_and_looks(struct stage *st)
{
	waits(st);
	bad = thread_interrupted();
}

static void on_nothing(struct stage *st maybe_unused)
{
}

static void on_interrupts(struct stage *st)
{
	thread_interrupt(st->worker[0].thread);
}

static bool let_them_go(struct stage *st maybe_unused,
			bool quietly maybe_unused)
{
	go = 1;
	wake_up_all(&queue);
	return true;
}

/* ---- an interrupted wait ----------------------------------------------------------- */

static void interruptible(struct stage *st maybe_unused)
{
	failed = mutex_lock_interruptible(&door) != 0;
	if (!failed)
		mutex_unlock(&door);
	else
		bad = true;
}

static void gets_it(struct stage *st maybe_unused)
{
	interruptible(st);
	bad = !failed;
}

static void passes(struct stage *st maybe_unused)
{
	mutex_lock(&door);
	mutex_unlock(&door);
}

static void interrupts(struct stage *st)
{
	mutex_lock(&door);
	thread_interrupt(st->worker[0].thread);
	mutex_unlock(&door);
}

static void reads_under_it(struct stage *st maybe_unused)
{
	if (mutex_lock_interruptible(&door) == 0) {
		bad = !shared_read(num);
		mutex_unlock(&door);
	}
}

static void writes_before_it(struct stage *st maybe_unused)
{
	shared_write(num, 1);
	mutex_lock(&door);
	mutex_unlock(&door);
}

/* ---- an early wake-up --------------------------------------------------------------- */

static void sleeps_once(struct stage *st maybe_unused)
{
	struct wait_entry me = { .thread = NULL };

	prepare_to_wait(&queue, &me, &queue_wait, CALLER);
	shared_write(num, 1);
	schedule();
	finish_wait(&queue, &me);
	bad = shared_read(num3);
}

static void wakes(struct stage *st maybe_unused)
{
	wake_up(&queue);
}

static void on_writes(struct stage *st maybe_unused)
{
	shared_write(num3, 1);
}

static bool wake_it(struct stage *st maybe_unused, bool quietly maybe_unused)
{
	wake_up_all(&queue);
	return true;
}

/* ---- an allocated mutex ------------------------------------------------------------ */

static void waits_with_it(struct stage *st maybe_unused)
{
	mutex_lock(allocated);
	wait_for_completion(&comp);
	mutex_unlock(allocated);
}

static void takes_it_first(struct stage *st maybe_unused)
{
	mutex_lock(allocated);
	mutex_unlock(allocated);
	complete(&comp);
}

/* ---- scenarios -------------------------------------------------------------------- */

#define PART(name, check_it)                                                   \
	.part = "X5/" name, .about = "see the head of tests/own/orders.c",     \
	.forced.none = true, .world.setup = setup, .world.teardown = teardown, \
	.said.check = (check_it)
#define EITHER	   .said.outcome = COMPLETES | CORRUPT
#define BOTH(a, b) .actors = { { "A", ON_D, a }, { "B", ON_U, b } }

static const struct scenario scenarios[] = {
	{
		PART("readers", readers_right),
		.actors = { { "A", ON_D, readers_A },
			    { "C", ON_B, readers_C },
			    { "B", ON_U, readers_B } },
		EITHER,
	},
	{
		PART("window", is_good),
		.actors = { { "A", ON_D, window_A },
			    { "B", ON_U, window_B },
			    { "C", ON_B, window_C } },
		.said.outcome = COMPLETES | STUCK | CORRUPT,
		.cut.rescue = complete_it,
	},
	{
		PART("condition", is_good),
		.actors = { { "R", ON_D, condition_R },
			    { "W", ON_U, condition_W } },
		EITHER,
	},
	{ PART("sections", both_added), BOTH(adds_one, adds_one), EITHER },
	{ PART("no-time", is_good), BOTH(looks_for_it, completes), EITHER },
	{ PART("in-time", is_good), BOTH(waits_long_for_it, completes),
	  EITHER },
	{ PART("too-late", is_good), BOTH(gives_up, completes), EITHER },
	{ PART("sleeps", is_good), BOTH(sleeps, looks), EITHER },
	{ PART("long", is_good), BOTH(waits_long, says_go), EITHER },
	{ PART("short", is_good), BOTH(waits_shortly, says_go), EITHER },
	{ PART("naps", is_good), BOTH(naps, looks), EITHER },
	{
		PART("leaves", is_good),
		.actors = { { "A", ON_D, says_go_to_all },
			    { "B", ON_U, waits },
			    { "I", .fn = on_nothing, .interrupts = "B" } },
		.said.outcome = COMPLETES,
		.cut.rescue = let_them_go,
	},
	{
		PART("told", is_good),
		.actors = { { "A", ON_D, waits_and_looks },
			    { "B", ON_U, says_go },
			    { "I", .fn = on_interrupts, .interrupts = "A" } },
		EITHER,
		.cut.rescue = let_them_go,
	},
	{ PART("interrupt", is_good), BOTH(interruptible, interrupts), EITHER },
	{ PART("gets-it", is_good), BOTH(gets_it, interrupts), EITHER },
	{
		PART("handed", is_good),
		.actors = { { "A", ON_D, passes },
			    { "B", ON_U, interruptible },
			    { "C", ON_B, passes } },
		.said.outcome = COMPLETES,
	},
	{
		PART("before", is_good),
		.actors = { { "A", ON_D, passes },
			    { "B", ON_U, reads_under_it },
			    { "C", ON_B, writes_before_it } },
		EITHER,
	},
	{
		PART("woken", is_good),
		.actors = { { "A", ON_D, sleeps_once },
			    { "B", ON_U, wakes },
			    { "I", .fn = on_writes, .interrupts = "A" } },
		.said.outcome = COMPLETES | STUCK | CORRUPT,
		.cut.rescue = wake_it,
	},
	{ PART("heap", is_good), BOTH(waits_with_it, takes_it_first),
	  .said.outcome = COMPLETES | STUCK, .cut.rescue = complete_it },
};

DEMO(99, x5, .id = "X5", .slug = "x5-orders",
     .claim = "orders that are easily left out",
     .tried = { "For the explorer alone.", "See tests/own/orders.c." },
     .cores = 1, SCENARIOS(scenarios), .free_rounds = 1, .for_reader = true);
