/*
 * The explorer's engine: which thread takes the next step, and when a step is over.
 *
 * Owns `ex` (engine.h says who may use it).
 */
#include <string.h>

#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/access.h"
#include "kernel/explore/engine.h"
#include "kernel/explore/heap.h"
#include "kernel/explore/left.h"
#include "kernel/explore/state.h"
#include "kernel/hang/waitfor.h"
#include "kernel/rcu/rcu.h"

#if GORDIAN_DEBUG

/* Between two looks of settle(): LOOK_NS if the exploring thread has the lead,
 * LEAD_NS if an explored thread has it. */
#define LOOK_NS	    60000ull
#define LEAD_NS	    1000000ull
#define AWAKE_LOOKS 64 /* before the first LOOK_NS */
/* A step counts as endless if it lasts longer than STEP_NS and also longer than
 * STEP_LOOKS looks. The time alone says too little: a host may stop the guest
 * while the guest's clock goes on. */
#define STEP_NS	   10000000000ull
#define STEP_LOOKS 20000

struct engine ex = {
	/* explore_begin() does not initialise the queue: a thread of the last
	 * round may still hold the queue's lock. */
	.changed = WAIT_QUEUE_INIT(ex.changed, "a thread at a gate"),
};
static void gate_init(struct gate *g, struct thread *t)
{
	memset(g, 0, sizeof(*g));
	g->thread = t;
	g->id = t ? t->id : 0;
	wait_queue_init(&g->condition, "a condition, explore_await()");
}

void explore_begin(const struct explored *subject)
{
	unsigned int cpu;

	ex.subject = *subject;
	ex.runner = current;
	current->next_label = 0;	       /* the set-up is over */
	BUG_ON(subject->nr >= SEARCH_THREADS); /* one number is RCU's */
	for (unsigned int i = 0; i <= subject->nr; i++)
		gate_init(&ex.gate[i],
			  i < subject->nr ? subject->thread[i] : NULL);
	for (unsigned int i = 0; i < subject->nr; i++) {
		struct gate *g = &ex.gate[i];

		if (!subject->interrupts[i]) {
			g->thread->next_label = heap_first_label(i);
			continue;
		}
		g->bound = &ex.gate[subject->interrupts[i] - 1];
		g->bound->has_interrupts = true;
		g->phase = STANDS;
		g->op = TR_COMES;
		g->obj = g->thread;
		g->at_gate = true;
	}
	for_each_possible_cpu (cpu) {
		struct thread *t = rcu_sched_state.data[cpu].thread;

		gate_init(&ex.callbacks[cpu], t);
		/* Write `gated` even if it is to be false. In the last round
		 * the thread may have left wait_for_grant(), which sets
		 * `gated`, after explore_let_go() had cleared it. */
		if (t)
			WRITE_ONCE(t->gated, cpu != subject->toggled);
	}
	memset(&ex.footprint, 0, sizeof(ex.footprint));
	ex.timers = timers_armed_all();
	ex.no_step = ex.touched_at_rest = ex.over = ex.stops = false;
	ex.asleep = ex.timer_armed = false;
	ex.callbacks_left = ex.due = 0;
	ex.due_read = ex.due_written = ex.open = ex.runs_callbacks = false;
	WRITE_ONCE(ex.lead, NO_ONE);
	WRITE_ONCE(ex.gates_open, false);
	/* Release: all that this function has stored comes before `on`. */
	smp_store_release(&ex.on, true);
	WRITE_ONCE(explore_accesses, true);
}

static void end_wait(struct gate *g)
{
	WRITE_ONCE(g->thread->timed_out, true);
	wake_up_thread(g->thread, CALLER);
}

void explore_let_go(void)
{
	unsigned int cpu;

	WRITE_ONCE(explore_accesses, false);
	WRITE_ONCE(ex.no_step, false);
	WRITE_ONCE(ex.gates_open, true); /* before the wake-ups: the woken
					  * threads look at it */
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		struct gate *g = &ex.gate[i];
		bool sleeps = g->phase == SLEEPS && may_time_out(g);

		WRITE_ONCE(g->thread->timeless, false);
		if (sleeps)
			end_wait(g);
		sched_release(g->thread, &g->go);
	}
	for_each_possible_cpu (cpu)
		if (ex.callbacks[cpu].thread) {
			WRITE_ONCE(ex.callbacks[cpu].thread->gated, false);
			sched_release(ex.callbacks[cpu].thread,
				      &ex.callbacks[cpu].go);
		}
}

