/*
 * What a spinning thread waits for. See busy.h.
 */
#include "kernel/lock/busy.h"

#if GORDIAN_DEBUG
struct waiting busy_set(struct waiting w)
{
	struct waiting outer = current->busy;
	const struct wait_ops *ops = w.ops;

	WRITE_ONCE(current->busy.ops, NULL);
	smp_wmb(); /* before the fields: pairs with copy_waiting() */
	WRITE_ONCE(current->busy.obj, w.obj);
	WRITE_ONCE(current->busy.name, w.name);
	WRITE_ONCE(current->busy.caller, w.caller);
	WRITE_ONCE(current->busy.since, w.since);
	/* Release: pairs with the acquire in copy_waiting(). */
	smp_store_release(&current->busy.ops, ops);
	return outer;
}
#endif
