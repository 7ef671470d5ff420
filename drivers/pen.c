/*
 * Cores without PSCI: they start out of a pen, and stop in a loop.
 *
 * The pen is a loop in boot/start.S. A core that was entered together with the
 * first one waits there, with its MMU off, until its word in the image is set.
 * If the firmware holds a core in a loop of its own, the board's release() lets
 * the core out, and then it comes to the pen, too. A core that stops later
 * stays in pen_die(), in WFI, with its MMU and caches on. The kernel treats it
 * as off, although it has power.
 *
 * `wanted` and `parked` are atomic. pen_on() runs under cpu_add_remove_lock.
 */
#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/lib/errno.h"
#include "kernel/lock/spinlock.h"

extern uint32_t pen_words[];

static void (*release)(unsigned int cpu);
static bool started[NR_CPUS];
static uint32_t parked[NR_CPUS], wanted[NR_CPUS];

void secondary_again(unsigned int cpu, uint32_t stack_top);

static int pen_on(unsigned int cpu)
{
	if (!started[cpu]) {
		uint32_t *word = &pen_words[board.mpidr[cpu] & 31];

		/* The core reads the word with its caches off, so the word must
		 * be in memory. */
		WRITE_ONCE(*word, cpu + 1);
		clean_to_memory(word);
		started[cpu] = true;
		sev();
		if (release)
			release(cpu);
		return 0;
	}
	/* Release: stack and thread are set; pairs with the acquire in
	 * pen_die(). */
	smp_store_release(&wanted[cpu], 1);
	dsb();
	irqchip->send_ipi(cpumask_of(cpu), IPI_KICK);
	return 0;
}

/* Park this core. When it is wanted again, it continues like a core that has
 * just started. */
static void pen_die(unsigned int cpu)
{
	irqchip->quiesce();
	dsb(); /* the old kick is gone before `wanted` is read */
	smp_store_release(&parked[cpu], 1); /* pairs with pen_is_off() */
	/* Acquire: pairs with the release in pen_on(). */
	while (!smp_load_acquire(&wanted[cpu])) {
		wfi();
		irqchip->clear_kick();
		dsb();
		cpu_relax();
	}
	WRITE_ONCE(wanted[cpu], 0);
	WRITE_ONCE(parked[cpu], 0);
	set_current((struct thread *)secondary_boot[cpu].thread);
	secondary_again(cpu, secondary_boot[cpu].stack_top);
}

static bool pen_is_off(unsigned int cpu)
{
	/* Acquire: pairs with the release in pen_die(). */
	return !started[cpu] || smp_load_acquire(&parked[cpu]);
}

static int pen_may_go_off(unsigned int cpu)
{
	(void)cpu;
	return 0;
}

static const struct core_ops pen_ops = {
	.name = "pen",
	.on = pen_on,
	.die = pen_die,
	.is_off = pen_is_off,
	.may_go_off = pen_may_go_off,
};

void pen_init(void (*let_out)(unsigned int cpu))
{
	release = let_out;
	started[0] = true;
	core_ops = &pen_ops;
}
