/*
 * Suite boot: what must be true at the prompt of every boot. All cores of the board
 * are on, each runs a thread that is bound to it, and the page tables keep the rules of
 * kernel/mm/audit.c. Each rule is broken once, and the audit must find it.
 */
#include <string.h>

#include "boot/boot.h"
#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/arch/coherency.h"
#include "kernel/arch/mmu.h"
#include "kernel/cpu/smp.h"
#include "kernel/mm/audit.h"
#include "kernel/mm/page.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timer.h"
#include "tests/kernel/ktest.h"

/* The core that it runs on; hardware and scheduler must agree. */
static int current_core(void *arg)
{
	bool *at_home = arg;

	preempt_disable();
	*at_home = board.mpidr[smp_processor_id()] == read_mpidr();
	preempt_enable();
	return (int)smp_processor_id();
}

KTEST(boot, all_cores_are_on)
{
	EXPECT_EQ(cpumask_weight(cpu_possible_mask), board.nr_cores);
	EXPECT_EQ(cpu_online().bits, cpu_possible_mask.bits);
}

/* A core outside coherency starts no other one. Emulators, whose PAR has no attributes,
 * show no SMP bit and may. */
KTEST(boot, coherency)
{
	EXPECT(smp_bit_suffices(SMP_SET, PAR_NORMAL));
	EXPECT(smp_bit_suffices(SMP_UNKNOWN, PAR_NORMAL));
	EXPECT(smp_bit_suffices(SMP_CLEAR, 0x40000000));
	EXPECT(!smp_bit_suffices(SMP_CLEAR, 0x40000000 | PAR_NORMAL));
	EXPECT(core_is_coherent());
}

KTEST(boot, each_core_runs_its_thread)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		bool at_home = false;
		struct thread *t = thread_create("pinned", current_core,
						 &at_home, PRIO_NORMAL,
						 cpumask_of(cpu));

		EXPECT(t != NULL);
		if (!t)
			continue;
		EXPECT_EQ(thread_join(t), cpu);
		EXPECT(at_home);
	}
}

KTEST(boot, page_tables)
{
	EXPECT_EQ(map_audit(), 0);
}

/* ---- the core's own registers --------------------------------------------------------- */

#define PSR_A 0x100u

static void note_mask(struct timer *t)
{
	*(uint32_t *)t->arg = arch_cpsr();
}

/* Asynchronous aborts are never masked in threads and handlers: also not in a thread that
 * goes on after the handler of another one's interrupt has switched to it. */
static int masks_seen(void *arg)
{
	uint32_t in_handler = ~0u, in_thread = arch_cpsr();
	struct timer t;

	(void)arg;
	timer_setup(&t, note_mask, &in_handler);
	timer_arm(&t, timer_now());
	for (unsigned int i = 0; i < 3; i++) {
		sleep_ns(1000000);
		in_thread |= arch_cpsr();
	}
	timer_cancel_sync(&t);
	/* The firmware may keep this bit from the non-secure state (SCR.AW). */
	aborts_unmask();
	return ((in_thread | in_handler) & ~arch_cpsr() & PSR_A) != 0;
}

KTEST(boot, aborts_are_not_masked)
{
	unsigned int cpu;

	for_each_online_cpu (cpu)
		EXPECT_EQ(thread_join(ktest_thread("aborts", masks_seen, NULL,
						   cpumask_of(cpu))),
			  0);
}

/* ---- the interrupt controller --------------------------------------------------------- */

#define GICD	0x08000000u /* QEMU's virt */
#define GICC	0x08010000u
#define GICR	0x080a0000u
#define NMI_BIT (1u << IPI_NMI)
#define KICK_AT (IPI_KICK % 4 * 8)
#define SYSREG_WRITE(v, ...)                                                   \
	__asm__ volatile("mcr p15, 0, %0, " __VA_ARGS__ ::"r"(v) : "memory")
#define SYSREG_READ(...)                                                       \
	({                                                                     \
		uint32_t _v;                                                   \
		__asm__ volatile("mrc p15, 0, %0, " __VA_ARGS__                \
				 : "=r"(_v)::"memory");                        \
		_v;                                                            \
	})

static uint32_t *reg(uintptr_t base, uint32_t offset)
{
	return (uint32_t *)(base + offset);
}

