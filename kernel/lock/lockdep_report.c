/*
 * Lockdep's output: the reports, in the shape that people know, and the output
 * of the command `lockdep`.
 *
 * A report is printed from a struct finding on the stack of the thread that
 * found it, and from classes and edges, which do not change; so
 * lockdep_graph_lock is not needed. It is printed inside report_begin() and
 * report_end() (kernel/debug/console.c), which also guard `last`. Linux shows
 * every cycle in two columns. Here a cycle of n locks has n columns: each
 * thread holds one lock and wants the next.
 *
 * Context: any but FIQ. Built without sanitizers. Source: Linux 6.1,
 * kernel/locking/lockdep.c, for the sections and their order.
 */
#include <string.h>

#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"

const char *lockdep_kind_name(enum lockdep_kind kind)
{
	static const char *const names[] = {
		[LOCKDEP_CIRCULAR] = "circular",
		[LOCKDEP_RECURSIVE] = "recursive",
		[LOCKDEP_IRQ_ORDER] = "irq-order",
		[LOCKDEP_IRQ_INVERSION] = "irq-inversion",
		[LOCKDEP_INCONSISTENT] = "inconsistent",
		[LOCKDEP_UNBALANCED] = "unbalanced",
		[LOCKDEP_HELD_AT_END] = "held-at-end",
		[LOCKDEP_HELD_FREED] = "held-freed",
		[LOCKDEP_SLEEP] = "sleep",
		[LOCKDEP_RCU] = "rcu-usage",
		[LOCKDEP_NOT_HELD] = "not-held",
		[LOCKDEP_NEST] = "nest",
	};

	return kind < NR_LOCKDEP_KINDS ? names[kind] : "?";
}

#if GORDIAN_DEBUG

#define COLUMNS	   80
#define NAME_SIZE  48
#define MAX_COLUMN 23 /* width of a CPU's column at most */

static unsigned int quiet; /* atomic; not 0: reports are only counted */
static bool brief;	   /* one line for a report */
static struct finding last;

void lockdep_quiet(bool on)
{
	/* Relaxed: the threads concerned are started after it, or joined. */
	__atomic_fetch_add(&quiet, on ? 1 : -1u, __ATOMIC_RELAXED);
}

void lockdep_brief(bool on)
{
	WRITE_ONCE(brief, on);
}

/* ---- pieces -------------------------------------------------------------- */

/* The name of a class: "slab_mutex", "lock#2", "lock/1". */
static const char *class_name(unsigned int class, char buf[NAME_SIZE])
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
static char use_char(uint32_t usage, unsigned int in, unsigned int on)
{
	bool i = usage & USE_BIT(in), o = usage & USE_BIT(on);

	return i && o ? '?' : i ? '-' : o ? '+' : '.';
}

static void print_class(unsigned int class)
{
	uint32_t usage = lockdep_classes[class].usage;
	char name[NAME_SIZE];

	kprintf("(%s){%c%c}", class_name(class, name),
		use_char(usage, USED_IN_HARDIRQ, ENABLED_HARDIRQ),
		use_char(usage, USED_IN_HARDIRQ_READ, ENABLED_HARDIRQ_READ));
}

/* Print a lock in one line, or in two if one would be too long. indent: how
 * many columns of the line are printed already. */
static void print_lock(const struct held_copy *h, unsigned int indent)
{
	char name[NAME_SIZE], at[COLUMNS];
	int n = ksnprintf(at, sizeof(at), "at: %pS%s", (void *)h->site,
			  h->waits ? ", waits" : "");

	class_name(h->class, name);
	kprintf("%08x ", (unsigned int)(uintptr_t)h->lock);
	print_class(h->class);
	/* "01234567 (name){..}, " */
	kprintf(indent + 17 + strlen(name) + (unsigned int)n > COLUMNS ?
			",\n    %s\n" :
			", %s\n",
		at);
}

static void print_trace(const struct dep_trace *t)
{
	print_backtrace(t->pc, t->n);
}

static void print_bar(char c)
{
	char bar[] = "======================================================";

	for (char *p = bar; *p; p++)
		*p = c;
	kprintf("%s\n", bar);
}

static void print_title(const struct finding *f, const char *title)
{
	kprintf("\n");
	print_bar('=');
	kprintf("WARNING: %s\nGordian, debug profile, core %u\n", title,
		f->core);
	print_bar('-');
}

