/*
 * E3 and what belongs to it: a leaked reference, and who notices.
 *
 * Bhat (3 October 2012, the mail): the drawing needs "a put_online_cpus() leak
 * somewhere", one too many, "perhaps the task that was about to invoke
 * kmem_cache_destroy()". With the count at -1 D's own reference makes it 0, and
 * the writer, who waits for exactly 0, walks in. L is another thread in the
 * form that brings a core up, and D itself in the form that takes one down.
 *
 *   E3   put_online_cpus() of Linux 3.6, which does not notice.
 *   E3u  the same, and U alone: the count never is 0 again. No lock is held by
 *        anybody, so there is no cycle, and nothing for lockdep to see. The
 *        thread did not mention it.
 *   E3a  Bhat's first debug patch (the mail quotes the message that brought it),
 *        BUG_ON(refcount < 0) in get_online_cpus(): it catches D, the victim,
 *        who dies with the lock in hand.
 *   E3b  his second, the mail's own, BUG_ON(refcount == 0) in put_online_cpus(),
 *        "at the right moment": it catches L, the culprit, who dies with the
 *        lock in hand too. Morton: a BUG is harsh here; warn and repair.
 *   E3c  Morton's sketch of that looks for -1 after `if (!--refcount)`, where
 *        the count is 0: it can never say a word.
 *   E3d  the form that was merged (Bhat, 075663d19885): if the count is 0 on
 *        entry, warn and add one first. It is the kernel's own.
 *
 * Controls: E1 for E3 (nobody leaks), E3d for the others.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"

static const struct scenario e3[] = {
	{
		.about = "refcount is -1 when D and U start",
		AFTER_A_LEAK(kmem_cache_destroy__3_6),
		AS_DRAWN,
		.said.outcome = DEADLOCK | STUCK,
		.forced.outcome = DEADLOCK,
		.free.until_found = true,
		.said.lockdep = CIRCULAR,
		.world.hotplug = &hotplug_3_6_ops,
	},
};

DEMO(03, e3, .id = "E3", .slug = "e3-leak",
     .claim = "one put_online_cpus() too many lets U in",
     .tried = { "L gives back a hotplug reference that it never took; then E1,",
		"with put_online_cpus() as of Linux 3.6, which does not notice." },
     .cores = 2, SCENARIOS(e3), .free_rounds = 20000);

/* ---- E3u ------------------------------------------------------------------ */

static int setup_leak_alone(struct stage *st)
{
	int err = setup_core(st);

	return err ? err : run_leaker(st);
}

static const struct step u_looks[] = STEPS(U(HP_WAIT, &cpu_hotplug));

static const struct scenario e3u[] = {
	{
		.about =
			"refcount is -1 when U starts, and nobody else is there",
		U_ALONE,
		.forced.order = u_looks,
		.show.waits = true,
		.said.outcome = STUCK,
		.free.apart = true,
		.world.hotplug = &hotplug_3_6_ops,
		.world.leaks = true,
		.world.setup = setup_leak_alone,
		.world.teardown = teardown_refs,
	},
};

DEMO(03u, e3u, .id = "E3u", .slug = "e3u-alone",
     .claim = "after the leak U waits for ever, with no cycle",
     .tried = { "L gives back a hotplug reference that it never took; then U,",
		"alone: the count is -1, and U waits until it is 0." },
     .cores = 2, SCENARIOS(e3u), .free_rounds = 4);

/* ---- E3a ------------------------------------------------------------------ */

/* D dies in its get_online_cpus(), and U comes for what the dead one holds. */
static const struct step after_the_victim_up[] =
	STEPS(D(LOCK, &cpu_hotplug.lock), U(CONTEND, &cpu_hotplug.lock));

/* The same, when D takes the lock once before, to leak. */
static const struct step after_the_victim_down[] =
	STEPS(D(PUT_ONLINE, &cpu_hotplug), D(LOCK, &cpu_hotplug.lock),
	      U(CONTEND, &cpu_hotplug.lock));

static const struct scenario e3a[] = {
	{
		.about = "debug patch A: BUG_ON(refcount < 0) in the get",
		AFTER_A_LEAK(kmem_cache_destroy__3_6),
		.forced.order = after_the_victim_up,
		.forced.down = after_the_victim_down,
		.said.outcome = BUG,
		.said.culprit = "kmem_cache_destroy__3_6", /* the victim */
		.free.apart = true,
		.world.hotplug = &hotplug_bhat_a_ops,
	},
};

