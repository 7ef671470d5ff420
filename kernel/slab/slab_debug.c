/*
 * The debug checks of the slab allocator. Debug profile; not for caches with
 * SLAB_NO_DEBUG.
 *
 * Before each payload is a struct object_debug. It says whether the object is
 * allocated or free, and where it was allocated and freed last. It ends in a
 * red zone. Behind the payload is another red zone. A free payload is filled
 * with POISON_FREE and ends in POISON_END. This poison is checked when the
 * object is handed out and when its slab is given back, so a write after free
 * is found. A payload that was just allocated is filled with POISON_FRESH. Two
 * kinds of objects are not poisoned: those with a constructor, because they
 * keep their state while they are free; and those of SLAB_TYPESAFE_BY_RCU
 * caches, because readers may still look at them.
 *
 * A finding is reported in one block and counted in slab_errors. Then the
 * kernel goes on: a wrong free does nothing, and damage is repaired.
 *
 * No lock: an object's debug words belong to the owner of the object. `state`
 * changes by an atomic exchange, so if two threads free an object at the same
 * time, one of them is reported. Any context but FIQ.
 */
#include <string.h>

#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/slab/internal.h"

#if GORDIAN_DEBUG

#define POISON_FREE  0x6b
#define POISON_FRESH 0x5a
#define POISON_END   0xa5
#define RED_BYTE     0xbb
#define RED_BYTES    8u

#define STATE_ALLOCATED ((uintptr_t)0xa110ca7e)
#define STATE_FREE	((uintptr_t)0x00f4eef4)

#define TRACK_DEPTH	4 /* return addresses kept */
#define ALLOCATOR_DEPTH 4 /* at most so many frames are the allocator's */
#define MAX_LEAKS	4 /* objects named in a leak report */

struct track {
	uintptr_t pc[TRACK_DEPTH]; /* innermost first; 0 ends */
};

struct object_debug {
	uintptr_t state;
	uint32_t label; /* of the thread that allocated it last */
	struct track alloc, free;
	uint8_t red[RED_BYTES] aligned(8);
};

static struct object_debug *debug_of(const void *obj)
{
	return (struct object_debug *)obj - 1;
}

static uint8_t *red_behind(const struct kmem_cache *s, void *obj)
{
	return (uint8_t *)obj + s->size;
}

static bool is_checked(const struct kmem_cache *s)
{
	return !(s->flags & SLAB_NO_DEBUG);
}

static bool is_poisoned(const struct kmem_cache *s)
{
	return !s->ctor && !(s->flags & (SLAB_TYPESAFE_BY_RCU | SLAB_NO_DEBUG));
}

unsigned int slab_debug_before(unsigned int flags)
{
	return flags & SLAB_NO_DEBUG ? 0 : sizeof(struct object_debug);
}

unsigned int slab_debug_after(unsigned int flags)
{
	return flags & SLAB_NO_DEBUG ? 0 : RED_BYTES;
}

/* ---- where allocated and freed ------------------------------------------- */

/* Note the stack from `caller` outwards. The first addresses of the backtrace
 * are in the allocator, and are left out. If pc[] is too short to contain
 * `caller`, note `caller` and nothing else. */
static void track_set(struct track *t, uintptr_t caller)
{
	uintptr_t pc[TRACK_DEPTH + ALLOCATOR_DEPTH];
	unsigned int n = backtrace_here(pc, ARRAY_SIZE(pc)), i = 0;

	while (i < n && pc[i] != caller)
		i++;
	*t = (struct track){ .pc = { caller } };
	for (unsigned int k = 1; k < TRACK_DEPTH && i + k < n; k++)
		t->pc[k] = pc[i + k];
}

static void track_print(const char *what, const struct track *t)
{
	unsigned int n = 0;

	while (n < TRACK_DEPTH && t->pc[n])
		n++;
	if (n) {
		kprintf("  %s\n", what);
		print_backtrace(t->pc, n);
	}
}

/* The label of an object of s that the current thread allocates. was: the last
 * label of the same object. An object gets no label (0) if the thread has none,
 * if an undeclared interrupt allocates it, or if it is a struct kmem_cache. */
static uint32_t take_label(const struct kmem_cache *s, uint32_t was)
{
	uint32_t label = current->next_label;

	if (!label || s == &cache_cache || in_undeclared_interrupt(current))
		return 0;
	if ((label & LABEL_COUNT) != LABEL_COUNT)
		current->next_label++;
	if (was & LABEL_FREED &&
	    was >> LABEL_ERA_SHIFT == label >> LABEL_ERA_SHIFT)
		label |= LABEL_REUSED;
	return label;
}

