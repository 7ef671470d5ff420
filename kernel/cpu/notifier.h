/*
 * Notifier chains, as Linux had them in 2012 (include/linux/notifier.h, 3.6):
 * lists of callbacks that are called at an event, in order, until one refuses.
 *
 * A raw chain has no lock of its own; cpu_add_remove_lock guards the CPU chain.
 * Callbacks of a higher priority run first, those of one priority in the order
 * of registration.
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

#define NOTIFY_DONE	 0x0000 /* the event does not matter here */
#define NOTIFY_OK	 0x0001
#define NOTIFY_STOP_MASK 0x8000 /* call no more callbacks */
#define NOTIFY_BAD	 (NOTIFY_STOP_MASK | 0x0002)

/* Pack 0 or a negative errno into a callback's return value, and unpack it. */
static inline int notifier_from_errno(int err)
{
	return err ? (NOTIFY_STOP_MASK | (NOTIFY_OK - err)) : NOTIFY_OK;
}
static inline int notifier_to_errno(int ret)
{
	ret &= ~NOTIFY_STOP_MASK;
	return ret > NOTIFY_OK ? NOTIFY_OK - ret : 0;
}

/* 0, or -EEXIST. */
int raw_notifier_chain_register(struct raw_notifier_head *nh,
				struct notifier_block *nb);
/* 0, or -ENOENT. */
int raw_notifier_chain_unregister(struct raw_notifier_head *nh,
				  struct notifier_block *nb);
/*
 * Call up to nr_to_call callbacks (-1: all) until one returns a value with
 * NOTIFY_STOP_MASK. *nr_calls, unless NULL, is incremented for each call.
 * Returns the last callback's value.
 */
int __raw_notifier_call_chain(struct raw_notifier_head *nh, unsigned long event,
			      void *data, int nr_to_call, int *nr_calls);
