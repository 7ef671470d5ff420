/*
 * Shared by the files of lockdep. Each of these files uses the files above it:
 *
 *	lockdep_full.c      one line for each full table
 *	lockdep_class.c     the classes, the graph, the lock that guards both
 *	lockdep_chain.c     the sequences of held locks that were checked
 *	lockdep_scenario.c  parts of reports
 *	lockdep_report.c    the reports
 *	lockdep_finding.c   which findings are new; counts
 *	lockdep_irq.c       uses of classes, interrupts
 *	lockdep_order.c     order, recursion
 *	lockdep_stray.c     locks whose state is not what the list says
 *	lockdep.c           the list of held locks; the hooks of the locks
 *	lockdep_fast.h      their usual case; also in the spinlocks
 *	lockdep_context.c   what a context leaves behind; sleeping; assertions
 *	lockdep_reset.c     reset, unregistering of keys
 *	lockdep_stats.c     what the command `lockdep` prints
 */
#pragma once

#include "kernel/lock/lockdep_fast.h"
#include "kernel/lock/lockdep_graph.h"
#include "kernel/sched/sched.h"

#if GORDIAN_DEBUG

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
#define USE_READ   (USE_BIT(USED_IN_HARDIRQ_READ) | USE_BIT(ENABLED_HARDIRQ_READ))
#define USE_CALL   (USE_BIT(TAKEN_IRQS_OFF) | USE_BIT(HELD_IN_CALL))

struct lock_class {
	const void *key; /* NULL: not in use */
	const char *name;
	uint32_t serial; /* no other class has it, since boot */
	uint16_t next;	 /* in its hash bucket */
	uint8_t subclass;
	uint8_t wait;	/* enum lock_wait */
	uint16_t same;	/* older classes of that name */
	uint32_t usage; /* USE_BIT()s */
	uint32_t wrong; /* of these: findings, and so no evidence for others */
	struct dep_trace used[NR_USES]; /* the first use of each sort */
};

/* A held lock as a report keeps it. */
struct held_copy {
	const void *lock;
	uintptr_t site;
	uint16_t class;
	uint8_t how;
	bool waits;
	uint8_t more; /* as in struct held_lock */
};

/* All that a report needs, so that it can be printed again. It also refers to
 * classes and edges; these do not change before the next reset. */
struct finding {
	enum lockdep_kind kind;
	/* When it was found: lockdep_resets and lockdep_removals, and a sum over
	 * all classes and edges to which it refers. */
	uint32_t epoch, removals;
	uint64_t named;
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
	const char *what; /* a few words */
	uintptr_t site;
	enum lockdep_left {
		LEFT_NOTHING,
		LEFT_READER,
		LEFT_COUNT,
		LEFT_IRQS_ON,
		LEFT_IRQS_OFF
	} left;
	/* How the lock should be held. */
	enum lockdep_held_how {
		HELD_ANYHOW,
		HELD_FOR_READING,
		HELD_FOR_WRITING
	} held_how;
	int was_count; /* the preempt count at the begin of the context */
	unsigned int nr_held;
	struct held_copy held[MAX_HELD];
	struct dep_trace trace; /* of the acquisition */
};

/* ---- lockdep_full.c: IRQs off, lockdep_graph_lock not held ---------------- */

/* Print, once for each table, that it is full. number: the constant to raise;
 * is: its value; then: what that means for what follows. */
void lockdep_full(const char *table, const char *number, unsigned int is,
		  const char *then);
/* Print, once for each name, what is wrong with locks of that name. */
void lockdep_bad_name(const char *what, const char *name);
/* The table has room again. When it is full again, print this again. */
void lockdep_has_room(const char *number);

/* ---- lockdep_class.c ------------------------------------------------------ */

extern struct spinlock lockdep_graph_lock;
extern struct dep_graph lockdep_graph;
extern struct lock_class lockdep_classes[DEP_NODES];
extern unsigned int lockdep_nr_classes; /* places used, with the unused 0 */
extern unsigned int lockdep_classes_in_use;
/* How often something was forgotten, and how often of these it was a key's
 * classes alone. They change under lockdep_graph_lock, and while no report is
 * printed. */
extern uint32_t lockdep_resets, lockdep_removals;

/* A hash of key and value. The factor is 2^64 divided by the golden ratio. */
static inline uint64_t lockdep_mix(uint64_t key, uint32_t value)
{
	key = (key ^ value) * 0x9e3779b97f4a7c15ull;
	return key ^ key >> 29;
}

