/*
 * Shared by the files of lockdep.
 */
#pragma once

#include "kernel/lock/lockdep_graph.h"
#include "kernel/sched/sched.h"

/* How a class has been used: in an interrupt, or with interrupts on; waited for
 * with interrupts off, or held by a thread that waited for an answer of other
 * cores. */
enum {
	USED_IN_HARDIRQ,
	USED_IN_HARDIRQ_READ,
	ENABLED_HARDIRQ,
	ENABLED_HARDIRQ_READ,
	TAKEN_IRQS_OFF,
	HELD_IN_CALL,
	NR_USES
};
#define USE_BIT(u) (1u << (u))
#define USE_IN	   (USE_BIT(USED_IN_HARDIRQ) | USE_BIT(USED_IN_HARDIRQ_READ))
#define USE_ON	   (USE_BIT(ENABLED_HARDIRQ) | USE_BIT(ENABLED_HARDIRQ_READ))
#define USE_CALL   (USE_BIT(TAKEN_IRQS_OFF) | USE_BIT(HELD_IN_CALL))

struct lock_class {
	const void *key;
	const char *name;
	uint16_t next; /* in its hash bucket */
	uint8_t subclass;
	uint16_t same;			/* older classes of that name */
	uint32_t usage;			/* USE_BIT()s */
	struct dep_trace used[NR_USES]; /* the first use of each sort */
};

/* A held lock as a report keeps it. */
struct held_copy {
	const void *lock;
	uintptr_t site;
	uint16_t class;
	uint8_t how;
	bool waits;
};
#define HELD_COPIES 12

/* All that a report needs, so that it can be printed again. */
struct finding {
	enum lockdep_kind kind;
	/* The context in which it was found: */
	uint32_t thread, core;
	char comm[THREAD_NAME_LEN];
	int preempt_count;
	bool in_irq, is_idle, irqs_off;
	uintptr_t reader; /* where the RCU reader began; 0: not in a reader */
	struct held_copy next;	 /* the lock being taken, or the wrong one */
	struct held_copy prev;	 /* the lock held, if that matters */
	struct dep_path path;	 /* circular: next to prev; irq: prev to safe */
	struct dep_path forward; /* irq: next to unsafe */
	/* irq: the two classes, how each was used, and which use is new */
	unsigned int safe, unsafe, safe_use, unsafe_use, new_use;
	const char *what; /* lockdep_complain(): a few words */
	uintptr_t site;
	unsigned int nr_held;
	struct held_copy held[HELD_COPIES];
	struct dep_trace trace; /* of the acquisition */
};

/* lockdep.c */
extern struct spinlock lockdep_graph_lock;
extern struct dep_graph lockdep_graph;
extern struct lock_class lockdep_classes[DEP_NODES];
extern unsigned int lockdep_nr_classes; /* with the unused 0 */
extern unsigned int lockdep_nr_chains, lockdep_chain_misses, lockdep_max_depth;
extern unsigned int lockdep_nr_findings, lockdep_again;
extern unsigned int lockdep_distinct[NR_LOCKDEP_KINDS];

/* Size of the table of chains, a power of two. */
#define LOCKDEP_CHAIN_BITS 13
#define LOCKDEP_CHAINS	   (1u << LOCKDEP_CHAIN_BITS)
#define LOCKDEP_FINDINGS   256

/* lockdep_report.c. IRQs off, the graph lock not held. */
void lockdep_report(const struct finding *f);
/* Print, once for each table, that it is full. number: the constant to raise;
 * is: its value. (is 0: `number` is the name of a lock that cannot have a
 * class.) */
void lockdep_full(const char *table, const char *number, unsigned int is);
/* A reset empties the edges and the findings: report again if these fill up. */
void lockdep_forget_full_tables(void);

/* For the command `lockdep`. */
void lockdep_print_stats(void);
void lockdep_print_classes(void);
void lockdep_print_graph(bool dot);
