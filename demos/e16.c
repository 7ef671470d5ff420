/*
 * E16: two readers in turn, and a writer that wants in.
 *
 * No mail has this. Linux's own comment on cpu_hotplug_begin() does: the writer waits
 * until the count is 0, and readers that keep coming can keep it waiting. The comment
 * calls that a livelock and thinks it unlikely. Here two readers take turns, so that one
 * is always inside before the other leaves. The count goes 1, 2, 1, 2. U looks at the
 * count and sleeps until a put makes it 0, but no put does.
 *
 * Control: a rw-semaphore that prefers writers (Linux since 2017). A reader that comes
 * after U queues behind U, and the reader inside leaves. (A reader leaves when the other
 * one is inside, or when the other one has been queued.)
 *
 * The readers go on for BOUND gets after U's first look, and then stop, so U gets in and
 * every function runs to its end. Nothing here depends on how much time a thread gets: a
 * reader that is preempted stays inside.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/lib/printf.h"

#define BOUND 10000u /* if a writer waits for so many gets, it starves */
#define FEW   2u /* gets that are under way when U looks: one of each reader */

#define R1_ACTOR 0
#define R2_ACTOR 2

static struct {
	struct wait_queue turn;
	uint32_t got; /* gets so far; written by the reader whose turn it is */
	bool over;    /* the readers must stop; atomic */
	/* Written in U's context by the listener; the check reads them: */
	uint32_t looks; /* times that U found readers inside */
	uint32_t gets_at_look, gets_at_service;
	uint64_t look_time, served_time;
	/* Written under cpu_hotplug.lock by the listener: */
	intptr_t low; /* the lowest count after U's first look */
} relay = { .turn = WAIT_QUEUE_INIT(relay.turn, "the other reader") };

/* Is t a reader that is queued behind the writer? */
static bool is_queued(const struct thread *t)
{
	return READ_ONCE(t->waiting.ops) == &percpu_read_wait;
}

/* The number of gets so far. Acquire: pairs with the release in read_in_turn(). */
static uint32_t gets_so_far(void)
{
	return smp_load_acquire(&relay.got);
}

static bool readers_must_stop(void)
{
	uint32_t looked = READ_ONCE(relay.gets_at_look);

	return READ_ONCE(relay.over) ||
	       (looked && gets_so_far() - looked >= BOUND);
}

/* A reader looks again after a while, because the writer's arrival wakes no
 * reader. */
#define wait_until(cond)                                                       \
	while (!wait_event_timeout(&relay.turn, &queue_wait,                   \
				   (cond) || readers_must_stop(), 1000000))    \
		;

/* Get in when n gets have been made, then when n + 2 have been made, and so on.
 * Stay inside until the other reader is inside or queued. */
static void read_in_turn(const struct thread *other, uint32_t n)
{
	for (;; n += 2) {
		wait_until(gets_so_far() == n);
		if (readers_must_stop())
			return;
		get_online_cpus();
		/* Release: pairs with the acquire in gets_so_far(). */
		smp_store_release(&relay.got, n + 1);
		wake_up_all(&relay.turn);
		wait_until(gets_so_far() != n + 1 || is_queued(other));
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

/* U starts when the two readers have taken four references, two each. */
static void actor_U_among_readers(struct stage *st)
{
	wait_event(&relay.turn, gets_so_far() >= 4);
	actor_U(st);
}

static void note_readers_inside(const struct trace_event *e)
{
	if (relay.looks++ == 0) {
		relay.look_time = e->time;
		WRITE_ONCE(relay.gets_at_look, gets_so_far());
	}
}

static void note_u_got_in(const struct trace_event *e)
{
	relay.served_time = e->time;
	relay.gets_at_service = gets_so_far();
	WRITE_ONCE(relay.over, true);
}

static void listen_to_u(struct stage *st maybe_unused, int actor,
			const struct trace_event *e)
{
	bool rwsem = e->obj == &cpu_hotplug_lock;

	if (e->op == TR_PUT_ONLINE && READ_ONCE(relay.gets_at_look) &&
	    !readers_must_stop() && (intptr_t)e->arg < relay.low)
		relay.low = (intptr_t)e->arg;
	if (actor != U_ACTOR)
		return;
	if (e->op == TR_HP_WAIT || (rwsem && e->op == TR_WRITE_CONTEND))
		note_readers_inside(e);
	if (e->op == TR_HP_BEGIN || (rwsem && e->op == TR_WRITE_LOCK))
		note_u_got_in(e);
}

static int setup_relay(struct stage *st)
{
	relay.got = relay.looks = relay.gets_at_look = relay.gets_at_service =
		0;
	relay.over = false;
	relay.low = INTPTR_MAX;
	return setup_core(st);
}

/* How many gets of the readers came while U waited. */
static uint32_t gets_while_u_waited(void)
{
	return relay.gets_at_service - relay.gets_at_look;
}

/* Print how long U waited, in gets of the readers and in the guest's time. */
static void print_wait(const struct stage *st)
{
	uint64_t us = timer_ns(relay.served_time - relay.look_time) / 1000;

	kprintf("U takes core %u %s: looked %u time%s, waited %u reader gets, "
		"%u.%06u s\n",
		st->toggled, st->up ? "up" : "down", relay.looks,
		relay.looks == 1 ? "" : "s", gets_while_u_waited(),
		(unsigned int)(us / 1000000), (unsigned int)(us % 1000000));
	if (!relay.looks)
		kprintf("  U found no reader inside, so this run tests nothing\n");
}

static bool writer_starved(struct stage *st)
{
	bool starved = relay.looks && gets_while_u_waited() >= BOUND &&
		       relay.low > 0;

	print_wait(st);
	if (starved)
		kprintf("  the bound is %u gets: starved. The count was never "
			"below %d\n  until the readers stopped; then U got in.\n",
			BOUND, (int)relay.low);
	else
		kprintf("  unexpected: the bound is %u gets, the lowest "
			"count was %d\n",
			BOUND, (int)relay.low);
	return starved;
}

static bool writer_served(struct stage *st)
{
	bool served = relay.looks && gets_while_u_waited() <= FEW;

	print_wait(st);
	kprintf("  the bound is %u gets: %s\n", FEW,
		served ? "served when the readers inside had left" :
			 "unexpected: U waited longer");
	return served;
}

#define U_AMONG_READERS                                                        \
	.actors = { { "R1", ON_D, actor_R1 },                                  \
		    { "U", ON_U, actor_U_among_readers },                      \
		    { "R2", ON_D, actor_R2 } },                                \
	.world.toggles = true, .world.setup = setup_relay,                     \
	.world.listen = listen_to_u, .forced.none = true,                      \
	.said.outcome = COMPLETES,                                             \
	.search.none =                                                         \
		"a starved writer waits for ever: no schedule would end"

static const struct scenario e16[] = {
	{
		.part = "E16/counter",
		.about = "the counter: no put makes it 0",
		U_AMONG_READERS,
		.said.check = writer_starved,
		.free.apart = true,
	},
	{
		.part = "E16/rwsem",
		.about = "the rw-semaphore: a reader that comes after U waits",
		U_AMONG_READERS,
		.world.hotplug = &hotplug_rwsem_ops,
		.said.check = writer_served,
	},
};

DEMO(16, e16, .id = "E16", .slug = "e16-starve",
     .claim = "two readers in turn starve the writer of a counter",
     .tried = { "Two readers, one always inside before the other leaves, and U. How",
		"many of their gets does U wait for? Control: a rw-semaphore." },
     .cores = 2, SCENARIOS(e16), .free_rounds = 2);
