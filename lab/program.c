/*
 * Programs: actors given as text, for `explore program TEXT`.
 *
 *	a b | b a		two threads, two mutexes, opposite orders
 *	a g -g -a | h a -a -h	a mutex and the hotplug lock of 2012
 *
 * A bar separates threads; blanks or commas separate operations. If a thread
 * holds something after its last operation, it gives this back, the latest thing
 * first; these operations belong to the text as if they had been written.
 *
 *	a to f	-a to -f	mutex_lock(), mutex_unlock()
 *	r w	-r -w		a rw_semaphore, first come first served
 *	pr pw	-pr -pw		a percpu_rwsem, which prefers its writer
 *	g	-g		get_online_cpus(), put_online_cpus()
 *	h	-h		cpu_add_remove_lock and cpu_hotplug_begin(), as
 *				cpu_up() takes them
 *	P V			wait_for_completion(), complete()
 *	? !			read a flag, and sleep if it is not set; set it
 *				and wake all that sleep
 *	x			add 1 to a shared number, not atomically
 *	A to F	-A to -F	spin_lock(), spin_unlock()
 *	~A to ~F		spin_lock_irqsave()
 *
 * While a spinlock is held, only spinlocks, V, ! and x are allowed. A thread that
 * begins with ^ is an interrupt of the thread before it. The interrupt comes
 * once, at any point at which that thread has interrupts on, or not at all. It
 * may use the same operations as a thread that holds a spinlock:
 *
 *	A -A | ^ A		a deadlock: the interrupt waits for its own thread
 *	~A -A | ^ A		right
 *
 * A thread's pc is the number of operations that it has finished. A state of a
 * search is the pcs of all threads. (These do not tell all: a thread that waits
 * for a mutex has the same pc as a thread that has not asked for it yet.) A model
 * of programs in Python must reach the same states (tests/program_states.py).
 *
 * Two kinds of wait cannot be ended (lab/cut.c): the wait of a second writer for a
 * percpu_rwsem, and the wait for cpu_add_remove_lock. If a text could end in a
 * deadlock of such waits alone, the text is refused: see closes_a_ring().
 *
 * The text and its locks are guarded by demo_mutex. Each pc is written by its
 * thread, and read by others while that thread stands still.
 */
#include <string.h>

#include "lab/command.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define NR_MUTEXES 6
#define NR_SPINS   6
#define MAX_OPS	   24 /* of one thread */
#define WORD_MAX   16

#define NAMED(i, name) [i] = MUTEX_INIT(mutexes[i], name)
static struct mutex mutexes[NR_MUTEXES] = {
	NAMED(0, "lock_a"), NAMED(1, "lock_b"), NAMED(2, "lock_c"),
	NAMED(3, "lock_d"), NAMED(4, "lock_e"), NAMED(5, "lock_f"),
};
#define SPIN(i, name) [i] = SPINLOCK_INIT(name)
static struct spinlock spins[NR_SPINS] = {
	SPIN(0, "spin_A"), SPIN(1, "spin_B"), SPIN(2, "spin_C"),
	SPIN(3, "spin_D"), SPIN(4, "spin_E"), SPIN(5, "spin_F"),
};
static struct rw_semaphore rwsem = RWSEM_INIT(rwsem, "rwsem");
static struct percpu_rwsem percpu;
static struct completion completion;
static struct wait_queue queue; /* of threads that found the flag 0 */
static uint32_t flag, number;	/* shared_read(), shared_write() */

/* ---- the operations ------------------------------------------------------ */

struct op {
	const struct verb *verb;
	bool give;
};

static struct text {
	struct op op[MAX_OPS];
	unsigned int n;
	unsigned int pc;
	unsigned int interrupts; /* 1 + the thread it interrupts; 0: none */
	/* The thread's spinlocks: how often it holds each, and how it took it. */
	unsigned int spins[NR_SPINS];
	struct {
		bool irqsave;
		uint32_t flags;
	} spin[NR_SPINS][2];
} texts[MAX_ACTORS];

static void take_spin(struct text *t, unsigned int i)
{
	spin_lock(&spins[i]);
	t->spin[i][t->spins[i]++].irqsave = false;
}

static void take_spin_irqsave(struct text *t, unsigned int i)
{
	uint32_t flags = spin_lock_irqsave(&spins[i]);
	unsigned int n = t->spins[i]++;

	t->spin[i][n].irqsave = true;
	t->spin[i][n].flags = flags;
}