/* Returns the class of m, and stores it in m. 0: m cannot have a class, and a
 * line about this has been printed. IRQs off, recursion set. */
unsigned int lockdep_class_of(struct lockdep_map *m, unsigned int subclass);
/* lockdep_set_use(): note a use; wrong: the use is a finding.
 * lockdep_forget_uses(): forget all uses. lockdep_forget_key(): forget the
 * classes of a key, and set their bits in gone[]; returns whether there was
 * one. *registered: was the key registered? lockdep_graph_lock held. */
void lockdep_set_use(unsigned int class, unsigned int use, bool wrong);
void lockdep_forget_uses(void);
bool lockdep_forget_key(const void *key, uint32_t gone[DEP_NODES / 32],
			bool *registered);

/* The uses that count as evidence for other findings. */
static inline uint32_t lockdep_evidence(const struct lock_class *c)
{
	return c->usage & ~c->wrong;
}

/* ---- lockdep_chain.c ------------------------------------------------------ */

extern unsigned int lockdep_nr_chains, lockdep_chain_misses;

/* Find or add the chain that is h on top of h->below. Returns the chain's name.
 * *known: was the chain marked as checked? epoch: NULL, or the value of
 * lockdep_resets before the check that the caller has just made. If
 * lockdep_resets still has this value, mark the chain as checked. */
unsigned int chain_intern(const struct held_lock *h, const uint32_t *epoch,
			  bool *known);
/* chains_uncheck(): no chain is checked any more. chains_remove(): remove the
 * chains that contain one of these classes. lockdep_graph_lock held. */
void chains_uncheck(void);
void chains_remove(const uint32_t gone[DEP_NODES / 32]);

/* ---- lockdep_scenario.c, lockdep_report.c --------------------------------- */

#define NAME_SIZE 48

/* The name of a class: "slab_mutex", "lock#2", "lock/1". */
const char *lockdep_class_name(unsigned int class, char buf[NAME_SIZE]);
/* Linux's marks: '-' used in interrupts, '+' with interrupts enabled, '?' both,
 * '.' neither. */
char lockdep_use_char(uint32_t usage, unsigned int in, unsigned int on);
void lockdep_print_cycle(const struct finding *f);
unsigned int lockdep_link_number(const struct finding *f, unsigned int i,
				 bool *gap);
void lockdep_print_recursion(const struct finding *f);
void lockdep_print_inconsistent_scenario(const struct finding *f);
void lockdep_print_irq_scenario(const struct finding *f, unsigned int middle);
void lockdep_print_call_scenario(const struct finding *f, unsigned int middle);
bool lockdep_is_about_calls(const struct finding *f);

extern unsigned int lockdep_reports; /* printed since boot */
/* IRQs off, the graph lock not held. */
void lockdep_report(const struct finding *f);
/* The last report cannot be printed again, because its classes may be gone. */
void lockdep_forget_last(void);

/* ---- lockdep_finding.c ---------------------------------------------------- */

#define LOCKDEP_FINDINGS 256

extern unsigned int lockdep_nr_findings, lockdep_again, lockdep_unsaid;
extern unsigned int lockdep_distinct[NR_LOCKDEP_KINDS];

/* Record the stack from that frame on. If the frame's saved fp is
 * LOCKDEP_NO_OLDER_FRAME, the older frames are not known: the stack is cut. */
#define LOCKDEP_NO_OLDER_FRAME 1u
void lockdep_trace_from(struct dep_trace *t, const void *frame);
struct held_copy lockdep_copy(const struct held_lock *h);
/* Fill in what every finding of the current thread has. frame: the frame from
 * which its stack is recorded. */
void lockdep_fill(struct finding *f, enum lockdep_kind kind, const void *frame);
/* A sum over the classes and edges to which f refers. The sum changes if one of
 * them goes, or if its place is used for another one. */
uint64_t lockdep_named(const struct finding *f);
/* Count a finding. Returns whether it has to be reported: the first with this
 * kind and key. lockdep_graph_lock held. */
bool lockdep_note(struct finding *f, uint32_t a, uint32_t b, uint32_t c);
/* Count a finding, and report it if it is the first. Takes
 * lockdep_graph_lock. */