static void print_tail(const struct finding *f)
{
	kprintf("\n%u lock%s held by %s/%u:\n", f->nr_held,
		f->nr_held == 1 ? "" : "s", f->comm, f->thread);
	for (unsigned int i = 0; i < f->nr_held; i++) {
		kprintf(" #%u: ", i);
		print_lock(&f->held[i], 5);
	}
	kprintf("\nstack backtrace:\n");
	print_trace(&f->trace);
	kprintf("\n");
}

static void print_trying(const struct finding *f)
{
	kprintf("%s/%u is trying to acquire lock:\n", f->comm, f->thread);
	print_lock(&f->next, 0);
	kprintf("\nbut task is already holding lock:\n");
	print_lock(&f->prev, 0);
}

static const char *verb(unsigned int how)
{
	return how & (LOCK_READ | LOCK_READ_RECURSIVE) ? "rlock" : "lock";
}

static const char *irq_name(unsigned int use)
{
	static const char *const names[] = {
		[USED_IN_HARDIRQ] = "IN-HARDIRQ-W",
		[USED_IN_HARDIRQ_READ] = "IN-HARDIRQ-R",
		[ENABLED_HARDIRQ] = "HARDIRQ-ON-W",
		[ENABLED_HARDIRQ_READ] = "HARDIRQ-ON-R",
		[TAKEN_IRQS_OFF] = "TAKEN-IRQS-OFF",
		[HELD_IN_CALL] = "HELD-IN-CALL",
	};

	return use < NR_USES ? names[use] : "?";
}

/* ---- a cycle ------------------------------------------------------------- */

/* The locks that thread i of the cycle holds and wants. Thread 0 is the thread
 * that found the cycle. */
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

/* Print "a --> b --> c", on several lines if need be. */
static void print_chain_exists(const struct finding *f)
{
	unsigned int n = f->path.n + 1, at = 0;
	char name[NAME_SIZE];

	kprintf("Chain exists of:\n ");
	for (unsigned int i = 1; i <= n; i++) {
		unsigned int class = i < n ? side_of(f, i).holds :
					     f->prev.class;
		unsigned int len =
			(unsigned int)strlen(class_name(class, name));

		if (i > 1)
			kprintf(" -->");
		if (at + len + 6 > COLUMNS) {
			kprintf("\n   ");
			at = 0;
		}
		kprintf(" %s", name);
		at += len + 5;
	}
	kprintf("\n\n");
}

/* The widest column for which the longest entry fits into the last column. */
static unsigned int column_width(const struct finding *f)
{
	unsigned int n = f->path.n + 1, longest = 0;
	char name[NAME_SIZE];

	for (unsigned int i = 0; i < n; i++)
		longest = max(longest, (unsigned int)strlen(class_name(
					       side_of(f, i).holds, name)));
	longest = min(longest + 10, COLUMNS - 1u); /* "  rlock();" */
	longest = (COLUMNS - longest) / max(n - 1, 1u);
	return max(5u, min(longest, MAX_COLUMN + 0u));
}

