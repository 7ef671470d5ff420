/*
 * Small programs for tests of the search: their text form, and random ones.
 * See program.h.
 */
#include "tests/host/program.h"

#include <stdio.h>
#include <string.h>

enum index {
	NO_INDEX,
	MUTEX_NAME,  /* a to f */
	SPIN_NAME,   /* A to F */
	THREAD_NAME, /* A to E */
	VAR_NUMBER,  /* 0 to 3 */
	MAYBE_VAR,   /* 0 to 3, or nothing: 0 */
};

enum { NO_VERB = NR_PROGRAM_VERBS, SKIP_DEFAULT = 0xff };

/* The row of a verb, in the order of enum program_verb. */
static const struct row {
	const char *word;
	enum index index;
	uint8_t give;  /* the verb that gives back what this one takes */
	bool may_fail; /* :N may follow */
	bool is_give;
} rows[NR_PROGRAM_VERBS] = {
	[DO_LOCK] = { "", MUTEX_NAME, DO_UNLOCK, false, false },
	[DO_UNLOCK] = { "-", MUTEX_NAME, NO_VERB, false, true },
	[DO_TRY] = { "t", MUTEX_NAME, DO_UNLOCK, true, false },
	[DO_LOCK_INTR] = { "i", MUTEX_NAME, DO_UNLOCK, true, false },
	[DO_INTERRUPT] = { "^", THREAD_NAME, NO_VERB, false, false },
	[DO_SPIN] = { "", SPIN_NAME, DO_SPIN_UNLOCK, false, false },
	[DO_SPIN_UNLOCK] = { "-", SPIN_NAME, NO_VERB, false, true },
	[DO_READ_LOCK] = { "r", NO_INDEX, DO_READ_UNLOCK, false, false },
	[DO_READ_UNLOCK] = { "-r", NO_INDEX, NO_VERB, false, true },
	[DO_READ_TRY] = { "tr", NO_INDEX, DO_READ_UNLOCK, true, false },
	[DO_WRITE_LOCK] = { "w", NO_INDEX, DO_WRITE_UNLOCK, false, false },
	[DO_WRITE_UNLOCK] = { "-w", NO_INDEX, NO_VERB, false, true },
	[DO_PERCPU_READ] = { "pr", NO_INDEX, DO_PERCPU_READ_UNLOCK, false,
			     false },
	[DO_PERCPU_READ_UNLOCK] = { "-pr", NO_INDEX, NO_VERB, false, true },
	[DO_PERCPU_WRITE] = { "pw", NO_INDEX, DO_PERCPU_WRITE_UNLOCK, false,
			      false },
	[DO_PERCPU_WRITE_UNLOCK] = { "-pw", NO_INDEX, NO_VERB, false, true },
	[DO_GET] = { "g", NO_INDEX, DO_PUT, false, false },
	[DO_PUT] = { "-g", NO_INDEX, NO_VERB, false, true },
	[DO_BEGIN] = { "h", NO_INDEX, DO_DONE, false, false },
	[DO_DONE] = { "-h", NO_INDEX, NO_VERB, false, true },
	[DO_WAIT] = { "P", NO_INDEX, NO_VERB, false, false },
	[DO_WAIT_TIMEOUT] = { "P~", NO_INDEX, NO_VERB, true, false },
	[DO_COMPLETE] = { "V", NO_INDEX, NO_VERB, false, false },
	[DO_LOOK] = { "?", NO_INDEX, NO_VERB, false, false },
	[DO_SET] = { "!", NO_INDEX, NO_VERB, false, false },
	[DO_READ] = { "v", VAR_NUMBER, NO_VERB, true, false },
	[DO_WRITE] = { "s", VAR_NUMBER, NO_VERB, false, false },
	[DO_ADD] = { "x", MAYBE_VAR, NO_VERB, false, false },
};

/* ---- the text ------------------------------------------------------------ */

