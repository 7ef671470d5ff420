/*
 * The step machine, see search_model.h.
 */
#include "tests/host/search_model.h"

#include <string.h>

#include "tests/host/host.h"

enum {
	/* Mutexes behind those of the program's text. */
	WRITERS = PROGRAM_LOCKS,
	ADD_REMOVE,
	HOTPLUG,
	NR_MUTEXES,
	/* Names of things. */
	MUTEX = 1,
	SPIN = MUTEX + NR_MUTEXES,
	RWSEM = SPIN + PROGRAM_LOCKS,
	PERCPU,
	COUNT,
	COMPLETION,
	FLAG,
	SLEEPERS,
	ENDS,
	VAR,
	WAKE = VAR + PROGRAM_VARS, /* a thread's wake flag */
};

struct queue {
	uint8_t n, of[PROGRAM_THREADS]; /* the oldest first */
};

struct thread {
	uint8_t pc, at; /* at: which step of the operation comes next */
	uint8_t reg;
	bool asleep; /* it sleeps, and nobody has woken it */
	bool granted, interrupted;
	uint8_t mutexes, spins; /* held, a bit each */
	uint8_t reads, writes, percpu_reads, percpu_writes, gets, begun;
};

static const struct program *prog;
static struct {
	struct thread thread[PROGRAM_THREADS];
	struct {
		uint8_t owner; /* a thread's number plus 1 */
		struct queue waiters;
	} mutex[NR_MUTEXES];
	uint8_t spin[PROGRAM_LOCKS];
	struct {
		uint8_t readers, writer, writes; /* of waiters: a bit each */
		struct queue waiters;
	} rwsem;
	struct {
		uint8_t count, block, draining;
		struct queue waiters;
	} percpu;
	uint8_t refcount, count_waiter, units, flag;
	struct queue completion, sleepers;
	uint8_t var[PROGRAM_VARS];
	uint8_t told[PROGRAM_THREADS][PROGRAM_OPS];
} s;

/* ---- what a step touches ------------------------------------------------- */

static struct model_touch *touched;
static unsigned int touches;

static void touch_as(unsigned int thing, enum model_how how, bool opens,
		     bool shuts)
{
	CHECK(touches < MODEL_TOUCHES);
	touched[touches++] = (struct model_touch){ thing, how, opens, shuts };
}

static void touch(unsigned int thing, enum model_how how)
{
	touch_as(thing, how, false, false);
}

/* ---- queues and sleeping ------------------------------------------------- */

static void join(struct queue *q, unsigned int t)
{
	q->of[q->n++] = (uint8_t)t;
}

static void leave(struct queue *q, unsigned int t)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < q->n; i++)
		if (q->of[i] != t)
			q->of[n++] = q->of[i];
	while (q->n > n)
		q->of[--q->n] = 0;
}

static unsigned int pop(struct queue *q)
{
	unsigned int t = q->of[0];

	leave(q, t);
	return t;
}

static void wake(unsigned int t)
{
	touch_as(WAKE + t, MODEL_WRITE, s.thread[t].asleep, false);
	s.thread[t].asleep = false;
}

/* ---- operations ---------------------------------------------------------- */

/* What a step did. */
enum did { WENT_ON, FINISHED, FAILED };

static struct thread *me;
static unsigned int self;

static enum did finish(bool ok)
{
	return ok ? FINISHED : FAILED;
}

static enum did go_on(unsigned int at)
{
	me->at = (uint8_t)at;
	return WENT_ON;
}

static enum did sleep_until_woken(unsigned int at)
{
	me->asleep = true;
	return go_on(at);
}

static void lock(unsigned int m)
{
	CHECK(!s.mutex[m].owner);
	touch(MUTEX + m, MODEL_WRITE);
	s.mutex[m].owner = (uint8_t)(self + 1);
}

static void unlock(unsigned int m)
{
	unsigned int next;

	CHECK(s.mutex[m].owner == self + 1);
	touch_as(MUTEX + m, MODEL_WRITE, !s.mutex[m].waiters.n, false);
	s.mutex[m].owner = 0;
	if (!s.mutex[m].waiters.n)
		return;
	next = pop(&s.mutex[m].waiters);
	s.mutex[m].owner = (uint8_t)(next + 1);
	s.thread[next].granted = true;
	wake(next);
}

