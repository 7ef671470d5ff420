/*
 * What a core waits for while it keeps running. See busy.h.
 */
#include "kernel/lock/busy.h"

#if GORDIAN_DEBUG
struct waiting busy_set(struct waiting w)
{
	struct waiting outer = current->busy;
	enum wait_kind kind = w.kind;

	WRITE_ONCE(current->busy.kind, WAIT_NONE);
	smp_wmb(); /* before the fields: pairs with copy_waiting() */
	w.kind = WAIT_NONE;
	current->busy = w;
	/* Release: pairs with the acquire in copy_waiting(). */
	smp_store_release(&current->busy.kind, kind);
	return outer;
}
#endif
