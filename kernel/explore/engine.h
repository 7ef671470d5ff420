/*
 * What the files of the explorer's engine share. What the engine is for: gates.h.
 *
 *   footprints.c  what a step touches
 *   turns.c       spinlocks, masked IRQs and calls of other cores
 *   gates.c       where a thread stops
 *   engine.c      which thread takes the next step, and when a step is over
 *
 * One thread at a time has the lead: the exploring thread, or the explored
 * thread that was granted a step. `lead` names it. The lead is passed on with a
 * release and taken with an acquire, so the thread that has it sees everything
 * that was done before. `ex` and the gates belong to the thread that has the lead.
 * There are two exceptions. at_gate and go: a thread may come to its resume gate
 * while another thread has the lead. And the footprint: it has a lock of its own,
 * because events come from every core and from any place with a trace point.
 *
 * Debug profile only. Unless a comment says otherwise, the functions run in the
 * thread that has the lead.
 */
#pragma once

#include "kernel/explore/gates.h"
#include "kernel/lock/spinlock.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"

/* Names for things that have no address. */
#define THE_CORES  ((uintptr_t)1) /* which of them are online */
#define THE_CACHES ((uintptr_t)2) /* the list of all caches */
#define COUNT_OF(rsp)                                                          \
	((uintptr_t) & ((const struct rcu_state *)(rsp))->n_barrier_done)
#define THE_HEAP    ((uintptr_t)4) /* all that has no name there */
#define THE_DUE	    ((uintptr_t)5) /* open: RCU callbacks of the threads wait */
#define WAKE_OF(i)  ((uintptr_t)16 + (uintptr_t)(i)) /* may it wake up? */
#define AWAIT_OF(i) ((uintptr_t)32 + (uintptr_t)(i)) /* its condition */
#define LIST_OF(i)  ((uintptr_t)96 + (uintptr_t)(i)) /* of callbacks */
#define IRQS_OF(i)  ((uintptr_t)64 + (uintptr_t)(i)) /* open: unmasked */
/* Of a thread with declared interrupts. Open: one may begin; none runs. */
#define COMES_OF(i) ((uintptr_t)72 + (uintptr_t)(i))
#define RUNS_OF(i)  ((uintptr_t)80 + (uintptr_t)(i))

#define SPINS_MAX 16 /* spinlocks that a thread holds at a time */

#define NO_ONE (-1) /* the exploring thread has the lead */

/* Where a thread is. */
enum phase {
	MOVES,	/* it was granted a step, or has not come to its first gate */
	STANDS, /* at a gate */
	SLEEPS, /* it has blocked */
	WOKEN, /* it was woken, and is at its resume gate or on the way to it */
};

/* What the engine knows of one thread or declared interrupt, and of the gate before
 * which it stands. */
struct gate {
	struct thread *thread; /* the thread that stops here */
	uint32_t id;	       /* of the thread: valid after its end */
	bool takes_part;       /* from explore_start() to its end */
	bool at_gate, go;
	enum phase phase;
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	struct waiting wait; /* what it waits for, or is about to wait for */
	bool announced; /* STANDS, and would sleep next: it has begun a wait */
	bool leaves; /* STANDS, and leaves a queue; it will not sleep there */
	bool woken_early;   /* it was woken then, and will not sleep */
	bool toggles;	    /* it waits until the core has come or gone */
	uintptr_t declared; /* the word of the last gate before an access */
	bool looks; /* the last gate was a barrier's look at a core that stays */
	bool calls;	     /* the last gate was a call_rcu() */
	const void *objects; /* the cache, if the last gate was about objects */
	bool holds;	     /* its condition was true after the last step */
	bool awaits;	     /* SLEEPS, in explore_await() */
	bool alone;	     /* the thread is in await_alone() */
	struct wait_queue condition;
	unsigned int passes; /* gates that need no grant */
	bool granted;	     /* the last grant was to this thread */
	bool touched;	     /* it has touched something since then */
	bool ended;	     /* its end is in a footprint */
	/* Its sections: the experiment's spinlocks that it holds, or that it
	 * will have next. The footprint's lock guards them after
	 * explore_let_go(). */
	struct {
		const struct spinlock *lock;
		int adds; /* to preempt_count */
	} held[SPINS_MAX];
	unsigned int nr_held;
	/* The thread may stop if these are so: nothing but those spinlocks has
	 * disabled preemption or masked IRQs. */
	int preempt_count;
	bool irqs_off;
	bool masked; /* IRQs were masked at its last stop */
	/* After explore_let_go(): what it sleeps for, a spinlock or a thread
	 * that masks IRQs; and its turn. */
	const void *wants;
	bool turn, lent;
	/* Declared interrupts. */
	struct gate *bound;   /* this is one, of that thread */
	bool begun, returned; /* it has */
	bool has_interrupts;  /* this is a thread that has them */
	struct gate *in;      /* the one that runs on this thread, or begins */
	bool sleeps_here;     /* SLEEPS or WOKEN, and held before its sleep */
};

