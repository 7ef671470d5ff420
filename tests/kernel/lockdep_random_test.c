/*
 * Suite lockdep: random rows. Lockdep must find in each what the oracle finds
 * (tests/kernel/lockdep_oracle.h), in the same step.
 *
 * A row is drawn step by step, or as short phrases ("x La Lb Ub Ua o") with
 * steps in between; what could not run is drawn again. Some rows have steps that are wrong: a lock is released that is not held, a handler
 * leaves a lock behind, ... If lockdep and the oracle differ, the row is made as
 * short as possible and printed, with the seed of the run.
 *
 * Debug profile only. One case at a time uses this state: no lock guards it.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include <string.h>

#include "kernel/lib/printf.h"
#include "tests/kernel/lockdep_oracle.h"

#define MAX_STEPS   64
#define DIFFERENCES 5 /* that are printed */

struct step {
	char op, lock; /* lock: ' ' if the step has none */
};

struct program {
	unsigned int n;
	struct step step[MAX_STEPS];
};

static uint32_t seed;

static unsigned int below(unsigned int n)
{
	return ktest_random(&seed) % n;
}

static bool chance(unsigned int percent)
{
	return below(100) < percent;
}

/* ---- drawing a row ------------------------------------------------------------------ */

/* What the steps of a row are drawn from. */
struct flavour {
	unsigned int classes;
	bool twins; /* both locks of each class */
	bool irqs;  /* handlers, interrupts off and on */
	bool calls, readers, wrong;
	unsigned int phrases; /* percent */
	bool sides;	      /* handlers take the classes of `safe` only; with
			       * interrupts on, the thread takes the others */
	unsigned int safe;
	unsigned int avoids; /* kinds that no step of the row may lead to */
	bool ends;	     /* the thread ends with what it holds */
};

/* Kinds that a wrong step leads to, not an order of locks. */
#define WRONG (UNBALANCED | AT_END | LEFT | NOT_HELD | SLEEP | RCU)

/* One mistake hides others. So most rows avoid the mistakes that are easily made. */
static void draw_flavour(struct flavour *f)
{
	static const unsigned int often[] = { RECURSIVE, NEST, INCONSISTENT,
					      CIRCULAR };

	f->classes = 1 + below(chance(70) ? 3 : CLASSES);
	f->twins = chance(40);
	f->irqs = chance(70);
	f->calls = chance(25);
	f->readers = chance(25);
	f->wrong = chance(20);
	f->phrases = chance(70) ? 60 : 0;
	f->sides = f->irqs && chance(70);
	f->safe = below(1u << CLASSES);
	f->ends = chance(f->wrong ? 50 : 5);
	f->avoids = f->wrong ? 0 : WRONG;
	for (unsigned int i = 0; i < ARRAY_SIZE(often); i++)
		f->avoids |= chance(70) ? often[i] : 0;
}

static char draw_lock(const struct flavour *f)
{
	return (char)((f->twins && chance(40) ? 'A' : 'a') +
		      (char)below(f->classes));
}

static struct step release_of(unsigned int lock)
{
	char name = (char)((lock % INSTANCES ? 'A' : 'a') + lock / INSTANCES);

	if (lock == CLASSES * INSTANCES)
		return (struct step){ 'u', ' ' };
	return (struct step){ 'U', name };
}

/* The step that releases one of the locks that are held. */
static struct step draw_release(const struct oracle *o)
{
	unsigned int i = chance(60) ? o->depth - 1 : below(o->depth);

	return release_of(o->held[i].lock);
}

static struct step draw_take(const struct flavour *f)
{
	static const char *const ops[] = {
		[MUTEX] = "LLLLLLTNO",	[SPIN] = "LLLLLLTN",
		[RWSEM] = "LLLLQQQTN",	[PERCPU] = "LLLQQ",
		[MAP] = "LLLLQQRRRTNO",
	};
	const char *mine = ops[row_type];
	char op = mine[below((unsigned int)strlen(mine))];

