/*
 * What an exploration has left out. See left.h.
 *
 * Owns the set of bits (atomic) and two small tables. Only the thread that has the
 * lead (engine.h) uses the tables.
 */
#include "kernel/explore/left.h"

#include <string.h>

#include "kernel/lib/compiler.h"
#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

#define CACHES 8

#define WORDS 256

static struct {
	unsigned int bits;
	/* Words of the heap, by hash. If two words share an entry, a bit may be
	 * set without need. */
	struct {
		uint8_t read, written; /* by these threads, as bits */
	} word[WORDS];
	struct {
		uintptr_t name;
		unsigned int in_a_row, changed; /* by these threads, as bits */
	} cache[CACHES];
	const void *heap_lock;
	/* By these threads, as bits: */
	unsigned int looks, calls, callers, masked;
} left;

void left_out(unsigned int bits)
{
	/* Relaxed: no other data depends on this set, and it is read after the
	 * round is over. */
	if (bits & ~READ_ONCE(left.bits))
		__atomic_fetch_or(&left.bits, bits, __ATOMIC_RELAXED);
}

unsigned int left_seen(void)
{
	return READ_ONCE(left.bits);
}

void left_clear(void)
{
	memset(&left, 0, sizeof(left));
}

void left_object(unsigned int i, uintptr_t cache, bool changes)
{
	unsigned int k = 0, in_a_row, changed;

	while (k < CACHES && left.cache[k].name && left.cache[k].name != cache)
		k++;
	if (k == CACHES) {
		left_out(LEFT_OBJECTS);
		return;
	}
	left.cache[k].name = cache;
	*(changes ? &left.cache[k].changed : &left.cache[k].in_a_row) |= 1u
									 << i;
	in_a_row = left.cache[k].in_a_row;
	changed = left.cache[k].changed;
	/* Has one thread gone on without a stop, and has another thread changed
	 * the cache? */
	if (in_a_row && changed &&
	    (in_a_row != changed || changed & (changed - 1)))
		left_out(LEFT_OBJECTS);
}

void left_heap_lock(const void *lock)
{
	if (left.heap_lock && left.heap_lock != lock)
		left_out(LEFT_HEAP);
	left.heap_lock = lock;
}

/* Has a thread looked at several lists in one step, while two other threads
 * could queue callbacks in two of these lists? */
static void note_looks(void)
{
	for (unsigned int i = 0; i < 8 * sizeof(left.looks); i++) {
		unsigned int others = left.calls & ~(1u << i);

		if (left.looks & 1u << i && others & (others - 1))
			left_out(LEFT_SECTIONS);
	}
}

void left_looks(unsigned int i)
{
	left.looks |= 1u << i;
	note_looks();
}

void left_call(unsigned int i)
{
	left.calls |= 1u << i;
	note_looks();
}

/* Has one thread called other cores, and has another thread masked IRQs? If so, an order
 * is left out, unless `apart` (see left.h). */
static void note_callers(bool apart)
{
	unsigned int both = left.callers | left.masked;

	if (!apart && left.callers && left.masked && both & (both - 1))
		left_out(LEFT_INTERRUPTS);
}

void left_caller(unsigned int i, bool apart)
{
	left.callers |= 1u << i;
	note_callers(apart);
}

void left_masked(unsigned int i, bool apart)
{
	left.masked |= 1u << i;
	note_callers(apart);
}

void left_access(unsigned int i, uintptr_t word, bool write)
{
	unsigned int h = (uint32_t)(word / 4 * 2654435761u) >> 24;
	uint8_t me = (uint8_t)(1u << i);

	if (left.word[h].written & ~me || (write && left.word[h].read & ~me))
		left_out(LEFT_HEAP);
	*(write ? &left.word[h].written : &left.word[h].read) |= me;
}

void left_words(char *out, size_t size, unsigned int bits)
{
	static const char *const words[] = {
		"timers", "callbacks", "sections", "interrupts", "readers",
		"heap",	  "objects",   "threads",  "all",
	};
	size_t n = 0;

	if (!bits)
		ksnprintf(out, size, "none");
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		if (bits & 1u << i)
			n += (size_t)ksnprintf(out + n, size - n, "%s%s",
					       n ? "," : "", words[i]);
}
#endif
