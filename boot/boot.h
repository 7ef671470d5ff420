/*
 * The start of a core, up to its first C function; and the memory layout.
 *
 * What it is for. boot/start.S brings a core from the state in which the
 * firmware leaves it to C code at its linked address, with MMU and caches on.
 * The first core ends in start_kernel(), every other one in secondary_start().
 * boot/map.c builds the page tables in between.
 *
 * The rules here, where the MMU is off.
 * (1) No exclusive access: on a board it may hang for ever. So no atomics, no
 *     locks, no sanitizers (docs/design.md, "bare code"; make lint checks it).
 * (2) No absolute address: the image lies anywhere that is 4 KiB aligned.
 * (3) No call of the C library: it may access words that are not aligned.
 *
 * Consequences. Code here takes names from its own folder alone, apart from
 * those two C functions. boot_info has the facts that it finds out and hands on.
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
	uint32_t r0, r1, r2; /* as the firmware has set them */
	uint32_t entry_cpsr; /* mode and masks at the very first instruction */
	uint32_t entry_mpidr;
	uint32_t image_pa; /* where the image was loaded */
	uint32_t ttbr0;	   /* the kernel's table, with walk attributes */
	uint32_t idmap;	   /* the table for the moment the MMU comes on */
	uint32_t entry_el; /* entered in AArch64 at that level; 0: in AArch32 */
};

extern struct boot_info boot_info;

/* From linker.ld, page aligned. */
extern char image_start[], text_start[], text_end[], rodata_start[],
	rodata_end[], data_start[], image_end[], bss_start[], bss_end[],
	boot_stack_guard[], boot_stack[], boot_stack_top[];
/* The code and the data of the experiments alone. */
extern char experiments_text_start[], experiments_text_end[],
	experiments_data_start[], experiments_data_end[],
	experiments_bss_start[], experiments_bss_end[];

/* A starting core loads these. They are set before the core is told to start. */
struct secondary_boot {
	uint32_t stack_top; /* virtual, top of its idle thread's stack */
	uint32_t thread;    /* struct thread *, its idle thread */
};

/* Indexed by the logical number of the core. */
extern struct secondary_boot secondary_boot[];

/*
 * kernel/main.c: the first C function on the boot core, on the boot stack, IRQs
 * and FIQs masked.
 */
noreturn void start_kernel(void);

/* kernel/cpu/cpu.c: the first C function of every other core, on the stack of
 * its idle thread, which is already `current`. IRQs and FIQs are masked. */
noreturn void secondary_start(unsigned int cpu);
#endif
