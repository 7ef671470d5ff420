/*
 * The slab allocator with a thread for each core, for the thread sanitizer. All cores
 * allocate and free, also objects that another core allocated. Meanwhile core 0 shrinks
 * and destroys caches and takes the other cores off and on.
 *
 * An interrupt (on_each_cpu) is a request that a core answers between two operations; a
 * core that is off waits at the same place.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "kernel/cpu/smp.h"
#include "kernel/slab/internal.h"
#include "tests/host/host.h"

#define CACHES 3
#define BASKET 64

static struct kmem_cache *caches[CACHES];

/* For each core, written by core 0 (call, want_off, stop) and by the core. */
static struct {
	void (*call)(void *);
	void *arg;
	bool want_off, is_off, stop;
} mail[HOST_CORES];

/* Objects on their way from one core to another. */
static pthread_mutex_t basket_lock = PTHREAD_MUTEX_INITIALIZER;
static struct parcel {
	uint32_t *obj;
	int cache; /* -1: kmalloc */
	uint32_t stamp;
} basket[BASKET];
static unsigned int in_basket;

static __thread uint32_t seed;

static uint32_t mine(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void answer(unsigned int cpu)
{
	void (*fn)(void *) = smp_load_acquire(&mail[cpu].call);

	if (fn) {
		fn(mail[cpu].arg);
		smp_store_release(&mail[cpu].call, NULL);
	}
}

/* Run by core 0: ask all cores that are on, itself last, and wait for them. */
static void ask_all(void (*fn)(void *), void *arg)
{
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		if (cpu) {
			mail[cpu].arg = arg;
			smp_store_release(&mail[cpu].call, fn);
		}
	}
	fn(arg);
	for_each_online_cpu (cpu)
		while (smp_load_acquire(&mail[cpu].call))
			sched_yield();
}

static struct parcel make(void)
{
	struct parcel p = { .cache = (int)mine(CACHES + 1) - 1,
			    .stamp = mine(~0u) };

	p.obj = p.cache < 0 ? kmalloc(sizeof(uint32_t) + mine(600)) :
			      kmem_cache_alloc(caches[p.cache]);
	if (p.obj)
		*p.obj = p.stamp;
	return p;
}

static void unmake(struct parcel p)
{
	CHECK(*p.obj == p.stamp);
	if (p.cache < 0)
		kfree(p.obj);
	else
		kmem_cache_free(caches[p.cache], p.obj);
}

/* Put an object into the basket, or take one out. */
static void trade(void)
{
	struct parcel p = { 0 };
	bool put = mine(2);

	if (put)
		p = make();
	pthread_mutex_lock(&basket_lock);
	if (put && p.obj && in_basket < BASKET) {
		basket[in_basket++] = p;
		p.obj = NULL;
	} else if (!put && in_basket) {
		p = basket[--in_basket];
	}
	pthread_mutex_unlock(&basket_lock);
	if (p.obj)
		unmake(p);
}

static void churn(void)
{
	struct parcel p[40];
	unsigned int n = 1 + mine(40);

	for (unsigned int i = 0; i < n; i++)
		p[i] = make();
	while (n--)
		if (p[n].obj)
			unmake(p[n]);
}

static void *core(void *arg)
{
	unsigned int cpu = (unsigned int)(uintptr_t)arg;

	host_core(cpu);
	seed = cpu;
	while (!smp_load_acquire(&mail[cpu].stop)) {
		answer(cpu);
		if (smp_load_acquire(&mail[cpu].want_off)) {
			smp_store_release(&mail[cpu].is_off, true);
			while (smp_load_acquire(&mail[cpu].want_off))
				sched_yield();
			smp_store_release(&mail[cpu].is_off, false);
			continue;
		}
		if (mine(4))
			trade();
		else
			churn();
	}
	return NULL;
}

static void core_off(unsigned int cpu)
{
	smp_store_release(&mail[cpu].want_off, true);
	while (!smp_load_acquire(&mail[cpu].is_off))
		sched_yield();
	host_core_down(cpu);
}

static void core_on(unsigned int cpu)
{
	CHECK(host_core_up(cpu) == 0);
	smp_store_release(&mail[cpu].want_off, false);
	while (smp_load_acquire(&mail[cpu].is_off))
		sched_yield();
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	pthread_t t[HOST_CORES];
	struct slab_stats before, after;
	struct kmem_cache *own;

	host_init();
	host_each_cpu = ask_all;
	slab_stats(&before);
	caches[0] = kmem_cache_create("small", 24, 0, 0, NULL);
	caches[1] =
		kmem_cache_create("rcu", 200, 64, SLAB_TYPESAFE_BY_RCU, NULL);
	caches[2] = kmem_cache_create("large", 3000, 0, 0, NULL);
	CHECK(caches[0] && caches[1] && caches[2]);
	for (unsigned int cpu = 1; cpu < HOST_CORES; cpu++) {
		CHECK(host_core_up(cpu) == 0);
		CHECK(!pthread_create(&t[cpu], NULL, core,
				      (void *)(uintptr_t)cpu));
	}
	while (rounds--) {
		unsigned int cpu = 1 + below(HOST_CORES - 1);

		kmem_cache_shrink(caches[below(CACHES)]);
		core_off(cpu);
		host_run_callbacks();
		own = kmem_cache_create("own", 40, 0, SLAB_TYPESAFE_BY_RCU,
					NULL);
		CHECK(own);
		kmem_cache_free(own, kmem_cache_alloc(own));
		core_on(cpu);
		kmem_cache_destroy(own);
		slab_stats(&after); /* this reads while the cores write */
		sched_yield();
	}
	for (unsigned int cpu = 1; cpu < HOST_CORES; cpu++) {
		smp_store_release(&mail[cpu].stop, true);
		pthread_join(t[cpu], NULL);
	}
	while (in_basket)
		unmake(basket[--in_basket]);
	for (unsigned int cpu = 1; cpu < HOST_CORES; cpu++)
		host_core_down(cpu);
	for (int i = 0; i < CACHES; i++)
		kmem_cache_destroy(caches[i]);
	host_run_callbacks();
	slab_stats(&after);
	CHECK(after.active == before.active && after.caches == before.caches);
	CHECK(slab_errors == 0 && pages_check());
	return 0;
}
