/*
 * RCU torture: readers of every kind on all cores, writers that replace what
 * they read, callbacks and barriers, while cores go off and on and everything
 * falls silent from time to time.
 *
 * The life of an object: LIVE, in a slot where readers find it; RETIRED, out of
 * the slot and waiting for a grace period; RECLAIMED, back in the pool, where
 * it rests until all others have been used; then LIVE again under another id.
 * A reader that finds a RECLAIMED one, or another id than it began with, is
 * certain evidence that a grace period ended too early: no timing is involved.
 *
 * What is looked for:
 *   reclaimed  a reader saw reclaimed data (a kfree_rcu()ed object counts too)
 *   lost       a callback that never runs though its grace period has ended, or
 *              that had not run when rcu_barrier() came back
 *   doubled    a callback that ran twice
 *   stalled    a grace period that does not end, a wait for one that does not
 *              return
 *   starved    the run saw too little of any of these to prove anything
 *
 * The command's thread directs: a busy phase of one of three paces, then a
 * quiet one, in which every callback must have run; it watches the workers all
 * along. Everything it waits for is bounded by LATE_NS of guest time, so a
 * broken RCU is reported, not waited for; workers that hang are left behind.
 *
 * pool_lock (spinlock, IRQs off) guards the free list; slots are atomic; all
 * counts are relaxed.
 */
#include <string.h>

#include "drivers/board.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timer.h"
#include "tests/kernel/ktest.h"
#include "tests/kernel/torture.h"

#define NR_OBJECTS  512
#define NR_SLOTS    2  /* of the pool's objects */
#define NR_KSLOTS   1  /* of kmalloc()ed ones, behind the others */
#define NR_TESTERS  3  /* of rcu_barrier(); they are the first workers */
#define NR_PINGS    64 /* callbacks of one barrier test */
#define MAX_READERS 10
#define MAX_WORKERS (MAX_READERS + NR_TESTERS + 8)
#define LATE_NS	    4000000000ull /* no wait may be longer */
#define US	    1000ull

#define LIVE	  0x11fe11feu
#define RETIRED	  0x0e710e71u
#define RECLAIMED 0xdeaddeadu

enum how { BY_SYNC, BY_EXPEDITED, BY_CALL, BY_KFREE };

static const char *const how_names[] = {
	"synchronize_rcu",
	"synchronize_rcu_expedited",
	"call_rcu",
	"kfree_rcu",
};

struct object {
	uint32_t stamp; /* LIVE, RETIRED, RECLAIMED; atomic */
	uint32_t id;	/* another in each life */
	/* Written before the stamp becomes RETIRED: */
	uint32_t how;
	uint32_t core, ms; /* where and when */
	uint32_t snap;	   /* the gp_seq that ends its wait */
	struct rcu_head head;
	struct list_head link; /* pool_lock */
};

static DEFINE_SPINLOCK(pool_lock);
static LIST_HEAD(pool);
static struct object objects[NR_OBJECTS];
static struct object *slots[NR_SLOTS + NR_KSLOTS];

/* What the workers should do; the director's. */
static enum pace { DENSE, MIXED, THIN, QUIET, SILENT } pace;
static bool stop;
static unsigned int victim; /* the core that goes off or on next */
static bool leaving;	    /* a core is about to speak its last words */
static uint32_t witnesses;  /* readers that began meanwhile; atomic */
static uint64_t begin_ns;
static bool spoiled; /* workers of an earlier run are still there */

static struct worker {
	struct thread *thread;
	const char *name;
	int (*fn)(struct worker *w);
	uint32_t rnd;
	bool resting;	    /* has seen QUIET or SILENT */
	const char *doing;  /* the call that it waits in, or NULL */
	uint32_t since;	    /* ms */
	struct timer timer; /* a reader's: reads in the interrupt */
	bool timer_rests;   /* the reader may arm it; else it arms itself */
} workers[MAX_WORKERS];
static unsigned int nr_workers;

static struct {
	uint32_t reads, irq_reads, seen[4]; /* ages: live to reused */
	uint32_t updates[4], queued, ran;
	uint32_t barriers, pings, offs, ons, refused;
	uint32_t last_words, first_words; /* by cores going and coming */
	uint32_t silences;
	uint32_t reclaimed, lost, doubled, stalled;
} n;

