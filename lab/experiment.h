/*
 * Experiments: what one is made of, and how it is run.
 *
 * An experiment is a DEMO() in a file in demos/, with one or more scenarios.
 * A scenario has actors (threads with a name and a core), a set-up before each
 * round and what must come out. It runs in two ways:
 *
 *   forced  the actors are held at trace points so that the steps of a script
 *           happen in its order; where the system refuses a step, the refusal
 *           is shown. Debug profile only.
 *   free    round after round with nothing but a random pause before each.
 *
 * One experiment runs at a time (demo_mutex, lab/command.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/cpu/cpu.h"
#include "kernel/debug/trace.h"
#include "kernel/hang/waitfor.h"
#include "kernel/lock/lockdep.h"
#include "kernel/sync/rwsem.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"

enum outcome {
	OUT_COMPLETES,
	OUT_DEADLOCK, /* owner edges close a cycle */
	OUT_STUCK,    /* nobody can move, no cycle */
	OUT_BUG,
	OUT_WARN,
	OUT_CORRUPT,
};
#define OUT_BIT(o) (1u << (o))
/* What a scenario says: one of these, or several with `|`. */
#define COMPLETES OUT_BIT(OUT_COMPLETES)
#define DEADLOCK  OUT_BIT(OUT_DEADLOCK)
#define STUCK	  OUT_BIT(OUT_STUCK)
#define BUG	  OUT_BIT(OUT_BUG)
#define WARN	  OUT_BIT(OUT_WARN)
#define CORRUPT	  OUT_BIT(OUT_CORRUPT)
/* The same for lockdep's findings; there are more of them. */
#define CIRCULAR     LOCKDEP_BIT(LOCKDEP_CIRCULAR)
#define RECURSIVE    LOCKDEP_BIT(LOCKDEP_RECURSIVE)
#define INCONSISTENT LOCKDEP_BIT(LOCKDEP_INCONSISTENT)
#define UNBALANCED   LOCKDEP_BIT(LOCKDEP_UNBALANCED)
#define HELD_AT_END  LOCKDEP_BIT(LOCKDEP_HELD_AT_END)
#define NOT_HELD     LOCKDEP_BIT(LOCKDEP_NOT_HELD)

struct stage;

#define MAX_ACTORS  5
#define STORY_LOCKS 3 /* of an experiment's own, shown in its schedules */
#define HELD_MAX    8 /* of an actor at once: more is not known of */
#define D_ACTOR	    0 /* their places where D and U meet: */
#define U_ACTOR	    1
enum place { ON_D, ON_U, ON_B }; /* cores, chosen by what the machine has */

struct actor {
	const char *name;
	enum place place;
	void (*fn)(struct stage *st);
	bool urgent; /* more than RCU's callbacks */
};

/*
 * One step of a forced order: this actor does `op` on that object (TR_LOCK:
 * gets it; TR_CONTEND: finds it taken; TR_HP_BEGIN ...). The actor is held at
 * the gate before it (TR_CONTEND: before TR_LOCK) until all earlier steps have
 * happened.
 */
struct step {
	const char *actor; /* its name in the scenario; NULL ends the order */
	enum trace_op op;
	const void *obj; /* or THE_CACHE */
};

/* The cache of the round, which is another one in each round. */
#define THE_CACHE (&the_stage.cache)

/*
 * An order of steps, in place (.forced.order = STEPS(...)) or with a name:
 *
 *	static const struct step crossed[] =
 *		STEPS(D(LOCK, &slab_mutex), U(HP_BEGIN, &cpu_hotplug), ...);
 *
 * D(LOCK, &slab_mutex): the actor called D does TR_LOCK on slab_mutex.
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

/* The usual casts (lab/cast.c). U takes a core off or on: .world.toggles. */
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

/* RCU's parameters that a scenario may exchange. NULL: the kernel's own. */
struct rcu_parameters {
	const char *name; /* of the function that calls saw(name) */
	void (*grace_period)(struct rcu_state *rsp);
	void (*adopt)(struct rcu_state *rsp, unsigned int dead);
	void (*barrier)(struct rcu_state *rsp);
};

struct scenario {
	const char *part; /* "E6/E1", or NULL if the experiment has only this */
	const char *about; /* one line: what is tried */
	struct actor actors[MAX_ACTORS];
	unsigned int cores; /* that it needs; 0: as many as the demo says */
	bool needs_lockdep; /* it does not run in a release image */

