/* The building blocks, in the order in which they stand on each other. */
#include "lock.pml"
#include "hotplug.pml"
#include "rcu.pml"
#include "slab.pml"
