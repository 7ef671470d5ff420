/*
 * The kernel's requirements on a board: tables of operations that the code in
 * drivers/ fills.
 *
 * board_init() runs once, on the boot core. It fills `board` and sets the
 * pointers declared here; after that they are read-only. (A test may exchange
 * core_ops while no core starts or stops.) Before that the pointers are NULL.
 * The kernel asks a board through these tables alone, so no code outside
 * drivers/ needs to know which board it runs on or includes a header of
 * drivers/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/arch/arch.h"
#include "kernel/lib/cpumask.h"

/* ---- interrupts ---------------------------------------------------------- */

/* Interrupts that one core sends to another. */
enum ipi {
	IPI_KICK,	/* ends a WFI, nothing more */
	IPI_RESCHEDULE, /* look at need_resched on the way out */
	IPI_CALL,	/* run the queued functions (kernel/cpu/smp.c) */
	IPI_STOP,	/* another core panics: stop here */
	IPI_NMI, /* FIQ where the controller has one: print a backtrace */
	NR_IPIS
};

struct irqchip_ops {
	const char *name;
	bool has_nmi; /* IPI_NMI arrives even with IRQs masked */
	/* Per-core set-up, on that core, each time it comes up. */
	void (*init_core)(unsigned int cpu);
	/* Handle all pending interrupts: call ipi_arrived() or irq_dispatch()
	 * for each (kernel/irq/irq.h). From irq_entry(), IRQs off. */
	void (*handle)(struct regs *regs);
	/* Called from the FIQ vector: acknowledge the FIQ. Returns true if the
	 * FIQ was IPI_NMI. */
	bool (*fiq)(void);
	void (*enable)(unsigned int irq, unsigned int cpu);
	void (*disable)(unsigned int irq);
	/* Send a shared interrupt to that core from now on. */
	void (*route)(unsigned int irq, unsigned int cpu);
	void (*send_ipi)(struct cpumask to, enum ipi ipi);
	/* Take back an IPI_KICK that is pending on this core; IRQs masked. When
	 * this returns, the kick is gone from the controller. Otherwise a later
	 * kick, sent after the caller has looked at its condition, could be
	 * taken back as well. Pairs with the DSB in send_ipi(). */
	void (*clear_kick)(void);
	/* on: from now on IPI_KICK is the only IRQ that ends this core's
	 * WFI. !on: every IRQ ends it again. IRQs masked. NULL: the
	 * controller cannot do that. */
	void (*kicks_only)(bool on);
	/* Called when this core parks, IRQs masked. Until init_core()
	 * nothing but IPI_KICK ends its WFI. */
	void (*quiesce)(void);
};
extern const struct irqchip_ops *irqchip;

/* ---- cores --------------------------------------------------------------- */

/* How cores start and stop (docs/design.md, "board tables"). */
struct core_ops {
	const char *name;
	/* Start core cpu at secondary_entry_pa(). 0, or -EAGAIN if the core has
	 * not gone off yet and the caller should ask again in a moment, or
	 * another negative errno. Never waits. */
	int (*on)(unsigned int cpu);
	/* on(cpu) has just failed: print the reason, one line. May be NULL. */
	void (*explain)(unsigned int cpu);
	/* The last call of the core that leaves, IRQs off. It returns only if
	 * the platform does not let the core go off. */
	void (*die)(unsigned int cpu);
	/* Does the platform say that cpu is off? Reports call it, too. */
	bool (*is_off)(unsigned int cpu);
	/* May core cpu go off? 0 or a negative errno. */
	int (*may_go_off)(unsigned int cpu);
};
extern const struct core_ops *core_ops;

/* ---- console and pins ---------------------------------------------------- */

struct uart_ops {
	const char *name;
	void (*putc)(char c);	 /* polled, any context */
	int (*getc)(void);	 /* -1 when nothing is there */
	unsigned int irq;	 /* receive interrupt */
	void (*rx_enable)(void); /* the receive interrupt */
	void (*rx_ack)(void);
};
extern const struct uart_ops *uart;

/* Pins for lamps and buttons, by the chip's numbers. output() and input() set a
 * pin up, one thread at a time; the others: any context. */
struct pin_ops {
	void (*output)(unsigned int pin);
	void (*input)(unsigned int pin); /* with a pull-up */
	void (*set)(unsigned int pin, bool high);
	bool (*is_high)(unsigned int pin);
};
extern const struct pin_ops *pins; /* NULL: the board has none */

/* Files of the machine on which an emulator or a debugger runs this one. In
 * threads. */
struct host_ops {
	/* Create the file, or empty it. Returns its number, or -1. */
	int (*create)(const char *name);
	/* Returns whether all of it was written. */
	bool (*write)(int file, const void *data, size_t size);
	void (*close)(int file);
};
extern const struct host_ops *host_files; /* NULL: nobody has such files */

/* ---- the board itself ---------------------------------------------------- */

struct board {
	const char *name;
	uint64_t ram_base, ram_size;
	unsigned int nr_cores; /* the boot core is core 0, see mpidr[] */
	uint32_t mpidr[NR_CPUS];
	const char *bootargs;	 /* the command line; never NULL */
	const char *fdt_trouble; /* NULL, or why no device tree is used */
	const char *ram_by;	 /* who described the memory: "tags" */
	/* Memory that must not be allocated, whole pages: [start, end). */
	struct {
		uint32_t start, end;
		bool no_map; /* nor mapped */
	} reserved[64];
	unsigned int nr_reserved;
};
extern struct board board;

struct board_ops {
	/* Print the facts found at the start, and the checks that can fail only
	 * on a real board. The command `board` calls it. map_findings: the
	 * number that map_audit() returned. */
	void (*print)(unsigned int map_findings);
	/* Called once, when all cores are up. The code for a board that its
	 * authors do not have prints the boot report now, so that the report
	 * is in each log that a user sends. */
	void (*greet)(unsigned int map_findings);
	/* Called on core cpu when it has come up, IRQs off. */
	void (*core_up)(unsigned int cpu);
	/* Called by the watchdog's thread a few times a second, as a sign of
	 * life: blink an LED. */
	void (*heartbeat)(void);
	/* exit() and give_up() end the machine with that status, as far as the
	 * board can. If the function returns, the core halts. Any context, IRQs
	 * off or on. */
	void (*exit)(int status);
	void (*give_up)(int status); /* after a panic */
	void (*reboot)(void);
};
extern const struct board_ops *board_ops;

/*
 * Find the board: from the device tree at boot_info.r2 if there is a sound one,
 * else from the processor and the load address. Maps the board's devices, sets
 * the tables and starts the console. Each problem is one clear line on the
 * console. drivers/find_board.c
 */
void board_init(void);

/* Logical number of the calling core, from its MPIDR. */
unsigned int board_this_core(void);

/* End the machine with that status, by semihosting, by PSCI or by the board. */
noreturn void machine_exit(int status);
/* End the machine with that status after a panic. A board that stays powered
 * shows by its LED that it has failed. */
noreturn void machine_give_up(int status);
noreturn void machine_reboot(void);
/* This core stays in WFI for ever. */
noreturn void machine_halt(void);
