/*
 * Does this core take part in cache coherency? Owns nothing.
 *
 * A Cortex-A7, A53 or A72 takes part only while its SMP bit is set. This is bit
 * 6 of ACTLR on the A7, and bit 6 of CPUECTLR, called SMPEN, on the A53 and
 * A72. If the bit is clear, the core does not see what other cores have in
 * their caches, they do not see what it has in its own, and exclusive accesses
 * exclude nobody. Then no lock and no barrier of this kernel means anything
 * between two cores. So such a core must run alone: cpu_up() refuses to start
 * another one.
 *
 * Who sets the bit. boot/start.S sets it on the A7. On the A53 and A72 the
 * firmware must set it. The kernel does not: if ACTLR_EL2 and ACTLR_EL3 do not
 * permit the write, the instruction is undefined, and the kernel cannot read
 * these two registers.
 *
 * Who may read it. ACTLR: everybody; a hypervisor that traps it (HCR.TAC)
 * returns a value. CPUECTLR is implementation defined. A hypervisor may trap
 * all such registers (HCR.TIDCP), and KVM then makes the access an undefined
 * instruction. So CPUECTLR is read only if the core was entered in HYP mode.
 * Then only the firmware is above the kernel and cannot trap the access, and
 * boot/start.S has cleared HCR. This is how each Raspberry Pi with these cores
 * starts. If the core was entered in SVC mode, the firmware is trusted to have
 * set the bit.
 *
 * Emulators have no caches, and their bit reads as zero. The PAR tells an
 * emulator from a real core. After an address translation a real core always
 * puts the memory attributes into the PAR; an emulator does not. The core takes
 * the attributes from the page table, so the SMP bit does not matter for them.
 *
 * Sources: Cortex-A7 TRM (DDI 0464), ACTLR; Cortex-A53 TRM (DDI 0500) and
 * Cortex-A72 TRM (ARM 100095), CPU Extended Control Register; ARM DDI 0406C,
 * B1.14.3 (TIDCP) and B4.1.112 (PAR).
 */
#include "kernel/arch/coherency.h"

#include "boot/boot.h"
#include "kernel/arch/arch.h"

#define SMP_BIT	  0x40u
#define PART_MASK 0xff00fff0u /* of the MIDR: implementer and part */
#define PART_A7	  0x4100c070u
#define PART_A53  0x4100d030u
#define PART_A72  0x4100d080u

enum smp_bit read_smp_bit(void)
{
	uint32_t midr, value, high;

	__asm__ volatile("mrc p15, 0, %0, c0, c0, 0" : "=r"(midr));
	midr &= PART_MASK;
	if (midr == PART_A7)
		__asm__ volatile("mrc p15, 0, %0, c1, c0, 1" /* ACTLR */
				 : "=r"(value));
	else if ((midr == PART_A53 || midr == PART_A72) &&
		 (boot_info.entry_cpsr & PSR_MODE_MASK) == PSR_MODE_HYP)
		__asm__ volatile("mrrc p15, 1, %0, %1, c15" /* CPUECTLR */
				 : "=r"(value), "=r"(high));
	else
		return SMP_UNKNOWN;
	return value & SMP_BIT ? SMP_SET : SMP_CLEAR;
}

uint32_t translate_read(const void *p)
{
	uint32_t flags = raw_local_irq_save(), par;

	__asm__ volatile("mcr p15, 0, %1, c7, c8, 0\n" /* ATS1CPR */
			 "isb\n"
			 "mrc p15, 0, %0, c7, c4, 0"
			 : "=r"(par)
			 : "r"(p)
			 : "memory");
	raw_local_irq_restore(flags);
	return par;
}

bool smp_bit_suffices(enum smp_bit bit, uint32_t par)
{
	return bit != SMP_CLEAR || !(par & PAR_MEMORY);
}

/* Is this core coherent, as far as its SMP bit tells? core_is_coherent points here. */
static bool bit_suffices_here(void)
{
	return smp_bit_suffices(read_smp_bit(), translate_read(&boot_info));
}

bool (*core_is_coherent)(void) = bit_suffices_here;
