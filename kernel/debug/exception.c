/*
 * The report of an exception: what happened, where, and in which thread. Then
 * the machine ends.
 *
 * Runs on the core's own stack for that exception mode. Owns no data.
 * Source: ARM DDI 0406C, B3.13 (fault status).
 */
#include "kernel/arch/mmu.h"
#include "kernel/debug/internal.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

#define DFSR_WRITE	(1u << 11)
#define FS_ASYNC	0x16 /* asynchronous external abort */
#define FS_ASYNC_PARITY 0x18

/* The core is in aborts_init_core(). Each core's own. */
static bool unmasking[NR_CPUS];

/* The status of the last data abort. */
static uint32_t data_fault(void)
{
	uint32_t fsr;

	__asm__ volatile("mrc p15, 0, %0, c5, c0, 0" : "=r"(fsr));
	return fsr;
}

static uint32_t fault_status(uint32_t fsr)
{
	return (fsr & 0xf) | (fsr >> 6 & 0x10);
}

/* Was the abort caused by an earlier access, at an unknown address? */
static bool is_asynchronous(uint32_t fsr)
{
	return fault_status(fsr) == FS_ASYNC ||
	       fault_status(fsr) == FS_ASYNC_PARITY;
}

static const char *fault_name(uint32_t fsr)
{
	static const char *const names[32] = {
		[0x01] = "alignment",
		[0x05] = "nothing is mapped there",
		[0x07] = "nothing is mapped there",
		[0x08] = "external abort",
		[0x0d] = "not permitted there",
		[0x0f] = "not permitted there",
	};
	const char *name = names[fault_status(fsr)];

	return name ? name : "other fault";
}

static void describe_data(void)
{
	uint32_t fsr = data_fault(), far;

	__asm__ volatile("mrc p15, 0, %0, c6, c0, 0" : "=r"(far));
	if (is_asynchronous(fsr))
		kprintf("\nexception: asynchronous abort (status 0x%x), of an "
			"earlier access\n",
			fsr);
	else if (is_guard_page(far))
		kprintf("\nexception: stack overflow at 0x%08x\n", far);
	else
		kprintf("\nexception: %s of 0x%08x: %s\n",
			fsr & DFSR_WRITE ? "write" : "read", far,
			fault_name(fsr));
}

static void describe_prefetch(const struct regs *regs)
{
	uint32_t fsr;

	__asm__ volatile("mrc p15, 0, %0, c5, c0, 1" : "=r"(fsr));
	if (regs->pc < PAGE_SIZE)
		kprintf("\nexception: call of a null pointer (0x%08x)\n",
			regs->pc);
	else
		kprintf("\nexception: execution at 0x%08x: %s\n", regs->pc,
			fault_name(fsr));
}

static void describe(const struct regs *regs, enum exception kind)
{
	if (kind == EXC_DATA)
		describe_data();
	else if (kind == EXC_PREFETCH)
		describe_prefetch(regs);
	else
		kprintf("\nexception: %s\n",
			kind == EXC_UNDEF ? "undefined instruction" :
			kind == EXC_SVC	  ? "unexpected SVC" :
					    "unexpected vector");
}

/* Did a probe cause the fault? If so, let the probe's function return false. */
static bool ends_probe(struct regs *regs)
{
	if (regs->pc < (uint32_t)probe_start ||
	    regs->pc >= (uint32_t)probe_failed)
		return false;
	regs->pc = (uint32_t)probe_failed;
	return true;
}

/* Was the abort pending when this core unmasked aborts for the first time? If
 * so, print a line; then the kernel goes on. */
static bool is_inherited(enum exception kind)
{
	bool *first = &unmasking[smp_processor_id()];

	if (kind != EXC_DATA || !is_asynchronous(data_fault()) || !*first)
		return false;
	*first = false;
	kprintf("core %u: an asynchronous abort (status 0x%x) was pending at the "
		"start; it is dropped\n",
		smp_processor_id(), data_fault());
	return true;
}

void aborts_init_core(unsigned int cpu)
{
	WRITE_ONCE(unmasking[cpu], true);
	aborts_unmask();
	WRITE_ONCE(unmasking[cpu], false);
}

void exception_entry(struct regs *regs, enum exception kind)
{
	if (ends_probe(regs) || is_inherited(kind))
		return;
	if (panic_enter("exception")) {
		uint32_t flags = report_begin();

		describe(regs, kind);
		kprintf("  at %pS, called from %pS\n", (void *)regs->pc,
			(void *)regs->lr);
		print_where();
		panic_hooks.print_locks(current);
		print_regs(regs);
		print_backtrace_regs(regs);
		report_end(flags);
	}
	panic_end();
}
