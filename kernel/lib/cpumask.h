/*
 * A set of cores, and the two sets that everybody asks for: the possible and
 * the online cores.
 *
 * One word holds a set (NR_CPUS is 32). The type is a struct, so that the
 * compiler tells a set from a core number. Use the plain operations for a mask
 * that the caller guards. Use cpumask_load() and the _atomic operations for a
 * mask that cores share. Any context.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

#define NR_CPUS 32

struct cpumask {
	uint32_t bits;
};

#define CPUMASK_NONE ((struct cpumask){ 0 })
#define CPUMASK_ALL  ((struct cpumask){ 0xffffffffu })

static inline struct cpumask cpumask_of(unsigned int cpu)
{
	return (struct cpumask){ 1u << cpu };
}

static inline bool cpumask_test(struct cpumask m, unsigned int cpu)
{
	return cpu < NR_CPUS && ((m.bits >> cpu) & 1u);
}

static inline bool cpumask_empty(struct cpumask m)
{
	return m.bits == 0;
}

static inline unsigned int cpumask_weight(struct cpumask m)
{
	return (unsigned int)__builtin_popcount(m.bits);
}

/* The first core of the set; NR_CPUS if the set is empty. */
static inline unsigned int cpumask_first(struct cpumask m)
{
	return m.bits ? (unsigned int)__builtin_ctz(m.bits) : NR_CPUS;
}

/* The last core of the set, which is not empty. */
static inline unsigned int cpumask_last(struct cpumask m)
{
	return 31u - (unsigned int)__builtin_clz(m.bits);
}

static inline struct cpumask cpumask_and(struct cpumask a, struct cpumask b)
{
	return (struct cpumask){ a.bits & b.bits };
}

static inline struct cpumask cpumask_andnot(struct cpumask a, struct cpumask b)
{
	return (struct cpumask){ a.bits & ~b.bits };
}

static inline struct cpumask cpumask_load(const struct cpumask *m)
{
	return (struct cpumask){ __atomic_load_n(&m->bits, __ATOMIC_RELAXED) };
}

/* Seq_cst: whatever the core has set up before comes before the bit. (The load
 * in cpumask_load() is relaxed: a reader that sees the bit must itself order
 * its accesses after the load.) */
static inline void cpumask_set_atomic(struct cpumask *m, unsigned int cpu)
{
	__atomic_fetch_or(&m->bits, 1u << cpu, __ATOMIC_SEQ_CST);
}

static inline void cpumask_clear_atomic(struct cpumask *m, unsigned int cpu)
{
	__atomic_fetch_and(&m->bits, ~(1u << cpu), __ATOMIC_SEQ_CST);
}

/* Visit every core of a mask (evaluated once), lowest number first. */
#define for_each_cpu(cpu, mask)                                                \
	for (uint32_t _left = (mask).bits;                                     \
	     _left && ((cpu) = (unsigned int)__builtin_ctz(_left), 1);         \
	     _left &= _left - 1)

/* The cores that the board has; fixed once start_kernel() has filled it. */
extern struct cpumask cpu_possible_mask;
/*
 * The cores that run; written with the _atomic operations. It changes only
 * inside cpu_up() and cpu_down(), while all cores are stopped or while the core
 * in question can run nothing else. So a core that is seen online stays online
 * until the reader enables preemption.
 */
extern struct cpumask cpu_online_mask;

static inline struct cpumask cpu_online(void)
{
	return cpumask_load(&cpu_online_mask);
}
static inline bool cpu_is_online(unsigned int cpu)
{
	return cpumask_test(cpu_online(), cpu);
}

#define for_each_online_cpu(cpu)   for_each_cpu (cpu, cpu_online())
#define for_each_possible_cpu(cpu) for_each_cpu (cpu, cpu_possible_mask)
