/*
 * RCU torture: the objects, from slot to pool, and their readers. The theory is in
 * rcu_torture.h.
 *
 * pool_lock (spinlock, IRQs off) guards the free list; slots are atomic.
 * Context: any; reader() is a thread.
 */
#include <string.h>

#include "kernel/slab/slab.h"
#include "tests/kernel/rcu_torture.h"

#define NR_SLOTS  2 /* of the pool's objects */
#define NR_KSLOTS 1 /* of objects from kmalloc(), after the others */

static const char *const how_names[] = {
	"synchronize_rcu",
	"synchronize_rcu_expedited",
	"call_rcu",
	"kfree_rcu",
};

static DEFINE_SPINLOCK(pool_lock);
static LIST_HEAD(pool);
struct object torture_objects[NR_OBJECTS];
static struct object *slots[NR_SLOTS + NR_KSLOTS];

/* ---- objects ------------------------------------------------------------- */

static uint32_t next_id(void)
{
	static uint32_t id;

	return __atomic_add_fetch(&id, 1, __ATOMIC_RELAXED);
}

/* The object that has been free longest, or NULL. Any context. */
static struct object *object_get(void)
{
	uint32_t flags = spin_lock_irqsave(&pool_lock);
	struct object *o = NULL;

	if (!list_empty(&pool)) {
		o = list_first(&pool, struct object, link);
		list_del(&o->link);
	}
	spin_unlock_irqrestore(&pool_lock, flags);
	return o;
}

static void object_put(struct object *o)
{
	uint32_t flags = spin_lock_irqsave(&pool_lock);

	list_add_tail(&o->link, &pool);
	spin_unlock_irqrestore(&pool_lock, flags);
}

/* Put a new object into a slot and retire the old one; NULL: no object is free. */
struct object *replace(uint32_t *rnd, enum how how)
{
	bool k = how == BY_KFREE;
	unsigned int i = k ? NR_SLOTS + random_below(rnd, NR_KSLOTS) :
			     random_below(rnd, NR_SLOTS);
	struct object *o = k ? kmalloc(sizeof(*o)) : object_get();

	if (!o)
		return NULL;
	WRITE_ONCE(o->id, next_id());
	WRITE_ONCE(o->stamp, LIVE);
	/* Acq_rel: an rcu_assign_pointer() that also returns the old object. */
	o = __atomic_exchange_n(&slots[i], o, __ATOMIC_ACQ_REL);
	WRITE_ONCE(o->how, how);
	WRITE_ONCE(o->core, smp_processor_id());
	WRITE_ONCE(o->ms, now_ms());
	WRITE_ONCE(o->snap, rcu_seq_snap(READ_ONCE(rcu_sched_state.gp_seq)));
	/* Release: a thread that sees RETIRED also sees the words above. */
	smp_store_release(&o->stamp, RETIRED);
	count(&rt.n.updates[how]);
	return o;
}

/* A grace period has passed since replace(). */
void reclaim(struct object *o)
{
	uint32_t stamp =
		__atomic_exchange_n(&o->stamp, RECLAIMED, __ATOMIC_ACQ_REL);

	if (stamp == RETIRED)
		object_put(o);
	else
		EVIDENCE(doubled, "object %u, retired by %s on core %u\n",
			 o->id, how_names[o->how], o->core);
}

static void reclaim_callback(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, head);

	count(&rt.n.ran);
	reclaim(o);
}

/* Replace one; a callback reclaims the old one. Any context. */
void replace_and_call(uint32_t *rnd)
{
	struct object *o = replace(rnd, BY_CALL);

	if (!o)
		return;
	count(&rt.n.queued);
	call_rcu(&o->head, reclaim_callback);
}

/* So often that each slot is likely replaced. */
void replace_all_and_call(uint32_t *rnd)
{
	for (unsigned int i = 0; i < 2 * NR_SLOTS; i++)
		replace_and_call(rnd);
}

bool objects_prepare(void)
{
	list_init(&pool);
	memset(torture_objects, 0, sizeof(torture_objects));
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		list_add_tail(&torture_objects[i].link, &pool);
	for (unsigned int i = 0; i < ARRAY_SIZE(slots); i++) {
		struct object *o = i < NR_SLOTS ? object_get() :
						  kmalloc(sizeof(*o));

		if (!o)
			return false;
		o->id = next_id();
		o->stamp = LIVE;
		slots[i] = o;
	}
	return true;
}

/* The readers have ended. */
void objects_end(void)
{
	for (unsigned int i = NR_SLOTS; i < ARRAY_SIZE(slots); i++)
		kfree(slots[i]);
}