static enum did do_lock_intr(unsigned int m)
{
	if (me->at == 0) {
		touch_as(MUTEX + m, MODEL_WRITE, false, !s.mutex[m].owner);
		if (!s.mutex[m].owner) {
			s.mutex[m].owner = (uint8_t)(self + 1);
			me->mutexes |= (uint8_t)(1u << m);
			return FINISHED;
		}
		touch(WAKE + self, MODEL_WRITE);
		if (me->interrupted) {
			me->interrupted = false;
			return FAILED;
		}
		join(&s.mutex[m].waiters, self);
		return sleep_until_woken(1);
	}
	touch(WAKE + self, MODEL_READ);
	if (me->granted) {
		me->granted = false;
		me->mutexes |= (uint8_t)(1u << m);
		return FINISHED;
	}
	CHECK(me->interrupted);
	me->interrupted = false;
	touch(WAKE + self, MODEL_WRITE);
	touch(MUTEX + m, MODEL_WRITE);
	leave(&s.mutex[m].waiters, self);
	return FAILED;
}

static void do_interrupt(unsigned int t)
{
	struct thread *other = &s.thread[t];
	bool waits = other->asleep &&
		     prog->thread[t].op[other->pc].verb == DO_LOCK_INTR;

	other->interrupted = true;
	if (waits)
		wake(t);
	else
		touch(WAKE + t, MODEL_WRITE);
}

static bool has_room(bool write)
{
	return !s.rwsem.writer && !(write && s.rwsem.readers);
}

static void enter(unsigned int t, bool write)
{
	if (write) {
		s.rwsem.writer = (uint8_t)(t + 1);
		s.thread[t].writes++;
	} else {
		s.rwsem.readers++;
		s.thread[t].reads++;
	}
}

static enum did do_rwsem(bool write)
{
	if (me->at) {
		touch(WAKE + self, MODEL_READ);
		return FINISHED;
	}
	if (!s.rwsem.waiters.n && has_room(write)) {
		touch(RWSEM, write ? MODEL_WRITE : MODEL_READ);
		enter(self, write);
		return FINISHED;
	}
	touch(RWSEM, MODEL_WRITE);
	join(&s.rwsem.waiters, self);
	if (write)
		s.rwsem.writes |= (uint8_t)(1u << self);
	return sleep_until_woken(1);
}

static enum did do_read_try(void)
{
	bool ok = !s.rwsem.waiters.n && has_room(false);

	touch(RWSEM, ok ? MODEL_READ : MODEL_WRITE);
	if (ok)
		enter(self, false);
	return finish(ok);
}

static void do_rwsem_unlock(bool write)
{
	if (!(write ? me->writes : me->reads))
		return;
	touch(RWSEM, write || s.rwsem.waiters.n ? MODEL_WRITE : MODEL_READ);
	if (write) {
		me->writes--;
		s.rwsem.writer = 0;
	} else {
		me->reads--;
		s.rwsem.readers--;
	}
	while (s.rwsem.waiters.n) {
		unsigned int w = s.rwsem.waiters.of[0];
		bool writes = s.rwsem.writes & 1u << w;

		if (!has_room(writes))
			break;
		pop(&s.rwsem.waiters);
		s.rwsem.writes &= (uint8_t) ~(1u << w);
		enter(w, writes);
		wake(w);
	}
}

static enum did do_percpu_read(void)
{
	if (me->at)
		touch(WAKE + self, MODEL_READ);
	if (!s.percpu.block) {
		touch(PERCPU, MODEL_INC);
		s.percpu.count++;
		me->percpu_reads++;
		return FINISHED;
	}
	touch(PERCPU, MODEL_WRITE);
	join(&s.percpu.waiters, self);
	return sleep_until_woken(1);
}

