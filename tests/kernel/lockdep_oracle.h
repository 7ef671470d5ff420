/*
 * The oracle of suite lockdep: what lockdep must report for a row
 * (tests/kernel/lockdep_rows.h), found without lockdep's methods.
 *
 * The oracle runs no lock. It interprets the steps, and keeps all that it has
 * seen since the beginning of the row: each pair of a lock that was held and a
 * lock that was taken meanwhile, and each way in which a lock was used (taken in
 * an interrupt, held with interrupts on, held during a call, ...). It then tries
 * all paths that do not visit a class twice. It has no chains, no cache and no
 * list of what was reported. Only rows that can really run are of use: a step
 * that would wait for ever is refused.
 *
 * For each step it says which kinds must be found, and which may be: what follows
 * from a mistake that was found need not be said. Findings about classes alone are
 * counted, too.
 *
 * Debug profile only. Owns no data; any context.
 */
#pragma once

#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG

#define ORACLE_HELD    8 /* locks at once; a step with more is refused */
#define ORACLE_READERS 3 /* open at once */
/* The classes, each with nesting levels 0 and 1, and the class of s and u. */
#define ORACLE_NODES (CLASSES * 2 + 1)

struct oracle_lock {
	uint8_t lock; /* its place in `inside` */
	uint8_t node;
	bool write, in_irq;
	bool nested;	/* taken by step O */
	bool recursive; /* taking it was a recursion */
	bool irqs_on; /* taken with interrupts on, or held when they came on */
};

struct oracle {
	enum lock_type type;
	bool irqs_on, in_irq;
	unsigned int readers,
		irq_readers; /* RCU: the thread's, the handler's */
	unsigned int depth;
	struct oracle_lock held[ORACLE_HELD];
	/* Of each real lock: readers inside, or -1 for a writer. The last one is
	 * that of steps s and u. */
	int inside[CLASSES * INSTANCES + 1];
	/* Left behind by a handler; released by a handler, not by the holder. */
	uint8_t lost[CLASSES * INSTANCES + 1], stolen[CLASSES * INSTANCES + 1];
	unsigned int lost_readers;
	/* What was seen. Each is a set of bits that say how. */
	uint8_t pair[ORACLE_NODES][ORACLE_NODES];
	uint8_t taken_in_irq[ORACLE_NODES], held_irqs_on[ORACLE_NODES];
	uint8_t taken_irqs_off[ORACLE_NODES], held_in_call[ORACLE_NODES];
	uint8_t refused[2][2][ORACLE_NODES]; /* of a rule, of one side of it */
	/* Kinds of this step: found for the first time, and those that are right
	 * if lockdep has not said so before. */
	unsigned int kinds, may;
	uint32_t rings; /* oracle_ring() */
	/* Since the beginning: so many findings there must be at least, and which
	 * there may be: of a class and a rule, of two classes and a rule. */
	unsigned int at_least[NR_LOCKDEP_KINDS];
	uint16_t inconsistent[2];
	uint16_t order[2][ORACLE_NODES], inversion[2][ORACLE_NODES];
	bool both_sides[2]; /* this acquisition: the lock, of a rule */
};

void oracle_begin(struct oracle *o, enum lock_type type);
/*
 * One step, two characters: an operation and a lock, or an operation and
 * anything. '{' and '}' are steps of their own. Returns false, and leaves *o in
 * any state, if the step cannot run here.
 */
bool oracle_step(struct oracle *o, char op, char lock);
/* The thread ends. */
void oracle_end(struct oracle *o);
/* What the steps since the last call must lead to, and what they may lead to. */
struct oracle_says {
	unsigned int must, may;
	uint32_t rings; /* the locks that CIRCULAR is about: oracle_ring() */
};
/* A bit for a class that is wanted and one that is held: 0 to CLASSES - 1, or
 * CLASSES for the class of steps s and u. */
static inline uint32_t oracle_ring(unsigned int wanted, unsigned int held)
{
	return 1u << (wanted * (CLASSES + 1) + held);
}

struct oracle_says oracle_found(struct oracle *o);
/* The number of findings of that kind since the beginning: at least, at most. Only
 * for kinds that are about classes and nothing else: INCONSISTENT, IRQ_ORDER and
 * INVERSION. */
unsigned int oracle_least(const struct oracle *o, enum lockdep_kind kind);
unsigned int oracle_most(const struct oracle *o, enum lockdep_kind kind);
/* A spinlock that a handler has released, so that the thread still has preemption
 * off until it releases the lock, too; or -1. */
int oracle_late(const struct oracle *o);
/* Does the thread hold nothing, with interrupts on and outside of readers? */
bool oracle_at_rest(const struct oracle *o);
/* All kinds that a row leads to. Returns false if it has a step that the oracle
 * does not know, or that cannot run. */
bool oracle_row(const char *program, enum lock_type type, unsigned int *kinds);
#endif
