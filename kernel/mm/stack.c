/*
 * Thread stacks in the STACKS window.
 *
 * A slot is a guard page, never mapped, and STACK_SIZE of stack above it. A
 * freed stack keeps its pages and mapping for the next thread, so no TLB has to
 * be told and struct thread, which lives in it, is type-stable memory.
 * stack_lock (spinlock, IRQs off) guards the free list and the high mark; page
 * tables of new slots are written under it. Any context but FIQ.
 */
#include "boot/boot.h"
#include "kernel/lock/spinlock.h"
#include "kernel/mm/page.h"

static DEFINE_SPINLOCK(stack_lock);
static uint32_t free_stacks; /* first free one; each holds the next in its
				lowest word; 0 ends */
static unsigned int nr_cached;
static uint32_t next_slot = STACKS_VA;

static uint32_t new_stack(void)
{
	uint32_t stack = next_slot + PAGE_SIZE;
	unsigned int i;
	void *page[STACK_SIZE / PAGE_SIZE];

	if (next_slot + STACK_SLOT > EXC_STACKS_VA)
		return 0;
	for (i = 0; i < STACK_SIZE / PAGE_SIZE; i++) {
		page[i] = pages_alloc(0);
		if (!page[i]) {
			while (i--)
				pages_free(page[i], 0);
			return 0;
		}
	}
	for (i = 0; i < STACK_SIZE / PAGE_SIZE; i++)
		map_pages(stack + i * PAGE_SIZE, virt_to_phys(page[i]),
			  PAGE_SIZE, MAP_RW);
	next_slot += STACK_SLOT;
	return stack;
}

uint32_t stack_alloc(void)
{
	uint32_t flags = spin_lock_irqsave(&stack_lock);
	uint32_t stack = free_stacks;

	if (stack) {
		free_stacks = *(uint32_t *)stack;
		nr_cached--;
	} else {
		stack = new_stack();
	}
	spin_unlock_irqrestore(&stack_lock, flags);
	return stack;
}

void stack_free(uint32_t stack)
{
	uint32_t flags = spin_lock_irqsave(&stack_lock);

	*(uint32_t *)stack = free_stacks;
	free_stacks = stack;
	nr_cached++;
	spin_unlock_irqrestore(&stack_lock, flags);
}

unsigned int stacks_made(void)
{
	return (READ_ONCE(next_slot) - STACKS_VA) / STACK_SLOT;
}

unsigned int stacks_cached(void)
{
	return READ_ONCE(nr_cached);
}

bool stack_is_guard(uint32_t va)
{
	return va >= STACKS_VA && va < EXC_STACKS_VA &&
	       (va - STACKS_VA) % STACK_SLOT < PAGE_SIZE;
}
