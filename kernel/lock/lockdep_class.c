/*
 * Lockdep's classes: which class a lock belongs to, and how the class was used.
 *
 * lockdep_graph_lock guards the classes, the graph, the chains and the findings.
 * It is a spinlock that lockdep does not check; IRQs are off. Classes, uses and
 * edges do not change once they are made, until a reset, or until their key is
 * unregistered. A reset and the unregistering of a key hold the console while
 * they run (report_begin()), so a report reads classes and edges without
 * lockdep_graph_lock.
 *
 * Context: any but FIQ. Built without sanitizers.
 */
#include <string.h>

#include "boot/boot.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/lock/spinlock.h"

#if GORDIAN_DEBUG

#define BUCKETS 256

struct lock_class_key lockdep_no_validate;
struct dep_graph lockdep_graph;
struct lock_class lockdep_classes[DEP_NODES];
unsigned int lockdep_nr_classes = 1, lockdep_classes_in_use;
uint32_t lockdep_resets, lockdep_removals;

DEFINE_SPINLOCK(lockdep_graph_lock);
static uint16_t buckets[BUCKETS];
static uint16_t free_class; /* a list by `next`; 0 ends it */
static uint32_t next_serial;
/* The classes that have uses, so that a reset looks at no others. */
static uint16_t with_uses[DEP_NODES];
static unsigned int nr_with_uses;

static uint16_t *bucket_of(const void *key, unsigned int subclass)
{
	return &buckets[lockdep_mix((uintptr_t)key, subclass) % BUCKETS];
}

/* lockdep_graph_lock held. */
static unsigned int find_class(const void *key, unsigned int subclass)
{
	unsigned int i = *bucket_of(key, subclass);

	while (i && (lockdep_classes[i].key != key ||
		     lockdep_classes[i].subclass != subclass))
		i = lockdep_classes[i].next;
	return i;
}

/* Returns a place for a new class, or 0 if the table is full.
 * lockdep_graph_lock held. */
static unsigned int new_place(void)
{
	unsigned int i = free_class;

	if (i) {
		free_class = lockdep_classes[i].next;
		return i;
	}
	if (lockdep_nr_classes == DEP_NODES)
		return 0;
	if (lockdep_nr_classes == 1)
		dep_clear(&lockdep_graph);
	return lockdep_nr_classes++;
}

/* Make a class for a key that has none. Returns 0 if the table is full.
 * lockdep_graph_lock held. */
static unsigned int new_class(const void *key, const struct lockdep_map *m,
			      const char *name, unsigned int subclass)
{
	uint16_t *bucket = bucket_of(key, subclass);
	unsigned int n = new_place();
	struct lock_class *c = &lockdep_classes[n];

	if (!n)
		return 0;
	memset(c, 0, sizeof(*c));
	/* The second class with the name "lock" is printed as "lock#2". All
	 * subclasses of one key have the same number. */
	for (unsigned int i = 1; i < lockdep_nr_classes; i++) {
		const struct lock_class *o = &lockdep_classes[i];

		if (o->key && o->key == key) {
			c->same = o->same;
			break;
		}
		if (o->key && o->same >= c->same && strcmp(o->name, name) == 0)
			c->same = o->same + 1u;
	}
	c->key = key;
	c->name = name;
	c->serial = ++next_serial;
	c->subclass = (uint8_t)subclass;
	c->wait = m->wait;
	c->next = *bucket;
	*bucket = (uint16_t)n;
	lockdep_classes_in_use++;
	return n;
}

static bool is_static(const void *p)
{
	return p >= (const void *)data_start && p < (const void *)bss_end;
}

/* ---- keys in memory that is freed ---------------------------------------- */

#define KEYS 64
static const void *keys[KEYS]; /* lockdep_graph_lock */

/* Replace one key by another; NULL: no key. Returns false if `old` is not
 * there. */
static bool replace_key(const void *old, const void *new)
{
	bool found = false;

	arch_spin_lock(&lockdep_graph_lock);
	for (unsigned int i = 0; i < KEYS && !found; i++)
		if (keys[i] == old) {
			keys[i] = new;
			found = true;
		}
	arch_spin_unlock(&lockdep_graph_lock);
	return found;
}