	return (struct step){ op, draw_lock(f) };
}

static struct step draw_other(const struct flavour *f, const struct oracle *o)
{
	unsigned int r = below(100);

	if (f->irqs && r < 60)
		return (struct step){ o->in_irq ? "x}}}"[below(4)] :
						  "xxoo{{{{"[below(8)],
				      ' ' };
	if (f->readers && r < 75)
		return (struct step){ "[]d"[below(3)], ' ' };
	if (f->calls && r < 88)
		return (struct step){ 'C', ' ' };
	if (r < 92)
		return (struct step){ 'h', draw_lock(f) };
	return (struct step){ "suz"[below(3)], ' ' };
}

static struct step draw_step(const struct flavour *f, const struct oracle *o)
{
	unsigned int r = below(100);

	if (f->wrong && r < 6)
		return (struct step){ 'U', draw_lock(f) };
	if (o->depth && r < 20 + 10 * o->depth)
		return draw_release(o);
	return chance(60) ? draw_take(f) : draw_other(f, o);
}

static bool keeps_sides(const struct flavour *f, const struct oracle *o,
			struct step s)
{
	bool safe;

	if (!f->sides || !strchr("LTQRNO", s.op))
		return true;
	safe = f->safe & (1u << (((unsigned int)s.lock - 'A') % ('a' - 'A')));
	return safe ? o->in_irq || !o->irqs_on : !o->in_irq;
}

/* Append the step if it can run and does not lead to what the row avoids. */
static bool append(struct program *p, struct oracle *o, struct step s,
		   unsigned int avoids)
{
	static struct oracle next;

	next = *o;
	if (p->n == MAX_STEPS || !oracle_step(&next, s.op, s.lock) ||
	    (next.kinds & avoids))
		return false;
	oracle_found(&next);
	*o = next;
	p->step[p->n++] = s;
	return true;
}

/* A phrase takes (1, 2, 3) and releases (-, =, #) up to three locks. */
static void append_phrase(struct program *p, struct oracle *o,
			  const struct flavour *f)
{
	static const char *const phrases[] = {
		"1-",	  "12=-",   "12-=",   "123#=-", "{1-}",
		"{1-}",	  "{12=-}", "x1-o",   "x12=-o", "x123#=-o",
		"1{2=}-", "x1o-",   "x12o=-", "1C-",	"12C=-",
	};
	static const char release[] = "-=#";
	static struct oracle before;
	const char *c = phrases[below(ARRAY_SIZE(phrases))];
	unsigned int n = p->n;
	struct step takes[3];

	for (unsigned int i = 0; i < 3; i++)
		takes[i] = draw_take(f);
	before = *o;
	for (; *c; c++) {
		const char *r = strchr(release, *c);
		struct step s = { *c, ' ' };

		if (r)
			s = (struct step){ 'U', takes[r - release].lock };
		else if (*c >= '1' && *c <= '3')
			s = takes[*c - '1'];
		else if (*c == 'C' ? !f->calls : !f->irqs)
			continue;
		if (keeps_sides(f, o, s) && append(p, o, s, f->avoids))
			continue;
		*o = before;
		p->n = n;
		return;
	}
}

/* A step that gives something back that the thread, or its handler, has. Returns
 * false if there is nothing. */
static bool draw_rest(const struct oracle *o, struct step *s)
{
	if (o->depth && (!o->in_irq || o->held[o->depth - 1].in_irq))
		*s = draw_release(o);
	else if (o->in_irq ? o->irq_readers : o->readers)
		*s = (struct step){ ']', ' ' };
	else if (!o->in_irq && oracle_late(o) >= 0)
		*s = release_of((unsigned int)oracle_late(o));
	else
		return false;
	return true;
}

