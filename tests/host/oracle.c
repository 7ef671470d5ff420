/*
 * See oracle.h. A state is a struct state: all of memory that the threads share,
 * and where each thread is. step() is the machine. oracle_run() visits all
 * states that can be reached.
 */
#include "tests/host/oracle.h"

#include <stdlib.h>
#include <string.h>

#include "tests/host/host.h"

enum {
	/* Mutexes behind those of the program's text. */
	PERCPU_WRITERS = PROGRAM_LOCKS,
	ADD_REMOVE,
	HOTPLUG_LOCK,
	NR_MUTEXES,
	NOBODY = 0, /* else a thread's number plus 1 */
};

enum sleep { AWAKE, UNINTERRUPTIBLE, INTERRUPTIBLE };
enum grant { WAITS, GRANTING, GRANTED };

struct queue {
	uint8_t n, of[PROGRAM_THREADS]; /* the oldest first */
};

struct mutex {
	uint8_t owner, flag; /* the owner word */
	uint8_t wait_lock;   /* who holds it */
	struct queue waiters;
};

struct thread {
	uint8_t pc;
	uint8_t at;  /* how far in the operation */
	uint8_t sub; /* how far in a mutex's function */
	uint8_t reg; /* what it has read */
	uint8_t state, granted;
	uint8_t interrupted;	  /* by thread_interrupt() */
	uint8_t interrupted_late; /* ... when it was the owner already */
	uint8_t timed_out;
	uint8_t to_wake;	/* granted, not yet woken; a bit each */
	uint8_t mutexes, spins; /* held, a bit each */
	uint8_t reads, writes, percpu_reads, percpu_writes, gets, begun;
};

struct state {
	struct thread thread[PROGRAM_THREADS];
	struct mutex mutex[NR_MUTEXES];
	uint8_t spin[PROGRAM_LOCKS];
	struct {
		uint8_t readers, writer;
		struct queue waiters;
		uint8_t writes; /* waiters that want to write, a bit each */
	} rwsem;
	struct {
		uint8_t count, block, draining;
		struct queue waiters;
	} percpu;
	uint8_t refcount, active_writer;
	uint8_t units;
	struct queue completion;
	uint8_t flag;
	struct queue sleepers; /* that found the flag 0 */
	uint8_t var[PROGRAM_VARS];
	uint8_t told[PROGRAM_THREADS][PROGRAM_OPS];
};

/* What a step did. */
enum did {
	BLOCKED, /* nothing: it cannot run now */
	WENT_ON,
	FINISHED,
	FAILED, /* it finished, and was a try that failed */
};

static const struct program *prog;
static unsigned int opts;
static struct state s; /* the state in which step() runs */

/* ---- queues and sleeping ------------------------------------------------- */

static bool is_in(const struct queue *q, unsigned int t)
{
	for (unsigned int i = 0; i < q->n; i++)
		if (q->of[i] == t)
			return true;
	return false;
}

static void join(struct queue *q, unsigned int t)
{
	if (!is_in(q, t))
		q->of[q->n++] = (uint8_t)t;
}

static void leave(struct queue *q, unsigned int t)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < q->n; i++)
		if (q->of[i] != t)
			q->of[n++] = q->of[i];
	if (n < q->n)
		q->of[n] = 0;
	q->n = (uint8_t)n;
}

static unsigned int pop(struct queue *q)
{
	unsigned int t = q->of[0];

	leave(q, t);
	return t;
}

static void wake(unsigned int t)
{
	s.thread[t].state = AWAKE;
}

/* The owner may go on. If the wake-up comes late, it is a step of `by`. */
static void grant(unsigned int t, unsigned int by)
{
	s.thread[t].granted = GRANTED;
	if (opts & ORACLE_LATE_WAKE)
		s.thread[by].to_wake |= (uint8_t)(1u << t);
	else
		wake(t);
}

/* schedule(): a thread that has set its sleep state and was not woken does not
 * run. */
static bool sleeps(unsigned int t)
{
	return s.thread[t].state != AWAKE;
}

/* ---- mutexes ------------------------------------------------------------- */

static bool take_wait_lock(struct mutex *m, unsigned int t)
{
	if (m->wait_lock)
		return false;
	m->wait_lock = (uint8_t)(t + 1);
	return true;
}

