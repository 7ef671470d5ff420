/*
 * What board.c calls in the device files; nobody else includes this.
 */
#pragma once

#include "drivers/board.h"

void pl011_init(uint32_t pa, unsigned int irq);
void gic2_init(uint32_t dist_pa, uint32_t cpu_pa);
void gic3_init(uint32_t dist_pa, uint32_t redist_pa, uint32_t redist_size);
void psci_init(bool smc, uint32_t cpu_on, uint32_t cpu_off);
void pen_init(void);
void timer_init(unsigned int irq);
/* PSCI's SYSTEM_OFF if there is a PSCI; returns otherwise. */
void psci_system_off(void);

static inline uint32_t mmio_read(uintptr_t a)
{
	return *(volatile uint32_t *)a;
}
static inline void mmio_write(uintptr_t a, uint32_t v)
{
	*(volatile uint32_t *)a = v;
}
