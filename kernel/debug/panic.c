/*
 * Panic, BUG_ON, WARN_ON, and the report that each core gives on request. See
 * panic.h.
 *
 * `depth` is each core's own. It counts the core's failures: the second failure
 * comes inside the report of the first. `warn_caller` is that of
 * one of the last warnings. The other variables are atomic.
 */
#include "kernel/debug/panic.h"

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/internal.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define PANIC_STATUS 101	   /* exit status of a machine that panicked */
#define ANSWER_NS    1000000000ull /* without a message: a try ends */
#define TRIES	     2
#define DEPTH_MAX    8
#define REPORTS_NS   5000000000ull /* for the reports of other cores, in all */

unsigned int warn_count;
uintptr_t warn_caller;
static unsigned int depth[NR_CPUS];
static uint32_t panicking; /* the core that ends the machine, plus one; 0: none */
static uint32_t reporting; /* how many cores have a report to finish */
static uint32_t stopped;   /* a bit for each core that has printed and halted */
static uint32_t answers[NR_CPUS]; /* how many each core has given */

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

/* This core has printed its last line. */
static noreturn void stop_here(void)
{
	/* Seq_cst: pairs with the load in wait_for_answers(). */
	__atomic_fetch_or(&stopped, 1u << smp_processor_id(), __ATOMIC_SEQ_CST);
	machine_halt();
}

/* Wait for the answers of these cores, as long as messages come out; returns
 * the cores without an answer. before: answers[] of the cores when they were
 * asked. */
static struct cpumask wait_for_answers(struct cpumask left,
				       const uint32_t *before)
{
	uint64_t now = timer_now(), end = now + timer_ticks(ANSWER_NS);
	uint64_t limit = now + timer_ticks(REPORTS_NS);
	uint32_t seen = console_messages();
	unsigned int cpu;

	do {
		cpu_relax();
		now = timer_now();
		if (console_messages() != seen) {
			seen = console_messages();
			end = now + timer_ticks(ANSWER_NS);
		}
		/* Seq_cst: pairs with stop_here() and note_answer(). */
		left.bits &= ~__atomic_load_n(&stopped, __ATOMIC_SEQ_CST);
		for_each_cpu (cpu, left)
			if (__atomic_load_n(&answers[cpu], __ATOMIC_SEQ_CST) !=
			    before[cpu])
				left = cpumask_andnot(left, cpumask_of(cpu));
	} while (!cpumask_empty(left) && now < end && now < limit);
	return left;
}

/*
 * Make all other cores print where they are. Returns the cores that did not. A
 * core without an answer is asked again, in case a message of its own hangs
 * (console_defers()). Each core counts its answers, so two cores can ask at the
 * same time.
 */
static struct cpumask ask_others(enum ipi ipi)
{
	uint32_t flags = raw_local_irq_save(); /* this core is not asked */
	struct cpumask left =
		cpumask_andnot(cpu_online(), cpumask_of(smp_processor_id()));
	uint32_t before[NR_CPUS];
	unsigned int cpu;

	for_each_cpu (cpu, left)
		before[cpu] = __atomic_load_n(&answers[cpu], __ATOMIC_SEQ_CST);
	raw_local_irq_restore(flags);
	for (unsigned int i = 0; i < TRIES && !cpumask_empty(left); i++) {
		irqchip->send_ipi(left, ipi);
		left = wait_for_answers(left, before);
	}
	return left;
}

/* Each failing core comes here after its report. One of these cores ends the
 * machine, after the others have finished their reports. The others halt. */
noreturn void panic_end(void)
{
	uint32_t me = smp_processor_id() + 1, winner = 0;
	uint64_t end = timer_now() + timer_ticks(REPORTS_NS);
	unsigned int cpu;

	console_release(); /* this failure may have interrupted a message */
	/* Seq_cst: pairs with the same operation on other failing cores. The
	 * core that stores its number first ends the machine. */
	if (!__atomic_compare_exchange_n(&panicking, &winner, me, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (winner == me) /* it failed again while ending the machine */
			machine_give_up(PANIC_STATUS);
		__atomic_fetch_sub(&reporting, 1, __ATOMIC_SEQ_CST);
		stop_here();
	}
	/* Seq_cst: pairs with the addition in panic_enter(). */
	__atomic_fetch_sub(&reporting, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&reporting, __ATOMIC_SEQ_CST) &&
	       timer_now() < end)
		cpu_relax();
	if (irqchip)
		for_each_cpu (cpu,
			      ask_others(irqchip->has_nmi ? IPI_NMI : IPI_STOP))
			kprintf("core %u: no answer\n", cpu);
	/* This report does not end: no core writes after the last line. */
	report_begin();
	kprintf("the machine stops here\n");
	machine_give_up(PANIC_STATUS);
}

bool panic_enter(const char *what)
{
	unsigned int cpu;

	raw_local_irq_disable();
	/* IRQs are off: the thread stays on this core */
	cpu = smp_processor_id();
	WRITE_ONCE(console_hushed, false);
	if (++depth[cpu] == 1) {
		/* Seq_cst: pairs with the load in panic_end(). */
		__atomic_fetch_add(&reporting, 1, __ATOMIC_SEQ_CST);
		return true;
	}
	if (depth[cpu] == 2)
		kprintf("(core %u failed again while reporting: %s)\n", cpu,
			what);
	/* From the third failure on, print nothing: perhaps the console
	 * fails. */
	if (depth[cpu] > DEPTH_MAX)
		machine_halt(); /* the end of the machine fails, too */
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
	raw_local_irq_disable();
	console_release();
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
	/* Seq_cst: pairs with the load in wait_for_answers(). */
	__atomic_fetch_add(&answers[smp_processor_id()], 1, __ATOMIC_SEQ_CST);
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
	stop_here();
}

void fiq_report(struct regs *regs)
{
	if (depth[smp_processor_id()]) { /* this core reports a failure */
		note_answer();
		return;
	}
	if (console_defers())
		return;
	print_this_core(regs);
	if (READ_ONCE(panicking))
		stop_here();
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
