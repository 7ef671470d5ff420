/*
 * The building blocks, in the order in which they stand on each other. What an
 * experiment defines of its own comes behind them, and then cpu.pml.
 */
#include "lock.pml"
#include "hotplug.pml"
#include "rcu.pml"
#include "slab.pml"

/* What a notifier is told of. */
#define CPU_UP_PREPARE 1
#define CPU_DYING      2
#define CPU_DEAD       3