	/* What is exchanged in the kernel while it runs, and what surrounds it. */
	struct {
		const struct hotplug_lock_ops *hotplug; /* NULL: the kernel's */
		const struct rcu_parameters *rcu;	/* NULL: the kernel's */
		struct notifier_block *notifier; /* registered meanwhile */
		void (*destroy)(struct kmem_cache *s); /* actor_D's */
		void (*barrier)(void); /* actor_B's; NULL: rcu_barrier() */
		bool toggles;	       /* a core goes off or on in each round */
		bool down_only;	       /* it goes off in every round */
		bool leaks;	       /* a reference is given back too often */
		bool spins; /* the cores of its actors may get stuck */
		/* Once, around all rounds, in the runner's thread. begin
		 * returns 0 or a negative errno. */
		int (*begin)(struct stage *st);
		void (*end)(struct stage *st);
		/* Before and after each round, in the runner's thread. setup
		 * returns 0, or a negative errno that ends the experiment. */
		int (*setup)(struct stage *st);
		void (*teardown)(struct stage *st);
		/* Each event of an actor, perhaps under a spinlock: it looks
		 * and counts, nothing else. */
		void (*listen)(struct stage *st, int actor,
			       const struct trace_event *e);
	} world;

	/* What must come out. */
	struct {
		unsigned int outcome; /* OUT_BIT()s; the lowest is the name */
		unsigned int lockdep; /* LOCKDEP_BIT()s it must find */
		unsigned int lockdep_may; /* and may find, by the schedule */
		/* The classes of the circular finding, if they matter. */
		const char *wants, *holds;
		unsigned int warnings;	   /* WARN_ONs that belong to a round */
		unsigned int slab_reports; /* of the slab's checks, a round */
		const char *culprit; /* the function a BUG or WARN must name */
		/* What each forced round must have seen, beside the names of
		 * the exchanged tables (lab/seen.c). */
		const char *must_see;
		/* After a round that completed: false means OUT_CORRUPT. */
		bool (*check)(struct stage *st);
		bool any_verdict;	 /* whatever comes out is right */
		const char *objection;	 /* what the thread says to a failure */
		unsigned int objects_to; /* OUT_BIT()s: which failures */
	} said;

	/* The forced form: an order of steps. */
	struct {
		const struct step *order; /* STEPS(...); NULL: once, freely */
		const struct step *down; /* if another when the core goes off */
		unsigned int outcome;	 /* OUT_BIT()s; 0: said.outcome */
		bool refused;		 /* the order must be refused */
		bool none;		 /* there is no order to force */
		bool in_turn; /* the actors run one after another, as listed */
	} forced;

	/* The free form: round after round, each actor at its own speed. */
	struct {
		unsigned int rounds; /* 0: as many as the demo says */
		unsigned int cores;  /* with fewer there is no free form */
		bool apart;	     /* D and U need not overlap, or cannot */
		bool until_found;    /* until said.outcome, or `rounds` */
	} free;

	/* What is printed beside the schedule. */
	struct {
		bool rcu;    /* a column for grace periods and callbacks */
		bool report; /* lockdep's report, in `demo all` too */
		bool waits;  /* the stacks of the waiting threads, there too */
		void (*evidence)(struct stage *st); /* what else it shows */
	} show;

	/* How a knot ends. */
	struct {
		/* The mutex that is lent; NULL: the last one of the cycle. */
		const void *lend;
		bool (*keeps)(const void *mutex); /* is it never lent? */
		/* Ends another wait; false if nobody waits for that. */
		bool (*rescue)(struct stage *st, bool quietly);
	} cut;

	/* For the explorer. */
	struct {
		const char *none; /* why there is no search */
		bool tries;	  /* an actor only tries for a lock */
		/* Where an actor stands, if that is better known than by the
		 * number of its steps. */
		unsigned int (*position)(unsigned int actor);
	} search;
};

/* What a round has and shows. */
struct worker {
	struct thread *thread;
	uint32_t id;
	unsigned int cpu;
	struct stage *st;
	const struct actor *actor;
	struct completion go;
	uint32_t pause_ns;   /* before it starts, free rounds */
	unsigned int awaits; /* the step of the script it is held for */
	/* Mutexes it has, its own to write while it runs. */
	struct mutex *held[HELD_MAX];
	unsigned int nr_held;
	bool quit;
	bool done; /* this round; atomic */
};

