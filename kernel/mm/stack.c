/*
 * The stacks of threads and of exceptions, in the STACKS window.
 *
 * A thread's slot is a guard page, which is never mapped, and STACK_SIZE of
 * stack above it. A freed stack keeps its pages and its mapping for the next
 * thread. So no TLB has to be flushed, and struct thread, which lives in the
 * stack, is type-stable memory. stack_lock (spinlock, IRQs off) guards the free
 * list, the next slot, and the page tables of new slots.
 *
 * The exception modes of a core have stacks of their own, so that the overflow
 * of a thread's stack can be reported. They are made before the core first
 * starts and are never freed.
 */
#include "kernel/mm/stack.h"

#include "kernel/arch/arch.h"
#include "kernel/arch/mmu.h"
#include "kernel/lib/errno.h"
#include "kernel/lock/spinlock.h"
#include "kernel/mm/page.h"

static DEFINE_SPINLOCK(stack_lock);
/* The first free stack. The lowest word of each free stack has the address of
 * the next one; 0 ends the list. */
static uint32_t free_stacks;
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

/* ---- exception stacks ---------------------------------------------------- */

/* The exception stacks of the boot core. The other cores get pages. */
static char boot_exc[EXC_MODES][EXC_STACK] aligned(PAGE_SIZE);
/* How many exception stacks of each core are mapped. */
static uint8_t exc_ready[NR_CPUS];

void set_mode_stack(uint32_t mode, uint32_t sp); /* vectors.S */

static uint32_t exc_stack(unsigned int cpu, unsigned int i)
{
	return EXC_STACKS_VA + (cpu * EXC_MODES + i) * (PAGE_SIZE + EXC_STACK) +
	       PAGE_SIZE;
}

int exception_stacks_prepare(unsigned int cpu)
{
	for (unsigned int i = exc_ready[cpu]; i < EXC_MODES; i++) {
		void *pages = pages_alloc(1); /* two pages: EXC_STACK bytes */

		if (!pages)
			return -ENOMEM; /* the stacks made so far are kept */
		map_pages(exc_stack(cpu, i), virt_to_phys(pages), EXC_STACK,
			  MAP_RW);
		exc_ready[cpu]++;
	}
	return 0;
}

void vectors_init_core(unsigned int cpu)
{
	static const uint32_t modes[EXC_MODES] = { PSR_MODE_ABT, PSR_MODE_UND,
						   PSR_MODE_FIQ };
	extern char vectors[];

	if (!exc_ready[cpu]) { /* the boot core, once */
		for (unsigned int i = 0; i < EXC_MODES; i++)
			map_pages(exc_stack(cpu, i), image_phys(boot_exc[i]),
				  EXC_STACK, MAP_RW);
		exc_ready[cpu] = EXC_MODES;
	}
	for (unsigned int i = 0; i < EXC_MODES; i++)
		set_mode_stack(modes[i], exc_stack(cpu, i) + EXC_STACK);
	__asm__ volatile("mcr p15, 0, %0, c12, c0, 0" ::"r"(vectors));
	isb();
}
