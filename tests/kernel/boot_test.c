/*
 * Suite boot: what must be true at the prompt of every boot. All cores of the board
 * are on, each runs a thread that is bound to it, and the page tables keep the rules of
 * kernel/mm/audit.c. Each rule is broken once, and the audit must find it.
 */
#include "boot/boot.h"
#include "kernel/arch/board.h"
#include "kernel/arch/coherency.h"
#include "kernel/arch/mmu.h"
#include "kernel/cpu/smp.h"
#include "kernel/mm/audit.h"
#include "kernel/mm/page.h"
#include "kernel/sched/sched.h"
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