static void do_percpu_read_unlock(void)
{
	if (!me->percpu_reads)
		return;
	touch(PERCPU, s.percpu.draining ? MODEL_WRITE : MODEL_DEC);
	me->percpu_reads--;
	s.percpu.count--;
	if (s.percpu.draining)
		wake(s.percpu.draining - 1u);
}

static enum did do_percpu_write(void)
{
	if (me->at == 0) {
		lock(WRITERS);
		return go_on(1);
	}
	if (me->at == 2)
		touch(WAKE + self, MODEL_READ);
	touch(PERCPU, MODEL_WRITE);
	s.percpu.block = 1;
	if (s.percpu.count) {
		s.percpu.draining = (uint8_t)(self + 1);
		return sleep_until_woken(2);
	}
	s.percpu.draining = 0;
	me->percpu_writes++;
	return FINISHED;
}

static enum did do_percpu_write_unlock(void)
{
	if (!me->percpu_writes)
		return FINISHED;
	if (me->at == 0) {
		touch(PERCPU, MODEL_WRITE);
		s.percpu.block = 0;
		while (s.percpu.waiters.n)
			wake(pop(&s.percpu.waiters));
		return go_on(1);
	}
	unlock(WRITERS);
	me->percpu_writes--;
	return FINISHED;
}

static bool counts(bool get)
{
	return !me->begun && (get || me->gets);
}

static enum did do_count(bool get)
{
	enum model_how how = get ? MODEL_INC : MODEL_DEC;

	if (!counts(get))
		return FINISHED;
	if (me->at == 0) {
		lock(HOTPLUG);
		return go_on(1);
	}
	if (me->at == 2) {
		unlock(HOTPLUG);
		me->gets = (uint8_t)(get ? me->gets + 1 : me->gets - 1);
		return FINISHED;
	}
	touch(COUNT, s.count_waiter ? MODEL_WRITE : how);
	s.refcount = (uint8_t)(get ? s.refcount + 1 : s.refcount - 1);
	if (!get && !s.refcount && s.count_waiter)
		wake(s.count_waiter - 1u);
	return go_on(2);
}

static enum did do_begin(void)
{
	switch (me->at) {
	case 0:
		lock(ADD_REMOVE);
		return go_on(1);
	case 1:
		lock(HOTPLUG);
		return go_on(2);
	case 2:
		touch(COUNT, MODEL_WRITE);
		s.count_waiter = (uint8_t)(s.refcount ? self + 1 : 0);
		if (s.refcount)
			return go_on(3);
		me->begun = 1;
		return FINISHED;
	case 3:
		unlock(HOTPLUG);
		return sleep_until_woken(4);
	default:
		touch(WAKE + self, MODEL_READ);
		return go_on(1);
	}
}

static enum did do_done(void)
{
	if (!me->begun)
		return FINISHED;
	if (me->at == 0) {
		unlock(HOTPLUG);
		return go_on(1);
	}
	unlock(ADD_REMOVE);
	me->begun = 0;
	return FINISHED;
}

static enum did do_wait(bool timed)
{
	bool late = me->at && me->asleep;

	CHECK(!late || timed);
	if (me->at)
		touch(WAKE + self, late ? MODEL_WRITE : MODEL_READ);
	touch(COMPLETION, MODEL_WRITE);
	leave(&s.completion, self);
	me->asleep = false;
	if (s.units) {
		s.units--;
		return FINISHED;
	}
	if (late)
		return FAILED;
	join(&s.completion, self);
	return sleep_until_woken(1);
}

static void do_complete(void)
{
	touch(COMPLETION, MODEL_WRITE);
	s.units++;
	if (s.completion.n)
		wake(pop(&s.completion));
}

static enum did do_look(void)
{
	if (me->at == 0) {
		touch(FLAG, MODEL_READ);
		me->reg = s.flag;
		return s.flag ? FINISHED : go_on(1);
	}
	if (me->at == 2) {
		touch(WAKE + self, MODEL_READ);
		touch(SLEEPERS, MODEL_WRITE);
		return FINISHED;
	}
	touch(SLEEPERS, MODEL_WRITE);
	join(&s.sleepers, self);
	return sleep_until_woken(2);
}