/* Bad values in all registers that a core's start relies on. */
static void spoil(uintptr_t banked, uintptr_t cpuif)
{
	WRITE_ONCE(*reg(banked, 0x80), 0);	   /* IGROUPR */
	WRITE_ONCE(*reg(banked, 0x180), 0xffff);   /* ICENABLER: IPIs off */
	WRITE_ONCE(*reg(banked, 0x100), 1u << 20); /* a PPI on */
	WRITE_ONCE(*reg(banked, 0x300), 1u << 20); /* ISACTIVER */
	for (unsigned int i = 0; i < 32; i += 4)
		WRITE_ONCE(*reg(banked, 0x400 + i), 0xf0f0f0f0);
	if (cpuif) {
		WRITE_ONCE(*reg(cpuif, 0x00), 0x210); /* CTLR: EOImode, CBPR */
		WRITE_ONCE(*reg(cpuif, 0x04), 0);     /* PMR */
		WRITE_ONCE(*reg(cpuif, 0x08), 7);     /* BPR */
		WRITE_ONCE(*reg(cpuif, 0x1c), 7);     /* ABPR */
		return;
	}
	SYSREG_WRITE(7, "c12, c8, 3");	/* BPR0 */
	SYSREG_WRITE(7, "c12, c12, 3"); /* BPR1 */
	SYSREG_WRITE(2, "c12, c12, 4"); /* CTLR: EOImode */
	SYSREG_WRITE(0, "c4, c6, 0");	/* PMR */
	SYSREG_WRITE(0, "c12, c12, 7"); /* IGRPEN1 */
}

static void check_registers(uintptr_t banked, uintptr_t cpuif)
{
	uint32_t kick = READ_ONCE(*reg(banked, 0x400)) >> KICK_AT & 0xff;
	uint32_t others = READ_ONCE(*reg(banked, 0x41c)) & 0xff;

	EXPECT_EQ(READ_ONCE(*reg(banked, 0x100)) & 0xffff, 0xffff);
	EXPECT_EQ(READ_ONCE(*reg(banked, 0x300)), 0);
	EXPECT(kick < others && others < 0xf0);
	if (irqchip->has_nmi)
		EXPECT_EQ(READ_ONCE(*reg(banked, 0x80)), ~NMI_BIT);
	/* A kick preempts the others if the point is below the bit that differs. */
	if (cpuif) {
		EXPECT_EQ(READ_ONCE(*reg(cpuif, 0x00)),
			  irqchip->has_nmi ? 0xf : 1);
		EXPECT(READ_ONCE(*reg(cpuif, 0x04)) >= 0xf0);
		EXPECT(READ_ONCE(*reg(cpuif, 0x08)) <= 3);
		EXPECT(READ_ONCE(*reg(cpuif, 0x1c)) <= 4);
		return;
	}
	EXPECT(SYSREG_READ("c12, c8, 3") <= 3);
	EXPECT(SYSREG_READ("c12, c12, 3") <= 4);
	EXPECT_EQ(SYSREG_READ("c12, c12, 4") & 3, 0);
	EXPECT(SYSREG_READ("c4, c6, 0") >= 0xf0);
	EXPECT_EQ(SYSREG_READ("c12, c12, 7"), 1);
}

/* A core's start writes all registers of the controller that it relies on. Core 0 has
 * bad values in them and does that part of its start again. */
KTEST(boot, interrupt_registers)
{
	bool gic3 = !strcmp(irqchip->name, "GICv3");
	uintptr_t banked, cpuif;
	uint32_t flags;

	/* The addresses are QEMU virt's. On the boards the start stubs spoil. */
	if (strcmp(board.name, "QEMU virt") != 0)
		return;
	ktest_run_on(0);
	banked = map_device(gic3 ? GICR + 0x10000 : GICD, PAGE_SIZE);
	cpuif = gic3 ? 0 : map_device(GICC, PAGE_SIZE);
	flags = local_irq_save();
	__asm__ volatile("cpsid f" ::: "memory");
	spoil(banked, cpuif);
	irqchip->init_core(0); /* unmasks FIQs again */
	irqchip->enable(timer_irq, 0);
	local_irq_restore(flags & ~0x40u);
	check_registers(banked, cpuif);
}

/* ---- page tables, continued ------------------------------------------------------------ */

/* The entry for va in the tables that the MMU uses: second level, or first level if
 * there is no second. */
