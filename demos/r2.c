/*
 * R2: freeing without waiting.
 *
 * No mail is about this. The experiment shows one mechanism by itself. W unlinks an item
 * and frees it at once. R found it before and is still reading it. R then reads the
 * allocator's poison (debug profile), and later the bytes that the next owner of the
 * memory writes there.
 *
 * Controls: the same with call_rcu() and with synchronize_rcu(). There the item that R
 * found stays as it is until R has ended.
 *
 * R reads three times. In all three parts R reads for the third time only when W has gone
 * as far as it can before R ends.
 * `shared` is changed by W alone; each member of r2 has one writer.
 */
#include "lab/experiment.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"

#define VALUE	   0x20121003u /* in the item */
#define NEW_DATA   0x0badda7au /* written by the next owner of the memory */
#define POISON	   0x6b6b6b6bu /* written by the slab at kfree() */
#define NEW_OWNERS 4
#define W_ACTOR	   1

struct item {
	uint32_t value;
	struct rcu_head rcu;
};

static struct item *shared;
static struct completion freed; /* completed by the callback */

static struct {
	bool found; /* R: has found the item and read it */
	bool gone; /* W: has unlinked it, and has freed or queued it or will wait */
	bool read_gone;	     /* R: has read it after that */
	bool read_again;     /* R: has read it for the last time */
	bool reused;	     /* W: its memory, if free, has a new owner */
	uint32_t reading[3]; /* R: at found, gone, reused */
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

/* Set a flag of r2. Release: pairs with the acquire in wait_for_flag(). */
static void set_flag(bool *flag)
{
	smp_store_release(flag, true);
}

/* Spin until a flag of r2 is set. Acquire: pairs with the release in set_flag(). */
static void wait_for_flag(bool *flag)
{
	while (!smp_load_acquire(flag))
		cpu_relax();
}

static void free_item(struct rcu_head *head)
{
	kfree(container_of(head, struct item, rcu));
	complete(&freed);
}

/* Allocate memory of the item's size, and write to it, as other users of the
 * allocator would. */
static void others_allocate(void)
{
	uint32_t *other[NEW_OWNERS];

	wait_for_flag(&r2.read_gone);
	for (unsigned int i = 0; i < NEW_OWNERS; i++) {
		other[i] = kmalloc(sizeof(struct item));
		if (other[i])
			*other[i] = NEW_DATA;
	}
	note("others allocate");
	set_flag(&r2.reused);
	wait_for_flag(&r2.read_again);
	for (unsigned int i = 0; i < NEW_OWNERS; i++)
		kfree(other[i]);
}

static struct item *unlink_item(void)
{
	struct item *old;

	wait_for_flag(&r2.found);
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
	set_flag(&r2.gone);
	others_allocate();
}

static void actor_W_call_rcu(struct stage *st maybe_unused)
{
	struct item *old = unlink_item();

	call_rcu(&old->rcu, free_item);
	set_flag(&r2.gone);
	others_allocate();
	wait_for_completion(&freed);
	note("it is freed");
}

static void actor_W_synchronize(struct stage *st maybe_unused)
{
	struct item *old = unlink_item();

	set_flag(&r2.gone);
	synchronize_rcu();
	kfree(old);
	note("kfree()");
}

/* Read the item three times: when R has found it, when W has unlinked it, and
 * when next() returns true or W has ended. */
static void read_three_times(struct stage *st, bool (*next)(void))
{
	struct item *p;

	rcu_read_lock();
	p = rcu_dereference(shared);
	r2.reading[0] = READ_ONCE(p->value);
	note("finds the item");
	set_flag(&r2.found);
	wait_for_flag(&r2.gone);
	r2.reading[1] = READ_ONCE(p->value);
	note("reads it");
	set_flag(&r2.read_gone);
	while (!next() && !worker_ended(&st->worker[W_ACTOR]))
		cpu_relax();
	r2.reading[2] = READ_ONCE(p->value);
	note("reads it, ends");
	set_flag(&r2.read_again);
	rcu_read_unlock();
}

static bool memory_has_new_owner(void)
{
	/* Acquire: pairs with the release in set_flag(). */
	return smp_load_acquire(&r2.reused);
}

/* Does a grace period wait for this core? If so, the grace period that W asked for
 * cannot end before this reader does. */
static bool gp_waits_for_me(void)
{
	return cpumask_test(rcu_owed(&rcu_sched_state), smp_processor_id());
}

static void actor_R_until_reused(struct stage *st)
{
	read_three_times(st, memory_has_new_owner);
}

static void actor_R_until_gp_waits(struct stage *st)
{
	read_three_times(st, gp_waits_for_me);
}

static bool still_reads_the_item(struct stage *st maybe_unused)
{
	return r2.reading[0] == VALUE && r2.reading[1] == VALUE &&
	       r2.reading[2] == VALUE;
}

/* The callback does not come: end W's wait for it. */
static bool complete_by_hand(struct stage *st maybe_unused, bool quietly)
{
	if (!quietly)
		kprintf("cut: W no longer waits for the callback\n");
	complete(&freed);
	return true;
}

static const char *reading_name(uint32_t reading)
{
	return reading == VALUE	   ? "the item" :
	       reading == POISON   ? "poison: freed memory" :
	       reading == NEW_DATA ? "data of another owner" :
				     "unknown data";
}

static void show_readings(struct stage *st maybe_unused)
{
	static const char *const when[] = { "when it found the item",
					    "when W had unlinked it",
					    "at its end" };

	for (unsigned int i = 0; i < ARRAY_SIZE(when); i++)
		kprintf("R read 0x%08x %s (%s)\n", r2.reading[i], when[i],
			reading_name(r2.reading[i]));
}

#define R_AND_W(r, w)                                                          \
	.actors = { { "R", ON_D, (r) }, { "W", ON_U, (w) } },                  \
	.world.setup = setup_r2, .said.check = still_reads_the_item,           \
	.show.rcu = true, .show.evidence = show_readings,                      \
	.search.none =                                                         \
		"its reader reads for a time, not for a number of steps"

static const struct scenario r2_parts[] = {
	{
		.part = "R2/at-once",
		.about = "W unlinks the item and frees it",
		R_AND_W(actor_R_until_reused, actor_W_now),
		.said.outcome = CORRUPT,
	},
	{
		.part = "R2/call_rcu",
		.about = "control: W unlinks it and hands it to call_rcu()",
		R_AND_W(actor_R_until_reused, actor_W_call_rcu),
		.said.outcome = COMPLETES,
		.cut.rescue = complete_by_hand,
	},
	{
		.part = "R2/synchronize",
		.about = "control: W unlinks it, waits, and frees it",
		R_AND_W(actor_R_until_gp_waits, actor_W_synchronize),
		.said.outcome = COMPLETES,
	},
};

DEMO(21r2, r2, .id = "R2", .slug = "r2-freed",
     .claim = "freed without waiting: the reader reads poison",
     .tried = { "R reads an item while W unlinks it and frees it at once. Controls: W",
		"waits, with call_rcu() or synchronize_rcu()." },
     .cores = 2, SCENARIOS(r2_parts), .free_rounds = 20);
