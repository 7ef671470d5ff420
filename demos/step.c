/*
 * `step`: a person plays the scheduler.
 *
 *   step e2 up            asks at each point who goes on
 *   step e2 up D:7 U:6    the first lines of input are given, a blank as ':'
 *
 * On top of play_directed(), with a director that asks (choose() below). A step
 * cannot be undone: `back` ends the round, whose cut restores the state, and runs
 * the schedule again up to one step before. What a thread waits for is read while
 * all of them stand still. Owns `the_stepper`, guarded by demo_mutex.
 */
#include "demos/explore.h"

#include <string.h>

#include "demos/command.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

#define PROMPT	  "step> "
#define WIDTH	  80
#define TEXT	  96 /* of what a thread does; printed as far as it fits */
#define SYMBOL	  48
#define LINE	  512 /* of input */
#define CHAIN_MAX 12
#define MANY	  SEARCH_STEPS

static struct stepper {
	struct director director;
	const struct demo *demo;
	const struct scenario *sc;
	struct form form;
	char **word; /* lines still to come from the command line, and how many */
	int words;
	char last[LINE]; /* line that was understood */
	/* The schedule: steps of this run; of which so many are given. */
	unsigned int n, keep;
	struct {
		uint8_t actor;
		uint16_t op; /* its gate: would it be another one, say so */
	} taken[SEARCH_STEPS];
	/* What was asked for: so many steps more of this actor; all to the end. */
	unsigned int actor, more;
	bool to_end;
	bool leaves;	  /* quit: the rest is let go */
	bool again;	  /* back: the round is run again */
	bool interrupted; /* by Ctrl-C */
	bool bad;	  /* a line from the command line was not understood */
} the_stepper;

/* ---- what a thread would do, or waits for ------------------------------------ */

/* The function that an address is in. */
static const char *function_at(uintptr_t address, char *out)
{
	ksnprintf(out, SYMBOL, "%pS", (void *)address);
	out[strcspn(out, "+")] = 0;
	return out;
}

static void describe_gate(const struct stage *st, enum trace_op op,
			  const void *obj, uintptr_t caller, char *out)
{
	const char *rwsem = obj ? ((const struct rw_semaphore *)obj)->name : "";
	bool cpus = obj == &cpu_hotplug_lock;
	const char *queue = obj ? ((const struct wait_queue *)obj)->name : "";
	const char *what = NULL;
	char fn[SYMBOL];
	int n = 0;

	switch (op) {
	case TR_LOCK:
	case TR_TRYLOCK:
	case TR_UNLOCK:
		n = ksnprintf(out, TEXT, "%s %s",
			      op == TR_LOCK    ? "lock" :
			      op == TR_TRYLOCK ? "try to lock" :
						 "unlock",
			      lock_name(st, obj));
		break;
	case TR_READ_LOCK:
	case TR_READ_UNLOCK:
	case TR_WRITE_LOCK:
	case TR_WRITE_UNLOCK:
		what = op == TR_READ_LOCK   ? "read_lock" :
		       op == TR_READ_UNLOCK ? "read_unlock" :
		       op == TR_WRITE_LOCK  ? "write_lock" :
					      "write_unlock";
		n = ksnprintf(out, TEXT, cpus ? "cpus_%s" : "%s %s", what,
			      rwsem);
		break;
	case TR_WAIT_FOR:
	case TR_WAKE:
		n = ksnprintf(out, TEXT, "%s %s",
			      op == TR_WAKE ? "wake who waits for" : "wait for",
			      queue);
		break;
	case TR_SHARED_READ:
	case TR_SHARED_WRITE:
		n = ksnprintf(out, TEXT, "%s shared data",
			      op == TR_SHARED_READ ? "read" : "write");
		break;
	case TR_NOTIFY:
		ksnprintf(out, TEXT, "call notifier %s (%s)",
			  function_at((uintptr_t)obj, fn),
			  cpu_event_name(caller));
		return;
	case TR_NONE:
		what = "begin";
		break;
	case TR_GP_WAIT:
		what = "synchronize_rcu()";
		break;
	case TR_BARRIER:
		what = "rcu_barrier()";
		break;
	case TR_CACHE_CREATE:
		what = "link a new cache";
		break;
	case TR_CACHE_DESTROY:
		what = "kmem_cache_destroy()";
		break;
	case TR_CACHE_UNLINK:
		what = "unlink the cache";
		break;
	case TR_CACHE_RELINK:
		what = "link the cache again";
		break;
	case TR_CACHE_SHRINK:
		what = "shrink the cache";
		break;
	case TR_CACHE_OBJECT:
		what = "take or give back an object";
		break;
	default:
		what = "go on";
	}
	if (n)
		ksnprintf(out + n, TEXT - (size_t)n, ", in %s",
			  function_at(caller, fn));
	else
		ksnprintf(out, TEXT, "%s", what);
}

