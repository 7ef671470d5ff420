/*
 * The right to use the stage, and a knot that stays there until it is cut.
 *
 * demo_mutex: one experiment at a time; it guards the stage and everything that
 * the runner and the explorer own. `held`, also guarded by demo_mutex, says that
 * the last round of `demo ID hold` ended in a knot that has not been cut.
 */
#include "lab/command.h"

#include "lab/stage.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"

static DEFINE_MUTEX(demo_mutex);
static bool held;

bool stage_claim(const char *command)
{
	if (mutex_lock_interruptible(&demo_mutex))
		return false;
	if (!held)
		return true;
	mutex_unlock(&demo_mutex);
	kprintf("%s: a knot is held: cut it first (cut)\n", command);
	return false;
}

void stage_release(void)
{
	if (!held)
		stage_restore_cores();
	mutex_unlock(&demo_mutex);
}

void hold_knot(void)
{
	held = true;
}

bool knot_is_held(void)
{
	return held;
}

/* Cut the knot, and close the stage. Returns whether the state afterwards is the state
 * before. */
static bool cut_and_close(void)
{
	struct stage *st = &the_stage;
	bool clean;

	held = false;
	lockdep_quiet(
		true); /* the knot's report has been printed, or is not wanted */
	clean = end_round(st, watch_round(st, warn_count), false);
	lockdep_quiet(false);
	replace_dead_workers(st);
	clean &= state_is_as_before(false);
	stage_close(st);
	lockdep_mark(); /* the findings stay for the command `lockdep` */
	stage_restore_cores();
	return clean;
}

int cut_held_knot(void)
{
	int status = 1;

	if (mutex_lock_interruptible(&demo_mutex))
		return 1;
	if (held)
		status = cut_and_close() ? 0 : 1;
	else
		kprintf("cut: no knot is held (demo e2 hold ties one)\n");
	mutex_unlock(&demo_mutex);
	return status;
}
