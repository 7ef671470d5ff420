/*
 * Suite lockdep: locks taken in interrupts and with interrupts on, by writers and
 * by readers; locks held while other cores are called. The interrupts and the calls
 * are real.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include <string.h>

#include "kernel/cpu/smp.h"

/* clang-format off */
ROWS(interrupts,
	{ SILENT,       S|X, "x La Ua o {La Ua}" },
	{ SILENT,       S|X, "La Ua {Lb Ub}" },
	{ SILENT,       S|X, "{La Lb Ub Ua} x La Lb Ub Ua o" },
	{ CIRCULAR,     S|X, "{La Lb Ub Ua} x Lb La Ua Ub o" },
	{ INCONSISTENT, S|X, "{La Ua} La Ua" },
	{ INCONSISTENT, S|X, "{La Ua} x La Ua o La Ua" },
	{ INCONSISTENT, S|X, "La Ua {La Ua}" },
	{ INCONSISTENT|RECURSIVE, S|X, "La {LA UA} Ua" },
	{ INCONSISTENT|RECURSIVE, S|X, "{La Ua} La {LA UA} Ua" },
	{ INCONSISTENT, S|X, "Lb Ub {La Lb Ub Ua}" },
	{ IRQ_ORDER,    S|X, "{La Ua} Lb Ub x La Lb Ub Ua o" },
	{ IRQ_ORDER,    S|X, "{La Ua} Lc Uc x La Lb Ub Ua Lb Lc Uc Ub o" },
	{ IRQ_ORDER,    S|X, "{La Ua} Lc Uc x Lb Lc Uc Ub La Lb Ub Ua o" },
	{ INVERSION,    S|X, "Lb Ub x La Lb Ub Ua o {La Ua}" },
	{ INVERSION,    S|X, "{La Ua} x La Lb Ub Ua o Lb Ub" },
	{ INVERSION,    S|X, "{La Ua} x La Lb Lc Uc Ub Ua o Lc Uc" },
	{ SILENT,       S|X, "{La Ua} x Lb La Ua Ub o Lb Ub" },
	{ SILENT,       S|X, "{La Ua} x La Lb Ub Ua o" },
	{ IRQ_ORDER,    S|X, "Nb Ub {Ld Ud} Lb Ub x Ld Lb Ub Ud  Lb NB o x UB Ub o" },
	/* The interrupted thread's locks make no order with the interrupt's. */
	{ IRQ_ORDER,    S|X, "La {Lb Ub} Ua x Lb La Ua Ub o" },
	{ SILENT,       S|X, "La {Lb Ub} Ua x La Lb Ub Ua o" },
	/* After the interrupt the thread's locks count again, as before it. */
	{ CIRCULAR,     ALL, "Lc {s u} Lb Ub Uc  La {s u} Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR,     S|X, "Lc {Ld Ud} Lb Ub Uc  La {Ld Ud} Lb Ub Ua  "
			     "Lb La Ua Ub" },
	{ SILENT,       ALL, "Lc {s u} Lb Ub Uc  La {s u} Lb Ub Ua  La Lb Ub Ua" },
	/* Locks that an interrupt takes and releases do not change the chain. */
	{ CIRCULAR,     S|X, "La {Lc Uc} Lb Ub Ua  Ld {Lc Uc} Lb Ub Ud  "
			     "Lb Ld Ud Ub" },
	/* If the first lock is released first, the rest is another chain. */
	{ CIRCULAR,     S|X, "{La Tb Ua Lc Uc Ub} {La Tb Lc Uc Ub Ua}  "
			     "x Lc La Ua Uc o" },
	/* A trylock in an interrupt never waits. But after a trylock the lock is
	 * held, here with interrupts on. */
	{ SILENT,       M|S|X, "La Ua {Ta Ua}" },
	{ SILENT,       M|S|X, "La {Tb Ub} Ua" },
	{ INCONSISTENT, S|X, "{La Ua} Ta Ua" },
	{ SILENT,       S|X, "{La Ua} x Ta Ua o" },
	/* Interrupts are enabled while the lock is held: lockdep is told. What
	 * comes later does not matter. */
	{ INCONSISTENT, S|X, "{La Ua} x La o Ua" },
	{ INCONSISTENT, S|X, "{La Ua} x La o x Ua o" },
	{ INCONSISTENT, S|X, "{La Ua} Lb x La o Ub x Ua o" },
	{ INCONSISTENT, S|X, "{La Ua} x La o {Lb Ub} x Ua o" },
	{ INCONSISTENT, S|X, "{La Ua} x La Lb o x Ub Ua o" },
	{ INCONSISTENT, S|X, "{La Ua} x Lb La o x Ua Ub o" },
	{ INCONSISTENT, S|X, "x La o x Ua o {La Ua}" },
	{ INCONSISTENT, X,   "{La Ua} x Ra o x Ua o" },
	{ SILENT,       X,   "{Ra Ua} x Ra o x Ua o" },
	{ SILENT,       X,   "{Ra Ua} x Qa o x Ua o" },
	{ INVERSION,    S|X, "{La Ua} x La Lb Ub Ua o  x Lb o x Ub o" },
	{ INVERSION,    S|X, "x Lb o x Ub o  x La Lb Ub Ua o  {La Ua}" },
	{ IRQ_ORDER,    S|X, "{La Ua}  x Lb o x Ub o  x La Lb Ub Ua o" },
	{ SILENT,       S|X, "{La Ua} x La Ua o x La Lb Ub Ua o" },
	{ SILENT,       S|X, "{La Ua} Lb x La Ua o Ub" },
	/* Enabled inside a handler. */
	{ INCONSISTENT, S|X, "{La o x Ua}" },
	{ INCONSISTENT, S|X, "{Ta o x Ua} {La Ua}" },
	{ SILENT,       S|X, "{La Ua o x}" },
	{ SILENT,       S|X, "{x o x}" },
	/* The use that is wrong is no evidence: a stays safe, then unsafe. */
	{ INCONSISTENT|IRQ_ORDER, S|X,
	  "{La Ua} La Ua  Lb Ub  x La Lb Ub Ua o" },
	{ INCONSISTENT|IRQ_ORDER, S|X,
	  "La Ua {La Ua}  {Lb Ub}  x Lb La Ua Ub o" },
	{ INCONSISTENT, S|X, "La Ua {La Ua}  Lb Ub  x La Lb Ub Ua o" },
	{ INCONSISTENT, S|X, "x La o Ua {La Ua}" },
	{ INCONSISTENT, S|X, "{La Ua} x La Lb o Ub Ua" },
	/* After the interrupt the thread holds what it held before. */
	{ CIRCULAR, ALL, "{s u} Lb Ub La {s u} Lb Ub Ua  Lb La Ua Ub" })

