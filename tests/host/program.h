/*
 * Small programs for tests of the search: threads with a few operations each.
 * The text form has all words of `explore program` (lab/program.c) and more:
 *
 *	a to f	-a to -f	mutex_lock(), mutex_unlock()
 *	ta:N			mutex_trylock(a); if it fails, skip N operations
 *	ia:N			mutex_lock_interruptible(a); if it was
 *				interrupted, skip N operations
 *	^B			thread_interrupt(thread B)
 *	A to F	-A to -F	spin_lock(), spin_unlock()
 *	r w	-r -w		a rw_semaphore, first come first served
 *	tr:N			down_read_trylock(); if it fails, skip N
 *	pr pw	-pr -pw		a percpu_rwsem, which prefers its writer
 *	g	-g		get_online_cpus(), put_online_cpus()
 *	h	-h		cpu_add_remove_lock and cpu_hotplug_begin();
 *				cpu_hotplug_done() and the unlock
 *	P V			wait_for_completion(), complete()
 *	P~:N			wait_for_completion_timeout(); if it timed out,
 *				skip N
 *	? !			read the flag, and sleep if it is 0; set the flag
 *				and wake all that sleep
 *	v2:N			read variable 2; if it is 0, skip N
 *	s2 s2=K			write 1 (K) to variable 2
 *	x x2			add 1 to variable 0 (2): a read, then a write
 *	.			the thread ends here, and keeps what it holds
 *
 * A bar separates threads; blanks or commas separate operations. Thread names
 * are A to E. A thread without `.` gives back at its end what it still holds,
 * the latest first. Without :N, `ta`, `ia` and `tr` skip all up to and with the
 * release that belongs to them; `P~` and `v2` skip nothing. A skip never goes
 * beyond the thread's end.
 *
 * Rules for programs that are not balanced, so that every text has a meaning:
 *   - to give back what the thread does not hold changes nothing, and no other
 *     thread can notice it;
 *   - get and put between the thread's own h and -h change nothing;
 *   - to take what the thread holds already waits for ever, as in the kernel
 *     (but pr and g may be taken again, and r if nobody is queued).
 *
 * A thread's pc is the number of operations that it has finished or skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROGRAM_THREADS = 5,
	PROGRAM_OPS = 24,  /* of one thread; random programs have up to 12 */
	PROGRAM_LOCKS = 6, /* mutexes, and as many spinlocks */
	PROGRAM_VARS = 4,
	PROGRAM_TEXT = 1024, /* bytes of any program's text form */
};

enum program_verb {
	DO_LOCK, /* which: the mutex */
	DO_UNLOCK,
	DO_TRY,
	DO_LOCK_INTR,
	DO_INTERRUPT, /* which: the thread */
	DO_SPIN,      /* which: the spinlock */
	DO_SPIN_UNLOCK,
	DO_READ_LOCK,
	DO_READ_UNLOCK,
	DO_READ_TRY,
	DO_WRITE_LOCK,
	DO_WRITE_UNLOCK,
	DO_PERCPU_READ,
	DO_PERCPU_READ_UNLOCK,
	DO_PERCPU_WRITE,
	DO_PERCPU_WRITE_UNLOCK,
	DO_GET,
	DO_PUT,
	DO_BEGIN,
	DO_DONE,
	DO_WAIT,
	DO_WAIT_TIMEOUT,
	DO_COMPLETE,
	DO_LOOK,
	DO_SET,
	DO_READ, /* which: the variable */
	DO_WRITE,
	DO_ADD,
	NR_PROGRAM_VERBS,
};

struct program_op {
	uint8_t verb;
	uint8_t which;
	uint8_t skip;  /* operations, if it failed */
	uint8_t value; /* that DO_WRITE writes */
};

struct program {
	unsigned int nr_threads;
	struct {
		unsigned int n;
		struct program_op op[PROGRAM_OPS];
	} thread[PROGRAM_THREADS];
};

/* What an operation told its thread when it finished. */
enum program_told {
	TOLD_NOTHING, /* not finished, skipped, or it tells nothing */
	TOLD_FAILED,  /* a try, a timed wait, an interruptible lock */
	TOLD_OK,
	TOLD_VALUE = 1, /* plus the value: DO_READ, and DO_LOOK (0 or 1) */
};

/* How a run ended: all that threads could observe. All bytes that the program
 * does not use are 0, so two ends can be compared with memcmp(). The run ended
 * in a deadlock (or is stuck) if some pc is less than the thread's n. */
struct program_end {
	uint8_t pc[PROGRAM_THREADS];
	uint8_t var[PROGRAM_VARS];
	uint8_t told[PROGRAM_THREADS][PROGRAM_OPS];
};

/* Read a text. Returns NULL, or why it is wrong. */
const char *program_parse_text(struct program *p, const char *text);
/* Write the text of p to buf, which has PROGRAM_TEXT bytes; returns buf. */
char *program_print(const struct program *p, char *buf);
/* The same for an end: "A2 B0: v0=1, A1 failed"... */
char *program_print_end(const struct program *p, const struct program_end *e,
			char *buf);
/* Leave out operation i of thread t. Skips over it become shorter. */
void program_drop(struct program *p, unsigned int t, unsigned int i);
/* The pc after an operation at pc, which failed or not. */
unsigned int program_next(const struct program *p, unsigned int t,
			  unsigned int pc, bool failed);

/* What random programs look like. */
struct program_shape {
	unsigned int max_threads; /* 2 to 5 */
	unsigned int max_ops;	  /* of one thread, 1 to 12 */
	unsigned int max_total;	  /* operations of all threads */
};
/* A random program. The same *seed (not 0) gives the same program. *seed becomes
 * the seed of the next one. */
void program_random(struct program *p, const struct program_shape *shape,
		    uint32_t *seed);