static enum did do_set(void)
{
	if (me->at == 0) {
		touch(FLAG, MODEL_WRITE);
		s.flag = 1;
		return go_on(1);
	}
	touch(SLEEPERS, MODEL_WRITE);
	while (s.sleepers.n)
		wake(pop(&s.sleepers));
	return FINISHED;
}

static enum did do_add(unsigned int v)
{
	touch(VAR + v, me->at ? MODEL_WRITE : MODEL_READ);
	if (me->at == 0) {
		me->reg = s.var[v];
		return go_on(1);
	}
	s.var[v] = (uint8_t)(me->reg + 1);
	return FINISHED;
}

static enum did do_op(const struct program_op *o)
{
	uint8_t bit = (uint8_t)(1u << o->which);
	bool ok;

	switch ((enum program_verb)o->verb) {
	case DO_LOCK:
		lock(o->which);
		me->mutexes |= bit;
		return FINISHED;
	case DO_UNLOCK:
		if (me->mutexes & bit)
			unlock(o->which);
		me->mutexes &= (uint8_t)~bit;
		return FINISHED;
	case DO_TRY:
		ok = !s.mutex[o->which].owner;
		touch_as(MUTEX + o->which, MODEL_WRITE, false, ok);
		if (ok) {
			s.mutex[o->which].owner = (uint8_t)(self + 1);
			me->mutexes |= bit;
		}
		return finish(ok);
	case DO_LOCK_INTR:
		return do_lock_intr(o->which);
	case DO_INTERRUPT:
		do_interrupt(o->which);
		return FINISHED;
	case DO_SPIN:
		CHECK(!s.spin[o->which]);
		touch(SPIN + o->which, MODEL_WRITE);
		s.spin[o->which] = 1;
		me->spins |= bit;
		return FINISHED;
	case DO_SPIN_UNLOCK:
		if (me->spins & bit) {
			touch_as(SPIN + o->which, MODEL_WRITE, true, false);
			s.spin[o->which] = 0;
		}
		me->spins &= (uint8_t)~bit;
		return FINISHED;
	case DO_READ_LOCK:
		return do_rwsem(false);
	case DO_READ_UNLOCK:
		do_rwsem_unlock(false);
		return FINISHED;
	case DO_READ_TRY:
		return do_read_try();
	case DO_WRITE_LOCK:
		return do_rwsem(true);
	case DO_WRITE_UNLOCK:
		do_rwsem_unlock(true);
		return FINISHED;
	case DO_PERCPU_READ:
		return do_percpu_read();
	case DO_PERCPU_READ_UNLOCK:
		do_percpu_read_unlock();
		return FINISHED;
	case DO_PERCPU_WRITE:
		return do_percpu_write();
	case DO_PERCPU_WRITE_UNLOCK:
		return do_percpu_write_unlock();
	case DO_GET:
		return do_count(true);
	case DO_PUT:
		return do_count(false);
	case DO_BEGIN:
		return do_begin();
	case DO_DONE:
		return do_done();
	case DO_WAIT:
		return do_wait(false);
	case DO_WAIT_TIMEOUT:
		return do_wait(true);
	case DO_COMPLETE:
		do_complete();
		return FINISHED;
	case DO_LOOK:
		return do_look();
	case DO_SET:
		return do_set();
	case DO_READ:
		touch(VAR + o->which, MODEL_READ);
		me->reg = s.var[o->which];
		return finish(me->reg);
	case DO_WRITE:
		touch(VAR + o->which, MODEL_WRITE);
		s.var[o->which] = o->value;
		return FINISHED;
	case DO_ADD:
		return do_add(o->which);
	default:
		abort();
	}
}

/* What the operation tells, once it has finished. */
static uint8_t told(const struct program_op *o, bool failed, uint8_t reg)
{
	switch (o->verb) {
	case DO_READ:
	case DO_LOOK:
		return (uint8_t)(TOLD_VALUE + reg);
	case DO_TRY:
	case DO_LOCK_INTR:
	case DO_READ_TRY:
	case DO_WAIT_TIMEOUT:
		return failed ? TOLD_FAILED : TOLD_OK;
	default:
		return TOLD_NOTHING;
	}
}