static bool read_index(enum index kind, const char **p, uint8_t *which)
{
	static const char first[] = { 0, 'a', 'A', 'A', '0', '0' };
	static const int number[] = {
		0,
		PROGRAM_LOCKS,
		PROGRAM_LOCKS,
		PROGRAM_THREADS,
		PROGRAM_VARS,
		PROGRAM_VARS,
	};
	int i = **p - first[kind];

	*which = 0;
	if (kind == NO_INDEX)
		return true;
	if (i < 0 || i >= number[kind])
		return kind == MAYBE_VAR;
	*which = (uint8_t)i;
	++*p;
	return true;
}

/* Read the number behind a `:` or a `=`. */
static bool read_number(const char **p, unsigned int max, uint8_t *n)
{
	unsigned int value = 0, digits = 0;

	for (++*p; **p >= '0' && **p <= '9' && digits < 2; ++*p, digits++)
		value = value * 10 + (unsigned int)(**p - '0');
	*n = (uint8_t)value;
	return digits && value <= max;
}

static bool read_as(unsigned int verb, const char *p, const char *end,
		    struct program_op *op)
{
	const struct row *r = &rows[verb];
	size_t n = strlen(r->word);

	*op = (struct program_op){ .verb = (uint8_t)verb,
				   .value = verb == DO_WRITE };
	if ((size_t)(end - p) < n || memcmp(p, r->word, n) != 0)
		return false;
	p += n;
	if (!read_index(r->index, &p, &op->which))
		return false;
	if (r->give != NO_VERB && r->may_fail)
		op->skip = SKIP_DEFAULT;
	if (*p == ':' && r->may_fail &&
	    !read_number(&p, PROGRAM_OPS, &op->skip))
		return false;
	if (*p == '=' && verb == DO_WRITE && !read_number(&p, 9, &op->value))
		return false;
	return p == end;
}

static bool gives(const struct program_op *give, const struct program_op *take)
{
	return rows[take->verb].give == give->verb &&
	       take->which == give->which;
}

/* The last operation of the thread that takes something which the thread still
 * holds at its end, or NULL. (The loop goes backward, and skips what was given
 * back later.) */
static const struct program_op *latest_held(const struct program *p,
					    unsigned int t)
{
	unsigned int given[NR_PROGRAM_VERBS][PROGRAM_LOCKS] = { 0 };

	for (unsigned int i = p->thread[t].n; i-- > 0;) {
		const struct program_op *o = &p->thread[t].op[i];
		const struct row *r = &rows[o->verb];

		if (r->is_give)
			given[o->verb][o->which]++;
		else if (r->give == NO_VERB)
			continue;
		else if (given[r->give][o->which])
			given[r->give][o->which]--;
		else
			return o;
	}
	return NULL;
}

static bool add(struct program *p, unsigned int t, struct program_op op)
{
	if (p->thread[t].n == PROGRAM_OPS)
		return false;
	p->thread[t].op[p->thread[t].n++] = op;
	return true;
}

static bool give_back_rest(struct program *p, unsigned int t)
{
	const struct program_op *o;

	while ((o = latest_held(p, t)))
		if (!add(p, t,
			 (struct program_op){ .verb = rows[o->verb].give,
					      .which = o->which }))
			return false;
	return true;
}

/* The number of operations from behind `at` to the release that belongs to it. */
static unsigned int to_release(const struct program *p, unsigned int t,
			       unsigned int at)
{
	const struct program_op *take = &p->thread[t].op[at];
	unsigned int depth = 1;

	for (unsigned int i = at + 1; i < p->thread[t].n; i++) {
		const struct program_op *o = &p->thread[t].op[i];

		if (rows[o->verb].give == rows[take->verb].give &&
		    o->which == take->which)
			depth++;
		else if (gives(o, take) && !--depth)
			return i - at;
	}
	return 0;
}

static const char *end_thread(struct program *p, unsigned int t, bool keeps)
{
	if (!p->thread[t].n && !keeps)
		return "a thread without operations: write `.`";
	if (!keeps && !give_back_rest(p, t))
		return "too many operations in a thread";
	for (unsigned int i = 0; i < p->thread[t].n; i++)
		if (p->thread[t].op[i].skip == SKIP_DEFAULT)
			p->thread[t].op[i].skip = (uint8_t)to_release(p, t, i);
	return NULL;
}

