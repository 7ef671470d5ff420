/*
 * The state of the machine in numbers. What this is for: state.h. Owns no data;
 * thread context.
 */
#include "kernel/explore/state.h"

#include <string.h>

#include "boot/boot.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/mm/stack.h"
#include "kernel/slab/slab.h"
#include "kernel/rcu/rcu.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timer.h"

#define SETTLE_LOOKS 200
#define SETTLE_NS    5000000ull

bool cores_idle(void)
{
	unsigned int cpu, busy = 0;

	for_each_possible_cpu (cpu) /* a core that is going off counts, too */
		busy += sched_nr_running(cpu);
	return busy <= 1; /* the caller itself */
}

/* The barriers in rcu_idle_count() order the reads, and pair with those of the
 * idle loop. A core counts as awake from CPU_STARTING until it is off. (A
 * thread that waits for a core to start or stop also waits for time, so the
 * thread does not count as blocked.) */
bool other_cores_sleep(uint32_t *sum)
{
	unsigned int cpu, awake = 0;
	uint32_t seen;

	*sum = 0;
	for_each_possible_cpu (cpu) {
		seen = rcu_idle_count(cpu);
		awake += seen & 1;
		/* Add up the counts of the sleeping cores. The caller's core is
		 * awake. */
		*sum += seen & 1 ? 0 : seen;
	}
	return awake <= 1;
}

bool rcu_gp_is_quiet(void)
{
	const struct rcu_state *rsp = &rcu_sched_state;

	return rcu_seq_done(READ_ONCE(rsp->gp_seq), READ_ONCE(rsp->request)) &&
	       !(READ_ONCE(rsp->gp_seq) & 1);
}

bool rcu_is_quiet(void)
{
	unsigned int cpu;

	for_each_online_cpu (cpu)
		if (rcu_nr_callbacks(cpu))
			return false;
	return rcu_gp_is_quiet();
}

unsigned int timers_armed_all(void)
{
	unsigned int cpu, n = 0;

	for_each_possible_cpu (cpu)
		n += timers_armed(cpu);
	return n;
}

void state_take(struct state_summary *s)
{
	const struct mutex *locks[] = { &slab_mutex, &cpu_hotplug.lock,
					&cpu_add_remove_lock,
					&rcu_sched_state.barrier_mutex };
	const struct notifier_block *nb;
	struct slab_stats slabs;
	unsigned int cpu;

	memset(s, 0, sizeof(*s));
	slab_stats(&slabs);
	s->caches = slabs.caches;
	s->objects = slabs.active;
	s->threads = threads_count();
	s->online = cpu_online().bits;
	for (nb = cpu_chain.head; nb; nb = nb->next)
		s->notifiers++;
	s->refcount = READ_ONCE(cpu_hotplug.refcount);
	for_each_possible_cpu (cpu)
		s->callbacks += rcu_nr_callbacks(cpu);
	s->timers = timers_armed_all();
	for (unsigned int i = 0; i < ARRAY_SIZE(locks); i++)
		s->held += mutex_is_locked(locks[i]);
	s->pages = (unsigned int)(pages_total() - pages_free_count()) -
		   slabs.pages - stacks_made() * (STACK_SIZE / PAGE_SIZE);
}

bool state_settles(const struct state_summary *want, struct state_summary *now)
{
	for (unsigned int i = 0; i < SETTLE_LOOKS; i++) {
		state_take(now);
		if (memcmp(want, now, sizeof(*now)) == 0)
			return true;
		sleep_ns(SETTLE_NS);
	}
	return false;
}

void state_take_settled(struct state_summary *s)
{
	struct state_summary again;

	for (unsigned int i = 0; i < SETTLE_LOOKS; i++) {
		state_take(s);
		sleep_ns(SETTLE_NS);
		state_take(&again);
		if (!s->callbacks && memcmp(s, &again, sizeof(again)) == 0)
			return;
	}
}

void state_print_same(const struct state_summary *s)
{
	kprintf("state: as before (%u caches, %u objects, %u threads, "
		"cores 0x%x, refcount %d)\n",
		s->caches, s->objects, s->threads, s->online, s->refcount);
}

static void print_if_different(const char *name, unsigned int a, unsigned int b)
{
	if (a != b)
		kprintf("state: %s was %u, is %u\n", name, a, b);
}

void state_print_difference(const struct state_summary *a,
			    const struct state_summary *b)
{
	print_if_different("caches", a->caches, b->caches);
	print_if_different("objects", a->objects, b->objects);
	print_if_different("pages", a->pages, b->pages);
	print_if_different("threads", a->threads, b->threads);
	if (a->online != b->online)
		kprintf("state: cores were 0x%x, are 0x%x\n", a->online,
			b->online);
	print_if_different("notifiers", a->notifiers, b->notifiers);
	print_if_different("callbacks", a->callbacks, b->callbacks);
	print_if_different("armed timers", a->timers, b->timers);
	print_if_different("held locks", a->held, b->held);
	if (a->refcount != b->refcount)
		kprintf("state: refcount was %d, is %d\n", a->refcount,
			b->refcount);
}

/* ---- cores that the user has turned off ------------------------------------ */

struct cpumask cores_on_for(const char *what)
{
	struct cpumask were_off = CPUMASK_NONE;
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		if (cpu_is_online(cpu) || cpu_up(cpu) != 0)
			continue;
		kprintf("core %u was off: it is on until the %s has ended\n",
			cpu, what);
		were_off.bits |= cpumask_of(cpu).bits;
	}
	return were_off;
}

void cores_off_again(struct cpumask were_off)
{
	unsigned int cpu;

	for_each_cpu (cpu, were_off) {
		int err = cpu_is_online(cpu) ? cpu_down(cpu) : 0;

		if (err)
			kprintf("core %u stays on (error %d)\n", cpu, -err);
		else
			kprintf("core %u is off again\n", cpu);
	}
}