static bool take_free(struct mutex *m, unsigned int t)
{
	if (m->owner)
		return false;
	m->owner = (uint8_t)(t + 1);
	return true;
}

enum {
	TRY_FIRST,
	TAKE_WAIT_LOCK,
	READ_OWNER,
	JOIN,
	RELEASE_AS_OWNER,
	RELEASE_AS_WAITER,
	SET_STATE,
	LOOK_GRANT,
	LOOK_INTERRUPTED,
	SLEEP,
	LEAVE_TAKE,
	LEAVE,
	LEAVE_RELEASE,
	OWNS,
};

/* One step of mutex_lock(). */
static enum did lock_step(unsigned int t, struct mutex *m, bool intr)
{
	struct thread *me = &s.thread[t];

	switch (me->sub++) {
	case TRY_FIRST:
		return take_free(m, t) ? FINISHED : WENT_ON;
	case TAKE_WAIT_LOCK:
		return take_wait_lock(m, t) ? WENT_ON : BLOCKED;
	case READ_OWNER:
		me->reg = (uint8_t)(m->owner | m->flag << 7);
		return WENT_ON;
	case JOIN:
		/* Both are a compare-and-swap. */
		if (!me->reg) {
			me->sub = take_free(m, t) ? RELEASE_AS_OWNER :
						    READ_OWNER;
		} else if (me->reg != (m->owner | m->flag << 7)) {
			me->sub = READ_OWNER;
		} else {
			m->flag = 1;
			me->granted = WAITS;
			join(&m->waiters, t);
			me->sub = RELEASE_AS_WAITER;
		}
		me->reg = 0;
		return WENT_ON;
	case RELEASE_AS_OWNER:
		m->wait_lock = NOBODY;
		return FINISHED;
	case RELEASE_AS_WAITER:
		m->wait_lock = NOBODY;
		return WENT_ON;
	case SET_STATE:
		me->state = intr && !me->interrupted_late ? INTERRUPTIBLE :
							    UNINTERRUPTIBLE;
		return WENT_ON;
	case LOOK_GRANT:
		me->sub = me->granted == GRANTED	? OWNS :
			  intr && !me->interrupted_late ? LOOK_INTERRUPTED :
							  SLEEP;
		return WENT_ON;
	case LOOK_INTERRUPTED:
		me->sub = me->interrupted ? LEAVE_TAKE : SLEEP;
		me->interrupted = 0;
		return WENT_ON;
	case SLEEP:
		me->sub = SET_STATE;
		return sleeps(t) ? BLOCKED : WENT_ON;
	case LEAVE_TAKE:
		return take_wait_lock(m, t) ? WENT_ON : BLOCKED;
	case LEAVE:
		if (me->granted == WAITS) {
			leave(&m->waiters, t);
			if (!m->waiters.n)
				m->flag = 0;
		} else {
			me->interrupted_late = 1;
		}
		return WENT_ON;
	case LEAVE_RELEASE:
		m->wait_lock = NOBODY;
		if (me->interrupted_late) {
			me->sub = SLEEP;
			return WENT_ON;
		}
		me->state = AWAKE;
		return FAILED;
	default: /* OWNS */
		me->state = AWAKE;
		me->granted = WAITS;
		/* The interrupt ends the next wait instead. */
		if (me->interrupted_late)
			me->interrupted = 1;
		me->interrupted_late = 0;
		return FINISHED;
	}
}

enum {
	RELEASE_FIRST,
	HAND_ON_TAKE,
	HAND_ON,
	HAND_ON_RELEASE,
	TELL,
	WAKE_LATE,
	RELEASE_AGAIN,
};

static bool release_free(struct mutex *m, unsigned int t)
{
	if (m->owner != t + 1 || m->flag)
		return false;
	m->owner = NOBODY;
	return true;
}

/* One step of mutex_unlock(). The register is the next owner. */
static enum did unlock_step(unsigned int t, struct mutex *m)
{
	struct thread *me = &s.thread[t];
	unsigned int next;