const char *program_parse_text(struct program *p, const char *text)
{
	bool keeps = false;
	const char *why;

	memset(p, 0, sizeof(*p));
	p->nr_threads = 1;
	for (;;) {
		unsigned int t = p->nr_threads - 1, verb;
		size_t n = strcspn(text, " ,|");
		struct program_op op;

		if (!n && (*text == ' ' || *text == ',')) {
			text++;
		} else if (!n) {
			why = end_thread(p, t, keeps);
			if (why || !*text++)
				break;
			if (p->nr_threads++ == PROGRAM_THREADS)
				return "too many threads";
			keeps = false;
		} else if (keeps) {
			return "an operation behind `.`";
		} else if (n == 1 && *text == '.') {
			keeps = true;
			text++;
		} else {
			for (verb = 0; verb < NR_PROGRAM_VERBS; verb++)
				if (read_as(verb, text, text + n, &op))
					break;
			if (verb == NR_PROGRAM_VERBS)
				return "an unknown word";
			if (!add(p, t, op))
				return "too many operations in a thread";
			text += n;
		}
	}
	for (unsigned int t = 0; !why && t < p->nr_threads; t++)
		for (unsigned int i = 0; i < p->thread[t].n; i++)
			if (p->thread[t].op[i].verb == DO_INTERRUPT &&
			    p->thread[t].op[i].which >= p->nr_threads)
				return "^ of a thread that does not exist";
	return why;
}

struct writer {
	char *p, *end;
};

static void put(struct writer *w, const char *format, unsigned int n)
{
	int len = snprintf(w->p, (size_t)(w->end - w->p), format, n);

	w->p += len < w->end - w->p ? len : w->end - w->p - 1;
}

static void put_op(struct writer *w, const struct program_op *o)
{
	static const char first[] = { 0, 'a', 'A', 'A', '0', '0' };
	const struct row *r = &rows[o->verb];

	put(w, r->word, 0);
	if (r->index && !(r->index == MAYBE_VAR && !o->which))
		put(w, "%c", (unsigned int)first[r->index] + o->which);
	if (r->may_fail && (o->skip || r->give != NO_VERB))
		put(w, ":%u", o->skip);
	if (o->verb == DO_WRITE && o->value != 1)
		put(w, "=%u", o->value);
}

char *program_print(const struct program *p, char *buf)
{
	struct writer w = { buf, buf + PROGRAM_TEXT };

	*buf = 0;
	for (unsigned int t = 0; t < p->nr_threads; t++) {
		if (t)
			put(&w, " | ", 0);
		for (unsigned int i = 0; i < p->thread[t].n; i++) {
			if (i)
				put(&w, " ", 0);
			put_op(&w, &p->thread[t].op[i]);
		}
		if (!p->thread[t].n || latest_held(p, t))
			put(&w, p->thread[t].n ? " ." : ".", 0);
	}
	return buf;
}

char *program_print_end(const struct program *p, const struct program_end *e,
			char *buf)
{
	struct writer w = { buf, buf + PROGRAM_TEXT };

	*buf = 0;
	for (unsigned int t = 0; t < p->nr_threads; t++) {
		put(&w, t ? " %c" : "%c", 'A' + t);
		put(&w, e->pc[t] < p->thread[t].n ? "%u" : "%u.", e->pc[t]);
	}
	for (unsigned int i = 0; i < PROGRAM_VARS; i++)
		if (e->var[i]) {
			put(&w, " v%u", i);
			put(&w, "=%u", e->var[i]);
		}
	for (unsigned int t = 0; t < p->nr_threads; t++)
		for (unsigned int i = 0; i < p->thread[t].n; i++) {
			uint8_t verb = p->thread[t].op[i].verb;

			if (!e->told[t][i])
				continue;
			put(&w, " %c", 'A' + t);
			put(&w, "%u:", i);
			if (verb == DO_READ || verb == DO_LOOK)
				put(&w, "%u", e->told[t][i] - TOLD_VALUE);
			else
				put(&w,
				    e->told[t][i] == TOLD_OK ? "ok" : "failed",
				    0);
		}
	return buf;
}