/* Print a line of the scenario: what the thread of that column does. */
static void print_cell(unsigned int column, unsigned int width,
		       unsigned int how, unsigned int class)
{
	char name[NAME_SIZE];

	kprintf("%*s  %s(%s);\n", (int)(column * width), "", verb(how),
		class_name(class, name));
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

static void print_scenario(const struct finding *f)
{
	unsigned int n = f->path.n + 1, width = column_width(f);

	print_heads(n, width);
	for (unsigned int i = 0; i < n; i++)
		print_cell(i, width, side_of(f, i).held_as,
			   side_of(f, i).holds);
	for (unsigned int i = 0; i < n; i++)
		print_cell(i, width, side_of(f, i).taken_as,
			   side_of(f, i).wants);
	kprintf("\n *** DEADLOCK ***\n");
}

static void print_circular(const struct finding *f)
{
	print_title(f, "possible circular locking dependency detected");
	print_trying(f);
	kprintf("\nwhich lock already depends on the new lock.\n\n");
	kprintf("the existing dependency chain (in reverse order) is:\n");
	for (unsigned int i = f->path.n; i > 0; i--) {
		const struct dep_edge *e =
			&lockdep_graph.edge[f->path.edge[i - 1]];

		kprintf("\n-> #%u ", i);
		print_class(e->to);
		kprintf(":\n");
		print_trace(&e->trace);
	}
	kprintf("\n-> #0 ");
	print_class(f->next.class);
	kprintf(":\n");
	print_trace(&f->trace);
	kprintf("\nother info that might help us debug this:\n\n");
	if (f->path.cut)
		kprintf("(the cycle has more than %u locks; the rest is not shown)\n",
			DEP_PATH);
	if (f->path.n > 1)
		print_chain_exists(f);
	print_scenario(f);
}

static void print_recursive(const struct finding *f)
{
	char name[NAME_SIZE];

	print_title(f, "possible recursive locking detected");
	print_trying(f);
	kprintf("\nother info that might help us debug this:\n");
	kprintf(" Possible unsafe locking scenario:\n\n");
	kprintf("       CPU0\n       ----\n");
	kprintf("  %s(%s);\n", verb(f->prev.how),
		class_name(f->prev.class, name));
	kprintf("  %s(%s);\n", verb(f->next.how),
		class_name(f->next.class, name));
	kprintf("\n *** DEADLOCK ***\n\n");
	kprintf(" May be due to missing lock nesting notation\n");
}

/* ---- interrupts ---------------------------------------------------------- */

static void print_use(unsigned int class, unsigned int use)
{
	print_class(class);
	kprintf(", %s since:\n", irq_name(use));
	if (use < NR_USES)
		print_trace(&lockdep_classes[class].used[use]);
}

static void print_edges(const struct dep_path *path)
{
	for (unsigned int i = 0; i < path->n; i++) {
		const struct dep_edge *e = &lockdep_graph.edge[path->edge[i]];

		print_class(e->from);
		kprintf(" --> ");
		print_class(e->to);
		kprintf(":\n");
		print_trace(&e->trace);
	}
}

static bool is_about_calls(const struct finding *f)
{
	return f->unsafe_use == HELD_IN_CALL;
}

/* CPU0 holds the unsafe lock and calls the last CPU, which waits for the safe
 * one with interrupts off. If these are two locks, CPU1 holds the safe one and
 * waits for the middle one. */
static void print_call_scenario(const struct finding *f, unsigned int middle)
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

/* CPU0 holds the unsafe lock, and its interrupt waits for the safe one. */
static void print_irq_scenario(const struct finding *f, unsigned int middle)
{
	unsigned int safe = f->safe, unsafe = f->unsafe;
	char name[NAME_SIZE];

	if (is_about_calls(f)) {
		kprintf("\n");
		print_call_scenario(f, middle);
		return;
	}
	kprintf("\n Possible interrupt unsafe locking scenario:\n\n");
	kprintf("       CPU0                 CPU1\n");
	kprintf("       ----                 ----\n");
	kprintf("  lock(%s);\n", class_name(unsafe, name));
	kprintf("                       local_irq_disable();\n");
	kprintf("                       lock(%s);\n", class_name(safe, name));
	kprintf("                       lock(%s);\n", class_name(middle, name));
	kprintf("  <Interrupt>\n");
	kprintf("    lock(%s);\n", class_name(safe, name));
	kprintf("\n *** DEADLOCK ***\n");
}

static const char *state_name(const struct finding *f, bool safe)
{
	if (is_about_calls(f))
		return irq_name(safe ? TAKEN_IRQS_OFF : HELD_IN_CALL);
	return safe ? "HARDIRQ-safe" : "HARDIRQ-unsafe";
}

static void print_irq_order(const struct finding *f)
{
	bool calls = is_about_calls(f);

	print_title(
		f,
		calls ? "TAKEN-IRQS-OFF -> HELD-IN-CALL lock order detected" :
			"HARDIRQ-safe -> HARDIRQ-unsafe lock order detected");
	kprintf("%s/%u is trying to acquire:\n", f->comm, f->thread);
	print_lock(&f->next, 0);
	kprintf("\nand this task is already holding:\n");
	print_lock(&f->prev, 0);
	kprintf("which would create a new lock dependency:\n ");
	print_class(f->prev.class);
	kprintf(" -> ");
	print_class(f->next.class);
	kprintf("\n\nbut this connects a %s lock:\n ", state_name(f, true));
	print_use(f->safe, f->safe_use);
	kprintf("\nto a %s lock:\n ", state_name(f, false));
	print_use(f->unsafe, f->unsafe_use);
	if (f->path.n + f->forward.n) {
		kprintf("\nthe dependencies between them and the new one:\n");
		print_edges(&f->path);
		print_edges(&f->forward);
	}
	kprintf("\nother info that might help us debug this:\n");
	print_irq_scenario(f, f->next.class);
}

static void print_irq_inversion(const struct finding *f)
{
	bool is_safe = f->next.class == f->safe;

	print_title(f, "possible irq lock inversion dependency detected");
	kprintf("%s/%u just changed the state of lock:\n", f->comm, f->thread);
	print_lock(&f->next, 0);
	kprintf("\nit is now %s, but it %s %s lock in the past:\n",
		state_name(f, is_safe),
		is_safe ? "took another," : "was taken by a",
		state_name(f, !is_safe));
	if (is_safe)
		print_use(f->unsafe, f->unsafe_use);
	else
		print_use(f->safe, f->safe_use);
	kprintf("\nthe dependencies between them:\n");
	print_edges(&f->path);
	kprintf("\nother info that might help us debug this:\n");
	print_irq_scenario(f, f->unsafe);
}

static void print_inconsistent(const struct finding *f)
{
	unsigned int now = f->new_use;
	unsigned int was = now == f->safe_use ? f->unsafe_use : f->safe_use;
	char name[NAME_SIZE];

	print_title(f, "inconsistent lock state");
	kprintf("inconsistent {%s} -> {%s} usage.\n", irq_name(was),
		irq_name(now));
	kprintf("%s/%u%s:\n", f->comm, f->thread,
		now == HELD_IN_CALL ? " calls other cores and holds" :
		f->in_irq	    ? ", in an interrupt, takes" :
				      " takes");
	print_lock(&f->next, 0);
	kprintf("\n{%s} state was registered at:\n", irq_name(was));
	if (was < NR_USES)
		print_trace(&lockdep_classes[f->safe].used[was]);
	kprintf("\nother info that might help us debug this:\n");
	if (is_about_calls(f)) {
		print_call_scenario(f, f->safe);
		return;
	}
	print_heads(1, MAX_COLUMN);
	kprintf("  lock(%s);\n", class_name(f->safe, name));
	kprintf("  <Interrupt>\n");
	kprintf("    lock(%s);\n", name);
	kprintf("\n *** DEADLOCK ***\n");
}

/* ---- the others ---------------------------------------------------------- */

static void print_unbalanced(const struct finding *f)
{
	char name[NAME_SIZE];

	print_title(f, "bad unlock balance detected!");
	kprintf("%s/%u is trying to release lock (%s) at:\n", f->comm,
		f->thread, class_name(f->next.class, name));
	print_trace(&f->trace);
	if (f->prev.lock)
		kprintf("but it was taken %s an interrupt\n",
			f->in_irq ? "outside of" : "in");
	else
		kprintf("but %s\n", f->nr_held ? "it does not hold it" :
						 "there are no more locks to "
						 "release!");
}

static void print_held_at_end(const struct finding *f)
{
	print_title(f, "still has locks held!");
	kprintf("%s/%u: %s with this lock held:\n", f->comm, f->thread,
		f->what);
	print_lock(&f->next, 0);
}

static void print_held_freed(const struct finding *f)
{
	print_title(f, "held lock freed!");
	kprintf("%s/%u frees or initialises memory with a held lock in it:\n",
		f->comm, f->thread);
	print_lock(&f->next, 0);
}

static void print_sleep(const struct finding *f)
{
	uint32_t off = 0;
	const char *name = symbol_lookup(f->trace.pc[0], &off);

	print_title(f, "sleeping function called from invalid context");
	kprintf("%s() called from %pS\n", name ? name : f->what,
		(void *)f->site);
	kprintf("by %s/%u: preempt_count %d, interrupts %s%s%s\n", f->comm,
		f->thread, f->preempt_count, f->irqs_off ? "off" : "on",
		f->in_irq ? ", in an interrupt" : "",
		f->is_idle ? ", in the idle thread" : "");
	if (f->reader)
		kprintf("in an RCU reader that began at %pS\n",
			(void *)f->reader);
}

static void print_rcu(const struct finding *f)
{
	print_title(f, "suspicious RCU usage");
	kprintf("%s,\nin %pS,\ncalled from %pS,\n", f->what,
		(void *)f->trace.pc[0], (void *)f->site);
	kprintf("by %s/%u, %s\n", f->comm, f->thread,
		f->reader || f->preempt_count || f->in_irq || f->irqs_off ?
			"in a reader" :
			"in no reader: it can be preempted here");
}

static void print_not_held(const struct finding *f)
{
	print_title(f, "lock not held where it is required");
	kprintf("%pS needs (%s) to be held,\n", (void *)f->trace.pc[0],
		f->what);
	kprintf("called from %pS,\nand %s/%u does not hold it\n",
		(void *)f->site, f->comm, f->thread);
}

static void print_nest(const struct finding *f)
{
	print_title(f, "Nested lock was not taken");
	kprintf("%s/%u is trying to lock:\n", f->comm, f->thread);
	print_lock(&f->next, 0);
	kprintf("\nbut does not hold the outer lock of mutex_lock_nest_lock()\n");
}

static void print_finding(const struct finding *f)
{
	static void (*const print[])(const struct finding *) = {
		[LOCKDEP_CIRCULAR] = print_circular,
		[LOCKDEP_RECURSIVE] = print_recursive,
		[LOCKDEP_IRQ_ORDER] = print_irq_order,
		[LOCKDEP_IRQ_INVERSION] = print_irq_inversion,
		[LOCKDEP_INCONSISTENT] = print_inconsistent,
		[LOCKDEP_UNBALANCED] = print_unbalanced,
		[LOCKDEP_HELD_AT_END] = print_held_at_end,
		[LOCKDEP_HELD_FREED] = print_held_freed,
		[LOCKDEP_SLEEP] = print_sleep,
		[LOCKDEP_RCU] = print_rcu,
		[LOCKDEP_NOT_HELD] = print_not_held,
		[LOCKDEP_NEST] = print_nest,
	};

	print[f->kind](f);
	print_tail(f);
}

/* Is the finding about a lock that is held and one that is wanted? */
static bool about_two_locks(const struct finding *f)
{
	return f->kind == LOCKDEP_CIRCULAR || f->kind == LOCKDEP_RECURSIVE;
}

static void print_brief(const struct finding *f)
{
	kprintf("lockdep: %s: %s", lockdep_kind_name(f->kind), f->comm);
	if (about_two_locks(f))
		kprintf(" wants %s, holds %s",
			lockdep_classes[f->next.class].name,
			lockdep_classes[f->prev.class].name);
	kprintf("\n");
}

void lockdep_report(const struct finding *f)
{
	uint32_t flags = report_begin();

	last = *f;
	if (!READ_ONCE(quiet) && READ_ONCE(brief))
		print_brief(f);
	else if (!READ_ONCE(quiet))
		print_finding(f);
	report_end(flags);
	if (READ_ONCE(lockdep_nr_findings) == LOCKDEP_FINDINGS)
		lockdep_full("findings", "LOCKDEP_FINDINGS", LOCKDEP_FINDINGS);
}

/* What lockdep_full() has reported: full tables, and locks that cannot have a
 * class. Guarded by report_begin(), except in the reset. */
static const char *full[8], *classless[16];

void lockdep_forget_full_tables(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(full); i++)
		if (full[i] && strcmp(full[i], "DEP_EDGES") != 0 &&
		    strcmp(full[i], "LOCKDEP_FINDINGS") != 0)
			full[n++] = full[i];
	while (n < ARRAY_SIZE(full))
		full[n++] = NULL;
}