/* ---- the machine --------------------------------------------------------- */

void model_reset(const struct program *p)
{
	prog = p;
	memset(&s, 0, sizeof(s));
}

unsigned int model_step(unsigned int t, struct model_touch *list)
{
	const struct program_op *o = &prog->thread[t].op[s.thread[t].pc];
	enum did did;

	CHECK(model_enabled() & 1u << t);
	touched = list;
	touches = 0;
	me = &s.thread[t];
	self = t;
	did = do_op(o);
	if (did == WENT_ON)
		return touches;
	s.told[t][me->pc] = told(o, did == FAILED, me->reg);
	me->pc = (uint8_t)program_next(prog, t, me->pc, did == FAILED);
	me->at = me->reg = 0;
	if (me->pc == prog->thread[t].n)
		touch(ENDS, MODEL_READ);
	return touches;
}

/* A gate with one touch, which the step takes (`takes`). */
static void at_lock(struct model_gate *g, unsigned int thing)
{
	g->thing = thing;
	g->how = MODEL_WRITE;
	g->takes = true;
}

static void at_thing(struct model_gate *g, unsigned int thing,
		     enum model_how how, bool vague)
{
	g->thing = thing;
	g->how = how;
	g->vague = vague;
}

/* After a sleep. vague: it touches more than the thread's flag. */
static void at_resume(struct model_gate *g, unsigned int t, bool vague)
{
	at_thing(g, WAKE + t, MODEL_READ, vague);
	g->takes = true;
}

static void gate_of_begin(struct model_gate *g, unsigned int t, unsigned int at)
{
	if (at < 2)
		at_lock(g, MUTEX + (at ? HOTPLUG : ADD_REMOVE));
	else if (at == 2)
		at_thing(g, COUNT, MODEL_WRITE, false);
	else if (at == 3)
		at_thing(g, MUTEX + HOTPLUG, MODEL_WRITE, true);
	else
		at_resume(g, t, false);
}

struct model_gate model_gate(unsigned int t)
{
	const struct program_op *o;
	struct model_gate g = { .op = 0 };
	unsigned int at = s.thread[t].at;
	bool get;

