/*
 * Notifier chains. See notifier.h. The owner of a chain guards it. Context:
 * that of the caller.
 */
#include "kernel/cpu/notifier.h"

#include "kernel/arch/arch.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/sched.h"

int raw_notifier_chain_register(struct raw_notifier_head *nh,
				struct notifier_block *nb)
{
	struct notifier_block **p = &nh->head;

	while (*p && (*p)->priority >= nb->priority) {
		if (*p == nb)
			return -EEXIST;
		p = &(*p)->next;
	}
	nb->next = *p;
	*p = nb;
	return 0;
}

int raw_notifier_chain_unregister(struct raw_notifier_head *nh,
				  struct notifier_block *nb)
{
	for (struct notifier_block **p = &nh->head; *p; p = &(*p)->next) {
		if (*p == nb) {
			*p = nb->next;
			return 0;
		}
	}
	return -ENOENT;
}

/* As in Linux 3.6, kernel/notifier.c. The backtrace in the lockdep report of
 * 2012 names this function. */
static story int notifier_call_chain(struct raw_notifier_head *nh,
				     unsigned long event, void *data,
				     int nr_to_call, int *nr_calls)
{
	int ret = NOTIFY_DONE;
	struct notifier_block *nb = nh->head;

	while (nb && nr_to_call) {
		struct notifier_block *next = nb->next;
		const void *fn = (const void *)nb->notifier_call;
		struct lockdep_context context;

		trace_gate(TR_NOTIFY, fn, event);
		trace_did(TR_NOTIFY, fn, event, CALLER);
		lockdep_enter(&context);
		ret = nb->notifier_call(nb, event, data);
		lockdep_leave(&context, "a notifier returns", fn);
		if (nr_calls)
			(*nr_calls)++;
		if (ret & NOTIFY_STOP_MASK)
			break;
		nb = next;
		nr_to_call--;
	}
	return ret;
}

story int __raw_notifier_call_chain(struct raw_notifier_head *nh,
				    unsigned long event, void *data,
				    int nr_to_call, int *nr_calls)
{
	return notifier_call_chain(nh, event, data, nr_to_call, nr_calls);
}
