/*
 * R2: freeing without waiting.
 *
 * W takes an item out of sight and frees it at once; R found it before, and is
 * still reading it. What R reads then is the allocator's poison (debug profile),
 * and after that whatever the next owner of the memory writes there.
 *
 * Controls: the same with call_rcu() and with synchronize_rcu(): R keeps what it
 * found until it has ended.
 *
 * In all three R reads again only after W has gone as far as it can while R
 * reads. `shared` is W's to change; in r2 each member has one writer.
 */
#include "lab/experiment.h"
#include "kernel/cpu/smp.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"

#define VALUE	   0x20121003u /* the item's */
#define NEW_DATA   0x0badda7au /* of whoever gets the memory next */
#define POISON	   0x6b6b6b6bu
#define NEW_OWNERS 4
#define W_ACTOR	   1

struct item {
	uint32_t value;
	struct rcu_head rcu;
};

static struct item *shared;
static struct completion freed; /* by the callback */

static struct {
	bool found;	     /* R: holds the item, reads it */
	bool gone;	     /* W: out of sight; freed, or queued, or waits */
	bool read_gone;	     /* R */
	bool read_again;     /* R */
	bool reused;	     /* W: the memory has a new owner, if it was free */
	uint32_t reading[3]; /* R: found, gone, reused */
} r2;

static int setup_r2(struct stage *st maybe_unused)
{
	r2 = (typeof(r2)){ .found = false };
	shared = kmalloc(sizeof(*shared));
	if (!shared)
		return -ENOMEM;
	shared->value = VALUE;
	init_completion(&freed, "the callback that frees the item");
	return 0;
}

/* Set and seen: release and acquire, a pair for each flag of r2. */
static void tell_all(bool *flag)
{
	smp_store_release(flag, true);
}

static void wait_until(bool *flag)
{
	while (!smp_load_acquire(flag))
		cpu_relax();
}

static void free_item(struct rcu_head *head)
{
	kfree(container_of(head, struct item, rcu));
	complete(&freed);
}

/* Memory of the item's size, for others. */
static void others_allocate(void)
{
	uint32_t *other[NEW_OWNERS];

	wait_until(&r2.read_gone);
	for (unsigned int i = 0; i < NEW_OWNERS; i++) {
		other[i] = kmalloc(sizeof(struct item));
		if (other[i])
			*other[i] = NEW_DATA;
	}
	note("others allocate");
	tell_all(&r2.reused);
	wait_until(&r2.read_again);
	for (unsigned int i = 0; i < NEW_OWNERS; i++)
		kfree(other[i]);
}

static struct item *unlink_item(void)
{
	struct item *old;

	wait_until(&r2.found);
	old = rcu_dereference_protected(shared, true); /* W alone changes it */
	rcu_assign_pointer(shared, NULL);
	note("unlinks the item");
	return old;
}

static void actor_W_now(struct stage *st maybe_unused)
{
	struct item *old = unlink_item();

	kfree(old);
	note("kfree(), at once");
	tell_all(&r2.gone);
	others_allocate();
}

static void actor_W_call_rcu(struct stage *st maybe_unused)
{
	struct item *old = unlink_item();

	call_rcu(&old->rcu, free_item);
	tell_all(&r2.gone);
	others_allocate();
	wait_for_completion(&freed);
	note("it is freed");
}

static void actor_W_synchronize(struct stage *st maybe_unused)
{
	struct item *old = unlink_item();

	tell_all(&r2.gone);
	synchronize_rcu();
	kfree(old);
	note("kfree()");
}

/* Read the item three times: found, out of sight, and its memory wanted; or W
 * has returned, whether it should have or not. */
static void read_thrice(struct stage *st, bool (*next)(void))
{
	struct item *p;

	rcu_read_lock();
	p = rcu_dereference(shared);
	r2.reading[0] = READ_ONCE(p->value);
	note("finds the item");
	tell_all(&r2.found);
	wait_until(&r2.gone);
	r2.reading[1] = READ_ONCE(p->value);
	note("reads it");
	tell_all(&r2.read_gone);
	while (!next() && !worker_ended(&st->worker[W_ACTOR]))
		cpu_relax();
	r2.reading[2] = READ_ONCE(p->value);
	note("reads it, ends");
	tell_all(&r2.read_again);
	rcu_read_unlock();
}

static bool others_have_memory(void)
{
	return smp_load_acquire(&r2.reused); /* as in wait_until() */
}

/* A grace period waits for this core, so for this reader: W's does too. */
static bool waited_for(void)
{
	return cpumask_test(rcu_owed(&rcu_sched_state), smp_processor_id());
}

static void actor_R_meets_others(struct stage *st)
{
	read_thrice(st, others_have_memory);
}

static void actor_R_waited_for(struct stage *st)
{
	read_thrice(st, waited_for);
}

static bool read_the_same(struct stage *st maybe_unused)
{
	return r2.reading[0] == VALUE && r2.reading[1] == VALUE &&
	       r2.reading[2] == VALUE;
}

/* What ends W's wait for a callback that nobody queued. */
static bool free_by_hand(struct stage *st maybe_unused, bool quietly)
{
	if (!quietly)
		kprintf("cut: W waits no longer for the callback\n");
	complete(&freed);
	return true;
}

static const char *what_is(uint32_t reading)
{
	return reading == VALUE	   ? "the item" :
	       reading == POISON   ? "poison: nobody's" :
	       reading == NEW_DATA ? "somebody else's data" :
				     "what is left there";
}

static void show_readings(struct stage *st maybe_unused)
{
	static const char *const when[] = { "when it found the item",
					    "when W had let it go",
					    "at its end" };

	for (unsigned int i = 0; i < ARRAY_SIZE(when); i++)
		kprintf("R read 0x%08x %s (%s)\n", r2.reading[i], when[i],
			what_is(r2.reading[i]));
}

static const struct scenario r2_parts[] = {
	{
		.part = "R2/at-once",
		.search.none = "its reader lasts for a time, not for steps",
		.about = "W unlinks the item and frees it",
		.actors = { { "R", ON_D, actor_R_meets_others },
			    { "W", ON_U, actor_W_now } },
		.said.outcome = CORRUPT,
		.show.rcu = true,
		.world.setup = setup_r2,
		.said.check = read_the_same,
		.show.evidence = show_readings,
	},
	{
		.part = "R2/call_rcu",
		.search.none = "its reader lasts for a time, not for steps",
		.about = "control: W unlinks it and hands it to call_rcu()",
		.actors = { { "R", ON_D, actor_R_meets_others },
			    { "W", ON_U, actor_W_call_rcu } },
		.said.outcome = COMPLETES,
		.show.rcu = true,
		.world.setup = setup_r2,
		.said.check = read_the_same,
		.cut.rescue = free_by_hand,
		.show.evidence = show_readings,
	},
	{
		.part = "R2/synchronize",
		.search.none = "its reader lasts for a time, not for steps",
		.about = "control: W unlinks it, waits, and frees it",
		.actors = { { "R", ON_D, actor_R_waited_for },
			    { "W", ON_U, actor_W_synchronize } },
		.said.outcome = COMPLETES,
		.show.rcu = true,
		.world.setup = setup_r2,
		.said.check = read_the_same,
		.show.evidence = show_readings,
	},
};

DEMO(21r2, r2, .id = "R2", .slug = "r2-freed",
     .claim = "freed without waiting: the reader meets poison",
     .tried = { "R reads an item while W takes it out of sight and frees it at",
		"once. Controls: W waits, with call_rcu() or synchronize_rcu()." },
     .cores = 2, SCENARIOS(r2_parts), .free_rounds = 20);
