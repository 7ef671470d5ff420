/*
 * The slab allocator, kmalloc and the page allocator in one thread: random operations on
 * a few simulated cores that go off and on. Any page allocation may fail.
 *
 * Each object is filled with a stamp, which is checked when the object is freed: this
 * shows objects that were allocated twice or changed while in use. In the release build
 * free objects are poisoned for the address sanitizer, because the allocator must not
 * touch them. At the end every page must be back.
 */
#include "kernel/slab/internal.h"

#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/cpu/smp.h"
#include "tests/host/host.h"

#if defined(__SANITIZE_ADDRESS__) && !GORDIAN_DEBUG
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

#define CACHES	6
#define OBJECTS 700

struct object {
	uint8_t *p;
	size_t size;
	int cache; /* -1: kmalloc */
	uint8_t stamp;
};

static struct {
	struct kmem_cache *s;
	size_t size, align;
	bool ctor, rcu;
	unsigned int live;
} caches[CACHES];

static struct object objects[OBJECTS];
static unsigned int nr_objects;
static unsigned long out_of_memory, ups, downs, destroys;

void __real_pages_free(void *va, unsigned int order);
void __wrap_pages_free(void *va, unsigned int order);

/* A page that leaves its slab contains no objects any more. */
void __wrap_pages_free(void *va, unsigned int order)
{
	UNPOISON(va, (size_t)PAGE_SIZE << order);
	__real_pages_free(va, order);
}

#define CTOR_BYTE 0xc7

static size_t ctor_size; /* of the cache that is allocating */

static void ctor(void *obj)
{
	memset(obj, CTOR_BYTE, ctor_size);
}

static bool all(const uint8_t *p, uint8_t v, size_t n)
{
	while (n--)
		if (*p++ != v)
			return false;
	return true;
}

static void random_core(void)
{
	struct cpumask on = cpu_online();
	unsigned int skip = below(cpumask_weight(on)), cpu;

	for_each_cpu (cpu, on)
		if (skip-- == 0)
			host_core(cpu);
}

static void create(int i)
{
	static const char *const names[CACHES] = {
		"a", "b", "c", "d", "e", "f"
	};
	static const size_t aligns[] = { 0, 8, 16, 64, 256 };
	unsigned int flags = below(2) ? SLAB_TYPESAFE_BY_RCU : 0;

	caches[i].size = below(3) ? 1 + below(300) : 1 + below(9000);
	caches[i].align = aligns[below(5)];
	caches[i].ctor = below(2);
	caches[i].rcu = flags;
	caches[i].live = 0;
	caches[i].s = kmem_cache_create(names[i], caches[i].size,
					caches[i].align, flags,
					caches[i].ctor ? ctor : NULL);
	out_of_memory += !caches[i].s;
}

static void alloc(void)
{
	struct object *o = &objects[nr_objects];
	int i = (int)below(CACHES);

	if (nr_objects == OBJECTS)
		return;
	o->cache = below(4) ? i : -1;
	if (o->cache < 0) {
		o->size = below(8) ? below(300) : below(40000);
		o->p = below(2) ? kmalloc(o->size) : kzalloc(o->size);
	} else if (caches[i].s) {
		o->size = ctor_size = caches[i].size;
		o->p = kmem_cache_alloc(caches[i].s);
	} else {
		create(i);
		return;
	}
	if (!o->p) {
		out_of_memory++;
		return;
	}
	UNPOISON(o->p, o->size);
	CHECK(((uintptr_t)o->p & 7) == 0);
	if (o->cache >= 0) {
		CHECK(((uintptr_t)o->p &
		       (caches[i].align - !!caches[i].align)) == 0);
		/* Constructed objects keep their state from free to alloc. */
		if (caches[i].ctor)
			CHECK(all(o->p, CTOR_BYTE, o->size));
		caches[i].live++;
	}
	o->stamp = (uint8_t)below(256);
	memset(o->p, o->stamp, o->size);
	nr_objects++;
}

static void free_one(unsigned int k)
{
	struct object *o = &objects[k];

	CHECK(all(o->p, o->stamp, o->size));
	if (o->cache < 0) {
		kfree(o->p);
	} else {
		if (caches[o->cache].ctor)
			memset(o->p, CTOR_BYTE, o->size);
		caches[o->cache].live--;
		POISON(o->p, o->size);
		if (below(2))
			kmem_cache_free(caches[o->cache].s, o->p);
		else
			kfree(o->p);
	}
	*o = objects[--nr_objects];
}

static void destroy(int i)
{
	if (!caches[i].s || caches[i].live)
		return;
	kmem_cache_destroy(caches[i].s);
	caches[i].s = NULL;
	destroys++;
}

/* Do all caches have an array for that core, or none of them? */
static bool all_arrays(unsigned int cpu, bool there)
{
	struct kmem_cache *s;

	list_for_each (s, &slab_caches, list)
		if ((s->array[cpu] != NULL) != there)
			return false;
	return true;
}

static void toggle_core(void)
{
	unsigned int cpu = below(HOST_CORES);

	if (cpu == smp_processor_id())
		return; /* somebody else does it, as in the kernel */
	if (cpu_is_online(cpu)) {
		host_core_down(cpu);
		downs++;
	} else if (host_core_up(cpu) == 0) {
		ups++;
	} else {
		out_of_memory++;
	}
	CHECK(all_arrays(cpu, cpu_is_online(cpu)));
}

static void some_operation(void)
{
	unsigned int what = below(1000);

	random_core();
	if (what < 480)
		alloc();
	else if (what < 950 && nr_objects)
		free_one(below(nr_objects));
	else if (what < 960)
		host_run_callbacks();
	else if (what < 970)
		toggle_core();
	else if (what < 980)
		destroy((int)below(CACHES));
	else if (what < 985 && caches[what % CACHES].s)
		CHECK(!kmem_cache_shrink(caches[what % CACHES].s) ==
		      !caches[what % CACHES].live);
	else if (what < 987)
		pages_fail_after(1 + below(4), 1 + below(3));
	else if (what < 988)
		while (nr_objects)
			free_one(nr_objects - 1);
}

/* Back to the first state: no cache of the test, no unused slab. Returns the number of
 * pages that are free or in a slab; no page may be anywhere else. */
static size_t settle(struct slab_stats *st)
{
	struct kmem_cache *s;

	pages_fail_after(0, 0);
	while (nr_objects)
		free_one(0);
	for (int i = 0; i < CACHES; i++)
		destroy(i);
	CHECK(cpu_is_online(0) || host_core_up(0) == 0);
	host_core(0);
	for (unsigned int cpu = 1; cpu < HOST_CORES; cpu++)
		if (cpu_is_online(cpu))
			host_core_down(cpu);
	host_run_callbacks();
	list_for_each (s, &slab_caches, list) {
		kmem_cache_shrink(s);
		CHECK(list_empty(&s->free));
	}
	slab_stats(st);
	CHECK(pages_check());
	return pages_free_count() + st->pages;
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	struct slab_stats before, after;
	size_t pages_before;

	host_init();
	pages_before = settle(&before);
	for (unsigned long i = 0; i < rounds; i++) {
		some_operation();
		if (i % 1000 == 0)
			CHECK(pages_check());
	}
	CHECK(settle(&after) == pages_before);
	CHECK(after.active == before.active && after.caches == before.caches);
	CHECK(slab_errors == 0);
	printf("out of memory %lu, ups %lu, downs %lu, destroys %lu\n",
	       out_of_memory, ups, downs, destroys);
	CHECK(rounds < 100000 || (out_of_memory && ups && downs && destroys));
	return 0;
}
