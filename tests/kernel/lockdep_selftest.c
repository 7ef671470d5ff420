/*
 * Suite lockdep: the families of Linux's lib/locking-selftest.c, for what exists here.
 * Each family is a few pieces of code, which are run in every order, for several ways
 * to lock. Lockdep must complain in each order, or stay silent in each. The case prints
 * a score. docs/lockdep.md has the list of the families that do not apply.
 *
 * The programs are rows (lockdep_rows.h); * stands for the way to lock. Linux's
 * rwlock_t does not exist here: a map stands for it, whose readers are recursive.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include <string.h>

#include "kernel/lib/printf.h"

/* The columns of Linux's table. */
static const struct way {
	const char *name;
	enum lock_type type;
	char op;
} ways[] = {
	{ "spin", SPIN, 'L' },	 { "wlock", MAP, 'L' },	 { "rlock", MAP, 'R' },
	{ "mutex", MUTEX, 'L' }, { "wsem", RWSEM, 'L' }, { "rsem", RWSEM, 'Q' },
};
enum { SPINS = 1, WLOCK = 2, RLOCK = 4, MUTEXES = 8, WSEM = 16, RSEM = 32 };
#define ALL_WAYS  63
#define NOT_RLOCK (ALL_WAYS & ~RLOCK)
#define IRQ_WAYS  (SPINS | WLOCK | RLOCK)
#define SLEEPERS  (MUTEXES | WSEM | RSEM)

