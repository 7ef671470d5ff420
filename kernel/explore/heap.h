/*
 * Names for things on the heap.
 *
 * What it is for. An object may have another address in another run, so its
 * address cannot be its name. Instead, the name says who has allocated the object
 * in this round (the set-up, or which explored thread), and how many objects this
 * allocator had allocated before. Neither depends on the order of the threads.
 *
 * If an interrupt of the experiment allocates an object, the name says that the
 * interrupted thread has allocated it. The steps of these two are in the same
 * order in all schedules of a class.
 *
 * The client's duties. (1) Call heap_begin() before each round is set up, in the
 * thread that does so. (2) Before the explored threads go on, set
 * `next_label` of the thread that did the set-up to 0, and that of each explored
 * thread to heap_first_label().
 *
 * The consequence. heap_name() has names for the objects of slab caches that
 * these threads have allocated in this round: the first 8191 of each thread. These
 * have no name: all other objects, a struct kmem_cache, a block of pages
 * (kmalloc() of more than a page), and an object without debug words.
 *
 * The mechanism: the label in an object's debug words (slab_origin()).
 *
 * Debug profile only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A new round: the current thread's allocations are those of the set-up. */
void heap_begin(void);
/* The label of the first object of explored thread i. */
uint32_t heap_first_label(unsigned int i);
/* The name of what lies at that address; 0: it has none. The name of an object
 * that is freed lasts until the memory is allocated again. Any context but
 * FIQ. */
uintptr_t heap_name(uintptr_t address);
/* Is it an address on the heap, or a name from heap_name()? */
bool is_on_heap(uintptr_t x);
/* Has the memory at that address, which is on the heap, been freed in this
 * round? Returns false if explored thread i has allocated the memory again
 * since. Any context but FIQ. */
bool was_freed(uintptr_t address, int i);
