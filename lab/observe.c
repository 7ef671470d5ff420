/*
 * Two readers of the event stream, for the experiment that runs: the gate that
 * holds actors for a forced order, and the listener that notes events.
 *
 * `running` changes only while no actor runs. The listener is called at every
 * trace point, perhaps under a spinlock: it only looks and counts. The gate is
 * called where the thread may sleep.
 */
#include <string.h>

#include "lab/stage.h"
#include "kernel/cpu/smp.h"
#include "kernel/explore/gates.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"

#define GATE_POLL_NS 20000ull /* how often a held actor looks again */

static struct stage *running;

const struct step *stage_script(const struct stage *st)
{
	const struct scenario *sc = st->sc;

	if (sc->world.toggles && !st->up && sc->forced.down)
		return sc->forced.down;
	return sc->forced.order;
}

unsigned int script_length(const struct step *s)
{
	unsigned int n = 0;

	while (s && s[n].actor)
		n++;
	return n;
}

static bool names_actor(const struct scenario *sc, const struct step *s,
			int actor)
{
	return strcmp(s->actor, sc->actors[actor].name) == 0;
}

static const void *object_of(const struct step *s, const struct stage *st)
{
	return s->obj == THE_CACHE ? st->cache : s->obj;
}

static bool script_is_valid(const struct stage *st, const struct step *s)
{
	for (; s && s->actor; s++) {
		int i = 0;

		while (i < (int)st->nr_actors && !names_actor(st->sc, s, i))
			i++;
		if (i == (int)st->nr_actors) {
			kprintf("%s: a step names \"%s\", which is no actor of "
				"this scenario\n",
				st->sc->part ? st->sc->part : st->demo->id,
				s->actor);
			return false;
		}
	}
	return true;
}

int check_scripts(const struct stage *st)
{
	return script_is_valid(st, st->sc->forced.order) &&
			       script_is_valid(st, st->sc->forced.down) ?
		       0 :
		       -EINVAL;
}

int stage_actor_of(const struct stage *st, uint32_t thread_id)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (st->worker[i].id == thread_id)
			return (int)i;
	return -1;
}

/* ---- the gate: forced order ---------------------------------------------- */

#if GORDIAN_DEBUG
/* The gate at which an actor is held before a step of this kind. */
static enum trace_op gate_before(enum trace_op op)
{
	switch (op) {
	case TR_CONTEND:
	case TR_HP_BEGIN:
		return TR_LOCK;
	case TR_READ_CONTEND:
		return TR_READ_LOCK;
	case TR_WRITE_CONTEND:
		return TR_WRITE_LOCK;
	default:
		return op;
	}
}

static const void *gate_object(const struct step *s, const struct stage *st)
{
	return s->op == TR_HP_BEGIN ? &cpu_hotplug.lock : object_of(s, st);
}

/* Is this gate (op, obj) the one before the actor's next step of the script? If so,
 * returns the number of this step. Otherwise returns -1. */
static int step_at(const struct stage *st, int actor, enum trace_op op,
		   const void *obj)
{
	const struct step *s = stage_script(st);
	unsigned int n = script_length(s);

	for (unsigned int i = READ_ONCE(st->script_pos); i < n; i++) {
		if (!names_actor(st->sc, &s[i], actor))
			continue;
		if (gate_before(s[i].op) == op && gate_object(&s[i], st) == obj)
			return (int)i;
		return -1; /* the actor's next step is at another point */
	}
	return -1;
}

/* The gate of forced rounds: hold the current actor until it is the turn of its step,
 * or until the script is over (script_open). */
static void hold_for_script(enum trace_op op, const void *obj, uintptr_t caller)
{
	struct stage *st = READ_ONCE(running);
	int actor, i;

	if (!st || !may_sleep())
		return;
	actor = stage_actor_of(st, current->id);
	i = actor < 0 ? -1 : step_at(st, actor, op, obj);
	if (i < 0)
		return;
	WRITE_ONCE(st->worker[actor].awaits, (unsigned int)i);
	WRITE_ONCE(st->worker[actor].gated, true);
	while ((int)READ_ONCE(st->script_pos) < i &&
	       !READ_ONCE(st->script_open)) {
		wait_begin(TASK_UNINTERRUPTIBLE, &gate_wait, obj, "the script",
			   caller);
		schedule_timeout(GATE_POLL_NS);
	}
	wait_end();
	WRITE_ONCE(st->worker[actor].gated, false);
}
#endif

/* ---- the listener -------------------------------------------------------- */

/* If this event is the next step of the script, or the refusal of that step, note it. */
static void follow_script(struct stage *st, int actor,
			  const struct trace_event *e)
{
	const struct step *s = stage_script(st);
	unsigned int pos = READ_ONCE(st->script_pos);

	if (!st->forced || !s || pos >= script_length(s) ||
	    READ_ONCE(st->script_open))
		return;
	s += pos;
	if (!names_actor(st->sc, s, actor))
		return;
	if (s->op == e->op && object_of(s, st) == e->obj) {
		WRITE_ONCE(st->script_pos, pos + 1);
		return;
	}
	if (s->op == TR_HP_BEGIN && e->op == TR_HP_WAIT &&
	    !st->refusal.happened) {
		st->refusal.actor = actor;
		st->refusal.value = (intptr_t)e->arg;
		for (unsigned int i = 0; i < st->nr_actors; i++)
			if (st->refs[i] > 0)
				st->refusal.holders |= 1u << i;
		st->refusal.happened = true;
		WRITE_ONCE(st->script_open, true);
	}
}

