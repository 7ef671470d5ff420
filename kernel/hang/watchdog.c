/*
 * The watchdog thread. watchdog.h says what it is for.
 *
 * `told` of a thread says which of its waits was reported last, so that each
 * wait is reported once. The watchdog thread alone writes `told`. `muted` is
 * atomic.
 */
#include "kernel/hang/watchdog.h"

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/panic.h"
#include "kernel/hang/waitfor.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/wait.h"

#define SETTLE_NS 1000000ull

uint64_t watchdog_hung_ns = 2000000000ull;
unsigned int watchdog_reports;
static unsigned int muted;

/* Ids of threads that may just have closed a cycle; 0: none. Atomic. */
static uint32_t suspects[8];
static struct wait_queue wake = WAIT_QUEUE_INIT(wake, "a suspicion");

/* Does the chain end in a wait that is too long, or in a thread that a BUG
 * ended? Otherwise the last thread of the chain runs and will end the wait. A
 * running last thread counts as a hang in one case: it is a reader, and a grace
 * period has waited for it too long. */
static bool ends_in_hang(const struct waitfor *w)
{
	const struct waitfor_link *l = &w->link[w->n - 1];

	if (w->n > 1 && l[-1].waiting.ops == &readers_wait)
		l--;
	return l->bug ||
	       (l->waiting.ops &&
		timer_ns(timer_now() - l->waiting.since) > watchdog_hung_ns);
}

/* Report t if it is in a cycle or has waited too long. Waits shorter than
 * least_ns are ignored. */
static void report_if_hung(struct thread *t, uint64_t least_ns)
{
	/* Static, because it is large. Only the watchdog thread comes here. */
	static struct waitfor w;
	struct waiting now = waits_for(t);
	uint64_t ns = timer_ns(timer_now() - now.since);

	if (READ_ONCE(muted) || !now.ops || now.ops == &readers_wait ||
	    ns < least_ns || t->told == now.since)
		return;
	if (!waitfor_cycle(t, &w)) {
		if (ns <= watchdog_hung_ns)
			return;
		waitfor_walk(t, &w);
		if (!ends_in_hang(&w))
			return;
	}
	kprintf("watchdog: %s hangs\n", w.link[0].name);
	waitfor_report(&w);
	/* Mark the threads of the walk. If one of them has ended meanwhile, its
	 * memory may belong to a new thread. Then the new thread is marked,
	 * which does no harm. */
	for (unsigned int i = 0; i < w.n; i++)
		w.link[i].thread->told = w.link[i].waiting.since;
	watchdog_reports++;
}

static bool any_suspect(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(suspects); i++)
		if (READ_ONCE(suspects[i]))
			return true;
	return false;
}

static void check_suspects(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(suspects); i++) {
		/* Free the slot before the look, so that the thread can be
		 * noted again. Relaxed: the id is used by itself. */
		uint32_t id =
			__atomic_exchange_n(&suspects[i], 0, __ATOMIC_RELAXED);
		struct thread *t = id ? thread_find(id) : NULL;

		if (!t)
			continue;
		report_if_hung(t, 0);
		thread_put(t);
	}
}

static int watchdog_thread(void *arg maybe_unused)
{
	uint64_t next = 0, now;
	struct thread *t;

	for (;;) {
		now = timer_now();
		if (now >= next) {
			for_each_thread (t)
				report_if_hung(t, WATCHDOG_LOOK_NS);
			next = timer_now() + timer_ticks(WATCHDOG_LOOK_NS);
			board_ops->heartbeat();
		} else if (wait_event_timeout(&wake, &idle_wait, any_suspect(),
					      timer_ns(next - now))) {
			/* Until then the suspect has left its core. */
			sleep_ns(SETTLE_NS);
			check_suspects();
		}
	}
	return 0;
}

#if GORDIAN_DEBUG
/* Called when current is about to block. If this wait may close a cycle, note
 * the thread and wake the watchdog. (If there is no room for the note, the next
 * regular look finds the cycle.) */
static void watchdog_suspect(void)
{
	if (READ_ONCE(muted) || !waitfor_suspicious(current))
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(suspects); i++) {
		uint32_t none = 0;

		/* Relaxed: the wake-up orders the store. */
		if (__atomic_compare_exchange_n(
			    &suspects[i], &none, current->id, false,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			wake_up(&wake);
			return;
		}
	}
}
#endif

void watchdog_mute(bool on)
{
	/* Relaxed: the watchdog may look once more or less. */
	__atomic_fetch_add(&muted, on ? 1 : -1u, __ATOMIC_RELAXED);
}

void watchdog_init(void)
{
	struct thread *t = thread_create("watchdog", watchdog_thread, NULL,
					 PRIO_HIGH, CPUMASK_ALL);

	BUG_ON(!t);
	thread_put(t);
#if GORDIAN_DEBUG
	sched_hooks.blocks = watchdog_suspect;
#endif
}
