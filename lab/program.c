/*
 * Programs: an experiment of one's own, typed at the prompt.
 *
 *	a b | b a		two threads, two mutexes, opposite orders
 *	a g -g -a | h a -a -h	a mutex and the hotplug lock of 2012
 *
 * Threads stand between bars, operations between blanks or commas. What a text
 * leaves held is given back at its end, the latest first: these
 * operations belong to the text as if written.
 *
 *	a to f	-a to -f	mutex_lock(), mutex_unlock()
 *	r w	-r -w		a rw_semaphore, first come first served
 *	pr pw	-pr -pw		a percpu_rwsem, which prefers its writer
 *	g	-g		get_online_cpus(), put_online_cpus()
 *	h	-h		what cpu_up() holds: cpu_add_remove_lock and
 *				cpu_hotplug_begin()
 *	P V			wait_for_completion(), complete()
 *	? !			look at a flag, and then sleep; set it and wake
 *	x			add 1 to a shared number, not atomically
 *
 * Where a thread stands is the number of operations it has behind it, its pc.
 * That is less than the machine knows (a thread that waits for a mutex and one
 * that is just before it stand at the same pc), and all that a search by other
 * means has to agree with (tests/program_states.py).
 *
 * Not every knot can be untied here (lab/cut.c): nobody lends a rw-semaphore,
 * a percpu_rwsem to its second writer, nor cpu_add_remove_lock. A text that may
 * tie a knot of those alone is refused: see closes_a_ring().
 *
 * The text and its locks belong to demo_mutex (lab/command.c). Each pc is
 * written by its thread, and read by others while that stands still.
 */
#include <string.h>

#include "lab/experiment.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define NR_MUTEXES 6
#define MAX_OPS	   24 /* of one thread */
#define WORD_MAX   16

#define NAMED(i, name) [i] = MUTEX_INIT(mutexes[i], name)
static struct mutex mutexes[NR_MUTEXES] = {
	NAMED(0, "lock_a"), NAMED(1, "lock_b"), NAMED(2, "lock_c"),
	NAMED(3, "lock_d"), NAMED(4, "lock_e"), NAMED(5, "lock_f"),
};
static struct rw_semaphore rwsem = RWSEM_INIT(rwsem, "rwsem");
static struct percpu_rwsem percpu;
static struct completion completion;
static struct wait_queue queue; /* of those who found the flag down */
static uint32_t flag, number;	/* atomic: declared shared */

/* ---- the operations ---------------------------------------------------- */

static void take_mutex(struct stage *st, unsigned int i)
{
	(void)st;
	mutex_lock(&mutexes[i]);
}

static void give_mutex(struct stage *st, unsigned int i)
{
	(void)st;
	mutex_unlock(&mutexes[i]);
}

static void take_rwsem(struct stage *st, unsigned int write)
{
	(void)st;
	if (write)
		down_write(&rwsem);
	else
		down_read(&rwsem);
}

static void give_rwsem(struct stage *st, unsigned int write)
{
	(void)st;
	if (write)
		up_write(&rwsem);
	else
		up_read(&rwsem);
}

static void take_percpu(struct stage *st, unsigned int write)
{
	(void)st;
	if (write)
		percpu_down_write(&percpu);
	else
		percpu_down_read(&percpu);
}

static void give_percpu(struct stage *st, unsigned int write)
{
	(void)st;
	if (write)
		percpu_up_write(&percpu);
	else
		percpu_up_read(&percpu);
}

static void take_reference(struct stage *st, unsigned int i)
{
	(void)st;
	(void)i;
	get_online_cpus();
}

static void give_reference(struct stage *st, unsigned int i)
{
	(void)st;
	(void)i;
	put_online_cpus();
}

static void take_cores(struct stage *st, unsigned int i)
{
	(void)i;
	mutex_lock(&cpu_add_remove_lock);
	hotplug_ops->begin();
	if (!st->passed)
		return;
	/* The cut has let us past references that their owners will give back;
	 * cpu_hotplug.lock, which guards the count, is ours now. */
	WRITE_ONCE(cpu_hotplug.refcount, st->passed);
	st->passed = 0;
}

static void give_cores(struct stage *st, unsigned int i)
{
	(void)st;
	(void)i;
	hotplug_ops->done();
	mutex_unlock(&cpu_add_remove_lock);
}

static void await_completion(struct stage *st, unsigned int i)
{
	(void)st;
	(void)i;
	wait_for_completion(&completion);
}

static void complete_it(struct stage *st, unsigned int i)
{
	(void)st;
	(void)i;
	complete(&completion);
}

/* Looks before it queues up, and not again: a wake-up between is lost. */
static void look_and_sleep(struct stage *st, unsigned int i)
{
	struct wait_entry e = { .thread = NULL };

	(void)st;
	(void)i;
	if (shared_read(flag))
		return;
	prepare_to_wait(&queue, &e, &queue_wait, CALLER);
	schedule();
	finish_wait(&queue, &e);
}

static void set_and_wake(struct stage *st, unsigned int i)
{
	(void)st;
	(void)i;
	shared_write(flag, 1);
	wake_up_all(&queue);
}

