/*
 * E7: version 3 of the patch, which was wrong.
 *
 * Kosina, 3 October 2012, 20:04 +0530 as quoted: v3 releases slab_mutex as soon as
 * the cache is off the list. Bhat, 3 October 2012, 20:30 +0530, has two objections:
 * the shutdown (__cache_shrink() here) expects slab_mutex; and if the shutdown fails
 * because objects are still in use, the cache goes back on the list without the lock.
 * v4 mends both, and was merged.
 *
 * Here D destroys a cache that has an object in use, while C creates another cache.
 * Two list_add() run at the same time, one of them without the lock, and an entry is
 * lost. lockdep_assert_held() reports the missing lock before any harm is done.
 *
 * In free rounds D sleeps between the two halves of its list_add(), as if it had been
 * preempted there. Without the sleep the window would be a few instructions long.
 *
 * Control: version 4, the kernel's own kmem_cache_destroy().
 */
#include "lab/experiment.h"
#include "demos/forms/forms.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/slab/internal.h" /* a cache's link, which is written here */

#define MADE_MAX  100	     /* caches that C creates at most */
#define EACH_NS	  4000000ull /* between two of C's caches, in free rounds */
#define WINDOW_NS 8000000ull /* D sleeps so long inside its list_add() */

/* Of the round that runs: */
static struct kmem_cache *made[MADE_MAX]; /* by C */
static unsigned int nr_made;
static uint64_t window_ns;

/* The kernel's own kmem_cache_relink(), with its list_add() in two halves: a script or
 * the search can let another thread run between them. */
story void kmem_cache_relink__halves(struct kmem_cache *s)
{
	struct list_head *next;

	lockdep_assert_held(&slab_mutex);
	next = READ_ONCE(slab_caches.next);
	trace_did(TR_CACHE_RELINK, &slab_caches, 0, CALLER);
	if (window_ns)
		sleep_ns(window_ns);
	trace_gate(TR_CACHE_RELINK, s, CALLER);
	list_add_between(&s->list, &slab_caches, next);
	trace_did(TR_CACHE_RELINK, s, 0, CALLER);
}

/* slab_mutex is released right after unlinking: the rest runs without it. */
static story void kmem_cache_destroy__v3(struct kmem_cache *s)
{
	BUG_ON(!s || in_interrupt());

	cache_destroy_enter(s, CALLER);
	get_online_cpus();
	mutex_lock(&slab_mutex);
	/* Notifiers no longer meet the cache. */
	kmem_cache_unlink(s);
	mutex_unlock(&slab_mutex);
	if (__cache_shrink(s)) {
		slab_error(s, "Can't free all objects");
		kmem_cache_relink__halves(s);
		put_online_cpus();
		cache_destroy_leave(s, CALLER);
		return;
	}

	if (unlikely(kmem_cache_is_rcu(s)))
		rcu_barrier();

	__kmem_cache_destroy(s);
	put_online_cpus();
	cache_destroy_leave(s, CALLER);
}

/* ---- the actors ---------------------------------------------------------- */

/* The destroy fails, because an object is in use; the cache stays. */
void actor_D_fails(struct stage *st)
{
	window_ns = st->forced ? 0 : WINDOW_NS;
	st->sc->world.destroy(st->cache);
}

/* C creates a cache; in free rounds it creates one after another until D has ended. */
void actor_C(struct stage *st)
{
	do {
		struct kmem_cache *s =
			kmem_cache_create("other", 64, 0, 0, NULL);

		if (!s)
			return;
		made[nr_made++] = s;
		if (st->forced)
			return;
		sleep_ns(EACH_NS);
	} while (nr_made < MADE_MAX && !worker_ended(&st->worker[D_ACTOR]));
}

int setup_in_use(struct stage *st)
{
	nr_made = 0;
	if (!create_victim(st))
		return -ENOMEM;
	st->object = kmem_cache_alloc(st->cache);
	return st->object ? 0 : -ENOMEM;
}

