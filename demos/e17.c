/*
 * E17, E17s: why rcu_barrier() is needed.
 *
 * McKenney, 3 October 2012, 00:15 UTC, asks what slab_mutex is needed for, and moves the
 * barrier out of it. No mail proposes to leave the barrier out. E17 and E17s do.
 *
 * The slabs of a SLAB_TYPESAFE_BY_RCU cache are given back by call_rcu(), and those
 * callbacks read the cache. In E17 the cache is freed without any wait: its callbacks run
 * later and find it gone.
 *
 * E17s has synchronize_rcu() instead, the most common wrong fix. When it returns, a grace
 * period has passed, so the callbacks may run. But each core has a thread that invokes
 * them, and they run only when this thread gets to run. W keeps the thread of its core
 * from running: W frees its objects of the cache, tells D that it no longer needs the
 * cache, and then computes with a higher priority than this thread has.
 *
 * The slab's checks report the use after free (debug profile). Control: the kernel's own
 * kmem_cache_destroy(), which waits until W's core has run the callbacks.
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/explore/shared.h"
#include "kernel/lib/errno.h"
#include "kernel/mm/page.h"

/* Enough objects to fill more slabs than a cache keeps: when W frees the
 * objects, some slabs are given back. */
#define OBJECTS	   1000
#define BUSY_NS	   20000000ull	 /* W computes so long in free rounds */
#define LIMIT_NS   1000000000ull /* W computes at most so long in forced rounds */
#define AT_ONCE_NS 100000ull	 /* at most so much counts per look */

/* Of the round that runs: */
static void *object[OBJECTS];
static struct completion not_needed; /* W will not touch the cache again */
static bool callbacks_left;   /* some had not run when D had freed the cache */
static bool destroy_returned; /* D's call has returned */

/* The merged form of 2012, without rcu_barrier(). */
static story void kmem_cache_destroy__nobarrier(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());

	cache_destroy_enter(s, CALLER);
	get_online_cpus();
	mutex_lock(&slab_mutex);
	/* Notifiers no longer meet the cache. */
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

/* The merged form of 2012, with synchronize_rcu() instead of rcu_barrier(). */
static story void kmem_cache_destroy__sync(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());

	cache_destroy_enter(s, CALLER);
	get_online_cpus();
	mutex_lock(&slab_mutex);
	/* Notifiers no longer meet the cache. */
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

/* Are there still pages that name the cache as their owner? If so, the
 * callbacks of these pages have not run yet. */
static unseen bool owns_pages(const struct kmem_cache *s)
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
	const struct kmem_cache *gone =
		st->cache; /* only compared afterwards */

	wait_for_completion(&not_needed);
	actor_D(st);
	callbacks_left = owns_pages(gone);
	WRITE_ONCE(destroy_returned, true); /* relaxed: it only stops W */
}

static bool destroy_has_returned(const struct stage *st maybe_unused)
{
	return READ_ONCE(destroy_returned);
}

/* Is the script at its end? In the control this is enough, because D waits for
 * W's callbacks. */
static bool script_is_done(const struct stage *st)
{
	return READ_ONCE(st->script_pos) >= script_length(stage_script(st));
}

/* Only W uses the objects. */
static unseen void free_all(struct kmem_cache *s)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		kmem_cache_free(s, object[i]);
}

/* W is more urgent than the thread that invokes callbacks, so no callback runs
 * while W computes. In a forced round W computes until D has come far enough. */
static void free_and_compute(const struct stage *st,
			     bool (*is_enough)(const struct stage *st))
{
	uint64_t last = timer_now(), passed = 0;

	free_all(st->cache);
	complete(&not_needed);
	if (st->explored)
		return; /* the explorer tries early and late callbacks */
	while (passed < timer_ticks(st->forced ? LIMIT_NS : BUSY_NS) &&
	       !(st->forced && is_enough(st))) {
		uint64_t now = timer_now();

		/* The clock may go on while the host stands still. */
		passed += min(now - last, timer_ticks(AT_ONCE_NS));
		last = now;
		cpu_relax();
	}
}

void actor_W_frees(struct stage *st)
{
	free_and_compute(st, destroy_has_returned);
}

static void actor_W_control(struct stage *st)
{
	free_and_compute(st, script_is_done);
}

/* Small objects without debug words: a few slabs hold all objects, so there are
 * few reports. */
int setup_objects(struct stage *st)
{
	init_completion(&not_needed, "W to need the cache no more");
	callbacks_left = destroy_returned = false;
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

/* Let the callbacks run. The slab's checks find a callback that uses a freed
 * cache. Release builds have no such checks. There this check fails if D, after its
 * destroy, has found pages that still belonged to the cache. */
bool check_callbacks(struct stage *st maybe_unused)
{
	rcu_barrier();
	return GORDIAN_DEBUG || !callbacks_left;
}

/* ---- scenarios ----------------------------------------------------------- */

static const struct scenario e17[] = {
	{
		.part = "E17/left-out",
		.about = "the cache is freed before its callbacks have run",
		D_AFTER_W(kmem_cache_destroy__nobarrier, actor_W_frees),
		.forced.order = STEPS(BY("W", CALL_RCU, &rcu_sched_state),
				      D(CACHE_DESTROY, THE_CACHE),
				      D(CACHE_FREE, THE_CACHE)),
		.said.outcome = CORRUPT,
		.free.until_found = true,
	},
	{
		.part = "E17/barrier",
		.about = "control: the kernel's own, with rcu_barrier()",
		D_AFTER_W(kmem_cache_destroy, actor_W_control),
		.forced.order = STEPS(BY("W", CALL_RCU, &rcu_sched_state),
				      D(CACHE_DESTROY, THE_CACHE),
				      D(BARRIER, &rcu_sched_state)),
		.said.outcome = COMPLETES,
		.free.rounds = 20,
	},
};

DEMO(17, e17, .id = "E17", .slug = "e17-no-barrier",
     .claim = "without rcu_barrier() callbacks use a freed cache",
     .tried = { "D destroys an RCU cache with the merged fix, but without rcu_barrier().",
		"W, more urgent than callbacks, keeps them from running on its core." },
     .cores = 2, SCENARIOS(e17), .free_rounds = 20);

static const struct scenario e17s[] = {
	{
		.about = "D waits for a grace period, not for the callbacks",
		D_AFTER_W(kmem_cache_destroy__sync, actor_W_frees),
		.forced.order = STEPS(BY("W", CALL_RCU, &rcu_sched_state),
				      D(CACHE_DESTROY, THE_CACHE),
				      D(GP_WAIT, &rcu_sched_state),
				      D(CACHE_FREE, THE_CACHE)),
		.said.outcome = CORRUPT,
		.free.until_found = true,
	},
};

DEMO(17s, e17s, .id = "E17s", .slug = "e17s-sync",
     .claim = "synchronize_rcu() does not replace rcu_barrier()",
     .tried = { "E17 with synchronize_rcu() instead of rcu_barrier(): a grace period has",
		"passed, but W keeps the callbacks from running on its core." },
     .cores = 2, SCENARIOS(e17s), .free_rounds = 20);