/* ---- readers ------------------------------------------------------------- */

/* 0 live, 1 retired, 2 reclaimed, 3 reused: a reader must never see 2 or 3. */
static unsigned int age(const struct object *o, uint32_t id)
{
	uint32_t stamp = READ_ONCE(o->stamp);

	if (stamp != LIVE && stamp != RETIRED)
		return 2;
	return READ_ONCE(o->id) != id ? 3 : stamp == RETIRED;
}

/* Read for that long, inside a reader that the caller has begun. */
void read_section(uint32_t *rnd, uint64_t ns, const char *kind)
{
	uint64_t start = timer_now(), end = start + timer_ticks(ns);
	struct object *o =
		rcu_dereference(slots[random_below(rnd, NR_SLOTS + NR_KSLOTS)]);
	uint32_t id = READ_ONCE(o->id);
	unsigned int a;

	do {
		a = age(o, id);
		cpu_relax();
	} while (a < 2 && timer_now() < end);
	count(&rt.n.seen[a]);
	if (a >= 2)
		EVIDENCE(reclaimed,
			 "a %s reader on core %u, %u us after its begin:\n  "
			 "object %u, retired by %s, is %s\n",
			 kind, smp_processor_id(),
			 (unsigned int)(timer_ns(timer_now() - start) / US), id,
			 o < torture_objects ||
					 o >= torture_objects + NR_OBJECTS ?
				 "kfree_rcu" :
				 how_names[o->how],
			 a == 2 ? "reclaimed" : "reused");
}

/* Mostly short; some as long as many grace periods. */
static uint64_t section_ns(uint32_t *rnd)
{
	uint32_t r = random_below(rnd, 64);

	if (r < 16)
		return random_below(rnd, 5 * US);
	if (r < 32)
		return random_below(rnd, 100 * US);
	if (r < 54)
		return random_below(rnd, 1000 * US);
	return random_below(rnd, 5000 * US);
}

static void read_in_thread(uint32_t *rnd)
{
	uint64_t ns = section_ns(rnd);
	uint32_t flags;

	if (READ_ONCE(rt.leaving)) {
		rcu_read_lock();
		count(&rt.witnesses);
		read_section(rnd, 6000 * US, "witnessing");
		rcu_read_unlock();
	}
	switch (random_below(rnd, 4)) {
	case 0: /* nested, the inner one ends first */
		rcu_read_lock();
		rcu_read_lock();
		read_section(rnd, ns / 4, "nested");
		rcu_read_unlock();
		read_section(rnd, ns, "nesting");
		rcu_read_unlock();
		break;
	case 1: /* with interrupts off, from beginning to end or in part */
		flags = local_irq_save();
		rcu_read_lock();
		read_section(rnd, min(ns, 500 * US), "IRQs-off");
		local_irq_restore(flags);
		read_section(rnd, ns / 4, "once IRQs-off");
		rcu_read_unlock();
		break;
	default:
		rcu_read_lock();
		read_section(rnd, ns, "thread");
		rcu_read_unlock();
	}
	count(&rt.n.reads);
}

static void read_in_timer(struct timer *t)
{
	struct worker *w = t->arg;
	uint32_t rnd = random_seed();

	rcu_read_lock();
	read_section(&rnd, min(section_ns(&rnd), 1000 * US), "timer");
	rcu_read_unlock();
	count(&rt.n.irq_reads);
	if (READ_ONCE(rt.pace) < QUIET && random_below(&rnd, 8) == 0)
		replace_and_call(&rnd);
	if (!READ_ONCE(rt.stop) && random_below(&rnd, 16))
		timer_arm(t,
			  timer_now() +
				  timer_ticks(random_below(&rnd, 3000 * US)));
	else /* Release: pairs with the acquire in reader(). */
		smp_store_release(&w->timer_rests, true);
}

int reader(struct worker *w)
{
	timer_setup(&w->timer, read_in_timer, w);
	w->timer_rests = true;
	while (go_on(w, QUIET)) {
		enum pace p = READ_ONCE(rt.pace);

		if (random_below(&w->rnd, 16) == 0)
			roam(w);
		/* Acquire: the timer's function has ended; pairs with its release. */
		if (smp_load_acquire(&w->timer_rests)) {
			w->timer_rests = false;
			timer_arm(&w->timer, timer_now());
		}
		read_in_thread(&w->rnd);
		if (p == THIN || (p == MIXED && random_below(&w->rnd, 8) == 0))
			pause_randomly(w, p == THIN ? 8000 : 1000);
	}
	while (!smp_load_acquire(&w->timer_rests))
		sleep_ns(1000 * US);
	return 0;
}