	switch (me->sub++) {
	case RELEASE_FIRST:
		return release_free(m, t) ? FINISHED : WENT_ON;
	case HAND_ON_TAKE:
		return take_wait_lock(m, t) ? WENT_ON : BLOCKED;
	case HAND_ON:
		me->reg = NOBODY;
		m->flag = 0;
		if (!m->waiters.n)
			return WENT_ON;
		next = pop(&m->waiters);
		s.thread[next].granted = GRANTING;
		m->owner = (uint8_t)(next + 1);
		m->flag = m->waiters.n != 0;
		me->reg = m->owner;
		return WENT_ON;
	case HAND_ON_RELEASE:
		m->wait_lock = NOBODY;
		if (!me->reg)
			me->sub = RELEASE_AGAIN;
		return WENT_ON;
	case TELL:
		next = me->reg - 1u;
		me->reg = 0;
		grant(next, t);
		return me->to_wake ? WENT_ON : FINISHED;
	case WAKE_LATE:
		wake((unsigned int)__builtin_ctz(me->to_wake));
		me->to_wake = 0;
		return FINISHED;
	default: /* RELEASE_AGAIN */
		me->sub = HAND_ON_TAKE;
		return release_free(m, t) ? FINISHED : WENT_ON;
	}
}

/* A mutex's function as a part of an operation: when it has finished, the
 * operation goes on. */
static enum did part(unsigned int t, enum did did)
{
	struct thread *me = &s.thread[t];

	if (did != FINISHED)
		return did;
	me->sub = 0;
	me->at++;
	return WENT_ON;
}

static enum did lock_part(unsigned int t, unsigned int m)
{
	return part(t, lock_step(t, &s.mutex[m], false));
}

static enum did unlock_part(unsigned int t, unsigned int m)
{
	return part(t, unlock_step(t, &s.mutex[m]));
}

static enum did do_lock(unsigned int t, unsigned int i, bool intr)
{
	enum did did = lock_step(t, &s.mutex[i], intr);

	if (did == FINISHED)
		s.thread[t].mutexes |= (uint8_t)(1u << i);
	return did;
}

static enum did do_unlock(unsigned int t, unsigned int i)
{
	enum did did;

	if (!(s.thread[t].mutexes & 1u << i))
		return FINISHED;
	did = unlock_step(t, &s.mutex[i]);
	if (did == FINISHED)
		s.thread[t].mutexes &= (uint8_t) ~(1u << i);
	return did;
}

static enum did do_try(unsigned int t, unsigned int i)
{
	if (!take_free(&s.mutex[i], t))
		return FAILED;
	s.thread[t].mutexes |= (uint8_t)(1u << i);
	return FINISHED;
}

static enum did do_interrupt(unsigned int t, unsigned int other)
{
	if (!s.thread[t].at++) {
		s.thread[other].interrupted = 1;
		return WENT_ON;
	}
	if (s.thread[other].state == INTERRUPTIBLE)
		wake(other);
	return FINISHED;
}

/* ---- spinlocks ----------------------------------------------------------- */

static enum did do_spin(unsigned int t, unsigned int i)
{
	if (s.spin[i])
		return BLOCKED;
	s.spin[i] = 1;
	s.thread[t].spins |= (uint8_t)(1u << i);
	return FINISHED;
}

static enum did do_spin_unlock(unsigned int t, unsigned int i)
{
	if (!(s.thread[t].spins & 1u << i))
		return FINISHED;
	s.spin[i] = 0;
	s.thread[t].spins &= (uint8_t) ~(1u << i);
	return FINISHED;
}

/* ---- rw-semaphores ------------------------------------------------------- */

static bool has_room(bool write)
{
	return !s.rwsem.writer && !(write && s.rwsem.readers);
}

static void enter(unsigned int t, bool write)
{
	if (write)
		s.rwsem.writer = (uint8_t)(t + 1);
	else
		s.rwsem.readers++;
}

static void now_inside(unsigned int t, bool write)
{
	if (write)
		s.thread[t].writes++;
	else
		s.thread[t].reads++;
}

/* Wait for a grant: look, sleep, set the state again. It starts at `from`, with
 * the state set. Returns FINISHED once it was granted. */
static enum did wait_granted(unsigned int t, unsigned int from)
{
	struct thread *me = &s.thread[t];

	switch (me->at - from) {
	case 0:
		me->at++;
		if (me->granted != GRANTED)
			return WENT_ON;
		me->granted = WAITS;
		me->state = AWAKE;
		return FINISHED;
	case 1:
		me->at++;
		return sleeps(t) ? BLOCKED : WENT_ON;
	default:
		me->at = (uint8_t)from;
		me->state = UNINTERRUPTIBLE;
		return WENT_ON;
	}
}

