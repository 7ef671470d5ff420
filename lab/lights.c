/*
 * `lights on`: a lamp for each core and a button, for a lecture hall. It needs
 * a board that has pins.
 *
 *   dark      the core is off
 *   blinking  the core answers
 *   steady    the core does not answer, or a thread of a deadlock ran there last
 *
 * The button cuts the knot that `demo ID hold` left. A thread, the watcher, looks
 * a few times a second. It sends each core an interrupt that makes the core count;
 * the core's lamp is on while the count is odd. The watcher takes no lock that a
 * thread of a deadlock could hold.
 *
 * lights_mutex guards `watcher`. beat[i] is written by core i, asked[i] by the
 * watcher.
 */
#include <string.h>

#include "lab/command.h"
#include "kernel/arch/board.h"
#include "kernel/cpu/smp.h"
#include "kernel/hang/waitfor.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/shell.h"

#define LOOK_NS	   125000000ull
#define BUTTON	   26 /* to ground; pulled up */
#define NR_LAMPS   4
#define NOT_LOOKED 2 /* neither up (1) nor down (0): there was no look yet */

static const uint8_t lamp[NR_LAMPS] = { 5, 6, 13, 19 }; /* high: on */

static DEFINE_MUTEX(lights_mutex);
static struct thread *watcher;
static bool stop;
static unsigned int beat[NR_LAMPS], asked[NR_LAMPS];

/* Runs in an interrupt on the core that was asked. */
static void count_beat(void *arg)
{
	unsigned int *n = arg;

	WRITE_ONCE(*n, *n + 1);
}

/* The cores on which the threads of a cycle ran last, as bits. */
static uint32_t cores_of_cycles(void)
{
	static struct waitfor w; /* large; used by the watcher alone */
	struct thread *t;
	uint32_t cores = 0;

	for_each_thread (t) {
		if (!waits_for(t).ops || !waitfor_cycle(t, &w))
			continue;
		for (unsigned int i = w.first; i < w.n; i++)
			cores |= 1u << w.link[i].cpu;
	}
	return cores;
}

/* Set the lamp of the core, and ask the core to count once more. stuck: the
 * cores of the threads of a cycle, as bits. */
static void set_lamp(unsigned int cpu, uint32_t stuck)
{
	if (!cpu_is_online(cpu)) {
		pins->set(lamp[cpu], false);
		asked[cpu] = READ_ONCE(beat[cpu]);
	} else if (stuck & 1u << cpu || asked[cpu] != READ_ONCE(beat[cpu])) {
		pins->set(lamp[cpu], true);
	} else {
		pins->set(lamp[cpu], asked[cpu] & 1);
		if (!smp_call_function_single(cpu, count_beat, &beat[cpu],
					      false))
			asked[cpu]++;
	}
}

/* Has the button gone down since the last look? */
static bool is_pressed(unsigned int *was)
{
	bool up = pins->is_high(BUTTON), down = !up && *was == true;

	*was = up;
	return down;
}

static int button_thread(void *arg maybe_unused)
{
	return cut_held_knot();
}

/* Cut the knot in a new thread. (The command `cut` also runs in a new thread.
 * So in both cases the comparison of the state finds one more thread.) The
 * lamps do not change until the new thread has ended. */
static void run_cut(void)
{
	struct thread *t = thread_create("button", button_thread, NULL,
					 PRIO_NORMAL, CPUMASK_ALL);

	if (t)
		thread_join(t);
}

static int lights_thread(void *arg maybe_unused)
{
	unsigned int was = NOT_LOOKED;

	while (!READ_ONCE(stop)) {
		uint32_t stuck = cores_of_cycles();

		for (unsigned int i = 0; i < NR_LAMPS; i++)
			if (i < board.nr_cores)
				set_lamp(i, stuck);
		if (is_pressed(&was))
			run_cut();
		sleep_ns(LOOK_NS);
	}
	for (unsigned int i = 0; i < NR_LAMPS; i++)
		pins->set(lamp[i], false);
	return 0;
}

static int turn_lights(bool on)
{
	if (on == !!watcher)
		return 0;
	if (!on) {
		WRITE_ONCE(stop, true);
		thread_join(watcher);
		watcher = NULL;
		return 0;
	}
	for (unsigned int i = 0; i < NR_LAMPS; i++) {
		pins->output(lamp[i]);
		asked[i] = beat[i];
	}
	pins->input(BUTTON);
	stop = false;
	watcher = thread_create("lights", lights_thread, NULL, PRIO_HIGH,
				CPUMASK_ALL);
	if (watcher)
		return 0;
	kprintf("lights: no memory for their thread\n");
	return 1;
}

static int lights_command(int argc, char **argv)
{
	bool on = argc == 2 && !strcmp(argv[1], "on");
	int status;

	if (!on && (argc != 2 || strcmp(argv[1], "off") != 0)) {
		kprintf("usage: lights on|off\n");
		return 1;
	}
	if (!pins) {
		kprintf("lights: %s has no pins; a Raspberry Pi has\n",
			board.name);
		return 1;
	}
	if (mutex_lock_interruptible(&lights_mutex))
		return 1;
	status = turn_lights(on);
	mutex_unlock(&lights_mutex);
	return status;
}

static const char *lights_complete(int arg, unsigned int i)
{
	return arg == 1 && i < 2 ? i ? "off" : "on" : NULL;
}

SHELL_COMMAND(
	lights, .name = "lights", .usage = "lights on|off",
	.help = "show the state of each core on an LED; a button ends the deadlock",
	.example = "demo e2 hold; lights on", .page = "docs/raspberry-pi.md",
	.fn = lights_command, .complete = lights_complete);
