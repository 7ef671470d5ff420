/*
 * Does this core take part in cache coherency? See coherency.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum smp_bit { SMP_CLEAR, SMP_SET, SMP_UNKNOWN };

/* The SMP bit of this core; SMP_UNKNOWN if the core has none or we may not read
 * the bit. Call it in a thread that stays on its core, or with IRQs off. */
enum smp_bit read_smp_bit(void);

/* The PAR (physical address register) for a read of p: the physical address,
 * and the kind of memory. Any context. Source: ARM DDI 0406C, B4.1.112. */
uint32_t translate_read(const void *p);

/* Bits of the PAR; PAR_NORMAL: shareable, inner and outer write-back and
 * write-allocate. Without any bit of PAR_MEMORY, this is an emulator. */
#define PAR_FAULT  0x01u
#define PAR_MEMORY 0xfcu
#define PAR_NORMAL 0xd4u

/* The rule alone, as a test calls it: may a core with this bit, and this PAR
 * for a word of the kernel's data, run beside others? */
bool smp_bit_suffices(enum smp_bit bit, uint32_t par);

/* May this core start others? Call it in a thread, which may be preempted. It
 * is a variable because no emulator has a core outside coherency: a test puts
 * another function here. */
extern bool (*core_is_coherent)(void);