struct stage {
	const struct scenario *sc;
	unsigned int nr_actors;
	unsigned int toggled; /* the core that goes off or on */
	bool up;	      /* U is cpu_up(); else cpu_down() */
	bool forced;
	bool explored; /* the explorer lets the actors go, one step at a time */
	bool leak_by_d; /* L is D itself, just before */
	struct kmem_cache *cache;
	void *object;	     /* of the cache, in use */
	unsigned int errors; /* slab_errors before the round */
	/* its own locks */
	const struct mutex *m[STORY_LOCKS];
	const struct spinlock *spin;
	struct thread *l; /* the thread that leaked, if it died of it */
	int passed; /* the refcount that the cut let a writer past; or 0 */

	/* Readers of the stream (lab/observe.c), reset for each round: */
	uint32_t d_inside, u_inside; /* atomic flags */
	uint32_t together; /* U's operation and D's overlapped in time */
	uint32_t waited;   /* D waited for U, or U for D */
	struct {
		bool happened;
		int actor;	  /* whose step */
		intptr_t value;	  /* the refcount it saw */
		uint32_t holders; /* actors with references, a bit each */
	} refusal;
	uint32_t script_pos; /* steps done */
	bool script_open;    /* order given up: gates let everybody pass */
	bool left_held;	     /* an actor ended with a lock held */
	unsigned int timers; /* armed before the actors started */
	bool hushed;	     /* lockdep's reports are not printed */
	bool brief;	     /* nor in full, nor stacks, but for a few rows */
	const struct demo *demo;
	bool missed; /* free: the round came out as another experiment's */
	int refs[MAX_ACTORS]; /* hotplug references taken minus given back */

	/* What the threads waited for when the round's end was decided; of use
	 * after a deadlock. */
	struct waitfor waits;

	struct worker worker[MAX_ACTORS];
	struct wait_queue finished; /* the runner waits here for `done` */
};

struct demo {
	const char *id;	      /* "E2" */
	const char *slug;     /* "e2-kosina" */
	const char *claim;    /* one line for the list */
	const char *tried[2]; /* two lines: what is about to be tried */
	unsigned int cores;
	const struct scenario *scenarios;
	unsigned int nr_scenarios;
	unsigned int free_rounds; /* unless told otherwise */
	bool for_reader;	  /* not part of `demo all` */
};

/* order: where it stands in the list, two digits and perhaps a letter. */
#define DEMO(order, name, ...)                                                 \
	static const struct demo demo_##name                                   \
		__attribute__((__used__, __section__(".demos." #order),        \
			       __aligned__(4))) = { __VA_ARGS__ }

#define SCENARIOS(array) .scenarios = (array), .nr_scenarios = ARRAY_SIZE(array)

extern const struct demo demos_start[], demos_end[];

extern struct stage the_stage; /* lab/stage.c; demo_mutex */

/* lab/stage.c: it has come to its end, or a BUG has ended it. */
bool worker_ended(const struct worker *w);

/* lab/observe.c: the forced order of this round, NULL if there is none; its number
 * of steps. */
const struct step *stage_script(const struct stage *st);
unsigned int script_length(const struct step *s);
int stage_actor_of(const struct stage *st, uint32_t thread_id);

/* lab/seen.c */
void seen_begin(const struct scenario *sc); /* before the set-up of a round */
void saw(const char *what);		    /* any context */
bool seen_all(void); /* the round stands still; says what was not */

/* lab/cast.c: the usual actors and objects. */
struct kmem_cache *victim(struct stage *st); /* NULL when memory is out */
/* Is s on slab_caches, and its links sound? slab_mutex held. */
bool cache_is_linked(const struct kmem_cache *s);
void actor_D(struct stage *st);	    /* sc->world.destroy(cache) */
void actor_U(struct stage *st);	    /* cpu_up() or cpu_down() of st->toggled */
void actor_B(struct stage *st);	    /* a bare rcu_barrier() */
int setup_core(struct stage *st);   /* the core is as U needs it */
int setup_victim(struct stage *st); /* an RCU cache with callbacks to come */
int run_leaker(struct stage *st);   /* L begins and ends, here and now */
/* The same, after a put_online_cpus() too many (by a thread L, or by D). */
int setup_leak(struct stage *st);
void actor_D_leaks(struct stage *st);	/* gives back one too many first */
void teardown_victim(struct stage *st); /* what D did not destroy */
void teardown_refs(struct stage *st);
/* A line of the actor's own in the schedule. */
void note(const char *text);
void leak_a_reference(void);

/* lab/program.c: threads given as text, "a b | b a". Many words are one text;
 * false: what is wrong with it was said. The experiment it makes, and how many
 * operations of its text a thread has behind it. demo_mutex. */
bool program_parse(unsigned int nr_words, char *const *words);
const struct demo *program_demo(void);
unsigned int program_pc(unsigned int thread);
