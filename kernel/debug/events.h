/*
 * The properties of each operation in the event stream: one row for each of enum
 * trace_op (kernel/debug/trace.h). Three readers use this table: the code that
 * prints schedules, the command `step`, and the explorer, which notes what a step
 * touches. A new operation needs a row here.
 */
#pragma once

#include <stdint.h>

#include "kernel/debug/trace.h"

/* The operation's object: the arguments of the row's formats, in order. */
enum event_of {
	OF_NOTHING,
	OF_MUTEX,	/* %s: its name */
	OF_MUTEX_OWNER, /* %s, %s: its name, the owner */
	OF_SPIN,	/* %s, perhaps %s: its name, the holder */
	OF_RWSEM, /* `next`: the function's name alone; `other`: its name */
	OF_RWSEM_WRITER, /* %s: the writer; `other`: its name, the writer */
	OF_QUEUE,	 /* %s: its name */
	OF_WAKE_UP,	 /* %s, %s: its name, who is there */
	OF_NAMED,	 /* %s: the event's name */
	OF_DATA,	 /* declared by shared_read(), shared_write() */
	OF_COUNT,	 /* %d: arg */
	OF_CORE,	 /* %u: arg */
	OF_CPU_EVENT,	 /* %s: "CPU_DEAD"; `next`: %s, %s: the notifier too */
	OF_GP,		 /* %u: the grace period's number */
	OF_CALLBACK,	 /* %u: the core that invokes it */
	OF_TEXT,	 /* %s: obj */
};

/* The data that it touches, for the explorer: two steps commute if neither writes
 * data that the other touches. */
enum {
	READS = 1, /* obj */
	WRITES = 2,
	/* Instead of obj: */
	ITS_COUNT = 4,	/* the barrier count of that struct rcu_state */
	THE_LIST = 8,	/* slab_caches */
	AND_CORES = 16, /* it also reads which cores are online */
	/* obj is a count, of which it does not use the value. Two such
	 * operations commute if they are of the same kind. */
	COUNTS_UP = 32,
	COUNTS_DOWN = 64,
	/* It is a part of the operation at the gate before it, or only a thread
	 * that holds the right mutex does it. So it needs no gate. */
	PART_OF_IT = 128,
};

struct event_info {
	const char *done;   /* in a schedule; NULL: not shown */
	const char *narrow; /* the words for a narrow column; NULL: `done` */
	const char *other;  /* rw-semaphores: if it is not the hotplug lock */
	const char *next; /* a thread at this gate is about to; NULL: no gate */
	enum event_of of;
	uint8_t touches;
	bool is_wait; /* the thread cannot go on, and waits for obj */
};

/* The row of an operation. Any context. */
const struct event_info *event_info(unsigned int op);
