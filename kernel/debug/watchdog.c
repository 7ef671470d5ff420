/*
 * The watchdog thread. See watchdog.h.
 *
 * `reported` remembers the waits already told (thread and since when), so each
 * is told once. Written by the watchdog thread alone; muted is atomic.
 */
#include "kernel/debug/watchdog.h"

#include "drivers/board.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/waitfor.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define REPORTED_MAX 16

uint64_t watchdog_hung_ns = 2000000000ull;
unsigned int watchdog_reports;
static unsigned int muted;

static struct {
	uint32_t id;
	uint64_t since;
} reported[REPORTED_MAX];
static unsigned int reported_next;

static bool told(uint32_t id, uint64_t since)
{
	for (unsigned int i = 0; i < REPORTED_MAX; i++)
		if (reported[i].id == id && reported[i].since == since)
			return true;
	return false;
}

static void remember(const struct waitfor *w)
{
	for (unsigned int i = 0; i < w->n; i++) {
		const struct waitfor_link *l = &w->link[i];

		if (told(l->id, l->waiting.since))
			continue;
		reported[reported_next].id = l->id;
		reported[reported_next].since = l->waiting.since;
		reported_next = (reported_next + 1) % REPORTED_MAX;
	}
}

struct look {
	uint32_t ids[8]; /* threads that have waited for a while */
	uint64_t waited[8];
	unsigned int n;
	uint64_t now;
};

static void collect(struct thread *t, void *arg)
{
	struct look *look = arg;
	uint64_t since = t->waiting.since;

	if (look->n == ARRAY_SIZE(look->ids) || !waits_for_event(t))
		return;
	if (look->now < since || told(t->id, since))
		return;
	if (timer_ns(look->now - since) < WATCHDOG_LOOK_NS)
		return;
	look->ids[look->n] = t->id;
	look->waited[look->n] = timer_ns(look->now - since);
	look->n++;
}

/* Does the last of the chain wait as well? Else it runs, and will end it. */
static bool ends_waiting(const struct waitfor *w)
{
	const struct waitfor_link *l = w->n ? &w->link[w->n - 1] : NULL;

	return l && (l->waiting.kind != WAIT_NONE || l->bug);
}

static void look_around(void)
{
	/* Static: large, and only this thread comes here. */
	static struct waitfor w;
	struct look look = { .now = timer_now() };

	threads_for_each(collect, &look);
	for (unsigned int i = 0; i < look.n; i++) {
		struct thread *t = thread_find(look.ids[i]);

		if (!t)
			continue;
		if (waitfor_walk(t, &w) ||
		    (look.waited[i] > watchdog_hung_ns && ends_waiting(&w))) {
			if (w.n &&
			    !told(w.link[0].id, w.link[0].waiting.since)) {
				kprintf("watchdog: %s hangs\n", w.link[0].name);
				waitfor_report(&w);
				remember(&w);
				watchdog_reports++;
			}
		}
		thread_put(t);
	}
}

static int watchdog_thread(void *arg)
{
	(void)arg;
	for (;;) {
		sleep_ns(WATCHDOG_LOOK_NS);
		if (!READ_ONCE(muted))
			look_around();
	}
	return 0;
}

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
}
