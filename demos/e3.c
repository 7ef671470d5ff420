/*
 * E3 and its variants: one put_online_cpus() too many, and which check notices it.
 *
 * Bhat, 3 October 2012, 11:38 +0530: the drawing could happen after one
 * put_online_cpus() too many, perhaps by "the task that was about to invoke
 * kmem_cache_destroy()". The count is then -1, D's own reference makes it 0, and
 * the writer, which waits for exactly 0, gets in. If a forced round takes the core
 * up, L, a thread of its own, makes the leak; if it takes the core down, D does.
 *
 *   E3   put_online_cpus() of Linux 3.6, which does not notice
 *   E3u  the same leak, and U alone: the count never becomes 0 again. No lock is
 *        held, so there is no cycle and nothing for lockdep to find. No mail
 *        mentions this.
 *   E3a  Bhat's debug patch A (the same mail), BUG_ON(refcount < 0) in
 *        get_online_cpus(): the BUG hits D, the victim, which dies with
 *        cpu_hotplug.lock held
 *   E3b  his debug patch B (Bhat, 3 October 2012, 04:24 EST), BUG_ON(refcount == 0)
 *        in put_online_cpus(), "at the right moment": the BUG hits L, the
 *        culprit, which dies with the lock held too
 *   E3c  Morton, 3 October 2012, 14:13 -0700: BUG() is "a bit harsh"; warn, and
 *        repair the count. His sketch tests for -1 after `if (!--refcount)`,
 *        where the count is 0, so it never warns.
 *   E3d  Bhat, 4 October 2012, 11:46 +0530, merged as 075663d19885: if the count
 *        is 0 on entry, warn and add 1, then subtract 1 as usual. This is the
 *        kernel's own put_online_cpus().
 *
 * Controls: E1 for E3 (no leak), E3d for the others.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

static const struct scenario e3[] = {
	{
		.about = "refcount is -1 when D and U start",
		AFTER_A_LEAK(kmem_cache_destroy__3_6),
		AS_DRAWN,
		.world.hotplug = &hotplug_3_6_ops,
		.said.outcome = DEADLOCK | STUCK,
		.said.lockdep = CIRCULAR,
		.forced.outcome = DEADLOCK,
		.free.until_found = true,
	},
};

DEMO(03, e3, .id = "E3", .slug = "e3-leak",
     .claim = "one put_online_cpus() too many lets U in",
     .tried = { "L gives back a hotplug reference that it never took; then E1, with",
		"the put_online_cpus() of Linux 3.6, which does not notice." },
     .cores = 2, SCENARIOS(e3), .free_rounds = 20000);

/* ---- E3u ------------------------------------------------------------------ */

static int setup_leak_alone(struct stage *st)
{
	int err = setup_core(st);

	return err ? err : run_leaker(st);
}

static const struct scenario e3u[] = {
	{
		.about = "refcount is -1 when U starts; there is no D",
		U_ALONE,
		.world.hotplug = &hotplug_3_6_ops,
		.world.leaks = true,
		.world.setup = setup_leak_alone,
		.world.teardown = teardown_refs,
		.forced.order = STEPS(U(HP_WAIT, &cpu_hotplug)),
		.said.outcome = STUCK,
		.free.apart = true,
	},
};

DEMO(03u, e3u, .id = "E3u", .slug = "e3u-alone",
     .claim = "after the leak U waits for ever, without a cycle",
     .tried = { "L gives back a hotplug reference that it never took; then U runs",
		"alone: the count is -1, and U waits until it is 0." },
     .cores = 2, SCENARIOS(e3u), .free_rounds = 4);

/* ---- E3a ------------------------------------------------------------------ */

static const struct scenario e3a[] = {
	{
		.about = "debug patch A: BUG_ON(refcount < 0) in the get",
		AFTER_A_LEAK(kmem_cache_destroy__3_6),
		.world.hotplug = &hotplug_bhat_a_ops,
		/* D dies in its get. U wants the lock that the dead D holds. */
		.forced.order = STEPS(D(LOCK, &cpu_hotplug.lock),
				      U(CONTEND, &cpu_hotplug.lock)),
		/* If the core goes down, D makes the leak: before its get, D
		 * gives back a reference that it has not taken. */
		.forced.down = STEPS(D(PUT_ONLINE, &cpu_hotplug),
				     D(LOCK, &cpu_hotplug.lock),
				     U(CONTEND, &cpu_hotplug.lock)),
		.said.outcome = BUG,
		.said.culprit = "kmem_cache_destroy__3_6", /* the victim */
		.free.apart = true,
	},
};