static enum did do_rwsem(unsigned int t, bool write)
{
	struct thread *me = &s.thread[t];
	enum did did;

	if (me->at) {
		did = wait_granted(t, 1);
		if (did == FINISHED)
			now_inside(t, write);
		return did;
	}
	if (!s.rwsem.waiters.n && has_room(write)) {
		enter(t, write);
		now_inside(t, write);
		return FINISHED;
	}
	join(&s.rwsem.waiters, t);
	if (write)
		s.rwsem.writes |= (uint8_t)(1u << t);
	me->granted = WAITS;
	me->state = UNINTERRUPTIBLE;
	me->at = 1;
	return WENT_ON;
}

static enum did do_read_try(unsigned int t)
{
	if (s.rwsem.waiters.n || !has_room(false))
		return FAILED;
	enter(t, false);
	now_inside(t, false);
	return FINISHED;
}

static enum did wake_late(unsigned int t)
{
	struct thread *me = &s.thread[t];

	wake((unsigned int)__builtin_ctz(me->to_wake));
	me->to_wake &= (uint8_t)(me->to_wake - 1u);
	return me->to_wake ? WENT_ON : FINISHED;
}

static enum did do_rwsem_unlock(unsigned int t, bool write)
{
	struct thread *me = &s.thread[t];

	if (me->to_wake)
		return wake_late(t);
	if (!(write ? me->writes : me->reads))
		return FINISHED;
	if (write) {
		me->writes--;
		s.rwsem.writer = NOBODY;
	} else {
		me->reads--;
		s.rwsem.readers--;
	}
	while (s.rwsem.waiters.n) {
		unsigned int w = s.rwsem.waiters.of[0];
		bool wants_write = s.rwsem.writes & 1u << w;

		if (!has_room(wants_write))
			break;
		leave(&s.rwsem.waiters, w);
		s.rwsem.writes &= (uint8_t) ~(1u << w);
		enter(w, wants_write);
		grant(w, t);
	}
	return me->to_wake ? WENT_ON : FINISHED;
}

/* ---- per-core rw-semaphores ---------------------------------------------- */

static void wake_drainer(void)
{
	if (s.percpu.draining)
		wake(s.percpu.draining - 1u);
}

static enum did do_percpu_read(unsigned int t)
{
	struct thread *me = &s.thread[t];

	switch (me->at) {
	case 0:
		s.percpu.count++;
		break;
	case 1:
		if (s.percpu.block)
			break;
		me->percpu_reads++;
		return FINISHED;
	case 2:
		s.percpu.count--;
		break;
	case 3:
		wake_drainer();
		break;
	case 4:
		if (!s.percpu.block) {
			me->at = 0;
			return WENT_ON;
		}
		join(&s.percpu.waiters, t);
		me->granted = WAITS;
		me->state = UNINTERRUPTIBLE;
		break;
	default:
		switch (wait_granted(t, 5)) {
		case FINISHED:
			me->at = 0;
			return WENT_ON;
		case BLOCKED:
			return BLOCKED;
		default:
			return WENT_ON;
		}
	}
	me->at++;
	return WENT_ON;
}

static enum did do_percpu_read_unlock(unsigned int t)
{
	struct thread *me = &s.thread[t];

	switch (me->at++) {
	case 0:
		if (!me->percpu_reads)
			return FINISHED;
		me->percpu_reads--;
		s.percpu.count--;
		return WENT_ON;
	case 1:
		return s.percpu.block ? WENT_ON : FINISHED;
	default:
		wake_drainer();
		return FINISHED;
	}
}

static enum did do_percpu_write(unsigned int t)
{
	struct thread *me = &s.thread[t];

	switch (me->at) {
	case 0:
		return lock_part(t, PERCPU_WRITERS);
	case 1:
		s.percpu.draining = (uint8_t)(t + 1);
		s.percpu.block = 1;
		break;
	case 2:
		me->state = UNINTERRUPTIBLE;
		break;
	case 3:
		if (!s.percpu.count)
			me->at++;
		break;
	case 4:
		me->at = 2;
		return sleeps(t) ? BLOCKED : WENT_ON;
	case 5:
		me->state = AWAKE;
		break;
	default:
		s.percpu.draining = NOBODY;
		me->percpu_writes++;
		return FINISHED;
	}
	me->at++;
	return WENT_ON;
}

