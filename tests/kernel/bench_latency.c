/*
 * `bench latency`: how long one operation takes while several cores run.
 *
 * Each row takes so many samples as asked for. A sample is the time of one operation, in
 * nanoseconds of the guest's clock. The median and the 99th percentile are printed. QEMU
 * runs each core in a thread of the host, so the figures depend on the host.
 *
 * Owns the samples. Only the thread that measures adds some; in the rows of contended
 * locks this is the owner of the lock. Runs in the command's thread, on bench_cpu.
 */
#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/cpu/stop_machine.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/wait.h"
#include "kernel/shell/shell.h"
#include "kernel/slab/slab.h"
#include "tests/kernel/bench.h"

#define MOST	  1000u /* samples */
#define USUAL	  100u
#define CALLBACKS 1000u
#define TURNS	  100u /* of each core at a contended lock, at least */

struct series {
	uint32_t ns[MOST];
	unsigned int n;
};

/* A row fills the first series. If it has a second name, it fills the second one too.
 * `run` returns false if it cannot go on, and has printed why unless memory is out. */
struct latency {
	const char *name, *what, *name2, *what2;
	bool (*run)(void);
};

static struct series first, second;
static unsigned int wanted; /* samples in a series */
static unsigned int other;  /* a core that is not bench_cpu */

