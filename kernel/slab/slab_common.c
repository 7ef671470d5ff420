/*
 * The life of caches: kmem_cache_create(), kmem_cache_destroy(), the CPU
 * notifier, and the data for reports.
 *
 * slab_mutex guards slab_caches, and which core has an array in which cache.
 * Create, shrink and destroy take slab_mutex while they have a reference of the
 * hotplug lock (get_online_cpus()). The notifier takes slab_mutex while the
 * hotplug lock is held by its writer.
 *
 * Reports (slabinfo, the watchdog, comparisons of state) must work even if a
 * thread never releases slab_mutex. So they read a second list, guarded by
 * report_lock (spinlock, IRQs off; a cache's list_lock is taken inside it). A
 * cache is on that list from the end of create until just before its memory is
 * freed.
 *
 * Context: thread, may sleep, unless a comment says otherwise. Source: the
 * order of locks and steps is that of Linux's mm/slab.c at 210ed9defffc,
 * "release slab_mutex earlier in kmem_cache_destroy()".
 */
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/slab/internal.h"

#define MIN_ALIGN  8u /* for 64-bit members */
#define SLAB_FLAGS (SLAB_TYPESAFE_BY_RCU | SLAB_NO_DEBUG)
/* Room in a slab for its header, and for the debug words of one object. */
#define SLAB_EXTRA 512u

DEFINE_MUTEX(slab_mutex);
struct list_head slab_caches = LIST_HEAD_INIT(slab_caches);
struct kmem_cache cache_cache;

static DEFINE_SPINLOCK(report_lock);
static struct list_head reported = LIST_HEAD_INIT(reported);
unsigned int slab_errors;
const char *slab_last_error;

/* ---- reports: no sleeping lock ------------------------------------------- */

/* Put the cache on the list for reports, or take it off. */
static void set_reported(struct kmem_cache *s, bool on)
{
	uint32_t flags = spin_lock_irqsave(&report_lock);

	if (on)
		list_add_tail(&s->report, &reported);
	else
		list_del(&s->report);
	spin_unlock_irqrestore(&report_lock, flags);
}

struct cache_reading {
	char name[20];
	unsigned int size, num, pages, active, total, slabs;
};

/* Read the figures of a cache. They are approximate while cores allocate.
 * report_lock held. */
static void cache_read(struct kmem_cache *s, struct cache_reading *r)
{
	uint32_t flags = spin_lock_irqsave(&s->list_lock);
	unsigned int idle = s->free_objects;

	ksnprintf(r->name, sizeof(r->name), "%s", s->name);
	r->size = s->size;
	r->num = s->num;
	r->pages = s->nr_slabs << s->order;
	r->slabs = s->nr_slabs;
	r->total = s->nr_slabs * s->num;
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		if (s->array[cpu])
			idle += READ_ONCE(s->array[cpu]->avail);
	r->active = r->total > idle ? r->total - idle : 0;
	spin_unlock_irqrestore(&s->list_lock, flags);
}

/* Read the figures of the i-th cache. Returns false if there are fewer
 * caches. */
static bool cache_read_nth(unsigned int i, struct cache_reading *r)
{
	uint32_t flags = spin_lock_irqsave(&report_lock);
	struct kmem_cache *s;
	bool found = false;

	list_for_each (s, &reported, report) {
		if (i-- == 0) {
			cache_read(s, r);
			found = true;
			break;
		}
	}
	spin_unlock_irqrestore(&report_lock, flags);
	return found;
}

void slab_print(void)
{
	struct cache_reading r;

	kprintf("%-19s %7s %7s %6s %5s %5s %5s\n", "cache", "active", "total",
		"size", "slabs", "objs", "pages");
	for (unsigned int i = 0; cache_read_nth(i, &r); i++)
		kprintf("%-19s %7u %7u %6u %5u %5u %5u\n", r.name, r.active,
			r.total, r.size, r.slabs, r.num, r.pages);
}

void slab_stats(struct slab_stats *st)
{
	struct cache_reading r;

	memset(st, 0, sizeof(*st));
	while (cache_read_nth(st->caches, &r)) {
		st->caches++;
		st->active += r.active;
		st->total += r.total;
		st->slabs += r.slabs;
		st->pages += r.pages;
	}
}