static void give_spin(struct text *t, unsigned int i)
{
	unsigned int n = --t->spins[i];

	if (t->spin[i][n].irqsave)
		spin_unlock_irqrestore(&spins[i], t->spin[i][n].flags);
	else
		spin_unlock(&spins[i]);
}

static void take_mutex(struct text *t, unsigned int i)
{
	(void)t;
	mutex_lock(&mutexes[i]);
}

static void give_mutex(struct text *t, unsigned int i)
{
	(void)t;
	mutex_unlock(&mutexes[i]);
}

static void take_rwsem(struct text *t, unsigned int write)
{
	(void)t;
	if (write)
		down_write(&rwsem);
	else
		down_read(&rwsem);
}

static void give_rwsem(struct text *t, unsigned int write)
{
	(void)t;
	if (write)
		up_write(&rwsem);
	else
		up_read(&rwsem);
}

static void take_percpu(struct text *t, unsigned int write)
{
	(void)t;
	if (write)
		percpu_down_write(&percpu);
	else
		percpu_down_read(&percpu);
}

static void give_percpu(struct text *t, unsigned int write)
{
	(void)t;
	if (write)
		percpu_up_write(&percpu);
	else
		percpu_up_read(&percpu);
}

static void take_reference(struct text *t, unsigned int i)
{
	(void)t;
	(void)i;
	get_online_cpus();
}

static void give_reference(struct text *t, unsigned int i)
{
	(void)t;
	(void)i;
	put_online_cpus();
}

static void take_cores(struct text *t, unsigned int i)
{
	struct stage *st = &the_stage;

	(void)t;
	(void)i;
	mutex_lock(&cpu_add_remove_lock);
	hotplug_ops->begin();
	if (!st->passed)
		return;
	/* The cut has let this thread past references that have not been given
	 * back, and has set the count to 0. Restore the count, which
	 * cpu_hotplug.lock guards: the lock is held now. */
	WRITE_ONCE(cpu_hotplug.refcount, st->passed);
	st->passed = 0;
}

static void give_cores(struct text *t, unsigned int i)
{
	(void)t;
	(void)i;
	hotplug_ops->done();
	mutex_unlock(&cpu_add_remove_lock);
}

static void wait_for_the_completion(struct text *t, unsigned int i)
{
	(void)t;
	(void)i;
	wait_for_completion(&completion);
}

static void complete_it(struct text *t, unsigned int i)
{
	(void)t;
	(void)i;
	complete(&completion);
}

/* Read the flag before joining the queue, and not again. So a wake-up in between
 * is lost. This operation is there to show that. */
static void look_and_sleep(struct text *t, unsigned int i)
{
	struct wait_entry e = { .thread = NULL };

	(void)t;
	(void)i;
	if (shared_read(flag)) {
		note("sees the flag");
		return;
	}
	note("sees no flag");
	prepare_to_wait(&queue, &e, &queue_wait, CALLER);
	schedule();
	finish_wait(&queue, &e);
}

static void set_and_wake(struct text *t, unsigned int i)
{
	(void)t;
	(void)i;
	shared_write(flag, 1);
	note("sets the flag");
	wake_up_all(&queue);
}

static void add_one(struct text *t, unsigned int i)
{
	uint32_t n = shared_read(number);

	(void)t;
	(void)i;
	shared_write(number, n + 1);
}

/* Locks that the cut cannot lend, for closes_a_ring(). */
enum unlendable {
	PERCPU_WRITER,
	ADD_REMOVE,
	NR_UNLENDABLE,
	LENDABLE = NR_UNLENDABLE,
};

struct verb {
	const char *word;
	void (*take)(struct text *t, unsigned int i);
	void (*give)(struct text *t, unsigned int i); /* NULL: no -word */
	unsigned int i;
	enum unlendable lock; /* that the verb takes */
	bool passes;	      /* the cut can let the waiting thread in */
	unsigned int deep;    /* how often one thread may hold it */
	const char *said;     /* in a schedule; NULL: other events show it */
	bool spin;	      /* a spinlock */
	bool atomic;	      /* may be done while a spinlock is held */
};

#define A_MUTEX(w, n)                                                          \
	{                                                                      \
		.word = (w), .take = take_mutex, .give = give_mutex, .i = (n), \
		.lock = LENDABLE, .deep = 2                                    \
	}

#define A_SPIN(w, n)                                                           \
	{ .word = (w),                                                         \
	  .take = take_spin,                                                   \
	  .give = give_spin,                                                   \
	  .i = (n),                                                            \
	  .lock = LENDABLE,                                                    \
	  .deep = 2,                                                           \
	  .spin = true },                                                      \
	{                                                                      \
		.word = "~" w, .take = take_spin_irqsave, .give = give_spin,   \
		.i = (n), .lock = LENDABLE, .deep = 2, .spin = true            \
	}

