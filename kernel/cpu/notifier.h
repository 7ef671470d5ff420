/*
 * Notifier chains, as Linux had them in 2012 (include/linux/notifier.h, 3.6).
 *
 * A raw chain has no lock of its own: the CPU chain is guarded by
 * cpu_add_remove_lock. Higher priority runs first; equals in the order of
 * registration.
 */
#pragma once

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long event,
			     void *data);
	struct notifier_block *next;
	int priority;
	const char *name;
};

struct raw_notifier_head {
	struct notifier_block *head;
};

#define NOTIFY_DONE	 0x0000 /* don't care */
#define NOTIFY_OK	 0x0001 /* suits me */
#define NOTIFY_STOP_MASK 0x8000 /* don't call further */
#define NOTIFY_BAD	 (NOTIFY_STOP_MASK | 0x0002)

/* A negative errno in a return value: notifier_to_errno() gets it back. */
static inline int notifier_from_errno(int err)
{
	return err ? (NOTIFY_STOP_MASK | (NOTIFY_OK - err)) : NOTIFY_OK;
}
static inline int notifier_to_errno(int ret)
{
	ret &= ~NOTIFY_STOP_MASK;
	return ret > NOTIFY_OK ? NOTIFY_OK - ret : 0;
}

int raw_notifier_chain_register(struct raw_notifier_head *nh,
				struct notifier_block *nb);
int raw_notifier_chain_unregister(struct raw_notifier_head *nh,
				  struct notifier_block *nb);
/*
 * Call up to nr_to_call of them (-1: all) until one says stop; *nr_calls, if
 * given, counts those called. Returns the last value.
 */
int __raw_notifier_call_chain(struct raw_notifier_head *nh, unsigned long event,
			      void *data, int nr_to_call, int *nr_calls);