void lockdep_full(const char *table, const char *number, unsigned int is)
{
	const char **said = is ? full : classless;
	unsigned int n = is ? ARRAY_SIZE(full) : ARRAY_SIZE(classless), i = 0;
	uint32_t flags = report_begin();

	number = number ? number : "?";
	while (i < n && said[i] && said[i] != number)
		i++;
	if (i < n && !said[i]) {
		said[i] = number;
		if (is)
			kprintf("lockdep: table of %s full, raise %s (%u)\n",
				table, number, is);
		else
			kprintf("lockdep: %s: %s\n", table, number);
	}
	report_end(flags);
}

/* ---- commands ------------------------------------------------------------ */

void print_held_locks(const struct thread *t)
{
	unsigned int n =
		min(READ_ONCE(t->lockdep.depth), (unsigned int)MAX_HELD);
	char name[NAME_SIZE];

	for (unsigned int i = 0; i < n; i++) {
		const struct held_lock *h = &t->lockdep.held[i];

		kprintf("  %s %s, %s at %pS\n", h->waits ? "wants" : "holds",
			class_name(h->class % DEP_NODES, name),
			h->waits ? "asked for" : "taken", (void *)h->site);
	}
}

/* max: how many there is room for; 0: there is no such limit. */
static void print_stat(const char *name, unsigned int n, unsigned int max)
{
	kprintf(max ? "%-24s %8u of %u\n" : "%-24s %8u\n", name, n, max);
}

