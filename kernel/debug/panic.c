/*
 * Panic, BUG_ON, WARN_ON, and the report that each core gives on request. See
 * panic.h.
 *
 * `depth` is each core's own: it counts failures inside a failure's report. The
 * other words are atomic.
 */
#include "kernel/debug/panic.h"

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/internal.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define PANIC_STATUS 101 /* exit status of a machine that panicked */
#define ANSWER_NS    1000000000ull
#define REPORTS_NS   5000000000ull /* for the reports of other cores */

unsigned int warn_count;
uintptr_t warn_caller;
static unsigned int depth[NR_CPUS];
static uint32_t panicking; /* the core that ends the machine, plus one; 0: none */
static uint32_t nmi_answers; /* a bit for each core that has answered */
static uint32_t reporting;   /* how many cores have a report to finish */

static void print_no_locks(const struct thread *t maybe_unused)
{
}

struct panic_hooks panic_hooks = { print_no_locks, panic_end };

void print_where(void)
{
	const struct thread *t = current;

	kprintf("  on core %u, in thread %u (%s)%s\n", smp_processor_id(),
		t->id, t->name, t->irq_depth ? ", in an interrupt" : "");
}

/* Make all other cores print where they are; returns those that did not. */
static struct cpumask ask_others(enum ipi ipi)
{
	struct cpumask left =
		cpumask_andnot(cpu_online(), cpumask_of(smp_processor_id()));
	uint64_t end = timer_now() + timer_ticks(ANSWER_NS);

	if (cpumask_empty(left))
		return left;
	__atomic_store_n(&nmi_answers, 0, __ATOMIC_SEQ_CST);
	irqchip->send_ipi(left, ipi);
	do {
		cpu_relax();
		left.bits &= ~__atomic_load_n(&nmi_answers, __ATOMIC_SEQ_CST);
	} while (!cpumask_empty(left) && timer_now() < end);
	return left;
}

/* After its report each failing core comes here. One of them ends the machine,
 * after the others have finished their reports; the others halt. */
noreturn void panic_end(void)
{
	uint32_t me = smp_processor_id() + 1, winner = 0;
	uint64_t end = timer_now() + timer_ticks(REPORTS_NS);

	/* Seq_cst: the core that stores its number first ends the machine. */
	if (!__atomic_compare_exchange_n(&panicking, &winner, me, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (winner == me) /* it failed again while ending the machine */
			machine_exit(PANIC_STATUS);
		__atomic_fetch_sub(&reporting, 1, __ATOMIC_SEQ_CST);
		machine_halt();
	}
	__atomic_fetch_sub(&reporting, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&reporting, __ATOMIC_SEQ_CST) &&
	       timer_now() < end)
		cpu_relax();
	if (irqchip)
		ask_others(irqchip->has_nmi ? IPI_NMI : IPI_STOP);
	kprintf("the machine stops here\n");
	machine_give_up(PANIC_STATUS);
}

/* A failure begins. False if this core is already reporting one. */
bool panic_enter(const char *what)
{
	unsigned int cpu = smp_processor_id();

	local_irq_disable();
	WRITE_ONCE(console_hushed, false);
	if (++depth[cpu] == 1) {
		__atomic_fetch_add(&reporting, 1, __ATOMIC_SEQ_CST);
		return true;
	}
	if (depth[cpu] == 2)
		kprintf("(core %u failed again while reporting: %s)\n", cpu,
			what);
	if (depth[cpu] > 2)
		machine_halt();
	return false;
}

noreturn void panic(const char *fmt, ...)
{
	if (panic_enter("panic")) {
		uint32_t flags = report_begin();
		va_list ap;

		kprintf("\npanic: ");
		va_start(ap, fmt);
		kvprintf(fmt, ap);
		va_end(ap);
		kprintf("\n");
		print_where();
		panic_hooks.print_locks(current);
		dump_stack();
		report_end(flags);
	}
	panic_end();
}

void bug_at(const char *cond, const char *file, int line, uintptr_t caller)
{
	struct thread *t = current;
	uintptr_t site = CALLER;
	bool ends_thread = t->bug_ends_me && !t->irq_depth;
	uint32_t flags;

	if (!ends_thread && !panic_enter(cond))
		panic_end();
	flags = report_begin();
	kprintf("\nBUG: %s at %s:%d\n", cond, file, line);
	kprintf("  in %pS, called from %pS\n", (void *)site, (void *)caller);
	print_where();
	panic_hooks.print_locks(t);
	dump_stack();
	report_end(flags);
	if (!ends_thread)
		panic_end();
	t->bug_site = site;
	t->bug_caller = caller;
	WRITE_ONCE(t->bug, cond);
	local_irq_disable();
	console_thread_died();
	panic_hooks.bug_exit();
}

void warn_at(const char *cond, const char *file, int line, uintptr_t caller)
{
	uint32_t flags = report_begin();

	/* Relaxed: a count. */
	__atomic_fetch_add(&warn_count, 1, __ATOMIC_RELAXED);
	warn_caller = caller;
	kprintf("\nWARNING: %s at %s:%d\n", cond, file, line);
	kprintf("  in %pS, called from %pS\n", (void *)CALLER, (void *)caller);
	print_where();
	dump_stack();
	report_end(flags);
}

/* ---- other cores --------------------------------------------------------- */

static void note_answer(void)
{
	/* Seq_cst: pairs with the load in ask_others(). */
	__atomic_fetch_or(&nmi_answers, 1u << smp_processor_id(),
			  __ATOMIC_SEQ_CST);
}

static void print_this_core(const struct regs *regs)
{
	uint32_t flags = report_begin();

	kprintf("core %u: thread %u (%s)%s\n", smp_processor_id(), current->id,
		current->name,
		regs && (regs->cpsr & PSR_I) ? ", interrupts off" : "");
	if (regs)
		print_backtrace_regs(regs);
	else
		dump_stack();
	report_end(flags);
	note_answer();
}

noreturn void panic_stop_core(const struct regs *regs)
{
	print_this_core(regs);
	machine_halt();
}

void fiq_report(struct regs *regs)
{
	if (depth[smp_processor_id()]) { /* it has its own report to finish */
		note_answer();
		return;
	}
	if (console_defers())
		return;
	print_this_core(regs);
	if (READ_ONCE(panicking))
		machine_halt();
}

void fiq_entry(struct regs *regs)
{
	if (irqchip->fiq())
		fiq_report(regs);
}

void backtrace_all_cores(void)
{
	unsigned int cpu;

	if (!irqchip->has_nmi) {
		kprintf("%s has no pseudo-NMI: a core with interrupts off "
			"cannot answer\n",
			irqchip->name);
		return;
	}
	for_each_cpu (cpu, ask_others(IPI_NMI))
		kprintf("core %u: no answer\n", cpu);
}