ROWS(readers_in_interrupts,
	{ INCONSISTENT, X, "{Qa Ua} Qa Ua" },
	{ INCONSISTENT, X, "{Qa Ua} Ra Ua" },
	{ INCONSISTENT, X, "Ra Ua {Qa Ua}" },
	{ SILENT,       X, "{Ra Ua} Qa Ua" },
	{ INCONSISTENT, X, "x Rb o Ub {Rb Ub Qb Ub}" },
	{ INVERSION,    X, "{Rc Uc} Lb Ub  x La Qc Rb Ub Uc Ua o  {Ra Ua}" },
	{ SILENT,       X, "{Ra Ua} Ra Ua" },
	{ SILENT,       X, "Ra Ua {Ra Ua}" },
	{ SILENT,       X, "Ra {Ra Ua} Ua" },
	/* An interrupt's reader is a use, though the thread reads already. */
	{ INCONSISTENT, X, "Ra {Ra Ua} Ua  La Ua" },
	{ INCONSISTENT, X, "{Ra Ua} La Ua" },
	{ INCONSISTENT, X, "{La Ua} Ra Ua" },
	{ INCONSISTENT, X, "Ra Ua {La Ua}" },
	{ INCONSISTENT, X, "La Ua {Ra Ua}" },
	/* Two readers with other locks between them (Linux: exclusive_mask()). */
	{ IRQ_ORDER,    X, "{Ra Ua} Rb Ub x La Lb Ub Ua o" },
	{ SILENT,       X, "{Ra Ua} Rb Ub x Ra Lb Ub Ua o" },
	{ SILENT,       X, "{Ra Ua} Rb Ub x La Rb Ub Ua o" },
	{ SILENT,       X, "{Ra Ua} Lb Ub x Ra Lb Ub Ua o" },
	{ IRQ_ORDER,    X, "{La Ua} Rb Ub x Ra Lb Ub Ua o" },
	{ INVERSION,    X, "Rb Ub x La Lb Ub Ua o {Ra Ua}" },
	{ SILENT,       X, "Rb Ub x Ra Lb Ub Ua o {Ra Ua}" },
	{ SILENT,       X, "Rb Ub x La Rb Ub Ua o {Ra Ua}" },
	{ INVERSION,    X, "{Ra Ua} x La Lb Ub Ua o Rb Ub" },
	{ SILENT,       X, "{Ra Ua} x La Rb Ub Ua o Rb Ub" },
	{ SILENT,       X, "{Ra Ua} x Ra Lb Ub Ua o Rb Ub" })

