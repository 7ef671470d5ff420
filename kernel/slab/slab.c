/*
 * Slabs and arrays. slab.h has the purpose of the allocator, the client's
 * duties and the consequences.
 *
 * Each slab of a cache is on one of three lists: full (all objects are in use),
 * partial (some are), free (none is). Objects move between these lists and a
 * core's array in batches.
 *
 *   slab_mutex   slab_caches, and which core has an array (kmem_cache->array).
 *                Taken by create, shrink and destroy; and by the CPU notifier
 *                (slab_common.c) at CPU_UP_PREPARE, CPU_UP_CANCELED and
 *                CPU_DEAD, with the hotplug lock held. on_each_cpu() is called
 *                with slab_mutex held. Allocation takes neither slab_mutex nor
 *                the hotplug lock.
 *   list_lock    a cache's slab lists (spinlock, IRQs off). No lock is taken
 *                inside it: pages_free() and call_rcu() come after its release.
 *   IRQs off     a core's own array.
 *
 * Sources: Bonwick, "The Slab Allocator" (USENIX 1994). The order of locks and
 * steps is that of Linux's mm/slab.c and mm/slab_common.c at 210ed9defffc.
 */
#include "kernel/slab/slab.h"

#include <string.h>

#include "kernel/cpu/smp.h"
#include "kernel/debug/trace.h"
#include "kernel/slab/internal.h"

#define CACHE_LINE 64 /* unit of colours */
#define BATCH_COLD 16 /* at most: refill of an array that is `cold` */

/* ---- slab lists: list_lock held ------------------------------------------ */

/* Take up to n objects, first from partial slabs. Returns how many. */
static unsigned int slabs_take(struct kmem_cache *s, void **out, unsigned int n)
{
	unsigned int got = 0;

	while (got < n) {
		struct list_head *from = list_empty(&s->partial) ? &s->free :
								   &s->partial;
		struct slab *slab = list_first_or_null(from, struct slab, list);
		unsigned int end, k;

		if (!slab)
			break;
		end = min(n, got + s->num - slab->inuse);
		slab->inuse += end - got;
		for (k = slab->free; got < end;
		     k = k & SLAB_FRESH ? k + 1 : slab->next[k])
			out[got++] = slab_object(s, slab, k & ~SLAB_FRESH);
		slab->free = (uint16_t)k;
		list_del(&slab->list);
		list_add(&slab->list,
			 slab->inuse == s->num ? &s->full : &s->partial);
	}
	s->free_objects -= got;
	return got;
}

/* Move an unused slab to `dead` and out of the counts. */
static void slab_remove(struct kmem_cache *s, struct slab *slab,
			struct list_head *dead)
{
	list_move_tail(&slab->list, dead);
	s->free_objects -= s->num;
	s->nr_slabs--;
}

/* Give back the first object, and the objects behind it that are of the same slab.
 * Returns this slab; *n is lowered by the number of these objects. */
static struct slab *slab_give(const struct kmem_cache *s, void *const *objs,
			      unsigned int *n)
{
	struct slab *slab = slab_of(s, objs[0]);
	unsigned int free = slab->free, i = 0;

	do {
		unsigned int k = slab_index(s, slab, objs[i]);

		slab->next[k] = (uint16_t)free;
		free = k;
	} while (++i < *n && slab_of(s, objs[i]) == slab);
	slab->free = (uint16_t)free;
	slab->inuse -= i;
	*n -= i;
	return slab;
}

/* Give n objects back to the lists. While more than free_limit objects are
 * free, a slab that becomes unused goes to `dead`. The caller gives `dead` to
 * slabs_free() after it has released the lock. If `dead` is NULL, all slabs are
 * kept. */
static void slabs_give(struct kmem_cache *s, void *const *objs, unsigned int n,
		       struct list_head *dead)
{
	void *const *end = objs + n;

	s->free_objects += n;
	while (n) {
		struct slab *slab = slab_give(s, end - n, &n);

		list_move_tail(&slab->list,
			       slab->inuse ? &s->partial : &s->free);
		if (!slab->inuse && dead && s->free_objects > s->free_limit)
			slab_remove(s, slab, dead);
	}
}

/* ---- slabs come and go --------------------------------------------------- */

static void prepare_objects(struct kmem_cache *s, struct slab *slab)
{
	for (unsigned int i = 0; i < s->num; i++) {
		void *obj = slab_object(s, slab, i);

		slab_debug_new(s, obj);
		if (s->ctor)
			s->ctor(obj);
	}
}

