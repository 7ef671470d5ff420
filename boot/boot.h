/*
 * What the boot code hands to C, and the memory layout it sets up.
 *
 * Virtual addresses (short descriptors, one TTBR0 table shared by all cores):
 *   0x00000000           never mapped (page 0 and all below the direct map)
 *   0x80000000 LOWMEM    RAM from ram_base up, at most 1 GiB, read-write, XN;
 *                        the kernel image's own pages are left out of it
 *   0xc0000000 KERNEL    the image in 4 KiB pages: text RX, rodata R, data RW
 *   0xe0000000 STACKS    thread and exception stacks, a guard page below each
 *   0xf0000000 DEVICES   device registers, XN
 */
#pragma once

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096

#define LOWMEM_VA     0x80000000
#define LOWMEM_MAX    0x40000000
#define KERNEL_VA     0xc0000000
#define STACKS_VA     0xe0000000
#define STACKS_MAX    0x00800000 /* 8 MiB */
#define EXC_STACKS_VA 0xe0600000 /* its last 2 MiB: exception stacks */
#define EXC_STACK     8192	 /* each; a guard page below it */
#define EXC_MODES     3		 /* stacks a core: abort, undefined, FIQ */
#define EARLY_VA      0xe8000000 /* window of map_early() */
#define EARLY_MAX     0x00200000 /* 2 MiB */
#define DEVICES_VA    0xf0000000
#define DEVICES_MAX   0x00800000

#define STACK_SLOT 16384 /* one guard page, then STACK_SIZE of stack */
#define STACK_SIZE 12288

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

/* Filled by boot/start.S and boot/map.c before C runs at KERNEL_VA. */
struct boot_info {
	uint32_t r0, r1, r2; /* as the firmware set them */
	uint32_t entry_cpsr; /* mode and masks at the very first instruction */
	uint32_t entry_mpidr;
	uint32_t image_pa; /* where the image was loaded */
	uint32_t ttbr0;	   /* value with walk attributes, for other cores */
	uint32_t idmap;	   /* table for the moment the MMU comes on */
};

extern struct boot_info boot_info;

/* Linker symbols, page aligned. */
extern char image_start[], text_start[], text_end[], rodata_start[],
	rodata_end[], data_start[], image_end[], bss_start[], bss_end[],
	boot_stack_guard[], boot_stack[], boot_stack_top[];

/* What a starting core loads: set before the core is told to start. */
struct secondary_boot {
	uint32_t stack_top; /* virtual, top of its idle thread's stack */
	uint32_t thread;    /* struct thread *, its idle thread */
};

/* Indexed by the logical number of the core. */
extern struct secondary_boot secondary_boot[];

/*
 * First C function on the boot core, at KERNEL_VA, MMU and caches on, IRQ and
 * FIQ masked, on the boot stack. kernel/main.c.
 */
noreturn void start_kernel(void);

/* First C function of every other core, on its idle thread's stack. */
noreturn void secondary_start(unsigned int cpu);
#endif
