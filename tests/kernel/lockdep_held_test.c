/*
 * Suite lockdep: the thread that holds a lock ends; a core idles while its idle
 * thread holds one; another thread releases it; its memory is freed; a thread that
 * only waits for it does not hold it.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
#include "kernel/cpu/cpu.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"

/* ---- threads and cores that keep a lock ---------------------------------------------------- */

static int take_and_end(void *arg)
{
	row_take(arg, 'L');
	return 0;
}

static int take_and_release(void *arg)
{
	row_take(arg, 'L');
	row_release(arg);
	return 0;
}

/* No spinlock here: a thread that ends with preemption off is a BUG already. */
KTEST(lockdep, thread_end)
{
	static const enum lock_type types[] = { MUTEX, RWSEM, PERCPU, MAP };

	lockdep_quiet(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		row_type = types[i];
		row_lock_init(0, 0);
		in_thread(take_and_end, &row_locks[0][0]);
		row_check("taken, the thread ends", AT_END);
		row_lock_init(0, 0);
		in_thread(take_and_release, &row_locks[0][0]);
		row_check("released, the thread ends", SILENT);
	}
	lockdep_quiet(false);
}

static struct lockdep_map idle_map = LOCKDEP_MAP_INIT("idle_map");

/* If this core idles: its idle thread takes idle_map and keeps it. */
static void take_in_idle(void *done)
{
	if (!current->is_idle)
		return;
	lock_map_acquire(&idle_map);
	*(bool *)done = true;
}

static bool taken_in_idle(void)
{
	bool done = false;
	unsigned int cpu;

	for_each_online_cpu (cpu)
		if (cpu != smp_processor_id() && !done)
			smp_call_function_single(cpu, take_in_idle, &done,
						 true);
	return done;
}

KTEST(lockdep, idle)
{
	NEED_CORES(2);
	lockdep_quiet(true);
	EXPECT(EVENTUALLY(taken_in_idle()));
	EXPECT(EVENTUALLY(lockdep_count(LOCKDEP_HELD_AT_END) == 1));
	row_check("the core idles", AT_END);
	lockdep_quiet(false);
}

static int release_it(void *arg)
{
	row_release(arg);
	return 0;
}

KTEST(lockdep, release_by_another)
{
	lockdep_quiet(true);
	for (row_type = 0; row_type < NR_TYPES; row_type++) {
		struct any_lock *l = &row_locks[0][0];

		if (row_type == SPIN)
			continue; /* we could not join with preemption off */
		row_lock_init(0, 0);
		row_take(l, 'L');
		in_thread(release_it, l);
		row_assert_held(l);
		row_release(l);
		row_check("released by another thread", UNBALANCED);
	}
	lockdep_quiet(false);
}

/* ---- held while it is freed ------------------------------------------------------------------ */

static struct kmem_cache *cache;

static void *alloc_object(void)
{
	return kmem_cache_alloc(cache);
}

static void free_object(void *p)
{
	kmem_cache_free(cache, p);
}

static void *alloc_small(void)
{
	return kmalloc(2 * sizeof(struct mutex));
}

static void *alloc_large(void)
{
	return kmalloc(4 * PAGE_SIZE);
}

static void *alloc_pages(void)
{
	return pages_alloc(1);
}

static void free_pages(void *p)
{
	pages_free(p, 1);
}

static const struct allocator {
	const char *name;
	void *(*alloc)(void);
	void (*free)(void *);
} allocators[] = {
	{ "kmem_cache_free()", alloc_object, free_object },
	{ "kfree()", alloc_small, kfree },
	{ "kfree() of pages", alloc_large, kfree },
	{ "pages_free()", alloc_pages, free_pages },
};

static struct mutex *alloc_mutex(const struct allocator *a)
{
	struct mutex *m = a->alloc();

	EXPECT(m != NULL);
	if (m)
		mutex_init(m, "freed");
	return m;
}

static void free_held(const struct allocator *a)
{
	struct mutex *m = alloc_mutex(a), *other = alloc_mutex(a);

	if (!m || !other)
		return;
	mutex_lock(m);
	a->free(other);
	EXPECT_EQ(lockdep_total(), 0);
	row_count(SILENT);
	a->free(m);
	lock_release(&m->dep_map, CALLER);
	row_check(a->name, FREED);
}

KTEST(lockdep, freed)
{
	row_type = MUTEX;
	cache = kmem_cache_create("freed", sizeof(struct mutex), 0, 0, NULL);
	EXPECT(cache != NULL);
	lockdep_quiet(true);
	for (unsigned int i = 0; cache && i < ARRAY_SIZE(allocators); i++)
		free_held(&allocators[i]);
	lockdep_quiet(false);
	if (cache)
		kmem_cache_destroy(cache);
}

/* ---- a lock that is waited for ---------------------------------------------------------------- */

static struct {
	struct spinlock lock;
	bool go;
} wait_case;

static int wait_for_spin(void *arg)
{
	(void)arg;
	spin_lock(&wait_case.lock);
	while (!READ_ONCE(wait_case.go))
		ktest_busy();
	spin_unlock(&wait_case.lock);
	return 0;
}

/* Does t have exactly one lock on its list, which it waits for or holds? */
static bool has_entry(const struct thread *t, bool waits)
{
	return READ_ONCE(t->lockdep.depth) == 1 &&
	       READ_ONCE(t->lockdep.held[0].waits) == waits;
}

static unsigned int another_core(void)
{
	unsigned int cpu = smp_processor_id();

	do
		cpu = (cpu + 1) % NR_CPUS;
	while (!cpu_is_online(cpu));
	return cpu;
}

/* A thread that waits for a spinlock does not hold it. */
KTEST(lockdep, waiting_is_not_holding)
{
	uint64_t end = timer_now() + timer_ticks(KTEST_PATIENCE_NS);
	const struct lockdep_map *m = &wait_case.lock.dep_map;
	struct thread *t;

	NEED_CORES(2);
	ktest_run_on(smp_processor_id());
	spin_lock_init(&wait_case.lock, "wait_case");
	wait_case.go = false;
	spin_lock(&wait_case.lock);
	t = ktest_thread("waiter", wait_for_spin, NULL,
			 cpumask_of(another_core()));
	while (!has_entry(t, true) && timer_now() < end)
		ktest_busy();
	EXPECT(has_entry(t, true));
	EXPECT(lock_held_by(t, m) == NULL);
	EXPECT(lock_held_by(current, m) != NULL);
	spin_unlock(&wait_case.lock);
	EXPECT(EVENTUALLY(has_entry(t, false)));
	EXPECT(lock_held_by(t, m) != NULL);
	WRITE_ONCE(wait_case.go, true);
	thread_join(t);
}
#endif
