/*
 * The parts of an experiment. The only header of lab/ that a file in demos/ includes.
 *
 * An experiment is a DEMO() in a file in demos/. It has one or more scenarios. A scenario
 * has actors (threads with a name and a core), a set-up before each round, and an
 * expected outcome. A round is one run of all actors. There are four kinds:
 *
 *   forced  The actors are held at trace points, so that the steps of a script happen in
 *           the script's order. If the system refuses a step, the refusal is shown.
 *           Debug profile only.
 *   once    Instead of a forced round, if there is no script: all actors start at the
 *           same time, and none is held. Debug profile only.
 *   in turn One actor runs after another, instead of forced and free rounds.
 *   free    No actor is held. Each waits for a random time and then runs. Repeated.
 *
 * The explorer (lab/explore/) runs all schedules of a scenario. One experiment runs at a
 * time (demo_mutex, lab/hold.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The headers that most experiments use. A file adds others that it needs. */
#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/hang/waitfor.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/spinlock.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/slab/slab.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"

/* ---- outcomes ------------------------------------------------------------------ */

enum outcome {
	OUT_COMPLETES,
	OUT_DEADLOCK, /* threads wait for each other in a cycle */
	OUT_STUCK,    /* no actor can go on, but there is no cycle */
	OUT_BUG,
	OUT_WARN,
	OUT_CORRUPT,
};
#define OUT_BIT(o) (1u << (o))
/* A scenario expects one of these, or several with `|`. */
#define COMPLETES OUT_BIT(OUT_COMPLETES)
#define DEADLOCK  OUT_BIT(OUT_DEADLOCK)
#define STUCK	  OUT_BIT(OUT_STUCK)
#define BUG	  OUT_BIT(OUT_BUG)
#define WARN	  OUT_BIT(OUT_WARN)
#define CORRUPT	  OUT_BIT(OUT_CORRUPT)
/* The findings of lockdep that it expects. For other kinds: LOCKDEP_BIT(). */
#define CIRCULAR     LOCKDEP_BIT(LOCKDEP_CIRCULAR)
#define RECURSIVE    LOCKDEP_BIT(LOCKDEP_RECURSIVE)
#define INCONSISTENT LOCKDEP_BIT(LOCKDEP_INCONSISTENT)
#define UNBALANCED   LOCKDEP_BIT(LOCKDEP_UNBALANCED)
#define HELD_AT_END  LOCKDEP_BIT(LOCKDEP_HELD_AT_END)
#define NOT_HELD     LOCKDEP_BIT(LOCKDEP_NOT_HELD)

/* ---- actors -------------------------------------------------------------------- */

struct stage;

#define MAX_ACTORS 5
#define D_ACTOR	   0 /* D and U have these numbers where their overlap counts */
#define U_ACTOR	   1
/* Cores that stay on: 1, 2 and 0, if the machine has that many. */
enum place { ON_D, ON_U, ON_B };

struct actor {
	const char *name;
	enum place place;
	void (*fn)(struct stage *st);
	bool urgent; /* it runs before the thread that invokes callbacks */
	/* What it waits for in explore_await(). arg: the stage. */
	bool (*awaits)(void *arg);
	/* It is an interrupt of this actor, and fn is the handler. In explored
	 * rounds it comes once or not at all, at any point where its actor has
	 * interrupts on. In other rounds it does not come by itself. */
	const char *interrupts;
};

/* The usual casts (lab/cast.c). With U a core is toggled: it goes off or on. */
/* clang-format off */
#define U_ALONE                                                                \
	.actors = { { "U", ON_U, actor_U } }, .world.toggles = true
#define D_AND_U(d)                                                             \
	.actors = { { "D", ON_D, (d) }, { "U", ON_U, actor_U } },              \
	.world.toggles = true
#define B_AND_U(b)                                                             \
	.actors = { { "B", ON_D, (b) }, { "U", ON_U, actor_U } },              \
	.world.toggles = true
#define D_U_AND_B                                                              \
	.actors = { { "D", ON_D, actor_D }, { "U", ON_U, actor_U },            \
		    { "B", ON_B, actor_B } },                                  \
	.world.toggles = true