void slab_error(struct kmem_cache *s, const char *what)
{
	uint32_t flags = report_begin();

	/* Relaxed: a count. */
	__atomic_fetch_add(&slab_errors, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(slab_last_error, what);
	kprintf("slab error: cache %s: %s\n", s->name, what);
	slab_debug_leaks(s);
	dump_stack();
	report_end(flags);
}

/* ---- create -------------------------------------------------------------- */

static bool args_valid(size_t size, size_t align, unsigned int flags)
{
	return size && size <= (PAGE_SIZE << SLAB_MAX_ORDER) - SLAB_EXTRA &&
	       align <= PAGE_SIZE && (align & (align - 1)) == 0 &&
	       (flags & ~SLAB_FLAGS) == 0;
}

/* Fill in a cache without arrays. Returns false if no object fits into a slab.
 * slab_mutex held, or only one thread runs yet. */
static bool cache_setup(struct kmem_cache *s, const char *name, size_t size,
			size_t align, unsigned int flags, void (*ctor)(void *))
{
	static uint32_t next_id = 1; /* slab_mutex */

	align = max(align, (size_t)MIN_ALIGN);
	memset(s, 0, sizeof(*s));
	s->name = name;
	s->size = (unsigned int)size;
	s->flags = flags;
	s->ctor = ctor;
	s->id = next_id++;
	s->before = ALIGN_UP(slab_debug_before(flags), (unsigned int)align);
	s->stride = ALIGN_UP(s->before + s->size + slab_debug_after(flags),
			     (unsigned int)align);
	spin_lock_init(&s->list_lock, "kmem_cache.list_lock");
	list_init(&s->partial);
	list_init(&s->full);
	list_init(&s->free);
	return cache_layout(s, (unsigned int)align);
}

static void free_arrays(struct kmem_cache *s)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		/* A lost core keeps its array. */
		if (s->array[cpu] && !cpu_is_lost(cpu))
			kfree(s->array[cpu]);
}

static struct kmem_cache *__kmem_cache_create(const char *name, size_t size,
					      size_t align, unsigned int flags,
					      void (*ctor)(void *))
{
	struct kmem_cache *s = kmem_cache_alloc(&cache_cache);
	unsigned int cpu;

	if (!s)
		return NULL;
	if (!cache_setup(s, name, size, align, flags, ctor))
		goto fail;
	for_each_online_cpu (cpu) {
		s->array[cpu] = alloc_arraycache(s);
		if (!s->array[cpu])
			goto fail;
	}
	return s;
fail:
	free_arrays(s);
	kmem_cache_free(&cache_cache, s);
	return NULL;
}

const char *kmem_cache_name(const struct kmem_cache *s)
{
	return s->name;
}

story struct kmem_cache *kmem_cache_create(const char *name, size_t size,
					   size_t align, unsigned int flags,
					   void (*ctor)(void *obj))
{
	struct kmem_cache *s;

	if (WARN_ON(!name || !args_valid(size, align, flags)))
		return NULL;
	get_online_cpus();
	mutex_lock(&slab_mutex);
	s = __kmem_cache_create(name, size, align, flags, ctor);
	if (s) {
		trace_gate(TR_CACHE_CREATE, s, CALLER);
		list_add(&s->list, &slab_caches);
		set_reported(s, true);
		trace_did(TR_CACHE_CREATE, s, 0, CALLER);
	}
	mutex_unlock(&slab_mutex);
	put_online_cpus();
	return s;
}

/* ---- shrink and destroy -------------------------------------------------- */

int kmem_cache_shrink(struct kmem_cache *s)
{
	int in_use;

	get_online_cpus();
	mutex_lock(&slab_mutex);
	in_use = __cache_shrink(s);
	mutex_unlock(&slab_mutex);
	put_online_cpus();
	return in_use;
}

void cache_destroy_enter(struct kmem_cache *s, uintptr_t caller)
{
	trace_point(TR_CACHE_DESTROY, s, 0, caller);
}

/* The cache may have been freed: s is not read, and only names the cache in the
 * event. */
void cache_destroy_leave(struct kmem_cache *s, uintptr_t caller)
{
	trace_did(TR_CACHE_DESTROY_END, s, 0, caller);
}

