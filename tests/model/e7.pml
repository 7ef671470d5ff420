/*
 * E7: D's destroy finds the cache in use and links it again, while C creates another
 * cache. In v3 D does so without slab_mutex. Each write to a link is a step. See
 * demos/e7.c and list_add() in kernel/lib/list.h.
 *
 * Left out: all of the caches apart from their links; reports.
 *
 * row: E7/v3 destroy=kmem_cache_destroy__v3
 * row: E7/v4 destroy=kmem_cache_destroy
 */
#include "lock.pml"
#include "hotplug.pml"

byte slab_mutex;

/* slab_caches; the cache of caches, which is always on it; and two more. */
#define HEAD	    0
#define CACHE_CACHE 1
#define VICTIM	    2
#define OTHER	    3
byte next[4], prev[4];

inline list_add_between(e, before, after)
{
	prev[after] = e;
	next[e] = after;
	prev[e] = before;
	next[before] = e
}

inline list_add(e)
{
	byte first;

	first = next[HEAD];
	list_add_between(e, HEAD, first)
}

inline list_del(e)
{
	prev[next[e]] = prev[e];
	next[prev[e]] = next[e];
	next[e] = e;
	prev[e] = e
}

inline kmem_cache_destroy()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	list_del(VICTIM);
	/* __cache_shrink() finds objects in use */
	list_add(VICTIM);
	mutex_unlock(slab_mutex);
	put_online_cpus()
}

inline kmem_cache_destroy__v3()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	list_del(VICTIM);
	mutex_unlock(slab_mutex);
	/* __cache_shrink() finds objects in use */
	list_add(VICTIM);
	put_online_cpus()
}

proctype D()
{
	destroy()
}

/* kmem_cache_create() */
proctype C()
{
	get_online_cpus();
	mutex_lock(slab_mutex);
	list_add(OTHER);
	mutex_unlock(slab_mutex);
	put_online_cpus()
}

bool list_is_whole;
#define linked(a, b) (next[a] == b && prev[b] == a)

init {
	atomic {
		next[HEAD] = VICTIM;
		next[VICTIM] = CACHE_CACHE;
		next[CACHE_CACHE] = HEAD;
		prev[HEAD] = CACHE_CACHE;
		prev[CACHE_CACHE] = VICTIM;
		prev[VICTIM] = HEAD;
		run D();
		run C()
	};
	_nr_pr == 1; /* both have ended */
	list_is_whole = linked(HEAD, next[HEAD]) &&
			linked(next[HEAD], next[next[HEAD]]) &&
			linked(next[next[HEAD]], CACHE_CACHE) &&
			linked(CACHE_CACHE, HEAD) &&
			next[HEAD] + next[next[HEAD]] == VICTIM + OTHER;
	assert(list_is_whole)
}
