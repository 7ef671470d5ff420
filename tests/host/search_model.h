/*
 * The step machine: a program (program.h) whose threads move in the steps that
 * the explorer knows. Before each visible operation a thread stops at a gate. A
 * step is one thread's work only, from a gate to its next gate, to its sleep or
 * to its end. A thread that is woken stops at a gate before it looks at anything.
 *
 * A step tells what it touches, and all that its behaviour depends on:
 *
 *	lock, spin lock		m WRITE; enabled only while m is open
 *	unlock, spin unlock	m WRITE, opens it. If a thread T waits in the
 *				queue, it gets m: m stays closed, T WRITE opens T
 *	try			m WRITE
 *	interruptible lock	m WRITE; if m is not free: T WRITE, queues and
 *				sleeps, or is interrupted. Then T READ, and if
 *				it was interrupted T WRITE, m WRITE
 *	interrupt T		T WRITE; opens T if it sleeps in such a lock
 *	r			enters: s READ. Queues: s WRITE, then T READ
 *	w			s WRITE; if it queued, then T READ
 *	tr			enters: s READ. Fails: s WRITE
 *	-r			nobody queued: s READ. Else s WRITE, T WRITE
 *	-w			s WRITE, T WRITE for each thread that may enter
 *	pr			enters: s INC. Queues: s WRITE, then T READ and
 *				again
 *	-pr			nobody drains: s DEC. Else s WRITE, T WRITE
 *	pw			lock a mutex; s WRITE; while it has to wait: T READ
 *				and s WRITE
 *	-pw			s WRITE, T WRITE for each queued reader; unlock
 *	g, -g			lock; c INC or DEC, c WRITE while a thread waits for
 *				the count, T WRITE if it is woken; unlock
 *	h			lock; lock, c WRITE; if the count is not 0: unlock
 *				and sleep, T READ, and again from the second lock
 *	-h			unlock, unlock
 *	P, P~			q WRITE; if it had to sleep: T READ and q WRITE,
 *				perhaps again; if its time is over: T WRITE, q WRITE
 *	V			q WRITE, T WRITE if it wakes T
 *	?			flag READ; if it was 0: q WRITE; T READ, q WRITE
 *	!			flag WRITE; q WRITE, T WRITE for each one it wakes
 *	v s x			v READ, v WRITE, both
 *	the end of a thread	ends READ, in its last step
 */
#pragma once

#include "tests/host/program.h"

enum model_how { MODEL_READ, MODEL_INC, MODEL_DEC, MODEL_WRITE };

struct model_touch {
	unsigned int thing; /* not 0 */
	enum model_how how; /* as enum touch_how */
	bool opens, shuts;
};

enum { MODEL_TOUCHES = 16 };

/* What a thread's next step is. */
struct model_gate {
	bool ended, sleeps;
	unsigned int op, thing; /* thing 0: it touches nothing */
	enum model_how how;
	bool takes, vague;
};

/* One machine, one program at a time. */
void model_reset(const struct program *p);
/* The threads that can take a step, a bit each. */
uint32_t model_enabled(void);
struct model_gate model_gate(unsigned int t);
/* Thread t, which is enabled, takes a step. Returns the number of touches, which
 * may name one thing twice. */
unsigned int model_step(unsigned int t, struct model_touch *touched);
/* How the run ended. */
void model_end(struct program_end *e);
/* A hash of the state. */
uint64_t model_state(void);
