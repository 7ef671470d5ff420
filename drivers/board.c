/*
 * Which board is this, and what does it have: from the device tree, or a sane
 * default with one clear line why.
 *
 * Owns `board` and the operation tables; written once on the boot core.
 */
#include "kernel/arch/board.h"

#include <string.h>

#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/lib/cmdline.h"
#include "kernel/lib/printf.h"

struct board board;
const struct irqchip_ops *irqchip;
const struct core_ops *core_ops;
const struct uart_ops *uart;

#define VIRT_RAM      0x40000000u
#define VIRT_UART     0x09000000u
#define VIRT_GICD     0x08000000u
#define VIRT_GICC     0x08010000u
#define VIRT_UART_IRQ 33
#define FDT_BOUND     (1u << 20) /* largest tree we look at */
#define FDT_MAGIC_BE  0xedfe0dd0u

static char bootargs[512];
static struct fdt fdt;

/* ---- pieces ------------------------------------------------------------------ */

/* Interrupt number of entry i of "interrupts" with three cells; 0 if none. */
static unsigned int fdt_irq(fdt_node n, unsigned int i)
{
	uint32_t type = fdt_prop_u32(&fdt, n, "interrupts", i * 3, ~0u);
	uint32_t num = fdt_prop_u32(&fdt, n, "interrupts", i * 3 + 1, ~0u);

	if (type > 1 || num > 987)
		return 0;
	return num + (type == 0 ? 32 : 16);
}

static uint32_t reg_base(fdt_node n, unsigned int i, uint32_t dflt)
{
	uint64_t base, size;

	if (n < 0 || fdt_reg(&fdt, n, i, &base, &size) || base >> 32)
		return dflt;
	return (uint32_t)base;
}

static void find_memory(void)
{
	fdt_node root = fdt_root(&fdt), n;
	uint32_t image = boot_info.image_pa;

	for (n = fdt_child(&fdt, root); n >= 0; n = fdt_sibling(&fdt, n)) {
		const char *type = fdt_prop_str(&fdt, n, "device_type");
		uint64_t base, size;

		if (!type || strcmp(type, "memory") != 0)
			continue;
		for (unsigned int i = 0; !fdt_reg(&fdt, n, i, &base, &size);
		     i++) {
			if (image < base || image - base >= size)
				continue; /* the bank we live in is enough */
			board.ram_base = base;
			board.ram_size = size;
			return;
		}
	}
	board.fdt_trouble = "no memory node covers the kernel";
}

void board_reserve(uint64_t base, uint64_t size)
{
	if (board.nr_reserved == ARRAY_SIZE(board.reserved) || base >> 32)
		return;
	board.reserved[board.nr_reserved].base = (uint32_t)base;
	board.reserved[board.nr_reserved].size = (uint32_t)size;
	board.nr_reserved++;
}

static void find_reserved(void)
{
	uint64_t base, size;
	fdt_node n = fdt_path(&fdt, "/reserved-memory");

	for (unsigned int i = 0; fdt_reserved(&fdt, i, &base, &size); i++)
		board_reserve(base, size);
	for (n = n < 0 ? n : fdt_child(&fdt, n); n >= 0;
	     n = fdt_sibling(&fdt, n))
		for (unsigned int i = 0; !fdt_reg(&fdt, n, i, &base, &size);
		     i++)
			board_reserve(base, size);
}

/* The boot core is number 0 wherever it stands in the tree. */
static void find_cores(void)
{
	fdt_node n = fdt_path(&fdt, "/cpus");
	uint32_t boot = board.mpidr[0];
	unsigned int over = 0;

	board.nr_cores = 1;
	for (n = n < 0 ? n : fdt_child(&fdt, n); n >= 0;
	     n = fdt_sibling(&fdt, n)) {
		const char *type = fdt_prop_str(&fdt, n, "device_type");
		uint64_t mpidr, none;

		if (!type || strcmp(type, "cpu") != 0 ||
		    fdt_reg(&fdt, n, 0, &mpidr, &none))
			continue;
		if ((uint32_t)mpidr == boot)
			continue;
		if (board.nr_cores == NR_CPUS) {
			over++;
			continue;
		}
		board.mpidr[board.nr_cores++] = (uint32_t)mpidr;
	}
	if (over)
		kprintf("board: %u cores more than the %u this kernel can use\n",
			over, NR_CPUS);
}

static void find_core_ops(void)
{
	fdt_node n = fdt_path(&fdt, "/psci");
	const char *method = n < 0 ? NULL : fdt_prop_str(&fdt, n, "method");

	if (method && (!strcmp(method, "hvc") || !strcmp(method, "smc")))
		psci_init(method[0] == 's',
			  fdt_prop_u32(&fdt, n, "cpu_on", 0, 0),
			  fdt_prop_u32(&fdt, n, "cpu_off", 0, 0));
	else
		pen_init(NULL);
}

