/*
 * `bench cores`: what an operation costs when all cores do it at once, and what it
 * costs to turn a core off and on.
 *
 * With `-icount` the cores take turns: a core runs until it says with cpu_relax() that
 * it waits. So each operation has a cpu_relax(), and each core does one operation in
 * its turn. The instructions of all cores count, those of cores that wait too.
 *
 * Owns a cache and two locks, which no other code uses. Context: see bench.h; the
 * operations run in a thread on each core.
 */
#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/shell/shell.h"
#include "kernel/slab/slab.h"
#include "kernel/sync/mutex.h"
#include "tests/kernel/bench.h"

#define TIMES	100u /* operations of each core */
#define BATCHES 5u

static struct kmem_cache *cache;
static DEFINE_SPINLOCK(bench_cores_spin);
static DEFINE_MUTEX(bench_cores_mutex);

static unsigned int expected;
static unsigned int arrived; /* atomic */

/* The cores begin together. */
static void await_all(void)
{
	/* Relaxed: nothing but the count is passed on. */
	__atomic_fetch_add(&arrived, 1, __ATOMIC_RELAXED);
	while (READ_ONCE(arrived) != READ_ONCE(expected))
		cpu_relax();
}

/* The function of a thread: it does something TIMES times. */
#define ON_EACH_CORE(name, ...)                                                \
	static int name(void *arg maybe_unused)                                \
	{                                                                      \
		await_all();                                                   \
		for (unsigned int i = 0; i < TIMES; i++) {                     \
			__VA_ARGS__;                                           \
		}                                                              \
		return 0;                                                      \
	}

ON_EACH_CORE(no_operation, cpu_relax())
ON_EACH_CORE(slab_pairs, void *obj = kmem_cache_alloc(cache);
	     if (obj) kmem_cache_free(cache, obj); cpu_relax())
ON_EACH_CORE(read_pairs, rcu_read_lock(); rcu_read_unlock(); cpu_relax())
ON_EACH_CORE(spin_turns, spin_lock(&bench_cores_spin); cpu_relax();
	     spin_unlock(&bench_cores_spin))
ON_EACH_CORE(mutex_turns, mutex_lock(&bench_cores_mutex); cpu_relax();
	     mutex_unlock(&bench_cores_mutex))

static const struct {
	const char *name, *what;
	int (*fn)(void *arg);
} at_once[] = {
	{ "slab-all", "kmem_cache_alloc, _free, on all cores", slab_pairs },
	{ "rcu-read-all", "rcu_read_lock, _unlock, on all cores", read_pairs },
	{ "spin-all", "a spinlock that all cores want", spin_turns },
	{ "mutex-all", "a mutex that all cores want", mutex_turns },
};

/* The time in which fn runs once on each core, with that of a thread's life. */
static uint32_t time_of(int (*fn)(void *arg))
{
	struct thread *threads[NR_CPUS] = { NULL };
	uint64_t start = timer_now();
	unsigned int cpu;

	arrived = 0;
	/* One more, until it is known how many have been created. */
	WRITE_ONCE(expected, NR_CPUS + 1);
	for_each_online_cpu (cpu)
		threads[cpu] = bench_thread(fn, NULL, cpu);
	cpu = 0;
	for (unsigned int i = 0; i < NR_CPUS; i++)
		cpu += threads[i] != NULL;
	WRITE_ONCE(expected, cpu);
	for (unsigned int i = 0; i < NR_CPUS; i++)
		if (threads[i])
			thread_join(threads[i]);
	return (uint32_t)(timer_now() - start);
}

/* The median. */
static uint64_t ns_of(int (*fn)(void *arg))
{
	uint32_t took[BATCHES];

	for (unsigned int i = 0; i < BATCHES; i++)
		took[i] = time_of(fn);
	bench_sort(took, BATCHES);
	return timer_ns(took[BATCHES / 2]);
}

static void print_cost(const char *name, uint64_t cost, const char *what)
{
	kprintf("  %-12s %6u  %s\n", name, (unsigned int)cost, what);
}

static int measure_at_once(void)
{
	unsigned int ops = TIMES * cpumask_weight(cpu_online());
	uint64_t loop = ns_of(no_operation);

	for (unsigned int i = 0; i < ARRAY_SIZE(at_once); i++) {
		uint64_t took = ns_of(at_once[i].fn);

		if (bench_no_memory)
			return 1;
		if (thread_interrupted())
			return BENCH_INTERRUPTED;
		took = took > loop ? took - loop : 0;
		print_cost(at_once[i].name, (took + ops / 2) / ops,
			   at_once[i].what);
	}
	return 0;
}

/* ---- a grace period, a core that goes ------------------------------------------- */

BATCH(grace_period, synchronize_rcu())

static unsigned int other; /* the core that goes */
static int error;

static void go_off(unsigned int n maybe_unused)
{
	error = error ? error : cpu_down(other);
}

static void come_on(unsigned int n maybe_unused)
{
	error = error ? error : cpu_up(other);
}

static void go_off_again(void)
{
	go_off(1);
}

static void come_on_again(void)
{
	come_on(1);
}

static const struct bench grace_row = ROW(
	"grace-period", "synchronize_rcu, the cores idle", grace_period, 64);
static const struct bench hotplug_rows[] = {
	ROW("core-off", "cpu_down", go_off, 1, .after = come_on_again),
	ROW("core-on", "cpu_up", come_on, 1, .before = go_off_again),
};

static int measure_rest(void)
{
	print_cost(grace_row.name, bench_cost(&grace_row), grace_row.what);
	other = cpumask_last(cpu_online());
	if (other == bench_cpu)
		return 0; /* no core may go */
	error = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(hotplug_rows); i++) {
		const struct bench *b = &hotplug_rows[i];
		unsigned int cost = bench_cost(b);

		if (error) {
			kprintf("bench: core %u does not go off and on: error %d\n",
				other, error);
			return 1;
		}
		print_cost(b->name, cost, b->what);
	}
	return 0;
}

int bench_cores(void)
{
	int status = 0;

	bench_no_memory = false;
	cache = kmem_cache_create("bench-cores", 64, 0, 0, NULL);
	bench_no_memory = !cache;
	bench_print_unit();
	status = cache ? measure_at_once() : 1;
	if (!status)
		status = measure_rest();
	if (cache)
		kmem_cache_destroy(cache);
	if (bench_no_memory)
		kprintf("bench: out of memory\n");
	return status;
}
