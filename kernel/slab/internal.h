/*
 * Shared by the files of kernel/slab/: the shape of a cache, the fast path, and
 * the hooks of the debug checks (slab_debug.c), which leave no instruction in
 * release.
 *
 * A slab is one block of pages, aligned to its size:
 *
 *   struct slab | next[num] | colour | object | object | ... | left over
 *
 * An object in its stride, with the debug checks:
 *
 *   pad | struct object_debug, ends in a red zone | payload | red zone
 *
 * A pointer to an object always points to its payload.
 */
#pragma once

#include "kernel/arch/arch.h"
#include "kernel/lib/cpumask.h"
#include "kernel/lock/spinlock.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/sched/sched.h"

#define SLAB_MAX_ORDER 3 /* 32 KiB */

/* The free objects of one core, last in first out. The core uses the array
 * with IRQs off and without a lock. Other cores read only `avail`, under
 * list_lock. */
struct array_cache {
	unsigned int avail;
	unsigned int limit;	 /* entries it can hold */
	unsigned int batchcount; /* objects that a full array gives back */
	bool cold;		 /* new or drained, and not refilled since */
	void *entry[];
};

struct kmem_cache {
	/* array[cpu] is set and cleared under slab_mutex and list_lock, while
	 * that core is off, or before the cache is known. NULL: that core uses
	 * the slab lists. */
	struct array_cache *array[NR_CPUS];

	/* Fixed at creation: */
	const char *name;
	unsigned int size;   /* of the payload, as asked for */
	unsigned int stride; /* from object to object */
	unsigned int before; /* from the start of the stride to the payload */
	unsigned int num;    /* objects in a slab */
	unsigned int order;  /* of the block of pages of a slab */
	unsigned int first;  /* offset of the first object without colour */
	unsigned int colours, colour_unit;
	unsigned int limit, batchcount; /* of the cache's arrays */
	unsigned int free_limit;	/* free objects worth keeping */
	unsigned int flags;
	void (*ctor)(void *obj);
	uint32_t id; /* no other cache ever has the same */

	struct list_head list;	 /* slab_mutex guards: slab_caches */
	struct list_head report; /* report_lock guards: for slab_print() */

	/* list_lock guards: */
	struct spinlock list_lock;
	struct list_head partial, full, free;
	unsigned int free_objects; /* of the slabs in partial and free */
	unsigned int nr_slabs;	   /* on the three lists */

	/* No lock: if two cores read the same colour, two slabs have it. */
	unsigned int colour_next;
};

struct slab {
	struct list_head list;
	struct rcu_head rcu; /* gives the pages back after a grace period */
	struct kmem_cache *cache;
	uint32_t cache_id;
	char *mem; /* the first stride */
	/* The cache's list_lock guards: */
	uint16_t inuse; /* objects in use or in arrays */
	/* The first free object k. next[k] is the next one, and so on.
	 * SLAB_FRESH | k: no object from k on has been used yet. They are all
	 * free, and their next[] is not set. */
	uint16_t free;
	uint16_t next[];
};

#define SLAB_FRESH 0x8000u

static inline struct slab *slab_of(const struct kmem_cache *s, const void *obj)
{
	return (struct slab *)((uintptr_t)obj &
			       ~(((uintptr_t)PAGE_SIZE << s->order) - 1));
}

static inline void *slab_object(const struct kmem_cache *s,
				const struct slab *slab, unsigned int i)
{
	return slab->mem + i * s->stride + s->before;
}

/* The number of the object that addr lies in. If addr lies in none, the result
 * is s->num or more. */
static inline unsigned int slab_index(const struct kmem_cache *s,
				      const struct slab *slab, const void *addr)
{
	return (unsigned int)((uintptr_t)addr - (uintptr_t)slab->mem) /
	       s->stride;
}

extern struct kmem_cache cache_cache; /* the cache of caches */

/* slab.c: the slow paths. IRQs on or off. */
void *cache_alloc_slow(struct kmem_cache *s);
void cache_free_slow(struct kmem_cache *s, void *obj);
bool cache_grow(struct kmem_cache *s);
/* slab_mutex held, or the cache not known yet: */
bool cache_layout(struct kmem_cache *s, unsigned int align);
struct array_cache *alloc_arraycache(const struct kmem_cache *s);
void array_attach(struct kmem_cache *s, unsigned int cpu,
		  struct array_cache *ac);
