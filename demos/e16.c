/*
 * E16: readers hand over hand, and a writer that wants in.
 *
 * What is said of the counter in Linux's own comment on cpu_hotplug_begin():
 * the writer waits until the count is 0, and readers that keep coming can keep
 * it waiting (a livelock, thought unlikely). Here two readers take turns so that
 * one always is inside before the other leaves: the count goes 1, 2, 1, 2. U
 * looks at it, sleeps until a put makes it 0, and none does.
 *
 * A writer-preferring rw-semaphore (Linux since 2017) is the control: the reader
 * that comes after U queues behind it, and the one inside leaves. That is also
 * all that a reader here waits for: it leaves when the other one is inside, or
 * when the other one has been made to wait in line.
 *
 * The readers go on for BOUND rounds, a round being a get, counted from U's
 * first look, and then stop: U gets in, every function runs to its end. Nothing
 * here depends on who gets how much time: a reader that is preempted stays
 * inside.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"

#define BOUND 10000u /* reader rounds: a writer not served by then is starved */
#define FEW   2u     /* each reader has one get under way when U looks */

#define R1_ACTOR 0
#define R2_ACTOR 2

static struct {
	struct wait_queue turn;
	uint32_t got; /* gets so far; written by the reader whose turn it is */
	bool over;    /* the readers stop; atomic */
	/* Written in U's context, by the listener, read by check(): */
	uint32_t looks; /* times that U found readers inside */
	uint32_t look_round, served_round;
	uint64_t look_time, served_time;
	/* Written under cpu_hotplug.lock, by the listener: */
	intptr_t low; /* the least count after U's first look */
} relay = { .turn = WAIT_QUEUE_INIT(relay.turn, "the other reader") };

static bool in_line(const struct thread *t)
{
	return READ_ONCE(t->waiting.ops) == &percpu_read_wait;
}

/* Acquire: pairs with the release in read_in_turn(). */
static uint32_t rounds_so_far(void)
{
	return smp_load_acquire(&relay.got);
}

static bool readers_stop(void)
{
	uint32_t looked = READ_ONCE(relay.look_round);

	return READ_ONCE(relay.over) ||
	       (looked && rounds_so_far() - looked >= BOUND);
}

/* The writer's arrival wakes nobody here, so a reader looks now and then. */
#define wait_until(cond)                                                       \
	while (!wait_event_timeout(&relay.turn, &queue_wait,                   \
				   (cond) || readers_stop(), 1000000))         \
		;

static void read_in_turn(const struct thread *other, uint32_t n)
{
	for (;; n += 2) {
		wait_until(rounds_so_far() == n);
		if (readers_stop())
			return;
		get_online_cpus();
		/* Release: pairs with the acquire in rounds_so_far(). */
		smp_store_release(&relay.got, n + 1);
		wake_up_all(&relay.turn);
		wait_until(rounds_so_far() != n + 1 || in_line(other));
		put_online_cpus();
	}
}

static void actor_R1(struct stage *st)
{
	read_in_turn(st->worker[R2_ACTOR].thread, 0);
}

static void actor_R2(struct stage *st)
{
	read_in_turn(st->worker[R1_ACTOR].thread, 1);
}

/* U, when both readers are at it. */
static void actor_U_among_readers(struct stage *st)
{
	wait_event(&relay.turn, rounds_so_far() >= 4);
	actor_U(st);
}

static void u_looks(const struct trace_event *e)
{
	if (relay.looks++ == 0) {
		relay.look_time = e->time;
		WRITE_ONCE(relay.look_round, rounds_so_far());
	}
}

static void u_is_served(const struct trace_event *e)
{
	relay.served_time = e->time;
	relay.served_round = rounds_so_far();
	WRITE_ONCE(relay.over, true);
}

static void listen_to_u(struct stage *st maybe_unused, int actor,
			const struct trace_event *e)
{
	bool rwsem = e->obj == &cpu_hotplug_lock;

	if (e->op == TR_PUT_ONLINE && READ_ONCE(relay.look_round) &&
	    !readers_stop() && (intptr_t)e->arg < relay.low)
		relay.low = (intptr_t)e->arg;
	if (actor != U_ACTOR)
		return;
	if (e->op == TR_HP_WAIT || (rwsem && e->op == TR_WRITE_CONTEND))
		u_looks(e);
	if (e->op == TR_HP_BEGIN || (rwsem && e->op == TR_WRITE_LOCK))
		u_is_served(e);
}

static int setup_relay(struct stage *st)
{
	relay.got = relay.looks = relay.look_round = relay.served_round = 0;
	relay.over = false;
	relay.low = INTPTR_MAX;
	return setup_core(st);
}

/* What U waited, in reader rounds; said in guest time too. */
static uint32_t say_wait(const struct stage *st)
{
	uint32_t rounds = relay.served_round - relay.look_round;
	uint64_t us = timer_ns(relay.served_time - relay.look_time) / 1000;

	kprintf("U takes core %u %s: looked %u time%s, waited %u reader rounds, "
		"%u.%06u s\n",
		st->toggled, st->up ? "up" : "down", relay.looks,
		relay.looks == 1 ? "" : "s", rounds,
		(unsigned int)(us / 1000000), (unsigned int)(us % 1000000));
	if (!relay.looks)
		kprintf("  it found no reader inside: not the case in question\n");
	return rounds;
}

static bool is_starved(struct stage *st)
{
	uint32_t rounds = say_wait(st);
	bool starved = relay.looks && rounds >= BOUND && relay.low > 0;

	if (starved)
		kprintf("  the bound is %u: starved. The count was never below "
			"%d until the\n  readers stopped; then U got in.\n",
			BOUND, (int)relay.low);
	else
		kprintf("  unexpected: the bound is %u rounds, the least "
			"count was %d\n",
			BOUND, (int)relay.low);
	return starved;
}

static bool is_served(struct stage *st)
{
	bool served = say_wait(st) <= FEW && relay.looks;

	kprintf("  the bound is %u: %s\n", FEW,
		served ? "served when those inside had left" : "unexpected");
	return served;
}

static const struct scenario e16[] = {
	{
		.part = "E16/counter",
		.search.none = "starvation: no schedule of it ends",
		.about = "the counter: nobody makes it 0",
		.actors = { { "R1", ON_D, actor_R1 },
			    { "U", ON_U, actor_U_among_readers },
			    { "R2", ON_D, actor_R2 } },
		.said.outcome = COMPLETES,
		.forced.none = true,
		.world.toggles = true,
		.free.apart = true,
		.world.setup = setup_relay,
		.world.listen = listen_to_u,
		.said.check = is_starved,
	},
	{
		.part = "E16/rwsem",
		.search.none = "starvation: no schedule of it ends",
		.about = "the rw-semaphore: who comes after U waits for U",
		.actors = { { "R1", ON_D, actor_R1 },
			    { "U", ON_U, actor_U_among_readers },
			    { "R2", ON_D, actor_R2 } },
		.said.outcome = COMPLETES,
		.forced.none = true,
		.world.toggles = true,
		.world.hotplug = &hotplug_rwsem_ops,
		.world.setup = setup_relay,
		.world.listen = listen_to_u,
		.said.check = is_served,
	},
};

DEMO(16, e16, .id = "E16", .slug = "e16-starve",
     .claim = "readers hand over hand starve the writer of a counter",
     .tried = { "Two readers, one always inside before the other leaves, and U.",
		"How many of their rounds does U wait? Control: a rw-semaphore." },
     .cores = 2, SCENARIOS(e16), .free_rounds = 2);