static void find_irqchip(void)
{
	fdt_node n = fdt_compatible(&fdt, -1, "arm,gic-v3");
	uint64_t base, size;

	if (n >= 0 && !fdt_reg(&fdt, n, 1, &base, &size)) {
		gic3_init(reg_base(n, 0, VIRT_GICD), (uint32_t)base,
			  (uint32_t)size);
		return;
	}
	n = fdt_compatible(&fdt, -1, "arm,cortex-a15-gic");
	gic2_init(reg_base(n, 0, VIRT_GICD), reg_base(n, 1, VIRT_GICC));
}

static void find_timer(void)
{
	fdt_node n = fdt_compatible(&fdt, -1, "arm,armv7-timer");
	/* Order: secure, non-secure, virtual, hypervisor. */
	unsigned int irq = n < 0 ? 0 : fdt_irq(n, 2);

	timer_init(irq ? irq : TIMER_IRQ_VIRTUAL, 0);
}

void board_args(const char *args, size_t size)
{
	size = strnlen(args, size);
	if (size >= sizeof(bootargs)) {
		size = sizeof(bootargs) - 1;
		kprintf("board: the command line is longer than %u bytes, cut\n",
			(unsigned int)size);
	}
	memcpy(bootargs, args, size);
	bootargs[size] = 0;
}

static void find_bootargs(void)
{
	fdt_node n = fdt_path(&fdt, "/chosen");
	const char *args = n < 0 ? NULL : fdt_prop_str(&fdt, n, "bootargs");

	if (args)
		board_args(args, strlen(args));
}

/* The UART that /chosen names, or the first PL011. */
static void find_uart(void)
{
	fdt_node n = fdt_path(&fdt, "/chosen");
	const char *path = n < 0 ? NULL : fdt_prop_str(&fdt, n, "stdout-path");

	n = path ? fdt_path(&fdt, path) : -1;
	if (n < 0 || !fdt_is_compatible(&fdt, n, "arm,pl011"))
		n = fdt_compatible(&fdt, -1, "arm,pl011");
	pl011_init(reg_base(n, 0, VIRT_UART),
		   n >= 0 && fdt_irq(n, 0) ? fdt_irq(n, 0) : VIRT_UART_IRQ, 0);
}

/* ---- the board ---------------------------------------------------------------- */

/* Where a tree may be: what the firmware says, else QEMU's place for it, the
 * start of memory. */
static bool open_fdt(void)
{
	uint32_t ram = boot_info.image_pa < VIRT_RAM ? 0 : VIRT_RAM;
	uint32_t pa = boot_info.r2;
	const uint32_t *blob;

	board.fdt_trouble = "no device tree";
	if (pa < ram || (pa & 3) || pa - ram >= RAM_MAX)
		pa = ram;
	blob = map_early(pa, FDT_BOUND);
	if (*blob != FDT_MAGIC_BE)
		return false;
	if (fdt_open(&fdt, blob, FDT_BOUND, &board.fdt_trouble))
		return false;
	board.fdt_trouble = NULL;
	return true;
}

static void virt_default(void)
{
	board.ram_base = VIRT_RAM;
	board.ram_size = SAFE_RAM;
	board.nr_cores = 1;
	if (!uart)
		pl011_init(VIRT_UART, VIRT_UART_IRQ, 0);
	kprintf("board: %s; taking QEMU virt with 1 core and %u MiB\n",
		board.fdt_trouble, SAFE_RAM >> 20);
	gic2_init(VIRT_GICD, VIRT_GICC);
	timer_init(TIMER_IRQ_VIRTUAL, 0);
	psci_init(false, 0, 0);
}

static void find_board(void)
{
	bool tree;

	board.name = "QEMU virt";
	board.bootargs = bootargs;
	board.mpidr[0] = boot_info.entry_mpidr & 0xffffffu;
	semihosting_present(); /* found out now, on a sound stack */
	tree = open_fdt();
	board.is_pi = pi_init(tree ? &fdt : NULL);
	if (tree && !board.is_pi)
		find_uart();
	if (tree)
		find_memory();
	if (board.is_pi && board.fdt_trouble)
		pi_without_tree();
	else if (board.fdt_trouble)
		virt_default();
	if (board.fdt_trouble)
		return;
	find_reserved();
	find_cores();
	find_bootargs();
	if (board.is_pi)
		return;
	find_core_ops();
	find_irqchip();
	find_timer();
}

void board_init(void)
{
	find_board();
	board_greet_early();
}

unsigned int board_max_cores(void)
{
	char value[12];
	unsigned int n;

	if (cmdline_get(board.bootargs, "maxcpus", value, sizeof(value)) &&
	    parse_uint(value, &n))
		return n;
	return NR_CPUS;
}

unsigned int board_this_core(void)
{
	uint32_t me = read_mpidr();

	for (unsigned int i = 0; i < board.nr_cores; i++)
		if (board.mpidr[i] == me)
			return i;
	return 0;
}
