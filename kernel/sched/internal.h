/*
 * What the files of kernel/sched/ share among themselves.
 */
#pragma once

#include "kernel/sched/sched.h"

/* sched.c */
void finish_switch(struct thread *prev);
void sched_start(struct thread *t);
void sched_unpark(struct thread *t);
bool sched_is_parked(struct thread *t);
void sched_set_idle(unsigned int cpu, struct thread *idle);
void sched_set_boot(struct thread *idle, struct thread *boot);
void sched_boot_tick(void);
uint64_t sched_next_tick(void);
void sched_tick_if_due(uint64_t now);

/* thread.c; called from finish_switch(), IRQs off, no lock held */
void thread_parked(void);
/* kernel/arch/switch.S: where a new thread begins, on its own stack. */
noreturn void thread_start(struct thread *prev);
