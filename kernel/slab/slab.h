/*
 * Slab caches in the shape of Bonwick's paper and Linux 3.6's mm/slab.c.
 *
 * slab_mutex guards the list of all caches and every change of a cache's
 * per-core arrays; a cache's list_lock (spinlock, IRQs off) its slab lists; a
 * core's array belongs to that core with IRQs off.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lib/list.h"
#include "kernel/sync/mutex.h"
#include "kernel/rcu/rcu.h"

#define SLAB_TYPESAFE_BY_RCU 0x01u /* only the pages wait for a grace period */
#define SLAB_DESTROY_BY_RCU  SLAB_TYPESAFE_BY_RCU /* its name in 2012 */
#define SLAB_NO_DEBUG	     0x02u		  /* no poison, no red zones */

struct kmem_cache;

extern struct mutex slab_mutex;
extern struct list_head slab_caches; /* slab_mutex guards */

/*
 * size in bytes, align a power of two or 0; ctor runs once per object when its
 * slab is made. name must outlive the cache. NULL when memory is out or the
 * arguments are bad (then with one WARN line). May sleep.
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *obj));
/* An object or NULL. Any context but FIQ, never sleeps. */
void *kmem_cache_alloc(struct kmem_cache *s);
void kmem_cache_free(struct kmem_cache *s, void *obj);
/* Give back unused slabs; 0 if none with objects is left. May sleep. */
int kmem_cache_shrink(struct kmem_cache *s);
/* The merged form of 2012 (210ed9defffc). May sleep. */
void kmem_cache_destroy(struct kmem_cache *s);

void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *obj);
/* Free after a grace period; head lies anywhere in a kmalloc()ed object. */
#define kfree_rcu(ptr, member) __kfree_rcu(&(ptr)->member)
void __kfree_rcu(struct rcu_head *head);

/*
 * The steps kmem_cache_destroy() is made of; other forms of it are built from
 * the same ones. slab_mutex must be held for unlink, relink and shrink.
 */
void kmem_cache_unlink(struct kmem_cache *s);
void kmem_cache_relink(struct kmem_cache *s);
int __cache_shrink(struct kmem_cache *s); /* not 0: objects are still in use */
bool kmem_cache_is_rcu(const struct kmem_cache *s);
/* The two ends of a destroy in the event stream. */
void cache_destroy_enter(struct kmem_cache *s, uintptr_t caller);
void cache_destroy_leave(struct kmem_cache *s, uintptr_t caller);
void slab_error(struct kmem_cache *s, const char *what);
void __kmem_cache_destroy(struct kmem_cache *s); /* frees the cache itself */

void slab_init(void); /* after pages_init() and rcu_init() */
/* For `slabinfo` (docs/design.md, "reports take no sleeping lock"). */
void slab_print(void);
struct slab_stats {
	unsigned int caches;
	unsigned int active; /* objects that callers have */
	unsigned int total;  /* objects there is room for */
	unsigned int slabs, pages;
};
void slab_stats(struct slab_stats *st);
/* Number of debug reports (poison, red zone, double free ...) since boot. */
extern unsigned int slab_errors;
