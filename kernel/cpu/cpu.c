/*
 * cpu_up() and cpu_down(): start and stop a core, and tell all notifiers.
 *
 * cpu_add_remove_lock serialises the two and guards the notifier chain. With
 * this lock held, _cpu_up() and _cpu_down() take the hotplug lock as writer,
 * and keep it during all callbacks but those of CPU_POST_DEAD. The events,
 * where the callbacks run, and the consequence if a callback refuses:
 *
 *   CPU_UP_PREPARE    here, core still off      refusal: CPU_UP_CANCELED to
 *                                               those called before
 *   CPU_STARTING      on the new core, IRQs off cannot refuse
 *   CPU_ONLINE        here                      cannot refuse
 *   CPU_DOWN_PREPARE  here                      refusal: CPU_DOWN_FAILED to
 *                                               those called before
 *   CPU_DYING         on the leaving core, all  cannot refuse
 *                     cores stopped
 *   CPU_DEAD          here, core really off     cannot refuse
 *   CPU_POST_DEAD     here, hotplug lock free   cannot refuse
 *   CPU_LOST          here, instead of          cannot refuse
 *                     CPU_DEAD or
 *                     CPU_UP_CANCELED, if the
 *                     core may still run
 *
 * Context: thread, may sleep. Source: kernel/cpu.c of Linux at 075663d19885.
 */
#include "kernel/cpu/cpu.h"

#include "boot/boot.h"
#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/arch/coherency.h"
#include "kernel/cpu/internal.h"
#include "kernel/cpu/stop_machine.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/stack.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait.h"

/* How long a core may take to stop: STOP_LOOKS looks, STOP_NS apart. (A look may be
 * a PSCI call, which delays other cores.) A core that starts wakes the thread that
 * waits for it, so this thread looks by itself only every START_NS, START_LOOKS
 * times. */
#define STOP_NS	    50000ull
#define STOP_LOOKS  20000
#define START_NS    1000000ull
#define START_LOOKS 1000
/* While the platform answers -EAGAIN, the core is told again to start: at
 * most ON_TRIES times, with ON_POLL_NS nanoseconds between two tries. */
#define ON_TRIES   1000
#define ON_POLL_NS 20000ull

DEFINE_MUTEX(cpu_add_remove_lock);
struct raw_notifier_head cpu_chain;

unsigned int cpu_offs, cpu_ons; /* cpu_add_remove_lock */

static struct cpumask lost; /* written under cpu_add_remove_lock */

/*
 * A core that was told to start reports twice: when it reaches C code (WANTED
 * to ALIVE), and when it is set up (ALIVE to ON). Before each report, the core
 * that waits may give up. Both cores change the boot word by a
 * compare-and-swap, so only one of the two takes place: the report, or the
 * giving up. If a core reports too late, it sees this, and leaves.
 */
enum { BOOT_NEVER, BOOT_WANTED, BOOT_ALIVE, BOOT_ON, BOOT_GIVEN_UP };
static uint32_t boot_word[NR_CPUS];
static struct completion cpu_running =
	COMPLETION_INIT(cpu_running, "cpu_running");

int register_cpu_notifier(struct notifier_block *nb)
{
	int err;

	mutex_lock(&cpu_add_remove_lock);
	err = raw_notifier_chain_register(&cpu_chain, nb);
	mutex_unlock(&cpu_add_remove_lock);
	return err;
}

void unregister_cpu_notifier(struct notifier_block *nb)
{
	mutex_lock(&cpu_add_remove_lock);
	raw_notifier_chain_unregister(&cpu_chain, nb);
	mutex_unlock(&cpu_add_remove_lock);
}

/* Call up to nr_to_call callbacks (-1: all). Returns 0, or the errno of the
 * callback that refused. *told is incremented for each call. */
static story int __cpu_notify(unsigned long event, unsigned int cpu,
			      int nr_to_call, int *told)
{
	int ret = __raw_notifier_call_chain(
		&cpu_chain, event, (void *)(uintptr_t)cpu, nr_to_call, told);

	if (ret == NOTIFY_BAD)
		return -EBUSY;
	return notifier_to_errno(ret);
}

static void cpu_notify_nofail(unsigned long event, unsigned int cpu)
{
	WARN_ON(__cpu_notify(event, cpu, -1, NULL) != 0);
}

static always_inline void cpu_hotplug_begin(void)
{
	READ_ONCE(hotplug_ops)->begin();
	trace_did(TR_HP_BEGIN, &cpu_hotplug, 0, CALLER);
}

static always_inline void cpu_hotplug_done(void)
{
	trace_did(TR_HP_DONE, &cpu_hotplug, 0, CALLER);
	READ_ONCE(hotplug_ops)->done();
}

/* ---- down ---------------------------------------------------------------- */

/* The function of stop_machine(): runs on the leaving core, IRQs off, all other
 * cores stopped. */
