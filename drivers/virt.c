/*
 * QEMU's virt machine. Its devices are where the device tree says. Without a
 * valid tree the kernel takes the addresses that QEMU has always used, one
 * core, and the least memory that a machine has.
 *
 * Owns nothing. Boot core, during start.
 */
#include <string.h>

#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"

#define VIRT_RAM       0x40000000u
#define VIRT_UART      0x09000000u
#define VIRT_GICD      0x08000000u
#define VIRT_GICC      0x08010000u
#define VIRT_GICR      0x080a0000u
#define VIRT_GICR_SIZE 0x00f60000u
#define VIRT_UART_IRQ  33

/* ---- its table ----------------------------------------------------------- */

static void virt_print(unsigned int map_findings)
{
	report_start(0);
	report_cores(NULL, map_findings);
}

static void virt_greet(unsigned int map_findings)
{
	(void)map_findings; /* people send in the logs of real boards only */
}

static void virt_heartbeat(void)
{
}

static const struct board_ops virt_ops = {
	.print = virt_print,
	.greet = virt_greet,
	.core_up = report_core_up,
	.heartbeat = virt_heartbeat,
	.exit = leave_machine,
	.give_up = leave_machine,
	.reboot = psci_system_reset,
};

/* ---- facts from the device tree ------------------------------------------ */

/* The interrupt number of entry i of "interrupts"; 0 if there is none. An entry
 * has three cells: the type (0: shared by the cores, from 32 on; 1: each core's
 * own, from 16 on), the number, and flags. A GIC's last shared interrupt is 32
 * + 987. */
static unsigned int tree_irq(const struct fdt *fdt, fdt_node n, unsigned int i)
{
	uint32_t type = fdt_prop_u32(fdt, n, "interrupts", i * 3, ~0u);
	uint32_t num = fdt_prop_u32(fdt, n, "interrupts", i * 3 + 1, ~0u);

	if (type > 1 || num > 987)
		return 0;
	return num + (type == 0 ? 32 : 16);
}

/* Base address of entry i of "reg"; dflt if there is none. */
static uint32_t tree_base(const struct fdt *fdt, fdt_node n, unsigned int i,
			  uint32_t dflt)
{
	uint64_t base, size;

	if (n < 0 || fdt_reg(fdt, n, i, &base, &size) || base >> 32)
		return dflt;
	return (uint32_t)base;
}

/* Use the UART that /chosen names, or the first PL011. Returns false if this
 * UART is at the address that every virt machine has, or if nothing is
 * there. */
static bool find_uart(const struct fdt *fdt)
{
	const char *path =
		fdt_prop_str(fdt, fdt_path(fdt, "/chosen"), "stdout-path");
	fdt_node n = path ? fdt_path(fdt, path) : -1;
	unsigned int irq;
	uint32_t base;

	if (n < 0 || !fdt_is_compatible(fdt, n, "arm,pl011"))
		n = fdt_compatible(fdt, -1, "arm,pl011");
	base = tree_base(fdt, n, 0, VIRT_UART);
	irq = tree_irq(fdt, n, 0);
	if (base == VIRT_UART)
		return false;
	if (pl011_init(base, irq ? irq : VIRT_UART_IRQ, 0))
		return true;
	kprintf("board: no PL011 at 0x%x, where the tree has it\n", base);
	return false;
}

/*
 * May PSCI be called in this way, although perhaps nothing answers? If no
 * higher level takes the call, it is an undefined instruction, and the probe
 * survives that. If the kernel was entered at EL2 (HYP mode), an HVC goes to
 * EL2, which has no vectors. In the same way an SMC fails after an entry at
 * EL3. After an entry in SVC mode the core may be in the secure state, where an
 * SMC goes to a Monitor mode without vectors. So an SMC is tried if the tree
 * names it, or after an entry at EL2, which is in the non-secure state. Source:
 * ARM DDI 0406C, the instructions HVC and SMC.
 */
static bool call_is_safe(bool smc, bool tree_names_smc)
{
	bool hyp = (boot_info.entry_cpsr & PSR_MODE_MASK) == PSR_MODE_HYP ||
		   boot_info.entry_el == 2;

	if (boot_info.entry_el == 3)
		return false;
	return smc ? hyp || tree_names_smc : !hyp;
}

/* Find the kind of call that PSCI answers, HVC or SMC. First try the kind that
 * the tree names, or HVC if there is no tree (tree is NULL). Then try the other
 * kind. Unsafe calls are not tried. If nothing answers, or the tree has no
 * PSCI, the kernel uses one core. */
