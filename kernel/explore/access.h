/*
 * The plain accesses of experiments to shared memory.
 *
 * In the debug profile the compiler calls a function before each load and store
 * in demos/ (-fsanitize=thread; the library is not used). The explorer treats an
 * access to a variable of the experiments, or to an object on the heap (heap.h),
 * like shared_read() or shared_write(): it is a point, and belongs to the
 * footprint of the step. So the search also sees data that nobody declared.
 *
 * The explorer does not see the thread's own stack, constants, and data of the
 * kernel. Accesses to memory without a name, and to another thread's stack, are no
 * points. If two threads access the same such word, and one of them writes, the
 * search notes LEFT_HEAP.
 *
 * Granularity: words. Two accesses to one word count as accesses to one thing.
 *
 * Debug profile only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Does the explorer look at accesses? It does from explore_begin() to
 * explore_let_go(). */
extern bool explore_accesses;

#define WORD_OF(address) ((uintptr_t)(address) & ~(uintptr_t)3)

/* The current thread is about to access one word of an experiment's variable. In
 * gates.c. */
void explore_access(uintptr_t word, bool write, uintptr_t caller);
/* The current thread is about to access one word outside the image: on the heap
 * or on a stack. */
void explore_access_elsewhere(uintptr_t word, bool write, uintptr_t caller);
