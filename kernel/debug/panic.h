/*
 * Failure reports: panic, BUG_ON, WARN_ON, exceptions, backtraces, symbols.
 *
 * Guarded by the report lock (kernel/debug/panic.c): one core reports at a time,
 * a core that fails while it reports goes on without waiting for itself.
 * Everything here may be called from any context, also from FIQ.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/arch.h"
#include "kernel/lib/symbols.h"

struct thread;

noreturn void panic(const char *fmt, ...) printf_like(1, 2);

/* Another core panics: this one prints where it is and halts. regs: of the code
 * that IPI_STOP has interrupted. */
noreturn void panic_stop_core(const struct regs *regs);

/*
 * What higher floors add to a report. start_kernel() sets it before anything can
 * fail; until then nothing is added.
 */
struct panic_hooks {
	/* Print the locks that t holds, a line each. */
	void (*print_locks)(const struct thread *t);
	/* End the current thread, whose BUG ends it. Does not return. */
	noreturn void (*bug_exit)(void);
};
extern struct panic_hooks panic_hooks;

/* Behind the macros; caller: of the function that holds the macro. */
void bug_at(const char *cond, const char *file, int line, uintptr_t caller);
void warn_at(const char *cond, const char *file, int line, uintptr_t caller);

/*
 * Always a panic, except in a thread that allows it (thread->bug_ends_me, set
 * by its creator): there the report is printed and the thread ends.
 */
#define BUG_ON(c)                                                              \
	do {                                                                   \
		if (unlikely(c))                                               \
			bug_at(#c, __FILE__, __LINE__, CALLER);                \
	} while (0)

/* Report and go on; evaluates to the condition. */
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

/* Number of WARN_ON reports since boot; who called what warned last. */
extern unsigned int warn_count;
extern uintptr_t warn_caller;

/* Return addresses, innermost first; at most max. Returns how many. */
unsigned int backtrace_here(uintptr_t *pc, unsigned int max);
/* The same from the caller of a function on, of which this is the frame; debug
 * builds have frames. */
unsigned int backtrace_frame(const void *frame, uintptr_t *pc,
			     unsigned int max);
/* One "    symbol+0xoff" line each: of return addresses, of a context. */
void print_backtrace(const uintptr_t *pc, unsigned int n);
void print_backtrace_regs(const struct regs *regs);
void dump_stack(void);
/* Of a thread that has left its core, or only where it runs. running: it is the
 * current thread of its core. */
void dump_thread_stack(const struct thread *t, bool running);
void print_regs(const struct regs *regs);

/* From the vectors. kind: "data abort" and so on are decided inside. */
enum exception { EXC_UNDEF, EXC_SVC, EXC_PREFETCH, EXC_DATA, EXC_HYP };
void exception_entry(struct regs *regs, enum exception kind);
/* FIQ: the pseudo-NMI. Prints where this core is. */
void fiq_entry(struct regs *regs);
void fiq_report(struct regs *regs); /* acknowledged already */

/* Ask every other core (or one) for its backtrace, also with IRQs off. */
void backtrace_all_cores(void);

/* Report bracket: between these, this core alone writes; nests. */
uint32_t report_begin(void);
/* Drop what is printed, for who runs something many times; a panic ends it. */
extern bool console_hushed;
void report_end(uint32_t flags);