/* One thread of a chain, and what blocks it. */
struct link {
	struct thread *thread;
	char name[THREAD_NAME_LEN];
	const char *what; /* NULL: it is not blocked */
	const char *kind, *relation;
	uintptr_t asked, site; /* where it, and where the owner took it */
	struct thread *owner;  /* NULL: nobody known */
	char owner_name[THREAD_NAME_LEN];
	unsigned int owners;
};

static int slot_of(const struct stage *st, const struct thread *t)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (st->worker[i].thread == t)
			return (int)i;
	return -1;
}

/* At the gate before a mutex: that is taken, or nothing is in its way. */
static void blocked_at_gate(const struct stage *st, struct link *l,
			    enum trace_op op, const void *obj, uintptr_t caller)
{
	const struct mutex *m = obj;

	if (op != TR_LOCK || !mutex_is_locked(m))
		return;
	l->what = lock_name(st, m);
	l->kind = wait_kind_name(WAIT_MUTEX);
	l->relation = "held by";
	l->asked = caller;
	l->site = READ_ONCE(m->site);
	l->owner = mutex_owner(m);
	l->owners = 1;
	if (l->owner)
		memcpy(l->owner_name, l->owner->name, sizeof(l->owner_name));
}

static void look_at(const struct stage *st, struct thread *t, struct link *l)
{
	static struct waitfor w; /* demo_mutex */
	const struct waitfor_link *to;
	const struct waiting *now = &w.link[0].waiting;
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	int i = slot_of(st, t);

	memset(l, 0, sizeof(*l));
	l->thread = t;
	memcpy(l->name, t->name, sizeof(l->name));
	if (i >= 0 && worker_ended(&st->worker[i]))
		return;
	if (i >= 0 && explore_pending((unsigned int)i, &op, &obj, &caller)) {
		blocked_at_gate(st, l, op, obj, caller);
		return;
	}
	waitfor_walk(t, &w);
	if (now->kind == WAIT_NONE)
		return;
	l->what = now->kind == WAIT_MUTEX ? lock_name(st, now->obj) : now->name;
	l->kind = wait_kind_name(now->kind);
	l->asked = now->caller;
	l->site = w.link[0].owner_site;
	l->owners = w.link[0].owners;
	to = waitfor_owner(&w, 0);
	if (!to)
		return;
	l->relation = waitfor_relation(&w, 0);
	l->owner = to->thread;
	memcpy(l->owner_name, to->name, sizeof(l->owner_name));
}

static bool counts_references(const struct link *l)
{
	return l->what && strcmp(l->kind, wait_kind_name(WAIT_REFCOUNT)) == 0;
}

static void describe_block(const struct link *l, char *out)
{
	if (counts_references(l))
		ksnprintf(out, TEXT, "waits for %s 0: it is %d", l->what,
			  READ_ONCE(cpu_hotplug.refcount));
	else if (l->owner)
		ksnprintf(out, TEXT, "waits for %s, %s %s", l->what,
			  l->relation, l->owner_name);
	else
		ksnprintf(out, TEXT, "waits for %s (%s)", l->what, l->kind);
}