KTEST(lockdep, calls)
{
	static const struct row rows[] = {
		{ INCONSISTENT, S|X, "La C Ua  x La Ua o" },
		{ INCONSISTENT, S|X, "x La Ua o  La C Ua" },
		{ INCONSISTENT, S|X, "x La Ua o  Ta C Ua" },
		{ SILENT,       S|X, "La C Ua  x Ta Ua o" },
		{ SILENT,       S|X, "x Ta Ua o  La C Ua" },
		{ SILENT,       S|X, "La C Ua  La Ua" },
		{ SILENT,       S|X, "La e Ua  x La Ua o" },
		{ SILENT,       S|X, "La Ua C  x La Ua o" },
		{ SILENT,       S|X, "La C Ua  x Lb Ub o" },
		/* An interrupt has interrupts off: the older rule finds it. */
		{ INCONSISTENT, S|X, "La C Ua {La Ua}" },
		/* No lock that several readers can hold is a spinlock. */
		{ SILENT,       X,   "Ra C Ua  x La Ua o" },
		{ SILENT,       X,   "La C Ua  x Ra Ua o" },
		{ INCONSISTENT|INVERSION, S|X, "x La o s C C u Ua" },
	/* An acquisition breaks one rule alone, and the other in an order. */
	{ INCONSISTENT|IRQ_ORDER, S|X, "Ld C Ud {Lc Uc} x Lc Ld Ud Uc o" },
	/* No path comes back to one of its ends. */
	{ INVERSION,    S|X, "Lc C Uc  La Lc Uc Ua  x Nc La Ua Uc o" },
	{ INVERSION|CIRCULAR, X, "Rb La C x Ub LB UB Ua o" },
	/* Through another lock. */
		{ INVERSION,    S|X, "La Lb Ub Ua  Lb C Ub  x La Ua o" },
		{ INVERSION,    S|X, "La Lb Ub Ua  x La Ua o  Lb C Ub" },
		{ IRQ_ORDER,    S|X, "x La Ua o  Lb C Ub  La Lb Ub Ua" },
		{ IRQ_ORDER,    S|X, "x La Ua o  Lc C Uc  Lb Lc Uc Ub  "
				     "La Lb Ub Ua" },
		{ SILENT,       S|X, "Lb La Ua Ub  Lb C Ub  x La Ua o" },
		/* One mistake, one finding. */
		{ INCONSISTENT, S|X, "Lb C Ub  x La Lb Ub Ua o" },
		{ INCONSISTENT, S|X, "x La Ua o  La Lb C Ub Ua" },
		/* Two mistakes with one lock, one of each rule. */
		{ INCONSISTENT|INVERSION, S|X,
		  "La Lb Ub Ua  x La Ua o  Lb C Ub  {Lc Uc}  Lc Uc" },
	};

	NEED_CORES(2);
	run_rows(rows, ARRAY_SIZE(rows));
}
/* clang-format on */

static void nothing(void *arg)
{
	(void)arg;
}

static void run(const char *steps)
{
	run_steps(steps, steps + strlen(steps));
}

/* A call that need not be answered waits for an earlier one. Here is none, but
 * there might be. */
KTEST(lockdep, call_without_waiting)
{
	NEED_CORES(2);
	ktest_run_on(ktest_first_core());
	lockdep_quiet(true);
	row_type = SPIN;
	row_begin();
	run("x La Ua o  La");
	smp_call_function_single(ktest_last_core(), nothing, NULL, false);
	run("Ua");
	row_check("a call without waiting", INCONSISTENT);
	lockdep_quiet(false);
}

/* The outer interrupt holds nothing, but the thread does. These two interrupts are
 * not real: no handler of ours is interrupted for certain. */
KTEST(lockdep, interrupt_of_interrupt)
{
	struct lockdep_context interrupt[2];

	lockdep_quiet(true);
	row_type = MAP;
	row_begin();
	run("{La Ua} La");
	for (unsigned int i = 0; i < 2; i++) {
		raw_local_irq_disable();
		lockdep_irq_enter(&interrupt[i]);
		if (i == 0)
			raw_local_irq_enable();
	}
	run("La Ua");
	for (unsigned int i = 2; i-- > 0;) {
		raw_local_irq_disable();
		lockdep_irq_exit(&interrupt[i]);
		raw_local_irq_enable();
	}
	run("Ua");
	row_check("an interrupt of an interrupt", RECURSIVE | INCONSISTENT);
	lockdep_quiet(false);
}
#endif
