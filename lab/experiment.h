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

struct stage;

#define MAX_ACTORS  5
#define MUST_SEE    2
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
 * happened. The object is named by a function because some are per round.
 */
struct step {
	int actor; /* -1 ends the script */
	enum trace_op op;
	const void *(*obj)(const struct stage *st);
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
		/* What each forced round must have seen (lab/seen.c). */
		const char *must_see[MUST_SEE];
		/* After a round that completed: false means OUT_CORRUPT. */
		bool (*check)(struct stage *st);
		bool any_verdict;	 /* whatever comes out is right */
		const char *objection;	 /* what the thread says to a failure */
		unsigned int objects_to; /* OUT_BIT()s: which failures */
	} said;

	/* The forced form: an order of steps. */
	struct {
		const struct step *up;	 /* also where no core is toggled */
		const struct step *down; /* the same when the core goes off */
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
		const void *(*lend)(const struct stage *st);
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

extern const struct demo demos_start[], demos_end[];

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
const void *the_slab_mutex(const struct stage *st);
const void *the_hotplug_mutex(const struct stage *st);
const void *the_hotplug_lock(const struct stage *st);
const void *the_barrier_mutex(const struct stage *st);
const void *the_rcu_state(const struct stage *st);
const void *the_cache(const struct stage *st);

/* demos/forms/hotplug_3_6.c: the counter before the merged check. */
extern const struct hotplug_lock_ops hotplug_3_6_ops;
extern const struct hotplug_lock_ops hotplug_bhat_a_ops;
extern const struct hotplug_lock_ops hotplug_bhat_b_ops;
extern const struct hotplug_lock_ops hotplug_morton_ops;
/* demos/forms/hotplug_rwsem.c: a rw-semaphore, as since 2017. */
extern struct percpu_rwsem cpu_hotplug_lock;
extern const struct hotplug_lock_ops hotplug_rwsem_ops;
void cpus_read_lock(void);
void cpus_read_unlock(void);
void cpus_write_lock(void);
void cpus_write_unlock(void);
const void *the_cpus_lock(const struct stage *st);
/* What a knot is in which the writer waits for readers: release keeps no list
 * of those, so there nobody can say that it closes. */
#define OUT_READERS_KNOT OUT_BIT(GORDIAN_DEBUG ? OUT_DEADLOCK : OUT_STUCK)
/* RCU's parameters that a scenario may exchange (lab/world.c). */
struct rcu_parameters { /* NULL: the kernel's own */
	void (*grace_period)(struct rcu_state *rsp);
	void (*adopt)(struct rcu_state *rsp, unsigned int dead);
	void (*barrier)(struct rcu_state *rsp);
};
/* demos/forms/barrier.c: forms of the barrier, and a callback that a core queues
 * as its last act before it goes. */
extern const struct rcu_parameters rcu_mckenney, rcu_3_6;
extern const struct rcu_parameters rcu_5_18; /* demos/e10.c */
void last_words_queue(void);		     /* on this core, IRQs off or on */
void last_words_await(void);		     /* until they are queued */
void rcu_barrier_watched(void);	   /* rcu_barrier(): did it await that one? */
int setup_words(struct stage *st); /* the core is as U needs it; no words yet */
bool words_awaited(struct stage *st); /* a check: has no barrier missed it? */
/* And a watched one must have begun after they were queued. */
bool words_watched(struct stage *st);
/* must_see: such a barrier. */
#define BARRIER_FOR_WORDS "rcu_barrier() after the callback was queued"
void words_evidence(struct stage *st);
void teardown_words(struct stage *st);
void actor_B_often(struct stage *st); /* B; in free rounds a few in a row */
/* lab/program.c: threads given as text, "a b | b a". Many words are one text;
 * false: what is wrong with it was said. The experiment it makes, and how many
 * operations of its text a thread has behind it. demo_mutex. */
bool program_parse(unsigned int nr_words, char *const *words);
const struct demo *program_demo(void);
unsigned int program_pc(unsigned int thread);
/* demos/e8.c: a notifier that calls rcu_barrier(), after RCU's own. */
extern struct notifier_block barrier_after_rcu;
/* demos/e7.c: D destroys a cache in use, in vain; C makes another. */
void actor_D_fails(struct stage *st);
void actor_C(struct stage *st);
int setup_in_use(struct stage *st);
bool all_linked(struct stage *st); /* a check: both are on slab_caches */
void show_list(struct stage *st);
void teardown_list(struct stage *st);
void kmem_cache_relink__halves(struct kmem_cache *s);
/* demos/e17.c: W frees what D destroys, and keeps its core from callbacks. */
void actor_D_after_W(struct stage *st);
void actor_W_frees(struct stage *st);
int setup_objects(struct stage *st);
bool check_callbacks(struct stage *st);
/* demos/yours.c */
void kmem_cache_destroy__yours(struct kmem_cache *s);
/* demos/e0.c: two mutexes in one order, and in the other. */
void actor_AB(struct stage *st);
void actor_BA(struct stage *st);
int setup_locks(struct stage *st);
/* demos/e1.c, demos/e2.c */
void kmem_cache_destroy__slub(struct kmem_cache *s);
void kmem_cache_destroy__3_6(struct kmem_cache *s);
void kmem_cache_destroy__noref(struct kmem_cache *s);
extern const struct step drawing_up[], drawing_down[], drawing_three[];