enum { REFERENCE = 6, CORES = 7 }; /* places of g and h in verbs[] */
static const struct verb verbs[] = {
	A_MUTEX("a", 0),
	A_MUTEX("b", 1),
	A_MUTEX("c", 2),
	A_MUTEX("d", 3),
	A_MUTEX("e", 4),
	A_MUTEX("f", 5),
	[REFERENCE] = { "g", take_reference, give_reference, 0, LENDABLE, true,
			MAX_OPS, NULL },
	[CORES] = { "h", take_cores, give_cores, 0, ADD_REMOVE, false, 1,
		    NULL },
	A_SPIN("A", 0),
	A_SPIN("B", 1),
	A_SPIN("C", 2),
	A_SPIN("D", 3),
	A_SPIN("E", 4),
	A_SPIN("F", 5),
	{ "r", take_rwsem, give_rwsem, 0, LENDABLE, true, 2, NULL },
	{ "w", take_rwsem, give_rwsem, 1, LENDABLE, true, 1, NULL },
	{ "pr", take_percpu, give_percpu, 0, LENDABLE, true, MAX_OPS, NULL },
	{ "pw", take_percpu, give_percpu, 1, PERCPU_WRITER, false, 1, NULL },
	{ "P", wait_for_the_completion, NULL, 0, LENDABLE, true, 0,
	  "has waited" },
	{ "V", complete_it, NULL, 0, LENDABLE, true, 0, NULL, .atomic = true },
	{ "?", look_and_sleep, NULL, 0, LENDABLE, true, 0, "goes on" },
	{ "!", set_and_wake, NULL, 0, LENDABLE, true, 0, NULL, .atomic = true },
	{ "x", add_one, NULL, 0, LENDABLE, true, 0, "has added 1",
	  .atomic = true },
};
#define NR_VERBS ARRAY_SIZE(verbs)

/* ---- the text ------------------------------------------------------------ */

/* What is known of the text that is being read. */
static struct reading {
	unsigned int nr_threads;
	struct text *text;	     /* the thread that is being read */
	unsigned int held[NR_VERBS]; /* how often taken and not given back */
	unsigned int outer_refs;     /* references that were taken before h */
	unsigned int spins;	     /* spinlocks that the thread holds */
	/* then[k]: the unlendable locks that some thread takes while it holds
	 * lock k, a bit each. */
	unsigned int then[NR_UNLENDABLE];
} rd;

/* The place of the verb in held[]: A and ~A take the same lock. */
static unsigned int held_as(const struct verb *v)
{
	return (unsigned int)(v - verbs) - (*v->word == '~');
}

static char thread_name(void)
{
	return (char)('A' + rd.nr_threads - 1);
}

static bool refuse(const char *word, const char *why)
{
	kprintf("program: thread %c, \"%s\": %s\n", thread_name(), word, why);
	return false;
}

/* Can threads wait for each other in a cycle of unlendable locks? Nothing could
 * cut such a cycle. */
static bool closes_a_ring(void)
{
	unsigned int reach[NR_UNLENDABLE];

	memcpy(reach, rd.then, sizeof(reach));
	for (unsigned int k = 0; k < NR_UNLENDABLE; k++)
		for (unsigned int i = 0; i < NR_UNLENDABLE; i++)
			if (reach[i] & 1u << k)
				reach[i] |= reach[k];
	for (unsigned int i = 0; i < NR_UNLENDABLE; i++)
		if (reach[i] & 1u << i)
			return true;
	return false;
}

/* The parser reads the text of a thread. May the thread do this operation next? If not,
 * a line says why. Also notes in rd.then which unlendable locks the thread holds meanwhile. */
static bool may_take(const struct verb *v)
{
	if (v->give && rd.held[held_as(v)] == v->deep)
		return refuse(v->word,
			      v->deep == 1 ?
				      "held already: give it back first" :
				      "held twice already: twice is "
				      "a deadlock");
	for (unsigned int i = 0;
	     v->lock != LENDABLE && !v->passes && i < NR_VERBS; i++)
		if (rd.held[i] && verbs[i].lock != LENDABLE)
			rd.then[verbs[i].lock] |= 1u << v->lock;
	if (closes_a_ring())
		return refuse(v->word,
			      "a deadlock of pw and h alone, which cannot "
			      "be cut");
	if (v == &verbs[CORES])
		rd.outer_refs = rd.held[REFERENCE];
	return true;
}

