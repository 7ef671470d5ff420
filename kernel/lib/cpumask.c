/*
 * The possible and the online cores. cpumask.h names the code that writes them.
 */
#include "kernel/lib/cpumask.h"

struct cpumask cpu_possible_mask;
struct cpumask cpu_online_mask;