/* Actor i in words: what it would do next, or waits for, or "ended". */
static void describe_actor(const struct stage *st, unsigned int i, bool able,
			   char *out)
{
	const struct worker *w = &st->worker[i];
	const char *bug = READ_ONCE(w->thread->bug);
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	char fn[SYMBOL];
	struct link l;

	if (worker_ended(w)) {
		ksnprintf(out, TEXT, "ended%s%s", bug ? ": BUG: " : "",
			  bug ? bug : "");
		return;
	}
	look_at(st, w->thread, &l);
	if (l.what)
		describe_block(&l, out);
	else if (!explore_pending(i, &op, &obj, &caller))
		ksnprintf(out, TEXT, "is under way");
	else if (able)
		describe_gate(st, op, obj, caller, out);
	else
		ksnprintf(out, TEXT, "waits for its turn, in %s",
			  function_at(caller, fn));
}

/* ---- the threads, and why ------------------------------------------------------ */

static int name_width(const struct stage *st)
{
	int width = 0;

	for (unsigned int i = 0; i < st->nr_actors; i++)
		if ((int)strlen(st->sc->actors[i].name) > width)
			width = (int)strlen(st->sc->actors[i].name);
	return width;
}

/* "* 1 D  core 1  lock slab_mutex, in kmem_cache_destroy": can go on. */
static void show_threads(const struct stage *st, unsigned int enabled)
{
	char row[WIDTH + 1], text[TEXT];

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		bool able = enabled & 1u << i;

		describe_actor(st, i, able, text);
		ksnprintf(row, sizeof(row), "%c %u %-*s  core %-2u  %s",
			  able ? '*' : ' ', i + 1, name_width(st),
			  st->sc->actors[i].name, st->worker[i].cpu, text);
		kprintf("%s\n", row);
	}
}

struct chain {
	unsigned int n;
	bool cycle; /* the last one's owner is link[first] */
	unsigned int first;
	struct link link[CHAIN_MAX];
};

/* From t along the owners: to a cycle, or to who is not blocked. */
static void follow_owners(const struct stage *st, struct thread *t,
			  struct chain *c)
{
	c->n = 0;
	c->cycle = false;
	while (t && c->n < CHAIN_MAX) {
		for (c->first = 0; c->first < c->n; c->first++)
			if (c->link[c->first].thread == t) {
				c->cycle = true;
				return;
			}
		look_at(st, t, &c->link[c->n]);
		t = c->link[c->n++].owner;
	}
}

/* Who gave no reference back: "held by D". */
static void print_references(const struct stage *st)
{
	const char *sep = "    held by ";

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (st->refs[i] <= 0)
			continue;
		kprintf("%s%s", sep, st->sc->actors[i].name);
		sep = ", ";
	}
	kprintf("%s", *sep == ',' ? "\n" : "");
}

static void print_link(const struct stage *st, const struct link *l,
		       unsigned int enabled)
{
	int i = slot_of(st, l->thread);
	char text[TEXT];

	if (!l->what) {
		if (i < 0)
			ksnprintf(text, sizeof(text), "is not blocked");
		else
			describe_actor(st, (unsigned int)i, enabled & 1u << i,
				       text);
		kprintf("  %s%s %.*s\n", l->name,
			i >= 0 && enabled & 1u << i ? " can go on:" : "",
			WIDTH - 24, text);
		return;
	}
	kprintf("  %s waits for %s (%s)\n    asked for at %pS\n", l->name,
		l->what, l->kind, (void *)l->asked);
	if (counts_references(l)) {
		kprintf("    it is %d and must become 0\n",
			READ_ONCE(cpu_hotplug.refcount));
		print_references(st);
	}
	if (!l->owner)
		return;
	kprintf("    %s %s", l->relation, l->owner_name);
	if (l->owners > 1)
		kprintf(", one of %u", l->owners);
	if (l->site)
		kprintf(", taken at %pS", (void *)l->site);
	kprintf("\n");
}

static void print_end_of(const struct chain *c)
{
	const struct link *last = &c->link[c->n - 1];

	if (c->cycle) {
		kprintf("cycle: %s", c->link[c->first].name);
		for (unsigned int i = c->first; i < c->n; i++)
			kprintf(" -> %s (%s)", c->link[i].what,
				c->link[i].owner_name);
		kprintf("\n");
	} else if (last->owner) {
		kprintf("the chain goes on: more than %u threads\n", CHAIN_MAX);
	} else if (last->what) {
		kprintf("no cycle: %s waits for an event (%s, %s)\n",
			last->name, last->what, last->kind);
	}
}

