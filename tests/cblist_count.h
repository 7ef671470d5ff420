/*
 * The number of callbacks in a segment, for the tests on the host and in the kernel.
 */
#pragma once

#include "kernel/rcu/cblist.h"

static unsigned int cblist_count(const struct cblist *l, unsigned int segment)
{
	struct rcu_head *const *at = segment ? l->tail[segment - 1] : &l->head;
	unsigned int n = 0;

	for (; at != l->tail[segment]; at = &(*at)->next)
		n++;
	return n;
}
