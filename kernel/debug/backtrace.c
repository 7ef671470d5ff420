/*
 * Backtraces. Debug builds follow the frame pointers. Release builds have none:
 * they scan the stack for words that a call could have left there, and print
 * them with a "?".
 *
 * Never faults: each address is checked to lie in a stack before it is read.
 * Owns no data; any context.
 */
#include "boot/boot.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define MAX_FRAMES 24

/* The end of the stack in which the address a is. 0 if a is in no stack. */
static uint32_t stack_end(uint32_t a)
{
	uint32_t slot = (a - STACKS_VA) % STACK_SLOT;

	if (a & 3)
		return 0;
	if (a >= (uint32_t)boot_stack && a < (uint32_t)boot_stack_top)
		return (uint32_t)boot_stack_top;
	if (a >= STACKS_VA && a < EXC_STACKS_VA && slot >= PAGE_SIZE)
		return a - slot + STACK_SLOT;
	slot = (a - EXC_STACKS_VA) % (PAGE_SIZE + EXC_STACK);
	if (a >= EXC_STACKS_VA && a < STACKS_VA + STACKS_MAX &&
	    slot >= PAGE_SIZE)
		return a - slot + PAGE_SIZE + EXC_STACK;
	return 0;
}

#if GORDIAN_DEBUG
extern const char irq_return[]; /* vectors.S: where irq_entry() returns to */

/* The registers that vectors.S saved before it called irq_entry(). fp is the
 * frame of irq_entry(). The registers can be at two places, because vectors.S
 * aligns sp before the call. NULL if they are at neither place. */
static const struct regs *interrupted_regs(uint32_t fp)
{
	for (uint32_t a = fp + 4; a <= fp + 8; a += 4) {
		const struct regs *regs = (const struct regs *)a;

		if (stack_end(a + sizeof(*regs) - 4) == stack_end(fp) &&
		    regs->sp == (uint32_t)(regs + 1) && is_text(regs->pc))
			return regs;
	}
	return NULL;
}

/*
 * Follow the frames from fp on. In GCC's ARM frames fp points at the saved lr,
 * and the saved fp is below. A leaf function saves no lr: its fp points at the
 * saved fp, and the return address is still in lr. So the frames do not have
 * the address of an interrupted function. This address comes from the saved
 * registers.
 */
static unsigned int follow_frames(uint32_t fp, uint32_t lr, bool leaf_possible,
				  uintptr_t *pc, unsigned int max)
{
	const struct regs *regs;
	uint32_t end = stack_end(fp);
	unsigned int n = 0;

	if (!end || stack_end(fp - 4) != end)
		return 0;
	/* Each frame is higher than the one before, so fp - 4 is in the
	 * stack. */
	while (n < max && fp < end && !(fp & 3)) {
		uint32_t word = *(const uint32_t *)fp, next;

		if (is_text(word)) {
			pc[n++] = word;
			next = *(const uint32_t *)(fp - 4);
		} else {
			if (!leaf_possible || !is_text(lr))
				break;
			pc[n++] = lr;
			next = word;
		}
		leaf_possible = false;
		regs = word == (uint32_t)irq_return ? interrupted_regs(fp) :
						      NULL;
		if (regs && n < max) {
			/* This is no return address, but print_backtrace()
			 * subtracts 2 as from a return address. So add 2. */
			pc[n++] = regs->pc + 2;
			lr = regs->lr;
			leaf_possible = true;
		}
		if (next <= fp) /* the caller's frame is higher */
			break;
		fp = next;
	}
	return n;
}

unsigned int backtrace_frame(const void *frame, uintptr_t *pc, unsigned int max)
{
	return follow_frames((uint32_t)frame, 0, false, pc, max);
}

unsigned int backtrace_here(uintptr_t *pc, unsigned int max)
{
	return backtrace_frame(__builtin_frame_address(0), pc, max);
}
#else
/* Could the word be a return address? It can if the instruction before that
 * address is a call. */
static bool is_behind_a_call(uint32_t word)
{
	uint32_t insn;

	if (!is_text(word) || !is_text(word - 5))
		return false;
	if (word & 1) { /* Thumb */
		const uint16_t *h = (const uint16_t *)(word - 1);

		return (h[-2] & 0xf800u) == 0xf000u ? /* bl, blx label */
			       (h[-1] & 0xc000u) == 0xc000u :
			       (h[-1] & 0xff87u) == 0x4780u; /* blx reg */
	}
	if (word & 3)
		return false;
	insn = *(const uint32_t *)(word - 4);
	return (insn & 0x0f000000u) == 0x0b000000u || /* bl */
	       (insn & 0x0ffffff0u) == 0x012fff30u;   /* blx reg */
}