	me = &s.thread[t];
	g.ended = me->pc == prog->thread[t].n;
	if (g.ended)
		return g;
	o = &prog->thread[t].op[me->pc];
	g.op = o->verb * 8u + at;
	g.sleeps = me->asleep && o->verb != DO_WAIT_TIMEOUT;
	switch ((enum program_verb)o->verb) {
	case DO_LOCK:
		at_lock(&g, MUTEX + o->which);
		break;
	case DO_SPIN:
		at_lock(&g, SPIN + o->which);
		break;
	case DO_UNLOCK:
		if (me->mutexes & 1u << o->which)
			at_thing(&g, MUTEX + o->which, MODEL_WRITE, true);
		break;
	case DO_SPIN_UNLOCK:
		if (me->spins & 1u << o->which)
			at_thing(&g, SPIN + o->which, MODEL_WRITE, false);
		break;
	case DO_TRY:
		at_thing(&g, MUTEX + o->which, MODEL_WRITE, false);
		break;
	case DO_LOCK_INTR:
		if (at)
			at_resume(&g, t, true);
		else
			at_thing(&g, MUTEX + o->which, MODEL_WRITE, true);
		break;
	case DO_INTERRUPT:
		at_thing(&g, WAKE + o->which, MODEL_WRITE, false);
		break;
	case DO_READ_LOCK:
	case DO_WRITE_LOCK:
		if (at)
			at_resume(&g, t, false);
		else
			at_thing(&g, RWSEM, MODEL_WRITE,
				 o->verb == DO_READ_LOCK);
		break;
	case DO_READ_TRY:
	case DO_READ_UNLOCK:
	case DO_WRITE_UNLOCK:
		at_thing(&g, RWSEM, MODEL_WRITE, true);
		break;
	case DO_PERCPU_READ:
		if (at)
			at_resume(&g, t, true);
		else
			at_thing(&g, PERCPU, MODEL_INC, true);
		break;
	case DO_PERCPU_READ_UNLOCK:
		at_thing(&g, PERCPU, MODEL_DEC, true);
		break;
	case DO_PERCPU_WRITE:
		if (at == 0)
			at_lock(&g, MUTEX + WRITERS);
		else if (at == 1)
			at_thing(&g, PERCPU, MODEL_WRITE, false);
		else
			at_resume(&g, t, true);
		break;
	case DO_PERCPU_WRITE_UNLOCK:
		at_thing(&g, at ? MUTEX + WRITERS : PERCPU, MODEL_WRITE, true);
		break;
	case DO_GET:
	case DO_PUT:
		get = o->verb == DO_GET;
		if (!counts(get))
			break;
		if (at == 0)
			at_lock(&g, MUTEX + HOTPLUG);
		else if (at == 1)
			at_thing(&g, COUNT, get ? MODEL_INC : MODEL_DEC, true);
		else
			at_thing(&g, MUTEX + HOTPLUG, MODEL_WRITE, true);
		break;
	case DO_BEGIN:
		gate_of_begin(&g, t, at);
		break;
	case DO_DONE:
		if (me->begun)
			at_thing(&g, MUTEX + (at ? ADD_REMOVE : HOTPLUG),
				 MODEL_WRITE, true);
		break;
	case DO_WAIT:
		if (at)
			at_resume(&g, t, true);
		else
			at_thing(&g, COMPLETION, MODEL_WRITE, false);
		break;
	case DO_WAIT_TIMEOUT:
		if (at)
			at_thing(&g, WAKE + t, MODEL_WRITE, true);
		else
			at_thing(&g, COMPLETION, MODEL_WRITE, false);
		break;
	case DO_COMPLETE:
		at_thing(&g, COMPLETION, MODEL_WRITE, true);
		break;
	case DO_LOOK:
		if (at == 0)
			at_thing(&g, FLAG, MODEL_READ, false);
		else if (at == 1)
			at_thing(&g, SLEEPERS, MODEL_WRITE, false);
		else
			at_resume(&g, t, true);
		break;
	case DO_SET:
		at_thing(&g, at ? SLEEPERS : FLAG, MODEL_WRITE, at);
		break;
	case DO_READ:
		at_thing(&g, VAR + o->which, MODEL_READ, false);
		break;
	case DO_WRITE:
		at_thing(&g, VAR + o->which, MODEL_WRITE, false);
		break;
	case DO_ADD:
		at_thing(&g, VAR + o->which, at ? MODEL_WRITE : MODEL_READ,
			 false);
		break;
	default:
		abort();
	}
	/* If the thread ends with this step, the step touches one thing more. */
	g.vague |= program_next(prog, t, me->pc, false) == prog->thread[t].n ||
		   program_next(prog, t, me->pc, true) == prog->thread[t].n;
	return g;
}

static bool is_open(unsigned int thing, unsigned int t)
{
	if (thing == WAKE + t)
		return !s.thread[t].asleep;
	if (thing >= SPIN && thing < RWSEM)
		return !s.spin[thing - SPIN];
	return !s.mutex[thing - MUTEX].owner;
}

uint32_t model_enabled(void)
{
	uint32_t set = 0;

	for (unsigned int t = 0; t < prog->nr_threads; t++) {
		struct model_gate g = model_gate(t);

		if (!g.ended && !g.sleeps && (!g.takes || is_open(g.thing, t)))
			set |= 1u << t;
	}
	return set;
}

void model_end(struct program_end *e)
{
	memset(e, 0, sizeof(*e));
	for (unsigned int t = 0; t < prog->nr_threads; t++)
		e->pc[t] = s.thread[t].pc;
	memcpy(e->var, s.var, sizeof(e->var));
	memcpy(e->told, s.told, sizeof(e->told));
}

uint64_t model_state(void)
{
	const uint8_t *b = (const uint8_t *)&s;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(s); i++)
		h = (h ^ b[i]) * 0x100000001b3;
	return h ^ h >> 32;
}