void lockdep_print_stats(void)
{
	/* Class 0 and edge 0 mean "none", and are not counted. */
	print_stat("lock classes:", lockdep_nr_classes - 1, DEP_NODES - 1);
	print_stat("dependencies:", lockdep_graph.edges - 1, DEP_EDGES - 1);
	print_stat("chains:", lockdep_nr_chains, LOCKDEP_CHAINS);
	print_stat("chain misses:", lockdep_chain_misses, 0);
	print_stat("searches:", lockdep_graph.searches, 0);
	print_stat("classes visited:", lockdep_graph.visits, 0);
	print_stat("most locks held:", lockdep_max_depth, MAX_HELD);
	print_stat("findings:", lockdep_nr_findings, LOCKDEP_FINDINGS);
	print_stat("found again:", lockdep_again, 0);
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (lockdep_distinct[k])
			kprintf("  %-22s %8u\n",
				lockdep_kind_name((enum lockdep_kind)k),
				lockdep_distinct[k]);
}

void lockdep_print_classes(void)
{
	char name[NAME_SIZE];

	kprintf("%-36s %-5s %5s %5s\n", "class", "irqs", "out", "in");
	for (unsigned int i = 1; i < lockdep_nr_classes; i++) {
		uint32_t usage = lockdep_classes[i].usage;
		unsigned int out = 0, in = 0, e;

		for (e = lockdep_graph.out[i]; e;
		     e = lockdep_graph.edge[e].next_out)
			out++;
		for (e = lockdep_graph.in[i]; e;
		     e = lockdep_graph.edge[e].next_in)
			in++;
		kprintf("%-36s %c%c    %5u %5u\n", class_name(i, name),
			use_char(usage, USED_IN_HARDIRQ, ENABLED_HARDIRQ),
			use_char(usage, USED_IN_HARDIRQ_READ,
				 ENABLED_HARDIRQ_READ),
			out, in);
	}
}

