/*
 * Rows of `bench`: locks, readers, trace points, lockdep.
 *
 * Owns its locks, which no other code takes. Context: see bench.h.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/debug/trace.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sync/mutex.h"
#include "kernel/sync/rwsem.h"
#include "tests/kernel/bench.h"

#define TIMES 256u

static DEFINE_SPINLOCK(bench_spin);
static DEFINE_MUTEX(bench_mutex);
static struct rw_semaphore bench_rwsem = RWSEM_INIT(bench_rwsem, "bench_rwsem");
static struct percpu_rwsem bench_percpu;

BATCH(spin_pair, spin_lock(&bench_spin); spin_unlock(&bench_spin))
BATCH(irqsave_pair,
      spin_unlock_irqrestore(&bench_spin, spin_lock_irqsave(&bench_spin)))
BATCH(trylock_pair, if (spin_trylock(&bench_spin)) spin_unlock(&bench_spin))
BATCH(mutex_pair, mutex_lock(&bench_mutex); mutex_unlock(&bench_mutex))
BATCH(read_pair, down_read(&bench_rwsem); up_read(&bench_rwsem))
BATCH(write_pair, down_write(&bench_rwsem); up_write(&bench_rwsem))
BATCH(percpu_pair, percpu_down_read(&bench_percpu);
      percpu_up_read(&bench_percpu))
BATCH(cpus_pair, get_online_cpus(); put_online_cpus())
BATCH(rcu_pair, rcu_read_lock(); rcu_read_unlock())

static const struct bench lock_rows[] = {
	ROW("spin", "spin_lock, spin_unlock", spin_pair, TIMES),
	ROW("irqsave", "spin_lock_irqsave, spin_unlock_irqrestore",
	    irqsave_pair, TIMES),
	ROW("trylock", "spin_trylock, spin_unlock", trylock_pair, TIMES),
	ROW("mutex", "mutex_lock, mutex_unlock", mutex_pair, TIMES),
	ROW("rwsem-read", "down_read, up_read", read_pair, TIMES),
	ROW("rwsem-write", "down_write, up_write", write_pair, TIMES),
	ROW("percpu-read", "percpu_down_read, percpu_up_read", percpu_pair,
	    TIMES),
	ROW("get-cpus", "get_online_cpus, put_online_cpus", cpus_pair, TIMES),
	ROW("rcu-read", "rcu_read_lock, rcu_read_unlock", rcu_pair, TIMES),
};

static bool prepare_locks(void)
{
	percpu_init_rwsem(&bench_percpu, "bench_percpu");
	return true;
}

const struct bench_group bench_locks = { lock_rows, ARRAY_SIZE(lock_rows),
					 prepare_locks, NULL };

/* ---- trace points --------------------------------------------------------------- */

BATCH(event, trace_did(TR_NOTE, NULL, i, CALLER))

static void record_all(void)
{
	trace_start(TRACE_ALL);
}

static const struct bench trace_rows[] = {
	ROW("event-off", "a trace point, while no events are recorded", event,
	    TIMES),
	ROW("event-on", "a trace point that records", event, TIMES,
	    .before = record_all, .after = trace_stop),
};

const struct bench_group bench_trace = { trace_rows, ARRAY_SIZE(trace_rows),
					 NULL, NULL };

/* ---- lockdep --------------------------------------------------------------------- */

#if GORDIAN_DEBUG

#define NEW 8u /* locks, each with a class of its own */

static struct lockdep_map held = LOCKDEP_MAP_INIT("bench_held");
static struct lockdep_map taken[NEW];
static struct lock_class_key keys[NEW];

BATCH(acquire, lock_map_acquire(&taken[i % NEW]);
      lock_map_release(&taken[i % NEW]))

/* The chains of one lock are known. Those in which `held` was taken first are new. */
static void new_classes(void)
{
	for (unsigned int i = 0; i < NEW; i++) {
		lockdep_register_key(&keys[i]);
		lockdep_init_map(&taken[i], "bench_taken", &keys[i],
				 LOCK_WAITS_NONE);
	}
	acquire(NEW);
	lock_map_acquire(&held);
}

static void no_classes(void)
{
	lock_map_release(&held);
	for (unsigned int i = 0; i < NEW; i++)
		lockdep_unregister_key(&keys[i]);
}

static void known_chains(void)
{
	new_classes();
	acquire(NEW);
}

static const struct bench lockdep_rows[] = {
	ROW("chain-known", "lock_acquire, lock_release", acquire, NEW,
	    .before = known_chains, .after = no_classes),
	ROW("chain-new", "the same; lockdep has not seen the chain", acquire,
	    NEW, .before = new_classes, .after = no_classes),
};

const struct bench_group bench_lockdep = { lockdep_rows,
					   ARRAY_SIZE(lockdep_rows), NULL,
					   NULL };
#endif
