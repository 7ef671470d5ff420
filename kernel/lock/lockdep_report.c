/*
 * Lockdep's reports, in the shape that people know from Linux.
 *
 * A report is printed from a struct finding on the stack of the thread that
 * found it, and from classes and edges. These do not change, so the report needs
 * no lockdep_graph_lock. It is printed inside report_begin() and
 * report_end() (kernel/debug/console.c), which also guard `last`.
 * lockdep_scenario.c prints the cycles.
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
		[LOCKDEP_LEFT] = "left-behind",
	};

	return kind < NR_LOCKDEP_KINDS ? names[kind] : "?";
}

#if GORDIAN_DEBUG

#define COLUMNS 80

static unsigned int quiet; /* atomic; not 0: reports are only counted */
static bool brief;	   /* one line for a report */
static struct finding last;
unsigned int lockdep_reports;

void lockdep_quiet(bool on)
{
	unsigned int n = READ_ONCE(quiet);

	/* Relaxed: the threads concerned start after lockdep_quiet(true), or have
	 * ended before lockdep_quiet(false). */
	while ((on || n) && !__atomic_compare_exchange_n(
				    &quiet, &n, on ? n + 1 : n - 1, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	if (!on && !n)
		kprintf("lockdep: lockdep_quiet(false) without "
			"lockdep_quiet(true)\n");
}

void lockdep_brief(bool on)
{
	WRITE_ONCE(brief, on);
}

/* ---- pieces -------------------------------------------------------------- */

static void print_class(unsigned int class)
{
	uint32_t usage = lockdep_classes[class].usage;
	char name[NAME_SIZE];

	kprintf("(%s){%c%c}", lockdep_class_name(class, name),
		lockdep_use_char(usage, USED_IN_HARDIRQ, ENABLED_HARDIRQ),
		lockdep_use_char(usage, USED_IN_HARDIRQ_READ,
				 ENABLED_HARDIRQ_READ));
}

/* Print a lock in one line, or in two if the line would be too long. indent:
 * the number of columns that are printed already. */
static void print_lock(const struct held_copy *h, unsigned int indent)
{
	char name[NAME_SIZE], at[COLUMNS];
	int n = ksnprintf(at, sizeof(at), "at: %pS%s", (void *)h->site,
			  h->waits ? ", waits" : "");

	lockdep_class_name(h->class, name);
	if (!h->lock) /* locks that share an entry */
		kprintf("%u lock%s ", h->more + 1u, h->more ? "s" : "");
	else
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
	if (t->cut)
		kprintf("    (more frames, not recorded)\n");
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
	unsigned int n = f->nr_held;

	for (unsigned int i = 0; i < f->nr_held; i++)
		n += f->held[i].more;
	kprintf("\n%u lock%s held by %s/%u:\n", n, n == 1 ? "" : "s", f->comm,
		f->thread);
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

/* ---- order --------------------------------------------------------------- */

static void print_circular(const struct finding *f)
{
	print_title(f, "possible circular locking dependency detected");
	print_trying(f);
	kprintf("\nwhich lock already depends on the new lock.\n\n");
	kprintf("the existing dependency chain (in reverse order) is:\n");
	for (unsigned int i = f->path.n; i > 0; i--) {
		const struct dep_edge *e =
			&lockdep_graph.edge[f->path.edge[i - 1]];
		unsigned int number;
		bool gap;

		number = lockdep_link_number(f, i, &gap);
		if (gap)
			kprintf("\n-> (%u more)\n", f->path.more);
		kprintf("\n-> #%u ", number);
		print_class(e->to);
		kprintf(":\n");
		print_trace(&e->trace);
	}
	kprintf("\n-> #0 ");
	print_class(f->next.class);
	kprintf(":\n");
	print_trace(&f->trace);
	kprintf("\nother info that might help us debug this:\n\n");
	lockdep_print_cycle(f);
}

static void print_recursive(const struct finding *f)
{
	print_title(f, "possible recursive locking detected");
	print_trying(f);
	kprintf("\nother info that might help us debug this:\n");
	lockdep_print_recursion(f);
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

static const char *state_name(const struct finding *f, bool safe)
{
	if (lockdep_is_about_calls(f))
		return irq_name(safe ? TAKEN_IRQS_OFF : HELD_IN_CALL);
	return safe ? "HARDIRQ-safe" : "HARDIRQ-unsafe";
}

static void print_irq_order(const struct finding *f)
{
	bool calls = lockdep_is_about_calls(f);

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
	lockdep_print_irq_scenario(f, f->next.class);
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
	lockdep_print_irq_scenario(f, f->unsafe);
}

/* Did the thread hold the finding's lock before this step? (No, if lockdep learns
 * the lock again after a reset. Then the stack begins where it was taken.) */
static bool holds_next(const struct finding *f)
{
	for (unsigned int i = 0;
	     i < f->nr_held && f->trace.pc[0] != f->next.site; i++)
		if (f->held[i].lock == f->next.lock &&
		    f->held[i].site == f->next.site)
			return true;
	return false;
}

static void print_inconsistent(const struct finding *f)
{
	unsigned int now = f->new_use;
	unsigned int was = now == f->safe_use ? f->unsafe_use : f->safe_use;

	print_title(f, "inconsistent lock state");
	kprintf("inconsistent {%s} -> {%s} usage.\n", irq_name(was),
		irq_name(now));
	kprintf("%s/%u%s%s:\n", f->comm, f->thread,
		f->in_irq ? ", in an interrupt," : "",
		now == HELD_IN_CALL ? " calls other cores and holds" :
		holds_next(f)	    ? " turns interrupts on and holds" :
				      " takes");
	print_lock(&f->next, 0);
	kprintf("\n{%s} state was registered at:\n", irq_name(was));
	if (was < NR_USES)
		print_trace(&lockdep_classes[f->safe].used[was]);
	kprintf("\nother info that might help us debug this:\n");
	if (lockdep_is_about_calls(f)) {
		lockdep_print_call_scenario(f, f->safe);
		return;
	}
	lockdep_print_inconsistent_scenario(f);
}

/* ---- the others ---------------------------------------------------------- */

static void print_unbalanced(const struct finding *f)
{
	char name[NAME_SIZE];

	print_title(f, "bad unlock balance detected!");
	kprintf("%s/%u is trying to release lock (%s) at:\n", f->comm,
		f->thread,
		f->what ? f->what : lockdep_class_name(f->next.class, name));
	print_trace(&f->trace);
	if (f->what) {
		kprintf(strcmp(f->what, "preempt_disable") == 0 ?
				"but preemption is on\n" :
				"but no reader is open in this context\n");
		return;
	}
	if (f->prev.lock)
		kprintf("but it was taken %s an interrupt\n",
			f->in_irq ? "outside of" : "in");
	else
		kprintf("but %s\n", f->nr_held ? "it does not hold it" :
						 "there are no more locks to "
						 "release!");
}

/* Print what ends: "keeper/17: the thread ends ", or, with the name of a
 * function, "main/1: a timer's function returns: f+0x0,". */
static void print_what_ends(const struct finding *f)
{
	kprintf("%s/%u: %s", f->comm, f->thread, f->what);
	if (f->site)
		kprintf(":\n%pS,\n", (void *)f->site);
	else
		kprintf(" ");
}

static void print_held_at_end(const struct finding *f)
{
	print_title(f, "still has locks held!");
	print_what_ends(f);
	kprintf("with this lock held:\n");
	print_lock(&f->next, 0);
}

static void print_left(const struct finding *f)
{
	print_title(f, "context does not leave things as it found them!");
	print_what_ends(f);
	if (f->left == LEFT_READER)
		kprintf("in an RCU reader\nthat began at %pS\n",
			(void *)f->reader);
	else if (f->left == LEFT_COUNT)
		kprintf("with preempt_count %d; it was %d\n", f->preempt_count,
			f->was_count);
	else
		kprintf("with interrupts %s\n", f->left == LEFT_IRQS_ON ?
							"on; they were off" :
							"off; they were on");
}

static void print_held_freed(const struct finding *f)
{
	print_title(f, "held lock freed!");
	kprintf("%s/%u %s:\n", f->comm, f->thread, f->what);
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
	if (f->prev.lock) {
		kprintf("with this spinlock held:\n");
		print_lock(&f->prev, 0);
	}
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
	bool is_held = f->next.lock != NULL;

	static const char *const how[] = {
		[HELD_ANYHOW] = "",
		[HELD_FOR_READING] = " for reading",
		[HELD_FOR_WRITING] = " for writing",
	};

	print_title(f, is_held ? "lock held where it must not be" :
				 "lock not held where it is required");
	kprintf("%pS needs (%s) %sto be held%s,\n", (void *)f->trace.pc[0],
		f->what, is_held ? "not " : "", how[f->held_how]);
	kprintf("called from %pS,\nand %s/%u %s\n", (void *)f->site, f->comm,
		f->thread,
		is_held	     ? "holds it" :
		f->prev.lock ? "holds it, but not in this way" :
			       "does not hold it");
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
		[LOCKDEP_LEFT] = print_left,
	};

	print[f->kind](f);
	print_tail(f);
}

/* Is the finding about two locks, one that is held and one that is wanted? */
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
	uint32_t removals = READ_ONCE(lockdep_removals) - f->removals;
	bool is_reset = READ_ONCE(lockdep_resets) - f->epoch != removals;

	/* A finding names its classes and edges by number. After a reset these
	 * numbers belong to other classes and edges, so the finding is not
	 * printed. If only keys were unregistered, the finding is printed,
	 * unless lockdep_named() differs: then one of its classes is gone. */
	if (!is_reset && removals && lockdep_named(f) != f->named) {
		if (!READ_ONCE(quiet))
			kprintf("lockdep: %s: %s, about a key that is gone\n",
				lockdep_kind_name(f->kind), f->comm);
	} else if (!is_reset) {
		last = *f;
		last.epoch = READ_ONCE(lockdep_resets);
		lockdep_reports += !READ_ONCE(quiet);
		if (!READ_ONCE(quiet) && READ_ONCE(brief))
			print_brief(f);
		else if (!READ_ONCE(quiet))
			print_finding(f);
	}
	report_end(flags);
	if (READ_ONCE(lockdep_nr_findings) == LOCKDEP_FINDINGS)
		lockdep_full("findings", "LOCKDEP_FINDINGS", LOCKDEP_FINDINGS,
			     "further ones are counted, not printed");
}

void lockdep_forget_last(void)
{
	last.epoch = lockdep_resets - 1;
}

/* Is there a report that can be printed again? */
static bool have_last(void)
{
	return lockdep_nr_findings && last.epoch == lockdep_resets;
}

void print_held_locks(const struct thread *t)
{
	unsigned int n =
		min(READ_ONCE(t->lockdep.depth), (unsigned int)MAX_HELD);
	char name[NAME_SIZE];

	for (unsigned int i = 0; i < n; i++) {
		const struct held_lock *h = &t->lockdep.held[i];

		kprintf("  %s %s, %s at %pS\n", h->waits ? "wants" : "holds",
			lockdep_class_name(h->class % DEP_NODES, name),
			h->waits ? "asked for" : "taken", (void *)h->site);
	}
}

bool lockdep_print_last(void)
{
	uint32_t flags = report_begin();
	bool any = have_last();

	if (any)
		print_finding(&last);
	report_end(flags);
	return any;
}

bool lockdep_last_pair(const char **wanted, const char **held)
{
	uint32_t flags = report_begin();
	bool is = have_last() && about_two_locks(&last);

	if (is) {
		*wanted = lockdep_classes[last.next.class].name;
		*held = lockdep_classes[last.prev.class].name;
	}
	report_end(flags);
	return is;
}

#endif
