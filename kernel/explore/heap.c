/*
 * Names for things on the heap. See heap.h.
 *
 * Owns the number of the round. Only the thread that sets a round up changes it,
 * while no explored thread runs.
 */
#include "kernel/explore/heap.h"

#include "boot/boot.h"
#include "kernel/sched/sched.h"
#include "kernel/slab/slab.h"

#if GORDIAN_DEBUG

/* A label (slab.h) also says which thread has allocated the object (0: the
 * set-up), and in which round. A round's number is used again ROUNDS - 1 rounds
 * later. So the label of an object that lives that long is wrong. */
#define ROUNDS	  4096u
#define WHO_SHIFT 16
#define WHO_MASK  15u

/* A name is made of the thread, the count, and the word in the object. It is a
 * number in the range of the heap's addresses. No address of the heap is used
 * as a name, so no other thing has this name. */
#define NAME_BITS 30
#define WHO_BITS  4
#define WORD_BITS 13 /* objects of up to 32 KiB */
#define NTH_BITS  (NAME_BITS - WHO_BITS - WORD_BITS)
_Static_assert(KERNEL_VA - LOWMEM_VA == 1u << NAME_BITS &&
		       LABEL_COUNT < 1u << NTH_BITS,
	       "room for the names");

static uint32_t round; /* 0: there was none */

void heap_begin(void)
{
	round = round % (ROUNDS - 1) + 1;
	current->next_label = round << LABEL_ERA_SHIFT | LABEL_ALONE;
}

uint32_t heap_first_label(unsigned int i)
{
	return round << LABEL_ERA_SHIFT | (i + 1) << WHO_SHIFT;
}

static uint32_t allocated_by(uint32_t label)
{
	return label >> WHO_SHIFT & WHO_MASK;
}

uintptr_t heap_name(uintptr_t address)
{
	struct slab_origin o = slab_origin((const void *)address);
	uint32_t nth = o.label & LABEL_COUNT;
	size_t word = o.offset / 4;

	if (!o.label || o.label >> LABEL_ERA_SHIFT != round ||
	    nth == LABEL_COUNT || word >= 1u << WORD_BITS)
		return 0;
	return LOWMEM_VA + (allocated_by(o.label) << (NTH_BITS + WORD_BITS) |
			    nth << WORD_BITS | word);
}

bool is_on_heap(uintptr_t x)
{
	return x >= LOWMEM_VA && x < KERNEL_VA;
}

bool was_freed(uintptr_t address, int i)
{
	struct slab_origin o = slab_origin((const void *)address);

	return o.is_free || (o.label & LABEL_REUSED &&
			     allocated_by(o.label) != (uint32_t)(i + 1));
}
#endif
