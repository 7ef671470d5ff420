/*
 * What gic2.c and gic3.c have in common: groups, priorities, masks.
 *
 * IPI_NMI is in group 0, all other interrupts are in group 1. A lower value is a
 * higher priority. A mask (PMR) lets in only interrupts of lower values.
 */
#pragma once

#include "kernel/arch/mmu.h"
#include "kernel/irq/irq.h"

#define NO_IRQ	  1020 /* from this number on: nothing to acknowledge */
#define GROUP1	  (~(1u << IPI_NMI))
#define PRIO_ALL  0xa0u
#define PRIO_KICK 0x80u
#define PRIO_NMI  0x00u
#define MASK_NONE 0xff
#define MASK_ALL  0x90 /* lets in only IPI_KICK and IPI_NMI */

/* Set the priorities of the core's own interrupts, 0 to 31. reg: the first of
 * their registers; each has four priorities. */
static inline void gic_set_own_priorities(uintptr_t reg)
{
	for (unsigned int i = 0; i < 32; i += 4) {
		uint32_t four = PRIO_ALL * 0x01010101u;

		if (i == IPI_NMI / 4 * 4)
			four ^= (PRIO_ALL ^ PRIO_NMI) << IPI_NMI % 4 * 8;
		if (i == IPI_KICK / 4 * 4)
			four ^= (PRIO_ALL ^ PRIO_KICK) << IPI_KICK % 4 * 8;
		mmio_write(reg + i, four);
	}
}