bool all_linked(struct stage *st)
{
	bool ok;

	mutex_lock(&slab_mutex);
	ok = cache_is_linked(st->cache);
	for (unsigned int i = 0; i < nr_made; i++)
		ok &= cache_is_linked(made[i]);
	mutex_unlock(&slab_mutex);
	return ok;
}

/* Does a walk from the head, forwards, come to that entry? */
static bool is_reachable(const struct list_head *e)
{
	const struct list_head *l = slab_caches.next;

	while (l != e && l != &slab_caches)
		l = l->next;
	return l == e;
}

/* Print how much of slab_caches is left. Takes no lock: no thread moves, and an actor
 * may have kept slab_mutex. */
void show_list(struct stage *st)
{
	unsigned int lost = 0;

	for (unsigned int i = 0; i < nr_made; i++)
		lost += !is_reachable(&made[i]->list);
	kprintf("slab_caches: D's cache is %s; of C's %u caches %u on it\n",
		is_reachable(&st->cache->list) ? "on it" : "lost", nr_made,
		nr_made - lost);
}

static bool is_cache_of_round(const struct stage *st, const struct list_head *l)
{
	bool ours = l == &st->cache->list;

	for (unsigned int i = 0; i < nr_made; i++)
		ours |= l == &made[i]->list;
	return ours;
}

/*
 * Make the list whole again. A list_add() writes these links: the forward link
 * of the head, both links of the new cache, and the backward link of the cache
 * that was first before. So the forward links of all older caches, which are not
 * of this round, are right. Walk to the first older cache, link it to the head,
 * and then add the caches of this round again.
 */
static void repair_list(struct stage *st)
{
	struct list_head *first = slab_caches.next;

	mutex_lock(&slab_mutex);
	while (is_cache_of_round(st, first))
		first = first->next;
	slab_caches.next = first;
	first->prev = &slab_caches;
	list_add(&st->cache->list, &slab_caches);
	for (unsigned int i = 0; i < nr_made; i++)
		list_add(&made[i]->list, &slab_caches);
	mutex_unlock(&slab_mutex);
}

void teardown_list(struct stage *st)
{
	if (!all_linked(st))
		repair_list(st);
	kmem_cache_free(st->cache, st->object);
	teardown_victim(st);
	while (nr_made)
		kmem_cache_destroy(made[--nr_made]);
}

/* ---- scenarios ----------------------------------------------------------- */

static const struct scenario e7[] = {
	{
		.part = "E7/v3",
		.about = "slab_mutex is released right after the unlinking",
		IN_USE(kmem_cache_destroy__v3),
		/* D reads where to link its cache, C links another cache there,
		 * and D goes on. */
		.forced.order = STEPS(
			D(CACHE_RELINK, &slab_caches), C(LOCK, &slab_mutex),
			C(UNLOCK, &slab_mutex), D(CACHE_RELINK, THE_CACHE)),
		.said.outcome = CORRUPT,
		.said.lockdep = NOT_HELD,
		.free.until_found = true,
	},
	{
		.part = "E7/v4",
		.about = "control: version 4, the kernel's own",
		IN_USE(kmem_cache_destroy),
		/* C has to wait until D has put its cache back on the list. */
		.forced.order = STEPS(
			D(LOCK, &slab_mutex), C(CONTEND, &slab_mutex),
			D(CACHE_RELINK, THE_CACHE), C(UNLOCK, &slab_mutex)),
		.said.outcome = COMPLETES,
		.free.rounds = 2,
	},
};

DEMO(07, e7, .id = "E7", .slug = "e7-v3",
     .claim = "version 3 of the fix links a cache again without slab_mutex",
     .tried = { "D destroys a cache in use with version 3 of the patch, C creates one.",
		"(In free rounds D sleeps between the halves of its list_add().)" },
     .cores = 2, SCENARIOS(e7), .free_rounds = 50);