struct slab_origin slab_origin(const void *addr)
{
	struct page *head = page_head(addr);
	struct kmem_cache *s = head ? READ_ONCE(head->owner) : NULL;
	struct slab_origin o = { .is_free = !head };
	const struct slab *slab;
	const char *obj;
	unsigned int i;

	if (!s || !is_checked(s))
		return o;
	o.is_free = true;
	slab = page_to_virt(head);
	i = slab_index(s, slab, addr);
	if (i >= s->num)
		return o;
	obj = slab_object(s, slab, i);
	o.offset = (size_t)((const char *)addr - obj);
	if (o.offset >= s->size) /* also if addr is before the object */
		return o;
	o.label = READ_ONCE(debug_of(obj)->label);
	o.is_free = READ_ONCE(debug_of(obj)->state) == STATE_FREE;
	return o;
}

/* ---- reports ------------------------------------------------------------- */

/* Report a finding about an object. cache: the cache's name, "" if it is not
 * known; what: the finding; dbg: NULL if the debug words cannot be trusted. */
static void report_object(const char *cache, const char *what, const void *obj,
			  uintptr_t caller, const struct object_debug *dbg)
{
	uint32_t flags = report_begin();

	/* Relaxed: a count. */
	__atomic_fetch_add(&slab_errors, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(slab_last_error, what);
	kprintf("slab error: %s: object %p%s%s\n", what, obj,
		*cache ? " of cache " : "", cache);
	if (caller)
		kprintf("  found in a call from %pS\n", (void *)caller);
	if (dbg) {
		track_print("allocated at", &dbg->alloc);
		track_print("freed at", &dbg->free);
	}
	report_end(flags);
}

/* ---- checks -------------------------------------------------------------- */

static bool all_bytes_are(const uint8_t *p, uint8_t value, size_t n)
{
	/* If the bytes are equal to themselves shifted by one, all are equal to
	 * the first. */
	return n == 0 || (p[0] == value && memcmp(p, p + 1, n - 1) == 0);
}

static void check_red_zones(struct kmem_cache *s, void *obj, uintptr_t caller)
{
	struct object_debug *dbg = debug_of(obj);

	if (!all_bytes_are(dbg->red, RED_BYTE, RED_BYTES)) {
		report_object(s->name, "overwritten red zone before it", obj,
			      caller, dbg);
		memset(dbg->red, RED_BYTE, RED_BYTES);
	}
	if (!all_bytes_are(red_behind(s, obj), RED_BYTE, RED_BYTES)) {
		report_object(s->name, "overwritten red zone behind it", obj,
			      caller, dbg);
		memset(red_behind(s, obj), RED_BYTE, RED_BYTES);
	}
}

static void poison(struct kmem_cache *s, void *obj)
{
	if (is_poisoned(s)) {
		memset(obj, POISON_FREE, s->size - 1);
		((uint8_t *)obj)[s->size - 1] = POISON_END;
	}
}

static void check_poison(struct kmem_cache *s, void *obj, uintptr_t caller)
{
	const uint8_t *p = obj;

	if (!is_poisoned(s) || (all_bytes_are(p, POISON_FREE, s->size - 1) &&
				p[s->size - 1] == POISON_END))
		return;
	report_object(s->name, "written after it was freed", obj, caller,
		      debug_of(obj));
	poison(s, obj);
}

/* Returns NULL if obj is an object of s. Otherwise returns words for a report
 * that say why it is none. */
static const char *why_misplaced(const struct kmem_cache *s, const void *obj)
{
	struct page *head = page_head(obj);
	struct slab *slab;
	unsigned int i;

	if (!head || !head->owner)
		return "free of a foreign pointer";
	if (head->owner != s)
		return "free into the wrong cache";
	slab = page_to_virt(head);
	i = slab_index(s, slab, obj);
	if (i >= s->num || slab_object(s, slab, i) != obj)
		return "free of a misaligned pointer";
	return NULL;
}

/* ---- the hooks ----------------------------------------------------------- */

void slab_debug_new(struct kmem_cache *s, void *obj)
{
	struct object_debug *dbg = debug_of(obj);

	if (!is_checked(s))
		return;
	memset(dbg, 0, sizeof(*dbg));
	dbg->state = STATE_FREE;
	memset(dbg->red, RED_BYTE, RED_BYTES);
	memset(red_behind(s, obj), RED_BYTE, RED_BYTES);
	poison(s, obj);
}

void slab_debug_alloc(struct kmem_cache *s, void *obj, uintptr_t caller)
{
	struct object_debug *dbg = debug_of(obj);

	if (!is_checked(s))
		return;
	check_red_zones(s, obj, caller);
	check_poison(s, obj, caller);
	/* Relaxed, because the object has one owner. Atomic, because another
	 * core may wrongly free the object at the same time. */
	if (__atomic_exchange_n(&dbg->state, STATE_ALLOCATED,
				__ATOMIC_RELAXED) != STATE_FREE)
		report_object(s->name, "handed out although it is not free",
			      obj, caller, dbg);
	track_set(&dbg->alloc, caller);
	dbg->label = take_label(s, dbg->label);
	if (is_poisoned(s))
		memset(obj, POISON_FRESH, s->size);
}

bool slab_debug_free(struct kmem_cache *s, void *obj, uintptr_t caller)
{
	const char *what = why_misplaced(s, obj);
	struct object_debug *dbg;
	uintptr_t was;

	if (what) {
		report_object(s->name, what, obj, caller, NULL);
		return false;
	}
	debug_check_no_locks_freed(obj, s->size, caller);
	if (!is_checked(s))
		return true;
	dbg = debug_of(obj);
	/* Relaxed: no other data depends on the order. Atomic: of two frees at
	 * the same time only one finds the object allocated. */
	was = __atomic_exchange_n(&dbg->state, STATE_FREE, __ATOMIC_RELAXED);
	if (was != STATE_ALLOCATED) {
		report_object(s->name,
			      was == STATE_FREE ?
				      "double free" :
				      "overwritten debug words before it",
			      obj, caller, dbg);
		return false;
	}
	check_red_zones(s, obj, caller);
	track_set(&dbg->free, caller);
	if (!(current->next_label & LABEL_ALONE))
		dbg->label |= LABEL_FREED;
	poison(s, obj);
	return true;
}

bool slab_debug_kfree(struct page *head, void *obj, uintptr_t caller)
{
	const char *what = NULL;

	if (!head || (!head->owner && !head->user))
		what = "free of a foreign pointer";
	else if (!head->owner && page_to_virt(head) != obj)
		what = "free of a misaligned pointer";
	if (what)
		report_object("", what, obj, caller, NULL);
	return !what;
}

void slab_debug_slab_end(struct kmem_cache *s, struct slab *slab)
{
	for (unsigned int i = 0; is_checked(s) && i < s->num; i++) {
		check_red_zones(s, slab_object(s, slab, i), 0);
		check_poison(s, slab_object(s, slab, i), 0);
	}
}

bool slab_debug_cache_alive(const struct slab *slab)
{
	bool alive = READ_ONCE(slab->cache->id) == slab->cache_id;

	if (!alive)
		report_object("", "RCU callback after the cache was destroyed",
			      slab, 0, NULL);
	return alive;
}

/* Add the allocated objects of one slab list to obj[] and by[], which have n
 * entries already. Returns the new number. list_lock held. */
static unsigned int find_leaks(struct kmem_cache *s, struct list_head *list,
			       void **obj, struct track *by, unsigned int n)
{
	struct slab *slab;

	list_for_each (slab, list, list) {
		for (unsigned int i = 0; i < s->num && n < MAX_LEAKS; i++) {
			void *o = slab_object(s, slab, i);

			if (READ_ONCE(debug_of(o)->state) != STATE_ALLOCATED)
				continue;
			by[n] = debug_of(o)->alloc;
			obj[n++] = o;
		}
	}
	return n;
}

void slab_debug_leaks(struct kmem_cache *s)
{
	void *obj[MAX_LEAKS];
	struct track by[MAX_LEAKS];
	unsigned int n;
	uint32_t flags;

	if (!is_checked(s))
		return;
	flags = spin_lock_irqsave(&s->list_lock);
	n = find_leaks(s, &s->full, obj, by, 0);
	n = find_leaks(s, &s->partial, obj, by, n);
	spin_unlock_irqrestore(&s->list_lock, flags);
	for (unsigned int i = 0; i < n; i++) {
		kprintf("  object %p is still in use,", obj[i]);
		track_print("allocated at", &by[i]);
	}
}
#endif
