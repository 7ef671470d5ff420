/*
 * H1: the things that a core leaves when it goes.
 *
 * No mail is about this. The experiment shows one mechanism by itself. A core gets
 * everything that a core can have, and is then taken down: a thread that runs there, a
 * thread that sleeps there, an armed timer, free objects in its array of a cache, the
 * shared interrupts; and at the last moment (CPU_DYING, on the core itself) RCU
 * callbacks. The experiment lists all of them before and after, and says where they went.
 * stop_machine moves the run queue and the interrupts; the timers, RCU and the slab move
 * theirs at CPU_DEAD. The core's own threads park until the core comes back.
 *
 * Control: the check fails if anything is lost. The thread must still run, the sleeper
 * must wake up, the callbacks must run, the timer must stay armed, and the objects must be
 * on the lists. The state at the end must be the state at the start.
 *
 * The engine's thread and U write h1. Other threads write only its atomic members.
 */
#include <string.h>

#include "lab/experiment.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/slab/internal.h"
#include "kernel/sched/timer.h"

#define OBJECTS	  10
#define CALLBACKS 3
#define FAR_NS	  60000000000ull /* so far away that the timer does not fire */
#define LOOK_NS	  100000ull	 /* between two looks at the threads */
#define SPARE_IRQ 101		 /* an interrupt that no device has */

/* How many things of each sort a core has. */
struct core_work {
	unsigned int ready, asleep; /* threads; asleep: by their last core */
	unsigned int own;	    /* threads pinned to it */
	unsigned int timers, callbacks, objects, interrupts;
};

static struct {
	unsigned int core;
	struct core_work before, after;
	unsigned int callbacks_at_death; /* written on the dying core; U waits */

	struct thread *runner, *sleeper;
	struct completion wake;	 /* the sleeper waits for it */
	struct completion woken; /* U waits for it, the sleeper completes it */
	struct completion goes_on; /* U waits for it, the runner completes it */
	bool stop;		   /* the runner must end; atomic */
	uint32_t turns;		   /* of the runner's loop; atomic */
	uint32_t runs_on;  /* the runner's core after the core has gone */
	uint32_t woken_on; /* the sleeper's core plus 1; 0: not woken */

	struct timer timer;
	struct rcu_head cb[CALLBACKS];
	uint32_t ran;	 /* callbacks, atomic */
	uint32_t ran_on; /* cores, a bit each, atomic */

	struct kmem_cache *cache;
	void *kept; /* one object in use: its slab stays */
	unsigned int lists_before, lists_after; /* free objects on the lists */
	unsigned int heir; /* the core that gets the interrupts */
	unsigned int heir_before, heir_after;
} h1;

/* ---- the things that a core has ------------------------------------------------- */

static void count_thread(struct thread *t, void *arg)
{
	struct core_work *r = arg;

	if (READ_ONCE(t->cpu) != h1.core || t->is_idle)
		return;
	if (t->pinned)
		r->own++;
	else if (READ_ONCE(t->on_rq))
		r->ready++;
	else
		r->asleep++;
}

static void count_work(struct core_work *r)
{
	struct kmem_cache *s;

	*r = (struct core_work){ .timers = timers_armed(h1.core),
				 .callbacks = rcu_nr_callbacks(h1.core),
				 .interrupts = irq_count(h1.core) };
	threads_for_each(count_thread, r);
	mutex_lock(&slab_mutex);
	list_for_each (s, &slab_caches, list)
		if (s->array[h1.core])
			r->objects += READ_ONCE(s->array[h1.core]->avail);
	mutex_unlock(&slab_mutex);
}

/* ---- things for the core that will go -------------------------------------------- */

static void timer_fires(struct timer *t maybe_unused)
{
}

/* The runner ends once the core is off. By then it runs on another core. (If the
 * runner ran for ever, one core would never be idle, and the engine could not see
 * that no thread moves.) */
static int run_until_core_is_gone(void *arg maybe_unused)
{
	/* Acquire: pairs with the release in teardown_h1(). */
	while (cpu_is_online(h1.core) && !smp_load_acquire(&h1.stop)) {
		/* Relaxed: a sign of life. */
		__atomic_fetch_add(&h1.turns, 1, __ATOMIC_RELAXED);
		cpu_relax();
	}
	h1.runs_on = smp_processor_id();
	complete(&h1.goes_on);
	return 0;
}