static uint32_t *table_entry(uint32_t va)
{
	uint32_t offset = KERNEL_VA - boot_info.image_pa;
	uint32_t *l1 = (uint32_t *)((boot_info.ttbr0 & ~0x3fffu) + offset);
	uint32_t *e = &l1[va >> 20];

	if ((*e & 3) != 1)
		return e;
	return (uint32_t *)((*e & ~0x3ffu) + offset) + (va >> 12 & 0xff);
}

/* The findings of the audit while va has this entry. va is unused and unmapped. */
static unsigned int audit_with(uint32_t va, uint32_t entry)
{
	uint32_t *e = table_entry(va), was = *e;
	unsigned int findings;

	EXPECT_EQ(was, 0);
	WRITE_ONCE(*e, entry);
	findings = map_audit();
	WRITE_ONCE(*e, was);
	/* No TLB may keep it: TLBIALLIS, for all cores. */
	dsb();
	__asm__ volatile("mcr p15, 0, %0, c8, c3, 0" ::"r"(0));
	dsb();
	isb();
	return findings;
}

KTEST(boot, reserved_memory)
{
	uint32_t base = (uint32_t)board.ram_base;

	for (unsigned int i = 0; i < board.nr_reserved; i++) {
		uint32_t start = board.reserved[i].start, word;
		uint32_t va = start - (base & ~0xfffffu) + LOWMEM_VA;

		if (start < base || start - base >= board.ram_size)
			continue;
		EXPECT_EQ(virt_to_page((void *)va)->state, PAGE_RESERVED);
		EXPECT_EQ(probe_read(va, &word), !board.reserved[i].no_map);
	}
}

KTEST(boot, page_tables_broken)
{
	/* The low bits of a small page's entry. */
	enum { RW = 0x45f, RO = 0x65f, DEVICE = 0x417, X = 1, SHARED = 0x400 };
	uint32_t va = STACKS_VA + STACKS_MAX -
		      PAGE_SIZE; /* unused, and not a guard page */
	uint32_t io = (uint32_t)(board.ram_base + board.ram_size);
	uint32_t text = boot_info.image_pa;
	uint32_t constants = (uint32_t)(rodata_start - image_start) + text;
	void *page = pages_alloc(0);
	uint32_t ram = virt_to_phys(page);

	EXPECT(page != NULL);
	if (!page)
		return;
	EXPECT_EQ(audit_with(va, ram | RW), 0);
	EXPECT_EQ(audit_with(va, ram | RO), 0);
	EXPECT_EQ(audit_with(va, io | DEVICE), 0);
	/* (1) An alias of RAM as Device, not shareable, not cached. */
	map_pages(va, ram, PAGE_SIZE, MAP_DEVICE);
	EXPECT_EQ(map_audit(), 1);
	map_pages(va, 0, PAGE_SIZE, MAP_NONE);
	EXPECT_EQ(audit_with(va, ram | (RW & ~SHARED)), 1);
	EXPECT_EQ(audit_with(va, ram | (RW & ~0xcu)), 1);
	EXPECT_EQ(audit_with(va, io | RW), 1);
	EXPECT_EQ(audit_with(va, io | (DEVICE & ~SHARED)), 1);
	/* (2) */
	EXPECT_EQ(audit_with(va, ram | (RW & ~X)), 1);
	EXPECT_EQ(audit_with(va, ram | (RO & ~X)), 1);
	EXPECT_EQ(audit_with(va, io | (DEVICE & ~X)), 1);
	/* (3) */
	EXPECT_EQ(audit_with(va, text | RW), 1);
	EXPECT_EQ(audit_with(va, text | (RW & ~X)), 1);
	EXPECT_EQ(audit_with(va, constants | RW), 1);
	/* (4) A section: RAM, read-only, XN. */
	EXPECT_EQ(audit_with(0, (ram & ~0xfffffu) | 0x1941e), 1);
	/* (5) */
	EXPECT_EQ(audit_with((uint32_t)boot_stack_guard, ram | RW), 1);
	EXPECT_EQ(audit_with(STACKS_VA, ram | RW), 1);
	EXPECT_EQ(audit_with(EXC_STACKS_VA, ram | RW), 1);
	/* (6) Readable by user mode; a large page; a supersection. */
	EXPECT_EQ(audit_with(va, ram | (RW & ~0x10u) | 0x20), 1);
	EXPECT_EQ(audit_with(va, ram | (RO & ~2u)), 1);
	EXPECT_EQ(audit_with(EARLY_VA, (ram & ~0xfffffu) | 0x5941e), 1);
	EXPECT_EQ(map_audit(), 0);
	pages_free(page, 0);
}