/* Store all words that could be return addresses, from sp to the stack's
 * end. */
static unsigned int scan_stack(uint32_t sp, uintptr_t *pc, unsigned int max)
{
	uint32_t end = stack_end(sp);
	unsigned int n = 0;

	for (; n < max && end && sp < end; sp += 4)
		if (is_behind_a_call(*(const uint32_t *)sp))
			pc[n++] = *(const uint32_t *)sp;
	return n;
}

unsigned int backtrace_here(uintptr_t *pc, unsigned int max)
{
	uint32_t sp = (uint32_t)__builtin_frame_address(0);
	uint32_t end = (uint32_t)(pc + max);

	/* If pc[] is in this stack, begin above pc[]: the scan must not find
	 * the addresses that it has stored in pc[]. */
	return scan_stack(stack_end(sp) == stack_end(end - 4) ? end : sp, pc,
			  max);
}
#endif

static unsigned int backtrace_regs(const struct regs *regs, uintptr_t *pc,
				   unsigned int max)
{
	unsigned int n = 0;

	if (is_text(regs->pc) && max)
		pc[n++] = regs->pc;
	else if (is_text(regs->lr) && n < max) /* a jump to nowhere */
		pc[n++] = regs->lr;
#if GORDIAN_DEBUG
	return n + follow_frames(regs->r[11], regs->lr, true, pc + n, max - n);
#else
	return n + scan_stack(regs->sp, pc + n, max - n);
#endif
}

/* The backtrace of a thread that does not run. The thread may start to run in
 * the meantime, so the data on its stack is checked. */
static unsigned int backtrace_thread(const struct thread *t, uintptr_t *pc,
				     unsigned int max)
{
	uint32_t sp = READ_ONCE(t->sp);
	const uint32_t *saved = (const uint32_t *)sp;
	struct regs regs;

	/* arch_switch_to() has pushed r4 to r11 and lr. */
	if (!stack_end(sp) || stack_end(sp + 32) != stack_end(sp))
		return 0;
	regs = (struct regs){ .sp = sp + 36, .pc = saved[8] };
	regs.r[11] = saved[7];
	return backtrace_regs(&regs, pc, max);
}

/*
 * To find the function of a return address, look up the call before that
 * address. (If the called function never returns, the address itself may belong
 * to the next function.)
 */
void print_backtrace(const uintptr_t *pc, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint32_t off = 0;
		const char *name = symbol_lookup(pc[i] - 2, &off);

		kprintf("    %s%s+0x%x\n", GORDIAN_DEBUG ? "" : "? ",
			name ? name : "?", off + 2);
	}
}

void print_backtrace_regs(const struct regs *regs)
{
	uintptr_t pc[MAX_FRAMES];
	unsigned int n = backtrace_regs(regs, pc, MAX_FRAMES), first = 0;

	if (n && pc[0] == regs->pc) { /* not a return address */
		kprintf("    %pS\n", (void *)pc[0]);
		first = 1;
	}
	print_backtrace(pc + first, n - first);
}

void dump_stack(void)
{
	uintptr_t pc[MAX_FRAMES];

	print_backtrace(pc, backtrace_here(pc, MAX_FRAMES));
}

void dump_thread_stack(const struct thread *t, bool running)
{
	uintptr_t pc[MAX_FRAMES];

	if (running)
		kprintf("    (running on core %u)\n", t->cpu);
	else
		print_backtrace(pc, backtrace_thread(t, pc, MAX_FRAMES));
}

void print_regs(const struct regs *r)
{
	for (unsigned int i = 0; i < 12; i += 4)
		kprintf("  r%-2u %08x  r%-2u %08x  r%-2u %08x  r%-2u %08x\n", i,
			r->r[i], i + 1, r->r[i + 1], i + 2, r->r[i + 2], i + 3,
			r->r[i + 3]);
	kprintf("  r12 %08x  sp  %08x  lr  %08x  pc  %08x\n", r->r[12], r->sp,
		r->lr, r->pc);
	kprintf("  cpsr %08x\n", r->cpsr);
}