static void count(uint32_t *c)
{
	__atomic_fetch_add(c, 1, __ATOMIC_RELAXED);
}

static uint32_t now_ms(void)
{
	return (uint32_t)(timer_now_ns() / 1000000);
}

static bool late(uint32_t since_ms)
{
	return (int32_t)(now_ms() - since_ms) > (int32_t)(LATE_NS / 1000000);
}

/* Something is wrong: the first few are told, the run ends. */
#define EVIDENCE(counter, ...)                                                 \
	do {                                                                   \
		if (__atomic_fetch_add(&(counter), 1, __ATOMIC_RELAXED) < 2) { \
			uint32_t _ms = now_ms() - (uint32_t)(begin_ns /        \
							     1000000);         \
			kprintf("rcu torture: %u.%03u s: %s\n  ", _ms / 1000,  \
				_ms % 1000, &#counter[2]);                     \
			kprintf(__VA_ARGS__);                                  \
		}                                                              \
		WRITE_ONCE(stop, true);                                        \
	} while (0)

/* The lower bits of xorshift are as good as the others, and / is a call. */
static uint32_t random_below(uint32_t *rnd, uint32_t limit)
{
	return (uint32_t)((uint64_t)ktest_random(rnd) * limit >> 32);
}

static void spin_ns(uint64_t ns)
{
	uint64_t end = timer_now() + timer_ticks(ns);

	while (timer_now() < end)
		cpu_relax();
}

/* ---- objects ------------------------------------------------------------- */

static uint32_t next_id(void)
{
	static uint32_t id;

	return __atomic_add_fetch(&id, 1, __ATOMIC_RELAXED);
}

/* The one that has rested longest, or NULL. Any context. */
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

/* Exchange what is in a slot; the old one is retired. NULL: nothing to put. */
static struct object *replace(uint32_t *rnd, enum how how)
{
	bool k = how == BY_KFREE;
	unsigned int i = k ? NR_SLOTS + random_below(rnd, NR_KSLOTS) :
			     random_below(rnd, NR_SLOTS);
	struct object *o = k ? kmalloc(sizeof(*o)) : object_get();

	if (!o)
		return NULL;
	WRITE_ONCE(o->id, next_id());
	WRITE_ONCE(o->stamp, LIVE);
	/* Acq_rel: an rcu_assign_pointer() that also gives the old one. */
	o = __atomic_exchange_n(&slots[i], o, __ATOMIC_ACQ_REL);
	WRITE_ONCE(o->how, how);
	WRITE_ONCE(o->core, smp_processor_id());
	WRITE_ONCE(o->ms, now_ms());
	WRITE_ONCE(o->snap,
		   rcu_seq_snap(READ_ONCE(rcu_sched_state.gp_seq)));
	/* Release: whoever sees RETIRED sees the words above. */
	smp_store_release(&o->stamp, RETIRED);
	count(&n.updates[how]);
	return o;
}

/* A grace period has passed since replace(). */
static void reclaim(struct object *o)
{
	uint32_t stamp = __atomic_exchange_n(&o->stamp, RECLAIMED,
					     __ATOMIC_ACQ_REL);

	if (stamp == RETIRED)
		object_put(o);
	else
		EVIDENCE(n.doubled, "object %u, retired by %s on core %u\n",
			 o->id, how_names[o->how], o->core);
}

static void reclaim_callback(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, head);

	count(&n.ran);
	reclaim(o);
}