void explore_end(void)
{
	WRITE_ONCE(explore_accesses, false);
	WRITE_ONCE(ex.on, false);
}

/* On each core with callbacks, is the callback thread held at its gate? A core
 * does not count if it is off, or if its callback thread is parked because the
 * core goes. */
static bool callbacks_rest(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		const struct gate *g = &ex.callbacks[cpu];

		/* Acquires: the first pairs with the release in stop_at_gate().
		 * The second pairs with the release in invoke_batch(), so that
		 * the effects of callbacks that have run are seen. */
		if (g->thread && cpu_is_online(cpu) &&
		    !smp_load_acquire(&g->at_gate) &&
		    smp_load_acquire(&rcu_sched_state.data[cpu].cbs.len) &&
		    READ_ONCE(g->thread->state) != TASK_PARKED)
			return false;
	}
	return true;
}

/* Does the environment touch nothing that the threads read? It may touch such
 * things if an experiment has replaced the grace period. */
static bool environment_is_apart(void)
{
	return READ_ONCE(rcu_sched_state.grace_period) == rcu_grace_period;
}

/* Do the grace periods rest? They rest if none runs and none is requested, or
 * if the grace-period thread waits for an event, and not for time. */
static bool grace_periods_rest(void)
{
	return rcu_gp_is_quiet() || waits_for_event(rcu_sched_state.thread);
}

/* The gate of the first callback thread that is held before a callback, or
 * NULL. */
static struct gate *waiting_callback(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		/* Acquire: pairs with the release in stop_at_gate(). */
		if (smp_load_acquire(&ex.callbacks[cpu].at_gate))
			return &ex.callbacks[cpu];
	return NULL;
}

bool callbacks_can_run(void)
{
	return READ_ONCE(ex.due) && waiting_callback();
}

/* May a callback run now, as a part of the current step? In RCU's step the
 * callbacks may run that were due when the step began. In any step a callback
 * may run if none is due: the callback is then one of rcu_barrier(). */
static bool callbacks_may_run(void)
{
	return ((ex.runs_callbacks && READ_ONCE(ex.ran) < ex.to_run) ||
		!READ_ONCE(ex.due)) &&
	       waiting_callback();
}

/* Let one callback run, if one waits. Returns whether one runs. */
static bool let_callback_run(void)
{
	struct gate *g = callbacks_may_run() ? waiting_callback() : NULL;

	if (!g)
		return false;
	WRITE_ONCE(g->at_gate, false);
	sched_release(g->thread, &g->go);
	return true;
}

/* Is it certain, at one look, that nothing happens without another step?
 * arrived: must the woken threads have come to their gates? */
static bool all_rest(bool arrived)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct gate *g = &ex.gate[i];

		if (has_ended(i) || g->phase == STANDS)
			continue;
		/* A thread that falls asleep first passes the lead on, and then
		 * leaves its core. waits_for() counts it only afterwards.
		 * Acquire: pairs with the release in reschedule(). */
		if (g->phase == SLEEPS && !was_woken(g) &&
		    (may_time_out(g) || waits_for_a_thread(g)) &&
		    (g->sleeps_here || !smp_load_acquire(&g->thread->on_rq)))
			continue;
		if (g->phase == MOVES || (g->phase == SLEEPS && !was_woken(g)))
			return false;
		/* Acquire: pairs with the release in stop_at_resume(). */
		if (arrived && !g->sleeps_here &&
		    !smp_load_acquire(&g->at_gate))
			return false;
	}
	/* If callbacks of the threads are left, their grace period must have
	 * ended: later steps may look at these callbacks. If a thread has armed
	 * a timer, one look cannot tell whether the timer will expire: settle()
	 * looks more than once. */
	return !READ_ONCE(ex.timer_armed) && callbacks_rest() &&
	       environment_is_apart() &&
	       (!READ_ONCE(ex.callbacks_left) || grace_periods_rest()) &&
	       !callbacks_may_run();
}

