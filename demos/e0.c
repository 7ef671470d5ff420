/*
 * E0: the alphabet. Two mutexes, two threads, opposite orders.
 *
 * Nobody in the thread doubted this one: it is what a deadlock looks like when
 * there is nothing else. The control takes the two in one order everywhere.
 */
#include "demos/demo.h"

static struct mutex lock_a = MUTEX_INIT(lock_a, "lock_a");
static struct mutex lock_b = MUTEX_INIT(lock_b, "lock_b");

static uint32_t table[2048]; /* what the two locks are taken for */

static noinline void read_table(void)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++)
		sum += READ_ONCE(table[i]);
	WRITE_ONCE(table[0], sum);
}

static void actor_AB(struct stage *st)
{
	(void)st;
	mutex_lock(&lock_a);
	read_table();
	mutex_lock(&lock_b);
	mutex_unlock(&lock_b);
	mutex_unlock(&lock_a);
}

static void actor_BA(struct stage *st)
{
	(void)st;
	mutex_lock(&lock_b);
	read_table();
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	mutex_unlock(&lock_b);
}

static int setup_locks(struct stage *st)
{
	st->m[0] = &lock_a;
	st->m[1] = &lock_b;
	return 0;
}

static const void *object_a(const struct stage *st)
{
	(void)st;
	return &lock_a;
}

static const void *object_b(const struct stage *st)
{
	(void)st;
	return &lock_b;
}

static const struct step crossed[] = {
	{ 0, TR_LOCK, object_a },    { 1, TR_LOCK, object_b },
	{ 0, TR_CONTEND, object_b }, { 1, TR_CONTEND, object_a },
	{ -1, TR_NONE, NULL },
};

static const struct step one_after_the_other[] = {
	{ 0, TR_LOCK, object_a },
	{ 1, TR_CONTEND, object_a },
	{ 0, TR_LOCK, object_b },
	{ -1, TR_NONE, NULL },
};

static const struct scenario scenarios[] = {
	{
		.part = "E0/AB-BA",
		.about = "A takes lock_a, lock_b; B takes lock_b, lock_a",
		.actors = { { "A", ON_D, actor_AB }, { "B", ON_U, actor_BA } },
		.script_up = crossed,
		.expect = OUT_BIT(OUT_DEADLOCK),
		.until_found = true,
		.setup = setup_locks,
	},
	{
		.part = "E0/one-order",
		.about = "control: both take lock_a, then lock_b",
		.actors = { { "A", ON_D, actor_AB }, { "B", ON_U, actor_AB } },
		.script_up = one_after_the_other,
		.rounds = 2000,
		.expect = OUT_BIT(OUT_COMPLETES),
		.setup = setup_locks,
	},
};

DEMO(00, e0, .id = "E0", .slug = "e0-alphabet",
     .claim = "two mutexes in opposite orders deadlock",
     .tried = { "Two threads take two mutexes, in opposite orders.",
		"Control: the same with one order everywhere." },
     .cores = 1, .scenarios = scenarios, .nr_scenarios = 2,
     .free_rounds = 20000);
