/*
 * The board's tables, and the end of the machine through them.
 *
 * board_init() writes the tables once, on the boot core; see board.h. Any
 * context.
 */
#include "kernel/arch/board.h"

struct board board = { .bootargs = "" };
const struct irqchip_ops *irqchip;
const struct core_ops *core_ops;
const struct uart_ops *uart;
const struct pin_ops *pins;
const struct host_ops *host_files;
const struct board_ops *board_ops;

unsigned int board_this_core(void)
{
	uint32_t me = read_mpidr();

	for (unsigned int i = 0; i < board.nr_cores; i++)
		if (board.mpidr[i] == me)
			return i;
	return 0;
}

noreturn void machine_halt(void)
{
	raw_local_irq_disable();
	for (;;) {
		wfi();
		cpu_relax(); /* a masked FIQ that is pending ends each WFI */
	}
}

noreturn void machine_exit(int status)
{
	if (board_ops)
		board_ops->exit(status);
	machine_halt();
}

noreturn void machine_give_up(int status)
{
	if (board_ops)
		board_ops->give_up(status);
	machine_halt();
}

noreturn void machine_reboot(void)
{
	if (board_ops)
		board_ops->reboot();
	machine_halt();
}
