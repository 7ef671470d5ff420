/*
 * The building blocks, each after the ones that it needs. The definitions of an experiment
 * come after them, and then cpu.pml.
 */
#include "lock.pml"
#include "hotplug.pml"
#include "rcu.pml"
#include "slab.pml"

/* The events of a notifier. */
#define CPU_UP_PREPARE 1
#define CPU_DYING      2
#define CPU_DEAD       3
