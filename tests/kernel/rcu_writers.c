/*
 * RCU torture: threads that retire objects and wait, tests of rcu_barrier(), cores
 * that go off and on. The theory is in rcu_torture.h.
 *
 * Context: threads, apart from callbacks, notifiers and the timer of last words.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/slab/slab.h"
#include "tests/kernel/rcu_torture.h"

#define NR_PINGS 64 /* callbacks of one barrier test */

static void spin_ns(uint64_t ns)
{
	uint64_t end = timer_now() + timer_ticks(ns);

	while (timer_now() < end)
		cpu_relax();
}

/* ---- workers ------------------------------------------------------------- */

/* Around a call that may wait long, so that the director can watch it. */
#define WAITING_IN(w, what, call)                                              \
	do {                                                                   \
		WRITE_ONCE((w)->since, now_ms());                              \
		smp_store_release(&(w)->doing, what);                          \
		call;                                                          \
		WRITE_ONCE((w)->doing, NULL);                                  \
	} while (0)

/* Rests while the pace says so. False: the run is over. */
bool go_on(struct worker *w, enum pace rest_from)
{
	while (READ_ONCE(rt.pace) >= rest_from && !READ_ONCE(rt.stop)) {
		smp_store_release(&w->resting, true);
		sleep_ns(2000 * US);
	}
	WRITE_ONCE(w->resting, false);
	return !READ_ONCE(rt.stop);
}

void pause_randomly(struct worker *w, uint32_t us)
{
	sleep_ns(random_below(&w->rnd, us) * US);
}

/* Move to another core, now and then to the one that goes off next. */
void roam(struct worker *w)
{
	unsigned int cpu = random_below(&w->rnd, 3) ?
				   random_below(&w->rnd, board.nr_cores) :
				   READ_ONCE(rt.victim);

	/* -EINVAL if that core is off. */
	thread_set_affinity(current, cpumask_of(cpu));
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
	if (READ_ONCE(rt.pace) != DENSE && random_below(&w->rnd, 2))
		pause_randomly(w, 2000);
}

int sync_writer(struct worker *w)
{
	while (go_on(w, SILENT))
		replace_and_wait(w, BY_SYNC);
	return 0;
}

int expedited_writer(struct worker *w)
{
	while (go_on(w, QUIET))
		replace_and_wait(w, BY_EXPEDITED);
	return 0;
}

int call_writer(struct worker *w)
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
		pause_randomly(w, READ_ONCE(rt.pace) == DENSE ? 200 : 3000);
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

	if (p->slow) /* some of them keep the core busy */
		spin_ns(300 * US);
	if (__atomic_add_fetch(&p->ran, 1, __ATOMIC_RELEASE) != 1)
		EVIDENCE(doubled, "a barrier test's callback of core %u\n",
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
		count(&rt.n.pings);
	}
}

/* How many callbacks have not run, and the core of the first of them. */
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

/* Queue one more while another rcu_barrier() goes from core to core; it may be past
 * this one already. */
static void ping_late(struct ping_test *t)
{
	uint64_t end = timer_now() + timer_ticks(1000 * US);
	uint32_t flags;

	while (!(READ_ONCE(rcu_sched_state.n_barrier_done) & 1) &&
	       timer_now() < end)
		cpu_relax();
	flags = local_irq_save();
	ping_here(t);
	local_irq_restore(flags);
}

int barrier_tester(struct worker *w)
{
	struct ping_test *t = &ping_tests[w - rt.workers];
	unsigned int cpu, out, core = 0;

	t->rnd = w->rnd;
	while (go_on(w, LONELY)) {
		unsigned int share = random_below(&w->rnd, 4);

		t->used = 0;
		roam(w);
		for_each_possible_cpu (cpu)
			if (random_below(&w->rnd, 4) <= share)
				smp_call_function_single(cpu, ping_here, t,
							 true);
		if (random_below(&w->rnd, 4) == 0)
			pause_randomly(w, share & 1 ? 1000 : 8000);
		if (random_below(&w->rnd, 2))
			ping_late(t);
		WAITING_IN(w, "rcu_barrier", rcu_barrier());
		count(&rt.n.barriers);
		out = pings_out(t, &core);
		if (out) {
			EVIDENCE(lost,
				 "rcu_barrier() came back, %u of %u callbacks "
				 "had not run,\n  the first of them queued on "
				 "core %u\n",
				 out, t->used, core);
			break; /* its callbacks have not run, so they cannot be reused */
		}
		if (random_below(&w->rnd, 2))
			pause_randomly(w, 1000);
	}
	return 0;
}

/* ---- cores go off and on ------------------------------------------------- */

/* Fires on a core that is not online any more, in its last interrupt. */
static void last_words(struct timer *t)
{
	uint32_t rnd = random_seed();
	uint64_t end;

	(void)t;
	if (cpu_is_online(smp_processor_id())) {
		WRITE_ONCE(rt.leaving, false);
		return; /* it fired too late, on another core */
	}
	/* Wait until another reader begins. */
	end = timer_now() + timer_ticks(2000 * US);
	while (!READ_ONCE(rt.witnesses) && timer_now() < end)
		cpu_relax();
	spin_ns(random_below(&rnd, 50 * US));
	WRITE_ONCE(rt.leaving, false);
	replace_all_and_call(&rnd);
	count(&rt.n.last_words);
}

static int cpu_notify(struct notifier_block *nb, unsigned long action,
		      void *hcpu)
{
	static struct timer timer[NR_CPUS];
	unsigned int cpu = (unsigned int)(uintptr_t)hcpu;
	uint32_t rnd = random_seed();

	(void)nb;
	if (action == CPU_DYING) {
		replace_and_call(&rnd);
		WRITE_ONCE(rt.witnesses, 0);
		WRITE_ONCE(rt.leaving, true);
		timer_setup(&timer[cpu], last_words, NULL);
		timer_arm(&timer[cpu], timer_now());
	} else if (action == CPU_STARTING) {
		rcu_read_lock();
		read_section(&rnd, random_below(&rnd, 1000 * US), "starting");
		rcu_read_unlock();
		replace_and_call(&rnd);
		count(&rt.n.first_words);
	}
	return NOTIFY_OK;
}

struct notifier_block torture_notifier = {
	.notifier_call = cpu_notify,
	.priority = CPU_PRI_DEFAULT - 1, /* after RCU's own */
	.name = "rcu torture",
};

static void turn_on(unsigned int cpu)
{
	count(cpu_up(cpu) ? &rt.n.refused : &rt.n.ons);
}

int toggler(struct worker *w)
{
	while (go_on(w, SILENT)) {
		unsigned int cpu = random_below(&w->rnd, board.nr_cores);

		WRITE_ONCE(rt.victim, cpu);
		pause_randomly(w, 2000); /* some threads gather there */
		if (!cpu_is_online(cpu))
			WAITING_IN(w, "cpu_up", turn_on(cpu));
		else if (cpumask_weight(cpu_online()) > 1)
			WAITING_IN(w, "cpu_down",
				   count(cpu_down(cpu) ? &rt.n.refused :
							 &rt.n.offs));
		pause_randomly(w, random_below(&w->rnd, 16) ? 2000 : 50000);
	}
	return 0;
}

/* The end of the run, in a thread of its own because it may hang. */
int finisher(struct worker *w)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			WAITING_IN(w, "cpu_up", turn_on(cpu));
	WAITING_IN(w, "rcu_barrier", rcu_barrier());
	return 0;
}