/* Replace one and leave the rest to a callback. Any context. */
static void replace_and_call(uint32_t *rnd)
{
	struct object *o = replace(rnd, BY_CALL);

	if (!o)
		return;
	count(&n.queued);
	call_rcu(&o->head, reclaim_callback);
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

/* Read for that long; the caller has seen to the protection. */
static void read_section(uint32_t *rnd, uint64_t ns, const char *kind)
{
	uint64_t start = timer_now(), end = start + timer_ticks(ns);
	struct object *o = rcu_dereference(
		slots[random_below(rnd, NR_SLOTS + NR_KSLOTS)]);
	uint32_t id = READ_ONCE(o->id);
	unsigned int a;

	do {
		a = age(o, id);
		cpu_relax();
	} while (a < 2 && timer_now() < end);
	count(&n.seen[a]);
	if (a >= 2)
		EVIDENCE(n.reclaimed,
			 "a %s reader on core %u, %u us after its begin:\n  "
			 "object %u, retired by %s, is %s\n",
			 kind, smp_processor_id(),
			 (unsigned int)(timer_ns(timer_now() - start) / US), id,
			 o < objects || o >= objects + NR_OBJECTS ?
				 "kfree_rcu" :
				 how_names[o->how],
			 a == 2 ? "reclaimed" : "reused");
}

/* Mostly short, some long enough for many grace periods of the others. */
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

	if (READ_ONCE(leaving)) {
		rcu_read_lock();
		count(&witnesses);
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
	case 1: /* with interrupts off for all of it or a part */
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
	count(&n.reads);
}

static void read_in_timer(struct timer *t)
{
	struct worker *w = t->arg;
	uint32_t rnd = (uint32_t)timer_now() | 1;

	ktest_random(&rnd);
	rcu_read_lock();
	read_section(&rnd, min(section_ns(&rnd), 1000 * US), "timer");
	rcu_read_unlock();
	count(&n.irq_reads);
	if (READ_ONCE(pace) < QUIET && random_below(&rnd, 8) == 0)
		replace_and_call(&rnd);
	if (!READ_ONCE(stop) && random_below(&rnd, 16))
		timer_arm(t, timer_now() +
				     timer_ticks(random_below(&rnd, 3000 * US)));
	else /* Release: pairs with the acquire in reader(). */
		smp_store_release(&w->timer_rests, true);
}

/* ---- workers ------------------------------------------------------------- */

/* Around a call that may wait for long: the director looks at it. */
#define WAITING_IN(w, what, call)                                              \
	do {                                                                   \
		WRITE_ONCE((w)->since, now_ms());                              \
		smp_store_release(&(w)->doing, what);                          \
		call;                                                          \
		WRITE_ONCE((w)->doing, NULL);                                  \
	} while (0)

/* False when the run is over. Rests while everybody is to rest. */
static bool go_on(struct worker *w, enum pace rest_from)
{
	while (READ_ONCE(pace) >= rest_from && !READ_ONCE(stop)) {
		smp_store_release(&w->resting, true);
		sleep_ns(2000 * US);
	}
	WRITE_ONCE(w->resting, false);
	return !READ_ONCE(stop);
}

static void pause_randomly(struct worker *w, uint32_t us)
{
	sleep_ns(random_below(&w->rnd, us) * US);
}

/* To another core, now and then the one that is about to go. */
static void roam(struct worker *w)
{
	unsigned int cpu = random_below(&w->rnd, 3) ?
				   random_below(&w->rnd, board.nr_cores) :
				   READ_ONCE(victim);

	/* -EINVAL where that core is off just now. */
	thread_set_affinity(current, cpumask_of(cpu));
}

static int reader(struct worker *w)
{
	timer_setup(&w->timer, read_in_timer, w);
	w->timer_rests = true;
	while (go_on(w, QUIET)) {
		enum pace p = READ_ONCE(pace);

		if (random_below(&w->rnd, 16) == 0)
			roam(w);
		/* Acquire: its function is through; pairs with its release. */
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

/* Replace a few, wait for one grace period, reclaim them. */
static void replace_and_wait(struct worker *w, enum how how)
{
	struct object *old[4];
	unsigned int nr = 0;

	while (nr < ARRAY_SIZE(old) && random_below(&w->rnd, 4)) {
		old[nr] = replace(&w->rnd, how);
		if (old[nr])
			nr++;
	}
	if (random_below(&w->rnd, 8) == 0)
		roam(w);
	if (how == BY_SYNC)
		WAITING_IN(w, "synchronize_rcu", synchronize_rcu());
	else
		WAITING_IN(w, "synchronize_rcu_expedited",
			   synchronize_rcu_expedited());
	while (nr)
		reclaim(old[--nr]);
	if (READ_ONCE(pace) != DENSE && random_below(&w->rnd, 2))
		pause_randomly(w, 2000);
}

static int sync_writer(struct worker *w)
{
	while (go_on(w, SILENT))
		replace_and_wait(w, BY_SYNC);
	return 0;
}

static int expedited_writer(struct worker *w)
{
	while (go_on(w, QUIET))
		replace_and_wait(w, BY_EXPEDITED);
	return 0;
}

static int call_writer(struct worker *w)
{
	while (go_on(w, QUIET)) {
		roam(w);
		for (unsigned int i = random_below(&w->rnd, 16); i; i--) {
			struct object *o;

			replace_and_call(&w->rnd);
			spin_ns(random_below(&w->rnd, 100 * US));
			if (random_below(&w->rnd, 16))
				continue;
			o = replace(&w->rnd, BY_KFREE);
			if (o)
				kfree_rcu(o, head);
		}
		pause_randomly(w, READ_ONCE(pace) == DENSE ? 200 : 3000);
	}
	return 0;
}

/* ---- barriers ------------------------------------------------------------ */

static struct ping_test {
	struct ping {
		struct rcu_head head;
		uint32_t ran; /* in this round; atomic */
		uint32_t core;
		bool slow;
	} pings[NR_PINGS];
	uint32_t used;
	uint32_t rnd;
} ping_tests[NR_TESTERS];

static void ping_callback(struct rcu_head *head)
{
	struct ping *p = container_of(head, struct ping, head);

	if (p->slow) /* some of them make a core late */
		spin_ns(300 * US);
	if (__atomic_add_fetch(&p->ran, 1, __ATOMIC_RELEASE) != 1)
		EVIDENCE(n.doubled, "a barrier test's callback of core %u\n",
			 p->core);
}

/* On a core, IRQs off. */
static void ping_here(void *arg)
{
	struct ping_test *t = arg;

	for (unsigned int i = 1 + random_below(&t->rnd, 4); i; i--) {
		struct ping *p = &t->pings[t->used];

		if (t->used == NR_PINGS)
			return;
		t->used++;
		p->ran = 0;
		p->core = smp_processor_id();
		p->slow = random_below(&t->rnd, 4) == 0;
		call_rcu(&p->head, ping_callback);
		count(&n.pings);
	}
}

/* How many have not run, and the core of the first of them. */
static unsigned int pings_out(const struct ping_test *t, unsigned int *core)
{
	unsigned int out = 0;

	for (unsigned int i = 0; i < t->used; i++) {
		/* Acquire: pairs with the release in ping_callback(). */
		if (smp_load_acquire(&t->pings[i].ran))
			continue;
		if (!out++)
			*core = t->pings[i].core;
	}
	return out;
}

static int barrier_tester(struct worker *w)
{
	struct ping_test *t = &ping_tests[w - workers];
	unsigned int cpu, out, core = 0;

	t->rnd = w->rnd;
	while (go_on(w, SILENT)) {
		unsigned int share = random_below(&w->rnd, 4);

		t->used = 0;
		roam(w);
		for_each_possible_cpu (cpu)
			if (random_below(&w->rnd, 4) <= share)
				smp_call_function_single(cpu, ping_here, t,
							 true);
		if (random_below(&w->rnd, 4) == 0)
			pause_randomly(w, share & 1 ? 1000 : 8000);
		WAITING_IN(w, "rcu_barrier", rcu_barrier());
		count(&n.barriers);
		out = pings_out(t, &core);
		if (out) {
			EVIDENCE(n.lost,
				 "rcu_barrier() came back, %u of %u callbacks "
				 "had not run,\n  the first of them queued on "
				 "core %u\n",
				 out, t->used, core);
			break; /* its callbacks are still in use */
		}
		if (random_below(&w->rnd, 2))
			pause_randomly(w, 3000);
	}
	return 0;
}

/* ---- cores go off and on ------------------------------------------------- */

/* Fires on a core that has left, in its last interrupt before it is off. */
static void last_words(struct timer *t)
{
	uint32_t rnd = (uint32_t)timer_now() | 1;
	uint64_t end;

	(void)t;
	if (cpu_is_online(smp_processor_id())) {
		WRITE_ONCE(leaving, false);
		return; /* it was too late and has moved here */
	}
	ktest_random(&rnd);
	/* Let another one begin to read. */
	end = timer_now() + timer_ticks(2000 * US);
	while (!READ_ONCE(witnesses) && timer_now() < end)
		cpu_relax();
	spin_ns(random_below(&rnd, 50 * US));
	WRITE_ONCE(leaving, false);
	for (unsigned int i = 0; i < 2 * NR_SLOTS; i++)
		replace_and_call(&rnd);
	count(&n.last_words);
}

static int cpu_notify(struct notifier_block *nb, unsigned long action,
		      void *hcpu)
{
	static struct timer timer[NR_CPUS];
	unsigned int cpu = (unsigned int)(uintptr_t)hcpu;
	uint32_t rnd = (uint32_t)timer_now() | 1;

	(void)nb;
	ktest_random(&rnd);
	if (action == CPU_DYING) {
		replace_and_call(&rnd);
		WRITE_ONCE(witnesses, 0);
		WRITE_ONCE(leaving, true);
		timer_setup(&timer[cpu], last_words, NULL);
		timer_arm(&timer[cpu], timer_now());
	} else if (action == CPU_STARTING) {
		rcu_read_lock();
		read_section(&rnd, random_below(&rnd, 1000 * US), "starting");
		rcu_read_unlock();
		replace_and_call(&rnd);
		count(&n.first_words);
	}
	return NOTIFY_OK;
}

static struct notifier_block notifier = {
	.notifier_call = cpu_notify,
	.priority = CPU_PRI_DEFAULT - 1, /* after RCU's own */
	.name = "rcu torture",
};

static void turn_on(unsigned int cpu)
{
	count(cpu_up(cpu) ? &n.refused : &n.ons);
}

static int toggler(struct worker *w)
{
	while (go_on(w, SILENT)) {
		unsigned int cpu = random_below(&w->rnd, board.nr_cores);

		WRITE_ONCE(victim, cpu);
		pause_randomly(w, 2000); /* some gather there */
		if (!cpu_is_online(cpu))
			WAITING_IN(w, "cpu_up", turn_on(cpu));
		else if (cpumask_weight(cpu_online()) > 1)
			WAITING_IN(w, "cpu_down",
				   count(cpu_down(cpu) ? &n.refused :
							 &n.offs));
		pause_randomly(w, random_below(&w->rnd, 16) ? 2000 : 50000);
	}
	return 0;
}

/* The end, in a thread of its own because it may hang. */
static int finisher(struct worker *w)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			WAITING_IN(w, "cpu_up", turn_on(cpu));
	WAITING_IN(w, "rcu_barrier", rcu_barrier());
	return 0;
}

/* ---- the director -------------------------------------------------------- */

static void print_state(void)
{
	uint32_t seq = READ_ONCE(rcu_sched_state.gp_seq);

	kprintf("  grace period %u %s, up to %u wanted, owed by 0x%x\n",
		seq >> 1, seq & 1 ? "runs" : "has ended",
		READ_ONCE(rcu_sched_state.request) >> 1,
		rcu_owed(&rcu_sched_state).bits);
}

/* Its grace period is over, or nobody runs one: then it is not the matter. */
static bool gp_ended(uint32_t snap)
{
	return rcu_seq_done(READ_ONCE(rcu_sched_state.gp_seq), snap);
}

static void look_at_object(const struct object *o)
{
	/* Acquire: pairs with the release in replace(). */
	uint32_t stamp = smp_load_acquire(&o->stamp), id = READ_ONCE(o->id);
	uint32_t ms = READ_ONCE(o->ms), snap = READ_ONCE(o->snap);

	if (stamp != RETIRED || READ_ONCE(o->how) != BY_CALL || !late(ms))
		return;
	smp_rmb(); /* the words above before the second look */
	if (READ_ONCE(o->stamp) != RETIRED || READ_ONCE(o->id) != id)
		return; /* it has gone on meanwhile */
	if (gp_ended(snap))
		EVIDENCE(n.lost,
			 "object %u's callback, queued on core %u, %u ms old\n",
			 id, o->core, now_ms() - ms);
	else
		EVIDENCE(n.stalled,
			 "object %u, call_rcu on core %u %u ms ago, waits\n",
			 id, o->core, now_ms() - ms);
	print_state();
}

static void look_at_worker(const struct worker *w)
{
	/* Acquire: pairs with the release in WAITING_IN(). */
	const char *doing = smp_load_acquire(&w->doing);
	uint32_t since = READ_ONCE(w->since);
	unsigned int cpu, queued = 0;

	if (!doing || !late(since) || READ_ONCE(w->doing) != doing ||
	    READ_ONCE(w->since) != since)
		return;
	for_each_possible_cpu (cpu)
		queued += rcu_nr_callbacks(cpu);
	/* A barrier, and no callback anywhere: its own is lost. */
	if (!queued && strcmp(doing, "rcu_barrier") == 0)
		EVIDENCE(n.lost, "%s waits in %s for %u ms\n", w->name, doing,
			 now_ms() - since);
	else
		EVIDENCE(n.stalled, "%s waits in %s for %u ms\n", w->name,
			 doing, now_ms() - since);
	print_state();
}

/* One look at everything; false when the run must end. */
static bool watch(unsigned int stalls)
{
	for (unsigned int i = 0; i < nr_workers; i++)
		look_at_worker(&workers[i]);
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		look_at_object(&objects[i]);
	if (READ_ONCE(rcu_stalls) != stalls)
		EVIDENCE(n.stalled, "a grace period was reported, see above\n");
	return !READ_ONCE(stop);
}

static bool all_rest(void)
{
	for (unsigned int i = 0; i < nr_workers; i++) {
		const struct worker *w = &workers[i];

		if (READ_ONCE(pace) == QUIET &&
		    w->fn != reader && w->fn != expedited_writer &&
		    w->fn != call_writer)
			continue;
		/* Acquire: pairs with the release in go_on(). */
		if (!smp_load_acquire(&w->resting))
			return false;
	}
	return true;
}

static bool all_have_run(void)
{
	uint32_t ran = READ_ONCE(n.ran);

	return READ_ONCE(n.queued) == ran;
}

/*
 * QUIET: the waiters and the barriers are alone with readers in interrupts of
 * idle cores, and cores come and go. SILENT, mostly: nobody asks for a grace
 * period any more: what has been asked for must end, what is queued must run.
 */
static void quiet_phase(uint32_t *rnd, unsigned int stalls)
{
	WRITE_ONCE(pace, QUIET);
	while (!all_rest() && watch(stalls))
		sleep_ns(2000 * US);
	sleep_ns(random_below(rnd, 80000) * US);
	if (random_below(rnd, 4)) {
		WRITE_ONCE(pace, SILENT);
		while ((!all_rest() || !all_have_run()) && watch(stalls))
			sleep_ns(2000 * US);
		count(&n.silences);
	}
	watch(stalls);
}

static void direct(uint64_t end_ns, uint32_t rnd)
{
	unsigned int stalls = rcu_stalls;

	while (timer_now_ns() < end_ns && !READ_ONCE(stop)) {
		uint64_t phase = timer_now_ns() +
				 (50 + random_below(&rnd, 300)) * 1000 * US;

		WRITE_ONCE(pace, DENSE + random_below(&rnd, 3));
		while (timer_now_ns() < min(phase, end_ns) && watch(stalls))
			sleep_ns(10000 * US);
		if (!READ_ONCE(stop))
			quiet_phase(&rnd, stalls);
	}
	WRITE_ONCE(stop, true);
}

static int work(void *arg)
{
	struct worker *w = arg;

	return w->fn(w);
}

static void start_worker(const char *name, int (*fn)(struct worker *w),
			 uint32_t *rnd)
{
	struct worker *w = &workers[nr_workers];

	memset(w, 0, sizeof(*w));
	w->name = name;
	w->fn = fn;
	w->rnd = ktest_random(rnd);
	w->thread = thread_create(name, work, w, PRIO_NORMAL, CPUMASK_ALL);
	if (w->thread)
		nr_workers++;
	else
		EVIDENCE(n.refused, "no memory for a thread\n");
}

/* Wait for all of them, within bounds; those that hang stay. */
static void join_workers(void)
{
	for (unsigned int i = 0; i < nr_workers; i++) {
		struct worker *w = &workers[i];

		if (!thread_join_timeout(w->thread, LATE_NS, NULL))
			continue;
		spoiled = true;
		if (!n.lost && !n.stalled)
			EVIDENCE(n.stalled, "%s does not end, waits in %s\n",
				 w->name, w->doing ? w->doing : "nothing");
	}
	nr_workers = 0;
}

static bool prepare(void)
{
	list_init(&pool);
	memset(objects, 0, sizeof(objects));
	memset(&n, 0, sizeof(n));
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		list_add_tail(&objects[i].link, &pool);
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

/* A run that saw too little has proved nothing. Per second of guest time. */
static bool starved(unsigned int seconds, uint32_t gps)
{
	bool cores = board.nr_cores > 1;

	return gps < 10 * seconds || n.reads < 100 * seconds ||
	       n.irq_reads < 10 * seconds || n.ran < 50 * seconds ||
	       n.updates[BY_EXPEDITED] < seconds || n.barriers < seconds ||
	       n.silences == 0 || (cores && (n.offs < seconds || !n.ons)) ||
	       (cores && n.seen[1] < seconds);
}

static void print_counts(uint32_t gps)
{
	kprintf("rcu torture: reads=%u in_timer=%u pipe=%u,%u,%u,%u\n", n.reads,
		n.irq_reads, n.seen[0], n.seen[1], n.seen[2], n.seen[3]);
	kprintf("rcu torture: sync=%u expedited=%u call=%u kfree=%u gps=%u\n",
		n.updates[BY_SYNC], n.updates[BY_EXPEDITED], n.updates[BY_CALL],
		n.updates[BY_KFREE], gps);
	kprintf("rcu torture: callbacks=%u/%u barriers=%u pings=%u silent=%u\n",
		n.ran, n.queued, n.barriers, n.pings, n.silences);
	kprintf("rcu torture: offs=%u ons=%u last_words=%u first_words=%u\n",
		n.offs, n.ons, n.last_words, n.first_words);
}

static int rcu_torture(unsigned int seconds, unsigned int seed)
{
	uint32_t rnd = seed, seq = READ_ONCE(rcu_sched_state.gp_seq), gps;
	struct slab_stats before, after;
	bool bad, little;

	if (spoiled) {
		kprintf("rcu torture: an earlier run has left threads behind\n");
		return 1;
	}
	rcu_barrier();
	slab_stats(&before);
	if (!prepare()) {
		kprintf("rcu torture: out of memory at the start\n");
		return 1;
	}
	begin_ns = timer_now_ns();
	WRITE_ONCE(leaving, false);
	WRITE_ONCE(pace, DENSE);
	WRITE_ONCE(stop, false);
	register_cpu_notifier(&notifier);
	for (unsigned int i = 0; i < NR_TESTERS; i++)
		start_worker("barrier", barrier_tester, &rnd);
	for (unsigned int i = 0; i < 3; i++)
		start_worker("sync", sync_writer, &rnd);
	start_worker("expedited", expedited_writer, &rnd);
	start_worker("call/0", call_writer, &rnd);
	start_worker("call/1", call_writer, &rnd);
	if (board.nr_cores > 1)
		start_worker("toggler", toggler, &rnd);
	for (unsigned int i = 0; i < min(board.nr_cores + 1, MAX_READERS + 0u); i++)
		start_worker("reader", reader, &rnd);
	direct(begin_ns + seconds * 1000000000ull, ktest_random(&rnd));
	join_workers();
	gps = (READ_ONCE(rcu_sched_state.gp_seq) - seq) / 2;
	little = starved(seconds, gps);
	bad = n.reclaimed || n.lost || n.doubled || n.stalled || n.refused;
	if (!bad) {
		start_worker("finisher", finisher, &rnd);
		join_workers();
	}
	if (!spoiled)
		unregister_cpu_notifier(&notifier);
	if (!bad && !spoiled) {
		for (unsigned int i = NR_SLOTS; i < ARRAY_SIZE(slots); i++)
			kfree(slots[i]);
		slab_stats(&after);
		if (n.queued != n.ran || after.active != before.active)
			EVIDENCE(n.lost,
				 "%u callbacks queued, %u ran; %d kmalloc()ed "
				 "objects left\n",
				 n.queued, n.ran,
				 (int)(after.active - before.active));
	}
	bad = n.reclaimed || n.lost || n.doubled || n.stalled || n.refused;

	print_counts(gps);
	kprintf("rcu torture: reclaimed=%u lost=%u doubled=%u stalled=%u "
		"refused=%u %s\n",
		n.reclaimed, n.lost, n.doubled, n.stalled, n.refused,
		bad    ? "FAIL" :
		little ? "starved FAIL" :
			 "ok");
	return bad || little;
}

TORTURE(rcu, "readers, writers, callbacks, barriers; cores come and go",
	rcu_torture);