struct engine {
	struct explored subject; /* late events read it after the end */
	bool on;		 /* an exploration is on */
	bool gates_open;	 /* no thread stops at its gate */
	bool no_step;		 /* no step is under way */
	bool touched_at_rest;	 /* something was touched while no_step */
	int lead;		 /* the thread that leads, or NO_ONE; atomic */
	/* RCU callbacks queued since the start, and not run. Atomic. */
	int callbacks_left; /* all of them */
	int due;	    /* those that are no barrier's */
	bool due_read,
		due_written; /* this step depends on them; changed them */
	bool open;	     /* some of them can run: THE_DUE is open */
	bool runs_callbacks; /* this step is RCU's, */
	/* and has run so many that are no barrier's, of those that were due when
	 * it began */
	unsigned int ran, to_run;
	bool timer_armed; /* by one of the threads */
	bool asleep; /* the leading thread waits for the environment; atomic */
	bool over;   /* a step is over, and step_over() was not called yet */
	bool stops;  /* there are no more steps */
	unsigned int grants;
	const struct thread *runner; /* the exploring thread */
	struct wait_queue changed;
	struct gate gate[SEARCH_THREADS];
	struct gate callbacks[NR_CPUS]; /* each core's rcuc */
	unsigned int timers; /* armed at the start; may expire much later */
	struct footprint footprint;
	bool busy; /* the footprint's lock */
};
extern struct engine ex;

/* ---- footprints.c ---- */

/* The gate of t, if t is one of the explored threads; else NULL. */
struct gate *gate_of(const struct thread *t);
/* The gate of the declared interrupt that runs on t. If none runs:
 * gate_of(t). */
struct gate *explored_gate(const struct thread *t);
/* Does an interrupt that nobody has declared run on the current thread? */
bool in_other_interrupt(void);
/* Is g the gate of an explored thread or of a declared interrupt? (A thread
 * that runs callbacks has a gate too, but is not explored.) */
bool is_explored(const struct gate *g);
/* Store which thing the operation touches, and how. Returns false if no other
 * thread could notice the operation. */
bool touched_thing(enum trace_op op, const void *obj, uintptr_t *thing,
		   enum touch_how *how);
/* Does the current thread run a callback? The answer is exact in a callback
 * thread: such a thread has preemption disabled only while it runs a
 * callback. */
bool in_callback(void);
/* Is this the core that comes or goes, while it is neither on nor off? Then
 * only the core's stopper or idle thread runs here. What this thread does
 * (CPU_DYING, CPU_STARTING) belongs to the step of the thread that takes the
 * core off or on. */
bool on_changing_core(void);
/* Take and release the footprint's lock. It is no struct spinlock, because
 * events come while spinlocks are held, and lockdep must not see the
 * footprint's lock. The release pairs with the next acquire, for the
 * footprint. */
