/*
 * Suite lock: the two kinds of rw-semaphore: one set of cases for both; and
 * lending, by which a deadlock is cut.
 */
#include "kernel/lib/errno.h"
#include "kernel/sync/rwsem.h"
#include "tests/kernel/threads.h"

/* Both kinds behind one interface, so that the same cases run on both. */
static struct rw_semaphore rwsem;
static struct percpu_rwsem percpu;
static bool use_percpu;

static void read_in(void)
{
	if (use_percpu)
		percpu_down_read(&percpu);
	else
		down_read(&rwsem);
}

static void read_out(void)
{
	if (use_percpu)
		percpu_up_read(&percpu);
	else
		up_read(&rwsem);
}

static void write_in(void)
{
	if (use_percpu)
		percpu_down_write(&percpu);
	else
		down_write(&rwsem);
}

static void write_out(void)
{
	if (use_percpu)
		percpu_up_write(&percpu);
	else
		up_write(&rwsem);
}

static uint32_t inside; /* readers that are in, counted by themselves; atomic */
static uint32_t plain;	/* not atomic: writers must exclude each other */
static struct completion leave; /* readers that are in may leave */

static void rw_setup(bool percpu_kind)
{
	use_percpu = percpu_kind;
	init_rwsem(&rwsem, "rwsem");
	percpu_init_rwsem(&percpu, "percpu");
	order_clear();
	inside = plain = 0;
}

static int read_once(void *arg)
{
	read_in();
	order_note((unsigned int)(uintptr_t)arg);
	read_out();
	return 0;
}

static int write_once(void *arg)
{
	write_in();
	order_note((unsigned int)(uintptr_t)arg);
	write_out();
	return 0;
}

/* Start thread number i, which must block. */
static struct thread *start_blocked(int (*fn)(void *), unsigned int i)
{
	uint32_t n = READ_ONCE(nr_order);
	struct thread *t = ktest_thread("rw", fn, (void *)i, CPUMASK_ALL);

	EXPECT(EVENTUALLY(ktest_sleeps(t)));
	EXPECT_EQ(READ_ONCE(nr_order), n);
	return t;
}

static void rw_rules(bool percpu_kind)
{
	struct thread *w, *r[3];

	rw_setup(percpu_kind);
	/* Readers share. */
	read_in();
	thread_join(ktest_thread("r", read_once, (void *)1, CPUMASK_ALL));
	EXPECT_EQ(nr_order, 1);
	/* A writer waits for the readers; later readers wait for the writer. */
	w = start_blocked(write_once, 2);
	for (unsigned int i = 0; i < 3; i++)
		r[i] = start_blocked(read_once, 3 + i);
	if (!percpu_kind)
		EXPECT(!down_read_trylock(&rwsem));
	read_out();
	thread_join(w);
	for (unsigned int i = 0; i < 3; i++)
		thread_join(r[i]);
	EXPECT(nr_order == 5 && order[1] == 2);
	/* A writer excludes all others. */
	write_in();
	w = start_blocked(write_once, 9);
	r[0] = start_blocked(read_once, 8);
	if (!percpu_kind)
		EXPECT(!down_read_trylock(&rwsem));
	write_out();
	thread_join(w);
	thread_join(r[0]);
	EXPECT_EQ(nr_order, 7);
	if (percpu_kind)
		return;
	EXPECT_EQ(order[5], 9); /* first come, first served */
	EXPECT(down_read_trylock(&rwsem) && down_read_trylock(&rwsem));
	up_read(&rwsem);
	up_read(&rwsem);
	EXPECT(!rwsem.readers && !rwsem.writer && list_empty(&rwsem.waiters));
}

KTEST(lock, rwsem)
{
	rw_rules(false);
}

KTEST(lock, percpu_rwsem)
{
	rw_rules(true);
}

static int write_alone(void *arg)
{
	write_in();
	order_note((unsigned int)(uintptr_t)arg);
	EXPECT_EQ(inside, 0);
	write_out();
	return 0;
}

static int stay_inside(void *arg)
{
	(void)arg;
	read_in();
	ktest_count(&inside);
	wait_for_completion(&leave);
	__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
	read_out();
	return 0;
}

/* Waiters r r w r r w: the two readers behind a writer come in together after it. */
KTEST(lock, rwsem_batches)
{
	struct thread *r[4], *w[2];

	rw_setup(false);
	init_completion(&leave, "readers may leave");
	write_in();
	r[0] = start_blocked(stay_inside, 0);
	r[1] = start_blocked(stay_inside, 0);
	w[0] = start_blocked(write_alone, 1);
	r[2] = start_blocked(stay_inside, 0);
	r[3] = start_blocked(stay_inside, 0);
	w[1] = start_blocked(write_alone, 2);
	write_out();
	EXPECT(EVENTUALLY(READ_ONCE(inside) == 2));
	EXPECT_EQ(READ_ONCE(nr_order), 0);
	complete(&leave);
	complete(&leave);
	EXPECT(EVENTUALLY(READ_ONCE(inside) == 2 && READ_ONCE(nr_order) == 1));
	complete_all(&leave);
	for (int i = 0; i < 4; i++)
		thread_join(r[i]);
	thread_join(w[0]);
	thread_join(w[1]);
	EXPECT(order[0] == 1 && order[1] == 2);
}

/* A reader enters on one core and leaves on another: only the sum counts. */
KTEST(lock, percpu_rwsem_migrates)
{
	unsigned int cpu, back = ktest_first_core();
	struct thread *w;

	rw_setup(true);
	for_each_online_cpu (cpu) {
		ktest_run_on(cpu);
		read_in();
		ktest_run_on(back);
		w = start_blocked(write_once, 0);
		read_out();
		thread_join(w);
	}
	EXPECT_EQ(nr_order, ktest_cores());
}