bool kmem_cache_is_rcu(const struct kmem_cache *s)
{
	return (s->flags & SLAB_TYPESAFE_BY_RCU) != 0;
}

void kmem_cache_unlink(struct kmem_cache *s)
{
	trace_gate(TR_CACHE_UNLINK, s, CALLER);
	lockdep_assert_held(&slab_mutex);
	list_del(&s->list);
	trace_did(TR_CACHE_UNLINK, s, 0, CALLER);
}

void kmem_cache_relink(struct kmem_cache *s)
{
	trace_gate(TR_CACHE_RELINK, s, CALLER);
	lockdep_assert_held(&slab_mutex);
	list_add(&s->list, &slab_caches);
	trace_did(TR_CACHE_RELINK, s, 0, CALLER);
}

void __kmem_cache_destroy(struct kmem_cache *s)
{
	trace_gate(TR_CACHE_FREE, s, CALLER);
	set_reported(s, false);
	free_arrays(s);
	trace_did(TR_CACHE_FREE, s, 0, CALLER);
	s->id = 0; /* from now on slab_debug_cache_alive() is false */
	kmem_cache_free(&cache_cache, s);
}

story void kmem_cache_destroy(struct kmem_cache *s)
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
		rcu_barrier();

	__kmem_cache_destroy(s);
	put_online_cpus();
	cache_destroy_leave(s, CALLER);
}

/* ---- cores come and go: slab_mutex held ---------------------------------- */

/* The core is off: give back the objects of its arrays, and free the arrays. */
static void cpuup_canceled(unsigned int cpu)
{
	struct kmem_cache *s;

	list_for_each (s, &slab_caches, list) {
		if (!s->array[cpu])
			continue;
		kfree(array_detach(s, cpu));
		drain_freelist(s);
	}
}

/* Make an array in each cache for a core that is about to start. If memory is
 * out, returns -ENOMEM, and then no cache has an array for that core. */
static int cpuup_prepare(unsigned int cpu)
{
	struct kmem_cache *s;

	list_for_each (s, &slab_caches, list) {
		struct array_cache *ac;

		if (s->array[cpu])
			continue;
		ac = alloc_arraycache(s);
		if (!ac) {
			cpuup_canceled(cpu);
			return -ENOMEM;
		}
		array_attach(s, cpu, ac);
	}
	return 0;
}

static story int cpuup_callback(struct notifier_block *nb maybe_unused,
				unsigned long event, void *data)
{
	unsigned int cpu = (unsigned int)(uintptr_t)data;
	int err = 0;

	switch (event) {
	case CPU_UP_PREPARE:
		mutex_lock(&slab_mutex);
		err = cpuup_prepare(cpu);
		mutex_unlock(&slab_mutex);
		break;
	case CPU_UP_CANCELED:
	case CPU_DEAD:
		mutex_lock(&slab_mutex);
		cpuup_canceled(cpu);
		mutex_unlock(&slab_mutex);
		break;
	default: /* also CPU_LOST: the core may still use its arrays */
		break;
	}
	return notifier_from_errno(err);
}

static struct notifier_block slab_notifier = {
	.notifier_call = cpuup_callback,
	.priority = CPU_PRI_DEFAULT,
	.name = "slab",
};

/* ---- boot ---------------------------------------------------------------- */

/* Make a cache without arrays, while only one thread runs. */
static void cache_boot(struct kmem_cache *s, const char *name, size_t size)
{
	BUG_ON(!cache_setup(s, name, size, 0, 0, NULL));
	list_add_tail(&s->list, &slab_caches);
	set_reported(s, true);
}

struct kmem_cache *kmem_cache_boot(const char *name, size_t size)
{
	struct kmem_cache *s = kmem_cache_alloc(&cache_cache);

	BUG_ON(!s);
	cache_boot(s, name, size);
	return s;
}

/* The first caches have no arrays and use the lists. Then the boot core gets
 * its arrays. */
void slab_init(void)
{
	cache_boot(&cache_cache, "kmem_cache", sizeof(struct kmem_cache));
	kmalloc_init();
	mutex_lock(&slab_mutex);
	BUG_ON(cpuup_prepare(smp_processor_id()) != 0);
	mutex_unlock(&slab_mutex);
	register_cpu_notifier(&slab_notifier);
}