/* Note that D is inside its operation now (*mine). If U is inside its operation
 * too (*other), the two operations overlap. Also called with D and U exchanged. */
static void set_inside(uint32_t *mine, const uint32_t *other, struct stage *st)
{
	/* Seq_cst, in D's event and in U's: at least one of the two sees that the
	 * other is inside. */
	__atomic_store_n(mine, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(other, __ATOMIC_SEQ_CST))
		WRITE_ONCE(st->together, 1);
}

static bool is_actor(const struct stage *st, unsigned int i, uintptr_t thread)
{
	return i < st->nr_actors && (uintptr_t)st->worker[i].thread == thread;
}

/* Keep the list of the mutexes that this actor holds, for the cut. */
static void note_held(struct worker *w, const struct trace_event *e)
{
	unsigned int i = 0;

	if (e->op == TR_LOCK) {
		if (w->nr_held < HELD_MAX)
			w->held[w->nr_held++] = (struct mutex *)e->obj;
		return;
	}
	while (i < w->nr_held && w->held[i] != e->obj)
		i++;
	if (i < w->nr_held)
		w->held[i] = w->held[--w->nr_held];
}

/* The actor has got past cpu_hotplug_begin(). If D was inside its operation, and the
 * hotplug lock is a counter, note this. */
static void note_let_in(struct stage *st, int actor)
{
	if (st->let_in.happened || !READ_ONCE(st->d_inside) ||
	    READ_ONCE(hotplug_ops)->rwsem)
		return;
	st->let_in.actor = actor;
	st->let_in.refs = READ_ONCE(st->refs[D_ACTOR]);
	st->let_in.happened = true;
}

/* Called for each event: note what run.c, cut.c and the printed schedule need. */
static void listen(const struct trace_event *e)
{
	struct stage *st = READ_ONCE(running);
	int actor = st ? stage_actor_of(st, e->thread) : -1;

	if (st && st->explored)
		explore_event(e);
	if (actor < 0)
		return;
	follow_script(st, actor, e);
	if (e->op == TR_LOCK || e->op == TR_UNLOCK)
		note_held(&st->worker[actor], e);
	if (st->sc->world.listen)
		st->sc->world.listen(st, actor, e);
	switch (e->op) {
	case TR_CACHE_DESTROY:
		set_inside(&st->d_inside, &st->u_inside, st);
		break;
	case TR_CACHE_DESTROY_END:
		WRITE_ONCE(st->d_inside, 0);
		break;
	/* If the scenario destroys no cache, D's operation is its barrier. */
	case TR_BARRIER:
		if (!st->sc->world.destroy && actor == D_ACTOR)
			set_inside(&st->d_inside, &st->u_inside, st);
		break;
	case TR_BARRIER_END:
		if (!st->sc->world.destroy && actor == D_ACTOR)
			WRITE_ONCE(st->d_inside, 0);
		break;
	case TR_HP_BEGIN:
		note_let_in(st, actor);
		set_inside(&st->u_inside, &st->d_inside, st);
		break;
	case TR_HP_DONE:
		WRITE_ONCE(st->u_inside, 0);
		break;
	case TR_HP_WAIT:
		set_inside(&st->u_inside, &st->d_inside, st);
		if (st->refs[D_ACTOR] > 0)
			WRITE_ONCE(st->waited, 1);
		break;
	case TR_GET_ONLINE:
		st->refs[actor]++;
		break;
	case TR_PUT_ONLINE:
		st->refs[actor]--;
		break;
	/* The hotplug lock as a rw-semaphore: a reader has a reference. */
	case TR_READ_LOCK:
	case TR_READ_UNLOCK:
		if (is_hotplug_rwsem(e->obj))
			st->refs[actor] += e->op == TR_READ_LOCK ? 1 : -1;
		break;
	/* If D waits for U at the hotplug lock, or U waits for D there, their
	 * operations overlap. */
	case TR_READ_CONTEND:
	case TR_WRITE_CONTEND:
		if (is_hotplug_rwsem(e->obj) &&
		    (e->op == TR_WRITE_CONTEND ? st->refs[D_ACTOR] > 0 :
						 actor == D_ACTOR)) {
			WRITE_ONCE(st->together, 1);
			WRITE_ONCE(st->waited, 1);
		}
		break;
	case TR_CONTEND:
		if ((actor == D_ACTOR && is_actor(st, U_ACTOR, e->arg)) ||
		    (actor == U_ACTOR && is_actor(st, D_ACTOR, e->arg)))
			WRITE_ONCE(st->waited, 1);
		break;
	default:
		break;
	}
}

/* RCU's own threads are traced too if the scenario shows what they do. */
static void trace_rcu(const struct stage *st, bool on)
{
	unsigned int cpu;

	if (!st->sc->show.rcu)
		return;
	WRITE_ONCE(rcu_sched_state.thread->traced, on);
	for_each_possible_cpu (cpu)
		if (rcu_sched_state.data[cpu].thread)
			WRITE_ONCE(rcu_sched_state.data[cpu].thread->traced,
				   on);
}

void observe_begin(struct stage *st)
{
	trace_rcu(st, true);
	WRITE_ONCE(running, st);
	WRITE_ONCE(trace_listen, listen);
#if GORDIAN_DEBUG
	trace_set_gate(st->explored ? explore_gate :
		       st->forced   ? hold_for_script :
				      NULL);
#endif
}

void observe_end(void)
{
#if GORDIAN_DEBUG
	trace_set_gate(NULL);
#endif
	WRITE_ONCE(trace_listen, NULL);
	if (running)
		trace_rcu(running, false);
	WRITE_ONCE(running, NULL);
}