void lockdep_found(struct finding *f, uint32_t a, uint32_t b, uint32_t c);
/* n further things were found that follow from a finding. Count them. */
void lockdep_count_again(unsigned int n);
uint32_t lockdep_serial(unsigned int class);
/* lockdep_graph_lock held. */
void lockdep_forget_findings(void);

/* ---- lockdep_irq.c -------------------------------------------------------- */

static inline bool is_shared(unsigned int how)
{
	return (how & (LOCK_READ | LOCK_READ_RECURSIVE)) != 0;
}

static inline bool is_recursive(unsigned int how)
{
	return (how & LOCK_READ_RECURSIVE) != 0;
}

/* The uses (USE_BIT()s) that the class of h gets because a thread holds the
 * lock as h says. */
uint32_t lockdep_uses_of(const struct held_lock *h);
/* Note for h's class the uses that it did not have, and report each one that is
 * a finding. Returns false if there was one. */
bool lockdep_mark_use(const struct held_lock *h, uint32_t uses,
		      const void *frame);
/* h is one of several locks that the current step concerns. As
 * lockdep_mark_use(), but after the step's first finding (*ok is false) note
 * nothing, and only count further findings. */
void lockdep_mark_in_step(const struct held_lock *h, uint32_t uses, bool *ok,
			  const void *frame);
/* Does prev -> next, which is a new edge, connect a safe lock to an unsafe one?
 * Reports each such pair, but not by a rule that the uses `wrong` have broken
 * already. Returns false if there is one. */
bool lockdep_check_irq_order(const struct held_lock *prev,
			     const struct held_lock *next, struct dep_edge *e,
			     uint32_t wrong, const void *frame);

/* ---- lockdep_order.c ------------------------------------------------------ */

/* Report an entry from `first` to n - 1 that has the class of next and must not
 * have it. Returns false if there is one. */
bool lockdep_check_recursion(const struct lockdep_thread *t, unsigned int first,
			     unsigned int n, const struct held_lock *next,
			     const void *frame);
/* Check the order of next, which is being taken, and the first n locks of t's
 * list. `ordered`: an outer lock orders the locks of next's class. wrong: the
 * uses of next's class that this acquisition has made, and that are findings.
 * Returns false if there is a finding. */
bool lockdep_check_order(const struct lockdep_thread *t, unsigned int n,
			 const struct held_lock *next, bool ordered,
			 uint32_t wrong, const void *frame);

/* ---- lockdep_stray.c ------------------------------------------------------ */

struct stray_lock *stray_find(struct lockdep_thread *t,
			      const struct lockdep_map *m);
/* Returns the stray; NULL: there is no room, and the thread is blind now. */
struct stray_lock *stray_add(struct lockdep_thread *t,
			     const struct held_lock *h, bool gone);
/* A lock in this memory is initialised: forget the strays there that were left
 * behind or freed. */
void stray_renewed(struct lockdep_thread *t, const void *from, size_t len);
/* The thread releases m, which is not on its list. Returns false if lockdep
 * must report this. If it need not, *ok is what lock_release() returns. */
bool stray_release(struct lockdep_thread *t, const struct lockdep_map *m,
		   bool *ok);
/* A context ends, and lockdep restores the preempt count. by: how much too high
 * the count was. Note which strays made this difference (owes_a_count). */
void stray_owe(struct lockdep_thread *t, int by);

/* ---- lockdep.c ------------------------------------------------------------ */

extern unsigned int lockdep_max_depth;

/* The last entry of m on the list; NULL if there is none. */
const struct held_lock *lockdep_entry(const struct lockdep_thread *t,
				      const struct lockdep_map *m);
/* The lock of entry i no longer exists, or has lost its class: make it a stray.
 * renewed: another lock, which is free, is in its place. */
void lockdep_retire(struct lockdep_thread *t, unsigned int i, bool renewed);
/* The name of the chain that entry n - 1 ends. If n is 0: CHAIN_EMPTY. */
unsigned int lockdep_chain_of(const struct lockdep_thread *t, unsigned int n);
/* A reset came since the last step of t, or a key was unregistered: learn again
 * what t holds. */
void lockdep_relearn(struct lockdep_thread *t);

/* ---- lockdep_stats.c: for the command `lockdep` --------------------------- */

void lockdep_print_stats(void);
void lockdep_print_classes(void);
void lockdep_print_graph(bool dot);
#endif
