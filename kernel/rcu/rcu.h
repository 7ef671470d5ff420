/*
 * Read-copy-update, classic flavour: a reader is a region with preemption
 * disabled; a grace period has ended when every core that was online at its
 * start has passed through a quiescent state (context switch, idle, a tick that
 * interrupted no reader) or has gone.
 *
 * Duties of the user: (1) readers do not sleep; (2) unlink before you wait;
 * (3) a callback frees, it does not sleep. Consequences: (a) a reader that began
 * before the grace period did has finished, all its effects visible, before it
 * ends; (b) what an updater wrote before the grace period is seen by readers
 * that start after it; (c) rcu_barrier() waits for callbacks, not for a grace
 * period: it returns at once if there are none.
 *
 * RCU is an object (docs/design.md, "objects"): struct rcu_state. The kernel's
 * own instance is rcu_sched_state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"
#include "kernel/lib/cpumask.h"
#include "kernel/sync/mutex.h"
#include "kernel/rcu/cblist.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/wait.h"

/* A core's part of an instance. */
struct rcu_data {
	struct rcu_state *rsp;
	struct cblist cbs;	/* that core's, IRQs off */
	struct thread *thread;	/* invokes them: rcuc/N */
	struct wait_queue wake; /* where it waits */
	struct rcu_head barrier_head;
} cache_aligned;

/* Which cores a grace period still waits for. */
struct rcu_debt {
	struct cpumask owed;	     /* by these; rsp->lock */
	struct wait_queue wake;	     /* whoever waits for it waits here, and */
	uint32_t idle_snap[NR_CPUS]; /* saw these idle counts at its begin */
};

struct rcu_state {
	const char *name;
	/* What a grace period is: called by its thread, one at a time. */
	void (*grace_period)(struct rcu_state *rsp);
	/* What becomes of a dead core's callbacks: at CPU_DEAD, if it has any. */
	void (*adopt)(struct rcu_state *rsp, unsigned int dead);
	void (*barrier)(struct rcu_state *rsp); /* what rcu_barrier() is */
	struct spinlock lock;
	/* lock guards (gp_seq, request and the masks are also read without): */
	uint32_t gp_seq;       /* odd: one runs (kernel/rcu/cblist.h) */
	uint32_t request;      /* run until gp_seq gets there */
	struct cpumask online; /* cores that a grace period awaits */
	struct rcu_debt gp;    /* the grace-period thread's */
	struct rcu_debt exp;   /* an expedited one's */
	/* */
	uint64_t gp_start; /* counter ticks; the grace-period thread's */
	struct thread *thread;
	struct wait_queue gp_end; /* who waits for an end */
	struct mutex exp_mutex;	  /* one expedited grace period at a time */
	struct mutex barrier_mutex;
	struct completion barrier_completion; /* barrier_mutex */
	uint32_t barrier_count;		      /* atomic */
	uint32_t barrier_snap;	 /* its callbacks wait for it; for reports */
	uint32_t n_barrier_done; /* barrier_mutex; odd inside */
	struct rcu_state *next;
	struct rcu_data data[NR_CPUS];
};

extern struct rcu_state rcu_sched_state;

/* A grace period older than this is reported (guest time, ns). */
extern uint64_t rcu_stall_ns;
extern unsigned int rcu_stalls; /* reports since boot */

#if GORDIAN_DEBUG
/* They are counted, so that reports can name them. */
void rcu_read_lock(void);
void rcu_read_unlock(void);
#else
#define rcu_read_lock()	  preempt_disable()
#define rcu_read_unlock() preempt_enable()
#endif
/* Readers have preemption off: whoever has may dereference. */
static inline bool rcu_read_lock_held(void)
{
	return current->preempt_count || current->irq_depth || irqs_disabled();
}

/* A load that the dependent accesses follow (ARM keeps address dependencies;
 * pairs with the release in rcu_assign_pointer). In a reader. */
#define rcu_dereference(p)                                                     \
	({                                                                     \
		lockdep_check(rcu_read_lock_held(), LOCKDEP_RCU,               \
			      "rcu_dereference(" #p ")");                      \
		READ_ONCE(p);                                                  \
	})
/* The same for an updater: c says what keeps the pointer as it is. */
#define rcu_dereference_protected(p, c)                                        \
	({                                                                     \
		lockdep_check(c, LOCKDEP_RCU,                                  \
			      "rcu_dereference_protected(" #p ", " #c ")");    \
		READ_ONCE(p);                                                  \
	})
/* Publish: everything written to *v before is visible to whoever sees v. */
#define rcu_assign_pointer(p, v) smp_store_release(&(p), (v))

/* Queue a callback for after a grace period. Any context but FIQ. */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *));
/* Wait for a grace period. May sleep. */
void synchronize_rcu(void);
/* The same, hurried by interrupting the cores that are owed. May sleep. */
void synchronize_rcu_expedited(void);
/* Wait until every callback queued before the call has run. May sleep. */
void rcu_barrier(void);

/* An instance's parameters as the kernel has them; _rcu_barrier is the body of
 * the 2012 commit 1331e7a1bbe1. */
void rcu_grace_period(struct rcu_state *rsp);
void rcu_adopt(struct rcu_state *rsp, unsigned int dead);
void _rcu_barrier(struct rcu_state *rsp);

/*
 * Their steps. A grace period: begin (who is owed?), await them, end.
 *
 * A barrier: enter (callbacks queued so far are its business), with
 * barrier_mutex held see whether a whole one has gone by since, else begin,
 * entrain a callback of its own behind those of each online core, wait for these.
 * queue is what entrain does on that core, IRQs off: rdp's barrier_head, counted,
 * goes behind all of l.
 */
void rcu_gp_begin(struct rcu_state *rsp);
void rcu_gp_await(struct rcu_state *rsp);
void rcu_gp_end(struct rcu_state *rsp);
uint32_t rcu_barrier_enter(struct rcu_state *rsp, uintptr_t caller);
bool rcu_barrier_gone_by(struct rcu_state *rsp, uint32_t snap);
void rcu_barrier_begin(struct rcu_state *rsp);
void rcu_barrier_entrain(struct rcu_state *rsp, unsigned int cpu);
void rcu_barrier_queue(struct rcu_data *rdp, struct cblist *l);
void rcu_barrier_wait(struct rcu_state *rsp);
/* A snapshot of now: the gp_seq at which a full grace period has passed; see to
 * it that gp_seq gets there. Any context but FIQ. */
uint32_t rcu_snap(struct rcu_state *rsp);
void rcu_request(struct rcu_state *rsp, uint32_t snap);

/* Boot: registers scheduler hooks and the CPU notifier (before slab's). */
void rcu_init(void);
/* After the first threads can be made. */
void rcu_spawn(void);

/* Callbacks queued on that core, all segments (racy reading). */
unsigned int rcu_nr_callbacks(unsigned int cpu);
/* Even: the core idles, or is off; another number: it did something between. */
uint32_t rcu_idle_seen(unsigned int cpu);
/* Cores still owed by the running grace period; empty if none runs. */
struct cpumask rcu_owed(struct rcu_state *rsp);
/* For the wait-for graph: a wait for a grace period, for a barrier's last callback
 * (obj: its completion), and the grace-period thread's for readers (obj: the
 * struct rcu_state). */
extern const struct wait_ops gp_wait, barrier_wait, readers_wait;
/* The instance whose grace-period thread t is, if cores owe it something. */
struct rcu_state *rcu_awaits_cores(const struct thread *t);
/* For the `rcu` command. */
void rcu_print(void);