DEMO(03a, e3a, .id = "E3a", .slug = "e3a-victim",
     .claim = "debug patch A catches D, the victim of the leak",
     .tried = { "E3 with Bhat's debug patch A in get_online_cpus(): the BUG hits D,",
		"after the leak, and U waits for a lock that the dead D holds." },
     .cores = 2, SCENARIOS(e3a), .free_rounds = 4);

/* ---- E3b ------------------------------------------------------------------ */

#define FOR_THE_DEAD "U that waits for cpu_hotplug.lock of a dead owner"

/* Call saw() if U waits for the lock of a dead owner. (The owner is L, or D if D makes
 * the leak.) Called while no thread moves. */
static void note_wait_for_dead_owner(struct stage *st)
{
	const struct thread *u = st->worker[U_ACTOR].thread;
	const struct thread *owner = mutex_owner(&cpu_hotplug.lock);

	if (READ_ONCE(u->waiting.ops) == &mutex_wait &&
	    u->waiting.obj == &cpu_hotplug.lock && owner && owner->bug)
		saw(FOR_THE_DEAD);
}

static const struct scenario e3b[] = {
	{
		.about = "debug patch B: BUG_ON(refcount == 0) in the put",
		AFTER_A_LEAK(kmem_cache_destroy__3_6),
		.world.hotplug = &hotplug_bhat_b_ops,
		/* If the core goes down, D makes the leak: D must die before U
		 * comes. */
		.forced.down = STEPS(D(LOCK, &cpu_hotplug.lock),
				     U(CONTEND, &cpu_hotplug.lock)),
		.said.outcome = BUG,
		.said.culprit = "leak_a_reference",
		.said.must_see = FOR_THE_DEAD,
		/* If L died, D and U go on once L's lock has been released. */
		.said.lockdep_may = CIRCULAR,
		.free.apart = true,
		.show.evidence = note_wait_for_dead_owner,
	},
};

DEMO(03b, e3b, .id = "E3b", .slug = "e3b-patch",
     .claim = "debug patch B catches L, which made the leak",
     .tried = { "E3 with Bhat's debug patch B in put_online_cpus(): the BUG must",
		"name L and the place of the leak." },
     .cores = 2, SCENARIOS(e3b), .free_rounds = 4);

/* ---- E3c ------------------------------------------------------------------ */

static const struct scenario e3c[] = {
	{
		.about =
			"Morton's sketch: WARN_ON(refcount == -1) where it is 0",
		AFTER_A_LEAK(kmem_cache_destroy__3_6),
		AS_DRAWN,
		.world.hotplug = &hotplug_morton_ops,
		.said.outcome = DEADLOCK | STUCK,
		.said.lockdep = CIRCULAR,
		.forced.outcome = DEADLOCK,
		.free.until_found = true,
	},
};

DEMO(03c, e3c, .id = "E3c", .slug = "e3c-sketch",
     .claim = "Morton's sketch tests for -1 where the count is 0: silent",
     .tried = { "E3 with Morton's sketch of a check in put_online_cpus(). The leak",
		"must pass without a warning." },
     .cores = 2, SCENARIOS(e3c), .free_rounds = 1000);

/* ---- E3d ------------------------------------------------------------------ */

static const struct scenario e3d[] = {
	{
		.about = "the merged check: warn, add 1, then subtract 1",
		D_AND_U(actor_D_leaks),
		AS_DRAWN,
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_leak,
		.world.teardown = teardown_victim,
		.said.outcome = COMPLETES,
		.said.lockdep = CIRCULAR,
		.said.warnings = 1,
		.said.culprit = "leak_a_reference",
		.forced.refused = true,
	},
};

DEMO(03d, e3d, .id = "E3d", .slug = "e3d-merged",
     .claim = "the merged check warns, repairs, and U stays out",
     .tried = { "E3 with the kernel's own put_online_cpus(): it must warn once,",
		"name the place of the leak, and repair the count." },
     .cores = 2, SCENARIOS(e3d), .free_rounds = 8);
