/*
 * E3, E3b: a leaked reference.
 *
 * Bhat (3 October 2012, the mail): the drawing needs "a put_online_cpus() leak
 * somewhere", one too many, "perhaps the task that was about to invoke
 * kmem_cache_destroy()". With the count at -1 D's own reference makes it 0, and
 * the writer, who waits for exactly 0, walks in. L is another thread in the
 * form that brings a core up, and D itself in the form that takes one down.
 *
 * E3b is the same with the debug patch of the mail: BUG_ON(refcount == 0) in
 * put_online_cpus(), "at the right moment": it names L. But L dies holding the
 * hotplug lock (Morton's objection: a BUG is harsh).
 *
 * Controls: E1 (nobody leaks), and the kernel's own put_online_cpus(), which
 * warns and repairs.
 */
#include "demos/demo.h"

static const struct scenario e3[] = {
	{
		.about = "refcount is -1 when D and U start",
		.actors = { { "D", ON_D, actor_D_leaks },
			    { "U", ON_U, actor_U } },
		.script_up = drawing_up,
		.script_down = drawing_down,
		.expect = OUT_BIT(OUT_DEADLOCK) | OUT_BIT(OUT_STUCK),
		.expect_forced = OUT_BIT(OUT_DEADLOCK),
		.until_found = true,
		.toggles = true,
		.ops = &hotplug_3_6_ops,
		.destroy = kmem_cache_destroy__3_6,
		.leaks = true,
		.setup = setup_leak,
		.teardown = teardown_refs,
	},
};

DEMO(03, e3, .id = "E3", .slug = "e3-leak",
     .claim = "one put_online_cpus() too many lets U in",
     .tried = { "L gives back a hotplug reference that it never took; then E1,",
		"with put_online_cpus() as of Linux 3.6, which does not notice." },
     .cores = 2, .scenarios = e3, .nr_scenarios = 1, .free_rounds = 20000);

static const struct scenario e3b[] = {
	{
		.about = "the mail's patch: BUG_ON(refcount == 0) in the put",
		.actors = { { "D", ON_D, actor_D_leaks },
			    { "U", ON_U, actor_U } },
		.expect = OUT_BIT(OUT_BUG),
		.culprit = "leak_a_reference",
		.toggles = true,
		.ops = &hotplug_bhat_b_ops,
		.destroy = kmem_cache_destroy__3_6,
		.leaks = true,
		.setup = setup_leak,
		.teardown = teardown_refs,
	},
};

DEMO(03b, e3b, .id = "E3b", .slug = "e3b-patch",
     .claim = "the mail's debug patch catches the culprit, L",
     .tried = { "E3 with the debug patch of the mail in put_online_cpus():",
		"the BUG must name L and the place that leaked." },
     .cores = 2, .scenarios = e3b, .nr_scenarios = 1, .free_rounds = 4);