static int sleep_until_woken(void *arg maybe_unused)
{
	wait_for_completion(&h1.wake);
	h1.woken_on = smp_processor_id() + 1;
	complete(&h1.woken);
	return 0;
}

/* Arms a timer, and leaves free objects in the core's array. Runs in a thread
 * of its own on that core. */
static int leaves_timer_and_objects(void *arg maybe_unused)
{
	void *obj[OBJECTS];

	timer_arm(&h1.timer, timer_now() + timer_ticks(FAR_NS));
	for (unsigned int i = 0; i < OBJECTS; i++)
		obj[i] = kmem_cache_alloc(h1.cache);
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (obj[i])
			kmem_cache_free(h1.cache, obj[i]);
	return 0;
}

static struct thread *thread_on_core(const char *name, int (*fn)(void *))
{
	return thread_create(name, fn, NULL, PRIO_NORMAL, cpumask_of(h1.core));
}

static void callback_ran(struct rcu_head *head maybe_unused)
{
	/* Relaxed: looked at after rcu_barrier(). */
	__atomic_fetch_or(&h1.ran_on, 1u << smp_processor_id(),
			  __ATOMIC_RELAXED);
	__atomic_fetch_add(&h1.ran, 1, __ATOMIC_RELAXED);
}

/* Runs on the core that goes, at the last moment: queues callbacks that this core will
 * not run itself. */
static int queue_at_death(struct notifier_block *nb maybe_unused,
			  unsigned long event, void *hcpu maybe_unused)
{
	if (event != CPU_DYING)
		return NOTIFY_DONE;
	for (unsigned int i = 0; i < CALLBACKS; i++)
		call_rcu(&h1.cb[i], callback_ran);
	h1.callbacks_at_death = rcu_nr_callbacks(h1.core);
	return NOTIFY_OK;
}

static struct notifier_block dying = {
	.notifier_call = queue_at_death,
	.priority = CPU_PRI_DEFAULT,
	.name = "h1",
};

static void irq_came(unsigned int irq maybe_unused, void *arg maybe_unused)
{
}

static int begin_h1(struct stage *st maybe_unused)
{
	irq_register(SPARE_IRQ, irq_came, NULL);
	return register_cpu_notifier(&dying);
}

static void end_h1(struct stage *st maybe_unused)
{
	unregister_cpu_notifier(&dying);
}

static int setup_h1(struct stage *st)
{
	struct thread *t;
	unsigned int cpu;

	memset(&h1, 0, sizeof(h1));
	h1.core = h1.runs_on = st->toggled;
	init_completion(&h1.wake, "the core to be gone");
	init_completion(&h1.woken, "the sleeper to wake");
	init_completion(&h1.goes_on, "the runner to go on");
	timer_setup(&h1.timer, timer_fires, NULL);
	h1.cache = kmem_cache_create("h1", 64, 0, 0, NULL);
	if (!h1.cache)
		return -ENOMEM;
	t = thread_on_core("leaver", leaves_timer_and_objects);
	if (!t)
		return -ENOMEM;
	thread_join(t);
	h1.kept = kmem_cache_alloc(h1.cache);
	h1.sleeper = thread_on_core("sleeper", sleep_until_woken);
	h1.runner = thread_on_core("runner", run_until_core_is_gone);
	if (!h1.sleeper || !h1.runner || !h1.kept)
		return -ENOMEM;
	/* The round starts only when the sleeper is asleep and the runner runs. */
	while (!waits_for_event(h1.sleeper) || !READ_ONCE(h1.turns))
		sleep_ns(LOOK_NS);
	h1.heir = cpumask_first(cpu_online());
	for_each_online_cpu (cpu)
		if (cpu != h1.core)
			irq_migrate(cpu, h1.core);
	return 0;
}

static void teardown_h1(struct stage *st maybe_unused)
{
	/* Release: pairs with the acquire in run_until_core_is_gone(). */
	smp_store_release(&h1.stop, true);
	thread_join(h1.runner);
	complete(&h1.wake); /* a second time does no harm */
	thread_join(h1.sleeper);
	timer_cancel_sync(&h1.timer);
	kmem_cache_free(h1.cache, h1.kept);
	kmem_cache_destroy(h1.cache);
}

/* ---- the round -------------------------------------------------------------------- */

static unsigned int free_objects_on_lists(void)
{
	uint32_t flags = spin_lock_irqsave(&h1.cache->list_lock);
	unsigned int n = h1.cache->free_objects;

	spin_unlock_irqrestore(&h1.cache->list_lock, flags);
	return n;
}