static struct chain the_chain; /* demo_mutex */

static void explain(const struct stage *st, unsigned int actor,
		    unsigned int enabled)
{
	struct chain *c = &the_chain;

	follow_owners(st, st->worker[actor].thread, c);
	for (unsigned int i = 0; i < c->n; i++)
		print_link(st, &c->link[i], enabled);
	print_end_of(c);
}

/* Nobody can move: the cycle, if there is one, else the ends of the chains. */
static void print_knot(const struct stage *st)
{
	struct chain *c = &the_chain;
	unsigned int ends = 0;

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		follow_owners(st, st->worker[i].thread, c);
		if (!c->cycle)
			continue;
		kprintf("nobody can move: a deadlock\n");
		print_end_of(c);
		return;
	}
	kprintf("nobody can move: stuck\n");
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]))
			continue;
		follow_owners(st, st->worker[i].thread, c);
		if (c->n == 1 || !ends)
			print_end_of(c);
		ends++;
	}
}

/* ---- the schedule so far --------------------------------------------------------- */

static const char *id_of(const struct stepper *s)
{
	return s->sc->part ? s->sc->part : s->demo->id;
}

/* Prints "E2 up D:7 U:6" and how it ends; not one that replay could not take. */
static void print_schedule(const struct stepper *s)
{
	static struct witness w; /* demo_mutex */

	memset(&w, 0, sizeof(w));
	w.form = s->form;
	for (unsigned int i = 0; i < s->n; i++) {
		uint8_t actor = s->taken[i].actor;

		if (!w.nr || w.leg[w.nr - 1].actor != actor) {
			if (w.nr == LEGS)
				break;
			w.leg[w.nr++].actor = actor;
		}
		w.leg[w.nr - 1].steps++;
		w.steps++;
	}
	kprintf("%s", id_of(s));
	print_witness(s->sc, &w);
	if (w.steps < s->n)
		kprintf(" and %u steps more", s->n - w.steps);
}

static void print_replay_line(const struct stepper *s)
{
	if (!s->n) {
		kprintf("no step has been taken yet\n");
		return;
	}
	kprintf("line: replay ");
	print_schedule(s);
	kprintf("\n");
}

/* ---- input ----------------------------------------------------------------------- */

static const char *const commands[] = { "why",	"back", "auto",
					"line", "quit", "help" };

/* For completion: the threads, then the commands. */
static const char *first_word(int arg, unsigned int i)
{
	const struct stage *st = &the_stage;

	if (arg)
		return NULL;
	if (i < st->nr_actors)
		return st->sc->actors[i].name;
	i -= st->nr_actors;
	return i < ARRAY_SIZE(commands) ? commands[i] : NULL;
}

static void print_help(void)
{
	kprintf("D or 1      this thread takes a step, to its next point; "
		"D 5: five\n"
		"(Enter)     the same again\n"
		"why [D]     what blocks it: who holds that, where it was "
		"taken, the chain\n"
		"back        one step back: the schedule is run again up to "
		"there\n"
		"auto        to the end: the same thread as long as it can, "
		"then the first\n"
		"line        the schedule so far, for replay\n"
		"quit        let them all go, and leave\n"
		"A star marks who can go on.\n");
}

/* The next line; NULL: nobody has one. */
static char *next_line(struct stepper *s)
{
	char *line;

	if (s->words) {
		line = *s->word++;
		s->words--;
		for (char *p = line; *p; p++)
			if (*p == ':')
				*p = ' ';
		kprintf(PROMPT "%s\n", line);
		return line;
	}
	line = shell_ask(PROMPT, first_word);
	s->interrupted |= !line && !READ_ONCE(console_taken);
	return line;
}

static int find_actor(const struct stage *st, const char *word)
{
	unsigned int nr;

	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (same_word(word, st->sc->actors[i].name))
			return (int)i;
	return parse_uint(word, &nr) && nr && nr <= st->nr_actors ?
		       (int)nr - 1 :
		       -1;
}

