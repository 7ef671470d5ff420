/*
 * The console: whole messages, one core at a time, and never a hang.
 *
 * The lock is a word: the number of the core that holds it, plus one. If this
 * core prints again (a fault in the middle of a message), it writes at once. If
 * a pseudo-NMI comes in the middle of a message, its report waits for the end
 * of the message (console_defers()). A core waits for the lock as long as other
 * cores still print. If one core holds the lock for WAIT_LIMIT_NS and no
 * message comes out, a waiting core takes the lock away, because a report about
 * a hang must not hang itself.
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

/* Long, because a busy host may stop the holder's core for a while. */
#define WAIT_LIMIT_NS 5000000000ull

bool console_hushed;
static uint32_t owner;	       /* core + 1; 0: free; atomic */
static uint32_t messages;      /* begun so far; atomic, relaxed: a count */
static bool deferred[NR_CPUS]; /* a pseudo-NMI waits; each core's own */

/* Returns true if this call took the lock: then the caller must release the
 * lock. */
static bool console_lock(void)
{
	uint32_t me = smp_processor_id() + 1, expected = 0;
	uint32_t holder = 0, seen = 0;
	uint64_t end = 0;

	/* Acquire: pairs with the release in console_unlock(). */
	while (!__atomic_compare_exchange_n(&owner, &expected, me, false,
					    __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		if (expected == me)
			return false;
		if (expected != holder || console_messages() != seen) {
			holder = expected;
			seen = console_messages();
			end = timer_now() + timer_ticks(WAIT_LIMIT_NS);
		} else if (timer_now() > end) {
			continue; /* take it from `expected`, the holder */
		}
		expected = 0;
		cpu_relax();
	}
	return true;
}

static void console_unlock(void)
{
	bool *wanted = &deferred[smp_processor_id()];
	uint32_t me = smp_processor_id() + 1;

	/* Release: pairs with console_lock(). If another core has taken the
	 * lock away, that core keeps it. */
	__atomic_compare_exchange_n(&owner, &me, 0, false, __ATOMIC_RELEASE,
				    __ATOMIC_RELAXED);
	if (unlikely(READ_ONCE(*wanted))) {
		WRITE_ONCE(*wanted, false);
		fiq_report(NULL);
	}
}

uint32_t console_messages(void)
{
	return __atomic_load_n(&messages, __ATOMIC_RELAXED);
}

bool console_defers(void)
{
	unsigned int cpu = smp_processor_id();

	/* If a report is deferred already, the message has hung. So print the
	 * new report at once. */
	if (READ_ONCE(owner) != cpu + 1 || READ_ONCE(deferred[cpu]))
		return false;
	WRITE_ONCE(deferred[cpu], true);
	return true;
}

void console_release(void)
{
	if (READ_ONCE(owner) == smp_processor_id() + 1)
		console_unlock();
}

void console_write(const char *s, size_t len)
{
	uint32_t flags = raw_local_irq_save();
	bool taken = console_lock();

	__atomic_fetch_add(&messages, 1, __ATOMIC_RELAXED);
	if (uart)
		for (size_t i = 0; i < len; i++)
			uart->putc(s[i]);
	if (taken)
		console_unlock();
	raw_local_irq_restore(flags);
}

uint32_t report_begin(void)
{
	/* Bit 31 of the result says whether this call has taken the lock. */
	uint32_t flags = raw_local_irq_save() & 0xff;

	return console_lock() ? flags | 1u << 31 : flags;
}

void report_end(uint32_t flags)
{
	if (flags & 1u << 31)
		console_unlock();
	raw_local_irq_restore(flags & ~(1u << 31));
}

void kvprintf(const char *fmt, va_list ap)
{
	char buf[512];
	int n = kvsnprintf(buf, sizeof(buf), fmt, ap);

	if (!READ_ONCE(console_hushed))
		console_write(buf, min((size_t)n, sizeof(buf) - 1));
}

void kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
}