/* ---- changes and steps --------------------------------------------------- */

unsigned int program_next(const struct program *p, unsigned int t,
			  unsigned int pc, bool failed)
{
	unsigned int next = pc + 1;

	if (failed)
		next += p->thread[t].op[pc].skip;
	return next < p->thread[t].n ? next : p->thread[t].n;
}

void program_drop(struct program *p, unsigned int t, unsigned int i)
{
	struct program_op *op = p->thread[t].op;

	for (unsigned int k = 0; k < i; k++)
		if (k + op[k].skip >= i)
			op[k].skip--;
	memmove(op + i, op + i + 1, (--p->thread[t].n - i) * sizeof(*op));
	memset(op + p->thread[t].n, 0, sizeof(*op));
}

/* ---- random programs ----------------------------------------------------- */

static uint32_t *chance;

/* A number below n (xorshift32). Not that of host.h: the caller's numbers are
 * its own, so that a program can be made again from its seed alone. */
static uint32_t pick(uint32_t n)
{
	uint32_t x = *chance;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*chance = x;
	return (x >> 8) % n;
}

enum facility {
	MUTEXES,
	TRIES,
	INTERRUPTS,
	SPINLOCKS,
	RWSEM,
	PERCPU,
	HOTPLUG,
	COMPLETION,
	FLAG,
	VARIABLES,
	NR_FACILITIES,
};

/* What one random program is made of. Few things in each program: its threads
 * meet then. */
struct recipe {
	enum facility uses[3];
	unsigned int nr_uses;
	unsigned int locks; /* mutexes and spinlocks, each */
	bool sleeps_in_spin;
	bool again; /* threads take what they hold: a deadlock of one thread */
	bool held[NR_PROGRAM_VERBS][PROGRAM_LOCKS]; /* by the give's verb */
};

static struct program_op one(unsigned int verb, unsigned int which)
{
	return (struct program_op){ .verb = (uint8_t)verb,
				    .which = (uint8_t)which,
				    .value = verb == DO_WRITE };
}

static struct program_op sometimes_skips(unsigned int verb, unsigned int which)
{
	struct program_op op = one(verb, which);

	op.skip = (uint8_t)(pick(2) ? pick(3) : 0);
	return op;
}

static struct program_op take_of(const struct recipe *r, enum facility f,
				 unsigned int nr_threads)
{
	unsigned int lock = pick(r->locks);

	switch (f) {
	case TRIES:
		return one(pick(2) ? DO_TRY : DO_LOCK, lock);
	case INTERRUPTS:
		if (pick(3) == 0)
			return one(DO_INTERRUPT, pick(nr_threads));
		return one(pick(3) ? DO_LOCK_INTR : DO_LOCK, lock);
	case SPINLOCKS:
		return one(DO_SPIN, lock);
	case RWSEM:
		return one(pick(5) == 0 ? DO_READ_TRY :
			   pick(2)	? DO_READ_LOCK :
					  DO_WRITE_LOCK,
			   0);
	case PERCPU:
		return one(pick(3) ? DO_PERCPU_READ : DO_PERCPU_WRITE, 0);
	case HOTPLUG:
		return one(pick(3) ? DO_GET : DO_BEGIN, 0);
	case COMPLETION:
		if (pick(2))
			return one(DO_COMPLETE, 0);
		return pick(2) ? one(DO_WAIT, 0) :
				 sometimes_skips(DO_WAIT_TIMEOUT, 0);
	case FLAG:
		return one(pick(2) ? DO_LOOK : DO_SET, 0);
	case VARIABLES:
		if (pick(3) == 0)
			return sometimes_skips(DO_READ, pick(2));
		return pick(2) ? one(DO_ADD, 0) : one(DO_WRITE, pick(2));
	default:
		return one(DO_LOCK, lock);
	}
}