/* Add a slab to the cache. Returns false when memory is out. */
bool cache_grow(struct kmem_cache *s)
{
	struct slab *slab = pages_alloc(s->order);
	unsigned int colour;
	uint32_t flags;

	if (!slab)
		return false;
	colour = READ_ONCE(s->colour_next);
	WRITE_ONCE(s->colour_next, colour + 1 < s->colours ? colour + 1 : 0);
	slab->mem = (char *)slab + s->first + colour * s->colour_unit;
	virt_to_page(slab)->owner = s;
	slab->cache = s;
	slab->cache_id = s->id;
	slab->inuse = 0;
	slab->free = SLAB_FRESH;
	if (GORDIAN_DEBUG || s->ctor)
		prepare_objects(s, slab);
	flags = spin_lock_irqsave(&s->list_lock);
	list_add_tail(&slab->list, &s->free);
	s->free_objects += s->num;
	s->nr_slabs++;
	spin_unlock_irqrestore(&s->list_lock, flags);
	return true;
}

/* The RCU callback of a slab: give back the pages of the slab. As in 2012, the
 * callback reads the cache. If a debug build finds that the cache is gone, it
 * reads the struct page instead. */
static void kmem_rcu_free(struct rcu_head *head)
{
	struct slab *slab = container_of(head, struct slab, rcu);

	pages_free(slab, slab_debug_cache_alive(slab) ?
				 slab->cache->order :
				 virt_to_page(slab)->order);
}

/* Give back the pages of the slabs, at once or (RCU caches) after a grace
 * period. list_lock not held. */
static void slabs_free(struct kmem_cache *s, struct list_head *dead)
{
	struct slab *slab, *tmp;

	list_for_each_safe (slab, tmp, dead, list) {
		slab_debug_slab_end(s, slab);
		if (kmem_cache_is_rcu(s))
			call_rcu(&slab->rcu, kmem_rcu_free);
		else
			pages_free(slab, s->order);
	}
}

/* Give back all unused slabs. Returns whether the cache has others. */
bool drain_freelist(struct kmem_cache *s)
{
	struct list_head dead = LIST_HEAD_INIT(dead);
	struct slab *slab, *next;
	uint32_t flags = spin_lock_irqsave(&s->list_lock);
	bool in_use;

	list_for_each_safe (slab, next, &s->free, list)
		slab_remove(s, slab, &dead);
	in_use = s->nr_slabs != 0;
	spin_unlock_irqrestore(&s->list_lock, flags);
	slabs_free(s, &dead);
	return in_use;
}

/* ---- arrays: their core, IRQs off ---------------------------------------- */

/*
 * Take an object from the lists, and more for the array if there is one. A refill
 * takes half as many objects as a full array gives back. So a core that allocates
 * and frees up to three quarters of `limit` objects, again and again, soon neither
 * empties nor fills its array.
 */
static void *cache_alloc_refill(struct kmem_cache *s, struct array_cache *ac)
{
	uint32_t flags = spin_lock_irqsave(&s->list_lock);
	void *obj = NULL;

	if (!ac) {
		slabs_take(s, &obj, 1);
	} else {
		unsigned int batch = ac->batchcount / 2, n;

		if (ac->cold)
			batch = min(batch, BATCH_COLD + 0u);
		n = slabs_take(s, ac->entry, batch);
		if (n) {
			obj = ac->entry[--n];
			ac->cold = false;
		}
		WRITE_ONCE(ac->avail, n);
	}
	spin_unlock_irqrestore(&s->list_lock, flags);
	return obj;
}

/* This core's array was empty or missing. */
noinline void *cache_alloc_slow(struct kmem_cache *s)
{
	void *obj;

	do {
		uint32_t flags = local_irq_save();
		struct array_cache *ac =
			READ_ONCE(s->array[smp_processor_id()]);

		obj = array_has_object(ac) ? array_take(ac) :
					     cache_alloc_refill(s, ac);
		local_irq_restore(flags);
	} while (!obj && cache_grow(s));
	return obj;
}

/* Free obj while this core's array is full or missing. A full array first gives
 * its oldest objects to the lists. IRQs off. */
static void cache_flusharray(struct kmem_cache *s, struct array_cache *ac,
			     void *obj)
{
	struct list_head dead = LIST_HEAD_INIT(dead);
	uint32_t flags = spin_lock_irqsave(&s->list_lock);

	if (!ac) {
		slabs_give(s, &obj, 1, &dead);
	} else {
		unsigned int left = ac->avail - ac->batchcount;

		slabs_give(s, ac->entry, ac->batchcount, &dead);
		memmove(ac->entry, &ac->entry[ac->batchcount],
			left * sizeof(void *));
		ac->entry[left] = obj;
		WRITE_ONCE(ac->avail, left + 1);
	}
	spin_unlock_irqrestore(&s->list_lock, flags);
	slabs_free(s, &dead);
}