/* Has thread i, with gate g, stopped until its next step, as far as one look
 * can tell? */
static bool at_rest(const struct gate *g, unsigned int i)
{
	return has_ended(i) || smp_load_acquire(&g->at_gate) ||
	       g->sleeps_here || (g->phase == SLEEPS && may_time_out(g));
}

/* Is nothing running or about to run, and was none of the threads switched in
 * since the last look? switches: the threads' counts at the last look, updated
 * here. */
static bool nothing_runs(uint32_t *switches)
{
	bool still = cores_idle() && grace_periods_rest() &&
		     timers_armed_all() <= ex.timers;

	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct thread *t = READ_ONCE(ex.gate[i].thread);
		uint32_t n;

		if (at_rest(&ex.gate[i], i))
			continue;
		n = READ_ONCE(t->switches);
		if (!waits_for_event(t) || switches[i] != n)
			still = false;
		switches[i] = n;
	}
	return still;
}

/* g is the gate of a declared interrupt, b the gate of the thread that it
 * interrupts. May the interrupt begin? It runs at the place where the thread is
 * held. */
static bool may_begin(const struct gate *g)
{
	const struct gate *b = g->bound;

	return !b->masked && !has_ended((unsigned int)(b - ex.gate)) &&
	       (b->phase == STANDS || b->awaits || b->sleeps_here ||
		b->phase == WOKEN);
}

/* Can the thread take a step? (gates.h says what that means.) */
static bool is_enabled(const struct gate *g)
{
	if (g->in)
		return false;
	if (g->bound && !g->begun)
		return may_begin(g);
	if (g->awaits)
		return g->holds;
	if (g->phase != STANDS)
		return g->phase == WOKEN ||
		       (g->phase == SLEEPS && may_time_out(g));
	return !would_wait(g->op, g->obj);
}

/* The threads that can take a step, as bits. */
static unsigned int enabled_threads(void)
{
	unsigned int able = 0;

	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!has_ended(i) && is_enabled(&ex.gate[i]))
			able |= 1u << i;
	if (ex.open)
		able |= 1u << ex.subject.nr;
	return able;
}

/* A step has ended, unless this is the first call: tell the client (step_over()).
 * Then choose the next step. Returns its thread, or NO_ONE if there is no next
 * step. */
static int next_step(void)
{
	struct footprint f;
	unsigned int able, gates = 1;
	struct gate *last;
	int n;

	ex.runs_callbacks = false;
	take_footprint(&f);
	if (ex.over && ex.subject.step_over)
		ex.subject.step_over(ex.subject.arg, &f);
	ex.over = false;
	able = enabled_threads();
	if (!able)
		return NO_ONE;
	for (last = ex.gate; last < ex.gate + ex.subject.nr; last++)
		if (last->granted && last->passes &&
		    able & 1u << (last - ex.gate))
			return last->passes--, (int)(last - ex.gate);
	n = ex.subject.choose(ex.subject.arg, able, &gates);
	if (n >= 0 && n < (int)ex.subject.nr)
		ex.gate[n].passes = gates - 1;
	return n < 0 ? NO_ONE : n;
}

/* Pass the lead to thread n, or (NO_ONE) to the exploring thread. */
static void pass_lead(int n)
{
	/* Release: pairs with the acquires in stop_at_resume(), end_step() and
	 * have_lead(). */
	smp_store_release(&ex.lead, n);
	if (n == NO_ONE)
		wake_up(&ex.changed);
}

/* Let RCU take a step: run the callbacks that are due. */
static void grant_callbacks(void)
{
	WRITE_ONCE(ex.no_step, false);
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		ex.gate[i].granted = false;
	ex.runs_callbacks = true;
	ex.ran = 0;
	ex.to_run = (unsigned int)READ_ONCE(ex.due);
	/* A thread that holds a spinlock is an RCU reader. Without the explorer
	 * the callbacks might have to wait for this reader. */
	if (any_spinlock_is_held())
		left_out(LEFT_READERS);
	ex.grants++;
	ex.over = true;
	pass_lead(NO_ONE);
}