static int take_cpu_down(void *arg)
{
	unsigned int cpu = (unsigned int)(uintptr_t)arg;
	unsigned int heir;

	cpumask_clear_atomic(&cpu_online_mask, cpu);
	heir = cpumask_first(cpu_online());
	irq_migrate(cpu, heir);
	smp_flush_calls();
	cpu_notify_nofail(CPU_DYING, cpu);
	sched_migrate_dying(cpu);
	return 0;
}

/* Turn this core off. If the platform refuses, the core halts here. */
static noreturn void core_leave(unsigned int cpu)
{
	core_ops->die(cpu);
	machine_halt();
}

static void core_failed(unsigned int cpu, const char *what)
{
	kprintf("cpu %u: %s (%s)\n", cpu, what, core_ops->name);
}

/* sched_hooks.play_dead: the leaving core idles for the last time. IRQs off. */
static void cpu_play_dead(unsigned int cpu)
{
	timer_stop();
	sched_hooks.idle_enter(cpu);
	core_leave(cpu);
}

/*
 * Called if a core that has left the kernel, or has begun to start and does not
 * go on, may still run. Memory that the core may use is never freed, and the
 * core is never told to start again.
 */
static void core_lost(unsigned int cpu)
{
	kprintf("cpu %u: may still run, so it is not used again\n", cpu);
	/* Set the bit before CPU_LOST: the core may come to life again after
	 * CPU_LOST, and then rcu_cpu_starting() must see the bit. */
	cpumask_set_atomic(&lost, cpu);
}

bool cpu_is_lost(unsigned int cpu)
{
	return cpumask_test(cpumask_load(&lost), cpu);
}

/* Wait until the platform says that the core is off. */
static int __cpu_die(unsigned int cpu)
{
	for (unsigned int looks = 0; !core_ops->is_off(cpu); looks++) {
		if (looks == STOP_LOOKS) {
			core_failed(cpu, "does not stop");
			core_lost(cpu);
			return -EIO;
		}
		sleep_ns(STOP_NS);
	}
	cpu_offs++;
	trace_did(TR_CORE_OFF, &cpu_hotplug, cpu, CALLER);
	return 0;
}

static story int _cpu_down(unsigned int cpu)
{
	int err, told = 0;
	struct thread *me = current;
	struct cpumask allowed = me->affinity;
	struct cpumask rest = cpumask_andnot(allowed, cpumask_of(cpu));

	if (!cpu_is_online(cpu))
		return -EINVAL;
	if (cpumask_weight(cpu_online()) == 1 || (me->pinned && me->cpu == cpu))
		return -EBUSY;
	err = core_ops->may_go_off(cpu);
	if (err)
		return err;

	cpu_hotplug_begin();
	err = __cpu_notify(CPU_DOWN_PREPARE, cpu, -1, &told);
	if (err) {
		told--; /* the callback that refused has nothing to undo */
	} else {
		told = -1;
		/* This thread must not run on the core that it stops. */
		if (!me->pinned && cpumask_test(allowed, cpu) &&
		    !cpumask_empty(rest))
			thread_set_affinity(me, rest);
		trace_gate(TR_CORE_OFF, &cpu_hotplug, CALLER);
		err = stop_machine(take_cpu_down, (void *)(uintptr_t)cpu, cpu);
		thread_set_affinity(me, allowed);
	}
	if (err) {
		__cpu_notify(CPU_DOWN_FAILED, cpu, told, NULL);
		cpu_hotplug_done();
		return err;
	}
	err = __cpu_die(cpu);
	timers_migrate(cpu);
	cpu_notify_nofail(err ? CPU_LOST : CPU_DEAD, cpu);
	cpu_hotplug_done();
	if (!err)
		cpu_notify_nofail(CPU_POST_DEAD, cpu);
	return err;
}

/* The common part of cpu_up() and cpu_down(). */
static always_inline int one_at_a_time(int (*change)(unsigned int cpu),
				       unsigned int cpu)
{
	int err;

	if (!cpumask_test(cpu_possible_mask, cpu))
		return -EINVAL;
	mutex_lock(&cpu_add_remove_lock);
	err = change(cpu);
	mutex_unlock(&cpu_add_remove_lock);
	return err;
}

story int cpu_down(unsigned int cpu)
{
	return one_at_a_time(_cpu_down, cpu);
}

/* ---- up ------------------------------------------------------------------ */

/* Change the boot word of the core from `from` to `to`. Returns false if the
 * word is not `from`. */