/* For which ways the family is run, and for which of them lockdep must complain. */
static const struct family {
	const char *name;
	unsigned int run, complain;
	const char *piece[4]; /* NULL ends them */
} families[] = {
	{ "A-A deadlock", ALL_WAYS, NOT_RLOCK, { "*a *A UA Ua" } },
	{ "A-B-B-A deadlock",
	  ALL_WAYS,
	  NOT_RLOCK,
	  { "*a *b Ub Ua  *b *a Ua Ub" } },
	{ "A-B-B-C-C-A deadlock",
	  ALL_WAYS,
	  NOT_RLOCK,
	  { "*a *b Ub Ua  *b *c Uc Ub  *c *a Ua Uc" } },
	{ "A-B-C-A-B-C deadlock",
	  ALL_WAYS,
	  NOT_RLOCK,
	  { "*a *b Ub Ua  *c *a Ua Uc  *b *c Uc Ub" } },
	{ "A-B-B-C-C-D-D-A deadlock",
	  ALL_WAYS,
	  NOT_RLOCK,
	  { "*a *b Ub Ua  *b *c Uc Ub  *c *d Ud Uc  *d *a Ua Ud" } },
	{ "A-B-C-D-B-D-D-A deadlock",
	  ALL_WAYS,
	  NOT_RLOCK,
	  { "*a *b Ub Ua  *c *d Ud Uc  *b *d Ud Ub  *d *a Ua Ud" } },
	{ "A-B-C-D-B-C-D-A deadlock",
	  ALL_WAYS,
	  NOT_RLOCK,
	  { "*a *b Ub Ua  *c *d Ud Uc  *b *c Uc Ub  *d *a Ua Ud" } },
	{ "the right order",
	  ALL_WAYS,
	  0,
	  { "*a *b Ub Ua", "*b *c Uc Ub", "*a *c Uc Ua" } },
	{ "double unlock", ALL_WAYS, ALL_WAYS, { "*a Ua Ua" } },
	{ "initialize held",
	  SPINS | SLEEPERS,
	  SPINS | SLEEPERS,
	  { "*a ia Ua" } },
	{ "recursive read-lock", RLOCK | RSEM, RSEM, { "*a *a Ua Ua" } },
	{ "recursive read-lock #2", RLOCK | RSEM, RSEM, { "*a *A UA Ua" } },
	{ "mixed read-write-lock",
	  RLOCK | RSEM,
	  RLOCK | RSEM,
	  { "*a LA UA Ua" } },
	{ "mixed write-read-lock",
	  RLOCK | RSEM,
	  RLOCK | RSEM,
	  { "La *A UA Ua" } },
	{ "mixed read-lock/lock-write ABBA",
	  RLOCK | RSEM,
	  RLOCK | RSEM,
	  { "*a Lb Ub Ua  Lb La Ua Ub" } },
	{ "mixed read-lock/lock-read ABBA",
	  RLOCK | RSEM,
	  RSEM,
	  { "*a Lb Ub Ua  Lb *a Ua Ub" } },
	{ "mixed write-lock/lock-write ABBA",
	  WLOCK | WSEM,
	  WLOCK | WSEM,
	  { "*a Lb Ub Ua  Lb *a Ua Ub" } },
	{ "chain cached mixed R-L/L-W ABBA",
	  RLOCK,
	  RLOCK,
	  { "*a Lb Ub Ua  Lb *a Ua Ub  Lb La Ua Ub" } },
	{ "rlock W1R2/W2R3/W3R1",
	  RLOCK,
	  RLOCK,
	  { "La *b Ub Ua", "Lb *c Uc Ub", "Lc *a Ua Uc" } },
	{ "rlock W1W2/R2R3/R3W1",
	  RLOCK,
	  0,
	  { "La Lb Ub Ua", "*b *c Uc Ub", "*c La Ua Uc" } },
	{ "rlock W1R2/R2R3/W3W1",
	  RLOCK,
	  0,
	  { "La *b Ub Ua", "*b *c Uc Ub", "Lc La Ua Uc" } },
	{ "irqs-on + irq-safe-A",
	  IRQ_WAYS,
	  SPINS | WLOCK,
	  { "{*a Ua}", "*a Ua" } },
	{ "safe-A + irqs-on",
	  IRQ_WAYS,
	  SPINS | WLOCK,
	  { "{*a Ua}", "x *a o Ua" } },
	{ "safe-A + unsafe-B #1",
	  IRQ_WAYS,
	  SPINS | WLOCK,
	  { "*a *b Ub Ua", "*b Ub", "{*a Ua}" } },
	{ "safe-A + unsafe-B #2",
	  IRQ_WAYS,
	  SPINS | WLOCK,
	  { "x *a *b Ub Ua o", "*b Ub", "{*a Ua}" } },
	{ "safe-A + safe-B",
	  IRQ_WAYS,
	  0,
	  { "x *a *b Ub Ua o", "x *b Ub o", "{*a Ua}" } },
	{ "irq lock-inversion",
	  WLOCK | RLOCK,
	  WLOCK,
	  { "x La *b Ub Ua o", "*b Ub", "{Ra Ua}" } },
	{ "irq read-recursion",
	  RLOCK,
	  0,
	  { "x La Ua o", "*a Ua", "{*a Lb Ub Ua}" } },
	{ "irq read-recursion #2",
	  RLOCK,
	  RLOCK,
	  { "x Lb La Ua Ub o", "*a Ua", "{Lb Ub}" } },
	{ "hardirq lock-read/read-lock",
	  RLOCK,
	  RLOCK,
	  { "{*a Lb Ub Ua}", "x Lb Qa Ua Ub o" } },
	{ "hardirq read-lock/lock-read",
	  RLOCK,
	  0,
	  { "{Lb *a Ua Ub}", "x Qa Lb Ub Ua o" } },
	{ "hardirq inversion by a reader",
	  RLOCK,
	  RLOCK,
	  { "{Lb Ub}", "x Lb La Ua Ub o", "Qa Ua" } },
	{ "nested under an outer lock",
	  WLOCK | MUTEXES,
	  0,
	  { "*b Oa OA UA Ua Ub", "*b OA Oa Ua UA Ub" } },
	{ "nest unlocked", WLOCK | MUTEXES, WLOCK | MUTEXES, { "Oa Ua" } },
	{ "trylock in the other order",
	  SPINS | WLOCK | MUTEXES,
	  0,
	  { "*a *b Ub Ua", "*b Ta Ua Ub" } },
	{ "wait context: in an interrupt",
	  SPINS | SLEEPERS,
	  SLEEPERS,
	  { "{*a Ua}" } },
	{ "wait context: interrupts off",
	  SPINS | SLEEPERS,
	  SLEEPERS,
	  { "x *a Ua o" } },
	{ "wait context: in an RCU reader",
	  SPINS | SLEEPERS,
	  SLEEPERS,
	  { "[ *a Ua ]" } },
	{ "wait context: in a spinlock",
	  SPINS | SLEEPERS,
	  SLEEPERS,
	  { "s *a Ua u" } },
	{ "wait context: in a sleeping lock",
	  SLEEPERS,
	  0,
	  { "*a s u [ ] *b Ub Ua" } },
	{ "wait context: an RCU reader", ALL_WAYS, 0, { "*a [ ] Ua", "{[ ]}" } },
};

