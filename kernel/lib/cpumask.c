/*
 * The possible and the online cores. See cpumask.h for who writes them.
 */
#include "kernel/lib/cpumask.h"

struct cpumask cpu_possible_mask;
struct cpumask cpu_online_mask;
