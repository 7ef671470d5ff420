/*
 * Slab caches in the shape of Bonwick's paper and of Linux 3.6's mm/slab.c, and
 * kmalloc() on top of them.
 *
 * What it is for. A cache hands out objects of one size. It cuts blocks of
 * pages (slabs) into objects, and gives each core an array of free objects in
 * front of the slabs. So the usual allocation takes a pointer off an array and
 * does nothing else.
 *
 * The client's duties:
 *  1. Free an object into the cache that it came from, once.
 *  2. Destroy a cache only when no object of it is in use and no other thread
 *     uses it.
 *  3. Readers under SLAB_TYPESAFE_BY_RCU may see an object of the right type
 *     that was freed and handed out again: they check its identity.
 *
 * The consequences:
 *  a. A free object may be in the array of any core. So a cache is known to be
 *     unused only after every core has been asked (__cache_shrink()).
 *  b. When a core goes off, its arrays are emptied by the core that runs
 *     CPU_DEAD.
 *  c. A core without an array (early boot; a cache made while the core comes
 *     up) uses the slab lists, which is slower and correct.
 *  d. The slabs of a SLAB_TYPESAFE_BY_RCU cache are given back after a grace
 *     period, by a callback that still reads the cache. That is why
 *     kmem_cache_destroy() calls rcu_barrier().
 *
 * Locks: slab_mutex guards the list of all caches, and which core has an array
 * in which cache. A cache's list_lock (spinlock, IRQs off) guards its slab
 * lists. A core's array belongs to that core, with IRQs off.
 *
 * The mechanism: slab.c for slabs and arrays, slab_common.c for the life of
 * caches and for cores that come and go, slab_debug.c for the checks,
 * kmalloc.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/list.h"
#include "kernel/sync/mutex.h"
#include "kernel/rcu/rcu.h"

/* Pages wait for a grace period before they are given back; objects do not. */
#define SLAB_TYPESAFE_BY_RCU 0x01u
#define SLAB_DESTROY_BY_RCU  SLAB_TYPESAFE_BY_RCU /* its name in 2012 */
#define SLAB_NO_DEBUG	     0x02u		  /* no poison, no red zones */

struct kmem_cache;

extern struct mutex slab_mutex;
extern struct list_head slab_caches; /* slab_mutex guards */

/*
 * size in bytes; align a power of two or 0. ctor is called for each object when
 * its slab is made. name must outlive the cache. Returns NULL if there is no
 * memory, or if the arguments are wrong (then with a WARN). May sleep.
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *obj));
/* The name with which s was created. Any context. */
const char *kmem_cache_name(const struct kmem_cache *s);
/* Returns an object or NULL. Any context but FIQ; does not sleep. */
void *kmem_cache_alloc(struct kmem_cache *s);
void kmem_cache_free(struct kmem_cache *s, void *obj);
/* Give back unused slabs. Returns 0 if no object is in use. May sleep. */
int kmem_cache_shrink(struct kmem_cache *s);
/* As merged in 2012 (210ed9defffc). May sleep. */
void kmem_cache_destroy(struct kmem_cache *s);

void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *obj);
/* Free after a grace period; head lies anywhere in a kmalloc()ed object. */
#define kfree_rcu(ptr, member) __kfree_rcu(&(ptr)->member)
void __kfree_rcu(struct rcu_head *head);

/*
 * The steps of kmem_cache_destroy(). Other forms of it are built from the same
 * steps. unlink, relink and shrink need slab_mutex.
 */
void kmem_cache_unlink(struct kmem_cache *s);
void kmem_cache_relink(struct kmem_cache *s);
int __cache_shrink(struct kmem_cache *s); /* not 0: objects are in use */
bool kmem_cache_is_rcu(const struct kmem_cache *s);
/* Record the events that a destroy begins, and that it ends. */
void cache_destroy_enter(struct kmem_cache *s, uintptr_t caller);
void cache_destroy_leave(struct kmem_cache *s, uintptr_t caller);
void slab_error(struct kmem_cache *s, const char *what);
void __kmem_cache_destroy(struct kmem_cache *s); /* frees the cache itself */

void slab_init(void); /* after pages_init() and rcu_init() */
/* For the command `slabinfo` (docs/design.md, "reports take no sleeping
 * lock"). */
void slab_print(void);
struct slab_stats {
	unsigned int caches;
	unsigned int active; /* objects in use */
	unsigned int total;  /* objects in all slabs */
	unsigned int slabs, pages;
};
void slab_stats(struct slab_stats *st);
/* Number of debug reports (poison, red zone, double free ...) since boot. */
extern unsigned int slab_errors;
extern const char *slab_last_error; /* the last one's finding; NULL: none */

#if GORDIAN_DEBUG
/* A label has an era (the upper bits), bits for the client, and these bits: */
#define LABEL_ERA_SHIFT 20
#define LABEL_COUNT	0x1fffu /* how many labels the thread had, up to this */
#define LABEL_ALONE	0x2000u /* nobody uses what this thread frees */
#define LABEL_FREED	0x4000u /* a thread that is not alone has freed it */
#define LABEL_REUSED	0x8000u /* LABEL_FREED was set before, in the same era */

/* Of an address in the direct map: */
struct slab_origin {
	uint32_t label; /* `next_label` of the thread that allocated its object
			 * last; 0: there is none, or no object */
	size_t offset;	/* in the object */
	bool is_free; /* it lies in no block and in no object that is in use */
};
/* A cache with SLAB_NO_DEBUG counts as one object in use, without a label. Any
 * context but FIQ. */
struct slab_origin slab_origin(const void *addr);
#endif