/* Let number n, an enabled thread or RCU, take a step. */
static void grant(int n)
{
	struct gate *g = &ex.gate[n];
	bool times_out = g->phase == SLEEPS && may_time_out(g);
	bool *go = &g->go;

	if (n == (int)ex.subject.nr) {
		grant_callbacks();
		return;
	}
	WRITE_ONCE(ex.no_step, false);
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		ex.gate[i].granted = &ex.gate[i] == g;
	g->touched = g->announced = g->leaves = false;
	if (g->has_interrupts)
		touch(NULL, RUNS_OF(n), TOUCH_READ, false);
	if (g->bound && !g->begun) {
		g->begun = true;
		g->bound->in = g;
		go = &g->bound->go;
	}
	if (times_out)
		touch(g, WAKE_OF(n), TOUCH_WRITE, false);
	g->phase = MOVES;
	ex.grants++;
	ex.over = true;
	pass_lead(n);
	if (times_out)
		end_wait(g);
	sched_release(g->thread, go);
}

void end_step(struct gate *g)
{
	int n = NO_ONE;

	/* Acquire: pairs with the release in pass_lead(). */
	if (!is_explored(g) || smp_load_acquire(&ex.lead) != g - ex.gate) {
		wake_up(&ex.changed);
		return;
	}
	if (ex.subject.anywhere && all_rest(false)) {
		n = next_step();
		ex.stops = n == NO_ONE;
	}
	if (n == NO_ONE)
		pass_lead(NO_ONE);
	else
		grant(n);
}

const struct thread *explore_stray(void)
{
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!at_rest(&ex.gate[i], i) &&
		    !waits_for_event(ex.gate[i].thread))
			return ex.gate[i].thread;
	return NULL;
}

/* Does the exploring thread have the lead? If a BUG has ended the thread that
 * had the lead, the exploring thread takes the lead back. */