static void name_threads(const struct stage *st)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		kprintf("%s%s", i ? ", " : "", st->sc->actors[i].name);
}

static bool complain(struct stepper *s, bool from_words)
{
	s->bad |= from_words;
	return false;
}

/* A thread and how often. false: said why it cannot be. */
static bool ask_move(struct stepper *s, const struct stage *st, int actor,
		     const char *count, unsigned int enabled)
{
	const char *name = st->sc->actors[actor].name;
	char text[TEXT];
	unsigned int n = 1;

	if (count && (!parse_uint(count, &n) || !n || n > MANY)) {
		kprintf("step: \"%s\" is no number of steps, 1 to %u: %s 5\n",
			count, MANY, name);
		return false;
	}
	if (!(enabled & 1u << actor)) {
		describe_actor(st, (unsigned int)actor, false, text);
		kprintf("step: %s cannot go on: %s%.*s\n", name,
			worker_ended(&st->worker[actor]) ? "it has " : "it ",
			WIDTH - 40, text);
		return false;
	}
	s->actor = (unsigned int)actor;
	s->more = n;
	return true;
}

static void ask_why(const struct stage *st, int actor, unsigned int enabled)
{
	unsigned int n = 0;

	if (actor >= 0) {
		explain(st, (unsigned int)actor, enabled);
		return;
	}
	/* Each that is blocked, until a chain has shown the cycle. */
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]) || enabled & 1u << i)
			continue;
		explain(st, i, enabled);
		n++;
		if (the_chain.cycle)
			break;
	}
	if (!n)
		kprintf("nobody is blocked\n");
}