DEMO(03a, e3a, .id = "E3a", .slug = "e3a-victim",
     .claim = "the first debug patch catches the victim, D",
     .tried = { "E3 with the first debug patch, in get_online_cpus(): the BUG hits",
		"D, after the leak, and whoever comes next waits for the dead." },
     .cores = 2, SCENARIOS(e3a), .free_rounds = 4);

/* ---- E3b ------------------------------------------------------------------ */

#define FOR_THE_DEAD "U that waits for cpu_hotplug.lock of a dead owner"

/* L, or D who is L, has died; nobody moves. */
static void see_who_waits(struct stage *st)
{
	const struct thread *u = st->worker[U_ACTOR].thread;
	const struct thread *owner = mutex_owner(&cpu_hotplug.lock);

	if (READ_ONCE(u->waiting.kind) == WAIT_MUTEX &&
	    u->waiting.obj == &cpu_hotplug.lock && owner && owner->bug)
		saw(FOR_THE_DEAD);
}

/* Where D is L it must have died before U comes. */
static const struct step after_the_culprit[] =
	STEPS(D(LOCK, &cpu_hotplug.lock), U(CONTEND, &cpu_hotplug.lock));

static const struct scenario e3b[] = {
	{
		.about = "the mail's patch: BUG_ON(refcount == 0) in the put",
		AFTER_A_LEAK(kmem_cache_destroy__3_6),
		.forced.down = after_the_culprit,
		.said.outcome = BUG,
		.said.culprit = "leak_a_reference",
		.show.evidence = see_who_waits,
		.free.apart = true,
		/* Where L is another thread D and U go on once it is buried. */
		.said.lockdep_may = CIRCULAR,
		.said.must_see = FOR_THE_DEAD,
		.world.hotplug = &hotplug_bhat_b_ops,
	},
};

DEMO(03b, e3b, .id = "E3b", .slug = "e3b-patch",
     .claim = "the mail's debug patch catches the culprit, L",
     .tried = { "E3 with the debug patch of the mail in put_online_cpus():",
		"the BUG must name L and the place that leaked." },
     .cores = 2, SCENARIOS(e3b), .free_rounds = 4);

/* ---- E3c ------------------------------------------------------------------ */

static const struct scenario e3c[] = {
	{
		.about =
			"Morton's sketch: WARN_ON(refcount == -1) where it is 0",
		AFTER_A_LEAK(kmem_cache_destroy__3_6),
		AS_DRAWN,
		.said.outcome = DEADLOCK | STUCK,
		.forced.outcome = DEADLOCK,
		.free.until_found = true,
		.said.lockdep = CIRCULAR,
		.world.hotplug = &hotplug_morton_ops,
	},
};

DEMO(03c, e3c, .id = "E3c", .slug = "e3c-sketch",
     .claim = "a check for -1 behind `if (!--refcount)` is mute",
     .tried = { "E3 with Morton's sketch of a check in put_online_cpus(). The",
		"leak must pass without a word: not one warning." },
     .cores = 2, SCENARIOS(e3c), .free_rounds = 1000);

/* ---- E3d ------------------------------------------------------------------ */

static const struct scenario e3d[] = {
	{
		.about = "the merged check: warn, add one, then take one off",
		D_AND_U(actor_D_leaks),
		AS_DRAWN,
		.said.outcome = COMPLETES,
		.forced.refused = true,
		.said.lockdep = CIRCULAR,
		.said.warnings = 1,
		.said.culprit = "leak_a_reference",
		.world.destroy = kmem_cache_destroy__3_6,
		.world.setup = setup_leak,
		.world.teardown = teardown_victim,
	},
};

DEMO(03d, e3d, .id = "E3d", .slug = "e3d-merged",
     .claim = "the merged check warns, repairs, and U stays out",
     .tried = { "E3 with the kernel's own put_online_cpus(): it must warn once,",
		"name the place that leaked, and put the count right again." },
     .cores = 2, SCENARIOS(e3d), .free_rounds = 8);