static void add_one(struct stage *st, unsigned int i)
{
	uint32_t n = shared_read(number);

	(void)st;
	(void)i;
	shared_write(number, n + 1);
}

/* Of what a cut cannot lend, for closes_a_ring(). */
enum ring { ON_RWSEM, ON_PERCPU, ON_CORES, NR_RINGS, ON_NONE = NR_RINGS };

struct verb {
	const char *word;
	void (*take)(struct stage *st, unsigned int i);
	void (*give)(struct stage *st, unsigned int i); /* NULL: no -word */
	unsigned int i;
	enum ring ring;		 /* on which its holder is */
	bool lent;		 /* a cut can let the taker in all the same */
	unsigned int deep;	 /* how often one thread may hold it */
	const char *took, *gave; /* in the schedule; NULL: other events do */
};

#define A_MUTEX(w, n)                                                          \
	{                                                                      \
		.word = (w), .take = take_mutex, .give = give_mutex, .i = (n), \
		.ring = ON_NONE, .deep = 2, .took = "lock " w,                 \
		.gave = "unlock " w                                            \
	}

enum { REFERENCE = 6, CORES = 7 }; /* their places below */
static const struct verb verbs[] = {
	A_MUTEX("a", 0),
	A_MUTEX("b", 1),
	A_MUTEX("c", 2),
	A_MUTEX("d", 3),
	A_MUTEX("e", 4),
	A_MUTEX("f", 5),
	[REFERENCE] = { "g", take_reference, give_reference, 0, ON_NONE, true,
			MAX_OPS, NULL, NULL },
	[CORES] = { "h", take_cores, give_cores, 0, ON_CORES, false, 1,
		    "cpu_hotplug_begin", "cpu_hotplug_done" },
	{ "r", take_rwsem, give_rwsem, 0, ON_RWSEM, false, 1, "down_read",
	  "up_read" },
	{ "w", take_rwsem, give_rwsem, 1, ON_RWSEM, false, 1, "down_write",
	  "up_write" },
	{ "pr", take_percpu, give_percpu, 0, ON_PERCPU, true, MAX_OPS,
	  "percpu_down_read", "percpu_up_read" },
	{ "pw", take_percpu, give_percpu, 1, ON_PERCPU, false, 1,
	  "percpu_down_write", "percpu_up_write" },
	{ "P", await_completion, NULL, 0, ON_NONE, true, 0, "completed", NULL },
	{ "V", complete_it, NULL, 0, ON_NONE, true, 0, "complete", NULL },
	{ "?", look_and_sleep, NULL, 0, ON_NONE, true, 0, "saw it, or woke",
	  NULL },
	{ "!", set_and_wake, NULL, 0, ON_NONE, true, 0, "set it, woke all",
	  NULL },
	{ "x", add_one, NULL, 0, ON_NONE, true, 0, "added 1", NULL },
};
#define NR_VERBS ARRAY_SIZE(verbs)

/* ---- the text ---------------------------------------------------------- */

struct op {
	const struct verb *verb;
	bool give;
};

static struct text {
	struct op op[MAX_OPS];
	unsigned int n;
	unsigned int pc;
} texts[MAX_ACTORS];

/* What the text being read has taken and not given back; and, of what cannot be
 * lent, what some thread takes while it holds another (bits of enum ring). */
static struct reading {
	unsigned int nr_threads;
	struct text *text; /* being read */
	unsigned int held[NR_VERBS];
	unsigned int outer_refs; /* references from before h */
	unsigned int then[NR_RINGS];
} rd;

static char thread_name(void)
{
	return (char)('A' + rd.nr_threads - 1);
}

static bool wrong(const char *word, const char *why)
{
	kprintf("program: thread %c, \"%s\": %s\n", thread_name(), word, why);
	return false;
}

/* Could threads that each hold what cannot be lent wait for each other and for
 * nothing else? Then nothing would untie them. */
static bool closes_a_ring(void)
{
	unsigned int reach[NR_RINGS];

	memcpy(reach, rd.then, sizeof(reach));
	for (unsigned int k = 0; k < NR_RINGS; k++)
		for (unsigned int i = 0; i < NR_RINGS; i++)
			if (reach[i] & 1u << k)
				reach[i] |= reach[k];
	for (unsigned int i = 0; i < NR_RINGS; i++)
		if (reach[i] & 1u << i)
			return true;
	return false;
}

static bool may_take(const struct verb *v)
{
	if (v->give && rd.held[v - verbs] == v->deep)
		return wrong(v->word,
			     v->deep == 1 ? "held already: give it back first" :
					    "held twice already: twice is "
					    "a deadlock");
	for (unsigned int i = 0; v->ring != ON_NONE && !v->lent && i < NR_VERBS;
	     i++)
		if (rd.held[i] && verbs[i].ring != ON_NONE)
			rd.then[verbs[i].ring] |= 1u << v->ring;
	if (closes_a_ring())
		return wrong(v->word, "a knot of r w, pw and h alone, "
				      "which nobody unties");
	if (v == &verbs[CORES])
		rd.outer_refs = rd.held[REFERENCE];
	return true;
}

