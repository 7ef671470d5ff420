/*
 * The line that says how far a search is.
 *
 * Owns `progress`, guarded by demo_mutex. In the runner's thread.
 */
#include "lab/explore/progress.h"

#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

static struct {
	bool on, shown;
	uint64_t begun, last; /* counter ticks */
} progress;

void progress_begin(bool wanted)
{
	progress.on = wanted && console_is_watched();
	progress.shown = false;
	progress.begun = progress.last = timer_now();
}

bool progress_is_on(void)
{
	return progress.on;
}

bool progress_is_due(uint64_t *ms)
{
	uint64_t now = timer_now();

	if (!progress.on || now - progress.last < timer_ticks(1000000000ull))
		return false;
	progress.last = now;
	*ms = timer_ns(now - progress.begun) / 1000000;
	kprintf("\r\033[K");
	progress.shown = true;
	return true;
}

void progress_clear(void)
{
	if (progress.shown)
		kprintf("\r\033[K");
	progress.shown = false;
}
#endif