/* clang-format on */

/* ---- scripts ------------------------------------------------------------------- */

/*
 * One step of a forced order: this actor does `op` on that object (TR_LOCK: the actor
 * gets the lock; TR_CONTEND: it finds the lock taken; TR_HP_BEGIN ...). The actor is
 * held at the gate before it (TR_CONTEND: before TR_LOCK) until all earlier steps have
 * happened.
 */
struct step {
	const char *actor; /* its name in the scenario; NULL ends the script */
	enum trace_op op;
	const void *obj; /* or THE_CACHE */
};

/* As the object of a step: the cache of the round. Each round has a new one. */
#define THE_CACHE (&the_stage.cache)

/*
 * A script, in place (.forced.order = STEPS(...)) or with a name:
 *
 *	static const struct step crossed[] =
 *		STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug), ...);
 *
 * D(LOCK, &slab_mutex) is the step TR_LOCK of the actor called D. For an actor that has
 * another name: BY("R1", LOCK, &slab_mutex).
 */
/* clang-format off */
#define STEPS(...) (const struct step[]){ __VA_ARGS__, { .actor = NULL } }
#define BY(name, op, obj) { (name), TR_##op, (obj) }
#define A(op, obj) { "A", TR_##op, (obj) }
#define B(op, obj) { "B", TR_##op, (obj) }
#define C(op, obj) { "C", TR_##op, (obj) }
#define D(op, obj) { "D", TR_##op, (obj) }
#define L(op, obj) { "L", TR_##op, (obj) }
#define U(op, obj) { "U", TR_##op, (obj) }
/* clang-format on */

/* ---- scenarios ------------------------------------------------------------------ */

/* RCU's parameters that a scenario may exchange. NULL: the kernel's own. */
struct rcu_parameters {
	const char *name; /* of the member that calls saw(name) */
	void (*grace_period)(struct rcu_state *rsp);
	void (*adopt)(struct rcu_state *rsp, unsigned int dead);
	void (*barrier)(struct rcu_state *rsp);
};

struct scenario {
	const char *part;  /* "E6/E1"; NULL if the experiment has only this */
	const char *about; /* one line: what does it try? */
	struct actor actors[MAX_ACTORS];
	unsigned int cores; /* how many it needs; 0: demo.cores */
	bool needs_lockdep; /* it does not run in a release image */

	/* The surroundings of the actors: the parts of the kernel that are exchanged
	 * while the scenario runs, and the set-up. */
	struct {
		const struct hotplug_lock_ops *hotplug; /* NULL: the kernel's */
		const struct rcu_parameters *rcu;	/* NULL: the kernel's */
		struct notifier_block *notifier;	/* registered too */
		void (*destroy)(struct kmem_cache *s);	/* actor_D calls it */
		bool toggles;	/* a core goes off or on in each round */
		bool down_only; /* the core goes off in every round */
		bool leaks;	/* a reference is given back too often */
		bool spins;	/* an actor may spin on its core for ever */
		/* Once, around all rounds, in the engine's thread. begin
		 * returns 0 or a negative errno. */
		int (*begin)(struct stage *st);
		void (*end)(struct stage *st);
		/* Before and after each round, in the engine's thread. setup
		 * returns 0, or a negative errno that ends the experiment. */
		int (*setup)(struct stage *st);
		void (*teardown)(struct stage *st);
		/* Called for each event of an actor, perhaps under a spinlock. It
		 * may only read and count. */
		void (*listen)(struct stage *st, int actor,
			       const struct trace_event *e);
	} world;

	/* The expected result. */
	struct {
		unsigned int outcome;	  /* DEADLOCK, COMPLETES | STUCK ... */
		unsigned int lockdep;	  /* it must find these: CIRCULAR ... */
		unsigned int lockdep_may; /* it may find these too */
		/* The lock that is wanted, and the lock that is held, in the last
		 * circular finding. NULL: any. */
		const char *wants, *holds;
		unsigned int warnings;	   /* WARN_ON()s in each round */
		unsigned int slab_reports; /* in each round */
		const char *culprit; /* the function a BUG or WARN must name */
		/* Each forced round must have seen this, beside the names of
		 * the exchanged tables (lab/seen.c). */
		const char *must_see;
		/* Called after a round that completed. If it returns false, the
		 * outcome is OUT_CORRUPT. */
		bool (*check)(struct stage *st);
		bool any_verdict;	 /* every verdict is right */
		const char *objection;	 /* of the 2012 thread */
		unsigned int objects_to; /* the failures that it is about */
		/* Print the objection only if lockdep has found one of these
		 * kinds: NOT_HELD ... */
		unsigned int objects_with;
	} said;

