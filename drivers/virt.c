/*
 * QEMU's virt machine. Its devices are where the device tree says. Without a
 * valid tree the kernel takes the addresses that QEMU has always used, one
 * core, and as much memory as every machine has.
 *
 * Owns nothing. Boot core, during start.
 */
#include <string.h>

#include "drivers/devices.h"
#include "kernel/arch/clock.h"
#include "kernel/lib/printf.h"

#define VIRT_RAM      0x40000000u
#define VIRT_UART     0x09000000u
#define VIRT_GICD     0x08000000u
#define VIRT_GICC     0x08010000u
#define VIRT_UART_IRQ 33

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

static void virt_exit(int status)
{
	leave_machine(status);
	kprintf("the machine ends, status %d\n", status);
}

static const struct board_ops virt_ops = {
	.print = virt_print,
	.greet = virt_greet,
	.core_up = report_core_up,
	.heartbeat = virt_heartbeat,
	.exit = virt_exit,
	.give_up = leave_machine,
	.reboot = psci_system_reset,
};

/* ---- facts from the device tree ------------------------------------------ */

/* Interrupt number of entry i of "interrupts" with three cells; 0 if none. */
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

/* The UART that /chosen names, or the first PL011. */
static void find_uart(const struct fdt *fdt)
{
	fdt_node n = fdt_path(fdt, "/chosen");
	const char *path = n < 0 ? NULL : fdt_prop_str(fdt, n, "stdout-path");
	unsigned int irq;

	n = path ? fdt_path(fdt, path) : -1;
	if (n < 0 || !fdt_is_compatible(fdt, n, "arm,pl011"))
		n = fdt_compatible(fdt, -1, "arm,pl011");
	irq = n < 0 ? 0 : tree_irq(fdt, n, 0);
	pl011_init(tree_base(fdt, n, 0, VIRT_UART), irq ? irq : VIRT_UART_IRQ,
		   0);
}

static void find_core_ops(const struct fdt *fdt)
{
	fdt_node n = fdt_path(fdt, "/psci");
	const char *method = n < 0 ? NULL : fdt_prop_str(fdt, n, "method");

	if (method && (!strcmp(method, "hvc") || !strcmp(method, "smc")))
		psci_init(method[0] == 's',
			  fdt_prop_u32(fdt, n, "cpu_on", 0, 0),
			  fdt_prop_u32(fdt, n, "cpu_off", 0, 0));
	else
		pen_init(NULL);
}

static void find_irqchip(const struct fdt *fdt)
{
	fdt_node n = fdt_compatible(fdt, -1, "arm,gic-v3");
	uint64_t base, size;

	if (n >= 0 && !fdt_reg(fdt, n, 1, &base, &size)) {
		gic3_init(tree_base(fdt, n, 0, VIRT_GICD), (uint32_t)base,
			  (uint32_t)size);
		return;
	}
	n = fdt_compatible(fdt, -1, "arm,cortex-a15-gic");
	gic2_init(tree_base(fdt, n, 0, VIRT_GICD),
		  tree_base(fdt, n, 1, VIRT_GICC));
}

static void find_timer(const struct fdt *fdt)
{
	fdt_node n = fdt_compatible(fdt, -1, "arm,armv7-timer");
	/* Order: secure, non-secure, virtual, hypervisor. */
	unsigned int irq = n < 0 ? 0 : tree_irq(fdt, n, 2);

	board_clock(irq ? irq : TIMER_IRQ_VIRTUAL, 0);
}

/* ---- the board ----------------------------------------------------------- */

static void assume_virt(void)
{
	board.ram_base = VIRT_RAM;
	board.ram_size = SAFE_RAM;
	board.nr_cores = 1;
	if (!uart)
		pl011_init(VIRT_UART, VIRT_UART_IRQ, 0);
	kprintf("board: %s; assuming QEMU virt, 1 core, %u MiB\n",
		board.fdt_trouble, SAFE_RAM >> 20);
	gic2_init(VIRT_GICD, VIRT_GICC);
	board_clock(TIMER_IRQ_VIRTUAL, 0);
	psci_init(false, 0, 0);
}

void virt_init(const struct fdt *tree)
{
	board.name = "QEMU virt";
	board_ops = &virt_ops;
	if (tree)
		find_uart(tree);
	if (!tree || !board_from_tree(tree)) {
		assume_virt();
		return;
	}
	find_core_ops(tree);
	find_irqchip(tree);
	find_timer(tree);
}
