/*
 * PSCI: starts and stops cores, and ends the machine. Source: ARM DEN 0022.
 *
 * Owns the kind of call (HVC or SMC) and the function numbers, fixed at boot.
 * psci_on() runs under cpu_add_remove_lock, so one core starts at a time. QEMU
 * needs this, because it has no ON_PENDING: if two CPU_ONs come close together,
 * both succeed, but one has no effect.
 */
#include "drivers/devices.h"
#include "kernel/arch/mmu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"

#define PSCI_VERSION	   0x84000000u
#define PSCI_CPU_OFF	   0x84000002u
#define PSCI_CPU_ON	   0x84000003u
#define PSCI_AFFINITY_INFO 0x84000004u
#define PSCI_SYSTEM_OFF	   0x84000008u
#define PSCI_SYSTEM_RESET  0x84000009u

#define AFFINITY_OFF 1

/* What a function returns, negative. Source: ARM DEN 0022, 5.2.2. */
enum {
	NOT_SUPPORTED = 1,
	INVALID_PARAMETERS,
	DENIED,
	ALREADY_ON,
	ON_PENDING,
	INTERNAL_FAILURE,
	NOT_PRESENT,
	DISABLED,
	INVALID_ADDRESS,
};

static const char *const meaning[] = {
	[NOT_SUPPORTED] = "not supported: the firmware has no such function",
	[INVALID_PARAMETERS] = "invalid parameters: it knows no such core",
	[DENIED] = "denied: it does not permit this",
	[ALREADY_ON] = "already on: the core has not gone off",
	[INTERNAL_FAILURE] = "internal failure: it could not do this",
	[NOT_PRESENT] = "not present: the machine has no such core",
	[DISABLED] = "disabled: the core may not be used",
	[INVALID_ADDRESS] = "invalid address: no core may start there",
};

extern uint32_t entry_is_for_cores; /* boot/start.S reads it */

static bool present, use_smc;
static uint32_t fn_on, fn_off;
static int32_t last_on; /* result of the last CPU_ON; cpu_add_remove_lock */

/* The registers are bound directly before the instruction, because the compiler
 * may use these registers for code in between. */
#define CALL(instruction, fn, a1, a2, a3)                                      \
	({                                                                     \
		register uint32_t r0 __asm__("r0") = (fn);                     \
		register uint32_t r1 __asm__("r1") = (a1);                     \
		register uint32_t r2 __asm__("r2") = (a2);                     \
		register uint32_t r3 __asm__("r3") = (a3);                     \
                                                                               \
		__asm__ volatile(instruction /* NOLINT: no parentheses */      \
				 : "+r"(r0), "+r"(r1), "+r"(r2),               \
				   "+r"(r3)::"memory");                        \
		(int32_t) r0;                                                  \
	})

static int32_t psci_call(uint32_t fn, uint32_t a1, uint32_t a2, uint32_t a3)
{
	if (use_smc)
		return CALL(".arch_extension sec\n\tsmc #0", fn, a1, a2, a3);
	return CALL(".arch_extension virt\n\thvc #0", fn, a1, a2, a3);
}

static bool psci_is_off(unsigned int cpu)
{
	return psci_call(PSCI_AFFINITY_INFO, board.mpidr[cpu], 0, 0) ==
	       AFFINITY_OFF;
}

static int psci_on(unsigned int cpu)
{
	uint32_t entry = secondary_entry_pa();

	/* Firmware that entered the image in AArch64 starts the other cores in
	 * AArch64, too. Only the image's first instructions are code in both
	 * states. */
	if (boot_info.entry_el) {
		entry_is_for_cores = 1;
		clean_to_memory(&entry_is_for_cores);
		entry = boot_info.image_pa;
	}
	dsb(); /* the stack and the thread of the core are in memory */
	last_on = psci_call(fn_on, board.mpidr[cpu], entry, cpu);
	switch (-last_on) {
	case 0:
	case ON_PENDING: /* the core comes by an earlier call */
		return 0;
	case ALREADY_ON: /* also a core that is on its way off */
		return -EAGAIN;
	case INVALID_PARAMETERS:
	case NOT_PRESENT:
		return -ENODEV;
	case DENIED:
	case DISABLED:
		return -EBUSY;
	default:
		return -EIO;
	}
}

static void print_refusal(unsigned int cpu, const char *function, int32_t err)
{
	uint32_t i = 0u - (uint32_t)err;

	kprintf("cpu %u: the firmware answers %s with %d,\n  %s\n", cpu,
		function, err,
		i < ARRAY_SIZE(meaning) && meaning[i] ?
			meaning[i] :
			"which is no PSCI error");
}

static void psci_explain(unsigned int cpu)
{
	if (last_on) /* 0: CPU_ON succeeded, and the failure came later */
		print_refusal(cpu, "CPU_ON", last_on);
}

/* CPU_OFF returns only if the firmware refuses it. */
static void psci_die(unsigned int cpu)
{
	print_refusal(cpu, "CPU_OFF", psci_call(fn_off, 0, 0, 0));
}

static int psci_may_go_off(unsigned int cpu)
{
	(void)cpu;
	return 0;
}

static const struct core_ops psci_ops = {
	.name = "PSCI",
	.on = psci_on,
	.explain = psci_explain,
	.die = psci_die,
	.is_off = psci_is_off,
	.may_go_off = psci_may_go_off,
};

bool psci_init(bool smc, uint32_t cpu_on, uint32_t cpu_off)
{
	uint32_t version;
	bool old;

	/* The instruction may be undefined: this machine may have no PSCI, or a
	 * PSCI that wants the other kind of call. */
	if (!(smc ? probe_smc : probe_hvc)(PSCI_VERSION, &version))
		return false;
	/* Since version 0.2 the function numbers are fixed. For an earlier
	 * version the tree has them. */
	old = version >> 31 || version < 2;
	use_smc = smc;
	fn_on = old && cpu_on ? cpu_on : PSCI_CPU_ON;
	fn_off = old && cpu_off ? cpu_off : PSCI_CPU_OFF;
	present = true;
	core_ops = &psci_ops;
	return true;
}

void psci_system_off(void)
{
	if (present)
		psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
}

void psci_system_reset(void)
{
	if (present)
		psci_call(PSCI_SYSTEM_RESET, 0, 0, 0);
}
