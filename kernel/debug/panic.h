/*
 * Failure reports: panic, BUG_ON, WARN_ON, exceptions, backtraces.
 *
 * What it is for. Each failure prints, once, what happened, where, on which
 * core and in which thread, the locks that the thread holds, and a backtrace.
 * Then the thread or the machine ends.
 *
 * The client's duties.
 * (1) BUG_ON() for a state in which the kernel cannot go on, WARN_ON() for one
 *     in which it can, ASSERT() for a costly check of either (debug builds
 *     only).
 * (2) Print a report of several lines between report_begin() and report_end(),
 *     so that no other core writes in between.
 *
 * Consequences.
 * (a) A report never waits for ever, not even for the console: a core that
 *     hangs loses the console's lock after a bounded time (console.c).
 * (b) Two cores that fail at once print two whole reports, one after the other.
 *     A core that fails while it reports prints one more line and no more. The
 *     machine still ends.
 * (c) A panic ends the machine with status 101, after every core that can
 *     answer has printed where it is. One line names each core that cannot.
 *     The last line is "the machine stops here".
 * (d) A BUG in a thread with bug_ends_me ends that thread alone
 *     (docs/design.md, "a BUG ends the thread").
 *
 * The mechanism. A panic stops other cores by an IPI, as FIQ where the
 * controller has one (the pseudo-NMI), so that a core with IRQs off answers
 * too. A report gets data of higher floors through panic_hooks.
 *
 * Any context, also FIQ, unless a comment says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/arch.h"
#include "kernel/lib/symbols.h"

struct thread;

/* Report and end the machine. */
noreturn void panic(const char *fmt, ...) printf_like(1, 2);

/* Called by IPI_STOP, when another core panics: print where this core is, and
 * halt. regs: the registers of the interrupted code. */
noreturn void panic_stop_core(const struct regs *regs);

/*
 * Functions of higher floors that add to a report. start_kernel() sets them
 * before anything can fail; until then nothing is added.
 */
struct panic_hooks {
	/* Print the locks that t holds, a line each. */
	void (*print_locks)(const struct thread *t);
	/* End the current thread, whose BUG ends it. Does not return. */
	noreturn void (*bug_exit)(void);
};
extern struct panic_hooks panic_hooks;

/* The functions behind the macros. caller: the place that called the function
 * in which the macro stands. */
void bug_at(const char *cond, const char *file, int line, uintptr_t caller);
void warn_at(const char *cond, const char *file, int line, uintptr_t caller);

/*
 * A panic if c is true. In a thread whose creator has set bug_ends_me, the
 * report is printed and the thread ends instead.
 */
#define BUG_ON(c)                                                              \
	do {                                                                   \
		if (unlikely(c))                                               \
			bug_at(#c, __FILE__, __LINE__, CALLER);                \
	} while (0)

/* Report if c is true, and go on. The value of WARN_ON(c) is c. */
#define WARN_ON(c)                                                             \
	({                                                                     \
		bool _warn = (c);                                              \
		if (unlikely(_warn))                                           \
			warn_at(#c, __FILE__, __LINE__, CALLER);               \
		_warn;                                                         \
	})

/* Invariants that cost something: debug builds only. */
#if GORDIAN_DEBUG
#define ASSERT(c) BUG_ON(!(c))
#else
#define ASSERT(c)                                                              \
	do {                                                                   \
		(void)sizeof(!(c));                                            \
	} while (0)
#endif

/* The number of WARN_ON() reports since boot, and the caller of the function
 * that warned last. */
extern unsigned int warn_count;
extern uintptr_t warn_caller;

/* Store the return addresses of the calling function, innermost first, at most
 * max; returns how many. */
unsigned int backtrace_here(uintptr_t *pc, unsigned int max);
/* Store the return addresses from `frame` on, the frame of a function that has
 * not returned yet. Debug builds only: release builds have no frames. */
unsigned int backtrace_frame(const void *frame, uintptr_t *pc,
			     unsigned int max);
/* Each of the three prints a line " symbol+0xoffset" for each function of a
 * call chain: print_backtrace() from stored return addresses,
 * print_backtrace_regs() for interrupted code, dump_stack() for its caller. */
void print_backtrace(const uintptr_t *pc, unsigned int n);
void print_backtrace_regs(const struct regs *regs);
void dump_stack(void);
/* Print such lines for a thread that sleeps or is queued. If `running` is true,
 * t is the current thread of its core, and only this is printed. */
void dump_thread_stack(const struct thread *t, bool running);
void print_regs(const struct regs *regs);

/* From the vectors (kernel/arch/vectors.S has the same numbers). */
enum exception { EXC_UNDEF, EXC_SVC, EXC_PREFETCH, EXC_DATA, EXC_HYP };
void exception_entry(struct regs *regs, enum exception kind);
/* To be called when the vectors of this core and the console are set. From then
 * on the core takes asynchronous aborts. If an abort is pending already, it
 * comes from the firmware, or from the search for devices. It is printed, and
 * is not a failure. */
void aborts_init_core(unsigned int cpu);
void fiq_entry(struct regs *regs);
/* The pseudo-NMI has come and is acknowledged: print where this core is. regs:
 * NULL if it came a while ago, while this core was printing. */
void fiq_report(struct regs *regs);

/* Print the backtraces of all other cores, also of those with IRQs off. If the
 * interrupt controller has no pseudo-NMI, print only this fact. */
void backtrace_all_cores(void);

/* Between report_begin() and report_end() only this core prints. IRQs are off
 * in between. Such pairs nest. report_end() takes the value that report_begin()
 * returned. */
uint32_t report_begin(void);
void report_end(uint32_t flags);
/* While true, nothing is printed (for code that runs something many times); a
 * panic sets it to false. */
extern bool console_hushed;