static enum did do_percpu_write_unlock(unsigned int t)
{
	struct thread *me = &s.thread[t];

	switch (me->at) {
	case 0:
		if (!me->percpu_writes)
			return FINISHED;
		s.percpu.block = 0;
		while (s.percpu.waiters.n)
			grant(pop(&s.percpu.waiters), t);
		me->at = me->to_wake ? 1 : 2;
		return WENT_ON;
	case 1:
		me->at += wake_late(t) == FINISHED;
		return WENT_ON;
	case 2:
		return unlock_part(t, PERCPU_WRITERS);
	default:
		me->percpu_writes--;
		return FINISHED;
	}
}

/* ---- the hotplug lock of 2012 -------------------------------------------- */

static enum did do_count(unsigned int t, bool get)
{
	struct thread *me = &s.thread[t];

	switch (me->at) {
	case 0:
		if (me->begun || (!get && !me->gets))
			return FINISHED;
		return lock_part(t, HOTPLUG_LOCK);
	case 1:
		me->reg = s.refcount;
		break;
	case 2:
		s.refcount = me->reg =
			(uint8_t)(get ? me->reg + 1 : me->reg - 1);
		if (get || me->reg)
			me->at = 4;
		else
			me->at = 3;
		me->reg = 0;
		return WENT_ON;
	case 3:
		if (s.active_writer)
			wake(s.active_writer - 1u);
		break;
	case 4:
		return unlock_part(t, HOTPLUG_LOCK);
	default:
		me->gets = (uint8_t)(get ? me->gets + 1 : me->gets - 1);
		return FINISHED;
	}
	me->at++;
	return WENT_ON;
}

static enum did do_begin(unsigned int t)
{
	struct thread *me = &s.thread[t];

	switch (me->at) {
	case 0:
		return lock_part(t, ADD_REMOVE);
	case 1:
		s.active_writer = (uint8_t)(t + 1);
		break;
	case 2:
		return lock_part(t, HOTPLUG_LOCK);
	case 3:
		if (s.refcount)
			break;
		me->begun = 1;
		return FINISHED;
	case 4:
		me->state = UNINTERRUPTIBLE;
		break;
	case 5:
		return unlock_part(t, HOTPLUG_LOCK);
	case 6:
		if (sleeps(t))
			return BLOCKED;
		break;
	default:
		me->state = AWAKE;
		me->at = 2;
		return WENT_ON;
	}
	me->at++;
	return WENT_ON;
}

static enum did do_done(unsigned int t)
{
	struct thread *me = &s.thread[t];

	switch (me->at) {
	case 0:
		if (!me->begun)
			return FINISHED;
		s.active_writer = NOBODY;
		me->at++;
		return WENT_ON;
	case 1:
		return unlock_part(t, HOTPLUG_LOCK);
	case 2:
		return unlock_part(t, ADD_REMOVE);
	default:
		me->begun = 0;
		return FINISHED;
	}
}

/* ---- completions and the flag -------------------------------------------- */

static bool take_unit(void)
{
	if (!s.units)
		return false;
	s.units--;
	return true;
}

static enum did do_wait(unsigned int t, bool timed)
{
	struct thread *me = &s.thread[t];

	switch (me->at) {
	case 0:
		join(&s.completion, t);
		me->state = UNINTERRUPTIBLE;
		break;
	case 1:
		me->reg = take_unit();
		if (me->reg && !(opts & ORACLE_LATE_LEAVE))
			leave(&s.completion, t);
		if (me->reg || me->timed_out)
			me->at++;
		break;
	case 2:
		me->at = 0;
		/* Its time may be over whenever it sleeps. */
		if (sleeps(t) && timed)
			me->timed_out = 1;
		return sleeps(t) && !timed ? BLOCKED : WENT_ON;
	case 3:
		leave(&s.completion, t);
		break;
	case 4:
		me->state = AWAKE;
		break;
	default:
		return me->reg || take_unit() ? FINISHED : FAILED;
	}
	me->at++;
	return WENT_ON;
}

