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
#define EXC_STACK     8192	 /* each: one guard page below */
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

/* What a starting core finds: set before it is told to go. */
struct secondary_boot {
	uint32_t stack_top; /* virtual, top of its idle thread's stack */
	uint32_t thread;    /* struct thread *, its idle thread */
};

/* One slot a core, indexed by the logical core number passed as context. */
extern struct secondary_boot secondary_boot[];

/* Physical address of the entry for CPU_ON and for the pens; r0 = core. */
uint32_t secondary_entry_pa(void);
/* Is va in a guard page below the boot stack or an exception stack? */
bool boot_is_guard(uint32_t va);

/*
 * First C function on the boot core, at KERNEL_VA, MMU and caches on, IRQ and
 * FIQ masked, on the boot stack. kernel/main.c.
 */
noreturn void start_kernel(void);

/* First C function of every other core, on its idle thread's stack. */
noreturn void secondary_start(unsigned int cpu);

/*
 * Page-table upkeep, boot/map.c. prot: MAP_*. va, pa and size page aligned.
 * Caller: boot core during start, or the stack allocator under its lock.
 */
enum map_prot { MAP_RW, MAP_RO, MAP_RX, MAP_DEVICE, MAP_NONE };
void map_pages(uint32_t va, uint32_t pa, uint32_t size, enum map_prot prot);
/* Direct map of [pa, pa+size), page granular, skipping the image. */
void map_lowmem(uint32_t ram_base, uint32_t pa, uint32_t size);
/* Map device registers; returns their virtual address; 0 when space is out. */
uintptr_t map_device(uint32_t pa, uint32_t size);
/*
 * Map what is readable at pa for the device tree reader (read-only, up to
 * 2 MiB); only until map_lowmem() has run.
 */
const void *map_early(uint32_t pa, uint32_t size);
/* Do all tables keep the rules of kernel/mm/audit.c? One line for each that does not;
 * returns how many. Thread context, when the maps are final. */
unsigned int map_audit(void);
/* Stacks for the exception modes of core cpu, before it first starts: 0 or
 * -ENOMEM. The boot core has its own from the image. */
int exception_stacks_prepare(unsigned int cpu);
/* Set up VBAR and the exception mode stacks of the calling core. */
void vectors_init_core(unsigned int cpu);
#endif
