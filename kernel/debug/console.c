/*
 * The console: whole messages, one core at a time, and never a hang.
 *
 * The lock is a word: the core that holds it, plus one. If that core prints
 * again (a fault in the middle of a message), it writes at once. A pseudo-NMI
 * in the middle of a message waits for its end (console_defers()). A core waits
 * for the lock as long as other cores still print. If no message comes out for
 * WAIT_LIMIT_NS, it writes without the lock: a report about a hang must not
 * hang itself.
 *
 * Any context, also FIQ and before the interrupt controller is up.
 */
#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/internal.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define WAIT_LIMIT_NS 500000000ull

bool console_hushed;
static uint32_t owner;	       /* core + 1; 0: free; atomic */
static uint32_t messages;      /* begun so far; the owner writes */
static bool deferred[NR_CPUS]; /* a pseudo-NMI waits; each core's own */

/* True if this call took the lock: then the caller must release it. */
static bool console_lock(void)
{
	uint32_t me = smp_processor_id() + 1, free = 0, seen = 0;
	uint64_t end = 0;

	/* Acquire: pairs with the release in console_unlock(). */
	while (!__atomic_compare_exchange_n(
		&owner, &free, me, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		if (free == me)
			return false;
		if (!end || READ_ONCE(messages) != seen) {
			seen = READ_ONCE(messages);
			end = timer_now() + timer_ticks(WAIT_LIMIT_NS);
		} else if (timer_now() > end) {
			return false;
		}
		free = 0;
		cpu_relax();
	}
	return true;
}

static void console_unlock(void)
{
	bool *wanted = &deferred[smp_processor_id()];

	smp_store_release(&owner, 0); /* pairs with console_lock() */
	if (unlikely(READ_ONCE(*wanted))) {
		WRITE_ONCE(*wanted, false);
		fiq_report(NULL);
	}
}

bool console_defers(void)
{
	unsigned int cpu = smp_processor_id();

	if (READ_ONCE(owner) != cpu + 1)
		return false;
	WRITE_ONCE(deferred[cpu], true);
	return true;
}

void console_thread_died(void)
{
	if (READ_ONCE(owner) == smp_processor_id() + 1)
		console_unlock();
}

void console_write(const char *s, size_t len)
{
	uint32_t flags = local_irq_save();
	bool taken = console_lock();

	WRITE_ONCE(messages, messages + 1);
	if (uart && !READ_ONCE(console_hushed))
		for (size_t i = 0; i < len; i++)
			uart->putc(s[i]);
	if (taken)
		console_unlock();
	local_irq_restore(flags);
}

uint32_t report_begin(void)
{
	uint32_t flags = local_irq_save() & 0xff; /* bit 31 is ours */

	return console_lock() ? flags | 1u << 31 : flags;
}

void report_end(uint32_t flags)
{
	if (flags & 1u << 31)
		console_unlock();
	local_irq_restore(flags & ~(1u << 31));
}

void kvprintf(const char *fmt, va_list ap)
{
	char buf[512];
	int n = kvsnprintf(buf, sizeof(buf), fmt, ap);

	console_write(buf, min((size_t)n, sizeof(buf) - 1));
}

void kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
}
