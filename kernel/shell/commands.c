/*
 * The kernel's own commands. Higher floors register theirs.
 *
 * Owns nothing. A command that only reports takes no sleeping lock, so what it
 * prints may be out of date. Such a command may read a thread without a handle,
 * because the memory of threads is type-stable.
 */
#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/audit.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "kernel/shell/internal.h"

/* A command without arguments. The rest: more fields of the struct shell_command. */
#define PLAIN_COMMAND(id, help_, call, ...)                                    \
	static int id##_command(int argc, char **argv)                         \
	{                                                                      \
		if (!shell_has_no_arguments(argc, argv))                       \
			return 1;                                              \
		call;                                                          \
		return 0;                                                      \
	}                                                                      \
	SHELL_COMMAND(id, .name = #id, .usage = #id, .help = (help_),          \
		      .fn = id##_command, __VA_ARGS__)

static void print_help(const struct shell_command *c)
{
	kprintf("usage: %s\n%s\n", c->usage, c->help);
	if (c->words) /* it may be longer than what kprintf() prints */
		console_write(c->words, strlen(c->words));
	if (c->example)
		kprintf("example: %s\n", c->example);
	if (c->page)
		kprintf("read on: %s\n", c->page);
}

static int help_command(int argc, char **argv)
{
	const struct shell_command *c = argc > 1 ? shell_find(argv[1]) : NULL;

	if (argc > 2) {
		kprintf("usage: help [COMMAND]\n");
		return 1;
	}
	if (c)
		print_help(c);
	else if (argc > 1)
		kprintf("help: no command \"%s\" (`help` lists them)\n",
			argv[1]);
	else
		for (c = shell_commands_start; c < shell_commands_end; c++)
			kprintf("%-9s %s\n", c->name, c->help);
	return !c;
}
SHELL_COMMAND(
	help, .name = "help", .usage = "help [COMMAND]",
	.help = "list the commands, or explain one command",
	.words =
		"  COMMAND  what it does, its words, an example, where to read on\n",
	.example = "help demo", .page = "README.md, \"The shell\"",
	.fn = help_command, .complete = shell_name);

static int quit_command(int argc, char **argv)
{
	unsigned int status = (unsigned int)shell_status;

	if (argc == 1 ||
	    (argc == 2 && parse_uint(argv[1], &status) && status <= 255))
		machine_exit((int)status);
	kprintf("usage: quit [STATUS], a number from 0 to 255\n");
	return 1;
}
SHELL_COMMAND(
	quit, .name = "quit", .usage = "quit [STATUS]",
	.help = "stop the machine with an exit status (0 to 255)",
	.words =
		"  STATUS  without it: that of the first command in this line that failed\n",
	.example = "demo e1 forced; quit", .page = "docs/raspberry-pi.md",
	.fn = quit_command);

PLAIN_COMMAND(poweroff, "stop the machine", machine_exit(0),
	      .example = "cpu down 3; poweroff",
	      .page = "docs/raspberry-pi.md");
PLAIN_COMMAND(reboot, "start the machine again", machine_reboot(),
	      .example = "reboot", .page = "docs/raspberry-pi.md");
PLAIN_COMMAND(board, "print the boot report: the hardware, and its checks",
	      board_ops->print(GORDIAN_DEBUG ? map_audit() : 0),
	      .example = "board", .page = "docs/raspberry-pi.md");

/* ---- cores -------------------------------------------------------------- */

static int cpu_table(void)
{
	unsigned int cpu;

	kprintf("core  state   by %-5s  ready  irqs  runs\n", core_ops->name);
	for_each_possible_cpu (cpu) {
		bool on = cpu_is_online(cpu);

		kprintf("%4u  %-6s  %-8s  %5u  %4u  %s\n", cpu,
			on		 ? "online" :
			cpu_is_lost(cpu) ? "lost" :
					   "off",
			core_ops->is_off(cpu) ? "off" : "on",
			on ? sched_nr_running(cpu) : 0, irq_count(cpu),
			on ? sched_running(cpu)->name : "-");
	}
	return 0;
}

/* Returns NULL if there are no words for the error. */
static const char *cpu_error(int err, unsigned int cpu, bool up)
{
	if (cpu_is_lost(cpu))
		return "it is lost: it did not start or stop, and may still "
		       "run";
	if (err == -EINVAL && up)
		return "it is online already; cpu down N takes one off";
	if (err == -EINVAL)
		return "it is off already; cpu up N brings one back";
	if (err == -EBUSY && !up && cpumask_weight(cpu_online()) == 1)
		return "it is the last one online, and one must stay";
	return err == -EBUSY  ? "refused by the platform or by a notifier" :
	       err == -EIO    ? "it does not answer; going on without it" :
	       err == -ENODEV ? "the platform has no such core" :
	       err == -EPERM  ? "this core is not coherent with other cores" :
	       err == -ENOMEM ? "there is no memory for it" :
				NULL;
}

static int cpu_command(int argc, char **argv)
{
	bool up = argc == 3 && strcmp(argv[1], "up") == 0;
	const char *why;
	unsigned int cpu;
	int err;

	if (argc == 1)
		return cpu_table();
	if (!up && (argc != 3 || strcmp(argv[1], "down") != 0))
		kprintf("usage: cpu [up|down N]\n");
	else if (!parse_uint(argv[2], &cpu) || cpu >= board.nr_cores)
		kprintf("cpu %s %s: no such core, there are 0 to %u\n", argv[1],
			argv[2], board.nr_cores - 1);
	else if (!(err = up ? cpu_up(cpu) : cpu_down(cpu))) {
		bool off = core_ops->is_off(cpu);

		kprintf("core %u is %s (%s)\n", cpu, off ? "off" : "on",
			core_ops->name);
		return off == up;
	} else if ((why = cpu_error(err, cpu, up)))
		kprintf("cpu %s %u: %s\n", argv[1], cpu, why);
	else
		kprintf("cpu %s %u: refused (error %d)\n", argv[1], cpu, err);
	return 1;
}

static const char *cpu_complete(int arg, unsigned int i)
{
	return arg == 1 && i < 2 ? i ? "down" : "up" : NULL;
}
SHELL_COMMAND(cpu, .name = "cpu", .usage = "cpu [up|down N]",
	      .help = "list the cores, or turn a core on or off",
	      .words = "  up N    turn core N on (CPU hotplug)\n"
		       "  down N  turn it off\n",
	      .example = "cpu down 2", .page = "kernel/cpu/cpu.c",
	      .fn = cpu_command, .complete = cpu_complete);

/* ---- threads, locks, memory --------------------------------------------- */

static unsigned int waited_ms(const struct waiting *w)
{
	if (!w->ops)
		return 0;
	return (unsigned int)(timer_ns(timer_now() - w->since) / 1000000);
}

void describe_wait(struct thread *t, struct waitfor *w, char *buf, size_t size)
{
	const struct waiting *now = &w->link[0].waiting;
	const struct waitfor_link *to;
	char more[64] = "";

	waitfor_walk(t, w);
	to = waitfor_owner(w, 0);
	if (to)
		ksnprintf(more, sizeof(more), ",\n  %s %s (thread %u)",
			  waitfor_relation(w, 0), to->name, to->id);
	else if (now->ops == &refcount_wait)
		ksnprintf(more, sizeof(more), ",\n  which is %d",
			  READ_ONCE(cpu_hotplug.refcount));
	ksnprintf(buf, size, now->ops ? "waits for %s (%s)%s" : "runs",
		  now->name, wait_name(now), more);
}

static void ps_print(void)
{
	static const char *const prios[] = { "stop", "high", "norm", "idle" };
	static const char *const states[] = {
		[TASK_RUNNING] = "ready",	[TASK_UNINTERRUPTIBLE] = "wait",
		[TASK_INTERRUPTIBLE] = "sleep", [TASK_PARKED] = "park",
		[TASK_WAKING] = "wake",		[TASK_HELD] = "held",
		[TASK_DEAD] = "dead",
	};
	struct thread *t;

	kprintf("%4s %-15s core prio state switches preempt waits for, ms\n",
		"id", "name");
	for_each_thread (t) {
		struct waiting w = t->waiting;

		kprintf("%4u %-15s %4u %s %-5s %8u %7d %s %u\n", t->id, t->name,
			t->cpu, prios[t->prio],
			sched_running(t->cpu) != t ? states[t->state] :
			cpu_is_online(t->cpu)	   ? "run" :
						     "off",
			t->switches, t->preempt_count, w.ops ? w.name : "-",
			waited_ms(&w));
	}
}
PLAIN_COMMAND(ps, "list the threads", ps_print(),
	      .example = "demo e2 hold; ps; cut",
	      .page = "README.md, \"The shell\"");

/* Print the cycle that thread t is in. Each cycle is printed once: for the thread with
 * the lowest id. w: room for the walk. */
static void print_cycle_once(struct thread *t, struct waitfor *w)
{
	bool leads = waitfor_walk(t, w) && w->first == 0;

	for (unsigned int i = 1; i < w->n; i++)
		leads &= w->link[i].id > t->id;
	if (leads)
		waitfor_print_cycle(w);
}

static void waits_print(void)
{
	unsigned int waiting = 0;
	struct thread *t;
	struct waitfor w;

	for_each_thread (t) {
		struct waiting now = waits_for(t);
		char what[128];

		if (!now.ops)
			continue;
		waiting++;
		describe_wait(t, &w, what, sizeof(what));
		kprintf("%s (thread %u) %s, for %u ms\n", t->name, t->id, what,
			waited_ms(&now));
	}
	for_each_thread (t)
		print_cycle_once(t, &w);
	if (!waiting)
		kprintf("no thread waits for a lock or for another thread\n");
}
PLAIN_COMMAND(waits, "show each waiting thread, and each cycle of waits",
	      waits_print(), .example = "demo e2 hold; waits; cut",
	      .page = "docs/caveats.md");

static bool waits_for_mutex(const struct thread *t, const struct mutex *m)
{
	const struct waiting *w = &t->waiting;

	/* Acquire: pairs with the release in wait_begin(). */
	return smp_load_acquire(&w->ops) == &mutex_wait && w->obj == m &&
	       READ_ONCE(*w->granted) == WAITS;
}

static void print_mutex(const struct mutex *m)
{
	struct thread *owner = mutex_owner(m), *t;
	unsigned int n = 0;

	for_each_thread (t)
		n += waits_for_mutex(t, m);
	if (owner)
		kprintf("%s: held by %s (thread %u), %u wait\n  taken at %pS\n",
			m->name, owner->name, owner->id, n,
			(void *)READ_ONCE(m->site));
	else
		kprintf("%s: free\n", m->name);
	for_each_thread (t)
		if (waits_for_mutex(t, m))
			kprintf("  %s (thread %u) waits, for %u ms\n", t->name,
				t->id, waited_ms(&t->waiting));
}

static void locks_print(void)
{
	const struct thread *writer = READ_ONCE(cpu_hotplug.active_writer);

	print_mutex(&slab_mutex);
	print_mutex(&cpu_add_remove_lock);
	print_mutex(&cpu_hotplug.lock);
	kprintf("cpu_hotplug (%s): refcount %d, active_writer %s\n",
		READ_ONCE(hotplug_ops)->name, READ_ONCE(cpu_hotplug.refcount),
		writer ? writer->name : "none");
	print_mutex(&rcu_sched_state.barrier_mutex);
#if GORDIAN_DEBUG
	struct thread *t;

	for_each_thread (t) {
		if (READ_ONCE(t->lockdep.depth))
			kprintf("%s (thread %u)\n", t->name, t->id);
		print_held_locks(t);
	}
#endif
}
PLAIN_COMMAND(locks, "show the locks of the 2012 deadlock, and all held locks",
	      locks_print(), .example = "demo e2 hold; locks; cut",
	      .page = "docs/locking.md");

static void slabinfo_print(void)
{
	slab_print();
	kprintf("pages: %u of %u free\n", (unsigned int)pages_free_count(),
		(unsigned int)pages_total());
}
PLAIN_COMMAND(slabinfo, "list the slab caches, and count the free pages",
	      slabinfo_print(), .example = "demo e1 forced; slabinfo",
	      .page = "kernel/slab/slab.h");

PLAIN_COMMAND(rcu, "show grace periods and callbacks", rcu_print(),
	      .example = "demo e2 hold; rcu; cut", .page = "kernel/rcu/rcu.h");