uint32_t footprint_lock(void);
void footprint_unlock(uint32_t flags);
/* A name for the thing. The name is the same in each run. If the thing is on
 * the stack of one of the threads, its place on that stack gives the name. All
 * allocated things that have no name from heap.h share one name, because their
 * addresses may differ between runs. */
uintptr_t stable_name(uintptr_t thing);
/* The object that names the operation's thing. A cache is named by its name
 * string, because the cache's address may differ between runs. The looks of
 * rcu_barrier() at all cores are named by RCU's state. */
const void *name_of(enum trace_op op, const void *obj);
/* Add a thing to the step's footprint. by: the gate of the thread that touched
 * the thing, or NULL. gives: this touch opens the thing, which was closed
 * before (search.h). */
void touch(struct gate *by, uintptr_t thing, enum touch_how how, bool gives);
/* The same, for a thing that was open and that the step closes. */
void touch_and_shut(struct gate *by, uintptr_t thing, enum touch_how how);
/* The thread of g falls asleep: its wake-up is now closed. */
void touch_sleep(struct gate *g);
/* The current thread touches a thing and cannot stop before it. If the step has
 * touched anything before, note LEFT_SECTIONS. by: the gate of the step's
 * thread, or NULL if another thread acts for the step. */
void note_second_touch(const struct gate *by);
/* Add what the operation touches to the step's footprint. */
void touch_by(struct gate *by, enum trace_op op, const void *obj);
/* After a sleep in this wait, does the thread look at the object again? It does
 * not if the object is a rw-semaphore: the release has handed it to the
 * thread. */
bool looks_again(const struct waiting *w);
/* Is op an operation of a spinlock? (Masking IRQs for a spinlock is one.) */
bool is_spin(unsigned int op);
/* Has this thread been woken since it blocked, or since it announced a wait? */
bool was_woken(const struct gate *g);
/* Has thread i ended? If i is a declared interrupt: has it returned? */
bool has_ended(unsigned int i);
/* The step is over: copy to *f what it has touched, and empty the footprint. */
void take_footprint(struct footprint *f);
/* Can nothing but another explored thread, or a callback, end this wait? */
bool waits_for_a_thread(const struct gate *g);
/* May the explorer end the thread's wait, as if the time had run out? */
bool may_time_out(const struct gate *g);

/* ---- turns.c ---- */

/* Does an explored thread hold a spinlock of the experiment? */
bool any_spinlock_is_held(void);
/* Let the thread have the lock next. Returns false if another thread has the
 * lock. Then the caller sleeps, and is woken when the lock is free. */
bool take_turn(struct gate *g, const struct spinlock *l);
/* After explore_let_go(): wait until the thread has the lock next. The thread
 * sleeps and does not spin, because the holder may need this core. */
void await_turn(struct gate *g, const struct spinlock *l, uintptr_t caller);
/* After explore_let_go(): the thread of g sleeps until the thread of `to`
 * unmasks IRQs. */
void await_answer(struct gate *g, struct gate *to, uintptr_t caller);
/* After explore_let_go(): wake the threads that sleep for the object. */
void wake_wanting(const void *obj);
/* The thread has just released the lock. */
void give_turn(struct gate *g, const void *lock);
/* May the current thread stop here? g: its gate. */
bool may_stop(const struct gate *g);
/* The thread of g has masked or unmasked IRQs. by: the struct gate of the
 * thread or interrupt that caused this. */
void set_masked(struct gate *by, struct gate *g, bool masked);
/* If IRQs were masked or unmasked since the thread's last stop, add this to the
 * step's footprint. */
void note_masked(struct gate *g);

/* ---- gates.c ---- */

/* Would a thread that is about to do this operation wait? It would if the
 * operation takes a lock that is held, or calls a core whose thread masks
 * IRQs. */
bool would_wait(enum trace_op op, const void *obj);

/* ---- engine.c ---- */

/* Is a callback due, and is a callback thread held before a callback? For the
 * thread that has the lead, while all threads rest. */
bool callbacks_can_run(void);

/* The current thread's step is over. If it has the lead, pass it on. */
void end_step(struct gate *g);
