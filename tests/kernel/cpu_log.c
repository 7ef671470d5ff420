/*
 * The log of suite cpu, see cpu_log.h.
 */
#include "tests/kernel/cpu_log.h"

#include <string.h>

#include "boot/boot.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "tests/kernel/ktest.h"

struct cpu_log cpu_log;

static char letter(unsigned long event)
{
	switch (event) {
	case CPU_UP_PREPARE:
		return 'P';
	case CPU_STARTING:
		return 'S';
	case CPU_ONLINE:
		return 'O';
	case CPU_UP_CANCELED:
		return 'C';
	case CPU_DOWN_PREPARE:
		return 'D';
	case CPU_DYING:
		return 'Y';
	case CPU_DEAD:
		return 'X';
	case CPU_POST_DEAD:
		return 'Z';
	case CPU_DOWN_FAILED:
		return 'F';
	case CPU_LOST:
		return 'L';
	default:
		return '?';
	}
}

/* Does the event reach its notifiers where it must: on which core, in which
 * context, with which locks? */
static bool in_right_place(unsigned long event, unsigned int cpu)
{
	bool writer = READ_ONCE(cpu_hotplug.active_writer) == current;

	switch (event) {
	case CPU_STARTING:
		return smp_processor_id() == cpu && irqs_disabled() &&
		       !cpu_is_online(cpu) && board_this_core() == cpu;
	case CPU_DYING:
		return smp_processor_id() == cpu && irqs_disabled() &&
		       !cpu_is_online(cpu);
	case CPU_UP_PREPARE:
	case CPU_UP_CANCELED:
		return may_sleep() && writer && !cpu_is_online(cpu) &&
		       mutex_owner(&cpu_hotplug.lock) == current;
	case CPU_ONLINE:
	case CPU_DOWN_PREPARE:
	case CPU_DOWN_FAILED:
		return may_sleep() && writer && cpu_is_online(cpu) &&
		       mutex_owner(&cpu_hotplug.lock) == current;
	case CPU_DEAD:
	case CPU_LOST:
		return may_sleep() && writer && smp_processor_id() != cpu &&
		       !cpu_is_online(cpu);
	case CPU_POST_DEAD:
		return may_sleep() && !writer && !cpu_is_online(cpu) &&
		       mutex_owner(&cpu_hotplug.lock) != current &&
		       mutex_owner(&cpu_add_remove_lock) == current;
	default:
		return false;
	}
}

static int note(struct notifier_block *nb, unsigned long event, void *data)
{
	unsigned int cpu = (unsigned int)(uintptr_t)data;
	char who = nb->name[0];

	if (cpu != cpu_log.cpu || !in_right_place(event, cpu))
		cpu_log.wrong++;
	if (cpu_log.len + 2 < sizeof(cpu_log.text)) {
		cpu_log.text[cpu_log.len++] = who;
		cpu_log.text[cpu_log.len++] = letter(event);
	}
	if (who == 'h' && cpu_log.also)
		cpu_log.also(event, cpu);
	if (who == cpu_log.refuser && event == cpu_log.refused_event)
		return cpu_log.refusal;
	return NOTIFY_OK;
}

static struct notifier_block notes[] = {
	{ .notifier_call = note, .priority = 50, .name = "h" },
	{ .notifier_call = note, .priority = 5, .name = "m" },
	{ .notifier_call = note, .priority = -5, .name = "l" },
};

void cpu_log_start(unsigned int cpu)
{
	memset(&cpu_log, 0, sizeof(cpu_log));
	cpu_log.cpu = cpu;
	/* Not in the order of their priorities. */
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_EQ(register_cpu_notifier(&notes[(i + 1) % 3]), 0);
}

void cpu_log_clear(void)
{
	memset(cpu_log.text, 0, sizeof(cpu_log.text));
	cpu_log.len = 0;
}

void cpu_log_check(const char *want)
{
	if (strcmp(cpu_log.text, want) != 0) {
		FAIL("the notifiers have not seen what they should");
		kprintf("    # they saw %s, not %s\n", cpu_log.text, want);
	}
	EXPECT_EQ(cpu_log.wrong, 0);
	cpu_log_clear();
}

void cpu_log_stop(void)
{
	for (unsigned int i = 0; i < 3; i++)
		unregister_cpu_notifier(&notes[i]);
}

/* ---- down and up ------------------------------------------------------------------ */

static int where(void *arg)
{
	(void)arg;
	return (int)board_this_core();
}

void check_core_runs(unsigned int cpu)
{
	struct thread *t = ktest_thread("where", where, NULL, cpumask_of(cpu));

	EXPECT_EQ(thread_join(t), cpu);
}

void core_down(unsigned int cpu)
{
	EXPECT_EQ(cpu_down(cpu), 0);
	EXPECT(!cpu_is_online(cpu));
	EXPECT(core_ops->is_off(cpu));
}

void core_up(unsigned int cpu)
{
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT(cpu_is_online(cpu));
	EXPECT(!core_ops->is_off(cpu));
	check_core_runs(cpu);
}

void cores_up(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		if (!cpu_is_online(cpu))
			core_up(cpu);
}

int toggle_cores(void *arg)
{
	uint32_t rnd = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < 15; i++) {
		unsigned int cpu = ktest_random(&rnd) % board.nr_cores;
		int err = ktest_random(&rnd) % 2 ? cpu_up(cpu) : cpu_down(cpu);

		EXPECT(err == 0 || err == -EINVAL || err == -EBUSY);
	}
	return 0;
}