void lockdep_print_graph(bool dot)
{
	char a[NAME_SIZE], b[NAME_SIZE];

	if (dot)
		kprintf("digraph lockdep {\n");
	for (unsigned int i = 1; i < lockdep_graph.edges; i++) {
		const struct dep_edge *e = &lockdep_graph.edge[i];
		/* The sort of the edge (lockdep_graph.h); nothing for the
		 * usual sort, DEP_EN. */
		const char *sort = e->dep == DEP_EN ? "" :
				   e->dep == DEP_SN ? ", SN" :
				   e->dep == DEP_ER ? ", ER" :
						      ", SR";
		uint32_t off = 0;
		const char *where = symbol_lookup(
			e->trace.n > 1 ? e->trace.pc[1] : 0, &off);

		kprintf(dot ? "  \"%s\" -> \"%s\" [label=\"%s%s\"];\n" :
			      "%s -> %s (%s%s)\n",
			class_name(e->from, a), class_name(e->to, b),
			where ? where : "?", sort);
	}
	if (dot)
		kprintf("}\n");
}

bool lockdep_print_last(void)
{
	uint32_t flags = report_begin();
	bool any = lockdep_nr_findings != 0;

	if (any)
		print_finding(&last);
	report_end(flags);
	return any;
}

bool lockdep_last_pair(const char **wanted, const char **held)
{
	uint32_t flags = report_begin();
	bool is = lockdep_nr_findings != 0 && about_two_locks(&last);

	if (is) {
		*wanted = lockdep_classes[last.next.class].name;
		*held = lockdep_classes[last.prev.class].name;
	}
	report_end(flags);
	return is;
}

#endif
