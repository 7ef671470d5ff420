/*
 * Shared by the files of drivers/ alone.
 *
 * drivers/ holds one file a board (virt.c, pi.c), one file a device, and three
 * that all boards share: find_board.c asks each board whether it is the one,
 * board_facts.c fills `board`, board_report.c prints it. A board's file sets
 * the tables of kernel/arch/board.h and calls the init function of each device
 * that it has; that function sets the device's own table.
 *
 * The init functions run once, on the boot core, with IRQs off.
 */
#pragma once

#include "kernel/arch/board.h"
#include "kernel/lib/fdt.h"

#define SAFE_RAM (64u << 20) /* every machine has that much */
#define RAM_MAX	 0x40000000u

/* ---- boards -------------------------------------------------------------- */

/* If this is a Raspberry Pi, set it up and return true. tree: NULL if there is
 * none. */
bool pi_init(const struct fdt *tree);
/* Set up QEMU's virt, the default if no other board is recognised. */
void virt_init(const struct fdt *tree);

/* ---- board_facts.c ------------------------------------------------------- */

/* What a board's file knows better than any tree. */
struct facts {
	uint64_t ram_start, ram_end; /* memory can be there and nowhere else */
	uint32_t core_bits;	     /* of MPIDR: they tell the cores apart */
};

/* Take the command line, the memory, the reserved memory and the cores from the
 * tree. If the tree describes no memory that covers the kernel, board.ram_size
 * is 0, and board.fdt_trouble has the reason. */
void board_from_tree(const struct fdt *tree, const struct facts *known);
/* Use the memory [start, end), or the part of it that the direct map can hold.
 * by: the source of these addresses, for the report. */
void board_memory(uint64_t start, uint64_t end, const char *by);
/* Set the command line: at most size bytes of args. It is cut if it is too
 * long. */
void board_args(const char *args, size_t size);
/* Add memory that must not be allocated and, if no_map is true, must not be
 * mapped. Ends the machine if there are too many regions. */
void board_reserve(uint64_t base, uint64_t size, bool no_map);
/* Set the comparator's interrupt and the counter's rate. hz 0: the rate that
 * CNTFRQ has. */
void board_clock(unsigned int irq, uint32_t hz);

/* ---- board_report.c ------------------------------------------------------ */

/* Store the calling core's registers, for the report. For board_ops.core_up. */
void report_core_up(unsigned int cpu);
/* Print how the machine was entered and what was found. measured_hz: the
 * counter's rate by another clock; 0 if there is none. */
void report_start(uint32_t measured_hz);
/* Print the findings on each core, on the memory of the locks and on the page
 * tables. waits_in_firmware: is core cpu still in the firmware's loop? NULL if
 * the board has no such loop. */
void report_cores(bool (*waits_in_firmware)(unsigned int cpu),
		  unsigned int map_findings);

/* ---- devices ------------------------------------------------------------- */

/* pl011_init(), gic2_init() and gic3_init() first read the registers that
 * identify the device. If these name another device, the function returns false
 * and touches nothing else. */

/* clock: the UART's input clock in Hz. 0: the baud rate is left as it is, and
 * the registers are checked. */
bool pl011_init(uint32_t pa, unsigned int irq, uint32_t clock);
/* Wait until all has been sent, for some milliseconds at most. */
void pl011_drain(void);
bool gic2_init(uint32_t dist_pa, uint32_t cpu_pa);
/* Cores without a redistributor are taken out of `board`. */
bool gic3_init(uint32_t dist_pa, uint32_t redist_pa, uint32_t redist_size);
/* cpu_on, cpu_off: function numbers for a PSCI before 0.2. Returns false if no
 * PSCI answers this kind of call. */
bool psci_init(bool smc, uint32_t cpu_on, uint32_t cpu_off);
/* Call PSCI's SYSTEM_OFF or SYSTEM_RESET. Return if there is no PSCI. */
void psci_system_off(void);
void psci_system_reset(void);
/* let_out: lets core cpu out of the firmware's loop, into boot/start.S; NULL if
 * the firmware holds no core. */
void pen_init(void (*let_out)(unsigned int cpu));
void bcm2836_local(uint32_t local_pa);
void bcm2836_init(uintptr_t peripherals);
/* Let core cpu out of the firmware's loop: write its mailbox 3, or its address
 * for a loop in AArch64. */
void bcm2836_release(unsigned int cpu);
/* Is the word in core cpu's mailbox 3 still unread? */
bool bcm2836_unread(unsigned int cpu);
/* Does a debugger or an emulator answer semihosting calls? The first call, on
 * the boot core, finds it out. */
bool semihosting_present(void);
/* Use the console of the debugger or emulator, if there is one, until a UART is
 * known. */
void semihosting_console(void);
/* End the machine with that status by semihosting. Without semihosting: print a
 * line with the status, and end the machine by PSCI. Returns if there is no
 * PSCI either. */
void leave_machine(int status);

/* ---- registers ----------------------------------------------------------- */

static inline uint32_t mmio_read(uintptr_t a)
{
	return *(volatile uint32_t *)a;
}
static inline void mmio_write(uintptr_t a, uint32_t v)
{
	*(volatile uint32_t *)a = v;
}

/*
 * Wait until the earlier writes to a device have reached it; only then come the
 * later accesses. a: any register of the device that may be read.
 * A DSB alone does not wait so long: a write to Device memory may complete
 * before it reaches the device. A read of the same device cannot overtake the
 * write, and completes only when its value has come (ARM DDI 0406C, A3.5).
 */
static inline void mmio_arrived(uintptr_t a)
{
	(void)mmio_read(a);
	dsb(); /* the read has its value */
}

/* Write the cache line of p to memory and drop it from the caches. A clean
 * alone may be overtaken on a Cortex-A53 (erratum 855873). */
static inline void clean_to_memory(const volatile void *p)
{
	dsb(); /* the stores to *p come first */
	__asm__ volatile("mcr p15, 0, %0, c7, c14, 1" ::"r"(p) : "memory");
	dsb(); /* the cache operation has ended */
}