	/* Forced rounds. */
	struct {
		const struct step *order; /* STEPS(...); NULL: "once" */
		const struct step *down;  /* if it differs for "down" */
		unsigned int outcome;	  /* of forced rounds, if it differs */
		bool refused;		  /* a step must be refused */
		bool none;		  /* no forced round */
		bool in_turn; /* no script: one actor after another, as listed */
	} forced;

	/* Free rounds. */
	struct {
		unsigned int rounds; /* 0: demo.free_rounds */
		unsigned int cores;  /* with fewer there are no free rounds */
		bool apart;	     /* D and U need not overlap */
		/* Stop after `rounds`, or before that at the outcome in
		 * said.outcome that is first in enum outcome. */
		bool until_found;
	} free;

	/* Printed beside the schedule. */
	struct {
		bool rcu; /* a column for grace periods and callbacks */
		void (*evidence)(struct stage *st); /* prints other evidence */
	} show;

	/* How the engine ends a wait that would last for ever. */
	struct {
		const void *lend; /* this lock; NULL: cut_cycle() chooses */
		bool (*keeps)(const void *mutex); /* does its owner keep it? */
		/* Ends another wait. Returns false if no actor has such a wait. */
		bool (*rescue)(struct stage *st, bool quietly);
	} cut;

	/* For the explorer. */
	struct {
		const char *none; /* why there is no search; NULL: there is one */
		/* Returns how far an actor has come, if that is not the number of
		 * its steps. */
		unsigned int (*position)(unsigned int actor);
	} search;
};

/* ---- experiments ------------------------------------------------------------------ */

struct demo {
	const char *id;	      /* "E2" */
	const char *slug;     /* "e2-kosina" */
	const char *claim;    /* one line for the list */
	const char *tried[2]; /* two lines: what will it try? */
	unsigned int cores;   /* how many it needs */
	const struct scenario *scenarios;
	unsigned int nr_scenarios;
	unsigned int free_rounds; /* of each scenario with free.rounds 0 */
	bool for_reader;	  /* for its reader to try: not in `demo all` */
};

/* Register an experiment. order: its place in the list, two digits and perhaps a
 * suffix (01, 01b, 20r1). */