#define RW_ROUNDS 300u

static int rw_work(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg + 77;
	bool roams = (uintptr_t)arg % 2;

	for (unsigned int i = 0; i < RW_ROUNDS; i++) {
		uint32_t r = ktest_random(&rnd);
		uint32_t seen;

		if (r % 5 == 0) {
			write_in();
			EXPECT_EQ(READ_ONCE(inside), 0);
			seen = READ_ONCE(plain);
			if (r % 16 == 0)
				yield();
			EXPECT_EQ(READ_ONCE(inside), 0);
			WRITE_ONCE(plain, seen + 1);
			write_out();
			order_note(0);
			continue;
		}
		read_in();
		ktest_count(&inside);
		seen = READ_ONCE(plain);
		if (roams)
			thread_set_affinity(current,
					    cpumask_of(r % board.nr_cores));
		else if (r % 16 == 0)
			yield();
		EXPECT_EQ(READ_ONCE(plain), seen); /* no writer meanwhile */
		__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
		read_out();
	}
	return 0;
}

static void rw_stress(bool percpu_kind)
{
	rw_setup(percpu_kind);
	run_in_threads(2 * ktest_cores() + 1, rw_work);
	EXPECT(nr_order > 0);
	EXPECT_EQ(plain, nr_order); /* no writer's count was lost */
	EXPECT_EQ(inside, 0);
}

KTEST(lock, rwsem_stress)
{
	rw_stress(false);
}

KTEST(lock, percpu_rwsem_stress)
{
	int32_t sum = 0;
	unsigned int cpu;

	rw_stress(true);
	for_each_cpu (cpu, CPUMASK_ALL)
		sum += percpu.count[cpu].n;
	EXPECT_EQ(sum, 0);
	EXPECT(!percpu.block && !percpu.writer && list_empty(&percpu.waiters));
}

/* ---- lending ----------------------------------------------------------------- */

static struct completion first_go, second_go;

/* The first writer waits inside, and so does the second, which was lent to. */
static int write_first(void *arg)
{
	(void)arg;
	down_write(&rwsem);
	wait_for_completion(&first_go);
	up_write(&rwsem);
	return 0;
}

static int write_second(void *arg)
{
	down_write(&rwsem);
	order_note((unsigned int)(uintptr_t)arg);
	wait_for_completion(&second_go);
	up_write(&rwsem);
	return 0;
}

static struct thread *lend_rwsem_setup(void)
{
	struct thread *t;

	rw_setup(false);
	init_completion(&first_go, "the first writer may go on");
	init_completion(&second_go, "the second writer may go on");
	t = ktest_thread("first", write_first, NULL, CPUMASK_ALL);
	EXPECT(EVENTUALLY(READ_ONCE(rwsem.writer) == t && ktest_sleeps(t)));
	return t;
}

KTEST(lock, rwsem_lend)
{
	struct thread *a = lend_rwsem_setup(), *b, *c, *r;

	b = start_blocked(write_second, 1);
	c = start_blocked(write_once, 2);
	r = start_blocked(read_once, 3);
	EXPECT_EQ(rwsem_lend(&rwsem, a), -EINVAL); /* it does not wait */
	EXPECT_EQ(rwsem_lend(&rwsem, b), 0);
	EXPECT(EVENTUALLY(ktest_sleeps(b) && READ_ONCE(nr_order) == 1));
	EXPECT(rwsem.writer == b && rwsem.lender == a);
	EXPECT_EQ(rwsem_lend(&rwsem, c), -EINVAL); /* lent already */
	EXPECT_EQ(rwsem_lend(&rwsem, r), 0);	   /* beside the writer */
	thread_join(r);
	complete(&second_go);
	thread_join(b);
	EXPECT(rwsem.writer == a && !rwsem.lender); /* c did not get it */
	EXPECT_EQ(nr_order, 2);
	complete(&first_go);
	thread_join(a);
	thread_join(c);
	EXPECT(nr_order == 3 && order[1] == 3 && order[2] == 2);
	EXPECT(!rwsem.readers && !rwsem.writer && list_empty(&rwsem.waiters));
}

/* The lender releases while it is lent: the borrower stays the writer. */
KTEST(lock, rwsem_lend_kept)
{
	struct thread *a = lend_rwsem_setup(), *b, *c;

	b = start_blocked(write_second, 1);
	c = start_blocked(write_once, 2);
	EXPECT_EQ(rwsem_lend(&rwsem, b), 0);
	EXPECT(EVENTUALLY(ktest_sleeps(b) && READ_ONCE(nr_order) == 1));
	complete(&first_go);
	thread_join(a);
	EXPECT(rwsem.writer == b && !rwsem.lender && nr_order == 1);
	complete(&second_go);
	thread_join(b);
	thread_join(c);
	EXPECT(!rwsem.writer && list_empty(&rwsem.waiters));
}

/* A writer is let past a reader, in both kinds. */
static void check_past_reader(bool percpu_kind)
{
	struct thread *w;

	rw_setup(percpu_kind);
	read_in();
	w = start_blocked(write_once, 1);
	if (percpu_kind)
		EXPECT_EQ(percpu_rwsem_let_pass(&percpu, w), 0);
	else
		EXPECT_EQ(rwsem_lend(&rwsem, w), 0);
	thread_join(w);
	EXPECT_EQ(nr_order, 1);
	/* The reader is still inside. */
	w = start_blocked(write_once, 2);
	read_out();
	thread_join(w);
	EXPECT_EQ(nr_order, 2);
}

KTEST(lock, rwsem_past_reader)
{
	check_past_reader(false);
}

KTEST(lock, percpu_past_reader)
{
	check_past_reader(true);
}