/* This core's array was full or missing. */
noinline void cache_free_slow(struct kmem_cache *s, void *obj)
{
	uint32_t flags = local_irq_save();
	struct array_cache *ac = READ_ONCE(s->array[smp_processor_id()]);

	if (array_has_room(ac))
		array_put(ac, obj);
	else
		cache_flusharray(s, ac, obj);
	local_irq_restore(flags);
}

/* Give the objects of this core's array back to the lists. IRQs off. */
static void do_drain(void *arg)
{
	struct kmem_cache *s = arg;
	struct array_cache *ac = s->array[smp_processor_id()];
	uint32_t flags;

	if (!ac)
		return;
	flags = spin_lock_irqsave(&s->list_lock);
	slabs_give(s, ac->entry, ac->avail, NULL);
	WRITE_ONCE(ac->avail, 0);
	ac->cold = true;
	spin_unlock_irqrestore(&s->list_lock, flags);
}

struct array_cache *alloc_arraycache(const struct kmem_cache *s)
{
	struct array_cache *ac =
		kmalloc(sizeof(*ac) + s->limit * sizeof(void *));

	if (ac)
		*ac = (struct array_cache){ .limit = s->limit,
					    .batchcount = s->batchcount,
					    .cold = true };
	return ac;
}

void array_attach(struct kmem_cache *s, unsigned int cpu,
		  struct array_cache *ac)
{
	uint32_t flags = spin_lock_irqsave(&s->list_lock);

	WRITE_ONCE(s->array[cpu], ac);
	spin_unlock_irqrestore(&s->list_lock, flags);
}

/* Take away the array of core cpu, which is off, and give the array's objects
 * back to the lists. Returns the array. */
struct array_cache *array_detach(struct kmem_cache *s, unsigned int cpu)
{
	uint32_t flags = spin_lock_irqsave(&s->list_lock);
	struct array_cache *ac = s->array[cpu];

	WRITE_ONCE(s->array[cpu], NULL);
	slabs_give(s, ac->entry, ac->avail, NULL);
	spin_unlock_irqrestore(&s->list_lock, flags);
	return ac;
}

/* ---- layout -------------------------------------------------------------- */

/* Lay out a slab of that order: set s->first and *left, the bytes left over.
 * Returns the number of objects. */
static unsigned int objects_in_slab(struct kmem_cache *s, unsigned int order,
				    unsigned int align, unsigned int *left)
{
	unsigned int total = PAGE_SIZE << order, num, head;

	num = (total - sizeof(struct slab)) / (s->stride + sizeof(uint16_t));
	for (;; num--) {
		head = sizeof(struct slab) + num * sizeof(uint16_t);
		s->first = ALIGN_UP(head, align);
		if (num == 0 || s->first + num * s->stride <= total)
			break;
	}
	*left = num ? total - s->first - num * s->stride : total;
	return num;
}

/* Choose the smallest order that wastes at most an eighth of a slab. If there
 * is none, choose the largest order that is allowed. Then set all that depends
 * on the order. Returns false if no object fits into a slab. */
bool cache_layout(struct kmem_cache *s, unsigned int align)
{
	unsigned int left;

	for (s->order = 0;; s->order++) {
		s->num = objects_in_slab(s, s->order, align, &left);
		if ((s->num && left * 8 <= (PAGE_SIZE + 0u) << s->order) ||
		    s->order == SLAB_MAX_ORDER)
			break;
	}
	s->colour_unit = max(align, CACHE_LINE + 0u);
	s->colours = left / s->colour_unit + 1;
	/* The numbers are those of Linux 3.6 (enable_cpucache()): the larger
	 * the objects, the fewer of them are in an array. */
	s->limit = s->stride > PAGE_SIZE ? 8 :
		   s->stride > 1024	 ? 24 :
		   s->stride > 256	 ? 54 :
					   120;
	if (GORDIAN_DEBUG) /* to have more moves between arrays and lists */
		s->limit = min(s->limit, 32u);
	s->batchcount = (s->limit + 1) / 2;
	s->free_limit =
		(1 + cpumask_weight(cpu_possible_mask)) * s->batchcount +
		s->num;
	return s->num != 0;
}

/* ---- use ----------------------------------------------------------------- */

void *kmem_cache_alloc(struct kmem_cache *s)
{
	trace_gate(TR_CACHE_OBJECT, s, CALLER);
	return cache_alloc(s, CALLER);
}

void kmem_cache_free(struct kmem_cache *s, void *obj)
{
	trace_gate(TR_CACHE_OBJECT, s, CALLER);
	cache_free(s, obj, CALLER);
}

/* Give back all unused slabs. slab_mutex held. */
story int __cache_shrink(struct kmem_cache *s)
{
	lockdep_assert_held(&slab_mutex);
	trace_point(TR_CACHE_SHRINK, s, 0, CALLER);
	on_each_cpu(do_drain, s);
	return drain_freelist(s);
}