static void draw(struct program *p)
{
	static struct oracle o;
	struct flavour f;
	struct step s;
	unsigned int steps = 4 + below(40);

	draw_flavour(&f);
	oracle_begin(&o, row_type);
	p->n = 0;
	for (unsigned int tries = 0; p->n < steps && tries < 200; tries++)
		if (!o.in_irq && chance(f.phrases))
			append_phrase(p, &o, &f);
		else if (keeps_sides(&f, &o, s = draw_step(&f, &o)))
			append(p, &o, s, f.avoids);
	while (o.in_irq && !f.wrong && draw_rest(&o, &s))
		append(p, &o, s, WRONG);
	/* If the handler must not leave a lock behind, it releases it. */
	while (o.in_irq && !append(p, &o, (struct step){ '}', ' ' }, 0))
		append(p, &o, release_of(o.held[o.depth - 1].lock), 0);
	if (f.ends)
		return;
	while (draw_rest(&o, &s))
		append(p, &o, s, 0);
	if (!o.irqs_on)
		append(p, &o, (struct step){ 'o', ' ' }, 0);
}

/* ---- the oracle's word and lockdep's -------------------------------------------------- */

/* The kinds found by each step; a handler is one step, and so is the end of the
 * thread. */
struct word {
	unsigned int n;
	unsigned int kinds[MAX_STEPS + 1];
	unsigned int may[MAX_STEPS + 1]; /* the oracle's: these too */
	uint32_t rings[MAX_STEPS + 1];	 /* see oracle_ring() */
	/* How many findings of each kind, at least and at most. */
	unsigned int least[NR_LOCKDEP_KINDS], most[NR_LOCKDEP_KINDS];
	bool rests; /* nothing is left of the row when it has ended */
};

static void add_word(struct word *w, struct oracle_says s)
{
	w->kinds[w->n] = s.must;
	w->rings[w->n] = s.rings;
	w->may[w->n++] = s.may;
}

/* Returns false if the row cannot run. */
static bool ask_oracle(const struct program *p, struct word *w)
{
	static struct oracle o;

	oracle_begin(&o, row_type);
	w->n = 0;
	for (unsigned int i = 0; i < p->n; i++) {
		if (!oracle_step(&o, p->step[i].op, p->step[i].lock))
			return false;
		if (!o.in_irq)
			add_word(w, oracle_found(&o));
	}
	if (o.in_irq)
		return false;
	w->rests = oracle_at_rest(&o);
	oracle_end(&o);
	add_word(w, oracle_found(&o));
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++) {
		w->least[k] = oracle_least(&o, (enum lockdep_kind)k);
		w->most[k] = oracle_most(&o, (enum lockdep_kind)k);
	}
	return true;
}

static char *write_steps(char *to, const struct program *p, unsigned int from,
			 unsigned int end)
{
	for (unsigned int i = from; i < end; i++) {
		*to++ = p->step[i].op;
		if (p->step[i].lock != ' ')
			*to++ = p->step[i].lock;
		*to++ = ' ';
	}
	*to = '\0';
	return to;
}

/* How often each kind was found before. */
static unsigned int counts[NR_LOCKDEP_KINDS];

/* The kinds with more findings than in `counts`. */
static unsigned int new_kinds(void)
{
	unsigned int kinds = 0;

	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++) {
		unsigned int n = lockdep_count((enum lockdep_kind)k);

		if (n != counts[k])
			kinds |= LOCKDEP_BIT(k);
		counts[k] = n;
	}
	return kinds;
}

static unsigned int class_named(const char *name)
{
	return name[1] ? CLASSES : (unsigned int)(name[0] - 'A');
}

/* The locks that the last report is about, if it is a new one of a ring. */
static uint32_t last_ring(unsigned int kinds)
{
	const char *wanted, *held;

	if (!(kinds & CIRCULAR) || !lockdep_last_pair(&wanted, &held) ||
	    wanted == held) /* a recursion, or two levels of a class */
		return 0;
	return oracle_ring(class_named(wanted), class_named(held));
}

struct run {
	const struct program *p;
	struct word *w;
};