static bool have_lead(void)
{
	/* Acquire: pairs with the release in pass_lead(). */
	int n = smp_load_acquire(&ex.lead);

	if (n == NO_ONE)
		return true;
	/* Another thread may have taken the dead thread's place
	 * (explore_become()), and may be passing the lead on just now. So
	 * compare and exchange. Acquire: as above. */
	return READ_ONCE(ex.gate[n].thread->exited) &&
	       __atomic_compare_exchange_n(&ex.lead, &n, NO_ONE, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* The environment rests, and the leading thread still sleeps: its step is
 * over. */
static void end_step_of_sleeper(void)
{
	struct gate *g = &ex.gate[ex.lead];

	touch_sleep(g);
	if (g->has_interrupts) /* g is not held at a gate, so no interrupt can
				* run on its thread */
		set_masked(g, g, true);
	WRITE_ONCE(ex.asleep, false);
	WRITE_ONCE(ex.lead, NO_ONE);
}

/* Wait until no explored thread has the lead and nothing happens without
 * another step. Returns false if the present step seems endless (STEP_NS). */
static bool settle(void)
{
	uint32_t switches[SEARCH_THREADS] = { 0 };
	uint64_t begun = timer_now();
	unsigned int looks = 0, grants = ex.grants;
	uint32_t sum, last = 0;
	bool slept = false; /* at the last look all other cores slept */

	for (;;) {
		bool lead = have_lead(), still;

		if (lead && all_rest(true))
			return true;
		if (lead && callbacks_rest() && let_callback_run())
			continue;
		/* Acquire: pairs with the release in note_block(). */
		still = (lead || smp_load_acquire(&ex.asleep)) &&
			nothing_runs(switches) && other_cores_sleep(&sum);
		if (still && (!slept || sum != last)) {
			slept = true;
			last = sum;
			continue;
		}
		if (still && !let_callback_run()) {
			if (!lead)
				end_step_of_sleeper();
			return true;
		}
		slept = false;
		if (READ_ONCE(ex.grants) != grants) {
			grants = READ_ONCE(ex.grants);
			begun = timer_now();
			looks = 0;
		}
		if (looks > STEP_LOOKS &&
		    timer_ns(timer_now() - begun) > STEP_NS)
			return false;
		/* At first only yield, in case the step needs this core. Do not
		 * sleep yet: most steps end in less time than a sleep and a
		 * wake-up take. */
		if (!lead || looks++ >= AWAKE_LOOKS)
			looks++, (void)wait_event_timeout(
					 &ex.changed, &gate_wait,
					 READ_ONCE(ex.lead) == NO_ONE &&
						 all_rest(true),
					 lead ? LOOK_NS : LEAD_NS);
		else
			yield();
	}
}

unsigned int explore_run(void)
{
	unsigned int left = 0;
	bool rests;
	int n = 0;

	while ((rests = settle()) && !ex.stops && (n = next_step()) >= 0)
		grant(n);
	if (!rests)
		return EXPLORE_STRAY;
	for (unsigned int i = 0; i < ex.subject.nr; i++)
		if (!has_ended(i) && (!ex.gate[i].bound || ex.gate[i].begun))
			left |= 1u << i;
	return left;
}

unsigned int explore_gates_left(unsigned int i)
{
	return ex.gate[i].passes;
}

void explore_standing(struct standing *out)
{
	out[ex.subject.nr] = (struct standing){ .where = STAND_AT_POINT,
						.op = TR_RCU_CB,
						.thing = THE_DUE,
						.how = TOUCH_WRITE,
						.takes = true,
						.vague = true };
	for (unsigned int i = 0; i < ex.subject.nr; i++) {
		const struct gate *g = &ex.gate[i];
		struct standing *s = &out[i];

		memset(s, 0, sizeof(*s));
		if (has_ended(i)) {
			s->where = STAND_ENDED;
		} else if (g->awaits) {
			s->where = STAND_AT_POINT;
			s->op = TR_AWAIT;
			s->thing = AWAIT_OF(i);
			s->how = TOUCH_READ;
			s->takes = s->vague = true;
		} else if (g->phase == WOKEN ||
			   (g->phase == SLEEPS && may_time_out(g))) {
			s->where = STAND_AT_POINT;
			s->op = g->phase == WOKEN ? TR_RESUME : TR_BLOCK;
			s->thing = WAKE_OF(i);
			s->how = g->phase == WOKEN ? TOUCH_READ : TOUCH_WRITE;
			s->takes = !may_time_out(g);
			s->vague = true;
		} else if (g->phase == STANDS) {
			s->where = STAND_AT_POINT;
			s->op = (uint16_t)g->op;
			s->how = TOUCH_WRITE;
			if (g->op == TR_WAKE)
				s->thing = (uintptr_t)g->obj;
			else if (!touched_thing(g->op, name_of(g->op, g->obj),
						&s->thing, &s->how))
				s->thing = 0;
			s->thing = stable_name(s->thing);
			s->takes = g->op == TR_LOCK || g->op == TR_SPIN_LOCK;
			s->vague = !s->takes;
		}
		if (s->where == STAND_AT_POINT && g->op == TR_CALL_CORE &&
		    g->phase == STANDS) {
			s->thing = IRQS_OF(gate_of(g->obj) - ex.gate);
			s->how = TOUCH_READ;
			s->takes = true;
		}
		if (s->where == STAND_AT_POINT && g->bound && !g->begun) {
			s->thing = COMES_OF(g->bound - ex.gate);
			s->how = TOUCH_WRITE;
			s->takes = true;
		}
		if (s->where == STAND_AT_POINT && g->has_interrupts) {
			s->also = (uint16_t)RUNS_OF(i);
			s->vague = true;
		}
	}
}

bool explore_pending(unsigned int i, enum trace_op *op, const void **obj,
		     uintptr_t *caller)
{
	const struct gate *g = &ex.gate[i];

	if (i == ex.subject.nr) {
		*op = TR_RCU_CB;
		*obj = &rcu_sched_state;
		*caller = 0;
		return ex.open;
	}
	if (g->phase != STANDS && g->phase != WOKEN && !g->awaits)
		return false;
	*op = g->phase == WOKEN ? TR_RESUME : g->op;
	*obj = g->obj;
	*caller = g->caller;
	return true;
}
#endif