/* The same for an operation that gives something back.
 * From h to -h the thread is the writer, and the references that a writer takes
 * are not counted (active_writer). So a reference that was taken before h must be
 * given back after -h. A reference that was taken between h and -h must be given
 * back between h and -h. */
static bool may_give(const struct verb *v)
{
	bool inside = rd.held[CORES] != 0;

	if (!rd.held[held_as(v)])
		return refuse(v->word, "not held here: take it first");
	if (v == &verbs[REFERENCE] && inside &&
	    rd.held[REFERENCE] == rd.outer_refs)
		return refuse(v->word, "taken before h: give it back after -h");
	if (v == &verbs[CORES] && rd.held[REFERENCE] != rd.outer_refs)
		return refuse(v->word, "g was taken inside: -g before -h");
	return true;
}

static bool add_op(const struct verb *v, bool give)
{
	struct text *t = rd.text;

	if (t->n == MAX_OPS) {
		return refuse(v->word, "more than 24 operations in a thread");
	}
	if (rd.spins && !v->spin && !v->atomic)
		return refuse(v->word, "may sleep, and a spinlock is held");
	if (t->interrupts && !v->spin && !v->atomic)
		return refuse(v->word, "may sleep, in an interrupt");
	if (give ? !may_give(v) : !may_take(v))
		return false;
	if (v->spin)
		rd.spins += give ? -1u : 1;
	if (v->give)
		rd.held[held_as(v)] += give ? -1u : 1;
	t->op[t->n++] = (struct op){ v, give };
	return true;
}

static bool read_op(const char *word)
{
	bool give = *word == '-';

	for (const struct verb *v = verbs; v < verbs + NR_VERBS; v++)
		if (strcmp(word + give, v->word) == 0 &&
		    (!give || (v->give && &verbs[held_as(v)] == v)))
			return add_op(v, give);
	kprintf("program: \"%s\" is none of a-f A-F r w pr pw g h, with - too, "
		"~A-~F P V ? ! x ^\n",
		word);
	return false;
}

static bool begin_thread(void)
{
	if (rd.nr_threads == MAX_ACTORS) {
		kprintf("program: more than %u threads\n", MAX_ACTORS);
		return false;
	}
	rd.text = &texts[rd.nr_threads++];
	rd.text->n = rd.text->pc = rd.spins = 0;
	rd.text->interrupts = 0;
	memset(rd.held, 0, sizeof(rd.held));
	return true;
}

/* The last thing that the thread took and still holds, or NULL. (The loop goes
 * backward, and skips things that were given back later.) */
static const struct verb *latest_held(void)
{
	unsigned int given[NR_VERBS] = { 0 };

	for (unsigned int i = rd.text->n; i-- > 0;) {
		const struct op *o = &rd.text->op[i];
		unsigned int *g = &given[held_as(o->verb)];

		if (o->give)
			++*g;
		else if (o->verb->give && *g)
			--*g;
		else if (o->verb->give)
			return o->verb;
	}
	return NULL;
}

static bool end_thread(void)
{
	const struct verb *v;

	if (!rd.text->n)
		return refuse("|", "no operation: write at least one");
	while ((v = latest_held()))
		if (!add_op(v, true))
			return false;
	return true;
}

/* The word ^: this thread of the text is an interrupt of the last thread before
 * it that is no interrupt. */
static bool begin_interrupt(void)
{
	unsigned int of = rd.nr_threads - 1;

	if (rd.text->n || rd.text->interrupts)
		return refuse("^", "only at the beginning of a thread");
	while (of > 0 && texts[of - 1].interrupts)
		of--;
	if (!of)
		return refuse("^", "there is no thread before it");
	rd.text->interrupts = of;
	return true;
}

/* Read one word of the command line. It may have several operations and bars. */
static bool read_word(const char *p)
{
	char word[WORD_MAX];

	while (*p) {
		size_t n = strcspn(p, " ,|\"^");

		if (*p == '^') {
			if (!begin_interrupt())
				return false;
			p++;
		} else if (n) {
			size_t len = n < WORD_MAX ? n : WORD_MAX - 1;

			memcpy(word, p, len);
			word[len] = 0;
			if (!read_op(word))
				return false;
			p += n;
		} else if (*p++ == '|' && (!end_thread() || !begin_thread())) {
			return false;
		}
	}
	return true;
}

/* ---- the experiment ------------------------------------------------------ */

static void run_text(struct text *t)
{
	while (t->pc < t->n) {
		const struct op *o = &t->op[t->pc];
		const struct verb *v = o->verb;

		(o->give ? v->give : v->take)(t, v->i);
		if (v->said)
			note(v->said);
		WRITE_ONCE(t->pc, t->pc + 1);
	}
}

