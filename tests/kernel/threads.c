/*
 * Threads that several suites use, see threads.h.
 */
#include "tests/kernel/threads.h"

#include <string.h>

static int spin(void *arg)
{
	struct spinner *s = arg;

	while (!READ_ONCE(s->stop)) {
		WRITE_ONCE(s->cpu, smp_processor_id());
		WRITE_ONCE(s->loops, s->loops + 1);
		if (READ_ONCE(s->sleep_ns))
			sleep_ns(s->sleep_ns);
		else
			ktest_busy();
	}
	return 0;
}

void spinner_start(struct spinner *s, struct cpumask where, uint32_t sleep_ns)
{
	memset(s, 0, sizeof(*s));
	s->sleep_ns = sleep_ns;
	s->t = ktest_thread("spinner", spin, s, where);
}

void spinner_stop(struct spinner *s)
{
	WRITE_ONCE(s->stop, 1);
	thread_join(s->t);
}

bool spinner_advances(struct spinner *s, uint32_t n)
{
	uint32_t start = READ_ONCE(s->loops);

	return EVENTUALLY(READ_ONCE(s->loops) - start >= n);
}

static struct completion start;
static int (*work)(void *);

static int work_from_start(void *arg)
{
	wait_for_completion(&start);
	return work(arg);
}

void run_in_threads(unsigned int n, int (*fn)(void *))
{
	struct thread *t[MOST_WORKERS];
	unsigned int cpu = NR_CPUS;

	work = fn;
	init_completion(&start, "start");
	for (unsigned int i = 0; i < n; i++) {
		do
			cpu = (cpu + 1) % NR_CPUS;
		while (!cpu_is_online(cpu));
		t[i] = ktest_thread("worker", work_from_start, (void *)i,
				    cpumask_of(cpu));
	}
	complete_all(&start);
	for (unsigned int i = 0; i < n; i++)
		thread_join(t[i]);
}

struct completion gate;

int pass_gate(void *arg)
{
	wait_for_completion(&gate);
	ktest_count(arg);
	return 0;
}

int set_ran(void *arg)
{
	WRITE_ONCE(*(uint32_t *)arg, 1);
	return 0;
}

struct thread *start_high(uint32_t *ran)
{
	struct thread *t;

	*ran = 0;
	t = thread_create("high", set_ran, ran, PRIO_HIGH,
			  cpumask_of(smp_processor_id()));
	EXPECT(t != NULL);
	return t;
}

uint32_t order[ORDER_MAX], nr_order;
static uint32_t next_order; /* entries that are taken, perhaps not filled yet */

void order_clear(void)
{
	next_order = nr_order = 0;
}

void order_note(uint32_t number)
{
	uint32_t i = __atomic_fetch_add(&next_order, 1, __ATOMIC_SEQ_CST);

	order[i % ORDER_MAX] = number;
	ktest_count(&nr_order); /* only now may it be read */
}
