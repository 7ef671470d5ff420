/*
 * E17, E17s: why the barrier is there at all.
 *
 * The slabs of a SLAB_DESTROY_BY_RCU cache go back by call_rcu(), and those
 * callbacks read the cache. The thread moves the rcu_barrier() of
 * kmem_cache_destroy() about; nobody proposes to leave it out. E17 does: the
 * cache is freed, its callbacks run later and find it gone.
 *
 * E17s has synchronize_rcu() in its place, the commonest wrong fix. A grace
 * period has passed then, so the callbacks may run; that they have run is
 * another thing: a thread invokes them, core by core, when it comes to it. W
 * stands for what keeps it from that: on its core W frees its objects of the
 * cache, tells D that it needs it no more, and goes on to compute, more urgent
 * than callbacks.
 *
 * The slab's checks report the use after free (debug profile). Control: the
 * kernel's own kmem_cache_destroy(), which waits until W's core comes to it.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/arch/clock.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/mm/page.h"
#include "kernel/sched/sched.h"

/* Enough to fill more slabs than a cache keeps: some go when W frees. */
#define OBJECTS	   1000
#define BUSY_NS	   20000000ull	 /* that W computes, free rounds */
#define LIMIT_NS   1000000000ull /* the same, forced, if D never gets there */
#define AT_ONCE_NS 100000ull

/* Of the round that runs: */
static void *object[OBJECTS];
static struct completion not_needed; /* W will not touch the cache again */
static bool callbacks_left;	     /* when D had freed the cache */
static bool D_is_back;		     /* from its destroy */

/* The merged form, without the barrier. */
static story void kmem_cache_destroy__nobarrier(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());

	cache_destroy_enter(s, CALLER);
	get_online_cpus();
	mutex_lock(&slab_mutex);
	/* The list is never empty: the cache of caches is never destroyed. */
	kmem_cache_unlink(s);
	if (__cache_shrink(s)) {
		slab_error(s, "Can't free all objects");
		kmem_cache_relink(s);
		mutex_unlock(&slab_mutex);
		put_online_cpus();
		cache_destroy_leave(s, CALLER);
		return;
	}
	mutex_unlock(&slab_mutex);

	__kmem_cache_destroy(s);
	put_online_cpus();
	cache_destroy_leave(s, CALLER);
}

/* The merged form, with a wait for a grace period instead. */
static story void kmem_cache_destroy__sync(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());

	cache_destroy_enter(s, CALLER);
	get_online_cpus();
	mutex_lock(&slab_mutex);
	/* The list is never empty: the cache of caches is never destroyed. */
	kmem_cache_unlink(s);
	if (__cache_shrink(s)) {
		slab_error(s, "Can't free all objects");
		kmem_cache_relink(s);
		mutex_unlock(&slab_mutex);
		put_online_cpus();
		cache_destroy_leave(s, CALLER);
		return;
	}
	mutex_unlock(&slab_mutex);

	if (unlikely(kmem_cache_is_rcu(s)))
		synchronize_rcu();

	__kmem_cache_destroy(s);
	put_online_cpus();
	cache_destroy_leave(s, CALLER);
}

/* ---- the actors ---------------------------------------------------------- */

/* Do pages that were its slabs still say so? Their callbacks are to come. */
static bool owns_pages(const struct kmem_cache *s)
{
	for (unsigned int i = 0; i < OBJECTS; i++) {
		const struct page *head = page_head(object[i]);

		if (head && READ_ONCE(head->owner) == s)
			return true;
	}
	return false;
}

void actor_D_after_W(struct stage *st)
{
	const struct kmem_cache *gone = st->cache; /* a name, from here on */

	wait_for_completion(&not_needed);
	actor_D(st);
	callbacks_left = owns_pages(gone);
	WRITE_ONCE(D_is_back, true); /* a flag to stop at, no order with it */
}

static bool after_destroy(const struct stage *st maybe_unused)
{
	return READ_ONCE(D_is_back);
}

/* D waits for W's callbacks, so it will not come back before. */
static bool order_done(const struct stage *st)
{
	return READ_ONCE(st->script_pos) >= script_length(stage_script(st));
}

/* More urgent than the callbacks' thread. Forced: until D is where it must be
 * before they run. */