#define DEMO(order, name, ...)                                                 \
	static const struct demo demo_##name                                   \
		__attribute__((__used__, __section__(".demos." #order),        \
			       __aligned__(4))) = { __VA_ARGS__ }

#define SCENARIOS(array) .scenarios = (array), .nr_scenarios = ARRAY_SIZE(array)

extern const struct demo demos_start[], demos_end[];

/* ---- the stage ---------------------------------------------------------------------- */

#define HELD_MAX 8 /* mutexes that are noted of one actor */

struct worker { /* the thread that plays an actor */
	struct thread *thread;
	uint32_t id;
	unsigned int cpu;
	struct stage *st;
	const struct actor *actor;
	struct completion go;
	uint32_t pause_ns;   /* before it starts, in free rounds */
	unsigned int awaits; /* the step of the script before which it is held */
	/* The actor's thread is held there, or another thread that plays the actor
	 * (one that it waits for). Atomic. */
	bool gated;
	/* Mutexes that it holds. Written by the thread itself. */
	struct mutex *held[HELD_MAX];
	unsigned int nr_held;
	bool quit;
	bool done; /* it has ended this round; atomic */
};

struct stage {
	const struct scenario *sc;
	unsigned int nr_actors;
	unsigned int toggled; /* the core that goes off or on */
	bool up;	      /* U calls cpu_up(); else cpu_down() */
	bool forced;
	bool explored;	  /* the explorer lets the actors go step by step */
	bool on_one_core; /* all actors */
	bool leak_by_d;	  /* D itself makes the leak, before it destroys */
	struct kmem_cache *cache;
	void *object;	  /* of the cache, in use */
	struct thread *l; /* the thread that made the leak, if a BUG ended it */
	int passed; /* the refcount that the cut let a writer past, or 0 */

	/* Written by the reader of the events (lab/observe.c), reset for each round: */
	uint32_t d_inside, u_inside; /* atomic flags */
	uint32_t together; /* the operations of U and D overlapped in time */
	uint32_t waited;   /* D waited for U, or U for D */
	struct {
		bool happened;
		int actor;	  /* its step was refused */
		intptr_t value;	  /* the refcount it saw */
		uint32_t holders; /* actors with references, a bit each */
	} refusal;
	struct {
		bool happened;
		int actor; /* got past cpu_hotplug_begin() while D was inside */
		int refs;  /* the references that D had then */
	} let_in;
	unsigned int warnings; /* WARN_ON reports */
	bool slab_differs;     /* slab reports: more or fewer than expected */
	uint32_t script_pos;   /* steps done */
	bool script_open;      /* the script is over: all gates are open */
	bool left_held;	       /* an actor ended with a lock held */
	unsigned int timers;   /* armed before the actors started */
	bool hushed;	       /* lockdep's reports are not printed */
	bool brief;	       /* short output: no reports, no stacks */
	bool tells;	       /* its next round is to be shown */
	const struct demo *demo;
	bool missed;	      /* this free round is another experiment's case */
	unsigned int looks;   /* at this round so far */
	int refs[MAX_ACTORS]; /* hotplug references taken minus given back */

	/* The waits of the threads when the round's end was decided. Valid after a
	 * deadlock. */
	struct waitfor waits;

	struct worker worker[MAX_ACTORS];
	struct wait_queue finished; /* the engine waits here for `done` */
};

extern struct stage the_stage; /* lab/stage.c; demo_mutex */

/* lab/stage.c: has the actor's function returned, or has a BUG ended the thread? */
bool worker_ended(const struct worker *w);

/* lab/observe.c. stage_script(): the script of this round; NULL if there is none.
 * script_length(): the number of steps of a script. stage_actor_of(): the number of the
 * actor that this thread plays, or -1. */
const struct step *stage_script(const struct stage *st);
unsigned int script_length(const struct step *s);
int stage_actor_of(const struct stage *st, uint32_t thread_id);

/* lab/seen.c */
void seen_begin(const struct scenario *sc); /* before the set-up of a round */
/* Note that the thing `what` has happened in the round. Any context. */
void saw(const char *what);
/* Has the round seen each thing that it must see? Prints a line about each thing that it
 * has not seen. Called when no actor moves. */
bool seen_all(void);

/* lab/cast.c: the usual actors and objects. */
struct kmem_cache *
create_victim(struct stage *st); /* NULL when memory is out */
/* Is s on slab_caches, with sound links? slab_mutex held. */
bool cache_is_linked(const struct kmem_cache *s);
void actor_D(struct stage *st);	  /* sc->world.destroy(cache) */
void actor_U(struct stage *st);	  /* cpu_up() or cpu_down() of st->toggled */
void actor_B(struct stage *st);	  /* rcu_barrier() */
int setup_core(struct stage *st); /* the core is off if U takes it up */
/* setup_core(), and an RCU cache that will have callbacks. */
int setup_victim(struct stage *st);
int run_leaker(struct stage *st); /* run a thread L that leaks, until it ends */
/* setup_victim(); then L makes the leak, unless D makes it in the round (leak_by_d). */
int setup_leak(struct stage *st);
/* If st->leak_by_d is set, D makes the leak first. Then actor_D(). */
void actor_D_leaks(struct stage *st);
void teardown_victim(struct stage *st); /* destroy the cache, if D did not */
/* Set the count to 0; then teardown_victim(). */
void teardown_refs(struct stage *st);
/* Add a line to the schedule, in the column of the calling actor. */
void note(const char *text);
void leak_a_reference(void);
