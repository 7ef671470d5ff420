/*
 * The shell's `bench` command: the cost of operations without contention.
 *
 * A batch of operations is timed, and an empty loop of the same length subtracted. The
 * shortest of several batches counts, because an interrupt may lengthen one. With
 * `-icount shift=0` the guest's clock counts instructions, and the figures repeat
 * exactly. QEMU does not tell the guest, but it shows: loops of a known number of
 * instructions take exactly that many nanoseconds. Otherwise the figures are
 * nanoseconds of this host, and the output says so. The instructions of every core
 * advance that clock, so measure on one core.
 *
 * Owns its locks, which no other code takes. Runs in the command's thread.
 */
#include <string.h>

#include "kernel/arch/clock.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/printf.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/shell.h"

#define OPS	    256u /* in a batch: far below a tick */
#define BATCHES	    16u
#define OBJECT_SIZE 64

static DEFINE_SPINLOCK(bench_spin);
static DEFINE_MUTEX(bench_mutex);
static struct percpu_rwsem bench_rwsem;
static struct kmem_cache *plain_cache, *cache;

/* A batch. The compiler must not move anything out of the loop. */
#define BATCH(name, ...)                                                       \
	static void name(void)                                                 \
	{                                                                      \
		for (unsigned int i = 0; i < OPS; i++) {                       \
			__asm__ volatile("" ::: "memory");                     \
			__VA_ARGS__;                                           \
		}                                                              \
	}

BATCH(empty_loop, )
BATCH(spin_pair, spin_lock(&bench_spin); spin_unlock(&bench_spin))
BATCH(irqsave_pair,
      spin_unlock_irqrestore(&bench_spin, spin_lock_irqsave(&bench_spin)))
BATCH(mutex_pair, mutex_lock(&bench_mutex); mutex_unlock(&bench_mutex))
BATCH(percpu_pair, percpu_down_read(&bench_rwsem); percpu_up_read(&bench_rwsem))
BATCH(rcu_pair, rcu_read_lock(); rcu_read_unlock())
BATCH(slab_pair, kmem_cache_free(cache, kmem_cache_alloc(cache)))
BATCH(plain_slab_pair,
      kmem_cache_free(plain_cache, kmem_cache_alloc(plain_cache)))

BATCH(event, trace_did(TR_NOTE, NULL, i, CALLER))

static const struct bench {
	const char *name, *what;
	void (*batch)(void);
} benches[] = {
	{ "spin", "spin_lock, spin_unlock", spin_pair },
	{ "irqsave", "spin_lock_irqsave, spin_unlock_irqrestore",
	  irqsave_pair },
	{ "mutex", "mutex_lock, mutex_unlock", mutex_pair },
	{ "percpu-read", "percpu_down_read, percpu_up_read", percpu_pair },
	{ "rcu-read", "rcu_read_lock, rcu_read_unlock", rcu_pair },
	{ "slab", "kmem_cache_alloc, kmem_cache_free", slab_pair },
	{ "slab-plain", "the same, cache with SLAB_NO_DEBUG", plain_slab_pair },
	{ "event-off", "a trace point, while nobody reads", event },
};
static const struct bench event_on = { "event-on", "a trace point that records",
				       event };

static uint64_t shortest(void (*batch)(void))
{
	uint64_t best = ~0ull;

	for (unsigned int i = 0; i < BATCHES; i++) {
		uint64_t start = timer_now(), took;

		batch();
		took = timer_now() - start;
		if (took < best)
			best = took;
	}
	return timer_ns(best);
}

/* empty: the time of an empty loop. */
static void print_cost(const struct bench *b, uint64_t empty)
{
	uint64_t took = shortest(b->batch);

	took = took > empty ? took - empty : 0;
	kprintf("  %-12s %6u  %s\n", b->name,
		(unsigned int)((took + OPS / 2) / OPS), b->what);
}

/* Does an instruction take a nanosecond? Then each of these loops takes 2 n, apart
 * from reading the clock. */
static bool clock_counts(void)
{
	const uint64_t margin = timer_ns(2) + 32;
	uint32_t flags = local_irq_save();
	bool exact = true;

	for (uint32_t n = 10000; n <= 20000; n += 1000) {
		uint64_t start = timer_now(), took;
		uint32_t left = n;

		__asm__ volatile("1: subs %0, %0, #1\n\tbne 1b"
				 : "+r"(left)::"cc");
		took = timer_ns(timer_now() - start);
		exact &= took + margin >= 2 * n && took <= 2 * n + margin;
	}
	local_irq_restore(flags);
	return exact;
}

static bool prepare(void)
{
	percpu_init_rwsem(&bench_rwsem, "bench_rwsem");
	cache = kmem_cache_create("bench", OBJECT_SIZE, 0, 0, NULL);
	plain_cache = kmem_cache_create("bench-nodebug", OBJECT_SIZE, 0,
					SLAB_NO_DEBUG, NULL);
	return cache && plain_cache;
}

static void clean_up(void)
{
	if (cache)
		kmem_cache_destroy(cache);
	if (plain_cache)
		kmem_cache_destroy(plain_cache);
}

static int bench_command(int argc, char **argv)
{
	bool ok;

	if (argc > 1) {
		kprintf("usage: %s\n", argv[0]);
		return 1;
	}
	ok = prepare();
	if (ok) {
		uint64_t empty = shortest(empty_loop);

		kprintf("bench: %s\n",
			clock_counts() ?
				"instructions per operation" :
				"ns per operation; not counted, see -icount");
		for (unsigned int i = 0; i < ARRAY_SIZE(benches); i++)
			print_cost(&benches[i], empty);
		trace_start(TRACE_ALL);
		print_cost(&event_on, empty);
		trace_stop();
	} else {
		kprintf("bench: out of memory\n");
	}
	clean_up();
	return ok ? 0 : 1;
}

SHELL_COMMAND(bench, .name = "bench", .usage = "bench",
	      .help = "measure lock, RCU and slab operations",
	      .page = "docs/cost.md", .fn = bench_command);