static void find_core_ops(const struct fdt *tree)
{
	fdt_node n = tree ? fdt_path(tree, "/psci") : -1;
	const char *method = tree ? fdt_prop_str(tree, n, "method") : "";
	uint32_t on = n < 0 ? 0 : fdt_prop_u32(tree, n, "cpu_on", 0, 0);
	uint32_t off = n < 0 ? 0 : fdt_prop_u32(tree, n, "cpu_off", 0, 0);
	bool tree_names_smc = method && !strcmp(method, "smc");
	bool smc = tree_names_smc;

	for (int i = 0; method && i < 2; i++, smc = !smc) {
		const char *call = smc ? "smc" : "hvc";

		if (!call_is_safe(smc, tree_names_smc) ||
		    !psci_init(smc, on, off))
			continue;
		if (tree && strcmp(method, call) != 0)
			kprintf("board: PSCI by %s, not by \"%s\" as the tree "
				"has it\n",
				call, method);
		return;
	}
	kprintf("board: no PSCI%s: 1 core\n", method ? " answers" : "");
	board.nr_cores = 1;
	pen_init(NULL);
}

static noreturn void not_virt(const char *missing)
{
	kprintf("board: this is no Raspberry Pi, and no QEMU virt: no %s\n",
		missing);
	machine_exit(1);
}

/* The controller that the tree has, or a controller at QEMU's addresses. */
static void find_irqchip(const struct fdt *fdt)
{
	fdt_node v2 = fdt_compatible(fdt, -1, "arm,cortex-a15-gic"), v3;
	uint64_t base, size;

	if (v2 >= 0 && gic2_init(tree_base(fdt, v2, 0, VIRT_GICD),
				 tree_base(fdt, v2, 1, VIRT_GICC)))
		return;
	v3 = fdt_compatible(fdt, -1, "arm,gic-v3");
	if (v3 >= 0 && !fdt_reg(fdt, v3, 1, &base, &size) &&
	    gic3_init(tree_base(fdt, v3, 0, VIRT_GICD), (uint32_t)base,
		      (uint32_t)min(size, 0xffffffffull)))
		return;
	kprintf("board: no GIC where the tree has it; looking at QEMU's "
		"addresses\n");
	if (!gic2_init(VIRT_GICD, VIRT_GICC) &&
	    !gic3_init(VIRT_GICD, VIRT_GICR, VIRT_GICR_SIZE))
		not_virt("GIC");
}

/* ---- the board ----------------------------------------------------------- */

static const struct facts virt_facts = {
	.ram_start = VIRT_RAM,
	.ram_end = 1ull << 32,
	.core_bits = 0xffffff,
};

/* The tree describes no usable memory. Assume SAFE_RAM, which every machine
 * has. cores: text about the cores for the printed line, or an empty string. */
static void assume_memory(const char *cores)
{
	kprintf("board: %s; assuming %s%u MiB\n", board.fdt_trouble, cores,
		SAFE_RAM >> 20);
	board_memory(VIRT_RAM, VIRT_RAM + SAFE_RAM, "assumption");
}

static void assume_virt(void)
{
	board.nr_cores = 1;
	assume_memory("QEMU virt, 1 core, ");
	if (!gic2_init(VIRT_GICD, VIRT_GICC) &&
	    !gic3_init(VIRT_GICD, VIRT_GICR, VIRT_GICR_SIZE))
		not_virt("GIC");
	find_core_ops(NULL);
}

void virt_init(const struct fdt *tree)
{
	bool found;

	board.name = "QEMU virt";
	board_ops = &virt_ops;
	/* First use the UART that every virt machine has: then all problems of
	 * the tree can be printed. This is safe. If nothing is at the address,
	 * there is an external abort, which pl011_init() survives. If something
	 * else is there, pl011_init() writes nothing to it. */
	found = pl011_init(VIRT_UART, VIRT_UART_IRQ, 0);
	if (!(tree && find_uart(tree)) && !found)
		not_virt("PL011");
	board_clock(TIMER_IRQ_VIRTUAL, 0); /* the same on all such machines */
	if (!tree) {
		assume_virt();
		return;
	}
	board_from_tree(tree, &virt_facts);
	if (!board.ram_size)
		assume_memory("");
	find_core_ops(tree);
	find_irqchip(tree);
}
