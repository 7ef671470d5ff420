/*
 * What an exploration has left out: things that happened in its runs, and that it
 * did not permute. Each is a bit. The verdict says nothing about other orders of
 * these things.
 *
 * A bit says that the thing happened, not that it might have: if no interrupt
 * touched anything, LEFT_INTERRUPTS is not set. docs/explorer.md has the list, with
 * a row for each word.
 *
 * Debug profile only. Any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum left_out {
	/* A wait of an actor ended by a timer that ran on the clock. */
	LEFT_TIMERS = 1,
	/* Several RCU callbacks ran in one step; or one ran on the core that
	 * comes or goes. */
	LEFT_CALLBACKS = 2,
	/* A step touched two things, and its thread could not stop between them,
	 * or there is no gate. Or rcu_barrier() looked at several cores in one
	 * step, and two other threads called call_rcu(). */
	LEFT_SECTIONS = 4,
	/* An interrupt touched declared data, completed something, or woke an
	 * actor that was not in the middle of a step. Or one actor called other
	 * cores, another masked IRQs, and they may share a core. */
	LEFT_INTERRUPTS = 8,
	/* A grace period may have ended, or callbacks ran, while an actor was
	 * held inside a section that RCU takes for a reader. */
	LEFT_READERS = 16,
	/* Two locks on the heap without a name (heap.h) were used, which count as
	 * one; or two actors accessed the same word without a name, and one of
	 * them wrote; or an actor accessed memory that was freed. */
	LEFT_HEAP = 32,
	/* Operations on objects of a cache that were one step, and another actor
	 * destroys or shrinks this cache. */
	LEFT_OBJECTS = 64,
	/* A thread that is no actor touched something. */
	LEFT_THREADS = 128,
	/* A step touched more things than a footprint holds. */
	LEFT_ALL = 256,
};

/* Add these bits to the set of what was left out. */
void left_out(unsigned int bits);
/* Returns the bits that were added since left_clear(). */
unsigned int left_seen(void);
void left_clear(void);

/* `cache` is the name of a cache. If `changes`, thread i destroys, shrinks or
 * frees the cache. Otherwise it goes on, without a stop, with an operation on
 * an object of the cache. */
void left_object(unsigned int i, uintptr_t cache, bool changes);
/* A lock on the heap without a name is taken or released. */
void left_heap_lock(const void *lock);
/* left_looks(): an rcu_barrier() of thread i looks at a core's callbacks,
 * perhaps without a stop. left_call(): thread i has called call_rcu();
 * SEARCH_THREADS: a thread that is not explored has called it. */
void left_looks(unsigned int i);
void left_call(unsigned int i);
/* left_caller(): thread i waits until another core has run a function.
 * left_masked(): thread i masks IRQs. apart: the explorer holds the caller
 * while the other core's thread masks IRQs, so no order is left out. */
void left_caller(unsigned int i, bool apart);
void left_masked(unsigned int i, bool apart);
/* Thread i accesses a word that has no name, or a word on another thread's
 * stack. */
void left_access(unsigned int i, uintptr_t word, bool write);

#define LEFT_WORDS 96 /* the longest list */
/* "none", or "callbacks,sections". */
void left_words(char *out, size_t size, unsigned int bits);