static bool is_registered(const void *key)
{
	bool found = false;

	arch_spin_lock(&lockdep_graph_lock);
	for (unsigned int i = 0; i < KEYS && !found; i++)
		found = keys[i] == key;
	arch_spin_unlock(&lockdep_graph_lock);
	return found;
}

void lockdep_register_key(struct lock_class_key *key)
{
	uint32_t flags = raw_local_irq_save();

	if (!replace_key(NULL, key))
		lockdep_full("keys", "KEYS", KEYS,
			     "locks with other keys are not checked");
	raw_local_irq_restore(flags);
}

bool lockdep_forget_key(const void *key, uint32_t gone[DEP_NODES / 32],
			bool *registered)
{
	bool any = false;

	*registered = false;
	for (unsigned int i = 0; i < KEYS; i++)
		if (keys[i] == key) {
			keys[i] = NULL;
			*registered = true;
		}
	for (unsigned int n = 1; n < lockdep_nr_classes; n++) {
		struct lock_class *c = &lockdep_classes[n];
		uint16_t *p;

		if (c->key != key)
			continue;
		for (p = bucket_of(key, c->subclass); *p != n;)
			p = &lockdep_classes[*p].next;
		*p = c->next;
		c->key = NULL;
		c->name = "(unregistered)";
		c->serial = 0;
		c->usage = c->wrong = 0;
		c->next = free_class;
		free_class = (uint16_t)n;
		lockdep_classes_in_use--;
		gone[n / 32] |= 1u << n % 32;
		any = true;
	}
	return any;
}

/* ---- the class of a lock -------------------------------------------------- */

noinline unsigned int lockdep_class_of(struct lockdep_map *m,
				       unsigned int subclass)
{
	const void *key = m->key ? m->key : m;
	const char *name = m->name ? m->name : "?";
	unsigned int class = 0;
	bool renamed;

	if (unlikely(subclass >= LOCKDEP_SUBCLASSES)) {
		lockdep_full("nesting levels", "LOCKDEP_SUBCLASSES",
			     LOCKDEP_SUBCLASSES, "");
		return 0;
	}
	if (!is_static(key) && !(m->key && is_registered(key))) {
		lockdep_bad_name(
			m->key ? "a key that is not static and not "
				 "registered makes no class" :
				 "a lock that is not static has no class",
			m->name);
		return 0;
	}
	arch_spin_lock(&lockdep_graph_lock);
	class = find_class(key, subclass);
	if (!class)
		class = new_class(key, m, name, subclass);
	renamed = class && lockdep_classes[class].name != name &&
		  strcmp(lockdep_classes[class].name, name) != 0;
	arch_spin_unlock(&lockdep_graph_lock);
	if (!class)
		lockdep_full("lock classes", "DEP_NODES", DEP_NODES,
			     "new locks are not checked");
	if (renamed)
		lockdep_bad_name("a lock of a class that has another name",
				 name);
	/* Relaxed: two cores may store the same number here. A core that reads
	 * the number reads the class under lockdep_graph_lock, and the class
	 * was made under this lock before the store. Only the class's uses are
	 * read without the lock: see lockdep_mark_use(). */
	WRITE_ONCE(m->class[subclass], (uint16_t) class);
	return class;
}

void lockdep_init_map(struct lockdep_map *m, const char *name, const void *key,
		      enum lock_wait wait)
{
	memset(m, 0, sizeof(*m));
	m->name = name;
	m->key = key;
	m->wait = (uint8_t)wait;
}

void lockdep_set_use(unsigned int class, unsigned int use, bool wrong)
{
	struct lock_class *c = &lockdep_classes[class];

	if (!c->usage && nr_with_uses < DEP_NODES)
		with_uses[nr_with_uses++] = (uint16_t) class;
	if (wrong)
		c->wrong |= USE_BIT(use);
	WRITE_ONCE(c->usage, c->usage | USE_BIT(use));
}

void lockdep_forget_uses(void)
{
	bool all = nr_with_uses == DEP_NODES; /* with_uses[] is full, and may
					       * lack some */
	unsigned int n = all ? lockdep_nr_classes : nr_with_uses;

	for (unsigned int i = 0; i < n; i++) {
		struct lock_class *c = &lockdep_classes[all ? i : with_uses[i]];

		c->wrong = 0;
		WRITE_ONCE(c->usage, 0);
	}
	nr_with_uses = 0;
}
#endif