static void run_program(const struct program *p, struct word *w)
{
	char text[3 * MAX_STEPS + 1];

	for (unsigned int i = 0, next; i < p->n; i = next) {
		next = i + 1;
		if (p->step[i].op == '{')
			while (p->step[next++].op != '}')
				;
		run_steps(text, write_steps(text, p, i, next));
		w->kinds[w->n] = new_kinds();
		w->rings[w->n] = last_ring(w->kinds[w->n]);
		w->n++;
	}
}

static int run_in_thread(void *arg)
{
	struct run *r = arg;

	run_program(r->p, r->w);
	return 0;
}

/* Whatever lockdep has made of a row, the next one begins at rest. */
static bool come_to_rest(void)
{
	struct thread *t = current;
	bool rests = !t->lockdep.depth && !t->preempt_count &&
		     !t->lockdep.readers && !irqs_disabled();

	t->lockdep.depth = t->lockdep.readers = t->lockdep.chain = 0;
	t->preempt_count = 0;
	local_irq_enable();
	return rests;
}

/* rests: the row gives everything back; else a thread of its own runs it. */
static void ask_lockdep(const struct program *p, struct word *w, bool rests)
{
	struct run r = { p, w };

	row_begin();
	memset(counts, 0, sizeof(counts));
	w->n = 0;
	if (rests)
		run_program(p, w);
	else
		in_thread(run_in_thread, &r);
	w->rests = come_to_rest();
	lockdep_forget_stray();
	w->kinds[w->n++] = new_kinds();
	memcpy(w->least, counts, sizeof(counts));
	lockdep_reset();
}

/* ---- comparing ------------------------------------------------------------------------- */

struct difference {
	unsigned int missed, wrong; /* kinds */
	bool rests;
	struct word want, got;
};

/* The first step that has found that kind; -1: none. */
static int first(const struct word *w, unsigned int kind)
{
	for (unsigned int i = 0; i < w->n; i++)
		if (w->kinds[i] & kind)
			return (int)i;
	return -1;
}

/*
 * Missed: found by lockdep later than by the oracle, or not at all, or not often
 * enough. Wrong: found too often, or in a step in which nothing of that kind is wrong, or a ring is blamed on locks
 * that are not in it.
 */
static void compare(struct difference *d)
{
	d->missed = d->wrong = 0;
	for (unsigned int i = 0; i < d->got.n; i++) {
		d->wrong |= d->got.kinds[i] & ~d->want.may[i];
		if (d->got.rings[i] & ~d->want.rings[i])
			d->wrong |= CIRCULAR;
	}
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++) {
		int want = first(&d->want, LOCKDEP_BIT(k));
		int got = first(&d->got, LOCKDEP_BIT(k));

		if (want >= 0 && (got < 0 || got > want))
			d->missed |= LOCKDEP_BIT(k);
		if (d->got.least[k] < d->want.least[k])
			d->missed |= LOCKDEP_BIT(k);
		if (d->got.least[k] > d->want.most[k])
			d->wrong |= LOCKDEP_BIT(k);
	}
	d->rests = d->got.rests || !d->want.rests;
}

/* Returns whether there is a difference; d->want is known. */
static bool differs(const struct program *p, struct difference *d)
{
	memset(&d->got, 0, sizeof(d->got));
	ask_lockdep(p, &d->got, d->want.rests);
	compare(d);
	return d->missed || d->wrong || !d->rests;
}

static unsigned int all_kinds(const struct word *w)
{
	unsigned int kinds = 0;

	for (unsigned int i = 0; i < w->n; i++)
		kinds |= w->kinds[i];
	return kinds;
}

/* ---- the shortest row ------------------------------------------------------------------ */

/* Without steps i to i + n and j. */
static struct program without(const struct program *p, unsigned int i,
			      unsigned int n, unsigned int j)
{
	struct program q = { 0 };

	for (unsigned int k = 0; k < p->n; k++)
		if ((k < i || k >= i + n) && k != j)
			q.step[q.n++] = p->step[k];
	return q;
}

