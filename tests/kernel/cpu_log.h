/*
 * What the notifiers of suite cpu see: three notifiers write one log, and check
 * that each event reaches them on the right core and in the right context.
 *
 * An event takes two characters. The first is the notifier: h (high) runs before
 * all of the kernel's notifiers, m (middle) between them, l (low) after them. The
 * second is the event:
 *
 *	P UP_PREPARE  S STARTING  O ONLINE  C UP_CANCELED
 *	D DOWN_PREPARE  Y DYING  X DEAD  Z POST_DEAD  F DOWN_FAILED
 *	L LOST
 *
 * The hotplug lock's writer tells one event at a time, so the log needs no lock.
 */
#pragma once

#include <stdint.h>

#define UP   "hPmPlPhSmSlShOmOlO"
#define DOWN "hDmDlDhYmYlYhXmXlXhZmZlZ"
#define UP_FAILED                                                              \
	"hPmPlPhCmClC" /* all are prepared, but the core does not start */

struct cpu_log {
	char text[96];
	unsigned int len;
	unsigned int cpu; /* every event must be about this core */
	uint32_t wrong;	  /* events in the wrong place */
	char refuser;	  /* this notifier refuses refused_event; 0: none */
	unsigned long refused_event;
	int refusal; /* with this return value */
	void (*also)(unsigned long event, unsigned int cpu); /* run by h */
};
extern struct cpu_log cpu_log;

/* Register the notifiers, with an empty log; cpu: the core that will change. */
void cpu_log_start(unsigned int cpu);
void cpu_log_stop(void);
/* The log must say this; then it is empty again. */
void cpu_log_check(const char *want);
void cpu_log_clear(void);

/* Take a core down or up, which must succeed; an online core must run threads. */
void core_down(unsigned int cpu);
void core_up(unsigned int cpu);
void check_core_runs(unsigned int cpu);
/* All cores that are off. */
void cores_up(void);
/* A thread's function: cores go on and off at random; arg: the seed. Each request
 * must succeed or be refused for a good reason. */
int toggle_cores(void *arg);
