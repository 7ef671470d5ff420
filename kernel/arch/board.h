/*
 * Boards and what a board gives: one table a board, one file a device.
 *
 * board_init() runs once on the boot core and fills `board` and the operation
 * tables below; after that they are read-only (tests may swap core_ops while
 * no core operation is under way).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/arch.h"
#include "kernel/lib/cpumask.h"
#include "kernel/lib/fdt.h"

/* Interrupts one core sends to another. */
enum ipi {
	IPI_KICK,	/* ends a WFI, nothing more */
	IPI_RESCHEDULE, /* look at need_resched on the way out */
	IPI_CALL,	/* run the queued functions (kernel/cpu/smp.c) */
	IPI_STOP,	/* panic elsewhere: stay put */
	IPI_NMI, /* FIQ where the controller has one: print a backtrace */
	NR_IPIS
};

typedef void (*irq_handler)(unsigned int irq, void *arg);

struct irqchip_ops {
	const char *name;
	bool has_nmi; /* IPI_NMI arrives even with IRQs masked */
	/* Per-core set-up, on that core, each time it comes up. */
	void (*init_core)(unsigned int cpu);
	/* Dispatch all pending interrupts. IRQs off, irq_enter() done. */
	void (*handle)(struct regs *regs);
	/* From the FIQ vector: acknowledge; true if it was IPI_NMI. */
	bool (*fiq)(void);
	void (*enable)(unsigned int irq, unsigned int cpu);
	void (*disable)(unsigned int irq);
	/* Send a shared interrupt to that core from now on. */
	void (*route)(unsigned int irq, unsigned int cpu);
	void (*send_ipi)(struct cpumask to, enum ipi ipi);
	/* Take back an IPI_KICK pending on this core, IRQs masked. */
	void (*clear_kick)(void);
	/* This core parks, IRQs masked: from now on nothing but IPI_KICK ends
	 * its WFI, until init_core(). */
	void (*quiesce)(void);
};

/* How cores come and go (docs/design.md, "board tables"). */
struct core_ops {
	const char *name;
	/* Start core cpu at secondary_entry_pa(); 0 or a negative errno. */
	int (*on)(unsigned int cpu);
	/* On the leaving core, IRQs off, as its last act. Does not return. */
	void (*die)(unsigned int cpu);
	/* Does the platform say that cpu is off? Reports ask too. */
	bool (*is_off)(unsigned int cpu);
	/* May this core leave? 0 or a negative errno. */
	int (*may_go)(unsigned int cpu);
};

struct uart_ops {
	const char *name;
	void (*putc)(char c);	 /* polled, any context */
	int (*getc)(void);	 /* -1 when nothing is there */
	unsigned int irq;	 /* receive interrupt */
	void (*rx_enable)(void); /* the receive interrupt */
	void (*rx_ack)(void);
};

/*
 * Receive by interrupt, kernel/shell/input.c. arrived() sees each byte as it comes, in
 * the interrupt; if it returns true this one and all that wait are dropped, else
 * uart_read() gives it out, in order, or returns false. Any context but FIQ.
 */
void uart_listen(bool (*arrived)(char c));
bool uart_read(char *c);

struct board {
	const char *name;
	uint64_t ram_base, ram_size;
	unsigned int nr_cores; /* logical map below, boot core is 0 */
	uint32_t mpidr[NR_CPUS];
	const char *bootargs;	 /* copied, never NULL */
	const char *fdt_trouble; /* NULL, or why no device tree is used */
	bool is_pi, tags;	 /* tags: the old kind, ATAGs, was there */
	struct {
		uint32_t base, size;
	} reserved[8];
	unsigned int nr_reserved;
};

extern struct board board;
extern const struct irqchip_ops *irqchip;
extern const struct core_ops *core_ops;
extern const struct uart_ops *uart;

/*
 * Find the board: from the device tree at boot_info.r2 where there is a sound
 * one, else from the load address. Maps its devices, sets the tables above and
 * brings up the console. Any problem is one clear line on the console.
 */
void board_init(void);

/* maxcpus=N on the command line: the others stay as they were, never started. */
unsigned int board_max_cores(void);

/* Logical number of the calling core from its MPIDR; boot path only. */
unsigned int board_this_core(void);

/* Register a handler for a device interrupt (not for IPIs). */
void irq_register(unsigned int irq, irq_handler fn, void *arg);
/* Called by the irqchip driver: irq is a device or timer interrupt number. */
void irq_dispatch(unsigned int irq);
/* Enabled shared interrupts routed to cpu; move them to `to`. Returns count. */
unsigned int irq_migrate(unsigned int cpu, unsigned int to);
/* How many shared interrupts are routed to cpu now. */
unsigned int irq_count(unsigned int cpu);

/* Called by the irqchip driver for each IPI (kernel/cpu/smp.c). */
void ipi_dispatch(enum ipi ipi);

/* Generic timer, drivers/timer.c: counter and comparator. */
extern uint32_t timer_hz;
extern bool timer_physical; /* not the virtual ones; fixed at boot */
uint64_t timer_now(void);   /* counter ticks; monotonic on all cores */
/* The same, perhaps read before what stands before it has been done. */
static inline uint64_t timer_about_now(void)
{
	uint32_t lo, hi;

	if (timer_physical)
		__asm__ volatile("mrrc p15, 0, %0, %1, c14"
				 : "=r"(lo), "=r"(hi)::"memory");
	else
		__asm__ volatile("mrrc p15, 1, %0, %1, c14"
				 : "=r"(lo), "=r"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}
uint64_t timer_now_ns(void);
uint64_t timer_ticks(uint64_t ns); /* ns to ticks, rounded up */
uint64_t timer_ns(uint64_t ticks);
void timer_init_core(void);	   /* each core, each time it comes up */
void timer_set(uint64_t deadline); /* this core, absolute ticks */
void timer_stop(void);		   /* this core */
/* The timer interrupt of this core; kernel/sched/timer.c. IRQs off. */
void timer_interrupt(void);

/* What was found at the start and checked for real hardware: drivers/report.c.
 * On a board whose log somebody may send us it is printed by itself:
 * board_greet_early() as much as is known before the cores are started,
 * board_greet() the rest, when all cores are up. */
void board_print(void);
void board_greet_early(void);
void board_greet(void);
void board_note_core(unsigned int cpu); /* each core, each time it comes up */
/* Called some times a second by a thread that lives: the activity LED. */
void board_heartbeat(void);

/* Pins for lamps and buttons, by the chip's numbers; only where there are any.
 * An input is pulled up. Set-up: one thread at a time; the rest: any context. */
bool pins_present(void);
void pin_output(unsigned int pin);
void pin_input(unsigned int pin);
void pin_set(unsigned int pin, bool high);
bool pin_is_high(unsigned int pin);

/* End of the machine: semihosting exit with that status, else off by PSCI or by
 * the board, with the status printed. */
noreturn void machine_exit(int status);
/* The same after a panic; where the machine stays, its LED blinks fast. */
noreturn void machine_give_up(int status);
noreturn void machine_reboot(void);
noreturn void machine_halt(void); /* this core stays in WFI for ever */
bool semihosting_present(void);