static bool may_sleep(unsigned int verb)
{
	return verb != DO_SPIN && verb != DO_TRY && verb != DO_READ_TRY &&
	       (rows[verb].give != NO_VERB || verb == DO_WAIT ||
		verb == DO_WAIT_TIMEOUT || verb == DO_LOOK);
}

/* Would the thread wait for itself? (A reader waits for itself only if a writer
 * has come in between.) */
static bool is_held(const struct recipe *r, const struct program_op *op)
{
	static const bool often[NR_PROGRAM_VERBS] = {
		[DO_READ_LOCK] = true,	 [DO_READ_TRY] = true, [DO_TRY] = true,
		[DO_PERCPU_READ] = true, [DO_GET] = true,
	};
	uint8_t give = rows[op->verb].give;

	return give != NO_VERB && !r->again && !often[op->verb] &&
	       r->held[give][op->which];
}

/* Add up to `room` operations to thread t: single ones, and sections with a
 * take, operations in between, and the give. Returns how many it added. */
static unsigned int fill(struct program *p, unsigned int t, struct recipe *r,
			 unsigned int room, bool spins)
{
	unsigned int added = 0;

	while (added < room) {
		enum facility f = r->uses[pick(r->nr_uses)];
		struct program_op op = take_of(r, f, p->nr_threads);
		const struct row *row;
		unsigned int at = p->thread[t].n, inside;
		bool *held, again;

		if (is_held(r, &op) ||
		    (spins && !r->sleeps_in_spin && may_sleep(op.verb)))
			op = one(DO_ADD, pick(2));
		row = &rows[op.verb];
		if (row->give == NO_VERB) {
			add(p, t, op);
			added++;
			continue;
		}
		if (room - added < 2)
			break;
		inside = room - added - 2;
		if (inside)
			inside = pick(inside + 1);
		add(p, t, op);
		held = &r->held[row->give][op.which];
		again = *held;
		*held = true;
		inside = fill(p, t, r, inside, spins || op.verb == DO_SPIN);
		*held = again;
		add(p, t, one(row->give, op.which));
		if (row->may_fail)
			p->thread[t].op[at].skip =
				(uint8_t)(pick(8) ? inside + 1 : pick(3));
		added += inside + 2;
		/* Sometimes the rest comes later. */
		if (pick(4) == 0)
			break;
	}
	return added;
}

/* Out of balance: an operation is missing, or two have changed places. */
static void unbalance(struct program *p)
{
	unsigned int t = pick(p->nr_threads), n = p->thread[t].n, i;
	struct program_op *op = p->thread[t].op, first;

	if (n < 2)
		return;
	i = pick(n - 1);
	if (pick(2)) {
		program_drop(p, t, i);
		return;
	}
	first = op[i];
	op[i] = op[i + 1];
	op[i + 1] = first;
}

void program_random(struct program *p, const struct program_shape *shape,
		    uint32_t *seed)
{
	struct recipe r = { .nr_uses = 1 };
	unsigned int total = 0;

	chance = seed;
	memset(p, 0, sizeof(*p));
	p->nr_threads = 2;
	while (p->nr_threads < shape->max_threads && pick(2))
		p->nr_threads++;
	r.nr_uses += pick(3);
	r.locks = 1 + pick(3);
	r.sleeps_in_spin = pick(8) == 0;
	r.again = pick(12) == 0;
	for (unsigned int i = 0; i < r.nr_uses; i++)
		r.uses[i] = (enum facility)pick(NR_FACILITIES);
	for (unsigned int t = 0; t < p->nr_threads; t++) {
		/* One operation at least for each thread that follows. */
		unsigned int room =
			shape->max_total - total - (p->nr_threads - 1 - t);

		if (room > shape->max_ops)
			room = shape->max_ops;
		if (room > 2)
			room = 2 + pick(room - 1);
		total += fill(p, t, &r, room, false);
		if (!p->thread[t].n) {
			add(p, t, one(DO_ADD, 0));
			total++;
		}
	}
	if (pick(6) == 0)
		unbalance(p);
}
