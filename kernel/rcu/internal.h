/*
 * Shared by the files of kernel/rcu/.
 */
#pragma once

#include "kernel/rcu/rcu.h"

extern struct rcu_state *rcu_states;

static inline bool rcu_gp_wanted(const struct rcu_state *rsp)
{
	return !rcu_seq_done(READ_ONCE(rsp->gp_seq), READ_ONCE(rsp->request));
}

/* rcu.c */
int rcu_gp_thread(void *arg);
void rcu_report_qs(struct rcu_state *rsp, unsigned int cpu);
void rcu_idle_start(unsigned int cpu);

/* callback.c */
void rcu_register_notifiers(void);

/* report.c */
void rcu_report_stall(struct rcu_state *rsp);