static enum did do_complete(void)
{
	s.units++;
	if (s.completion.n)
		wake(pop(&s.completion));
	return FINISHED;
}

static enum did do_look(unsigned int t)
{
	struct thread *me = &s.thread[t];

	switch (me->at++) {
	case 0:
		me->reg = s.flag;
		return s.flag ? FINISHED : WENT_ON;
	case 1:
		join(&s.sleepers, t);
		me->state = UNINTERRUPTIBLE;
		return WENT_ON;
	case 2:
		return sleeps(t) ? BLOCKED : WENT_ON;
	case 3:
		leave(&s.sleepers, t);
		return WENT_ON;
	default:
		me->state = AWAKE;
		return FINISHED;
	}
}

static enum did do_set(unsigned int t)
{
	if (!s.thread[t].at++) {
		s.flag = 1;
		return WENT_ON;
	}
	while (s.sleepers.n)
		wake(pop(&s.sleepers));
	return FINISHED;
}

/* ---- variables ----------------------------------------------------------- */

static enum did do_read(unsigned int t, unsigned int v)
{
	s.thread[t].reg = s.var[v];
	return s.var[v] ? FINISHED : FAILED;
}

static enum did do_add(unsigned int t, unsigned int v)
{
	struct thread *me = &s.thread[t];

	if (!me->at++) {
		me->reg = s.var[v];
		return WENT_ON;
	}
	s.var[v] = (uint8_t)(me->reg + 1);
	return FINISHED;
}

/* ---- the machine --------------------------------------------------------- */

static enum did do_op(unsigned int t, const struct program_op *o)
{
	switch ((enum program_verb)o->verb) {
	case DO_LOCK:
		return do_lock(t, o->which, false);
	case DO_UNLOCK:
		return do_unlock(t, o->which);
	case DO_TRY:
		return do_try(t, o->which);
	case DO_LOCK_INTR:
		return do_lock(t, o->which, true);
	case DO_INTERRUPT:
		return do_interrupt(t, o->which);
	case DO_SPIN:
		return do_spin(t, o->which);
	case DO_SPIN_UNLOCK:
		return do_spin_unlock(t, o->which);
	case DO_READ_LOCK:
		return do_rwsem(t, false);
	case DO_READ_UNLOCK:
		return do_rwsem_unlock(t, false);
	case DO_READ_TRY:
		return do_read_try(t);
	case DO_WRITE_LOCK:
		return do_rwsem(t, true);
	case DO_WRITE_UNLOCK:
		return do_rwsem_unlock(t, true);
	case DO_PERCPU_READ:
		return do_percpu_read(t);
	case DO_PERCPU_READ_UNLOCK:
		return do_percpu_read_unlock(t);
	case DO_PERCPU_WRITE:
		return do_percpu_write(t);
	case DO_PERCPU_WRITE_UNLOCK:
		return do_percpu_write_unlock(t);
	case DO_GET:
		return do_count(t, true);
	case DO_PUT:
		return do_count(t, false);
	case DO_BEGIN:
		return do_begin(t);
	case DO_DONE:
		return do_done(t);
	case DO_WAIT:
		return do_wait(t, false);
	case DO_WAIT_TIMEOUT:
		return do_wait(t, true);
	case DO_COMPLETE:
		return do_complete();
	case DO_LOOK:
		return do_look(t);
	case DO_SET:
		return do_set(t);
	case DO_READ:
		return do_read(t, o->which);
	case DO_WRITE:
		s.var[o->which] = o->value;
		return FINISHED;
	case DO_ADD:
		return do_add(t, o->which);
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

/* Let thread t do one step in s. Returns false, and has changed s, if it cannot. */
static bool step(unsigned int t)
{
	struct thread *me = &s.thread[t];
	const struct program_op *o;
	enum did did;

	if (me->pc == prog->thread[t].n)
		return false;
	o = &prog->thread[t].op[me->pc];
	did = do_op(t, o);
	if (did == BLOCKED || did == WENT_ON)
		return did == WENT_ON;
	s.told[t][me->pc] = told(o, did == FAILED, me->reg);
	me->pc = (uint8_t)program_next(prog, t, me->pc, did == FAILED);
	me->at = me->sub = me->reg = me->timed_out = 0;
	return true;
}

/* ---- all states ---------------------------------------------------------- */

/* The states seen, and a hash table of their numbers plus 1. */
static struct state *seen;
static size_t nr_seen, room;
static uint32_t *table;
static size_t table_size; /* a power of 2, more than twice nr_seen */

static uint64_t hash(const struct state *x)
{
	const uint8_t *b = (const uint8_t *)x;
	uint64_t h = 0x9e3779b97f4a7c15, word;
	size_t i;

	for (i = 0; i + 8 <= sizeof(*x); i += 8) {
		memcpy(&word, b + i, 8);
		h = (h ^ word) * 0xff51afd7ed558ccd;
		h ^= h >> 32;
	}
	for (; i < sizeof(*x); i++)
		h = (h ^ b[i]) * 0x100000001b3;
	return h ^ h >> 29;
}

static uint32_t *place_of(const struct state *x)
{
	size_t i = hash(x) & (table_size - 1);

	while (table[i] && memcmp(&seen[table[i] - 1], x, sizeof(*x)) != 0)
		i = (i + 1) & (table_size - 1);
	return &table[i];
}

static void grow(void)
{
	free(table);
	table_size *= 2;
	table = calloc(table_size, sizeof(*table));
	CHECK(table);
	for (size_t i = 0; i < nr_seen; i++)
		*place_of(&seen[i]) = (uint32_t)(i + 1);
}

/* Add x, unless it was seen. */
static void visit(const struct state *x)
{
	uint32_t *place = place_of(x);

	if (*place)
		return;
	if (nr_seen == room) {
		room *= 2;
		seen = realloc(seen, room * sizeof(*seen));
		CHECK(seen);
	}
	seen[nr_seen++] = *x;
	*place = (uint32_t)nr_seen;
	if (nr_seen * 2 > table_size)
		grow();
}

static void add_end(struct oracle_result *r, const struct state *x)
{
	struct program_end e;

	memset(&e, 0, sizeof(e));
	for (unsigned int t = 0; t < prog->nr_threads; t++)
		e.pc[t] = x->thread[t].pc;
	memcpy(e.var, x->var, sizeof(e.var));
	memcpy(e.told, x->told, sizeof(e.told));
	/* Double the room at each power of 2. */
	if (!(r->nr_ends & (r->nr_ends - 1)))
		r->end = realloc(r->end, (r->nr_ends ? 2 * r->nr_ends : 1) *
						 sizeof(*r->end));
	CHECK(r->end);
	r->end[r->nr_ends++] = e;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct program_end));
}