static void add_ns(struct series *s, uint64_t ns)
{
	if (s->n < wanted)
		s->ns[s->n++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static void add(struct series *s, uint64_t start)
{
	add_ns(s, timer_ns(timer_now() - start));
}

/* A row: it times an operation until it has enough samples. */
#define TIMED(name, prepare, operation)                                        \
	static bool name(void)                                                 \
	{                                                                      \
		while (first.n < wanted) {                                     \
			prepare;                                               \
			uint64_t start = timer_now();                          \
			operation;                                             \
			add(&first, start);                                    \
		}                                                              \
		return true;                                                   \
	}

/* ---- helpers on other cores ----------------------------------------------------- */

static struct thread *helpers[NR_CPUS];
static bool helpers_stop;

/* Start fn((void *)core) on each online core but bench_cpu, or on all. */
static bool start_helpers(int (*fn)(void *), bool all)
{
	unsigned int cpu;

	WRITE_ONCE(helpers_stop, false);
	for_each_online_cpu (cpu) {
		helpers[cpu] = NULL;
		if (all || cpu != bench_cpu)
			helpers[cpu] = bench_thread(fn, (void *)cpu, cpu);
	}
	return !bench_no_memory;
}

static void join_helpers(void)
{
	unsigned int cpu;

	for_each_online_cpu (cpu)
		if (helpers[cpu])
			thread_join(helpers[cpu]);
}

/* ---- RCU ------------------------------------------------------------------------ */

static struct rcu_head heads[CALLBACKS];

static void no_work(struct rcu_head *head maybe_unused)
{
}

static void queue_callbacks(void)
{
	for (unsigned int i = 0; i < CALLBACKS; i++)
		call_rcu(&heads[i], no_work);
}

/* A core that reads all the time. */
static int read_on(void *arg maybe_unused)
{
	while (!READ_ONCE(helpers_stop)) {
		rcu_read_lock();
		cpu_relax();
		rcu_read_unlock();
	}
	return 0;
}

TIMED(sync_idle, , synchronize_rcu())
TIMED(barrier_0, , rcu_barrier())
TIMED(barrier_1000, queue_callbacks(), rcu_barrier())

static bool sync_loaded(void)
{
	bool ok = start_helpers(read_on, false) && sync_idle();

	WRITE_ONCE(helpers_stop, true);
	join_helpers();
	return ok;
}

/* ---- hotplug, and calls between cores ---------------------------------------- */

static bool core_works(int error)
{
	if (error)
		kprintf("bench: core %u does not go off and on: error %d\n",
			other, error);
	return !error;
}

static bool down_up(void)
{
	int error = 0;

	while (first.n < wanted && !error) {
		uint64_t start = timer_now();

		error = cpu_down(other);
		add(&first, start);
		if (error)
			break;
		start = timer_now();
		error = cpu_up(other);
		add(&second, start);
	}
	return core_works(error);
}

static void no_call(void *arg maybe_unused)
{
}

static int nothing(void *arg maybe_unused)
{
	return 0;
}

TIMED(ipi, , smp_call_function_single(other, no_call, NULL, true))
TIMED(stop, get_online_cpus(), stop_machine(nothing, NULL, bench_cpu);
      put_online_cpus())

static struct completion ping, pong;
static uint64_t woken; /* written before pong is completed */

static int wake(void *arg maybe_unused)
{
	for (;;) {
		wait_for_completion(&ping);
		woken = timer_now();
		if (READ_ONCE(helpers_stop))
			return 0;
		complete(&pong);
	}
}

static bool wake_up_other(void)
{
	struct thread *t;

	init_completion(&ping, "bench_ping");
	init_completion(&pong, "bench_pong");
	helpers_stop = false;
	t = bench_thread(wake, NULL, other);
	while (t && first.n < wanted) {
		while (thread_is_on_core(t)) /* it has yet to fall asleep */
			sleep_ns(1000);
		uint64_t start = timer_now();

		complete(&ping);
		wait_for_completion(&pong);
		add_ns(&first, timer_ns(woken - start));
	}
	WRITE_ONCE(helpers_stop, true);
	complete(&ping);
	if (t)
		thread_join(t);
	return t;
}

/* ---- contended locks ------------------------------------------------------------ */

static DEFINE_SPINLOCK(bench_contended);
static DEFINE_MUTEX(bench_contended_mutex);

/* The lock that the cores fight for guards these. */
static struct {
	struct cpumask arrived, all;
	unsigned int owner; /* the last one */
	uint64_t released;  /* when it released the lock */
	/* Since all have arrived: */
	unsigned int acquired[NR_CPUS];
	struct cpumask done; /* they have had their TURNS */
} fight;

/* With the lock held: count, and take a sample if another core had the lock before.
 * Returns false if there are enough samples and turns. */
static bool fight_on(unsigned int cpu)
{
	if (fight.arrived.bits == fight.all.bits) {
		if (++fight.acquired[cpu] == TURNS)
			fight.done.bits |= cpumask_of(cpu).bits;
		if (fight.owner != cpu)
			add(&first, fight.released);
	}
	fight.arrived.bits |= cpumask_of(cpu).bits;
	fight.owner = cpu;
	return first.n < wanted || fight.done.bits != fight.all.bits;
}

static int fight_for_spinlock(void *arg)
{
	bool more;

	do {
		spin_lock(&bench_contended);
		more = fight_on((unsigned int)arg);
		fight.released = timer_now();
		spin_unlock(&bench_contended);
	} while (more && !READ_ONCE(helpers_stop));
	return 0;
}

static int fight_for_mutex(void *arg)
{
	bool more;

	do {
		mutex_lock(&bench_contended_mutex);
		more = fight_on((unsigned int)arg);
		fight.released = timer_now();
		mutex_unlock(&bench_contended_mutex);
	} while (more && !READ_ONCE(helpers_stop));
	return 0;
}

static bool contend(int (*fn)(void *))
{
	bool ok;

	for (unsigned int i = 0; i < NR_CPUS; i++)
		fight.acquired[i] = 0;
	fight.arrived = fight.done = CPUMASK_NONE;
	fight.all = cpu_online();
	ok = start_helpers(fn, true);
	if (!ok)
		WRITE_ONCE(helpers_stop, true);
	join_helpers();
	return ok;
}

static bool spin_contended(void)
{
	return contend(fight_for_spinlock);
}

static bool mutex_contended(void)
{
	return contend(fight_for_mutex);
}

static void print_shares(const char *name)
{
	unsigned int most = 0, fewest = ~0u, cpu;

	for_each_cpu (cpu, fight.all) {
		most = max(most, fight.acquired[cpu]);
		fewest = min(fewest, fight.acquired[cpu]);
	}
	kprintf("  %-12s most %u, fewest %u acquisitions of a core\n", name,
		most, fewest);
}

/* ---- the scenario of 2012 ------------------------------------------------------- */

/* U: a core goes off and on, until D has enough samples too. */
static int off_and_on(void *arg)
{
	int error = 0;

	while ((second.n < wanted || !READ_ONCE(helpers_stop)) && !error) {
		uint64_t start = timer_now();

		error = cpu_down(other);
		if (!error)
			error = cpu_up(other);
		add(&second, start);
	}
	WRITE_ONCE(*(bool *)arg, true);
	return error;
}

/* D: an RCU cache with an object comes and goes. */
static void cache_life(void)
{
	struct kmem_cache *s = kmem_cache_create("bench-seed", 64, 0,
						 SLAB_TYPESAFE_BY_RCU, NULL);
	void *obj = s ? kmem_cache_alloc(s) : NULL;

	if (obj)
		kmem_cache_free(s, obj);
	if (s)
		kmem_cache_destroy(s);
	bench_no_memory |= !obj;
}

/* U's core: neither the one that goes nor, if there is a third one, D's. */
static unsigned int core_of_u(void)
{
	struct cpumask rest = cpumask_andnot(cpu_online(), cpumask_of(other));
	struct cpumask third = cpumask_andnot(rest, cpumask_of(bench_cpu));

	return cpumask_first(cpumask_empty(third) ? rest : third);
}

static bool seed(void)
{
	bool u_done = false;
	struct thread *u;

	helpers_stop = false;
	u = bench_thread(off_and_on, &u_done, core_of_u());
	while (u && !READ_ONCE(u_done) && !bench_no_memory) {
		uint64_t start = timer_now();

		cache_life();
		add(&first, start);
		yield(); /* U may be on this core, and waits for its turn */
		if (first.n >= wanted)
			WRITE_ONCE(helpers_stop, true);
	}
	WRITE_ONCE(helpers_stop, true);
	return u && core_works(thread_join(u)) && !bench_no_memory;
}

/* ---- the command ---------------------------------------------------------------- */

static const struct latency rows[] = {
	{ .name = "sync-idle",
	  .run = sync_idle,
	  .what = "synchronize_rcu, the cores idle" },
	{ .name = "sync-loaded",
	  .run = sync_loaded,
	  .what = "synchronize_rcu, the others read" },
	{ .name = "barrier-0",
	  .run = barrier_0,
	  .what = "rcu_barrier, nothing queued" },
	{ .name = "barrier-1000",
	  .run = barrier_1000,
	  .what = "rcu_barrier, 1000 callbacks" },
	{ .name = "cpu-down",
	  .run = down_up,
	  .what = "cpu_down",
	  .name2 = "cpu-up",
	  .what2 = "cpu_up" },
	{ .name = "wake-up",
	  .run = wake_up_other,
	  .what = "complete until a thread runs there" },
	{ .name = "ipi", .run = ipi, .what = "smp_call_function_single" },
	{ .name = "stop-machine", .run = stop, .what = "stop_machine" },
	{ .name = "spin-pass",
	  .run = spin_contended,
	  .what = "a spinlock, core to core" },
	{ .name = "mutex-pass",
	  .run = mutex_contended,
	  .what = "a mutex, core to core" },
	{ .name = "seed",
	  .run = seed,
	  .what = "an RCU cache, while a core goes",
	  .name2 = "seed-cycle",
	  .what2 = "that core, off and on" },
};

static void print_series(const char *name, const char *what, struct series *s)
{
	bench_sort(s->ns, s->n);
	kprintf("  %-12s %10u %10u %5u  %s\n", name, s->ns[s->n / 2],
		s->ns[(s->n * 99 + 99) / 100 - 1], s->n, what);
}

static int measure(const struct latency *l)
{
	first.n = second.n = 0;
	if (!l->run()) {
		if (bench_no_memory)
			kprintf("bench: out of memory\n");
		return 1;
	}
	print_series(l->name, l->what, &first);
	if (l->name2)
		print_series(l->name2, l->what2, &second);
	if (l->run == spin_contended)
		print_shares("spin-share");
	if (l->run == mutex_contended)
		print_shares("mutex-share");
	return thread_interrupted() ? BENCH_INTERRUPTED : 0;
}

int bench_latency(const char *samples)
{
	int status = 0;

	wanted = USUAL;
	if (samples &&
	    (!parse_uint(samples, &wanted) || !wanted || wanted > MOST)) {
		kprintf("bench latency: \"%s\" is no number of samples from 1 to %u\n",
			samples, MOST);
		return 1;
	}
	other = cpumask_last(cpu_online());
	if (other == bench_cpu) {
		kprintf("bench latency: needs two online cores\n");
		return 1;
	}
	bench_no_memory = false;
	kprintf("bench: ns of guest time on %u cores: median, 99th percentile, samples\n",
		cpumask_weight(cpu_online()));
	for (unsigned int i = 0; i < ARRAY_SIZE(rows) && !status; i++)
		status = measure(&rows[i]);
	return status;
}
