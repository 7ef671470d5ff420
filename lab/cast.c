/*
 * The usual actors: D destroys a cache, U takes a core up or down, B calls
 * rcu_barrier(), L gives back a hotplug reference that it never took.
 *
 * Owns no data. Set-up and teardown run in the engine's thread between rounds. Each
 * actor runs in a thread of its own.
 */
#include "lab/experiment.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/slab/internal.h"
#include "kernel/rcu/rcu.h"

bool cache_is_linked(const struct kmem_cache *s)
{
	const struct list_head *l;
	bool found = false;

	lockdep_assert_held(&slab_mutex);
	for (l = slab_caches.next; l != &slab_caches; l = l->next) {
		if (l->next->prev != l)
			return false;
		found |= l == &s->list;
	}
	return found;
}

void actor_D(struct stage *st)
{
	st->sc->world.destroy(st->cache);
	st->cache = NULL;
}

void actor_U(struct stage *st)
{
	if (st->up)
		WARN_ON(cpu_up(st->toggled) != 0);
	else
		WARN_ON(cpu_down(st->toggled) != 0);
}

void actor_B(struct stage *st maybe_unused)
{
	rcu_barrier();
}

void note(const char *text)
{
	trace_did(TR_NOTE, text, 0, CALLER);
}

/* Give back a reference that was never taken. A report must name this function
 * as the culprit. */
noinline void leak_a_reference(void)
{
	put_online_cpus();
	__asm__ volatile(""); /* keep the frame: no tail call in release */
}

void actor_D_leaks(struct stage *st)
{
	if (st->leak_by_d)
		leak_a_reference();
	actor_D(st);
}

/*
 * Allocate and free on the first actor's core, which stays on, so that the free
 * objects are in the array of this core and in no other array. A destroy
 * without a hotplug reference (E2, E2s) cannot get the objects of a core that
 * is just going off. It would then find the cache in use.
 */
static void use_cache(struct stage *st)
{
	struct cpumask allowed = current->affinity;
	void *obj[24];

	thread_set_affinity(current, cpumask_of(st->worker[0].cpu));
	for (unsigned int i = 0; i < ARRAY_SIZE(obj); i++)
		obj[i] = kmem_cache_alloc(st->cache);
	for (unsigned int i = 0; i < ARRAY_SIZE(obj); i++)
		if (obj[i])
			kmem_cache_free(st->cache, obj[i]);
	thread_set_affinity(current, allowed);
}

struct kmem_cache *create_victim(struct stage *st)
{
	st->cache =
		kmem_cache_create("victim", 96, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	return st->cache;
}

/* Bring the core to the state in which the round begins: off, if U takes it up;
 * on, if U takes it down. */
int setup_core(struct stage *st)
{
	if (st->sc->world.toggles && st->up && cpu_is_online(st->toggled))
		return cpu_down(st->toggled);
	if (st->sc->world.toggles && !st->up && !cpu_is_online(st->toggled))
		return cpu_up(st->toggled);
	return 0;
}

/*
 * Make an RCU cache, allocate objects from it and free them all. Then all slabs of the
 * cache are empty. The function that shrinks the cache hands the pages of these slabs to
 * call_rcu(), and rcu_barrier() waits for the callbacks.
 */
int setup_victim(struct stage *st)
{
	int err = setup_core(st);

	if (err)
		return err;
	if (!create_victim(st))
		return -ENOMEM;
	use_cache(st);
	return 0;
}

static int leaker(void *arg)
{
	(void)arg;
	current->bug_ends_me = true;
	leak_a_reference();
	return 0;
}

int run_leaker(struct stage *st)
{
	struct thread *l;

	l = thread_create("L", leaker, NULL, PRIO_NORMAL, CPUMASK_ALL);
	if (!l)
		return -ENOMEM;
	thread_get(l); /* if a BUG ends L, L still owns its locks */
	thread_join(l);
	if (l->bug)
		st->l = l;
	else
		thread_put(l);
	if (st->forced && !st->l)
		kprintf("L gave back one reference too many: refcount is %d\n",
			READ_ONCE(cpu_hotplug.refcount));
	return 0;
}

int setup_leak(struct stage *st)
{
	int err = setup_victim(st);

	return err || st->leak_by_d ? err : run_leaker(st);
}

/* Set the count to 0 after a leak, so that the next round starts from 0. If D died before
 * it destroyed its cache, destroy the cache here. */
void teardown_refs(struct stage *st)
{
	if (READ_ONCE(cpu_hotplug.refcount) != 0)
		cpu_hotplug_rescue();
	teardown_victim(st);
}

void teardown_victim(struct stage *st)
{
	if (st->cache)
		kmem_cache_destroy(st->cache);
	st->cache = NULL;
}