/* The actor function of each thread. An interrupt runs as the thread that it
 * interrupts. */
#define ACTOR_TEXT(i)                                                          \
	static void actor_text_##i(struct stage *st)                           \
	{                                                                      \
		(void)st;                                                      \
		run_text(&texts[i]);                                           \
	}
ACTOR_TEXT(0)
ACTOR_TEXT(1)
ACTOR_TEXT(2)
ACTOR_TEXT(3)
ACTOR_TEXT(4)

static bool all_locks_are_free(void)
{
	for (unsigned int i = 0; i < NR_MUTEXES; i++)
		if (mutex_is_locked(&mutexes[i]))
			return false;
	for (unsigned int i = 0; i < NR_SPINS; i++)
		if (spin_is_locked(&spins[i]))
			return false;
	return !rwsem.readers && !rwsem.writer && list_empty(&rwsem.waiters) &&
	       !percpu.writer && !percpu.block;
}

/* The locks are not initialised again, because the last round must have left
 * all of them free. */
static int setup_program(struct stage *st)
{
	if (!percpu.name)
		percpu_init_rwsem(&percpu, "percpu");
	if (!all_locks_are_free())
		return -EBUSY;
	init_completion(&completion, "completion");
	wait_queue_init(&queue, "queue");
	flag = number = 0;
	st->passed = 0;
	for (unsigned int i = 0; i < st->nr_actors; i++)
		texts[i].pc = 0;
	return 0;
}

static bool is_never_lent(const void *mutex)
{
	return mutex == &percpu.writers || mutex == &cpu_add_remove_lock;
}

/* No thread will end the wait of an actor for the completion or for the queue:
 * end it here. */
static bool rescue_program(struct stage *st, bool quietly)
{
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		const struct worker *w = &st->worker[i];
		const void *obj = READ_ONCE(w->thread->waiting.obj);

		if (worker_ended(w) || (obj != &completion && obj != &queue))
			continue;
		if (!quietly)
			kprintf("cut: %s no longer waits for the %s\n",
				w->actor->name,
				obj == &queue ? "queue" : "completion");
		if (obj == &queue)
			wake_up_all(&queue);
		else
			complete_all(&completion);
		return true;
	}
	return false;
}

static struct scenario scenario = {
	.about = "threads given as text",
	/* Any outcome is right: the user wants to know which one comes. */
	.said.outcome = OUT_BIT(OUT_COMPLETES) | OUT_BIT(OUT_DEADLOCK) |
			OUT_BIT(OUT_STUCK),
	.forced.none = true,
	.said.lockdep_may = LOCKDEP_BIT(LOCKDEP_CIRCULAR) |
			    LOCKDEP_BIT(LOCKDEP_RECURSIVE),
	.world.setup = setup_program,
	.search.position = program_pc,
	.said.any_verdict = true,
	.cut.keeps = is_never_lent,
	.cut.rescue = rescue_program,
};

static const struct demo program = {
	.id = "program",
	.slug = "program",
	.claim = "threads given as text",
	.tried = { "The threads of the text, with the locks of this kernel.",
		   "" },
	.cores = 1,
	.scenarios = &scenario,
	.nr_scenarios = 1,
	.free_rounds = 1000,
	.for_reader = true,
};

const struct demo *program_demo(void)
{
	return &program;
}

unsigned int program_pc(unsigned int thread)
{
	return READ_ONCE(texts[thread].pc);
}

bool program_parse(unsigned int nr_words, char *const *words)
{
	static const char *const names[MAX_ACTORS] = { "A", "B", "C", "D",
						       "E" };
	static const enum place places[] = { ON_D, ON_U, ON_B };
	static void (*const fns[MAX_ACTORS])(
		struct stage * st) = { actor_text_0, actor_text_1, actor_text_2,
				       actor_text_3, actor_text_4 };

	memset(&rd, 0, sizeof(rd));
	if (!begin_thread())
		return false;
	for (unsigned int i = 0; i < nr_words; i++)
		if (!read_word(words[i]))
			return false;
	if (!end_thread())
		return false;
	for (unsigned int i = 0; i < MAX_ACTORS; i++)
		scenario.actors[i] = (struct actor){
			.name = i < rd.nr_threads ? names[i] : NULL,
			.place = places[i % ARRAY_SIZE(places)],
			.fn = fns[i],
			.interrupts = i < rd.nr_threads && texts[i].interrupts ?
					      names[texts[i].interrupts - 1] :
					      NULL,
		};
	return true;
}
