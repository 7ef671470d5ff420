/*
 * Replaces kernel/lock/spinlock_fast.h in host builds: the spinlocks of
 * tests/host/shim.c, which are the same in both profiles.
 */
#pragma once

uint32_t spin_lock_irqsave(struct spinlock *l);
void spin_unlock_irqrestore(struct spinlock *l, uint32_t flags);