/* A reference of the writer itself is none (active_writer): where it was taken
 * it must be given back. */
static bool may_give(const struct verb *v)
{
	bool inside = rd.held[CORES] != 0;

	if (!rd.held[v - verbs])
		return wrong(v->word, "not held here: take it first");
	if (v == &verbs[REFERENCE] && inside &&
	    rd.held[REFERENCE] == rd.outer_refs)
		return wrong(v->word, "taken before h: give it back after -h");
	if (v == &verbs[CORES] && rd.held[REFERENCE] != rd.outer_refs)
		return wrong(v->word, "g was taken inside: -g before -h");
	return true;
}

static bool add_op(const struct verb *v, bool give)
{
	struct text *t = rd.text;

	if (t->n == MAX_OPS) {
		return wrong(v->word,
			     "one operation too many for a thread: 24 at most");
	}
	if (give ? !may_give(v) : !may_take(v))
		return false;
	if (v->give)
		rd.held[v - verbs] += give ? -1u : 1;
	t->op[t->n++] = (struct op){ v, give };
	return true;
}

static bool read_op(const char *word)
{
	bool give = *word == '-';

	for (const struct verb *v = verbs; v < verbs + NR_VERBS; v++)
		if (strcmp(word + give, v->word) == 0 && (v->give || !give))
			return add_op(v, give);
	kprintf("program: \"%s\" is none of a to f, r w pr pw g h, all with - "
		"too, P V ? ! x\n",
		word);
	return false;
}

static bool begin_thread(void)
{
	if (rd.nr_threads == MAX_ACTORS) {
		kprintf("program: more than %u threads: that many at most\n",
			MAX_ACTORS);
		return false;
	}
	rd.text = &texts[rd.nr_threads++];
	rd.text->n = rd.text->pc = 0;
	memset(rd.held, 0, sizeof(rd.held));
	return true;
}

/* What the thread took last and holds still, or NULL: from the end, past what
 * was given back since. */
static const struct verb *latest_held(void)
{
	unsigned int given[NR_VERBS] = { 0 };

	for (unsigned int i = rd.text->n; i-- > 0;) {
		const struct op *o = &rd.text->op[i];
		unsigned int *g = &given[o->verb - verbs];

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
		return wrong("|", "no operation: write at least one");
	while ((v = latest_held()))
		if (!add_op(v, true))
			return false;
	return true;
}

/* One word of the command: operations, bars and what may stand between them. */
static bool read_word(const char *p)
{
	char word[WORD_MAX];

	while (*p) {
		size_t n = strcspn(p, " ,|\"");

		if (n) {
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

/* ---- the experiment ---------------------------------------------------- */

static void actor_text(struct stage *st)
{
	unsigned int me = (unsigned int)stage_actor_of(st, current->id);
	struct text *t = &texts[me];

	while (t->pc < t->n) {
		const struct op *o = &t->op[t->pc];
		const struct verb *v = o->verb;
		const char *said = o->give ? v->gave : v->took;

		(o->give ? v->give : v->take)(st, v->i);
		if (said)
			note(said);
		WRITE_ONCE(t->pc, t->pc + 1);
	}
}

static bool all_free(void)
{
	for (unsigned int i = 0; i < NR_MUTEXES; i++)
		if (mutex_is_locked(&mutexes[i]))
			return false;
	return !rwsem.readers && !rwsem.writer && list_empty(&rwsem.waiters) &&
	       !percpu.writer && !percpu.block;
}

/* The locks are as the last round left them, which is free. */
static int setup_program(struct stage *st)
{
	if (!percpu.name)
		percpu_init_rwsem(&percpu, "percpu");
	if (!all_free())
		return -EBUSY;
	init_completion(&completion, "completion");
	wait_queue_init(&queue, "queue");
	flag = number = 0;
	st->passed = 0;
	for (unsigned int i = 0; i < st->nr_actors; i++)
		texts[i].pc = 0;
	return 0;
}

static bool keeps(const void *mutex)
{
	return mutex == &percpu.writers || mutex == &cpu_add_remove_lock;
}

/* Nobody will come to complete it, or to wake the queue. */
static bool rescue_program(struct stage *st, bool quietly)
{
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		const struct worker *w = &st->worker[i];
		const void *obj = READ_ONCE(w->thread->waiting.obj);

		if (worker_ended(w) || (obj != &completion && obj != &queue))
			continue;
		if (!quietly)
			kprintf("cut: %s waits no longer for the %s\n",
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
	/* Whatever comes is what is asked for. */
	.said.outcome = OUT_BIT(OUT_COMPLETES) | OUT_BIT(OUT_DEADLOCK) |
			OUT_BIT(OUT_STUCK),
	.forced.none = true,
	.said.lockdep_may = LOCKDEP_BIT(LOCKDEP_CIRCULAR) |
			    LOCKDEP_BIT(LOCKDEP_RECURSIVE),
	.world.setup = setup_program,
	.search.position = program_pc,
	.said.any_verdict = true,
	.cut.keeps = keeps,
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
			.fn = actor_text,
		};
	return true;
}
