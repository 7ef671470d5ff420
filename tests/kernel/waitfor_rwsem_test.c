/*
 * Suite waitfor: rw-semaphores of both kinds. Debug profile only.
 */
#include <string.h>

#include "tests/kernel/waitfor_knot.h"

#if GORDIAN_DEBUG /* the readers that are in are known in this profile only */

static int read_then_first(void *arg)
{
	(void)arg;
	down_read(&knot.rwsem);
	knot_step();
	mutex_lock(&knot.m[0]);
	mutex_unlock(&knot.m[0]);
	up_read(&knot.rwsem);
	return 0;
}

static int read_then_wait(void *arg)
{
	(void)arg;
	down_read(&knot.rwsem);
	knot_step();
	wait_for_completion(&knot.never);
	up_read(&knot.rwsem);
	return 0;
}

static int write_rwsem(void *arg)
{
	(void)arg;
	down_write(&knot.rwsem);
	up_write(&knot.rwsem);
	return 0;
}

static int first_then_read(void *arg)
{
	(void)arg;
	mutex_lock(&knot.m[0]);
	knot_step();
	wait_for_completion(&knot.done);
	down_read(&knot.rwsem);
	up_read(&knot.rwsem);
	mutex_unlock(&knot.m[0]);
	return 0;
}

static int first_then_write(void *arg)
{
	(void)arg;
	mutex_lock(&knot.m[0]);
	knot_step();
	wait_for_completion(&knot.done);
	down_write(&knot.rwsem);
	up_write(&knot.rwsem);
	mutex_unlock(&knot.m[0]);
	return 0;
}

/* The reader could enter if the writer in front of it did not wait. */
KTEST(waitfor, rwsem_reader_behind_writer)
{
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	knot.t[0] = ktest_thread("late", first_then_read, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(knot.steps) == 1));
	knot.t[1] = ktest_thread("inside", read_then_first, NULL, CPUMASK_ALL);
	EXPECT(thread_waits(knot.t[1], &mutex_wait));
	knot.t[2] = ktest_thread("writer", write_rwsem, NULL, CPUMASK_ALL);
	EXPECT(thread_waits(knot.t[2], &rwsem_write_wait));
	EXPECT(!waitfor_walk(knot.t[2], &knot.walk));
	complete(&knot.done);
	EXPECT(knot_has_cycle(
		0, 3, KINDS(&rwsem_read_wait, &rwsem_write_wait, &mutex_wait),
		WHO(knot.t[0], knot.t[2], knot.t[1])));
	EXPECT(strcmp(waitfor_relation(&knot.walk, 0), "behind") == 0);
	EXPECT(strcmp(waitfor_relation(&knot.walk, 1), "held by") == 0);
	EXPECT_EQ(mutex_lend(&knot.m[0], knot.t[1]), 0);
	knot_end(3);
}

/* Two readers are in: the cycle goes through the second one. */
KTEST(waitfor, rwsem_writer_behind_readers)
{
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	knot.t[0] = ktest_thread("other", read_then_wait, NULL, CPUMASK_ALL);
	knot.t[1] = ktest_thread("writer", first_then_write, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(knot.steps) == 2));
	knot.t[2] = ktest_thread("inside", read_then_first, NULL, CPUMASK_ALL);
	EXPECT(thread_waits(knot.t[2], &mutex_wait));
	complete(&knot.done);
	EXPECT(knot_has_cycle(1, 2, KINDS(&rwsem_write_wait, &mutex_wait),
			      WHO(knot.t[1], knot.t[2])));
	EXPECT_EQ(knot.walk.link[0].owners, 2);
	EXPECT(knot.walk.link[0].owner_since != 0);
	EXPECT_EQ(mutex_lend(&knot.m[0], knot.t[2]), 0);
	complete(&knot.never);
	knot_end(3);
}

static int percpu_read_then_first(void *arg)
{
	(void)arg;
	percpu_down_read(&knot.percpu);
	knot_step();
	mutex_lock(&knot.m[0]);
	mutex_unlock(&knot.m[0]);
	percpu_up_read(&knot.percpu);
	return 0;
}

static int first_then_percpu_read(void *arg)
{
	(void)arg;
	mutex_lock(&knot.m[0]);
	knot_step();
	wait_for_completion(&knot.done);
	percpu_down_read(&knot.percpu);
	percpu_up_read(&knot.percpu);
	mutex_unlock(&knot.m[0]);
	return 0;
}

static int write_percpu(void *arg)
{
	(void)arg;
	percpu_down_write(&knot.percpu);
	percpu_up_write(&knot.percpu);
	return 0;
}

/* The same with the other kind; here the knot is cut by letting the reader pass. */
KTEST(waitfor, percpu_reader_behind_writer)
{
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_CIRCULAR));
	knot.t[0] =
		ktest_thread("late", first_then_percpu_read, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(knot.steps) == 1));
	knot.t[1] = ktest_thread("inside", percpu_read_then_first, NULL,
				 CPUMASK_ALL);
	EXPECT(thread_waits(knot.t[1], &mutex_wait));
	knot.t[2] = ktest_thread("writer", write_percpu, NULL, CPUMASK_ALL);
	EXPECT(thread_waits(knot.t[2], &percpu_write_wait));
	EXPECT(percpu_rwsem_let_pass(&knot.percpu, knot.t[0]) != 0);
	complete(&knot.done);
	EXPECT(knot_has_cycle(
		0, 3, KINDS(&percpu_read_wait, &percpu_write_wait, &mutex_wait),
		WHO(knot.t[0], knot.t[2], knot.t[1])));
	EXPECT_EQ(percpu_rwsem_let_pass(&knot.percpu, knot.t[0]), 0);
	knot_end(3);
	/* The counts are right again: a writer can enter. */
	percpu_down_write(&knot.percpu);
	percpu_up_write(&knot.percpu);
}

static int read_in_write(void *arg)
{
	(void)arg;
	percpu_down_write(&knot.percpu);
	percpu_down_read(&knot.percpu);
	percpu_up_read(&knot.percpu);
	percpu_up_write(&knot.percpu);
	return 0;
}

KTEST(waitfor, percpu_reader_is_writer)
{
	knot_begin();
	ktest_lockdep(LOCKDEP_BIT(LOCKDEP_RECURSIVE));
	knot.t[0] = ktest_thread("both", read_in_write, NULL, CPUMASK_ALL);
	EXPECT(knot_has_cycle(0, 1, KINDS(&percpu_read_wait), WHO(knot.t[0])));
	EXPECT_EQ(percpu_rwsem_let_pass(&knot.percpu, knot.t[0]), 0);
	knot_end(1);
}
#endif