static bool boot_word_move(unsigned int cpu, uint32_t from, uint32_t to)
{
	/* Acq_rel: pairs with the other core's compare-and-swap here, and with
	 * the release in __cpu_up(). */
	return __atomic_compare_exchange_n(&boot_word[cpu], &from, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The first C function of a core that starts. IRQs are off. */
noreturn void secondary_start(unsigned int cpu)
{
	if (!boot_word_move(cpu, BOOT_WANTED, BOOT_ALIVE))
		core_leave(cpu); /* too late: the core was given up */
	vectors_init_core(cpu);
	aborts_init_core(cpu);
	irqchip->init_core(cpu);
	timers_start_core(cpu);
	board_ops->core_up(cpu);
	cpu_notify_nofail(CPU_STARTING, cpu);
	if (!boot_word_move(cpu, BOOT_ALIVE, BOOT_ON))
		core_leave(cpu);
	cpumask_set_atomic(&cpu_online_mask, cpu);
	complete(&cpu_running);
	cpu_idle_loop();
}

/* Tell the core to start. For a moment after a core has stopped, core_ops->on()
 * may return -EAGAIN. Then try again. */
static int tell_to_start(unsigned int cpu)
{
	int err = core_ops->on(cpu);

	for (int i = 1; err == -EAGAIN && i < ON_TRIES; i++) {
		sleep_ns(ON_POLL_NS);
		err = core_ops->on(cpu);
	}
	return err == -EAGAIN ? -EBUSY : err;
}

/* Wait for the core's last report. Returns false if none comes in time. */
static bool core_has_come(void)
{
	return wait_for_completion_timeout(&cpu_running, START_NS, START_LOOKS);
}

/* Wait for a core that was told to start. */
static int await_core(unsigned int cpu)
{
	if (core_has_come())
		return 0;
	if (boot_word_move(cpu, BOOT_WANTED, BOOT_GIVEN_UP)) {
		/* The core is not lost: see cpu.h, consequence b. */
		core_failed(cpu, "does not start");
		return -EIO;
	}
	/* The core has reached C code. Since then it has died, or hangs, or is
	 * slow. */
	if (!core_ops->is_off(cpu) && core_has_come())
		return 0;
	if (boot_word_move(cpu, BOOT_ALIVE, BOOT_GIVEN_UP)) {
		core_failed(cpu, "has begun to start and does not go on");
		if (!core_ops->is_off(cpu))
			core_lost(cpu);
		return -EIO;
	}
	/* The boot word is BOOT_ON, so complete() follows. */
	wait_for_completion(&cpu_running);
	return 0;
}

/* Start the core and wait for it. */
static int __cpu_up(unsigned int cpu)
{
	struct thread *idle = idle_thread_prepare(cpu);
	int err;

	if (!idle)
		return -ENOMEM;
	secondary_boot[cpu].stack_top = idle->stack_top;
	secondary_boot[cpu].thread = (uint32_t)idle;
	init_completion(&cpu_running, "cpu_running");
	cpu_running.by = idle;
	/* Release: pairs with boot_word_move() on the core that starts. */
	smp_store_release(&boot_word[cpu], BOOT_WANTED);
	err = tell_to_start(cpu);
	/* The core may have come although on() failed: an earlier cpu_up() may
	 * have told the core to start, and the core was late. */
	if (err && boot_word_move(cpu, BOOT_WANTED, BOOT_GIVEN_UP)) {
		core_failed(cpu, "does not start");
		if (core_ops->explain)
			core_ops->explain(cpu);
		return err;
	}
	err = await_core(cpu);
	if (err)
		return err;
	cpu_ons++;
	trace_did(TR_CORE_ON, &cpu_hotplug, cpu, CALLER);
	return 0;
}

static story int _cpu_up(unsigned int cpu)
{
	int err, told = 0;

	if (cpu_is_online(cpu))
		return -EINVAL;
	if (cpu_is_lost(cpu))
		return -ENODEV;
	if (!core_is_coherent()) {
		kprintf("cpu %u: stays off: the SMP bit of core %u is clear, so "
			"core %u must run alone\n",
			cpu, smp_processor_id(), smp_processor_id());
		return -EPERM;
	}

	cpu_hotplug_begin();
	err = exception_stacks_prepare(cpu) ?: stopper_prepare(cpu);
	if (err)
		goto out;
	err = __cpu_notify(CPU_UP_PREPARE, cpu, -1, &told);
	if (err) {
		told--; /* the callback that refused has nothing to undo */
	} else {
		told = -1;
		trace_gate(TR_CORE_ON, &cpu_hotplug, CALLER);
		err = __cpu_up(cpu);
	}
	if (err) {
		__cpu_notify(cpu_is_lost(cpu) ? CPU_LOST : CPU_UP_CANCELED, cpu,
			     told, NULL);
	} else {
		stopper_unpark(cpu);
		cpu_notify_nofail(CPU_ONLINE, cpu);
	}
out:
	cpu_hotplug_done();
	return err;
}

story int cpu_up(unsigned int cpu)
{
	return one_at_a_time(_cpu_up, cpu);
}

void smp_init(unsigned int max)
{
	unsigned int cpu;

	sched_hooks.play_dead = cpu_play_dead;
	for_each_possible_cpu (cpu) {
		int err;

		if (cpu_is_online(cpu) || cpumask_weight(cpu_online()) >= max)
			continue;
		err = cpu_up(cpu);
		if (err)
			kprintf("cpu %u: not started (error %d), going on "
				"without it\n",
				cpu, -err);
	}
}
