/*
 * Suite lockdep: readers and recursive readers; all rings of two and of three
 * locks in every way to take them.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include "kernel/lib/printf.h"

/* clang-format off */
/* rw_semaphores and percpu_rwsems have no recursive readers. */
ROWS(readers,
	/* The recursive reader of b in between does not hide the order a, c. */
	{ CIRCULAR,     X, "La Rb Lc Uc Ub Ua  Lc La Ua Uc" },
	{ CIRCULAR, W|P|X, "Qa Qb Ub Ua  Qb Qa Ua Ub" },
	{ CIRCULAR, W|P|X, "Qa Lb Ub Ua  Lb Qa Ua Ub" },
	{ CIRCULAR, W|P|X, "La Qb Ub Ua  Qb La Ua Ub" },
	{ SILENT,   W|P|X, "Qa Qb Ub Ua  Qa Lb Ub Ua  La Qb Ub Ua" },
	{ SILENT,   X,     "Ra Lb Ub Ua  Lb Ra Ua Ub" },
	{ CIRCULAR, X,     "Ra Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR, X,     "Ra Lb Ub Ua  Lb Qa Ua Ub" },
	{ CIRCULAR, X,     "La Lb Ub Ua  Lb Ra Ua Ub" },
	/* The same locks in the same order, but taken in another way. */
	{ CIRCULAR, X,     "Lb Ra Ua Ub  Ra Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR, X,     "Lb Ra Ua Ub  Ra Lb Ub Ua  La Lb Ub Ua" },
	/* A ring that a recursive reader breaks at one lock, and rings that are
	 * not broken. */
	{ SILENT,   X, "La Lb Ub Ua  Lb Rc Uc Ub  Rc La Ua Uc" },
	{ SILENT,   X, "Rc La Ua Uc  La Lb Ub Ua  Lb Rc Uc Ub" },
	{ CIRCULAR, X, "La Lb Ub Ua  Lb Rc Uc Ub  Lc La Ua Uc" },
	{ CIRCULAR, X, "La Rb Ub Ua  Lb Rc Uc Ub  Lc Ra Ua Uc" },
	/* From a to b: directly as a recursive reader, and via c as a writer. */
	{ SILENT,   X, "La Rb Ub Ua  Rb Ld Ud Ub  Ld La Ua Ud" },
	{ CIRCULAR, X, "La Lc Uc Ua  La Rb Ub Ua  Lc Lb Ub Uc  "
		       "Rb Ld Ud Ub  Ld La Ua Ud" },
	{ CIRCULAR, X, "La Rb Ub Ua  La Lc Uc Ua  Lc Lb Ub Uc  "
		       "Rb Ld Ud Ub  Ld La Ua Ud" },
	/* The recursive reader of the same lock waits for nobody; the one of
	 * another lock of the class does. */
	{ SILENT,   X, "Ra Lb Ra Ua Ub Ua  La Lb Ub Ua" },
	{ CIRCULAR, X, "Ra Lb RA UA Ub Ua  La Lb Ub Ua" },
	{ CIRCULAR, X, "Ra Lb Ra Ua Ub Ua  Lb La Ua Ub" },
	{ SILENT,   X, "Ra Ra Lb Ub Ua Ua  Lb Ra Ua Ub" })
/* clang-format on */

/* ---- rings of readers and writers, all of them ------------------------------------------ */

static const char how_name[] = "LQR"; /* write, read, recursive read */

/* A recursive reader does not wait for other readers. */
static bool waits_for(char taken, char held)
{
	return taken != 'R' || held == 'L';
}

/*
 * A ring of n threads: thread i holds lock i, taken as how[2i], and takes the
 * next lock as how[2i + 1]. They can deadlock if each can wait for the next.
 */
static void run_ring(unsigned int n, const char *how)
{
	char program[80];
	bool deadlock = true;
	int at = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int next = (i + 1) % n;
		char a = (char)('a' + i), b = (char)('a' + next);

		at += ksnprintf(program + at, sizeof(program) - (size_t)at,
				"%c%c %c%c U%c U%c ", how[2 * i], a,
				how[2 * i + 1], b, b, a);
		deadlock &= waits_for(how[2 * i + 1], how[2 * next]);
	}
	run_row(program, deadlock ? CIRCULAR : SILENT);
}

static void run_rings(unsigned int n)
{
	unsigned int all = 1;
	char how[2 * CLASSES];

	row_type = MAP;
	for (unsigned int i = 0; i < 2 * n; i++)
		all *= 3;
	lockdep_quiet(true);
	for (unsigned int k = 0; k < all; k++) {
		unsigned int rest = k;

		for (unsigned int i = 0; i < 2 * n; i++, rest /= 3)
			how[i] = how_name[rest % 3];
		run_ring(n, how);
	}
	lockdep_quiet(false);
}

KTEST(lockdep, rings_of_two)
{
	run_rings(2);
}

/* These are 729 cases of one kind, so lockdep.counted does not count them. */
KTEST(lockdep, rings_of_three)
{
	unsigned int complained = rows_complaining, kept_silent = rows_silent;

	run_rings(3);
	EXPECT_EQ(rows_complaining + rows_silent - complained - kept_silent,
		  729);
	rows_complaining = complained;
	rows_silent = kept_silent;
}
#endif
