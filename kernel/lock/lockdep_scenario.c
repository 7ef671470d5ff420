/*
 * Parts of lockdep's reports: names of classes, and the scenarios. A scenario
 * shows which lock each thread holds, and which one it wants, when the deadlock
 * happens.
 *
 * Linux shows every cycle in two columns. Here a cycle of n locks has n columns,
 * one for each thread. If the columns do not fit into a line, the cycle has a row
 * for each thread instead.
 *
 * Owns no data. For reports, inside report_begin() and report_end(). Built
 * without sanitizers. Source: Linux 6.1, kernel/locking/lockdep.c, for the
 * scenarios.
 */
#include <string.h>

#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"

#if GORDIAN_DEBUG

#define COLUMNS	   80
#define MAX_COLUMN 23 /* width of a CPU's column at most */
#define MIN_COLUMN 5

/* The name of a class: "slab_mutex", "lock#2", "lock/1". */
const char *lockdep_class_name(unsigned int class, char buf[NAME_SIZE])
{
	const struct lock_class *c = &lockdep_classes[class];
	int n = ksnprintf(buf, NAME_SIZE, "%s", class ? c->name : "(no class)");

	if (c->same && n < NAME_SIZE)
		n += ksnprintf(buf + n, NAME_SIZE - (size_t)n, "#%u",
			       c->same + 1u);
	if (c->subclass && n < NAME_SIZE)
		ksnprintf(buf + n, NAME_SIZE - (size_t)n, "/%u", c->subclass);
	return buf;
}

/* Linux's marks: '-' used in interrupts, '+' with interrupts enabled, '?' both,
 * '.' neither. */
char lockdep_use_char(uint32_t usage, unsigned int in, unsigned int on)
{
	bool i = usage & USE_BIT(in), o = usage & USE_BIT(on);

	return i && o ? '?' : i ? '-' : o ? '+' : '.';
}

static const char *verb(unsigned int how)
{
	return how & (LOCK_READ | LOCK_READ_RECURSIVE) ? "rlock" : "lock";
}

/* ---- a cycle ------------------------------------------------------------- */

/* The locks that thread i of the cycle holds and wants. Thread 0 has found the
 * cycle. */
struct side {
	unsigned int holds, wants, held_as, taken_as;
};

static struct side side_of(const struct finding *f, unsigned int i)
{
	const struct dep_edge *e;

	if (i == 0)
		return (struct side){ f->prev.class, f->next.class, f->prev.how,
				      f->next.how };
	e = &lockdep_graph.edge[f->path.edge[i - 1]];
	return (struct side){ e->from, e->to, e->held_as, e->taken_as };
}

/* Is thread i the first thread after the gap in the path? */
static bool is_behind_gap(const struct finding *f, unsigned int i)
{
	return f->path.more && i == DEP_PATH / 2 + 1;
}

/* The number of thread i, if the threads in the gap are counted, too. */
static unsigned int number_of(const struct finding *f, unsigned int i)
{
	return i + (i > DEP_PATH / 2 ? f->path.more : 0);
}

/* Print "a --> b --> c", on several lines if need be. */
static void print_chain_exists(const struct finding *f)
{
	unsigned int n = f->path.n + 1, at = 0;
	char name[NAME_SIZE], gap[NAME_SIZE];

	ksnprintf(gap, sizeof(gap), "(%u more)", f->path.more);
	kprintf("Chain exists of:\n ");
	for (unsigned int i = 1; i <= n; i++) {
		unsigned int class = i < n ? side_of(f, i).holds :
					     f->prev.class;
		unsigned int len =
			(unsigned int)strlen(lockdep_class_name(class, name));

		if (is_behind_gap(f, i)) {
			kprintf(" -->\n    %s", gap);
			at = 5 + (unsigned int)strlen(gap);
		}
		if (i > 1)
			kprintf(" -->");
		if (at + len + 9 > COLUMNS) {
			kprintf("\n   ");
			at = 0;
		}
		kprintf(" %s", name);
		at += len + 5;
	}
	kprintf("\n\n");
}

/* The widest column for which the longest entry fits into the last column; 0:
 * the columns do not fit. */
static unsigned int column_width(const struct finding *f)
{
	unsigned int n = f->path.n + 1, longest = 0;
	char name[NAME_SIZE];

	for (unsigned int i = 0; i < n; i++)
		longest = max(longest, (unsigned int)strlen(lockdep_class_name(
					       side_of(f, i).holds, name)));
	longest = min(longest + 10, COLUMNS - 1u); /* "  rlock();" */
	longest = (COLUMNS - longest) / max(n - 1, 1u);
	if (longest < MIN_COLUMN || f->path.more)
		return 0;
	return min(longest, MAX_COLUMN + 0u);
}

/* Print a line of the scenario: what the thread of column i does. */
static void print_cell(unsigned int column, unsigned int width,
		       unsigned int how, unsigned int class)
{
	char name[NAME_SIZE];

	kprintf("%*s  %s(%s);\n", (int)(column * width), "", verb(how),
		lockdep_class_name(class, name));
}