/* Replace *p by q if q shows the same difference and makes no other mistake. */
static bool try_instead(struct program *p, struct difference *d,
			const struct program *q)
{
	static struct difference e;

	if (!ask_oracle(q, &e.want) || (d->want.rests && !e.want.rests) ||
	    (all_kinds(&e.want) & ~all_kinds(&d->want)))
		return false;
	if (!differs(q, &e) || e.missed != d->missed || e.wrong != d->wrong ||
	    e.rests != d->rests)
		return false;
	*p = *q;
	*d = e;
	return true;
}

static bool shorten_once(struct program *p, struct difference *d)
{
	struct program q;

	for (unsigned int n = p->n / 2; n; n /= 2)
		for (unsigned int i = 0; i + n <= p->n; i++) {
			q = without(p, i, n, MAX_STEPS);
			if (try_instead(p, d, &q))
				return true;
		}
	for (unsigned int i = 0; i < p->n; i++)
		for (unsigned int j = i + 1; j < p->n; j++) {
			q = without(p, i, 1, j);
			if (try_instead(p, d, &q))
				return true;
		}
	return false;
}

static void print_word(const char *who, const struct word *w)
{
	kprintf("    #   %s:", who);
	for (unsigned int i = 0; i < w->n; i++) {
		if (!w->kinds[i])
			continue;
		kprintf(" step %u:", i + 1);
		row_print_kinds("", w->kinds[i]);
	}
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (w->least[k] > 1)
			kprintf(", %u %s", w->least[k],
				lockdep_kind_name((enum lockdep_kind)k));
	kprintf(all_kinds(w) ? "\n" : " nothing\n");
}

static void print_difference(const struct program *p,
			     const struct difference *d)
{
	char text[3 * MAX_STEPS + 1];

	write_steps(text, p, 0, p->n);
	kprintf("    # %s \"%s\":", row_type_name[row_type], text);
	if (d->missed)
		row_print_kinds(" missed", d->missed);
	if (d->wrong)
		row_print_kinds(" wrong", d->wrong);
	kprintf(d->rests ? "\n" : " leaves the thread in another state\n");
	print_word("the oracle", &d->want);
	print_word("lockdep", &d->got);
}

/* ---- cases ----------------------------------------------------------------------------- */

static void random_rows(unsigned int n)
{
	static struct program p;
	static struct difference d;
	uint32_t began = seed;
	unsigned int differences = 0, found = 0;

	lockdep_quiet(true);
	for (unsigned int i = 0; i < n; i++) {
		draw(&p);
		if (!ask_oracle(&p, &d.want)) {
			FAIL("the row cannot run");
			continue;
		}
		found += all_kinds(&d.want) != 0;
		if (!differs(&p, &d))
			continue;
		if (differences++ >= DIFFERENCES)
			continue;
		while (shorten_once(&p, &d))
			;
		print_difference(&p, &d);
	}
	lockdep_quiet(false);
	kprintf("    # %s: seed %u, %u rows, %u with findings, "
		"%u differences\n",
		row_type_name[row_type], began, n, found, differences);
	EXPECT_EQ(differences, 0);
}

static void random_rows_of(enum lock_type type, unsigned int n)
{
	row_type = type;
	seed = ktest_seed();
	random_rows(n);
}

#define RANDOM(name, type)                                                     \
	KTEST(lockdep, random_##name)                                          \
	{                                                                      \
		random_rows_of(type, 300);                                     \
	}
RANDOM(mutex, MUTEX)
RANDOM(spin, SPIN)
RANDOM(rwsem, RWSEM)
RANDOM(percpu, PERCPU)
RANDOM(map, MAP)

/* `test lockdep.random_long SEED`: 10 000 rows. `make soak` runs it. */
KTEST_MANUAL(lockdep, random_long)
{
	random_rows_of(MUTEX, 1500);
	random_rows_of(SPIN, 3000);
	random_rows_of(RWSEM, 1500);
	random_rows_of(PERCPU, 1000);
	random_rows_of(MAP, 3000);
}
#endif
