/*
 * R1: a reader delays a grace period.
 *
 * No mail is about this. The experiment shows one mechanism by itself; others build on
 * this mechanism. W waits in synchronize_rcu() while R reads. A grace period ends when
 * every core has passed through a quiescent state, and R's core has none while R reads.
 * The command `rcu` names the core that the grace period waits for, and the reader on it.
 * When R ends, the wait ends.
 *
 * The check, in forced and free rounds: if a reader began before W's call, it has ended
 * when the call returns. Control: R2, in which W does not wait.
 *
 * r1: each flag and each time has one writer, named beside it.
 */
#include "lab/experiment.h"
#include "kernel/lib/printf.h"

#define READ_NS 500000ull /* R reads so long in free rounds */
#define LOOK_NS 100000ull /* between two looks of S */
#define W_ACTOR 1

static struct {
	bool inside;	       /* R: it is in its reader */
	bool called;	       /* W: it calls synchronize_rcu() */
	bool let_go;	       /* S: R may end */
	bool looked;	       /* S: the grace period waited for R alone */
	uint64_t began, ended; /* R: the times of its reader */
	uint64_t call, back;   /* W: the times of its call */
} r1;

static int setup_r1(struct stage *st maybe_unused)
{
	r1 = (typeof(r1)){ .inside = false };
	return 0;
}

static bool must_read_on(const struct stage *st)
{
	/* Acquire: pairs with the release in actor_S(). */
	return st->forced ? !smp_load_acquire(&r1.let_go) :
			    timer_ns(timer_now() - r1.began) < READ_NS;
}

static void actor_R(struct stage *st)
{
	rcu_read_lock();
	r1.began = timer_now();
	note("rcu_read_lock()");
	/* Release: pairs with the acquire in actor_W(). */
	smp_store_release(&r1.inside, true);
	while (must_read_on(st))
		cpu_relax();
	note("rcu_read_unlock()");
	r1.ended = timer_now();
	rcu_read_unlock();
}

static void actor_W(struct stage *st)
{
	/* Acquire: pairs with the release in actor_R(). */
	while (st->forced && !smp_load_acquire(&r1.inside))
		sleep_ns(LOOK_NS);
	r1.call = timer_now();
	/* Release: pairs with the acquire in actor_S(). */
	smp_store_release(&r1.called, true);
	synchronize_rcu();
	r1.back = timer_now();
	note("it returns");
}

static bool gp_waits_for_r_alone(const struct stage *st)
{
	struct cpumask reader = cpumask_of(st->worker[0].cpu);

	/* Acquire: pairs with the release in actor_W(). */
	return smp_load_acquire(&r1.called) &&
	       rcu_owed(&rcu_sched_state).bits == reader.bits;
}

/* S acts like a user at the shell: while R is the only reader that the grace
 * period waits for, S runs the command `rcu`. If W has returned without
 * waiting, S lets R go, and the check fails. */
static void actor_S(struct stage *st)
{
	if (!st->forced)
		return;
	while (!r1.looked && !worker_ended(&st->worker[W_ACTOR])) {
		r1.looked = gp_waits_for_r_alone(st);
		if (!r1.looked)
			sleep_ns(LOOK_NS);
	}
	if (r1.looked) {
		note("rcu");
		kprintf("meanwhile the command `rcu` prints:\n");
		rcu_print();
		kprintf("\n");
	}
	/* Release: pairs with the acquire in must_read_on(). */
	smp_store_release(&r1.let_go, true);
}

/* The check: if R's reader began before W's call, it ended before W's return. */
static bool reader_was_waited_for(struct stage *st)
{
	if (st->forced && !r1.looked)
		return false;
	return (int64_t)(r1.call - r1.began) <= 0 ||
	       (int64_t)(r1.back - r1.ended) >= 0;
}

static void show_r1(struct stage *st maybe_unused)
{
	bool after = (int64_t)(r1.back - r1.ended) < 0;
	uint64_t apart = after ? r1.ended - r1.back : r1.back - r1.ended;

	kprintf("W waited %u us; the reader ended %u us %s W returned\n",
		(unsigned int)timer_ns(r1.back - r1.call) / 1000,
		(unsigned int)timer_ns(apart) / 1000,
		after ? "after" : "before");
}

static const struct scenario r1_reader[] = {
	{
		.about = "R reads until S has looked",
		.actors = { { "R", ON_D, actor_R },
			    { "W", ON_U, actor_W },
			    { "S", ON_B, actor_S } },
		.world.setup = setup_r1,
		.said.outcome = COMPLETES,
		.said.check = reader_was_waited_for,
		.show.rcu = true,
		.show.evidence = show_r1,
		.search.none = "it shows how long a wait lasts, not an order",
	},
};

DEMO(20r1, r1, .id = "R1", .slug = "r1-reader",
     .claim = "a reader delays a grace period",
     .tried = { "R reads, W waits in synchronize_rcu(), S runs the command `rcu`: it",
		"must name R and its core. When R ends, the wait ends." },
     .cores = 2, SCENARIOS(r1_reader), .free_rounds = 50);
