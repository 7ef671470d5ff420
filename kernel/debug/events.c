/*
 * The table of operations in the event stream. See events.h.
 *
 * Owns the table, which is constant.
 */
#include "kernel/debug/events.h"

#include "kernel/lib/compiler.h"

static const struct event_info table[] = {
	[TR_NONE] = { .next = "begin" },

	[TR_LOCK] = { "lock %s", .next = "lock %s", .of = OF_MUTEX,
		      .touches = WRITES },
	/* After the lock is taken. This operation ends the step, so that the
	 * step of a thread before a lock touches the lock and nothing else. */
	[TR_LOCKED] = { .next = "go on, with %s held", .of = OF_MUTEX },
	[TR_LOCK_INTR] = { .next = "lock %s, or be interrupted",
			   .of = OF_MUTEX,
			   .touches = WRITES },
	[TR_CONTEND] = { "waits: %s (%s)", "wait %s %s", .of = OF_MUTEX_OWNER,
			 .touches = WRITES | PART_OF_IT },
	[TR_UNLOCK] = { "unlock %s", .next = "unlock %s", .of = OF_MUTEX,
			.touches = WRITES },
	[TR_TRYLOCK] = { .next = "try to lock %s",
			 .of = OF_MUTEX,
			 .touches = WRITES },
	[TR_HANDOVER] = { .touches = WRITES | PART_OF_IT },

	[TR_IRQ_OFF] = { .next = "mask interrupts, to lock %s", .of = OF_SPIN },
	[TR_SPIN_LOCK] = { "lock %s", .next = "lock %s", .of = OF_SPIN,
			   .touches = WRITES },
	[TR_SPIN_CONTEND] = { "spins: %s (%s)", "spin %s %s", .of = OF_SPIN },
	[TR_SPIN_LOCKED] = { .next = "go on, with %s held", .of = OF_SPIN },
	[TR_SPIN_TRYLOCK] = { .next = "try to lock %s",
			      .of = OF_SPIN,
			      .touches = WRITES },
	[TR_SPIN_TRIED] = { .next = "go on, with %s held", .of = OF_SPIN },
	[TR_SPIN_UNLOCK] = { "unlock %s", .next = "unlock %s", .of = OF_SPIN,
			     .touches = WRITES },

	/* A schedule shows only the hotplug lock, by Linux's names. */
	[TR_READ_LOCK] = { "cpus_read_lock", .next = "read_lock",
			   .of = OF_RWSEM, .touches = READS },
	[TR_READ_CONTEND] = { "waits: cpus_read_lock (%s)",
			      "wait cpus_read_lock %s", .of = OF_RWSEM_WRITER,
			      .touches = WRITES | PART_OF_IT },
	[TR_READ_UNLOCK] = { "cpus_read_unlock", .next = "read_unlock",
			     .of = OF_RWSEM, .touches = READS },
	[TR_READ_TRYLOCK] = { .next = "try to read_lock",
			      .of = OF_RWSEM,
			      .touches = WRITES },
	[TR_WRITE_TRYLOCK] = { .next = "try to write_lock",
			       .of = OF_RWSEM,
			       .touches = WRITES },
	[TR_WRITE_LOCK] = { "cpus_write_lock", .next = "write_lock",
			    .of = OF_RWSEM, .touches = WRITES },
	[TR_WRITE_CONTEND] = { "waits: cpus_write_lock (readers)",
			       "wait cpus_write_lock", .of = OF_RWSEM,
			       .touches = WRITES | PART_OF_IT },
	[TR_WRITE_UNLOCK] = { "cpus_write_unlock", .next = "write_unlock",
			      .of = OF_RWSEM, .touches = WRITES },

	[TR_CALL_CORE] = { .next = "call another core, and wait" },
	[TR_COMES] = { .next = "interrupt its thread" },
	[TR_RESUME] = { .next = "go on after its sleep" },
	[TR_INTERRUPT] = { .next = "interrupt a thread's wait" },
	[TR_INTERRUPTED] = { .next = "look whether it was interrupted" },
	[TR_WAKE] = { .next = "wake a thread that waits for %s",
		      .of = OF_QUEUE },
	[TR_THREAD_END] = { "ends", .next = "end" },

	[TR_GET_ONLINE] = { "get_online_cpus: %d", .of = OF_COUNT,
			    .touches = COUNTS_UP | PART_OF_IT },
	[TR_PUT_ONLINE] = { "put_online_cpus: %d", .of = OF_COUNT,
			    .touches = COUNTS_DOWN | PART_OF_IT },
	[TR_HP_BEGIN] = { "cpu_hotplug_begin done" },
	[TR_HP_WAIT] = { "waits: refcount is %d", .of = OF_COUNT,
			 .touches = WRITES | PART_OF_IT },
	[TR_HP_DONE] = { "cpu_hotplug_done" },
	[TR_NOTIFY] = { "%s", .next = "call notifier %s (%s)",
			.of = OF_CPU_EVENT },
	[TR_CORE_ON] = { "core %u is on", .next = "let the core come",
			 .of = OF_CORE },
	[TR_CORE_OFF] = { "core %u is off", .next = "let the core go",
			  .of = OF_CORE },

	[TR_GP_START] = { "grace period %u runs", .of = OF_GP },
	[TR_GP_END] = { "grace period %u ends", .of = OF_GP },
	[TR_GP_WAIT] = { "synchronize_rcu()", .next = "synchronize_rcu()",
			 .of = OF_GP },
	/* READS: two of these operations commute. */
	[TR_CALL_RCU] = { "call_rcu()", .next = "call_rcu()", .of = OF_GP,
			  .touches = READS },
	[TR_ADOPT] = { .touches = WRITES },
	[TR_BARRIER] = { "rcu_barrier()", .next = "rcu_barrier()",
			 .touches = READS | ITS_COUNT },
	[TR_BARRIER_COUNT] = { .next = "count a barrier",
			       .touches = WRITES | ITS_COUNT },
	[TR_BARRIER_LOOK] = { .next = "look at a core's callbacks",
			      .touches = READS | AND_CORES },
	[TR_BARRIER_QUEUE] = { .next = "queue the barrier's callback",
			       .touches = READS | AND_CORES },
	[TR_BARRIER_END] = { "rcu_barrier() returns" },
	[TR_RCU_CB] = { "callback, core %u", .of = OF_CALLBACK,
			.touches = WRITES },

	[TR_CACHE_CREATE] = { "link a new cache", .next = "link a new cache",
			      .touches = WRITES | THE_LIST },
	[TR_CACHE_DESTROY] = { "kmem_cache_destroy()",
			       .next = "kmem_cache_destroy()",
			       /* It looks whether objects are left. */
			       .touches = WRITES },
	[TR_CACHE_UNLINK] = { "unlink the cache", .next = "unlink the cache",
			      .touches = WRITES | THE_LIST },
	[TR_CACHE_RELINK] = { "link the cache again",
			      .next = "link the cache again",
			      .touches = WRITES | THE_LIST },
	[TR_CACHE_SHRINK] = { .next = "shrink the cache",
			      .touches = WRITES | AND_CORES },
	[TR_CACHE_FREE] = { "free the cache", .next = "free the cache",
			    .touches = WRITES },
	[TR_CACHE_DESTROY_END] = { "kmem_cache_destroy returns",
				   "destroy returns" },
	/* READS: two of these operations commute. */
	[TR_CACHE_OBJECT] = { .next = "take or give back an object",
			      .touches = READS },

	[TR_WAIT_FOR] = { .next = "wait for %s",
			  .of = OF_QUEUE,
			  .touches = WRITES },
	[TR_WAIT_DONE] = { .next = "leave the queue of %s",
			   .of = OF_QUEUE,
			   .touches = WRITES },
	[TR_COMPLETE] = { .next = "complete %s",
			  .of = OF_QUEUE,
			  .touches = WRITES },
	[TR_DONE] = { .touches = WRITES | PART_OF_IT },
	[TR_SHARED_READ] = { .next = "read shared data",
			     .of = OF_DATA,
			     .touches = READS },
	[TR_SHARED_WRITE] = { .next = "write shared data",
			      .of = OF_DATA,
			      .touches = WRITES },
	[TR_TIMER_ARM] = { .done = NULL },
	[TR_AWAIT] = { .next = "go on, when its condition is true" },
	[TR_NOTE] = { "%s", .of = OF_TEXT },
};

const struct event_info *event_info(unsigned int op)
{
	return &table[op < ARRAY_SIZE(table) ? op : TR_NONE];
}