static void sort_ends(struct oracle_result *r)
{
	size_t n = 0;

	if (!r->nr_ends)
		return;
	qsort(r->end, r->nr_ends, sizeof(*r->end), compare);
	for (size_t i = 0; i < r->nr_ends; i++)
		if (!n || compare(&r->end[n - 1], &r->end[i]) != 0)
			r->end[n++] = r->end[i];
	r->nr_ends = n;
}

void oracle_run(struct oracle_result *r, const struct program *p,
		unsigned int options, size_t max_states)
{
	memset(r, 0, sizeof(*r));
	prog = p;
	opts = options;
	nr_seen = 0;
	if (!room) {
		room = 1024;
		seen = malloc(room * sizeof(*seen));
		CHECK(seen);
	}
	table_size = 2048;
	free(table);
	table = calloc(table_size, sizeof(*table));
	CHECK(table);
	memset(&s, 0, sizeof(s));
	visit(&s);
	for (size_t i = 0; i < nr_seen && nr_seen <= max_states; i++) {
		struct state from = seen[i];
		bool ended = true;

		for (unsigned int t = 0; t < p->nr_threads; t++) {
			s = from;
			if (!step(t))
				continue;
			ended = false;
			visit(&s);
		}
		if (ended)
			add_end(r, &from);
	}
	r->nr_states = nr_seen;
	r->too_big = nr_seen > max_states;
	sort_ends(r);
}

void oracle_free(struct oracle_result *r)
{
	free(r->end);
	memset(r, 0, sizeof(*r));
}

bool oracle_is_deadlock(const struct program *p, const struct program_end *e)
{
	for (unsigned int t = 0; t < p->nr_threads; t++)
		if (e->pc[t] < p->thread[t].n)
			return true;
	return false;
}
