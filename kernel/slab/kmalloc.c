/*
 * kmalloc(): memory by size. Small objects come from caches, one for each size
 * in a table. Larger objects are blocks of pages.
 *
 * Owns the caches, which kmalloc_init() makes. Any context but FIQ.
 */
#include <string.h>

#include "kernel/slab/internal.h"

#define LARGE 1 /* page->user: a block of kmalloc() */

static const struct {
	unsigned int size;
	const char *name;
} sizes[] = {
#define SIZE(n)                                                                \
	{                                                                      \
		n, "kmalloc-" #n                                               \
	}
	SIZE(8),   SIZE(16),  SIZE(32),	 SIZE(64),   SIZE(96),	 SIZE(128),
	SIZE(192), SIZE(256), SIZE(512), SIZE(1024), SIZE(2048), SIZE(4096),
};

static struct kmem_cache *caches[ARRAY_SIZE(sizes)];

/* The caches of the sizes up to SMALL, each of which is a multiple of 8: small[i]
 * is the cache for up to 8 i bytes. */
#define SMALL 192u
static struct kmem_cache *small[SMALL / 8 + 1];

/* Allocate a large object, which is a block of pages of its own. Returns NULL
 * if memory is out. */
static void *alloc_pages(size_t size)
{
	unsigned int order = 0;
	void *obj;

	while (((size_t)PAGE_SIZE << order) < size)
		if (++order > MAX_ORDER)
			return NULL;
	obj = pages_alloc(order);
	if (obj)
		virt_to_page(obj)->user = LARGE;
	return obj;
}

static always_inline void *alloc(size_t size, uintptr_t caller)
{
	if (likely(size <= SMALL))
		return cache_alloc(small[(size + 7) / 8], caller);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		if (size <= sizes[i].size)
			return cache_alloc(caches[i], caller);
	return alloc_pages(size);
}

/* size in bytes, may be 0. The result is aligned to 8 bytes, or NULL. */
void *kmalloc(size_t size)
{
	return alloc(size, CALLER);
}

/* As kmalloc(), and all bytes are 0. */
void *kzalloc(size_t size)
{
	void *obj = alloc(size, CALLER);

	if (obj)
		memset(obj, 0, size);
	return obj;
}

/* obj is from kmalloc(), kzalloc() or kmem_cache_alloc(), or NULL. */
void kfree(void *obj)
{
	struct page *head = page_head(obj);

	if (!obj)
		return;
	if (!slab_debug_kfree(head, obj, CALLER))
		return;
	if (head->owner) {
		cache_free(head->owner, obj, CALLER);
		return;
	}
	/* pages_free() checks this, too. Here the report names our caller. */
	debug_check_no_locks_freed(obj, PAGE_SIZE << head->order, CALLER);
	pages_free(obj, head->order);
}

/* The start of the object that addr lies in. */
static void *object_start(void *addr)
{
	struct page *head = page_head(addr);
	struct kmem_cache *s = head->owner;
	struct slab *slab = page_to_virt(head);

	return s ? slab_object(s, slab, slab_index(s, slab, addr)) : slab;
}

static void kfree_rcu_callback(struct rcu_head *head)
{
	kfree(object_start(head));
}

void __kfree_rcu(struct rcu_head *head)
{
	call_rcu(head, kfree_rcu_callback);
}

void kmalloc_init(void)
{
	unsigned int k = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		caches[i] = kmem_cache_boot(sizes[i].name, sizes[i].size);
		while (k < ARRAY_SIZE(small) && k * 8 <= sizes[i].size)
			small[k++] = caches[i];
	}
}