static void wake_sleeper(void)
{
	complete(&h1.wake);
	wait_for_completion(&h1.woken);
}

/* U waits for the runner to end. But if the runner is still on the dead core's
 * queue, it never ends: then U does not wait, and the check fails. */
static void wait_for_runner(void)
{
	if (READ_ONCE(h1.runner->cpu) != h1.core)
		wait_for_completion(&h1.goes_on);
}

/* End U's wait for a thread that does not go on. */
static bool wake_by_hand(struct stage *st maybe_unused, bool quietly)
{
	if (!quietly)
		kprintf("cut: U no longer waits, and the sleeper is woken\n");
	complete(&h1.goes_on);
	complete(&h1.woken);
	complete(&h1.wake);
	return true;
}

static void actor_takes_core_down(struct stage *st maybe_unused)
{
	h1.lists_before = free_objects_on_lists();
	h1.heir_before = irq_count(h1.heir);
	count_work(&h1.before);
	WARN_ON(cpu_down(h1.core) != 0);
	h1.before.callbacks = h1.callbacks_at_death;
	wait_for_runner();
	wake_sleeper();
	rcu_barrier();
	count_work(&h1.after);
	h1.lists_after = free_objects_on_lists();
	h1.heir_after = irq_count(h1.heir);
	WARN_ON(cpu_up(h1.core) != 0);
}

static bool nothing_is_lost(struct stage *st maybe_unused)
{
	const struct core_work *a = &h1.after;

	return h1.runs_on != h1.core && h1.woken_on &&
	       h1.woken_on != h1.core + 1 && h1.ran == CALLBACKS &&
	       h1.timer.armed && h1.timer.cpu != h1.core && a->ready == 0 &&
	       a->timers == 0 && a->callbacks == 0 && a->objects == 0 &&
	       a->interrupts == 0 && a->own == h1.before.own &&
	       h1.lists_after > h1.lists_before && h1.before.interrupts &&
	       h1.heir_after == h1.heir_before + h1.before.interrupts;
}

static void print_row(const char *label, unsigned int before,
		      unsigned int after)
{
	kprintf("  %-26s %6u %6u  ", label, before, after);
}

static void print_work(struct stage *st maybe_unused)
{
	const struct core_work *b = &h1.before, *a = &h1.after;

	kprintf("the things that core %u had:\n", h1.core);
	kprintf("  %-26s %6s %6s  %s\n", "", "before", "after",
		"where it went");
	print_row("threads that run", b->ready, a->ready);
	kprintf("runner: on core %u\n", h1.runs_on);
	print_row("threads asleep", b->asleep, a->asleep);
	if (h1.woken_on)
		kprintf("sleeper: woke on core %u\n", h1.woken_on - 1);
	else
		kprintf("sleeper: has not woken\n");
	print_row("its own threads", b->own, a->own);
	kprintf("parked until it comes back\n");
	print_row("timers", b->timers, a->timers);
	kprintf("armed on core %u\n", h1.timer.cpu);
	print_row("callbacks, when it died", b->callbacks, a->callbacks);
	kprintf("%u ran, on the cores 0x%x\n", h1.ran, h1.ran_on);
	print_row("objects in its arrays", b->objects, a->objects);
	kprintf("to the lists (h1's: %u, now %u)\n", h1.lists_before,
		h1.lists_after);
	print_row("interrupts sent to it", b->interrupts, a->interrupts);
	kprintf("core %u (had %u, has %u)\n", h1.heir, h1.heir_before,
		h1.heir_after);
}

static const struct scenario h1_down[] = {
	{
		.about = "a core that has everything goes down",
		.actors = { { "U", ON_B, actor_takes_core_down } },
		.world.begin = begin_h1,
		.world.end = end_h1,
		.world.setup = setup_h1,
		.world.teardown = teardown_h1,
		.said.outcome = COMPLETES,
		.said.check = nothing_is_lost,
		.show.evidence = print_work,
		.cut.rescue = wake_by_hand,
		.search.none = "one actor: there is no other to choose",
	},
};

DEMO(22h1, h1, .id = "H1", .slug = "h1-leaves",
     .claim = "a dying core's work is handed over, and nothing is lost",
     .tried = { "A core has threads, a timer, callbacks, free objects and interrupts,",
		"and goes down. Where is each of them afterwards?" },
     .cores = 2, SCENARIOS(h1_down), .free_rounds = 10);
