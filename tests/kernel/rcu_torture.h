/*
 * RCU torture: readers of every kind on all cores, writers that replace the objects
 * that they read, callbacks and barriers. Meanwhile cores go off and on, and from time
 * to time all workers are silent.
 *
 * The life of an object: LIVE, in a slot where readers find it; RETIRED, out of the
 * slot and waiting for a grace period; RECLAIMED, back in the pool, where it stays
 * until all others have been used; then LIVE again with another id. If a reader finds
 * a RECLAIMED object, or another id than at its start, a grace period has certainly
 * ended too early: no timing is involved.
 *
 * The counts of what went wrong:
 *   reclaimed  a reader saw reclaimed data (also an object of kfree_rcu())
 *   lost       a callback never ran although its grace period has ended, or had not
 *              run when rcu_barrier() returned
 *   doubled    a callback ran twice
 *   stalled    a grace period does not end, or a wait for one does not return
 *   starved    the run has done too little to prove anything, although it went on for
 *              MOST_TIMES as long as it should
 *
 * The command's thread is the director. It runs a busy phase at one of three paces,
 * then a quiet one, in which every callback must run. It watches the workers all the
 * time. It waits for nothing longer than LATE_NS of its clock, so it reports a broken
 * RCU and does not hang; workers that hang are left behind.
 *
 * rcu_readers.c: the objects and their readers. rcu_writers.c: writers, barriers,
 * cores. rcu_torture.c: the director. The shared state (rt) is atomic; counts are
 * relaxed.
 */
#pragma once

#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/timer.h"
#include "tests/kernel/ktest.h"

#define NR_OBJECTS  512
#define NR_TESTERS  4 /* of rcu_barrier(); they are the first workers */
#define MAX_READERS 10u
#define MAX_WORKERS (MAX_READERS + NR_TESTERS + 8)
#define LATE_NS	    4000000000ull /* no wait may be longer */
#define MOST_TIMES  20 /* so many times longer a run may take on a slow host */
#define US	    1000ull

#define LIVE	  0x11fe11feu
#define RETIRED	  0x0e710e71u
#define RECLAIMED 0xdeaddeadu

enum how { BY_SYNC, BY_EXPEDITED, BY_CALL, BY_KFREE };

struct object {
	uint32_t stamp; /* LIVE, RETIRED, RECLAIMED; atomic */
	uint32_t id;	/* another one in each life */
	/* Written before the stamp becomes RETIRED. */
	uint32_t how;
	uint32_t core, ms; /* where and when it was retired */
	uint32_t snap;	   /* the gp_seq that ends its wait */
	struct rcu_head head;
	struct list_head link; /* guarded by pool_lock */
};

struct worker {
	struct thread *thread;
	const char *name;
	int (*fn)(struct worker *w);
	uint32_t rnd;
	bool resting;	    /* it rests, as the pace says */
	const char *doing;  /* the call that it waits in, or NULL */
	uint32_t since;	    /* ms */
	struct timer timer; /* of a reader: it reads in its interrupt */
	bool timer_rests;   /* the reader may arm it; else it arms itself */
};

enum pace { DENSE, MIXED, THIN, QUIET, LONELY, SILENT };

extern struct rcu_torture {
	enum pace pace; /* what the workers should do */
	bool stop;
	unsigned int victim; /* the core that goes off or on next */
	bool leaving;	     /* a core is about to run its last interrupt */
	uint32_t witnesses;  /* readers that began since then */
	uint32_t ms;	     /* since the start, by the director's clock */
	uint64_t ticked;     /* ns; the director's, see tick() */
	struct worker workers[MAX_WORKERS];
	struct {
		uint32_t reads, irq_reads,
			seen[4]; /* seen[age]: live to reused */
		uint32_t updates[4], queued, ran;
		uint32_t barriers, pings, offs, ons, refused;
		uint32_t last_words,
			first_words; /* by cores that go off, that come on */
		uint32_t silences;
		uint32_t reclaimed, lost, doubled, stalled;
	} n;
} rt;

static inline void count(uint32_t *c)
{
	__atomic_fetch_add(c, 1, __ATOMIC_RELAXED);
}

/* The director's clock, since the start of the run. */
static inline uint32_t now_ms(void)
{
	return READ_ONCE(rt.ms);
}

/* Something is wrong: the first two of a kind are printed, and the run ends. */
#define EVIDENCE(kind, ...)                                                    \
	do {                                                                   \
		if (__atomic_fetch_add(&rt.n.kind, 1, __ATOMIC_RELAXED) < 2) { \
			uint32_t _ms = now_ms();                               \
			kprintf("rcu torture: %u.%03u s: " #kind "\n  ",       \
				_ms / 1000, _ms % 1000);                       \
			kprintf(__VA_ARGS__);                                  \
		}                                                              \
		WRITE_ONCE(rt.stop, true);                                     \
	} while (0)

/* By multiplication, because a division is a function call. */
static inline uint32_t random_below(uint32_t *rnd, uint32_t limit)
{
	return (uint32_t)((uint64_t)ktest_random(rnd) * limit >> 32);
}

/* A seed for code without a worker, such as an interrupt. */
static inline uint32_t random_seed(void)
{
	uint32_t rnd = (uint32_t)timer_now() | 1;

	ktest_random(&rnd);
	return rnd;
}

/* rcu_readers.c */
extern struct object torture_objects[NR_OBJECTS];
bool objects_prepare(void);
void objects_end(void);
struct object *replace(uint32_t *rnd, enum how how);
void reclaim(struct object *o);
void replace_and_call(uint32_t *rnd);
void replace_all_and_call(uint32_t *rnd);
void read_section(uint32_t *rnd, uint64_t ns, const char *kind);
int reader(struct worker *w);

/* rcu_writers.c */
bool go_on(struct worker *w, enum pace rest_from);
void pause_randomly(struct worker *w, uint32_t us);
void roam(struct worker *w);
int sync_writer(struct worker *w);
int expedited_writer(struct worker *w);
int call_writer(struct worker *w);
int barrier_tester(struct worker *w);
int toggler(struct worker *w);
int finisher(struct worker *w);
extern struct notifier_block torture_notifier;