struct array_cache *array_detach(struct kmem_cache *s, unsigned int cpu);
bool drain_freelist(struct kmem_cache *s); /* any context but FIQ */

/* slab_common.c: make a cache without arrays, during slab_init(). */
struct kmem_cache *kmem_cache_boot(const char *name, size_t size);

/* kmalloc.c */
void kmalloc_init(void);

#if GORDIAN_DEBUG
/* Bytes that the checks need before and after each payload. */
unsigned int slab_debug_before(unsigned int flags);
unsigned int slab_debug_after(unsigned int flags);
/* Prepare an object of a new slab, before its constructor. */
void slab_debug_new(struct kmem_cache *s, void *obj);
/* Check an object that is about to be handed out. */
void slab_debug_alloc(struct kmem_cache *s, void *obj, uintptr_t caller);
/* May obj be freed into s? If not, this is reported, and the caller leaves obj
 * unchanged. */
bool slab_debug_free(struct kmem_cache *s, void *obj, uintptr_t caller);
/* May obj be freed by kfree()? If not, this is reported, and the caller leaves
 * obj unchanged. head: the first page of obj's block; NULL: obj is in none. */
bool slab_debug_kfree(struct page *head, void *obj, uintptr_t caller);
/* Check all objects of a slab whose pages are about to be given back. */
void slab_debug_slab_end(struct kmem_cache *s, struct slab *slab);
/* Does the cache of that slab still exist? If not, this is reported. */
bool slab_debug_cache_alive(const struct slab *slab);
/* Print the objects in use, and where they were allocated. */
void slab_debug_leaks(struct kmem_cache *s);
#else
#define slab_debug_before(flags)	    0u
#define slab_debug_after(flags)		    0u
#define slab_debug_new(s, obj)		    ((void)0)
#define slab_debug_alloc(s, obj, caller)    ((void)(caller))
#define slab_debug_free(s, obj, caller)	    ((void)(caller), true)
#define slab_debug_kfree(head, obj, caller) ((void)(caller), true)
#define slab_debug_slab_end(s, slab)	    ((void)0)
#define slab_debug_cache_alive(slab)	    true
#define slab_debug_leaks(s)		    ((void)0)
#endif

/* Does the array have an object? May it get one? ac may be NULL: the answer is
 * false then. On the array's core, IRQs off, as the next two. */
static always_inline bool array_has_object(const struct array_cache *ac)
{
	return ac && ac->avail;
}

static always_inline bool array_has_room(const struct array_cache *ac)
{
	return ac && ac->avail < ac->limit;
}

/* Take the newest object of the array, which has one. */
static always_inline void *array_take(struct array_cache *ac)
{
	unsigned int top = ac->avail - 1;

	WRITE_ONCE(ac->avail, top);
	return ac->entry[top];
}

/* Put obj into the array, which has room. */
static always_inline void array_put(struct array_cache *ac, void *obj)
{
	unsigned int top = ac->avail;

	ac->entry[top] = obj;
	WRITE_ONCE(ac->avail, top + 1);
}

/*
 * The fast paths. Any context but FIQ. A slow path looks at the array again: in the
 * meantime an interrupt may have used the array, or the thread may have changed
 * cores.
 */
static always_inline void *cache_alloc(struct kmem_cache *s, uintptr_t caller)
{
	uint32_t flags = local_irq_save();
	struct array_cache *ac = READ_ONCE(s->array[smp_processor_id()]);
	void *obj;

	if (likely(array_has_object(ac))) {
		obj = array_take(ac);
		local_irq_restore(flags);
	} else {
		local_irq_restore(flags);
		obj = cache_alloc_slow(s);
		if (!obj)
			return NULL;
	}
	slab_debug_alloc(s, obj, caller);
	return obj;
}

static always_inline void cache_free(struct kmem_cache *s, void *obj,
				     uintptr_t caller)
{
	struct array_cache *ac;
	uint32_t flags;

	if (!slab_debug_free(s, obj, caller))
		return;
	flags = local_irq_save();
	ac = READ_ONCE(s->array[smp_processor_id()]);
	if (likely(array_has_room(ac))) {
		array_put(ac, obj);
		local_irq_restore(flags);
	} else {
		local_irq_restore(flags);
		cache_free_slow(s, obj);
	}
}