/* One line. true: it is decided what comes next. */
static bool obey(struct stepper *s, const struct stage *st, char *line,
		 unsigned int enabled, bool from_words)
{
	char *word[3], *p = line;
	unsigned int n = 0;
	int actor, of = -1;

	while (n < ARRAY_SIZE(word) && *(p += strspn(p, " "))) {
		word[n++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = 0;
	}
	if (!n) {
		kprintf("step: a thread (");
		name_threads(st);
		kprintf(") or a command (help lists them)\n");
		return complain(s, from_words);
	}
	if (n > 2) {
		kprintf("step: one thing a line: %s 5, or why %s\n",
			st->sc->actors[0].name, st->sc->actors[0].name);
		return complain(s, from_words);
	}
	actor = find_actor(st, word[0]);
	if (actor >= 0)
		return ask_move(s, st, actor, n > 1 ? word[1] : NULL,
				enabled) ||
		       complain(s, from_words);
	if (n > 1)
		of = find_actor(st, word[1]);
	if (n > 1 && same_word(word[0], "why") && of < 0) {
		kprintf("step: no thread \"%s\": there are ", word[1]);
		name_threads(st);
		kprintf("\n");
		return complain(s, from_words);
	}
	if (same_word(word[0], "why")) {
		ask_why(st, of, enabled);
	} else if (n > 1) {
		kprintf("step: \"%s %s\": neither a thread and its steps nor "
			"why THREAD\n",
			word[0], word[1]);
		return complain(s, from_words);
	} else if (same_word(word[0], "auto")) {
		s->to_end = enabled;
		if (enabled)
			return true;
		kprintf("step: nobody can go on: back, or quit\n");
		return complain(s, from_words);
	} else if (same_word(word[0], "back")) {
		s->again = s->n;
		if (s->again)
			return true;
		kprintf("step: this is the beginning\n");
		return complain(s, from_words);
	} else if (same_word(word[0], "line")) {
		print_replay_line(s);
	} else if (same_word(word[0], "quit")) {
		s->leaves = true;
		return true;
	} else if (same_word(word[0], "help")) {
		print_help();
	} else {
		kprintf("step: \"%s\" is no thread (", word[0]);
		name_threads(st);
		kprintf(") and no command (help lists them)\n");
		return complain(s, from_words);
	}
	return false;
}

/* Ask until it is decided what comes next. */
static void ask(struct stepper *s, const struct stage *st, unsigned int enabled)
{
	static char copy[LINE]; /* demo_mutex */
	bool decided = false;

	while (!decided) {
		bool from_words = s->words;
		char *line = next_line(s);

		if (!line) {
			s->leaves = true;
			return;
		}
		if (*line)
			ksnprintf(s->last, sizeof(s->last), "%s", line);
		strcpy(copy, s->last);
		decided = obey(s, st, copy, enabled, from_words);
	}
}

/* ---- the director -------------------------------------------------------------------- */

static struct stepper *stepper_of(struct director *d)
{
	return container_of(d, struct stepper, director);
}

/* Mute: what has been seen already is run again, or is given up. */
static void mute(struct stepper *s, bool on)
{
	s->director.quiet = on;
	WRITE_ONCE(console_hushed, on);
	lockdep_quiet(on);
}

static enum trace_op gate_of(unsigned int actor)
{
	enum trace_op op = TR_NONE;
	const void *obj;
	uintptr_t caller;

	explore_pending(actor, &op, &obj, &caller);
	return op;
}

/* The given prefix, as it went before: false if it cannot go like that. */
static bool goes_as_before(const struct stepper *s, unsigned int enabled)
{
	unsigned int actor = s->taken[s->n].actor;

	return enabled & 1u << actor && gate_of(actor) == s->taken[s->n].op;
}

static void say_lost(struct stepper *s, const struct stage *st)
{
	mute(s, false);
	kprintf("back: it does not go that way again: step %u of %u, by %s, is "
		"another\n",
		s->n + 1, s->keep, st->sc->actors[s->taken[s->n].actor].name);
	s->keep = s->n;
}

/* Note it and say it; the actor, for play_directed(). */
static int take(struct stepper *s, const struct stage *st, unsigned int actor)
{
	char text[TEXT];

	if (!s->to_end) {
		describe_actor(st, actor, true, text);
		kprintf("%4u. %s: %.*s\n", s->n + 1, st->sc->actors[actor].name,
			WIDTH - 8 - name_width(st), text);
	}
	s->taken[s->n].actor = (uint8_t)actor;
	s->taken[s->n++].op = (uint16_t)gate_of(actor);
	return (int)actor;
}

static int choose(struct director *d, struct stage *st, unsigned int enabled,
		  unsigned int *gates)
{
	struct stepper *s = stepper_of(d);
	unsigned int actor;

	(void)gates;
	if (s->n < s->keep) {
		if (goes_as_before(s, enabled))
			return s->taken[s->n++].actor;
		say_lost(s, st);
	}
	if (d->quiet)
		mute(s, false);
	s->interrupted |= thread_interrupted();
	if (s->n == SEARCH_STEPS)
		kprintf("step: %u steps are as many as there is room for\n",
			s->n);
	if (s->interrupted || s->n == SEARCH_STEPS) {
		s->leaves = true;
		return -1;
	}
	if (s->more && !(enabled & 1u << s->actor)) {
		kprintf("%s %s: %u steps less than asked for\n",
			st->sc->actors[s->actor].name,
			worker_ended(&st->worker[s->actor]) ? "has ended" :
							      "cannot go on",
			s->more);
		s->more = 0;
	}
	if (!s->more && !s->to_end) {
		show_threads(st, enabled);
		ask(s, st, enabled);
	}
	if (s->leaves || s->again)
		return -1;
	if (s->more) {
		s->more--;
		return take(s, st, s->actor);
	}
	actor = s->n ? s->taken[s->n - 1].actor : 0;
	if (!(enabled & 1u << actor))
		actor = (unsigned int)__builtin_ctz(enabled);
	return take(s, st, actor);
}

/* No step is left: what it came to; from here there is a way back. */
static void at_the_end(struct stepper *s, const struct stage *st,
		       unsigned int left)
{
	if (s->n < s->keep)
		say_lost(s, st);
	if (s->director.quiet)
		mute(s, false);
	s->to_end = false;
	s->more = 0;
	show_threads(st, 0);
	if (left)
		print_knot(st);
	else
		kprintf("all have ended\n");
	print_replay_line(s);
	ask(s, st, 0);
}

static void over(struct director *d, struct stage *st, unsigned int left)
{
	struct stepper *s = stepper_of(d);
	bool in_the_middle;

	s->leaves |= d->strayed;
	in_the_middle = s->leaves;
	if (!s->leaves && !s->again)
		at_the_end(s, st, left);
	d->untold = in_the_middle || s->again;
	if (s->again) {
		kprintf("back: the round is cut and run again, %u steps\n",
			s->n - 1);
		mute(s, true);
	} else if (in_the_middle) {
		kprintf("the threads are let go\n");
	}
	/* Asked for in the middle, it is not the schedule's own end. */
	s->leaves = in_the_middle;
}

/* ---- the command ------------------------------------------------------------------------ */

/* The rounds, until one is not asked for again. The status. */
static int play(struct stepper *s)
{
	struct played p = { .out = OUT_COMPLETES };
	int err = stage_open(s->demo, s->sc);

	lockdep_brief(true);
	do {
		s->keep = s->again ? s->n - 1 : 0;
		s->n = s->more = 0;
		s->again = s->leaves = s->to_end = false;
		s->director = (struct director){ .choose = choose,
						 .over = over,
						 .quiet = s->keep };
		if (!err)
			err = play_directed(&the_stage, &s->director, s->form,
					    true, &p);
	} while (!err && s->again && p.clean);
	lockdep_quiet(false);
	lockdep_brief(false);
	stage_close(&the_stage);
	lockdep_mark();
	if (err) {
		kprintf("step: cannot go on, error %d\n", -err);
		return 1;
	}
	kprintf("step: ");
	print_schedule(s);
	kprintf("%s outcome=%s %s\n", s->leaves ? " let go" : "",
		outcome_name(p.out), p.clean ? "ok" : "FAIL");
	if (s->interrupted)
		return interrupted();
	return p.clean && !s->bad ? 0 : 1;
}

/* "up" or "down", if a core is toggled; else the first one. */
static bool parse_form(struct stepper *s, int *argc, char ***argv)
{
	struct form form[FORMS_MAX];
	unsigned int forms = forms_of(s->sc, form);
	const char *word = *argc ? **argv : "";

	s->form = form[0];
	if (!same_word(word, "up") && !same_word(word, "down"))
		return true;
	for (unsigned int f = 0; f < forms; f++)
		if (same_word(word, form[f].name)) {
			s->form = form[f];
			(*argv)++;
			(*argc)--;
			return true;
		}
	kprintf("step: %s\n", *form[0].name ?
				      "here U only takes a core down" :
				      "no core is toggled here: neither up nor "
				      "down");
	return false;
}

static int step_cmd(int argc, char **argv)
{
	struct stepper *s = &the_stepper;
	const struct demo *d;
	const struct scenario *sc;
	int status = 1;

	sc = find_searched("step", argc > 1 ? argv[1] : NULL, &d);
	if (!sc || !stage_claim("step"))
		return 1;
	memset(s, 0, sizeof(*s));
	s->demo = d;
	s->sc = sc;
	argc -= 2;
	argv += 2;
	if (parse_form(s, &argc, &argv)) {
		s->word = argv;
		s->words = argc;
		if (s->words || !READ_ONCE(console_taken))
			status = play(s);
		else
			kprintf("step: needs a person at the console, or steps "
				"on the line (%s:5 why auto)\n",
				sc->actors[0].name);
	}
	stage_yield();
	return status;
}
#else
static int step_cmd(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kprintf("step: needs the debug profile\n");
	return 1;
}
#endif

static const char *step_complete(int arg, unsigned int i)
{
	static const char *const forms[] = { "up", "down" };

	if (arg == 1)
		return demos_start + i < demos_end ? demos_start[i].slug : NULL;
	return arg == 2 && i < ARRAY_SIZE(forms) ? forms[i] : NULL;
}

SHELL_COMMAND(step, .name = "step",
	      .usage = "step ID|ID/PART [up|down] [ACTOR:STEPS|COMMAND...]",
	      .help = "play the scheduler: who goes on, and why not",
	      .fn = step_cmd, .complete = step_complete);