static struct score {
	unsigned int complains, misses, silent, false_alarms;
} total;

/* Append the pieces in that order to *program, with the way's letter. */
static void put_together(char *program, size_t size, const struct family *f,
			 const unsigned int *order, unsigned int n, char op)
{
	size_t at = 0;

	for (unsigned int i = 0; i < n; i++)
		for (const char *p = f->piece[order[i]]; *p && at + 2 < size;
		     p++)
			program[at++] = *p == '*' ? op : *p;
	program[at] = '\0';
}

static void run_one(const struct family *f, const struct way *w,
		    const unsigned int *order, unsigned int n, bool complain,
		    struct score *s)
{
	char program[160];
	bool complains;

	put_together(program, sizeof(program), f, order, n, w->op);
	row_type = w->type;
	row_begin();
	run_steps(program, program + strlen(program));
	complains = lockdep_total() != 0;
	if (complain)
		*(complains ? &s->complains : &s->misses) += 1;
	else
		*(complains ? &s->false_alarms : &s->silent) += 1;
	if (complain != complains)
		kprintf("    # self-test: %s, %s: %s: %s\n", f->name, w->name,
			program, complain ? "missed" : "a false alarm");
	lockdep_forget_stray();
	lockdep_reset();
}

/* All orders of n pieces, from position `at` on. */
static void run_orders(const struct family *f, const struct way *w,
		       unsigned int *order, unsigned int at, unsigned int n,
		       bool complain, struct score *s)
{
	if (at == n) {
		run_one(f, w, order, n, complain, s);
		return;
	}
	for (unsigned int i = at; i < n; i++) {
		unsigned int kept = order[at];

		order[at] = order[i];
		order[i] = kept;
		run_orders(f, w, order, at + 1, n, complain, s);
		order[i] = order[at];
		order[at] = kept;
	}
}

static void run_family(const struct family *f)
{
	struct score s = { 0 };
	unsigned int n = 0;

	while (n < ARRAY_SIZE(f->piece) && f->piece[n])
		n++;
	for (unsigned int i = 0; i < ARRAY_SIZE(ways); i++) {
		unsigned int order[] = { 0, 1, 2, 3 };

		if (f->run & 1u << i)
			run_orders(f, &ways[i], order, 0, n,
				   f->complain & 1u << i, &s);
	}
	kprintf("self-test: %-34s %3u complain, %3u silent, %u wrong\n",
		f->name, s.complains, s.silent, s.misses + s.false_alarms);
	total.complains += s.complains;
	total.misses += s.misses;
	total.silent += s.silent;
	total.false_alarms += s.false_alarms;
}

KTEST(lockdep, selftest)
{
	total = (struct score){ 0 };
	lockdep_quiet(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(families); i++)
		run_family(&families[i]);
	lockdep_quiet(false);
	kprintf("self-test: must complain: %u of %u; must stay silent: %u of %u\n",
		total.complains, total.complains + total.misses, total.silent,
		total.silent + total.false_alarms);
	kprintf("self-test: %u misses, %u false alarms\n", total.misses,
		total.false_alarms);
	EXPECT_EQ(total.misses, 0);
	EXPECT_EQ(total.false_alarms, 0);
	EXPECT(total.complains >= 100 && total.silent >= 60);
}
#endif