/* Print the first lines of a scenario with n columns. */
static void print_heads(unsigned int n, unsigned int width)
{
	kprintf(" Possible unsafe locking scenario:\n\n");
	for (unsigned int i = 0; i < n; i++)
		kprintf("%*sCPU%u", (int)(i ? width - 4 : 7), "", i);
	kprintf("\n");
	for (unsigned int i = 0; i < n; i++)
		kprintf("%*s----", (int)(i ? width - 4 : 7), "");
	kprintf("\n");
}

static void print_in_columns(const struct finding *f, unsigned int width)
{
	unsigned int n = f->path.n + 1;

	print_heads(n, width);
	for (unsigned int i = 0; i < n; i++)
		print_cell(i, width, side_of(f, i).held_as,
			   side_of(f, i).holds);
	for (unsigned int i = 0; i < n; i++)
		print_cell(i, width, side_of(f, i).taken_as,
			   side_of(f, i).wants);
}

static void print_in_rows(const struct finding *f)
{
	char name[NAME_SIZE];

	kprintf(" Possible unsafe locking scenario:\n\n");
	for (unsigned int i = 0; i <= f->path.n; i++) {
		struct side side = side_of(f, i);

		if (is_behind_gap(f, i))
			kprintf("  (%u more CPUs)\n", f->path.more);
		kprintf("  CPU%u holds %s(%s);\n", number_of(f, i),
			verb(side.held_as),
			lockdep_class_name(side.holds, name));
		kprintf("       wants %s(%s);\n", verb(side.taken_as),
			lockdep_class_name(side.wants, name));
	}
}

void lockdep_print_cycle(const struct finding *f)
{
	unsigned int width = column_width(f);

	if (f->path.n > 1)
		print_chain_exists(f);
	if (width)
		print_in_columns(f, width);
	else
		print_in_rows(f);
	kprintf("\n *** DEADLOCK ***\n");
}

/* Returns the number that the report prints for the i-th edge of the path.
 * *gap: are edges left out that the report would print just before this
 * edge? */
unsigned int lockdep_link_number(const struct finding *f, unsigned int i,
				 bool *gap)
{
	*gap = f->path.more && i == DEP_PATH / 2;
	return number_of(f, i);
}

/* ---- one lock, interrupts, calls ------------------------------------------- */

void lockdep_print_recursion(const struct finding *f)
{
	char name[NAME_SIZE];

	kprintf(" Possible unsafe locking scenario:\n\n");
	kprintf("       CPU0\n       ----\n");
	kprintf("  %s(%s);\n", verb(f->prev.how),
		lockdep_class_name(f->prev.class, name));
	kprintf("  %s(%s);\n", verb(f->next.how),
		lockdep_class_name(f->next.class, name));
	kprintf("\n *** DEADLOCK ***\n\n");
	kprintf(" May be due to missing lock nesting notation\n");
}

/* An interrupt comes while the lock is held, and wants the same lock. */
void lockdep_print_inconsistent_scenario(const struct finding *f)
{
	char name[NAME_SIZE];

	print_heads(1, MAX_COLUMN);
	kprintf("  lock(%s);\n", lockdep_class_name(f->safe, name));
	kprintf("  <Interrupt>\n");
	kprintf("    lock(%s);\n", name);
	kprintf("\n *** DEADLOCK ***\n");
}

bool lockdep_is_about_calls(const struct finding *f)
{
	return f->unsafe_use == HELD_IN_CALL;
}

/* CPU0 holds the unsafe lock and calls the last CPU, which waits for the safe
 * lock with interrupts off. If the two locks are different, CPU1 holds the safe
 * lock and waits for the middle one. */
void lockdep_print_call_scenario(const struct finding *f, unsigned int middle)
{
	unsigned int last = f->safe == f->unsafe ? 1 : 2, width = MAX_COLUMN;

	print_heads(last + 1, width);
	print_cell(0, width, LOCK_WRITE, f->unsafe);
	if (last > 1) {
		print_cell(1, width, LOCK_WRITE, f->safe);
		print_cell(1, width, LOCK_WRITE, middle);
	}
	kprintf("%*s  local_irq_disable();\n", (int)(last * width), "");
	print_cell(last, width, LOCK_WRITE, f->safe);
	kprintf("  smp_call_function_single(CPU%u);\n", last);
	kprintf("\n *** DEADLOCK ***\n");
}

/* CPU0 holds the unsafe lock. An interrupt on CPU0 waits for the safe lock.
 * CPU1 holds the safe lock and waits for the middle one. */
void lockdep_print_irq_scenario(const struct finding *f, unsigned int middle)
{
	unsigned int safe = f->safe, unsafe = f->unsafe;
	char name[NAME_SIZE];

	if (lockdep_is_about_calls(f)) {
		kprintf("\n");
		lockdep_print_call_scenario(f, middle);
		return;
	}
	kprintf("\n Possible interrupt unsafe locking scenario:\n\n");
	kprintf("       CPU0                 CPU1\n");
	kprintf("       ----                 ----\n");
	kprintf("  lock(%s);\n", lockdep_class_name(unsafe, name));
	kprintf("                       local_irq_disable();\n");
	kprintf("                       lock(%s);\n",
		lockdep_class_name(safe, name));
	kprintf("                       lock(%s);\n",
		lockdep_class_name(middle, name));
	kprintf("  <Interrupt>\n");
	kprintf("    lock(%s);\n", lockdep_class_name(safe, name));
	kprintf("\n *** DEADLOCK ***\n");
}

#endif