static void compute(const struct stage *st,
		    bool (*enough)(const struct stage *st))
{
	uint64_t last = timer_now(), passed = 0;

	for (unsigned int i = 0; i < OBJECTS; i++)
		kmem_cache_free(st->cache, object[i]);
	complete(&not_needed);
	if (st->explored)
		return; /* callbacks are late there anyway */
	while (passed < timer_ticks(st->forced ? LIMIT_NS : BUSY_NS) &&
	       !(st->forced && enough(st))) {
		uint64_t now = timer_now();

		/* No more at once: the host may stand still, the clock go on. */
		passed += min(now - last, timer_ticks(AT_ONCE_NS));
		last = now;
		cpu_relax();
	}
}

void actor_W_frees(struct stage *st)
{
	compute(st, after_destroy);
}

static void actor_W_control(struct stage *st)
{
	compute(st, order_done);
}

/* Small objects without debug words: many in a slab, so few slabs, so few
 * reports. */
int setup_objects(struct stage *st)
{
	init_completion(&not_needed, "W to need the cache no more");
	callbacks_left = D_is_back = false;
	st->cache = kmem_cache_create(
		"victim", 16, 0, SLAB_TYPESAFE_BY_RCU | SLAB_NO_DEBUG, NULL);
	if (!st->cache)
		return -ENOMEM;
	for (unsigned int i = 0; i < OBJECTS; i++) {
		object[i] = kmem_cache_alloc(st->cache);
		if (!object[i])
			return -ENOMEM;
	}
	return 0;
}

/* Let the callbacks run. The slab's checks see what they touch; release has
 * none, there D's look must do. */
bool check_callbacks(struct stage *st maybe_unused)
{
	rcu_barrier();
	return GORDIAN_DEBUG || !callbacks_left;
}

/* ---- the orders ---------------------------------------------------------- */

static const struct step freed[] = STEPS(BY("W", CALL_RCU, &rcu_sched_state),
					 D(CACHE_DESTROY, THE_CACHE),
					 D(CACHE_FREE, THE_CACHE));

static const struct step freed_after_a_grace_period[] =
	STEPS(BY("W", CALL_RCU, &rcu_sched_state), D(CACHE_DESTROY, THE_CACHE),
	      D(GP_WAIT, &rcu_sched_state), D(CACHE_FREE, THE_CACHE));

static const struct step kept[] = STEPS(BY("W", CALL_RCU, &rcu_sched_state),
					D(CACHE_DESTROY, THE_CACHE),
					D(BARRIER, &rcu_sched_state));

#define ACTORS(w)                                                              \
	{                                                                      \
		{ "D", ON_D, actor_D_after_W },                                \
		{                                                              \
			"W", ON_U, w, .urgent = true                           \
		}                                                              \
	}

static const struct scenario e17[] = {
	{
		.part = "E17/left-out",
		.about = "the cache is freed with its callbacks to come",
		.actors = ACTORS(actor_W_frees),
		.show.rcu = true,
		.forced.order = freed,
		.said.outcome = CORRUPT,
		.free.until_found = true,
		.world.destroy = kmem_cache_destroy__nobarrier,
		.world.setup = setup_objects,
		.said.check = check_callbacks,
	},
	{
		.part = "E17/barrier",
		.about = "control: the kernel's own, with rcu_barrier()",
		.actors = ACTORS(actor_W_control),
		.show.rcu = true,
		.forced.order = kept,
		.free.rounds = 20,
		.said.outcome = COMPLETES,
		.world.destroy = kmem_cache_destroy,
		.world.setup = setup_objects,
		.said.check = check_callbacks,
	},
};

DEMO(17, e17, .id = "E17", .slug = "e17-no-barrier",
     .claim = "without rcu_barrier() callbacks touch a freed cache",
     .tried = { "D destroys an RCU cache by the merged fix without its",
		"rcu_barrier(). W, more urgent than callbacks, keeps its core." },
     .cores = 2, SCENARIOS(e17), .free_rounds = 20);

static const struct scenario e17s[] = {
	{
		.about = "a grace period is waited for, not the callbacks",
		.actors = ACTORS(actor_W_frees),
		.show.rcu = true,
		.forced.order = freed_after_a_grace_period,
		.said.outcome = CORRUPT,
		.free.until_found = true,
		.world.destroy = kmem_cache_destroy__sync,
		.world.setup = setup_objects,
		.said.check = check_callbacks,
	},
};

DEMO(17s, e17s, .id = "E17s", .slug = "e17s-sync",
     .claim = "synchronize_rcu() is no rcu_barrier()",
     .tried = { "E17 with synchronize_rcu() in place of rcu_barrier(): a grace",
		"period has passed, but W keeps its core from its callbacks." },
     .cores = 2, SCENARIOS(e17s), .free_rounds = 20);
